/* The packets between daemon and workers: what is put is got, and nothing else is. */
#include "lib/inspect/wire.h"
#include "lib/mail/domain.h"
#include "t/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct arena *arena;
static char packet[WIRE_PACKET_MAX];

/* In memory of exactly its size. */
static bool get_reply(const char *bytes, size_t n, struct inspect_reply *reply_r)
{
	char *copy = malloc(n == 0 ? 1 : n);
	memcpy(copy, bytes, n);
	bool good = wire_get_reply((struct slice){copy, n}, arena, reply_r);
	free(copy);
	return good;
}

static bool get_request(const char *bytes, size_t n, struct inspect_request *request_r)
{
	char *copy = malloc(n == 0 ? 1 : n);
	memcpy(copy, bytes, n);
	bool good = wire_get_request((struct slice){copy, n}, arena, request_r);
	free(copy);
	return good;
}

static struct inspect_reply reply_sample(void)
{
	static const struct inspect_signature signatures[] = {
	    {AUTH_PASS, "example.com", "s1", "@example.com", "rsa-sha256", "AbCdEfGh", NULL, 2048, false},
	    {AUTH_PERMERROR, "", "", "", "", "", "the signature is malformed", 0, true},
	};
	static const struct arc_result results[] = {{ARC_METHOD_DMARC, AUTH_PASS, "a.example"},
	                                            {ARC_METHOD_DKIM, AUTH_TEMPERROR, "b.example"}};
	static const char *const hosts[] = {"spam.example", "192.0.2.1", "2001:db8::1"};
	static const struct arc_set sets[] = {
	    {.instance = 1, .domain = "one.example", .selector = "s1", .has_cv = true, .cv = ARC_CV_NONE},
	    {2, "two.example", "s2", true, ARC_CV_PASS, 2, results}};
	static const uint64_t tokens[] = {3, 5, UINT64_MAX};
	static const char *const names[] = {"subject: cheap + pills", NULL};
	return (struct inspect_reply){.token_count = 3,
	                              .tokens = tokens,
	                              .tokens_cut = true,
	                              .name_count = 2,
	                              .token_names = names,
	                              .content_digest = {2, [31] = 33},
	                              .attached_count = 7,
	                              .signature_count = 2,
	                              .signatures = signatures,
	                              .arc = {.result = AUTH_PASS, .count = 2, .sets = sets, .oldest_pass = 2, .from_signed = true},
	                              .body_hashed = true,
	                              .body_digest = {1, [31] = 32},
	                              .arc_us = 13,
	                              .virus = INSPECT_VIRUS_FOUND,
	                              .virus_name = "Eicar",
	                              .virus_ignored = "Other",
	                              .host_count = 3,
	                              .hosts = hosts,
	                              .hosts_cut = true,
	                              .database = {7, true, 27000, 1700000000},
	                              .dkim_us = 11,
	                              .virus_us = 12};
}

