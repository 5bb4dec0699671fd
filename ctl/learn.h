/* learn: what the parts of `mailreeve learn` share. */
#ifndef MAILREEVE_CTL_LEARN_H
#define MAILREEVE_CTL_LEARN_H

#include "lib/base/slice.h"
#include "lib/pipeline/learner.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct learn_command {
	const char *config_path, *socket, *user;
	bool attached, forget, quiet;
	enum bayes_class class;
	const char *class_name; /* "spam", "ham", "forget" */
	uint64_t message_max;   /* bytes */
	char **words;           /* files, folders, "-"; ended by NULL */
	struct config *config;  /* NULL with --socket */
	struct arena *arena;
	/* What came of it: */
	uint64_t messages, failed;
	struct learner_counts counts;
};

/* "mailreeve learn: ..." on standard error; false. */
bool learn_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- reading: a process of its own, which stays who called: after it was started this one may become the daemon's
 * user. It opens files and takes mailboxes apart, and hands the messages on through a pipe. ---- */

struct learn_reader;

/* Before any thread is made. False with a word: it cannot be started. */
struct learn_reader *learn_reader_start(const struct learn_command *command);

enum learn_next {
	LEARN_MESSAGE, /* name_r, message_r */
	LEARN_PROBLEM, /* name_r, and why it could not be read in message_r */
	LEARN_END
};
/* *name_r: "FILE" or "FILE, message 3", safe for a terminal. Both are the caller's to free(). */
enum learn_next learn_reader_next(struct learn_reader *reader, char **name_r, struct slice *message_r);
/* Ends the process. False: it did not come to its end by itself. */
bool learn_reader_close(struct learn_reader *reader);

/* ---- what is done with them; each counts in *command ---- */

bool learn_by_store(struct learn_command *command, struct learn_reader *reader);
bool learn_by_socket(struct learn_command *command, struct learn_reader *reader);

/* A message was not learnt: counted, and said. */
void learn_failed(struct learn_command *command, const char *name, const char *why);
/* From time to time, on a terminal. */
void learn_progress(struct learn_command *command, bool last);

/* mailreeve learn import FORMAT FILE */
bool learn_import(struct learn_command *command, const char *format, const char *file);

#endif
