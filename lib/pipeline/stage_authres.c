/* Authentication-Results (RFC 8601), and Received-SPF (RFC 7208 9.1): removes what claims to be ours, inbound and
 * outbound (who receives our mail may trust our name as well), then adds the one that is, inbound. */
#include "lib/mail/authres.h"

#include "lib/mail/received_spf.h"
#include "lib/pipeline/pipeline.h"
#include "lib/pipeline/stage_list.h"

#include <stddef.h>

struct authres_settings {
	bool received_spf;
};

static const struct finding_code codes[] = {
	{"authres.forged", {ACTION_IGNORE, 0}, 0, "7.1", "The message carries forged authentication results",
	 "the message came with Authentication-Results or Received-SPF in our name; they were removed"},
	{.code = NULL},
};

static const struct option_row options[] = {
	{.name = "received_spf",
     .type = OPTION_BOOL,
     .offset = offsetof(struct authres_settings, received_spf),
     .fallback = "no",
     .help = "add a Received-SPF field (RFC 7208 9.1) too, below Authentication-Results"},
	{.name = NULL},
};

static const char results_field[] = "Authentication-Results";
static const char spf_field[] = "Received-SPF";

typedef bool claims(struct slice value, const char *authserv_id);

/* From the bottom up: a deletion renumbers the fields behind it (in Postfix), and one would survive. */
static size_t authres_remove_forged(struct session *session, const char *name, claims *is_forged)
{
	const struct headers *headers = session_headers(session);
	size_t removed = 0;
	size_t n = headers_count(headers, name);
	for (size_t i = headers->count; i > 0; i--) {
		const struct header *header = &headers->items[i - 1];
		if (!slice_equal_nocase(header->name, slice_from(name))) {
			continue;
		}
		if (is_forged(header->value, session->authserv_id)) {
			session_edit(session, &stage_authres, EDIT_DELETE_HEADER, name, NULL, n);
			removed++;
		}
		n--;
	}
	return removed;
}

static void authres_clean(struct session *session)
{
	size_t results = authres_remove_forged(session, results_field, authres_claims);
	size_t spf = authres_remove_forged(session, spf_field, received_spf_claims);
	if (results + spf > 0) {
		const char *detail =
			arena_printf(session->arena, "%zu %s, %zu %s removed", results, results_field, spf, spf_field);
		session_find(session, &codes[0], detail, NULL);
	}
}

/* A domain with U-labels is shown in A-labels, which are good in any message. A local part in UTF-8 can only stand in
 * an internationalized one; elsewhere the domain alone is given, as RFC 8601 2.2 allows. */
static const char *authres_mailfrom(const struct session *session)
{
	const struct address *address = &session->mail_from;
	if (slice_is_ascii(slice_from(address->text)) || address->domain[0] == '\0') {
		return address->text;
	}
	struct slice local = slice_from(address->local);
	bool shown = slice_is_ascii(local) || (session->smtputf8 && slice_is_utf8(local));
	return shown ? arena_printf(session->arena, "%s@%s", address->local, address->domain) : address->domain;
}

/* HELO as it was said, but in A-labels. */
static const char *authres_helo(const struct session *session, const struct spf_verdict *spf)
{
	bool said = slice_is_ascii(slice_from(session->helo)) || spf->domain[0] == '\0';
	return said ? session->helo : spf->domain;
}

static void authres_add_spf(struct session *session, struct authres *authres)
{
	const struct spf_verdict *spf = &session->spf;
	authres_method(authres, "spf", spf->result, spf->problem, NULL);
	if (spf->scope == SPF_SCOPE_HELO || session->mail_from.text[0] == '\0') {
		authres_property(authres, "smtp", "helo", authres_helo(session, spf));
	} else {
		authres_property(authres, "smtp", "mailfrom", authres_mailfrom(session));
	}
	if (session->spf_helo_checked) {
		authres_method(authres, "spf", session->spf_helo.result, session->spf_helo.problem, NULL);
		authres_property(authres, "smtp", "helo", authres_helo(session, &session->spf_helo));
	}
}

static const char *dkim_comment(struct session *session, const struct inspect_signature *signature)
{
	const char *testing = signature->testing ? ", the domain is testing" : "";
	if (signature->problem != NULL) {
		return arena_printf(session->arena, "%s%s", signature->problem, testing);
	}
	return signature->key_bits == 0 ? NULL
	                                : arena_printf(session->arena, "%u-bit key%s", signature->key_bits, testing);
}

