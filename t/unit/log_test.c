/* The forms of the log, its levels by stage, and repeats. What is written goes through a pipe in place of standard
 * error. */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/log_form.h"
#include "t/tap.h"

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int written; /* end of the pipe that is read */
static int kept;    /* standard error as it was */

static void capture(void)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0) {
		abort();
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
	kept = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	written = ends[0];
}

/* All that was written since, at most a megabyte. */
static const char *taken(void)
{
	static char text[1 << 20];
	size_t n = 0;
	ssize_t got;
	while (n < sizeof text - 1 && (got = read(written, text + n, sizeof text - 1 - n)) > 0) {
		n += (size_t)got;
	}
	text[n] = '\0';
	return text;
}

static size_t lines(const char *text)
{
	size_t n = 0;
	for (; *text != '\0'; text++) {
		n += *text == '\n';
	}
	return n;
}

static const char *const stages[] = {"spf", "dkim"};

static void levels(void)
{
	log_name_stages(stages, 2);
	log_set_level(LOG_LEVEL_INFO);
	log_debug("no");
	log_set_stage_level(0, LOG_LEVEL_DEBUG);
	log_debug("not of the stage");
	log_enter(1);
	log_debug("of another stage");
	log_enter(0);
	ok(log_wants(LOG_LEVEL_DEBUG), "it would be written");
	log_debug("of the stage");
	log_leave();
	log_debug("after it");
	ok(strstr(taken(), "debug: of the stage\n") != NULL, "a stage's own level lets it through");
	log_set_stage_level(1, LOG_LEVEL_ERROR);
	log_enter(1);
	log_warning("quiet");
	log_leave();
	log_info("general");
	const char *text = taken();
	ok(strstr(text, "quiet") == NULL && strstr(text, "general") != NULL && lines(text) == 1, "or keeps it back");
	log_set_level(LOG_LEVEL_INFO);
	is_int(log_get_stage_level(1), LOG_LEVEL_INFO, "one level for all again");
	enum log_level level;
	ok(log_level_parse("warning", &level) && level == LOG_LEVEL_WARNING && !log_level_parse("Warning", &level),
	   "names of levels");
}

static json_t *parsed(const char *text, const char *name)
{
	json_error_t error;
	json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (!ok(object != NULL && lines(text) == 1, "%s: one line, one object", name)) {
		diag("%s: %s", error.text, text);
	}
	return object;
}

