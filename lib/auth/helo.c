#include "lib/auth/helo.h"

#include "lib/mail/domain.h"

/* Of a name that domain_canonical() let through: no hyphen at either end of a label (RFC 5321 4.1.2, RFC 1123 2.1). */
static bool labels_good(const char *name)
{
	struct slice rest = slice_from(name);
	struct slice label;
	while (slice_split(&rest, '.', &label)) {
		if (label.data[0] == '-' || label.data[label.len - 1] == '-') {
			return false;
		}
	}
	return true;
}

/* "192.0.2" and "host.123" are nobody's: no top level is numeric (RFC 3696 2). */
static bool last_label_numeric(const char *name)
{
	const char *last = domain_last_labels(name, 1);
	return last[strspn(last, "0123456789")] == '\0';
}

/* "[...]". The tag is part of the form for IPv6, and IPv4 has none (RFC 5321 4.1.3). */
static bool parse_literal(const char *text, struct helo *helo_r)
{
	char inside[IP_TEXT_SIZE + 8];
	size_t n = strlen(text);
	if (n < 3 || text[0] != '[' || text[n - 1] != ']' || n - 2 >= sizeof inside) {
		return false;
	}
	memcpy(inside, text + 1, n - 2);
	inside[n - 2] = '\0';
	if (!ip_parse(inside, &helo_r->address)) {
		return false;
	}
	bool tagged = slice_starts_nocase(slice_from(inside), SLICE_LITERAL("IPv6:"));
	helo_r->form = tagged == (strchr(inside, ':') != NULL) ? HELO_LITERAL : HELO_BARE_ADDRESS;
	return true;
}

void helo_parse(struct arena *arena, const char *text, struct helo *helo_r)
{
	*helo_r = (struct helo){.form = HELO_MALFORMED};
	if (parse_literal(text, helo_r)) {
		return;
	}
	if (ip_parse(text, &helo_r->address)) {
		helo_r->form = HELO_BARE_ADDRESS;
		return;
	}
	const char *name = domain_canonical(arena, slice_from(text));
	if (name == NULL || !labels_good(name) || last_label_numeric(name)) {
		return;
	}
	if (domain_labels(name) < 2) {
		helo_r->form = HELO_UNQUALIFIED;
		return;
	}
	helo_r->form = strchr(name, '_') == NULL ? HELO_NAME : HELO_UNDERSCORE;
	helo_r->name = name;
}

struct helo_walk {
	const struct ip *client;
	struct lookups *lookups;
	struct ip other;      /* an address that is not the client's */
	const char *problem;  /* of a question that could not be answered */
	const char *question; /* which one */
	bool matches, pending;
	bool missing; /* there is no such name */
};

static void walk_addresses(struct helo_walk *walk, const char *name, enum dns_type type)
{
	const struct dns_answer *answer = lookups_get(walk->lookups, name, type);
	if (answer == NULL) {
		walk->pending = true;
		return;
	}
	if (answer->status == DNS_TEMPORARY) {
		walk->problem = answer->problem;
		walk->question = name;
	}
	walk->missing = walk->missing || answer->status == DNS_NXDOMAIN;
	for (size_t i = 0; i < answer->count; i++) {
		if (ip_equal(&answer->records[i].address, walk->client)) {
			walk->matches = true;
		} else if (walk->other.family == IP_UNKNOWN) {
			walk->other = answer->records[i].address;
		}
	}
}

/* Returns how many exchangers there are. A null MX (RFC 7505) is none. */
static size_t walk_exchangers(struct helo_walk *walk, const char *name, enum dns_type type, struct arena *arena)
{
	const struct dns_answer *answer = lookups_get(walk->lookups, name, DNS_TYPE_MX);
	size_t count = 0;
	if (answer == NULL) {
		walk->pending = true;
		return 0;
	}
	if (answer->status == DNS_TEMPORARY) {
		walk->problem = answer->problem;
		walk->question = name;
	}
	for (size_t i = 0; i < answer->count && count < HELO_MAX_EXCHANGERS; i++) {
		if (answer->records[i].data.len > 0) {
			walk_addresses(walk, slice_dup(arena, answer->records[i].data), type);
			count++;
		}
	}
	return count;
}

bool helo_resolve(const char *name, const struct ip *client, struct lookups *lookups, struct arena *arena,
                  enum helo_match *match_r, const char **detail_r)
{
	enum dns_type type = client->family == IP_V4 ? DNS_TYPE_A : DNS_TYPE_AAAA;
	enum dns_type other = client->family == IP_V4 ? DNS_TYPE_AAAA : DNS_TYPE_A;
	struct helo_walk walk = {.client = client, .lookups = lookups};
	char text[IP_TEXT_SIZE];
	*match_r = HELO_MATCHES;
	*detail_r = "";
	walk_addresses(&walk, name, type);
	if (walk.matches || walk.pending) {
		return walk.matches;
	}
	size_t exchangers = 0;
	if (!walk.missing) { /* else there is nothing of any type (RFC 8020) */
		walk_addresses(&walk, name, other);
		exchangers = walk_exchangers(&walk, name, type, arena);
	}
	if (walk.matches || walk.pending) {
		return walk.matches;
	}
	if (walk.problem != NULL) {
		*match_r = HELO_NOT_LOOKED_UP;
		*detail_r = arena_printf(arena, "%s: %s", walk.question, walk.problem);
	} else if (walk.other.family != IP_UNKNOWN) {
		ip_format(&walk.other, text);
		*match_r = HELO_ELSEWHERE;
		*detail_r = arena_printf(arena, "%s is %s", name, text);
	} else if (exchangers > 0) {
		*match_r = HELO_ELSEWHERE;
		*detail_r = arena_printf(arena, "%s has mail exchangers, but no address", name);
	} else {
		*match_r = HELO_UNRESOLVED;
		*detail_r = arena_printf(arena, "%s has neither an address nor a mail exchanger", name);
	}
	return true;
}
