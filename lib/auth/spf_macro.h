/* spf_macro: macro strings (RFC 7208 section 7): our own check and expansion. */
#ifndef MAILREEVE_AUTH_SPF_MACRO_H
#define MAILREEVE_AUTH_SPF_MACRO_H

#include "lib/base/ip.h"
#include "lib/base/slice.h"

struct spf_macro_values {
	const char *local;         /* %{l} */
	const char *sender_domain; /* %{o} */
	const char *domain;        /* %{d}: the domain whose record is evaluated */
	struct ip client;          /* %{i} %{c} %{v} */
	const char *validated;     /* %{p}; "unknown" where there is none */
	const char *helo;          /* %{h} */
	const char *receiver;      /* %{r} */
	uint64_t now;              /* %{t} */
};

enum { SPF_MACRO_EXP = 1U << 0 /* c, r and t, and white space, are allowed: the text of exp= */ };

/* Is it a macro-string of RFC 7208 7.1? */
bool spf_macro_valid(struct slice text, unsigned flags);
/* Does it end in a macro-expand (7.1: "%{...}", "%%", "%_", "%-")? False when it is not valid. */
bool spf_macro_ends(struct slice text);
/* Does a %{letter} (either case) stand in it? */
bool spf_macro_uses(struct slice text, char letter);

/* Does it hang on the client, on HELO, on the local part or on the time? What is left hangs on domains alone. */
bool spf_macro_varies(struct slice text);

/* The expansion; NULL when the text is not valid or grows over 64 KiB. */
char *spf_macro_expand(struct arena *arena, struct slice text, const struct spf_macro_values *values, unsigned flags);
/* The expansion of a domain-spec as a domain name: shortened from the left to 253 bytes (7.3), no final dot, and then a
 * backslash written twice, as lookups_get() wants it. */
char *spf_macro_expand_domain(struct arena *arena, struct slice text, const struct spf_macro_values *values);

#endif
