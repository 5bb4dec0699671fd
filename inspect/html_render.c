#include "inspect/html_render.h"

#include "inspect/html_text.h"

#include <stdint.h>
#include <stdlib.h>

enum { DEPTH_MAX = 100, NAME_MAX_BYTES = 24, VALUE_MAX = 1024 };

#define NO_COLOR UINT32_MAX
#define WHITE 0xffffffU

/* An element that is open. */
struct element {
	char name[NAME_MAX_BYTES];
	bool hidden;
	uint32_t color;
	uint32_t background;
};

struct page {
	struct html_render *render;
	struct slice text;
	size_t at;
	struct element open[DEPTH_MAX];
	size_t depth; /* at least 1: what surrounds all */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f';
}

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names != NULL; names++) {
		if (strcmp(name, *names) == 0) {
			return true;
		}
	}
	return false;
}

/* ---- colours and styles ---- */

static const struct {
	const char *name;
	uint32_t color;
} color_names[] = {{"white", WHITE},     {"black", 0},       {"snow", 0xfffafa}, {"ivory", 0xfffff0},
                   {"yellow", 0xffff00}, {"red", 0xff0000},  {"blue", 0x0000ff}, {"green", 0x008000},
                   {"silver", 0xc0c0c0}, {"gray", 0x808080}, {"grey", 0x808080}, {"whitesmoke", 0xf5f5f5},
                   {"navy", 0x000080}};

static uint32_t color_read(struct slice text)
{
	text = slice_trim(text);
	for (size_t i = 0; i < sizeof color_names / sizeof *color_names; i++) {
		if (slice_equal_nocase(text, slice_from(color_names[i].name))) {
			return color_names[i].color;
		}
	}
	if (text.len > 0 && text.data[0] == '#') {
		text = (struct slice){text.data + 1, text.len - 1};
	}
	char digits[7];
	if (text.len == 3) {
		for (size_t i = 0; i < 6; i++) {
			digits[i] = text.data[i / 2];
		}
	} else if (text.len == 6) {
		memcpy(digits, text.data, 6);
	} else {
		return NO_COLOR;
	}
	digits[6] = '\0';
	char *end;
	unsigned long value = strtoul(digits, &end, 16);
	return end == digits + 6 ? (uint32_t)value : NO_COLOR;
}

/* So close that nobody reads it. */
static bool is_same_color(uint32_t a, uint32_t b)
{
	if (a == NO_COLOR || b == NO_COLOR) {
		return false;
	}
	int distance = 0;
	for (unsigned shift = 0; shift < 24; shift += 8) {
		distance += abs((int)(a >> shift & 0xff) - (int)(b >> shift & 0xff));
	}
	return distance < 24;
}

/* A length of less than two, whatever it is measured in. */
static bool is_tiny(struct slice value)
{
	value = slice_trim(value);
	return value.len > 0 && (value.data[0] == '0' || value.data[0] == '1' || value.data[0] == '.') &&
	       (value.len == 1 || !ascii_is_digit(value.data[1])) &&
	       !(value.data[0] == '1' && (slice_ends_nocase(value, SLICE_LITERAL("em")) || value.len == 1)) &&
	       !(value.data[0] == '1' && value.len > 1 && value.data[1] == '.') &&
	       !(value.data[0] == '0' && value.len > 2 && value.data[1] == '.' && value.data[2] >= '5' &&
	         slice_ends_nocase(value, SLICE_LITERAL("em")));
}

static bool is_zero(struct slice value)
{
	value = slice_trim(value);
	return value.len > 0 && value.data[0] == '0' &&
	       (value.len == 1 || (value.data[1] != '.' && !ascii_is_digit(value.data[1])));
}

static void style_property(struct element *element, struct slice name, struct slice value)
{
	value = slice_trim(value);
	if (slice_equal_nocase(name, SLICE_LITERAL("display"))) {
		element->hidden = element->hidden || slice_starts_nocase(value, SLICE_LITERAL("none"));
	} else if (slice_equal_nocase(name, SLICE_LITERAL("visibility"))) {
		element->hidden = element->hidden || slice_starts_nocase(value, SLICE_LITERAL("hidden"));
	} else if (slice_equal_nocase(name, SLICE_LITERAL("font-size"))) {
		element->hidden = element->hidden || is_tiny(value);
	} else if (slice_equal_nocase(name, SLICE_LITERAL("opacity")) ||
	           slice_equal_nocase(name, SLICE_LITERAL("max-height")) ||
	           slice_equal_nocase(name, SLICE_LITERAL("max-width"))) {
		element->hidden = element->hidden || is_zero(value);
	} else if (slice_equal_nocase(name, SLICE_LITERAL("text-indent"))) {
		element->hidden = element->hidden || slice_starts_nocase(value, SLICE_LITERAL("-9"));
	} else if (slice_equal_nocase(name, SLICE_LITERAL("color"))) {
		element->color = color_read(value);
	} else if (slice_equal_nocase(name, SLICE_LITERAL("background-color")) ||
	           slice_equal_nocase(name, SLICE_LITERAL("background"))) {
		uint32_t color = color_read(value);
		element->background = color == NO_COLOR ? element->background : color;
	}
}

