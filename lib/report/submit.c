#include "lib/report/submit.h"

#include "lib/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048, REPLY_LINES_MAX = 100, REPLY_MAX = 400, CHUNK = 65536 };

struct smtp {
	int fd;
	pid_t child; /* 0: none */
	uint64_t deadline;
	struct arena *arena;
	const char *reply; /* escaped */
	bool eight_bit, smtputf8, size, dsn;
	size_t have;
	char buffer[LINE_MAX_BYTES];
};

/* ---- where to ---- */

bool submit_relay_parse(struct arena *arena, const char *text, struct submit_relay *relay_r, const char **expected_r)
{
	unsigned long long port;
	struct slice rest = slice_from(text);
	*expected_r = "smtp:HOST:PORT, smtp:[ADDRESS]:PORT or sendmail:/PATH";
	if (slice_starts_nocase(rest, SLICE_LITERAL("sendmail:/"))) {
		*relay_r =
		    (struct submit_relay){.kind = SUBMIT_SENDMAIL, .host = arena_strdup(arena, text + strlen("sendmail:"))};
		return true;
	}
	if (!slice_starts_nocase(rest, SLICE_LITERAL("smtp:"))) {
		return false;
	}
	rest = slice_from(text + strlen("smtp:"));
	size_t colon = rest.len;
	while (colon > 0 && rest.data[colon - 1] != ':') {
		colon--;
	}
	struct slice digits = {rest.data + colon, rest.len - colon};
	if (colon < 2 || !slice_to_uint(digits, 65535, &port) || port == 0) {
		return false;
	}
	struct slice host = {rest.data, colon - 1};
	if (host.data[0] == '[' && host.len > 2 && host.data[host.len - 1] == ']') {
		host = (struct slice){host.data + 1, host.len - 2};
	} else if (slice_find(host, ':', 0) < host.len || slice_find(host, '[', 0) < host.len) {
		return false;
	}
	*relay_r = (struct submit_relay){SUBMIT_SMTP, slice_dup(arena, host), slice_dup(arena, digits)};
	return true;
}

/* ---- the connection ---- */

static bool smtp_wait(const struct smtp *smtp, short events)
{
	struct pollfd wait = {.fd = smtp->fd, .events = events};
	int got;
	do {
		got = poll(&wait, 1, clock_poll_timeout(smtp->deadline));
	} while (got < 0 && errno == EINTR);
	return got > 0;
}

static bool connect_to(struct smtp *smtp, const struct addrinfo *address)
{
	smtp->fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (smtp->fd < 0) {
		return false;
	}
	int error = connect(smtp->fd, address->ai_addr, address->ai_addrlen) == 0 ? 0 : errno;
	if (error == EINPROGRESS) {
		socklen_t size = sizeof error;
		error = ETIMEDOUT;
		if (smtp_wait(smtp, POLLOUT)) {
			getsockopt(smtp->fd, SOL_SOCKET, SO_ERROR, &error, &size);
		}
	}
	if (error != 0) {
		close(smtp->fd);
		smtp->fd = -1;
		errno = error;
	}
	return error == 0;
}

static bool open_tcp(struct smtp *smtp, const struct submit_relay *relay)
{
	struct addrinfo *list = NULL;
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	int error = getaddrinfo(relay->host, relay->port, &hints, &list);
	if (error != 0) {
		smtp->reply = arena_printf(smtp->arena, "%s: %s", relay->host, gai_strerror(error));
		return false;
	}
	for (const struct addrinfo *address = list; address != NULL && smtp->fd < 0; address = address->ai_next) {
		if (!connect_to(smtp, address)) {
			smtp->reply = arena_printf(smtp->arena, "%s port %s: %s", relay->host, relay->port, strerror(errno));
		}
	}
	freeaddrinfo(list);
	return smtp->fd >= 0;
}

static bool open_program(struct smtp *smtp, const char *program)
{
	extern char **environ;
	int pair[2];
	posix_spawn_file_actions_t actions;
	char mode[] = "-bs";
	char *arguments[] = {(char *)(uintptr_t)program, mode, NULL};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		smtp->reply = arena_printf(smtp->arena, "%s", strerror(errno));
		return false;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pair[1], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, pair[1], STDOUT_FILENO);
	int error = posix_spawn(&smtp->child, program, &actions, NULL, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pair[1]);
	if (error != 0) {
		smtp->child = 0;
		close(pair[0]);
		smtp->reply = arena_printf(smtp->arena, "%s: %s", program, strerror(error));
		return false;
	}
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	smtp->fd = pair[0];
	return true;
}

