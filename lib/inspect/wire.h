/* wire: the packets between pool, nursery and workers. One packet is one SOCK_SEQPACKET message. The daemon reads a
 * worker's packets as it would a stranger's: a worker may have been taken over by what it looked at. */
#ifndef MAILREEVE_INSPECT_WIRE_H
#define MAILREEVE_INSPECT_WIRE_H

#include "lib/inspect/pool.h"

enum { WIRE_PACKET_MAX = 196608, WIRE_TEXT_MAX = 2048, WIRE_DATABASES_MAX = 256, WIRE_IGNORED_MAX = 256 };

/* ---- pool -> worker, worker -> pool ---- */

/* Length of the packet; never more than WIRE_PACKET_MAX, which has room for the largest: 16 DKIM and 51 ARC keys within
 * their bounds. The kernel takes packets up to a socket's send buffer, which is 212992 bytes. */
size_t wire_put_request(const struct inspect_request *request, char *packet_r);
/* message_fd is not in the packet: it comes beside it. Texts are copied to arena. */
bool wire_get_request(struct slice packet, struct arena *arena, struct inspect_request *request_r);

/* 0 when it does not fit. */
size_t wire_put_reply(const struct inspect_reply *reply, char *packet_r);
/* False for anything that is not exactly a reply: lengths, values out of their range, control bytes in a text. */
bool wire_get_reply(struct slice packet, struct arena *arena, struct inspect_reply *reply_r);

/* ---- pool -> nursery ---- */

/* The first packet: settings but for program, start_timeout_ns. */
size_t wire_put_settings(const struct pool_settings *settings, char *packet_r); /* 0: too long */
bool wire_get_settings(struct slice packet, struct arena *arena, struct pool_settings *settings_r);

/* ---- nursery <-> pool, worker -> pool at its start ---- */

enum wire_kind {
	WIRE_LOADED = 1, /* nursery: databases are loaded; database */
	WIRE_FAILED,     /* nursery: cannot start; text says why */
	WIRE_WORKER,     /* nursery: a new worker, number: its pid; its socket comes beside the packet */
	WIRE_DIED,       /* nursery: the worker of that pid is gone */
	WIRE_KILL,       /* pool: kill the worker of that pid */
	WIRE_READY       /* worker: sandboxed and warm; text: what the sandbox holds */
};
struct wire_note {
	enum wire_kind kind;
	uint32_t number;
	struct inspect_database database;
	const char *text; /* never NULL */
};
size_t wire_put_note(const struct wire_note *note, char *packet_r);
bool wire_get_note(struct slice packet, struct arena *arena, struct wire_note *note_r);

/* ---- sockets ---- */

/* Sends one packet, with a descriptor beside it when fd >= 0. Never raises SIGPIPE. */
bool wire_send(int socket, const char *packet, size_t n, int fd);
/* The same, but does not wait for a reader who does not read: false with errno EAGAIN. */
bool wire_offer(int socket, const char *packet, size_t n, int fd);
/* Receives one packet of at most WIRE_PACKET_MAX bytes. 0: the other side is gone, -1: error (errno). *fd_r: the
 * descriptor beside it (close-on-exec) or -1; fd_r NULL: none is accepted. */
ssize_t wire_receive(int socket, char *packet_r, int *fd_r);

#endif
