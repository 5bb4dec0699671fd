#include "inspect/urls.h"

#include "inspect/html_text.h"
#include "lib/base/ip.h"
#include "lib/mail/domain.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	LINK_MAX = 2048,      /* bytes of a link that are looked at: its host stands in front */
	AUTHORITY_MAX = 1024, /* user name, host and port */
	SEEN_MAX = 20000,     /* links of a message */
};

void urls_init(struct urls *urls, struct arena *arena)
{
	*urls = (struct urls){.arena = arena};
}

/* ---- one link ---- */

static int hex_digit(char c)
{
	c = ascii_lower(c);
	return ascii_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Each %XX as its byte. */
static struct slice percent_decode(struct slice text, char *buffer)
{
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		bool coded = text.data[i] == '%' && i + 2 < text.len && hex_digit(text.data[i + 1]) >= 0 &&
		             hex_digit(text.data[i + 2]) >= 0;
		buffer[n++] = coded ? (char)(hex_digit(text.data[i + 1]) * 16 + hex_digit(text.data[i + 2])) : text.data[i];
		i += coded ? 2 : 0;
	}
	return (struct slice){buffer, n};
}

/* A number of an address as inet_aton() and browsers read it: 0x for hex, 0 for octal. */
static bool ip_number(struct slice text, uint64_t *value_r)
{
	unsigned base = 10;
	if (text.len >= 2 && text.data[0] == '0' && ascii_lower(text.data[1]) == 'x') {
		base = 16;
		text = (struct slice){text.data + 2, text.len - 2};
	} else if (text.len >= 2 && text.data[0] == '0') {
		base = 8;
	}
	*value_r = 0;
	for (size_t i = 0; i < text.len; i++) {
		int digit = hex_digit(text.data[i]);
		if (digit < 0 || (unsigned)digit >= base || *value_r > UINT32_MAX) {
			return false;
		}
		*value_r = *value_r * base + (unsigned)digit;
	}
	return text.len > 0 || base == 16;
}

/* One to four numbers; the last one fills what is left. */
static bool ip_from_numbers(struct slice host, struct ip *ip_r)
{
	struct slice piece;
	uint64_t value = 0;
	unsigned count = 0;
	*ip_r = (struct ip){.family = IP_V4};
	while (slice_split(&host, '.', &piece)) {
		if (count == 4 || (count > 0 && value > 255) || !ip_number(piece, &value)) {
			return false;
		}
		ip_r->bytes[count++] = (uint8_t)value;
	}
	unsigned left = 5 - count; /* bytes that the last number fills */
	if (count == 0 || value >> (8 * left) != 0) {
		return false;
	}
	for (unsigned i = 0; i < left; i++) {
		ip_r->bytes[count - 1 + i] = (uint8_t)(value >> (8 * (left - 1 - i)));
	}
	return true;
}

static const char *ip_host(struct arena *arena, const struct ip *ip)
{
	char text[IP_TEXT_SIZE];
	ip_format(ip, text);
	return arena_strdup(arena, text);
}

static const char *host_canonical(struct arena *arena, struct slice host)
{
	struct ip ip;
	if (host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']') {
		const char *inside = slice_dup(arena, (struct slice){host.data + 1, host.len - 2});
		return ip_parse(inside, &ip) && strchr(inside, ':') != NULL ? ip_host(arena, &ip) : NULL;
	}
	if (host.len > 1 && host.data[host.len - 1] == '.') {
		host.len--;
	}
	const char *name = host.len == 0 ? NULL : domain_canonical(arena, host);
	if (name == NULL) {
		return NULL;
	}
	/* On the canonical form: full-width digits are digits. */
	if (ip_from_numbers(slice_from(name), &ip)) {
		return ip_host(arena, &ip);
	}
	const char *top = strrchr(name, '.');
	return top == NULL || ascii_is_digit(top[1]) ? NULL : name;
}

/* "user:password@host:port" -> host, which may be in brackets. */
static struct slice authority_host(struct slice authority)
{
	const char *at = authority.len == 0 ? NULL : memrchr(authority.data, '@', authority.len);
	if (at != NULL) {
		authority.len -= (size_t)(at + 1 - authority.data);
		authority.data = at + 1;
	}
	if (authority.len > 0 && authority.data[0] == '[') {
		size_t end = slice_find(authority, ']', 0);
		authority.len = end < authority.len ? end + 1 : authority.len;
	} else {
		authority.len = slice_find(authority, ':', 0);
	}
	return authority;
}

