/* The List-Id field: what is read of it is a domain name, and read again to the same. */
#include "lib/mail/list_id.h"
#include "lib/mail/domain.h"
#include "lib/mail/header.h"
#include "t/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_create(4096);
	struct header field = {.name = SLICE_LITERAL("List-Id"), .value = {(const char *)data, size}};
	struct headers headers = {.items = &field, .count = 1};
	const char *domain = list_id_domain(arena, &headers);
	if (domain != NULL) {
		const char *again = domain_canonical(arena, slice_from(domain));
		require(again != NULL && strcmp(again, domain) == 0);
	}
	arena_destroy(arena);
	return 0;
}
