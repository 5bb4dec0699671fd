/* report_reader: files of strangers into reports, by a child process that can do nothing but read what it was given. */
#ifndef MAILREEVE_CTL_REPORT_READER_H
#define MAILREEVE_CTL_REPORT_READER_H

#include "lib/base/slice.h"

#include <jansson.h>

enum {
	REPORT_READER_FILE_MAX = 32 << 20,      /* bytes of a file */
	REPORT_READER_UNPACKED_MAX = 64 << 20, /* bytes of what is in it */
	REPORT_READER_SECONDS = 60
};

/* Call it while the process has one thread: it forks. A message, an .xml or .json file, or one of these in gzip or zip. An array of reports (report_read.h), each with "kind", or
 * {"problem": text} for what looked like one and is none. NULL: the child failed; *problem_r says how, in arena. */
json_t *report_reader_run(struct slice file, struct arena *arena, const char **problem_r);

#endif
