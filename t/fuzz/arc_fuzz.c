/* ARC chains: a whole message through the verifier, with our key for every name that the input's first byte
 * lets be found; then sealed, and what was sealed through the verifier again. */
#include "lib/auth/arc.h"
#include "lib/auth/arc_seal.h"
#include "t/fuzz/fuzz.h"

enum { NOW = 1700000000 };

static const char record[] = "v=DKIM1; k=ed25519; p=Q+yBjNdgpKjB6qrq8Wvp7a/JDRcAFIUS3Y//xXXDAfk=";
/* Of the corpus's messages and of no other. */
static const char pem[] = "-----BEGIN PRIVATE KEY-----\n"
                          "MC4CAQAwBQYDK2VwBCIEIONAgI9/l0ZDwSYrUfpeiSOrJnE7y7va+Y4I7RnjNyNo\n"
                          "-----END PRIVATE KEY-----\n";

static void verify(struct arena *arena, const struct headers *headers, struct slice body, uint8_t found,
                   struct arc_verdict *verdict_r)
{
	struct arc_keys *keys = arena_alloc(arena, sizeof *keys);
	arc_keys_collect(arena, headers, keys);
	for (size_t i = 0; i < keys->count; i++) {
		keys->items[i].status = (found >> i % 8 & 1) != 0 ? DKIM_KEY_FOUND : DKIM_KEY_TEMPORARY;
		keys->items[i].text = SLICE_LITERAL(record);
	}
	arc_verify(arena, headers, body, keys, NOW, verdict_r);
}

static void check(const struct arc_verdict *verdict)
{
	bool good = verdict->result == AUTH_PASS || verdict->result == AUTH_NONE;
	require(good || verdict->result == AUTH_FAIL || verdict->result == AUTH_TEMPERROR);
	require(good == (verdict->problem == NULL));
	require(verdict->count <= ARC_MAX_SETS && verdict->oldest_pass <= verdict->count);
	require(verdict->result != AUTH_PASS || (verdict->count > 0 && !verdict->ended && !verdict->too_long));
	size_t results = 0;
	for (size_t i = 0; i < verdict->count; i++) {
		const struct arc_set *set = &verdict->sets[i];
		require(set->instance == i + 1 && set->domain != NULL && set->selector != NULL);
		results += set->result_count;
		for (size_t k = 0; k < set->result_count; k++) {
			require(set->results[k].domain[0] != '\0');
		}
	}
	require(results <= ARC_MAX_RESULTS);
}

/* The header with a new set on top. */
static struct headers on_top(struct arena *arena, const struct headers *headers, const struct arc_seal *seal)
{
	struct header_limits limits = {.max_count = SIZE_MAX, .max_bytes = SIZE_MAX};
	struct headers all = {.count = 0};
	for (enum arc_field field = ARC_FIELD_COUNT; field-- > ARC_RESULTS;) {
		struct strbuf value;
		strbuf_init(&value, arena);
		strbuf_add_char(&value, ' ');
		for (const char *c = seal->values[field]; *c != '\0'; c++) {
			strbuf_add_text(&value, *c == '\n' ? "\r" : "");
			strbuf_add_char(&value, *c);
		}
		struct slice wire = {value.data, value.len};
		headers_add(&all, arena, &limits, slice_from(arc_field_name(field)), wire);
	}
	for (size_t i = 0; i < headers->count; i++) {
		headers_add(&all, arena, &limits, headers->items[i].name, headers->items[i].value);
	}
	return all;
}

static void seal_and_verify(struct arena *arena, const struct headers *headers, struct slice body,
                            const struct arc_verdict *verdict, const struct dkim_private_key *key)
{
	uint8_t digest[CANON_DIGEST_SIZE];
	struct arc_seal seal;
	struct arc_verdict again;
	canon_body(body, CANON_RELAXED, UINT64_MAX, digest);
	struct arc_seal_request request = {
	    .headers = headers,
	    .body_digest = digest,
	    .cv = verdict->result == AUTH_NONE   ? ARC_CV_NONE
	          : verdict->result == AUTH_PASS ? ARC_CV_PASS
	                                         : ARC_CV_FAIL,
	    .results = "gate.example;\tspf=none smtp.helo=a",
	    .domain = "gate.example",
	    .selector = "s",
	    .key = key,
	    .names = arc_seal_names(arena, headers),
	    .now = NOW,
	    .line = ARC_SEAL_LINE,
	};
	enum arc_seal_result result = arc_seal_make(arena, &request, &seal);
	require(result != ARC_SEAL_ERROR && result != ARC_SEAL_UNFIT);
	if (result != ARC_SEAL_MADE) {
		return;
	}
	struct headers sealed = on_top(arena, headers, &seal);
	verify(arena, &sealed, body, 0xff, &again);
	check(&again);
	require(again.count == seal.instance && again.ended == (request.cv == ARC_CV_FAIL));
	require(again.result == (request.cv == ARC_CV_FAIL ? AUTH_FAIL : AUTH_PASS));
	require(again.result != AUTH_PASS || again.from_signed || headers_count(headers, "From") > 200);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dkim_private_key *key;
	struct headers headers = {.count = 0};
	struct header_limits limits = {.max_count = 1000, .max_bytes = 1 << 20};
	struct arc_verdict verdict;
	if (size == 0) {
		return 0;
	}
	key = key != NULL ? key : dkim_private_key_create(SLICE_LITERAL(pem));
	struct arena *arena = arena_create(16384);
	struct slice message = {(const char *)data + 1, size - 1};
	size_t at = headers_parse(&headers, arena, &limits, message);
	struct slice body = {message.data + at, message.len - at};
	verify(arena, &headers, body, data[0], &verdict);
	check(&verdict);
	require(verdict.result != AUTH_PASS || data[0] != 0);
	if (verdict.result != AUTH_TEMPERROR) {
		seal_and_verify(arena, &headers, body, &verdict, key);
	}
	arena_destroy(arena);
	return 0;
}
