/* spf_eval: one run of check_host(): the state shared by spf.c, which drives libspf2, and spf_match.c, which answers
 * whether a mechanism matches. */
#ifndef MAILREEVE_AUTH_SPF_EVAL_H
#define MAILREEVE_AUTH_SPF_EVAL_H

#include "lib/auth/spf.h"
#include "lib/auth/spf_macro.h"
#include "lib/auth/spf_record.h"

enum { SPF_LOOKUPS_MAX = 10, SPF_VOID_MAX = 2, SPF_NAMES_MAX = 10, SPF_FRAMES_MAX = 16 };

/* A record under evaluation: check_host() calling itself for include, or going on for redirect. */
struct spf_frame {
	const char *domain;
	unsigned depth; /* of includes: 0 for the first record and those it redirects to */
	struct spf_record record;
	const struct spf_term *last; /* the term of it that was looked at last; NULL: none, or the end was reached */
};

struct spf_eval {
	const struct spf_request *request;
	struct lookups *lookups;
	struct arena *arena;
	struct spf_macro_values values; /* domain and validated are set for each expansion */
	unsigned terms;                 /* that cost a lookup so far */
	unsigned voids;                 /* terms with a void lookup */
	bool term_is_void;              /* the current term has been counted in voids */
	bool utf8_local;                /* the local part is not ASCII */
	bool ptr;                       /* the client's names were asked for */
	const struct spf_term *leaf;    /* the term, of any frame, that was looked at last; NULL: the end of a record */
	bool pending;                   /* some answer is not there: the run is void */
	bool stopped;                   /* result and problem say why: nothing is looked at any more */
	enum auth_result result;
	const char *problem;
	size_t frame_count;
	struct spf_frame frames[SPF_FRAMES_MAX];
};

/* Ends the run with this result, unless it is over already. */
void spf_stop(struct spf_eval *eval, enum auth_result result, const char *problem);

/* An answer, or NULL: pending, or a temporary error that ended the run. A void one is counted when `counted`, once for
 * a term as 4.6.4 words it: three MX hosts that have no AAAA are one void lookup for a client with IPv6. */
const struct dns_answer *spf_ask(struct spf_eval *eval, const char *name, enum dns_type type, bool counted);

/* The domain-spec of a term expanded for this frame (empty: the frame's domain); NULL when the run is over or pending.
 */
const char *spf_target(struct spf_eval *eval, const struct spf_frame *frame, struct slice spec);

/* Has the domain-spec a macro that this sender has no value for (RFC 8616 4)? Its term matches nothing. */
bool spf_never_matches(const struct spf_eval *eval, struct slice spec);

/* Does the term (not include) match? False too when the run is over or pending. */
bool spf_match(struct spf_eval *eval, const struct spf_frame *frame, const struct spf_term *term);

/* Sets values.validated for %{p} in this frame (7.3); false while pending. */
bool spf_set_validated(struct spf_eval *eval, const struct spf_frame *frame);

/* Starts the lookups that the record will foreseeably need, without waiting (at most `budget` terms). */
void spf_look_ahead(struct spf_eval *eval, const struct spf_frame *frame, unsigned *budget, unsigned depth);

/* The SPF record among the TXT records of an answer (4.5): how many there are; the last one in *text_r. */
size_t spf_select(const struct dns_answer *answer, struct slice *text_r);

#endif
