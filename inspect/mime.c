#include "inspect/mime_walk.h"

#include "inspect/mime_boundary.h"
#include "inspect/mime_charset.h"
#include "inspect/mime_header.h"
#include <stdio.h>
#include <stdlib.h>

enum { ARENA_CHUNK = 16384, CLOCK_EVERY = 1 << 20, BOUNDARY_MAX = 16384 };

static const struct {
	const char *word;
	enum mime_class class;
} reasons[MIME_REASON_COUNT] = {
    [MIME_REASON_TYPE] = {"content-type", MIME_AMBIGUOUS},
    [MIME_REASON_ENCODING] = {"transfer-encoding", MIME_AMBIGUOUS},
    [MIME_REASON_UNKNOWN_ENCODING] = {"unknown-encoding", MIME_AMBIGUOUS},
    [MIME_REASON_BOUNDARY] = {"boundary", MIME_AMBIGUOUS},
    [MIME_REASON_BOUNDARY_PREFIX] = {"boundary-prefix", MIME_AMBIGUOUS},
    [MIME_REASON_BOUNDARY_CROSSING] = {"boundary-crossing", MIME_AMBIGUOUS},
    [MIME_REASON_BOUNDARY_TYPE] = {"boundary-type", MIME_AMBIGUOUS},
    [MIME_REASON_BOUNDARY_GUESSED] = {"boundary-guessed", MIME_AMBIGUOUS},
    [MIME_REASON_AFTER_CLOSING] = {"after-closing", MIME_AMBIGUOUS},
    [MIME_REASON_NESTED_ENCODING] = {"nested-encoding", MIME_AMBIGUOUS},
    [MIME_REASON_FIELD_NAME] = {"field-name", MIME_AMBIGUOUS},
    [MIME_REASON_HEADER_LINE] = {"header-line", MIME_AMBIGUOUS},
    [MIME_REASON_BARE_CR] = {"bare-cr", MIME_AMBIGUOUS},
    [MIME_REASON_NUL] = {"nul", MIME_AMBIGUOUS},
    [MIME_REASON_TOO_LONG] = {"too-long", MIME_AMBIGUOUS},
    [MIME_REASON_BASE64] = {"base64", MIME_AMBIGUOUS},
    [MIME_REASON_PARAMETER] = {"parameter", MIME_AMBIGUOUS},
    [MIME_REASON_UNCLOSED] = {"unclosed", MIME_DEFECT},
    [MIME_REASON_NO_BOUNDARY] = {"no-boundary", MIME_DEFECT},
    [MIME_REASON_HEADER_DEFECT] = {"header-defect", MIME_DEFECT},
    [MIME_REASON_DOUBLED] = {"doubled", MIME_DEFECT},
    [MIME_REASON_BASE64_TAIL] = {"base64-tail", MIME_DEFECT},
    [MIME_REASON_TNEF] = {"tnef", MIME_DEFECT},
    [MIME_REASON_PARTIAL] = {"partial", MIME_OPAQUE},
    [MIME_REASON_EXTERNAL] = {"external-body", MIME_OPAQUE},
    [MIME_REASON_SMIME] = {"smime", MIME_OPAQUE},
};

const char *mime_reason_word(enum mime_reason reason)
{
	return reasons[reason].word;
}

enum mime_class mime_reason_class(enum mime_reason reason)
{
	return reasons[reason].class;
}

void mime_load(void)
{
	mime_charset_load();
}

void walk_reason(struct walk *walk, enum mime_reason reason)
{
	walk->result->reasons |= walk->muted > 0 ? 0 : 1U << reason;
}

bool walk_over(const struct walk *walk)
{
	return walk->budget->exhausted != NULL;
}

bool walk_looked(struct walk *walk, uint64_t bytes)
{
	walk->unchecked += bytes;
	if (walk->unchecked >= CLOCK_EVERY) {
		walk->unchecked = 0;
		part_budget_time(walk->budget);
	}
	return !walk_over(walk);
}

