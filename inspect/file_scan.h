/* file_scan: the walk through the inside of one file: who asked, what it may cost, whom to tell. Shared by all that
 * open files (zip.h, rar.h, ole.h ...). */
#ifndef MAILREEVE_INSPECT_FILE_SCAN_H
#define MAILREEVE_INSPECT_FILE_SCAN_H

#include "lib/inspect/file_class.h"
#include "inspect/part.h"

enum { FILE_SCAN_NAME_MAX = 512, FILE_MEMBER_NAMES = 4 };

struct file_scan {
	const struct part *part;
	struct part_budget *budget;
	part_visitor *visitor; /* NULL: only the verdict is wanted */
	void *context;
	struct file_verdict *verdict; /* of the part; what is found inside is added */
	struct arena *arena;          /* ends with the walk */
	struct ooxml *office;         /* what the members of a zip have told; ooxml.h */
};

/* A member: names as they stand in the file, NULL-ended, first the most usual. */
struct file_member {
	const char *names[FILE_MEMBER_NAMES + 1];
	struct slice content;
	uint64_t size;
	bool encrypted;
};

/* Tells the visitor of a member; false when the budget is used up. */
bool file_scan_visit(struct file_scan *scan, const struct file_member *member);

/* Adds a name that the member does not have yet; one that does not fit is dropped. */
void file_member_name(struct file_member *member, const char *name);

/* Does the name lead out of the folder ("../x", "/x", "C:\x")? Adds archive_path then. */
void file_scan_path(struct file_scan *scan, const char *name);

/* The same for what a link of that name points to. */
void file_scan_link(struct file_scan *scan, const char *name, const char *target);

/* Is there budget left, and time? */
bool file_scan_goes_on(struct file_scan *scan);

/* The name in UTF-8: what is no UTF-8 is taken for code page 437 (dos) or Latin-1; control bytes become "?"; of one
 * that is longer than FILE_SCAN_NAME_MAX the end is kept, where the extension is. */
const char *file_scan_name(struct arena *arena, struct slice raw, bool dos);
/* From UTF-16, little or big endian. */
const char *file_scan_name_wide(struct arena *arena, struct slice raw, bool big);

/* Bytes that grow as they are unpacked; each is taken off the budget first. */
struct file_bytes {
	char *data; /* heap */
	size_t len;
	size_t capacity;
};

/* False: no budget or no memory left (exhausted is set). */
bool file_bytes_add(struct file_bytes *bytes, struct part_budget *budget, const void *data, size_t n);
void file_bytes_free(struct file_bytes *bytes);

/* zlib. raw: deflate without a header. Unpacks what it can, at most `most` bytes. False: the data is damaged or ends
 * too early, or the budget is used up. used_r: bytes of input taken; may be NULL. */
bool file_inflate(struct part_budget *budget, struct slice packed, bool raw, size_t most, struct file_bytes *bytes,
                  size_t *used_r);

#endif