static void test_reply(void)
{
	struct inspect_reply in = reply_sample();
	struct inspect_reply out;
	size_t n = wire_put_reply(&in, packet);
	ok(n > 0 && get_reply(packet, n, &out), "a reply comes through");
	is_int((long long)out.signature_count, 2, "its signatures");
	is_int(out.signatures[0].result, AUTH_PASS, "result");
	is_text(out.signatures[0].domain, "example.com", "domain");
	is_text(out.signatures[0].identity, "@example.com", "identity");
	is_text(out.signatures[0].problem, NULL, "NULL stays NULL");
	is_int(out.signatures[0].key_bits, 2048, "bits");
	is_text(out.signatures[1].domain, "", "an empty text stays empty");
	is_text(out.signatures[1].problem, "the signature is malformed", "problem");
	ok(out.signatures[1].testing, "testing");
	is_int(out.virus, INSPECT_VIRUS_FOUND, "virus");
	is_text(out.virus_name, "Eicar", "its name");
	is_text(out.virus_ignored, "Other", "an ignored one's name");
	is_int(out.database.signatures, 7, "signatures loaded");
	ok(out.database.official && out.database.version == 27000 && out.database.time == 1700000000, "their database");
	ok(out.dkim_us == 11 && out.virus_us == 12 && out.arc_us == 13, "the other numbers");
	ok(out.arc.result == AUTH_PASS && out.arc.count == 2 && out.arc.oldest_pass == 2 && out.arc.from_signed && !out.arc.ended,
	   "the ARC verdict");
	const struct arc_set *set = &out.arc.sets[1];
	ok(set->instance == 2 && set->cv == ARC_CV_PASS && set->result_count == 2 && out.arc.sets[0].result_count == 0, "its sets");
	is_text(set->domain, "two.example", "who sealed");
	ok(set->results[1].method == ARC_METHOD_DKIM && set->results[1].result == AUTH_TEMPERROR, "what he saw");
	is_text(set->results[1].domain, "b.example", "of whom");
	ok(out.host_count == 3 && out.hosts_cut, "the hosts of links");
	is_text(out.hosts[0], "spam.example", "the first");
	is_text(out.hosts[2], "2001:db8::1", "the last");
	ok(out.body_hashed && out.body_digest[0] == 1 && out.body_digest[31] == 32, "the hash of the body");
	ok(out.token_count == 3 && out.tokens[1] == 5 && out.tokens[2] == UINT64_MAX && out.tokens_cut, "the tokens");
	is_text(out.token_names[0], "subject: cheap + pills", "a token's name");
	ok(out.name_count == 2 && out.token_names[1] == NULL, "and none of another");
	ok(out.content_digest[0] == 2 && out.content_digest[31] == 33, "the digest of the content");
	ok(out.attached_count == 7, "how many messages are attached");
	for (size_t i = 0; i < n; i++) {
		if (get_reply(packet, i, &out)) {
			ok(false, "%zu bytes of %zu are no reply", i, n);
		}
	}
	packet[n] = 0;
	ok(!get_reply(packet, n + 1, &out), "nor is one with a byte more");
}

static void refused(struct inspect_reply reply, const char *name)
{
	struct inspect_reply out;
	size_t n = wire_put_reply(&reply, packet);
	ok(n > 0 && !get_reply(packet, n, &out), "refused: %s", name);
}

static void test_hostile_reply(void)
{
	struct inspect_reply reply = reply_sample();
	struct inspect_signature signatures[DKIM_MAX_SIGNATURES + 1] = {0};
	reply.virus_name = "line\nbreak";
	refused(reply, "a line break in a text");
	reply.virus_name = "\x7f";
	refused(reply, "DEL in a text");
	reply.virus_name = "\xff\xfe";
	refused(reply, "a text that is not UTF-8");
	reply.virus_name = NULL;
	refused(reply, "found, but no name");
	reply = reply_sample();
	reply.virus = INSPECT_VIRUS_CLEAN;
	refused(reply, "clean, but a name");
	reply = reply_sample();
	reply.virus_problem = "x";
	refused(reply, "found, but a problem");
	static const char *const bad[] = {"Spam.example", "a b.example", "a/b", "", "x*"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		const char *host = bad[i];
		reply = reply_sample();
		reply.hosts = &host;
		reply.host_count = 1;
		refused(reply, arena_printf(arena, "a host \"%s\"", bad[i]));
	}
	static const uint64_t twice[] = {5, 5}, falling[] = {5, 3};
	static const uint64_t *const wrong[] = {twice, falling};
	for (size_t i = 0; i < 2; i++) {
		reply = reply_sample();
		reply.token_count = 2;
		reply.tokens = wrong[i];
		refused(reply, i == 0 ? "a token that comes twice" : "tokens out of order");
	}
	static uint64_t rising[INSPECT_TOKENS_MAX + 1];
	for (size_t i = 0; i <= INSPECT_TOKENS_MAX; i++) {
		rising[i] = i;
	}
	reply = reply_sample();
	reply.tokens = rising;
	reply.token_count = INSPECT_TOKENS_MAX + 1;
	refused(reply, "one token too many");
	static const char *named[INSPECT_NAMED_MAX + 1];
	reply = reply_sample();
	reply.token_names = named;
	reply.name_count = INSPECT_NAMED_MAX + 1;
	refused(reply, "one name too many");
	named[0] = "a\nb";
	reply.name_count = 1;
	refused(reply, "a name of two lines");
	const char *many[INSPECT_HOSTS_MAX + 1];
	for (size_t i = 0; i <= INSPECT_HOSTS_MAX; i++) {
		many[i] = "a.example";
	}
	reply = reply_sample();
	reply.hosts = many;
	reply.host_count = INSPECT_HOSTS_MAX + 1;
	refused(reply, "one host too many");
	reply = reply_sample();
	reply.virus = (enum inspect_virus_status)99;
	refused(reply, "no such status");
	reply = reply_sample();
	for (size_t i = 0; i <= DKIM_MAX_SIGNATURES; i++) {
		signatures[i] = reply_sample().signatures[0];
	}
	reply.signatures = signatures;
	reply.signature_count = DKIM_MAX_SIGNATURES + 1;
	refused(reply, "nine signatures");
	reply.signature_count = 1;
	signatures[0].result = (enum auth_result)77;
	refused(reply, "no such result");
	signatures[0] = reply_sample().signatures[0];
	signatures[0].key_bits = 1U << 30;
	refused(reply, "an absurd key");
	signatures[0] = reply_sample().signatures[0];
	signatures[0].domain = NULL;
	refused(reply, "no domain");
}