/* A program that has answered QUIT ends soon; one that is stuck is ended. */
static void smtp_close(struct smtp *smtp)
{
	if (smtp->fd >= 0) {
		char rest[256];
		shutdown(smtp->fd, SHUT_WR);
		while (smtp->child != 0 && smtp_wait(smtp, POLLIN) && read(smtp->fd, rest, sizeof rest) > 0) {
		}
		close(smtp->fd);
	}
	if (smtp->child != 0) {
		if (clock_now() >= smtp->deadline) {
			kill(smtp->child, SIGKILL);
		}
		while (waitpid(smtp->child, NULL, 0) < 0 && errno == EINTR) {
		}
	}
}

/* ---- the dialogue ---- */

static bool smtp_write(struct smtp *smtp, const char *data, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(smtp->fd, data, n, MSG_NOSIGNAL);
		if (sent > 0) {
			data += sent;
			n -= (size_t)sent;
		} else if ((errno != EAGAIN && errno != EINTR) || !smtp_wait(smtp, POLLOUT)) {
			return false;
		}
	}
	return true;
}

/* The next line without its end; what is longer than the buffer is cut up. False: gone, or the deadline. */
static bool smtp_line(struct smtp *smtp, struct slice *line_r, char *line)
{
	for (;;) {
		size_t end = slice_find((struct slice){smtp->buffer, smtp->have}, '\n', 0);
		if (end < smtp->have || smtp->have == sizeof smtp->buffer) {
			size_t used = end < smtp->have ? end + 1 : end;
			memcpy(line, smtp->buffer, end);
			memmove(smtp->buffer, smtp->buffer + used, smtp->have - used);
			smtp->have -= used;
			*line_r = slice_trim((struct slice){line, end});
			return true;
		}
		ssize_t got = recv(smtp->fd, smtp->buffer + smtp->have, sizeof smtp->buffer - smtp->have, 0);
		if (got > 0) {
			smtp->have += (size_t)got;
		} else if (got == 0 || (errno != EAGAIN && errno != EINTR) || !smtp_wait(smtp, POLLIN)) {
			return false;
		}
	}
}

/* Keyword lines of the answer to EHLO. */
static void smtp_keyword(struct smtp *smtp, struct slice line)
{
	struct slice word = {line.data + 4, line.len - 4};
	word.len = slice_find(word, ' ', 0);
	smtp->eight_bit = smtp->eight_bit || slice_equal_nocase(word, SLICE_LITERAL("8BITMIME"));
	smtp->dsn = smtp->dsn || slice_equal_nocase(word, SLICE_LITERAL("DSN"));
	smtp->smtputf8 = smtp->smtputf8 || slice_equal_nocase(word, SLICE_LITERAL("SMTPUTF8"));
	smtp->size = smtp->size || slice_equal_nocase(word, SLICE_LITERAL("SIZE"));
}

/* The code of a reply; 0: none came, or it is none (RFC 5321 4.2). */
static unsigned smtp_reply(struct smtp *smtp)
{
	char buffer[LINE_MAX_BYTES];
	struct slice line;
	struct strbuf text;
	unsigned long long code = 0;
	strbuf_init(&text, smtp->arena);
	for (int lines = 0; lines < REPLY_LINES_MAX; lines++) {
		if (!smtp_line(smtp, &line, buffer)) {
			smtp->reply = clock_now() >= smtp->deadline ? "no answer in time" : "the connection broke";
			return 0;
		}
		if (line.len < 3 || !slice_to_uint((struct slice){line.data, 3}, 599, &code) || code < 200) {
			break;
		}
		if (text.len < REPLY_MAX) {
			strbuf_add_text(&text, text.len == 0 ? "" : " ");
			strbuf_add_slice(&text, text.len == 0 || line.len < 4 ? line : (struct slice){line.data + 4, line.len - 4});
		}
		if (line.len > 4) {
			smtp_keyword(smtp, line);
		}
		if (line.len == 3 || line.data[3] != '-') {
			smtp->reply = text_escape(smtp->arena, (struct slice){text.data, text.len}, "", true, REPLY_MAX);
			return (unsigned)code;
		}
	}
	smtp->reply = "an answer that is no SMTP";
	return 0;
}

static unsigned smtp_command(struct smtp *smtp, const char *line)
{
	if (!smtp_write(smtp, line, strlen(line))) {
		smtp->reply = "the connection broke";
		return 0;
	}
	return smtp_reply(smtp);
}

static enum submit_result judge(unsigned code)
{
	return code >= 200 && code < 400 ? SUBMIT_OK : code >= 500 ? SUBMIT_PERMANENT : SUBMIT_TEMPORARY;
}

