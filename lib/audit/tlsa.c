#include "lib/audit/tlsa.h"

enum { HEAD = 3, SHA256_SIZE = 32, SHA512_SIZE = 64 };

enum tlsa_problem tlsa_parse(struct slice rdata, struct tlsa *tlsa_r)
{
	*tlsa_r = (struct tlsa){.usage = 0};
	if (rdata.len <= HEAD) {
		return TLSA_MALFORMED;
	}
	*tlsa_r = (struct tlsa){.usage = (unsigned char)rdata.data[0],
	                        .selector = (unsigned char)rdata.data[1],
	                        .matching = (unsigned char)rdata.data[2],
	                        .data = {rdata.data + HEAD, rdata.len - HEAD}};
	if (tlsa_r->selector > 1 || tlsa_r->matching > 2 || tlsa_r->usage > 3) {
		return TLSA_PARAMETERS;
	}
	if ((tlsa_r->matching == 1 && tlsa_r->data.len != SHA256_SIZE) ||
	    (tlsa_r->matching == 2 && tlsa_r->data.len != SHA512_SIZE)) {
		return TLSA_MALFORMED;
	}
	return tlsa_r->usage < 2 ? TLSA_USAGE : TLSA_GOOD;
}

const char *tlsa_text(struct arena *arena, const struct tlsa *tlsa, size_t max)
{
	struct strbuf text;
	strbuf_init(&text, arena);
	strbuf_printf(&text, "%u %u %u ", tlsa->usage, tlsa->selector, tlsa->matching);
	for (size_t i = 0; i < tlsa->data.len && i < max / 2; i++) {
		strbuf_printf(&text, "%02x", (unsigned char)tlsa->data.data[i]);
	}
	strbuf_add_text(&text, tlsa->data.len > max / 2 ? "..." : "");
	return text.data;
}
