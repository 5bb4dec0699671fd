#include "lib/pipeline/list_names.h"

#include "lib/mail/domain.h"

#include <stdlib.h>

enum { FROM_FIELDS_MAX = 16, SHOWN_MAX = 200, RANKS = 512 };

void list_names_init(struct list_names *names, struct arena *arena, struct list_set *set)
{
	*names = (struct list_names){.arena = arena, .set = set};
}

static unsigned list_rank(enum list_kind kind, const char *text)
{
	const char *slash = kind == LIST_NETWORK ? strchr(text, '/') : NULL;
	size_t length = kind == LIST_NETWORK ? (slash == NULL ? RANKS - 1 : strtoul(slash + 1, NULL, 10)) : strlen(text);
	bool ranked = kind == LIST_NETWORK || kind == LIST_SUBDOMAIN || kind == LIST_PTR || kind == LIST_HELO;
	return (unsigned)kind * RANKS + (ranked && length < RANKS ? RANKS - 1 - (unsigned)length : 0);
}

static void add(struct list_names *names, enum list_kind kind, enum list_origin origin, const char *text,
                const char *domain, const char *shown)
{
	names->items = arena_grow(names->arena, names->items, sizeof *names->items, names->count, &names->capacity);
	const struct list_text known = list_index_text(names->set->stored, text);
	names->items[names->count++] = (struct list_name){known, kind, origin, list_rank(kind, text), domain, shown};
}

/* For a.b.c: ".b.c", ".c"; no more labels than an entry may have. */
static void add_below(struct list_names *names, enum list_kind kind, enum list_origin origin, const char *prefix,
                      const char *domain, const char *shown)
{
	const char *parent = domain_parent(domain);
	const char *name = parent == NULL ? NULL : domain_last_labels(parent, LIST_LABELS_MAX);
	for (; name != NULL; name = domain_parent(name)) {
		add(names, kind, origin, arena_printf(names->arena, "%s.%s", prefix, name), domain, shown);
	}
}

static bool has_domain(const struct list_names *names, enum list_origin origin, const char *domain)
{
	for (size_t i = 0; i < names->count; i++) {
		const struct list_name *name = &names->items[i];
		if (name->kind == LIST_DOMAIN && name->origin == origin && strcmp(name->domain, domain) == 0) {
			return true;
		}
	}
	return false;
}

static void add_sender(struct list_names *names, const struct address *address, enum list_origin origin)
{
	if (address->domain[0] == '\0') {
		return;
	}
	const char *shown = arena_printf(names->arena, "%s %s", origin == LIST_BY_FROM ? "From" : "MAIL FROM",
	                                 text_escape(names->arena, slice_from(address->text), "", true, SHOWN_MAX));
	add(names, LIST_ADDRESS, origin, list_address(names->arena, address->local, address->domain), address->domain,
	    shown);
	if (!has_domain(names, origin, address->domain)) {
		add(names, LIST_DOMAIN, origin, address->domain, address->domain, shown);
		add_below(names, LIST_SUBDOMAIN, origin, "", address->domain, shown);
	}
}

void list_names_add_envelope(struct list_names *names, const struct session *session)
{
	if (session->mail_from.text[0] == '\0') {
		add(names, LIST_ADDRESS, LIST_BY_MAIL_FROM, "<>", "", "MAIL FROM <>");
	}
	add_sender(names, &session->mail_from, LIST_BY_MAIL_FROM);
}

static void add_networks(struct list_names *names, const struct ip *client, const char *shown)
{
	unsigned bits = client->family == IP_V4 ? 32 : 128;
	char text[IP_TEXT_SIZE];
	for (unsigned prefix = bits + 1; prefix-- > 0;) {
		struct ip network = *client;
		if (!list_set_has_prefix(names->set, client->family, prefix)) {
			continue;
		}
		for (unsigned bit = prefix; bit < bits; bit++) {
			network.bytes[bit / 8] = (uint8_t)(network.bytes[bit / 8] & ~(0x80U >> bit % 8));
		}
		ip_format(&network, text);
		add(names, LIST_NETWORK, LIST_BY_CLIENT,
		    prefix == bits ? arena_strdup(names->arena, text) : arena_printf(names->arena, "%s/%u", text, prefix), "",
		    shown);
	}
}

/* "[192.0.2.1]" and the like are no names. */
static void add_host(struct list_names *names, enum list_kind kind, enum list_origin origin, const char *host)
{
	const char *name = host[0] == '\0' ? NULL : domain_canonical(names->arena, slice_from(host));
	if (name != NULL) {
		const char *prefix = kind == LIST_PTR ? "ptr:" : "helo:";
		const char *shown = arena_printf(names->arena, "%s %s", kind == LIST_PTR ? "client name" : "HELO", name);
		add(names, kind, origin, arena_printf(names->arena, "%s%s", prefix, name), name, shown);
		add_below(names, kind, origin, prefix, name, shown);
	}
}

void list_names_add_client(struct list_names *names, const struct session *session)
{
	const struct session_release *release = session->release;
	const struct ip *address = release != NULL ? &release->client : &session->client;
	char client[IP_TEXT_SIZE];
	if (address->family != IP_UNKNOWN) {
		ip_format(address, client);
		add_networks(names, address, arena_printf(names->arena, "client %s", client));
	}
	add_host(names, LIST_PTR, LIST_BY_PTR, release != NULL ? release->client_name : session->client_name);
	add_host(names, LIST_HELO, LIST_BY_HELO, release != NULL ? release->helo : session->helo);
}

void list_names_add_place(struct list_names *names, const char *country, uint32_t asn)
{
	if (country[0] != '\0') {
		const char *text = arena_printf(names->arena, "country:%s", country);
		add(names, LIST_COUNTRY, LIST_BY_CLIENT, text, "", text);
	}
	if (asn != 0) {
		const char *text = arena_printf(names->arena, "asn:%lu", (unsigned long)asn);
		add(names, LIST_ASN, LIST_BY_CLIENT, text, "", text);
	}
}

/* Every mailbox of every From field: whom a mail program may show. */
void list_names_add_authors(struct list_names *names, const struct session *session)
{
	const struct header *field;
	struct address_list *list = arena_alloc(names->arena, sizeof *list);
	for (size_t n = 0; n < FROM_FIELDS_MAX && (field = headers_find(session_headers(session), "From", n)) != NULL;
	     n++) {
		address_parse_list(names->arena, field->value, list);
		for (size_t i = 0; i < list->count; i++) {
			add_sender(names, &list->items[i], LIST_BY_FROM);
		}
	}
}

size_t list_names_users(struct arena *arena, const struct address *address, const char *delimiters,
                        const char *users_r[LIST_NAMES_USERS])
{
	size_t plain = strcspn(address->local, delimiters);
	users_r[0] = list_address(arena, address->local, address->domain);
	if (plain == 0 || address->local[plain] == '\0' || address->local[0] == '"') {
		return 1;
	}
	const char *local = slice_dup(arena, (struct slice){address->local, plain});
	users_r[1] = list_address(arena, local, address->domain);
	return 2;
}
