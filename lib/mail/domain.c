#include "lib/mail/domain.h"

#include <idn2.h>

enum { LABEL_MAX = 63, INPUT_MAX = 1024 };

static bool is_name_byte(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == '_';
}

/* Letters, digits, '-' and '_' in labels of 1 to 63 bytes, DOMAIN_MAX in all. */
static bool domain_valid(struct slice name)
{
	struct slice rest = name;
	struct slice label;
	if (name.len == 0 || name.len > DOMAIN_MAX) {
		return false;
	}
	while (slice_split(&rest, '.', &label)) {
		if (label.len == 0 || label.len > LABEL_MAX) {
			return false;
		}
		for (size_t i = 0; i < label.len; i++) {
			if (!is_name_byte(label.data[i])) {
				return false;
			}
		}
	}
	return true;
}

static const char *domain_from_ascii(struct arena *arena, struct slice text)
{
	if (text.len > 0 && text.data[text.len - 1] == '.') {
		text.len--;
	}
	return domain_valid(text) ? slice_dup_lower(arena, text) : NULL;
}

const char *domain_canonical(struct arena *arena, struct slice text)
{
	if (text.len == 0 || text.len > INPUT_MAX || memchr(text.data, '\0', text.len) != NULL) {
		return NULL;
	}
	if (slice_is_ascii(text)) {
		return domain_from_ascii(arena, text);
	}
	char *ascii = NULL;
	char *input = slice_dup(arena, text);
	if (idn2_to_ascii_8z(input, &ascii, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) != IDN2_OK) {
		return NULL;
	}
	const char *domain = domain_from_ascii(arena, slice_from(ascii));
	idn2_free(ascii);
	return domain;
}

size_t domain_labels(const char *domain)
{
	size_t n = domain[0] == '\0' ? 0 : 1;
	for (const char *c = domain; *c != '\0'; c++) {
		n += *c == '.';
	}
	return n;
}

const char *domain_parent(const char *domain)
{
	const char *dot = strchr(domain, '.');
	return dot == NULL ? NULL : dot + 1;
}

const char *domain_last_labels(const char *domain, size_t n)
{
	for (size_t have = domain_labels(domain); have > n; have--) {
		const char *parent = domain_parent(domain);
		if (parent == NULL) {
			return "";
		}
		domain = parent;
	}
	return domain;
}

bool domain_is_below(const char *name, const char *ancestor)
{
	size_t n = strlen(name);
	size_t m = strlen(ancestor);
	if (n == m) {
		return strcmp(name, ancestor) == 0;
	}
	return m > 0 && n > m && name[n - m - 1] == '.' && strcmp(name + (n - m), ancestor) == 0;
}

const char *domain_pattern(struct arena *arena, struct slice text)
{
	if (slice_equal(text, SLICE_LITERAL("*"))) {
		return "*";
	}
	bool below = text.len > 0 && text.data[0] == '.';
	const char *domain = domain_canonical(arena, (struct slice){text.data + below, text.len - below});
	return domain == NULL ? NULL : arena_printf(arena, "%s%s", below ? "." : "", domain);
}

unsigned domain_pattern_match(const char *pattern, const char *domain)
{
	size_t n = strlen(pattern);
	size_t length = strlen(domain);
	if (strcmp(pattern, "*") == 0) {
		return 1;
	}
	if (pattern[0] != '.') {
		return strcmp(pattern, domain) == 0 ? DOMAIN_SAME : 0;
	}
	return length > n && strcmp(domain + length - n, pattern) == 0 ? (unsigned)n + 1 : 0;
}
