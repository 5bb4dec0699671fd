#include "inspect/file_format.h"
#include "inspect/pdf.h"

#include <openssl/evp.h>

#include <stdlib.h>

enum { TEXT_MAX = 160, KEY_MAX = 16, DICTIONARY_MAX = 8192, ROUNDS_MAX = 2048 };

/* What fills a password up to 32 bytes (algorithm 2). */
static const unsigned char filler[32] = {0x28, 0xbf, 0x4e, 0x5e, 0x4e, 0x75, 0x8a, 0x41, 0x64, 0x00, 0x4e,
                                         0x56, 0xff, 0xfa, 0x01, 0x08, 0x2e, 0x2e, 0x00, 0xb6, 0xd0, 0x68,
                                         0x3e, 0x80, 0x2f, 0x0c, 0xa9, 0xfe, 0x64, 0x53, 0x69, 0x7a};

struct text {
	unsigned char data[TEXT_MAX];
	size_t len;
};

static int hex_value(char c)
{
	char lower = ascii_lower(c);
	return ascii_is_digit(c) ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static void add(struct text *text, unsigned c)
{
	if (text->len < TEXT_MAX) {
		text->data[text->len++] = (unsigned char)c;
	}
}

static size_t read_escape(struct slice from, size_t at, struct text *text_r)
{
	static const char letters[] = "nrtbf", values[] = "\n\r\t\b\f";
	char c = from.data[at];
	const char *known = c == '\0' ? NULL : strchr(letters, c);
	if (c >= '0' && c <= '7') {
		unsigned value = 0;
		size_t end = at + 3;
		for (; at < end && at < from.len && from.data[at] >= '0' && from.data[at] <= '7'; at++) {
			value = value * 8 + (unsigned)(from.data[at] - '0');
		}
		add(text_r, value);
		return at;
	}
	if (known != NULL) {
		add(text_r, (unsigned char)values[known - letters]);
	} else if (c == '\r' && at + 1 < from.len && from.data[at + 1] == '\n') {
		at++;
	} else if (c != '\r' && c != '\n') {
		add(text_r, (unsigned char)c);
	}
	return at + 1;
}

/* A string, "(...)" with escapes and balanced parentheses, or "<hex>". */
static bool read_string(struct slice from, struct text *text_r)
{
	int depth = 1, high = -1;
	from = slice_trim(from);
	text_r->len = 0;
	if (from.len == 0 || (from.data[0] != '(' && from.data[0] != '<')) {
		return false;
	}
	bool hex = from.data[0] == '<';
	for (size_t at = 1; at < from.len && depth > 0;) {
		char c = from.data[at++];
		int value = hex ? hex_value(c) : -1;
		if (hex && c == '>') {
			depth = 0;
		} else if (hex && value >= 0) {
			if (high >= 0) {
				add(text_r, (unsigned)(high << 4 | value));
			}
			high = high >= 0 ? -1 : value;
		} else if (!hex && c == '\\' && at < from.len) {
			at = read_escape(from, at, text_r);
		} else if (!hex) {
			depth += c == '(' ? 1 : c == ')' ? -1 : 0;
			if (depth > 0) {
				add(text_r, (unsigned char)c);
			}
		}
	}
	return depth == 0;
}

/* What stands behind a key of the dictionary. */
static struct slice value_of(struct slice dictionary, const char *key)
{
	struct slice word = slice_from(key);
	for (size_t at = bytes_find(dictionary, word, 0); at < dictionary.len; at = bytes_find(dictionary, word, at + 1)) {
		struct slice rest = bytes_part(dictionary, at + word.len, dictionary.len);
		if (rest.len > 0 && !ascii_is_alpha(rest.data[0])) {
			return slice_trim(rest);
		}
	}
	return (struct slice){"", 0};
}

static bool read_number(struct slice text, long *value_r)
{
	char digits[24];
	size_t n = 0;
	for (; n < text.len && n < sizeof digits - 1 && (ascii_is_digit(text.data[n]) || text.data[n] == '-'); n++) {
		digits[n] = text.data[n];
	}
	digits[n] = '\0';
	*value_r = strtol(digits, NULL, 10);
	return n > 0;
}

static void rc4(const unsigned char *key, size_t n, unsigned char *data, size_t length)
{
	unsigned char state[256];
	unsigned j = 0;
	for (unsigned i = 0; i < 256; i++) {
		state[i] = (unsigned char)i;
	}
	for (unsigned i = 0; i < 256; i++) {
		j = (j + state[i] + key[i % n]) & 255;
		unsigned char kept = state[i];
		state[i] = state[j];
		state[j] = kept;
	}
	j = 0;
	for (size_t k = 0, i = 1; k < length; k++, i = (i + 1) & 255) {
		j = (j + state[i]) & 255;
		unsigned char kept = state[i];
		state[i] = state[j];
		state[j] = kept;
		data[k] ^= state[(state[i] + state[j]) & 255];
	}
}

struct handler {
	long revision, bits, permissions;
	struct text owner, user, id;
	bool metadata; /* encrypted too */
};

static bool digest(const EVP_MD *md, const struct slice *pieces, size_t count, unsigned char *out)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = context != NULL && EVP_DigestInit_ex(context, md, NULL) == 1;
	for (size_t i = 0; good && i < count; i++) {
		good = EVP_DigestUpdate(context, pieces[i].data, pieces[i].len) == 1;
	}
	good = good && EVP_DigestFinal_ex(context, out, NULL) == 1;
	EVP_MD_CTX_free(context);
	return good;
}

