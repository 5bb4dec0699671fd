#include "lib/dns/name.h"

#include <stdio.h>

enum { LABEL_MAX = 63, WIRE_MAX = 255 };

/* One byte of a label in text form; at most four bytes of text. */
static size_t name_put_byte(unsigned char byte, char *text)
{
	if (byte >= 'A' && byte <= 'Z') {
		byte = (unsigned char)(byte + 32);
	}
	if (byte > ' ' && byte < 127 && byte != '.' && byte != '\\') {
		text[0] = (char)byte;
		return 1;
	}
	text[0] = '\\';
	text[1] = (char)('0' + byte / 100);
	text[2] = (char)('0' + byte / 10 % 10);
	text[3] = (char)('0' + byte % 10);
	return 4;
}

/* The byte written at text[*at], which moves behind it; false for a bad escape. */
static bool name_get_byte(struct slice text, size_t *at, unsigned char *byte_r)
{
	char c = text.data[(*at)++];
	if (c != '\\') {
		*byte_r = (unsigned char)c;
		return true;
	}
	if (*at >= text.len) {
		return false;
	}
	c = text.data[*at];
	if (!ascii_is_digit(c)) {
		*byte_r = (unsigned char)c;
		(*at)++;
		return true;
	}
	unsigned long long value;
	if (text.len - *at < 3 || !slice_to_uint((struct slice){text.data + *at, 3}, 255, &value)) {
		return false;
	}
	*at += 3;
	*byte_r = (unsigned char)value;
	return true;
}

bool dns_name_normalise(struct slice text, char *text_r)
{
	size_t out = 0;
	size_t label = 0;
	size_t wire = 1;
	if (text.len == 0 || text.len >= DNS_MAX_NAME_TEXT) {
		return false;
	}
	for (size_t at = 0; at < text.len;) {
		unsigned char byte;
		if (text.data[at] == '.') {
			at++;
			if (label == 0) {
				return false;
			}
			label = 0;
			if (at < text.len) {
				text_r[out++] = '.';
			}
			continue;
		}
		if (!name_get_byte(text, &at, &byte)) {
			return false;
		}
		wire += label == 0 ? 2 : 1;
		if (++label > LABEL_MAX || wire > WIRE_MAX) {
			return false;
		}
		out += name_put_byte(byte, text_r + out);
	}
	text_r[out] = '\0';
	return out > 0;
}

size_t dns_name_from_wire(struct slice wire, char *text_r)
{
	size_t out = 0;
	size_t at = 0;
	while (at < wire.len && at < WIRE_MAX) {
		size_t label = (unsigned char)wire.data[at++];
		if (label == 0) {
			text_r[out] = '\0';
			return at;
		}
		if (label > LABEL_MAX || label > wire.len - at || at + label >= WIRE_MAX) {
			return 0;
		}
		if (out > 0) {
			text_r[out++] = '.';
		}
		for (size_t i = 0; i < label; i++) {
			out += name_put_byte((unsigned char)wire.data[at + i], text_r + out);
		}
		at += label;
	}
	return 0;
}

const char *dns_type_name(enum dns_type type)
{
	switch (type) {
	case DNS_TYPE_A:
		return "A";
	case DNS_TYPE_NS:
		return "NS";
	case DNS_TYPE_CNAME:
		return "CNAME";
	case DNS_TYPE_SOA:
		return "SOA";
	case DNS_TYPE_PTR:
		return "PTR";
	case DNS_TYPE_MX:
		return "MX";
	case DNS_TYPE_TXT:
		return "TXT";
	case DNS_TYPE_AAAA:
		return "AAAA";
	case DNS_TYPE_DS:
		return "DS";
	case DNS_TYPE_DNSKEY:
		return "DNSKEY";
	case DNS_TYPE_TLSA:
		return "TLSA";
	case DNS_TYPE_SPF:
		return "SPF";
	}
	return "?";
}

const char *dns_status_name(enum dns_status status)
{
	switch (status) {
	case DNS_FOUND:
		return "found";
	case DNS_NODATA:
		return "nodata";
	case DNS_NXDOMAIN:
		return "nxdomain";
	case DNS_TEMPORARY:
		return "temporary";
	}
	return "?";
}
