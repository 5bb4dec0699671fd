/* A short conversation with a mail server: greeting, EHLO, STARTTLS, QUIT. Every wait ends at one deadline, every line and
 * their number are bounded; a server that tells more is not listened to. */
#include "lib/audit/certificate.h"
#include "lib/base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

enum { LINE_SIZE = 1024, LINES_MAX = 100, PROBLEM_MAX = 200 };

struct talk {
	int fd;
	uint64_t deadline;
	struct arena *arena;
	const char *problem; /* NULL: none */
	char buffer[LINE_SIZE];
	size_t start, end; /* bytes that were read and not yet taken */
	unsigned code;     /* of the last reply */
	const char *text;  /* of its last line, escaped */
	bool starttls;     /* among its lines */
};

static bool talk_wait(struct talk *talk, short events)
{
	struct pollfd fd = {.fd = talk->fd, .events = events};
	int got;
	do {
		got = poll(&fd, 1, clock_poll_timeout(talk->deadline));
	} while (got < 0 && errno == EINTR);
	if (got == 0) {
		talk->problem = "no answer in time";
	} else if (got < 0) {
		talk->problem = "system error";
	}
	return got > 0;
}

static bool talk_connect(struct talk *talk, const struct ip *address, unsigned port)
{
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	bool is_four = address->family == IP_V4;
	memcpy(is_four ? (void *)&four.sin_addr : (void *)&six.sin6_addr, address->bytes, is_four ? 4 : 16);
	const struct sockaddr *where = is_four ? (const struct sockaddr *)&four : (const struct sockaddr *)&six;
	talk->fd = socket(is_four ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (talk->fd < 0) {
		talk->problem = strerror(errno);
		return false;
	}
	int error = connect(talk->fd, where, is_four ? sizeof four : sizeof six) == 0 ? 0 : errno;
	if (error == EINPROGRESS) {
		socklen_t size = sizeof error;
		if (!talk_wait(talk, POLLOUT)) {
			return false;
		}
		if (getsockopt(talk->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
			error = errno;
		}
	}
	talk->problem = error == 0 ? NULL : strerror(error);
	return error == 0;
}

static bool talk_fill(struct talk *talk)
{
	memmove(talk->buffer, talk->buffer + talk->start, talk->end - talk->start);
	talk->end -= talk->start;
	talk->start = 0;
	if (talk->end == LINE_SIZE) {
		talk->problem = "a line without end";
		return false;
	}
	for (;;) {
		ssize_t got = recv(talk->fd, talk->buffer + talk->end, LINE_SIZE - talk->end, 0);
		if (got > 0) {
			talk->end += (size_t)got;
			return true;
		}
		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) {
			talk->problem = got == 0 ? "the connection was closed" : strerror(errno);
			return false;
		}
		if (!talk_wait(talk, POLLIN)) {
			return false;
		}
	}
}

static bool talk_line(struct talk *talk, struct slice *line_r)
{
	for (;;) {
		struct slice have = {talk->buffer + talk->start, talk->end - talk->start};
		size_t end = slice_find(have, '\n', 0);
		if (end < have.len) {
			*line_r = slice_trim((struct slice){have.data, end});
			talk->start += end + 1;
			return true;
		}
		if (!talk_fill(talk)) {
			return false;
		}
	}
}

static bool talk_reply(struct talk *talk)
{
	struct slice line;
	unsigned long long code;
	talk->starttls = false;
	for (int i = 0; i < LINES_MAX; i++) {
		if (!talk_line(talk, &line)) {
			return false;
		}
		if (line.len < 3 || !slice_to_uint((struct slice){line.data, 3}, 999, &code)) {
			talk->problem = "what answers is no mail server";
			return false;
		}
		struct slice text = {line.data + 3 + (line.len > 3), line.len - 3 - (line.len > 3)};
		talk->starttls = talk->starttls || slice_equal_nocase(slice_trim(text), SLICE_LITERAL("STARTTLS"));
		if (line.len == 3 || line.data[3] != '-') {
			talk->code = (unsigned)code;
			talk->text = text_escape(talk->arena, line, "", false, PROBLEM_MAX);
			return true;
		}
	}
	talk->problem = "a reply without end";
	return false;
}

static bool talk_send(struct talk *talk, const char *text)
{
	size_t length = strlen(text);
	for (size_t at = 0; at < length;) {
		ssize_t sent = send(talk->fd, text + at, length - at, MSG_NOSIGNAL);
		if (sent > 0) {
			at += (size_t)sent;
		} else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			if (!talk_wait(talk, POLLOUT)) {
				return false;
			}
		} else if (sent < 0 && errno != EINTR) {
			talk->problem = strerror(errno);
			return false;
		}
	}
	return true;
}

static bool talk_ask(struct talk *talk, const char *command)
{
	return talk_send(talk, command) && talk_reply(talk);
}

/* ---- TLS ---- */

static SSL_CTX *tls_context(int most)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	if (context == NULL) {
		return NULL;
	}
	/* Everything is to be seen, also what should not be there any more. */
	SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(context, most);
	SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0");
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_options(context, SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY);
	return context;
}

