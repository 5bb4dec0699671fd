#include "lib/policy/list_index.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { SHARD_BITS = 12, SHARDS = 1 << SHARD_BITS, PREFIXES = 129 };

/* What is kept of an entry, or, with kind LIST_KINDS, of an owner. */
struct item {
	struct list_entry entry;
	uint64_t hash;
	struct list_pattern *pattern; /* LIST_PATTERN: a reference */
	struct list_index_owner totals;
};

struct shard {
	atomic_uint references;
	uint32_t count, mask;
	struct item *items; /* in this block, as slots and all texts are */
	uint32_t slots[];   /* number of an item, from 1; 0: free */
};

struct list_index {
	atomic_uint references;
	uint64_t seed;
	size_t count;
	bool prefixes[2][PREFIXES];
	struct shard *shards[SHARDS]; /* NULL: empty */
};

/* ---- hashes ---- */

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	return h ^ h >> 32;
}

static uint64_t hash_text(uint64_t seed, const char *text)
{
	uint64_t h = seed ^ UINT64_C(0xcbf29ce484222325);
	for (; *text != '\0'; text++) {
		h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	}
	return mix(h);
}

static uint64_t hash_key(uint64_t owner, uint64_t value)
{
	return mix(owner * 3 ^ value);
}

/* No value is one of these. All patterns of an owner have one hash, so that they are found together. */
static const char patterns_key[] = "/";
static const char owner_key[] = "*";

struct list_text list_index_text(const struct list_index *index, const char *text)
{
	return (struct list_text){text, hash_text(index->seed, text)};
}

static uint64_t hash_entry(const struct list_index *index, const struct list_entry *entry)
{
	const char *value = entry->kind == LIST_PATTERN ? patterns_key : entry->value;
	return hash_key(hash_text(index->seed, entry->owner), hash_text(index->seed, value));
}

/* ---- one table ---- */

static struct shard *shard_of(const struct list_index *index, uint64_t hash)
{
	return index->shards[hash >> (64 - SHARD_BITS)];
}

static void shard_release(struct shard *shard)
{
	if (shard != NULL && atomic_fetch_sub_explicit(&shard->references, 1, memory_order_acq_rel) == 1) {
		for (uint32_t i = 0; i < shard->count; i++) {
			list_pattern_release(shard->items[i].pattern);
		}
		free(shard);
	}
}

static bool item_is(const struct item *item, uint64_t hash, const char *owner, const char *value)
{
	return item->hash == hash && strcmp(item->entry.value, value) == 0 && strcmp(item->entry.owner, owner) == 0;
}

static const struct item *shard_find(const struct shard *shard, uint64_t hash, const char *owner, const char *value)
{
	if (shard == NULL) {
		return NULL;
	}
	for (uint32_t i = (uint32_t)hash & shard->mask; shard->slots[i] != 0; i = (i + 1) & shard->mask) {
		const struct item *item = &shard->items[shard->slots[i] - 1];
		if (item_is(item, hash, owner, value)) {
			return item;
		}
	}
	return NULL;
}

static char *put_text(char **place, const char *text)
{
	size_t n = strlen(text) + 1;
	char *copy = memcpy(*place, text, n);
	*place += n;
	return copy;
}

/* A text that is the same as the former one, as owners and authors of a batch are, is kept once. */
static const char *put_shared(char **place, const char *text, const char *former)
{
	return text[0] == '\0' ? "" : former != NULL && strcmp(former, text) == 0 ? former : put_text(place, text);
}

static size_t item_text_size(const struct item *item)
{
	return strlen(item->entry.owner) + strlen(item->entry.value) + strlen(item->entry.by) + strlen(item->entry.note) +
	       4;
}

static void shard_put(struct shard *shard, const struct item *from, char **place)
{
	struct item *item = &shard->items[shard->count];
	const struct list_entry *former = shard->count == 0 ? NULL : &item[-1].entry;
	*item = *from;
	item->entry.owner = put_shared(place, from->entry.owner, former == NULL ? NULL : former->owner);
	item->entry.by = put_shared(place, from->entry.by, former == NULL ? NULL : former->by);
	item->entry.note = put_shared(place, from->entry.note, former == NULL ? NULL : former->note);
	item->entry.value = put_text(place, from->entry.value);
	list_pattern_acquire(item->pattern);
	uint32_t slot = (uint32_t)from->hash & shard->mask;
	while (shard->slots[slot] != 0) {
		slot = (slot + 1) & shard->mask;
	}
	shard->slots[slot] = ++shard->count;
}

static struct shard *shard_create(const struct item *const *items, uint32_t count)
{
	uint32_t slots = 2;
	size_t text = 0;
	while (slots < 2 * count) {
		slots *= 2;
	}
	for (uint32_t i = 0; i < count; i++) {
		text += item_text_size(items[i]);
	}
	size_t head = sizeof(struct shard) + slots * sizeof(uint32_t);
	head = (head + _Alignof(struct item) - 1) / _Alignof(struct item) * _Alignof(struct item);
	struct shard *shard = calloc(1, head + count * sizeof(struct item) + text);
	if (shard == NULL) {
		abort();
	}
	atomic_init(&shard->references, 1);
	shard->mask = slots - 1;
	shard->items = (struct item *)(void *)((char *)shard + head);
	char *place = (char *)(shard->items + count);
	for (uint32_t i = 0; i < count; i++) {
		shard_put(shard, items[i], &place);
	}
	return shard;
}

