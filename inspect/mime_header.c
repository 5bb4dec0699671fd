#include "inspect/mime_header.h"

enum { NAME_MAX_BYTES = 256, BODIES_PER_REASON = 2 };

/* What makes one reading of lines: where they end. */
struct lines {
	struct slice text;
	size_t at;
	bool cr_ends; /* a bare CR ends a line too */
};

static bool line_next(struct lines *lines, struct slice *line_r)
{
	struct slice text = lines->text;
	size_t start = lines->at;
	if (start >= text.len) {
		return false;
	}
	size_t end = slice_find(text, '\n', start);
	lines->at = end < text.len ? end + 1 : end;
	if (lines->cr_ends) {
		struct slice whole = {text.data, end};
		size_t cr = slice_find(whole, '\r', start);
		if (cr < end && !(cr + 1 == end && end < text.len)) {
			end = cr;
			lines->at = cr + 1;
		}
	}
	while (end > start && text.data[end - 1] == '\r') {
		end--; /* CR CR LF too */
	}
	*line_r = (struct slice){text.data + start, end - start};
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The colon behind a field's name; 0: no field. What RFC 5322 forbids in names is let through, for there are programs
 * that let it through; a name with blanks inside is text. */
static size_t field_colon(struct slice line)
{
	size_t limit = line.len < NAME_MAX_BYTES ? line.len : NAME_MAX_BYTES;
	size_t depth = 0;
	bool ended = false;
	for (size_t i = 0; i < limit; i++) {
		char c = line.data[i];
		if (c == ':' && depth == 0) {
			return i;
		}
		if (c == '(' || c == ')') {
			depth += c == '(' ? 1 : depth > 0 ? (size_t)-1 : 0;
			ended = true;
		} else if (is_blank(c)) {
			ended = i > 0 && (ended || !is_blank(line.data[i - 1]));
		} else if (ended && depth == 0) {
			return 0;
		}
	}
	return 0;
}

/* The name without comments, blanks and bytes that are not printable. */
static size_t field_name(struct slice line, size_t colon, char name_r[NAME_MAX_BYTES])
{
	size_t n = 0;
	size_t depth = 0;
	for (size_t i = 0; i < colon; i++) {
		char c = line.data[i];
		if (c == '(') {
			depth++;
		} else if (c == ')') {
			depth -= depth > 0;
		} else if (depth == 0 && c > ' ' && c < 127) {
			name_r[n++] = c;
		}
	}
	return n;
}

static bool field_kind(struct slice name, enum mime_field_kind *kind_r)
{
	static const struct {
		struct slice name;
		enum mime_field_kind kind;
	} kinds[] = {
	    {{"Content-Type", 12}, MIME_FIELD_TYPE},
	    {{"Content-Transfer-Encoding", 25}, MIME_FIELD_ENCODING},
	    {{"Content-Disposition", 19}, MIME_FIELD_DISPOSITION},
	    {{"Content-Description", 19}, MIME_FIELD_DESCRIPTION},
	    {{"Content-Location", 16}, MIME_FIELD_LOCATION},
	};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (slice_equal_nocase(name, kinds[i].name)) {
			*kind_r = kinds[i].kind;
			return true;
		}
	}
	return false;
}

static bool is_known(const struct mime_header *header, enum mime_field_kind kind, const char *value)
{
	for (size_t i = 0; i < header->field_count; i++) {
		if (header->fields[i].kind == kind && header->fields[i].value.data == value) {
			return true;
		}
	}
	return false;
}

/* Full: the last place goes to the newest, for there are programs that take the last. */
static void field_add(struct mime_header *header, const struct mime_field *field)
{
	if (header->field_count == MIME_FIELDS_MAX) {
		header->cut = true;
		header->fields[MIME_FIELDS_MAX - 1] = *field;
		return;
	}
	header->fields[header->field_count++] = *field;
}

static void body_add(struct mime_header *header, struct slice entity, size_t at)
{
	struct slice body = {entity.data + at, entity.len - at};
	for (size_t i = 0; i < header->body_count; i++) {
		if (header->bodies[i].len == body.len) {
			return;
		}
	}
	if (header->body_count < MIME_BODIES_MAX) {
		header->bodies[header->body_count++] = body;
	}
}

