#include "lib/dns/zone_text.h"

enum {
	STRING_MAX = 255,  /* RFC 1035 3.3: a character-string */
	RECORD_MAX = 2048, /* bytes of data; libldns reads lines of 10 KB, and a byte can be four in the text */
};

struct zone_text {
	struct strbuf *text;
	size_t max;
	bool incomplete;
};

/* A TXT record's bytes in strings of 255, each quoted. */
static void add_strings(struct strbuf *text, struct slice data)
{
	size_t i = 0;
	do {
		strbuf_add_text(text, " \"");
		for (size_t end = i + STRING_MAX; i < data.len && i < end; i++) {
			unsigned char c = (unsigned char)data.data[i];
			if (c < ' ' || c > '~') {
				strbuf_printf(text, "\\%03u", c);
			} else {
				strbuf_printf(text, "%s%c", c == '"' || c == '\\' ? "\\" : "", c);
			}
		}
		strbuf_add_char(text, '"');
	} while (i < data.len);
}

/* In its normal form (dns.h), where only what is no printable ASCII is escaped: a semicolon, a quote or a dollar would
 * mean something to who reads the line. */
static void add_name(struct strbuf *text, struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.data[i];
		if (ascii_is_alpha(c) || ascii_is_digit(c) || strchr("-_.\\", c) != NULL) {
			strbuf_add_char(text, c);
		} else {
			strbuf_printf(text, "\\%03u", (unsigned char)c);
		}
	}
	strbuf_add_char(text, '.');
}

static void add_target(struct strbuf *text, const char *type, struct slice name)
{
	strbuf_printf(text, " %s ", type);
	add_name(text, name);
}

/* RFC 3597 5. */
static void add_wire(struct strbuf *text, enum dns_type type, struct slice data)
{
	strbuf_printf(text, " TYPE%u \\# %zu ", (unsigned)type, data.len);
	for (size_t i = 0; i < data.len; i++) {
		strbuf_printf(text, "%02x", (unsigned char)data.data[i]);
	}
}

static void add_record(struct strbuf *text, const char *name, enum dns_type type, const struct dns_record *record)
{
	char address[IP_TEXT_SIZE];
	add_name(text, slice_from(name));
	switch (type) {
	case DNS_TYPE_A:
	case DNS_TYPE_AAAA:
		ip_format(&record->address, address);
		strbuf_printf(text, " %s %s", dns_type_name(type), address);
		break;
	case DNS_TYPE_NS:
	case DNS_TYPE_CNAME:
	case DNS_TYPE_PTR:
		add_target(text, dns_type_name(type), record->data);
		break;
	case DNS_TYPE_SOA:
		add_target(text, "SOA", record->data);
		strbuf_add_text(text, " . 0 0 0 0 0");
		break;
	case DNS_TYPE_MX:
		strbuf_printf(text, " MX %u ", record->preference);
		add_name(text, record->data);
		break;
	case DNS_TYPE_TXT:
	case DNS_TYPE_SPF:
		strbuf_printf(text, " %s", dns_type_name(type));
		add_strings(text, record->data);
		break;
	case DNS_TYPE_DS:
	case DNS_TYPE_DNSKEY:
	case DNS_TYPE_TLSA:
		add_wire(text, type, record->data);
		break;
	}
	strbuf_add_char(text, '\n');
}

static void add_directive(struct strbuf *text, const char *directive, const char *name, const char *type)
{
	strbuf_printf(text, "%s ", directive);
	add_name(text, slice_from(name));
	strbuf_printf(text, " %s\n", type);
}

void zone_text_answer(struct strbuf *text, const char *name, enum dns_type type, const struct dns_answer *answer)
{
	const char *problem = answer->problem == NULL ? "" : answer->problem;
	switch (answer->status) {
	case DNS_FOUND:
		for (size_t i = 0; i < answer->count; i++) {
			add_record(text, name, type, &answer->records[i]);
		}
		break;
	case DNS_NODATA:
		add_directive(text, "$NODATA", name, dns_type_name(type));
		break;
	case DNS_NXDOMAIN:
		add_directive(text, "$NXDOMAIN", name, dns_type_name(type));
		break;
	case DNS_TEMPORARY:
		add_directive(text,
		              strcmp(problem, "timeout") == 0 || strcmp(problem, "deadline") == 0 ? "$TIMEOUT" : "$SERVFAIL",
		              name, dns_type_name(type));
		break;
	}
}

static bool answer_is_bounded(enum dns_type type, const struct dns_answer *answer)
{
	for (size_t i = 0; i < answer->count; i++) {
		if (type != DNS_TYPE_A && type != DNS_TYPE_AAAA && answer->records[i].data.len > RECORD_MAX) {
			return false;
		}
	}
	return true;
}

static void zone_text_visit(void *context, const char *name, enum dns_type type, const struct dns_answer *answer,
                            uint64_t took_ns)
{
	struct zone_text *zone = context;
	size_t before = zone->text->len;
	(void)took_ns;
	if (answer == NULL) {
		return;
	}
	/* A star would be a wildcard there. */
	if (!answer_is_bounded(type, answer) || strchr(name, '*') != NULL) {
		zone->incomplete = true;
		return;
	}
	zone_text_answer(zone->text, name, type, answer);
	if (zone->text->len > zone->max) {
		zone->text->len = before;
		zone->text->data[before] = '\0';
		zone->incomplete = true;
	}
}

void zone_text_write(struct lookups *lookups, size_t max, struct strbuf *text)
{
	struct zone_text zone = {.text = text, .max = max};
	lookups_each(lookups, zone_text_visit, &zone);
	if (zone.incomplete) {
		strbuf_add_text(text, "; incomplete\n");
	}
}