static void test_hostile_arc(void)
{
	struct inspect_reply reply = reply_sample();
	struct arc_set sets[ARC_MAX_SETS + 1];
	struct arc_result results[ARC_MAX_RESULTS + 1];
	for (size_t i = 0; i <= ARC_MAX_SETS; i++) {
		sets[i] = reply.arc.sets[0];
	}
	for (size_t i = 0; i <= ARC_MAX_RESULTS; i++) {
		results[i] = (struct arc_result){ARC_METHOD_SPF, AUTH_PASS, "a.example"};
	}
	reply.arc.problem = "x";
	refused(reply, "a chain that passes, with a problem");
	reply = reply_sample();
	reply.arc.result = AUTH_FAIL;
	refused(reply, "one that fails, without");
	reply.arc = (struct arc_verdict){.result = AUTH_TEMPERROR, .problem = "x"};
	refused(reply, "temporary, but of no sets");
	reply.arc = (struct arc_verdict){.result = AUTH_PASS};
	refused(reply, "a pass of no sets");
	reply = reply_sample();
	reply.arc.ended = true;
	refused(reply, "a pass of a chain that is over");
	reply = reply_sample();
	reply.arc.oldest_pass = 3;
	refused(reply, "an oldest pass that is not there");
	reply = reply_sample();
	reply.arc.result = AUTH_NEUTRAL;
	refused(reply, "a result that ARC does not have");
	reply = reply_sample();
	reply.arc.sets = sets;
	reply.arc.count = ARC_MAX_SETS + 1;
	refused(reply, "51 sets");
	reply.arc.count = 2;
	sets[1].domain = "a\nb";
	refused(reply, "a line break in a domain");
	sets[1].domain = "a";
	sets[1].cv = (enum arc_cv)3;
	refused(reply, "no such cv");
	sets[1].cv = ARC_CV_PASS;
	sets[1].results = results;
	sets[1].result_count = ARC_MAX_RESULTS + 1;
	refused(reply, "too many results");
}