struct arena *walk_arena(struct walk *walk, unsigned depth)
{
	struct arena **arena = &walk->arenas[depth - walk->base];
	if (*arena == NULL) {
		*arena = arena_create(ARENA_CHUNK);
	}
	return *arena;
}

struct arena *walk_arena_fresh(struct walk *walk, unsigned depth)
{
	struct arena *arena = walk_arena(walk, depth);
	arena_reset(arena);
	return arena;
}

bool type_is(struct slice type, const char *start)
{
	return slice_starts_nocase(type, slice_from(start));
}

static bool is_multipart(struct slice type)
{
	return type_is(type, "multipart");
}

static bool any_multipart(const struct entity *entity)
{
	for (size_t i = 0; i < entity->type_count; i++) {
		if (is_multipart(entity->types[i]->word)) {
			return true;
		}
	}
	return false;
}

static void boundary_add(struct walk *walk, struct entity *entity, struct slice text)
{
	if (text.len == 0 || text.len > BOUNDARY_MAX) {
		return;
	}
	for (size_t i = 0; i < entity->boundary_count; i++) {
		if (slice_equal(entity->boundaries[i], text)) {
			return;
		}
	}
	if (entity->boundary_count == WALK_BOUNDARIES_MAX) {
		walk_reason(walk, MIME_REASON_TOO_LONG);
		entity->boundary_count--;
	}
	entity->boundaries[entity->boundary_count++] = text;
}

/* RFC 2046 forbids blanks at its end, and lines lose theirs on the way: with them and without. */
static void boundary_add_both(struct walk *walk, struct entity *entity, struct slice text)
{
	boundary_add(walk, entity, text);
	while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t')) {
		text.len--;
	}
	boundary_add(walk, entity, text);
}

/* "X;" is X for those who take a ";" for an end even in quotes; '"X"' for those who keep escaped quotes. */
static void boundaries_add(struct walk *walk, struct arena *arena, struct entity *entity,
                           const struct mime_value *value)
{
	struct mime_texts texts = {.count = 0};
	mime_value_texts(arena, value, "boundary", &texts);
	for (size_t i = 0; i < texts.count; i++) {
		struct slice text = texts.items[i];
		boundary_add_both(walk, entity, text);
		text.len = slice_find(text, ';', 0);
		boundary_add_both(walk, entity, text);
		text.len = slice_find(text, '\0', 0);
		boundary_add(walk, entity, text);
		if (text.len > 2 && memmem(text.data, text.len, "=?", 2) != NULL) {
			boundary_add(walk, entity, mime_words_decode(arena, text));
		}
		if (text.len > 2 && text.data[0] == '"' && text.data[text.len - 1] == '"') {
			boundary_add(walk, entity, (struct slice){text.data + 1, text.len - 2});
		}
	}
}

/* Do two fields agree on what decides which files there are? */
static bool same_content(struct arena *arena, const struct mime_value *a, const struct mime_value *b)
{
	struct mime_texts first = {.count = 0};
	struct mime_texts second = {.count = 0};
	mime_value_texts(arena, a, "boundary", &first);
	mime_value_texts(arena, b, "boundary", &second);
	bool boundary = first.count == second.count && (first.count == 0 || slice_equal(first.items[0], second.items[0]));
	return slice_equal(a->word, b->word) && boundary;
}

static void value_add(struct walk *walk, struct arena *arena, struct slice text, const struct mime_value **values,
                      size_t *count)
{
	struct mime_value *value = arena_alloc(arena, sizeof *value);
	mime_value_parse(arena, text, value);
	if (value->cut) {
		walk_reason(walk, MIME_REASON_TOO_LONG);
	}
	if (*count == WALK_VALUES_MAX) {
		walk_reason(walk, MIME_REASON_TOO_LONG);
		--*count;
	}
	values[(*count)++] = value;
}

