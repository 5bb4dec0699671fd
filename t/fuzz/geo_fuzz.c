/* A MaxMind DB file, behind the address that is looked up in it. What is found sound must be so for libmaxminddb too:
 * it reads whatever the file tells it to. */
#include "lib/geo/mmdb.h"
#include "t/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ADDRESS = 17 }; /* 4 or 6, and the address */

static void look_up(const uint8_t *data, size_t size, const struct ip *ip)
{
	char path[64];
	struct stamp stamp;
	struct geo_facts facts = {.asn = 0};
	char *error = NULL;
	int file = memfd_create("geo_fuzz", MFD_CLOEXEC);
	require(file >= 0 && write(file, data, size) == (ssize_t)size);
	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	struct mmdb *mmdb = mmdb_load(path, &stamp, &error);
	if (mmdb != NULL) {
		mmdb_country(mmdb, ip, &facts);
		mmdb_system(mmdb, ip, &facts);
		require(strlen(facts.country) == 0 || strlen(facts.country) == 2);
		require(strlen(facts.as_name) < sizeof facts.as_name && strpbrk(facts.as_name, "\n\r\t\x1b") == NULL);
	}
	mmdb_release(mmdb);
	free(error);
	close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ip ip = {.family = IP_V4};
	struct mmdb_summary summary;
	if (size < ADDRESS) {
		return 0;
	}
	ip.family = data[0] == '6' ? IP_V6 : IP_V4;
	memcpy(ip.bytes, data + 1, ip.family == IP_V6 ? 16 : 4);
	if (mmdb_check(data + ADDRESS, size - ADDRESS, &summary) == NULL) {
		require(summary.node_count > 0);
		look_up(data + ADDRESS, size - ADDRESS, &ip);
	}
	return 0;
}
