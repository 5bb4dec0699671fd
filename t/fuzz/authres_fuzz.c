/* Authentication-Results: whose a value claims to be; and that nothing written into ours breaks out of it. */
#include "lib/mail/authres.h"
#include "t/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_create(4096);
	struct slice value = {(const char *)data, size};
	struct authres authres;
	authres_claims(value, "mx.example");
	const char *text = slice_dup(arena, value);
	bool utf8 = size % 2 == 1;
	authres_begin(&authres, arena, "mx.example");
	authres.utf8 = utf8;
	authres_method(&authres, "spf", AUTH_FAIL, text, text);
	authres_property(&authres, "smtp", "mailfrom", text);
	const char *written = authres_finish(&authres);
	require(authres_claims(slice_from(written), "mx.example"));
	for (const char *c = written; *c != '\0'; c++) {
		require(*c != '\r' && (*c != '\n' || c[1] == '\t'));
	}
	require(utf8 ? slice_is_utf8(slice_from(written)) : slice_is_ascii(slice_from(written)));
	arena_destroy(arena);
	return 0;
}