static struct slice as_slice(const unsigned char *data, size_t n)
{
	return (struct slice){(const char *)data, n};
}

/* Algorithms 2, 4 and 5 of revisions 2 to 4. */
static bool opens_old(const struct handler *handler)
{
	unsigned char key[KEY_MAX], check[32];
	size_t n = handler->revision == 2                        ? 5
	           : handler->bits >= 40 && handler->bits <= 128 ? (size_t)handler->bits / 8
	                                                         : 16;
	const unsigned char p[4] = {(unsigned char)handler->permissions, (unsigned char)(handler->permissions >> 8),
	                            (unsigned char)(handler->permissions >> 16),
	                            (unsigned char)(handler->permissions >> 24)};
	const struct slice pieces[] = {as_slice(filler, 32),
	                               as_slice(handler->owner.data, 32),
	                               as_slice(p, 4),
	                               as_slice(handler->id.data, handler->id.len),
	                               {"\xff\xff\xff\xff", 4}};
	bool open_metadata = handler->revision >= 4 && !handler->metadata;
	if (handler->owner.len < 32 || handler->user.len < 16 || !digest(EVP_md5(), pieces, open_metadata ? 5 : 4, key)) {
		return false;
	}
	for (unsigned i = 0; handler->revision >= 3 && i < 50; i++) {
		const struct slice piece = as_slice(key, n);
		digest(EVP_md5(), &piece, 1, key);
	}
	if (handler->revision == 2) {
		memcpy(check, filler, 32);
		rc4(key, n, check, 32);
		return handler->user.len >= 32 && memcmp(check, handler->user.data, 32) == 0;
	}
	const struct slice first[] = {as_slice(filler, 32), as_slice(handler->id.data, handler->id.len)};
	digest(EVP_md5(), first, 2, check);
	for (unsigned i = 0; i < 20; i++) {
		unsigned char mixed[KEY_MAX];
		for (size_t k = 0; k < n; k++) {
			mixed[k] = key[k] ^ (unsigned char)i;
		}
		rc4(mixed, n, check, 16);
	}
	return memcmp(check, handler->user.data, 16) == 0;
}

static bool aes_cbc(const unsigned char *key, const unsigned char *iv, const unsigned char *in, size_t n,
                    unsigned char *out)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	int written = 0;
	bool good = context != NULL && EVP_EncryptInit_ex(context, EVP_aes_128_cbc(), NULL, key, iv) == 1 &&
	            EVP_CIPHER_CTX_set_padding(context, 0) == 1 &&
	            EVP_EncryptUpdate(context, out, &written, in, (int)n) == 1;
	EVP_CIPHER_CTX_free(context);
	return good && (size_t)written == n;
}

