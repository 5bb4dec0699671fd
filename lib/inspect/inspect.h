/* inspect: what the daemon asks of a worker about one message, and what it is told. The bytes on the socket are
 * lib/inspect/wire.[ch]; the daemon's side is lib/inspect/pool.[ch]; the worker's side is inspect/worker.c. */
#ifndef MAILREEVE_INSPECT_INSPECT_H
#define MAILREEVE_INSPECT_INSPECT_H

#include "lib/auth/arc.h"
#include "lib/auth/canon.h"
#include "lib/auth/dkim_keys.h"
#include "lib/mail/authres.h"

#include <stdbool.h>
#include <stdint.h>

enum inspect_task {
	INSPECT_DKIM = 1U << 0,
	INSPECT_VIRUS = 1U << 1,
	INSPECT_ARC = 1U << 2,
	INSPECT_BODY = 1U << 3, /* the hash of the body, for a seal */
	INSPECT_ALL = (1U << 4) - 1
};

struct inspect_request {
	unsigned tasks;               /* enum inspect_task */
	int message_fd;               /* sealed memfd or read-only file; stays the caller's */
	uint64_t message_size;        /* bytes */
	uint64_t now;                 /* epoch seconds, for x= and t= */
	uint32_t deadline_ms;         /* the worker's own soft limit, under the pool's hard one */
	const struct dkim_keys *keys; /* in the order of the DKIM-Signature fields */
	struct dkim_rules dkim;
	const struct arc_keys *arc_keys; /* NULL: none */
};

enum inspect_virus_status {
	INSPECT_VIRUS_NOT_SCANNED, /* not asked for */
	INSPECT_VIRUS_CLEAN,
	INSPECT_VIRUS_FOUND,
	INSPECT_VIRUS_LIMIT, /* a limit of size, files, recursion or time was reached: not fully scanned */
	INSPECT_VIRUS_ERROR, /* the scanner failed */
	INSPECT_VIRUS_NO_DATABASE /* no signatures at all are loaded */
};

struct inspect_signature {
	enum auth_result result; /* pass fail neutral policy temperror permerror */
	const char *domain;      /* d= */
	const char *selector;    /* s= */
	const char *identity;    /* i=, or "" */
	const char *algorithm;   /* a=, "rsa-sha256" */
	const char *b;           /* first 8 characters of b= (RFC 6008 header.b) */
	const char *problem;     /* NULL on pass */
	unsigned key_bits;       /* 0: unknown */
	bool testing;            /* t=y in the key */
};

struct inspect_reply {
	size_t signature_count;
	const struct inspect_signature *signatures;
	struct arc_verdict arc;    /* none where it was not asked for */
	bool body_hashed;          /* INSPECT_BODY was asked for */
	uint8_t body_digest[CANON_DIGEST_SIZE]; /* of the relaxed body */
	enum inspect_virus_status virus;
	const char *virus_name;    /* for FOUND and LIMIT; else NULL */
	const char *virus_problem; /* for ERROR; else NULL */
	uint32_t signatures_loaded;      /* in ClamAV's database */
	bool official_database;          /* a .cvd or .cld is among them */
	uint32_t dkim_us, virus_us, arc_us; /* time each took; arc: the body's hash too */
};

#endif
