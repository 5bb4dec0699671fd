#include "inspect/rar.h"

#include "inspect/archive.h"
#include "inspect/file_format.h"
#include "inspect/rar_old.h"

#include <stdlib.h>

enum {
	MEMBERS_MAX = 100000,
	HEADER_MAX = 1 << 21, /* RAR 5 allows 2 MB */
	NAME_MAX_BYTES = 4096,
	/* version 4 */
	BLOCK_MAIN = 0x73,
	BLOCK_FILE = 0x74,
	BLOCK_END = 0x7b,
	MAIN_VOLUME = 0x0001,
	MAIN_ENCRYPTED = 0x0080,
	FILE_SPLIT = 0x0003,
	FILE_ENCRYPTED = 0x0004,
	FILE_FOLDER = 0x00e0,
	FILE_LARGE = 0x0100,
	FILE_UNICODE = 0x0200,
	BLOCK_LONG = 0x8000,
	STORED = 0x30,
	/* version 5 */
	TYPE_MAIN = 1,
	TYPE_FILE = 2,
	TYPE_ENCRYPTION = 4,
	TYPE_END = 5,
	FLAG_EXTRA = 1,
	FLAG_DATA = 2,
	FLAG_SPLIT = 0x18,
	EXTRA_ENCRYPTION = 1,
	EXTRA_LINK = 5,
};

struct member {
	struct slice name; /* as it stands in the header */
	struct slice packed;
	uint64_t size;
	bool encrypted, folder, split, stored, unicode;
	bool seen; /* its content was visited */
};

struct walk {
	struct file_scan *scan;
	struct slice content;
	struct member *members; /* heap */
	size_t count, capacity;
	bool version4; /* or older */
	bool volume, encrypted_list, cut;
	size_t failed, unpacked; /* members that libarchive could not unpack; of them, those that libunarr could */
};

static struct member *add(struct walk *walk)
{
	if (walk->count == walk->capacity && walk->count < MEMBERS_MAX) {
		size_t capacity = walk->capacity * 2 + 64;
		struct member *members = realloc(walk->members, capacity * sizeof *members);
		if (members == NULL) {
			return NULL;
		}
		walk->members = members;
		walk->capacity = capacity;
	}
	if (walk->count == walk->capacity) {
		return NULL;
	}
	walk->members[walk->count] = (struct member){.size = 0};
	return &walk->members[walk->count++];
}

/* --- version 4 --- */

static uint64_t read_file4(struct walk *walk, struct slice head, uint32_t flags, size_t at)
{
	bool large = (flags & FILE_LARGE) != 0;
	uint64_t packed = bytes_le32(head, 7) | (large ? (uint64_t)bytes_le32(head, 32) << 32 : 0);
	struct member *member = add(walk);
	if (member != NULL) {
		member->name = bytes_part(head, large ? 40 : 32, bytes_le16(head, 26));
		member->size = bytes_le32(head, 11) | (large ? (uint64_t)bytes_le32(head, 36) << 32 : 0);
		member->packed = bytes_part(walk->content, at + head.len, packed < SIZE_MAX ? (size_t)packed : SIZE_MAX);
		member->encrypted = (flags & FILE_ENCRYPTED) != 0;
		member->folder = (flags & FILE_FOLDER) == FILE_FOLDER;
		member->split = (flags & FILE_SPLIT) != 0;
		member->stored = head.len > 25 && head.data[25] == STORED;
		member->unicode = (flags & FILE_UNICODE) != 0;
	}
	return packed;
}

static void read_version4(struct walk *walk)
{
	size_t at = 7;
	while (at + 7 <= walk->content.len) {
		uint32_t type = (unsigned char)walk->content.data[at + 2], flags = bytes_le16(walk->content, at + 3),
		         size = bytes_le16(walk->content, at + 5);
		struct slice head = bytes_part(walk->content, at, size);
		uint64_t data = (flags & BLOCK_LONG) != 0 && type != BLOCK_FILE ? bytes_le32(head, 7) : 0;
		if (size < 7 || type < 0x72 || type > 0x7b) {
			walk->cut = true;
			return;
		}
		if (type == BLOCK_MAIN) {
			walk->volume = (flags & MAIN_VOLUME) != 0;
			walk->encrypted_list = (flags & MAIN_ENCRYPTED) != 0;
		} else if (type == BLOCK_FILE) {
			data = read_file4(walk, head, flags, at);
		}
		if (type == BLOCK_END || walk->encrypted_list) {
			return;
		}
		if (data > walk->content.len - at) {
			walk->cut = true;
			return;
		}
		at += size + (size_t)data;
	}
	walk->cut = walk->cut || at > walk->content.len;
}

