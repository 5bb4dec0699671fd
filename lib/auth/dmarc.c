#include "lib/auth/dmarc.h"

#include "lib/auth/dmarc_library.h"
#include "lib/auth/dmarc_walk.h"
#include "lib/mail/domain.h"

const char *dmarc_override_name(enum dmarc_override_type type)
{
	switch (type) {
	case DMARC_OVERRIDE_NONE:
		break;
	case DMARC_OVERRIDE_LOCAL_POLICY:
		return "local_policy";
	case DMARC_OVERRIDE_MAILING_LIST:
		return "mailing_list";
	case DMARC_OVERRIDE_OTHER:
		return "other";
	case DMARC_OVERRIDE_POLICY_TEST_MODE:
		return "policy_test_mode";
	case DMARC_OVERRIDE_TRUSTED_FORWARDER:
		return "trusted_forwarder";
	}
	return NULL;
}

/* One evaluation. */
struct judgement {
	const struct dmarc_request *request;
	struct lookups *lookups;
	struct arena *arena;
	struct dmarc_walk walk; /* of the Author Domain */
	struct dmarc_memo memo;
	struct dmarc_verdict *verdict;
	bool pending;
};

static bool temporary(struct judgement *judgement, const char *problem)
{
	judgement->verdict->result = AUTH_TEMPERROR;
	judgement->verdict->problem = problem;
	return true;
}

/* A domain lies in its Organizational Domain. What is not in the author's needs no walk, and whoever owns it cannot
 * make "unknown" of "not aligned" by letting his own DNS fail. */
static bool may_share_org(const struct judgement *judgement, const char *identifier)
{
	if (judgement->walk.problem == NULL) {
		return domain_is_below(identifier, judgement->walk.org_domain);
	}
	return strcmp(domain_last_labels(identifier, 1), domain_last_labels(judgement->verdict->domain, 1)) == 0;
}

/* Is `identifier` (canonical) aligned with the Author Domain (4.10.2)? *unknown_r: DNS could not tell. */
static enum dmarc_alignment align(struct judgement *judgement, const char *identifier, bool strict,
                                  const char **unknown_r)
{
	const char *author = judgement->verdict->domain;
	struct dmarc_walk walk;
	if (strcmp(identifier, author) == 0) {
		return DMARC_ALIGNED_STRICT;
	}
	if (strict || !may_share_org(judgement, identifier)) {
		return DMARC_NOT_ALIGNED;
	}
	if (!dmarc_walk(judgement->arena, judgement->lookups, &judgement->memo, identifier, &walk)) {
		judgement->pending = true;
		return DMARC_NOT_ALIGNED;
	}
	const char *problem = walk.problem != NULL ? walk.problem : judgement->walk.problem;
	if (problem != NULL) {
		*unknown_r = problem;
		return DMARC_NOT_ALIGNED;
	}
	return strcmp(walk.org_domain, judgement->walk.org_domain) == 0 ? DMARC_ALIGNED_RELAXED : DMARC_NOT_ALIGNED;
}

/* Alignment of what passed. Walks of all of them start before the first is waited for. */
static void align_passes(struct judgement *judgement, const struct dmarc_record *record, const char **unknown_r)
{
	const struct dmarc_request *request = judgement->request;
	struct dmarc_verdict *verdict = judgement->verdict;
	if (request->spf != NULL && request->spf->result == AUTH_PASS) {
		verdict->spf_alignment = align(judgement, request->spf->domain, record->aspf_strict, unknown_r);
	}
	for (size_t i = 0; request->dkim_pass != NULL && request->dkim_pass[i] != NULL; i++) {
		const char *domain = domain_canonical(judgement->arena, slice_from(request->dkim_pass[i]));
		if (domain == NULL) {
			continue;
		}
		enum dmarc_alignment alignment = align(judgement, domain, record->adkim_strict, unknown_r);
		if (alignment > verdict->dkim_alignment) {
			verdict->dkim_alignment = alignment;
			verdict->dkim_domain = domain;
		}
	}
}

/* Something that could not be judged, and that would be aligned had it passed: its problem, or NULL. */
static const char *align_undecided(struct judgement *judgement, const struct dmarc_record *record)
{
	const struct dmarc_request *request = judgement->request;
	const char *unknown = NULL;
	if (request->spf != NULL && request->spf->result == AUTH_TEMPERROR &&
	    align(judgement, request->spf->domain, record->aspf_strict, &unknown) != DMARC_NOT_ALIGNED) {
		return "SPF could not be evaluated";
	}
	for (size_t i = 0; request->dkim_temporary_domains != NULL && request->dkim_temporary_domains[i] != NULL; i++) {
		const char *domain = domain_canonical(judgement->arena, slice_from(request->dkim_temporary_domains[i]));
		if (domain != NULL && align(judgement, domain, record->adkim_strict, &unknown) != DMARC_NOT_ALIGNED) {
			return "a DKIM signature could not be verified";
		}
	}
	return unknown;
}

/* RFC 8020: NXDOMAIN says that neither the name nor anything below exists. *exists_r only when true is returned;
 * false: pending or temporary, with *problem_r set for the latter. */
