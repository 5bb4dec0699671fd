#include "inspect/file_format.h"
#include "inspect/zip.h"

#include <stdlib.h>

enum {
	END_SIZE = 22,
	CENTRAL_SIZE = 46,
	LOCAL_SIZE = 30,
	LOCATOR_SIZE = 20,
	COMMENT_MAX = 65535,
	ENDS_MAX = 16, /* end records looked at, from the last back; and the first */
	VERSION_MAX = 100,
	UNIX = 3,
	DARWIN = 19,
};

static const struct slice end_mark = {"PK\5\6", 4};

/* The value of a field of 64 bits in the extra field 0x0001: there only for values that say "see there". */
static uint64_t wide_value(struct slice *extra, uint32_t narrow)
{
	if (narrow != UINT32_MAX || extra->len < 8) {
		return narrow;
	}
	uint64_t value = bytes_le64(*extra, 0);
	*extra = bytes_part(*extra, 8, extra->len);
	return value;
}

static struct slice extra_field(struct slice extra, uint32_t id)
{
	for (size_t at = 0; at + 4 <= extra.len;) {
		size_t n = bytes_le16(extra, at + 2);
		if (bytes_le16(extra, at) == id) {
			return bytes_part(extra, at + 4, n);
		}
		at += 4 + n;
	}
	return (struct slice){"", 0};
}

static struct slice unicode_name(struct slice extra)
{
	struct slice field = extra_field(extra, 0x7075);
	return field.len > 5 && field.data[0] == 1 ? bytes_part(field, 5, field.len) : (struct slice){"", 0};
}

bool zip_local_header(struct slice content, size_t local, struct zip_entry *entry_r)
{
	if (!bytes_are(content, local, "PK\3\4", 4) || content.len - local < LOCAL_SIZE) {
		return false;
	}
	struct slice head = bytes_part(content, local, content.len);
	size_t name = bytes_le16(head, 26), extra = bytes_le16(head, 28);
	struct slice extras = bytes_part(head, LOCAL_SIZE + name, extra);
	struct slice wide = extra_field(extras, 1);
	*entry_r = (struct zip_entry){
	    .local = local,
	    .data = local + LOCAL_SIZE + name + extra,
	    .flags = (uint16_t)bytes_le16(head, 6),
	    .method = (uint16_t)bytes_le16(head, 8),
	    .crc = bytes_le32(head, 14),
	    .name = bytes_part(head, LOCAL_SIZE, name),
	    .unicode = unicode_name(extras),
	};
	entry_r->size = wide_value(&wide, bytes_le32(head, 22));
	entry_r->packed = wide_value(&wide, bytes_le32(head, 18));
	return entry_r->data <= content.len && (bytes_le16(head, 4) & 0xff) <= VERSION_MAX;
}

static bool add(struct zip_directory *directory, const struct zip_entry *entry)
{
	if (directory->count == directory->capacity) {
		size_t capacity = directory->capacity * 2 + 64;
		struct zip_entry *entries = realloc(directory->entries, capacity * sizeof *entries);
		if (entries == NULL) {
			return false;
		}
		directory->entries = entries;
		directory->capacity = capacity;
	}
	directory->entries[directory->count++] = *entry;
	return true;
}

/* Offsets count from the first byte of the archive: `base` when something stands before it, or from that of the file.
 */
static void find_local(struct slice content, size_t base, uint64_t offset, struct zip_entry *entry)
{
	struct zip_entry own;
	const uint64_t places[] = {base + offset, offset};
	for (size_t i = 0; i < 2; i++) {
		if (places[i] < content.len && zip_local_header(content, (size_t)places[i], &own)) {
			entry->local = own.local;
			entry->data = own.data;
			return;
		}
	}
	entry->local = offset < content.len ? (size_t)offset : content.len;
}

