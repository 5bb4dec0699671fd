/* The public ARC test suite (arc-draft-validation-tests, arc-draft-sign-tests), and two messages from the world. */
#include "lib/auth/arc.h"
#include "lib/auth/arc_seal.h"
#include "lib/mail/message.h"
#include "t/tap.h"

#include <jansson.h>
#include <unistd.h>

/* The clock of the messages from the world, whose own t= lies ahead of it in one. */
enum { NOW = 1667843664 };

/* A message as the worker sees it: its own exactly sized bytes. */
struct parsed {
	char *bytes;
	struct headers headers;
	struct slice body;
};

static struct parsed parse(struct arena *arena, struct slice text)
{
	struct parsed parsed = {.headers = {.count = 0}};
	struct header_limits limits = {.max_count = 1000, .max_bytes = 1 << 20};
	struct message_settings settings = {
	    .memory_max = 1 << 24, .size_max = 1 << 24, .spool_dir = "/tmp", .headers = limits};
	struct message *message = message_create(arena, &settings);
	if (message_load(message, text) == MESSAGE_OK) {
		size_t size = (size_t)message_size(message);
		parsed.bytes = malloc(size + (size == 0));
		if (pread(message_fd(message), parsed.bytes, size, 0) == (ssize_t)size) {
			size_t body = headers_parse(&parsed.headers, arena, &limits, (struct slice){parsed.bytes, size});
			parsed.body = (struct slice){parsed.bytes + body, size - body};
		}
	}
	message_destroy(message);
	return parsed;
}

static void fetch_keys(struct arena *arena, const struct headers *headers, const json_t *records,
                       struct arc_keys *keys_r)
{
	arc_keys_collect(arena, headers, keys_r);
	for (size_t i = 0; i < keys_r->count; i++) {
		struct dkim_key *key = &keys_r->items[i];
		const char *text = json_string_value(json_object_get(records, key->name));
		bool usable = text != NULL && strstr(text, "p=") != NULL; /* lib/auth/dkim_keys.c: no other text is a key */
		key->status = usable ? DKIM_KEY_FOUND : DKIM_KEY_ABSENT;
		key->text = slice_from(text);
	}
}

static void verify(struct arena *arena, struct slice text, const json_t *records, uint64_t now,
                   struct arc_verdict *verdict_r)
{
	struct arc_keys keys;
	struct parsed parsed = parse(arena, text);
	fetch_keys(arena, &parsed.headers, records, &keys);
	arc_verify(arena, &parsed.headers, parsed.body, &keys, now, verdict_r);
	free(parsed.bytes);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text == NULL ? "" : text;
}

/* "cv": None, Pass, Fail; "" where the newest seal, or an older one, says that the chain has ended: fail by 5.2. */
static enum auth_result expected(const json_t *test)
{
	const char *cv = text_of(test, "cv");
	return strcmp(cv, "Pass") == 0 ? AUTH_PASS : strcmp(cv, "None") == 0 ? AUTH_NONE : AUTH_FAIL;
}

static void check_validations(const json_t *suite)
{
	size_t i;
	size_t k;
	size_t count = 0;
	json_t *scenario;
	json_t *test;
	json_array_foreach(json_object_get(suite, "scenarios"), i, scenario)
	{
		json_array_foreach(json_object_get(scenario, "tests"), k, test)
		{
			struct arena *arena = arena_create(65536);
			struct arc_verdict verdict;
			verify(arena, slice_from(text_of(test, "message")), json_object_get(scenario, "dns_txt"), NOW, &verdict);
			enum auth_result wanted = expected(test);
			const char *problem = verdict.problem == NULL ? "" : verdict.problem;
			ok(verdict.result == wanted && (wanted != AUTH_FAIL || problem[0] != '\0'), "%s: %s %s",
			   text_of(test, "name"), auth_result_name(verdict.result), problem);
			count++;
			arena_destroy(arena);
		}
	}
	is_int((long long)count, 171, "the validation suite has 171 tests");
}

/* ---- sealing ---- */

/* What the sealing MTA's Authentication-Results fields say, as one (RFC 8617 4.1.1). */
static const char *merged_results(struct arena *arena, const struct headers *headers, const char *srv_id)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	strbuf_add_text(&out, srv_id);
	for (size_t n = 0; n < headers_count(headers, "Authentication-Results"); n++) {
		struct slice rest = slice_trim(headers_find(headers, "Authentication-Results", n)->value);
		struct slice piece;
		slice_split(&rest, ';', &piece);
		while (slice_equal(piece, slice_from(srv_id)) && slice_split(&rest, ';', &piece)) {
			strbuf_printf(&out, "; %.*s", SLICE_ARGS(slice_trim(piece)));
			piece = slice_from(srv_id);
		}
	}
	return out.data;
}

static bool results_say(const char *results, const char *text)
{
	return strstr(results, text) != NULL;
}

/* The tags in their order, each as "name=value;" without white space. */
static const char *semantic(struct arena *arena, const char *value)
{
	struct slice compact = tag_compact(arena, slice_from(value));
	return slice_dup(arena, compact);
}

