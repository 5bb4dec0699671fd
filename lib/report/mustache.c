#include "lib/report/mustache.h"

struct tag {
	char kind; /* '#' '^' '/' '!' '{' or 'v', a value */
	struct slice name;
	size_t begin, end; /* of all of it in the template; with the line where it stands alone there */
};

struct renderer {
	struct slice template;
	enum mustache_kind kind;
	struct strbuf *out;
	const char *problem;
	size_t at; /* of the problem */
	const json_t *stack[MUSTACHE_DEPTH + 1];
	size_t depth; /* values on the stack */
};

static bool refuse(struct renderer *renderer, size_t at, const char *problem)
{
	if (renderer->problem == NULL) {
		renderer->problem = problem;
		renderer->at = at;
	}
	return false;
}

/* ---- tags ---- */

static bool is_name(struct slice name)
{
	if (name.len == 1 && name.data[0] == '.') {
		return true;
	}
	for (size_t i = 0; i < name.len; i++) {
		if (!ascii_is_alpha(name.data[i]) && !ascii_is_digit(name.data[i]) && name.data[i] != '_') {
			return false;
		}
	}
	return name.len > 0;
}

static size_t find_text(struct slice text, const char *what, size_t from)
{
	size_t n = strlen(what);
	for (size_t at = from; at + n <= text.len; at++) {
		if (memcmp(text.data + at, what, n) == 0) {
			return at;
		}
	}
	return text.len;
}

/* One that is alone on its line is the line. */
static void tag_take_line(struct slice text, struct tag *tag)
{
	size_t begin = tag->begin;
	size_t end = tag->end;
	while (begin > 0 && (text.data[begin - 1] == ' ' || text.data[begin - 1] == '\t')) {
		begin--;
	}
	while (end < text.len && (text.data[end] == ' ' || text.data[end] == '\t' || text.data[end] == '\r')) {
		end++;
	}
	if ((begin == 0 || text.data[begin - 1] == '\n') && (end == text.len || text.data[end] == '\n')) {
		tag->begin = begin;
		tag->end = end < text.len ? end + 1 : end;
	}
}

/* The next tag at or behind `from`: tag_r->begin is the template's length where there is none. */
static bool tag_next(struct renderer *renderer, size_t from, struct tag *tag_r)
{
	struct slice text = renderer->template;
	size_t begin = find_text(text, "{{", from);
	*tag_r = (struct tag){.kind = 'v', .begin = begin, .end = begin};
	if (begin == text.len) {
		return true;
	}
	size_t at = begin + 2;
	if (at < text.len && strchr("#^/!{", text.data[at]) != NULL && text.data[at] != '\0') {
		tag_r->kind = text.data[at++];
	}
	const char *closing = tag_r->kind == '{' ? "}}}" : "}}";
	size_t end = find_text(text, closing, at);
	if (end == text.len) {
		return refuse(renderer, begin, "a tag without an end");
	}
	tag_r->name = slice_trim((struct slice){text.data + at, end - at});
	tag_r->end = end + strlen(closing);
	if (tag_r->kind != '!' && !is_name(tag_r->name)) {
		return refuse(renderer, begin, "a name of other characters than letters, digits and _");
	}
	if (tag_r->kind != 'v' && tag_r->kind != '{') {
		tag_take_line(text, tag_r);
		tag_r->begin = tag_r->begin < from ? begin : tag_r->begin;
	}
	return true;
}

/* Where the section ends whose content begins at `from`: its closing tag. */
static bool section_end(struct renderer *renderer, const struct tag *open, struct tag *close_r)
{
	struct slice names[MUSTACHE_DEPTH];
	size_t depth = 0;
	size_t from = open->end;
	names[depth++] = open->name;
	while (depth > 0) {
		if (!tag_next(renderer, from, close_r)) {
			return false;
		}
		if (close_r->begin == renderer->template.len) {
			return refuse(renderer, open->begin, "a section without an end");
		}
		from = close_r->end;
		if (close_r->kind == '#' || close_r->kind == '^') {
			if (depth == MUSTACHE_DEPTH) {
				return refuse(renderer, close_r->begin, "too many sections in each other");
			}
			names[depth++] = close_r->name;
		} else if (close_r->kind == '/' && !slice_equal(names[--depth], close_r->name)) {
			return refuse(renderer, close_r->begin, "the end of another section");
		}
	}
	return true;
}

/* ---- values ---- */

static const json_t *look_up(const struct renderer *renderer, struct slice name)
{
	if (name.data[0] == '.') {
		return renderer->stack[renderer->depth - 1];
	}
	for (size_t i = renderer->depth; i > 0; i--) {
		const json_t *value = json_object_getn(renderer->stack[i - 1], name.data, name.len);
		if (value != NULL) {
			return value;
		}
	}
	return NULL;
}

