#include "inspect/rar_old.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wundef"
#include <unarr.h>
#pragma GCC diagnostic pop

enum { PIECE = 65536, ENTRIES_MAX = 10000 };

/* The library writes folders with "/". */
static bool same_name(const char *theirs, struct slice ours)
{
	if (theirs == NULL || strlen(theirs) != ours.len) {
		return false;
	}
	for (size_t i = 0; i < ours.len; i++) {
		if (theirs[i] != ours.data[i] && !(theirs[i] == '/' && ours.data[i] == '\\')) {
			return false;
		}
	}
	return true;
}

static bool find(ar_archive *archive, struct slice name, uint64_t size)
{
	for (unsigned i = 0; i < ENTRIES_MAX && ar_parse_entry(archive); i++) {
		if (ar_entry_get_size(archive) == size && same_name(ar_entry_get_name(archive), name)) {
			return true;
		}
	}
	return false;
}

static bool unpack(struct file_scan *scan, ar_archive *archive, uint64_t size, struct file_bytes *bytes)
{
	char piece[PIECE];
	while (size > 0 && file_scan_goes_on(scan)) {
		size_t n = size < PIECE ? (size_t)size : PIECE;
		if (!ar_entry_uncompress(archive, piece, n) || !file_bytes_add(bytes, scan->budget, piece, n)) {
			return false;
		}
		size -= n;
	}
	return size == 0;
}

bool rar_old_unpack(struct file_scan *scan, struct slice content, struct slice name, uint64_t size,
                    struct file_bytes *bytes_r)
{
	*bytes_r = (struct file_bytes){.data = NULL};
	ar_stream *stream = ar_open_memory(content.data, content.len);
	ar_archive *archive = stream == NULL ? NULL : ar_open_rar_archive(stream);
	bool good = archive != NULL && find(archive, name, size) && unpack(scan, archive, size, bytes_r);
	if (archive != NULL) {
		ar_close_archive(archive);
	}
	if (stream != NULL) {
		ar_close(stream);
	}
	return good;
}
