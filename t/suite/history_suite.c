/* The history against a real store: SQLite in a folder of its own, or the one that MAILREEVE_TEST_STORE names.
 * `history_suite bench N` measures: N messages recorded, then searches. */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/store/history.h"
#include "lib/store/turn.h"
#include "t/tap.h"
#include "t/test_store.h"

#include <unistd.h>

enum { DAY = 86400, NOW = 1764028800 /* 2025-11-25 00:00:00 UTC */, MANY = 1300 };

static struct history_message message_of(int64_t time, const char *id, const char *from, const char *action)
{
	const char *at = strchr(from, '@');
	return (struct history_message){.id = history_new_id(time),
	                                .time = time,
	                                .host = "mx.test.example",
	                                .queue_id = id,
	                                .support_id = id,
	                                .direction = "inbound",
	                                .peer = "192.0.2.1",
	                                .client = "192.0.2.1",
	                                .client_name = "mail.example",
	                                .helo = "helo.example",
	                                .mail_from = from,
	                                .mail_from_domain = at == NULL ? "" : at + 1,
	                                .subject = "Subject",
	                                .results = "{}",
	                                .action = action,
	                                .ended = true,
	                                .recipient_count = 1};
}

static void record(struct store *store, struct history_message *message, const char *rcpt,
                   const struct history_finding *finding)
{
	struct history_recipient recipient = {
	    .address = rcpt, .domain = strchr(rcpt, '@') + 1, .action = message->action, .reply = ""};
	struct history_finding copy;
	if (message->recipients == NULL) {
		message->recipients = &recipient;
		message->recipients_given = 1;
	}
	if (finding != NULL) {
		copy = *finding;
		message->findings = &copy;
		message->findings_given = 1;
	}
	history_record(store, message);
}

/* What a search found: the support ids, a blank behind each. */
struct found {
	char ids[8192];
	size_t count, recipients, findings;
	char last_recipient[64], detail[128], dns[64];
};

static void on_found(void *context, const struct history_message *message)
{
	struct found *found = context;
	size_t n = strlen(found->ids);
	snprintf(found->ids + n, sizeof found->ids - n, "%s ", message->support_id);
	found->count++;
	found->recipients += message->recipients_given;
	found->findings += message->findings_given;
	snprintf(found->dns, sizeof found->dns, "%s", message->dns);
	if (message->recipients_given > 0) {
		snprintf(found->last_recipient, sizeof found->last_recipient, "%s",
		         message->recipients[message->recipients_given - 1].address);
	}
	if (message->findings_given > 0) {
		snprintf(found->detail, sizeof found->detail, "%s", message->findings[0].detail);
	}
}

static const char *search(struct store *store, const struct history_filter *filter, struct found *found)
{
	memset(found, 0, sizeof *found);
	enum store_result result = history_find(store, filter, true, on_found, found);
	return result == STORE_OK ? found->ids : "(failed)";
}

static const char hostile[] = "o'b\"%_\\;--\xe2\x82\xac@hostile.example";

static void fill(struct store *store)
{
	struct history_message m = message_of(NOW - 10 * DAY, "OLD1", "a@old.example", "accept");
	record(store, &m, "Bob@dst.example", NULL);
	m = message_of(NOW - 2 * DAY, "REJ1", "ceo@bank.example", "reject");
	m.reason = "dmarc.reject";
	record(store, &m, "bob@dst.example",
	       &(struct history_finding){"dmarc.reject", "p=reject", "reject", "reject", "enforce", false, -1});
	m = message_of(NOW - 2 * DAY + 1, "OBS1", "news@shop.example", "accept");
	m.dmarc = "pass";
	m.tls_version = "TLSv1.3";
	record(store, &m, "bob@dst.example",
	       &(struct history_finding){"dnsbl.listed", "in one", "reject", "ignore", "observe", true, -1});
	m = message_of(NOW - DAY, "OBS2", "spam@spam.example", "reject");
	m.client = "2001:db8::66";
	m.tls_version = "TLSv1.1";
	record(store, &m, "carol@other.example",
	       &(struct history_finding){"dnsbl.listed", "in two", "reject", "ignore", "observe", true, -1});
	m = message_of(NOW - DAY, "HOST", hostile, "tag");
	m.author = "ceo@bank.example";
	m.author_domain = "bank.example";
	m.dns = "a.example. A 192.0.2.1\n";
	record(store, &m, hostile, &(struct history_finding){"spf.softfail", hostile, "tag", "tag", "enforce", false, -1});
	m = message_of(NOW - DAY + 5, "NULL", "", "accept");
	record(store, &m, "dave@dst.example", NULL);
}