/* A field that some do not see: then the entity is read without it as well. */
static bool hidden_from_some(const struct mime_field *field)
{
	return field->odd_name || field->late;
}

static void types_read(struct walk *walk, struct arena *arena, const struct mime_header *header, struct entity *entity)
{
	static const struct mime_value undeclared = {.word = {"", 0}};
	bool plain = false;
	for (size_t i = 0; i < header->field_count; i++) {
		const struct mime_field *field = &header->fields[i];
		if (field->kind == MIME_FIELD_TYPE) {
			value_add(walk, arena, field->value, entity->types, &entity->type_count);
			plain = plain || !hidden_from_some(field);
		} else if (field->kind == MIME_FIELD_DISPOSITION) {
			value_add(walk, arena, field->value, entity->dispositions, &entity->disposition_count);
		}
	}
	for (size_t i = 1; i < entity->type_count; i++) {
		bool same = same_content(arena, entity->types[0], entity->types[i]);
		walk_reason(walk, same ? MIME_REASON_DOUBLED : MIME_REASON_TYPE);
	}
	if (entity->type_count > 0 && !plain && entity->type_count < WALK_VALUES_MAX) {
		entity->types[entity->type_count++] = &undeclared;
	}
}

/* Where a page came from (RFC 2557), or a sentence, is no file name: "http://www.example.com" is not a .com file. */
static bool may_be_name(struct slice text)
{
	return memmem(text.data, text.len, "://", 3) == NULL && !slice_starts_nocase(text, SLICE_LITERAL("cid:")) &&
	       !slice_starts_nocase(text, SLICE_LITERAL("mid:")) && slice_find(text, ' ', 0) == text.len;
}

static void names_read(struct walk *walk, struct arena *arena, const struct mime_header *header, struct entity *entity)
{
	static const char *const params[] = {"filename", "name"};
	size_t type = 0;
	size_t disposition = 0;
	for (size_t pass = 0; pass < 2; pass++) { /* Content-Disposition first: that is where names belong */
		for (size_t i = 0; i < header->field_count; i++) {
			const struct mime_field *field = &header->fields[i];
			bool of_type = field->kind == MIME_FIELD_TYPE;
			if ((!of_type && field->kind != MIME_FIELD_DISPOSITION) || of_type != (pass == 1)) {
				continue;
			}
			size_t *next = of_type ? &type : &disposition;
			size_t count = of_type ? entity->type_count : entity->disposition_count;
			const struct mime_value *value = (of_type ? entity->types : entity->dispositions)[*next];
			*next += *next + 1 < count; /* more than the maximum: the last place holds the last one */
			for (size_t p = 0; p < 2; p++) {
				mime_names_add_param(&entity->names, arena, value, field->value, params[of_type ? 1 - p : p]);
				if (mime_value_doubled(value, params[p])) {
					walk_reason(walk, MIME_REASON_PARAMETER);
				}
			}
		}
	}
	for (size_t i = 0; entity->names.count == 0 && i < header->field_count; i++) {
		if (header->fields[i].kind == MIME_FIELD_LOCATION || header->fields[i].kind == MIME_FIELD_DESCRIPTION) {
			struct slice text = slice_trim(mime_unfold(arena, header->fields[i].value));
			if (may_be_name(text)) {
				mime_names_add(&entity->names, arena, text);
			}
		}
	}
	if (entity->names.cut) {
		walk_reason(walk, MIME_REASON_TOO_LONG);
	}
}

static void header_reasons(struct walk *walk, const struct mime_header *header)
{
	for (size_t i = 0; i < header->field_count; i++) {
		if (header->fields[i].odd_name) {
			walk_reason(walk, MIME_REASON_FIELD_NAME);
		}
		if (header->fields[i].late) {
			walk_reason(walk, header->bare_cr ? MIME_REASON_BARE_CR : MIME_REASON_HEADER_LINE);
		}
	}
	if (header->broken && header->any_field) {
		walk_reason(walk, MIME_REASON_HEADER_DEFECT);
	}
	if (header->nul && header->any_field) {
		walk_reason(walk, MIME_REASON_NUL);
	}
	if (header->cut) {
		walk_reason(walk, MIME_REASON_TOO_LONG);
	}
}