static bool read_central(struct slice content, size_t at, size_t base, struct zip_directory *directory, size_t *next_r)
{
	struct slice head = bytes_part(content, at, content.len);
	size_t name = bytes_le16(head, 28), extra = bytes_le16(head, 30), comment = bytes_le16(head, 32);
	struct slice extras = bytes_part(head, CENTRAL_SIZE + name, extra);
	struct slice wide = extra_field(extras, 1);
	uint32_t system = bytes_le16(head, 4) >> 8;
	struct zip_entry entry = {
	    .flags = (uint16_t)bytes_le16(head, 8),
	    .method = (uint16_t)bytes_le16(head, 10),
	    .crc = bytes_le32(head, 16),
	    .mode = system == UNIX || system == DARWIN ? (uint16_t)bytes_le16(head, 40) : 0,
	    .central = true,
	    .name = bytes_part(head, CENTRAL_SIZE, name),
	    .unicode = unicode_name(extras),
	};
	entry.size = wide_value(&wide, bytes_le32(head, 24));
	entry.packed = wide_value(&wide, bytes_le32(head, 20));
	find_local(content, base, wide_value(&wide, bytes_le32(head, 42)), &entry);
	*next_r = at + CENTRAL_SIZE + name + extra + comment;
	return add(directory, &entry);
}

/* One directory; how many entries it has is what is there, not what the end record says. */
static bool read_directory(struct slice content, size_t start, size_t base, uint64_t said, size_t entries_max,
                           struct zip_directory *directory)
{
	size_t found = 0;
	for (size_t at = start; bytes_are(content, at, "PK\1\2", 4) && content.len - at >= CENTRAL_SIZE; found++) {
		if (directory->count >= entries_max) {
			return true;
		}
		if (!read_central(content, at, base, directory, &at)) {
			return false;
		}
	}
	directory->cut = directory->cut || (found < said && found < 65535);
	return true;
}

/* Where an end record says that its directory is. */
struct end {
	uint64_t count, size, offset;
	size_t behind; /* the directory ends here */
};

static struct end read_end(struct slice content, size_t at, struct zip_directory *directory)
{
	struct end end = {.count = bytes_le16(content, at + 10),
	                  .size = bytes_le32(content, at + 12),
	                  .offset = bytes_le32(content, at + 16),
	                  .behind = at};
	uint32_t disk = bytes_le16(content, at + 4);
	directory->split = directory->split || (disk > 0 && disk < 65535);
	if (at < LOCATOR_SIZE || !bytes_are(content, at - LOCATOR_SIZE, "PK\6\7", 4)) {
		return end;
	}
	uint64_t far = bytes_le64(content, at - LOCATOR_SIZE + 8);
	size_t wide = content.len; /* the record of 64 bits: where it says, or right before the locator */
	if (far < content.len && bytes_are(content, (size_t)far, "PK\6\6", 4)) {
		wide = (size_t)far;
	} else if (at >= LOCATOR_SIZE + 56 && bytes_are(content, at - LOCATOR_SIZE - 56, "PK\6\6", 4)) {
		wide = at - LOCATOR_SIZE - 56;
	}
	if (wide < content.len) {
		end = (struct end){.count = bytes_le64(content, wide + 32),
		                   .size = bytes_le64(content, wide + 40),
		                   .offset = bytes_le64(content, wide + 48),
		                   .behind = wide};
		directory->encrypted =
		    directory->encrypted || (bytes_le64(content, wide + 4) > 44 && bytes_le16(content, wide + 58) != 0);
	}
	return end;
}

static bool read_at_end(struct slice content, size_t at, size_t entries_max, struct zip_directory *directory)
{
	struct end end = read_end(content, at, directory);
	size_t before = end.size <= end.behind ? end.behind - (size_t)end.size : content.len;
	size_t absolute = end.offset <= content.len ? (size_t)end.offset : content.len;
	bool there = bytes_are(content, before, "PK\1\2", 4);
	bool elsewhere = absolute != before && bytes_are(content, absolute, "PK\1\2", 4);
	directory->ends += there || elsewhere;
	if (!there && !elsewhere) {
		directory->encrypted = directory->encrypted || bytes_find(content, SLICE_LITERAL("PK\6\10"), 0) < content.len;
		directory->cut = directory->cut || end.count > 0;
		return true;
	}
	size_t base = there && before >= absolute ? before - absolute : 0;
	return (!there || read_directory(content, before, base, end.count, entries_max, directory)) &&
	       (!elsewhere || read_directory(content, absolute, 0, end.count, entries_max, directory));
}

