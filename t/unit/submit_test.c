/* Handing a message to an MTA: what goes over the wire, and what each answer, or none, comes to. The MTA is a thread
 * that keeps to a script: lines it says, and what it waits for before each. */
#include "lib/report/submit.h"

#include "lib/base/clock.h"
#include "t/tap.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct arena *arena;

/* says[i] is sent after the line that begins with waits[i] ("" at once); NULL ends: hangs up. */
struct script {
	const char *waits[10];
	const char *says[10];
	int listener;
	bool hang; /* at its end: say nothing until the client goes */
	char heard[8192];
	size_t heard_size;
};

static bool heard(struct script *script, int fd, size_t from, const char *what)
{
	while (script->heard_size < sizeof script->heard - 1) {
		const char *at = strstr(script->heard + from, what);
		if (at != NULL && strstr(at, "\r\n") != NULL) {
			return true;
		}
		ssize_t got = recv(fd, script->heard + script->heard_size, sizeof script->heard - 1 - script->heard_size, 0);
		if (got <= 0) {
			return false;
		}
		script->heard_size += (size_t)got;
	}
	return false;
}

static void *serve(void *argument)
{
	struct script *script = argument;
	int fd = accept(script->listener, NULL, NULL);
	size_t from = 0;
	for (size_t i = 0; script->says[i] != NULL; i++) {
		if (script->waits[i][0] != '\0' && !heard(script, fd, from, script->waits[i])) {
			break;
		}
		from = script->heard_size;
		send(fd, script->says[i], strlen(script->says[i]), MSG_NOSIGNAL);
	}
	char rest[64];
	while (script->hang && recv(fd, rest, sizeof rest, 0) > 0) {
	}
	close(fd);
	return NULL;
}

static enum submit_result run(struct script *script, const struct submit_mail *mail, uint64_t milliseconds,
                              const char **reply_r)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	pthread_t thread;
	struct submit_relay relay;
	const char *expected;
	script->listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(script->listener, (struct sockaddr *)&address, size) != 0 || listen(script->listener, 1) != 0 ||
	    getsockname(script->listener, (struct sockaddr *)&address, &size) != 0) {
		abort();
	}
	submit_relay_parse(arena, arena_printf(arena, "smtp:127.0.0.1:%u", ntohs(address.sin_port)), &relay, &expected);
	pthread_create(&thread, NULL, serve, script);
	enum submit_result result = submit_send(&relay, mail, clock_now() + milliseconds * CLOCK_NS_PER_MS, arena, reply_r);
	pthread_join(thread, NULL);
	close(script->listener);
	return result;
}

#define EHLO "250-mx\r\n250-8BITMIME\r\n250-size 1000\r\n250 SMTPUTF8\r\n"

static const struct submit_mail plain = {
    .helo = "mx.test.example",
    .from = "a@test.example",
    .to = "\"b c\"+x@Dst.example",
    .head = {"X-Mailreeve-Release: token\r\n", 28},
    .message = {"Subject: s\r\n\r\n.one\r\n..\r\nno dot.\r\n.", 34},
};

static void test_wire(void)
{
	struct script script = {.waits = {"", "EHLO", "MAIL", "RCPT", "DATA", "\r\n.\r\n", "QUIT"},
	                        .says = {"220-mx\r\n220 hello\r\n", EHLO, "250 ok\r\n", "250 ok\r\n", "354 go\r\n",
	                                 "250 2.0.0 queued as 1\r\n", "221 bye\r\n"}};
	const char *reply;
	ok(run(&script, &plain, 10000, &reply) == SUBMIT_OK, "a message is taken");
	is_text(reply, "250 2.0.0 queued as 1", "the MTA's words");
	is_text(script.heard,
	        "EHLO mx.test.example\r\nMAIL FROM:<a@test.example> SIZE=62\r\nRCPT TO:<\"b c\"+x@Dst.example>\r\nDATA\r\n"
	        "X-Mailreeve-Release: token\r\nSubject: s\r\n\r\n..one\r\n...\r\nno dot.\r\n..\r\n.\r\nQUIT\r\n",
	        "byte for byte: dots doubled, the last line ended, the address as it is spelt");
}

