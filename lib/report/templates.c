#include "lib/report/templates.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1024 * 1024, LANGUAGE_MAX = 16, LINES_MAX = 2000 };

bool templates_language_valid(const char *language)
{
	size_t n = strlen(language);
	for (size_t i = 0; i < n; i++) {
		bool letter = language[i] >= 'a' && language[i] <= 'z';
		if (!letter && (language[i] != '-' || i == 0)) {
			return false;
		}
	}
	return n >= 2 && n <= LANGUAGE_MAX;
}

static const char *path_of(struct arena *arena, const char *folder, const char *language, const char *name)
{
	return arena_printf(arena, "%s/%s/%s", folder, language, name);
}

bool templates_exist(struct arena *arena, const char *folder, const char *language)
{
	return templates_language_valid(language) && access(path_of(arena, folder, language, "words"), R_OK) == 0;
}

static bool read_all(int fd, char *bytes, size_t size)
{
	size_t have = 0;
	while (have < size) {
		ssize_t got = read(fd, bytes + have, size - have);
		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got <= 0) {
			return false;
		}
		have += (size_t)got;
	}
	return true;
}

static bool read_file(struct arena *arena, const char *path, struct slice *text_r, const char **problem_r)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool good = fd >= 0 && fstat(fd, &status) == 0;
	if (!good) {
		*problem_r = arena_printf(arena, "%s: %s", path, strerror(errno));
	} else if (!S_ISREG(status.st_mode) || status.st_size > FILE_MAX) {
		*problem_r = arena_printf(arena, "%s: expected a file of at most 1 MiB", path);
		good = false;
	} else {
		char *bytes = arena_alloc(arena, (size_t)status.st_size + 1);
		good = read_all(fd, bytes, (size_t)status.st_size);
		*text_r = (struct slice){bytes, (size_t)status.st_size};
		if (!good || !slice_is_utf8(*text_r)) {
			*problem_r = arena_printf(arena, "%s: %s", path, good ? "expected UTF-8" : "cannot be read");
			good = false;
		}
	}
	if (fd >= 0) {
		close(fd);
	}
	return good;
}

static bool read_words(struct arena *arena, const char *path, struct templates *templates, const char **problem_r)
{
	struct slice rest, line;
	size_t number = 0;
	size_t capacity = 0;
	if (!read_file(arena, path, &rest, problem_r)) {
		return false;
	}
	while (slice_split(&rest, '\n', &line)) {
		line = slice_trim(line);
		number++;
		if (line.len == 0 || line.data[0] == '#') {
			continue;
		}
		size_t equals = slice_find(line, '=', 0);
		if (equals == line.len || templates->word_count == LINES_MAX) {
			*problem_r = arena_printf(arena, "%s:%zu: expected \"key = text\"", path, number);
			return false;
		}
		templates->words =
		    arena_grow(arena, templates->words, sizeof *templates->words, templates->word_count, &capacity);
		templates->words[templates->word_count++] = (struct template_word){
		    .key = slice_dup(arena, slice_trim((struct slice){line.data, equals})),
		    .text = slice_dup(arena, slice_trim((struct slice){line.data + equals + 1, line.len - equals - 1})),
		};
	}
	return true;
}

bool templates_load(struct arena *arena, const char *folder, const char *const *languages,
                    struct templates *templates_r, const char **problem_r)
{
	*templates_r = (struct templates){.language = NULL};
	*problem_r = arena_printf(arena, "%s: no templates of the language wanted", folder);
	for (; *languages != NULL && templates_r->language == NULL; languages++) {
		if (templates_exist(arena, folder, *languages)) {
			templates_r->language = *languages;
		}
	}
	const char *language = templates_r->language;
	return language != NULL &&
	       read_file(arena, path_of(arena, folder, language, "digest.txt"), &templates_r->text, problem_r) &&
	       read_file(arena, path_of(arena, folder, language, "digest.html"), &templates_r->html, problem_r) &&
	       read_file(arena, path_of(arena, folder, language, "answer.txt"), &templates_r->answer, problem_r) &&
	       read_words(arena, path_of(arena, folder, language, "words"), templates_r, problem_r);
}

const char *templates_word(const struct templates *templates, const char *key)
{
	for (size_t i = 0; i < templates->word_count; i++) {
		if (strcmp(templates->words[i].key, key) == 0) {
			return templates->words[i].text;
		}
	}
	return NULL;
}

const char *templates_reason(struct arena *arena, const struct templates *templates, const char *code)
{
	const char *text = templates_word(templates, arena_printf(arena, "reason.%s", code));
	if (text == NULL) {
		text = templates_word(templates, arena_printf(arena, "reason.%.*s", (int)strcspn(code, "."), code));
	}
	text = text != NULL ? text : templates_word(templates, "reason.other");
	return text == NULL ? "" : text;
}
