/* The messages of the test suites of Mail::DKIM and of mail-auth through our verifier. What passes there and not here
 * is listed with its reason; nothing passes here that does not pass there. */
#include "inspect/dkim_verify.h"
#include "lib/mail/message.h"
#include "t/tap.h"

#include <dirent.h>
#include <jansson.h>
#include <unistd.h>

enum { NOW = 1700000000, RECORDS_MAX = 128 };

struct record {
	const char *name;
	const char *text; /* NULL: no such name */
	bool temporary;
};

static struct record records[RECORDS_MAX];
static size_t record_count;

/* Why a message that passes there does not pass here; held against what the verifier says. */
enum reason { NO_REASON, DOMAIN_KEYS, SHA1, NO_VERSION };

static const struct {
	const char *text;
	const char *problem; /* of one signature at least */
} reasons[] = {
    [NO_REASON] = {"", NULL},
    [DOMAIN_KEYS] = {"only a DomainKey-Signature (RFC 4870 is historic)", NULL},
    [SHA1] = {"rsa-sha1 (RFC 8301 3.1: verifiers MUST NOT)", "rsa-sha1 is not accepted"},
    [NO_VERSION] = {"a draft's signature without v= (RFC 6376 3.5: REQUIRED)", "v= is missing, or not 1"},
};

static const struct {
	const char *file;
	enum reason reason;
} stricter[] = {
    {"dk_headers_1.txt", DOMAIN_KEYS},
    {"dk_headers_2.txt", DOMAIN_KEYS},
    {"dk_multiple_1.txt", DOMAIN_KEYS},
    {"good_1878523.txt", SHA1},
    {"good_83176.txt", SHA1},
    {"good_dk_1.txt", DOMAIN_KEYS},
    {"good_dk_2.txt", DOMAIN_KEYS},
    {"good_dk_3.txt", DOMAIN_KEYS},
    {"good_dk_4.txt", DOMAIN_KEYS},
    {"good_dk_5.txt", DOMAIN_KEYS},
    {"good_dk_6.txt", DOMAIN_KEYS},
    {"good_dk_7.txt", DOMAIN_KEYS},
    {"good_dk_gmail.txt", DOMAIN_KEYS},
    {"good_dk_yahoo.txt", DOMAIN_KEYS},
    {"good_ietf00_1.txt", NO_VERSION},
    {"good_ietf00_2.txt", NO_VERSION},
    {"good_ietf00_3.txt", NO_VERSION},
    {"good_ietf00_4.txt", NO_VERSION},
    {"good_ietf00_5.txt", NO_VERSION},
    {"good_ietf01_1.txt", NO_VERSION},
    {"good_ietf01_2.txt", NO_VERSION},
    {"good_qp_1.txt", SHA1},
    {"good_qp_2.txt", SHA1},
    {"good_qp_3.txt", SHA1},
    {"good_rfc4871_3.txt", SHA1},
    {"good_rfc4871_4.txt", SHA1},
    {"goodkey_1.txt", SHA1},
    {"goodkey_2.txt", SHA1},
    {"goodkey_3.txt", SHA1},
    {"goodkey_4.txt", SHA1},
    {"mine_ietf01_1.txt", NO_VERSION},
    {"mine_ietf01_2.txt", NO_VERSION},
    {"mine_ietf01_3.txt", NO_VERSION},
    {"mine_ietf01_4.txt", NO_VERSION},
    {"mine_ietf05_1.txt", NO_VERSION},
    {"multiple_1.txt", NO_VERSION},
    {"multiple_2.txt", SHA1},
    {"no_body_1.txt", NO_VERSION},
    {"no_body_2.txt", NO_VERSION},
    {"no_body_3.txt", NO_VERSION},
};

static enum reason stricter_reason(const char *file)
{
	for (size_t i = 0; i < sizeof stricter / sizeof *stricter; i++) {
		if (strcmp(stricter[i].file, file) == 0) {
			return stricter[i].reason;
		}
	}
	return NO_REASON;
}

static bool reason_holds(enum reason reason, const struct inspect_reply *reply)
{
	if (reasons[reason].problem == NULL) {
		return reply->signature_count == 0;
	}
	for (size_t i = 0; i < reply->signature_count; i++) {
		const char *problem = reply->signatures[i].problem;
		if (problem != NULL && strcmp(problem, reasons[reason].problem) == 0) {
			return true;
		}
	}
	return false;
}