static void test_eight_bit(void)
{
	struct submit_mail mail = plain;
	const char *reply;
	mail.message = slice_from("Subject: \xc3\xa4\r\n\r\n");
	mail.smtputf8 = true;
	struct script script = {.waits = {"", "EHLO", "MAIL"}, .says = {"220 hello\r\n", EHLO, "451 later\r\n"}};
	ok(run(&script, &mail, 10000, &reply) == SUBMIT_TEMPORARY, "451 to MAIL");
	ok(strstr(script.heard, "MAIL FROM:<a@test.example> SIZE=43 BODY=8BITMIME SMTPUTF8\r\n") != NULL,
	   "what the message needs is said");
	struct script old = {.waits = {"", "EHLO"}, .says = {"220 hello\r\n", "250-mx\r\n250 8BITMIME\r\n"}};
	ok(run(&old, &mail, 10000, &reply) == SUBMIT_PERMANENT && strstr(reply, "SMTPUTF8") != NULL,
	   "an MTA without SMTPUTF8 does not get it");
	struct script older = {.waits = {"", "EHLO"}, .says = {"220 8BITMIME\r\n", "250 mx\r\n"}};
	mail.smtputf8 = false;
	ok(run(&older, &mail, 10000, &reply) == SUBMIT_PERMANENT && strstr(reply, "8BITMIME") != NULL,
	   "nor does one without 8BITMIME, whatever its greeting says");
}

static const struct {
	const char *waits[8];
	const char *says[8];
	bool hang;
	enum submit_result expected;
	const char *why;
} answers[] = {
    {{""}, {"554 no\r\n"}, false, SUBMIT_PERMANENT, "refused at once"},
    {{""}, {"421 later\r\n"}, false, SUBMIT_TEMPORARY, "too busy"},
    {{""}, {NULL}, false, SUBMIT_TEMPORARY, "hangs up at once"},
    {{""}, {NULL}, true, SUBMIT_TEMPORARY, "says nothing"},
    {{""}, {"nonsense\r\n"}, false, SUBMIT_TEMPORARY, "is no SMTP server"},
    {{"", "EHLO", "MAIL", "RCPT"},
     {"220 x\r\n", EHLO, "250 x\r\n", "550 no such user\r\n"},
     false,
     SUBMIT_PERMANENT,
     "550 to RCPT"},
    {{"", "EHLO", "MAIL", "RCPT", "DATA"},
     {"220 x\r\n", EHLO, "250 x\r\n", "250 x\r\n", "451 x\r\n"},
     false,
     SUBMIT_TEMPORARY,
     "451 to DATA"},
    {{"", "EHLO", "MAIL", "RCPT", "DATA", "\r\n.\r\n"},
     {"220 x\r\n", EHLO, "250 x\r\n", "250 x\r\n", "354 x\r\n", "550 virus\r\n"},
     false,
     SUBMIT_PERMANENT,
     "550 to the message"},
    {{"", "EHLO", "MAIL", "RCPT", "DATA", "\r\n.\r\n"},
     {"220 x\r\n", EHLO, "250 x\r\n", "250 x\r\n", "354 x\r\n", "452 full\r\n"},
     false,
     SUBMIT_TEMPORARY,
     "452 to the message"},
    {{"", "EHLO", "MAIL", "RCPT", "DATA"},
     {"220 x\r\n", EHLO, "250 x\r\n", "250 x\r\n", "354 x\r\n"},
     true,
     SUBMIT_UNKNOWN,
     "no answer to the message: it may be taken"},
    {{"", "EHLO", "MAIL", "RCPT", "DATA", "\r\n.\r\n"},
     {"220 x\r\n", EHLO, "250 x\r\n", "250 x\r\n", "354 x\r\n", ""},
     false,
     SUBMIT_UNKNOWN,
     "hangs up instead of an answer"},
};

