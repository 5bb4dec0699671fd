#include "lib/http/server.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PATH_MAX_BYTES = 2048,
	MEMORY_PER_CONNECTION = 32768, /* request line and header fields; more of them get 431 */
	BODY_FIRST = 4096
};

struct http_server {
	struct http_settings settings;
	struct MHD_Daemon *daemon;
};

/* A request on its way. */
struct exchange {
	const struct http_route *route;
	unsigned refused; /* the status, 0: it is not */
	uint64_t deadline;
	char *body;
	size_t size, room;
	struct http_request request;
};

const char *http_query(const struct http_request *request, const char *name)
{
	const char *value = NULL;
	size_t size;
	if (MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, name, strlen(name), &value, &size) != MHD_YES) {
		return NULL;
	}
	/* A NUL in it would hide the rest. */
	return value == NULL ? "" : strlen(value) == size ? value : NULL;
}

const char *http_header(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *http_cookie(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND, name);
}

void http_answer(struct http_request *request, struct http_response *response_r, unsigned status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	const char *line = arena_vprintf(request->arena, format, args);
	va_end(args);
	response_r->status = status;
	response_r->type = "text/plain; charset=utf-8";
	response_r->body = slice_from(arena_printf(request->arena, "%s\n", line));
}

static const char *refusal(unsigned status)
{
	switch (status) {
	case MHD_HTTP_FORBIDDEN: return "only root and the daemon's own user may ask that";
	case MHD_HTTP_NOT_FOUND: return "there is nothing of that name";
	case MHD_HTTP_METHOD_NOT_ALLOWED: return "not by this method";
	case MHD_HTTP_CONTENT_TOO_LARGE: return "the body is too large";
	case MHD_HTTP_REQUEST_TIMEOUT: return "the request took too long";
	default: return "refused";
	}
}

