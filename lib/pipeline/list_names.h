/* list_names: under which names entries may know a message: its senders' addresses and domains, the client's networks,
 * and so on. Made once for a message, looked up in each list that concerns one of its recipients. */
#ifndef MAILREEVE_PIPELINE_LIST_NAMES_H
#define MAILREEVE_PIPELINE_LIST_NAMES_H

#include "lib/pipeline/lists.h"
#include "lib/pipeline/session.h"

/* What of the message a name is from. */
enum list_origin { LIST_BY_MAIL_FROM, LIST_BY_FROM, LIST_BY_CLIENT, LIST_BY_PTR, LIST_BY_HELO, LIST_BY_HEADER };

struct list_name {
	struct list_text text;
	enum list_kind kind;
	enum list_origin origin;
	unsigned rank;      /* the lower, the more specific: by kind, then a longer network or name before a shorter */
	const char *domain; /* of a sender, canonical; else "" */
	const char *shown;  /* "MAIL FROM a@example.net" */
};

struct list_names {
	struct arena *arena;
	struct list_set *set; /* whose hashes they have */
	struct list_name *items;
	size_t count, capacity;
};

void list_names_init(struct list_names *names, struct arena *arena, struct list_set *set);

/* The owners of a recipient's own list: his address as it is and, where the local part has one of the delimiters,
 * without the subaddress (RFC 5233). A domain must be there. */
enum { LIST_NAMES_USERS = 2 };
size_t list_names_users(struct arena *arena, const struct address *address, const char *delimiters,
                        const char *users_r[LIST_NAMES_USERS]);

/* Adds what the phase has made known. */
void list_names_add_envelope(struct list_names *names, const struct session *session);
void list_names_add_client(struct list_names *names, const struct session *session);
/* Where the client is: "" and 0 are not known. */
void list_names_add_place(struct list_names *names, const char *country, uint32_t asn);
void list_names_add_authors(struct list_names *names, const struct session *session);

#endif
