/* check_host() with libspf2 behind a fence (DESIGN.md section 4). libspf2 keeps the order of terms, the qualifiers and
 * the calls for include and redirect; it never sees a byte that came from the network. Each record is read by our own
 * parser and handed to libspf2 rewritten:
 *   ip4, ip6 that do not match                     ->  left out
 *   a term whose macros cannot be expanded         ->  left out (spf_never_matches)
 *   any other term but include                     ->  "exists:eF-T.x", answered by us when libspf2 asks for it
 *   include, redirect                              ->  "include:iF-T.x", "redirect=rF.x", answered by get_spf
 *   the end of a record without redirect           ->  "?exists:eF-N.x", N the number of terms: it matches
 * where F is the frame and T the term. What follows all or an ip4 or ip6 that matches is left out. So a record holds
 * twelve terms at most and never comes near libspf2's limits, and we see where an evaluation ended; the client, sender
 * and HELO that it knows are constants. All limits are counted here, over the whole run.
 * An answer that is not there yet, or an error, ends the run by a temporary error for libspf2; what it means is kept
 * on our side.
 *
 * A SPF_server_t is made for each run: it costs about 2 us, and a session may move between threads. What a run computes
 * lives in an arena of its own, because a check is run again each time that answers have come. */
#include "lib/auth/spf_eval.h"
#include "lib/base/log.h"
#include "lib/mail/domain.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include <spf2/spf.h>
#include <spf2/spf_dns.h>
#pragma GCC diagnostic pop

enum { REWRITTEN_MAX = 480, EXPLANATION_MAX = 512, TERM_MAX = 200, ARENA_CHUNK = 16384 };

/* The number in decimal at *text, which moves behind it. */
static size_t alias_number(const char **text)
{
	size_t n = 0;
	while (ascii_is_digit(**text) && n < 100000) {
		n = n * 10 + (size_t)(*(*text)++ - '0');
	}
	return n;
}

/* "eF-T.x": frame F, term T or, behind the last one, the end. False when it is none of ours. */
static bool alias_parse(struct spf_eval *eval, const char *name, struct spf_frame **frame_r, size_t *term_r)
{
	const char *at = name + 1;
	size_t frame = alias_number(&at);
	*term_r = *at == '-' ? (at++, alias_number(&at)) : 0;
	if (frame >= eval->frame_count || strncmp(at, ".x", 2) != 0) {
		return false;
	}
	*frame_r = &eval->frames[frame];
	return *term_r <= (*frame_r)->record.count;
}

static bool count_term(struct spf_eval *eval)
{
	eval->term_is_void = false;
	if (++eval->terms > SPF_LOOKUPS_MAX) {
		spf_stop(eval, AUTH_PERMERROR, "more than 10 DNS lookups");
	}
	return !eval->stopped;
}

/* It needs no DNS; and where libspf2 gets to see it, it matches. */
static bool term_is_known(const struct spf_term *term)
{
	return term->kind == SPF_TERM_ALL || term->kind == SPF_TERM_IP;
}

/* The record as libspf2 gets it. */
static void rewrite(const struct spf_eval *eval, size_t index, char *text_r)
{
	const struct spf_frame *frame = &eval->frames[index];
	size_t n = (size_t)snprintf(text_r, REWRITTEN_MAX, "v=spf1");
	unsigned lookups = 0;
	for (size_t i = 0; i < frame->record.count && lookups <= SPF_LOOKUPS_MAX; i++) {
		const struct spf_term *term = &frame->record.terms[i];
		bool other = term->kind == SPF_TERM_IP && !ip_network_contains(&term->network, &eval->request->client);
		if (other || spf_never_matches(eval, term->domain)) {
			continue;
		}
		bool include = term->kind == SPF_TERM_INCLUDE;
		n += (size_t)snprintf(text_r + n, REWRITTEN_MAX - n, " %c%s:%c%zu-%zu.x", term->qualifier,
		                      include ? "include" : "exists", include ? 'i' : 'e', index, i);
		if (term_is_known(term)) {
			return;
		}
		lookups++;
	}
	if (frame->record.redirect.data != NULL && !spf_never_matches(eval, frame->record.redirect)) {
		snprintf(text_r + n, REWRITTEN_MAX - n, " redirect=r%zu.x", index);
	} else {
		snprintf(text_r + n, REWRITTEN_MAX - n, " ?exists:e%zu-%zu.x", index, frame->record.count);
	}
}

