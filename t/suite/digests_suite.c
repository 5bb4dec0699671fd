/* What the store knows of reports to users, against a real store: SQLite in a folder of its own, or the one that
 * MAILREEVE_TEST_STORE names. */
#include "lib/store/digests.h"
#include "lib/store/history.h"
#include "t/tap.h"
#include "t/test_store.h"

#include <pthread.h>
#include <unistd.h>

enum { NOW = 1800000000, LEASE = 100, TAKERS = 8, USERS = 40 };

static struct store *store;
static struct arena *arena;

/* ---- rows of the history ---- */

static void record(int64_t time, const char *direction, const char *address, const char *action)
{
	struct history_recipient recipient = {.address = address, .domain = "a.example", .action = action};
	struct history_finding findings[] = {
	    {.code = "spf.fail", .action = action, .effective = action, .recipient = 0},
	    {.code = "spf.none", .action = "ignore", .effective = "ignore", .recipient = -1}};
	const struct history_message message = {.id = history_new_id(time),
	                                        .time = time,
	                                        .direction = direction,
	                                        .support_id = "SUPPORT1",
	                                        .author = "x@b.example",
	                                        .subject = "a subject",
	                                        .action = action,
	                                        .recipients = &recipient,
	                                        .recipients_given = 1,
	                                        .recipient_count = 1,
	                                        .findings = findings,
	                                        .findings_given = 2};
	history_record(store, &message);
}

static bool on_address(void *context, const char *address, const char *domain, int64_t newest)
{
	strbuf_printf(context, "%s %s %lld;", address, domain, (long long)(newest - NOW));
	return true;
}

static bool on_entry(void *context, const struct digest_entry *entry)
{
	strbuf_printf(context, "%s %s %s %lld;", entry->address, entry->action, entry->author,
	              (long long)(entry->time - NOW));
	return true;
}

static bool on_finding(void *context, const char *code, const char *effective)
{
	strbuf_printf(context, "%s %s;", code, effective);
	return true;
}

static bool on_first(void *context, const struct digest_entry *entry)
{
	*(int64_t *)context = entry->message;
	return false;
}

static void test_history(void)
{
	struct strbuf text;
	int64_t message = 0;
	record(NOW, "inbound", "Bob+x@a.example", "quarantine");
	record(NOW + 5, "inbound", "bob@a.example", "reject");
	record(NOW + 6, "inbound", "bob@a.example", "accept");
	record(NOW + 6, "inbound", "bob@a.example", "tempfail");
	record(NOW + 7, "outbound", "bob@a.example", "reject");
	record(NOW + 8, "inbound", "eve@a.example", "tag");
	record(NOW + 10, "inbound", "late@a.example", "tag");
	ok(store_flush(store, 30 * CLOCK_NS_PER_S), "recorded");
	strbuf_init(&text, arena);
	is_int(digests_scan(store, NOW, NOW + 10, on_address, &text), STORE_OK, "scanned");
	ok(strstr(text.data, "bob+x@a.example a.example 0;") != NULL &&
	       strstr(text.data, "bob@a.example a.example 5;") != NULL &&
	       strstr(text.data, "eve@a.example a.example 8;") != NULL && strlen(text.data) == 80,
	   "inbound mail of that time that was stopped or marked: %s", text.data);
	is_int(digests_found(store, "bob+x@a.example", "bob@a.example", NOW), STORE_OK, "found");
	strbuf_init(&text, arena);
	digests_entries(store, "bob@a.example", NOW, NOW + 10, 100, on_entry, &text);
	is_text(text.data, "bob@a.example reject x@b.example 5;Bob+x@a.example quarantine x@b.example 0;",
	        "one's own, with details, the youngest first, and nobody else's");
	strbuf_init(&text, arena);
	digests_entries(store, "bob@a.example", NOW + 1, NOW + 10, 100, on_entry, &text);
	is_text(text.data, "bob@a.example reject x@b.example 5;", "of that time");
	strbuf_init(&text, arena);
	digests_entries(store, "bob@a.example", NOW, NOW + 10, 100, on_first, &message);
	digests_findings(store, message, 0, on_finding, &text);
	is_text(text.data, "spf.fail reject;", "why");
}

/* ---- users ---- */

static bool on_user(void *context, const struct digest_user *user)
{
	strbuf_printf(context, "%s;", user->owner);
	return true;
}

