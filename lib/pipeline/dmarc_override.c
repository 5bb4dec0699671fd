#include "lib/pipeline/dmarc_override.h"

#include "lib/mail/domain.h"
#include "lib/mail/list_id.h"

typedef enum override_answer rule_check(const struct override_request *request, struct arena *arena,
                                        const char **comment_r);

/* The entry that the name is, or is below; NULL when there is none. */
static const char *entry_of(const char *const *entries, const char *name)
{
	for (; *entries != NULL; entries++) {
		if (domain_is_below(name, *entries)) {
			return *entries;
		}
	}
	return NULL;
}

/* The first of the d= domains that lies in the entry, or NULL. */
static const char *signer_in(struct arena *arena, const char *const *domains, const char *entry)
{
	for (; domains != NULL && *domains != NULL; domains++) {
		const char *domain = domain_canonical(arena, slice_from(*domains));
		if (domain != NULL && domain_is_below(domain, entry)) {
			return domain;
		}
	}
	return NULL;
}

/* Did SPF or DKIM pass for the entry or a name below it? */
static enum override_answer authenticated(const struct override_request *request, struct arena *arena,
                                          const char *entry, const char **how_r)
{
	const struct spf_verdict *spf = request->dmarc->spf;
	const char *sender = spf != NULL && domain_is_below(spf->domain, entry) ? spf->domain : NULL;
	if (sender != NULL && spf->result == AUTH_PASS) {
		*how_r = arena_printf(arena, "SPF pass for %s", sender);
		return OVERRIDE_FOUND;
	}
	const char *signer = signer_in(arena, request->dmarc->dkim_pass, entry);
	if (signer != NULL) {
		*how_r = arena_printf(arena, "DKIM pass for %s", signer);
		return OVERRIDE_FOUND;
	}
	signer = signer_in(arena, request->dmarc->dkim_temporary_domains, entry);
	if (signer != NULL || (sender != NULL && spf->result == AUTH_TEMPERROR)) {
		*how_r = arena_printf(arena, "%s for %s", signer != NULL ? "DKIM temperror" : "SPF temperror",
		                      signer != NULL ? signer : sender);
		return OVERRIDE_UNDECIDED;
	}
	return OVERRIDE_NONE;
}

static enum override_answer check_forwarder(const struct override_request *request, struct arena *arena,
                                            const char **comment_r)
{
	const struct option_networks *networks = &request->settings->trusted_forwarders;
	char client[IP_TEXT_SIZE];
	for (size_t i = 0; i < networks->count; i++) {
		if (ip_network_contains(&networks->items[i], request->client)) {
			ip_format(request->client, client);
			*comment_r = arena_printf(arena, "trusted_forwarders: client %s", client);
			return OVERRIDE_FOUND;
		}
	}
	return OVERRIDE_NONE;
}

static enum override_answer check_forwarder_domain(const struct override_request *request, struct arena *arena,
                                                   const char **comment_r)
{
	enum override_answer answer = OVERRIDE_NONE;
	for (const char *const *entry = request->settings->trusted_forwarder_domains; *entry != NULL; entry++) {
		const char *how = NULL;
		enum override_answer of_entry = authenticated(request, arena, *entry, &how);
		if (of_entry != OVERRIDE_NONE) {
			answer = of_entry;
			*comment_r = arena_printf(arena, "trusted_forwarder_domains: %s", how);
		}
		if (of_entry == OVERRIDE_FOUND) {
			break;
		}
	}
	return answer;
}

/* Anybody can write a List-Id: the list's own domain must have passed. */
static enum override_answer check_mailing_list(const struct override_request *request, struct arena *arena,
                                               const char **comment_r)
{
	const char *how = NULL;
	const char *list = list_id_domain(arena, request->headers);
	const char *entry = list == NULL ? NULL : entry_of(request->settings->mailing_lists, list);
	enum override_answer answer = entry == NULL ? OVERRIDE_NONE : authenticated(request, arena, entry, &how);
	if (answer != OVERRIDE_NONE) {
		*comment_r = arena_printf(arena, "mailing_lists: List-Id %s, %s", list, how);
	}
	return answer;
}

