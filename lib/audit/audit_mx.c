/* MX: the servers that take the domain's mail (RFC 5321 5.1, RFC 2181 10.3, RFC 7505). */
#include "lib/audit/audit_contact.h"
#include "lib/audit/audit_private.h"
#include "lib/mail/domain.h"

#include <stdlib.h>

enum { MX_SENSIBLE = 10, NETWORK_V4 = 24, NETWORK_V6 = 48 };

static const char *mx_record(struct audit_run *run, unsigned preference, const char *host)
{
	return arena_printf(run->arena, "%s. 3600 IN MX %u %s.", run->domain, preference, host);
}

static const char *null_record(struct audit_run *run)
{
	return arena_printf(run->arena, "%s. 3600 IN MX 0 .", run->domain);
}

static bool is_host_name(const char *name)
{
	struct slice rest = slice_from(name);
	struct slice label;
	while (slice_split(&rest, '.', &label)) {
		if (label.len == 0 || label.data[0] == '-' || label.data[label.len - 1] == '-') {
			return false;
		}
		for (size_t i = 0; i < label.len; i++) {
			if (!ascii_is_alpha(label.data[i]) && !ascii_is_digit(label.data[i]) && label.data[i] != '-') {
				return false;
			}
		}
	}
	return true;
}

static void check_address(struct audit_run *run, struct audit_host *host)
{
	size_t private = 0;
	for (size_t i = 0; i < host->address_count; i++) {
		private += ip_is_private(&host->addresses[i]);
	}
	host->usable = host->address_count > private || (host->address_count > 0 && run->request->private_allowed);
	if (private > 0 && !run->request->private_allowed) {
		char text[IP_TEXT_SIZE];
		for (size_t i = 0; i < host->address_count; i++) {
			if (ip_is_private(&host->addresses[i])) {
				ip_format(&host->addresses[i], text);
				audit_find(run, "mx.private", NULL, "%s has the address %s", host->name, text);
			}
		}
	}
}

/* Where an exchange leads. */
static void check_host(struct audit_run *run, struct audit_host *host)
{
	struct ip literal;
	bool secure;
	const char *name = host->name;
	if (ip_parse(name, &literal)) {
		audit_find(run, "mx.address", mx_record(run, MX_SENSIBLE, arena_printf(run->arena, "mail.%s", run->domain)),
		           "MX %u %s", host->preference, name);
		return;
	}
	if (strcmp(name, "localhost") == 0 || domain_is_below(name, "localhost") || strncmp(name, "localhost.", 10) == 0) {
		audit_find(run, "mx.localhost", null_record(run), "MX %u %s", host->preference, name);
		return;
	}
	if (!is_host_name(name)) {
		audit_find(run, "mx.bad_name", NULL, "MX %u %s", host->preference, audit_safe(run, slice_from(name)));
	}
	const struct dns_answer *alias = audit_ask(run, "mx.dns", name, DNS_TYPE_CNAME);
	if (alias != NULL && alias->count > 0) {
		const char *target = alias->records[0].data.data;
		audit_find(run, "mx.cname", mx_record(run, host->preference, audit_safe(run, slice_from(target))), "%s is an alias of %s",
		           audit_safe(run, slice_from(name)), audit_safe(run, slice_from(target)));
	}
	if (!audit_addresses(run, "mx.dns", name, host->addresses, &host->address_count, &secure)) {
		host->usable = host->address_count > 0;
		return;
	}
	host->secure = secure && run->audit->mx_secure;
	if (host->address_count == 0) {
		audit_find(run, "mx.unresolved", NULL, "%s has no address", audit_safe(run, slice_from(name)));
	}
	check_address(run, host);
}

static int host_compare(const void *a, const void *b)
{
	const struct audit_host *x = a;
	const struct audit_host *y = b;
	return x->preference != y->preference ? (x->preference < y->preference ? -1 : 1) : strcmp(x->name, y->name);
}

