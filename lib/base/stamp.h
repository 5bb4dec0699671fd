/* stamp: has a file changed since it was read? */
#ifndef MAILREEVE_BASE_STAMP_H
#define MAILREEVE_BASE_STAMP_H

#include <stdbool.h>
#include <sys/stat.h>

/* Two files with the same stamp hold the same, unless they were written within one tick of the file system's clock:
 * what changed shortly before it was read is not trusted to be settled. */
struct stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
	bool settled; /* the last change is more than a second ago */
};

struct stamp stamp_of(const struct stat *status);
/* a: the older one. False in doubt: where it was not settled. */
bool stamp_same(const struct stamp *a, const struct stamp *b);

#endif
