/* list_entry: one line of an allow or block list: whose it is, what it matches, until when. Pure text and values; what
 * is done with them stands in list_index.h (finding them) and pipeline/stage_lists.c (judging).
 *
 * An entry is known by its owner and its value: the two in canonical form are its key.
 *
 * Values, as they are written:
 *   bob@example.net       sender: MAIL FROM or an author in From; the case of ASCII letters does not matter
 *   <>                    the null path in MAIL FROM
 *   example.net           sender's domain, exactly; also "@example.net"
 *   .example.net          every domain below that one; also "*.example.net"
 *   192.0.2.0/24, ::1     client's network or address
 *   ptr:host.example      client's name as the MTA has verified it; ptr:.example: every one below
 *   helo:name.example     what the client said in HELO; helo:.example: every one below
 *   asn:64500             client's autonomous system; also "AS64500"
 *   country:DE            client's country (ISO 3166-1 alpha-2)
 *   subject:/REGEX/i      a header field of that name whose value matches (Perl-compatible; flags i m s x); a slash in
 * it is written \/ */
#ifndef MAILREEVE_POLICY_LIST_ENTRY_H
#define MAILREEVE_POLICY_LIST_ENTRY_H

#include "lib/base/slice.h"
#include "lib/policy/finding.h"

#include <stdint.h>

/* From the most to the least specific: within one owner's list the most specific entry decides. */
enum list_kind {
	LIST_ADDRESS,
	LIST_DOMAIN,
	LIST_SUBDOMAIN,
	LIST_NETWORK,
	LIST_PTR,
	LIST_HELO,
	LIST_ASN,
	LIST_COUNTRY,
	LIST_PATTERN,
	LIST_KINDS
};
const char *list_kind_name(enum list_kind kind); /* "address" */

enum list_action { LIST_REMOVED, LIST_ALLOW, LIST_BLOCK };
const char *list_action_name(enum list_action action); /* "allow" */

enum {
	LIST_VALUE_MAX = 1024, /* bytes */
	LIST_NOTE_MAX = 500,
	LIST_BY_MAX = 64,
	LIST_LABELS_MAX = 16 /* of a name all below which are meant */
};

struct list_entry {
	const char *owner; /* "": everybody; "example.org": its recipients; "bob@example.org". Canonical */
	const char *value; /* canonical */
	enum list_kind kind;
	enum list_action action;
	bool enforced;    /* a block that nothing lifts; the administrator's alone */
	bool forced;      /* an allow that acts without any proof of who sends */
	uint64_t expires; /* epoch seconds: from then on it is as if it were not there; 0: never */
	uint64_t added;   /* epoch seconds; 0: not known */
	const char *by;   /* who added it, without blanks; "" : not known */
	const char *note; /* UTF-8 without control characters, at most LIST_NOTE_MAX bytes */
};

/* False with *problem_r in arena: what is wrong, what was expected. */
bool list_value_parse(struct arena *arena, struct slice text, struct list_entry *entry_r, const char **problem_r);
/* "", "*" and "global" are everybody. Sets .owner. */
bool list_owner_parse(struct arena *arena, struct slice text, struct list_entry *entry_r, const char **problem_r);
/* A time to live from now, unless that is 0 ("90m", "12h", "30d", "2w"), a day ("2026-12-31": its end in UTC is the end
 * of the entry), a moment ("2026-12-31T18:00:00Z"), "never". One that is not after now is refused. */
bool list_expiry_parse(struct arena *arena, struct slice text, uint64_t now, uint64_t *expires_r,
                       const char **problem_r);
/* The moment alone; it may have passed. */
bool list_time_parse(struct slice text, uint64_t *time_r);
const char *list_time_format(struct arena *arena, uint64_t time); /* "2026-12-31T18:00:00Z" */
bool list_note_valid(struct slice note);

/* What an entry may be and an owner may have together: an enforced allow is none; an allow by what anybody can write (a
 * header pattern, HELO, the null path) must be forced. NULL, or what is wrong. */
const char *list_entry_problem(const struct list_entry *entry);

enum policy_level list_owner_level(const char *owner);

/* A sender's address as an entry has it: ASCII letters small, the local part without quotes that it does not need. */
const char *list_address(struct arena *arena, const char *local, const char *domain);

/* Where the pattern's parts stand in a canonical value of LIST_PATTERN. */
struct list_pattern_parts {
	struct slice field, regex, flags;
};
bool list_pattern_split(struct slice value, struct list_pattern_parts *parts_r);

#endif
