/* Messages packed and unpacked, and what is damaged refused. */
#include "lib/store/pack.h"
#include "t/tap.h"

static void round_trip(struct slice data, const char *name)
{
	struct slice packed = {NULL, 0};
	struct slice back = {NULL, 0};
	bool good = pack_compress(data, &packed);
	ok(good, "%s is packed to %zu bytes", name, packed.len);
	ok(pack_expand(packed, data.len, &back) && slice_equal(data, back), "%s comes back", name);
	free((char *)(uintptr_t)back.data);
	ok(!pack_expand(packed, data.len + 1, &back), "%s has one size only", name);
	free((char *)(uintptr_t)packed.data);
}

static void test_damage(void)
{
	struct slice data = SLICE_LITERAL("From: a@example.org\r\n\r\nThe same again, the same again, the same again.\r\n");
	struct slice packed, back;
	pack_compress(data, &packed);
	size_t taken = 0;
	for (size_t n = 0; n < packed.len; n++) {
		char *piece = malloc(n == 0 ? 1 : n);
		memcpy(piece, packed.data, n);
		if (pack_expand((struct slice){piece, n}, data.len, &back)) {
			taken++;
			free((char *)(uintptr_t)back.data);
		}
		free(piece);
	}
	ok(taken == 0, "cut anywhere it is refused");
	for (size_t bit = 0; bit < packed.len * 8; bit++) {
		char *piece = malloc(packed.len);
		memcpy(piece, packed.data, packed.len);
		piece[bit / 8] = (char)(piece[bit / 8] ^ 1 << bit % 8);
		if (pack_expand((struct slice){piece, packed.len}, data.len, &back)) {
			taken += !slice_equal(back, data);
			free((char *)(uintptr_t)back.data);
		}
		free(piece);
	}
	ok(taken == 0, "with any bit turned it is refused, or the same");
	char *twice = malloc(2 * packed.len);
	memcpy(twice, packed.data, packed.len);
	memcpy(twice + packed.len, packed.data, packed.len);
	ok(!pack_expand((struct slice){twice, 2 * packed.len}, data.len, &back), "two frames are refused");
	free(twice);
	free((char *)(uintptr_t)packed.data);
}

int main(void)
{
	enum { LARGE = 3 << 20 };
	char *large = malloc(LARGE);
	uint32_t x = 1;
	for (size_t i = 0; i < LARGE; i++) {
		x = x * 1664525U + 1013904223U;
		large[i] = (char)(x >> 24);
	}
	round_trip((struct slice){NULL, 0}, "nothing");
	round_trip(SLICE_LITERAL("a"), "a byte");
	round_trip((struct slice){large, LARGE}, "noise");
	memset(large, 'x', LARGE);
	round_trip((struct slice){large, LARGE}, "a desert");
	free(large);
	test_damage();
	return done_testing();
}