static enum override_answer check_exempt(const struct override_request *request, struct arena *arena,
                                         const char **comment_r)
{
	const char *entry = entry_of(request->settings->exempt_domains, request->author_domain);
	if (entry == NULL) {
		return OVERRIDE_NONE;
	}
	*comment_r = arena_printf(arena, "exempt_domains: %s", entry);
	return OVERRIDE_FOUND;
}

/* What a trusted sealer's results say about DMARC for this author: OVERRIDE_FOUND only where nothing in them says
 * otherwise. Without a DMARC result SPF or DKIM of the very same domain will do. */
static enum override_answer sealer_saw(const struct arc_set *set, const char *author_domain, const char **what_r)
{
	enum override_answer answer = OVERRIDE_NONE;
	bool dmarc = false;
	for (size_t i = 0; i < set->result_count; i++) {
		const struct arc_result *result = &set->results[i];
		bool good = result->result == AUTH_PASS && strcmp(result->domain, author_domain) == 0;
		if (!good && result->method == ARC_METHOD_DMARC) {
			return OVERRIDE_NONE;
		}
		if (!good) {
			continue;
		}
		dmarc = dmarc || result->method == ARC_METHOD_DMARC;
		*what_r = dmarc ? "dmarc" : result->method == ARC_METHOD_SPF ? "spf" : "dkim";
		answer = OVERRIDE_FOUND;
	}
	return answer;
}

/* The first of the trusted sealers, from the newest down, who saw it pass. A newer one may have seen the failure that an
 * older one's change had brought about: that is what chains are for. */
static enum override_answer check_sealers(const struct override_request *request, struct arena *arena,
                                          const char **comment_r)
{
	const struct arc_verdict *arc = request->arc;
	if (arc->result == AUTH_TEMPERROR && request->arc_trusted > 0) {
		const struct arc_set *newest = &arc->sets[arc->count - 1];
		*comment_r = arena_printf(arena, "arc=temperror as[%u].d=%s", newest->instance, newest->domain);
		return OVERRIDE_UNDECIDED;
	}
	if (arc->result != AUTH_PASS || !arc->from_signed || request->headers->truncated) {
		return OVERRIDE_NONE;
	}
	for (size_t i = arc->count; i > arc->count - request->arc_trusted; i--) {
		const struct arc_set *set = &arc->sets[i - 1];
		const char *what = NULL;
		if (sealer_saw(set, request->author_domain, &what) == OVERRIDE_FOUND) {
			*comment_r = arena_printf(arena, "arc=pass as[%u].d=%s as[%u].s=%s: %s=pass there", set->instance,
			                          set->domain, set->instance, set->selector, what);
			return OVERRIDE_FOUND;
		}
	}
	return OVERRIDE_NONE;
}

/* In the order in which they are asked. */
static const struct {
	enum dmarc_override_type type;
	rule_check *check;
} rules[] = {
    {DMARC_OVERRIDE_TRUSTED_FORWARDER, check_forwarder},
    {DMARC_OVERRIDE_TRUSTED_FORWARDER, check_forwarder_domain},
    {DMARC_OVERRIDE_MAILING_LIST, check_mailing_list},
    {DMARC_OVERRIDE_LOCAL_POLICY, check_sealers},
    {DMARC_OVERRIDE_LOCAL_POLICY, check_exempt},
};

enum override_answer dmarc_override_find(const struct override_request *request, struct arena *arena,
                                         struct dmarc_override *override_r)
{
	enum override_answer answer = OVERRIDE_NONE;
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		const char *comment = NULL;
		enum override_answer of_rule = rules[i].check(request, arena, &comment);
		if (of_rule == OVERRIDE_FOUND || (of_rule == OVERRIDE_UNDECIDED && answer == OVERRIDE_NONE)) {
			answer = of_rule;
			*override_r = (struct dmarc_override){rules[i].type, comment};
		}
		if (of_rule == OVERRIDE_FOUND) {
			break;
		}
	}
	return answer;
}
