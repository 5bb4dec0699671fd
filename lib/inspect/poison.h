/* poison: content on which a worker has died, hung or gone mad, by its hash. One failure may be an accident; the second
 * of the same content is its doing, and no third worker is given to it. Safe from any thread. */
#ifndef MAILREEVE_INSPECT_POISON_H
#define MAILREEVE_INSPECT_POISON_H

#include "lib/mail/message.h"

enum {
	POISON_MAX = 4096,          /* contents that are remembered: the oldest gives way */
	POISON_SECONDS = 24 * 3600, /* since the last failure */
	POISON_FAILURES = 2
};

struct poison;

struct poison *poison_create(void);
void poison_destroy(struct poison *poison); /* takes NULL */

/* Has the content failed POISON_FAILURES times? now: monotonic. Costs nothing while nothing has failed. */
bool poison_is(struct poison *poison, const struct message *message, uint64_t now);
/* Counts a failure of it; true when it has been the last one that is borne. */
bool poison_count(struct poison *poison, const struct message *message, uint64_t now);
size_t poison_size(struct poison *poison); /* contents that are remembered */

#endif
