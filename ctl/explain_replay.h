/* explain_replay: a message of the history judged again, as it came then, beside what was recorded. */
#ifndef MAILREEVE_CTL_EXPLAIN_REPLAY_H
#define MAILREEVE_CTL_EXPLAIN_REPLAY_H

#include "ctl/explain_run.h"

/* Shows what the history has of the message with that queue id or support id, and judges it again where the message is
 * there: in file, or file NULL: in the quarantine (where a copy of it is held, or was not long ago), or where none was ever
 * sent, by its envelope. whole: the three as one object, an error when it cannot be judged again; else the record is
 * what is shown, and the rest is added to it. False with a message on standard error. */
bool explain_replay(const struct explain_options *options, const char *id, const char *file, bool whole);

#endif
