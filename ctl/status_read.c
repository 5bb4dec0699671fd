#include "ctl/status_read.h"

#include "ctl/control.h"
#include "lib/base/clock.h"
#include "lib/base/slice.h"

#include <stdio.h>
#include <string.h>

json_t *status_read(const struct config *config, bool quick, struct arena *arena)
{
	const struct control_ask ask = {
	    .method = "GET", .path = quick ? "/status?quick" : "/status", .timeout_ns = 10 * CLOCK_NS_PER_S};
	unsigned status;
	struct slice body;
	if (!control_ask(config, &ask, arena, &status, &body)) {
		return NULL;
	}
	json_t *root = status == 200 ? json_loadb(body.data, body.len, 0, NULL) : NULL;
	if (!json_is_object(root)) {
		fprintf(stderr, "mailreeve: the daemon answers %u: %s", status,
		        status == 200 ? "what is no status\n" : text_escape(arena, body, "", true, 400));
		fputs(status == 200 ? "" : "\n", stderr);
		json_decref(root);
		return NULL;
	}
	return root;
}

const json_t *status_member(const json_t *root, const char *path)
{
	struct slice rest = slice_from(path);
	struct slice piece;
	while (root != NULL && slice_split(&rest, '.', &piece)) {
		char key[64] = "";
		memcpy(key, piece.data, piece.len < sizeof key ? piece.len : sizeof key - 1);
		root = json_object_get(root, key);
	}
	return root;
}

double status_number(const json_t *root, const char *path)
{
	return json_number_value(status_member(root, path));
}

/* The daemon has escaped names already: their backslashes stay. */
static const char *printable(struct arena *arena, struct slice rest)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	while (rest.len > 0) {
		unsigned char c = (unsigned char)rest.data[0];
		size_t n = c < 0x80 ? 1 : text_utf8_length(rest);
		if (n == 0 || c < ' ' || c == 0x7f) {
			strbuf_printf(&out, "\\x%02x", c);
		} else {
			strbuf_add(&out, rest.data, n);
		}
		n = n == 0 ? 1 : n;
		rest = (struct slice){rest.data + n, rest.len - n};
	}
	return out.data;
}

const char *status_text(const json_t *root, const char *path, struct arena *arena)
{
	const char *text = json_string_value(path[0] == '\0' ? root : status_member(root, path));
	return text == NULL ? "" : printable(arena, slice_from(text));
}

const char *status_seconds(double seconds, struct arena *arena)
{
	return seconds >= 1 ? arena_printf(arena, "%.1f s", seconds)
	                    : arena_printf(arena, seconds >= 0.01 ? "%.0f ms" : "%.1f ms", seconds * 1000);
}

const char *status_age(double seconds, struct arena *arena)
{
	return seconds < 120      ? arena_printf(arena, "%.0f s", seconds)
	       : seconds < 7200   ? arena_printf(arena, "%.0f min", seconds / 60)
	       : seconds < 172800 ? arena_printf(arena, "%.0f hours", seconds / 3600)
	                          : arena_printf(arena, "%.0f days", seconds / 86400);
}
