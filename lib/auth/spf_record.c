#include "lib/auth/spf_record.h"

#include "lib/auth/spf_macro.h"

#include <arpa/inet.h>

enum { OPEN_PREFIX4 = 8, OPEN_PREFIX6 = 16 };

bool spf_record_is(struct slice text)
{
	return slice_starts_nocase(text, SLICE_LITERAL("v=spf1")) && (text.len == 6 || text.data[6] == ' ');
}

static bool is_alnum(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c);
}

/* toplabel: letters, digits and inner hyphens, but not digits alone. */
static bool is_toplabel(struct slice label)
{
	bool other = false;
	if (label.len == 0 || !is_alnum(label.data[0]) || !is_alnum(label.data[label.len - 1])) {
		return false;
	}
	for (size_t i = 0; i < label.len; i++) {
		if (!is_alnum(label.data[i]) && label.data[i] != '-') {
			return false;
		}
		other = other || !ascii_is_digit(label.data[i]);
	}
	return other;
}

/* domain-spec = macro-string domain-end: a macro-expand at the end, or a dot and a toplabel. */
static bool domain_spec_valid(struct slice spec)
{
	if (spec.len == 0 || !spf_macro_valid(spec, 0)) {
		return false;
	}
	if (spf_macro_ends(spec)) {
		return true;
	}
	if (spec.data[spec.len - 1] == '.') {
		spec.len--;
	}
	size_t dot = spec.len;
	while (dot > 0 && spec.data[dot - 1] != '.') {
		dot--;
	}
	return dot > 0 && is_toplabel((struct slice){spec.data + dot, spec.len - dot});
}

/* "/" ("0" / %x31-39 *DIGIT) without the slash. */
static bool prefix_parse(struct slice digits, unsigned max, unsigned *prefix_r)
{
	unsigned long long value;
	if (digits.len == 0 || digits.len > 3 || (digits.len > 1 && digits.data[0] == '0') ||
	    !slice_to_uint(digits, max, &value)) {
		return false;
	}
	*prefix_r = (unsigned)value;
	return true;
}

/* Where a "/" after the last macro starts the dual-cidr-length, or text.len. */
static size_t cidr_start(struct slice text)
{
	size_t at = text.len;
	while (at > 0 && (ascii_is_digit(text.data[at - 1]) || text.data[at - 1] == '/')) {
		at--;
	}
	/* Only what begins with a slash: digits before it belong to the name. */
	return slice_find(text, '/', at);
}

static bool dual_cidr_parse(struct slice text, struct spf_term *term)
{
	term->prefix4 = 32;
	term->prefix6 = 128;
	if (text.len == 0) {
		return true;
	}
	size_t six = text.len >= 2 && text.data[1] == '/' ? 0 : text.len;
	for (size_t i = 1; six == text.len && i + 1 < text.len; i++) {
		if (text.data[i] == '/' && text.data[i + 1] == '/') {
			six = i;
		}
	}
	if (six > 0 && !prefix_parse((struct slice){text.data + 1, six - 1}, 32, &term->prefix4)) {
		return false;
	}
	return six == text.len ||
	       prefix_parse((struct slice){text.data + six + 2, text.len - six - 2}, 128, &term->prefix6);
}

/* [":" domain-spec] [dual-cidr-length] of a and mx; for ptr without the latter. */
static bool parse_target(struct slice rest, bool cidr, struct spf_term *term)
{
	size_t slash = cidr ? cidr_start(rest) : rest.len;
	if (!dual_cidr_parse((struct slice){rest.data + slash, rest.len - slash}, term)) {
		return false;
	}
	rest.len = slash;
	if (rest.len == 0) {
		return true;
	}
	term->domain = (struct slice){rest.data + 1, rest.len - 1};
	return rest.data[0] == ':' && domain_spec_valid(term->domain);
}

static bool parse_network(struct arena *arena, struct slice rest, enum ip_family family, struct spf_term *term)
{
	if (rest.len < 2 || rest.data[0] != ':') {
		return false;
	}
	rest = (struct slice){rest.data + 1, rest.len - 1};
	unsigned bits = family == IP_V4 ? 32 : 128;
	size_t slash = slice_find(rest, '/', 0);
	unsigned prefix = bits;
	if (slash < rest.len && !prefix_parse((struct slice){rest.data + slash + 1, rest.len - slash - 1}, bits, &prefix)) {
		return false;
	}
	/* Not ip_parse(): it makes an IPv4 address of ::ffff:a.b.c.d, and an IPv4 client matches no ip6 (RFC 7208 5). */
	const char *address = slice_dup(arena, (struct slice){rest.data, slash});
	if (strlen(address) != slash ||
	    inet_pton(family == IP_V4 ? AF_INET : AF_INET6, address, term->network.address.bytes) != 1) {
		return false;
	}
	term->network.address.family = family;
	term->network.prefix = prefix;
	for (unsigned bit = prefix; bit < bits; bit++) {
		term->network.address.bytes[bit / 8] &= (uint8_t) ~(1U << (7 - bit % 8));
	}
	return true;
}

static bool parse_required(struct slice rest, struct spf_term *term)
{
	if (rest.len < 2 || rest.data[0] != ':') {
		return false;
	}
	term->domain = (struct slice){rest.data + 1, rest.len - 1};
	return domain_spec_valid(term->domain);
}