static const char *member(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void json_lines(void)
{
	char hostile[260] = "";
	for (int i = 1; i < 256; i++) {
		hostile[i - 1] = (char)i;
	}
	log_set_form(LOG_FORM_JSON);
	log_enter(0);
	log_info("hostile: %s", hostile);
	log_leave();
	json_t *object = parsed(taken(), "every byte but NUL");
	const char *message = member(object, "message");
	ok(message != NULL && strncmp(message, "hostile: \x01\x02", 11) == 0, "control bytes come back as they were");
	ok(message != NULL && strstr(message, "\\x80\\x81") != NULL && strstr(message, "\\xff") != NULL,
	   "what is no UTF-8 is shown");
	is_text(member(object, "stage"), "spf", "the stage is named");
	is_text(member(object, "level"), "info", "the level too");
	json_decref(object);

	const struct log_field fields[] = {{"queue_id", "A\"1", LOG_TEXT},
	                                   {"score", "2.5", LOG_NUMBER},
	                                   {"dkim", "pass(a,b)", LOG_EACH},
	                                   {"dkim", "fail(c)", LOG_EACH},
	                                   {"findings", "a.b,c.d", LOG_LIST}};
	log_event(LOG_LEVEL_INFO, "verdict", "text", fields, 5);
	object = parsed(taken(), "an event");
	is_text(member(object, "event"), "verdict", "is named");
	is_text(member(object, "queue_id"), "A\"1", "has its fields");
	ok(json_real_value(json_object_get(object, "score")) == 2.5, "numbers as numbers");
	is_int((long long)json_array_size(json_object_get(object, "dkim")), 2, "of those that come twice an array");
	is_text(json_string_value(json_array_get(json_object_get(object, "dkim"), 0)), "pass(a,b)", "of each whole");
	is_int((long long)json_array_size(json_object_get(object, "findings")), 2, "a list becomes an array");
	json_decref(object);

	static char large[60000];
	memset(large, '"', sizeof large - 1);
	struct log_field many[40];
	for (size_t i = 0; i < 40; i++) {
		static char keys[40][8];
		snprintf(keys[i], sizeof keys[i], "k%zu", i);
		many[i] = (struct log_field){keys[i], i == 3 ? large : "v", i % 2 == 0 ? LOG_TEXT : LOG_LIST};
	}
	log_event(LOG_LEVEL_INFO, "verdict", large, many, 40);
	object = parsed(taken(), "an event that is too large");
	many[7].value = large;
	log_event(LOG_LEVEL_INFO, "verdict", large, many, 40);
	json_decref(object);
	object = parsed(taken(), "one that is far too large");
	ok(json_is_true(json_object_get(object, "cut")), "says that it was cut");
	json_decref(object);
	log_info("%s", large);
	json_decref(parsed(taken(), "a message that is too large"));
	log_set_form(LOG_FORM_TEXT);
}

static void journal_lines(void)
{
	char path[] = "/tmp/mailreeve-journal-XXXXXX";
	if (mkdtemp(path) == NULL) {
		abort();
	}
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", path);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ok(bind(fd, (struct sockaddr *)&address, sizeof address) == 0, "a journal of our own");
	log_set_journal(address.sun_path);
	log_open(LOG_TARGET_JOURNAL, "log_test");
	const struct log_field fields[] = {{"queue_id", "A1", LOG_TEXT}, {"detail", "two\nlines", LOG_TEXT}};
	log_event(LOG_LEVEL_WARNING, "verdict", "the line", fields, 2);
	char packet[1000] = "";
	ssize_t n = recv(fd, packet, sizeof packet - 1, 0);
	static const char expected[] =
	    "MESSAGE=the line\nPRIORITY=4\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=log_test\n"
	    "MAILREEVE_EVENT=verdict\nMAILREEVE_QUEUE_ID=A1\nMAILREEVE_DETAIL\n\x09\0\0\0\0\0\0\0two\nlines\n";
	ok(n == (ssize_t)sizeof expected - 1 && memcmp(packet, expected, sizeof expected - 1) == 0,
	   "fields as the protocol has them");
	log_info("injected\nPRIORITY=0");
	n = recv(fd, packet, sizeof packet - 1, 0);
	ok(n > 0 && strncmp(packet, "MESSAGE\n\x13", 9) == 0, "a line break makes no field");
	close(fd);
	unlink(address.sun_path);
	rmdir(path);
	log_open(LOG_TARGET_STDERR, "log_test");
}

static void say(int i)
{
	log_warning("message %d", i);
}

static void *say_many(void *context)
{
	(void)context;
	for (int i = 0; i < 1000; i++) {
		log_info("of a thread");
	}
	return NULL;
}

static void repeats(void)
{
	log_limit_repeats(5, 3600 * CLOCK_NS_PER_S);
	for (int i = 0; i < 100; i++) {
		say(i);
		log_event(LOG_LEVEL_INFO, "verdict", "verdict", NULL, 0);
	}
	log_info("another kind");
	const char *text = taken();
	is_int((long long)lines(text), 106, "five of a kind, all verdicts, and another kind");
	ok(strstr(text, "message 4\n") != NULL && strstr(text, "message 5\n") == NULL, "the first five");
	log_tell_repeats(false);
	is_text(taken(), "", "nothing is told while the window lasts");
	log_tell_repeats(true);
	text = taken();
	ok(strstr(text, "warning: repeated 95 times in 0 s: message 99\n") != NULL && lines(text) == 1,
	   "how many were held back");
	log_tell_repeats(true);
	is_text(taken(), "", "is told once");
	log_limit_repeats(5, 1); /* a nanosecond */
	for (int i = 0; i < 20; i++) {
		say(i);
	}
	is_int((long long)lines(taken()), 20, "behind each window it begins anew");
	log_limit_repeats(5, 3600 * CLOCK_NS_PER_S);
	pthread_t threads[8];
	for (size_t i = 0; i < 8; i++) {
		pthread_create(&threads[i], NULL, say_many, NULL);
	}
	for (size_t i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
	}
	is_int((long long)lines(taken()), 5, "of eight threads together five");
	log_tell_repeats(true);
	ok(strstr(taken(), "repeated 7995 times") != NULL, "and none is forgotten");
	log_limit_repeats(0, 0);
}

int main(void)
{
	log_open(LOG_TARGET_STDERR, "log_test");
	capture();
	levels();
	json_lines();
	journal_lines();
	repeats();
	dup2(kept, STDERR_FILENO);
	return done_testing();
}
