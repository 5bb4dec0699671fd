#include "lib/policy/list_entry.h"

#include "lib/base/ip.h"
#include "lib/mail/address.h"
#include "lib/mail/domain.h"
#include "lib/policy/list_pattern.h"

#include <time.h>

enum { FIELD_MAX = 64, SHOWN_MAX = 100, YEAR_MAX = 9999 };

static const uint64_t time_max = UINT64_C(253402300799); /* of the year 9999 */

const char *list_kind_name(enum list_kind kind)
{
	static const char *const names[LIST_KINDS] = {
	    [LIST_ADDRESS] = "address", [LIST_DOMAIN] = "domain",   [LIST_SUBDOMAIN] = "subdomain",
	    [LIST_NETWORK] = "network", [LIST_PTR] = "ptr",         [LIST_HELO] = "helo",
	    [LIST_ASN] = "asn",         [LIST_COUNTRY] = "country", [LIST_PATTERN] = "pattern",
	};
	return names[kind];
}

const char *list_action_name(enum list_action action)
{
	return action == LIST_ALLOW ? "allow" : action == LIST_BLOCK ? "block" : "removed";
}

enum policy_level list_owner_level(const char *owner)
{
	return owner[0] == '\0' ? POLICY_GLOBAL : strchr(owner, '@') != NULL ? POLICY_USER : POLICY_DOMAIN;
}

/* Printable UTF-8. */
static bool is_text(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f) {
			return false;
		}
	}
	return slice_is_utf8(text);
}

bool list_note_valid(struct slice note)
{
	return note.len <= LIST_NOTE_MAX && is_text(note);
}

static bool refuse(struct arena *arena, struct slice text, const char *expected, const char **problem_r)
{
	*problem_r =
	    arena_printf(arena, "\"%s\" is no entry: %s", text_escape(arena, text, "\"", true, SHOWN_MAX), expected);
	return false;
}

static bool starts(struct slice text, const char *prefix)
{
	return slice_starts_nocase(text, slice_from(prefix));
}

static struct slice behind(struct slice text, size_t n)
{
	return (struct slice){text.data + n, text.len - n};
}

/* ---- header patterns ---- */

static bool is_flags(struct slice flags)
{
	for (size_t i = 0; i < flags.len; i++) {
		if (memchr("imsx", flags.data[i], 4) == NULL) {
			return false;
		}
	}
	return flags.len <= 4;
}

/* The slash that ends the regular expression that begins at `from`: the first without a backslash; text.len: none. */
static size_t regex_end(struct slice text, size_t from)
{
	for (size_t i = from; i < text.len; i++) {
		if (text.data[i] == '\\') {
			i++;
		} else if (text.data[i] == '/') {
			return i;
		}
	}
	return text.len;
}

bool list_pattern_split(struct slice value, struct list_pattern_parts *parts_r)
{
	size_t colon = slice_find(value, ':', 0);
	if (colon == 0 || colon > FIELD_MAX || colon + 1 >= value.len || value.data[colon + 1] != '/') {
		return false;
	}
	size_t end = regex_end(value, colon + 2);
	if (end >= value.len) {
		return false;
	}
	parts_r->field = (struct slice){value.data, colon};
	parts_r->regex = (struct slice){value.data + colon + 2, end - colon - 2};
	parts_r->flags = behind(value, end + 1);
	return true;
}

/* What begins with a quote is an address. */
static bool is_pattern(struct slice text)
{
	size_t colon = slice_find(text, ':', 0);
	return text.data[0] != '"' && colon > 0 && colon + 1 < text.len && text.data[colon + 1] == '/';
}

static bool is_field_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		if (name.data[i] <= ' ' || name.data[i] > 126) {
			return false;
		}
	}
	return name.len > 0;
}

static bool parse_pattern(struct arena *arena, struct slice text, struct list_entry *entry, const char **problem_r)
{
	struct list_pattern_parts parts;
	if (!list_pattern_split(text, &parts) || !is_field_name(parts.field) || parts.regex.len == 0 ||
	    !is_flags(parts.flags)) {
		return refuse(arena, text,
		              "expected FIELD:/REGEX/ and flags of i, m, s, x, such as subject:/cheap pills/i; a slash in it "
		              "is written \\/",
		              problem_r);
	}
	struct strbuf value;
	strbuf_init(&value, arena);
	strbuf_printf(&value, "%s:/%.*s/", slice_dup_lower(arena, parts.field), SLICE_ARGS(parts.regex));
	for (const char *flag = "imsx"; *flag != '\0'; flag++) {
		if (slice_find(parts.flags, *flag, 0) < parts.flags.len) {
			strbuf_add_char(&value, *flag);
		}
	}
	const char *problem;
	struct list_pattern *pattern = list_pattern_compile(arena, (struct slice){value.data, value.len}, &problem);
	if (pattern == NULL) {
		return refuse(arena, text, problem, problem_r);
	}
	list_pattern_release(pattern);
	entry->kind = LIST_PATTERN;
	entry->value = value.data;
	return true;
}