static bool parse_mechanism(struct arena *arena, struct slice word, struct spf_term *term)
{
	static const struct {
		const char *name;
		enum spf_term_kind kind;
	} names[] = {
	    {"all", SPF_TERM_ALL}, {"include", SPF_TERM_INCLUDE}, {"a", SPF_TERM_A},    {"mx", SPF_TERM_MX},
	    {"ptr", SPF_TERM_PTR}, {"ip4", SPF_TERM_IP},          {"ip6", SPF_TERM_IP}, {"exists", SPF_TERM_EXISTS},
	};
	size_t n = 0;
	while (n < word.len && is_alnum(word.data[n])) {
		n++;
	}
	struct slice name = {word.data, n};
	struct slice rest = {word.data + n, word.len - n};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (!slice_equal_nocase(name, slice_from(names[i].name))) {
			continue;
		}
		term->kind = names[i].kind;
		switch (term->kind) {
		case SPF_TERM_ALL:
			return rest.len == 0;
		case SPF_TERM_INCLUDE:
		case SPF_TERM_EXISTS:
			return parse_required(rest, term);
		case SPF_TERM_A:
		case SPF_TERM_MX:
			return parse_target(rest, true, term);
		case SPF_TERM_PTR:
			return parse_target(rest, false, term);
		case SPF_TERM_IP:
			return parse_network(arena, rest, name.data[2] == '4' ? IP_V4 : IP_V6, term);
		}
	}
	return false;
}

/* name "=" ...: the length of the name, 0: no modifier. */
static size_t modifier_name(struct slice word)
{
	size_t n = 0;
	if (word.len == 0 || !ascii_is_alpha(word.data[0])) {
		return 0;
	}
	while (n < word.len && (is_alnum(word.data[n]) || memchr("-_.", word.data[n], 3) != NULL)) {
		n++;
	}
	return n < word.len && word.data[n] == '=' ? n : 0;
}

static bool parse_modifier(struct slice word, size_t name_length, struct spf_record *record)
{
	struct slice name = {word.data, name_length};
	struct slice value = {word.data + name_length + 1, word.len - name_length - 1};
	struct slice *place = slice_equal_nocase(name, SLICE_LITERAL("redirect")) ? &record->redirect
	                      : slice_equal_nocase(name, SLICE_LITERAL("exp"))    ? &record->exp
	                                                                          : NULL;
	if (place == NULL) {
		return spf_macro_valid(value, 0);
	}
	if (place->data != NULL || !domain_spec_valid(value)) {
		return false;
	}
	*place = value;
	return true;
}

static bool parse_term(struct arena *arena, struct slice word, struct spf_record *record)
{
	size_t name = modifier_name(word);
	if (name > 0) {
		return parse_modifier(word, name, record);
	}
	struct spf_term *term = &record->terms[record->count];
	*term = (struct spf_term){.qualifier = '+', .text = word, .prefix4 = 32, .prefix6 = 128};
	if (word.len > 0 && memchr("+-~?", word.data[0], 4) != NULL) {
		term->qualifier = word.data[0];
		word = (struct slice){word.data + 1, word.len - 1};
	}
	if (!parse_mechanism(arena, word, term)) {
		return false;
	}
	record->count++;
	return true;
}

bool spf_term_is_open(const struct spf_term *term, enum ip_family family)
{
	enum ip_family own = term->network.address.family;
	switch (term->kind) {
	case SPF_TERM_ALL:
		return true;
	case SPF_TERM_IP:
		return (family == IP_UNKNOWN || family == own) &&
		       term->network.prefix < (own == IP_V4 ? OPEN_PREFIX4 : OPEN_PREFIX6);
	case SPF_TERM_A:
	case SPF_TERM_MX:
		return (family != IP_V6 && term->prefix4 < OPEN_PREFIX4) || (family != IP_V4 && term->prefix6 < OPEN_PREFIX6);
	case SPF_TERM_EXISTS:
		return !spf_macro_varies(term->domain);
	case SPF_TERM_INCLUDE:
	case SPF_TERM_PTR:
		break;
	}
	return false;
}

bool spf_record_parse(struct arena *arena, struct slice text, struct spf_record *record_r, const char **problem_r)
{
	size_t words = 0;
	struct slice word;
	*record_r = (struct spf_record){.count = 0};
	if (!spf_record_is(text) || text.len > SPF_RECORD_MAX) {
		*problem_r = spf_record_is(text) ? "the SPF record is too long" : "no SPF record";
		return false;
	}
	for (size_t i = 1; i < text.len; i++) {
		words += text.data[i - 1] == ' ' && text.data[i] != ' ';
	}
	record_r->terms = arena_alloc(arena, words * sizeof *record_r->terms);
	struct slice rest = {text.data + 6, text.len - 6};
	while (slice_split(&rest, ' ', &word)) {
		if (word.len > 0 && !parse_term(arena, word, record_r)) {
			*problem_r = arena_printf(arena, "syntax error in the SPF record at \"%s\"",
			                          text_escape(arena, word, "\"", false, 60));
			return false;
		}
	}
	return true;
}
