/* DANE: TLSA records of the mail servers, and the DNSSEC they need (RFC 7672). */
#include "lib/audit/audit_contact.h"
#include "lib/audit/audit_private.h"
#include "lib/audit/tlsa.h"

enum { DIGITS_SHOWN = 16 };

struct kinds {
	size_t good, full, sha256;
};

static void check_record(struct audit_run *run, const char *host, struct slice rdata, struct kinds *kinds)
{
	struct tlsa tlsa;
	enum tlsa_problem problem = tlsa_parse(rdata, &tlsa);
	const char *text = tlsa_text(run->arena, &tlsa, DIGITS_SHOWN);
	switch (problem) {
	case TLSA_GOOD:
		kinds->good++;
		kinds->full += tlsa.matching == 0;
		kinds->sha256 += tlsa.matching == 1;
		audit_line(run, AUDIT_DANE, "%s: %s", host, text);
		break;
	case TLSA_MALFORMED:
		audit_find(run, "dane.malformed", NULL, "%s: %s", host, text);
		break;
	case TLSA_USAGE:
		audit_find(run, "dane.usage", NULL, "%s: %s", host, text);
		break;
	case TLSA_PARAMETERS:
		audit_find(run, "dane.parameters", NULL, "%s: %s", host, text);
		break;
	}
}

static const struct audit_server *server_of(const struct audit_run *run, size_t i)
{
	const struct audit_contact *contact = run->request->contact;
	return contact == NULL || i >= contact->host_count ? NULL : &contact->servers[i];
}

static void check_server(struct audit_run *run, const struct audit_host *host, const char *name, const struct audit_server *server)
{
	if (server == NULL) {
		return;
	}
	if (server->state == AUDIT_SERVER_PLAIN) {
		audit_find(run, "dane.no_starttls", NULL, "%s", name);
	} else if (server->state == AUDIT_SERVER_TLS && server->tlsa == AUDIT_TLSA_DIFFERS) {
		audit_find(run, "dane.mismatch", arena_printf(run->arena, "_25._tcp.%s. 3600 IN TLSA %s", name, server->tlsa_record),
		           "%s: %s", name, server->subject);
	} else if (server->state == AUDIT_SERVER_TLS && server->tlsa == AUDIT_TLSA_MATCHES) {
		audit_line(run, AUDIT_DANE, "%s (%s): the certificate matches", host->name, server->address);
	}
}

/* Returns whether the host has records. */
static bool check_host(struct audit_run *run, struct audit_host *host, size_t i)
{
	const char *name = audit_safe(run, slice_from(host->name));
	struct kinds kinds = {0};
	if (host->address_count == 0) {
		return false;
	}
	host->tlsa = audit_ask(run, "dane.dns", arena_printf(run->arena, "_25._tcp.%s", host->name), DNS_TYPE_TLSA);
	if (host->tlsa == NULL || host->tlsa->count == 0) {
		return false;
	}
	if (!host->tlsa->secure) {
		audit_find(run, "dane.insecure", NULL, "%s", name);
	} else if (!run->audit->mx_secure) {
		audit_find(run, "dane.mx_insecure", NULL, "%s", name);
	}
	for (size_t k = 0; k < host->tlsa->count; k++) {
		check_record(run, name, host->tlsa->records[k].data, &kinds);
	}
	if (kinds.good == 0) {
		audit_find(run, "dane.unusable", NULL, "%s", name);
	} else if (kinds.full > 0) {
		audit_find(run, "dane.full", NULL, "%s", name);
	} else if (kinds.sha256 == 0) {
		audit_find(run, "dane.sha512", NULL, "%s", name);
	}
	check_server(run, host, name, server_of(run, i));
	return true;
}

static void check_partial(struct audit_run *run, const bool *with)
{
	for (size_t i = 0; i < run->audit->host_count; i++) {
		if (!with[i] && run->audit->hosts[i].tlsa != NULL) {
			audit_find(run, "dane.partial", NULL, "%s", audit_safe(run, slice_from(run->audit->hosts[i].name)));
		}
	}
}

/* Nobody has records: what would be needed. */
static void check_none(struct audit_run *run)
{
	const struct audit_server *server = server_of(run, 0);
	const char *name = audit_safe(run, slice_from(run->audit->hosts[0].name));
	const char *record = server == NULL || server->tlsa_record == NULL
	                         ? NULL
	                         : arena_printf(run->arena, "_25._tcp.%s. 3600 IN TLSA %s", name, server->tlsa_record);
	if (run->audit->mx_secure) {
		audit_find(run, "dane.none", record, "no TLSA record at _25._tcp.%s", name);
	} else {
		audit_find(run, "dane.unsigned", NULL, "%s is not signed with DNSSEC", run->domain);
	}
}

void audit_dane(struct audit_run *run)
{
	struct audit *audit = run->audit;
	bool with[AUDIT_MX_MAX];
	bool any = false;
	if (audit->host_count == 0) {
		audit_skip(run, AUDIT_DANE, "the domain takes no mail");
		return;
	}
	if (!run->request->validates) {
		audit_skip(run, AUDIT_DANE, "answers are not validated: dns.trust_anchor_file is not there");
		return;
	}
	for (size_t i = 0; i < audit->host_count; i++) {
		with[i] = check_host(run, &audit->hosts[i], i);
		any = any || with[i];
	}
	if (run->pending) {
		return;
	}
	if (audit->parts[AUDIT_MX].grade == 'F' && !any) {
		audit_skip(run, AUDIT_DANE, "no mail arrives as it is");
	} else if (any) {
		check_partial(run, with);
	} else {
		check_none(run);
	}
}