/* A dot at the beginning of a line is doubled (RFC 5321 4.5.2). */
static bool smtp_data(struct smtp *smtp, struct slice data, bool *at_start)
{
	for (size_t at = 0; at < data.len;) {
		size_t end = slice_find(data, '\n', at);
		end = end < data.len ? end + 1 : end;
		bool dot = *at_start && data.data[at] == '.';
		if ((dot && !smtp_write(smtp, ".", 1))) {
			return false;
		}
		/* Lines without a dot in front go together. */
		while (end < data.len && end - at < CHUNK && data.data[end - 1] == '\n' && data.data[end] != '.') {
			size_t next = slice_find(data, '\n', end);
			end = next < data.len ? next + 1 : next;
		}
		if (!smtp_write(smtp, data.data + at, end - at)) {
			return false;
		}
		*at_start = data.data[end - 1] == '\n';
		at = end;
	}
	return true;
}

static const char *mail_command(const struct smtp *smtp, const struct submit_mail *mail, bool eight_bit)
{
	const char *size = smtp->size ? arena_printf(smtp->arena, " SIZE=%zu", mail->head.len + mail->message.len) : "";
	bool envid = smtp->dsn && mail->envid != NULL;
	return arena_printf(smtp->arena, "MAIL FROM:<%s>%s%s%s%s%s\r\n", mail->from, size,
	                    eight_bit ? " BODY=8BITMIME" : "", mail->smtputf8 ? " SMTPUTF8" : "", envid ? " ENVID=" : "",
	                    envid ? mail->envid : "");
}

/* A path that would end the command, or begin another one. */
static bool is_path(const char *path)
{
	for (const char *c = path; *c != '\0'; c++) {
		if ((unsigned char)*c < ' ' || *c == 127) {
			return false;
		}
	}
	return true;
}

static enum submit_result smtp_envelope(struct smtp *smtp, const struct submit_mail *mail)
{
	bool eight_bit = !slice_is_ascii(mail->message) || !slice_is_ascii(mail->head);
	unsigned code = smtp_reply(smtp);
	smtp->eight_bit = smtp->smtputf8 = smtp->size = smtp->dsn = false;
	if (judge(code) == SUBMIT_OK) {
		code = smtp_command(smtp, arena_printf(smtp->arena, "EHLO %s\r\n", mail->helo));
	}
	if (judge(code) == SUBMIT_OK && ((mail->smtputf8 && !smtp->smtputf8) || (eight_bit && !smtp->eight_bit))) {
		smtp->reply = mail->smtputf8 && !smtp->smtputf8 ? "the relay does not offer SMTPUTF8, which the message needs"
		                                                : "the relay does not offer 8BITMIME, which the message needs";
		return SUBMIT_PERMANENT;
	}
	if (judge(code) == SUBMIT_OK) {
		code = smtp_command(smtp, mail_command(smtp, mail, eight_bit));
	}
	if (judge(code) == SUBMIT_OK) {
		code = smtp_command(smtp, arena_printf(smtp->arena, "RCPT TO:<%s>\r\n", mail->to));
	}
	if (judge(code) == SUBMIT_OK) {
		code = smtp_command(smtp, "DATA\r\n");
	}
	return judge(code);
}

static enum submit_result smtp_session(struct smtp *smtp, const struct submit_mail *mail)
{
	bool at_start = true;
	if (!is_path(mail->from) || !is_path(mail->to) || !is_path(mail->helo)) {
		smtp->reply = "an address with a control character";
		return SUBMIT_PERMANENT;
	}
	enum submit_result result = smtp_envelope(smtp, mail);
	if (result == SUBMIT_OK) {
		if (!smtp_data(smtp, mail->head, &at_start) || !smtp_data(smtp, mail->message, &at_start)) {
			smtp->reply = "the connection broke";
			return SUBMIT_TEMPORARY;
		}
		const char *end = at_start ? ".\r\n" : "\r\n.\r\n";
		unsigned code = smtp_command(smtp, end);
		if (code == 0) {
			return SUBMIT_UNKNOWN;
		}
		result = judge(code);
	}
	const char *reply = smtp->reply;
	smtp_command(smtp, "QUIT\r\n");
	smtp->reply = reply;
	return result;
}

enum submit_result submit_send(const struct submit_relay *relay, const struct submit_mail *mail, uint64_t deadline,
                               struct arena *arena, const char **reply_r)
{
	struct smtp smtp = {.fd = -1, .deadline = deadline, .arena = arena, .reply = "no connection"};
	enum submit_result result = SUBMIT_TEMPORARY;
	bool open = relay->kind == SUBMIT_SMTP ? open_tcp(&smtp, relay) : open_program(&smtp, relay->host);
	if (open) {
		result = smtp_session(&smtp, mail);
		smtp_close(&smtp);
	}
	*reply_r = smtp.reply;
	return result;
}
