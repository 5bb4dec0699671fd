#include "inspect/archive.h"

#include "inspect/file_format.h"
#include "inspect/seven.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdlib.h>
#include <wchar.h>

enum {
	HOLE_MAX = 65536, /* zeros that stand for a hole in a sparse file, however large it is */
	FAILURES_MAX = 32,
	ZIP_HEADER = 30,
	GZIP_HAS_NAME = 8,
	GZIP_HAS_EXTRA = 4,
};

static locale_t utf8;

void archive_init(void)
{
	if (utf8 == (locale_t)0) {
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	}
}

/* One pass through one archive. */
struct pass {
	struct file_scan *scan;
	struct slice content;
	struct archive *archive;
	const struct archive_choice *choice; /* NULL: all, and judge them */
	size_t index;                        /* of the next member */
	int format;
	bool recognized; /* it was an archive of some kind */
	bool broken;
	unsigned members;
};

static void broken(struct pass *pass, const char *what)
{
	pass->broken = true;
	if (pass->choice == NULL && pass->scan->budget->exhausted == NULL) {
		file_verdict_add(pass->scan->verdict, FILE_CLASS_ARCHIVE_BROKEN, "%s", what);
	}
}

static bool says_encrypted(struct archive *archive)
{
	const char *text = archive_error_string(archive);
	return text != NULL && (strcasestr(text, "encrypt") != NULL || strcasestr(text, "passphrase") != NULL);
}

static const char *error_text(struct archive *archive)
{
	const char *text = archive_error_string(archive);
	return text == NULL ? "damaged" : text;
}

/* All that reads from memory alone: mtree opens files; lzop, lrzip and grzip would start programs. Not those with
 * faults that were measured in 3.6.2 (Debian 12): cab writes behind its memory on damaged LZX data and reads through
 * NULL where it skips a damaged member (cab.h instead); xar does not come to an end on hard links in a ring; the Rock
 * Ridge part of iso9660 does not on a ring of continuations: it is off, and names are those of Joliet or of ISO 9660.
 */
static void support_formats(struct archive *archive)
{
	archive_read_support_format_7zip(archive);
	archive_read_support_format_ar(archive);
	archive_read_support_format_cpio(archive);
	archive_read_support_format_iso9660(archive);
	archive_read_support_format_lha(archive);
	archive_read_support_format_tar(archive);
	archive_read_set_format_option(archive, "iso9660", "rockridge", NULL);
}

static void support_tar(struct archive *archive)
{
	archive_read_support_format_tar(archive);
	archive_read_set_format_option(archive, "tar", "read_concatenated_archives", "1");
}

static const struct {
	const char *type; /* as file_format.h calls it */
	int filter;
} filters[] = {
    {"application/gzip", ARCHIVE_FILTER_GZIP},   {"application/x-bzip2", ARCHIVE_FILTER_BZIP2},
    {"application/x-xz", ARCHIVE_FILTER_XZ},     {"application/zstd", ARCHIVE_FILTER_ZSTD},
    {"application/x-lz4", ARCHIVE_FILTER_LZ4},   {"application/x-lzip", ARCHIVE_FILTER_LZIP},
    {"application/x-lzma", ARCHIVE_FILTER_LZMA}, {"application/x-rpm", ARCHIVE_FILTER_RPM},
};

/* One filter at a time, and none together with formats: what the inner ones unpack and what a format skips would not be
 * taken off the budget. */
static bool support_filter(struct archive *archive, struct slice content)
{
	const char *type = file_format_detect(content).type;
	archive_read_support_format_raw(archive);
	if (strcmp(type, "application/x-compress") == 0) {
		return archive_read_support_filter_compress(archive) ==
		       ARCHIVE_OK; /* asked for by number it reads through NULL */
	}
	for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
		if (strcmp(type, filters[i].type) == 0) {
			return archive_read_append_filter(archive, filters[i].filter) == ARCHIVE_OK;
		}
	}
	return false;
}

/* Its virtual machine for filters of version 3 asks for up to 4 GB because 125 bytes say so, and clears them: 5 s.
 * Under a worker's limit of memory it is 1 s. */
static void support_rar(struct archive *archive)
{
	archive_read_support_format_rar(archive);
	archive_read_support_format_rar5(archive);
}

static const char *entry_name(struct pass *pass, struct archive_entry *entry)
{
	const char *name = archive_entry_pathname_utf8(entry);
	if (name == NULL) {
		name = archive_entry_pathname(entry);
	}
	return file_scan_name(pass->scan->arena, slice_from(name == NULL ? "" : name), false);
}

