#include "lib/mail/field.h"

enum { LINE_WIDTH = 76, TAB_WIDTH = 8, COMMENT_MAX = 200 };

void field_begin(struct field *field, struct arena *arena, const char *name, const char *first)
{
	strbuf_init(&field->text, arena);
	strbuf_add_text(&field->text, first);
	field->line = strlen(name) + 2 + field->text.len;
}

void field_line(struct field *field, const char *word)
{
	strbuf_add_text(&field->text, "\n\t");
	strbuf_add_text(&field->text, word);
	field->line = TAB_WIDTH + strlen(word);
}

void field_word(struct field *field, const char *word)
{
	size_t n = strlen(word);
	if (field->line + 1 + n > LINE_WIDTH) {
		field_line(field, word);
		return;
	}
	strbuf_add_char(&field->text, ' ');
	strbuf_add_text(&field->text, word);
	field->line += 1 + n;
}

/* No more than one blank in a row: a line of blanks alone would be obsolete folding. */
void field_comment(struct field *field, const char *comment)
{
	struct arena *arena = field->text.arena;
	char *text = arena_memdup(arena, comment, strnlen(comment, COMMENT_MAX));
	struct strbuf clean;
	strbuf_init(&clean, arena);
	for (char *c = text; *c != '\0'; c++) {
		bool quote = *c == '(' || *c == ')' || *c == '"';
		char safe = quote                                                               ? '\''
		            : *c == ';'                                                         ? ','
		            : *c == '\\' || (unsigned char)*c < ' ' || (unsigned char)*c >= 127 ? '?'
		                                                                                : *c;
		if (safe != ' ' || (clean.len > 0 && clean.data[clean.len - 1] != ' ')) {
			strbuf_add_char(&clean, safe);
		}
	}
	struct slice rest = slice_trim((struct slice){clean.data, clean.len});
	struct slice word;
	rest = slice_from(arena_printf(arena, "(%.*s)", SLICE_ARGS(rest)));
	while (slice_split(&rest, ' ', &word)) {
		field_word(field, slice_dup(arena, word));
	}
}

bool field_is_token(const char *text)
{
	for (const char *c = text; *c != '\0'; c++) {
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 127 || strchr("()<>@,;:\\\"/[]?=", *c) != NULL) {
			return false;
		}
	}
	return text[0] != '\0' && strlen(text) <= FIELD_VALUE_MAX;
}

bool field_is_dot_atom(struct slice text, bool utf8)
{
	struct slice atom;
	if (text.len == 0 || text.len > FIELD_VALUE_MAX || (utf8 ? !slice_is_utf8(text) : !slice_is_ascii(text))) {
		return false;
	}
	while (slice_split(&text, '.', &atom)) {
		for (size_t i = 0; i < atom.len; i++) {
			char c = atom.data[i];
			if ((unsigned char)c < 0x80 && !ascii_is_alpha(c) && !ascii_is_digit(c) &&
			    (c == '\0' || strchr("!#$%&'*+-/=?^_`{|}~", c) == NULL)) {
				return false;
			}
		}
		if (atom.len == 0) {
			return false;
		}
	}
	return true;
}

const char *field_quoted(struct arena *arena, const char *value, bool utf8)
{
	struct strbuf out;
	struct slice text = slice_from(value);
	strbuf_init(&out, arena);
	strbuf_add_char(&out, '"');
	for (size_t i = 0; i < text.len;) {
		char c = text.data[i];
		size_t n = utf8 && (unsigned char)c >= 0x80 ? text_utf8_length((struct slice){text.data + i, text.len - i}) : 0;
		if (out.len >= FIELD_VALUE_MAX) {
			strbuf_add_text(&out, "...");
			break;
		}
		if (n > 0) {
			strbuf_add(&out, text.data + i, n);
		} else {
			strbuf_add_char(&out, c == '"'                                                                     ? '\''
			                      : (unsigned char)c < ' ' || (unsigned char)c >= 127 || c == '\\' || c == ';' ? '?'
			                                                                                                   : c);
		}
		i += n > 0 ? n : 1;
	}
	strbuf_add_char(&out, '"');
	return out.data;
}
