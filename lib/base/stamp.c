#include "lib/base/stamp.h"

#include <time.h>

struct stamp stamp_of(const struct stat *status)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (struct stamp){status->st_dev,  status->st_ino,  status->st_size,
	                      status->st_mtim, status->st_ctim, status->st_ctim.tv_sec + 1 < now.tv_sec};
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool stamp_same(const struct stamp *a, const struct stamp *b)
{
	return a->settled && a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       same_time(&a->modified, &b->modified) && same_time(&a->changed, &b->changed);
}
