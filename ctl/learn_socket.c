/* Messages by the daemon's control socket, for who may not open the store. */
#include "ctl/learn.h"
#include "lib/base/clock.h"
#include "lib/http/client.h"

#include <stdio.h>
#include <stdlib.h>

enum { ANSWER_MAX = 65536, TIMEOUT_S = 120 };

/* For a query: letters, digits and what is not reserved (RFC 3986 2.3) stay. */
static const char *encoded(struct arena *arena, const char *text)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	for (; *text != '\0'; text++) {
		if (ascii_is_alpha(*text) || ascii_is_digit(*text) || strchr("-._~", *text) != NULL) {
			strbuf_add_char(&out, *text);
		} else {
			strbuf_printf(&out, "%%%02X", (unsigned char)*text);
		}
	}
	return out.data;
}

/* "learnt=1 known=0 ...": the numbers in the order of enum bayes_outcome. False: it is something else. */
static bool add_counts(struct learn_command *command, const char *text)
{
	unsigned long long n[LEARNER_OUTCOMES] = {0};
	const char *at = text;
	for (size_t i = 0; i < LEARNER_OUTCOMES; i++) {
		char *end;
		n[i] = strtoull(at, &end, 10);
		if (end == at) {
			return false;
		}
		at = end;
	}
	for (size_t i = 0; i < LEARNER_OUTCOMES; i++) {
		command->counts.of[i] += n[i];
	}
	return true;
}

enum { GOES_ON, GIVEN_UP };

static int send_message(struct learn_command *command, const char *path, const char *name, struct slice message)
{
	struct arena *arena = arena_create(4096);
	struct http_ask ask = {.socket = command->socket,
	                       .method = "POST",
	                       .path = path,
	                       .body = message,
	                       .timeout_ns = TIMEOUT_S * CLOCK_NS_PER_S,
	                       .answer_max = ANSWER_MAX};
	const char *error = NULL;
	struct slice body;
	unsigned status;
	int result = GOES_ON;
	if (!http_ask(&ask, arena, &status, &body, &error)) {
		learn_failed(command, name, arena_printf(arena, "%s does not answer: %s", command->socket, error));
		result = GIVEN_UP;
	} else if (status != 200 || !add_counts(command, body.data)) {
		learn_failed(command, name, text_escape(arena, slice_trim(body), "", true, 500));
		result = status == 403 || status == 404 || status == 503 ? GIVEN_UP : GOES_ON;
	}
	arena_destroy(arena);
	return result;
}

bool learn_by_socket(struct learn_command *command, struct learn_reader *reader)
{
	struct arena *arena = command->arena;
	const char *path = arena_printf(arena, "/learn?class=%s", command->class_name);
	char *name;
	struct slice message;
	enum learn_next next;
	int result = GOES_ON;
	if (command->user != NULL) {
		path = arena_printf(arena, "%s&user=%s", path, encoded(arena, command->user));
	}
	if (command->attached) {
		path = arena_printf(arena, "%s&attached=yes", path);
	}
	while (result == GOES_ON && (next = learn_reader_next(reader, &name, &message)) != LEARN_END) {
		if (next == LEARN_PROBLEM) {
			learn_failed(command, name, message.data);
		} else {
			command->messages++;
			learn_progress(command, false);
			result = send_message(command, path, name, message);
		}
		free(name);
		free((char *)(uintptr_t)message.data);
	}
	return result == GOES_ON;
}
