/* Requests and settings, as worker and nursery read them. */
#include "lib/inspect/wire.h"
#include "t/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char again[WIRE_PACKET_MAX];
	struct slice packet = {(const char *)data, size};
	struct inspect_request request;
	struct pool_settings settings;
	struct arena *arena = arena_create(4096);
	if (wire_get_request(packet, arena, &request)) {
		require(request.named_count <= INSPECT_NAMED_MAX && request.named != NULL);
		require(request.keys->count <= DKIM_MAX_SIGNATURES && request.message_fd == -1);
		for (size_t i = 0; i < request.keys->count; i++) {
			const struct dkim_key *key = &request.keys->items[i];
			require(key->text.len <= DKIM_MAX_KEY && key->status <= DKIM_KEY_HEADER_CUT && key->domain != NULL);
		}
		require(request.arc_keys->count <= ARC_MAX_KEYS);
		for (size_t i = 0; i < request.arc_keys->count; i++) {
			require(request.arc_keys->items[i].text.len <= DKIM_MAX_KEY && request.arc_keys->items[i].name != NULL);
		}
		size_t n = wire_put_request(&request, again);
		require(n > 0 && wire_get_request((struct slice){again, n}, arena, &request));
	}
	if (wire_get_settings(packet, arena, &settings)) {
		require(settings.workers <= 256 && settings.tmp_dir != NULL && settings.databases != NULL);
		size_t n = wire_put_settings(&settings, again);
		require(n == size);
	}
	arena_destroy(arena);
	return 0;
}