/* ---- names, networks, countries ---- */

/* 1.2.3 is no domain. */
static bool is_numeric(const char *domain)
{
	const char *label = domain_last_labels(domain, 1);
	return label[strspn(label, "0123456789")] == '\0';
}

/* A name, or ".name"; *below_r: with the dot. NULL: neither. */
static const char *parse_name(struct arena *arena, struct slice text, bool *below_r)
{
	bool star = starts(text, "*.");
	*below_r = star || (text.len > 0 && text.data[0] == '.');
	const char *name = domain_canonical(arena, *below_r ? behind(text, star ? 2 : 1) : text);
	if (name == NULL || is_numeric(name) || (*below_r && domain_labels(name) > LIST_LABELS_MAX)) {
		return NULL;
	}
	return *below_r ? arena_printf(arena, ".%s", name) : name;
}

static bool parse_domain(struct arena *arena, struct slice text, struct list_entry *entry, const char **problem_r)
{
	bool below;
	const char *name = parse_name(arena, text, &below);
	if (name == NULL || (!below && domain_parent(name) == NULL)) {
		return refuse(arena, text,
		              "expected an address, a domain, .domain (all below), a network, ptr:NAME, helo:NAME, asn:NUMBER, "
		              "country:CC or FIELD:/REGEX/",
		              problem_r);
	}
	entry->kind = below ? LIST_SUBDOMAIN : LIST_DOMAIN;
	entry->value = name;
	return true;
}

static bool parse_host(struct arena *arena, struct slice text, enum list_kind kind, struct list_entry *entry,
                       const char **problem_r)
{
	bool below;
	const char *name = parse_name(arena, behind(text, slice_find(text, ':', 0) + 1), &below);
	if (name == NULL) {
		return refuse(arena, text, "expected a host's name, or .domain for all below", problem_r);
	}
	entry->kind = kind;
	entry->value = arena_printf(arena, "%s:%s", list_kind_name(kind), name);
	return true;
}

static bool parse_asn(struct arena *arena, struct slice text, struct list_entry *entry, const char **problem_r)
{
	struct slice digits = behind(text, starts(text, "asn:as") ? 6 : starts(text, "asn:") ? 4 : 2);
	unsigned long long number;
	if (!slice_to_uint(digits, UINT32_MAX, &number) || number == 0) {
		return refuse(arena, text, "expected asn:NUMBER, 1 to 4294967295", problem_r);
	}
	entry->kind = LIST_ASN;
	entry->value = arena_printf(arena, "asn:%llu", number);
	return true;
}

static bool parse_country(struct arena *arena, struct slice text, struct list_entry *entry, const char **problem_r)
{
	struct slice code = behind(text, strlen("country:"));
	if (code.len != 2 || !ascii_is_alpha(code.data[0]) || !ascii_is_alpha(code.data[1])) {
		return refuse(arena, text, "expected country:CC, two letters of ISO 3166-1", problem_r);
	}
	entry->kind = LIST_COUNTRY;
	entry->value = arena_printf(arena, "country:%c%c", ascii_lower(code.data[0]) - 32, ascii_lower(code.data[1]) - 32);
	return true;
}

/* "10.0.0.0/8", "::1". An address is written without its prefix. */
static bool parse_network(struct arena *arena, struct slice text, struct list_entry *entry)
{
	struct ip_network network;
	char address[IP_TEXT_SIZE];
	if (text.len > 64 || memchr(text.data, '\0', text.len) != NULL ||
	    !ip_network_parse(slice_dup(arena, text), &network)) {
		return false;
	}
	ip_format(&network.address, address);
	bool whole = network.prefix == (network.address.family == IP_V4 ? 32U : 128U);
	entry->kind = LIST_NETWORK;
	entry->value = whole ? arena_strdup(arena, address) : arena_printf(arena, "%s/%u", address, network.prefix);
	return true;
}

