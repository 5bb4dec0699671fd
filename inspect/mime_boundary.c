#include "inspect/mime_boundary.h"

enum match { NONE, PREFIX, OPEN, CLOSE };

struct delimiter {
	enum match match;
	size_t start; /* of its "--" */
	size_t next;  /* behind its line */
	bool bare_cr; /* at one of its ends */
};

static bool blanks_only(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] != ' ' && text.data[i] != '\t' && text.data[i] != '\r') {
			return false;
		}
	}
	return true;
}

static bool delimits(struct slice tail)
{
	return blanks_only(tail) || (tail.len >= 2 && memcmp(tail.data, "--", 2) == 0);
}

/* Where the line ends: at LF, or at a bare CR when cr_ends. Looking for LF behind a CR would cost the square of the
 * size. */
static size_t line_end(struct slice body, size_t rest, bool cr_ends, struct delimiter *found_r)
{
	size_t end = rest;
	if (!cr_ends) {
		end = slice_find(body, '\n', rest);
		size_t cr = slice_find((struct slice){body.data, end}, '\r', rest);
		found_r->bare_cr |=
		    cr + 1 < end && body.data[cr + 1] != '\r' && delimits((struct slice){body.data + rest, cr - rest});
		found_r->next = end < body.len ? end + 1 : end;
		return end;
	}
	while (end < body.len && body.data[end] != '\n' && body.data[end] != '\r') {
		end++;
	}
	size_t next = end < body.len ? end + 1 : end;
	bool crlf = end + 1 < body.len && body.data[end] == '\r' && body.data[end + 1] == '\n';
	found_r->bare_cr |= end < body.len && body.data[end] == '\r' && !crlf;
	found_r->next = crlf ? next + 1 : next;
	return end;
}

/* at: behind the "--". */
static void match_line(struct slice body, struct slice value, size_t at, bool cr_ends, struct delimiter *found_r)
{
	size_t rest = at + value.len;
	size_t end = line_end(body, rest, cr_ends, found_r);
	struct slice tail = {body.data + rest, end - rest};
	bool closing = tail.len >= 2 && memcmp(tail.data, "--", 2) == 0;
	found_r->match = PREFIX;
	if (blanks_only(tail)) {
		found_r->match = OPEN;
	} else if (closing && blanks_only((struct slice){tail.data + 2, tail.len - 2})) {
		found_r->match = CLOSE;
	}
}

/* The next line at or behind `from` that starts with "--" and value. */
static bool find(struct slice body, struct slice value, size_t from, bool cr_ends, struct delimiter *found_r)
{
	for (size_t start = slice_find(body, '-', from); start < body.len; start = slice_find(body, '-', start)) {
		bool behind_cr = start > 0 && body.data[start - 1] == '\r';
		bool line = start == 0 || body.data[start - 1] == '\n' || behind_cr;
		if (line && body.len - start >= 2 + value.len && body.data[start + 1] == '-' &&
		    memcmp(body.data + start + 2, value.data, value.len) == 0) {
			*found_r = (struct delimiter){.start = start, .bare_cr = behind_cr};
			match_line(body, value, start + 2, cr_ends, found_r);
			return true;
		}
		while (start < body.len && body.data[start] == '-') {
			start++;
		}
	}
	return false;
}

void mime_boundary_survey(struct slice body, struct slice value, struct mime_boundary_survey *survey_r)
{
	struct delimiter found;
	*survey_r = (struct mime_boundary_survey){.delimiters = 0};
	for (size_t at = 0; find(body, value, at, false, &found); at = found.next) {
		survey_r->bare_cr |= found.bare_cr;
		if (found.start > 0 && body.data[found.start - 1] == '\r') {
			continue;
		}
		if (found.match == PREFIX) {
			survey_r->prefix = true;
			continue;
		}
		survey_r->follows_close |= survey_r->closed;
		survey_r->closed |= found.match == CLOSE;
		survey_r->delimiters++;
	}
}

/* The next delimiter of this reading. */
static bool next_delimiter(const struct mime_boundary *boundary, size_t from, struct delimiter *found_r)
{
	bool cr = boundary->reading == MIME_BOUNDARY_CR;
	while (find(boundary->body, boundary->value, from, cr, found_r)) {
		bool behind_cr = found_r->start > 0 && boundary->body.data[found_r->start - 1] == '\r';
		bool taken = found_r->match != PREFIX || boundary->reading == MIME_BOUNDARY_PREFIX;
		if (taken && (!behind_cr || cr)) {
			return true;
		}
		from = found_r->next;
	}
	return false;
}

static size_t before_line_end(struct slice body, size_t start, size_t at)
{
	if (at > start && body.data[at - 1] == '\n') {
		at--;
	}
	return at > start && body.data[at - 1] == '\r' ? at - 1 : at;
}

static bool is_end(const struct mime_boundary *boundary, const struct delimiter *found)
{
	return found->match == CLOSE && boundary->reading != MIME_BOUNDARY_ON;
}

bool mime_boundary_next(struct mime_boundary *boundary, struct slice *part_r)
{
	struct delimiter found;
	if (!boundary->started) {
		boundary->started = true;
		boundary->ended = !next_delimiter(boundary, 0, &found);
		if (!boundary->ended) {
			boundary->at = found.next;
			boundary->ended = is_end(boundary, &found);
		}
	}
	if (boundary->ended) {
		return false;
	}
	size_t start = boundary->at;
	size_t end = boundary->body.len;
	if (next_delimiter(boundary, start, &found)) {
		end = before_line_end(boundary->body, start, found.start);
		boundary->at = found.next;
		boundary->ended = is_end(boundary, &found);
	} else {
		boundary->ended = true;
		boundary->at = end;
	}
	*part_r = (struct slice){boundary->body.data + start, end - start};
	return true;
}

struct slice mime_boundary_preamble(struct slice body, struct slice value)
{
	struct mime_boundary exact = {.body = body, .value = value};
	struct delimiter found;
	return (struct slice){body.data, next_delimiter(&exact, 0, &found) ? found.start : 0};
}

struct slice mime_boundary_epilogue(const struct mime_boundary *boundary)
{
	return (struct slice){boundary->body.data + boundary->at, boundary->body.len - boundary->at};
}