static bool author_exists(struct judgement *judgement, bool *exists_r, const char **problem_r)
{
	const struct dns_answer *answer = lookups_get(judgement->lookups, judgement->verdict->domain, DNS_TYPE_TXT);
	if (answer == NULL) {
		judgement->pending = true;
		return false;
	}
	if (answer->status == DNS_TEMPORARY) {
		*problem_r = arena_printf(judgement->arena, "DNS: %s: %s", judgement->verdict->domain, answer->problem);
		return false;
	}
	*exists_r = answer->status != DNS_NXDOMAIN;
	return true;
}

/* 4.10.1: the Author Domain's own record, else that of its Organizational Domain, else that of the PSD. */
static const struct dmarc_step *policy_step(const struct dmarc_walk *walk)
{
	if (walk->steps[0].found) {
		return &walk->steps[0];
	}
	for (size_t i = 1; i < walk->count; i++) {
		if (walk->steps[i].found && strcmp(walk->steps[i].domain, walk->org_domain) == 0) {
			return &walk->steps[i];
		}
	}
	const struct dmarc_step *last = &walk->steps[walk->count - 1];
	return last->found && last->record.psd == DMARC_PSD_YES ? last : NULL;
}

/* The tag that gave the policy of a subdomain. */
static enum dmarc_source subdomain_source(const struct dmarc_record *record, bool exists)
{
	if (!exists && record->has_np) {
		return DMARC_SOURCE_NP;
	}
	return record->has_sp ? DMARC_SOURCE_SP : DMARC_SOURCE_P;
}

/* Which of p, sp and np applies; whether the domain exists is asked only where that matters. False: pending, or np
 * could not be told from sp for a temporary reason. */
static bool choose_policy(struct judgement *judgement, const struct dmarc_step *step, const char **problem_r)
{
	struct dmarc_verdict *verdict = judgement->verdict;
	bool exists = true;
	verdict->policy = step->record.p;
	verdict->source = DMARC_SOURCE_P;
	if (step != &judgement->walk.steps[0]) {
		if (step->record.np != step->record.sp && !author_exists(judgement, &exists, problem_r)) {
			return false;
		}
		verdict->policy = exists ? step->record.sp : step->record.np;
		verdict->source = subdomain_source(&step->record, exists);
	}
	return true;
}

/* t=y: one step milder. */
static enum dmarc_policy testing_disposition(enum dmarc_policy policy)
{
	return policy == DMARC_POLICY_REJECT ? DMARC_POLICY_QUARANTINE : DMARC_POLICY_NONE;
}

static bool judge(struct judgement *judgement, const struct dmarc_step *step)
{
	struct dmarc_verdict *verdict = judgement->verdict;
	const char *unknown = NULL;
	const char *problem = NULL;
	bool known = choose_policy(judgement, step, &problem);
	align_passes(judgement, &step->record, &unknown);
	if (judgement->pending) {
		return false;
	}
	verdict->record = slice_dup(judgement->arena, step->record.text);
	verdict->policy_domain = step->domain;
	verdict->testing = step->record.testing;
	if (verdict->spf_alignment != DMARC_NOT_ALIGNED || verdict->dkim_alignment != DMARC_NOT_ALIGNED) {
		verdict->result = AUTH_PASS;
		dmarc_library_agrees(judgement->arena, verdict);
		return true;
	}
	if (unknown == NULL) {
		unknown = align_undecided(judgement, &step->record);
	}
	if (judgement->pending) {
		return false;
	}
	if (!known) {
		/* Of two policies the one that asks for more: what matters is that it is not taken for "none". */
		verdict->policy = step->record.np > step->record.sp ? step->record.np : step->record.sp;
	}
	verdict->asked = verdict->testing ? testing_disposition(verdict->policy) : verdict->policy;
	verdict->disposition = verdict->asked;
	if (unknown != NULL || !known) {
		return temporary(judgement, unknown != NULL ? unknown : problem);
	}
	verdict->result = AUTH_FAIL;
	if (verdict->asked != verdict->policy) {
		verdict->override = (struct dmarc_override){DMARC_OVERRIDE_POLICY_TEST_MODE, "t=y"};
	}
	dmarc_library_agrees(judgement->arena, verdict);
	return true;
}

bool dmarc_check(const struct dmarc_request *request, struct lookups *lookups, struct arena *arena,
                 struct dmarc_verdict *verdict_r)
{
	const struct author *author = request->author;
	*verdict_r = (struct dmarc_verdict){.result = AUTH_PERMERROR, .domain = "", .org_domain = "", .policy_domain = ""};
	if (author->status != AUTHOR_OK) {
		verdict_r->problem = author_status_text(author->status);
		return true;
	}
	struct judgement judgement = {.request = request, .lookups = lookups, .arena = arena, .verdict = verdict_r};
	verdict_r->domain = author->address.domain;
	if (!dmarc_walk(arena, lookups, &judgement.memo, verdict_r->domain, &judgement.walk)) {
		return false;
	}
	verdict_r->org_domain = judgement.walk.org_domain;
	const struct dmarc_step *step = policy_step(&judgement.walk);
	/* A temporary answer counts unless the Author Domain's own record is there: then the walk only serves alignment. */
	if (judgement.walk.problem != NULL && step != &judgement.walk.steps[0]) {
		return temporary(&judgement, judgement.walk.problem);
	}
	if (step == NULL) {
		verdict_r->result = AUTH_NONE;
		verdict_r->problem = "no DMARC record";
		return true;
	}
	if (!step->record.usable) {
		verdict_r->result = AUTH_NONE;
		verdict_r->problem = "the DMARC record has no valid policy";
		return true;
	}
	return judge(&judgement, step);
}