static void style_read(struct element *element, struct slice style)
{
	struct slice property;
	while (style.len > 0 && slice_split(&style, ';', &property)) {
		size_t colon = slice_find(property, ':', 0);
		if (colon < property.len) {
			style_property(element, slice_trim((struct slice){property.data, colon}),
			               (struct slice){property.data + colon + 1, property.len - colon - 1});
		}
	}
}

static void attribute_apply(struct element *element, struct slice name, struct slice value)
{
	if (slice_equal_nocase(name, SLICE_LITERAL("style"))) {
		style_read(element, value);
	} else if (slice_equal_nocase(name, SLICE_LITERAL("hidden"))) {
		element->hidden = true;
	} else if (slice_equal_nocase(name, SLICE_LITERAL("bgcolor"))) {
		uint32_t color = color_read(value);
		element->background = color == NO_COLOR ? element->background : color;
	} else if (slice_equal_nocase(name, SLICE_LITERAL("background"))) {
		element->background = NO_COLOR; /* a picture: who knows */
	} else if (slice_equal_nocase(name, SLICE_LITERAL("color")) || (slice_equal_nocase(name, SLICE_LITERAL("text")))) {
		element->color = color_read(value);
	}
}

/* ---- the tree ---- */

static const char *const voids[] = {"br",  "img", "hr",    "meta",  "link",  "input",  "area", "base",
                                    "col", "wbr", "embed", "param", "frame", "spacer", NULL};
static const char *const inlines[] = {"b",      "i",    "u",     "font", "span", "a",    "em",  "strong", "big",
                                      "small",  "tt",   "s",     "sub",  "sup",  "wbr",  "ins", "del",    "o:p",
                                      "strike", "code", "blink", "nobr", "abbr", "mark", NULL};
static const char *const closes_itself[] = {"p", "li", "td", "tr", "th", "option", "dd", "dt", NULL};

static struct element *current(struct page *page)
{
	return &page->open[page->depth - 1];
}

/* What stands on the stack above the youngest element of that name, and itself. */
static void element_close(struct page *page, const char *name)
{
	for (size_t i = page->depth; i > 1; i--) {
		if (strcmp(page->open[i - 1].name, name) == 0) {
			page->depth = i - 1;
			return;
		}
	}
}

/* Elements beyond DEPTH_MAX are as what they stand in. */
static struct element *element_open(struct page *page, const char *name, struct element *spare)
{
	if (is_one_of(name, closes_itself) && strcmp(current(page)->name, name) == 0) {
		page->depth--;
	}
	*spare = *current(page);
	strcpy(spare->name, name);
	if (page->depth == DEPTH_MAX || is_one_of(name, voids)) {
		return spare;
	}
	page->open[page->depth++] = *spare;
	return current(page);
}

static void text_out(struct page *page, struct slice text)
{
	const struct element *element = current(page);
	bool hidden = element->hidden || is_same_color(element->color, element->background);
	struct strbuf *out = hidden ? &page->render->hidden : &page->render->visible;
	size_t start = out->len;
	strbuf_add_slice(out, text);
	out->len = start + html_text_decode((struct slice){out->data + start, out->len - start}, out->data + start);
}

static void break_out(struct page *page)
{
	strbuf_add_char(&page->render->visible, '\n');
	if (page->render->hidden.len > 0) {
		strbuf_add_char(&page->render->hidden, '\n');
	}
}

/* ---- tags ---- */

/* A name in small letters, cut; *at behind it. */
static void name_read(struct page *page, char name_r[NAME_MAX_BYTES], const char *ends)
{
	size_t n = 0;
	for (; page->at < page->text.len; page->at++) {
		char c = page->text.data[page->at];
		if (is_blank(c) || strchr(ends, c) != NULL) {
			break;
		}
		if (n < NAME_MAX_BYTES - 1) {
			name_r[n++] = ascii_lower(c);
		}
	}
	name_r[n] = '\0';
}