static struct entity *entity_read(struct walk *walk, struct arena *arena, const struct place *place,
                                  const struct mime_header *header)
{
	struct slice encodings[MIME_FIELDS_MAX];
	size_t encoding_count = 0;
	struct entity *entity = arena_alloc(arena, sizeof *entity);
	entity->place = *place;
	entity->any_field = header->any_field;
	header_reasons(walk, header);
	types_read(walk, arena, header, entity);
	names_read(walk, arena, header, entity);
	for (size_t i = 0; i < entity->type_count; i++) {
		boundaries_add(walk, arena, entity, entity->types[i]);
	}
	for (size_t i = 0; i < entity->disposition_count; i++) {
		boundaries_add(walk, arena, entity, entity->dispositions[i]);
	}
	for (size_t i = 0; i < header->field_count; i++) {
		if (header->fields[i].kind == MIME_FIELD_ENCODING) {
			encodings[encoding_count++] = header->fields[i].value;
		}
	}
	walk_encodings(walk, arena, encodings, encoding_count, entity);
	return entity;
}

/* A body that is parted: the multipart as the parent of its parts. */
static struct part container(struct arena *arena, const struct entity *entity, struct slice body)
{
	struct slice type = {"", 0};
	for (size_t i = 0; i < entity->type_count && !is_multipart(type); i++) {
		type = entity->types[i]->word;
	}
	return (struct part){.parent = entity->place.parent,
	                     .names = entity->names.items,
	                     .type = slice_dup(arena, type),
	                     .content = body,
	                     .size = body.len,
	                     .depth = entity->place.depth};
}

/* Walks the parts of one reading; returns a hash of where they are, 0: none. */
static uint64_t split(struct walk *walk, const struct place *inside, struct slice body, struct slice value,
                      enum mime_boundary_reading reading)
{
	struct mime_boundary boundary = {.body = body, .value = value, .reading = reading};
	struct slice part;
	uint64_t where = 0;
	while (!walk_over(walk) && mime_boundary_next(&boundary, &part)) {
		size_t span[2] = {(size_t)(part.data - body.data), part.len};
		where = seen_hash(&walk->seen, where, (struct slice){(const char *)span, sizeof span});
		walk_looked(walk, part.len);
		walk_entity(walk, inside, part);
	}
	if (reading == MIME_BOUNDARY_EXACT) {
		walk_text(walk, inside, mime_boundary_preamble(body, value));
		walk_text(walk, inside, mime_boundary_epilogue(&boundary));
	}
	return where;
}

/* A line that starts with this boundary is no delimiter of it where it is declared as another one's. */
static bool is_declared(struct slice body, struct slice value)
{
	static const char name[] = "boundary";
	size_t length = sizeof name - 1;
	for (size_t at = slice_find(body, '=', 0); at < body.len; at = slice_find(body, '=', at + 1)) {
		size_t from = at + 1;
		if (at < length || memcmp(body.data + at - length + 1, name + 1, length - 1) != 0) {
			continue; /* of whatever case the first letter is */
		}
		from += from < body.len && body.data[from] == '"';
		if (body.len - from >= value.len && memcmp(body.data + from, value.data, value.len) == 0) {
			return true;
		}
	}
	return false;
}

