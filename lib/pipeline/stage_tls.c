/* TLS of the session: who has to use it, and of which version. Nothing is asked by default: a public relay that insists
 * on TLS does not get all of its mail (RFC 3207 4). Version, cipher and the client's certificate are in the log either
 * way. */
#include "lib/pipeline/session.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/tls_rules.h"

#include <stddef.h>

struct tls_settings {
	struct tls_domain_rules require_from, require_to;
	struct tls_network_rules require_clients;
	int minimum_version; /* enum tls_version */
	const char *const *weak_ciphers;
	uint64_t cipher_bits_min;
};

enum { TLS_NONE_CODE, TLS_OLD_VERSION, TLS_WEAK_CIPHER };

/* X.7.10, encryption needed, is what RFC 5248's registry has that comes nearest. */
static const struct finding_code codes[] = {
    [TLS_NONE_CODE] = {"tls.none",
                       {ACTION_REJECT, 0},
                       FINDING_AT_RCPT,
                       "7.10",
                       "This mail has to be sent by TLS: please use STARTTLS",
                       "a rule asks for TLS, and the session has none"},
    [TLS_OLD_VERSION] = {"tls.old_version",
                         {ACTION_REJECT, 0},
                         FINDING_AT_RCPT,
                         "7.10",
                         "This mail has to be sent by a newer version of TLS",
                         "a rule asks for a newer version of TLS than the session has"},
    [TLS_WEAK_CIPHER] = {"tls.weak_cipher",
                         {ACTION_IGNORE, 0},
                         FINDING_AT_RCPT,
                         "7.10",
                         "The session's cipher is too weak",
                         "the cipher is one of weak_ciphers, or its key has fewer bits than cipher_bits_min"},
    {.code = NULL},
};

static const struct option_word versions[] = {{"any", TLS_UNKNOWN}, {"TLSv1", TLS_1_0},   {"TLSv1.1", TLS_1_1},
                                              {"TLSv1.2", TLS_1_2}, {"TLSv1.3", TLS_1_3}, {NULL, 0}};

static const struct option_row options[] = {
    {.name = "require_from",
     .type = OPTION_RULES,
     .offset = offsetof(struct tls_settings, require_from),
     .fallback = "",
     .parse = tls_domains_parse,
     .help =
         "sender domains (MAIL FROM) whose mail must come by TLS, \"DOMAIN [VERSION]\"; inbound; not what a trusted "
         "upstream relay brings"},
    {.name = "require_to",
     .type = OPTION_RULES,
     .offset = offsetof(struct tls_settings, require_to),
     .fallback = "",
     .parse = tls_domains_parse,
     .help = "recipient domains to which mail must come by TLS, \"DOMAIN [VERSION]\"; inbound"},
    {.name = "require_clients",
     .type = OPTION_RULES,
     .offset = offsetof(struct tls_settings, require_clients),
     .fallback = "",
     .parse = tls_networks_parse,
     .help = "networks whose clients must use TLS, \"NETWORK [VERSION]\"; inbound and outbound, loopback excepted"},
    {.name = "minimum_version",
     .type = OPTION_WORD,
     .offset = offsetof(struct tls_settings, minimum_version),
     .fallback = "any",
     .words = versions,
     .help = "what a rule without a version of its own asks for"},
    {.name = "weak_ciphers",
     .type = OPTION_STRINGS,
     .offset = offsetof(struct tls_settings, weak_ciphers),
     .fallback = "NULL, EXP, RC2, RC4, DES, IDEA, MD5",
     .help = "words in the names of ciphers that are tls.weak_cipher"},
    {.name = "cipher_bits_min",
     .type = OPTION_UINT,
     .offset = offsetof(struct tls_settings, cipher_bits_min),
     .fallback = "112",
     .min = 0,
     .max = 256,
     .help = "a cipher with a shorter key is tls.weak_cipher, where the MTA tells its length"},
    {.name = NULL},
};

static void tls_state(struct session *session, int recipient, const struct finding_code *code, const char *detail,
                      const char *reply)
{
	if (recipient == FINDING_ALL_RECIPIENTS) {
		session_find(session, code, detail, reply);
	} else {
		session_find_for(session, (size_t)recipient, code, detail, reply);
	}
}

