/* history: what `mailreeve find`, `report` and `explain ID` share. */
#ifndef MAILREEVE_CTL_HISTORY_H
#define MAILREEVE_CTL_HISTORY_H

#include "lib/policy/config.h"
#include "lib/store/history.h"

#include <jansson.h>
#include <stdio.h>

/* The configuration (NULL: the installed one) and its store, opened to be read. as_daemon: root becomes the daemon's
 * user for good, as PostgreSQL may ask who it is. False with a message on standard error. Close with history_close().
 */
struct history_access {
	struct config *config;
	struct store *store;
};
bool history_open(const char *command, const char *config_path, bool as_daemon, struct history_access *access_r);
void history_close(struct history_access *access); /* one that was not opened too */

/* "mailreeve COMMAND: ..." where the result is not STORE_OK; is it? */
bool history_worked(const char *command, enum store_result result);

/* One message as JSON; mailreeve(1) lists the keys. The caller's reference. */
json_t *history_json(const struct history_message *message);

/* Where the recipient's copy is, and what became of it: "held" by the MTA; in the quarantine "stored", "releasing", "released",
 * "deleted", "expired", or "gone", when it has no record of it any more; "" nowhere. */
const char *history_copy_state(const struct history_recipient *recipient);

/* JSON of a text that may be no UTF-8: then escaped. */
json_t *history_json_text(const char *text);

#endif
