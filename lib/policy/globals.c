#include "lib/policy/globals.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

#define MS CLOCK_NS_PER_MS
#define SECOND CLOCK_NS_PER_S
#define HOUR (3600 * CLOCK_NS_PER_S)
#define DAY (24 * HOUR)
#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static const struct option_word log_targets[] = {
	{"auto", GLOBALS_LOG_AUTO}, {"stderr", GLOBALS_LOG_STDERR}, {"syslog", GLOBALS_LOG_SYSLOG}, {"journal", GLOBALS_LOG_JOURNAL}, {NULL, 0}};
static const struct option_word log_levels[] = {{"error", LOG_LEVEL_ERROR},
                                                {"warning", LOG_LEVEL_WARNING},
                                                {"info", LOG_LEVEL_INFO},
                                                {"debug", LOG_LEVEL_DEBUG},
                                                {NULL, 0}};

#define ROW(struct_name, member, kind, default_text, least, most, help_text)                                           \
	{.name = #member,                                                                                                  \
     .type = (kind),                                                                                                   \
     .offset = offsetof(struct struct_name, member),                                                                   \
     .fallback = (default_text),                                                                                       \
     .min = (least),                                                                                                   \
     .max = (most),                                                                                                    \
     .help = (help_text)}
#define WORD_ROW(struct_name, member, default_text, list, help_text)                                                   \
	{.name = #member,                                                                                                  \
     .type = OPTION_WORD,                                                                                              \
     .offset = offsetof(struct struct_name, member),                                                                   \
     .fallback = (default_text),                                                                                       \
     .words = (list),                                                                                                  \
     .help = (help_text)}

static const struct option_row globals_options[] = {
	ROW(globals, socket, OPTION_STRING, "unix:/run/mailreeve/milter.sock", 1, 200,
        "where the MTA connects: unix:PATH, inet:PORT@ADDRESS or inet6:PORT@ADDRESS"),
	ROW(globals, socket_mode, OPTION_MODE, "0660", 0, 0777, "file mode of a unix socket"),
	ROW(globals, socket_group, OPTION_STRING, "", 0, 64, "group of a unix socket, say postfix; empty: the folder's where that has the setgid bit, else the daemon's own"),
	ROW(globals, control_socket, OPTION_STRING, "auto", 0, 90,
        "path of the unix socket by which mailreeve speaks with the daemon; auto: that of the MTA with .control behind; empty: none"),
	ROW(globals, control_group, OPTION_STRING, "", 0, 64,
        "group whose members may have messages learnt through it; empty: only root and the daemon's user"),
	ROW(globals, user, OPTION_STRING, "mailreeve", 1, 64, "user to run as when started as root"),
	ROW(globals, group, OPTION_STRING, "", 0, 64, "group to run as when started as root; empty: the user's own"),
	ROW(globals, pid_file, OPTION_STRING, "", 0, 4000, "file for the process id; empty: none"),
	ROW(globals, authserv_id, OPTION_STRING, "", 0, 255,
        "name in Authentication-Results; empty: the MTA's own, else this host's"),
	ROW(globals, own_networks, OPTION_NETWORKS, "127.0.0.0/8, ::1", 0, 0, "mail from here is outbound: scanned, not judged"),
	ROW(globals, spool_dir, OPTION_STRING, "/var/tmp", 1, 4000, "for messages over message_memory, in files without a name"),
	ROW(globals, message_memory, OPTION_SIZE, "8M", 64 * KIB, GIB, "a larger message goes to spool_dir"),
	ROW(globals, memory_total, OPTION_SIZE, "1G", MIB, 1024 * GIB,
        "of all messages in memory; when that is used up, messages go to spool_dir at once"),
	ROW(globals, message_max, OPTION_SIZE, "100M", 64 * KIB, 4 * GIB, "a larger message is message.too_large"),
	ROW(globals, header_max, OPTION_SIZE, "1M", 16 * KIB, 64 * MIB, "size of all header fields of a message"),
	ROW(globals, header_count_max, OPTION_UINT, "2000", 50, 100000, "number of header fields of a message"),
	ROW(globals, message_deadline, OPTION_DURATION, "120s", SECOND, HOUR,
        "a verdict by then, counted from end of message; less than the MTA's own timeout"),
	ROW(globals, sessions_max, OPTION_UINT, "5000", 1, 100000, "connections at a time; more are told to come later"),
	ROW(globals, recipients_max, OPTION_UINT, "10000", 1, 1000000, "recipients of a message; more are told to come later"),
	ROW(globals, recipient_delimiter, OPTION_STRING, "+", 0, 4,
        "characters that begin the detail of a local part: bob+lists@example.org is bob@example.org's; empty: none"),
	ROW(globals, drain_time, OPTION_DURATION, "60s", 0, HOUR, "how long SIGTERM waits for running transactions"),
	WORD_ROW(globals, log_target, "auto", log_targets, "where the log goes; auto: syslog, or stderr in the foreground; journal: systemd's, with fields"),
	WORD_ROW(globals, log_level, "info", log_levels, "what is logged"),
	{.name = NULL},
};

