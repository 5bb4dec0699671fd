#include "lib/auth/dkim_keys.h"
#include "lib/mail/domain.h"
#include "t/fuzz/fuzz.h"

/* Canonical names are of these bytes only: nothing else may reach a question. */
static bool is_name(const char *name)
{
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(name);
}

static void check_key(const struct dkim_key *key)
{
	require(is_name(key->domain) && is_name(key->selector) && is_name(key->name));
	if (key->status == DKIM_KEY_UNUSABLE) {
		require(key->name[0] == '\0');
		return;
	}
	if (key->status == DKIM_KEY_HEADER_CUT) {
		return;
	}
	require(key->status == DKIM_KEY_TEMPORARY && key->text.len == 0);
	require(key->domain[0] != '\0' && key->selector[0] != '\0' && strstr(key->name, "._domainkey.") != NULL);
	require(domain_is_below(key->name, key->domain));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct header_limits limits = {100, 65536};
	struct arena *arena = arena_create(4096);
	struct headers headers = {.items = NULL};
	struct dkim_keys keys;
	headers_parse(&headers, arena, &limits, (struct slice){(const char *)data, size});
	dkim_keys_collect(arena, &headers, DKIM_MAX_SIGNATURES, &keys);
	require(keys.count <= DKIM_MAX_SIGNATURES);
	require(keys.count + keys.ignored == headers_count(&headers, "DKIM-Signature"));
	for (size_t i = 0; i < keys.count; i++) {
		check_key(&keys.items[i]);
	}
	arena_destroy(arena);
	return 0;
}
