/* Authentication-Results (RFC 8601): removes what claims to be ours, then adds the one that is. */
#include "lib/mail/authres.h"

#include "lib/pipeline/pipeline.h"
#include "lib/pipeline/stage_list.h"

static const struct finding_code codes[] = {
	{"authres.forged", {ACTION_IGNORE, 0}, false, "7.1", "The message carries forged authentication results",
	 "the message came with Authentication-Results in our name; they were removed"},
	{.code = NULL},
};

static const char field[] = "Authentication-Results";

/* From the bottom up: a deletion renumbers the fields behind it (in Postfix), and one would survive. */
static size_t authres_remove_forged(struct session *session)
{
	size_t removed = 0;
	for (size_t n = headers_count(session_headers(session), field); n > 0; n--) {
		const struct header *header = headers_find(session_headers(session), field, n - 1);
		if (authres_claims(header->value, session->authserv_id)) {
			session_edit(session, &stage_authres, EDIT_DELETE_HEADER, field, NULL, n);
			removed++;
		}
	}
	return removed;
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

static void authres_add_dmarc(struct session *session, struct authres *authres)
{
	const struct dmarc_verdict *dmarc = &session->dmarc;
	const char *comment = dmarc->problem;
	if (dmarc->record != NULL) {
		comment = arena_printf(session->arena, "p=%s dis=%s", dmarc_policy_name(dmarc->policy),
		                       dmarc_policy_name(dmarc->disposition));
	}
	authres_method(authres, "dmarc", dmarc->result, comment, NULL);
	if (dmarc->domain[0] != '\0') {
		authres_property(authres, "header", "from", dmarc->domain);
	}
}

static enum stage_progress authres_end(struct session *session, const void *settings)
{
	(void)settings;
	bool spf = pipeline_runs(session, &stage_spf);
	bool dmarc = pipeline_runs(session, &stage_dmarc) && session->message != NULL;
	if ((spf && !(session->spf_known && session->spf_helo_known)) || !session->inspected ||
	    (dmarc && !session->dmarc_known)) {
		return STAGE_PENDING;
	}
	size_t removed = authres_remove_forged(session);
	if (removed > 0) {
		session_find(session, &codes[0], arena_printf(session->arena, "%zu removed", removed), NULL);
	}
	struct authres authres;
	authres_begin(&authres, session->arena, session->authserv_id);
	authres.utf8 = session->smtputf8;
	if (spf) {
		authres_add_spf(session, &authres);
	}
	if (pipeline_runs(session, &stage_dkim)) {
		authres_add_dkim(session, &authres);
	}
	if (dmarc) {
		authres_add_dmarc(session, &authres);
	}
	session->authres = authres_finish(&authres);
	session_edit(session, &stage_authres, EDIT_INSERT_HEADER, field, session->authres, 0);
	return STAGE_DONE;
}

const struct stage stage_authres = {
	.section = {.name = "authres",
                .help = "The Authentication-Results field: forged ones are removed, one is added on top (RFC 8601).",
                .codes = codes,
                .mode = MODE_ENFORCE},
	.inbound = true,
	.on = {[PHASE_END] = authres_end},
};
