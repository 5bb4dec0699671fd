/* quarantine: what the parts of `mailreeve quarantine` share. */
#ifndef MAILREEVE_CTL_QUARANTINE_H
#define MAILREEVE_CTL_QUARANTINE_H

#include "lib/inspect/keeper.h"
#include "lib/pipeline/stage_quarantine.h"
#include "lib/policy/config.h"

#include <stdio.h>

/* One call of the command: what it was asked, and what it has opened. */
struct quarantine_command {
	const char *config_path;
	struct quarantine_filter filter; /* list; of the others owner and state */
	bool json, raw, force, mta, spam;
	char **words; /* behind the subcommand */
	int word_count;
	uint64_t now;
	const char *by; /* who calls */
	struct arena *arena;
	struct config *config;
	const struct quarantine_settings *settings;
	const char *helo;
	struct store *store;
	struct keeper *keeper; /* NULL until something is learnt */
};

/* A copy that a word on the command line means. */
struct quarantine_found {
	struct quarantine_message message; /* in the command's arena */
	struct quarantine_copy copy;
};
struct quarantine_found_list {
	struct arena *arena;
	struct quarantine_found *items;
	size_t count, capacity;
};

/* "mailreeve quarantine: ..." on standard error; false. */
bool quarantine_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What a result means, in words. */
const char *quarantine_result_text(enum quarantine_result result);

/* All copies that the filter names. False: the store is down. */
bool quarantine_find(struct quarantine_command *command, const struct quarantine_filter *filter,
                     struct quarantine_found_list *found_r);
/* Those of ID, ID/N, a support id or a queue id, and of --rcpt. False, with a word: there is none. */
bool quarantine_find_word(struct quarantine_command *command, const char *word, struct quarantine_found_list *found_r);

/* Text of the network, safe for a terminal, at most max bytes. */
const char *quarantine_safe(struct quarantine_command *command, struct slice text, size_t max);

/* Teaches Bayes what a person has decided: that a released message is good mail (where learn.release says so), or that a
 * deleted one is spam; never of one with an enforced finding. False: it could not be done, or not with --spam; said. */
bool quarantine_learn(struct quarantine_command *command, const struct quarantine_found *found, bool spam,
                      struct slice content);

bool quarantine_do_list(struct quarantine_command *command);
bool quarantine_do_show(struct quarantine_command *command);
bool quarantine_do_stats(struct quarantine_command *command);
bool quarantine_do_release(struct quarantine_command *command);
bool quarantine_do_release_and_allow(struct quarantine_command *command);
bool quarantine_do_delete(struct quarantine_command *command);
bool quarantine_do_expire(struct quarantine_command *command);

/* --mta: of what the MTA holds; words are queue ids. Nothing of ours is open. */
bool quarantine_mta_list(struct quarantine_command *command);
bool quarantine_mta_change(struct quarantine_command *command, bool release); /* else delete */

#endif
