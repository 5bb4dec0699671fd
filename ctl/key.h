/* key: what the parts of `mailreeve key` share. */
#ifndef MAILREEVE_CTL_KEY_H
#define MAILREEVE_CTL_KEY_H

#include "ctl/key_folder.h"
#include "ctl/key_record.h"
#include "lib/policy/config.h"

/* One call of the command: what it was asked, and what it has opened. */
struct key_command {
	const char *config_path, *dns_zone;
	const char *domain, *selector; /* NULL: not given */
	bool rsa, ed25519;
	unsigned bits;
	bool json, check, force;
	struct arena *arena;
	struct config *config;
	struct key_folder folder;
	struct keys *keys;
	struct dns *dns;
	struct lookups *lookups;
};

/* Asks the DNS for a key's record; false when there is no resolver. */
typedef bool key_asker(struct key_command *command, const struct keystore_key *item,
                       struct key_publication *publication_r);

/* `key list`. False when an active key cannot be used or, with --check, is not published. */
bool key_list(struct key_command *command, key_asker *ask);

/* For `config check`: a line "warning: ..." for everything in the folder of the configuration that is not as it should
 * be. */
void key_warn(const struct config *config);

#endif