/* One boundary in all its readings. */
static uint64_t split_readings(struct walk *walk, const struct place *inside, struct slice body, struct slice value,
                               struct mime_boundary_survey *survey_r)
{
	uint64_t where = 0;
	walk_looked(walk, body.len);
	mime_boundary_survey(body, value, survey_r);
	if (survey_r->delimiters > 0) {
		where = split(walk, inside, body, value, MIME_BOUNDARY_EXACT);
	}
	if (survey_r->follows_close) {
		walk_reason(walk, MIME_REASON_AFTER_CLOSING);
		split(walk, inside, body, value, MIME_BOUNDARY_ON);
	}
	if (survey_r->prefix) {
		bool declared = is_declared(body, value);
		walk->muted += declared; /* that every reader sees: what the lax reading says is no news */
		walk_reason(walk, MIME_REASON_BOUNDARY_PREFIX);
		uint64_t other = split(walk, inside, body, value, MIME_BOUNDARY_PREFIX);
		walk->muted -= declared;
		where = where == 0 ? other : where;
	}
	if (survey_r->bare_cr) {
		walk_reason(walk, MIME_REASON_BARE_CR);
		uint64_t other = split(walk, inside, body, value, MIME_BOUNDARY_CR);
		where = where == 0 ? other : where;
	}
	return where;
}

/* Not closed before its own end: a reader that goes by the inner boundary does not see the outer one, and reads on
 * behind it. */
static uint64_t split_wider(struct walk *walk, const struct entity *entity, const struct place *inside,
                            struct slice body, struct slice value, const struct mime_boundary_survey *survey)
{
	struct mime_boundary_survey wide;
	if (entity->place.outer_end == NULL || entity->place.outer_end <= body.data + body.len) {
		return 0;
	}
	struct slice wider = {body.data, (size_t)(entity->place.outer_end - body.data)};
	if (!walk_looked(walk, wider.len)) {
		return 0;
	}
	mime_boundary_survey(wider, value, &wide);
	if (wide.delimiters == 0 && !wide.prefix) {
		return 0;
	}
	bool crosses = wide.delimiters > survey->delimiters;
	if (crosses) {
		walk_reason(walk, MIME_REASON_BOUNDARY_CROSSING);
	}
	struct place below = *inside;
	below.outer_end = entity->place.outer_end;
	walk->muted += !crosses;
	uint64_t where = split(walk, &below, wider, value, MIME_BOUNDARY_EXACT);
	if (wide.prefix) {
		split(walk, &below, wider, value, MIME_BOUNDARY_PREFIX);
	}
	walk->muted -= !crosses;
	return where;
}

/* True: it has parts in some reading. */
static bool walk_multipart(struct walk *walk, const struct entity *entity, struct slice body, uint64_t serial)
{
	struct arena *arena = walk_arena(walk, entity->place.depth);
	struct part part = container(arena, entity, body);
	struct place inside = {.parent = &part,
	                       .depth = entity->place.depth + 1,
	                       .serial = serial,
	                       .outer_end = body.data + body.len,
	                       .digest = slice_equal(slice_from(part.type), SLICE_LITERAL("multipart/digest")),
	                       .encrypted = slice_equal(slice_from(part.type), SLICE_LITERAL("multipart/encrypted"))};
	uint64_t first = 0;
	bool closed = false;
	for (size_t i = 0; i < entity->boundary_count && !walk_over(walk); i++) {
		struct mime_boundary_survey survey;
		struct slice value = entity->boundaries[i];
		uint64_t where = split_readings(walk, &inside, body, value, &survey);
		closed = closed || survey.closed;
		if (!survey.closed && serial == entity->place.serial) {
			uint64_t wide = split_wider(walk, entity, &inside, body, value, &survey);
			where = where == 0 ? wide : where;
		}
		if (first != 0 && where != 0 && where != first) {
			walk_reason(walk, MIME_REASON_BOUNDARY);
		}
		first = first == 0 ? where : first;
	}
	if (first != 0 && !closed) {
		walk_reason(walk, MIME_REASON_UNCLOSED);
	}
	return first != 0;
}

