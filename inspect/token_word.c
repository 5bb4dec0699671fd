#include "inspect/token_word.h"

#include <glib.h>

enum { NORMAL_MAX = 256 }; /* bytes of a word that are normalised; longer ones are not told as they are anyway */

void token_words_open(struct token_words *words, struct arena *arena, struct slice text)
{
	*words = (struct token_words){.arena = arena, .data = slice_dup(arena, text), .len = text.len};
}

static bool is_word_byte(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || (c & 0x80) != 0;
}

/* What may stand inside of a word. */
static bool is_joint(char c)
{
	return c == '.' || c == '-' || c == '\'' || c == '_' || c == '@' || c == ',' || c == '+';
}

static bool ends_link(char c)
{
	return (unsigned char)c <= ' ' || strchr("\"<>`{}|^()\x7f", c) != NULL;
}

static bool is_invisible(gunichar c)
{
	return c == 0xad || (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x2064) ||
	       c == 0xfeff || c == 0x34f || c == 0x61c || c == 0x180e || (c >= 0xe0000 && c <= 0xe007f);
}

/* Scripts without blanks between words. */
static bool is_dense(gunichar c)
{
	return (c >= 0x3040 && c <= 0x30ff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x4e00 && c <= 0x9fff) ||
	       (c >= 0xac00 && c <= 0xd7af) || (c >= 0xf900 && c <= 0xfaff) || (c >= 0x20000 && c <= 0x3ffff) ||
	       (c >= 0xe00 && c <= 0xeff);
}

/* Letters of Cyrillic and Greek that cannot be told from Latin ones. 0: none. */
static char look_alike(gunichar c)
{
	static const struct {
		unsigned short from;
		char to;
	} alike[] = {{0x430, 'a'}, {0x435, 'e'}, {0x43e, 'o'}, {0x440, 'p'}, {0x441, 'c'}, {0x443, 'y'}, {0x445, 'x'},
	             {0x456, 'i'}, {0x458, 'j'}, {0x455, 's'}, {0x501, 'd'}, {0x51b, 'q'}, {0x51d, 'w'}, {0x432, 'b'},
	             {0x43a, 'k'}, {0x43c, 'm'}, {0x43d, 'h'}, {0x442, 't'}, {0x3b1, 'a'}, {0x3b5, 'e'}, {0x3b9, 'i'},
	             {0x3bf, 'o'}, {0x3c1, 'p'}, {0x3c4, 't'}, {0x3c5, 'u'}, {0x3ba, 'k'}, {0x3bd, 'v'}, {0x4bb, 'h'}};
	for (size_t i = 0; i < sizeof alike / sizeof *alike; i++) {
		if (alike[i].from == c) {
			return alike[i].to;
		}
	}
	return '\0';
}

static bool is_other_alphabet(gunichar c)
{
	return (c >= 0x370 && c <= 0x3ff) || (c >= 0x400 && c <= 0x52f);
}

/* The word in its normal form (NFKC, small letters), without what has no width. */
static void normalise(struct token_words *words, struct token_word *word)
{
	if (word->text.len > NORMAL_MAX) {
		return;
	}
	char *composed = g_utf8_normalize(word->text.data, (gssize)word->text.len, G_NORMALIZE_ALL_COMPOSE);
	if (composed == NULL) {
		return;
	}
	struct strbuf out;
	bool latin = false;
	bool other = false;
	strbuf_init(&out, words->arena);
	for (const char *at = composed; *at != '\0'; at = g_utf8_next_char(at)) {
		gunichar c = g_utf8_get_char(at);
		latin = latin || (c < 0x80 && ascii_is_alpha((char)c));
		other = other || is_other_alphabet(c);
	}
	word->mixed = latin && other;
	word->letters = 0;
	for (const char *at = composed; *at != '\0'; at = g_utf8_next_char(at)) {
		char bytes[6];
		gunichar c = g_unichar_tolower(g_utf8_get_char(at));
		char alike = word->mixed ? look_alike(c) : '\0';
		if (is_invisible(c)) {
			word->invisible = true;
		} else if (alike != '\0') {
			strbuf_add_char(&out, alike);
			word->letters++;
		} else if (!g_unichar_ismark(c)) {
			strbuf_add(&out, bytes, (size_t)g_unichar_to_utf8(c, bytes));
			word->letters += g_unichar_isalpha(c) ? 1 : 0;
		}
	}
	g_free(composed);
	word->data = out.data;
	word->text = (struct slice){out.data, out.len};
}

