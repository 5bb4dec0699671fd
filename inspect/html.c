#include "inspect/html.h"

#include "inspect/file_format.h"

enum {
	HEAD = 8192,
	BASE64_MIN = 512,  /* letters in one piece: no id, key or hash is that long */
	ESCAPES_MIN = 100, /* in a row */
	NUMBERS_MIN = 200, /* in a row */
	DATA_MIN = 64,     /* bytes of a data: address that is worth hiding something in */
};

static bool has(struct slice text, const char *word)
{
	return bytes_find(text, slice_from(word), 0) < text.len;
}

static bool has_any(struct slice text, const char *const *words)
{
	for (; *words != NULL; words++) {
		if (has(text, *words)) {
			return true;
		}
	}
	return false;
}

static const char *const page_words[] = {"<html",   "<!doctype html", "<head>", "<body",
                                         "<script", "<iframe",        "<meta ", NULL};

static const char *page_type(struct slice text)
{
	struct slice head = slice_trim(bytes_part(text, 0, HEAD));
	if (head.len == 0 || head.data[0] != '<') {
		return NULL;
	}
	if (has(head, "<svg")) {
		return has(head, "<html") ? "text/html" : "image/svg+xml";
	}
	return has_any(head, page_words) ? "text/html" : NULL;
}

static bool has_script(struct slice text)
{
	static const char *const words[] = {"<script",   "javascript:",   "vbscript:", " onload=", " onerror=", " onclick=",
	                                    " onbegin=", " onmouseover=", " onfocus=", "/onload=", "\nonload=", NULL};
	return has_any(text, words);
}

static bool is_base64(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c == '+' || c == '/' || c == '=';
}

/* The type of the data: address that ends right before `at`, as "image/" or ""; pictures and fonts are no payload. */
static bool is_embedded_picture(struct slice text, size_t at)
{
	size_t start = at > 100 ? at - 100 : 0;
	struct slice before = {text.data + start, at - start};
	static const char *const harmless[] = {"data:image/",       "data:font/", "data:audio/", "data:video/",
	                                       "font-woff",         "font-ttf",   "x-font",      "data:application/font",
	                                       "vnd.ms-fontobject", NULL};
	return has_any(before, harmless) && before.data[before.len - 1] == ',';
}

static bool has_base64(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		size_t start = i;
		while (i < text.len && is_base64(text.data[i])) {
			i++;
		}
		if (i - start >= BASE64_MIN && start > 0 && !is_embedded_picture(text, start) &&
		    strchr("\"'`,>(", text.data[start - 1]) != NULL) {
			return true;
		}
	}
	return false;
}

static size_t escape_length(struct slice text, size_t at)
{
	if (at + 3 > text.len) {
		return 0;
	}
	if (text.data[at] == '%') {
		return text.data[at + 1] == 'u' ? 6 : 3;
	}
	if (text.data[at] == '\\' && text.data[at + 1] == 'x') {
		return 4;
	}
	return text.data[at] == '\\' && text.data[at + 1] == 'u' ? 6 : 0;
}

static bool has_escapes(struct slice text)
{
	size_t run = 0;
	for (size_t i = 0; i < text.len;) {
		size_t n = escape_length(text, i);
		run = n > 0 ? run + 1 : 0;
		i += n > 0 ? n : 1;
		if (run >= ESCAPES_MIN) {
			return true;
		}
	}
	return false;
}

static bool is_number_byte(char c)
{
	return ascii_is_digit(c) || (c >= 'a' && c <= 'f') || strchr("x \t\r\n\"'-", c) != NULL;
}

static bool has_numbers(struct slice text)
{
	size_t run = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == ',') {
			run++;
		} else if (!is_number_byte(text.data[i])) {
			run = 0;
		}
		if (run >= NUMBERS_MIN) {
			return true;
		}
	}
	return false;
}

