/* ole: a reader of OLE compound files ([MS-CFB]), bounded by the file's size: a chain longer than the file has sectors
 * is a loop, and ends. */
#ifndef MAILREEVE_INSPECT_OLE_H
#define MAILREEVE_INSPECT_OLE_H

#include "inspect/file_scan.h"

enum { OLE_ENTRIES_MAX = 4096, OLE_NAME_MAX = 128 };

enum ole_kind { OLE_KIND_NONE = 0, OLE_KIND_STORAGE = 1, OLE_KIND_STREAM = 2, OLE_KIND_ROOT = 5 };

struct ole_entry {
	char name[OLE_NAME_MAX]; /* UTF-8; control bytes as they are */
	enum ole_kind kind;
	int parent; /* index of the storage it is in; -1 for the root and for what no storage holds */
	uint32_t start;
	uint64_t size;
	unsigned char class_id[16];
};

struct ole {
	struct slice content;
	size_t sector; /* bytes */
	uint32_t mini_cutoff;
	uint32_t *fat_sectors; /* where the parts of the FAT are */
	size_t fat_count;
	uint32_t *mini_stream; /* the sectors of the mini stream */
	size_t mini_count;
	uint32_t mini_fat;
	struct ole_entry *entries;
	size_t count, most;
	bool broken; /* something pointed to nowhere */
};

/* NULL: not a compound file. All memory is in arena. */
struct ole *ole_open(struct slice content, struct arena *arena);

/* At most `most` bytes of a stream; less where the file is damaged. False: no budget left. */
bool ole_read(struct ole *ole, const struct ole_entry *entry, size_t most, struct part_budget *budget,
              struct file_bytes *bytes_r);

/* The entry of that name (ASCII, any case) in a storage, or anywhere when parent is -2; NULL: there is none. */
const struct ole_entry *ole_find(const struct ole *ole, int parent, const char *name);

#endif
