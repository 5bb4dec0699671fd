#include "inspect/export.h"

#include "inspect/sandbox.h"
#include "lib/base/io.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { BLOCK = 512 };

/* POSIX.1-1988, 10.1.1: the fields of a ustar header that matter here. */
struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6], version[2];
	char rest[BLOCK - 265];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

void export_open(struct export *export_r)
{
	*export_r = (struct export){.fd = -1};
}

static int open_nameless(void)
{
	char path[4200];
	snprintf(path, sizeof path, "%s/export", sandbox_directory());
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0) {
		unlink(path);
	}
	return fd;
}

static void fill_header(struct header *header_r, unsigned number, size_t size)
{
	unsigned sum = 0;
	memset(header_r, 0, sizeof *header_r);
	snprintf(header_r->name, sizeof header_r->name, "%u", number);
	memcpy(header_r->mode, "0000600", 8);
	memcpy(header_r->uid, "0000000", 8);
	memcpy(header_r->gid, "0000000", 8);
	snprintf(header_r->size, sizeof header_r->size, "%011zo", size);
	memcpy(header_r->mtime, "00000000000", 12);
	memset(header_r->checksum, ' ', sizeof header_r->checksum);
	header_r->type = '0';
	memcpy(header_r->magic, "ustar", 6);
	memcpy(header_r->version, "00", 2);
	for (size_t i = 0; i < sizeof *header_r; i++) {
		sum += ((const unsigned char *)header_r)[i];
	}
	snprintf(header_r->checksum, sizeof header_r->checksum, "%06o", sum);
}

void export_add(struct export *export, struct slice content)
{
	static const char zeros[BLOCK];
	struct header header;
	if (export->fd < 0 && !export->failed) {
		export->fd = open_nameless();
	}
	fill_header(&header, export->count++, content.len);
	export->failed = export->failed || export->fd < 0 || !io_write_all(export->fd, (const char *)&header, sizeof header) ||
	                 !io_write_all(export->fd, content.data, content.len) ||
	                 !io_write_all(export->fd, zeros, (BLOCK - content.len % BLOCK) % BLOCK);
}

int export_close(struct export *export)
{
	static const char end[2 * BLOCK];
	int fd = export->fd;
	export->fd = -1;
	if (fd >= 0 && !export->failed && (!io_write_all(fd, end, sizeof end) || lseek(fd, 0, SEEK_SET) != 0)) {
		export->failed = true;
	}
	if (fd >= 0 && export->failed) {
		close(fd);
		return -1;
	}
	return fd;
}
