#include "inspect/mime_walk.h"

#include "inspect/mime_charset.h"
#include "inspect/mime_decode.h"
#include "inspect/mime_header.h"
#include "inspect/mime_param.h"
#include "inspect/mime_text.h"
#include "inspect/smime.h"
#include "inspect/tnef.h"

#include <stdlib.h>

enum { SAMPLE = 512, RTF_RATIO = 16 };

static void deliver(struct walk *walk, const struct place *place, const struct mime_names *names, const char *type,
                    struct slice content);

/* Of what is found in a part. */
static struct place inside(const struct place *place, const struct part *part, uint64_t serial)
{
	return (struct place){.parent = part, .depth = place->depth + 1, .serial = serial};
}

static bool room_below(struct walk *walk, const struct place *below)
{
	if (!part_budget_part(walk->budget, below->depth)) {
		return false;
	}
	if (below->depth - walk->base >= WALK_DEPTH_MAX) {
		walk->budget->exhausted = "nested too deep";
		return false;
	}
	return true;
}

/* A file of that name, whose type nobody declares. */
static void deliver_named(struct walk *walk, const struct place *below, struct slice name, struct slice content)
{
	struct arena *arena = walk_arena_fresh(walk, below->depth);
	struct mime_names *names = arena_alloc(arena, sizeof *names);
	mime_names_add(names, arena, name);
	deliver(walk, below, names, "", content);
}

static void embedded_coded(struct walk *walk, const struct place *below, const struct mime_text_file *file,
                           size_t *used_r)
{
	struct place place = *below;
	size_t size = file->kind == MIME_TEXT_BINHEX ? mime_binhex_size(file->bytes) : file->bytes.len;
	struct slice name = file->name;
	struct slice content = {NULL, 0};
	*used_r = 0;
	if (!walk_looked(walk, file->bytes.len) || !part_budget_bytes(walk->budget, size > file->bytes.len ? size : 0)) {
		return;
	}
	char *buffer = malloc(size + MIME_DECODE_ROOM);
	if (buffer == NULL) {
		walk->budget->exhausted = "not enough memory";
		return;
	}
	switch (file->kind) {
	case MIME_TEXT_UU:
		content = (struct slice){buffer, mime_uudecode(file->bytes, buffer, used_r)};
		break;
	case MIME_TEXT_YENC:
		content = (struct slice){buffer, mime_ydecode(file->bytes, buffer, used_r)};
		break;
	case MIME_TEXT_UU64:
		content = (struct slice){buffer, mime_base64(file->bytes, MIME_BASE64_STRICT, buffer)};
		break;
	case MIME_TEXT_BINHEX:
		if (!mime_binhex(file->bytes, buffer, size, &name, &content)) {
			content.len = 0;
		}
		break;
	case MIME_TEXT_ENTITY:
	case MIME_TEXT_PARTS:
	case MIME_TEXT_PGP:
		break;
	}
	place.serial = ++walk->serials;
	if (content.len > 0 && part_budget_bytes(walk->budget, content.len)) {
		deliver_named(walk, &place, name, content);
	}
	free(buffer);
}

/* Moves *at behind what was read as one file. */
static void embedded(struct walk *walk, const struct place *below, struct slice text, const struct mime_text_file *file,
                     size_t *at)
{
	size_t used;
	struct place place = *below;
	switch (file->kind) {
	case MIME_TEXT_UU:
	case MIME_TEXT_UU64:
	case MIME_TEXT_YENC:
	case MIME_TEXT_BINHEX:
		embedded_coded(walk, below, file, &used);
		*at += used;
		break;
	case MIME_TEXT_PARTS:
		if (below->parent != NULL && type_is(slice_from(below->parent->type), "multipart/") && walk->muted == 1) {
			walk->result->reasons |= 1U << MIME_REASON_BOUNDARY_GUESSED;
		}
		if (walk_guessed(walk, &place, file->bytes, file->boundary)) {
			*at = text.len;
		}
		break;
	case MIME_TEXT_ENTITY:
		walk_entity(walk, &place, file->bytes);
		break;
	case MIME_TEXT_PGP:
		break;
	}
}

void walk_text(struct walk *walk, const struct place *place, struct slice text)
{
	struct mime_text_file file;
	size_t at = 0;
	walk_looked(walk, text.len);
	walk->muted++; /* a mail program shows text: how the mail inside could be read is no ambiguity of this one */
	while (!walk_over(walk) && mime_text_next(text, &at, &file)) {
		if (file.kind == MIME_TEXT_PGP) {
			continue;
		}
		if (walk->embedded++ >= WALK_EMBEDDED_MAX) {
			walk->result->reasons |= 1U << MIME_REASON_TOO_LONG;
			break;
		}
		if (room_below(walk, place)) {
			embedded(walk, place, text, &file, &at);
		}
	}
	walk->muted--;
}

struct members {
	struct walk *walk;
	const struct place *below;
};

