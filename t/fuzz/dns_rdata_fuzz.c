/* rdata from the network: one byte says the type, the rest is the rdata; and the same bytes as a name, on the wire and
 * in text. */
#include "lib/dns/name.h"
#include "lib/dns/rdata.h"
#include "t/fuzz/fuzz.h"

#include <stdio.h>
/* A name that was accepted is in its one form: read again it gives itself. */
static void check_name(struct slice text)
{
	char again[DNS_MAX_NAME_TEXT];
	require(text.len < DNS_MAX_NAME_TEXT && memchr(text.data, '\0', text.len) == NULL);
	require(text.len == 0 || (dns_name_normalise(text, again) && slice_equal(text, slice_from(again))));
}

static void check_names(struct slice data)
{
	char text[DNS_MAX_NAME_TEXT];
	size_t used = dns_name_from_wire(data, text);
	require(used <= data.len && used <= 255);
	if (used > 0) {
		check_name(slice_from(text));
	}
	if (dns_name_normalise(data, text)) {
		require(text[0] != '\0');
		check_name(slice_from(text));
	}
}

static void check_record(enum dns_type type, struct slice rdata, const struct dns_record *record)
{
	switch (type) {
	case DNS_TYPE_A:
		require(rdata.len == 4 && record->address.family == IP_V4);
		break;
	case DNS_TYPE_AAAA:
		require(rdata.len == 16 && record->address.family == IP_V6);
		break;
	case DNS_TYPE_MX:
	case DNS_TYPE_NS:
	case DNS_TYPE_CNAME:
	case DNS_TYPE_PTR:
	case DNS_TYPE_SOA:
		check_name(record->data);
		break;
	case DNS_TYPE_TXT:
	case DNS_TYPE_DS:
	case DNS_TYPE_DNSKEY:
	case DNS_TYPE_TLSA:
	case DNS_TYPE_SPF:
		require(record->data.len <= rdata.len);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0) {
		return 0;
	}
	struct arena *arena = arena_create(256);
	enum dns_type type = (enum dns_type)data[0];
	struct slice rdata = {(const char *)data + 1, size - 1};
	struct dns_record record;
	if (dns_rdata_decode(arena, type, rdata, &record)) {
		check_record(type, rdata, &record);
	}
	require(arena_used(arena) <= size + DNS_MAX_NAME_TEXT + 64);
	check_names(rdata);
	arena_destroy(arena);
	return 0;
}