static void test_settings(void)
{
	struct digest_user user;
	is_int(digests_user(store, arena, "set@a.example", &user), STORE_OK, "one that was never heard of");
	is_text(user.frequency, "", "has no settings");
	digests_set(store, "set@a.example", "weekly", NULL);
	digests_set(store, "set@a.example", NULL, "de");
	digests_user(store, arena, "set@a.example", &user);
	ok(strcmp(user.frequency, "weekly") == 0 && strcmp(user.language, "de") == 0, "each setting by itself");
	digests_set(store, "set@a.example", "", NULL);
	digests_user(store, arena, "set@a.example", &user);
	ok(user.frequency[0] == '\0' && strcmp(user.language, "de") == 0, "and back");
}

static void test_progress(void)
{
	int64_t scanned = 1, slot = 1;
	digests_progress(store, &scanned, &slot);
	ok(scanned == 0 && slot == 0, "none yet");
	digests_set_progress(store, NOW, NOW - 5);
	digests_set_progress(store, NOW - 1, NOW - 5);
	digests_progress(store, &scanned, &slot);
	ok(scanned == NOW && slot == NOW - 5, "forward only");
}

static const char *news(void)
{
	struct strbuf text;
	strbuf_init(&text, arena);
	digests_news(store, "", 100, on_user, &text);
	return text.data;
}

static void test_sending(void)
{
	struct digest_user user, again;
	bool found;
	digests_found(store, "one@a.example", "one@a.example", NOW + 5);
	ok(strstr(news(), "one@a.example;") != NULL, "there is something to tell");
	digests_want(store, "one@a.example", NOW + 100, NOW);
	is_int(digests_take(store, arena, "one@a.example", NOW, LEASE, &user, &found), STORE_OK, "taken");
	ok(found && user.trying == NOW + 100 && user.attempts == 1 && user.nonce[0] != '\0' && !user.passed,
	   "with a nonce");
	digests_take(store, arena, "one@a.example", NOW + 1, LEASE, &again, &found);
	ok(!found, "nobody else has it meanwhile");
	digests_want(store, "one@a.example", NOW + 200, NOW + 2);
	digests_take(store, arena, "one@a.example", NOW + LEASE, LEASE, &again, &found);
	ok(found && strcmp(again.nonce, user.nonce) == 0 && again.trying == NOW + 100,
	   "after the lease it is the same attempt, though more is wanted by now");
	digests_passed(store, user.nonce, "other@a.example");
	digests_take(store, arena, "one@a.example", NOW + 2 * LEASE, LEASE, &again, &found);
	ok(found && !again.passed, "a mail to somebody else is not it");
	digests_passed(store, user.nonce, "one@a.example");
	digests_take(store, arena, "one@a.example", NOW + 3 * LEASE, LEASE, &again, &found);
	ok(found && again.passed, "who comes later knows that it has passed the gate");
	digests_settle(store, &again, true, NOW + 400);
	digests_user(store, arena, "one@a.example", &user);
	ok(user.covered == NOW + 100 && user.sent == NOW + 400 && user.wanted == NOW + 200 && user.nonce[0] == '\0',
	   "the end of one, and what came meanwhile is still wanted");
	ok(strstr(news(), "one@a.example;") == NULL, "there is no news");
	digests_take(store, arena, "one@a.example", NOW + 500, LEASE, &user, &found);
	digests_later(store, &user, NOW + 1000);
	digests_take(store, arena, "one@a.example", NOW + 999, LEASE, &again, &found);
	ok(!found, "put off");
	digests_take(store, arena, "one@a.example", NOW + 1000, LEASE, &again, &found);
	ok(found && strcmp(again.nonce, user.nonce) != 0, "and another attempt then");
	digests_settle(store, &user, true, NOW);
	digests_take(store, arena, "one@a.example", NOW + 2000, LEASE, &user, &found);
	ok(found, "the end of an attempt that is over ends nothing else");
	digests_settle(store, &user, true, NOW + 2000);
	digests_want(store, "one@a.example", NOW + 150, NOW + 2000);
	digests_take(store, arena, "one@a.example", NOW + 3000, LEASE, &user, &found);
	ok(!found, "what was told is not told again");
}