/* Does the session fall short of the demand? who: whose rule it is, for the detail; recipient: an index, or
 * FINDING_ALL_RECIPIENTS. */
static void tls_find(struct session *session, const struct tls_settings *settings, struct tls_demand demand,
                     int recipient, const char *who)
{
	enum tls_version has = tls_version_parse(slice_from(session->tls_version));
	if (demand.kind == TLS_DEMAND_NOTHING) {
		return;
	}
	if (has == TLS_NONE) {
		tls_state(session, recipient, &codes[TLS_NONE_CODE],
		          arena_printf(session->arena, "%s must be sent by TLS", who), NULL);
		return;
	}
	enum tls_version least =
	    demand.kind == TLS_DEMAND_DEFAULT ? (enum tls_version)settings->minimum_version : demand.version;
	if (has < least) {
		const char *name = tls_version_name(least);
		tls_state(
		    session, recipient, &codes[TLS_OLD_VERSION],
		    arena_printf(session->arena, "%s must be sent by %s at least, not %s", who, name, session->tls_version),
		    arena_printf(session->arena, "This mail has to be sent by %s or newer", name));
	}
}

static void tls_find_cipher(struct session *session, const struct tls_settings *settings)
{
	const char *word = tls_cipher_weak(session->tls_cipher, settings->weak_ciphers);
	bool is_short = session->tls_bits > 0 && session->tls_bits < settings->cipher_bits_min;
	if (session->tls_version[0] == '\0' || (word == NULL && !is_short)) {
		return;
	}
	const char *why = word != NULL ? word : arena_printf(session->arena, "%u bits", session->tls_bits);
	session_find(session, &codes[TLS_WEAK_CIPHER], arena_printf(session->arena, "%s: %s", session->tls_cipher, why),
	             NULL);
}

/* Also without an address of a client: local submission, which the milter gives 127.0.0.1. */
static bool is_loopback(const struct ip *address)
{
	static const struct ip loopback = {IP_V6, {[15] = 1}};
	return (address->family == IP_V4 && address->bytes[0] == 127) || ip_equal(address, &loopback);
}

static enum stage_progress tls_mail(struct session *session, const void *settings)
{
	const struct tls_settings *tls = settings;
	const char *domain = session->mail_from.domain;
	char peer[IP_TEXT_SIZE];
	if (session->direction == DIRECTION_INBOUND && !session->upstream.relayed) {
		const char *who =
		    domain[0] == '\0' ? "mail of the null sender" : arena_printf(session->arena, "mail from %s", domain);
		tls_find(session, tls, tls_domains_demand(&tls->require_from, domain), FINDING_ALL_RECIPIENTS, who);
	}
	if (!is_loopback(&session->peer)) {
		ip_format(&session->peer, peer);
		tls_find(session, tls, tls_networks_demand(&tls->require_clients, &session->peer), FINDING_ALL_RECIPIENTS,
		         arena_printf(session->arena, "mail of client %s", peer));
	}
	tls_find_cipher(session, tls);
	return STAGE_DONE;
}

static enum stage_progress tls_rcpt(struct session *session, const void *settings)
{
	const struct tls_settings *tls = settings;
	size_t index = session->recipient_count - 1;
	const char *domain = session->recipients[index].address.domain;
	if (session->direction == DIRECTION_INBOUND) {
		tls_find(session, tls, tls_domains_demand(&tls->require_to, domain), (int)index,
		         arena_printf(session->arena, "mail to %s", domain));
	}
	return STAGE_DONE;
}

const struct stage stage_tls = {
    .section = {.name = "tls",
                .help = "TLS of the session: who must use it. Its version and cipher are logged in any case.",
                .options = options,
                .settings_size = sizeof(struct tls_settings),
                .codes = codes,
                .mode = MODE_ENFORCE},
    .inbound = true,
    .outbound = true,
    .on = {[PHASE_MAIL] = tls_mail, [PHASE_RCPT] = tls_rcpt},
};