/* Three recipients, one refused at RCPT because it came directly, the message rejected for one. */
static void fill_mixed(struct store *store)
{
	struct history_recipient rows[] = {
	    {.address = "x@dst.example", .domain = "dst.example", .action = "reject", .reply = "550 5.7.1 no", .refused = true},
	    {.address = "y@dst.example", .domain = "dst.example", .action = "accept"},
	    {.address = "z@third.example", .domain = "third.example", .action = "quarantine", .fate = "stored",
	     .quarantine = "0123456789ABCDEF", .copy = 3}};
	struct history_finding findings[] = {{"upstream.direct", "d", "reject", "reject", "enforce", false, 0},
	                                     {"upstream.direct", "d", "reject", "ignore", "enforce", false, 2}};
	struct history_message m = message_of(NOW - 100, "MIX1", "a@direct.example", "quarantine");
	m.client = "198.51.100.7";
	m.helo = "direct.helo";
	m.country = "DE";
	m.asn = 64500;
	m.peer = "192.0.2.25";
	m.peer_name = "relay.example";
	m.peer_helo = "helo.relay.example";
	m.tls_bits = 256;
	m.cert_subject = "relay";
	m.cert_issuer = "some CA";
	m.cert_verified = HISTORY_CERT_NOT_VERIFIED;
	m.recipients = rows;
	m.recipients_given = 3;
	m.recipient_count = 3;
	m.findings = findings;
	m.findings_given = 2;
	history_record(store, &m);
	m.id = history_new_id(NOW - 50);
	m.time = NOW - 50;
	m.support_id = m.queue_id = "MIX2";
	m.ended = false; /* ended at RCPT */
	m.action = "reject";
	m.recipients_given = m.findings_given = 1;
	history_record(store, &m);
}

static void fill_many(struct store *store)
{
	static char addresses[MANY][32];
	static struct history_recipient rows[MANY];
	for (int i = 0; i < MANY; i++) {
		snprintf(addresses[i], sizeof addresses[i], "u%d@many.example", i);
		rows[i] = (struct history_recipient){.address = addresses[i], .domain = "many.example", .action = "accept"};
	}
	struct history_message m = message_of(NOW - 10, "MANY", "list@list.example", "accept");
	m.recipients = rows;
	m.recipients_given = MANY;
	m.recipient_count = MANY;
	m.direction = "outbound";
	history_record(store, &m);
}

static void on_mixed(void *context, const struct history_message *m)
{
	const struct history_recipient *last = &m->recipients[m->recipients_given - 1];
	snprintf(context, 256, "%s %s %s %lld %s/%s %d %s %s/%lld %s", m->peer, m->peer_name, m->peer_helo,
	         (long long)m->tls_bits, m->cert_subject, m->cert_issuer, (int)m->cert_verified, last->fate,
	         last->quarantine, (long long)last->copy, last->state);
}

