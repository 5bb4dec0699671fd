/* ip: addresses and networks, IPv4 and IPv6. An IPv4-mapped IPv6 address (::ffff:a.b.c.d) is the IPv4 address. */
#ifndef MAILREEVE_BASE_IP_H
#define MAILREEVE_BASE_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum ip_family { IP_UNKNOWN = 0, IP_V4 = 4, IP_V6 = 6 };

struct ip {
	enum ip_family family;
	uint8_t bytes[16]; /* network order; IPv4 uses the first four */
};

struct ip_network {
	struct ip address;
	unsigned prefix; /* bits */
};

enum { IP_TEXT_SIZE = 46, IP_REVERSE_SIZE = 80 };

/* Accepts what inet_pton() does, and the mail form "IPv6:..." of address literals (RFC 5321 4.1.3) without brackets. */
bool ip_parse(const char *text, struct ip *ip_r);
/* From a sockaddr_in or sockaddr_in6; anything else (unix sockets, NULL) gives IP_UNKNOWN and false. */
bool ip_from_sockaddr(const struct sockaddr *address, struct ip *ip_r);
/* text_r: IP_TEXT_SIZE bytes; RFC 5952 form; "unknown" for IP_UNKNOWN. */
void ip_format(const struct ip *ip, char *text_r);
bool ip_equal(const struct ip *a, const struct ip *b);

/* "192.0.2.0/24", "2001:db8::/32", or a bare address. Bits set behind the prefix are an error, as is a prefix of
 * more than 32 or 128. */
bool ip_network_parse(const char *text, struct ip_network *network_r);
bool ip_network_contains(const struct ip_network *network, const struct ip *ip);
/* Do the first `prefix` bits agree? Families that differ never match. */
bool ip_prefix_match(const struct ip *a, const struct ip *b, unsigned prefix);

/* An address that means something only within a network or a host: loopback, link-local, private use (RFC 1918, RFC 4193),
 * shared (RFC 6598), unspecified. */
bool ip_is_private(const struct ip *ip);

/* "4.3.2.1.SUFFIX" or nibbles for IPv6 (RFC 5782, RFC 3596), suffix NULL: in-addr.arpa or ip6.arpa.
 * False when it does not fit or the family is unknown. */
bool ip_reverse_name(const struct ip *ip, const char *suffix, char *name_r, size_t size);

#endif