static struct slice read_file(struct arena *arena, const char *path)
{
	char buffer[65536];
	struct strbuf text;
	FILE *file = fopen(path, "rb");
	strbuf_init(&text, arena);
	for (size_t n; file != NULL && (n = fread(buffer, 1, sizeof buffer, file)) > 0;) {
		strbuf_add(&text, buffer, n);
	}
	if (file != NULL) {
		fclose(file);
	}
	return (struct slice){text.data, text.len};
}

/* "name text", "name NXDOMAIN", "name ~~trouble~~". */
static void read_records(struct arena *arena, struct slice text)
{
	struct slice line;
	while (slice_split(&text, '\n', &line)) {
		line = slice_trim(line);
		if (line.len == 0 || line.data[0] == '#' || record_count == RECORDS_MAX) {
			continue;
		}
		size_t space = slice_find(line, ' ', 0);
		struct slice rest = slice_trim((struct slice){line.data + space, line.len - space});
		const char *value = slice_dup(arena, rest);
		records[record_count++] = (struct record){
		    .name = slice_dup_lower(arena, (struct slice){line.data, space}),
		    .temporary = rest.len > 1 && value[0] == '~',
		    .text = rest.len == 0 || strcmp(value, "NXDOMAIN") == 0 ? NULL
		            : strcmp(value, "\"\"") == 0                    ? ""
		                                                            : value,
		};
	}
}

static void resolve(struct dkim_key *key)
{
	if (key->status == DKIM_KEY_UNUSABLE) {
		return;
	}
	key->status = DKIM_KEY_ABSENT;
	for (size_t i = 0; i < record_count; i++) {
		if (strcmp(records[i].name, key->name) != 0 || records[i].text == NULL) {
			continue;
		}
		key->text = slice_from(records[i].text);
		key->status = records[i].temporary ? DKIM_KEY_TEMPORARY : DKIM_KEY_FOUND;
	}
}

/* Exactly as long as it is, so that ASan sees reads behind its end. */
static char *wire_form(struct arena *arena, struct slice bytes, size_t *size_r)
{
	struct message_settings settings = {.memory_max = 1 << 24,
	                                    .size_max = 1 << 24,
	                                    .spool_dir = "/tmp",
	                                    .headers = {.max_count = 1000, .max_bytes = 1 << 20}};
	struct message *message = message_create(arena, &settings);
	if (message_load(message, bytes) != MESSAGE_OK) {
		message_destroy(message);
		return NULL;
	}
	*size_r = (size_t)message_size(message);
	char *copy = malloc(*size_r);
	bool good = pread(message_fd(message), copy, *size_r, 0) == (ssize_t)*size_r;
	message_destroy(message);
	return good ? copy : NULL;
}

static void diag_reply(const struct inspect_reply *reply)
{
	for (size_t i = 0; i < reply->signature_count; i++) {
		diag("%s: %s", auth_result_name(reply->signatures[i].result),
		     reply->signatures[i].problem == NULL ? "" : reply->signatures[i].problem);
	}
}

static void verify(struct arena *arena, struct slice bytes, uint64_t now, struct inspect_reply *reply_r)
{
	struct headers headers = {.count = 0};
	struct header_limits limits = {.max_count = 1000, .max_bytes = 1 << 20};
	struct dkim_rules rules = {.key_bits_min = 1024, .clock_drift = 12 * 3600};
	struct dkim_keys keys;
	size_t size = 0;
	char *message = wire_form(arena, bytes, &size);
	*reply_r = (struct inspect_reply){.signature_count = 0};
	headers_parse(&headers, arena, &limits, (struct slice){message, size});
	dkim_keys_collect(arena, &headers, DKIM_MAX_SIGNATURES, &keys);
	for (size_t i = 0; i < keys.count; i++) {
		resolve(&keys.items[i]);
	}
	dkim_verify_message((struct slice){message, size}, &keys, &rules, now, arena, reply_r);
	free(message);
}