/* ---- the index ---- */

struct list_index *list_index_create(uint64_t seed)
{
	struct list_index *index = calloc(1, sizeof *index);
	if (index == NULL) {
		abort();
	}
	atomic_init(&index->references, 1);
	index->seed = seed;
	return index;
}

struct list_index *list_index_acquire(struct list_index *index)
{
	atomic_fetch_add_explicit(&index->references, 1, memory_order_relaxed);
	return index;
}

void list_index_release(struct list_index *index)
{
	if (index != NULL && atomic_fetch_sub_explicit(&index->references, 1, memory_order_acq_rel) == 1) {
		for (size_t i = 0; i < SHARDS; i++) {
			shard_release(index->shards[i]);
		}
		free(index);
	}
}

const struct list_entry *list_index_find(const struct list_index *index, const struct list_text *owner,
                                         const struct list_text *value)
{
	uint64_t hash = hash_key(owner->hash, value->hash);
	const struct item *item = shard_find(shard_of(index, hash), hash, owner->text, value->text);
	return item == NULL ? NULL : &item->entry;
}

static const struct item *find_totals(const struct list_index *index, const struct list_text *owner)
{
	uint64_t hash = hash_key(owner->hash, hash_text(index->seed, owner_key));
	return shard_find(shard_of(index, hash), hash, owner->text, owner_key);
}

struct list_index_owner list_index_owner(const struct list_index *index, const struct list_text *owner)
{
	const struct item *item = find_totals(index, owner);
	return item == NULL ? (struct list_index_owner){0, 0, 0} : item->totals;
}

void list_index_patterns(const struct list_index *index, const struct list_text *owner, list_index_visit *visit,
                         void *context)
{
	uint64_t hash = hash_key(owner->hash, hash_text(index->seed, patterns_key));
	const struct shard *shard = shard_of(index, hash);
	if (shard == NULL) {
		return;
	}
	for (uint32_t i = (uint32_t)hash & shard->mask; shard->slots[i] != 0; i = (i + 1) & shard->mask) {
		const struct item *item = &shard->items[shard->slots[i] - 1];
		if (item->hash == hash && item->pattern != NULL && strcmp(item->entry.owner, owner->text) == 0) {
			visit(context, &item->entry, item->pattern);
		}
	}
}

size_t list_index_count(const struct list_index *index)
{
	return index->count;
}

bool list_index_has_prefix(const struct list_index *index, enum ip_family family, unsigned prefix)
{
	return prefix < PREFIXES && index->prefixes[family == IP_V6][prefix];
}

/* ---- changes ---- */

/* What a change does to its owner's totals. */
struct delta {
	const char *owner;
	struct list_index_owner plus, minus;
};

struct change {
	const struct list_index *before;
	struct list_index *after;
	struct arena *arena;
	struct item *items; /* what is put in, in the order of their shards: those removed too */
	size_t count, broken;
	struct delta *deltas;
	size_t delta_count;
};

static void totals_add(struct list_index_owner *totals, const struct list_entry *entry)
{
	bool sender = entry->kind <= LIST_SUBDOMAIN || entry->kind == LIST_PATTERN;
	totals->entries++;
	totals->patterns += entry->kind == LIST_PATTERN;
	totals->sender_allows += sender && entry->action == LIST_ALLOW;
}

static void note_prefix(struct list_index *index, const struct list_entry *entry)
{
	struct ip_network network;
	if (entry->kind == LIST_NETWORK && ip_network_parse(entry->value, &network)) {
		index->prefixes[network.address.family == IP_V6][network.prefix] = true;
	}
}

/* The item of a change. One that cannot be used is as if it were removed. */
static void change_prepare(struct change *change, const struct list_entry *entry, struct item *item)
{
	const char *problem;
	*item = (struct item){.entry = *entry, .hash = hash_entry(change->before, entry)};
	if (entry->action != LIST_REMOVED && entry->kind == LIST_PATTERN) {
		item->pattern = list_pattern_compile(change->arena, slice_from(entry->value), &problem);
		if (item->pattern == NULL) {
			item->entry.action = LIST_REMOVED;
			change->broken++;
		}
	}
	const struct item *old = shard_find(shard_of(change->before, item->hash), item->hash, entry->owner, entry->value);
	struct delta delta = {.owner = entry->owner};
	if (old != NULL) {
		totals_add(&delta.minus, &old->entry);
	}
	if (item->entry.action != LIST_REMOVED) {
		totals_add(&delta.plus, &item->entry);
		note_prefix(change->after, &item->entry);
	}
	change->after->count += delta.plus.entries - delta.minus.entries;
	change->deltas[change->delta_count++] = delta;
}

