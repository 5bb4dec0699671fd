/* Who knocks: the client's HELO (RFC 5321 4.1.1.1) and the names of its address (RFC 8601 2.7.3). The lookups start at
 * connect and at HELO and run while the client is talking. A finding is stated as soon as it is known, so that what is
 * known at RCPT can be answered there. Nothing that could not be looked up is taken for missing. */
#include "lib/auth/generic_name.h"
#include "lib/base/clock.h"
#include "lib/mail/domain.h"
#include "lib/pipeline/pipeline.h"
#include "lib/pipeline/stage_list.h"

#include <stddef.h>

enum {
	HELO_AHEAD_MAX = 3, /* HELO commands of a connection whose lookups start at once: what is asked there stays */
	PATIENCE =
	    500 /* milliseconds that the end of message waits for nothing but these lookups: dead reverse zones abound */
};

struct client_settings {
	const char *const *own_names;
	struct option_networks own_addresses;
	const char *const *generic_exempt;
};

enum {
	PTR_MISSING,
	PTR_UNCONFIRMED,
	PTR_TEMPERROR,
	PTR_GENERIC,
	HELO_FOUND_MISSING,
	HELO_FOUND_MALFORMED,
	HELO_FOUND_UNQUALIFIED,
	HELO_FOUND_UNDERSCORE,
	HELO_FOUND_BARE_ADDRESS,
	HELO_FOUND_LITERAL,
	HELO_ADDRESS_MISMATCH,
	HELO_OURS,
	HELO_OUR_ADDRESS,
	HELO_FOUND_UNRESOLVED,
	HELO_MISMATCH,
	HELO_TEMPERROR,
	HELO_GENERIC
};