static void test_request(void)
{
	struct dkim_keys keys = {.count = 3};
	struct arc_keys arc_keys = {.count = 1};
	static const uint64_t named[] = {UINT64_MAX, 7};
	struct inspect_request in = {.tasks = INSPECT_DKIM | INSPECT_VIRUS,
	                             .message_size = UINT64_C(5000000000),
	                             .now = 1700000000,
	                             .deadline_ms = 1234,
	                             .named_count = 2,
	                             .named = named,
	                             .keys = &keys,
	                             .attached = 5,
	                             .arc_keys = &arc_keys};
	struct inspect_request out;
	arc_keys.items[0] = (struct dkim_key){
	    .name = "s._domainkey.example.org", .status = DKIM_KEY_FOUND, .text = SLICE_LITERAL("p=x")};
	keys.items[0] = (struct dkim_key){
	    .domain = "example.com", .selector = "s", .status = DKIM_KEY_FOUND, .text = SLICE_LITERAL("v=DKIM1; p=\0;")};
	keys.items[1] = (struct dkim_key){.domain = "", .selector = "", .status = DKIM_KEY_UNUSABLE};
	keys.items[2] = (struct dkim_key){
	    .domain = "example.net", .selector = "t", .status = DKIM_KEY_TEMPORARY, .text = SLICE_LITERAL("stale")};
	size_t n = wire_put_request(&in, packet);
	ok(get_request(packet, n, &out), "a request comes through");
	ok(out.tasks == in.tasks && out.message_size == in.message_size && out.now == in.now, "its numbers");
	is_int(out.deadline_ms, 1234, "deadline");
	ok(out.named_count == 2 && out.named[0] == UINT64_MAX && out.named[1] == 7, "tokens whose names are wanted");
	is_int(out.attached, 5, "which attached message");
	is_int(out.message_fd, -1, "the descriptor is not in it");
	is_int((long long)out.keys->count, 3, "keys");
	is_text(out.keys->items[0].domain, "example.com", "domain");
	ok(out.arc_keys->count == 1 && out.arc_keys->items[0].text.len == 3, "a key for ARC");
	is_text(out.arc_keys->items[0].name, "s._domainkey.example.org", "by its name");
	is_int((long long)out.keys->items[0].text.len, 13, "a key's bytes, NUL included");
	is_int((long long)out.keys->items[2].text.len, 0, "the text of a key that was not found stays here");
	for (size_t i = 0; i < n; i++) {
		if (get_request(packet, i, &out)) {
			ok(false, "%zu bytes of %zu are no request", i, n);
		}
	}
	ok(!get_request(packet, n + 1, &out), "nor is one with a byte more");
	struct inspect_reply reply;
	ok(!get_reply(packet, n, &reply), "and it is no reply");
}

static void test_largest(void)
{
	char *text = arena_alloc(arena, 4000);
	struct dkim_keys keys = {.count = DKIM_MAX_SIGNATURES};
	struct arc_keys arc_keys = {.count = ARC_MAX_KEYS};
	struct inspect_request request = {.keys = &keys, .arc_keys = &arc_keys};
	struct inspect_request out;
	memset(text, 'x', 3999);
	const char *domain = slice_dup(arena, (struct slice){text, DOMAIN_MAX});
	const char *name = slice_dup(arena, (struct slice){text, DOMAIN_MAX + sizeof "._domainkey." + DOMAIN_MAX});
	for (size_t i = 0; i < keys.count; i++) {
		keys.items[i] = (struct dkim_key){
		    .domain = domain, .selector = domain, .status = DKIM_KEY_FOUND, .text = {text, DKIM_MAX_KEY}};
	}
	for (size_t i = 0; i < ARC_MAX_KEYS; i++) {
		size_t len = ARC_MAX_KEYS_TEXT / ARC_MAX_KEYS;
		len = len < DKIM_MAX_KEY ? len : DKIM_MAX_KEY;
		arc_keys.items[i] = (struct dkim_key){.name = name, .status = DKIM_KEY_FOUND, .text = {text, len}};
	}
	size_t n = wire_put_request(&request, packet);
	ok(n > 0 && get_request(packet, n, &out), "the largest request fits: %zu bytes", n);
	keys.count = 1;
	keys.items[0].domain = text;
	n = wire_put_request(&request, packet);
	ok(n > 0 && get_request(packet, n, &out), "one with a text that is too long");
	is_int((long long)strlen(out.keys->items[0].domain), WIRE_TEXT_MAX, "long texts are cut");
	int pair[2];
	int fd = -1;
	ok(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) == 0, "a pair of sockets");
	ok(wire_send(pair[0], packet, WIRE_PACKET_MAX, 1), "the kernel takes the largest packet, and a descriptor");
	is_int(wire_receive(pair[1], packet, &fd), WIRE_PACKET_MAX, "and gives it whole");
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

