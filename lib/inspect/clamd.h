/* clamd: viruses looked for by a clamd that runs anyway, instead of the workers' libclamav. Spoken to by the daemon
 * itself over a unix socket (clamd(8): zFILDES, zVERSION): it passes a descriptor and reads one line, bounded. */
#ifndef MAILREEVE_INSPECT_CLAMD_H
#define MAILREEVE_INSPECT_CLAMD_H

#include "lib/inspect/inspect.h"

struct clamd {
	const char *socket;  /* path of its LocalSocket */
	const char *tmp_dir; /* for the copies of large messages, in files without a name */
};

/* Blocks until the answer or the deadline (monotonic). Fills the virus_ members of *reply_r; whatever keeps clamd from
 * an answer is INSPECT_VIRUS_NOT_SCANNED. clamd is given a copy, behind CLAMAV_LEAD as libclamav is. */
void clamd_scan(const struct clamd *clamd, int message_fd, uint64_t size, uint64_t deadline, struct arena *arena,
                struct inspect_reply *reply_r);

/* The same for a file as it is, from its start: a tar of what the message carries. The worse of its result and of what
 * *reply_r holds stays there. */
void clamd_scan_files(const struct clamd *clamd, int fd, uint64_t deadline, struct arena *arena,
                      struct inspect_reply *reply_r);

/* What clamd has loaded. NULL, or why it does not tell; in arena or static. */
const char *clamd_database(const struct clamd *clamd, uint64_t deadline, struct arena *arena,
                           struct inspect_database *database_r);

#endif
