#include "lib/auth/dkim_keys.h"

enum { SIGNATURE_MAX = 16384 };

/* q= is a colon-separated list of methods, dns/txt by default; one that we know must be there. */
static bool query_usable(const struct tag *tag, struct arena *arena)
{
	struct slice method;
	if (tag == NULL) {
		return true;
	}
	struct slice rest = tag_compact(arena, tag->value);
	while (slice_split(&rest, ':', &method)) {
		if (slice_equal_nocase(method, SLICE_LITERAL("dns/txt"))) {
			return true;
		}
	}
	return false;
}

static void key_collect(struct arena *arena, struct slice value, struct dkim_key *key_r)
{
	struct taglist list;
	*key_r = (struct dkim_key){.domain = "", .selector = "", .name = "", .status = DKIM_KEY_UNUSABLE};
	if (value.len > SIGNATURE_MAX) {
		return;
	}
	taglist_parse(value, &list);
	dkim_key_read(arena, &list, key_r);
	if (list.duplicate || list.malformed || list.truncated || !query_usable(taglist_find(&list, "q"), arena)) {
		key_r->name = "";
		key_r->status = DKIM_KEY_UNUSABLE;
	}
}

void dkim_keys_collect(struct arena *arena, const struct headers *headers, size_t max, struct dkim_keys *keys_r)
{
	size_t count = headers_count(headers, "DKIM-Signature");
	keys_r->count = count < max ? count : max;
	keys_r->ignored = count - keys_r->count;
	for (size_t i = 0; i < keys_r->count; i++) {
		key_collect(arena, headers_find(headers, "DKIM-Signature", i)->value, &keys_r->items[i]);
		if (headers->truncated) {
			keys_r->items[i].status = DKIM_KEY_HEADER_CUT;
		}
	}
}

/* A TXT record that has a p= tag and no other version than DKIM1 (RFC 6376 3.6.1). Other texts may stand at the name: a
 * wildcard's SPF or DMARC record, say. */
static bool is_key(struct slice text)
{
	struct taglist list;
	taglist_parse(text, &list);
	const struct tag *version = taglist_find(&list, "v");
	return taglist_find(&list, "p") != NULL && (version == NULL || slice_equal(version->value, SLICE_LITERAL("DKIM1")));
}

static void key_set(struct dkim_key *key, const struct dns_answer *answer)
{
	size_t found = 0;
	key->secure = answer->secure;
	if (answer->status == DNS_TEMPORARY) {
		key->status = DKIM_KEY_TEMPORARY;
		return;
	}
	for (size_t i = 0; i < answer->count; i++) {
		if (is_key(answer->records[i].data)) {
			key->text = answer->records[i].data;
			found++;
		}
	}
	key->status = found == 0                     ? DKIM_KEY_ABSENT
	              : found > 1                    ? DKIM_KEY_AMBIGUOUS
	              : key->text.len > DKIM_MAX_KEY ? DKIM_KEY_TOO_LONG
	                                             : DKIM_KEY_FOUND;
}

bool dkim_key_resolve(struct dkim_key *key, struct lookups *lookups)
{
	if (key->status == DKIM_KEY_UNUSABLE || key->status == DKIM_KEY_HEADER_CUT) {
		return true;
	}
	const struct dns_answer *answer = lookups_get(lookups, key->name, DNS_TYPE_TXT);
	if (answer != NULL) {
		key_set(key, answer);
	}
	return answer != NULL;
}

bool dkim_keys_resolve(struct dkim_keys *keys, struct lookups *lookups)
{
	bool all = true;
	for (size_t i = 0; i < keys->count; i++) {
		all = dkim_key_resolve(&keys->items[i], lookups) && all;
	}
	return all;
}
