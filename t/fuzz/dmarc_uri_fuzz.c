#include "lib/report/dmarc_uri.h"
#include "lib/report/xml.h"
#include "t/fuzz/fuzz.h"

/* What is put into RCPT and To, and into a report. */
static void check_address(const struct dmarc_uri *uri)
{
	require(uri->address.local[0] != '\0' && uri->address.domain[0] != '\0');
	for (const char *c = uri->address.text; *c != '\0'; c++) {
		require((unsigned char)*c > ' ' && *c != '<' && *c != '>' && (unsigned char)*c != 0x7f);
	}
}

static void check_xml(struct arena *arena, struct slice text)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	xml_add_text(&out, text);
	for (size_t i = 0; i < out.len; i++) {
		require(out.data[i] != '<' && out.data[i] != '>' && out.data[i] != '"' && out.data[i] != '\0');
	}
	struct slice rest = {out.data, out.len};
	while (rest.len > 0) {
		size_t n = (unsigned char)rest.data[0] < 0x80 ? 1 : text_utf8_length(rest);
		require(n > 0);
		rest = (struct slice){rest.data + n, rest.len - n};
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_create(1024);
	struct slice text = {(const char *)data, size};
	struct dmarc_uri uris[DMARC_URI_MAX];
	size_t count = dmarc_uri_parse(arena, text, uris);
	require(count <= DMARC_URI_MAX);
	for (size_t i = 0; i < count; i++) {
		check_address(&uris[i]);
	}
	check_xml(arena, text);
	arena_destroy(arena);
	return 0;
}
