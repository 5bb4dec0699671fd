/* Names of key files: whatever one is read as is written as the same. */
#include "lib/auth/key_file.h"
#include "t/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_create(1024);
	char *file = malloc(size + 1);
	if (size > 0) {
		memcpy(file, data, size);
	}
	file[size] = '\0';
	struct key_name name;
	if (key_name_parse(arena, file, &name)) {
		const char *again = key_name_format(arena, &name);
		require(again != NULL && strcmp(again, file) == 0);
		require(strchr(name.domain, '/') == NULL && strchr(name.selector, '/') == NULL);
	}
	free(file);
	arena_destroy(arena);
	return 0;
}
