#include "lib/mail/list_id.h"

#include "lib/mail/domain.h"
#include "lib/mail/header.h"

enum { LIST_ID_MAX = 255 }; /* RFC 2919 3 */

/* What stands in the last angle brackets; old lists write the identifier alone. */
static struct slice bracketed(struct slice value)
{
	const char *open = memrchr(value.data, '<', value.len);
	if (open == NULL) {
		return slice_trim(value);
	}
	size_t from = (size_t)(open - value.data) + 1;
	size_t end = slice_find(value, '>', from);
	return end == value.len ? (struct slice){NULL, 0} : slice_trim((struct slice){value.data + from, end - from});
}

const char *list_id_domain(struct arena *arena, const struct headers *headers)
{
	if (headers_count(headers, "List-Id") != 1) {
		return NULL;
	}
	struct slice value = header_unfold(arena, headers_find(headers, "List-Id", 0)->value);
	struct slice id = value.len == 0 ? value : bracketed(value);
	if (id.len > LIST_ID_MAX) {
		return NULL;
	}
	while (id.len > 0) {
		const char *domain = domain_canonical(arena, id);
		if (domain != NULL) {
			return domain;
		}
		size_t dot = slice_find(id, '.', 0);
		size_t skip = dot < id.len ? dot + 1 : id.len;
		id = (struct slice){id.data + skip, id.len - skip};
	}
	return NULL;
}
