/* list_id: the List-Id field of a mailing list (RFC 2919). */
#ifndef MAILREEVE_MAIL_LIST_ID_H
#define MAILREEVE_MAIL_LIST_ID_H

#include "lib/base/slice.h"

struct headers;

/* The domain, canonical (domain.h), that the list's identifier lies in: of `My list <dev.lists.example.org>` it is
 * "dev.lists.example.org"; where the first labels are none of a domain name (RFC 2919 2 takes any atext), what stands
 * behind them. NULL when there is no List-Id, more than one, or one that cannot be read. Anybody can write such a field:
 * it proves nothing. */
const char *list_id_domain(struct arena *arena, const struct headers *headers);

#endif