static bool add_hole(struct pass *pass, struct file_bytes *bytes, la_int64_t to)
{
	static const char zeros[HOLE_MAX];
	uint64_t gap = to > (la_int64_t)bytes->len ? (uint64_t)to - bytes->len : 0;
	return file_bytes_add(bytes, pass->scan->budget, zeros, gap < HOLE_MAX ? (size_t)gap : HOLE_MAX);
}

/* False: the budget is used up. */
static bool read_data(struct pass *pass, struct file_bytes *bytes, int *status_r)
{
	const void *block;
	size_t n;
	la_int64_t offset, expected = 0;
	while ((*status_r = archive_read_data_block(pass->archive, &block, &n, &offset)) == ARCHIVE_OK ||
	       *status_r == ARCHIVE_WARN) {
		if (!file_scan_goes_on(pass->scan)) {
			return false;
		}
		if ((offset > expected && !add_hole(pass, bytes, (la_int64_t)bytes->len + (offset - expected))) ||
		    !file_bytes_add(bytes, pass->scan->budget, block, n)) {
			return false;
		}
		expected = offset + (la_int64_t)n;
	}
	return true;
}

static void visit(struct pass *pass, struct archive_entry *entry, const char *name, struct file_bytes *bytes,
                  bool encrypted)
{
	struct file_member member = {
	    .names = {name}, .content = {bytes->data == NULL ? "" : bytes->data, bytes->len}, .encrypted = encrypted};
	member.size = archive_entry_size_is_set(entry) && archive_entry_size(entry) > (la_int64_t)bytes->len
	                  ? (uint64_t)archive_entry_size(entry)
	                  : bytes->len;
	file_scan_visit(pass->scan, &member);
	pass->members++;
}

static void examine_links(struct pass *pass, struct archive_entry *entry, const char *name)
{
	const char *target = archive_entry_symlink_utf8(entry);
	const char *hard = archive_entry_hardlink_utf8(entry);
	file_scan_path(pass->scan, name);
	if (target != NULL) {
		file_scan_link(pass->scan, name, file_scan_name(pass->scan->arena, slice_from(target), false));
	}
	if (hard != NULL) {
		file_scan_path(pass->scan, file_scan_name(pass->scan->arena, slice_from(hard), false));
	}
}

/* Encrypted members cannot be read, and not every format says so before it is tried. */
static void visit_entry(struct pass *pass, struct archive_entry *entry)
{
	struct file_bytes bytes = {.data = NULL};
	int status = ARCHIVE_EOF;
	size_t index = pass->index++;
	if (pass->choice != NULL && !pass->choice->choose(pass->choice->context, index)) {
		return;
	}
	arena_reset(pass->scan->arena);
	const char *name = entry_name(pass, entry);
	bool folder = archive_entry_filetype(entry) == AE_IFDIR;
	bool encrypted = archive_entry_is_data_encrypted(entry) > 0;
	examine_links(pass, entry, name);
	bool going = folder || encrypted || read_data(pass, &bytes, &status);
	if (status != ARCHIVE_EOF && going) {
		encrypted = says_encrypted(pass->archive);
		if (!encrypted) {
			broken(pass, arena_printf(pass->scan->arena, "%s: %s", name, error_text(pass->archive)));
		}
	}
	if (pass->choice != NULL && bytes.len == 0 && status != ARCHIVE_EOF) {
		pass->choice->failed(pass->choice->context, index);
		going = false;
	}
	if (encrypted && pass->choice == NULL) {
		file_verdict_add(pass->scan->verdict, FILE_CLASS_ARCHIVE_ENCRYPTED, "encrypted: %s", name);
	}
	if (going && (!folder || bytes.len > 0)) {
		visit(pass, entry, name, &bytes, encrypted);
	}
	file_bytes_free(&bytes);
}

static void judge_header(struct pass *pass, int status)
{
	pass->format = archive_format(pass->archive);
	pass->recognized = pass->members > 0 || pass->format != 0;
	bool encrypted = archive_read_has_encrypted_entries(pass->archive) > 0;
	if (status == ARCHIVE_EOF && !encrypted) {
		return;
	}
	if (pass->choice == NULL && (encrypted || says_encrypted(pass->archive))) {
		file_verdict_add(pass->scan->verdict, FILE_CLASS_ARCHIVE_ENCRYPTED,
		                 pass->members == 0 ? "the list of members is encrypted" : "members are encrypted");
		return;
	}
	if (status != ARCHIVE_EOF && pass->recognized) {
		broken(pass, error_text(pass->archive));
	}
}

