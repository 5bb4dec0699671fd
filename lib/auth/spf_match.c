#include "lib/auth/spf_eval.h"
#include "lib/mail/domain.h"

#include <strings.h>

void spf_stop(struct spf_eval *eval, enum auth_result result, const char *problem)
{
	if (!eval->stopped) {
		eval->stopped = true;
		eval->result = result;
		eval->problem = problem;
	}
}

const struct dns_answer *spf_ask(struct spf_eval *eval, const char *name, enum dns_type type, bool counted)
{
	const struct dns_answer *answer = lookups_get(eval->lookups, name, type);
	if (answer == NULL) {
		eval->pending = true;
		return NULL;
	}
	switch (answer->status) {
	case DNS_FOUND:
		break;
	case DNS_TEMPORARY:
		if (counted) {
			spf_stop(eval, AUTH_TEMPERROR,
			         arena_printf(eval->arena, "DNS: %s %s: %s",
			                      text_escape(eval->arena, slice_from(name), "", false, 80), dns_type_name(type),
			                      answer->problem));
			return NULL;
		}
		break;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		if (counted && !eval->term_is_void) {
			eval->term_is_void = true;
			eval->voids++;
		}
		if (eval->voids > SPF_VOID_MAX) {
			spf_stop(eval, AUTH_PERMERROR, "more than 2 DNS lookups without an answer");
			return NULL;
		}
		break;
	}
	return answer;
}

static enum dns_type address_type(const struct spf_eval *eval)
{
	return eval->request->client.family == IP_V4 ? DNS_TYPE_A : DNS_TYPE_AAAA;
}

static bool answer_has_client(const struct spf_eval *eval, const struct dns_answer *answer, const struct spf_term *term)
{
	bool four = eval->request->client.family == IP_V4;
	unsigned prefix = term == NULL ? (four ? 32 : 128) : four ? term->prefix4 : term->prefix6;
	for (size_t i = 0; i < answer->count; i++) {
		if (ip_prefix_match(&answer->records[i].address, &eval->request->client, prefix)) {
			return true;
		}
	}
	return false;
}

static const struct dns_answer *ask_ptr(struct spf_eval *eval)
{
	char reverse[IP_REVERSE_SIZE];
	eval->ptr = true;
	ip_reverse_name(&eval->request->client, NULL, reverse, sizeof reverse);
	return spf_ask(eval, reverse, DNS_TYPE_PTR, false);
}

/* Of the client's names that lead back to it (5.5; ten are looked at) the best: `wanted` itself, one below it, else any
 * one when `any`. NULL: none, or pending. */
static const char *validated_name(struct spf_eval *eval, const char *wanted, bool any)
{
	const struct dns_answer *ptr = ask_ptr(eval);
	const char *best = NULL;
	int best_rank = any ? 0 : 1;
	if (ptr == NULL) {
		return NULL;
	}
	size_t count = ptr->count > SPF_NAMES_MAX ? SPF_NAMES_MAX : ptr->count;
	for (size_t i = 0; i < count; i++) {
		lookups_get(eval->lookups, ptr->records[i].data.data, address_type(eval));
	}
	for (size_t i = 0; i < count; i++) {
		const char *name = ptr->records[i].data.data;
		const struct dns_answer *addresses = spf_ask(eval, name, address_type(eval), false);
		if (addresses == NULL || !answer_has_client(eval, addresses, NULL)) {
			continue;
		}
		bool below = slice_ends_nocase(slice_from(name), slice_from(arena_printf(eval->arena, ".%s", wanted)));
		int rank = strcasecmp(name, wanted) == 0 ? 3 : below ? 2 : 1;
		if (rank > best_rank) {
			best_rank = rank;
			best = name;
		}
	}
	return best;
}

bool spf_set_validated(struct spf_eval *eval, const struct spf_frame *frame)
{
	const char *name = validated_name(eval, frame->domain, true);
	eval->values.validated = name == NULL ? "unknown" : name;
	return !eval->pending;
}

const char *spf_target(struct spf_eval *eval, const struct spf_frame *frame, struct slice spec)
{
	if (spec.len == 0) {
		return frame->domain;
	}
	if (spf_macro_uses(spec, 'p') && !spf_set_validated(eval, frame)) {
		return NULL;
	}
	eval->values.domain = frame->domain;
	const char *name = spf_macro_expand_domain(eval->arena, spec, &eval->values);
	if (name == NULL) {
		spf_stop(eval, AUTH_PERMERROR, "a macro of the SPF record cannot be expanded");
	}
	return name;
}

bool spf_never_matches(const struct spf_eval *eval, struct slice spec)
{
	return eval->utf8_local && (spf_macro_uses(spec, 's') || spf_macro_uses(spec, 'l'));
}

static bool match_address(struct spf_eval *eval, const char *name, const struct spf_term *term)
{
	const struct dns_answer *answer = spf_ask(eval, name, address_type(eval), true);
	return answer != NULL && answer_has_client(eval, answer, term);
}

