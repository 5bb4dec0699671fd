/* A message signed here by our own canonical form must verify, by libopendkim or without it: whatever the two read
 * differently is a fault of the fence. The input's first byte chooses the canonicalization, the rest is the message. */
#include "inspect/dkim_verify.h"
#include "lib/auth/canon.h"
#include "lib/auth/dkim_crypto.h"
#include "t/fuzz/fuzz.h"

enum { NAME_MAX_BYTES = 255, FIELDS_MAX = 200 };

/* RFC 8463 A.2 */
static const char private_key[] = "-----BEGIN PRIVATE KEY-----\n"
                                  "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
                                  "-----END PRIVATE KEY-----\n";
static const char public_key[] = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

static struct dkim_private_key *key;

static bool start(void)
{
	if (key == NULL) {
		key = dkim_private_key_create(slice_from(private_key));
		require(key != NULL && dkim_verify_init());
	}
	return true;
}

/* All fields, each as often as it is there; NULL where one of them cannot stand in h=, or From is not there once. */
static const char *field_names(struct arena *arena, const struct headers *headers)
{
	struct strbuf names;
	strbuf_init(&names, arena);
	if (headers->truncated || headers_count(headers, "From") != 1 || headers_count(headers, "DKIM-Signature") > 0) {
		return NULL;
	}
	for (size_t i = 0; i < headers->count; i++) {
		struct slice name = headers->items[i].name;
		if (name.len > NAME_MAX_BYTES || slice_find(name, ';', 0) < name.len) {
			return NULL;
		}
		strbuf_add_text(&names, i == 0 ? "" : ":");
		strbuf_add_slice(&names, name);
	}
	return names.data;
}

static const char *sign(struct arena *arena, const struct headers *headers, struct slice body, unsigned how)
{
	static const char *const words[] = {"simple", "relaxed"};
	uint8_t digest[CANON_DIGEST_SIZE];
	struct strbuf data;
	const char *names = field_names(arena, headers);
	if (names == NULL) {
		return NULL;
	}
	canon_body(body, (enum canon)(how >> 1 & 1U), UINT64_MAX, digest);
	const char *hash = dkim_base64_encode(arena, (struct slice){(const char *)digest, sizeof digest});
	const char *value = arena_printf(arena, " v=1; a=ed25519-sha256; c=%s/%s; d=x.example; s=s;\r\n\th=%s; bh=%s;\r\n\tb=",
	                                 words[how & 1U], words[how >> 1 & 1U], names, hash);
	strbuf_init(&data, arena);
	canon_fields(&data, arena, headers, slice_from(names), (enum canon)(how & 1U));
	canon_signature(&data, SLICE_LITERAL("DKIM-Signature"), slice_from(value), (enum canon)(how & 1U));
	const char *b = dkim_private_key_sign(key, (struct slice){data.data, data.len}, arena);
	return arena_printf(arena, "DKIM-Signature:%s%s\r\n", value, b);
}

/* In memory of exactly its size. */
static void verify(struct arena *arena, const char *field, struct slice message)
{
	static const struct dkim_rules rules = {.key_bits_min = 1024, .clock_drift = 300};
	struct dkim_keys keys = {.count = 1};
	struct inspect_reply reply = {.signature_count = 0};
	size_t size = strlen(field) + message.len;
	char *bytes = malloc(size);
	memcpy(bytes, field, strlen(field));
	memcpy(bytes + strlen(field), message.data, message.len);
	keys.items[0] = (struct dkim_key){
	    .domain = "x.example", .selector = "s", .status = DKIM_KEY_FOUND, .text = slice_from(public_key)};
	dkim_verify_message((struct slice){bytes, size}, &keys, &rules, 1700000000, arena, &reply);
	require(reply.signature_count == 1 && reply.signatures[0].result == AUTH_PASS);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct header_limits limits = {.max_count = FIELDS_MAX, .max_bytes = 1 << 16};
	struct headers headers = {.count = 0};
	if (size < 2 || data[1] == ' ' || data[1] == '\t' || !start()) {
		return 0;
	}
	struct arena *arena = arena_create(16384);
	struct slice message = {(const char *)data + 1, size - 1};
	size_t body = headers_parse(&headers, arena, &limits, message);
	const char *field = sign(arena, &headers, (struct slice){message.data + body, message.len - body}, data[0]);
	if (field != NULL) {
		verify(arena, field, message);
	}
	arena_destroy(arena);
	return 0;
}