static void add_hosts(struct audit_run *run, const struct dns_answer *mx)
{
	struct audit *audit = run->audit;
	for (size_t i = 0; i < mx->count && audit->host_count < AUDIT_MX_MAX; i++) {
		const char *name = mx->records[i].data.data;
		bool known = false;
		for (size_t k = 0; k < audit->host_count; k++) {
			known = known || strcmp(audit->hosts[k].name, name) == 0;
		}
		if (known) {
			audit_find(run, "mx.duplicate", NULL, "MX %u %s", mx->records[i].preference, audit_safe(run, slice_from(name)));
		} else if (name[0] != '\0') {
			audit->hosts[audit->host_count++] = (struct audit_host){.name = name, .preference = mx->records[i].preference};
		}
	}
	qsort(audit->hosts, audit->host_count, sizeof *audit->hosts, host_compare);
}

static bool share_address(const struct audit_host *a, const struct audit_host *b)
{
	for (size_t i = 0; i < a->address_count; i++) {
		for (size_t k = 0; k < b->address_count; k++) {
			if (ip_equal(&a->addresses[i], &b->addresses[k])) {
				return true;
			}
		}
	}
	return false;
}

/* Do all addresses lie in one network a family? */
static bool one_network(const struct audit *audit)
{
	const struct ip *first[2] = {NULL, NULL};
	for (size_t i = 0; i < audit->host_count; i++) {
		for (size_t k = 0; k < audit->hosts[i].address_count; k++) {
			const struct ip *address = &audit->hosts[i].addresses[k];
			bool four = address->family == IP_V4;
			if (first[four] == NULL) {
				first[four] = address;
			} else if (!ip_prefix_match(first[four], address, four ? NETWORK_V4 : NETWORK_V6)) {
				return false;
			}
		}
	}
	return first[1] != NULL;
}

static bool any_v6(const struct audit *audit)
{
	for (size_t i = 0; i < audit->host_count; i++) {
		for (size_t k = 0; k < audit->hosts[i].address_count; k++) {
			if (audit->hosts[i].addresses[k].family == IP_V6) {
				return true;
			}
		}
	}
	return false;
}

static void check_together(struct audit_run *run)
{
	struct audit *audit = run->audit;
	size_t with_address = 0;
	bool same = false;
	for (size_t i = 0; i < audit->host_count; i++) {
		with_address += audit->hosts[i].address_count > 0;
		for (size_t k = 0; k < i; k++) {
			if (share_address(&audit->hosts[i], &audit->hosts[k])) {
				same = true;
				audit_find(run, "mx.same_address", NULL, "%s and %s", audit_safe(run, slice_from(audit->hosts[k].name)), audit_safe(run, slice_from(audit->hosts[i].name)));
			}
		}
	}
	if (with_address == 0) {
		if (!run->pending && audit->host_count > 1) {
			audit_find(run, "mx.all_unresolved", NULL, "none of %zu mail servers has an address", audit->host_count);
		}
		return;
	}
	if (audit->host_count == 1) {
		audit_find(run, "mx.single", NULL, "%s is the only mail server", audit_safe(run, slice_from(audit->hosts[0].name)));
	} else if (!same && one_network(audit)) {
		audit_find(run, "mx.same_network", NULL, "all %zu mail servers are in one network", audit->host_count);
	}
	if (audit->hosts[0].preference == 0) {
		audit_find(run, "mx.preference_zero", mx_record(run, MX_SENSIBLE, audit_safe(run, slice_from(audit->hosts[0].name))), "the first preference is 0");
	}
	if (!any_v6(audit)) {
		audit_find(run, "mx.no_ipv6", NULL, "no mail server has an IPv6 address");
	}
}