static size_t find_end_before(struct slice content, size_t limit)
{
	const char *at = limit == 0 ? NULL : content.data + limit;
	while (at != NULL && at > content.data) {
		at = memrchr(content.data, 'P', (size_t)(at - content.data));
		if (at != NULL && bytes_are(content, (size_t)(at - content.data), end_mark.data, end_mark.len)) {
			return (size_t)(at - content.data);
		}
	}
	return content.len;
}

static int compare(const void *left, const void *right)
{
	const struct zip_entry *a = left, *b = right;
	if (a->local != b->local) {
		return a->local < b->local ? -1 : 1;
	}
	return a->name.data < b->name.data ? -1 : a->name.data > b->name.data;
}

static bool same(const struct zip_entry *a, const struct zip_entry *b)
{
	return a->local == b->local && a->packed == b->packed && a->method == b->method && slice_equal(a->name, b->name);
}

/* Two end records may lead to the same directory. */
static void sort(struct zip_directory *directory)
{
	size_t kept = 0;
	if (directory->count == 0) {
		return;
	}
	qsort(directory->entries, directory->count, sizeof *directory->entries, compare);
	for (size_t i = 0; i < directory->count; i++) {
		if (kept == 0 || !same(&directory->entries[kept - 1], &directory->entries[i])) {
			directory->entries[kept++] = directory->entries[i];
		}
	}
	directory->count = kept;
}

/* An end record within a member is that of an archive in the archive. */
static bool is_within_member(const struct zip_directory *directory, size_t at)
{
	for (size_t i = 0; i < directory->count; i++) {
		const struct zip_entry *entry = &directory->entries[i];
		if (entry->data != 0 && at >= entry->data && at - entry->data < entry->packed) {
			return true;
		}
	}
	return false;
}

bool zip_directory_read(struct slice content, size_t entries_max, struct zip_directory *directory_r)
{
	*directory_r = (struct zip_directory){.entries = NULL};
	size_t first = bytes_find(content, end_mark, 0), at = content.len;
	for (unsigned i = 0; i < ENDS_MAX && first < content.len; i++) {
		at = find_end_before(content, at);
		if (at == content.len) {
			break;
		}
		if (!is_within_member(directory_r, at) && !read_at_end(content, at, entries_max, directory_r)) {
			return false;
		}
	}
	if (first < at && at < content.len && !is_within_member(directory_r, first) &&
	    !read_at_end(content, first, entries_max, directory_r)) {
		return false;
	}
	sort(directory_r);
	return true;
}

void zip_directory_free(struct zip_directory *directory)
{
	free(directory->entries);
	*directory = (struct zip_directory){.entries = NULL};
}

bool zip_has_tail(struct slice content, bool strict)
{
	struct zip_directory unused = {.entries = NULL};
	size_t from = content.len > END_SIZE + COMMENT_MAX ? content.len - END_SIZE - COMMENT_MAX : 0;
	for (size_t at = bytes_find(content, end_mark, from); at < content.len;
	     at = bytes_find(content, end_mark, at + 1)) {
		struct end end = read_end(content, at, &unused);
		size_t before = end.size <= end.behind ? end.behind - (size_t)end.size : content.len;
		bool last = at + END_SIZE + bytes_le16(content, at + 20) == content.len;
		if ((last || !strict) && end.count > 0 && bytes_are(content, before, "PK\1\2", 4)) {
			return true;
		}
	}
	return false;
}
