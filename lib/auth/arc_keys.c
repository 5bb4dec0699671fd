#include "lib/auth/arc_keys.h"

#include "lib/auth/arc_chain.h"

static void key_add(struct arena *arena, struct arc_keys *keys, const struct taglist *tags)
{
	struct dkim_key key;
	if (!dkim_key_read(arena, tags, &key)) {
		return;
	}
	for (size_t i = 0; i < keys->count; i++) {
		if (strcmp(keys->items[i].name, key.name) == 0) {
			return;
		}
	}
	if (keys->count < ARC_MAX_KEYS) {
		keys->items[keys->count++] = key;
	}
}

void arc_keys_collect(struct arena *arena, const struct headers *headers, struct arc_keys *keys_r)
{
	struct arc_chain chain;
	arc_chain_read(arena, headers, &chain);
	keys_r->any = chain.fields > 0;
	keys_r->count = 0;
	if (chain.problem != NULL) {
		return;
	}
	for (unsigned i = chain.count; i > 0; i--) {
		key_add(arena, keys_r, chain.sets[i - 1].tags[ARC_SEAL]);
		if (i == chain.count) {
			key_add(arena, keys_r, chain.sets[i - 1].tags[ARC_MESSAGE_SIGNATURE]);
		}
	}
	for (unsigned i = chain.count; i > 1; i--) {
		key_add(arena, keys_r, chain.sets[i - 2].tags[ARC_MESSAGE_SIGNATURE]);
	}
}

bool arc_keys_resolve(struct arc_keys *keys, struct lookups *lookups)
{
	bool all = true;
	size_t bytes = 0;
	for (size_t i = 0; i < keys->count; i++) {
		struct dkim_key *key = &keys->items[i];
		all = dkim_key_resolve(key, lookups) && all;
		if (key->status == DKIM_KEY_FOUND && key->text.len > ARC_MAX_KEYS_TEXT - bytes) {
			key->status = DKIM_KEY_TOO_LONG;
		}
		bytes += key->status == DKIM_KEY_FOUND ? key->text.len : 0;
	}
	return all;
}
