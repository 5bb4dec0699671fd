/* archive: archives by libarchive, from memory, with the formats and filters that need no file and no other program.
 * Zip is read by zip.h, the headers of rar by rar.h. */
#ifndef MAILREEVE_INSPECT_ARCHIVE_H
#define MAILREEVE_INSPECT_ARCHIVE_H

#include "inspect/file_scan.h"

/* Once, in the nursery: names in UTF-8 need a locale, which is a file. Without it they have "?" in them. */
void archive_init(void);

/* Visits the members of an archive that is not packed as a whole. Adds archive_encrypted, archive_broken ... to the
 * verdict. */
void archive_walk(struct file_scan *scan, struct slice content);

/* Visits what a file packed by gzip, xz and the like unpacks to; an archive in it is the visitor's business. */
void archive_unpack(struct file_scan *scan, struct slice content);

/* Which members to unpack, counted from 0; and word that one could not be, so that it was not visited. */
struct archive_choice {
	bool (*choose)(void *context, size_t index);
	void (*failed)(void *context, size_t index);
	void *context;
};

/* The chosen members of a rar archive; true when all could be read to the end. Nothing is added to the verdict: rar.h
 * knows better why. */
bool archive_walk_rar(struct file_scan *scan, struct slice content, const struct archive_choice *choice);

enum member_status {
	MEMBER_GOOD,
	MEMBER_BROKEN, /* unpacked as far as it went */
	MEMBER_UNKNOWN /* packed by a method that nobody here knows */
};

/* One member of a zip archive, packed by anything but deflate. */
enum member_status archive_unpack_zip_member(struct file_scan *scan, struct slice packed, unsigned method,
                                             uint64_t size, uint32_t crc, struct file_bytes *bytes_r);

#endif