static bool tls_handshake(struct talk *talk, SSL *ssl)
{
	for (;;) {
		ERR_clear_error();
		int done = SSL_connect(ssl);
		int error = SSL_get_error(ssl, done);
		if (done == 1) {
			return true;
		}
		if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
			if (!talk_wait(talk, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT)) {
				return false;
			}
			continue;
		}
		const char *reason = ERR_reason_error_string(ERR_peek_last_error());
		talk->problem = reason == NULL ? "the connection was closed" : reason;
		return false;
	}
}

static void tls_read(SSL *ssl, const struct audit_host *host, const struct audit_contact_settings *settings,
                     struct arena *arena, struct audit_server *server)
{
	server->version = SSL_get_version(ssl);
	server->old_version = SSL_version(ssl) < TLS1_2_VERSION;
	const char *cipher = SSL_get_cipher_name(ssl);
	server->cipher = cipher == NULL ? "?" : cipher;
	if (certificate_read(ssl, host, settings, arena, server)) {
		server->state = AUDIT_SERVER_TLS;
	} else {
		server->problem = "no certificate";
	}
}

/* A handshake with `most` as the newest version; certificate: it is the one whose certificate is looked at. */
static bool tls_start(struct talk *talk, int most, const struct audit_host *host,
                      const struct audit_contact_settings *settings, bool certificate, struct audit_server *server)
{
	SSL_CTX *context = tls_context(most);
	SSL *ssl = context == NULL ? NULL : SSL_new(context);
	bool good = false;
	if (ssl != NULL && SSL_set_fd(ssl, talk->fd) == 1) {
		SSL_set_tlsext_host_name(ssl, host->name);
		good = tls_handshake(talk, ssl);
		if (good && certificate) {
			tls_read(ssl, host, settings, talk->arena, server);
		}
	}
	SSL_free(ssl);
	SSL_CTX_free(context);
	return good;
}

/* ---- the conversation ---- */

/* Up to the moment in which a handshake may begin. */
static enum audit_server_state greet(struct talk *talk, const struct ip *address, const struct audit_contact_settings *settings)
{
	if (!talk_connect(talk, address, settings->smtp_port) || !talk_reply(talk)) {
		return AUDIT_SERVER_SILENT;
	}
	if (talk->code != 220 || !talk_ask(talk, arena_printf(talk->arena, "EHLO %s\r\n", settings->helo)) || talk->code != 250) {
		talk->problem = talk->problem == NULL ? talk->text : talk->problem;
		return AUDIT_SERVER_REFUSES;
	}
	if (!talk->starttls) {
		talk_send(talk, "QUIT\r\n");
		return AUDIT_SERVER_PLAIN;
	}
	if (!talk_ask(talk, "STARTTLS\r\n") || talk->code != 220 || talk->start != talk->end) {
		talk->problem = talk->problem != NULL ? talk->problem : talk->code != 220 ? talk->text : "bytes before the handshake";
		return AUDIT_SERVER_TLS_FAILED;
	}
	return AUDIT_SERVER_TLS;
}

static void probe_address(const struct audit_host *host, const struct ip *address, const struct audit_contact_settings *settings,
                          uint64_t deadline, struct arena *arena, struct audit_server *server)
{
	char text[IP_TEXT_SIZE];
	struct talk talk = {.fd = -1, .deadline = deadline, .arena = arena};
	ip_format(address, text);
	*server = (struct audit_server){.address = arena_strdup(arena, text)};
	server->state = greet(&talk, address, settings);
	if (server->state == AUDIT_SERVER_TLS) {
		server->state = AUDIT_SERVER_TLS_FAILED;
		tls_start(&talk, TLS1_3_VERSION, host, settings, true, server);
	}
	if (server->problem == NULL && talk.problem != NULL) {
		server->problem = text_escape(arena, slice_from(talk.problem), "", false, PROBLEM_MAX);
	}
	if (talk.fd >= 0) {
		close(talk.fd);
	}
}

static bool speaks_old(const struct audit_host *host, const struct ip *address, const struct audit_contact_settings *settings,
                       uint64_t deadline, struct arena *arena, struct audit_server *server)
{
	struct talk talk = {.fd = -1, .deadline = deadline, .arena = arena};
	bool old = greet(&talk, address, settings) == AUDIT_SERVER_TLS &&
	           tls_start(&talk, TLS1_1_VERSION, host, settings, false, server);
	if (talk.fd >= 0) {
		close(talk.fd);
	}
	return old;
}

void audit_smtp_probe(const struct audit_host *host, const struct audit_contact_settings *settings, uint64_t deadline,
                      struct arena *arena, struct audit_server *server_r)
{
	*server_r = (struct audit_server){.state = AUDIT_SERVER_NOT_ASKED};
	for (size_t i = 0; i < host->address_count; i++) {
		const struct ip *address = &host->addresses[i];
		if (ip_is_private(address) && !settings->private_allowed) {
			continue;
		}
		uint64_t now = clock_now();
		uint64_t until = i + 1 < host->address_count && now < deadline ? now + (deadline - now) / 2 : deadline;
		probe_address(host, address, settings, until, arena, server_r);
		if (server_r->state > AUDIT_SERVER_SILENT) {
			if (server_r->state == AUDIT_SERVER_TLS && !server_r->old_version) {
				server_r->accepts_old = speaks_old(host, address, settings, deadline, arena, server_r);
			}
			return;
		}
	}
}
