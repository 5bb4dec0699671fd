/* dnsbl_check: the questions to lists of one connection or of one message, and what came of them. */
#ifndef MAILREEVE_PIPELINE_DNSBL_CHECK_H
#define MAILREEVE_PIPELINE_DNSBL_CHECK_H

#include "lib/dnsbl/dnsbl.h"

enum { DNSBL_PLACE_CLIENT = DNSBL_PLACE_COUNT }; /* the subject is the client's address */
#define DNSBL_PLACE_BIT(place) (1U << (place))

struct dnsbl_question {
	const struct dnsbl_list *list;
	unsigned places;     /* DNSBL_PLACE_BIT()s: where the subject stands */
	const char *subject; /* an address or a domain, as people know it */
	const char *name;    /* of the question: secret */
	uint64_t started;    /* monotonic */
	bool done;
	enum dnsbl_result result; /* once it is done; so all below */
	struct dnsbl_match match;
	const char *text; /* the list's own words, cut, any bytes; NULL: none */
	bool wildcard;    /* ERROR: the list has all names */
};

struct dnsbl_check {
	struct arena *arena;
	struct dnsbl_question *questions;
	size_t count, capacity;
	bool client, envelope, header, links; /* what its questions have been asked for already */
	bool stated;                          /* findings about the client have been */
	size_t unasked;                       /* hosts of links beyond the bound */
};

struct dnsbl_check *dnsbl_check_create(struct arena *arena);

/* Adds questions, each once, and none that the list does not take. subject is copied. */
void dnsbl_check_address(struct dnsbl_check *check, const struct dnsbl_list *list, unsigned place, const struct ip *ip);
void dnsbl_check_domain(struct dnsbl_check *check, const struct dnsbl_list *list, enum dnsbl_place place,
                        const char *domain);

/* Asks, and reads what has come. A question that has had no answer for timeout_ns is done with an error. True: all are
 * done. *next_r: when the next one of the others will be. */
bool dnsbl_check_advance(struct dnsbl_check *check, struct lookups *lookups, uint64_t timeout_ns, uint64_t *next_r);

/* Another message: what had no answer for the last one is asked again. */
void dnsbl_check_retry(struct dnsbl_check *check);

/* "192.0.2.1", "spam.example (from, url)". */
const char *dnsbl_question_subject(struct arena *arena, const struct dnsbl_question *question);

#endif
