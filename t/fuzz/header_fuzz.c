/* The header parser, and what reads the values it finds: unfolding and decoding for people, and the authors of From. */
#include "lib/mail/address.h"
#include "lib/mail/header.h"
#include "t/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_create(4096);
	struct slice message = {(const char *)data, size};
	struct header_limits limits = {.max_count = 100, .max_bytes = 10000};
	struct headers headers = {.count = 0};
	struct author author;
	size_t body = headers_parse(&headers, arena, &limits, message);
	require(body <= size && headers.count <= limits.max_count && headers.bytes <= limits.max_bytes);
	for (size_t i = 0; i < headers.count; i++) {
		const struct header *header = &headers.items[i];
		require(header->name.len > 0 && memchr(header->name.data, ':', header->name.len) == NULL);
		require(header_unfold(arena, header->value).len <= header->value.len);
		header_decode(arena, header->value);
	}
	author_find(arena, &headers, &author);
	require(author.status != AUTHOR_OK || author.address.domain[0] != '\0');
	arena_destroy(arena);
	return 0;
}
