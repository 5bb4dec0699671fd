#include "inspect/mime_param.h"

#include "inspect/mime_charset.h"

enum { INDEX_MAX = 999, PIECES_MAX = 64 };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct slice sub(struct slice text, size_t from, size_t to)
{
	return (struct slice){text.data + from, to - from};
}

/* "(a (b))" at `at`: where it ends; `at` itself when it never does. */
static size_t comment_end(struct slice text, size_t at)
{
	size_t depth = 0;
	for (size_t i = at; i < text.len; i++) {
		if (text.data[i] == '\\') {
			i++;
		} else if (text.data[i] == '(') {
			depth++;
		} else if (text.data[i] == ')' && --depth == 0) {
			return i + 1;
		}
	}
	return at;
}

struct slice mime_unfold(struct arena *arena, struct slice text)
{
	char *out = arena_alloc(arena, text.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] != '\r' && text.data[i] != '\n') {
			out[n++] = text.data[i];
		}
	}
	return slice_trim((struct slice){out, n});
}

static struct slice without_comments(struct arena *arena, struct slice text)
{
	char *out = arena_alloc(arena, text.len + 1);
	size_t n = 0;
	bool comments = true; /* until one does not end: then none further does, and looking again would cost the square */
	for (size_t i = 0; i < text.len;) {
		size_t end = comments && text.data[i] == '(' ? comment_end(text, i) : i;
		if (end > i) {
			i = end;
			continue;
		}
		comments = comments && text.data[i] != '(';
		out[n++] = text.data[i++];
	}
	return slice_trim((struct slice){out, n});
}

/* Between quotes: `plain` with backslashes taken for escapes, *literal_r with them kept, for folders of Windows.
 * Returns where the closing quote is; text.len: nowhere. */
static size_t quoted(struct arena *arena, struct slice text, size_t at, struct slice *plain_r, struct slice *literal_r)
{
	size_t end = at;
	while (end < text.len && text.data[end] != '"') {
		end += text.data[end] == '\\' && end + 1 < text.len ? 2 : 1;
	}
	*literal_r = sub(text, at, end);
	*plain_r = *literal_r;
	if (memchr(text.data + at, '\\', end - at) != NULL) {
		char *out = arena_alloc(arena, end - at + 1);
		size_t n = 0;
		for (size_t i = at; i < end; i++) {
			i += text.data[i] == '\\' && i + 1 < end;
			out[n++] = text.data[i];
		}
		*plain_r = (struct slice){out, n};
	}
	return end;
}

/* The name of a parameter taken apart. */
static bool param_name(struct arena *arena, struct slice text, struct mime_param *param_r)
{
	char *out = arena_alloc(arena, text.len + 1);
	size_t n = 0;
	text = without_comments(arena, text);
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];
		if (c > ' ' && c < 127 && c != '"' && c != '\'') {
			out[n++] = ascii_lower(c);
		}
	}
	struct slice name = {out, n};
	*param_r = (struct mime_param){.name = name};
	if (n > 0 && out[n - 1] == '*') {
		param_r->extended = true;
		name.len--;
	}
	size_t star = slice_find(name, '*', 0);
	unsigned long long index;
	if (star < name.len && slice_to_uint(sub(name, star + 1, name.len), INDEX_MAX, &index)) {
		param_r->continued = true;
		param_r->index = (unsigned)index;
	}
	param_r->name = sub(name, 0, star < name.len ? star : name.len);
	return param_r->name.len > 0;
}

static void param_add(struct mime_value *value, struct mime_param param, struct slice text, bool second)
{
	struct mime_param *last = value->count > 0 ? &value->params[value->count - 1] : NULL;
	if (second && last != NULL && slice_equal(last->value, text) && slice_equal(last->name, param.name)) {
		return;
	}
	param.value = text;
	param.second = second;
	if (value->count == MIME_PARAMS_MAX) {
		value->cut = true;
		value->params[MIME_PARAMS_MAX - 1] = param; /* there are programs that take the last */
		return;
	}
	value->params[value->count++] = param;
}

/* A value that starts with a quote. Returns where the next parameter begins. */
static size_t quoted_value(struct arena *arena, struct slice text, size_t at, struct mime_param param, bool second,
                           struct mime_value *value_r)
{
	struct slice plain;
	struct slice literal;
	size_t end = quoted(arena, text, at + 1, &plain, &literal);
	size_t stop = end < text.len ? slice_find(text, ';', end) : slice_find(text, ';', at);
	param_add(value_r, param, plain, second);
	param_add(value_r, param, literal, true);
	if (end >= text.len) { /* never closed: up to the ";" for some */
		param_add(value_r, param, slice_trim(sub(text, at + 1, stop)), true);
		return stop;
	}
	struct slice tail = slice_trim(sub(text, end + 1, stop));
	if (tail.len > 0 && without_comments(arena, tail).len > 0) {
		char *joined = arena_printf(arena, "%.*s%.*s", SLICE_ARGS(plain), SLICE_ARGS(tail));
		param_add(value_r, param, slice_from(joined), true);
	}
	return stop;
}

