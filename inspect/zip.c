#include "inspect/zip.h"

#include "inspect/archive.h"
#include "inspect/file_format.h"
#include "inspect/ooxml.h"

#include <stdlib.h>
#include <zlib.h>

enum { STORED = 0, DEFLATED = 8, TYPE_MASK = 0170000, TYPE_LINK = 0120000, TYPE_FOLDER = 0040000 };

struct walk {
	struct file_scan *scan;
	struct slice content;
	const char *shown; /* the name of the member at hand */
	bool any;          /* a member was visited */
};

static void ambiguous(struct walk *walk, const char *why)
{
	file_verdict_add(walk->scan->verdict, FILE_CLASS_ARCHIVE_AMBIGUOUS, "%s: %s", why, walk->shown);
}

static void broken(struct walk *walk, const char *why)
{
	file_verdict_add(walk->scan->verdict, FILE_CLASS_ARCHIVE_BROKEN, "%s: %s", why, walk->shown);
}

static bool is_encrypted(const struct zip_entry *entry)
{
	return (entry->flags & (ZIP_ENCRYPTED | ZIP_STRONG)) != 0 || entry->method == ZIP_AES;
}

static const char *name_of(struct walk *walk, const struct zip_entry *entry)
{
	return file_scan_name(walk->scan->arena, entry->name, (entry->flags & ZIP_UTF8) == 0);
}

static void add_names(struct walk *walk, const struct zip_entry *entry, struct file_member *member)
{
	file_member_name(member, name_of(walk, entry));
	if (entry->unicode.len > 0) {
		file_member_name(member, file_scan_name(walk->scan->arena, entry->unicode, false));
	}
}

static void visit(struct walk *walk, struct file_member *member, struct slice content)
{
	walk->any = true;
	member->content = content;
	for (size_t i = 0; member->names[i] != NULL; i++) {
		file_scan_path(walk->scan, member->names[i]);
		if (walk->scan->office != NULL && !member->encrypted) {
			ooxml_member(walk->scan->office, walk->scan, member->names[i], content);
		}
	}
	file_scan_visit(walk->scan, member);
}

/* The bytes of one member by one description. */
static bool unpack(struct walk *walk, const struct zip_entry *entry, struct slice packed, struct file_bytes *bytes)
{
	struct part_budget *budget = walk->scan->budget;
	if (entry->method == DEFLATED) {
		return file_inflate(budget, packed, true, SIZE_MAX, bytes, NULL);
	}
	enum member_status status =
	    archive_unpack_zip_member(walk->scan, packed, entry->method, entry->size, entry->crc, bytes);
	if (status == MEMBER_UNKNOWN) {
		file_verdict_add(walk->scan->verdict, FILE_CLASS_ARCHIVE_UNKNOWN, "packed by method %u: %s", entry->method,
		                 walk->shown);
	}
	return status != MEMBER_BROKEN;
}

/* Some readers stop where the header says, others where the data ends. */
static void visit_both_lengths(struct walk *walk, const struct zip_entry *entry, struct file_member *member,
                               struct slice whole)
{
	bool said = entry->central || (entry->flags & ZIP_SIZE_BEHIND) == 0;
	member->size = whole.len;
	visit(walk, member, whole);
	if (said && entry->size < whole.len) {
		ambiguous(walk, "longer than it says");
		member->size = entry->size;
		visit(walk, member, bytes_part(whole, 0, (size_t)entry->size));
	}
}