static bool is_true(const json_t *value)
{
	switch (value == NULL ? JSON_NULL : json_typeof(value)) {
	case JSON_OBJECT:
	case JSON_TRUE:
		return true;
	case JSON_ARRAY:
		return json_array_size(value) > 0;
	case JSON_STRING:
		return json_string_length(value) > 0;
	case JSON_INTEGER:
		return json_integer_value(value) != 0;
	case JSON_REAL:
	case JSON_FALSE:
	case JSON_NULL:
		break;
	}
	return false;
}

static void add_html(struct strbuf *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		switch (text.data[i]) {
		case '&':
			strbuf_add_text(out, "&amp;");
			break;
		case '<':
			strbuf_add_text(out, "&lt;");
			break;
		case '>':
			strbuf_add_text(out, "&gt;");
			break;
		case '"':
			strbuf_add_text(out, "&quot;");
			break;
		case '\'':
			strbuf_add_text(out, "&#39;");
			break;
		default:
			strbuf_add_char(out, text.data[i]);
			break;
		}
	}
}

static bool add_value(struct renderer *renderer, const struct tag *tag)
{
	const json_t *value = look_up(renderer, tag->name);
	if (json_is_integer(value)) {
		strbuf_printf(renderer->out, "%lld", (long long)json_integer_value(value));
	} else if (json_is_string(value)) {
		struct slice text = {json_string_value(value), json_string_length(value)};
		if (tag->kind == 'v' && renderer->kind == MUSTACHE_HTML) {
			add_html(renderer->out, text);
		} else {
			strbuf_add_slice(renderer->out, text);
		}
	}
	return renderer->out->len <= MUSTACHE_OUTPUT_MAX || refuse(renderer, tag->begin, "more text than a mail may have");
}

/* ---- rendering ---- */

static bool render(struct renderer *renderer, size_t from, size_t to);

static bool render_with(struct renderer *renderer, const json_t *value, size_t from, size_t to)
{
	if (renderer->depth > MUSTACHE_DEPTH) {
		return refuse(renderer, from, "too many sections in each other");
	}
	renderer->stack[renderer->depth++] = value;
	bool good = render(renderer, from, to);
	renderer->depth--;
	return good;
}

static bool render_section(struct renderer *renderer, const struct tag *open, struct tag *close_r)
{
	if (!section_end(renderer, open, close_r)) {
		return false;
	}
	const json_t *value = look_up(renderer, open->name);
	bool wanted = is_true(value);
	if (open->kind == '^') {
		return wanted || render(renderer, open->end, close_r->begin);
	}
	if (!json_is_array(value)) {
		return !wanted || render_with(renderer, value, open->end, close_r->begin);
	}
	for (size_t i = 0; i < json_array_size(value); i++) {
		if (!render_with(renderer, json_array_get(value, i), open->end, close_r->begin)) {
			return false;
		}
	}
	return true;
}

static bool render(struct renderer *renderer, size_t from, size_t to)
{
	while (from < to) {
		struct tag tag;
		if (!tag_next(renderer, from, &tag)) {
			return false;
		}
		size_t end = tag.begin < to ? tag.begin : to;
		strbuf_add(renderer->out, renderer->template.data + from, end - from);
		if (renderer->out->len > MUSTACHE_OUTPUT_MAX) {
			return refuse(renderer, from, "more text than a mail may have");
		}
		if (tag.begin >= to) {
			return true;
		}
		from = tag.end;
		if (tag.kind == '/') {
			return refuse(renderer, tag.begin, "the end of a section that has not begun");
		}
		if (tag.kind == '#' || tag.kind == '^') {
			struct tag close;
			if (!render_section(renderer, &tag, &close)) {
				return false;
			}
			from = close.end;
		} else if (tag.kind != '!' && !add_value(renderer, &tag)) {
			return false;
		}
	}
	return true;
}

static size_t line_of(struct slice text, size_t at)
{
	size_t line = 1;
	for (size_t i = 0; i < at && i < text.len; i++) {
		line += text.data[i] == '\n';
	}
	return line;
}

bool mustache_render(struct slice template, enum mustache_kind kind, json_t *values, struct strbuf *out,
                     const char **problem_r)
{
	struct renderer renderer = {.template = template, .kind = kind, .out = out};
	bool good = template.len <= MUSTACHE_TEMPLATE_MAX ? render_with(&renderer, values, 0, template.len)
	                                                  : refuse(&renderer, 0, "the template is too large");
	if (!good) {
		*problem_r = arena_printf(out->arena, "line %zu: %s", line_of(template, renderer.at), renderer.problem);
	}
	return good;
}
