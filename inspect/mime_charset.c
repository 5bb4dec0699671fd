#include "inspect/mime_charset.h"

#include "inspect/mime_decode.h"

#include <errno.h>
#include <gmime/gmime.h>
#include <iconv.h>

enum { CHARSET_NAME_MAX = 40, WORDS_GMIME_MAX = 4096 };

static const char *const charset_names[] = {
    "UTF-8",        "US-ASCII",     "ISO-8859-1",   "ISO-8859-2",    "ISO-8859-3",   "ISO-8859-4",   "ISO-8859-5",
    "ISO-8859-6",   "ISO-8859-7",   "ISO-8859-8",   "ISO-8859-9",    "ISO-8859-10",  "ISO-8859-13",  "ISO-8859-14",
    "ISO-8859-15",  "ISO-8859-16",  "WINDOWS-1250", "WINDOWS-1251",  "WINDOWS-1252", "WINDOWS-1253", "WINDOWS-1254",
    "WINDOWS-1255", "WINDOWS-1256", "WINDOWS-1257", "WINDOWS-1258",  "WINDOWS-874",  "WINDOWS-31J",  "KOI8-R",
    "KOI8-U",       "KOI8-T",       "TIS-620",      "VISCII",        "TCVN",         "GB2312",       "GBK",
    "GB18030",      "HZ-GB-2312",   "BIG5",         "BIG5-HKSCS",    "EUC-JP",       "EUC-KR",       "EUC-TW",
    "EUC-CN",       "SHIFT_JIS",    "ISO-2022-JP",  "ISO-2022-JP-2", "ISO-2022-KR",  "ISO-2022-CN",  "UHC",
    "JOHAB",        "UTF-7",        "UTF-16",       "UTF-16LE",      "UTF-16BE",     "UTF-32",       "UTF-32LE",
    "UTF-32BE",     "MACINTOSH",    "IBM437",       "IBM850",        "IBM852",       "IBM855",       "IBM866",
    "ARMSCII-8",    "GEORGIAN-PS",  "PT154",        "IBM037",
};

/* Held open for the life of the process: what iconv has loaded once it keeps, and GMime's uses find it too. */
static iconv_t loaded[sizeof charset_names / sizeof *charset_names];
static bool is_loaded;

void mime_charset_load(void)
{
	if (is_loaded) {
		return;
	}
	is_loaded = true;
	g_mime_init();
	for (size_t i = 0; i < sizeof charset_names / sizeof *charset_names; i++) {
		loaded[i] = iconv_open("UTF-8", charset_names[i]);
	}
	struct arena *arena = arena_create(1024);
	mime_words_gmime(arena, SLICE_LITERAL("=?iso-8859-1?Q?=E4?= =?utf-8?B?w6Q=?="));
	arena_destroy(arena);
}