/* The field that starts with `line`, and the folded lines behind it. */
static void field_read(struct lines *lines, struct slice line, size_t colon, bool late, struct mime_header *header)
{
	char name[NAME_MAX_BYTES];
	struct mime_field field = {.late = late};
	const char *end = line.data + line.len;
	size_t length = field_name(line, colon, name);
	field.odd_name = length != colon;
	while (lines->at < lines->text.len && is_blank(lines->text.data[lines->at])) {
		struct lines ahead = *lines;
		struct slice more;
		line_next(&ahead, &more);
		if (slice_trim(more).len == 0) {
			break; /* of blanks only: its reader decides */
		}
		end = more.data + more.len;
		*lines = ahead;
	}
	if (!field_kind((struct slice){name, length}, &field.kind)) {
		return;
	}
	field.value.data = line.data + colon + 1;
	field.value.len = (size_t)(end - field.value.data);
	if (field.value.len > MIME_VALUE_MAX) {
		field.value.len = MIME_VALUE_MAX;
		header->cut = true;
	}
	if (!is_known(header, field.kind, field.value.data)) {
		field_add(header, &field);
	}
}

/* The header block in one reading. Returns where its body starts by the first empty line; bodies that start elsewhere
 * in other readings are added to *header. */
static size_t block_read(struct slice entity, bool cr_ends, struct mime_header *header)
{
	struct lines lines = {.text = entity, .cr_ends = cr_ends};
	struct slice line;
	bool late = cr_ends;
	bool first = true;
	unsigned blank = 0;
	unsigned none = 0;
	size_t start = 0;
	for (; line_next(&lines, &line); start = lines.at, first = false) {
		if (line.len == 0) {
			return lines.at;
		}
		size_t colon = field_colon(line);
		if (slice_trim(line).len == 0) { /* the empty line for some, part of the field before it for others */
			if (blank++ < BODIES_PER_REASON) {
				body_add(header, entity, lines.at);
			}
			header->broken = late = true;
		} else if (colon > 0) {
			header->any_field |= first;
			field_read(&lines, line, colon, late, header);
		} else if (line.len >= 2 && memcmp(line.data, "--", 2) == 0) {
			return start; /* the empty line is missing, and a part begins */
		} else if (!(first && (slice_starts_nocase(line, SLICE_LITERAL("From ")) ||
		                       slice_starts_nocase(line, SLICE_LITERAL(">From "))))) {
			header->broken = late = true;
			if (none++ < BODIES_PER_REASON) { /* RFC 5322 readers skip the line; Postfix and others see the body here */
				body_add(header, entity, start);
			}
		}
	}
	return entity.len;
}

static bool has_bare_cr(struct slice block)
{
	for (size_t at = slice_find(block, '\r', 0); at < block.len; at = slice_find(block, '\r', at + 1)) {
		if (at + 1 < block.len && block.data[at + 1] != '\n' && block.data[at + 1] != '\r') {
			return true;
		}
	}
	return false;
}

void mime_header_read(struct slice entity, struct mime_header *header_r)
{
	*header_r = (struct mime_header){.field_count = 0};
	size_t body = block_read(entity, false, header_r);
	struct slice block = {entity.data, body};
	size_t before = header_r->body_count;
	body_add(header_r, entity, body);
	header_r->nul = memchr(block.data == NULL ? "" : block.data, '\0', block.len) != NULL;
	if (has_bare_cr(block)) {
		header_r->bare_cr = true;
		body_add(header_r, entity, block_read(entity, true, header_r));
	}
	if (before == 0) {
		return;
	}
	/* Where text begins that never was a header, all of it is the usual body. Behind fields the empty line decides. */
	if (header_r->any_field && header_r->body_count > before) {
		struct slice usual = header_r->bodies[before];
		memmove(header_r->bodies + 1, header_r->bodies, before * sizeof *header_r->bodies);
		header_r->bodies[0] = usual;
	}
}

bool mime_header_is_mail(struct slice text)
{
	static const char *const names[] = {"Received",     "Return-Path",  "From",           "To",       "Subject",
	                                    "Date",         "Message-ID",   "MIME-Version",   "Sender",   "Reply-To",
	                                    "Content-Type", "Delivered-To", "DKIM-Signature", "X-Mailer", "Cc"};
	struct lines lines = {.text = text};
	struct slice line;
	if (!line_next(&lines, &line)) {
		return false;
	}
	if (slice_starts_nocase(line, SLICE_LITERAL("From ")) && !line_next(&lines, &line)) {
		return false;
	}
	size_t colon = field_colon(line);
	for (size_t i = 0; colon > 0 && i < sizeof names / sizeof *names; i++) {
		if (slice_equal_nocase((struct slice){line.data, colon}, slice_from(names[i]))) {
			return true;
		}
	}
	return false;
}