bool walk_guessed(struct walk *walk, const struct place *place, struct slice body, struct slice boundary)
{
	struct mime_boundary_survey survey;
	return boundary.len > 0 && boundary.len <= BOUNDARY_MAX &&
	       split_readings(walk, place, body, boundary, &survey) != 0;
}

/* RFC 2045 6.4 forbids it; some decode it nevertheless. True: it has parts when decoded. */
static bool walk_encoded_multipart(struct walk *walk, const struct entity *entity, struct slice body)
{
	bool found = false;
	for (unsigned encoding = ENCODING_BASE64; encoding < ENCODING_COUNT; encoding++) {
		char *buffer = NULL;
		struct slice decoded;
		if (!entity->encodings[encoding] || walk_over(walk) ||
		    !walk_decode(walk, encoding, body, 0, true, &buffer, &decoded)) {
			continue;
		}
		if (walk_multipart(walk, entity, decoded, ++walk->serials)) {
			found = true;
		}
		free(buffer);
	}
	return found;
}

static void walk_body(struct walk *walk, const struct entity *entity, struct slice body)
{
	bool multipart = any_multipart(entity);
	bool found = entity->boundary_count > 0 && walk_multipart(walk, entity, body, entity->place.serial);
	if (entity->boundary_count > 0 && walk_encoded_multipart(walk, entity, body)) {
		walk_reason(walk, found ? MIME_REASON_NESTED_ENCODING : MIME_REASON_ENCODING);
		found = true;
	}
	bool leaf = !found;
	for (size_t i = 0; i < entity->type_count; i++) {
		leaf = leaf || !is_multipart(entity->types[i]->word);
	}
	if (found && !multipart) {
		walk_reason(walk, MIME_REASON_BOUNDARY_TYPE);
	}
	if (!found && multipart && slice_trim(body).len > 0) {
		walk_reason(walk, MIME_REASON_NO_BOUNDARY);
	}
	if (leaf && !walk_over(walk)) {
		walk_leaf(walk, entity, body);
	}
}

/* The same bytes at the same place come again in other readings. */
static bool is_new(struct walk *walk, const struct place *place, struct slice bytes)
{
	uintptr_t key[4] = {(uintptr_t)place->serial, (uintptr_t)bytes.data, bytes.len, place->digest};
	return seen_add(&walk->seen, seen_hash(&walk->seen, 1, (struct slice){(const char *)key, sizeof key}));
}

void walk_entity(struct walk *walk, const struct place *place, struct slice bytes)
{
	if (walk_over(walk) || !is_new(walk, place, bytes) || !part_budget_part(walk->budget, place->depth)) {
		return;
	}
	if (place->depth - walk->base >= WALK_DEPTH_MAX) {
		walk->budget->exhausted = "nested too deep";
		return;
	}
	struct arena *arena = walk_arena_fresh(walk, place->depth);
	struct mime_header *header = arena_alloc(arena, sizeof *header);
	mime_header_read(bytes, header);
	walk_looked(walk, bytes.len - header->bodies[0].len);
	struct entity *entity = entity_read(walk, arena, place, header);
	for (size_t i = 0; i < header->body_count && !walk_over(walk); i++) {
		walk_body(walk, entity, header->bodies[i]);
	}
}

void mime_walk(struct slice message, const struct part *parent, struct part_budget *budget, part_visitor *visitor,
               void *context, struct mime_result *result)
{
	struct walk walk = {.budget = budget, .visitor = visitor, .context = context, .result = result};
	struct place place = {.parent = parent, .depth = parent == NULL ? 0 : parent->depth + 1};
	walk.base = place.depth;
	message.data = message.data == NULL ? "" : message.data;
	seen_open(&walk.seen);
	walk_entity(&walk, &place, message);
	for (size_t i = 0; i < sizeof walk.arenas / sizeof *walk.arenas; i++) {
		arena_destroy(walk.arenas[i]);
	}
	seen_close(&walk.seen);
}
