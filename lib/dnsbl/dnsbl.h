/* dnsbl: lists in the DNS of clients and domains, bad and good ones (RFC 5782): how they are defined, how they are
 * asked and what their answers mean.
 *
 * A definition is one text:
 *
 *     NAME [WORD=VALUE | ACTION]...        spamhaus-zen key_file=/etc/mailreeve/dqs.key codes=PBL:score=2 reject
 *     ZONE [WORD=VALUE | ACTION]...        bl.example.net codes=127.0.0.2-3:spam,127.0.0.4:proxy:tag score=2.5
 *
 * NAME is one of the ready ones (known.c), whose words are read first. Words: kind, zone, keyed, key, key_file, name,
 * codes, action, score, on, names, addresses, ip, test, url, txt: see mailreeve.conf(5), dnsbl.lists. */
#ifndef MAILREEVE_DNSBL_DNSBL_H
#define MAILREEVE_DNSBL_DNSBL_H

#include "lib/base/ip.h"
#include "lib/dns/dns.h"
#include "lib/policy/finding.h"

enum dnsbl_kind {
	DNSBL_CLIENT, /* addresses of clients that should not send */
	DNSBL_ALLOW,  /* addresses of clients of good repute */
	DNSBL_DOMAIN  /* domains */
};
const char *dnsbl_kind_name(enum dnsbl_kind kind); /* "client" */

/* Where a domain stands that is asked for. */
enum dnsbl_place {
	DNSBL_FROM,
	DNSBL_SENDER,
	DNSBL_HELO,
	DNSBL_PTR,
	DNSBL_REPLY_TO,
	DNSBL_DKIM,
	DNSBL_URL,
	DNSBL_PLACE_COUNT
};
const char *dnsbl_place_name(enum dnsbl_place place); /* "reply_to" */

/* What of a domain is asked for. */
enum dnsbl_names { DNSBL_NAMES_DOMAIN, DNSBL_NAMES_HOST, DNSBL_NAMES_BOTH };

struct dnsbl_action {
	bool given; /* else the one of what is around it: of the list, of the finding's code */
	bool skip;  /* of a code: as if it were not listed */
	bool lift;  /* of an allow list: findings of client lists are not made */
	struct action action;
};

/* One octet of an answer: in a range, and with one of the bits where there are any. */
struct dnsbl_octet {
	uint8_t low, high, bits;
};

struct dnsbl_code {
	struct dnsbl_octet octets[4];
	const char *name; /* "" : it has none */
	struct dnsbl_action action;
};

enum { DNSBL_CODES_MAX = 64, DNSBL_LISTS_MAX = 64, DNSBL_RULES_MAX = 32, DNSBL_ZONE_MAX = 120, DNSBL_NAME_MAX = 63 };

struct dnsbl_list {
	const char *name; /* for people and rules */
	enum dnsbl_kind kind;
	const char *zone;        /* secret where there is a key */
	const char *public_zone; /* the same with the key as "***" */
	const char *key;         /* secret; NULL: none */
	size_t code_count;
	const struct dnsbl_code *codes; /* the first that matches counts */
	struct dnsbl_action action;
	unsigned places; /* 1U << enum dnsbl_place */
	enum dnsbl_names names;
	bool addresses; /* a domain list that knows addresses in links too */
	bool ipv4, ipv6;
	const char *test_listed, *test_unlisted; /* relative names that must and must not be listed (RFC 5782 5) */
	const char *url;                         /* where people look it up, "%s" for what is listed; "": none is known */
	bool txt;                                /* the list's own text is asked for and told */
};

struct dnsbl_rule {
	const char *text; /* as written */
	unsigned least;   /* so many of its lists */
	uint64_t members; /* bit i: lists[i] */
	struct dnsbl_action action;
};

struct dnsbl_lists {
	size_t count, rule_count;
	const struct dnsbl_list *items;
	const struct dnsbl_rule *rules;
};

/* Reads one definition; a key file is read here. NULL, or what is wrong with it, in arena, without any key. */
const char *dnsbl_list_parse(struct arena *arena, const char *text, struct dnsbl_list *list_r);
/* "3 of spamcop psbl barracuda: reject", "2 of any". The names are looked up later. */
const char *dnsbl_rule_check(struct arena *arena, const char *text);
/* All of them: names are told apart, rules find theirs. */
const char *dnsbl_lists_parse(struct arena *arena, const char *const *lists, const char *const *rules,
                              struct dnsbl_lists *lists_r);

/* The definition, or any other text, with key=... blanked out, whatever else is wrong with it. */
const char *dnsbl_text_public(struct arena *arena, const char *text);
/* text with the list's key replaced by "***", in letters of either case. */
const char *dnsbl_public(struct arena *arena, const struct dnsbl_list *list, const char *text);

/* A text with the zones of all lists, and back again: keys are replaced by "***", and the public zones of lists with a key
 * by the real ones. */
const char *dnsbl_hide(struct arena *arena, const struct dnsbl_lists *lists, const char *text);
const char *dnsbl_unhide(struct arena *arena, const struct dnsbl_lists *lists, const char *text);

/* ---- asking ---- */

/* The names of the questions. False: the list does not take it (family), or the name would be too long. name_r: secret,
 * DNS_MAX_NAME_TEXT bytes. */
bool dnsbl_address_name(const struct dnsbl_list *list, const struct ip *ip, char *name_r);
bool dnsbl_domain_name(const struct dnsbl_list *list, const char *domain, char *name_r);
/* Of its test entries; ones of its own, else those of RFC 5782. */
void dnsbl_test_name(const struct dnsbl_list *list, bool listed, char *name_r);

enum dnsbl_result {
	DNSBL_UNLISTED,
	DNSBL_LISTED,
	DNSBL_ERROR /* no answer, or one that does not mean "listed": never to be taken for it */
};
struct dnsbl_match {
	const struct dnsbl_code *code; /* LISTED: the one that counts, the strictest */
	const char *names;             /* LISTED: names or addresses of all codes, "SBL, CSS" */
	const char *problem;           /* ERROR: without key */
};
/* Texts in arena. */
enum dnsbl_result dnsbl_judge(const struct dnsbl_list *list, const struct dns_answer *answer, struct arena *arena,
                              struct dnsbl_match *match_r);
/* What is to be done by the list's own words: the code's, else the list's. */
struct dnsbl_action dnsbl_action_of(const struct dnsbl_list *list, const struct dnsbl_code *code);

/* Is the list in order by its two test answers (RFC 5782 5)? NULL, or why it is not, in arena. *dead_r: it did not
 * answer, or refused to. */
const char *dnsbl_test(const struct dnsbl_list *list, const struct dns_answer *listed,
                       const struct dns_answer *unlisted, struct arena *arena, bool *dead_r);

/* The page of the lookup for what is listed, or NULL. */
const char *dnsbl_page(struct arena *arena, const struct dnsbl_list *list, const char *listed);

/* The part of the host that somebody registered, by the Public Suffix List; the host itself where it is none. */
const char *dnsbl_registrable(const char *host);

/* ---- ready definitions ---- */

struct dnsbl_known {
	const char *name; /* NULL ends the table */
	const char *words;
	const char *note; /* terms of use and the like, for people */
};
extern const struct dnsbl_known dnsbl_known[];

#endif
