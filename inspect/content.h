/* content: the files of one message: finds them all, in every reading and at every depth, says what they are, and has
 * each scanned once. */
#ifndef MAILREEVE_INSPECT_CONTENT_H
#define MAILREEVE_INSPECT_CONTENT_H

#include "inspect/tokens.h"
#include "lib/inspect/pool.h"

/* Nursery, while files can be read. NULL, or what is wrong, in arena. */
const char *content_load(struct arena *arena);

/* Worker. tasks: INSPECT_VIRUS, INSPECT_FILES, INSPECT_URLS, INSPECT_EXPORT: for that, and else -1, *files_fd_r (export.h). Fills the members of *reply_r that tell of files and viruses, and what
 * they cost. tokens: NULL, or is given the message's files too. message: CLAMAV_LEAD stands in front of it in memory. */
void content_inspect(struct slice message, unsigned tasks, uint32_t deadline_ms, const struct pool_settings *settings,
                     struct tokens *tokens, struct arena *arena, struct inspect_reply *reply_r, int *files_fd_r);

#endif
