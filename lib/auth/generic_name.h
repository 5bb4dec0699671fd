/* generic_name: is a host's name one that its provider gave to the address ("pool-192-0-2-7.dsl.example.net"), rather
 * than one that somebody gave to a mail server? */
#ifndef MAILREEVE_AUTH_GENERIC_NAME_H
#define MAILREEVE_AUTH_GENERIC_NAME_H

#include "lib/base/ip.h"
#include "lib/base/slice.h"

/* name: without a final dot, any case. Says why, as a static text, or NULL when it is not. Looked for are the address,
 * in decimal or hexadecimal, forwards or backwards, padded or not, whole or in good part, and the words of access
 * networks. A name that speaks of mail is generic only by strong words beside the address: senders number their own
 * hosts too. Words of the registered domain (the last two labels) do not count. */
const char *generic_name(const char *name, const struct ip *client);

#endif
