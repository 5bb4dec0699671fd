#include "lib/auth/spf_macro.h"
#include "t/fuzz/fuzz.h"

/* The input: the macro string, NUL, the local part, NUL, the domain, which are the sender's own choice. */
static const char *next_text(struct arena *arena, struct slice *rest)
{
	struct slice piece;
	return rest->data != NULL && slice_split(rest, '\0', &piece) ? slice_dup(arena, piece) : "x.example";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_create(4096);
	struct slice rest = {(const char *)data, size};
	struct slice text = {(const char *)data, 0};
	struct spf_macro_values values = {.receiver = "mx.example", .now = 1700000000};
	if (size > 0) {
		slice_split(&rest, '\0', &text);
	}
	values.local = next_text(arena, &rest);
	values.sender_domain = values.domain = values.helo = values.validated = next_text(arena, &rest);
	ip_parse(size % 2 == 0 ? "192.0.2.1" : "2001:db8::1", &values.client);
	for (unsigned flags = 0; flags <= SPF_MACRO_EXP; flags++) {
		const char *expanded = spf_macro_expand(arena, text, &values, flags);
		require(expanded == NULL || spf_macro_valid(text, flags));
		require(expanded == NULL || text.len > 16384 || strlen(expanded) <= 65536 + 3 * size + 1024);
	}
	const char *name = spf_macro_expand_domain(arena, text, &values);
	require((name != NULL) <= spf_macro_valid(text, 0));
	require(!spf_macro_ends(text) || spf_macro_valid(text, 0));
	require(!spf_macro_uses(text, 'p') || memchr(text.data, '%', text.len) != NULL);
	arena_destroy(arena);
	return 0;
}
