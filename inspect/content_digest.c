#include "inspect/content_digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void add(EVP_MD_CTX *context, const char *data, size_t n)
{
	if (n > 0 && EVP_DigestUpdate(context, data, n) != 1) {
		abort();
	}
}

static void add_field(EVP_MD_CTX *context, const struct headers *headers, const char *name)
{
	const struct header *field = headers_find(headers, name, 0);
	struct slice value = field == NULL ? SLICE_LITERAL("") : slice_trim(field->value);
	size_t i = 0;
	while (i < value.len) {
		size_t start = i;
		while (i < value.len && !is_blank(value.data[i])) {
			i++;
		}
		add(context, value.data + start, i - start);
		if (i < value.len) {
			add(context, " ", 1);
		}
		while (i < value.len && is_blank(value.data[i])) {
			i++;
		}
	}
	add(context, "\n", 1);
}

/* ">From ", ">>From ": as many as mailbox files have put there. */
static struct slice without_quote(struct slice line)
{
	size_t n = 0;
	while (n < line.len && line.data[n] == '>') {
		n++;
	}
	struct slice rest = {line.data + n, line.len - n};
	return slice_starts_nocase(rest, SLICE_LITERAL("From ")) ? rest : line;
}

static void add_body(EVP_MD_CTX *context, struct slice body)
{
	size_t empty = 0;
	for (size_t at = 0; at < body.len;) {
		size_t end = slice_find(body, '\n', at);
		struct slice line = {body.data + at, end - at};
		at = end + 1;
		while (line.len > 0 && is_blank(line.data[line.len - 1])) {
			line.len--;
		}
		if (line.len == 0) {
			empty++;
			continue;
		}
		for (; empty > 0; empty--) {
			add(context, "\n", 1);
		}
		line = without_quote(line);
		add(context, line.data, line.len);
		add(context, "\n", 1);
	}
}

void content_digest(const struct headers *headers, struct slice body, uint8_t digest_r[INSPECT_DIGEST_SIZE])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	if (context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
		abort();
	}
	add_field(context, headers, "From");
	add_field(context, headers, "Subject");
	add_field(context, headers, "Date");
	add_body(context, body);
	if (EVP_DigestFinal_ex(context, digest_r, NULL) != 1) {
		abort();
	}
	EVP_MD_CTX_free(context);
}
