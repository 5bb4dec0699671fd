/* client: one request over HTTP, by libcurl: to the daemon's control socket. */
#ifndef MAILREEVE_HTTP_CLIENT_H
#define MAILREEVE_HTTP_CLIENT_H

#include "lib/base/arena.h"
#include "lib/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_ask {
	const char *socket;   /* path of a unix socket */
	const char *method;   /* "GET", "POST", ... */
	const char *path;     /* "/status?x=y", encoded */
	struct slice body;    /* of a POST */
	uint64_t timeout_ns;  /* for all of it */
	size_t answer_max;    /* bytes; a longer answer is an error */
};

/* False: no answer; why, in *error_r (in arena). Else its status and body (in arena, ended by a NUL that does not
 * count). */
bool http_ask(const struct http_ask *ask, struct arena *arena, unsigned *status_r, struct slice *body_r, const char **error_r);

#endif