static void test_answers(void)
{
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		struct script script = {.hang = answers[i].hang};
		const char *reply;
		memcpy(script.waits, answers[i].waits, sizeof answers[i].waits);
		memcpy(script.says, answers[i].says, sizeof answers[i].says);
		enum submit_result result = run(&script, &plain, answers[i].hang ? 300 : 10000, &reply);
		if (!ok(result == answers[i].expected && reply[0] != '\0', "%s", answers[i].why)) {
			diag("%d: %s", (int)result, reply);
		}
	}
	struct submit_mail bad = plain;
	const char *reply;
	bad.to = "b@dst.example>\r\nRCPT TO:<c@dst.example";
	struct script script = {.waits = {""}, .says = {"220 x\r\n"}};
	ok(run(&script, &bad, 10000, &reply) == SUBMIT_PERMANENT && script.heard[0] == '\0',
	   "an address cannot bring a command in");
}

static void test_relay(void)
{
	static const struct {
		const char *text, *host, *port;
	} relays[] = {{"smtp:127.0.0.1:10025", "127.0.0.1", "10025"},
	              {"smtp:[::1]:25", "::1", "25"},
	              {"smtp:mx.example.org:587", "mx.example.org", "587"},
	              {"smtp:127.0.0.1", NULL, NULL},
	              {"smtp::25", NULL, NULL},
	              {"smtp:::1:25", NULL, NULL},
	              {"smtp:h:0", NULL, NULL},
	              {"smtp:h:65536", NULL, NULL},
	              {"smtp:[:25", NULL, NULL},
	              {"lmtp:h:25", NULL, NULL},
	              {"sendmail:sendmail", NULL, NULL},
	              {"", NULL, NULL},
	              {"smtp:", NULL, NULL}};
	struct submit_relay relay;
	const char *expected;
	for (size_t i = 0; i < sizeof relays / sizeof *relays; i++) {
		bool good = submit_relay_parse(arena, relays[i].text, &relay, &expected);
		ok(good == (relays[i].host != NULL) &&
		       (!good || (strcmp(relay.host, relays[i].host) == 0 && strcmp(relay.port, relays[i].port) == 0)),
		   "relay \"%s\"", relays[i].text);
	}
	ok(submit_relay_parse(arena, "sendmail:/usr/sbin/sendmail", &relay, &expected) && relay.kind == SUBMIT_SENDMAIL &&
	       strcmp(relay.host, "/usr/sbin/sendmail") == 0,
	   "relay \"sendmail:/usr/sbin/sendmail\"");
}

/* A program that takes the message on its standard input. */
static void test_program(void)
{
	char path[] = "/tmp/mailreeve-submit.XXXXXX";
	int fd = mkstemp(path);
	dprintf(fd,
	        "#!/bin/sh\n[ \"$1\" = -bs ] || exit 1\nprintf '220 x\\r\\n'\nwhile read -r line; do case $line in\nEHLO*) "
	        "printf '250 x\\r\\n';; DATA*) printf '354 x\\r\\n';; .?) printf '250 taken\\r\\n';; QUIT*) printf "
	        "'221 x\\r\\n'; exit;; MAIL*|RCPT*) printf '250 x\\r\\n';; esac; done\n");
	fchmod(fd, 0755);
	close(fd);
	struct submit_relay relay = {.kind = SUBMIT_SENDMAIL, .host = path};
	const char *reply;
	ok(submit_send(&relay, &plain, clock_now() + 20 * CLOCK_NS_PER_S, arena, &reply) == SUBMIT_OK,
	   "a program takes it");
	is_text(reply, "250 taken", "and says so");
	relay.host = "/nonexistent/sendmail";
	ok(submit_send(&relay, &plain, clock_now() + 20 * CLOCK_NS_PER_S, arena, &reply) == SUBMIT_TEMPORARY &&
	       strstr(reply, "No such file") != NULL,
	   "a program that is not there");
	unlink(path);
}

int main(void)
{
	arena = arena_create(4096);
	test_relay();
	test_wire();
	test_eight_bit();
	test_answers();
	test_program();
	arena_destroy(arena);
	return done_testing();
}
