/* file_format: what the bytes of a file are, by the signatures that programs go by when they open it. Only what has a
 * class or can be opened further; libmagic knows the rest (filetype.h). */
#ifndef MAILREEVE_INSPECT_FILE_FORMAT_H
#define MAILREEVE_INSPECT_FILE_FORMAT_H

#include "lib/inspect/file_class.h"

/* How a file is opened further. */
enum file_format {
	FILE_FORMAT_OTHER,
	FILE_FORMAT_PROGRAM,    /* may have an archive at its end */
	FILE_FORMAT_ZIP,        /* zip.h; OOXML and ODF too */
	FILE_FORMAT_RAR,        /* rar.h */
	FILE_FORMAT_CAB,        /* cab.h */
	FILE_FORMAT_PACKED,     /* one file, packed: archive.h */
	FILE_FORMAT_LIBARCHIVE, /* any other archive that libarchive opens: archive.h */
	FILE_FORMAT_CLOSED,     /* an archive that nobody here opens */
	FILE_FORMAT_OLE,
	FILE_FORMAT_RTF,
	FILE_FORMAT_PDF,
	FILE_FORMAT_ONENOTE,
	FILE_FORMAT_SHORTCUT /* a Windows shell link */
};

struct file_kind {
	enum file_format format;
	const char *type; /* media type; NULL: ask libmagic */
	const char *what; /* "a Windows program", for reasons; "" for FILE_FORMAT_OTHER */
	uint64_t classes;
};

/* Reads the signatures of `content` only: bounded, whatever its size. */
struct file_kind file_format_detect(struct slice content);

/* Little and big endian numbers at an offset; 0 where the content ends before. */
uint32_t bytes_le16(struct slice content, size_t at);
uint32_t bytes_le32(struct slice content, size_t at);
uint64_t bytes_le64(struct slice content, size_t at);
uint32_t bytes_be32(struct slice content, size_t at);

/* n bytes at an offset, less where the content ends before. */
struct slice bytes_part(struct slice content, size_t at, size_t n);
bool bytes_are(struct slice content, size_t at, const char *bytes, size_t n);

/* Position of the pattern at or after `from`, or content.len. */
size_t bytes_find(struct slice content, struct slice pattern, size_t from);

#endif
