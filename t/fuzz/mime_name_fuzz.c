/* Parameters of a field and the names made of them. */
#include "inspect/mime_charset.h"
#include "inspect/mime_name.h"
#include "t/fuzz/fuzz.h"

static void check(const struct mime_names *names)
{
	require(names->count <= MIME_NAMES_MAX && (names->count == 0 || names->items[names->count] == NULL));
	for (size_t i = 0; i < names->count; i++) {
		struct slice text = slice_from(names->items[i]);
		require(text.len > 0 && text.len < MIME_NAME_SIZE && utf8_valid(text));
		for (size_t k = 0; k < text.len; k++) {
			require((unsigned char)text.data[k] >= ' ' && text.data[k] != 127);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_create(16384);
	struct slice field = {(const char *)data, size};
	struct mime_names names = {.count = 0};
	struct mime_names plain = {.count = 0};
	struct mime_value *value = arena_alloc(arena, sizeof *value);
	mime_charset_load();
	mime_value_parse(arena, field, value);
	require(value->count <= MIME_PARAMS_MAX);
	mime_names_add_param(&names, arena, value, field, "filename");
	mime_names_add_param(&names, arena, value, field, "name");
	check(&names);
	mime_names_add(&plain, arena, field);
	mime_names_add(&plain, arena, mime_charset_utf16(arena, field));
	check(&plain);
	arena_destroy(arena);
	return 0;
}