static const char *member_type(struct arena *arena, const struct tnef_member *member)
{
	switch (member->kind) {
	case TNEF_TEXT:
		return "text/plain";
	case TNEF_HTML:
		return "text/html";
	case TNEF_RTF:
		return "text/rtf";
	case TNEF_MESSAGE:
		return "application/ms-tnef";
	case TNEF_FILE:
	case TNEF_OBJECT:
		break;
	}
	return slice_dup_lower(arena, member->type);
}

static void deliver_rtf(struct walk *walk, const struct place *below, const struct mime_names *names,
                        const struct tnef_member *member)
{
	struct place place = *below;
	size_t size = tnef_rtf_size(member->content, member->content.len * RTF_RATIO);
	if (size == 0 || !part_budget_bytes(walk->budget, size)) {
		return;
	}
	char *buffer = malloc(size);
	if (buffer == NULL) {
		walk->budget->exhausted = "not enough memory";
		return;
	}
	place.serial = ++walk->serials;
	deliver(walk, &place, names, "text/rtf", (struct slice){buffer, tnef_rtf(member->content, buffer, size)});
	free(buffer);
}

static void member(void *context, const struct tnef_member *found)
{
	struct members *members = context;
	struct walk *walk = members->walk;
	if (walk_over(walk) || !room_below(walk, members->below)) {
		return;
	}
	struct arena *arena = walk_arena_fresh(walk, members->below->depth);
	struct mime_names *names = arena_alloc(arena, sizeof *names);
	for (size_t i = 0; i < found->name_count; i++) {
		struct slice text = found->names[i].text;
		mime_names_add(names, arena, found->names[i].utf16 ? mime_charset_utf16(arena, text) : text);
	}
	if (found->kind == TNEF_RTF) {
		deliver_rtf(walk, members->below, names, found);
	} else {
		deliver(walk, members->below, names, member_type(arena, found), found->content);
	}
}

static bool has_extension(const struct part *part, const char *const *extensions)
{
	for (const char *const *name = part->names; *name != NULL; name++) {
		for (const char *const *extension = extensions; *extension != NULL; extension++) {
			if (slice_ends_nocase(slice_from(*name), slice_from(*extension))) {
				return true;
			}
		}
	}
	return false;
}

static bool is_smime(const struct part *part)
{
	static const char *const extensions[] = {".p7m", NULL};
	struct slice type = slice_from(part->type);
	return type_is(type, "application/pkcs7-mime") || type_is(type, "application/x-pkcs7-mime") ||
	       has_extension(part, extensions);
}

/* What a mail program opens as a message. */
static bool is_message(const struct part *part)
{
	static const char *const mail[] = {".eml", ".mht", ".mhtml", ".nws", NULL};
	struct slice type = slice_from(part->type);
	if (type_is(type, "message/")) {
		return !type_is(type, "message/delivery-status") && !type_is(type, "message/disposition-notification") &&
		       !type_is(type, "message/feedback-report");
	}
	return has_extension(part, mail) ||
	       (!type_is(type, "text/") && *part->type != '\0' && mime_header_is_mail(part->content));
}

static bool is_text(const struct part *part)
{
	struct slice type = slice_from(part->type);
	if (*part->type == '\0' || type_is(type, "text/") || type_is(type, "message/") || type_is(type, "multipart")) {
		return true;
	}
	size_t n = part->content.len < SAMPLE ? part->content.len : SAMPLE;
	for (size_t i = 0; i < n; i++) {
		char c = part->content.data[i];
		if (c >= 0 && c < ' ' && c != '\t' && c != '\r' && c != '\n' && c != '\f') {
			return false;
		}
	}
	return true;
}

static void look_inside(struct walk *walk, const struct part *part, const struct place *place)
{
	struct place below = inside(place, part, place->serial);
	struct slice type = slice_from(part->type);
	if (tnef_is(part->content)) {
		struct members members = {walk, &below};
		if (!tnef_read(part->content, member, &members)) {
			walk_reason(walk, MIME_REASON_TNEF);
		}
		return;
	}
	if (type_is(type, "message/partial")) {
		walk_reason(walk, MIME_REASON_PARTIAL);
	} else if (type_is(type, "message/external-body")) {
		walk_reason(walk, MIME_REASON_EXTERNAL);
	}
	if (is_message(part)) {
		walk_entity(walk, &below, part->content);
	} else if (is_text(part)) {
		walk_text(walk, &below, part->content);
	}
}

static void inside_smime(struct walk *walk, const struct part *part, const struct place *place, enum smime_kind kind,
                         struct slice content)
{
	switch (kind) {
	case SMIME_NONE:
	case SMIME_COMPRESSED:
		walk_reason(walk, MIME_REASON_SMIME);
		break;
	case SMIME_SIGNED:
		if (part_budget_bytes(walk->budget, content.len)) {
			struct place below = inside(place, part, ++walk->serials);
			walk_entity(walk, &below, content);
		}
		break;
	case SMIME_ENCRYPTED: /* the part says so */
	case SMIME_OTHER:
		break;
	}
}

