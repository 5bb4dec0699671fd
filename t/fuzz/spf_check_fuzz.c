/* A whole check, libspf2 included, against a DNS that says what the input says: its first byte chooses the client, and
 * each line after it is the answer to one question, in the order of asking ("!": a temporary error, "": none, "-": not
 * there yet at the first run; else a TXT record, an address, a name, as the type wants it; lines are used in turn). */
#include "lib/auth/spf.h"
#include "t/fuzz/fuzz.h"

#include <stdio.h>
enum { QUESTIONS_MAX = 2048 };

struct question {
	char *name;
	enum dns_type type;
	struct dns_answer answer;
	struct dns_record records[12];
	bool late;
};

struct lookups {
	struct arena *arena;
	struct slice text;
	struct slice rest;
	size_t count;
	struct question *questions[QUESTIONS_MAX];
	bool answered;
};

static void answer_set(struct lookups *lookups, struct question *question, struct slice line)
{
	struct dns_answer *answer = &question->answer;
	*answer = (struct dns_answer){.status = DNS_NXDOMAIN, .records = question->records};
	question->late = line.len > 0 && line.data[0] == '-';
	if (line.len == 0 || question->late) {
		return;
	}
	if (line.data[0] == '!') {
		answer->status = DNS_TEMPORARY;
		answer->problem = "timeout";
		return;
	}
	answer->status = DNS_FOUND;
	answer->count = line.data[0] == '*' ? 12 : 1;
	for (size_t i = 0; i < answer->count; i++) {
		question->records[i].data = (struct slice){slice_dup(lookups->arena, line), line.len};
		ip_parse(question->type == DNS_TYPE_A ? "192.0.2.1" : "2001:db8::1", &question->records[i].address);
	}
}

const struct dns_answer *lookups_get(struct lookups *lookups, const char *name, enum dns_type type)
{
	struct slice line = {NULL, 0};
	for (size_t i = 0; i < lookups->count; i++) {
		struct question *known = lookups->questions[i];
		if (known->type == type && strcmp(known->name, name) == 0) {
			return known->late && !lookups->answered ? NULL : &known->answer;
		}
	}
	require(lookups->count < QUESTIONS_MAX);
	struct question *question = arena_alloc(lookups->arena, sizeof *question);
	lookups->questions[lookups->count++] = question;
	question->name = arena_strdup(lookups->arena, name);
	question->type = type;
	if (lookups->rest.data == NULL) {
		lookups->rest = lookups->text;
	}
	if (lookups->rest.data != NULL) {
		slice_split(&lookups->rest, '\n', &line);
	}
	answer_set(lookups, question, line);
	return question->late && !lookups->answered ? NULL : &question->answer;
}

static void check_verdict(const struct spf_verdict *verdict)
{
	require(verdict->lookups <= 11 && verdict->void_lookups <= 3);
	require(verdict->problem == NULL || strlen(verdict->problem) < 400);
	require(verdict->explanation == NULL || verdict->result == AUTH_FAIL);
	for (const char *c = verdict->explanation; c != NULL && *c != '\0'; c++) {
		require(*c >= ' ' && *c <= '~');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_create(16384);
	struct lookups lookups = {.arena = arena};
	struct spf_request request = {.helo = "mail.example", .mail_from = "a.b-c@example.com", .receiver = "mx.example"};
	struct spf_verdict verdict;
	int rounds = 0;
	if (size > 0) {
		lookups.text = (struct slice){(const char *)data + 1, size - 1};
		lookups.rest = lookups.text;
		ip_parse(data[0] % 2 == 0 ? "192.0.2.1" : "2001:db8::1", &request.client);
		while (!spf_check(&request, &lookups, arena, &verdict)) {
			lookups.answered = true;
			require(rounds++ < 1);
		}
		check_verdict(&verdict);
	}
	arena_destroy(arena);
	return 0;
}