static void read_members(struct pass *pass)
{
	unsigned failures = 0;
	for (;;) {
		struct archive_entry *entry;
		int status = archive_read_next_header(pass->archive, &entry);
		if (!file_scan_goes_on(pass->scan)) {
			return;
		}
		if (status == ARCHIVE_OK || status == ARCHIVE_WARN) {
			visit_entry(pass, entry);
		} else if (status == ARCHIVE_EOF || status == ARCHIVE_FATAL || ++failures > FAILURES_MAX) {
			judge_header(pass, status);
			return;
		} else {
			broken(pass, error_text(pass->archive));
		}
		if (!file_scan_goes_on(pass->scan)) {
			return;
		}
	}
}

static void run(struct pass *pass, void (*support)(struct archive *))
{
	locale_t before = utf8 == (locale_t)0 ? (locale_t)0 : uselocale(utf8);
	pass->archive = archive_read_new();
	if (pass->archive != NULL) {
		support(pass->archive);
		if (archive_read_open_memory(pass->archive, pass->content.data, pass->content.len) == ARCHIVE_OK) {
			read_members(pass);
		}
		archive_read_free(pass->archive);
	}
	if (before != (locale_t)0) {
		uselocale(before);
	}
}

/* The name that gzip(1) keeps of the file it packed (RFC 1952 2.3). */
static struct slice gzip_name(struct slice content)
{
	size_t at = 10;
	unsigned flags = content.len > 10 ? (unsigned char)content.data[3] : 0;
	if (!bytes_are(content, 0, "\x1f\x8b", 2) || (flags & GZIP_HAS_NAME) == 0) {
		return (struct slice){"", 0};
	}
	if ((flags & GZIP_HAS_EXTRA) != 0) {
		at += 2 + bytes_le16(content, at);
	}
	struct slice rest = bytes_part(content, at, FILE_SCAN_NAME_MAX);
	size_t end = slice_find(rest, '\0', 0);
	return end < rest.len ? bytes_part(rest, 0, end) : (struct slice){"", 0};
}

/* "x.exe.gz" unpacks to x.exe, "x.tgz" to x.tar. */
static const char *bare_name(struct arena *arena, const char *name)
{
	const char *dot = strrchr(name, '.'), *slash = strrchr(name, '/');
	if (dot == NULL || dot == name || (slash != NULL && dot < slash)) {
		return name;
	}
	bool tar = ascii_lower(dot[1]) == 't' && dot[2] != '\0' && strcasecmp(dot, ".tar") != 0;
	return arena_printf(arena, "%.*s%s", (int)(dot - name), name, tar ? ".tar" : "");
}

static void visit_packed(struct pass *pass)
{
	struct file_bytes bytes = {.data = NULL};
	struct file_member member = {.names = {NULL}};
	int status;
	const struct part *part = pass->scan->part;
	struct slice kept = gzip_name(pass->content);
	if (kept.len > 0) {
		file_member_name(&member, file_scan_name(pass->scan->arena, kept, false));
	}
	if (part->names[0] != NULL) {
		file_member_name(&member, bare_name(pass->scan->arena, part->names[0]));
	}
	if (read_data(pass, &bytes, &status)) {
		if (status != ARCHIVE_EOF) {
			broken(pass, error_text(pass->archive));
		}
		member.content = (struct slice){bytes.data == NULL ? "" : bytes.data, bytes.len};
		member.size = bytes.len;
		file_scan_visit(pass->scan, &member);
		pass->members++;
	}
	file_bytes_free(&bytes);
}

void archive_unpack(struct file_scan *scan, struct slice content)
{
	struct pass pass = {.scan = scan, .content = content, .archive = archive_read_new()};
	struct archive_entry *entry;
	if (pass.archive == NULL) {
		return;
	}
	if (support_filter(pass.archive, content) &&
	    archive_read_open_memory(pass.archive, content.data, content.len) == ARCHIVE_OK) {
		int status = archive_read_next_header(pass.archive, &entry);
		pass.recognized = archive_filter_count(pass.archive) > 1;
		if (status == ARCHIVE_OK && pass.recognized) {
			visit_packed(&pass);
		} else if (status != ARCHIVE_EOF && pass.recognized) {
			broken(&pass, error_text(pass.archive));
		}
	}
	archive_read_free(pass.archive);
	if (!pass.recognized) {
		broken(&pass, "it looks like a packed file, and cannot be unpacked");
	}
}