static enum MHD_Result send_response(struct MHD_Connection *connection, const struct http_response *answer, bool close)
{
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(answer->body.len, (void *)(uintptr_t)answer->body.data, MHD_RESPMEM_MUST_COPY);
	if (response == NULL) {
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	for (size_t i = 0; i < HTTP_HEADERS_MAX && answer->headers[i].name != NULL; i++) {
		/* The library refuses a value with a line break. */
		if (MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value) != MHD_YES) {
			log_error("http: the field %s cannot be sent", answer->headers[i].name);
		}
	}
	if (close) {
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	}
	enum MHD_Result result = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result refuse(struct exchange *exchange, struct MHD_Connection *connection)
{
	struct http_response answer = {.status = exchange->refused};
	http_answer(&exchange->request, &answer, exchange->refused, "%s", refusal(exchange->refused));
	return send_response(connection, &answer, true);
}

/* Who is at the other end of a unix socket. */
static void know_peer(struct http_request *request, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct sockaddr_storage address;
	struct ucred peer;
	socklen_t size = sizeof address;
	request->uid = (uid_t)-1;
	request->gid = (gid_t)-1;
	if (info == NULL || getsockname(info->connect_fd, (struct sockaddr *)&address, &size) != 0 || address.ss_family != AF_UNIX) {
		return;
	}
	size = sizeof peer;
	if (getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0) {
		request->local = true;
		request->uid = peer.uid;
		request->gid = peer.gid;
	}
}

static bool path_fits(const char *route, const char *path)
{
	size_t n = strlen(route);
	return n > 1 && route[n - 1] == '/' ? strncmp(route, path, n) == 0 : strcmp(route, path) == 0;
}

static bool method_fits(const char *route, const char *method)
{
	return strcmp(route, method) == 0 || (strcmp(route, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

static void find_route(const struct http_server *server, struct exchange *exchange)
{
	const struct http_request *request = &exchange->request;
	exchange->refused = MHD_HTTP_NOT_FOUND;
	for (const struct http_route *route = server->settings.routes; route->method != NULL; route++) {
		if (!path_fits(route->path, request->path)) {
			continue;
		}
		if (!method_fits(route->method, request->method)) {
			exchange->refused = MHD_HTTP_METHOD_NOT_ALLOWED;
			continue;
		}
		exchange->route = route;
		bool owner = request->local && (request->uid == 0 || request->uid == geteuid());
		exchange->refused = route->access == HTTP_OWNER && !owner ? MHD_HTTP_FORBIDDEN : 0;
		return;
	}
}

static struct exchange *begin(const struct http_server *server, struct MHD_Connection *connection, const char *url,
                              const char *method)
{
	struct exchange *exchange = calloc(1, sizeof *exchange);
	if (exchange == NULL) {
		return NULL;
	}
	struct arena *arena = arena_create(BODY_FIRST);
	exchange->deadline = clock_now() + server->settings.request_s * CLOCK_NS_PER_S;
	exchange->request = (struct http_request){.arena = arena,
	                                          .method = arena_strdup(arena, method),
	                                          .path = arena_strdup(arena, url),
	                                          .connection = connection};
	know_peer(&exchange->request, connection);
	find_route(server, exchange);
	if (strlen(url) > PATH_MAX_BYTES) {
		exchange->refused = MHD_HTTP_NOT_FOUND;
	}
	/* What is too long by its own word is refused before a byte of it is taken. */
	const char *length = http_header(&exchange->request, MHD_HTTP_HEADER_CONTENT_LENGTH);
	if (exchange->refused == 0 && length != NULL && strtoull(length, NULL, 10) > exchange->route->body_max) {
		exchange->refused = MHD_HTTP_CONTENT_TOO_LARGE;
	}
	return exchange;
}

static void take(struct exchange *exchange, const char *data, size_t n)
{
	if (exchange->refused != 0) {
		return;
	}
	if (clock_now() > exchange->deadline) {
		exchange->refused = MHD_HTTP_REQUEST_TIMEOUT;
	} else if (n > exchange->route->body_max - exchange->size) {
		exchange->refused = MHD_HTTP_CONTENT_TOO_LARGE;
	} else if (exchange->size + n > exchange->room) {
		size_t room = 2 * (exchange->size + n) + BODY_FIRST;
		char *body = realloc(exchange->body, room);
		if (body == NULL) {
			exchange->refused = MHD_HTTP_CONTENT_TOO_LARGE;
			return;
		}
		exchange->body = body;
		exchange->room = room;
	}
	if (exchange->refused == 0) {
		memcpy(exchange->body + exchange->size, data, n);
		exchange->size += n;
	}
}

/* The library calls it when the header is there, for each piece of the body, and at its end. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *data, size_t *size, void **exchange_r)
{
	struct http_server *server = context;
	struct exchange *exchange = *exchange_r;
	(void)version;
	if (exchange == NULL) {
		exchange = begin(server, connection, url, method);
		*exchange_r = exchange;
		return exchange == NULL ? MHD_NO : exchange->refused != 0 ? refuse(exchange, connection) : MHD_YES;
	}
	if (*size > 0) {
		take(exchange, data, *size);
		*size = 0;
		return MHD_YES;
	}
	if (exchange->refused != 0) {
		return refuse(exchange, connection);
	}
	struct http_response answer = {.status = MHD_HTTP_OK, .type = "text/plain; charset=utf-8"};
	exchange->request.body = (struct slice){exchange->body, exchange->size};
	exchange->route->handler(server->settings.context, &exchange->request, &answer);
	return send_response(connection, &answer, false);
}

static void forget(void *context, struct MHD_Connection *connection, void **exchange_r, enum MHD_RequestTerminationCode code)
{
	struct exchange *exchange = *exchange_r;
	(void)context;
	(void)connection;
	(void)code;
	if (exchange != NULL) {
		arena_destroy(exchange->request.arena);
		free(exchange->body);
		free(exchange);
		*exchange_r = NULL;
	}
}

__attribute__((format(printf, 2, 0))) static void library_log(void *context, const char *format, va_list args)
{
	char *line;
	(void)context;
	if (vasprintf(&line, format, args) >= 0) {
		line[strcspn(line, "\n")] = '\0';
		log_debug("http: %s", line);
		free(line);
	}
}

struct http_server *http_server_open(const struct http_settings *settings, char **error_r)
{
	struct http_server *server = calloc(1, sizeof *server);
	if (server == NULL) {
		abort();
	}
	server->settings = *settings;
	server->daemon = MHD_start_daemon(
	    MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle, server, MHD_OPTION_EXTERNAL_LOGGER,
	    library_log, NULL, MHD_OPTION_LISTEN_SOCKET, settings->listener, MHD_OPTION_NOTIFY_COMPLETED, forget, NULL,
	    MHD_OPTION_THREAD_POOL_SIZE, settings->threads, MHD_OPTION_CONNECTION_LIMIT, settings->connections,
	    MHD_OPTION_CONNECTION_TIMEOUT, settings->timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    (size_t)MEMORY_PER_CONNECTION, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	if (server->daemon == NULL) {
		*error_r = strdup("the HTTP server cannot start");
		close(settings->listener);
		free(server);
		return NULL;
	}
	return server;
}

void http_server_give_away(struct http_server *server)
{
	int fd = MHD_quiesce_daemon(server->daemon);
	if (fd >= 0) {
		close(fd);
	}
}

void http_server_close(struct http_server *server)
{
	if (server != NULL) {
		MHD_stop_daemon(server->daemon);
		free(server);
	}
}