/* The name in one byte for a letter, a NUL, then what turns it into UTF-16: two bits for each letter say how. */
static const char *unicode_name4(struct arena *arena, struct slice name)
{
	size_t end = slice_find(name, '\0', 0);
	struct slice plain = bytes_part(name, 0, end), code = bytes_part(name, end + 1, name.len);
	struct strbuf wide;
	size_t at = 1, letter = 0;
	unsigned high = code.len > 0 ? (unsigned char)code.data[0] : 0, flags = 0;
	strbuf_init(&wide, arena);
	for (unsigned bits = 0; at < code.len && wide.len < NAME_MAX_BYTES;) {
		if (bits == 0) {
			flags = (unsigned char)code.data[at++];
			bits = 8;
			continue;
		}
		unsigned how = flags >> (bits -= 2) & 3, n = 1;
		unsigned char low = (unsigned char)code.data[at++], upper = how == 1 ? (unsigned char)high : 0;
		if (how == 2) {
			upper = at < code.len ? (unsigned char)code.data[at++] : 0;
		} else if (how == 3) {
			/* a run of letters of the plain name, as they are or moved by a number */
			n = (low & 0x7fU) + 2;
			unsigned char shift = (low & 0x80) != 0 && at < code.len ? (unsigned char)code.data[at++] : 0;
			upper = (low & 0x80) != 0 ? (unsigned char)high : 0;
			for (; n > 0 && letter < plain.len; n--, letter++) {
				strbuf_add_char(&wide, (char)((unsigned char)plain.data[letter] + shift));
				strbuf_add_char(&wide, (char)upper);
			}
			continue;
		}
		strbuf_add_char(&wide, (char)low);
		strbuf_add_char(&wide, (char)upper);
		letter++;
	}
	return file_scan_name_wide(arena, (struct slice){wide.data == NULL ? "" : wide.data, wide.len}, false);
}

/* --- version 5 --- */

/* Seven bits a byte, the lowest first. Past the end: 0, and *at at the end. */
static uint64_t number5(struct slice head, size_t *at)
{
	uint64_t value = 0;
	for (unsigned shift = 0; *at < head.len && shift < 64; shift += 7) {
		unsigned char c = (unsigned char)head.data[(*at)++];
		value |= (uint64_t)(c & 0x7f) << shift;
		if ((c & 0x80) == 0) {
			return value;
		}
	}
	*at = head.len;
	return 0;
}

static bool has_extra(struct slice extra, uint64_t wanted)
{
	for (size_t at = 0; at < extra.len;) {
		uint64_t size = number5(extra, &at);
		size_t start = at;
		if (number5(extra, &at) == wanted) {
			return true;
		}
		if (size == 0 || size > extra.len - start) {
			return false;
		}
		at = start + (size_t)size;
	}
	return false;
}

static void read_file5(struct walk *walk, struct slice head, size_t at, uint64_t block_flags, struct slice extra,
                       struct slice packed)
{
	struct member *member = add(walk);
	if (member == NULL) {
		return;
	}
	uint64_t flags = number5(head, &at);
	member->size = number5(head, &at);
	number5(head, &at); /* attributes */
	at += (flags & 2) != 0 ? 4 : 0;
	at += (flags & 4) != 0 ? 4 : 0;
	uint64_t method = number5(head, &at) >> 7 & 7;
	number5(head, &at); /* operating system */
	uint64_t length = number5(head, &at);
	member->name = bytes_part(head, at, length < NAME_MAX_BYTES ? (size_t)length : NAME_MAX_BYTES);
	member->packed = packed;
	member->folder = (flags & 1) != 0;
	member->split = (block_flags & FLAG_SPLIT) != 0;
	member->stored = method == 0 && !has_extra(extra, EXTRA_LINK);
	member->encrypted = has_extra(extra, EXTRA_ENCRYPTION);
}

/* One block; false at the last. */
static bool read_block5(struct walk *walk, size_t *at)
{
	size_t start = *at + 4;
	uint64_t size = number5(walk->content, &start);
	struct slice head = bytes_part(walk->content, start, size < HEADER_MAX ? (size_t)size : HEADER_MAX);
	size_t in = 0;
	uint64_t type = number5(head, &in), flags = number5(head, &in);
	uint64_t extra = (flags & FLAG_EXTRA) != 0 ? number5(head, &in) : 0,
	         data = (flags & FLAG_DATA) != 0 ? number5(head, &in) : 0;
	if (size == 0 || size > HEADER_MAX || head.len < size || data > walk->content.len) {
		walk->cut = true;
		return false;
	}
	struct slice extras =
	    extra <= head.len ? bytes_part(head, head.len - (size_t)extra, head.len) : (struct slice){"", 0};
	struct slice packed = bytes_part(walk->content, start + head.len, (size_t)data);
	if (type == TYPE_ENCRYPTION) {
		walk->encrypted_list = true;
	} else if (type == TYPE_MAIN) {
		walk->volume = (number5(head, &in) & 1) != 0;
	} else if (type == TYPE_FILE) {
		read_file5(walk, head, in, flags, extras, packed);
	}
	walk->cut = walk->cut || packed.len < data;
	*at = start + head.len + (size_t)data;
	return type != TYPE_END && type != TYPE_ENCRYPTION && packed.len == data;
}

