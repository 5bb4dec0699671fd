#include "lib/geo/mmdb_check.h"

#include "lib/base/slice.h"

#include <stdlib.h>

enum {
	MARKER_SIZE = 14,
	METADATA_MAX = 128 * 1024, /* from the end of the file */
	SEPARATOR = 16,            /* zero bytes between the tree and the data */
	DEPTH_MAX = 32,            /* of values in values; real databases have four */
	WORK_PER_BYTE = 8,         /* values that may be looked at; each is looked at once unless they overlap */
	PATH_MAX_BITS = 128        /* of an address */
};

#define BUILD_EPOCH_MAX UINT64_C(253402300799) /* the year 9999 */

enum type {
	TYPE_POINTER = 1,
	TYPE_TEXT,
	TYPE_DOUBLE,
	TYPE_BYTES,
	TYPE_UINT16,
	TYPE_UINT32,
	TYPE_MAP,
	TYPE_INT32,
	TYPE_UINT64,
	TYPE_UINT128,
	TYPE_ARRAY,
	TYPE_CONTAINER,
	TYPE_END,
	TYPE_BOOL,
	TYPE_FLOAT
};

/* A part of the file that pointers count from. */
struct section {
	const uint8_t *data;
	size_t size;
	uint8_t *seen; /* bit for each offset that was pointed to and found sound */
	size_t work;   /* values that may still be looked at */
	bool has_country, has_asn;
	const char *problem;
};

struct value {
	unsigned type;
	size_t size;   /* bytes; of a map its pairs, of an array its elements, of a bool itself */
	size_t target; /* pointer: offset */
	size_t data;   /* offset of what follows the control bytes */
};

static bool fail(struct section *section, const char *problem)
{
	if (section->problem == NULL) {
		section->problem = problem;
	}
	return false;
}

static bool take(const struct section *section, size_t *at, size_t bytes, size_t *number_r)
{
	if (bytes > section->size - *at) {
		return false;
	}
	*number_r = 0;
	for (size_t i = 0; i < bytes; i++) {
		*number_r = *number_r << 8 | section->data[*at + i];
	}
	*at += bytes;
	return true;
}

static bool take_pointer(const struct section *section, size_t control, size_t at, struct value *value_r)
{
	static const size_t base[] = {0, 2048, 526336, 0};
	size_t bytes = (control >> 3 & 3) + 1;
	size_t number;
	if (!take(section, &at, bytes, &number)) {
		return false;
	}
	size_t high = bytes == 4 ? 0 : (control & 7) << (8 * bytes);
	value_r->target = (high | number) + base[bytes - 1];
	value_r->data = at;
	return true;
}

static bool take_size(const struct section *section, size_t control, size_t at, struct value *value_r)
{
	static const size_t base[] = {29, 285, 65821};
	size_t more;
	value_r->size = control & 31;
	if (value_r->size >= 29) {
		size_t bytes = value_r->size - 28;
		if (!take(section, &at, bytes, &more)) {
			return false;
		}
		value_r->size = base[bytes - 1] + more;
	}
	value_r->data = at;
	return true;
}

/* The control bytes at an offset. */
static bool take_control(const struct section *section, size_t at, struct value *value_r)
{
	size_t control;
	size_t extended;
	*value_r = (struct value){.type = 0};
	if (at >= section->size || !take(section, &at, 1, &control)) {
		return false;
	}
	value_r->type = (unsigned)control >> 5;
	if (value_r->type == TYPE_POINTER) {
		return take_pointer(section, control, at, value_r);
	}
	if (value_r->type == 0) {
		if (!take(section, &at, 1, &extended)) {
			return false;
		}
		value_r->type = (unsigned)extended + 7;
		if (value_r->type <= TYPE_MAP) {
			return false;
		}
	}
	return take_size(section, control, at, value_r);
}