/* The length of the UTF-8 sequence at the front of text; 0: none. RFC 3629: no surrogates, no overlong forms. */
static size_t utf8_length(struct slice text)
{
	unsigned char first = (unsigned char)text.data[0];
	size_t n = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
	if (n > text.len) {
		return 0;
	}
	for (size_t i = 1; i < n; i++) {
		if (((unsigned char)text.data[i] & 0xc0) != 0x80) {
			return 0;
		}
	}
	unsigned char second = n > 1 ? (unsigned char)text.data[1] : 0;
	bool bad = (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
	           (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f);
	return bad ? 0 : n;
}

bool utf8_valid(struct slice text)
{
	while (text.len > 0) {
		size_t n = utf8_length(text);
		if (n == 0) {
			return false;
		}
		text = (struct slice){text.data + n, text.len - n};
	}
	return true;
}

static void add_utf8(struct strbuf *out, unsigned c)
{
	if (c < 0x80) {
		strbuf_add_char(out, (char)c);
		return;
	}
	if (c < 0x800) {
		strbuf_add_char(out, (char)(0xc0 | c >> 6));
	} else if (c < 0x10000) {
		strbuf_add_char(out, (char)(0xe0 | c >> 12));
		strbuf_add_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
	} else {
		strbuf_add_char(out, (char)(0xf0 | c >> 18));
		strbuf_add_char(out, (char)(0x80 | (c >> 12 & 0x3f)));
		strbuf_add_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	strbuf_add_char(out, (char)(0x80 | (c & 0x3f)));
}

struct slice mime_charset_guess(struct arena *arena, struct slice text)
{
	static const unsigned short upper[32] = {0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021,
	                                         0x2c6,  0x2030, 0x160,  0x2039, 0x152,  0x8d,   0x17d,  0x8f,
	                                         0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
	                                         0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178};
	struct strbuf out;
	if (utf8_valid(text)) {
		return text;
	}
	strbuf_init(&out, arena);
	for (size_t i = 0; i < text.len; i++) {
		unsigned c = (unsigned char)text.data[i];
		add_utf8(&out, c >= 0x80 && c < 0xa0 ? upper[c - 0x80] : c);
	}
	return (struct slice){out.data, out.len};
}

struct slice mime_charset_utf16(struct arena *arena, struct slice text)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	for (size_t i = 0; i + 1 < text.len; i += 2) {
		unsigned c = (unsigned)((unsigned char)text.data[i] | (unsigned char)text.data[i + 1] << 8);
		if (c >= 0xd800 && c < 0xdc00 && i + 3 < text.len) {
			unsigned low = (unsigned)((unsigned char)text.data[i + 2] | (unsigned char)text.data[i + 3] << 8);
			if (low >= 0xdc00 && low < 0xe000) {
				c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
				i += 2;
			}
		}
		add_utf8(&out, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
	}
	return (struct slice){out.data, out.len};
}

bool mime_charset_convert(struct arena *arena, struct slice charset, struct slice text, struct slice *out_r)
{
	if (charset.len == 0 || charset.len > CHARSET_NAME_MAX || memchr(charset.data, '/', charset.len) != NULL) {
		return false; /* "utf-8//IGNORE" is iconv's own language */
	}
	iconv_t cd = iconv_open("UTF-8", g_mime_charset_iconv_name(slice_dup(arena, charset)));
	if (cd == (iconv_t)-1) {
		return false;
	}
	size_t size = text.len * 4 + 16;
	char *out = arena_alloc(arena, size);
	char *in = slice_dup(arena, text);
	char *to = out;
	size_t left = text.len;
	size_t room = size;
	while (left > 0 && iconv(cd, &in, &left, &to, &room) == (size_t)-1 && room > 3 && errno != E2BIG) {
		memcpy(to, "\xef\xbf\xbd", 3);
		to += 3;
		room -= 3;
		in++;
		left--;
	}
	iconv(cd, NULL, NULL, &to, &room);
	iconv_close(cd);
	*out_r = (struct slice){out, size - room};
	return utf8_valid(*out_r);
}

static int hex_digit(char c)
{
	c = ascii_lower(c);
	return ascii_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct slice hex_decode(struct arena *arena, struct slice text, char mark, bool underscore)
{
	char *out = arena_alloc(arena, text.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		int high = i + 2 < text.len ? hex_digit(text.data[i + 1]) : -1;
		int low = i + 2 < text.len ? hex_digit(text.data[i + 2]) : -1;
		if (text.data[i] == mark && high >= 0 && low >= 0) {
			out[n++] = (char)(high * 16 + low);
			i += 2;
		} else {
			out[n++] = underscore && text.data[i] == '_' ? ' ' : text.data[i];
		}
	}
	return (struct slice){out, n};
}

struct slice mime_percent_decode(struct arena *arena, struct slice text)
{
	return hex_decode(arena, text, '%', false);
}

struct word {
	struct slice charset;
	struct slice bytes;
	size_t length; /* in the text */
};

/* "=?charset*lang?B?text?=" at the front; one that the end of the text cuts off is taken too. */
static bool word_read(struct arena *arena, struct slice text, struct word *word_r)
{
	if (text.len < 6 || text.data[0] != '=' || text.data[1] != '?') {
		return false;
	}
	size_t how = slice_find(text, '?', 2) + 1;
	if (how + 1 >= text.len || how - 3 > CHARSET_NAME_MAX || text.data[how + 1] != '?') {
		return false;
	}
	char encoding = ascii_lower(text.data[how]);
	size_t start = how + 2;
	size_t end = start;
	while (end < text.len && !(text.data[end] == '?' && end + 1 < text.len && text.data[end + 1] == '=')) {
		end++;
	}
	struct slice body = {text.data + start, end - start};
	if (encoding != 'b' && encoding != 'q') {
		return false;
	}
	word_r->charset = (struct slice){text.data + 2, how - 3};
	word_r->charset.len = slice_find(word_r->charset, '*', 0);
	word_r->length = end + 2 < text.len ? end + 2 : text.len;
	if (encoding == 'q') {
		word_r->bytes = hex_decode(arena, body, '=', true);
	} else {
		char *out = arena_alloc(arena, body.len + MIME_DECODE_ROOM);
		word_r->bytes = (struct slice){out, mime_base64(body, MIME_BASE64_RESUME, out)};
	}
	return true;
}

/* A run of encoded words of one charset. */
struct run {
	struct arena *arena;
	struct strbuf *out;
	struct slice charset;
	struct strbuf bytes;
	bool open;
};

static void run_end(struct run *run)
{
	struct slice text = {run->bytes.data, run->bytes.len};
	struct slice converted;
	if (!run->open) {
		return;
	}
	run->open = false;
	if (!mime_charset_convert(run->arena, run->charset, text, &converted)) {
		converted = mime_charset_guess(run->arena, text);
	}
	strbuf_add_slice(run->out, converted);
}

static void run_add(struct run *run, const struct word *word)
{
	if (run->open && !slice_equal_nocase(run->charset, word->charset)) {
		run_end(run);
	}
	if (!run->open) {
		run->open = true;
		run->charset = word->charset;
		strbuf_init(&run->bytes, run->arena);
	}
	strbuf_add_slice(&run->bytes, word->bytes);
}

static size_t blanks_at(struct slice text, size_t at)
{
	size_t n = at;
	while (n < text.len &&
	       (text.data[n] == ' ' || text.data[n] == '\t' || text.data[n] == '\r' || text.data[n] == '\n')) {
		n++;
	}
	return n - at;
}

struct slice mime_words_decode(struct arena *arena, struct slice text)
{
	struct strbuf out;
	struct run run = {.arena = arena, .out = &out};
	text = mime_charset_guess(arena, text);
	strbuf_init(&out, arena);
	for (size_t i = 0; i < text.len;) {
		struct word word;
		size_t blanks = run.open ? blanks_at(text, i) : 0;
		if (word_read(arena, (struct slice){text.data + i + blanks, text.len - i - blanks}, &word)) {
			run_add(&run, &word); /* RFC 2047 6.2: blanks between encoded words are not shown */
			i += blanks + word.length;
			continue;
		}
		run_end(&run);
		strbuf_add_char(&out, text.data[i++]);
	}
	run_end(&run);
	return (struct slice){out.data, out.len};
}

struct slice mime_words_gmime(struct arena *arena, struct slice text)
{
	text.len = text.len > WORDS_GMIME_MAX ? WORDS_GMIME_MAX : text.len;
	char *decoded = g_mime_utils_header_decode_text(NULL, slice_dup(arena, text));
	struct slice copy = slice_from(arena_strdup(arena, decoded));
	g_free(decoded);
	return mime_charset_guess(arena, copy);
}