static bool match_mx(struct spf_eval *eval, const char *name, const struct spf_term *term)
{
	const struct dns_answer *answer = spf_ask(eval, name, DNS_TYPE_MX, true);
	if (answer == NULL) {
		return false;
	}
	if (answer->count > SPF_NAMES_MAX) {
		spf_stop(eval, AUTH_PERMERROR, "more than 10 MX names");
		return false;
	}
	for (size_t i = 0; i < answer->count; i++) {
		lookups_get(eval->lookups, answer->records[i].data.data, address_type(eval));
	}
	for (size_t i = 0; i < answer->count && !eval->stopped; i++) {
		if (match_address(eval, answer->records[i].data.data, term)) {
			return true;
		}
	}
	return false;
}

bool spf_match(struct spf_eval *eval, const struct spf_frame *frame, const struct spf_term *term)
{
	const struct dns_answer *answer;
	const char *name = spf_target(eval, frame, term->domain);
	if (name == NULL) {
		return false;
	}
	switch (term->kind) {
	case SPF_TERM_A:
		return match_address(eval, name, term);
	case SPF_TERM_MX:
		return match_mx(eval, name, term);
	case SPF_TERM_PTR:
		return validated_name(eval, name, false) != NULL;
	case SPF_TERM_EXISTS:
		answer = spf_ask(eval, name, DNS_TYPE_A, true);
		return answer != NULL && answer->status == DNS_FOUND;
	case SPF_TERM_IP:
		return ip_network_contains(&term->network, &eval->request->client);
	case SPF_TERM_ALL:
		return true;
	case SPF_TERM_INCLUDE:
		break;
	}
	return false;
}

size_t spf_select(const struct dns_answer *answer, struct slice *text_r)
{
	size_t found = 0;
	for (size_t i = 0; i < answer->count; i++) {
		if (spf_record_is(answer->records[i].data)) {
			*text_r = answer->records[i].data;
			found++;
		}
	}
	return found;
}

static void look_ahead_ptr(struct spf_eval *eval)
{
	char reverse[IP_REVERSE_SIZE];
	ip_reverse_name(&eval->request->client, NULL, reverse, sizeof reverse);
	lookups_get(eval->lookups, reverse, DNS_TYPE_PTR);
}

/* The record behind an include or redirect, if its answer is there. */
static void look_ahead_record(struct spf_eval *eval, const char *name, unsigned *budget, unsigned depth)
{
	struct slice text;
	const char *problem;
	struct spf_frame frame = {.domain = name};
	const struct dns_answer *answer = lookups_get(eval->lookups, name, DNS_TYPE_TXT);
	if (answer != NULL && depth < SPF_LOOKUPS_MAX && spf_select(answer, &text) == 1 &&
	    spf_record_parse(eval->arena, text, &frame.record, &problem)) {
		spf_look_ahead(eval, &frame, budget, depth + 1);
	}
}

static void look_ahead_term(struct spf_eval *eval, const char *name, const struct spf_term *term, unsigned *budget,
                            unsigned depth)
{
	const struct dns_answer *answer;
	switch (term->kind) {
	case SPF_TERM_INCLUDE:
		look_ahead_record(eval, name, budget, depth);
		break;
	case SPF_TERM_A:
		lookups_get(eval->lookups, name, address_type(eval));
		break;
	case SPF_TERM_EXISTS:
		lookups_get(eval->lookups, name, DNS_TYPE_A);
		break;
	case SPF_TERM_MX:
		answer = lookups_get(eval->lookups, name, DNS_TYPE_MX);
		for (size_t i = 0; answer != NULL && i < answer->count && i < SPF_NAMES_MAX; i++) {
			lookups_get(eval->lookups, answer->records[i].data.data, address_type(eval));
		}
		break;
	case SPF_TERM_PTR:
		look_ahead_ptr(eval);
		break;
	case SPF_TERM_IP:
	case SPF_TERM_ALL:
		break;
	}
}

/* What spf_target() will give; NULL where that is not known yet. */
static const char *look_ahead_target(struct spf_eval *eval, const struct spf_frame *frame, struct slice spec)
{
	if (spec.len == 0) {
		return frame->domain;
	}
	if (spf_macro_uses(spec, 'p')) {
		look_ahead_ptr(eval);
		return NULL;
	}
	eval->values.domain = frame->domain;
	return spf_macro_expand_domain(eval->arena, spec, &eval->values);
}

void spf_look_ahead(struct spf_eval *eval, const struct spf_frame *frame, unsigned *budget, unsigned depth)
{
	for (size_t i = 0; *budget > 0 && i < frame->record.count; i++) {
		const struct spf_term *term = &frame->record.terms[i];
		if (term->kind == SPF_TERM_ALL ||
		    (term->kind == SPF_TERM_IP && ip_network_contains(&term->network, &eval->request->client))) {
			return; /* the evaluation ends here at the latest */
		}
		if (term->kind == SPF_TERM_IP || spf_never_matches(eval, term->domain)) {
			continue;
		}
		--*budget;
		const char *name = look_ahead_target(eval, frame, term->domain);
		if (name != NULL) {
			look_ahead_term(eval, name, term, budget, depth);
		}
	}
	if (*budget > 0 && frame->record.redirect.data != NULL && !spf_never_matches(eval, frame->record.redirect)) {
		--*budget;
		const char *name = look_ahead_target(eval, frame, frame->record.redirect);
		if (name != NULL) {
			look_ahead_record(eval, name, budget, depth);
		}
	}
}