/* How many bytes a value of that type may have. */
static bool size_fits(unsigned type, size_t size)
{
	switch (type) {
	case TYPE_DOUBLE:
		return size == 8;
	case TYPE_FLOAT:
		return size == 4;
	case TYPE_UINT16:
		return size <= 2;
	case TYPE_UINT32:
	case TYPE_INT32:
		return size <= 4;
	case TYPE_UINT64:
		return size <= 8;
	case TYPE_UINT128:
		return size <= 16;
	case TYPE_BOOL:
		return size <= 1;
	case TYPE_TEXT:
	case TYPE_BYTES:
		return true;
	default:
		return false; /* maps and arrays are no bytes; container and end marker stand in no file */
	}
}

static bool check_value(struct section *section, size_t at, unsigned depth, size_t *end_r);

/* Once for each target: whole databases hang on few values. */
static bool check_pointer(struct section *section, size_t target, unsigned depth)
{
	struct value value;
	size_t end;
	if (target >= section->size) {
		return fail(section, "a pointer leads out of the data");
	}
	uint8_t *seen = &section->seen[target / 8];
	uint8_t bit = (uint8_t)(1U << (target % 8));
	if ((*seen & bit) != 0) {
		return true;
	}
	if (!take_control(section, target, &value) || value.type == TYPE_POINTER) {
		return fail(section, "a pointer leads to no value");
	}
	if (!check_value(section, target, depth + 1, &end)) {
		return false;
	}
	*seen |= bit;
	return true;
}

/* The value itself, or what a pointer leads to. */
static bool key_value(const struct section *section, size_t at, struct value *value_r)
{
	if (!take_control(section, at, value_r)) {
		return false;
	}
	return value_r->type != TYPE_POINTER || take_control(section, value_r->target, value_r);
}

static void note_key(struct section *section, struct slice key)
{
	section->has_country = section->has_country || slice_equal(key, SLICE_LITERAL("iso_code")) ||
	                       slice_equal(key, SLICE_LITERAL("country_code")) ||
	                       slice_equal(key, SLICE_LITERAL("country"));
	section->has_asn = section->has_asn || slice_equal(key, SLICE_LITERAL("autonomous_system_number")) ||
	                   slice_equal(key, SLICE_LITERAL("asn"));
}

static bool check_key(struct section *section, size_t at, unsigned depth, size_t *end_r)
{
	struct value key;
	if (!check_value(section, at, depth, end_r)) {
		return false;
	}
	if (!key_value(section, at, &key) || key.type != TYPE_TEXT) {
		return fail(section, "the key of a map is no text");
	}
	struct slice text = {(const char *)section->data + key.data, key.size};
	if (!slice_is_utf8(text)) {
		return fail(section, "the key of a map is no UTF-8");
	}
	note_key(section, text);
	return true;
}

static bool check_members(struct section *section, const struct value *value, unsigned depth, size_t *end_r)
{
	size_t at = value->data;
	for (size_t i = 0; i < value->size; i++) {
		if (value->type == TYPE_MAP && !check_key(section, at, depth + 1, &at)) {
			return false;
		}
		if (!check_value(section, at, depth + 1, &at)) {
			return false;
		}
	}
	*end_r = at;
	return true;
}

static bool check_value(struct section *section, size_t at, unsigned depth, size_t *end_r)
{
	struct value value;
	if (depth > DEPTH_MAX) {
		return fail(section, "values are nested without end");
	}
	if (section->work-- == 0) {
		section->work = 0;
		return fail(section, "there are more values than bytes");
	}
	if (!take_control(section, at, &value)) {
		return fail(section, "a value is cut off, or of no known type");
	}
	if (value.type == TYPE_POINTER) {
		*end_r = value.data;
		return check_pointer(section, value.target, depth);
	}
	if (value.type == TYPE_MAP || value.type == TYPE_ARRAY) {
		return check_members(section, &value, depth, end_r);
	}
	if (!size_fits(value.type, value.size)) {
		return fail(section, "a value has a size that its type cannot have, or no known type");
	}
	size_t bytes = value.type == TYPE_BOOL ? 0 : value.size;
	if (bytes > section->size - value.data) {
		return fail(section, "a value is cut off");
	}
	*end_r = value.data + bytes;
	return true;
}

static bool section_open(struct section *section, const uint8_t *data, size_t size)
{
	*section = (struct section){.data = data, .size = size, .work = (size + 1) * WORK_PER_BYTE};
	section->seen = calloc(size / 8 + 1, 1);
	return section->seen != NULL || fail(section, "there is not enough memory to look at it");
}