static void visit_plain(struct walk *walk, const struct zip_entry *entry, struct file_member *member)
{
	struct part_budget *budget = walk->scan->budget;
	struct file_bytes bytes = {.data = NULL};
	struct slice packed =
	    bytes_part(walk->content, entry->data, entry->packed > SIZE_MAX ? SIZE_MAX : (size_t)entry->packed);
	if (entry->data == 0 || packed.len < entry->packed) {
		broken(walk, entry->data == 0 ? "there is no such member" : "cut off");
	}
	if (entry->data == 0) {
		visit(walk, member, packed);
		return;
	}
	bool good = true;
	struct slice whole = packed;
	if (entry->method != STORED) {
		good = unpack(walk, entry, packed, &bytes);
		whole = (struct slice){bytes.data == NULL ? "" : bytes.data, bytes.len};
	} else {
		good = part_budget_bytes(budget, packed.len);
	}
	if (budget->exhausted == NULL) {
		bool told = entry->crc != 0 && (entry->central || (entry->flags & ZIP_SIZE_BEHIND) == 0);
		if (!good) {
			broken(walk, "damaged");
		} else if (told && whole.len == entry->size && crc32_z(0, (const Bytef *)whole.data, whole.len) != entry->crc) {
			broken(walk, "wrong checksum");
		}
		visit_both_lengths(walk, entry, member, whole);
	}
	file_bytes_free(&bytes);
}

static void visit_as(struct walk *walk, const struct zip_entry *entry, struct file_member *member)
{
	member->size = entry->size;
	member->encrypted = is_encrypted(entry);
	if (member->encrypted) {
		file_verdict_add(walk->scan->verdict, FILE_CLASS_ARCHIVE_ENCRYPTED, "encrypted: %s", walk->shown);
		visit(walk, member, (struct slice){"", 0});
	} else {
		visit_plain(walk, entry, member);
	}
}

/* Does the member's own header describe other bytes than the directory does? */
static bool differs(const struct zip_entry *central, const struct zip_entry *own)
{
	if (central->method != own->method || is_encrypted(central) != is_encrypted(own)) {
		return true;
	}
	bool later = (own->flags & ZIP_SIZE_BEHIND) != 0 && own->packed == 0;
	return !later && (central->packed != own->packed || central->size != own->size);
}

static bool is_folder(const struct zip_entry *entry)
{
	return entry->size == 0 && entry->packed <= 2 && entry->name.len > 0 &&
	       entry->name.data[entry->name.len - 1] == '/';
}

static void visit_link(struct walk *walk, const struct zip_entry *entry)
{
	struct slice target = bytes_part(walk->content, entry->data,
	                                 entry->packed > FILE_SCAN_NAME_MAX ? FILE_SCAN_NAME_MAX : (size_t)entry->packed);
	if ((entry->mode & TYPE_MASK) == TYPE_LINK && entry->method == STORED && entry->data != 0) {
		file_scan_link(walk->scan, walk->shown, file_scan_name(walk->scan->arena, target, false));
	}
}

static void visit_entry(struct walk *walk, const struct zip_entry *entry)
{
	struct file_member member = {.names = {NULL}};
	struct zip_entry own;
	arena_reset(walk->scan->arena); /* nothing of the member before lives on */
	walk->shown = name_of(walk, entry);
	add_names(walk, entry, &member);
	bool header = zip_local_header(walk->content, entry->local, &own);
	if (header && entry->central) {
		add_names(walk, &own, &member);
		if (!slice_equal(own.name, entry->name) && (own.flags & ZIP_MASKED) == 0) {
			ambiguous(walk, "has another name in its own header");
		}
	}
	if (is_folder(entry) && (!header || is_folder(&own))) {
		file_scan_path(walk->scan, walk->shown);
		return;
	}
	visit_link(walk, entry);
	visit_as(walk, entry, &member);
	if (header && entry->central && differs(entry, &own)) {
		ambiguous(walk, "is described in two ways");
		visit_as(walk, &own, &member);
	}
}

/* Where the member ends whose size stands behind it: where the next header or directory begins. */
static void find_size(struct slice content, struct zip_entry *entry)
{
	size_t end = content.len;
	static const struct slice marks[] = {{"PK\7\10", 4}, {"PK\3\4", 4}, {"PK\1\2", 4}};
	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		size_t at = bytes_find(bytes_part(content, 0, end), marks[i], entry->data);
		end = at < end ? at : end;
	}
	entry->packed = end - entry->data;
	entry->size = entry->method == STORED ? entry->packed : 0;
}

