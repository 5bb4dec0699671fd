/* Received fields: of what is read each text is a piece of the field, and a hop has an address. The same field as a
 * chain. */
#include "lib/mail/header.h"
#include "lib/mail/received.h"
#include "t/fuzz/fuzz.h"

static bool is_private(const void *context, const struct ip *address)
{
	(void)context;
	return address->bytes[0] == 10;
}

static void check(struct slice value, const struct received *received)
{
	if (received->kind != RECEIVED_HOP) {
		require(received->address.family == IP_UNKNOWN && received->name[0] == '\0' && received->helo[0] == '\0');
		return;
	}
	require(received->address.family != IP_UNKNOWN);
	require(strlen(received->name) + strlen(received->helo) + strlen(received->by) <= 3 * value.len);
	require(strpbrk(received->name, " \r\n\t()[]<>\"") == NULL);
	require(strpbrk(received->helo, "\r\n\t") == NULL || strchr(received->helo, '"') != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_create(4096);
	struct slice value = {(const char *)data, size};
	struct received received;
	received_parse(arena, value, &received);
	check(value, &received);
	struct headers headers = {.count = 0};
	struct header_limits limits = {.max_count = 40, .max_bytes = 1 << 20};
	struct slice rest = value;
	struct slice line;
	unsigned hops;
	while (rest.data != NULL && slice_split(&rest, '\0', &line)) {
		headers_add(&headers, arena, &limits, SLICE_LITERAL("Received"), line);
	}
	enum received_result result = received_find(arena, &headers, is_private, NULL, &received, &hops);
	require(hops <= RECEIVED_MAX_HOPS && hops <= headers.count);
	require(result != RECEIVED_FOUND || (received.kind == RECEIVED_HOP && received.address.bytes[0] != 10));
	arena_destroy(arena);
	return 0;
}