/* rest: behind the slashes. */
static const char *authority_read(struct arena *arena, struct slice rest)
{
	char buffer[AUTHORITY_MAX];
	size_t n = 0;
	while (n < rest.len && n < AUTHORITY_MAX && strchr("/\\?#", rest.data[n]) == NULL) {
		n++;
	}
	struct slice host = percent_decode(authority_host((struct slice){rest.data, n}), buffer);
	return host_canonical(arena, host);
}

static bool is_slash(char c)
{
	return c == '/' || c == '\\';
}

static struct slice skip(struct slice text, size_t n)
{
	return (struct slice){text.data + n, text.len - n};
}

/* Length of "http:", "https:" or "ftp:" at the front, or 0. */
static size_t scheme_length(struct slice text)
{
	static const char *const schemes[] = {"http:", "https:", "ftp:"};
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
		if (slice_starts_nocase(text, slice_from(schemes[i]))) {
			return strlen(schemes[i]);
		}
	}
	return 0;
}

const char *urls_host(struct arena *arena, struct slice link)
{
	char buffer[LINK_MAX];
	struct slice text = {buffer, 0};
	for (size_t i = 0; i < link.len && text.len < LINK_MAX; i++) {
		bool leading = text.len == 0 && (unsigned char)link.data[i] <= ' ';
		if (!leading && strchr("\t\r\n", link.data[i]) == NULL) {
			buffer[text.len++] = link.data[i];
		}
	}
	size_t scheme = scheme_length(text);
	bool relative = text.len > 2 && is_slash(text.data[0]) && is_slash(text.data[1]);
	if (scheme == 0 && !relative && !slice_starts_nocase(text, SLICE_LITERAL("www."))) {
		return NULL;
	}
	text = skip(text, scheme);
	while (text.len > 0 && is_slash(text.data[0])) { /* browsers take any number of them */
		text = skip(text, 1);
	}
	return authority_read(arena, text);
}

/* ---- all links ---- */

static void host_keep(struct urls *urls, const char *host)
{
	for (size_t i = 0; i < urls->count; i++) {
		if (strcmp(urls->hosts[i], host) == 0) {
			return;
		}
	}
	size_t n = strlen(host);
	if (urls->count == INSPECT_HOSTS_MAX || urls->bytes + n > INSPECT_HOSTS_BYTES) {
		urls->cut = true;
		return;
	}
	urls->bytes += n;
	urls->hosts[urls->count++] = arena_strdup(urls->arena, host);
}

static void link_add(struct urls *urls, struct arena *scratch, struct slice link)
{
	if (urls->seen++ >= SEEN_MAX) {
		urls->cut = true;
		return;
	}
	const char *host = urls_host(scratch, link);
	if (host != NULL) {
		host_keep(urls, host);
	}
	if (arena_used(scratch) > 1U << 20) {
		arena_reset(scratch);
	}
}

/* What ends a link that stands in a text. */
static bool ends_link(char c)
{
	return (unsigned char)c <= ' ' || strchr("\"<>'`{}|^,;()\x7f", c) != NULL;
}

/* How far a link goes; *ascii_r: how far it is ASCII. A sentence may go on behind it without a blank. */
static size_t link_length(struct slice text, size_t *ascii_r)
{
	size_t n = 0;
	*ascii_r = SIZE_MAX;
	while (n < text.len && n < LINK_MAX && !ends_link(text.data[n])) {
		if ((text.data[n] & 0x80) != 0 && *ascii_r == SIZE_MAX) {
			*ascii_r = n;
		}
		n++;
	}
	*ascii_r = *ascii_r == SIZE_MAX ? n : *ascii_r;
	return n;
}

static void text_link(struct urls *urls, struct arena *scratch, struct slice rest)
{
	size_t ascii;
	size_t n = link_length(rest, &ascii);
	link_add(urls, scratch, (struct slice){rest.data, n});
	if (ascii < n) {
		link_add(urls, scratch, (struct slice){rest.data, ascii});
	}
}

/* "https%3A%2F%2Fhost%2F..." inside another link; rest: from the scheme on. */
static void coded_link(struct urls *urls, struct arena *scratch, struct slice rest)
{
	char buffer[LINK_MAX];
	size_t n = 0;
	while (n < rest.len && n < LINK_MAX && !ends_link(rest.data[n]) && rest.data[n] != '&') {
		n++;
	}
	link_add(urls, scratch, percent_decode((struct slice){rest.data, n}, buffer));
}