static void read_version5(struct walk *walk)
{
	size_t at = 8;
	while (at + 7 <= walk->content.len && read_block5(walk, &at)) {
	}
}

/* --- both --- */

static void name_member(struct walk *walk, const struct member *member, struct file_member *to)
{
	struct arena *arena = walk->scan->arena;
	struct slice plain =
	    bytes_part(member->name, 0, member->unicode ? slice_find(member->name, '\0', 0) : member->name.len);
	if (member->unicode && plain.len < member->name.len) {
		file_member_name(to, unicode_name4(arena, member->name));
	}
	file_member_name(to, file_scan_name(arena, plain, true));
}

/* What libarchive did not give: encrypted members, and those behind the one at which it stopped. */
static void visit_rest(struct walk *walk)
{
	struct file_verdict *verdict = walk->scan->verdict;
	for (size_t i = 0; i < walk->count && file_scan_goes_on(walk->scan); i++) {
		const struct member *member = &walk->members[i];
		struct file_bytes old = {.data = NULL};
		struct file_member visited = {
		    .names = {NULL}, .size = member->size, .encrypted = member->encrypted, .content = {"", 0}};
		if (member->seen || member->folder) {
			continue;
		}
		arena_reset(walk->scan->arena);
		name_member(walk, member, &visited);
		file_scan_path(walk->scan, visited.names[0]);
		if (member->encrypted) {
			file_verdict_add(verdict, FILE_CLASS_ARCHIVE_ENCRYPTED, "encrypted: %s", visited.names[0]);
		} else if (member->stored && part_budget_bytes(walk->scan->budget, member->packed.len)) {
			visited.content = member->packed;
		} else if (walk->version4 && rar_old_unpack(walk->scan, walk->content, member->name, member->size, &old)) {
			visited.content = (struct slice){old.data == NULL ? "" : old.data, old.len};
			walk->unpacked++;
		} else if (!member->split) {
			file_verdict_add(verdict, FILE_CLASS_ARCHIVE_BROKEN, "cannot be unpacked: %s", visited.names[0]);
		}
		file_scan_visit(walk->scan, &visited);
		file_bytes_free(&old);
	}
}

/* Asks which of the members that libarchive comes to, counted from 0, it should unpack. */
static bool choose(void *context, size_t index)
{
	struct walk *walk = context;
	if (index >= walk->count || walk->members[index].encrypted) {
		return false;
	}
	walk->members[index].seen = true;
	return true;
}

static void failed(void *context, size_t index)
{
	struct walk *walk = context;
	if (index < walk->count) {
		walk->members[index].seen = false;
		walk->failed++;
	}
}

static void judge(struct walk *walk, bool good)
{
	struct file_verdict *verdict = walk->scan->verdict;
	if (walk->volume) {
		file_verdict_add(verdict, FILE_CLASS_ARCHIVE_PARTIAL, "one volume of a rar archive in several");
	}
	if (walk->encrypted_list) {
		file_verdict_add(verdict, FILE_CLASS_ARCHIVE_ENCRYPTED, "the list of members is encrypted");
	} else if (walk->cut && !walk->volume) {
		file_verdict_add(verdict, FILE_CLASS_ARCHIVE_BROKEN, "the archive is cut off or damaged");
	} else if (!good && !walk->volume && walk->scan->budget->exhausted == NULL &&
	           !file_verdict_has(verdict, FILE_CLASS_ARCHIVE_ENCRYPTED)) {
		file_verdict_add(verdict, FILE_CLASS_ARCHIVE_BROKEN, "not all members can be unpacked");
	}
}

void rar_walk(struct file_scan *scan, struct slice content)
{
	struct walk walk = {.scan = scan, .content = content};
	bool good = true;
	if (content.len > 6 && content.data[6] == 1) {
		read_version5(&walk);
	} else {
		walk.version4 = true;
		read_version4(&walk);
	}
	if (!walk.encrypted_list && walk.count > 0) {
		const struct archive_choice choice = {.choose = choose, .failed = failed, .context = &walk};
		good = archive_walk_rar(scan, content, &choice);
		visit_rest(&walk);
		good = good || (walk.failed > 0 && walk.unpacked == walk.failed);
	}
	judge(&walk, good);
	free(walk.members);
}
