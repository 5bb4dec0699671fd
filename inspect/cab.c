#include "inspect/cab.h"

#include "inspect/file_format.h"

#include <zlib.h>

enum {
	HAS_PREVIOUS = 1,
	HAS_NEXT = 2,
	HAS_RESERVE = 4,
	NAME_UTF8 = 0x80,
	FOLDER = 8,
	FILE_HEAD = 16,
	DATA_HEAD = 8,
	BLOCK_MAX = 32768, /* unpacked; also what a block may look back into */
	METHOD_STORED = 0,
	METHOD_MSZIP = 1,
	CONTINUED = 0xfffd, /* a folder number from here on: a file that reaches into another cabinet */
};

struct walk {
	struct file_scan *scan;
	struct slice content;
	size_t folders, reserve_folder, reserve_data; /* where they begin; bytes */
	uint32_t folder_count, file_count, flags;
};

static bool read_header(struct walk *walk)
{
	struct slice content = walk->content;
	size_t at = 36;
	walk->folder_count = bytes_le16(content, 26);
	walk->file_count = bytes_le16(content, 28);
	walk->flags = bytes_le16(content, 30);
	if ((walk->flags & HAS_RESERVE) != 0) {
		walk->reserve_folder = content.len > 38 ? (unsigned char)content.data[38] : 0;
		walk->reserve_data = content.len > 39 ? (unsigned char)content.data[39] : 0;
		at += 4 + (size_t)bytes_le16(content, 36);
	}
	for (unsigned i = 0; i < ((walk->flags & HAS_PREVIOUS) != 0 ? 2U : 0U) + ((walk->flags & HAS_NEXT) != 0 ? 2U : 0U);
	     i++) {
		at = slice_find(content, '\0', at < content.len ? at : content.len) + 1;
	}
	walk->folders = at;
	return at < content.len;
}

/* One block of MSZIP: "CK", then deflate that looks back into the block before. */
static bool unpack_block(struct walk *walk, struct slice block, size_t size, struct file_bytes *bytes)
{
	unsigned char out[BLOCK_MAX];
	size_t window = bytes->len < BLOCK_MAX ? bytes->len : BLOCK_MAX;
	struct slice packed = bytes_part(block, 2, block.len);
	z_stream stream = {.next_in = (Bytef *)(uintptr_t)packed.data,
	                   .avail_in = (uInt)packed.len,
	                   .next_out = out,
	                   .avail_out = sizeof out};
	if (!bytes_are(block, 0, "CK", 2) || inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
		return false;
	}
	if (window > 0) {
		inflateSetDictionary(&stream, (const Bytef *)bytes->data + bytes->len - window, (uInt)window);
	}
	int status = inflate(&stream, Z_FINISH);
	size_t n = sizeof out - stream.avail_out;
	inflateEnd(&stream);
	return file_bytes_add(bytes, walk->scan->budget, out, n) && status == Z_STREAM_END && n == size;
}

/* All that a folder holds; its members are pieces of it. False: damaged, or cut off. */
static bool unpack_folder(struct walk *walk, size_t head, uint32_t method, struct file_bytes *bytes)
{
	size_t at = bytes_le32(walk->content, head);
	for (uint32_t i = 0; i < bytes_le16(walk->content, head + 4) && file_scan_goes_on(walk->scan); i++) {
		size_t packed = bytes_le16(walk->content, at + 4), size = bytes_le16(walk->content, at + 6);
		struct slice block = bytes_part(walk->content, at + DATA_HEAD + walk->reserve_data, packed);
		bool good = block.len == packed && packed > 0 &&
		            (method == METHOD_STORED ? file_bytes_add(bytes, walk->scan->budget, block.data, block.len)
		                                     : unpack_block(walk, block, size, bytes));
		if (!good) {
			return false;
		}
		at += DATA_HEAD + walk->reserve_data + packed;
	}
	return true;
}