static bool is_plausible(const struct zip_entry *entry)
{
	if (entry->name.len == 0 || entry->name.len > 2 * FILE_SCAN_NAME_MAX || entry->method > ZIP_AES) {
		return false;
	}
	for (size_t i = 0; i < entry->name.len; i++) {
		if ((unsigned char)entry->name.data[i] < 0x20) {
			return false;
		}
	}
	return true;
}

/* Members in the bytes from *at up to `end` that no directory names. */
static void visit_hidden(struct walk *walk, size_t from, size_t end, bool directory)
{
	struct slice before = bytes_part(walk->content, 0, end);
	struct zip_entry own;
	size_t at = from;
	while ((at = bytes_find(before, SLICE_LITERAL("PK\3\4"), at)) < before.len && file_scan_goes_on(walk->scan)) {
		if (!zip_local_header(walk->content, at, &own) || !is_plausible(&own)) {
			at += 4;
			continue;
		}
		if ((own.flags & ZIP_SIZE_BEHIND) != 0 && own.packed == 0) {
			find_size(walk->content, &own);
		}
		walk->shown = name_of(walk, &own);
		if (directory) {
			ambiguous(walk, "a member that the directory does not name");
		} else {
			file_verdict_add(walk->scan->verdict, FILE_CLASS_ARCHIVE_BROKEN, "the archive has no directory");
		}
		visit_entry(walk, &own);
		at = own.packed < walk->content.len - own.data ? own.data + (size_t)own.packed : own.data;
	}
}

/* Who is told of a member may want to know whether others read the archive otherwise: that is said before. */
static void visit_all(struct walk *walk, const struct zip_directory *directory)
{
	size_t covered = 0;
	if (directory->ends > 1) {
		file_verdict_add(walk->scan->verdict, FILE_CLASS_ARCHIVE_AMBIGUOUS, "%u end records", directory->ends);
	}
	for (size_t i = 0; i < directory->count && file_scan_goes_on(walk->scan); i++) {
		const struct zip_entry *entry = &directory->entries[i];
		if (entry->data != 0 && entry->local > covered) {
			visit_hidden(walk, covered, entry->local, true);
		} else if (entry->data != 0 && entry->local < covered) {
			file_verdict_add(walk->scan->verdict, FILE_CLASS_ARCHIVE_AMBIGUOUS, "members overlap");
		}
		visit_entry(walk, entry);
		size_t rest = entry->data == 0 ? 0 : walk->content.len - entry->data;
		size_t end = entry->data + (entry->packed < rest ? (size_t)entry->packed : rest);
		covered = end > covered ? end : covered;
	}
	visit_hidden(walk, covered, walk->content.len, directory->count > 0);
}

static void judge(struct walk *walk, const struct zip_directory *directory)
{
	struct file_verdict *verdict = walk->scan->verdict;
	if (directory->split) {
		file_verdict_add(verdict, FILE_CLASS_ARCHIVE_PARTIAL, "one volume of a zip archive in several");
	}
	if (directory->encrypted) {
		file_verdict_add(verdict, FILE_CLASS_ARCHIVE_ENCRYPTED, "the directory is encrypted");
	}
	if (directory->cut) {
		file_verdict_add(verdict, FILE_CLASS_ARCHIVE_BROKEN, "the directory is damaged");
	} else if (!walk->any && bytes_find(walk->content, SLICE_LITERAL("PK\5\6"), 0) == walk->content.len) {
		file_verdict_add(verdict, FILE_CLASS_ARCHIVE_BROKEN, "no member can be read");
	}
}

void zip_walk(struct file_scan *scan, struct slice content)
{
	struct walk walk = {.scan = scan, .content = content, .shown = ""};
	struct zip_directory directory;
	size_t most = scan->budget->parts < SIZE_MAX - 1 ? (size_t)scan->budget->parts + 1 : SIZE_MAX;
	if (!zip_directory_read(content, most, &directory)) {
		scan->budget->exhausted = scan->budget->exhausted == NULL ? "out of memory" : scan->budget->exhausted;
	} else {
		visit_all(&walk, &directory);
		if (scan->budget->exhausted == NULL) {
			judge(&walk, &directory);
		}
	}
	zip_directory_free(&directory);
}