/* What is meant for a network and is none must not become a domain. */
static bool like_network(struct slice text)
{
	return slice_find(text, '/', 0) < text.len || slice_find(text, ':', 0) < text.len;
}

/* ---- addresses ---- */

/* Between quotes, when they could as well be left out. */
static struct slice unquote(struct slice local)
{
	if (local.len < 3 || local.data[0] != '"') {
		return local;
	}
	struct slice inner = {local.data + 1, local.len - 2};
	for (size_t i = 0; i < inner.len; i++) {
		char c = inner.data[i];
		bool dot = c == '.' && i > 0 && i + 1 < inner.len && inner.data[i - 1] != '.';
		bool atext = (unsigned char)c >= 0x80 || ascii_is_alpha(c) || ascii_is_digit(c) ||
		             (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
		if (!atext && !dot) {
			return local;
		}
	}
	return inner;
}

const char *list_address(struct arena *arena, const char *local, const char *domain)
{
	return arena_printf(arena, "%s@%s", slice_dup_lower(arena, unquote(slice_from(local))), domain);
}

static bool parse_address(struct arena *arena, struct slice text, const char **value_r, const char **problem_r)
{
	struct address address;
	if (text.data[0] == '<' || !address_parse_path(arena, slice_dup(arena, text), &address) ||
	    address.domain[0] == '\0' || address.local[0] == '\0' || !is_text(slice_from(address.text))) {
		return refuse(arena, text, "expected an address such as bob@example.org", problem_r);
	}
	*value_r = list_address(arena, address.local, address.domain);
	return true;
}

bool list_value_parse(struct arena *arena, struct slice text, struct list_entry *entry_r, const char **problem_r)
{
	if (text.len == 0 || text.len > LIST_VALUE_MAX || !is_text(text)) {
		return refuse(arena, text, "expected 1 to 1024 bytes of UTF-8 without control characters", problem_r);
	}
	if (slice_equal(text, SLICE_LITERAL("<>"))) {
		entry_r->kind = LIST_ADDRESS;
		entry_r->value = "<>";
		return true;
	}
	if (is_pattern(text)) {
		return parse_pattern(arena, text, entry_r, problem_r);
	}
	if (starts(text, "country:")) {
		return parse_country(arena, text, entry_r, problem_r);
	}
	if (starts(text, "asn:") || (starts(text, "as") && text.len > 2 && ascii_is_digit(text.data[2]) &&
	                             slice_find(text, '.', 0) == text.len && slice_find(text, '@', 0) == text.len)) {
		return parse_asn(arena, text, entry_r, problem_r);
	}
	if (starts(text, "helo:") || starts(text, "ptr:")) {
		return parse_host(arena, text, starts(text, "helo:") ? LIST_HELO : LIST_PTR, entry_r, problem_r);
	}
	if (starts(text, "@") || starts(text, "*@")) {
		return parse_domain(arena, behind(text, text.data[0] == '@' ? 1 : 2), entry_r, problem_r);
	}
	if (slice_find(text, '@', 0) < text.len) {
		entry_r->kind = LIST_ADDRESS;
		return parse_address(arena, text, &entry_r->value, problem_r);
	}
	if (parse_network(arena, text, entry_r)) {
		return true;
	}
	if (like_network(text)) {
		return refuse(arena, text,
		              "expected a network such as 192.0.2.0/24 or 2001:db8::/32, no bits set behind the prefix",
		              problem_r);
	}
	return parse_domain(arena, text, entry_r, problem_r);
}

bool list_owner_parse(struct arena *arena, struct slice text, struct list_entry *entry_r, const char **problem_r)
{
	if (text.len == 0 || slice_equal(text, SLICE_LITERAL("*")) || slice_equal_nocase(text, SLICE_LITERAL("global"))) {
		entry_r->owner = "";
		return true;
	}
	if (text.len > LIST_VALUE_MAX || !is_text(text)) {
		return refuse(arena, text, "expected an owner", problem_r);
	}
	if (slice_find(text, '@', 0) < text.len && text.data[0] != '@') {
		return parse_address(arena, text, &entry_r->owner, problem_r);
	}
	entry_r->owner = domain_canonical(arena, text.data[0] == '@' ? behind(text, 1) : text);
	if (entry_r->owner == NULL || is_numeric(entry_r->owner)) {
		*problem_r = arena_printf(arena, "\"%s\" owns no list: expected * (everybody), a domain or an address",
		                          text_escape(arena, text, "\"", true, SHOWN_MAX));
		return false;
	}
	return true;
}

const char *list_entry_problem(const struct list_entry *entry)
{
	if (entry->action == LIST_ALLOW && entry->enforced) {
		return "only a block can be enforced";
	}
	if (entry->action == LIST_BLOCK && entry->forced) {
		return "only an allow entry can be forced";
	}
	if (entry->action == LIST_ALLOW && !entry->forced &&
	    (entry->kind == LIST_PATTERN || strcmp(entry->value, "<>") == 0)) {
		return "anybody can write that, and nothing could prove who did: such an allow entry would never act. Allow "
		       "the "
		       "sender's address, domain or network instead; or force it (--force-unauthenticated), and whoever writes "
		       "the same gets through";
	}
	return NULL;
}

/* ---- times ---- */

static bool parse_digits(struct slice text, size_t at, size_t n, int max, int *value_r)
{
	unsigned long long value;
	if (at + n > text.len || !slice_to_uint((struct slice){text.data + at, n}, (unsigned long long)max, &value)) {
		return false;
	}
	*value_r = (int)value;
	return true;
}

/* YYYY-MM-DD; a day that is in no calendar is none. */
static bool parse_day(struct slice text, struct tm *day_r)
{
	int year;
	int month;
	*day_r = (struct tm){0};
	if (text.len < 10 || text.data[4] != '-' || text.data[7] != '-' || !parse_digits(text, 0, 4, YEAR_MAX, &year) ||
	    !parse_digits(text, 5, 2, 12, &month) || !parse_digits(text, 8, 2, 31, &day_r->tm_mday) || year < 1970) {
		return false;
	}
	day_r->tm_year = year - 1900;
	day_r->tm_mon = month - 1;
	struct tm normal = *day_r;
	timegm(&normal);
	return normal.tm_mon == day_r->tm_mon && normal.tm_mday == day_r->tm_mday;
}

bool list_time_parse(struct slice text, uint64_t *time_r)
{
	struct tm moment;
	if (text.len != 20 || !parse_day(text, &moment) || text.data[10] != 'T' || text.data[13] != ':' ||
	    text.data[16] != ':' || text.data[19] != 'Z' || !parse_digits(text, 11, 2, 23, &moment.tm_hour) ||
	    !parse_digits(text, 14, 2, 59, &moment.tm_min) || !parse_digits(text, 17, 2, 59, &moment.tm_sec)) {
		return false;
	}
	*time_r = (uint64_t)timegm(&moment);
	return *time_r > 0;
}

const char *list_time_format(struct arena *arena, uint64_t time)
{
	time_t seconds = (time_t)time;
	struct tm utc;
	char text[64];
	if (gmtime_r(&seconds, &utc) == NULL || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc) != 20) {
		return "never";
	}
	return arena_strdup(arena, text);
}

