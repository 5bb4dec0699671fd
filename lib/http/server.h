/* server: HTTP/1.1 for a few (libmicrohttpd): the daemon's control socket, its metrics, the console. Each route is a row
 * of a table; its handler runs in one of a few threads of the server and may block for a while. */
#ifndef MAILREEVE_HTTP_SERVER_H
#define MAILREEVE_HTTP_SERVER_H

#include "lib/base/arena.h"
#include "lib/base/slice.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { HTTP_HEADERS_MAX = 8 };

/* What is asked; all of it lives until the handler returns. */
struct http_request {
	struct arena *arena;
	const char *method, *path; /* path: percent-decoded by the library, bounded, without the query */
	struct slice body;         /* at most the route's body_max bytes */
	bool local;                /* through a unix socket: uid and gid are the peer's */
	uid_t uid;
	gid_t gid;
	void *connection; /* for http_query(), http_header(), http_cookie() */
};

/* A parameter of the query, decoded; NULL: it is not there. "?x" and "?x=" give "". */
const char *http_query(const struct http_request *request, const char *name);
const char *http_header(const struct http_request *request, const char *name);
const char *http_cookie(const struct http_request *request, const char *name);

/* What is answered. It begins as 200 with an empty text/plain body. */
struct http_response {
	unsigned status;
	const char *type; /* Content-Type */
	struct slice body; /* in the request's arena, or constant */
	struct http_field {
		const char *name, *value;
	} headers[HTTP_HEADERS_MAX]; /* besides, as far as they have a name */
};

/* Status and a line of text. */
void http_answer(struct http_request *request, struct http_response *response_r, unsigned status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

typedef void http_handler(void *context, struct http_request *request, struct http_response *response_r);

enum http_access {
	HTTP_OWNER, /* root, or who runs the server, through a unix socket; others get 403 */
	HTTP_ANY    /* whoever can connect */
};

struct http_route {
	const char *method;  /* "GET" (HEAD is answered too), "POST", ... */
	const char *path;    /* as it is; one that ends in "/" (but "/" itself) is a prefix */
	enum http_access access;
	uint64_t body_max;   /* bytes; a longer body gets 413 */
	http_handler *handler;
};

struct http_settings {
	int listener;                    /* a socket that listens; it becomes the server's */
	unsigned threads;                /* handlers that run at a time */
	unsigned connections;            /* at a time; more wait in the kernel */
	unsigned timeout_s;              /* a connection on which nothing moves is closed */
	unsigned request_s;              /* a request that is not there whole by then gets 408 */
	const struct http_route *routes; /* ends with method NULL; the first that fits is taken */
	void *context;                   /* for the handlers */
};

struct http_server;

/* NULL with *error_r (free()): the listener is closed then. */
struct http_server *http_server_open(const struct http_settings *settings, char **error_r);
/* Takes no new connections: another process has the socket. */
void http_server_give_away(struct http_server *server);
/* Waits for handlers that run. Takes NULL. */
void http_server_close(struct http_server *server);

#endif