/* Does the term that libspf2 asks for match? */
static bool answer_term(struct spf_eval *eval, struct spf_frame *frame, size_t index)
{
	if (index == frame->record.count) {
		frame->last = eval->leaf = NULL;
		return true;
	}
	frame->last = eval->leaf = &frame->record.terms[index];
	return (term_is_known(frame->last) || count_term(eval)) && spf_match(eval, frame, frame->last);
}

static SPF_dns_rr_t *dns_lookup(SPF_dns_server_t *server, const char *name, ns_type type, int should_cache)
{
	(void)should_cache;
	struct spf_eval *eval = server->hook;
	struct spf_frame *frame;
	size_t term;
	bool match = false;
	if (!eval->stopped && !eval->pending && type == ns_t_a && name[0] == 'e' &&
	    alias_parse(eval, name, &frame, &term)) {
		match = answer_term(eval, frame, term);
	}
	int error = eval->stopped || eval->pending ? TRY_AGAIN : match ? NETDB_SUCCESS : HOST_NOT_FOUND;
	SPF_dns_rr_t *rr = SPF_dns_rr_new_init(server, name, type, 0, error);
	if (rr != NULL && match && error == NETDB_SUCCESS &&
	    SPF_dns_rr_buf_realloc(rr, 0, sizeof *rr->rr[0]) == SPF_E_SUCCESS) {
		rr->rr[0]->a.s_addr = htonl(INADDR_LOOPBACK + 1);
		rr->num_rr = 1;
	}
	return rr;
}

/* The record of frame->domain into frame->record. */
static bool frame_load(struct spf_eval *eval, struct spf_frame *frame, const char *what)
{
	struct slice text = {NULL, 0};
	const char *problem;
	const struct dns_answer *answer = spf_ask(eval, frame->domain, DNS_TYPE_TXT, false);
	if (answer == NULL) {
		return false;
	}
	const char *name = text_escape(eval->arena, slice_from(frame->domain), "", false, 80);
	const char *prefix = what == NULL ? "" : arena_printf(eval->arena, "%s%s: ", what, name);
	if (answer->status == DNS_TEMPORARY) {
		spf_stop(eval, AUTH_TEMPERROR, arena_printf(eval->arena, "DNS: %s TXT: %s", name, answer->problem));
		return false;
	}
	/* 4.3: check_host() is for names of more than one label. */
	size_t found = domain_labels(frame->domain) > 1 ? spf_select(answer, &text) : 0;
	if (found != 1) {
		bool none = found == 0 && what == NULL;
		spf_stop(eval, none ? AUTH_NONE : AUTH_PERMERROR,
		         arena_printf(eval->arena, "%s%s", prefix, found == 0 ? "no SPF record" : "more than one SPF record"));
		return false;
	}
	if (!spf_record_parse(eval->arena, text, &frame->record, &problem)) {
		spf_stop(eval, AUTH_PERMERROR, arena_printf(eval->arena, "%s%s", prefix, problem));
		return false;
	}
	return true;
}

/* A frame for the record that libspf2 asks for: the first, an include's, a redirect's. */
static struct spf_frame *frame_open(struct spf_eval *eval, const char *alias)
{
	struct spf_frame *from;
	size_t term;
	struct spf_frame next = {.domain = eval->frames[0].domain};
	const char *what = NULL;
	if (eval->frame_count > 0) {
		if (!alias_parse(eval, alias, &from, &term) || !count_term(eval)) {
			return NULL;
		}
		bool include = alias[0] == 'i';
		if (include) {
			from->last = &from->record.terms[term];
		}
		next.domain = spf_target(eval, from, include ? from->last->domain : from->record.redirect);
		next.depth = from->depth + include;
		what = include ? "include:" : "redirect=";
	}
	if (next.domain == NULL || eval->frame_count == SPF_FRAMES_MAX || !frame_load(eval, &next, what)) {
		return NULL;
	}
	eval->frames[eval->frame_count] = next;
	return &eval->frames[eval->frame_count++];
}