static bool is_behind(void *context, size_t index)
{
	const struct pass *first = context;
	return index >= first->index;
}

static void not_read(void *context, size_t index)
{
	(void)context, (void)index;
}

/* Some programs read on behind the end of a tar archive, if another one stands there; others do not. */
static void walk_second_tar(struct pass *first)
{
	const struct archive_choice choice = {.choose = is_behind, .failed = not_read, .context = first};
	struct pass pass = {.scan = first->scan, .content = first->content, .choice = &choice};
	if (first->index > 0 && (first->format & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR) {
		run(&pass, support_tar);
		if (pass.members > 0) {
			file_verdict_add(first->scan->verdict, FILE_CLASS_ARCHIVE_AMBIGUOUS,
			                 "another archive behind the end of the first");
		}
	}
}

void archive_walk(struct file_scan *scan, struct slice content)
{
	struct pass pass = {.scan = scan, .content = content};
	if (!seven_is_plausible(content)) {
		broken(&pass, "the counts in the 7z header are too large for it");
		return;
	}
	run(&pass, support_formats);
	walk_second_tar(&pass);
	if (!pass.recognized && !file_verdict_has(scan->verdict, FILE_CLASS_ARCHIVE_ENCRYPTED)) {
		broken(&pass, "it looks like an archive, and cannot be read as one");
	}
}

bool archive_walk_rar(struct file_scan *scan, struct slice content, const struct archive_choice *choice)
{
	struct pass pass = {.scan = scan, .content = content, .choice = choice};
	run(&pass, support_rar);
	return pass.recognized && !pass.broken;
}

/* A zip archive of one member, as its streaming reader takes it: a header made here, and the packed bytes. */
struct one_member {
	char header[ZIP_HEADER + 1 + 20];
	size_t length;
	struct slice packed;
	unsigned next;
};

static void put(char *to, uint64_t value, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		to[i] = (char)(value >> (8 * i));
	}
}

static void make_header(struct one_member *one, unsigned method, uint64_t size, uint32_t crc)
{
	char *header = one->header;
	memset(header, 0, sizeof one->header);
	memcpy(header, "PK\3\4\x3f", 5);
	put(header + 8, method, 2);
	put(header + 14, crc, 4);
	put(header + 18, UINT32_MAX, 4);
	put(header + 22, UINT32_MAX, 4);
	put(header + 26, 1, 2);
	put(header + 28, 20, 2);
	header[ZIP_HEADER] = 'x';
	put(header + ZIP_HEADER + 1, 1, 2);
	put(header + ZIP_HEADER + 3, 16, 2);
	put(header + ZIP_HEADER + 5, size, 8);
	put(header + ZIP_HEADER + 13, one->packed.len, 8);
	one->length = sizeof one->header;
}

static la_ssize_t feed(struct archive *archive, void *context, const void **block_r)
{
	struct one_member *one = context;
	(void)archive;
	switch (one->next++) {
	case 0:
		*block_r = one->header;
		return (la_ssize_t)one->length;
	case 1:
		*block_r = one->packed.data;
		return (la_ssize_t)one->packed.len;
	}
	return 0;
}

static enum member_status read_one(struct pass *pass, struct one_member *one, struct file_bytes *bytes_r)
{
	struct archive_entry *entry;
	int status;
	if (archive_read_open(pass->archive, one, NULL, feed, NULL) != ARCHIVE_OK ||
	    archive_read_next_header(pass->archive, &entry) < ARCHIVE_WARN || !read_data(pass, bytes_r, &status)) {
		return MEMBER_BROKEN;
	}
	if (status == ARCHIVE_EOF) {
		return MEMBER_GOOD;
	}
	const char *text = archive_error_string(pass->archive);
	return text != NULL && strstr(text, "nsupported") != NULL ? MEMBER_UNKNOWN : MEMBER_BROKEN;
}

enum member_status archive_unpack_zip_member(struct file_scan *scan, struct slice packed, unsigned method,
                                             uint64_t size, uint32_t crc, struct file_bytes *bytes_r)
{
	struct one_member one = {.packed = packed};
	struct pass pass = {.scan = scan, .archive = archive_read_new()};
	enum member_status status = MEMBER_BROKEN;
	make_header(&one, method, size, crc);
	if (pass.archive != NULL) {
		archive_read_support_format_zip_streamable(pass.archive);
		status = read_one(&pass, &one, bytes_r);
		archive_read_free(pass.archive);
	}
	return status;
}