/* Algorithm 2.B, for the empty password: SHA-2 over what AES makes of 64 copies of the last hash. */
static bool hash_new(struct slice salt, unsigned char hash_r[64])
{
	unsigned char copies[64 * 64], out[64 * 64];
	size_t n = 32;
	if (!digest(EVP_sha256(), &salt, 1, hash_r)) {
		return false;
	}
	for (unsigned round = 0; round < ROUNDS_MAX; round++) {
		unsigned sum = 0;
		for (size_t i = 0; i < 64; i++) {
			memcpy(copies + i * n, hash_r, n);
		}
		if (!aes_cbc(hash_r, hash_r + 16, copies, 64 * n, out)) {
			return false;
		}
		for (size_t i = 0; i < 16; i++) {
			sum += out[i];
		}
		const EVP_MD *md = sum % 3 == 0 ? EVP_sha256() : sum % 3 == 1 ? EVP_sha384() : EVP_sha512();
		const struct slice piece = as_slice(out, 64 * n);
		unsigned last = out[64 * n - 1];
		n = sum % 3 == 0 ? 32 : sum % 3 == 1 ? 48 : 64;
		if (!digest(md, &piece, 1, hash_r)) {
			return false;
		}
		if (round >= 63 && last <= round - 31) {
			return true;
		}
	}
	return false;
}

static bool opens_new(const struct handler *handler)
{
	unsigned char hash[64];
	if (handler->user.len < 48) {
		return false;
	}
	const struct slice salt = as_slice(handler->user.data + 32, 8);
	bool good = handler->revision == 5 ? digest(EVP_sha256(), &salt, 1, hash) : hash_new(salt, hash);
	return good && memcmp(hash, handler->user.data, 32) == 0;
}

/* "/Encrypt 12 0 R" leads to "12 0 obj"; or the dictionary stands there itself. The last one counts. */
static struct slice find_dictionary(struct slice content)
{
	const struct slice word = SLICE_LITERAL("/Encrypt");
	struct slice found = {"", 0};
	for (size_t at = bytes_find(content, word, 0); at < content.len; at = bytes_find(content, word, at + 1)) {
		struct slice rest = bytes_part(content, at + word.len, DICTIONARY_MAX);
		long number;
		char object[32];
		if (rest.len > 0 && ascii_is_alpha(rest.data[0])) {
			continue; /* /EncryptMetadata */
		}
		rest = slice_trim(rest);
		if (!read_number(rest, &number)) {
			found = rest;
			continue;
		}
		snprintf(object, sizeof object, "\n%ld 0 obj", number);
		size_t there = bytes_find(content, slice_from(object), 0);
		object[0] = '\r';
		there = there < content.len ? there : bytes_find(content, slice_from(object), 0);
		found = there < content.len ? bytes_part(content, there + strlen(object), DICTIONARY_MAX) : found;
	}
	found.len = bytes_find(found, SLICE_LITERAL("endobj"), 0);
	return found;
}

static void find_id(struct slice content, struct text *id_r)
{
	const struct slice word = SLICE_LITERAL("/ID");
	id_r->len = 0;
	for (size_t at = bytes_find(content, word, 0); at < content.len; at = bytes_find(content, word, at + 1)) {
		struct slice rest = slice_trim(bytes_part(content, at + word.len, 4 * TEXT_MAX));
		if (rest.len > 0 && rest.data[0] == '[' && read_string(bytes_part(rest, 1, rest.len), id_r)) {
			return;
		}
	}
}

bool pdf_opens_without_password(struct slice content)
{
	struct handler handler = {.metadata = true};
	struct slice dictionary = find_dictionary(content);
	if (!read_number(value_of(dictionary, "/R"), &handler.revision) ||
	    !read_number(value_of(dictionary, "/P"), &handler.permissions) ||
	    !read_string(value_of(dictionary, "/O"), &handler.owner) ||
	    !read_string(value_of(dictionary, "/U"), &handler.user)) {
		return false;
	}
	read_number(value_of(dictionary, "/Length"), &handler.bits);
	handler.bits = handler.revision == 4 ? 128 : handler.bits;
	handler.metadata = !slice_starts_nocase(value_of(dictionary, "/EncryptMetadata"), SLICE_LITERAL("false"));
	find_id(content, &handler.id);
	return handler.revision >= 5 ? opens_new(&handler) : opens_old(&handler);
}
