/* export: what a message carries, for a scanner outside of the worker: a tar (POSIX ustar) of the files' contents,
 * which clamd unpacks. The names in it are ours. */
#ifndef MAILREEVE_INSPECT_EXPORT_H
#define MAILREEVE_INSPECT_EXPORT_H

#include "lib/base/slice.h"

struct export
{
	int fd; /* -1: nothing is in it */
	unsigned count;
	bool failed; /* there was no room for some of them */
};

void export_open(struct export *export_r);
void export_add(struct export *export, struct slice content);
/* The file, at its start, without a name; the caller closes it. -1: nothing is in it. */
int export_close(struct export *export);

#endif
