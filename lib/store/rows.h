/* rows: copies of the rows of a batch, until its commit is certain. */
#ifndef MAILREEVE_STORE_ROWS_H
#define MAILREEVE_STORE_ROWS_H

#include "lib/store/store.h"

struct rows;

enum { ROWS_BYTES_MAX = 512 << 20 };

struct rows *rows_create(void);
void rows_destroy(struct rows *rows); /* takes NULL */
void rows_clear(struct rows *rows);   /* the batch starts again */
/* False: over ROWS_BYTES_MAX, and rows_overflowed() says so from then on. It is a store_row with rows as its context.
 */
bool rows_add(void *rows, const struct store_value *columns, size_t count);
bool rows_overflowed(const struct rows *rows); /* takes NULL */
void rows_drop_first(struct rows *rows);       /* if there is one */
void rows_deliver(const struct rows *rows, store_row *row, void *context);

#endif
