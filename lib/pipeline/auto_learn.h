/* auto_learn: Bayes learns messages whose case is clear without it (learn.auto). Nobody waits for that: when a
 * transaction is forgotten its tokens go to a short queue, from which a thread learns them as far as the caps allow.
 *
 * A sender would like to choose what is learnt. Hence: only inbound mail, for all recipients together; the points of
 * Bayes do not count, and what it holds to be the contrary is not learnt, so that it cannot talk itself into anything;
 * good mail only of an author's domain that is authenticated; nothing with a virus or another enforced finding; a
 * network of clients gets a few messages a day, a class some hundred, and neither much more than the other. What a
 * person has said of a message stays; what he says later moves what was learnt here, like everything. */
#ifndef MAILREEVE_PIPELINE_AUTO_LEARN_H
#define MAILREEVE_PIPELINE_AUTO_LEARN_H

#include "lib/store/bayes.h"

struct auto_learn;
struct learn_settings;
struct session;

struct auto_learn *auto_learn_start(struct store *store); /* NULL: there is no thread */
void auto_learn_stop(struct auto_learn *learn);    /* what waits is lost; offers after that are ignored. Takes NULL */
void auto_learn_destroy(struct auto_learn *learn); /* stops it; takes NULL */

/* Where session ended with a verdict, and its mail is to be learnt: queues a copy. learn may be NULL. */
void auto_learn_offer(struct auto_learn *learn, const struct session *session);

/* What a judged message is to be learnt as; 0: not at all, with why in *why_r. */
enum bayes_class auto_learn_class(const struct session *session, const struct learn_settings *settings,
                                  const char **why_r);

/* For the queue alone. tokens are copied. False: it is full, and the message is dropped. */
enum { AUTO_LEARN_QUEUE_MAX = 256 };
struct auto_learn_order {
	enum bayes_class class;
	uint8_t digest[BAYES_DIGEST_SIZE];
	uint32_t version;
	const uint64_t *tokens;
	size_t count;
	int64_t now; /* epoch seconds */
	char support_id[16], network[64];
	uint64_t daily_max, client_max;
	double balance;
};
bool auto_learn_add(struct auto_learn *learn, const struct auto_learn_order *order);

struct auto_learn_status {
	uint64_t spam, ham; /* learnt */
	uint64_t known;     /* were learnt before, by whomever */
	uint64_t unbalanced, capped;
	uint64_t failed;  /* the store did not take them */
	uint64_t dropped; /* the queue was full */
};
void auto_learn_get_status(struct auto_learn *learn, struct auto_learn_status *status_r);
void auto_learn_log(struct auto_learn *learn); /* these, where there are any; takes NULL */

#endif