static bool parse_span(struct slice text, uint64_t *seconds_r)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
	unsigned long long number;
	for (size_t i = 0; text.len > 1 && i < sizeof units / sizeof *units; i++) {
		if (ascii_lower(text.data[text.len - 1]) == units[i].unit &&
		    slice_to_uint((struct slice){text.data, text.len - 1}, 1000000, &number)) {
			*seconds_r = number * units[i].seconds;
			return true;
		}
	}
	return false;
}

bool list_expiry_parse(struct arena *arena, struct slice text, uint64_t now, uint64_t *expires_r,
                       const char **problem_r)
{
	uint64_t span;
	struct tm day;
	if (slice_equal_nocase(text, SLICE_LITERAL("never"))) {
		*expires_r = 0;
		return true;
	}
	if (now > 0 && parse_span(text, &span)) {
		*expires_r = now + span;
	} else if (text.len == 10 && parse_day(text, &day)) {
		*expires_r = (uint64_t)timegm(&day) + 86400;
	} else if (!list_time_parse(text, expires_r)) {
		*problem_r = arena_printf(
		    arena,
		    "\"%s\" is no end: expected a time such as 12h, 30d or 2w, a day such as 2026-12-31, a moment such "
		    "as 2026-12-31T18:00:00Z, or never",
		    text_escape(arena, text, "\"", true, SHOWN_MAX));
		return false;
	}
	if (*expires_r <= now || *expires_r > time_max) {
		*problem_r = arena_printf(arena, "\"%s\" %s", text_escape(arena, text, "\"", true, SHOWN_MAX),
		                          *expires_r <= now ? "has passed" : "is too far away: expected never");
		return false;
	}
	return true;
}
