/* What an ARC-Authentication-Results field says. */
#include "lib/auth/arc_chain.h"
#include "lib/auth/arc_results.h"
#include "t/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { MAX = 8 };
	struct arc_result results[MAX];
	struct slice payload;
	struct arena *arena = arena_create(4096);
	struct slice value = {(const char *)data, size};
	unsigned instance = arc_results_instance(value, &payload);
	require(instance <= ARC_MAX_SETS && payload.len <= size);
	size_t count = arc_results_read(arena, payload, MAX, results);
	require(count <= MAX);
	for (size_t i = 0; i < count; i++) {
		require(results[i].domain[0] != '\0' && results[i].method <= ARC_METHOD_DKIM);
		require(results[i].result <= AUTH_PERMERROR);
	}
	arena_destroy(arena);
	return 0;
}
