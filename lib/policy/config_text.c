/* What libconfuse 3.3 does and this file keeps from it: it counts the lines of comments more than once; takes the end
 * of the file for the end of a comment and of every block; reads "//x" as a word; passes over a plus sign; puts
 * environment variables into texts and looks for the end of ${NAME behind the closing quote; makes of \0 a text that
 * ends there. */
#include "lib/policy/config_text.h"

#include "lib/base/slice.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { DEPTH_MAX = 8 }; /* libconfuse refuses what is deeper than two */

struct scanner {
	char *bytes;
	size_t size, at, line;
	size_t opened[DEPTH_MAX]; /* lines of the blocks that are open */
	size_t depth;
	const char *problem; /* NULL: none so far */
	size_t problem_line;
};

char *config_text_read(const char *path, struct arena *arena, size_t *size_r)
{
	struct stat status;
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		return NULL;
	}
	int error = fstat(fileno(file), &status) != 0 ? errno : S_ISDIR(status.st_mode) ? EISDIR : 0;
	struct strbuf text;
	char piece[4096];
	strbuf_init(&text, arena);
	strbuf_add_text(&text, "");
	for (size_t n = 1; error == 0 && n > 0;) {
		n = fread(piece, 1, sizeof piece, file);
		strbuf_add(&text, piece, n);
		error = ferror(file) != 0 ? errno : text.len > CONFIG_TEXT_MAX ? EFBIG : 0;
	}
	fclose(file);
	*size_r = text.len;
	errno = error;
	return error == 0 ? text.data : NULL;
}

static char peek(const struct scanner *scanner, size_t ahead)
{
	return scanner->size - scanner->at > ahead ? scanner->bytes[scanner->at + ahead] : '\0';
}

static void step(struct scanner *scanner)
{
	scanner->line += scanner->bytes[scanner->at] == '\n';
	scanner->at++;
}

static void refuse(struct scanner *scanner, size_t line, const char *problem)
{
	scanner->problem = problem;
	scanner->problem_line = line;
	scanner->at = scanner->size;
}

static void blank(struct scanner *scanner)
{
	if (peek(scanner, 0) != '\n') {
		scanner->bytes[scanner->at] = ' ';
	}
	step(scanner);
}

static void scan_line_comment(struct scanner *scanner)
{
	while (scanner->at < scanner->size && peek(scanner, 0) != '\n') {
		blank(scanner);
	}
}

static void scan_block_comment(struct scanner *scanner)
{
	size_t begin = scanner->line;
	blank(scanner);
	blank(scanner);
	while (scanner->at < scanner->size && !(peek(scanner, 0) == '*' && peek(scanner, 1) == '/')) {
		blank(scanner);
	}
	if (scanner->at == scanner->size) {
		refuse(scanner, begin, "the comment that begins here does not end; expected \"*/\"");
		return;
	}
	blank(scanner);
	blank(scanner);
}

/* In double quotes a backslash stands before \ " ' or $; in single ones before \ or ', elsewhere it is itself. */
static void scan_backslash(struct scanner *scanner, char quote)
{
	char next = peek(scanner, 1);
	if (quote == '"' && (next == '\0' || strchr("\\\"'$", next) == NULL)) {
		refuse(scanner, scanner->line, "unknown escape in a text; expected \\\\, \\\", \\' or \\$");
		return;
	}
	step(scanner);
	if (next == '\\' || next == '\'' || quote == '"') {
		step(scanner);
	}
}

static void scan_text(struct scanner *scanner)
{
	char quote = peek(scanner, 0);
	step(scanner);
	while (scanner->at < scanner->size && peek(scanner, 0) != quote && peek(scanner, 0) != '\n') {
		if (peek(scanner, 0) == '\\') {
			scan_backslash(scanner, quote);
		} else if (quote == '"' && peek(scanner, 0) == '$' && peek(scanner, 1) == '{') {
			refuse(scanner, scanner->line, "${NAME} is not replaced here; expected \\${ for the two characters");
		} else {
			step(scanner);
		}
	}
	if (scanner->problem == NULL && peek(scanner, 0) != quote) {
		refuse(scanner, scanner->line, "a text that does not end in its line; expected a quotation mark");
	} else if (scanner->problem == NULL) {
		step(scanner);
	}
}

static void scan_brace(struct scanner *scanner)
{
	if (peek(scanner, 0) == '{' && scanner->depth < DEPTH_MAX) {
		scanner->opened[scanner->depth++] = scanner->line;
	} else if (peek(scanner, 0) == '}' && scanner->depth > 0) {
		scanner->depth--;
	}
	step(scanner);
}

static bool in_word(const struct scanner *scanner)
{
	char before = scanner->at == 0 ? ' ' : scanner->bytes[scanner->at - 1];
	return strchr(" \t\r\n\"'={}(),", before) == NULL;
}

static void scan_outside(struct scanner *scanner)
{
	char c = peek(scanner, 0);
	char next = peek(scanner, 1);
	if (c == '#' || (c == '/' && next == '/' && !in_word(scanner))) {
		scan_line_comment(scanner);
	} else if (c == '/' && next == '*' && !in_word(scanner)) {
		scan_block_comment(scanner);
	} else if (c == '"' || c == '\'') {
		scan_text(scanner);
	} else if (c == '{' || c == '}') {
		scan_brace(scanner);
	} else if (c == '$' && next == '{') {
		refuse(scanner, scanner->line, "${NAME} is not replaced here; expected a text in quotes");
	} else if (c == '+') {
		refuse(scanner, scanner->line, "a plus sign; expected \"=\", or a text in quotes");
	} else {
		step(scanner);
	}
}

static void find_nul(struct scanner *scanner)
{
	while (scanner->at < scanner->size && peek(scanner, 0) != '\0') {
		step(scanner);
	}
	if (scanner->at < scanner->size) {
		refuse(scanner, scanner->line, "a NUL byte; expected text");
	}
}

bool config_text_prepare(char *bytes, size_t size, size_t *line_r, const char **problem_r)
{
	struct scanner scanner = {.bytes = bytes, .size = size, .line = 1};
	find_nul(&scanner);
	if (scanner.problem == NULL) {
		scanner.at = 0;
		scanner.line = 1;
	}
	while (scanner.at < scanner.size) {
		scan_outside(&scanner);
	}
	if (scanner.problem == NULL && scanner.depth > 0) {
		refuse(&scanner, scanner.opened[scanner.depth - 1], "the block that begins here does not end; expected \"}\"");
	}
	*line_r = scanner.problem_line;
	*problem_r = scanner.problem;
	return scanner.problem == NULL;
}
