#include "lib/pipeline/bayes_table.h"

#include <stdlib.h>

enum { SIZE_LEAST = 16 };

static uint64_t pack(struct bayes_counts counts)
{
	return (uint64_t)counts.spam << 32 | counts.ham;
}

static struct bayes_counts unpack(uint64_t counts)
{
	return (struct bayes_counts){.spam = (uint32_t)(counts >> 32), .ham = (uint32_t)counts};
}

/* 0 is a free place: the token 0 shares the place of another, one of 2^64. */
static uint64_t key_of(uint64_t token)
{
	return token == 0 ? UINT64_C(0x5bd1e9955bd1e995) : token;
}

/* Tokens are hashes that a sender can work out: where they lie he cannot. */
static size_t place_of(const struct bayes_table *table, uint64_t key)
{
	uint64_t x = (key ^ table->seed) * UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 32) * (table->seed | 1);
	return (size_t)(x >> table->shift);
}

static struct bayes_table *create(const char *owner, uint64_t seed, size_t size)
{
	struct bayes_table *table = calloc(1, sizeof *table + size * sizeof table->places[0]);
	if (table == NULL || (table->owner = strdup(owner)) == NULL) {
		abort();
	}
	counted_init(&table->counted);
	table->seed = seed;
	table->size = size;
	table->shift = 64;
	for (size_t n = size; n > 1; n /= 2) {
		table->shift--;
	}
	return table;
}

struct bayes_table *bayes_table_create(const char *owner, uint64_t seed, size_t room)
{
	size_t size = SIZE_LEAST;
	while (size / 4 * 3 <= room) {
		size *= 2;
	}
	return create(owner, seed, size);
}

void bayes_table_release(struct bayes_table *table)
{
	if (table != NULL && counted_release(&table->counted)) {
		free(table->owner);
		free(table);
	}
}

uint64_t bayes_table_bytes(const struct bayes_table *table)
{
	return sizeof *table + table->size * sizeof table->places[0] + strlen(table->owner) + 1;
}

struct bayes_counts bayes_table_find(const struct bayes_table *table, uint64_t token)
{
	uint64_t key = key_of(token);
	for (size_t i = place_of(table, key);; i = (i + 1) & (table->size - 1)) {
		uint64_t there = atomic_load_explicit(&table->places[i].token, memory_order_acquire);
		if (there == key) {
			return unpack(atomic_load_explicit(&table->places[i].counts, memory_order_relaxed));
		}
		if (there == 0) {
			return (struct bayes_counts){0, 0};
		}
	}
}

struct bayes_counts bayes_table_totals(const struct bayes_table *table)
{
	return unpack(atomic_load_explicit(&table->totals, memory_order_relaxed));
}

void bayes_table_set_totals(struct bayes_table *table, struct bayes_counts totals)
{
	atomic_store_explicit(&table->totals, pack(totals), memory_order_relaxed);
}

bool bayes_table_set(struct bayes_table *table, uint64_t token, struct bayes_counts counts)
{
	uint64_t key = key_of(token);
	size_t i = place_of(table, key);
	uint64_t there;
	while ((there = atomic_load_explicit(&table->places[i].token, memory_order_relaxed)) != 0 && there != key) {
		i = (i + 1) & (table->size - 1);
	}
	if (there == 0 && counts.spam == 0 && counts.ham == 0) {
		return true;
	}
	if (there == 0 && table->count >= table->size / 4 * 3) {
		return false;
	}
	atomic_store_explicit(&table->places[i].counts, pack(counts), memory_order_relaxed);
	if (there == 0) {
		/* Who finds the token finds its counts. */
		atomic_store_explicit(&table->places[i].token, key, memory_order_release);
		table->count++;
	}
	return true;
}

struct bayes_table *bayes_table_larger(const struct bayes_table *table)
{
	struct bayes_table *larger = create(table->owner, table->seed, table->size * 2);
	bayes_table_set_totals(larger, bayes_table_totals(table));
	atomic_store_explicit(&larger->used, atomic_load_explicit(&table->used, memory_order_relaxed),
	                      memory_order_relaxed);
	for (size_t i = 0; i < table->size; i++) {
		uint64_t key = atomic_load_explicit(&table->places[i].token, memory_order_relaxed);
		uint64_t counts = atomic_load_explicit(&table->places[i].counts, memory_order_relaxed);
		if (key != 0) {
			bayes_table_set(larger, key, unpack(counts));
		}
	}
	return larger;
}
