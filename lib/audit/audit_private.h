/* audit_private: what the subjects of an audit share. */
#ifndef MAILREEVE_AUDIT_AUDIT_PRIVATE_H
#define MAILREEVE_AUDIT_AUDIT_PRIVATE_H

#include "lib/audit/audit.h"
#include "lib/mail/taglist.h"

struct audit_run {
	const struct audit_request *request;
	struct lookups *lookups;
	struct arena *arena;
	struct audit *audit;
	const char *domain;
	bool pending;
};

/* One subject each. They state what they can; run->pending when an answer is missing, and all is done anew then. */
void audit_mx(struct audit_run *run);
void audit_helo(struct audit_run *run);
void audit_spf(struct audit_run *run);
void audit_dkim(struct audit_run *run);
void audit_dmarc(struct audit_run *run);
void audit_mta_sts(struct audit_run *run);
void audit_tlsrpt(struct audit_run *run);
void audit_dane(struct audit_run *run);
void audit_starttls(struct audit_run *run);
void audit_bimi(struct audit_run *run);

/* A finding of the code (it must be a row of audit_codes.c). record: NULL or from the arena. */
void audit_find(struct audit_run *run, const char *id, const char *record, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* A fact. */
void audit_line(struct audit_run *run, enum audit_subject subject, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The subject does not concern the domain, or cannot be looked at. */
void audit_skip(struct audit_run *run, enum audit_subject subject, const char *reason);

/* The answer; NULL: pending, or temporary, which is a finding of unknown_id ("mx.dns") already. */
const struct dns_answer *audit_ask(struct audit_run *run, const char *unknown_id, const char *name, enum dns_type type);

/* Addresses of both families, AUDIT_ADDRESSES_MAX each; *secure_r: both answers are. False: pending or temporary (told). */
bool audit_addresses(struct audit_run *run, const char *unknown_id, const char *name, struct ip *addresses_r,
                     size_t *count_r, bool *secure_r);

/* Texts of strangers for a finding or a fact. */
const char *audit_safe(struct audit_run *run, struct slice text);

/* "NAME. 3600 IN TXT "..."", the text in strings of 255 bytes. */
const char *audit_txt_record(struct audit_run *run, const char *name, const char *text);

/* The TXT records of an answer that begin with "v=VERSION" as a tag (then ";" or the end); *text_r the first of them. */
size_t audit_select(const struct dns_answer *answer, const char *version, struct slice *text_r);

/* Does the domain take mail at all: an MX that is not null, or an address? True too where that is not known. */
bool audit_takes_mail(struct audit_run *run, const char *unknown_id, const char *domain);

/* The domain of "mailto:x@domain" up to "!" or "?", canonical; NULL when the URI is no such one. */
const char *audit_mailto_domain(struct audit_run *run, struct slice uri);

#endif
