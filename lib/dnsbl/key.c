#include "lib/dnsbl/key.h"

#include "lib/dnsbl/dnsbl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_MAX = 63, FILE_MAX = 4096 };

bool dnsbl_key_is_good(struct slice key)
{
	for (size_t i = 0; i < key.len; i++) {
		char c = key.data[i];
		if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-' && c != '_') {
			return false;
		}
	}
	return key.len > 0 && key.len <= KEY_MAX;
}

static const char *file_problem(int fd, const char *path, struct arena *arena)
{
	struct stat status;
	if (fd < 0 || fstat(fd, &status) != 0) {
		return arena_printf(arena, "key_file %s: %s", path, strerror(errno));
	}
	if (!S_ISREG(status.st_mode) || status.st_size > FILE_MAX) {
		return arena_printf(arena, "key_file %s: expected a file with one line, the key", path);
	}
	if ((status.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
		return arena_printf(arena, "key_file %s: others may read or its group write it; expected mode 600 or 640",
		                    path);
	}
	return NULL;
}

const char *dnsbl_key_read(const char *path, struct arena *arena, const char **problem_r)
{
	char text[FILE_MAX + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *key = NULL;
	*problem_r = file_problem(fd, path, arena);
	if (*problem_r == NULL) {
		ssize_t n = read(fd, text, FILE_MAX);
		struct slice line = {text, n < 0 ? 0 : (size_t)n};
		line.len = slice_find(line, '\n', 0);
		line = slice_trim(line);
		if (n < 0 || !dnsbl_key_is_good(line)) {
			*problem_r =
			    arena_printf(arena, "key_file %s: expected one line, the key, of letters, digits and hyphens", path);
		} else {
			key = slice_dup(arena, line);
		}
		explicit_bzero(text, sizeof text);
	}
	if (fd >= 0) {
		close(fd);
	}
	return key;
}

/* Each "key=" word up to the next blank. */
const char *dnsbl_text_public(struct arena *arena, const char *text)
{
	struct strbuf out;
	struct slice rest = slice_from(text);
	struct slice word;
	strbuf_init(&out, arena);
	for (bool first = true; slice_split(&rest, ' ', &word); first = false) {
		bool key = slice_starts_nocase(slice_trim(word), SLICE_LITERAL("key="));
		strbuf_printf(&out, "%s%.*s", first ? "" : " ", SLICE_ARGS(key ? SLICE_LITERAL("key=***") : word));
	}
	return out.data == NULL ? "" : out.data;
}

static const char *replace(struct arena *arena, const char *text, const char *from, const char *to)
{
	struct strbuf out;
	struct slice part = slice_from(from);
	strbuf_init(&out, arena);
	while (*text != '\0') {
		bool here = slice_starts_nocase(slice_from(text), part);
		if (here) {
			strbuf_add_text(&out, to);
		} else {
			strbuf_add_char(&out, *text);
		}
		text += here ? part.len : 1;
	}
	return out.data == NULL ? "" : out.data;
}

const char *dnsbl_public(struct arena *arena, const struct dnsbl_list *list, const char *text)
{
	return list->key == NULL || text == NULL ? text : replace(arena, text, list->key, "***");
}

const char *dnsbl_hide(struct arena *arena, const struct dnsbl_lists *lists, const char *text)
{
	for (size_t i = 0; i < lists->count; i++) {
		text = dnsbl_public(arena, &lists->items[i], text);
	}
	return text;
}

const char *dnsbl_unhide(struct arena *arena, const struct dnsbl_lists *lists, const char *text)
{
	for (size_t i = 0; i < lists->count; i++) {
		const struct dnsbl_list *list = &lists->items[i];
		text = list->key == NULL ? text : replace(arena, text, list->public_zone, list->zone);
	}
	return text;
}