/* The scheme that ends right before `at`, as a position, or `at`. */
static size_t scheme_start(struct slice text, size_t at)
{
	size_t start = at;
	while (start > 0 && at - start < 5 && ascii_is_alpha(text.data[start - 1])) {
		start--;
	}
	for (; start < at; start++) {
		struct slice rest = {text.data + start, at - start};
		if (slice_equal_nocase(rest, SLICE_LITERAL("http")) || slice_equal_nocase(rest, SLICE_LITERAL("https")) ||
		    slice_equal_nocase(rest, SLICE_LITERAL("ftp"))) {
			break;
		}
	}
	return start;
}

static void at_colon(struct urls *urls, struct arena *scratch, struct slice text, size_t at)
{
	if (at + 3 < text.len && is_slash(text.data[at + 1]) && is_slash(text.data[at + 2])) {
		size_t start = scheme_start(text, at);
		if (start < at) {
			text_link(urls, scratch, skip(text, start));
		}
	}
}

static void at_percent(struct urls *urls, struct arena *scratch, struct slice text, size_t at)
{
	if (slice_starts_nocase(skip(text, at), SLICE_LITERAL("%3a%2f%2f"))) {
		size_t start = scheme_start(text, at);
		if (start < at) {
			coded_link(urls, scratch, skip(text, start));
		}
	}
}

static void at_w(struct urls *urls, struct arena *scratch, struct slice text, size_t at)
{
	char before = at == 0 ? ' ' : text.data[at - 1];
	bool inside =
	    ascii_is_alpha(before) || ascii_is_digit(before) || (before != '\0' && strchr(".-_@/\\", before) != NULL);
	if (!inside && slice_starts_nocase(skip(text, at), SLICE_LITERAL("www."))) {
		text_link(urls, scratch, skip(text, at));
	}
}

static void find_plain(struct urls *urls, struct arena *scratch, struct slice text)
{
	for (size_t i = 0; i < text.len && urls->seen <= SEEN_MAX; i++) {
		switch (text.data[i]) {
		case ':':
			at_colon(urls, scratch, text, i);
			break;
		case '%':
			at_percent(urls, scratch, text, i);
			break;
		case 'w':
		case 'W':
			at_w(urls, scratch, text, i);
			break;
		default:
			break;
		}
	}
}

struct attributes {
	struct urls *urls;
	struct arena *scratch;
};

/* "5; URL='http://...'" of a refresh. */
static struct slice refresh_link(struct slice value)
{
	for (size_t i = 0; i + 4 < value.len; i++) {
		if (slice_starts_nocase(skip(value, i), SLICE_LITERAL("url="))) {
			value = skip(value, i + 4);
			break;
		}
	}
	while (value.len > 0 && strchr(" '\"", value.data[0]) != NULL) {
		value = skip(value, 1);
	}
	return value;
}

static void on_attribute(void *context, struct slice name, struct slice value)
{
	static const char *const links[] = {"href",       "src",    "action", "formaction", "background", "data", "poster",
	                                    "xlink:href", "srcset", "lowsrc", "longdesc",   "cite",       NULL};
	struct attributes *attributes = context;
	if (slice_equal_nocase(name, SLICE_LITERAL("content"))) {
		link_add(attributes->urls, attributes->scratch, refresh_link(value));
		return;
	}
	for (const char *const *link = links; *link != NULL; link++) {
		if (slice_equal_nocase(name, slice_from(*link))) {
			link_add(attributes->urls, attributes->scratch, value);
			return;
		}
	}
}

/* What every reader sees, whatever it makes of broken tags: links with their scheme anywhere. Then what only attributes
 * may hold. */
static void find_html(struct urls *urls, struct arena *scratch, struct slice text)
{
	char *decoded = malloc(text.len + 1);
	if (decoded == NULL) {
		urls->cut = true;
		return;
	}
	find_plain(urls, scratch, (struct slice){decoded, html_text_decode(text, decoded)});
	struct attributes attributes = {urls, scratch};
	html_text_attributes(text, decoded, text.len, on_attribute, &attributes);
	free(decoded);
}

void urls_find(struct urls *urls, struct slice text, bool html)
{
	struct arena *scratch = arena_create(65536);
	if (html) {
		find_html(urls, scratch, text);
	} else {
		find_plain(urls, scratch, text);
	}
	arena_destroy(scratch);
}
