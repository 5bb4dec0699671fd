/* list: what the parts of `mailreeve list` share. */
#ifndef MAILREEVE_CTL_LIST_H
#define MAILREEVE_CTL_LIST_H

#include "lib/pipeline/stage_lists.h"
#include "lib/policy/config.h"
#include "lib/policy/list_text.h"
#include "lib/store/lists.h"

#include <stdio.h>

/* One call of the command: what it was asked, and what it has opened. */
struct list_command {
	const char *config_path;
	const char *owner, *expires, *note, *search;             /* NULL: not given */
	const char *check, *client, *ptr, *helo, *country, *asn; /* of show --check */
	const char *rcpt;
	bool enforced, forced, json, expired;
	char **words; /* behind the subcommand */
	int word_count;
	uint64_t now;
	const char *by; /* who calls */
	struct arena *arena;
	struct config *config;
	FILE *file;          /* of import */
	struct store *store; /* NULL: none, and none was made */
};

/* "mailreeve list: ..." on standard error; false. */
bool list_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* As the daemon's user, when we are root: no file of root's is left behind. write: makes a store where there is none.
 */
bool list_open_store(struct list_command *command, bool write);

/* What was given on the command line for every entry: owner, expiry, note. */
bool list_defaults(struct list_command *command, struct list_entry *defaults_r);

bool list_add(struct list_command *command);
bool list_remove(struct list_command *command);
bool list_import(struct list_command *command);
bool list_show(struct list_command *command);
bool list_export(struct list_command *command);

/* A growing array of entries, whose texts are copied into the command's arena. */
struct list_entries {
	struct arena *arena;
	struct list_entry *items;
	size_t count, capacity;
};
void list_entries_add(void *entries, const struct list_entry *entry); /* a store_lists_visit */
int list_compare(const void *a, const void *b);                       /* entries by owner and value, for qsort() */

#endif