/* ---- metadata ---- */

/* Offset of what follows the last marker, or 0. */
static size_t metadata_find(const uint8_t *data, size_t size)
{
	static const char marker[] = "\xab\xcd\xefMaxMind.com";
	size_t least = size > METADATA_MAX ? size - METADATA_MAX : 0;
	for (size_t at = size; at >= least + MARKER_SIZE; at--) {
		if (memcmp(data + at - MARKER_SIZE, marker, MARKER_SIZE) == 0) {
			return at;
		}
	}
	return 0;
}

/* The last member of that name in the map at offset 0, which is sound. libmaxminddb takes the first: twice is once too
 * often. */
static bool metadata_member(const struct section *section, const char *name, struct value *value_r)
{
	struct value map;
	struct value key;
	size_t found = 0;
	size_t end;
	if (!take_control(section, 0, &map) || map.type != TYPE_MAP) {
		return false;
	}
	struct section walk = *section;
	size_t at = map.data;
	for (size_t i = 0; i < map.size; i++) {
		bool good = key_value(section, at, &key) && check_value(&walk, at, 0, &at);
		size_t where = at;
		good = good && check_value(&walk, at, 0, &end);
		if (!good) {
			return false;
		}
		at = end;
		if (slice_equal((struct slice){(const char *)section->data + key.data, key.size}, slice_from(name))) {
			found++;
			key_value(section, where, value_r);
		}
	}
	return found == 1;
}

static bool metadata_number(const struct section *section, const char *name, unsigned type, uint64_t *number_r)
{
	struct value value;
	size_t number;
	if (!metadata_member(section, name, &value) || value.type != type) {
		return false;
	}
	size_t at = value.data;
	if (!take(section, &at, value.size, &number)) {
		return false;
	}
	*number_r = number;
	return true;
}

/* A list of texts, or a map of texts by text: where libmaxminddb finds something else there it gives up and loses
 * memory. */
static bool metadata_texts(const struct section *section, const char *name, unsigned type)
{
	struct value list;
	struct value item;
	if (!metadata_member(section, name, &list) || list.type != type) {
		return false;
	}
	struct section walk = *section;
	size_t at = list.data;
	for (size_t i = 0; i < list.size * (type == TYPE_MAP ? 2 : 1); i++) {
		if (!key_value(section, at, &item) || item.type != TYPE_TEXT || !check_value(&walk, at, 0, &at)) {
			return false;
		}
	}
	return true;
}

static bool metadata_read(struct section *section, struct mmdb_summary *summary_r)
{
	uint64_t nodes;
	uint64_t record;
	uint64_t version;
	uint64_t major;
	uint64_t minor;
	struct value value;
	size_t end;
	if (!check_value(section, 0, 0, &end)) {
		return false;
	}
	if (!metadata_number(section, "node_count", TYPE_UINT32, &nodes) ||
	    !metadata_number(section, "record_size", TYPE_UINT16, &record) ||
	    !metadata_number(section, "ip_version", TYPE_UINT16, &version) ||
	    !metadata_number(section, "binary_format_major_version", TYPE_UINT16, &major) ||
	    !metadata_number(section, "binary_format_minor_version", TYPE_UINT16, &minor) ||
	    !metadata_number(section, "build_epoch", TYPE_UINT64, &summary_r->build_epoch) ||
	    !metadata_member(section, "database_type", &value) || value.type != TYPE_TEXT ||
	    !metadata_texts(section, "languages", TYPE_ARRAY) || !metadata_texts(section, "description", TYPE_MAP)) {
		return fail(section, "the metadata lacks something, has it twice, or as the wrong type");
	}
	if (major != 2 || (record != 24 && record != 28 && record != 32) || (version != 4 && version != 6) || nodes == 0) {
		return fail(section, "the metadata says what cannot be");
	}
	if (summary_r->build_epoch > BUILD_EPOCH_MAX) {
		return fail(section, "the metadata says that it was built in no year of ours");
	}
	summary_r->node_count = (uint32_t)nodes;
	summary_r->record_size = (unsigned)record;
	summary_r->ip_version = (unsigned)version;
	return true;
}

