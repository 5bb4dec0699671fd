/* STARTTLS: what each mail server answered (RFC 3207, RFC 8996, RFC 9325). */
#include "lib/audit/audit_contact.h"
#include "lib/audit/audit_private.h"

enum { DAYS_SOON = 14 };

static void check_certificate(struct audit_run *run, const char *name, const struct audit_server *server)
{
	audit_line(run, AUDIT_STARTTLS, "%s (%s): %s, %s, %s", name, server->address, server->version, server->cipher, server->key);
	audit_line(run, AUDIT_STARTTLS, "  certificate: %s, by %s, for %s, %lld days left", server->subject, server->issuer,
	           server->names, (long long)server->days_left);
	if (server->expired) {
		audit_find(run, "starttls.expired", NULL, "%s: %lld days ago", name, -(long long)server->days_left);
	} else if (server->not_yet) {
		audit_find(run, "starttls.not_yet", NULL, "%s", name);
	} else if (server->days_left < DAYS_SOON) {
		audit_find(run, "starttls.expires_soon", NULL, "%s: in %lld days", name, (long long)server->days_left);
	}
	if (!server->name_matches && server->tlsa != AUDIT_TLSA_MATCHES) {
		audit_find(run, "starttls.wrong_name", NULL, "%s: %s", name, server->names);
	}
	if (!server->trusted && server->tlsa != AUDIT_TLSA_MATCHES) {
		audit_find(run, "starttls.untrusted", NULL, "%s: %s", name, server->trust_problem);
	}
	if (server->weak_key) {
		audit_find(run, "starttls.weak_key", NULL, "%s: %s", name, server->key);
	}
	if (server->weak_signature) {
		audit_find(run, "starttls.weak_signature", NULL, "%s", name);
	}
	if (server->old_version) {
		audit_find(run, "starttls.old_only", NULL, "%s: %s", name, server->version);
	} else if (server->accepts_old) {
		audit_find(run, "starttls.accepts_old", NULL, "%s", name);
	}
}

static void check_server(struct audit_run *run, const char *name, const struct audit_server *server)
{
	switch (server->state) {
	case AUDIT_SERVER_NOT_ASKED:
		audit_line(run, AUDIT_STARTTLS, "%s: not asked", name);
		break;
	case AUDIT_SERVER_SILENT:
	case AUDIT_SERVER_REFUSES:
		break; /* told under MX */
	case AUDIT_SERVER_PLAIN:
		audit_find(run, "starttls.missing", NULL, "%s (%s)", name, server->address);
		break;
	case AUDIT_SERVER_TLS_FAILED:
		audit_find(run, "starttls.failed", NULL, "%s (%s): %s", name, server->address, server->problem);
		break;
	case AUDIT_SERVER_TLS:
		check_certificate(run, name, server);
		break;
	}
}

void audit_starttls(struct audit_run *run)
{
	const struct audit_contact *contact = run->request->contact;
	bool answered = false;
	if (run->audit->host_count == 0) {
		audit_skip(run, AUDIT_STARTTLS, "the domain takes no mail");
		return;
	}
	for (size_t i = 0; contact != NULL && i < contact->host_count && i < run->audit->host_count; i++) {
		answered = answered || contact->servers[i].state > AUDIT_SERVER_REFUSES;
		check_server(run, audit_safe(run, slice_from(run->audit->hosts[i].name)), &contact->servers[i]);
	}
	if (!answered) {
		audit_skip(run, AUDIT_STARTTLS, contact == NULL ? "nothing was connected to" : "no server answered");
	}
}
