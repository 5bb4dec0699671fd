/* databases: have the files of the virus database changed? */
#ifndef MAILREEVE_INSPECT_DATABASES_H
#define MAILREEVE_INSPECT_DATABASES_H

#include <stdbool.h>
#include <stdint.h>

/* What the files looked like: names, inodes, sizes and times of modification of all of them in one number. */
struct databases_print {
	uint64_t sum;
	uint64_t files;
};

/* paths: files and folders, NULL-ended; those that do not exist count as none. Subfolders are not looked into. */
struct databases_print databases_look(const char *const *paths);
bool databases_same(struct databases_print a, struct databases_print b);

#endif