static void *take_all(void *context)
{
	struct arena *own = arena_create(4096);
	struct digest_user user;
	bool found = true;
	long *count = context;
	while (found) {
		if (digests_take(store, own, "", NOW, LEASE, &user, &found) == STORE_OK && found) {
			digests_settle(store, &user, true, NOW);
			(*count)++;
		}
	}
	arena_destroy(own);
	return NULL;
}

static void test_many(void)
{
	pthread_t threads[TAKERS];
	long counts[TAKERS] = {0};
	long total = 0;
	struct digest_status status;
	for (int i = 0; i < USERS; i++) {
		digests_want(store, arena_printf(arena, "user%d@a.example", i), NOW + 10, NOW);
	}
	for (int i = 0; i < TAKERS; i++) {
		pthread_create(&threads[i], NULL, take_all, &counts[i]);
	}
	for (int i = 0; i < TAKERS; i++) {
		pthread_join(threads[i], NULL);
		total += counts[i];
	}
	is_int(total, USERS, "of many who take, each user is taken once");
	is_int(digests_status(store, &status), STORE_OK, "status");
	ok(status.waiting == 0 && status.users == USERS + 1 && status.sent == NOW + 2000, "of all");
}

/* ---- links, replies ---- */

static void test_links(void)
{
	struct digest_link links[] = {
	    {.owner = "bob@a.example",
	     .message = "0123456789ABCDEF",
	     .copy = 3,
	     .author = "x@b.example",
	     .language = "",
	     .expires = NOW + 9},
	    {.owner = "eve@a.example", .message = "", .author = "", .language = "de", .expires = NOW - 9}};
	struct digest_link link;
	struct digest_request request;
	bool found;
	size_t n = 0;
	action_nonce_make(links[0].nonce);
	action_nonce_make(links[1].nonce);
	is_int(digests_add_links(store, links, 2), STORE_OK, "links");
	is_int(digests_link(store, arena, links[0].nonce, &link, &found), STORE_OK, "one");
	ok(found && strcmp(link.owner, "bob@a.example") == 0 && link.copy == 3 &&
	       strcmp(link.message, "0123456789ABCDEF") == 0 && strcmp(link.author, "x@b.example") == 0 &&
	       link.expires == NOW + 9,
	   "as it was written");
	digests_link(store, arena, "0000000000000000", &link, &found);
	ok(!found, "one that is not there");
	struct action_token token = {.verb = ACTION_TRUST};
	memcpy(token.nonce, links[0].nonce, sizeof token.nonce);
	for (int i = 0; i < DIGESTS_USES_MAX + 5; i++) {
		digests_add_request(store, &token, "<id@a.example>", NOW);
	}
	digests_take_request(store, arena, NOW, LEASE, &request, &found);
	ok(found && request.verb == ACTION_TRUST && strcmp(request.nonce, links[0].nonce) == 0 && request.attempts == 1 &&
	       strcmp(request.message_id, "<id@a.example>") == 0,
	   "a request");
	digests_later_request(store, &request, NOW + 5);
	digests_end_request(store, &request);
	for (; digests_take_request(store, arena, NOW, LEASE, &request, &found) == STORE_OK && found; n++) {
		digests_end_request(store, &request);
	}
	is_int((long long)n, DIGESTS_USES_MAX - 1, "no more than a link is good for");
	memcpy(token.nonce, "0000000000000000", sizeof token.nonce);
	digests_add_request(store, &token, "", NOW);
	digests_take_request(store, arena, NOW, LEASE, &request, &found);
	ok(!found, "none of a link that is not there");
	digests_expire(store, NOW, NOW + 1);
	digests_link(store, arena, links[1].nonce, &link, &found);
	ok(!found, "expired");
	digests_link(store, arena, links[0].nonce, &link, &found);
	ok(found, "not expired");
}

int main(void)
{
	char folder[] = "/tmp/digests.XXXXXX";
	if (mkdtemp(folder) == NULL) {
		skip_all("no temporary folder");
	}
	arena = arena_create(65536);
	store = open_store(folder);
	test_history();
	test_settings();
	test_progress();
	test_sending();
	test_many();
	test_links();
	store_close(store);
	arena_destroy(arena);
	char *command = NULL;
	if (asprintf(&command, "rm -rf '%s'", folder) > 0 && system(command) != 0) {
		diag("%s is left", folder);
	}
	free(command);
	return done_testing();
}