/* What a message needs to be judged again, and where its copies are. */
static void test_replay(struct store *store)
{
	char text[256] = "";
	struct history_filter filter = {.support_id = "MIX1"};
	is_int(history_find(store, &filter, false, on_mixed, text), STORE_OK, "the mixed message");
	is_text(text, "192.0.2.25 relay.example helo.relay.example 256 relay/some CA 2 stored 0123456789ABCDEF/3 ",
	        "its relay, certificate and copy, of which the quarantine knows nothing");
	const struct store_value recipient = store_blob("z", 1);
	struct store_statement copy = {
	    "INSERT INTO quarantine_copy (message, n, recipient, owner, verdict, reason, text, same, changed, expires, state,"
	    " changed_by, note, nonce, claimed_until, used, forced) VALUES"
	    " ('0123456789ABCDEF', 3, $1, '', '', '', '', '', 0, 0, 'released', '', '', '', 0, 0, 0)",
	    &recipient, 1};
	is_int(store_write(store, &copy, 1, 0, NULL, NULL), STORE_OK, "its copy in the quarantine");
	is_int(history_find(store, &filter, false, on_mixed, text), STORE_OK, "the message again");
	is_text(strrchr(text, ' '), " released", "with the state that the copy has now");
}

static void test_find(struct store *store)
{
	static const struct {
		const char *name;
		struct history_filter filter;
		const char *ids;
	} rows[] = {
	    {"all", {.limit = 0}, "MANY MIX2 MIX1 NULL HOST OBS2 OBS1 REJ1 OLD1 "},
	    {"the youngest two", {.limit = 2}, "MANY MIX2 "},
	    {"since", {.since = NOW - DAY}, "MANY MIX2 MIX1 NULL HOST OBS2 "},
	    {"since and until", {.since = NOW - 3 * DAY, .until = NOW - DAY}, "OBS1 REJ1 "},
	    {"queue id", {.queue_id = "REJ1"}, "REJ1 "},
	    {"support id", {.support_id = "OBS2"}, "OBS2 "},
	    {"sender", {.from = {HISTORY_MATCH_EXACT, "CEO@bank.example"}}, "HOST REJ1 "},
	    {"sender's domain", {.from = {HISTORY_MATCH_DOMAIN, "bank.example"}}, "HOST REJ1 "},
	    {"part of the sender", {.from = {HISTORY_MATCH_PART, "PAM@s"}}, "OBS2 "},
	    {"the null path", {.from = {HISTORY_MATCH_EXACT, ""}}, "NULL "},
	    {"recipient", {.to = {HISTORY_MATCH_EXACT, "bob@dst.example"}}, "OBS1 REJ1 OLD1 "},
	    {"recipient's domain", {.to = {HISTORY_MATCH_DOMAIN, "dst.example"}}, "MIX2 MIX1 NULL OBS1 REJ1 OLD1 "},
	    {"part of the recipient", {.to = {HISTORY_MATCH_PART, "OB@"}}, "OBS1 REJ1 OLD1 "},
	    {"the last of many recipients", {.to = {HISTORY_MATCH_EXACT, "u1299@many.example"}}, "MANY "},
	    {"a recipient and what it got", {.to = {HISTORY_MATCH_EXACT, "y@dst.example"}, .action = "quarantine"}, ""},
	    {"a recipient and what it got, both",
	     {.to = {HISTORY_MATCH_EXACT, "z@third.example"}, .action = "quarantine"},
	     "MIX1 "},
	    {"action", {.action = "reject"}, "MIX2 MIX1 OBS2 REJ1 "},
	    {"client", {.client = "2001:db8::66"}, "OBS2 "},
	    {"client and action", {.client = "192.0.2.1", .action = "reject"}, "REJ1 "},
	    {"finding", {.finding = "dnsbl.listed"}, "OBS2 OBS1 "},
	    {"stage", {.finding = "dnsbl"}, "OBS2 OBS1 "},
	    {"no stage of that name", {.finding = "dns"}, ""},
	    {"sender and recipient",
	     {.from = {HISTORY_MATCH_DOMAIN, "shop.example"}, .to = {HISTORY_MATCH_DOMAIN, "dst.example"}},
	     "OBS1 "},
	    {"finding and recipient", {.finding = "dnsbl", .to = {HISTORY_MATCH_DOMAIN, "other.example"}}, "OBS2 "},
	    {"signs of SQL", {.from = {HISTORY_MATCH_EXACT, hostile}}, "HOST "},
	    {"signs of LIKE", {.to = {HISTORY_MATCH_PART, "%_\\;"}}, "HOST "},
	    {"signs of LIKE are no wildcards", {.to = {HISTORY_MATCH_PART, "b%st"}}, ""},
	    {"nothing", {.queue_id = "' OR ''='"}, ""},
	};
	struct found found;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		is_text(search(store, &rows[i].filter, &found), rows[i].ids, rows[i].name);
	}
	search(store, &(struct history_filter){.support_id = "MANY"}, &found);
	is_int((long long)found.recipients, MANY, "all of many recipients are there");
	is_text(found.last_recipient, "u1299@many.example", "in their order");
	search(store, &(struct history_filter){.support_id = "HOST"}, &found);
	is_text(found.detail, hostile, "a finding's detail comes back as it was");
	is_text(found.dns, "a.example. A 192.0.2.1\n", "and the DNS answers");
}