static struct slice value_read(struct page *page)
{
	struct slice text = page->text;
	while (page->at < text.len && is_blank(text.data[page->at])) {
		page->at++;
	}
	char quote = page->at < text.len && strchr("\"'", text.data[page->at]) != NULL ? text.data[page->at] : '\0';
	size_t start = quote == '\0' ? page->at : page->at + 1;
	size_t end = start;
	if (quote != '\0') {
		end = slice_find(text, quote, start);
		page->at = end < text.len ? end + 1 : end;
	} else {
		while (end < text.len && !is_blank(text.data[end]) && text.data[end] != '>') {
			end++;
		}
		page->at = end;
	}
	return (struct slice){text.data + start, end - start};
}

static void attribute_read(struct page *page, struct element *element)
{
	char name[NAME_MAX_BYTES];
	char buffer[VALUE_MAX];
	struct slice value = SLICE_LITERAL("");
	size_t start = page->at;
	name_read(page, name, "=>/");
	page->at += page->at == start; /* a stray "=" */
	while (page->at < page->text.len && is_blank(page->text.data[page->at])) {
		page->at++;
	}
	if (page->at < page->text.len && page->text.data[page->at] == '=') {
		page->at++;
		value = value_read(page);
	}
	value.len = value.len < VALUE_MAX ? value.len : VALUE_MAX;
	value = (struct slice){buffer, html_text_decode(value, buffer)};
	attribute_apply(element, slice_from(name), value);
	page->render->visit(page->render->context, slice_from(element->name), slice_from(name), value);
}

/* Behind "</script" or "</style", wherever that comes. */
static void skip_raw(struct page *page, const char *name)
{
	size_t n = strlen(name);
	for (; page->at < page->text.len; page->at++) {
		page->at = slice_find(page->text, '<', page->at);
		struct slice rest = {page->text.data + page->at, page->text.len - page->at};
		if (rest.len > n + 1 && rest.data[1] == '/' &&
		    slice_starts_nocase((struct slice){rest.data + 2, rest.len - 2}, (struct slice){name, n})) {
			return;
		}
	}
}

static void tag_open(struct page *page)
{
	static const char *const raws[] = {"script", "style", "title", NULL};
	char name[NAME_MAX_BYTES];
	struct element spare;
	name_read(page, name, "/>");
	struct element *element = element_open(page, name, &spare);
	page->render->visit(page->render->context, slice_from(name), (struct slice){NULL, 0}, SLICE_LITERAL(""));
	while (page->at < page->text.len && page->text.data[page->at] != '>') {
		if (is_blank(page->text.data[page->at]) || page->text.data[page->at] == '/') {
			page->at++;
		} else {
			attribute_read(page, element);
		}
	}
	page->at += page->at < page->text.len;
	if (is_one_of(name, raws)) {
		skip_raw(page, name);
	}
	if (!is_one_of(name, inlines)) {
		break_out(page);
	}
}

static void tag_close(struct page *page)
{
	char name[NAME_MAX_BYTES];
	name_read(page, name, "/>");
	page->at = slice_find(page->text, '>', page->at);
	page->at += page->at < page->text.len;
	element_close(page, name);
	if (!is_one_of(name, inlines)) {
		break_out(page);
	}
}

/* "<!-- -->", "<!doctype>", "<?xml ?>". A comment without an end hides nothing behind its first ">". */
static void declaration(struct page *page)
{
	struct slice rest = {page->text.data + page->at, page->text.len - page->at};
	size_t end = slice_find(page->text, '>', page->at);
	if (rest.len > 3 && rest.data[1] == '-' && rest.data[2] == '-') {
		const char *close = memmem(rest.data + 3, rest.len - 3, "-->", 3);
		end = close == NULL ? end : (size_t)(close + 2 - page->text.data);
	}
	page->at = end < page->text.len ? end + 1 : end;
}

void html_render(struct html_render *render, struct slice text)
{
	struct page page = {.render = render, .text = text, .depth = 1};
	page.open[0] = (struct element){.color = 0, .background = WHITE};
	while (page.at < text.len) {
		size_t tag = slice_find(text, '<', page.at);
		while (tag + 1 < text.len && !ascii_is_alpha(text.data[tag + 1]) && strchr("/!?", text.data[tag + 1]) == NULL) {
			tag = slice_find(text, '<', tag + 1);
		}
		tag = tag + 1 < text.len ? tag : text.len;
		if (tag > page.at) {
			text_out(&page, (struct slice){text.data + page.at, tag - page.at});
		}
		page.at = tag + 1;
		if (tag == text.len) {
			break;
		}
		if (text.data[page.at] == '/') {
			page.at++;
			tag_close(&page);
		} else if (ascii_is_alpha(text.data[page.at])) {
			tag_open(&page);
		} else {
			declaration(&page);
		}
	}
}
