#include "lib/auth/iprev.h"

static enum dns_type forward_type(const struct ip *client)
{
	return client->family == IP_V4 ? DNS_TYPE_A : DNS_TYPE_AAAA;
}

static bool leads_to(const struct dns_answer *answer, const struct ip *client)
{
	for (size_t i = 0; i < answer->count; i++) {
		if (ip_equal(&answer->records[i].address, client)) {
			return true;
		}
	}
	return false;
}

/* A name that can be asked for: letters, digits and what hosts use besides. What else stands in a PTR is the client's
 * own mischief. */
static bool is_name(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];
		if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-' && c != '_' && c != '.') {
			return false;
		}
	}
	return text.len > 0;
}

/* NULL: none, with the reason in verdict_r. */
static const char **iprev_names(const struct iprev_request *request, const struct dns_answer *ptr, struct arena *arena,
                                struct iprev_verdict *verdict_r)
{
	const char **names = arena_alloc(arena, IPREV_MAX_NAMES * sizeof *names);
	size_t count = 0;
	for (size_t i = 0; i < ptr->count && count < IPREV_MAX_NAMES; i++) {
		if (is_name(ptr->records[i].data)) {
			names[count++] = slice_dup(arena, ptr->records[i].data);
		}
	}
	struct slice hint = slice_from(request->hint);
	if (count == 0 && is_name(hint)) {
		hint.len -= hint.data[hint.len - 1] == '.';
		names[count++] = slice_dup_lower(arena, hint);
	}
	verdict_r->names = names;
	verdict_r->name_count = count;
	return count > 0 ? names : NULL;
}

/* Nothing to lead back from. */
static void iprev_nameless(const struct dns_answer *ptr, struct arena *arena, struct iprev_verdict *verdict_r)
{
	switch (ptr->status) {
	case DNS_TEMPORARY:
		verdict_r->result = AUTH_TEMPERROR;
		verdict_r->problem = arena_printf(arena, "the address could not be looked up: %s", ptr->problem);
		return;
	case DNS_FOUND:
		verdict_r->result = AUTH_FAIL;
		verdict_r->problem = "the address has a PTR record that is no name";
		return;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		verdict_r->result = AUTH_PERMERROR;
		verdict_r->problem = "the address has no PTR record";
		return;
	}
}

/* All names are asked for at once. False: one that may decide is pending. */
static bool iprev_forward(const struct iprev_request *request, struct lookups *lookups, struct arena *arena,
                          struct iprev_verdict *verdict_r)
{
	const struct dns_answer *sick = NULL;
	bool pending = false;
	for (size_t i = 0; i < verdict_r->name_count; i++) {
		const struct dns_answer *answer = lookups_get(lookups, verdict_r->names[i], forward_type(&request->client));
		if (answer == NULL) {
			pending = true;
		} else if (answer->status == DNS_TEMPORARY) {
			sick = answer;
		} else if (leads_to(answer, &request->client)) {
			verdict_r->result = AUTH_PASS;
			verdict_r->name = verdict_r->names[i];
			return true;
		}
	}
	verdict_r->name = verdict_r->names[0];
	verdict_r->result = sick != NULL ? AUTH_TEMPERROR : AUTH_FAIL;
	verdict_r->problem = sick != NULL
	                         ? arena_printf(arena, "a name of the address could not be looked up: %s", sick->problem)
	                         : arena_printf(arena, "%s does not lead back to the address", verdict_r->name);
	return !pending;
}

bool iprev_check(const struct iprev_request *request, struct lookups *lookups, struct arena *arena,
                 struct iprev_verdict *verdict_r)
{
	char reverse[IP_REVERSE_SIZE];
	*verdict_r = (struct iprev_verdict){.result = AUTH_PERMERROR, .name = ""};
	if (request->verified) {
		const char **name = arena_alloc(arena, sizeof *name);
		*name = slice_dup_lower(arena, slice_from(request->hint));
		*verdict_r = (struct iprev_verdict){.result = AUTH_PASS, .name = *name, .names = name, .name_count = 1};
		return true;
	}
	if (!ip_reverse_name(&request->client, NULL, reverse, sizeof reverse)) {
		verdict_r->problem = "the client's address is not known";
		return true;
	}
	const struct dns_answer *ptr = lookups_get(lookups, reverse, DNS_TYPE_PTR);
	if (ptr == NULL) {
		return false;
	}
	if (iprev_names(request, ptr, arena, verdict_r) == NULL) {
		iprev_nameless(ptr, arena, verdict_r);
		return true;
	}
	return iprev_forward(request, lookups, arena, verdict_r);
}
