#include "lib/pipeline/arc_sealing.h"

#include "lib/auth/arc_seal.h"
#include "lib/auth/dkim_sign.h"
#include "lib/auth/keystore.h"
#include "lib/mail/domain.h"
#include "lib/pipeline/edited.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stages.h"

bool arc_sealing_wanted(const struct session *session, const struct arc_settings *settings)
{
	return settings->seal && config_mode(session->config, stages_section(&stage_arc)) >= MODE_TAG;
}

static bool others_done(const struct session *session)
{
	for (size_t i = 0; i < stages_count; i++) {
		if (stages[i] != &stage_arc && (session->stages_done & UINT32_C(1) << i) == 0) {
			return false;
		}
	}
	return true;
}

/* What is held, put off or refused does not pass on. */
static bool goes_on(const struct session *session)
{
	for (size_t i = 0; i < session->finding_count; i++) {
		if (policy_effective(session->config, session->direction, session->findings[i]->code) > ACTION_TAG) {
			return false;
		}
	}
	return true;
}

const struct keystore_key *arc_sealing_key(struct arena *arena, const struct keys *keys,
                                           const struct arc_settings *settings, const char **problem_r)
{
	size_t count = 0;
	const struct keystore_key *chosen = NULL;
	const char *domain = domain_canonical(arena, slice_from(settings->seal_domain));
	const struct keystore_key *items = domain == NULL ? NULL : keys_of(keys, domain, &count);
	for (size_t i = 0; i < count; i++) {
		const struct keystore_key *item = &items[i];
		bool named = settings->seal_selector[0] != '\0';
		bool fits = named ? strcmp(item->name.selector, settings->seal_selector) == 0 && item->name.state != KEY_RETIRED
		                  : item->name.state == KEY_ACTIVE;
		if (!fits || item->key == NULL) {
			continue;
		}
		if (chosen == NULL || dkim_private_key_algorithm(item->key) == DKIM_RSA_SHA256) {
			chosen = item;
		}
	}
	if (domain == NULL) {
		*problem_r = settings->seal_domain[0] == '\0' ? "seal_domain is empty" : "seal_domain is no domain name";
	} else if (chosen == NULL) {
		*problem_r = arena_printf(arena, "%s has no key that can be used", domain);
	}
	return chosen;
}

static enum arc_cv chain_cv(const struct arc_verdict *arc)
{
	return arc->result == AUTH_PASS ? ARC_CV_PASS : arc->result == AUTH_NONE ? ARC_CV_NONE : ARC_CV_FAIL;
}

static const char *result_problem(enum arc_seal_result result)
{
	switch (result) {
	case ARC_SEAL_MADE:
	case ARC_SEAL_ENDED:
		return NULL;
	case ARC_SEAL_FULL:
		return "the chain is full";
	case ARC_SEAL_UNFIT:
		return "the chain is not the one that was verified";
	case ARC_SEAL_ERROR:
		return "libcrypto did not sign";
	}
	return NULL;
}

/* From the lowest up, each at the very top. */
static void insert(struct session *session, const struct arc_seal *seal)
{
	for (enum arc_field field = ARC_RESULTS; field < ARC_FIELD_COUNT; field++) {
		session_edit(session, &stage_arc, EDIT_INSERT_HEADER, arc_field_name(field), seal->values[field], 0);
	}
	session->arc_sealed = seal->instance;
}

/* Sendmail writes lists of addresses anew after we have sealed. */
static void as_sendmail(struct arena *arena, struct header *header)
{
	struct strbuf field;
	strbuf_init(&field, arena);
	strbuf_add_slice(&field, header->name);
	strbuf_add_char(&field, ':');
	strbuf_add_slice(&field, dkim_sign_by_sendmail(arena, header->name, header->value));
	size_t before = header->name.len + 1;
	header->field = (struct slice){field.data, field.len};
	header->value = (struct slice){field.data + before, field.len - before};
}

static const char *seal_with(struct session *session, const struct keystore_key *key)
{
	struct headers headers;
	struct arc_seal seal;
	edited_headers(session, &headers);
	for (size_t i = 0; session->mta_is_sendmail && i < headers.count; i++) {
		as_sendmail(session->arena, &headers.items[i]);
	}
	struct arc_seal_request request = {
	    .headers = &headers,
	    .body_digest = session->inspection.body_digest,
	    .cv = chain_cv(&session->inspection.arc),
	    .results = session->authres,
	    .domain = key->name.domain,
	    .selector = key->name.selector,
	    .key = key->key,
	    .names = arc_seal_names(session->arena, &headers),
	    .now = session->now,
	    .line = ARC_SEAL_LINE,
	};
	enum arc_seal_result result = arc_seal_make(session->arena, &request, &seal);
	if (result == ARC_SEAL_MADE) {
		insert(session, &seal);
	}
	return result_problem(result);
}

static const char *seal(struct session *session, const struct arc_settings *settings)
{
	const char *problem = NULL;
	if (session_headers(session)->truncated) {
		return "the header is beyond header_max or header_count_max";
	}
	if (session->authres == NULL || !session->inspection.body_hashed) {
		return session->authres == NULL ? "authres is off: there are no results to seal" : "the body was not hashed";
	}
	struct keys *keys = keystore_acquire(engine_keystore(session->engine));
	const struct keystore_key *key = arc_sealing_key(session->arena, keys, settings, &problem);
	if (key != NULL) {
		problem = seal_with(session, key);
	}
	keys_release(keys);
	return problem;
}

enum stage_progress arc_sealing_end(struct session *session, const struct arc_settings *settings,
                                    const char **problem_r)
{
	*problem_r = NULL;
	if (!others_done(session)) {
		return STAGE_PENDING;
	}
	const struct arc_verdict *arc = &session->inspection.arc;
	bool due =
	    session->message_status == MESSAGE_OK && goes_on(session) && arc->result != AUTH_TEMPERROR && !arc->ended;
	*problem_r = due ? seal(session, settings) : NULL;
	return STAGE_DONE;
}