static SPF_errcode_t dns_get_spf(SPF_server_t *server, SPF_request_t *request, SPF_response_t *response,
                                 SPF_record_t **record_r)
{
	struct spf_eval *eval = server->resolver->hook;
	char text[REWRITTEN_MAX];
	if (eval->stopped || eval->pending) {
		return SPF_E_DNS_ERROR;
	}
	struct spf_frame *frame = frame_open(eval, request->cur_dom);
	if (frame == NULL) {
		return SPF_E_DNS_ERROR;
	}
	unsigned budget = eval->terms > SPF_LOOKUPS_MAX ? 0 : SPF_LOOKUPS_MAX - eval->terms;
	spf_look_ahead(eval, frame, &budget, 0);
	rewrite(eval, eval->frame_count - 1, text);
	return SPF_record_compile(server, response, record_r, text);
}

/* The explanation is our own affair. */
static SPF_errcode_t dns_get_exp(SPF_server_t *server, const char *domain, char **buffer, size_t *size)
{
	(void)server, (void)domain, (void)buffer, (void)size;
	return SPF_E_NOT_SPF;
}

static SPF_dns_server_t *dns_create(struct spf_eval *eval, SPF_dns_server_t *dns)
{
	*dns = (SPF_dns_server_t){
	    .lookup = dns_lookup, .get_spf = dns_get_spf, .get_exp = dns_get_exp, .name = "mailreeve", .hook = eval};
	return dns;
}

static enum auth_result result_from(SPF_result_t result)
{
	switch (result) {
	case SPF_RESULT_PASS:
		return AUTH_PASS;
	case SPF_RESULT_FAIL:
		return AUTH_FAIL;
	case SPF_RESULT_SOFTFAIL:
		return AUTH_SOFTFAIL;
	case SPF_RESULT_NEUTRAL:
		return AUTH_NEUTRAL;
	case SPF_RESULT_NONE:
		return AUTH_NONE;
	case SPF_RESULT_TEMPERROR:
		return AUTH_TEMPERROR;
	case SPF_RESULT_PERMERROR:
	case SPF_RESULT_INVALID:
		break;
	}
	return AUTH_PERMERROR;
}

/* One run of libspf2. What it says counts only where nothing on our side ended the run. */
static void run_library(struct spf_eval *eval)
{
	SPF_dns_server_t dns;
	SPF_response_t *response = NULL;
	SPF_response_t *unused = NULL;
	SPF_server_t *server = SPF_server_new_dns(dns_create(eval, &dns), 0);
	SPF_request_t *request = server == NULL ? NULL : SPF_request_new(server);
	if (request == NULL) {
		abort();
	}
	SPF_server_set_explanation(server, "none", &unused);
	SPF_server_set_rec_dom(server, "receiver.x");
	SPF_request_set_ipv4_str(request, "192.0.2.1");
	SPF_request_set_helo_dom(request, "top.x");
	SPF_request_set_env_from(request, "sender@top.x");
	SPF_request_query_mailfrom(request, &response);
	if (response != NULL) {
		SPF_result_t result = SPF_response_result(response);
		spf_stop(eval, result_from(result), result == SPF_RESULT_PERMERROR ? "the record cannot be evaluated" : NULL);
		SPF_response_free(response);
	}
	spf_stop(eval, AUTH_PERMERROR, "the record cannot be evaluated");
	if (unused != NULL) {
		SPF_response_free(unused);
	}
	SPF_request_free(request);
	SPF_server_free(server);
}

/* The frame that gave the result: the last of the chain of redirects. */
static struct spf_frame *final_frame(struct spf_eval *eval)
{
	struct spf_frame *frame = NULL;
	for (size_t i = 0; i < eval->frame_count; i++) {
		if (eval->frames[i].depth == 0) {
			frame = &eval->frames[i];
		}
	}
	return frame;
}

/* The term that matched, as published; NULL when none did. A run that nothing stopped ends where a term matches. */
static const char *matched_term(struct spf_eval *eval, struct arena *arena)
{
	const struct spf_frame *frame = final_frame(eval);
	return frame == NULL || frame->last == NULL ? NULL : text_escape(arena, frame->last->text, "", false, TERM_MAX);
}

/* A run that nothing stopped ends where a term matches, be it within an include. */
static const char *open_term(const struct spf_eval *eval, struct arena *arena)
{
	bool open =
	    eval->result == AUTH_PASS && eval->leaf != NULL && spf_term_is_open(eval->leaf, eval->request->client.family);
	return open ? text_escape(arena, eval->leaf->text, "", false, TERM_MAX) : NULL;
}

