/* audit_contact: what the mail servers and the policy's host of a domain answer. It blocks, within hard bounds of time and
 * size; nothing of it is done by audit_run(). Certificates are read by OpenSSL alone. */
#ifndef MAILREEVE_AUDIT_AUDIT_CONTACT_H
#define MAILREEVE_AUDIT_AUDIT_CONTACT_H

#include "lib/audit/audit.h"

enum {
	AUDIT_CONTACT_HOST_S = 10,      /* for one server, and for the policy */
	AUDIT_CONTACT_ALL_S = 90,       /* for all of them; later ones are not asked */
	AUDIT_POLICY_MAX = 64 * 1024,   /* bytes (RFC 8461 3.3) */
	AUDIT_CHAIN_MAX = 10            /* certificates of a chain */
};

struct audit_contact_settings {
	const char *helo;    /* what we call ourselves */
	const char *ca_file; /* authorities besides the system's; NULL: none */
	unsigned smtp_port, https_port;
	bool private_allowed; /* connect to addresses of private use */
	uint64_t now;         /* epoch seconds by which certificates are judged */
};

enum audit_server_state {
	AUDIT_SERVER_NOT_ASKED, /* no public address, or no time left */
	AUDIT_SERVER_SILENT,    /* no connection, or no greeting: problem */
	AUDIT_SERVER_REFUSES,   /* a greeting or an answer to EHLO other than 2xx: problem */
	AUDIT_SERVER_PLAIN,     /* offers no STARTTLS */
	AUDIT_SERVER_TLS_FAILED,
	AUDIT_SERVER_TLS
};

enum audit_match { AUDIT_TLSA_NONE, AUDIT_TLSA_MATCHES, AUDIT_TLSA_DIFFERS };

struct audit_server {
	enum audit_server_state state;
	const char *address; /* that answered, or was tried last */
	const char *problem; /* escaped */
	const char *version, *cipher;
	bool old_version;   /* less than TLS 1.2 */
	bool accepts_old;   /* speaks TLS 1.0 or 1.1 where asked to */
	bool expired, not_yet, trusted, name_matches, weak_key, weak_signature;
	int64_t days_left;
	const char *subject, *issuer, *names; /* escaped */
	const char *key;          /* "RSA 2048" */
	const char *trust_problem;
	const char *tlsa_record;  /* rdata of "3 1 1" for this certificate */
	enum audit_match tlsa;
};

enum audit_policy_state {
	AUDIT_POLICY_NOT_ASKED,
	AUDIT_POLICY_UNREACHABLE,
	AUDIT_POLICY_CERTIFICATE,
	AUDIT_POLICY_STATUS,
	AUDIT_POLICY_TOO_LONG,
	AUDIT_POLICY_FETCHED
};

struct audit_contact {
	size_t host_count; /* parallel to audit.hosts */
	struct audit_server servers[AUDIT_MX_MAX];
	enum audit_policy_state policy_state;
	const char *policy_problem; /* escaped */
	long policy_status;
	bool policy_is_text;
	struct slice policy;
};

/* Asks what the audit names. Memory from arena. */
void audit_contact_make(const struct audit *audit, const struct audit_contact_settings *settings, struct arena *arena,
                        struct audit_contact *contact_r);

/* The two parts of it. deadline: of clock_now(). */
void audit_smtp_probe(const struct audit_host *host, const struct audit_contact_settings *settings, uint64_t deadline,
                      struct arena *arena, struct audit_server *server_r);
void audit_policy_fetch(const struct audit *audit, const struct audit_contact_settings *settings, struct arena *arena,
                        struct audit_contact *contact);

#endif