/* Is its text for somebody with a key? */
static bool is_pgp(struct slice type, struct slice content)
{
	struct mime_text_file file;
	size_t at = 0;
	if ((type.len > 0 && !type_is(type, "text/")) || content.len == 0 ||
	    memmem(content.data, content.len, "-----BEGIN PGP MESSAGE-----", 27) == NULL) {
		return false;
	}
	while (mime_text_next(content, &at, &file)) {
		if (file.kind == MIME_TEXT_PGP) {
			return true;
		}
	}
	return false;
}

static bool deliver_is_new(struct walk *walk, const struct mime_names *names, const char *type, struct slice content)
{
	uint64_t hash = seen_hash(&walk->seen, 2, content);
	hash = seen_hash(&walk->seen, hash, slice_from(type));
	for (size_t i = 0; i < names->count; i++) {
		hash = seen_hash(&walk->seen, hash, slice_from(names->items[i]));
	}
	return walk_looked(walk, content.len) && seen_add(&walk->seen, hash);
}

/* A file: visited, and looked into. place: where it is; its parent and depth are the part's. */
static void deliver(struct walk *walk, const struct place *place, const struct mime_names *names, const char *type,
                    struct slice content)
{
	struct part part = {.parent = place->parent,
	                    .names = names->items,
	                    .type = type,
	                    .charset = place->charset,
	                    .content = content,
	                    .size = content.len,
	                    .encrypted = place->encrypted || is_pgp(slice_from(type), content),
	                    .depth = place->depth};
	struct slice signed_content = {NULL, 0};
	if (!deliver_is_new(walk, names, type, content)) {
		return;
	}
	bool smime = is_smime(&part);
	enum smime_kind kind = smime ? smime_open(content, &signed_content) : SMIME_NONE;
	part.encrypted = part.encrypted || kind == SMIME_ENCRYPTED;
	walk->visitor(walk->context, &part);
	if (smime && !walk_over(walk)) {
		inside_smime(walk, &part, place, kind, signed_content);
	} else if (!walk_over(walk)) {
		look_inside(walk, &part, place);
	}
	free((char *)signed_content.data);
}

static void deliver_typed(struct walk *walk, const struct entity *entity, const struct place *place, size_t index,
                          const char *type, struct slice content)
{
	struct place typed = *place;
	struct mime_texts charsets = {.count = 0};
	mime_value_texts(walk_arena(walk, place->depth), entity->types[index], "charset", &charsets);
	typed.charset = charsets.count == 0 ? (struct slice){"", 0} : charsets.items[0];
	deliver(walk, &typed, &entity->names, type, content);
}

/* Each type that is declared for it, once. A multipart without parts is a file of that type only where nothing else is
 * declared and something is in it. */
static void deliver_types(struct walk *walk, const struct entity *entity, const struct place *place,
                          struct slice content)
{
	struct arena *arena = walk_arena(walk, place->depth);
	const char *fallback = place->digest ? "message/rfc822" : "";
	bool other = entity->type_count == 0;
	for (size_t i = 0; i < entity->type_count; i++) {
		struct slice word = entity->types[i]->word;
		if (!type_is(word, "multipart")) {
			other = true;
			deliver_typed(walk, entity, place, i, word.len == 0 ? fallback : slice_dup(arena, word), content);
		}
	}
	if (entity->type_count == 0) {
		deliver(walk, place, &entity->names, fallback, content);
	} else if (!other && slice_trim(content).len > 0) {
		deliver(walk, place, &entity->names, slice_dup(arena, entity->types[0]->word), content);
	}
}

static bool declares(const struct entity *entity, const char *start)
{
	for (size_t i = 0; i < entity->type_count; i++) {
		if (type_is(entity->types[i]->word, start)) {
			return true;
		}
	}
	return false;
}

void walk_leaf(struct walk *walk, const struct entity *entity, struct slice body)
{
	bool text = entity->type_count == 0 || declares(entity, "text/");
	bool message = entity->place.digest || declares(entity, "message/");
	bool raw = false; /* RFC 2046 5.2.1 wants no encoding of messages: some do not decode it */
	if (message && !entity->encodings[ENCODING_IDENTITY] && mime_header_is_mail(body)) {
		walk_reason(walk, MIME_REASON_NESTED_ENCODING);
		raw = true;
	}
	for (unsigned encoding = 0; encoding < ENCODING_COUNT; encoding++) {
		bool also =
		    encoding == ENCODING_IDENTITY && (raw || entity->encodings[ENCODING_UU] ||
		                                      entity->encodings[ENCODING_YENC] || entity->encodings[ENCODING_BINHEX]);
		for (unsigned reading = 0; (entity->encodings[encoding] || also) && !walk_over(walk); reading++) {
			struct place place = entity->place;
			struct slice content;
			char *buffer;
			if (!walk_decode(walk, encoding, body, reading, text, &buffer, &content)) {
				break;
			}
			if (buffer != NULL) {
				place.serial = ++walk->serials;
			}
			deliver_types(walk, entity, &place, content);
			free(buffer);
		}
	}
}