static size_t bare_value(struct arena *arena, struct slice text, size_t at, struct mime_param param, bool second,
                         struct mime_value *value_r)
{
	size_t stop = slice_find(text, ';', at);
	struct slice whole = slice_trim(sub(text, at, stop));
	size_t blank = 0;
	while (blank < whole.len && !is_blank(whole.data[blank])) {
		blank++;
	}
	struct slice bare = without_comments(arena, whole);
	param_add(value_r, param, whole, second); /* "report (1).pdf" */
	param_add(value_r, param, bare, true);
	param_add(value_r, param, sub(whole, 0, blank), true);
	if (whole.len > 1 && (whole.data[0] == '\'' || whole.data[whole.len - 1] == '"')) {
		param_add(value_r, param, sub(whole, whole.data[0] == '\'', whole.len - 1), true);
	}
	return stop;
}

static size_t param_value(struct arena *arena, struct slice text, size_t at, struct mime_param param, bool second,
                          struct mime_value *value_r)
{
	while (at < text.len && is_blank(text.data[at])) {
		at++;
	}
	size_t comment = at < text.len && text.data[at] == '(' ? comment_end(text, at) : at;
	while (comment > at && comment < text.len && is_blank(text.data[comment])) {
		comment++;
	}
	if (comment > at && comment < text.len && text.data[comment] == '"') {
		at = comment;
	}
	if (at < text.len && text.data[at] == '"') {
		return quoted_value(arena, text, at, param, second, value_r);
	}
	return bare_value(arena, text, at, param, second, value_r);
}

/* Would every reader find the same parameters? */
static bool well_formed(struct slice text)
{
	bool in_quotes = false;
	size_t equals = 0;
	size_t semicolons = 0;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];
		if (c == '\\' && in_quotes) {
			i++;
		} else if (c == '"') {
			in_quotes = !in_quotes;
		} else if (!in_quotes) {
			equals += c == '=' && (i == 0 || text.data[i - 1] != '=');
			semicolons += c == ';';
			if (c == '(' || c == ',') {
				return false;
			}
		}
	}
	return !in_quotes && equals <= semicolons;
}

/* Every "name=" wherever it stands: what readers find that do not count quotes, or want no ";". */
static void lax_params(struct arena *arena, struct slice text, struct mime_value *value_r)
{
	for (size_t at = slice_find(text, '=', 0); at < text.len; at = slice_find(text, '=', at + 1)) {
		struct mime_param param;
		size_t end = at;
		while (end > 0 && is_blank(text.data[end - 1])) {
			end--;
		}
		size_t start = end;
		while (start > 0 && (ascii_is_alpha(text.data[start - 1]) || ascii_is_digit(text.data[start - 1]) ||
		                     text.data[start - 1] == '*' || text.data[start - 1] == '-')) {
			start--;
		}
		if (value_r->count < MIME_PARAMS_MAX / 2 && param_name(arena, sub(text, start, end), &param)) {
			param_value(arena, text, at + 1, param, true, value_r);
		}
	}
}

void mime_value_parse(struct arena *arena, struct slice text, struct mime_value *value_r)
{
	value_r->count = 0;
	value_r->cut = false;
	text = mime_unfold(arena, text);
	size_t at = slice_find(text, ';', 0);
	struct slice word = without_comments(arena, sub(text, 0, at));
	size_t n = 0;
	while (n < word.len && !is_blank(word.data[n]) && word.data[n] != ',') {
		n++;
	}
	value_r->word = (struct slice){slice_dup_lower(arena, sub(word, 0, n)), n};
	while (at < text.len) {
		struct mime_param param;
		size_t start = at + 1;
		size_t semicolon = slice_find(text, ';', start);
		size_t equals = slice_find(sub(text, 0, semicolon), '=', start);
		if (equals == semicolon) {
			at = semicolon;
			continue;
		}
		if (!param_name(arena, sub(text, start, equals), &param)) {
			param.name = (struct slice){"", 0};
		}
		at = param_value(arena, text, equals + 1, param, false, value_r);
	}
	if (!well_formed(text)) {
		lax_params(arena, text, value_r);
	}
}

static void text_add(struct mime_texts *texts, struct slice text)
{
	for (size_t i = 0; i < texts->count; i++) {
		if (slice_equal(texts->items[i], text)) {
			return;
		}
	}
	if (texts->count == MIME_TEXTS_MAX) {
		texts->cut = true;
		texts->items[MIME_TEXTS_MAX - 1] = text;
		return;
	}
	texts->items[texts->count++] = text;
}

/* charset'language'text: the charset, and the rest of *text. */
static struct slice take_charset(struct slice *text)
{
	size_t first = slice_find(*text, '\'', 0);
	size_t second = slice_find(*text, '\'', first + 1);
	struct slice charset = {text->data, first};
	if (second >= text->len) {
		return (struct slice){"", 0};
	}
	*text = sub(*text, second + 1, text->len);
	return charset;
}

static struct slice in_charset(struct arena *arena, struct slice charset, struct slice bytes)
{
	struct slice converted;
	return mime_charset_convert(arena, charset, bytes, &converted) ? converted : bytes;
}

