/* dns: questions and answers, and the set of lookups of one session.
 *
 * A check that needs DNS is a function of its inputs and of a `struct lookups`. It asks with lookups_get(); where an
 * answer is not there yet it gets NULL, finishes asking what else it can foresee, and returns "pending". When answers
 * have arrived it is simply run again from the start: the answers it has had are the same objects. So nothing blocks
 * while the client is talking, independent questions run side by side, and the same code runs on a zone file. */
#ifndef MAILREEVE_DNS_DNS_H
#define MAILREEVE_DNS_DNS_H

#include "lib/base/ip.h"
#include "lib/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dns_type {
	DNS_TYPE_A = 1,
	DNS_TYPE_NS = 2,
	DNS_TYPE_CNAME = 5,
	DNS_TYPE_SOA = 6,
	DNS_TYPE_PTR = 12,
	DNS_TYPE_MX = 15,
	DNS_TYPE_TXT = 16,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_DS = 43,
	DNS_TYPE_DNSKEY = 48,
	DNS_TYPE_TLSA = 52,
	DNS_TYPE_SPF = 99 /* obsolete (RFC 7208 3.1); read like TXT */
};

enum dns_status {
	DNS_FOUND,     /* at least one record */
	DNS_NODATA,    /* the name exists, this type does not */
	DNS_NXDOMAIN,  /* neither the name nor anything below it exists (RFC 8020) */
	DNS_TEMPORARY, /* SERVFAIL, timeout, bogus DNSSEC, an answer we cannot read: never to be taken for absence */
};

/* Which fields are set depends on the type asked for. */
struct dns_record {
	struct ip address;   /* A, AAAA */
	uint16_t preference; /* MX */
	/* TXT: the strings of one record joined without anything between, any bytes. MX, NS, PTR, CNAME, SOA (its MNAME):
	 * the name, in small letters, without a final dot, "" for the root; bytes other than printable ASCII, and dots and
	 * backslashes inside a label, as \DDD. Others: the rdata in wire form. */
	struct slice data;
};

struct dns_answer {
	enum dns_status status;
	bool secure;         /* DNSSEC-validated (AD) */
	const char *problem; /* for DNS_TEMPORARY: "timeout", "SERVFAIL", "bogus: ..."; else NULL. A static or owned string */
	uint32_t ttl;        /* seconds it may be kept from its arrival */
	size_t count;
	const struct dns_record *records; /* at most DNS_MAX_RECORDS */
};

enum {
	DNS_MAX_NAME_TEXT = 1024,  /* longest text form of a 255-byte name, all bytes escaped, with its NUL */
	DNS_MAX_RECORDS = 256,     /* more in one answer are dropped */
	DNS_MAX_ANSWER = 65536     /* bytes of all rdata of an answer; a larger one is DNS_TEMPORARY */
};

struct dns_settings {
	const char *const *forwarders; /* "ADDRESS" or "ADDRESS@PORT", NULL-ended; none: full recursion from the root */
	const char *trust_anchor_file; /* NULL: no DNSSEC validation */
	const char *root_hints;        /* NULL: the library's own */
	uint64_t timeout_ns;           /* a question without answer is DNS_TEMPORARY "timeout" after this */
	size_t cache_bytes;            /* bound on our cache of answers */
	uint32_t ttl_max;              /* seconds; a longer TTL is cut */
	uint32_t ttl_negative_max;     /* seconds, for NODATA and NXDOMAIN; DNS_TEMPORARY is kept 5 s at most */
	size_t pending_max;            /* questions under way; more are answered DNS_TEMPORARY "resolver busy" at once */
};

/* Where answers come from: a resolver thread with a cache, or a zone file. Safe from any thread. */
struct dns;

/* Defaults for every field that DESIGN.md and mailreeve.conf(5) name. */
void dns_settings_default(struct dns_settings *settings_r);

/* NULL with a text in *error_r (owned by the caller, free()) when it cannot be made. */
struct dns *dns_open_resolver(const struct dns_settings *settings, char **error_r);

/* A master file (RFC 1035 5.1, absolute names) with the directives "$SERVFAIL name [type]", "$TIMEOUT name [type]",
 * "$NODATA name [type]" and "$NXDOMAIN name [type]": what is answered to that question, or to all that there are no records for;
 * "$BOGUS name [type]" is a temporary failure as DNSSEC gives it. "$SECURE name": answers from that name and all below it are
 * validated by DNSSEC (dns_answer.secure), negative ones too, and through a CNAME where every name on the way is.
 * A name that is neither there nor above one that is there is NXDOMAIN. CNAMEs (8 at most) and wildcards are followed. */
struct dns *dns_open_zone(const char *path, char **error_r);
/* The same from a text in memory; it is copied. */
struct dns *dns_open_zone_text(struct slice text, char **error_r);

/* No lookups object may be alive. Takes NULL. */
void dns_close(struct dns *dns);

/* Do the resolver's thread and libunbound's own answer until the deadline (monotonic)? Asks nobody else. */
bool dns_alive(struct dns *dns, uint64_t deadline);

struct dns_statistics {
	uint64_t questions, hits, coalesced, misses, temporary, evicted;
	uint64_t answered;           /* questions to the resolver that it has answered, whatever it said but DNS_TEMPORARY */
	uint64_t timeouts, servfail; /* of those that are temporary */
	size_t entries, bytes, pending;
};
void dns_get_statistics(struct dns *dns, struct dns_statistics *statistics_r);

/* The lookups of one session; used by one thread at a time. Each answer lives until lookups_destroy() or until a
 * reset drops it. */
struct lookups;

struct lookups *lookups_create(struct dns *dns);
void lookups_destroy(struct lookups *lookups); /* takes NULL; questions under way finish for the cache */

/* The answer, or NULL while it is under way; the first call starts the question. The name is folded to small letters
 * and loses a final dot. A name that is no domain name (empty label, label over 63, over 255 in all) is answered
 * DNS_NXDOMAIN at once, without a question. */
const struct dns_answer *lookups_get(struct lookups *lookups, const char *name, enum dns_type type);

/* The answer if it was asked for and has come, else NULL; never starts a question. */
const struct dns_answer *lookups_peek(struct lookups *lookups, const char *name, enum dns_type type);

size_t lookups_pending(struct lookups *lookups);

/* Waits until at least one answer that was pending at the call has come (true), or nothing is pending (true), or the
 * deadline (monotonic, clock_now()) has passed (false). */
bool lookups_wait(struct lookups *lookups, uint64_t deadline);

/* From now on every pending and every new question of this set is answered DNS_TEMPORARY with this static text
 * ("deadline"), until the next lookups_reset(). Answers that are there stay. */
void lookups_expire(struct lookups *lookups, const char *problem);

/* What was asked so far belongs to the connection: lookups_reset() keeps it and drops the rest. */
void lookups_mark(struct lookups *lookups);
void lookups_reset(struct lookups *lookups);

/* Every question with its answer (NULL while pending), in the order of asking, and the time it took. Names may hold the
 * key of a list (lib/dnsbl): they are not for people. */
typedef void lookups_visitor(void *context, const char *name, enum dns_type type, const struct dns_answer *answer,
                             uint64_t took_ns);
void lookups_each(struct lookups *lookups, lookups_visitor *visit, void *context);

const char *dns_type_name(enum dns_type type); /* "TXT"; "?" for what is not listed above */
const char *dns_status_name(enum dns_status status); /* "found", "nodata", "nxdomain", "temporary" */

#endif