static const struct finding_code codes[] = {
    [PTR_MISSING] = {"client.ptr_missing",
                     {ACTION_IGNORE, 0},
                     FINDING_AT_RCPT,
                     "7.25",
                     "The client's address has no name in the DNS",
                     "the client's address has no PTR record"},
    [PTR_UNCONFIRMED] = {"client.ptr_unconfirmed",
                         {ACTION_TAG, 0},
                         FINDING_AT_RCPT,
                         "7.25",
                         "The name of the client's address does not lead back to it",
                         "there are PTR records, but none names a host with the client's address"},
    [PTR_TEMPERROR] = {"client.ptr_temperror",
                       {ACTION_IGNORE, 0},
                       FINDING_AT_RCPT,
                       "7.25",
                       "The name of the client's address could not be looked up, please try again later",
                       "DNS failed before the name of the client's address was known, or whether it leads back"},
    [PTR_GENERIC] =
        {"client.ptr_generic",
         {ACTION_TAG, 0},
         FINDING_AT_RCPT,
         "7.1",
         "The client's address has the name of an access network, not that of a mail server",
         "each name of the client's address looks as providers name their customers' (pool-192-0-2-7.dsl.example)"},
    [HELO_FOUND_MISSING] = {"client.helo_missing",
                            {ACTION_TAG, 0},
                            FINDING_AT_RCPT,
                            "5.1",
                            "The client did not say who it is (HELO)",
                            "there was no HELO or EHLO before MAIL"},
    [HELO_FOUND_MALFORMED] =
        {"client.helo_malformed",
         {ACTION_TAG, 0},
         FINDING_AT_RCPT,
         "5.2",
         "HELO is neither a domain name nor an address literal",
         "HELO is neither a domain name nor an address literal: other characters, an empty label, a "
         "numeric top level"},
    [HELO_FOUND_UNQUALIFIED] = {"client.helo_unqualified",
                                {ACTION_TAG, 0},
                                FINDING_AT_RCPT,
                                "5.2",
                                "HELO must be a fully qualified domain name",
                                "HELO is a single word, such as localhost or a workstation's name"},
    [HELO_FOUND_UNDERSCORE] = {"client.helo_underscore",
                               {ACTION_IGNORE, 0},
                               FINDING_AT_RCPT,
                               "5.2",
                               "HELO is no domain name: it has an underscore",
                               "HELO would be a domain name, but for an underscore"},
    [HELO_FOUND_BARE_ADDRESS] = {"client.helo_bare_address",
                                 {ACTION_TAG, 0},
                                 FINDING_AT_RCPT,
                                 "5.2",
                                 "An IP address in HELO must stand in brackets",
                                 "HELO is an IP address without brackets, or without IPv6: before an IPv6 one"},
    [HELO_FOUND_LITERAL] = {"client.helo_literal",
                            {ACTION_IGNORE, 0},
                            FINDING_AT_RCPT,
                            "7.1",
                            "HELO must be a domain name here",
                            "HELO is an address literal, which is allowed, but no mail server needs it"},
    [HELO_ADDRESS_MISMATCH] = {"client.helo_address_mismatch",
                               {ACTION_TAG, 0},
                               FINDING_AT_RCPT,
                               "7.1",
                               "The address in HELO is not the client's",
                               "HELO is an address, but another one than the client's"},
    [HELO_OURS] =
        {"client.helo_ours",
         {ACTION_TAG, 0},
         FINDING_AT_RCPT,
         "7.1",
         "HELO is a name of ours",
         "HELO is authserv_id, the MTA's name, one of own_names or a recipient's domain, and does not lead to the "
         "client"},
    [HELO_OUR_ADDRESS] = {"client.helo_our_address",
                          {ACTION_TAG, 0},
                          FINDING_AT_RCPT,
                          "7.1",
                          "The address in HELO is ours",
                          "HELO is the address that the client has connected to, or one of own_addresses"},
    [HELO_FOUND_UNRESOLVED] = {"client.helo_unresolved",
                               {ACTION_IGNORE, 0},
                               FINDING_AT_RCPT,
                               "7.1",
                               "The name in HELO does not exist",
                               "the name in HELO has neither an address nor a mail exchanger"},
    [HELO_MISMATCH] =
        {"client.helo_mismatch",
         {ACTION_IGNORE, 0},
         FINDING_AT_RCPT,
         "7.1",
         "The name in HELO does not lead to the client",
         "the name in HELO has other addresses than the client's, as many good servers do (RFC 5321 4.1.4)"},
    [HELO_TEMPERROR] = {"client.helo_temperror",
                        {ACTION_IGNORE, 0},
                        FINDING_AT_RCPT,
                        "7.1",
                        "The name in HELO could not be looked up, please try again later",
                        "DNS failed before it was known where the name in HELO leads"},
    [HELO_GENERIC] = {"client.helo_generic",
                      {ACTION_IGNORE, 0},
                      FINDING_AT_RCPT,
                      "7.1",
                      "HELO is the name of an access network's address, not that of a mail server",
                      "the name in HELO looks as providers name their customers' addresses"},
    {.code = NULL},
};

static const struct option_row options[] = {
    {.name = "own_names",
     .type = OPTION_DOMAINS,
     .offset = offsetof(struct client_settings, own_names),
     .fallback = "",
     .help = "names that only our own hosts may give in HELO, besides authserv_id, the MTA's name and the recipients' "
             "domains"},
    {.name = "own_addresses",
     .type = OPTION_NETWORKS,
     .offset = offsetof(struct client_settings, own_addresses),
     .fallback = "",
     .help = "our addresses as others see them, say before a NAT, besides the one that the client has connected to"},
    {.name = "generic_exempt",
     .type = OPTION_DOMAINS,
     .offset = offsetof(struct client_settings, generic_exempt),
     .fallback = "",
     .help = "names in and below these domains are never generic"},
    {.name = NULL},
};

static const char strict[] =
    "A strict setting, for policy { } below. Look first whom it would hit: grep the log for client.\n"
    "    client.ptr_missing = reject\n"
    "    client.ptr_unconfirmed = reject\n"
    "    client.ptr_temperror = tempfail\n"
    "    client.ptr_generic = reject\n"
    "    client.helo_missing = reject\n"
    "    client.helo_malformed = reject\n"
    "    client.helo_unqualified = reject\n"
    "    client.helo_underscore = tag\n"
    "    client.helo_bare_address = reject\n"
    "    client.helo_literal = tag\n"
    "    client.helo_address_mismatch = reject\n"
    "    client.helo_ours = reject\n"
    "    client.helo_our_address = reject\n"
    "    client.helo_unresolved = reject\n"
    "    client.helo_mismatch = tag\n"
    "    client.helo_temperror = tempfail\n"
    "    client.helo_generic = tag\n";