static void authres_add_dkim(struct session *session, struct authres *authres)
{
	const struct inspect_reply *reply = &session->inspection;
	if (reply->signature_count == 0) {
		authres_method(authres, "dkim", AUTH_NONE, "no signature", NULL);
	}
	for (size_t i = 0; i < reply->signature_count; i++) {
		const struct inspect_signature *signature = &reply->signatures[i];
		authres_method(authres, "dkim", signature->result, dkim_comment(session, signature), NULL);
		authres_property(authres, "header", "d", signature->domain);
		if (signature->identity[0] != '\0') {
			authres_property(authres, "header", "i", signature->identity);
		}
		if (signature->selector[0] != '\0') {
			authres_property(authres, "header", "s", signature->selector);
		}
		if (signature->algorithm[0] != '\0') {
			authres_property(authres, "header", "a", signature->algorithm);
		}
		if (signature->b[0] != '\0') {
			authres_property(authres, "header", "b", signature->b);
		}
	}
}

/* "p=reject dis=none mailing_list: ..."; dis: what is done. */
static const char *dmarc_comment(struct session *session)
{
	const struct dmarc_verdict *dmarc = &session->dmarc;
	const struct dmarc_override *override = &dmarc->override;
	if (dmarc->record == NULL) {
		return dmarc->problem;
	}
	const char *policies = arena_printf(session->arena, "p=%s dis=%s", dmarc_policy_name(dmarc->policy),
	                                    dmarc_policy_name(dmarc->disposition));
	return override->type == DMARC_OVERRIDE_NONE ? policies
	                                             : arena_printf(session->arena, "%s %s: %s", policies,
	                                                            dmarc_override_name(override->type), override->comment);
}

static void authres_add_dmarc(struct session *session, struct authres *authres)
{
	const struct dmarc_verdict *dmarc = &session->dmarc;
	authres_method(authres, "dmarc", dmarc->result, dmarc_comment(session), NULL);
	if (dmarc->domain[0] != '\0') {
		authres_property(authres, "header", "from", dmarc->domain);
	}
	if (dmarc->result == AUTH_FAIL) {
		authres_property(authres, "policy", "dmarc", dmarc_policy_name(dmarc->disposition)); /* RFC 9989 9.1 */
	}
}

/* RFC 8617 10.1 and 10.2. */
static void authres_add_arc(struct session *session, struct authres *authres)
{
	const struct arc_verdict *arc = &session->inspection.arc;
	char client[IP_TEXT_SIZE];
	struct strbuf comment;
	strbuf_init(&comment, session->arena);
	if (arc->count > 0) {
		strbuf_printf(&comment, "i=%zu sealers:", arc->count);
	}
	for (size_t i = arc->count; i > 0; i--) {
		strbuf_printf(&comment, " %s", arc->sets[i - 1].domain[0] == '\0' ? "?" : arc->sets[i - 1].domain);
	}
	if (arc->problem != NULL) {
		strbuf_printf(&comment, "%s%s", comment.len == 0 ? "" : ": ", arc->problem);
	}
	authres_method(authres, "arc", arc->result, comment.len == 0 ? NULL : comment.data, NULL);
	if (arc->result == AUTH_NONE) {
		return;
	}
	if (session->client.family != IP_UNKNOWN) {
		ip_format(&session->client, client);
		authres_property(authres, "smtp", "remote-ip", client);
	}
	if (arc->result == AUTH_PASS) {
		authres_property(authres, "header", "oldest-pass", arena_printf(session->arena, "%u", arc->oldest_pass));
	}
}

/* RFC 8601 2.7.3. */
static void authres_add_iprev(struct session *session, struct authres *authres)
{
	const struct iprev_verdict *iprev = &session->iprev;
	char client[IP_TEXT_SIZE];
	ip_format(&session->client, client);
	authres_method(authres, "iprev", iprev->result, iprev->problem, NULL);
	authres_property(authres, "policy", "iprev", client);
	if (iprev->name[0] != '\0') {
		field_comment(&authres->field, iprev->name);
	}
}

