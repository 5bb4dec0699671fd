/* zip: every plausible reading of a zip archive (APPNOTE 6.3.10).
 *
 * Programs differ in which end record they take, in whether they believe the directory or the members' own headers, and
 * in where they count offsets from. Here the members of all directories are visited, and those that no directory names;
 * where the two descriptions of a member differ, both are followed. A difference adds archive_ambiguous. */
#ifndef MAILREEVE_INSPECT_ZIP_H
#define MAILREEVE_INSPECT_ZIP_H

#include "inspect/file_scan.h"

/* content: the part's, or what stands behind a program. */
void zip_walk(struct file_scan *scan, struct slice content);

/* Does it end in an end record with a directory before it? strict: with nothing behind it. */
bool zip_has_tail(struct slice content, bool strict);

/* --- between zip.c and zip_directory.c --- */

enum { ZIP_ENCRYPTED = 1, ZIP_SIZE_BEHIND = 8, ZIP_STRONG = 64, ZIP_UTF8 = 2048, ZIP_MASKED = 8192, ZIP_AES = 99 };

/* One description of a member. */
struct zip_entry {
	size_t local; /* where its own header is */
	size_t data;  /* where its bytes are; 0 when there is no header there */
	uint64_t packed, size;
	uint32_t crc;
	uint16_t method, flags;
	uint16_t mode; /* of Unix, 0 where it was not made there */
	bool central;  /* the directory's words, not the member's own */
	struct slice name;
	struct slice unicode; /* Info-ZIP's extra field 0x7075, or empty */
};

struct zip_directory {
	struct zip_entry *entries; /* heap; sorted by `local` */
	size_t count, capacity;
	unsigned ends;  /* end records that lead to a directory */
	bool encrypted; /* the directory itself is */
	bool split;     /* over several volumes */
	bool cut;       /* entries said to be there are not */
};

/* False: no memory. */
bool zip_directory_read(struct slice content, size_t entries_max, struct zip_directory *directory_r);
void zip_directory_free(struct zip_directory *directory);

/* The header at `local`; false when there is none that makes sense. */
bool zip_local_header(struct slice content, size_t local, struct zip_entry *entry_r);

#endif