static void client_find(struct session *session, unsigned code, const char *detail)
{
	uint32_t bit = UINT32_C(1) << code;
	if ((session->client_stated & bit) == 0) {
		session->client_stated |= bit;
		session_find(session, &codes[code], detail, NULL);
	}
}

static const char *client_address(struct session *session)
{
	char text[IP_TEXT_SIZE];
	ip_format(&session->client, text);
	return arena_strdup(session->arena, text);
}

/* ---- lookups ---- */

static bool client_iprev(struct session *session, struct arena *arena, struct iprev_verdict *verdict_r)
{
	const char *name = session->client_name;
	bool named = name[0] != '\0' && name[0] != '[' && !slice_equal_nocase(slice_from(name), SLICE_LITERAL("unknown"));
	struct iprev_request request = {
	    .client = session->client,
	    .hint = named ? name : "",
	    .verified = named && session->peer_name_verified && ip_equal(&session->peer, &session->client),
	};
	return session->client.family != IP_UNKNOWN && iprev_check(&request, session->lookups, arena, verdict_r);
}

static bool client_helo(struct session *session, struct arena *arena, struct helo *said_r, enum helo_match *match_r,
                        const char **detail_r)
{
	*match_r = HELO_MATCHES;
	*detail_r = "";
	helo_parse(arena, session->helo, said_r);
	return said_r->name == NULL || session->client.family == IP_UNKNOWN ||
	       helo_resolve(said_r->name, &session->client, session->lookups, arena, match_r, detail_r);
}

/* The lookups start; the verdicts are made in the transaction. */
static enum stage_progress client_start(struct session *session, const void *settings)
{
	struct arena *arena = arena_create(1024);
	struct iprev_verdict iprev;
	struct helo said;
	enum helo_match match;
	const char *detail;
	(void)settings;
	if (session->client_known) {
		client_iprev(session, arena, &iprev);
	}
	if (session->client_known && session->helo_count > 0 && session->helo_count <= HELO_AHEAD_MAX) {
		client_helo(session, arena, &said, &match, &detail);
	}
	arena_destroy(arena);
	return STAGE_DONE;
}

/* ---- the names of the address ---- */

static bool is_generic(const struct client_settings *client, const char *name, const struct ip *address,
                       const char **why_r)
{
	for (const char *const *domain = client->generic_exempt; *domain != NULL; domain++) {
		if (domain_is_below(name, *domain)) {
			return false;
		}
	}
	*why_r = generic_name(name, address);
	return *why_r != NULL;
}

/* One good name is enough; where one leads back to the address, only that one counts. */
static void client_find_generic(struct session *session, const struct client_settings *client)
{
	const struct iprev_verdict *iprev = &session->iprev;
	const char *why = NULL;
	bool passed = iprev->result == AUTH_PASS;
	for (size_t i = 0; i < iprev->name_count; i++) {
		const char *name = passed ? iprev->name : iprev->names[i];
		if (!is_generic(client, name, &session->client, &why)) {
			return;
		}
	}
	if (why != NULL) {
		client_find(session, PTR_GENERIC, arena_printf(session->arena, "%s: %s", iprev->name, why));
	}
}

static void client_find_ptr(struct session *session, const struct client_settings *client)
{
	const struct iprev_verdict *iprev = &session->iprev;
	const char *detail =
	    iprev->problem == NULL ? "" : arena_printf(session->arena, "%s: %s", client_address(session), iprev->problem);
	switch (iprev->result) {
	case AUTH_PERMERROR:
		client_find(session, PTR_MISSING, detail);
		break;
	case AUTH_FAIL:
		client_find(session, PTR_UNCONFIRMED, detail);
		break;
	case AUTH_TEMPERROR:
		client_find(session, PTR_TEMPERROR, detail);
		break;
	case AUTH_NONE:
	case AUTH_PASS:
	case AUTH_SOFTFAIL:
	case AUTH_NEUTRAL:
	case AUTH_POLICY:
		break;
	}
	client_find_generic(session, client);
}

