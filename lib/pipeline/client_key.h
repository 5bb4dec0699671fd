/* client_key: names by which clients and people are counted and remembered: short, printable ASCII, one for each. */
#ifndef MAILREEVE_PIPELINE_CLIENT_KEY_H
#define MAILREEVE_PIPELINE_CLIENT_KEY_H

#include "lib/base/ip.h"
#include "lib/mail/address.h"

/* "192.0.2.1"; of IPv6 the /64, as a host has all of that: "2001:db8:1:2::/64". "unknown" for IP_UNKNOWN. */
const char *client_key_address(struct arena *arena, const struct ip *client);
/* "192.0.2.0/24", "2001:db8:1:2::/64": what the machines of one pool mostly share. */
const char *client_key_network(struct arena *arena, const struct ip *client);
/* local@domain in small letters (no mailbox is told from another by case in practice), at most 254 bytes; "" for none.
 */
const char *client_key_mailbox(struct arena *arena, const struct address *address);
/* A login name, likewise. */
const char *client_key_user(struct arena *arena, const char *user);

#endif
