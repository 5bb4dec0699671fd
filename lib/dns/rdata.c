#include "lib/dns/rdata.h"

#include "lib/dns/name.h"

static bool decode_address(enum ip_family family, size_t size, struct slice rdata, struct dns_record *record)
{
	if (rdata.len != size) {
		return false;
	}
	record->address.family = family;
	memcpy(record->address.bytes, rdata.data, size);
	return true;
}

static bool decode_name(struct arena *arena, struct slice rdata, bool rest, struct dns_record *record)
{
	char text[DNS_MAX_NAME_TEXT];
	size_t n = dns_name_from_wire(rdata, text);
	if (n == 0 || (!rest && n != rdata.len)) {
		return false;
	}
	record->data = slice_from(arena_strdup(arena, text));
	return true;
}

static bool decode_text(struct arena *arena, struct slice rdata, struct dns_record *record)
{
	char *text = arena_alloc(arena, rdata.len + 1);
	size_t n = 0;
	for (size_t at = 0; at < rdata.len;) {
		size_t length = (unsigned char)rdata.data[at++];
		if (length > rdata.len - at) {
			return false;
		}
		memcpy(text + n, rdata.data + at, length);
		n += length;
		at += length;
	}
	record->data = (struct slice){text, n};
	return true;
}

bool dns_rdata_decode(struct arena *arena, enum dns_type type, struct slice rdata, struct dns_record *record_r)
{
	*record_r = (struct dns_record){.preference = 0};
	switch (type) {
	case DNS_TYPE_A:
		return decode_address(IP_V4, 4, rdata, record_r);
	case DNS_TYPE_AAAA:
		return decode_address(IP_V6, 16, rdata, record_r);
	case DNS_TYPE_MX:
		if (rdata.len < 3) {
			return false;
		}
		record_r->preference = (uint16_t)((unsigned char)rdata.data[0] << 8 | (unsigned char)rdata.data[1]);
		return decode_name(arena, (struct slice){rdata.data + 2, rdata.len - 2}, false, record_r);
	case DNS_TYPE_NS:
	case DNS_TYPE_CNAME:
	case DNS_TYPE_PTR:
		return decode_name(arena, rdata, false, record_r);
	case DNS_TYPE_SOA:
		return decode_name(arena, rdata, true, record_r);
	case DNS_TYPE_TXT:
	case DNS_TYPE_SPF:
		return decode_text(arena, rdata, record_r);
	case DNS_TYPE_DS:
	case DNS_TYPE_DNSKEY:
	case DNS_TYPE_TLSA:
		break;
	}
	record_r->data = (struct slice){slice_dup(arena, rdata), rdata.len};
	return true;
}