static int compare_deltas(const void *a, const void *b)
{
	return strcmp(((const struct delta *)a)->owner, ((const struct delta *)b)->owner);
}

/* An item for each owner with his new totals. */
static void change_owners(struct change *change)
{
	qsort(change->deltas, change->delta_count, sizeof *change->deltas, compare_deltas);
	for (size_t i = 0; i < change->delta_count;) {
		const char *name = change->deltas[i].owner;
		struct list_text owner = list_index_text(change->before, name);
		struct list_index_owner totals = list_index_owner(change->before, &owner);
		for (; i < change->delta_count && strcmp(change->deltas[i].owner, name) == 0; i++) {
			const struct delta *delta = &change->deltas[i];
			totals.entries += delta->plus.entries - delta->minus.entries;
			totals.patterns += delta->plus.patterns - delta->minus.patterns;
			totals.sender_allows += delta->plus.sender_allows - delta->minus.sender_allows;
		}
		struct item *item = &change->items[change->count++];
		*item =
		    (struct item){.totals = totals, .hash = hash_key(owner.hash, hash_text(change->before->seed, owner_key))};
		item->entry = (struct list_entry){.owner = name, .value = owner_key, .kind = LIST_KINDS, .by = "", .note = ""};
		item->entry.action = totals.entries == 0 ? LIST_REMOVED : LIST_BLOCK;
	}
}

/* The table with the items of `changed` put in the places of those with their keys. */
static struct shard *shard_change(const struct shard *old, const struct item *const *changed, uint32_t count)
{
	uint32_t most = count + (old == NULL ? 0 : old->count);
	uint32_t n = 0;
	const struct item **items = calloc(most, sizeof(const struct item *));
	struct shard *by_key = old == NULL ? NULL : shard_create(changed, count);
	if (items == NULL) {
		abort();
	}
	for (uint32_t i = 0; old != NULL && i < old->count; i++) {
		const struct item *item = &old->items[i];
		if (shard_find(by_key, item->hash, item->entry.owner, item->entry.value) == NULL) {
			items[n++] = item;
		}
	}
	for (uint32_t i = 0; i < count; i++) {
		if (changed[i]->entry.action != LIST_REMOVED) {
			items[n++] = changed[i];
		}
	}
	struct shard *shard = n == 0 ? NULL : shard_create(items, n);
	shard_release(by_key);
	free(items);
	return shard;
}

/* Items by the number of their shard: starts[i] .. starts[i + 1]. */
static const struct item **change_sort(const struct change *change, size_t *starts)
{
	const struct item **sorted = calloc(change->count + 1, sizeof(const struct item *));
	size_t *next = calloc(SHARDS, sizeof *next);
	if (sorted == NULL || next == NULL) {
		abort();
	}
	memset(starts, 0, (SHARDS + 1) * sizeof *starts);
	for (size_t i = 0; i < change->count; i++) {
		starts[(change->items[i].hash >> (64 - SHARD_BITS)) + 1]++;
	}
	for (size_t i = 0; i < SHARDS; i++) {
		starts[i + 1] += starts[i];
		next[i] = starts[i];
	}
	for (size_t i = 0; i < change->count; i++) {
		sorted[next[change->items[i].hash >> (64 - SHARD_BITS)]++] = &change->items[i];
	}
	free(next);
	return sorted;
}

static void change_shards(struct change *change)
{
	size_t *starts = calloc(SHARDS + 1, sizeof *starts);
	if (starts == NULL) {
		abort();
	}
	const struct item **sorted = change_sort(change, starts);
	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *old = change->before->shards[i];
		size_t n = starts[i + 1] - starts[i];
		if (n > 0) {
			change->after->shards[i] = shard_change(old, sorted + starts[i], (uint32_t)n);
		} else if (old != NULL) {
			atomic_fetch_add_explicit(&old->references, 1, memory_order_relaxed);
			change->after->shards[i] = old;
		}
	}
	free(sorted);
	free(starts);
}

struct list_index *list_index_change(const struct list_index *before, const struct list_entry *changes, size_t count,
                                     size_t *broken_r)
{
	struct change change = {.before = before, .after = list_index_create(before->seed), .arena = arena_create(4096)};
	change.items = calloc(2 * count + 1, sizeof *change.items);
	change.deltas = calloc(count + 1, sizeof *change.deltas);
	if (change.items == NULL || change.deltas == NULL) {
		abort();
	}
	memcpy(change.after->prefixes, before->prefixes, sizeof before->prefixes);
	change.after->count = before->count;
	for (size_t i = 0; i < count; i++) {
		change_prepare(&change, &changes[i], &change.items[change.count++]);
	}
	change_owners(&change);
	change_shards(&change);
	for (size_t i = 0; i < change.count; i++) {
		list_pattern_release(change.items[i].pattern);
	}
	*broken_r = change.broken;
	free(change.items);
	free(change.deltas);
	arena_destroy(change.arena);
	return change.after;
}
