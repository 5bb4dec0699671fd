/* HELO and PTR: how the domain's server introduces itself (RFC 5321 4.1.1.1, RFC 8601 2.7.3). */
#include "lib/audit/audit_private.h"
#include "lib/auth/generic_name.h"
#include "lib/auth/helo.h"
#include "lib/auth/iprev.h"

static void check_form(struct audit_run *run, const struct helo *helo)
{
	const char *text = audit_safe(run, slice_from(run->request->helo));
	switch (helo->form) {
	case HELO_NAME:
		break;
	case HELO_UNQUALIFIED:
		audit_find(run, "helo.unqualified", NULL, "\"%s\"", text);
		break;
	case HELO_UNDERSCORE:
		audit_find(run, "helo.underscore", NULL, "\"%s\"", text);
		break;
	case HELO_LITERAL:
		audit_find(run, "helo.literal", NULL, "\"%s\"", text);
		break;
	case HELO_BARE_ADDRESS:
	case HELO_MALFORMED:
		audit_find(run, "helo.malformed", NULL, "\"%s\"", text);
		break;
	}
}

static const char *address_record(struct audit_run *run, const char *name)
{
	char text[IP_TEXT_SIZE];
	const struct ip *ip = &run->request->ip;
	if (ip->family == IP_UNKNOWN) {
		return NULL;
	}
	ip_format(ip, text);
	return arena_printf(run->arena, "%s. 3600 IN %s %s", name, ip->family == IP_V4 ? "A" : "AAAA", text);
}

/* Is the address of --ip among those of the name? Without one: has it any? */
static void check_name(struct audit_run *run, const char *name)
{
	struct ip addresses[2 * AUDIT_ADDRESSES_MAX];
	size_t count;
	bool secure;
	const struct ip *ip = &run->request->ip;
	struct slice spf;
	if (!audit_addresses(run, "helo.dns", name, addresses, &count, &secure)) {
		return;
	}
	if (count == 0) {
		audit_find(run, "helo.unresolved", address_record(run, name), "%s has no address", name);
		return;
	}
	bool leads = ip->family == IP_UNKNOWN;
	for (size_t i = 0; i < count; i++) {
		leads = leads || ip_equal(&addresses[i], ip);
	}
	if (!leads) {
		char text[IP_TEXT_SIZE];
		ip_format(&addresses[0], text);
		audit_find(run, "helo.elsewhere", address_record(run, name), "%s has the address %s", name, text);
	}
	const struct dns_answer *txt = audit_ask(run, "helo.dns", name, DNS_TYPE_TXT);
	size_t found = 0;
	for (size_t i = 0; txt != NULL && i < txt->count; i++) {
		spf = txt->records[i].data;
		found += slice_starts_nocase(spf, SLICE_LITERAL("v=spf1"));
	}
	if (txt != NULL && found == 0) {
		audit_find(run, "helo.no_spf", audit_txt_record(run, name, "v=spf1 a -all"), "%s", name);
	}
}

static const char *ptr_record(struct audit_run *run, const char *name)
{
	char reverse[IP_REVERSE_SIZE];
	ip_reverse_name(&run->request->ip, NULL, reverse, sizeof reverse);
	return arena_printf(run->arena, "%s. 3600 IN PTR %s.", reverse, name);
}

static void check_ptr(struct audit_run *run, const char *helo)
{
	struct iprev_request request = {.client = run->request->ip, .hint = ""};
	struct iprev_verdict verdict;
	const char *name = helo != NULL ? helo : arena_printf(run->arena, "mail.%s", run->domain);
	if (!iprev_check(&request, run->lookups, run->arena, &verdict)) {
		run->pending = true;
		return;
	}
	if (verdict.result == AUTH_TEMPERROR) {
		audit_find(run, "helo.dns", NULL, "%s", verdict.problem);
	} else if (verdict.result == AUTH_PERMERROR) {
		audit_find(run, "helo.no_ptr", ptr_record(run, name), "%s", verdict.problem);
	} else if (verdict.result == AUTH_FAIL) {
		audit_find(run, "helo.ptr_unconfirmed", verdict.name[0] == '\0' ? NULL : address_record(run, verdict.name), "%s",
		           verdict.problem);
	} else {
		bool same = helo == NULL;
		for (size_t i = 0; i < verdict.name_count; i++) {
			same = same || strcmp(verdict.names[i], helo) == 0;
		}
		audit_line(run, AUDIT_HELO, "the address has the name %s, which leads back", verdict.name);
		const char *generic = generic_name(verdict.name, &run->request->ip);
		if (generic != NULL) {
			audit_find(run, "helo.generic", ptr_record(run, name), "%s: %s", verdict.name, generic);
		} else if (!same) {
			audit_find(run, "helo.ptr_differs", ptr_record(run, helo), "%s, but HELO is %s", verdict.name, helo);
		}
	}
	if (verdict.name_count > 1) {
		audit_find(run, "helo.ptr_many", NULL, "%zu names", verdict.name_count);
	}
}

void audit_helo(struct audit_run *run)
{
	const struct audit_request *request = run->request;
	struct helo helo = {.name = NULL};
	if (request->helo == NULL && request->ip.family == IP_UNKNOWN) {
		audit_skip(run, AUDIT_HELO, "neither --helo nor --ip was given");
		return;
	}
	if (request->helo != NULL) {
		helo_parse(run->arena, request->helo, &helo);
		check_form(run, &helo);
		audit_line(run, AUDIT_HELO, "the server calls itself %s", audit_safe(run, slice_from(request->helo)));
	}
	if (helo.name != NULL) {
		check_name(run, helo.name);
	}
	if (request->ip.family == IP_UNKNOWN) {
		return;
	}
	if (ip_is_private(&request->ip)) {
		audit_find(run, "helo.private_ip", NULL, "--ip is an address of private use");
		return;
	}
	check_ptr(run, helo.name);
}