static void test_settings(void)
{
	static const char *const databases[] = {"/var/lib/clamav", "/x", NULL};
	static const char *const ignored[] = {"Eicar", NULL};
	const char *many[WIRE_DATABASES_MAX + 2] = {NULL};
	struct pool_settings in;
	struct pool_settings out;
	pool_settings_default(&in);
	in.workers = 5;
	in.databases = databases;
	in.scan_heuristics = true;
	in.scan_pua = true;
	in.ignored = ignored;
	size_t n = wire_put_settings(&in, packet);
	ok(n > 0 && wire_get_settings((struct slice){packet, n}, arena, &out), "settings come through");
	ok(out.workers == 5 && out.memory_max == in.memory_max && out.scan_size_max == in.scan_size_max &&
	       out.file_size_max == in.file_size_max && out.scan_recursion_max == in.scan_recursion_max &&
	       out.scan_files_max == in.scan_files_max && out.scan_time_ms == in.scan_time_ms && out.scan_heuristics,
	   "their numbers");
	is_text(out.tmp_dir, in.tmp_dir, "tmp_dir");
	ok(out.databases[0] != NULL && strcmp(out.databases[1], "/x") == 0 && out.databases[2] == NULL, "databases");
	ok(out.scan_pua && strcmp(out.ignored[0], "Eicar") == 0 && out.ignored[1] == NULL, "unwanted and ignored signatures");
	ok(!wire_get_settings((struct slice){packet, n - 1}, arena, &out), "cut settings are refused");
	for (size_t i = 0; i <= WIRE_DATABASES_MAX; i++) {
		many[i] = "/y";
	}
	in.databases = many;
	is_int((long long)wire_put_settings(&in, packet), 0, "too many databases do not fit");
	char *path = arena_alloc(arena, WIRE_TEXT_MAX + 2);
	memset(path, 'p', WIRE_TEXT_MAX + 1);
	many[0] = path;
	many[1] = NULL;
	is_int((long long)wire_put_settings(&in, packet), 0, "a path is not cut, but refused");
}

static void test_notes(void)
{
	struct wire_note in = {.kind = WIRE_READY, .number = 77, .database = {5, true, 2, 3}, .text = "seccomp landlock"};
	struct wire_note out;
	size_t n = wire_put_note(&in, packet);
	ok(wire_get_note((struct slice){packet, n}, arena, &out), "a note comes through");
	ok(out.kind == WIRE_READY && out.number == 77 && out.database.signatures == 5 && out.database.time == 3, "its numbers");
	is_text(out.text, "seccomp landlock", "its text");
	in.kind = (enum wire_kind)0;
	n = wire_put_note(&in, packet);
	ok(!wire_get_note((struct slice){packet, n}, arena, &out), "kind 0 is refused");
	in.kind = (enum wire_kind)(WIRE_READY + 1);
	n = wire_put_note(&in, packet);
	ok(!wire_get_note((struct slice){packet, n}, arena, &out), "an unknown kind is refused");
}

static int descriptors(void)
{
	int n = 0;
	for (int fd = 0; fd < 256; fd++) {
		n += fcntl(fd, F_GETFD) >= 0;
	}
	return n;
}

static void test_sockets(void)
{
	int pair[2];
	int fd = -1;
	if (!ok(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0, "a pair of sockets")) {
		return;
	}
	int before = descriptors();
	ok(wire_send(pair[0], "abc", 3, 1), "a packet and a descriptor are sent");
	is_int(wire_receive(pair[1], packet, &fd), 3, "and received");
	ok(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0, "the descriptor is close-on-exec");
	close(fd);
	wire_send(pair[0], "abc", 3, 1);
	is_int(wire_receive(pair[1], packet, NULL), 3, "where none is expected");
	is_int(descriptors(), before, "a descriptor is closed");
	size_t sent = 0;
	while (sent < 100000 && wire_offer(pair[0], "abc", 3, -1)) {
		sent++;
	}
	ok(sent < 100000 && errno == EAGAIN, "wire_offer() does not wait for one who does not read");
	close(pair[1]);
	ok(!wire_offer(pair[0], "abc", 3, -1) && (errno == EPIPE || errno == ECONNRESET), "nor raise SIGPIPE");
	close(pair[0]);
}

int main(void)
{
	arena = arena_create(65536);
	test_reply();
	test_hostile_reply();
	test_hostile_arc();
	test_request();
	test_largest();
	test_settings();
	test_notes();
	test_sockets();
	arena_destroy(arena);
	return done_testing();
}
