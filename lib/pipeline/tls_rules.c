#include "lib/pipeline/tls_rules.h"

#include "lib/mail/domain.h"

static const char domain_expected[] = "\"DOMAIN [VERSION]\" such as \"example.org TLSv1.2\"; a domain is example.org, "
                                      ".example.org (all below) or *, a version "
                                      "TLSv1, TLSv1.1, TLSv1.2, TLSv1.3, any or none";
static const char network_expected[] = "\"NETWORK [VERSION]\" such as \"192.0.2.0/24 TLSv1.2\" (no bits set behind the "
                                       "prefix); a version is TLSv1, TLSv1.1, "
                                       "TLSv1.2, TLSv1.3, any or none";

enum tls_version tls_version_parse(struct slice text)
{
	static const struct slice tls = {"TLS", 3};
	unsigned long long minor = 0;
	if (text.len == 0 || slice_equal_nocase(text, SLICE_LITERAL("none"))) {
		return TLS_NONE;
	}
	if (slice_starts_nocase(text, SLICE_LITERAL("SSL"))) {
		return TLS_SSL;
	}
	if (!slice_starts_nocase(text, tls)) {
		return TLS_UNKNOWN;
	}
	struct slice rest = {text.data + tls.len, text.len - tls.len};
	if (rest.len > 0 && ascii_lower(rest.data[0]) == 'v') {
		rest = (struct slice){rest.data + 1, rest.len - 1};
	}
	if (rest.len == 0 || rest.data[0] != '1') {
		return rest.len > 0 && rest.data[0] > '1' && rest.data[0] <= '9' ? TLS_NEWER : TLS_UNKNOWN;
	}
	if (rest.len == 1) {
		return TLS_1_0;
	}
	bool point = rest.data[1] == '.' || rest.data[1] == '_';
	if (!point || !slice_to_uint((struct slice){rest.data + 2, rest.len - 2}, 99, &minor)) {
		return TLS_UNKNOWN;
	}
	return minor > 3 ? TLS_NEWER : (enum tls_version)(TLS_1_0 + (int)minor);
}

const char *tls_version_name(enum tls_version version)
{
	static const char *const names[] = {"none", "unknown", "SSL", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", "newer"};
	return names[version];
}

/* "" stands for a version that is not given. */
static bool demand_parse(struct slice text, struct tls_demand *demand_r)
{
	*demand_r = (struct tls_demand){.kind = TLS_DEMAND_VERSION, .version = TLS_UNKNOWN};
	if (text.len == 0) {
		demand_r->kind = TLS_DEMAND_DEFAULT;
		return true;
	}
	if (slice_equal_nocase(text, SLICE_LITERAL("none"))) {
		demand_r->kind = TLS_DEMAND_NOTHING;
		return true;
	}
	if (slice_equal_nocase(text, SLICE_LITERAL("any"))) {
		return true;
	}
	demand_r->version = tls_version_parse(text);
	return demand_r->version >= TLS_1_0 && demand_r->version <= TLS_1_3;
}

/* "WHAT [VERSION]" in two. */
static void rule_split(const char *text, struct slice *what_r, struct slice *version_r)
{
	struct slice whole = slice_trim(slice_from(text));
	size_t n = 0;
	while (n < whole.len && whole.data[n] != ' ' && whole.data[n] != '\t') {
		n++;
	}
	*what_r = (struct slice){whole.data, n};
	*version_r = slice_trim((struct slice){whole.data + n, whole.len - n});
}

bool tls_domains_parse(struct arena *arena, const char *const *values, size_t count, void *rules_r,
                       const char **expected_r)
{
	struct tls_domain_rule *items = arena_alloc(arena, count * sizeof *items);
	*expected_r = domain_expected;
	for (size_t i = 0; i < count; i++) {
		struct slice what, version;
		rule_split(values[i], &what, &version);
		items[i].pattern = domain_pattern(arena, what);
		if (items[i].pattern == NULL || !demand_parse(version, &items[i].demand)) {
			return false;
		}
	}
	if (rules_r != NULL) {
		*(struct tls_domain_rules *)rules_r = (struct tls_domain_rules){count, items};
	}
	return true;
}

bool tls_networks_parse(struct arena *arena, const char *const *values, size_t count, void *rules_r,
                        const char **expected_r)
{
	struct tls_network_rule *items = arena_alloc(arena, count * sizeof *items);
	*expected_r = network_expected;
	for (size_t i = 0; i < count; i++) {
		struct slice what, version;
		rule_split(values[i], &what, &version);
		if (!ip_network_parse(slice_dup(arena, what), &items[i].network) || !demand_parse(version, &items[i].demand)) {
			return false;
		}
	}
	if (rules_r != NULL) {
		*(struct tls_network_rules *)rules_r = (struct tls_network_rules){count, items};
	}
	return true;
}

struct tls_demand tls_domains_demand(const struct tls_domain_rules *rules, const char *domain)
{
	struct tls_demand demand = {.kind = TLS_DEMAND_NOTHING};
	unsigned best = 0;
	for (size_t i = 0; i < rules->count; i++) {
		unsigned match = domain_pattern_match(rules->items[i].pattern, domain);
		if (match > best) {
			best = match;
			demand = rules->items[i].demand;
		}
	}
	return demand;
}

struct tls_demand tls_networks_demand(const struct tls_network_rules *rules, const struct ip *client)
{
	struct tls_demand demand = {.kind = TLS_DEMAND_NOTHING};
	unsigned best = 0;
	for (size_t i = 0; i < rules->count; i++) {
		unsigned match = ip_network_contains(&rules->items[i].network, client) ? rules->items[i].network.prefix + 1 : 0;
		if (match > best) {
			best = match;
			demand = rules->items[i].demand;
		}
	}
	return demand;
}

const char *tls_cipher_weak(const char *cipher, const char *const *words)
{
	for (; *words != NULL; words++) {
		if (strcasestr(cipher, *words) != NULL) {
			return *words;
		}
	}
	return NULL;
}