static void check(const char *file, struct slice bytes, const char *expected)
{
	struct arena *arena = arena_create(65536);
	struct inspect_reply reply;
	size_t passed = 0;
	const char *problem = "no signature";
	verify(arena, bytes, NOW, &reply);
	for (size_t i = 0; i < reply.signature_count; i++) {
		passed += reply.signatures[i].result == AUTH_PASS;
		problem = reply.signatures[i].problem == NULL ? problem : reply.signatures[i].problem;
	}
	enum reason reason = stricter_reason(file);
	bool should = strcmp(expected, "pass") == 0 && reason == NO_REASON;
	bool good = (passed > 0) == should && (reason == NO_REASON || reason_holds(reason, &reply));
	if (!ok(good, "%s: %s there, %s here%s%s", file, expected, passed > 0 ? "pass" : problem,
	        reason == NO_REASON ? "" : ": ", reasons[reason].text)) {
		diag_reply(&reply);
	}
	arena_destroy(arena);
}

static void run_mail_dkim(struct arena *arena, const char *folder, json_t *expected)
{
	const char *file;
	json_t *value;
	record_count = 0;
	read_records(arena, read_file(arena, arena_printf(arena, "%s/FAKE_DNS.dat", folder)));
	ok(record_count > 20, "keys were read: %zu", record_count);
	json_object_foreach(expected, file, value)
	{
		const char *word = json_string_value(json_object_get(value, "verifier"));
		struct slice bytes = read_file(arena, arena_printf(arena, "%s/corpus/%s", folder, file));
		if (word != NULL && ok(bytes.len > 0, "%s was read", file)) {
			check(file, bytes, word);
		}
	}
}

/* One file: lines of DNS, an empty line, the message. All signatures pass at the time of its tests, though one was made
 * five hours later by its own word. */
static void run_mail_auth_file(struct arena *arena, const char *file, struct slice text)
{
	enum { MAIL_AUTH_NOW = 1667843664 };
	struct inspect_reply reply;
	const char *empty = memmem(text.data, text.len, "\n\n", 2);
	if (!ok(empty != NULL, "%s was read", file)) {
		return;
	}
	size_t size = (size_t)(empty - text.data) + 1;
	record_count = 0;
	read_records(arena, (struct slice){text.data, size});
	struct slice message = {text.data + size + 1, text.len - size - 1};
	verify(arena, message, MAIL_AUTH_NOW, &reply);
	ok(reply.signature_count > 0, "%s: %zu signatures", file, reply.signature_count);
	for (size_t i = 0; i < reply.signature_count; i++) {
		if (!ok(reply.signatures[i].result == AUTH_PASS, "%s: signature %zu of %s passes", file, i,
		        reply.signatures[i].domain)) {
			diag_reply(&reply);
		}
	}
	/* A letter in the body is changed. */
	char *changed = slice_dup(arena, message);
	char *body = memmem(changed, message.len, "\n\n", 2);
	while (body != NULL && *body != '\0' && !ascii_is_alpha(*body)) {
		body++;
	}
	if (body != NULL && *body != '\0') {
		*body ^= 1;
		verify(arena, (struct slice){changed, message.len}, MAIL_AUTH_NOW, &reply);
		ok(reply.signature_count > 0 && reply.signatures[reply.signature_count - 1].result != AUTH_PASS,
		   "%s: not with another body", file);
	}
}

static void run_mail_auth(struct arena *arena, const char *folder)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, NULL, alphasort);
	int files = 0;
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;
		if (slice_ends_nocase(slice_from(name), SLICE_LITERAL(".txt"))) {
			run_mail_auth_file(arena, arena_strdup(arena, name),
			                   read_file(arena, arena_printf(arena, "%s/%s", folder, name)));
			files++;
		}
		free(entries[i]);
	}
	free(entries);
	ok(files > 0, "messages of mail-auth: %d", files);
}

int main(void)
{
	const char *data = getenv("MAILREEVE_DATA");
	struct arena *arena = arena_create(65536);
	const char *folder = arena_printf(arena, "%s/dkim", data == NULL ? "../shared/data" : data);
	const char *mail_dkim = arena_printf(arena, "%s/maildkim", folder);
	json_t *expected = json_load_file(arena_printf(arena, "%s/expected.json", mail_dkim), 0, NULL);
	if (expected == NULL) {
		skip_all("%s is not here", mail_dkim);
	}
	ok(dkim_verify_init(), "the verifier starts");
	run_mail_dkim(arena, mail_dkim, expected);
	run_mail_auth(arena, arena_printf(arena, "%s/mailauth/dkim", folder));
	json_decref(expected);
	arena_destroy(arena);
	return done_testing();
}
