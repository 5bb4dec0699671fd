#include "inspect/dkim_record.h"

#include "lib/auth/dkim_crypto.h"
#include "lib/mail/taglist.h"

enum { DER_INTEGER = 0x02, DER_BIT_STRING = 0x03, DER_SEQUENCE = 0x30, ED25519_BYTES = 32 };

static const char too_long[] = "the key is too long for this verifier, which takes up to 8192 bits";

/* ---- RSA keys: DER ---- */

/* Takes one element of that type off the front of *rest. */
static bool der_take(struct slice *rest, unsigned char type, struct slice *content_r)
{
	const unsigned char *data = (const unsigned char *)rest->data;
	if (rest->len < 2 || data[0] != type) {
		return false;
	}
	size_t header = 2;
	size_t len = data[1];
	if (len >= 0x80) {
		size_t count = len - 0x80;
		if (count == 0 || count > 2 || rest->len < 2 + count) {
			return false;
		}
		len = 0;
		while (header < 2 + count) {
			len = len << 8 | data[header++];
		}
	}
	if (len > rest->len - header) {
		return false;
	}
	*content_r = (struct slice){rest->data + header, len};
	*rest = (struct slice){content_r->data + len, rest->len - header - len};
	return true;
}

/* The content of an RSAPublicKey, which 3.6.1 asks for, or of the one in a SubjectPublicKeyInfo, which all the world
 * publishes. */
static bool rsa_find(struct slice der, struct slice *key_r)
{
	static const char rsa_encryption[] = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
	struct slice outer;
	struct slice algorithm;
	struct slice bits;
	if (!der_take(&der, DER_SEQUENCE, &outer)) {
		return false;
	}
	if (outer.len > 0 && outer.data[0] == DER_INTEGER) {
		*key_r = outer;
		return true;
	}
	if (!der_take(&outer, DER_SEQUENCE, &algorithm) || algorithm.len < sizeof rsa_encryption - 1 ||
	    memcmp(algorithm.data, rsa_encryption, sizeof rsa_encryption - 1) != 0 ||
	    !der_take(&outer, DER_BIT_STRING, &bits) || bits.len == 0 || bits.data[0] != 0) {
		return false;
	}
	bits = (struct slice){bits.data + 1, bits.len - 1};
	return der_take(&bits, DER_SEQUENCE, key_r);
}

/* Of the modulus, the first of the two numbers; 0: they are not there. */
static unsigned rsa_bits(struct slice key)
{
	struct slice modulus;
	struct slice exponent;
	if (!der_take(&key, DER_INTEGER, &modulus) || !der_take(&key, DER_INTEGER, &exponent) || exponent.len == 0) {
		return 0;
	}
	while (modulus.len > 0 && modulus.data[0] == 0) {
		modulus = (struct slice){modulus.data + 1, modulus.len - 1};
	}
	unsigned bits = (unsigned)modulus.len * 8;
	for (unsigned bit = 0x80; bits > 0 && ((unsigned char)modulus.data[0] & bit) == 0; bit >>= 1) {
		bits--;
	}
	return bits;
}

static void der_put(struct strbuf *out, unsigned char type, const char *before, size_t before_len, struct slice content)
{
	size_t len = before_len + content.len;
	strbuf_add_char(out, (char)type);
	if (len >= 0x100) {
		strbuf_add_char(out, (char)0x82);
		strbuf_add_char(out, (char)(len >> 8));
	} else if (len >= 0x80) {
		strbuf_add_char(out, (char)0x81);
	}
	strbuf_add_char(out, (char)(len & 0xffU));
	strbuf_add(out, before, before_len);
	strbuf_add_slice(out, content);
}

/* As a SubjectPublicKeyInfo, the one form that the library reads. */
static struct slice rsa_wrap(struct arena *arena, struct slice key)
{
	static const char algorithm[] = "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
	struct strbuf sequence;
	struct strbuf bits;
	struct strbuf out;
	strbuf_init(&sequence, arena);
	strbuf_init(&bits, arena);
	strbuf_init(&out, arena);
	der_put(&sequence, DER_SEQUENCE, "", 0, key);
	der_put(&bits, DER_BIT_STRING, "\0", 1, (struct slice){sequence.data, sequence.len});
	der_put(&out, DER_SEQUENCE, algorithm, sizeof algorithm - 1, (struct slice){bits.data, bits.len});
	return (struct slice){out.data, out.len};
}

/* ---- the record ---- */

static void read_key(struct arena *arena, struct slice data, bool rsa, struct dkim_record *record_r)
{
	struct slice bytes;
	struct slice key;
	record_r->problem = "the key cannot be read";
	if (!dkim_base64_decode(arena, tag_compact(arena, data), &bytes)) {
		return;
	}
	if (rsa) {
		record_r->bits = rsa_find(bytes, &key) ? rsa_bits(key) : 0;
		bytes = record_r->bits == 0 ? bytes : rsa_wrap(arena, key);
	} else {
		record_r->bits = bytes.len == ED25519_BYTES ? 256 : 0; /* RFC 8463 4.2: the bare key */
	}
	if (record_r->bits == 0) {
		return;
	}
	record_r->bytes = bytes;
	record_r->key =
	    slice_from(arena_printf(arena, "%sp=%s", rsa ? "" : "k=ed25519; ", dkim_base64_encode(arena, bytes)));
	record_r->problem = record_r->bits > DKIM_RECORD_BITS_MAX ? too_long : NULL;
}

static bool version_wrong(const struct taglist *list)
{
	const struct tag *version = taglist_find(list, "v");
	return version != NULL && (version != list->tags || !slice_equal(version->value, SLICE_LITERAL("DKIM1")));
}

/* What its other tags say against its use for such a signature; NULL: nothing. */
static const char *use_problem(const struct taglist *list, struct slice type, struct slice key_type)
{
	const struct tag *service = taglist_find(list, "s");
	const struct tag *hashes = taglist_find(list, "h");
	if (!slice_equal_nocase(type, key_type)) {
		return "the key is of another type than a= says";
	}
	if (service != NULL && !tag_list_has(service->value, "*") && !tag_list_has(service->value, "email")) {
		return "the key is not for mail";
	}
	if (hashes != NULL && !tag_list_has(hashes->value, "sha256")) {
		return "the key is not for sha256";
	}
	return NULL;
}

void dkim_record_read(struct arena *arena, struct slice text, struct slice algorithm, struct dkim_record *record_r)
{
	struct taglist list;
	taglist_parse(text, &list);
	const struct tag *type = taglist_find(&list, "k");
	const struct tag *flags = taglist_find(&list, "t");
	const struct tag *data = taglist_find(&list, "p");
	struct slice key_type = type == NULL ? SLICE_LITERAL("rsa") : tag_compact(arena, type->value);
	algorithm.len = slice_find(algorithm, '-', 0);
	*record_r = (struct dkim_record){.testing = flags != NULL && tag_list_has(flags->value, "y"),
	                                 .strict = flags != NULL && tag_list_has(flags->value, "s")};
	if (list.duplicate || list.malformed || list.truncated || version_wrong(&list)) {
		record_r->problem = "the key record is malformed";
		return;
	}
	if (data == NULL || tag_compact(arena, data->value).len == 0) {
		record_r->problem = "the key is revoked";
		return;
	}
	record_r->problem = use_problem(&list, algorithm, key_type);
	if (record_r->problem == NULL) {
		read_key(arena, data->value, slice_equal_nocase(key_type, SLICE_LITERAL("rsa")), record_r);
	}
}
