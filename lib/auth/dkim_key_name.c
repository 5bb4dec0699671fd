/* Apart from dkim_keys.c, which asks the DNS: a worker needs the name alone. */
#include "lib/auth/dkim_keys.h"
#include "lib/mail/domain.h"

enum { SELECTOR_MAX = 200 };

/* A selector is one or more labels (RFC 6376 3.1). */
static const char *selector_canonical(struct arena *arena, struct slice text)
{
	return text.len <= SELECTOR_MAX ? domain_canonical(arena, text) : NULL;
}

bool dkim_key_read(struct arena *arena, const struct taglist *tags, struct dkim_key *key_r)
{
	const struct tag *d = taglist_find(tags, "d");
	const struct tag *s = taglist_find(tags, "s");
	const char *domain = d == NULL ? NULL : domain_canonical(arena, tag_compact(arena, d->value));
	const char *selector = s == NULL ? NULL : selector_canonical(arena, tag_compact(arena, s->value));
	*key_r = (struct dkim_key){.domain = domain == NULL ? "" : domain,
	                           .selector = selector == NULL ? "" : selector,
	                           .name = "",
	                           .status = DKIM_KEY_UNUSABLE};
	if (domain == NULL || selector == NULL) {
		return false;
	}
	key_r->name = arena_printf(arena, "%s._domainkey.%s", selector, domain);
	key_r->status = DKIM_KEY_TEMPORARY; /* until it is resolved */
	return true;
}
