/* What stands in front of us: a hosted filter, an edge relay. The guard: who else may deliver to a domain whose mail
 * has to come from there. And behind a relay that we trust, whose mail it is: the client in its Received fields. Until
 * they are there nobody's address is asked about, and where they do not tell it, it stays unknown: SPF then says none,
 * and nothing fails for the relay's address.
 *
 * The first of the table, so that in each phase the client is known, or not, before anybody asks. */
#include "lib/pipeline/stage_upstream.h"

#include "lib/mail/received.h"
#include "lib/pipeline/session.h"
#include "lib/pipeline/stage_list.h"
#include "lib/policy/globals.h"

#include <stddef.h>

enum { FIELD_SHOWN = 200 }; /* bytes of a field in a detail */

enum { UPSTREAM_DIRECT_CODE, UPSTREAM_CLIENT_UNKNOWN };

static const struct finding_code codes[] = {
    [UPSTREAM_DIRECT_CODE] =
        {"upstream.direct",
         {ACTION_REJECT, 0},
         FINDING_AT_RCPT,
         "7.1",
         "Mail for this domain is taken from its own mail filter only: please deliver to its MX",
         "the client is none of the upstream hosts in `guard` that may deliver to the recipient's domain"},
    [UPSTREAM_CLIENT_UNKNOWN] =
        {"upstream.client_unknown",
         {ACTION_IGNORE, 0},
         0,
         "7.1",
         "The origin of the message could not be determined",
         "the mail came from a trusted upstream relay, whose Received fields do not tell from whom: "
         "SPF says none, and what asks about the client is not done"},
    {.code = NULL},
};

static const struct option_row options[] = {
    {.name = "guard",
     .type = OPTION_RULES,
     .offset = offsetof(struct upstream_settings, guard),
     .fallback = "",
     .parse = upstream_guard_parse,
     .help = "who may deliver to a domain, \"DOMAIN ...: SOURCE ...\": networks, file:PATH (one network a line) or "
             "any; all "
             "others are upstream.direct"},
    {.name = "guard_postmaster",
     .type = OPTION_BOOL,
     .offset = offsetof(struct upstream_settings, guard_postmaster),
     .fallback = "yes",
     .help = "no: mail for postmaster is taken from everybody"},
    {.name = "trusted",
     .type = OPTION_RULES,
     .offset = offsetof(struct upstream_settings, trusted),
     .fallback = "guard",
     .parse = upstream_trusted_parse,
     .help =
         "relays whose Received fields are believed: networks, file:PATH, or guard for all that the guard names; never "
         "one in own_networks"},
    {.name = "private_hops",
     .type = OPTION_BOOL,
     .offset = offsetof(struct upstream_settings, private_hops),
     .fallback = "yes",
     .help =
         "in a trusted relay's Received fields take private addresses for hosts of the relay; no: they are clients"},
    {.name = NULL},
};

static bool network_holds(const struct option_networks *networks, const struct ip *address)
{
	for (size_t i = 0; i < networks->count; i++) {
		if (ip_network_contains(&networks->items[i], address)) {
			return true;
		}
	}
	return false;
}

/* From own_networks mail is outbound, whoever else may be trusted. */
static enum stage_progress upstream_connect(struct session *session, const void *settings)
{
	const struct upstream_settings *upstream = settings;
	session->peer_trusted = session->direction == DIRECTION_INBOUND && session->peer.family != IP_UNKNOWN &&
	                        upstream_is_trusted(&upstream->trusted, &upstream->guard, &session->peer);
	session->peer_name = session->client_name;
	if (session->peer_trusted) {
		session->client_known = false;
		session->client = (struct ip){.family = IP_UNKNOWN};
	}
	return STAGE_DONE;
}

static enum stage_progress upstream_helo(struct session *session, const void *settings)
{
	(void)settings;
	if (session->peer_trusted && strcmp(session->peer_helo, session->helo) != 0) {
		session->peer_helo = arena_strdup(session->connection, session->helo);
	}
	return STAGE_DONE;
}

static void session_set_helo(struct session *session, const char *helo)
{
	size_t n = strnlen(helo, sizeof session->helo - 1);
	memcpy(session->helo, helo, n);
	session->helo[n] = '\0';
}

/* Each message of a connection may have another client. Who has logged in at our MTA is no relay for this one. */
static enum stage_progress upstream_mail(struct session *session, const void *settings)
{
	(void)settings;
	if (!session->peer_trusted) {
		return STAGE_DONE;
	}
	session->upstream.relayed = session->direction == DIRECTION_INBOUND;
	session->client_known = !session->upstream.relayed;
	session->client = session->client_known ? session->peer : (struct ip){.family = IP_UNKNOWN};
	session->client_name = session->peer_name;
	session_set_helo(session, session->peer_helo);
	return STAGE_DONE;
}

