/* bayes_auto: how many messages the daemons have learnt by themselves today, for the caps of learn.auto. One row for
 * each class and for each network of clients and day (UTC), so that all who share the store count together. Nothing
 * older than a day is kept. */
#ifndef MAILREEVE_STORE_BAYES_AUTO_H
#define MAILREEVE_STORE_BAYES_AUTO_H

#include "lib/store/bayes.h"

/* Takes one of day_max messages of the class and one of network_max of the network, both or neither; each is at least
 * 1. Of 2N at once exactly N get it. now: epoch seconds. Anything but STORE_OK: nothing was taken, or (the connection
 * broke) one is lost. */
enum store_result bayes_auto_take(struct store *store, enum bayes_class class, const char *network, uint64_t day_max,
                                  uint64_t network_max, int64_t now, bool *taken_r);

#endif