/* ---- HELO ---- */

static bool is_our_address(const struct session *session, const struct client_settings *client,
                           const struct ip *address)
{
	for (size_t i = 0; i < client->own_addresses.count; i++) {
		if (ip_network_contains(&client->own_addresses.items[i], address)) {
			return true;
		}
	}
	return session->local.family != IP_UNKNOWN && ip_equal(&session->local, address);
}

static void client_find_address(struct session *session, const struct client_settings *client)
{
	const struct helo *said = &session->helo_said;
	bool bare = said->form == HELO_BARE_ADDRESS;
	client_find(session, bare ? HELO_FOUND_BARE_ADDRESS : HELO_FOUND_LITERAL, session->helo);
	if (session->client.family == IP_UNKNOWN || ip_equal(&said->address, &session->client)) {
		return;
	}
	client_find(session, HELO_ADDRESS_MISMATCH,
	            arena_printf(session->arena, "%s from %s", session->helo, client_address(session)));
	if (is_our_address(session, client, &said->address)) {
		client_find(session, HELO_OUR_ADDRESS, session->helo);
	}
}

static bool is_name(struct session *session, const char *name, const char *other)
{
	const char *canonical = domain_canonical(session->arena, slice_from(other));
	return canonical != NULL && strcmp(name, canonical) == 0;
}

/* Who proves by the DNS that the name is his has it from us: a second host, the web server of a domain. */
static bool may_be_ours(const struct session *session)
{
	return session->helo_said.name != NULL && session->client.family != IP_UNKNOWN &&
	       session->helo_match != HELO_MATCHES;
}

static void client_find_ours(struct session *session, const struct client_settings *client)
{
	const char *name = session->helo_said.name;
	bool ours = is_name(session, name, session->authserv_id) || is_name(session, name, session->mta_name);
	for (const char *const *own = client->own_names; *own != NULL && !ours; own++) {
		ours = strcmp(name, *own) == 0;
	}
	if (ours) {
		client_find(session, HELO_OURS, name);
	}
}

/* All recipients are known: those that we take mail for are ours. */
static void client_find_recipients(struct session *session)
{
	for (size_t i = 0; i < session->recipient_count && may_be_ours(session); i++) {
		if (strcmp(session->helo_said.name, session->recipients[i].address.domain) == 0) {
			client_find(session, HELO_OURS,
			            arena_printf(session->arena, "%s, a recipient's domain", session->helo_said.name));
			return;
		}
	}
}

static void client_find_match(struct session *session)
{
	switch (session->helo_match) {
	case HELO_MATCHES:
		break;
	case HELO_ELSEWHERE:
		client_find(session, HELO_MISMATCH, session->helo_detail);
		break;
	case HELO_UNRESOLVED:
		client_find(session, HELO_FOUND_UNRESOLVED, session->helo_detail);
		break;
	case HELO_NOT_LOOKED_UP:
		client_find(session, HELO_TEMPERROR, session->helo_detail);
		break;
	}
}

static void client_find_name(struct session *session, const struct client_settings *client)
{
	const char *why = NULL;
	client_find_match(session);
	if (may_be_ours(session)) {
		client_find_ours(session, client);
	}
	if (is_generic(client, session->helo_said.name, &session->client, &why)) {
		client_find(session, HELO_GENERIC, arena_printf(session->arena, "%s: %s", session->helo_said.name, why));
	}
}

