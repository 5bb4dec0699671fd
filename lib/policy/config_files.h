/* config_files: the files that rules of a configuration name (file:PATH). They are read with it; the daemon looks
 * whether they have changed since. */
#ifndef MAILREEVE_POLICY_CONFIG_FILES_H
#define MAILREEVE_POLICY_CONFIG_FILES_H

#include "lib/policy/config.h"

struct config_stamp {
	uint64_t own;   /* of the configuration file itself */
	uint64_t files; /* of those that it names; 0: none, or one so young that it may have changed since it was read */
};

/* As they are now: by device, inode, size and times, also of a file that is not there. */
struct config_stamp config_files_stamp(const struct config *config);

/* Have the files changed since config was read, and is the configuration file itself as it was? One that an operator is
 * just editing waits for him. now_r: the files' stamp. */
bool config_files_changed(const struct config *config, uint64_t *now_r);

#endif
