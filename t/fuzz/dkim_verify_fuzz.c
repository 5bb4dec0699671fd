/* A whole message through libopendkim and what fences it; the input's first byte chooses the status of its keys. */
#include "inspect/dkim_verify.h"
#include "t/fuzz/fuzz.h"

static const char key_text[] =
    "v=DKIM1; k=rsa; "
    "p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDbkmfdB0MGEQbLivEOYOyH4A0vkM3tZB+vsQnzmIpKJoDxPUjNS9ZRtjycm+EO1"
    "jP1yLet3NNSYLbRp1qwi9q1qXbDVfqI0d6LI67LQyrs/"
    "AKiw03++aNhqHMJNrSuKQdR+LD9QJxinWVB1KI8wcC2k5IKZ1bJQ1A7bg7b2+uTlwIDAQAB";

static bool start(void)
{
	static bool started;
	started = started || dkim_verify_init();
	return started;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct headers headers = {.count = 0};
	struct header_limits limits = {.max_count = 1000, .max_bytes = 1 << 20};
	struct dkim_keys keys;
	struct dkim_rules rules = {.key_bits_min = 1024, .clock_drift = 300};
	struct inspect_reply reply = {.signature_count = 0};
	if (size == 0 || !start()) {
		return 0;
	}
	struct arena *arena = arena_create(16384);
	struct slice message = {(const char *)data + 1, size - 1};
	headers_parse(&headers, arena, &limits, message);
	dkim_keys_collect(arena, &headers, DKIM_MAX_SIGNATURES, &keys);
	for (size_t i = 0; i < keys.count; i++) {
		bool found = keys.items[i].status != DKIM_KEY_UNUSABLE && (data[0] >> i & 1) != 0;
		keys.items[i].status = found ? DKIM_KEY_FOUND : keys.items[i].status;
		keys.items[i].text = SLICE_LITERAL(key_text);
	}
	dkim_verify_message(message, &keys, &rules, 1700000000, arena, &reply);
	require(reply.signature_count == keys.count);
	for (size_t i = 0; i < reply.signature_count; i++) {
		const struct inspect_signature *signature = &reply.signatures[i];
		require((signature->result == AUTH_PASS) == (signature->problem == NULL));
		require(signature->result != AUTH_PASS || keys.items[i].status == DKIM_KEY_FOUND);
	}
	arena_destroy(arena);
	return 0;
}