/* The pieces of a continued parameter in the order given, as one text. */
static struct slice join(struct arena *arena, const struct mime_param *const *pieces, size_t count, bool decode_all)
{
	struct strbuf out;
	struct slice charset = {"", 0};
	strbuf_init(&out, arena);
	for (size_t i = 0; i < count; i++) {
		struct slice text = pieces[i]->value;
		if (i == 0 && (pieces[i]->extended || decode_all)) {
			charset = take_charset(&text);
		}
		strbuf_add_slice(&out, pieces[i]->extended || decode_all ? mime_percent_decode(arena, text) : text);
	}
	return in_charset(arena, charset, (struct slice){out.data, out.len});
}

/* By index, those of the same index in message order. */
static void sort(const struct mime_param **pieces, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		const struct mime_param *piece = pieces[i];
		size_t at = i;
		for (; at > 0 && pieces[at - 1]->index > piece->index; at--) {
			pieces[at] = pieces[at - 1];
		}
		pieces[at] = piece;
	}
}

/* One of each index, the first or the last; up to the first gap when `gap`. */
static size_t choose(const struct mime_param *const *sorted, size_t count, bool last, bool gap,
                     const struct mime_param **chosen_r)
{
	size_t n = 0;
	for (size_t i = 0; i < count; i++) {
		bool same = n > 0 && chosen_r[n - 1]->index == sorted[i]->index;
		if (gap && !same && sorted[i]->index != n) {
			break;
		}
		if (same && last) {
			chosen_r[n - 1] = sorted[i];
		} else if (!same) {
			chosen_r[n++] = sorted[i];
		}
	}
	return n;
}

static void continued_texts(struct arena *arena, const struct mime_param **pieces, size_t count,
                            struct mime_texts *texts)
{
	const struct mime_param *sorted[PIECES_MAX];
	const struct mime_param *chosen[PIECES_MAX];
	memcpy(sorted, pieces, count * sizeof *pieces);
	sort(sorted, count);
	for (unsigned reading = 0; reading < 4; reading++) {
		size_t n = choose(sorted, count, (reading & 1) != 0, (reading & 2) == 0, chosen);
		if (n > 0) {
			text_add(texts, join(arena, chosen, n, false));
			text_add(texts, join(arena, chosen, n, true));
		}
	}
	text_add(texts, join(arena, pieces, count, false));
}

/* In order of appearance. A plain parameter counts as the first piece where none has index 0. */
static size_t collect_pieces(const struct mime_value *value, struct slice name, const struct mime_param **pieces_r)
{
	const struct mime_param *plain = NULL;
	bool zero = false;
	size_t count = 0;
	for (size_t i = 0; i < value->count; i++) {
		const struct mime_param *param = &value->params[i];
		if (param->second || !slice_equal(param->name, name)) {
			continue;
		}
		if (param->continued && count < PIECES_MAX - 1) {
			pieces_r[count++] = param;
			zero = zero || param->index == 0;
		} else if (!param->continued && !param->extended) {
			plain = plain == NULL ? param : plain;
		}
	}
	if (count > 0 && !zero && plain != NULL) {
		memmove(pieces_r + 1, pieces_r, count * sizeof *pieces_r);
		pieces_r[0] = plain;
		count++;
	}
	return count;
}

static void single_texts(struct arena *arena, const struct mime_value *value, struct slice name, bool second,
                         bool extended, struct mime_texts *texts)
{
	for (size_t i = 0; i < value->count; i++) {
		const struct mime_param *param = &value->params[i];
		if (param->continued || param->second != second || param->extended != extended ||
		    !slice_equal(param->name, name)) {
			continue;
		}
		struct slice text = param->value;
		if (extended) {
			struct slice charset = take_charset(&text);
			text = in_charset(arena, charset, mime_percent_decode(arena, text));
		}
		text_add(texts, text);
	}
}

void mime_value_texts(struct arena *arena, const struct mime_value *value, const char *name, struct mime_texts *texts)
{
	const struct mime_param *pieces[PIECES_MAX];
	struct slice wanted = slice_from(name);
	texts->cut = texts->cut || value->cut;
	single_texts(arena, value, wanted, false, true, texts);
	size_t count = collect_pieces(value, wanted, pieces);
	if (count > 0) {
		continued_texts(arena, pieces, count, texts);
	}
	single_texts(arena, value, wanted, false, false, texts);
	single_texts(arena, value, wanted, true, false, texts);
	single_texts(arena, value, wanted, true, true, texts);
}

bool mime_value_doubled(const struct mime_value *value, const char *name)
{
	const struct mime_param *first[2] = {NULL, NULL};
	for (size_t i = 0; i < value->count; i++) {
		const struct mime_param *param = &value->params[i];
		if (param->second || param->continued || !slice_equal(param->name, slice_from(name))) {
			continue;
		}
		if (first[param->extended] != NULL && !slice_equal(first[param->extended]->value, param->value)) {
			return true;
		}
		first[param->extended] = param;
	}
	return false;
}