/* Lines of what a report's visitor was given. */
static void add_line(char *lines, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add_line(char *lines, const char *format, ...)
{
	va_list args;
	size_t n = strlen(lines);
	va_start(args, format);
	vsnprintf(lines + n, 4096 - n, format, args);
	va_end(args);
}

static void on_would(void *context, const struct history_would *w)
{
	add_line(context, "%s %s %s [%s] %lld %lld %lld\n", w->code, w->mode, w->action, w->group, (long long)w->messages,
	         (long long)w->delivered, (long long)w->authenticated);
}

static void on_text(void *context, const char *text, int64_t count)
{
	add_line(context, "%s %lld\n", text, (long long)count);
}

static void on_name(void *context, const char *text, int64_t count)
{
	(void)count;
	add_line(context, "%s\n", text);
}

static void on_direct(void *context, const struct history_direct *d)
{
	add_line(context, "%s %s %s AS%lld messages=%lld refused=%lld recipients=%lld %lld\n", d->client, d->helo,
	         d->country, (long long)d->asn, (long long)d->messages, (long long)d->refused, (long long)d->recipients,
	         (long long)(d->last - d->first));
}

static void on_tls(void *context, const struct history_tls *t)
{
	add_line(context, "%s %lld: none=%lld old=%lld 12=%lld 13=%lld accepted=%lld/%lld authenticated=%lld/%lld\n",
	         t->domain, (long long)t->messages, (long long)t->plain, (long long)t->old, (long long)t->v12,
	         (long long)t->v13, (long long)t->plain_accepted, (long long)t->old_accepted,
	         (long long)t->plain_authenticated, (long long)t->old_authenticated);
}

static void test_reports(struct store *store)
{
	char lines[4096] = "";
	struct history_period week = {.since = NOW - 7 * DAY, .limit = 10};
	ok(history_would(store, &week, HISTORY_BY_CODE, NULL, NULL, on_would, lines) == STORE_OK, "would");
	is_text(lines, "dnsbl.listed observe reject [] 2 1 1\n", "by code: two messages, one delivered, one authenticated");
	lines[0] = '\0';
	history_would(store, &week, HISTORY_BY_SENDER, "dnsbl", "dnsbl.listed", on_would, lines);
	is_text(lines, "dnsbl.listed   [shop.example] 1 1 1\ndnsbl.listed   [spam.example] 1 0 0\n", "by sender");
	lines[0] = '\0';
	history_would(store, &week, HISTORY_BY_CLIENT, NULL, "dnsbl.listed", on_would, lines);
	is_text(lines, "dnsbl.listed   [192.0.2.1] 1 1 1\ndnsbl.listed   [2001:db8::66] 1 0 0\n", "by client");
	lines[0] = '\0';
	history_would(store, &week, HISTORY_BY_CODE, "spf", NULL, on_would, lines);
	is_text(lines, "", "of another stage: nothing");
	history_would_examples(store, &week, "dnsbl.listed", on_name, lines);
	is_text(lines, "OBS2\nOBS1\n", "examples");
	lines[0] = '\0';
	ok(history_direct(store, &week, "upstream.direct", on_direct, lines) == STORE_OK, "direct");
	is_text(lines, "198.51.100.7 direct.helo DE AS64500 messages=2 refused=2 recipients=2 50\n", "who came directly");
	lines[0] = '\0';
	history_direct_domains(store, &week, "upstream.direct", "198.51.100.7", on_text, lines);
	is_text(lines, "dst.example 2\nthird.example 1\n", "and where to: only the recipients that the finding was about");
	lines[0] = '\0';
	history_direct_senders(store, &week, "upstream.direct", "198.51.100.7", on_text, lines);
	is_text(lines, "direct.example 2\n", "and in whose name");
}

static void test_ledger(struct store *store)
{
	char lines[4096] = "";
	struct history_period week = {.since = NOW - 7 * DAY};
	ok(history_tls(store, &week, NULL, on_tls, lines) == STORE_OK, "the ledger of TLS");
	is_text(lines,
	        " 1: none=1 old=0 12=0 13=0 accepted=1/0 authenticated=0/0\n"
	        "bank.example 1: none=1 old=0 12=0 13=0 accepted=0/0 authenticated=0/0\n"
	        "direct.example 1: none=1 old=0 12=0 13=0 accepted=1/0 authenticated=0/0\n"
	        "hostile.example 1: none=1 old=0 12=0 13=0 accepted=1/0 authenticated=0/0\n"
	        "spam.example 1: none=0 old=1 12=0 13=0 accepted=0/0 authenticated=0/0\n"
	        "shop.example 1: none=0 old=0 12=0 13=1 accepted=0/0 authenticated=0/0\n",
	        "of inbound messages that came to an end");
	lines[0] = '\0';
	history_tls(store, &week, "", on_tls, lines);
	is_text(lines, " 1: none=1 old=0 12=0 13=0 accepted=1/0 authenticated=0/0\n", "of the null path alone");
	lines[0] = '\0';
	history_count(store, &(struct history_period){.since = 0}, HISTORY_COUNT_ACTION, on_text, lines);
	is_text(lines, "inbound accept 3\ninbound reject 3\ninbound quarantine 1\ninbound tag 1\noutbound accept 1\n",
	        "messages by action");
	lines[0] = '\0';
	history_count(store, &(struct history_period){.limit = 2}, HISTORY_COUNT_FINDING, on_text, lines);
	is_text(lines, "dnsbl.listed 2\nupstream.direct 2\n", "findings by message");
}

static void test_expiry(struct store *store)
{
	struct found found;
	bool more = true;
	for (int i = 0; i < 700; i++) {
		struct history_message m = message_of(NOW - 20 * DAY, "EXP1", "a@expire.example", "accept");
		record(store, &m, "b@expire.example", NULL);
	}
	ok(store_flush(store, 60 * CLOCK_NS_PER_S), "700 old messages");
	ok(history_expire(store, NOW - 9 * DAY, NOW - 30 * DAY, &more) == STORE_OK && more,
	   "a batch of old rows goes, and more is to be done");
	int steps = 1;
	while (more && steps < 20 && history_expire(store, NOW - 9 * DAY, NOW - 30 * DAY, &more) == STORE_OK) {
		steps++;
	}
	ok(!more && steps == 8, "in eight steps, all");
	is_text(search(store, &(struct history_filter){.limit = 0}, &found), "MANY MIX2 MIX1 NULL HOST OBS2 OBS1 REJ1 ",
	        "the younger ones are left");
	is_int((long long)found.recipients, 0 + MANY + 3 + 1 + 5, "with their recipients");
	is_text(search(store, &(struct history_filter){.to = {HISTORY_MATCH_DOMAIN, "expire.example"}}, &found), "",
	        "of the old ones nothing is found");
	char lines[4096] = "";
	history_tls(store, &(struct history_period){.since = 0}, "expire.example", on_tls, lines);
	is_text(lines, "expire.example 700: none=700 old=0 12=0 13=0 accepted=700/0 authenticated=0/0\n",
	        "the ledger is longer-lived");
	history_expire(store, NOW - 9 * DAY, NOW - DAY, &more);
	lines[0] = '\0';
	history_tls(store, &(struct history_period){.since = 0}, "expire.example", on_tls, lines);
	is_text(lines, "", "but not for ever");
}

static void test_turns(struct store *store)
{
	bool ours;
	ok(turn_take(store, "a", NOW, 15, &ours) == STORE_OK && ours, "a turn that nobody has had");
	ok(turn_take(store, "a", NOW + 14, 15, &ours) == STORE_OK && !ours, "is not had again while it lasts");
	ok(turn_take(store, "b", NOW + 14, 15, &ours) == STORE_OK && ours, "another task has its own");
	ok(turn_take(store, "a", NOW + 15, 15, &ours) == STORE_OK && ours, "then it is");
	ok(turn_take(store, "a", NOW - DAY, 15, &ours) == STORE_OK && ours,
	   "one of a clock that was ahead does not last for ever");
}

static double seconds_since(uint64_t start)
{
	return (double)(clock_now() - start) / 1e9;
}

static void bench_search(struct store *store, const char *name, const struct history_filter *filter)
{
	struct found *found = malloc(sizeof *found);
	uint64_t start = clock_now();
	search(store, filter, found);
	printf("%-40s %8.1f ms, %zu messages\n", name, seconds_since(start) * 1e3, found->count);
	free(found);
}

static int bench(struct store *store, long n)
{
	static const char results[] = "{\"spf\":{\"result\":\"pass\",\"domain\":\"sender.example\",\"scope\":\"mfrom\","
	                              "\"explanation\":null,\"mechanism\":\"ip4:192.0.2.0/24\","
	                              "\"problem\":null},\"dmarc\":{\"result\":\"pass\"},\"stages\":{\"message\":0.012,"
	                              "\"spf\":0.034,\"dkim\":0.01,\"inspect\":12.3,\"dmarc\":0.05}}";
	uint64_t start = clock_now();
	for (long i = 0; i < n; i++) {
		char from[64], to[64], id[32], client[32];
		unsigned r = (unsigned)i * 2654435761U;
		snprintf(from, sizeof from, "user%u@d%u.example", r % 100003, r % 50021);
		snprintf(to, sizeof to, "r%u@dst%u.example", r % 20011, r % 97);
		snprintf(id, sizeof id, "%08X", r);
		snprintf(client, sizeof client, "198.%u.%u.%u", r >> 24 & 255U, r >> 16 & 255U, r >> 8 & 255U);
		struct history_message m =
		    message_of(NOW - 30 * DAY + i * 30 * DAY / n, id, from, i % 10 == 0 ? "reject" : "accept");
		m.client = client;
		m.results = results;
		m.author = from;
		m.tls_version = "TLSv1.3";
		record(store, &m, to,
		       &(struct history_finding){i % 50 == 0 ? "dnsbl.listed" : "spf.none", "a detail of it", "ignore",
		                                 "ignore", "observe", i % 50 == 0, -1});
		if (i % 2000 == 1999) {
			store_flush(store, 600 * CLOCK_NS_PER_S);
		}
		if (n > 10 && (i + 1) % (n / 10) == 0) {
			printf("%ld messages, %.0f a second\n", i + 1, (double)(i + 1) / seconds_since(start));
			fflush(stdout);
		}
	}
	store_flush(store, 600 * CLOCK_NS_PER_S);
	printf("recorded %ld messages in %.1f s: %.0f a second\n", n, seconds_since(start),
	       (double)n / seconds_since(start));
	bench_search(store, "the youngest 100", &(struct history_filter){.limit = 100});
	bench_search(store, "support id", &(struct history_filter){.support_id = "9E3779B1", .limit = 100});
	bench_search(store, "sender",
	             &(struct history_filter){.from = {HISTORY_MATCH_EXACT, "user8@d8.example"}, .limit = 100});
	bench_search(store, "recipient's domain (1 % of all)",
	             &(struct history_filter){.to = {HISTORY_MATCH_DOMAIN, "dst7.example"}, .limit = 100});
	bench_search(
	    store, "the same, rejected",
	    &(struct history_filter){.to = {HISTORY_MATCH_DOMAIN, "dst7.example"}, .action = "reject", .limit = 100});
	bench_search(store, "rejected (10 % of all)", &(struct history_filter){.action = "reject", .limit = 100});
	bench_search(store, "finding (2 % of all)", &(struct history_filter){.finding = "dnsbl.listed", .limit = 100});
	bench_search(store, "client", &(struct history_filter){.client = "198.0.0.0", .limit = 100});
	bench_search(store, "part of an address, found",
	             &(struct history_filter){.to = {HISTORY_MATCH_PART, "@dst7"}, .limit = 100});
	bench_search(store, "part of an address, not found",
	             &(struct history_filter){.to = {HISTORY_MATCH_PART, "nobody"}, .limit = 100});
	char lines[4096] = "";
	start = clock_now();
	history_would(store, &(struct history_period){.since = NOW - 7 * DAY, .limit = 20}, HISTORY_BY_SENDER, NULL, NULL,
	              on_would, lines);
	printf("%-40s %8.1f ms\n", "report would of 7 days, by sender", seconds_since(start) * 1e3);
	lines[0] = '\0';
	start = clock_now();
	history_tls(store, &(struct history_period){.since = NOW - 7 * DAY, .limit = 20}, NULL, on_tls, lines);
	printf("%-40s %8.1f ms\n", "report tls of 7 days", seconds_since(start) * 1e3);
	start = clock_now();
	bool more = true;
	long batches = 0;
	for (; more && batches < 200; batches++) {
		history_expire(store, NOW - 20 * DAY, NOW - 90 * DAY, &more);
	}
	printf("%-40s %8.1f ms for each of %ld batches\n", "expiry", seconds_since(start) * 1e3 / (double)batches, batches);
	return 0;
}

int main(int argc, char **argv)
{
	const char *tmp = getenv("TMPDIR");
	char folder[256];
	snprintf(folder, sizeof folder, "%s/mailreeve-history-XXXXXX", tmp == NULL ? "/var/tmp" : tmp);
	if (mkdtemp(folder) == NULL) {
		abort();
	}
	log_set_level(LOG_LEVEL_WARNING);
	struct store *store = open_store(folder);
	int status = 0;
	if (argc == 3 && strcmp(argv[1], "bench") == 0) {
		status = bench(store, atol(argv[2]));
	} else {
		int64_t first = history_new_id(NOW), second = history_new_id(NOW);
		ok(first != second && history_new_id(NOW + 1) > first && history_new_id(NOW + 1) > second,
		   "ids differ, and grow with time");
		fill(store);
		fill_mixed(store);
		fill_many(store);
		ok(store_flush(store, 60 * CLOCK_NS_PER_S), "messages are recorded");
		test_find(store);
		test_replay(store);
		test_reports(store);
		test_ledger(store);
		test_expiry(store);
		test_turns(store);
		status = done_testing();
	}
	store_close(store);
	char command[300];
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command) == 0 ? status : 1;
}