static void check_sealing(struct arena *arena, const json_t *scenario, const json_t *test)
{
	const char *name = text_of(test, "name");
	struct parsed parsed = parse(arena, slice_from(text_of(test, "message")));
	struct dkim_private_key *key = dkim_private_key_create(slice_from(text_of(scenario, "privatekey")));
	const char *results = merged_results(arena, &parsed.headers, text_of(test, "srv_id"));
	uint8_t digest[CANON_DIGEST_SIZE];
	canon_body(parsed.body, CANON_RELAXED, UINT64_MAX, digest);
	struct arc_seal_request request = {
	    .headers = &parsed.headers,
	    .body_digest = digest,
	    .cv = results_say(results, "; arc=pass")   ? ARC_CV_PASS
	          : results_say(results, "; arc=fail") ? ARC_CV_FAIL
	                                               : ARC_CV_NONE,
	    .results = results,
	    .domain = text_of(scenario, "domain"),
	    .selector = text_of(scenario, "sel"),
	    .key = key,
	    .names = text_of(test, "sig_headers"),
	    .now = (uint64_t)json_integer_value(json_object_get(test, "t")),
	};
	struct arc_seal seal = {.instance = 0};
	enum arc_seal_result result = key == NULL ? ARC_SEAL_ERROR : arc_seal_make(arena, &request, &seal);
	if (strlen(semantic(arena, text_of(test, "AS"))) == 0) {
		ok(result == ARC_SEAL_ENDED, "%s: nothing is added", name);
	} else {
		bool same = result == ARC_SEAL_MADE;
		static const char *const keys[ARC_FIELD_COUNT] = {"AAR", "AMS", "AS"};
		for (enum arc_field field = ARC_RESULTS; same && field < ARC_FIELD_COUNT; field++) {
			const char *wanted = semantic(arena, text_of(test, keys[field]));
			const char *got = semantic(arena, seal.values[field]);
			same = strcmp(wanted, got) == 0;
			if (!same) {
				diag("wanted %s %s", keys[field], wanted);
				diag("got    %s %s", keys[field], got);
			}
		}
		ok(same, "%s: sealed as i=%u, b= and bh= as expected", name, seal.instance);
	}
	dkim_private_key_destroy(key);
	free(parsed.bytes);
}

static void check_sealings(const json_t *suite)
{
	size_t i;
	size_t k;
	size_t count = 0;
	json_t *scenario;
	json_t *test;
	json_array_foreach(json_object_get(suite, "scenarios"), i, scenario)
	{
		json_array_foreach(json_object_get(scenario, "tests"), k, test)
		{
			struct arena *arena = arena_create(65536);
			check_sealing(arena, scenario, test);
			arena_destroy(arena);
			count++;
		}
	}
	is_int((long long)count, 17, "the sealing suite has 17 tests");
}

/* ---- the world ---- */

/* "name text" lines, an empty line, the message. */
static void check_world(struct arena *arena, const char *path)
{
	size_t size = 0;
	char *bytes = NULL;
	FILE *file = fopen(path, "rb");
	FILE *copy = open_memstream(&bytes, &size);
	for (int c = file == NULL ? EOF : getc(file); c != EOF; c = getc(file)) {
		putc(c, copy);
	}
	fclose(copy);
	if (file != NULL) {
		fclose(file);
	}
	json_t *records = json_object();
	struct slice rest = {bytes, size};
	struct slice line;
	while (slice_split(&rest, '\n', &line) && line.len > 0) {
		size_t space = slice_find(line, ' ', 0);
		struct slice value = {line.data + space, line.len - space};
		json_object_set_new(records, slice_dup_lower(arena, (struct slice){line.data, space}),
		                    json_string(slice_dup(arena, slice_trim(value))));
	}
	struct arc_verdict verdict;
	verify(arena, rest, records, NOW, &verdict);
	ok(verdict.result == AUTH_PASS && verdict.count > 0 && verdict.from_signed, "%s: %s, %zu sets, oldest pass %u%s%s",
	   path, auth_result_name(verdict.result), verdict.count, verdict.oldest_pass, verdict.problem == NULL ? "" : ": ",
	   verdict.problem == NULL ? "" : verdict.problem);
	ok(verdict.count > 0 && verdict.sets[verdict.count - 1].result_count > 0, "%s: the newest set's results are read",
	   path);
	json_decref(records);
	free(bytes);
}

int main(void)
{
	const char *data = getenv("MAILREEVE_DATA");
	struct arena *arena = arena_create(65536);
	data = data == NULL ? "../shared/data" : data;
	json_t *validate = json_load_file(arena_printf(arena, "%s/arc/arc-validate.json", data), 0, NULL);
	json_t *sealing = json_load_file(arena_printf(arena, "%s/arc/arc-sign.json", data), 0, NULL);
	if (validate == NULL || sealing == NULL) {
		skip_all("%s/arc is not here", data);
	}
	check_validations(validate);
	check_sealings(sealing);
	json_decref(validate);
	json_decref(sealing);
	check_world(arena, arena_printf(arena, "%s/dkim/mailauth/arc/001.txt", data));
	check_world(arena, arena_printf(arena, "%s/dkim/mailauth/arc/002.txt", data));
	arena_destroy(arena);
	return done_testing();
}
