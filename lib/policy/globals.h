/* globals: the sections of the configuration that are no stages: the daemon itself, `dns` and `content`. */
#ifndef MAILREEVE_POLICY_GLOBALS_H
#define MAILREEVE_POLICY_GLOBALS_H

#include "lib/base/arena.h"
#include "lib/policy/option.h"

#include <sys/types.h>

enum globals_log { GLOBALS_LOG_AUTO, GLOBALS_LOG_STDERR, GLOBALS_LOG_SYSLOG, GLOBALS_LOG_JOURNAL };

/* Top level of the file. */
struct globals {
	const char *socket;       /* "unix:/run/mailreeve/milter.sock", "inet:8891@127.0.0.1", "inet6:8891@[::1]" */
	uint64_t socket_mode;     /* of a unix socket: 0660 */
	const char *socket_group; /* of a unix socket; "": the folder's (setgid), else the daemon's own group */
	const char *control_socket; /* "auto", "": none; see globals_control_socket() */
	const char *control_group;  /* "": none */
	const char *user;         /* to run as when started as root: "mailreeve" */
	const char *group;        /* "": the user's own */
	const char *pid_file;     /* "": none */
	const char *authserv_id;  /* "": the MTA's own name (macro j), else this host's name */
	struct option_networks own_networks; /* mail from here is outbound: 127.0.0.0/8, ::1 */
	const char *spool_dir;    /* for messages over message_memory; unlinked files: /var/tmp */
	uint64_t message_memory;  /* 8M: a larger message goes to spool_dir */
	uint64_t memory_total;    /* 1G: of all messages in memory; beyond it they go to spool_dir at once */
	uint64_t message_max;     /* 100M: a larger message is message.too_large */
	uint64_t header_max;      /* 1M: bytes of all header fields */
	uint64_t header_count_max; /* 2000 */
	uint64_t message_deadline; /* 120s: a verdict by then, counted from end of message */
	uint64_t sessions_max;    /* 5000: more are answered 451 at connect */
	uint64_t recipients_max;  /* 10000: of one message; more are answered 452 */
	const char *recipient_delimiter; /* "+": bob+lists@example.org is bob@example.org's */
	uint64_t drain_time;      /* 60s: how long SIGTERM waits for running transactions */
	int log_target;           /* enum globals_log */
	int log_level;            /* enum log_level */
};

/* dns { } */
struct dns_options {
	const char *const *forwarders; /* none: recursive from the root */
	const char *trust_anchor_file; /* /usr/share/dns/root.key; a file that is not there: no validation; "": none */
	uint64_t timeout;              /* 10s: one question */
	uint64_t deadline;             /* 20s: what a message waits for DNS at its end, in all */
	uint64_t cache_size;           /* 32M */
	uint64_t ttl_max;              /* 1d, nanoseconds like every duration */
	uint64_t ttl_negative_max;     /* 1h */
	uint64_t pending_max;          /* 2000 */
	const char *probe;             /* "example.com"; "": the resolver is not asked */
};

/* content { }: the sandboxed workers */
struct content_options {
	uint64_t workers;       /* 0: one for each processor */
	const char *tmp_dir;    /* /var/tmp */
	uint64_t start_timeout; /* 120s */
	uint64_t deadline;      /* 60s: one message */
	uint64_t memory_max;    /* 1G: address space of a worker beyond the signature database */
	uint64_t scan_size_max;      /* 100M */
	uint64_t file_size_max;      /* 100M */
	uint64_t scan_recursion_max; /* 17 */
	uint64_t scan_files_max;     /* 10000 */
	uint64_t scan_time;          /* 30s */
};

/* The path of the daemon's control socket; NULL: there is none. */
const char *globals_control_socket(const struct globals *globals, struct arena *arena);

/* Whom the daemon runs as: the configured user for root where there is one, else who we are. group_r may be NULL. */
uid_t globals_user(const struct globals *globals, gid_t *group_r);

extern const struct section globals_section, dns_section, content_section;

#endif
