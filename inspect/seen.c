#include "inspect/seen.h"

#include <stdlib.h>
#include <sys/random.h>

enum { FIRST_CAPACITY = 64 };

static uint64_t *slots_alloc(size_t n)
{
	uint64_t *slots = calloc(n, sizeof *slots);
	if (slots == NULL) {
		abort();
	}
	return slots;
}

void seen_open(struct seen *seen)
{
	if (getrandom(seen->key, sizeof seen->key, 0) != (ssize_t)sizeof seen->key) {
		abort();
	}
	seen->capacity = FIRST_CAPACITY;
	seen->count = 0;
	seen->slots = slots_alloc(seen->capacity);
}

void seen_close(struct seen *seen)
{
	free(seen->slots);
}

static inline uint64_t rotate(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
}

uint64_t seen_hash(const struct seen *seen, uint64_t before, struct slice text)
{
	uint64_t k0 = seen->key[0];
	uint64_t k1 = seen->key[1];
	uint64_t v[4] = {k0 ^ 0x736f6d6570736575U, k1 ^ 0x646f72616e646f6dU, k0 ^ 0x6c7967656e657261U,
	                 k1 ^ 0x7465646279746573U};
	uint64_t word;
	size_t i = 0;
	sip_word(v, before);
	for (; i + sizeof word <= text.len; i += sizeof word) {
		memcpy(&word, text.data + i, sizeof word);
		sip_word(v, word);
	}
	word = (uint64_t)text.len << 56;
	for (unsigned shift = 0; i < text.len; i++, shift += 8) {
		word |= (uint64_t)(unsigned char)text.data[i] << shift;
	}
	sip_word(v, word);
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static bool insert(uint64_t *slots, size_t capacity, uint64_t hash)
{
	size_t i = (size_t)hash & (capacity - 1);
	while (slots[i] != 0) {
		if (slots[i] == hash) {
			return false;
		}
		i = (i + 1) & (capacity - 1);
	}
	slots[i] = hash;
	return true;
}

static void grow(struct seen *seen)
{
	size_t capacity = seen->capacity * 2;
	uint64_t *slots = slots_alloc(capacity);
	for (size_t i = 0; i < seen->capacity; i++) {
		if (seen->slots[i] != 0) {
			insert(slots, capacity, seen->slots[i]);
		}
	}
	free(seen->slots);
	seen->slots = slots;
	seen->capacity = capacity;
}

bool seen_add(struct seen *seen, uint64_t hash)
{
	if (seen->count * 2 >= seen->capacity) {
		grow(seen);
	}
	bool is_new = insert(seen->slots, seen->capacity, hash == 0 ? 1 : hash);
	seen->count += is_new;
	return is_new;
}