static size_t read_file(struct walk *walk, size_t at, struct file_member *member_r)
{
	struct slice rest = bytes_part(walk->content, at + FILE_HEAD, FILE_SCAN_NAME_MAX);
	size_t end = slice_find(rest, '\0', 0);
	bool utf8 = (bytes_le16(walk->content, at + 14) & NAME_UTF8) != 0;
	*member_r = (struct file_member){.names = {file_scan_name(walk->scan->arena, bytes_part(rest, 0, end), !utf8)},
	                                 .content = {"", 0},
	                                 .size = bytes_le32(walk->content, at)};
	return at + FILE_HEAD + end + 1;
}

/* The files of one folder, or, beyond the last, of none: names alone. */
static void visit_files(struct walk *walk, uint32_t folder, const struct file_bytes *bytes)
{
	size_t at = bytes_le32(walk->content, 16);
	for (uint32_t i = 0; i < walk->file_count && at + FILE_HEAD < walk->content.len && file_scan_goes_on(walk->scan);
	     i++) {
		struct file_member member;
		uint32_t in = bytes_le16(walk->content, at + 8);
		size_t offset = bytes_le32(walk->content, at + 4);
		arena_reset(walk->scan->arena);
		at = read_file(walk, at, &member);
		bool none = in >= walk->folder_count && folder == walk->folder_count;
		if (in != folder && !none) {
			continue;
		}
		file_scan_path(walk->scan, member.names[0]);
		if (bytes != NULL && bytes->data != NULL) {
			member.content = bytes_part((struct slice){bytes->data, bytes->len}, offset, (size_t)member.size);
		}
		if (member.content.len < member.size && bytes != NULL && in < CONTINUED) {
			file_verdict_add(walk->scan->verdict, FILE_CLASS_ARCHIVE_BROKEN, "damaged or cut off: %s", member.names[0]);
		}
		file_scan_visit(walk->scan, &member);
	}
}

static void walk_folder(struct walk *walk, uint32_t folder)
{
	struct file_bytes bytes = {.data = NULL};
	size_t head = walk->folders + folder * (FOLDER + walk->reserve_folder);
	uint32_t method = bytes_le16(walk->content, head + 6) & 15;
	if (method != METHOD_STORED && method != METHOD_MSZIP) {
		file_verdict_add(walk->scan->verdict, FILE_CLASS_ARCHIVE_UNKNOWN, "a cabinet packed by %s",
		                 method == 3 ? "LZX" : "Quantum");
		visit_files(walk, folder, NULL);
		return;
	}
	if (!unpack_folder(walk, head, method, &bytes) && walk->scan->budget->exhausted == NULL) {
		file_verdict_add(walk->scan->verdict, FILE_CLASS_ARCHIVE_BROKEN, "a folder of the cabinet is damaged");
	}
	visit_files(walk, folder, &bytes);
	file_bytes_free(&bytes);
}

void cab_walk(struct file_scan *scan, struct slice content)
{
	struct walk walk = {.scan = scan, .content = content};
	if (!read_header(&walk)) {
		file_verdict_add(scan->verdict, FILE_CLASS_ARCHIVE_BROKEN, "the cabinet's header is cut off");
		return;
	}
	if ((walk.flags & (HAS_PREVIOUS | HAS_NEXT)) != 0) {
		file_verdict_add(scan->verdict, FILE_CLASS_ARCHIVE_PARTIAL, "one cabinet of several");
	}
	if (walk.file_count > 0 && bytes_le32(content, 16) + FILE_HEAD > content.len) {
		file_verdict_add(scan->verdict, FILE_CLASS_ARCHIVE_BROKEN, "the cabinet is cut off");
	}
	for (uint32_t i = 0; i < walk.folder_count && file_scan_goes_on(scan); i++) {
		walk_folder(&walk, i);
	}
	visit_files(&walk, walk.folder_count, NULL);
}