static bool is_postmaster(const struct address *address)
{
	return slice_equal_nocase(slice_from(address->local), SLICE_LITERAL("postmaster"));
}

/* The one that was named last. */
static enum stage_progress upstream_rcpt(struct session *session, const void *settings)
{
	const struct upstream_settings *upstream = settings;
	size_t index = session->recipient_count - 1;
	const struct address *address = &session->recipients[index].address;
	char peer[IP_TEXT_SIZE];
	if (session->direction != DIRECTION_INBOUND || (!upstream->guard_postmaster && is_postmaster(address)) ||
	    upstream_guard_check(&upstream->guard, address->domain, &session->peer) != UPSTREAM_DIRECT) {
		return STAGE_DONE;
	}
	ip_format(&session->peer, peer);
	const char *detail = arena_printf(session->arena, "%s is no upstream host of %s", peer,
	                                  address->domain[0] == '\0' ? address->text : address->domain);
	session_find_for(session, index, &codes[UPSTREAM_DIRECT_CODE], detail, NULL);
	return STAGE_DONE;
}

/* ---- the client ---- */

struct inside {
	const struct upstream_settings *settings;
	const struct option_networks *own;
};

static bool is_inside(const void *context, const struct ip *address)
{
	const struct inside *inside = context;
	const struct upstream_settings *settings = inside->settings;
	return upstream_is_trusted(&settings->trusted, &settings->guard, address) || network_holds(inside->own, address) ||
	       (settings->private_hops && ip_is_private(address));
}

static const char *stopped_text(struct session *session, const struct received *received)
{
	const char *by = received->by[0] == '\0'
	                     ? "the relay"
	                     : text_escape(session->arena, slice_from(received->by), "", true, FIELD_SHOWN);
	switch (received->kind) {
	case RECEIVED_HOP:
		return arena_printf(session->arena, "a user who had logged in gave it to %s", by);
	case RECEIVED_SUBMITTED:
		return arena_printf(session->arena, "it was submitted at %s", by);
	case RECEIVED_INTERNAL:
	case RECEIVED_UNREADABLE:
		break;
	}
	return "a Received field cannot be read";
}

static void upstream_recover(struct session *session, const struct upstream_settings *settings)
{
	struct session_upstream *upstream = &session->upstream;
	struct inside inside = {settings, &session_globals(session)->own_networks};
	struct received received;
	session->client_known = true;
	session->client_name = "";
	session_set_helo(session, "");
	switch (received_find(session->arena, session_headers(session), is_inside, &inside, &received, &upstream->hops)) {
	case RECEIVED_FOUND:
		upstream->recovered = true;
		session->client = received.address;
		session->client_name = received.name;
		session_set_helo(session, received.helo);
		return;
	case RECEIVED_NO_MORE:
		upstream->problem =
		    upstream->hops == 0 ? "there is no Received field" : "all Received fields are of hosts inside";
		break;
	case RECEIVED_STOPPED:
		upstream->problem = stopped_text(session, &received);
		break;
	case RECEIVED_TOO_MANY:
		upstream->problem = arena_printf(session->arena, "over %d Received fields of hosts inside", RECEIVED_MAX_HOPS);
		break;
	}
}

static enum stage_progress upstream_headers(struct session *session, const void *settings)
{
	if (session->upstream.relayed && !session->client_known) {
		upstream_recover(session, settings);
	}
	return STAGE_DONE;
}

static enum stage_progress upstream_end(struct session *session, const void *settings)
{
	upstream_headers(session, settings); /* an envelope alone has no header */
	if (session->upstream.relayed && !session->upstream.recovered) {
		char peer[IP_TEXT_SIZE];
		ip_format(&session->peer, peer);
		session_find(session, &codes[UPSTREAM_CLIENT_UNKNOWN],
		             arena_printf(session->arena, "relayed by %s: %s", peer, session->upstream.problem), NULL);
	}
	return STAGE_DONE;
}

const struct stage stage_upstream = {
    .section =
        {.name = "upstream",
         .help = "Hosts that stand in front of this one: who else may deliver, and whose mail it is that they relay.",
         .options = options,
         .settings_size = sizeof(struct upstream_settings),
         .codes = codes,
         .mode = MODE_ENFORCE},
    .inbound = true,
    .outbound = true,
    .on = {[PHASE_CONNECT] = upstream_connect,
           [PHASE_HELO] = upstream_helo,
           [PHASE_MAIL] = upstream_mail,
           [PHASE_RCPT] = upstream_rcpt,
           [PHASE_HEADERS] = upstream_headers,
           [PHASE_END] = upstream_end},
};
