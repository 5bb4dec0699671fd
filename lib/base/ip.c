#include "lib/base/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static void ip_from_v6(const uint8_t *bytes, struct ip *ip_r)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	memset(ip_r, 0, sizeof *ip_r);
	if (memcmp(bytes, mapped, sizeof mapped) == 0) {
		ip_r->family = IP_V4;
		memcpy(ip_r->bytes, bytes + 12, 4);
	} else {
		ip_r->family = IP_V6;
		memcpy(ip_r->bytes, bytes, 16);
	}
}

bool ip_parse(const char *text, struct ip *ip_r)
{
	uint8_t bytes[16];
	memset(ip_r, 0, sizeof *ip_r);
	if (text == NULL) {
		return false;
	}
	if (inet_pton(AF_INET, text, bytes) == 1) {
		ip_r->family = IP_V4;
		memcpy(ip_r->bytes, bytes, 4);
		return true;
	}
	if (strncasecmp(text, "IPv6:", 5) == 0) {
		text += 5;
	}
	if (inet_pton(AF_INET6, text, bytes) != 1) {
		return false;
	}
	ip_from_v6(bytes, ip_r);
	return true;
}

bool ip_from_sockaddr(const struct sockaddr *address, struct ip *ip_r)
{
	memset(ip_r, 0, sizeof *ip_r);
	if (address == NULL) {
		return false;
	}
	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, address, sizeof in);
		ip_r->family = IP_V4;
		memcpy(ip_r->bytes, &in.sin_addr, 4);
		return true;
	}
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, address, sizeof in6);
		ip_from_v6(in6.sin6_addr.s6_addr, ip_r);
		return true;
	}
	return false;
}

void ip_format(const struct ip *ip, char *text_r)
{
	switch (ip->family) {
	case IP_V4:
		inet_ntop(AF_INET, ip->bytes, text_r, IP_TEXT_SIZE);
		return;
	case IP_V6:
		inet_ntop(AF_INET6, ip->bytes, text_r, IP_TEXT_SIZE);
		return;
	case IP_UNKNOWN:
		break;
	}
	snprintf(text_r, IP_TEXT_SIZE, "unknown");
}

static unsigned ip_bits(const struct ip *ip)
{
	return ip->family == IP_V4 ? 32 : ip->family == IP_V6 ? 128 : 0;
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, ip_bits(a) / 8) == 0;
}

bool ip_prefix_match(const struct ip *a, const struct ip *b, unsigned prefix)
{
	if (a->family != b->family || a->family == IP_UNKNOWN || prefix > ip_bits(a)) {
		return false;
	}
	if (memcmp(a->bytes, b->bytes, prefix / 8) != 0) {
		return false;
	}
	if (prefix % 8 == 0) {
		return true;
	}
	unsigned mask = 0xffU << (8 - prefix % 8);
	return ((a->bytes[prefix / 8] ^ b->bytes[prefix / 8]) & mask & 0xffU) == 0;
}

bool ip_network_parse(const char *text, struct ip_network *network_r)
{
	char address[IP_TEXT_SIZE + 8];
	const char *slash = strchr(text, '/');
	size_t n = slash == NULL ? strlen(text) : (size_t)(slash - text);
	if (n >= sizeof address) {
		return false;
	}
	memcpy(address, text, n);
	address[n] = '\0';
	if (!ip_parse(address, &network_r->address)) {
		return false;
	}
	unsigned bits = ip_bits(&network_r->address);
	network_r->prefix = bits;
	if (slash != NULL) {
		unsigned prefix = 0;
		const char *p = slash + 1;
		if (*p == '\0' || strlen(p) > 3) {
			return false;
		}
		for (; *p != '\0'; p++) {
			if (*p < '0' || *p > '9') {
				return false;
			}
			prefix = prefix * 10 + (unsigned)(*p - '0');
		}
		if (prefix > bits) {
			return false;
		}
		network_r->prefix = prefix;
	}
	for (unsigned bit = network_r->prefix; bit < bits; bit++) {
		if (((unsigned)network_r->address.bytes[bit / 8] >> (7 - bit % 8) & 1U) != 0) {
			return false;
		}
	}
	return true;
}

bool ip_network_contains(const struct ip_network *network, const struct ip *ip)
{
	return ip_prefix_match(&network->address, ip, network->prefix);
}

bool ip_is_private(const struct ip *ip)
{
	static const struct ip_network networks[] = {
		{{IP_V4, {10}}, 8},        {{IP_V4, {127}}, 8},      {{IP_V4, {169, 254}}, 16}, {{IP_V4, {172, 16}}, 12},
		{{IP_V4, {192, 168}}, 16}, {{IP_V4, {100, 64}}, 10}, {{IP_V4, {0}}, 8},         {{IP_V6, {0xfc}}, 7},
		{{IP_V6, {0xfe, 0x80}}, 10}, {{IP_V6, {0}}, 128},
	};
	static const struct ip loopback = {IP_V6, {[15] = 1}};
	for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
		if (ip_network_contains(&networks[i], ip)) {
			return true;
		}
	}
	return ip_equal(&loopback, ip);
}

bool ip_reverse_name(const struct ip *ip, const char *suffix, char *name_r, size_t size)
{
	char digits[65] = "";
	size_t n = 0;
	if (ip->family == IP_V4) {
		n = (size_t)snprintf(digits, sizeof digits, "%u.%u.%u.%u.", ip->bytes[3], ip->bytes[2], ip->bytes[1],
		                     ip->bytes[0]);
	} else if (ip->family == IP_V6) {
		for (int i = 15; i >= 0; i--) {
			n += (size_t)snprintf(digits + n, sizeof digits - n, "%x.%x.", ip->bytes[i] & 0xfU, ip->bytes[i] >> 4);
		}
	} else {
		return false;
	}
	if (suffix == NULL) {
		suffix = ip->family == IP_V4 ? "in-addr.arpa" : "ip6.arpa";
	}
	int written = snprintf(name_r, size, "%s%s", digits, suffix);
	return written > 0 && (size_t)written < size;
}
