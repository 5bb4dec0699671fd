/* inspect: what the daemon asks of a worker about one message, and what it is told. The bytes on the socket are
 * lib/inspect/wire.[ch]; the daemon's side is lib/inspect/pool.[ch]; the worker's side is inspect/worker.c. */
#ifndef MAILREEVE_INSPECT_INSPECT_H
#define MAILREEVE_INSPECT_INSPECT_H

#include "lib/auth/arc.h"
#include "lib/auth/canon.h"
#include "lib/auth/dkim_keys.h"
#include "lib/inspect/file_class.h"
#include "lib/mail/authres.h"

#include <stdbool.h>
#include <stdint.h>

/* libclamav takes for mail what begins with a field that it knows, and for text what begins otherwise: the sender
 * chooses. So every message is given to it, and to clamd, behind a field that we choose. */
#define CLAMAV_LEAD "Received: from localhost\r\n"

enum inspect_task {
	INSPECT_DKIM = 1U << 0,
	INSPECT_VIRUS = 1U << 1,
	INSPECT_FILES = 1U << 2, /* what files the message carries */
	INSPECT_EXPORT = 1U << 3, /* and their contents, for a scanner elsewhere; not with INSPECT_VIRUS */
	INSPECT_ARC = 1U << 4,
	INSPECT_BODY = 1U << 5, /* the hash of the body, for a seal */
	INSPECT_URLS = 1U << 6, /* where its links lead; with INSPECT_FILES or by itself */
	INSPECT_TOKENS = 1U << 7, /* what it is made of, for Bayes */
	INSPECT_ALL = (1U << 8) - 1
};

/* Tokens: how many are told, and how many of them may be asked for by name. */
enum { INSPECT_TOKENS_MAX = 4096, INSPECT_NAMED_MAX = 32, INSPECT_DIGEST_SIZE = 32 };

/* Attached messages: how many are counted. */
enum { INSPECT_ATTACHED_MAX = 100 };

/* The three top bits of a token say where it stands: classifier.h weighs by that. */
enum inspect_token_group {
	INSPECT_GROUP_TEXT,
	INSPECT_GROUP_SUBJECT,
	INSPECT_GROUP_FROM,
	INSPECT_GROUP_HEADER, /* other fields, their names and their order; the layout of texts */
	INSPECT_GROUP_LINK,
	INSPECT_GROUP_FORM,   /* of HTML and MIME, files */
	INSPECT_GROUP_TRICK,  /* hidden text, mixed alphabets, codes */
	INSPECT_GROUP_WAY     /* to whom, and by whose hosts */
};
enum { INSPECT_GROUP_SHIFT = 61 };

/* Changes with what a message's tokens are (inspect/tokens.h): counts that were learnt with another one are of no use. */
enum { INSPECT_TOKENIZER_VERSION = 1 };

/* Hosts of links: how many are told, and their bytes in all. */
enum { INSPECT_HOSTS_MAX = 200, INSPECT_HOSTS_BYTES = 16384 };

/* Parts beyond the first are only counted; what they are counts. */
enum { INSPECT_PARTS_MAX = 200, INSPECT_NAMES_MAX = 4 };

/* One file of the message (inspect/part.h), for people. */
struct inspect_part {
	int parent;               /* index of the file it was found in, before it; -1: the message, or one not listed */
	const char *names[INSPECT_NAMES_MAX + 1]; /* NULL-ended */
	const char *type;         /* declared, "" where none is */
	const char *detected;     /* media type by content */
	uint64_t size;            /* bytes */
	bool encrypted;           /* cannot be read without a password */
	uint64_t classes;         /* FILE_CLASS_BIT()s */
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
	size_t named_count;           /* INSPECT_TOKENS: at most INSPECT_NAMED_MAX */
	const uint64_t *named;        /* tokens whose readable text is wanted */
	unsigned attached;            /* INSPECT_TOKENS, and nothing else: of the nth message that is attached to it; 0: of itself */
	/* INSPECT_EXPORT: a tar of the contents, a regular file that the worker wrote: nobody but a scanner should read it.
	 * -1: none. The caller closes it. Else NULL. */
	int *files_fd_r;
};

enum inspect_virus_status {
	INSPECT_VIRUS_NOT_ASKED,
	INSPECT_VIRUS_CLEAN,
	INSPECT_VIRUS_FOUND,
	INSPECT_VIRUS_LIMIT, /* a limit of size, files, recursion or time was reached: not fully scanned */
	INSPECT_VIRUS_ERROR, /* the scanner failed on it */
	INSPECT_VIRUS_NO_DATABASE, /* no signatures at all are loaded */
	INSPECT_VIRUS_NOT_SCANNED  /* no scanner saw it, or none that works: a worker died, clamd is away, the self-test fails */
};

/* What is scanned with. */
struct inspect_database {
	uint32_t signatures; /* 0 with clamd, which does not tell */
	bool official;       /* a .cvd or .cld is among them */
	uint32_t version;    /* of the newest of these, 0: none */
	uint64_t time;       /* when that was made, epoch seconds; 0: unknown */
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
	const char *virus_problem; /* for ERROR and NOT_SCANNED; else NULL */
	const char *virus_ignored; /* a signature of virus.ignore that matched, where no other did; NULL: none */
	struct inspect_database database;
	size_t part_count;
	const struct inspect_part *parts;
	uint32_t parts_unlisted;    /* beyond the listed ones */
	uint64_t classes;           /* of all files, the unlisted too */
	const char *class_reasons[FILE_CLASS_COUNT]; /* "NAME: why", of the first file of that class; NULL where there is none */
	const char *mime_ambiguous; /* why the message can be read in more than one way; NULL: it cannot */
	const char *mime_defect;    /* how it is broken; NULL: not */
	const char *mime_opaque;    /* what cannot be looked into; NULL: nothing */
	const char *exhausted;      /* which bound ended the search for files; NULL: none */
	size_t host_count;          /* INSPECT_URLS */
	const char *const *hosts;   /* domains, canonical (mail/domain.h), or addresses; each once, in order of appearance */
	bool hosts_cut;             /* there are more */
	size_t token_count;         /* INSPECT_TOKENS */
	const uint64_t *tokens;     /* hashes, ascending, each once */
	bool tokens_cut;            /* there are more; the ones that stand first are told */
	size_t name_count;          /* as many as were asked for */
	const char *const *token_names; /* "subject: cheap + pills", parallel to named; NULL: the message has no such token */
	/* SHA-256 of what makes it the same message for learning, however it was brought here: 0 without INSPECT_TOKENS */
	uint8_t content_digest[INSPECT_DIGEST_SIZE];
	unsigned attached_count; /* messages that are attached to it, where `attached` is not 0; less than that: no tokens */
	uint32_t dkim_us, virus_us, arc_us; /* time each took; virus: the search for files too; arc: the body's hash too */
};

#endif
