/* Addresses of a header field and of the envelope. What is read as one author must be readable again, to the same. */
#include "lib/mail/address.h"
#include "t/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_create(4096);
	struct slice value = {(const char *)data, size};
	struct address_list *list = arena_alloc(arena, sizeof *list);
	struct address_list *again = arena_alloc(arena, sizeof *again);
	struct address path;
	address_parse_list(arena, value, list);
	require(list->count <= ADDRESS_MAX_MAILBOXES);
	for (size_t i = 0; i < list->count; i++) {
		address_parse_list(arena, slice_from(list->items[i].text), again);
		require(list->malformed || (again->count == 1 && strcmp(again->items[0].domain, list->items[i].domain) == 0));
	}
	if (!address_parse_path(arena, slice_dup(arena, value), &path)) {
		require(path.text[0] == '\0' || path.domain[0] == '\0');
	}
	arena_destroy(arena);
	return 0;
}
