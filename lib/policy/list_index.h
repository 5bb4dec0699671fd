/* list_index: any number of entries, to be found by owner and value in the time that a few memory accesses take, be
 * they one or a million. Immutable and counted; a change makes another index, which shares with the former all that did
 * not change.
 *
 * Entries lie in SHARDS small tables by the hash of their key; a change copies only the tables that it touches. */
#ifndef MAILREEVE_POLICY_LIST_INDEX_H
#define MAILREEVE_POLICY_LIST_INDEX_H

#include "lib/base/ip.h"
#include "lib/policy/list_entry.h"
#include "lib/policy/list_pattern.h"

#include <stddef.h>

struct list_index;

/* An empty one. seed: of the hash; what is compared with the same keys has the same. */
struct list_index *list_index_create(uint64_t seed);
struct list_index *list_index_acquire(struct list_index *index);
void list_index_release(struct list_index *index); /* takes NULL */

/* `before` with each entry of `changes` put in the place of the one with its key (LIST_REMOVED: taken out). No two
 * changes have the same key. Texts are copied. A pattern that cannot be compiled is left out and counted in *broken_r.
 */
struct list_index *list_index_change(const struct list_index *before, const struct list_entry *changes, size_t count,
                                     size_t *broken_r);

/* Hash of an owner or of a value, to be made once and used for many. */
struct list_text {
	const char *text;
	uint64_t hash;
};
struct list_text list_index_text(const struct list_index *index, const char *text);

/* The entry, expired or not; NULL: none. Valid while the index is held. Not for LIST_PATTERN: */
const struct list_entry *list_index_find(const struct list_index *index, const struct list_text *owner,
                                         const struct list_text *value);
/* Calls visit for each pattern of the owner. */
typedef void list_index_visit(void *context, const struct list_entry *entry, const struct list_pattern *pattern);
void list_index_patterns(const struct list_index *index, const struct list_text *owner, list_index_visit *visit,
                         void *context);

/* What an owner has, expired ones too. */
struct list_index_owner {
	size_t entries;
	size_t patterns;
	size_t sender_allows; /* allow entries of an address, domain or subdomain, and allow patterns */
};
struct list_index_owner list_index_owner(const struct list_index *index, const struct list_text *owner);

size_t list_index_count(const struct list_index *index);
/* Is there, or was there since it was made, a network with that many bits? */
bool list_index_has_prefix(const struct list_index *index, enum ip_family family, unsigned prefix);

#endif
