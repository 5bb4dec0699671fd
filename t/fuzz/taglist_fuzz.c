/* Tag lists of DKIM and DMARC, and domain names. */
#include "lib/mail/domain.h"
#include "lib/mail/taglist.h"
#include "t/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_create(4096);
	struct slice text = {(const char *)data, size};
	struct taglist list;
	taglist_parse(text, &list);
	require(list.count <= TAGLIST_MAX);
	for (size_t i = 0; i < list.count; i++) {
		struct slice value = list.tags[i].value;
		require(value.len == 0 || (value.data >= text.data && value.data + value.len <= text.data + text.len));
		require(tag_compact(arena, value).len <= value.len);
		const char *domain = domain_canonical(arena, value);
		require(domain == NULL || (strlen(domain) <= DOMAIN_MAX && domain_labels(domain) > 0));
		require(domain == NULL || strcmp(domain_canonical(arena, slice_from(domain)), domain) == 0);
	}
	arena_destroy(arena);
	return 0;
}
