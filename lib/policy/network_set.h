/* network_set: many networks, from the configuration and from files, in which an address is found in logarithmic time.
 */
#ifndef MAILREEVE_POLICY_NETWORK_SET_H
#define MAILREEVE_POLICY_NETWORK_SET_H

#include "lib/base/arena.h"
#include "lib/base/ip.h"

/* Disjoint and sorted, IPv4 before IPv6. Zeroed it is empty. */
struct network_set {
	size_t count;
	const struct ip_network *items;
};

/* Networks as they come. Zeroed it is empty. */
struct network_list {
	size_t count, capacity;
	struct ip_network *items; /* in the arena */
};

enum {
	NETWORK_FILE_MAX = 16 << 20, /* bytes of a file */
	NETWORK_LIST_MAX = 1 << 20,  /* networks of a list */
};

/* text: a network or an address (ip_network_parse()), or "file:PATH" with an absolute path. A file has one network in a
 * line; "#" begins a comment that goes to the end of the line; empty lines count for nothing. False with *expected_r,
 * in arena: what would have been right, for a file with its name and line. A network of all addresses (/0) is refused.
 */
bool network_list_add(struct network_list *list, struct arena *arena, const char *text, const char **expected_r);

/* Adds the networks of another list. False: there would be too many. */
bool network_list_join(struct network_list *list, struct arena *arena, const struct network_list *more);

/* The set lives in arena; the list can be dropped. */
void network_set_make(const struct network_list *list, struct arena *arena, struct network_set *set_r);
bool network_set_contains(const struct network_set *set, const struct ip *address);

#endif