const struct section globals_section = {
	.name = "",
	.help = "The daemon.",
	.options = globals_options,
	.settings_size = sizeof(struct globals),
};

static const struct option_row dns_options[] = {
	ROW(dns_options, forwarders, OPTION_STRINGS, "", 0, 0,
        "resolvers to ask, ADDRESS or ADDRESS@PORT; none: recursion from the root"),
	ROW(dns_options, trust_anchor_file, OPTION_STRING, "/usr/share/dns/root.key", 0, 4000,
        "root keys for DNSSEC; empty, or not there: no validation"),
	ROW(dns_options, timeout, OPTION_DURATION, "10s", 50 * MS, 120 * SECOND, "for one question"),
	ROW(dns_options, deadline, OPTION_DURATION, "20s", 50 * MS, 300 * SECOND,
        "what a message waits for DNS at its end, in all"),
	ROW(dns_options, cache_size, OPTION_SIZE, "32M", MIB, 16 * GIB, "memory of the cache of answers"),
	ROW(dns_options, ttl_max, OPTION_DURATION, "1d", SECOND, 30 * DAY, "no answer is kept longer"),
	ROW(dns_options, ttl_negative_max, OPTION_DURATION, "1h", SECOND, 30 * DAY, "nor one that says there is nothing"),
	ROW(dns_options, pending_max, OPTION_UINT, "2000", 10, 100000, "questions under way at a time"),
	ROW(dns_options, probe, OPTION_STRING, "example.com", 0, 200,
        "where mail asks nothing for a minute, a name below is asked for, to see that the resolver answers; empty: none is"),
	{.name = NULL},
};

const struct section dns_section = {
	.name = "dns",
	.help = "The resolver.",
	.options = dns_options,
	.settings_size = sizeof(struct dns_options),
};

static const struct option_row content_options[] = {
	ROW(content_options, workers, OPTION_UINT, "0", 0, 256, "sandboxed processes that look at messages; 0: one a processor"),
	ROW(content_options, tmp_dir, OPTION_STRING, "/var/tmp", 1, 1000, "each worker has a private folder below"),
	ROW(content_options, start_timeout, OPTION_DURATION, "120s", SECOND, HOUR, "the virus database must be loaded by then"),
	ROW(content_options, deadline, OPTION_DURATION, "60s", 100 * MS, HOUR, "for one message; then its worker is killed"),
	ROW(content_options, memory_max, OPTION_SIZE, "1G", 128 * MIB, 64 * GIB,
        "address space of a worker beyond the virus database"),
	ROW(content_options, scan_size_max, OPTION_SIZE, "100M", MIB, 4 * GIB - 1, "bytes of a message, unpacked; and never more than 32M and 250 times its size"),
	ROW(content_options, file_size_max, OPTION_SIZE, "100M", MIB, 2 * GIB - 1, "of one file in it"),
	ROW(content_options, scan_recursion_max, OPTION_UINT, "17", 1, 100, "archives in archives"),
	ROW(content_options, scan_files_max, OPTION_UINT, "10000", 1, 1000000, "files in a message"),
	ROW(content_options, scan_time, OPTION_DURATION, "30s", 100 * MS, HOUR, "for the scan of one message"),
	{.name = NULL},
};

const struct section content_section = {
	.name = "content",
	.help = "The sandboxed workers.",
	.options = content_options,
	.settings_size = sizeof(struct content_options),
};

const char *globals_control_socket(const struct globals *globals, struct arena *arena)
{
	const char *path = strchr(globals->socket, ':');
	if (globals->control_socket[0] == '\0') {
		return NULL;
	}
	if (strcmp(globals->control_socket, "auto") != 0) {
		return globals->control_socket;
	}
	bool unix_socket = path != NULL && strncmp(globals->socket, "inet", 4) != 0;
	return unix_socket ? arena_printf(arena, "%s.control", path + 1) : MR_RUNDIR "/control.sock";
}

uid_t globals_user(const struct globals *globals, gid_t *group_r)
{
	const struct passwd *user = geteuid() == 0 ? getpwnam(globals->user) : NULL;
	if (group_r != NULL) {
		*group_r = user == NULL ? getegid() : user->pw_gid;
	}
	return user == NULL ? geteuid() : user->pw_uid;
}
