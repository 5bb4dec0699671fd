/* An address, a name, and what was said in HELO. */
#include "lib/auth/generic_name.h"
#include "lib/auth/helo.h"
#include "lib/mail/domain.h"
#include "t/fuzz/fuzz.h"

#include <string.h>

enum { ADDRESS = 17 }; /* 4 or 6, and the address */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ip ip = {.family = IP_V4};
	struct helo helo;
	if (size < ADDRESS) {
		return 0;
	}
	struct arena *arena = arena_create(1024);
	ip.family = data[0] == '6' ? IP_V6 : IP_V4;
	memcpy(ip.bytes, data + 1, ip.family == IP_V6 ? 16 : 4);
	char *text = malloc(size - ADDRESS + 1);
	memcpy(text, data + ADDRESS, size - ADDRESS);
	text[size - ADDRESS] = '\0';
	generic_name(text, &ip);
	helo_parse(arena, text, &helo);
	bool named = helo.form == HELO_NAME || helo.form == HELO_UNDERSCORE;
	bool address = helo.form == HELO_LITERAL || helo.form == HELO_BARE_ADDRESS;
	require(named == (helo.name != NULL) && (!named || domain_labels(helo.name) >= 2));
	require(!address || helo.address.family != IP_UNKNOWN);
	free(text);
	arena_destroy(arena);
	return 0;
}