static void examine_script(struct slice text, struct file_verdict *verdict)
{
	static const char *const savers[] = {"createobjecturl", "mssaveoropenblob", "mssaveblob", "showsavefilepicker",
	                                     NULL};
	static const char *const decoders[] = {"atob(",         "unescape(",  "fromcharcode", "decodeuricomponent(",
	                                       "fromcodepoint", "charcodeat", "textdecoder",  NULL};
	static const char *const writers[] = {"document.write",
	                                      "eval(",
	                                      "innerhtml",
	                                      "outerhtml",
	                                      "location.href",
	                                      "location.replace",
	                                      "insertadjacenthtml",
	                                      "srcdoc",
	                                      "[\"write\"]",
	                                      "new function(",
	                                      NULL};
	const char *payload = has_base64(text)    ? "base64"
	                      : has_escapes(text) ? "a chain of escapes"
	                      : has_numbers(text) ? "a list of numbers"
	                                          : NULL;
	if (payload == NULL) {
		return;
	}
	if (has_any(text, savers)) {
		file_verdict_add(verdict, FILE_CLASS_HTML_SMUGGLING, "script makes a file of %s in the page", payload);
	} else if (has_any(text, decoders) && has_any(text, writers)) {
		file_verdict_add(verdict, FILE_CLASS_HTML_SMUGGLING, "script makes a page of %s in the page", payload);
	}
}

/* What a data: address may be for without being opened or saved as a file of its own. */
static bool is_harmless_data(struct slice type)
{
	static const char *const prefixes[] = {"image/",
	                                       "font/",
	                                       "audio/",
	                                       "video/",
	                                       "text/css",
	                                       "text/javascript",
	                                       "text/plain",
	                                       "application/font",
	                                       "application/x-font",
	                                       "application/vnd.ms-fontobject",
	                                       "application/javascript",
	                                       "application/json",
	                                       "application/x-javascript",
	                                       NULL};
	for (const char *const *at = prefixes; *at != NULL; at++) {
		if (slice_starts_nocase(type, slice_from(*at))) {
			return !slice_starts_nocase(type, SLICE_LITERAL("image/svg"));
		}
	}
	return false;
}

/* href="data:application/zip;base64,..." and the like, in an attribute or assigned by script. */
static void examine_data(struct slice text, struct file_verdict *verdict)
{
	const struct slice scheme = SLICE_LITERAL("data:");
	for (size_t at = bytes_find(text, scheme, 0); at < text.len; at = bytes_find(text, scheme, at + 1)) {
		struct slice rest = bytes_part(text, at + scheme.len, 200);
		size_t comma = slice_find(rest, ',', 0);
		struct slice type = bytes_part(rest, 0, comma);
		size_t start = at > 40 ? at - 40 : 0;
		struct slice before = {text.data + start, at - start};
		static const char *const openers[] = {"href", "location", "open(", "src", "action", "url=", "data=", NULL};
		bool opened = has_any(before, openers);
		bool image = slice_starts_nocase(type, SLICE_LITERAL("image/"));
		size_t end = at + scheme.len + comma + 1;
		struct slice body = bytes_part(text, end, DATA_MIN);
		bool long_enough =
		    body.len == DATA_MIN && slice_find(body, '"', 0) == DATA_MIN && slice_find(body, '\'', 0) == DATA_MIN;
		bool typed = slice_find(type, '/', 0) < type.len && slice_find(type, ' ', 0) == type.len && comma < rest.len;
		if (opened && typed && long_enough && !image && !is_harmless_data(type)) {
			file_verdict_add(verdict, FILE_CLASS_HTML_SMUGGLING, "the page hides a file in a data: address (%.*s)",
			                 SLICE_ARGS(bytes_part(type, 0, 60)));
			return;
		}
	}
}

const char *html_examine(struct slice text, struct file_verdict *verdict)
{
	const char *type = page_type(text);
	bool named = file_verdict_has(verdict, FILE_CLASS_HTML);
	if (type == NULL && !named) {
		return NULL;
	}
	file_verdict_add(verdict, FILE_CLASS_HTML, "content is %s",
	                 type == NULL || type[0] == 't' ? "a web page" : "an SVG picture");
	if (has_script(text)) {
		file_verdict_add(verdict, FILE_CLASS_HTML_SCRIPT, "script in a web page or picture");
		examine_script(text, verdict);
	}
	examine_data(text, verdict);
	return type;
}
