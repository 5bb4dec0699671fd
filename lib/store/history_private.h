/* history_private: what the files of the history share. */
#ifndef MAILREEVE_STORE_HISTORY_PRIVATE_H
#define MAILREEVE_STORE_HISTORY_PRIVATE_H

#include "lib/store/history.h"

enum {
	HISTORY_DAY = 86400,
	HISTORY_ID_BITS = 31, /* of an id, below its second */
	HISTORY_ID_MASK = 0x7fffffff
};

/* No id of that second or a later one is smaller. */
int64_t history_first_id(int64_t time);

/* A column as a text that ends with NUL, in arena; "" for null. */
const char *history_text(struct arena *arena, const struct store_value *column);

#endif