/* An empty HELO is none that was said: explain without --helo. */
static void client_find_helo(struct session *session, const struct client_settings *client)
{
	if (session->helo_count == 0) {
		client_find(session, HELO_FOUND_MISSING, NULL);
	}
	if (session->helo[0] == '\0') {
		return;
	}
	switch (session->helo_said.form) {
	case HELO_UNDERSCORE:
		client_find(session, HELO_FOUND_UNDERSCORE, session->helo);
		client_find_name(session, client);
		break;
	case HELO_NAME:
		client_find_name(session, client);
		break;
	case HELO_UNQUALIFIED:
		client_find(session, HELO_FOUND_UNQUALIFIED, session->helo);
		break;
	case HELO_LITERAL:
	case HELO_BARE_ADDRESS:
		client_find_address(session, client);
		break;
	case HELO_MALFORMED:
		client_find(session, HELO_FOUND_MALFORMED, session->helo);
		break;
	}
}

static enum stage_progress client_advance(struct session *session, const void *settings)
{
	if (!session->client_known) {
		return STAGE_PENDING;
	}
	if (!session->iprev_known && client_iprev(session, session->arena, &session->iprev)) {
		session->iprev_known = true;
		client_find_ptr(session, settings);
	}
	if (!session->helo_known &&
	    client_helo(session, session->arena, &session->helo_said, &session->helo_match, &session->helo_detail)) {
		session->helo_known = true;
		client_find_helo(session, settings);
	}
	bool iprev = session->iprev_known || session->client.family == IP_UNKNOWN;
	return iprev && session->helo_known ? STAGE_DONE : STAGE_PENDING;
}

/* Is all that matters more than who the client is known? */
static bool client_is_last(const struct session *session)
{
	bool dmarc = pipeline_runs(session, &stage_dmarc) && session->message != NULL;
	return (!pipeline_runs(session, &stage_spf) || session->spf_known) && (!dmarc || session->dmarc_known);
}

/* What has not come by now counts as not looked up. */
static void client_give_up(struct session *session, const struct client_settings *settings)
{
	static const char late[] = "DNS did not answer in time";
	if (!session->iprev_known && session->client.family != IP_UNKNOWN) {
		session->iprev.result = AUTH_TEMPERROR;
		session->iprev.problem = late;
		session->iprev_known = true;
		client_find_ptr(session, settings);
	}
	if (!session->helo_known) {
		session->helo_match = HELO_NOT_LOOKED_UP;
		session->helo_detail = late;
		session->helo_known = true;
		client_find_helo(session, settings);
	}
}

/* False: there is some time left, and the pipeline calls again. */
static bool client_hurry(struct session *session, const struct client_settings *settings)
{
	uint64_t now = clock_now();
	if (session->client_until == 0 && client_is_last(session)) {
		session->client_until = now + PATIENCE * CLOCK_NS_PER_MS;
	}
	if (session->client_until != 0 && now >= session->client_until) {
		client_give_up(session, settings);
		return true;
	}
	if (session->client_until != 0 && (session->wake_at == 0 || session->client_until < session->wake_at)) {
		session->wake_at = session->client_until;
	}
	return false;
}

static enum stage_progress client_end(struct session *session, const void *settings)
{
	if (!session->client_known) {
		return STAGE_DONE; /* an envelope from an upstream relay, without the message that tells of its client */
	}
	if (client_advance(session, settings) == STAGE_PENDING && !client_hurry(session, settings)) {
		return STAGE_PENDING;
	}
	if (session->wake_at == session->client_until) {
		session->wake_at = 0;
	}
	client_find_recipients(session);
	return STAGE_DONE;
}

const struct stage stage_client = {
    .section = {.name = "client",
                .help = "The client's HELO name and the names of its address (RFC 5321, RFC 8601 iprev). Clients in "
                        "own_networks and those who have authenticated are not checked.",
                .example = strict,
                .options = options,
                .settings_size = sizeof(struct client_settings),
                .codes = codes,
                .mode = MODE_ENFORCE},
    .inbound = true,
    .on = {[PHASE_CONNECT] = client_start,
           [PHASE_HELO] = client_start,
           [PHASE_MAIL] = client_advance,
           [PHASE_RCPT] = client_advance,
           [PHASE_HEADERS] = client_advance,
           [PHASE_END] = client_end},
};
