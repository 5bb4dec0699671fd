#include "lib/base/log_form.h"

#include "lib/base/slice.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Bytes that are kept free for what closes an object. */
enum { TAIL = 64, TEXT_MAX = 12000 };

struct buffer {
	char *data;
	size_t len;
	bool cut;
};

/* Whole or not at all. */
static void put(struct buffer *out, const char *data, size_t n)
{
	if (out->cut || n > LOG_FORM_MAX - TAIL - out->len) {
		out->cut = true;
		return;
	}
	memcpy(out->data + out->len, data, n);
	out->len += n;
}

static void put_text(struct buffer *out, const char *text)
{
	put(out, text, strlen(text));
}

/* A string of JSON. Bytes that are no UTF-8 become "\xHH", as text_escape() writes them. */
static void put_string(struct buffer *out, struct slice rest)
{
	char code[16];
	rest.len = rest.len > TEXT_MAX ? TEXT_MAX : rest.len;
	put(out, "\"", 1);
	while (rest.len > 0) {
		unsigned char c = (unsigned char)rest.data[0];
		size_t n = c < 0x80 ? 1 : text_utf8_length(rest);
		if (c == '"' || c == '\\') {
			put(out, "\\", 1);
			put(out, rest.data, 1);
		} else if (c < ' ' || c == 0x7f) {
			snprintf(code, sizeof code, "\\u%04x", c);
			put_text(out, code);
		} else if (n == 0) {
			snprintf(code, sizeof code, "\\\\x%02x", c);
			put_text(out, code);
		} else {
			put(out, rest.data, n);
		}
		n = n == 0 ? 1 : n;
		rest = (struct slice){rest.data + n, rest.len - n};
	}
	put(out, "\"", 1);
}

static void put_list(struct buffer *out, const struct log_field *fields, size_t count)
{
	const char *between = "[";
	for (size_t i = 0; i < count; i++) {
		struct slice rest = slice_from(fields[i].value);
		struct slice piece;
		bool one = fields[i].kind != LOG_LIST;
		while (!one && slice_split(&rest, ',', &piece)) {
			put_text(out, between);
			put_string(out, piece);
			between = ",";
		}
		if (one) {
			put_text(out, between);
			put_string(out, rest);
			between = ",";
		}
	}
	put_text(out, between[0] == '[' ? "[]" : "]");
}

static void put_key(struct buffer *out, const char *key)
{
	put_text(out, out->len > 1 ? ",\"" : "\"");
	put_text(out, key);
	put_text(out, "\":");
}

static void put_member(struct buffer *out, const char *key, const char *value)
{
	put_key(out, key);
	put_string(out, slice_from(value));
}

static size_t same_key(const struct log_field *fields, size_t count)
{
	size_t n = 1;
	while (n < count && strcmp(fields[n].key, fields[0].key) == 0) {
		n++;
	}
	return n;
}

/* Fields from the first on that does not fit are left out: what is there stays an object. */
static void put_fields(struct buffer *out, const struct log_field *fields, size_t count)
{
	for (size_t i = 0, n; i < count && !out->cut; i += n) {
		size_t before = out->len;
		n = same_key(fields + i, count - i);
		put_key(out, fields[i].key);
		switch (fields[i].kind) {
		case LOG_TEXT:
			put_string(out, slice_from(fields[i].value));
			break;
		case LOG_NUMBER:
			put_text(out, fields[i].value);
			break;
		case LOG_LIST:
		case LOG_EACH:
			put_list(out, fields + i, n);
			break;
		}
		out->len = out->cut ? before : out->len;
	}
}

size_t log_form_json(const struct log_line *line, pid_t pid, uint64_t now, char buffer_r[LOG_FORM_MAX])
{
	struct buffer out = {.data = buffer_r};
	char number[64];
	struct tm utc;
	time_t second = (time_t)(now / 1000000000U);
	gmtime_r(&second, &utc);
	size_t n = strftime(number, sizeof number, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(number + n, sizeof number - n, ".%03uZ", (unsigned)(now / 1000000U % 1000U));
	put_text(&out, "{");
	put_member(&out, "time", number);
	put_member(&out, "level", log_level_name(line->level));
	put_member(&out, "program", line->ident);
	snprintf(number, sizeof number, "%ld", (long)pid);
	put_key(&out, "pid");
	put_text(&out, number);
	if (line->stage != NULL) {
		put_member(&out, "stage", line->stage);
	}
	put_member(&out, line->event != NULL ? "event" : "message", line->event != NULL ? line->event : line->text);
	put_fields(&out, line->fields, line->count);
	n = (size_t)snprintf(out.data + out.len, TAIL, "%s}\n", out.cut ? ",\"cut\":true" : "");
	return out.len + n;
}

/* What has a line break goes by its length. */
static void put_journal(struct buffer *out, const char *prefix, const char *key, const char *value)
{
	size_t before = out->len;
	uint64_t n = strlen(value);
	unsigned char length[8];
	put_text(out, prefix);
	for (size_t i = 0; key[i] != '\0'; i++) {
		char c = key[i] >= 'a' && key[i] <= 'z' ? (char)(key[i] - 32) : key[i];
		put(out, &c, 1);
	}
	if (strchr(value, '\n') == NULL) {
		put(out, "=", 1);
	} else {
		for (size_t i = 0; i < sizeof length; i++) {
			length[i] = (unsigned char)(n >> (8 * i));
		}
		put(out, "\n", 1);
		put(out, (const char *)length, sizeof length);
	}
	put(out, value, n);
	put(out, "\n", 1);
	out->len = out->cut ? before : out->len;
}

size_t log_form_journal(const struct log_line *line, char buffer_r[LOG_FORM_MAX])
{
	struct buffer out = {.data = buffer_r};
	char number[16];
	put_journal(&out, "", "MESSAGE", line->text);
	snprintf(number, sizeof number, "%d", line->priority & 7);
	put_journal(&out, "", "PRIORITY", number);
	put_journal(&out, "", "SYSLOG_FACILITY", "2");
	put_journal(&out, "", "SYSLOG_IDENTIFIER", line->ident);
	if (line->stage != NULL) {
		put_journal(&out, "MAILREEVE_", "stage", line->stage);
	}
	if (line->event != NULL) {
		put_journal(&out, "MAILREEVE_", "event", line->event);
	}
	for (size_t i = 0; i < line->count; i++) {
		put_journal(&out, "MAILREEVE_", line->fields[i].key, line->fields[i].value);
	}
	return out.len;
}