/* 6.2: the expanded text, or NULL where there is none that can be shown. False while pending. */
static bool explain(struct spf_eval *eval, const char **text_r)
{
	const struct spf_frame *frame = final_frame(eval);
	*text_r = NULL;
	if (frame == NULL || frame->record.exp.data == NULL || spf_never_matches(eval, frame->record.exp)) {
		return true;
	}
	const char *name = spf_target(eval, frame, frame->record.exp);
	const struct dns_answer *answer = name == NULL ? NULL : lookups_get(eval->lookups, name, DNS_TYPE_TXT);
	if (name != NULL && answer == NULL) {
		eval->pending = true;
	}
	if (answer == NULL || answer->count != 1) {
		return !eval->pending;
	}
	struct slice text = answer->records[0].data;
	if (spf_macro_uses(text, 'p') && !spf_set_validated(eval, frame)) {
		return false;
	}
	eval->values.domain = frame->domain;
	const char *expanded = spf_macro_expand(eval->arena, text, &eval->values, SPF_MACRO_EXP);
	if (expanded == NULL || expanded[0] == '\0' || strlen(expanded) > EXPLANATION_MAX) {
		return true;
	}
	for (const char *c = expanded; *c != '\0'; c++) {
		if (*c < ' ' || *c > '~') {
			return true;
		}
	}
	*text_r = expanded;
	return true;
}

/* 4.3: a domain name of more than one label. */
static const char *initial_domain(struct arena *arena, const char *text)
{
	const char *domain = domain_canonical(arena, slice_from(text));
	return domain != NULL && domain_labels(domain) > 1 ? domain : NULL;
}

static void set_sender(const struct spf_request *request, struct arena *arena, struct spf_eval *eval,
                       struct spf_verdict *verdict)
{
	const char *from = request->mail_from;
	const char *at = strrchr(from, '@');
	bool helo = request->scope == SPF_SCOPE_HELO || from[0] == '\0';
	const char *domain = initial_domain(arena, helo ? request->helo : at == NULL ? from : at + 1);
	verdict->scope = helo ? SPF_SCOPE_HELO : SPF_SCOPE_MFROM;
	verdict->domain = domain == NULL ? "" : domain;
	eval->values.local =
	    helo || at == NULL || at == from ? "postmaster" : arena_memdup(eval->arena, from, (size_t)(at - from));
	eval->values.sender_domain = eval->frames[0].domain = domain;
	eval->utf8_local = !slice_is_ascii(slice_from(eval->values.local));
	/* Only where it has U-labels: %{h} is otherwise what the client said, as it said it. */
	const char *name =
	    slice_is_ascii(slice_from(request->helo)) ? NULL : domain_canonical(arena, slice_from(request->helo));
	eval->values.helo = name == NULL ? request->helo : name;
}

/* True when the run has come to its end. */
static bool check(struct spf_eval *eval, struct arena *arena, struct spf_verdict *verdict)
{
	const char *explanation = NULL;
	run_library(eval);
	if (eval->pending || (eval->result == AUTH_FAIL && !explain(eval, &explanation))) {
		return false;
	}
	verdict->result = eval->result;
	verdict->lookups = eval->terms;
	verdict->void_lookups = eval->voids;
	verdict->explanation = explanation == NULL ? NULL : arena_strdup(arena, explanation);
	verdict->problem = eval->problem == NULL ? NULL : arena_strdup(arena, eval->problem);
	verdict->mechanism = eval->problem == NULL ? matched_term(eval, arena) : NULL;
	verdict->pass_all = open_term(eval, arena);
	verdict->ptr = eval->ptr;
	return true;
}

bool spf_check(const struct spf_request *request, struct lookups *lookups, struct arena *arena,
               struct spf_verdict *verdict_r)
{
	struct spf_eval eval = {
	    .request = request,
	    .lookups = lookups,
	    .arena = arena_create(ARENA_CHUNK),
	    .values = {.client = request->client, .receiver = request->receiver, .now = request->now},
	};
	*verdict_r = (struct spf_verdict){.result = AUTH_NONE, .domain = ""};
	set_sender(request, arena, &eval, verdict_r);
	bool done = true;
	if (eval.frames[0].domain == NULL || request->client.family == IP_UNKNOWN) {
		verdict_r->problem =
		    eval.frames[0].domain == NULL ? "no domain name to check" : "the client's address is not known";
	} else {
		done = check(&eval, arena, verdict_r);
	}
	arena_destroy(eval.arena);
	return done;
}