static const char *spf_comment(struct session *session)
{
	const struct spf_verdict *spf = &session->spf;
	const char *verb = spf->result == AUTH_PASS ? "permits" : "does not permit";
	char client[IP_TEXT_SIZE];
	ip_format(&session->client, client);
	if (spf->result != AUTH_PASS && spf->result != AUTH_FAIL) {
		return spf->problem == NULL ? session->authserv_id
		                            : arena_printf(session->arena, "%s: %s", session->authserv_id, spf->problem);
	}
	return arena_printf(session->arena, "%s: %s %s %s", session->authserv_id, spf->domain, verb, client);
}

/* Above our own Received and every other Received-SPF (RFC 7208 9.1). */
static void authres_insert_spf(struct session *session)
{
	const struct spf_verdict *spf = &session->spf;
	bool error = spf->result == AUTH_TEMPERROR || spf->result == AUTH_PERMERROR;
	bool matched = spf->mechanism != NULL || error || spf->result == AUTH_NONE;
	struct received_spf record = {
		.result = spf->result,
		.comment = spf_comment(session),
		.client = &session->client,
		.envelope_from = authres_mailfrom(session),
		.helo = spf->scope == SPF_SCOPE_HELO ? authres_helo(session, spf) : session->helo,
		.utf8 = session->smtputf8,
		.identity = spf->scope == SPF_SCOPE_HELO ? "helo" : "mailfrom",
		.receiver = session->authserv_id,
		.mechanism = matched ? spf->mechanism : "default",
		.problem = error ? spf->problem : NULL,
	};
	const char *value = received_spf_write(session->arena, &record);
	session_edit(session, &stage_authres, EDIT_INSERT_HEADER, spf_field, value, 0);
}

/* Authentication-Results is inserted last, so that it ends on top, where readers look first (RFC 8601 4). */
static void authres_insert(struct session *session, const struct authres_settings *settings)
{
	struct authres authres;
	bool spf = pipeline_runs(session, &stage_spf);
	authres_begin(&authres, session->arena, session->authserv_id);
	authres.utf8 = session->smtputf8;
	if (spf) {
		authres_add_spf(session, &authres);
	}
	if (pipeline_runs(session, &stage_dkim)) {
		authres_add_dkim(session, &authres);
	}
	if (pipeline_runs(session, &stage_arc) && session->message != NULL) {
		authres_add_arc(session, &authres);
	}
	if (session->dmarc_known) {
		authres_add_dmarc(session, &authres);
	}
	if (session->iprev_known) {
		authres_add_iprev(session, &authres);
	}
	if (spf && settings->received_spf) {
		authres_insert_spf(session);
	}
	session->authres = authres_finish(&authres);
	session_edit(session, &stage_authres, EDIT_INSERT_HEADER, results_field, session->authres, 0);
}

static enum stage_progress authres_end(struct session *session, const void *settings)
{
	bool inbound = session->direction == DIRECTION_INBOUND;
	bool dmarc = pipeline_runs(session, &stage_dmarc) && session->message != NULL;
	bool spf = pipeline_runs(session, &stage_spf);
	bool spf_done = !spf || (session->spf_known && session->spf_helo_known);
	bool arc_done = !pipeline_runs(session, &stage_arc) || session->arc_known;
	bool iprev_done = !pipeline_runs(session, &stage_client) || session->iprev_known || !session->client_known ||
	                  session->client.family == IP_UNKNOWN;
	if (inbound && (!iprev_done || !spf_done || !session->inspected || !arc_done || (dmarc && !session->dmarc_known))) {
		return STAGE_PENDING;
	}
	authres_clean(session);
	/* What was found when it came: keys, records and lists may have changed since. */
	if (session->release != NULL && session->release->authres[0] != '\0') {
		session->authres = session->release->authres;
		session_edit(session, &stage_authres, EDIT_INSERT_HEADER, results_field, session->authres, 0);
	} else if (inbound && session->release == NULL) {
		authres_insert(session, settings);
	}
	return STAGE_DONE;
}

const struct stage stage_authres = {
	.section = {.name = "authres",
                .help = "The Authentication-Results field (RFC 8601): forged ones are removed, one is added on top.",
                .options = options,
                .settings_size = sizeof(struct authres_settings),
                .codes = codes,
                .mode = MODE_ENFORCE},
	.inbound = true,
	.outbound = true,
	.released = true,
	.on = {[PHASE_END] = authres_end},
};
