/* The token of a release, and where the message behind it begins. */
#include "lib/store/release_token.h"
#include "t/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned char key[RELEASE_KEY_SIZE] = "key";
	struct arena *arena = arena_create(4096);
	struct slice text = {(const char *)data, size};
	struct release_token token, again;
	unsigned char digest[RELEASE_DIGEST_SIZE];
	release_token_digest_behind(text, digest);
	if (release_token_parse(text, &token)) {
		release_token_digest(text, digest);
		require(!release_token_verify(&token, key, text, digest));
		release_token_sign(&token, key, text, digest);
		require(release_token_parse(slice_from(release_token_print(arena, &token)), &again));
		require(release_token_verify(&again, key, text, digest));
		require(again.copy == token.copy && again.expires == token.expires && again.forced == token.forced);
	}
	arena_destroy(arena);
	return 0;
}