/* ---- the search tree ---- */

static uint32_t node_record(const uint8_t *tree, const struct mmdb_summary *summary, uint32_t node, unsigned side)
{
	const uint8_t *b = tree + (size_t)node * (summary->record_size / 4);
	switch (summary->record_size) {
	case 24:
		b += 3 * (size_t)side;
		return (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2];
	case 28:
		return side == 0 ? (uint32_t)(b[3] & 0xf0U) << 20 | (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2]
		                 : (uint32_t)(b[3] & 0x0fU) << 24 | (uint32_t)b[4] << 16 | (uint32_t)b[5] << 8 | b[6];
	default:
		b += 4 * (size_t)side;
		return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	}
}

/* A record that is no node: nothing, or data. */
static bool check_leaf(struct section *section, struct mmdb_summary *summary, uint32_t record)
{
	if (record == summary->node_count) {
		return true;
	}
	size_t offset = (size_t)record - summary->node_count;
	if (offset < SEPARATOR || offset - SEPARATOR >= section->size) {
		return fail(section, "the search tree leads out of the data");
	}
	summary->networks++;
	return check_pointer(section, offset - SEPARATOR, 0);
}

enum mark { MARK_NEW, MARK_OPEN, MARK_DONE };

/* Depth first. Nodes that are reached by several ways (IPv4 within IPv6) are walked once; a way back to a node that is
 * open would have no end. */
static bool tree_walk(const uint8_t *tree, struct section *section, struct mmdb_summary *summary, uint8_t *marks)
{
	struct step {
		uint32_t node;
		unsigned side;
	} path[PATH_MAX_BITS];
	unsigned bits = summary->ip_version == 6 ? 128 : 32;
	size_t depth = 1;
	path[0] = (struct step){0, 0};
	marks[0] = MARK_OPEN;
	while (depth > 0) {
		struct step *step = &path[depth - 1];
		if (step->side == 2) {
			marks[step->node] = MARK_DONE;
			depth--;
			continue;
		}
		uint32_t record = node_record(tree, summary, step->node, step->side++);
		if (record >= summary->node_count) {
			if (!check_leaf(section, summary, record)) {
				return false;
			}
		} else if (marks[record] == MARK_OPEN || (marks[record] == MARK_NEW && depth == bits)) {
			return fail(section, "the search tree has a way without end");
		} else if (marks[record] == MARK_NEW) {
			marks[record] = MARK_OPEN;
			path[depth++] = (struct step){record, 0};
		}
	}
	return true;
}

static const char *tree_check(const uint8_t *data, size_t end, struct mmdb_summary *summary)
{
	size_t tree = (size_t)summary->node_count * (summary->record_size / 4);
	struct section section = {.problem = NULL};
	if (end < SEPARATOR || tree > end - SEPARATOR) {
		return "the search tree is cut off";
	}
	for (size_t i = 0; i < SEPARATOR; i++) {
		if (data[tree + i] != 0) {
			return "the search tree does not end where the metadata says";
		}
	}
	uint8_t *marks = calloc(summary->node_count, 1);
	if (marks != NULL && section_open(&section, data + tree + SEPARATOR, end - tree - SEPARATOR)) {
		tree_walk(data, &section, summary, marks);
		summary->has_country = section.has_country;
		summary->has_asn = section.has_asn;
	}
	free(section.seen);
	free(marks);
	return marks == NULL ? "there is not enough memory to look at it" : section.problem;
}

const char *mmdb_check(const uint8_t *data, size_t size, struct mmdb_summary *summary_r)
{
	struct section metadata;
	*summary_r = (struct mmdb_summary){.node_count = 0};
	if (size > MMDB_CHECK_MAX) {
		return "it is larger than 1 GB";
	}
	size_t start = metadata_find(data, size);
	if (start == 0) {
		return "it is no MaxMind DB file: the metadata is missing";
	}
	if (section_open(&metadata, data + start, size - start)) {
		metadata_read(&metadata, summary_r);
	}
	free(metadata.seen);
	return metadata.problem != NULL ? metadata.problem : tree_check(data, start - MARKER_SIZE, summary_r);
}
