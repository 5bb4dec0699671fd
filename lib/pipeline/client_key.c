#include "lib/pipeline/client_key.h"

enum { NAME_MAX_BYTES = 254, PREFIX_V4 = 24, PREFIX_V6 = 64 };

static const char *network_text(struct arena *arena, const struct ip *client, unsigned prefix)
{
	struct ip start = *client;
	char text[IP_TEXT_SIZE];
	size_t kept = prefix / 8; /* whole bytes */
	memset(start.bytes + kept, 0, sizeof start.bytes - kept);
	ip_format(&start, text);
	return arena_printf(arena, "%s/%u", text, prefix);
}

const char *client_key_address(struct arena *arena, const struct ip *client)
{
	char text[IP_TEXT_SIZE];
	if (client->family == IP_V6) {
		return network_text(arena, client, PREFIX_V6);
	}
	ip_format(client, text);
	return arena_strdup(arena, text);
}

const char *client_key_network(struct arena *arena, const struct ip *client)
{
	switch (client->family) {
	case IP_UNKNOWN:
		break;
	case IP_V4:
		return network_text(arena, client, PREFIX_V4);
	case IP_V6:
		return network_text(arena, client, PREFIX_V6);
	}
	return "unknown";
}

const char *client_key_user(struct arena *arena, const char *user)
{
	const char *small = slice_dup_lower(arena, slice_from(user));
	return text_escape(arena, slice_from(small), "", false, NAME_MAX_BYTES);
}

const char *client_key_mailbox(struct arena *arena, const struct address *address)
{
	if (address->domain[0] == '\0') {
		return client_key_user(arena, address->text);
	}
	return client_key_user(arena, arena_printf(arena, "%s@%s", address->local, address->domain));
}