static void check_contact(struct audit_run *run)
{
	const struct audit_contact *contact = run->request->contact;
	size_t asked = 0;
	size_t silent = 0;
	for (size_t i = 0; contact != NULL && i < contact->host_count && i < run->audit->host_count; i++) {
		const struct audit_server *server = &contact->servers[i];
		const char *name = audit_safe(run, slice_from(run->audit->hosts[i].name));
		asked += server->state != AUDIT_SERVER_NOT_ASKED;
		if (server->state == AUDIT_SERVER_SILENT) {
			silent++;
			audit_find(run, "mx.no_answer", NULL, "%s (%s): %s", name, server->address, server->problem);
		} else if (server->state == AUDIT_SERVER_REFUSES) {
			audit_find(run, "mx.refuses", NULL, "%s (%s): %s", name, server->address, server->problem);
		}
	}
	if (asked > 1 && silent == asked) {
		audit_find(run, "mx.all_silent", NULL, "none of %zu mail servers answers", asked);
	}
}

static void tell_hosts(struct audit_run *run)
{
	for (size_t i = 0; i < run->audit->host_count; i++) {
		const struct audit_host *host = &run->audit->hosts[i];
		struct strbuf line;
		strbuf_init(&line, run->arena);
		strbuf_printf(&line, "%u %s", host->preference, audit_safe(run, slice_from(host->name)));
		for (size_t k = 0; k < host->address_count; k++) {
			char text[IP_TEXT_SIZE];
			ip_format(&host->addresses[k], text);
			strbuf_printf(&line, "%s%s", k == 0 ? ": " : ", ", text);
		}
		audit_line(run, AUDIT_MX, "%s", line.data);
	}
}

/* No MX record at all. */
static void check_none(struct audit_run *run, const struct dns_answer *mx)
{
	struct audit *audit = run->audit;
	struct audit_host *host = &audit->hosts[0];
	bool secure;
	if (mx->status == DNS_NXDOMAIN) {
		run->audit->no_domain = true;
		audit_find(run, "mx.no_domain", NULL, "%s does not exist", run->domain);
		return;
	}
	*host = (struct audit_host){.name = run->domain};
	if (!audit_addresses(run, "mx.dns", run->domain, host->addresses, &host->address_count, &secure)) {
		return;
	}
	if (host->address_count == 0) {
		audit_find(run, "mx.missing", null_record(run), "neither MX nor address");
		return;
	}
	audit->host_count = 1;
	host->secure = secure && audit->mx_secure;
	audit_find(run, "mx.implicit", mx_record(run, MX_SENSIBLE, run->domain), "no MX record, but an address");
	check_address(run, host);
	tell_hosts(run);
	check_contact(run);
}

static void check_null(struct audit_run *run, const struct dns_answer *mx)
{
	if (mx->count > 1) {
		audit_find(run, "mx.null_not_alone", NULL, "a null MX beside %zu others", mx->count - 1);
		return;
	}
	run->audit->null_mx = true;
	audit_line(run, AUDIT_MX, "null MX: the domain takes no mail");
	if (mx->records[0].preference != 0) {
		audit_find(run, "mx.null_preference", null_record(run), "MX %u .", mx->records[0].preference);
	}
}

void audit_mx(struct audit_run *run)
{
	struct audit *audit = run->audit;
	const struct dns_answer *mx = audit_ask(run, "mx.dns", run->domain, DNS_TYPE_MX);
	bool null = false;
	if (mx == NULL) {
		return;
	}
	audit->mx_secure = mx->secure;
	if (mx->count == 0) {
		check_none(run, mx);
		return;
	}
	for (size_t i = 0; i < mx->count; i++) {
		null = null || mx->records[i].data.len == 0;
	}
	if (null) {
		check_null(run, mx);
	}
	if (audit->null_mx) {
		return;
	}
	add_hosts(run, mx);
	for (size_t i = 0; i < audit->host_count; i++) {
		check_host(run, &audit->hosts[i]);
	}
	if (mx->count > 10) {
		audit_find(run, "mx.many", NULL, "%zu MX records", mx->count);
	}
	check_together(run);
	tell_hosts(run);
	check_contact(run);
}