/* How far the word that starts at `at` goes, and what is in it; ASCII letters are made small. A joint belongs to it
 * when a letter or digit follows. */
static size_t word_end(struct token_words *words, size_t at, struct token_word *word)
{
	for (; at < words->len; at++) {
		char c = words->data[at];
		if (ascii_is_alpha(c)) {
			words->data[at] = ascii_lower(c);
			word->letters++;
		} else if (ascii_is_digit(c)) {
			word->digits++;
		} else if (is_joint(c) && at > 0 && at + 1 < words->len && is_word_byte(words->data[at + 1])) {
			word->at = c == '@' ? at : word->at;
		} else {
			break;
		}
	}
	return at;
}

/* One character that is not ASCII. Gives its length; *in_word_r: it belongs to a word. */
static size_t wide(struct token_words *words, size_t at, gunichar *c_r, bool *in_word_r)
{
	*c_r = g_utf8_get_char_validated(words->data + at, (gssize)(words->len - at));
	if (*c_r == (gunichar)-1 || *c_r == (gunichar)-2) {
		*in_word_r = false;
		return 1;
	}
	*in_word_r = g_unichar_isalnum(*c_r) || g_unichar_ismark(*c_r) || is_invisible(*c_r);
	return (size_t)g_unichar_to_utf8(*c_r, NULL);
}

/* Two neighbours of a script without blanks; the second is the first of the next. */
static bool dense_pair(struct token_words *words, size_t first, struct token_word *word_r)
{
	gunichar c;
	bool in_word;
	size_t second = words->at + first;
	if (second < words->len && (words->data[second] & 0x80) != 0) {
		size_t n = wide(words, second, &c, &in_word);
		if (in_word && is_dense(c)) {
			word_r->text.len = first + n;
		}
	}
	words->at += first;
	word_r->letters = 1;
	return true;
}

static size_t word_span(struct token_words *words, struct token_word *word, bool *ascii)
{
	size_t at = words->at;
	for (;;) {
		at = word_end(words, at, word);
		if (at >= words->len || (words->data[at] & 0x80) == 0) {
			return at;
		}
		gunichar c;
		bool in_word;
		size_t n = wide(words, at, &c, &in_word);
		if (!in_word || (is_dense(c) && at > words->at)) {
			return at;
		}
		*ascii = false;
		at += n;
		word->letters++;
	}
}

static void read_link(struct token_words *words, size_t start, struct token_word *word_r)
{
	size_t end = words->at;
	while (end < words->len && !ends_link(words->data[end])) {
		end++;
	}
	*word_r =
	    (struct token_word){.data = words->data + start, .text = {words->data + start, end - start}, .link = true};
	words->at = end;
}

/* "!!!" and "$$$" are words too. */
static bool read_marks(struct token_words *words, struct token_word *word_r)
{
	char mark = words->data[words->at];
	size_t start = words->at;
	while (words->at < words->len && words->data[words->at] == mark) {
		words->at++;
	}
	size_t n = words->at - start < 3 ? words->at - start : 3;
	*word_r = (struct token_word){.data = words->data + start, .text = {words->data + start, n}};
	return true;
}

bool token_words_next(struct token_words *words, struct token_word *word_r)
{
	while (words->at < words->len) {
		size_t start = words->at;
		char c = words->data[start];
		bool ascii = true;
		*word_r = (struct token_word){.data = words->data + start};
		if (c == '!' || (c == '$' && (start + 1 == words->len || !ascii_is_digit(words->data[start + 1])))) {
			return read_marks(words, word_r);
		}
		if ((c & 0x80) != 0) {
			gunichar point;
			bool in_word;
			size_t n = wide(words, start, &point, &in_word);
			word_r->text = (struct slice){words->data + start, n};
			if (in_word && is_dense(point)) {
				return dense_pair(words, n, word_r);
			}
			if (!in_word) {
				words->at += n;
				continue;
			}
		} else if (c == '$') {
			words->at++;
		} else if (!is_word_byte(c)) {
			words->at++;
			continue;
		}
		words->at = word_span(words, word_r, &ascii);
		if (words->at + 3 < words->len && memcmp(words->data + words->at, "://", 3) == 0) {
			read_link(words, start, word_r);
			return true;
		}
		words->at += words->at == start; /* cannot be, and must not hang */
		word_r->text = (struct slice){words->data + start, words->at - start};
		word_r->at = word_r->at > start ? word_r->at - start : 0;
		if (!ascii) {
			normalise(words, word_r);
		}
		if (word_r->text.len > 0) {
			return true;
		}
	}
	return false;
}
