/* The compressed form of stored messages: what the database gives back may be damaged. The first two bytes are the size
 * that the row tells. */
#include "lib/store/pack.h"
#include "t/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice packed, back, again;
	if (size < 2) {
		return 0;
	}
	uint64_t told = (uint64_t)data[0] << 8 | data[1];
	struct slice text = {(const char *)data + 2, size - 2};
	if (pack_expand(text, told, &back)) {
		require(back.len == told);
		free((char *)(uintptr_t)back.data);
	}
	require(pack_compress(text, &packed) && pack_expand(packed, text.len, &again) && slice_equal(text, again));
	free((char *)(uintptr_t)packed.data);
	free((char *)(uintptr_t)again.data);
	return 0;
}
