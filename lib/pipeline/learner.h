/* learner: from the bytes of a message to what Bayes remembers of it, for all by which a message comes to be learnt:
 * `mailreeve learn`, the control socket, the addresses of stage_learn.c, the quarantine. The workers say what it is
 * made of. */
#ifndef MAILREEVE_PIPELINE_LEARNER_H
#define MAILREEVE_PIPELINE_LEARNER_H

#include "lib/inspect/keeper.h"
#include "lib/policy/config.h"
#include "lib/policy/globals.h"
#include "lib/store/bayes.h"

struct learner_order {
	enum bayes_class class;
	bool forget;       /* un-learn; class does not matter then */
	bool attached;     /* what is attached to it (message/rfc822), and not it itself */
	const char *owner; /* "": everybody's; else of learner_owner() */
	int64_t now;       /* epoch seconds */
};

/* What became of messages: by enum bayes_outcome; those that were not even tried are not counted. */
enum { LEARNER_OUTCOMES = BAYES_FORGOTTEN + 1 };
struct learner_counts {
	uint64_t of[LEARNER_OUTCOMES];
};
/* "2 learnt, 1 known already": those that are not 0; "nothing" where all are. In arena. */
const char *learner_counts_text(const struct learner_counts *counts, struct arena *arena);

/* Whose: "user@example.com" in small letters, without its subaddress; or "@example.com". In arena; NULL: it is neither.
 */
const char *learner_owner(const struct config *config, const char *text, struct arena *arena);

/* Workers that look for no viruses, for a command. Its program: see engine_inspect_program(). workers 0: as configured.
 * NULL with *error_r (free()). */
struct keeper *learner_open(const struct config *config, unsigned workers, char **error_r);

/* What a message in wire form is made of; attached: see inspect.h. *reply_r lives in arena. False: it is not known;
 * why, in *problem_r. */
bool learner_inspect(struct keeper *keeper, const struct config *config, int fd, uint64_t size, unsigned attached,
                     struct arena *arena, struct inspect_reply *reply_r, const char **problem_r);

/* What is to be learnt of a message that was inspected. Borrows its tokens. */
struct bayes_message learner_message(const struct learner_order *order, const struct inspect_reply *reply);

/* All entries of a message (bytes as in a file, see message_load()), appended to *entries_r, in arena: one, or with
 * order->attached as many as are attached. False with *problem_r. */
struct learner_entries {
	struct bayes_message *items;
	size_t count, capacity;
};
bool learner_read(struct keeper *keeper, const struct config *config, const struct learner_order *order,
                  struct slice bytes, struct arena *arena, struct learner_entries *entries_r, const char **problem_r);
extern const char learner_nothing_attached[]; /* *problem_r where nothing is attached */
/* The same of one that is in wire form already. */
bool learner_read_fd(struct keeper *keeper, const struct config *config, const struct learner_order *order, int fd,
                     uint64_t size, struct arena *arena, struct learner_entries *entries_r, const char **problem_r);

/* Writes them, durably, and adds to *counts what became of them. False with *problem_r: not all are. */
bool learner_write(struct store *store, const struct learner_order *order, struct learner_entries *entries,
                   struct learner_counts *counts, const char **problem_r);

#endif
