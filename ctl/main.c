/* mailreeve: the administrator's command. */
#include "config.h"
#include "ctl/command.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct command commands[] = {
    {"audit", cmd_audit, "check how a domain is set up for mail, and say what to publish next"},
    {"config", cmd_config, "check, show or print a sample of the configuration"},
    {"digest", cmd_digest, "reports to users: who gets them, what they say, send one now"},
    {"dnsbl", cmd_dnsbl, "test the lists in the DNS that are asked, or print the ready ones"},
    {"explain", cmd_explain, "say what the daemon would do with a message, and why"},
    {"find", cmd_find, "find messages in the history"},
    {"key", cmd_key, "make, publish, activate and retire the keys that sign"},
    {"learn", cmd_learn, "teach Bayes what is spam and what is not, or have it forget"},
    {"list", cmd_list, "add, remove, show, import and export allow and block entries"},
    {"log", cmd_log, "show or set what the running daemon logs, of all or of one stage"},
    {"quarantine", cmd_quarantine, "look at what is quarantined, release or delete it"},
    {"reload", cmd_reload, "have the daemon read its configuration again"},
    {"restart", cmd_restart, "have a new process take the daemon's place, without a gap"},
    {"report", cmd_report, "what observed stages would have done, who came past the upstream, TLS by sender, a summary"},
    {"status", cmd_status, "say how the running daemon and all it depends on does; for monitoring too"},
    {"store", cmd_store, "look after what the daemon remembers: migrate, check, back up, move"},
    {"bayes", cmd_bayes, "what was learnt from spam and good mail, forget what is old"},
    {"greylist", cmd_greylist, "show who waits and who has passed, forget one"},
    {"rate", cmd_rate, "show who is near his limits or locked, lift that, lock a user"},
    {"top", cmd_top, "watch the running daemon: rates, times, who sends most"},
    {NULL, NULL, NULL},
};

const char *command_default_config(void)
{
	static const char path[] = MR_SYSCONFDIR "/mailreeve.conf";
	/* One that is there but hidden from us is an error to be told by who reads it, not a reason to take the defaults.
	 */
	return access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR) ? path : NULL;
}

int command_call(int argc, char **argv)
{
	for (const struct command *command = commands; command->name != NULL; command++) {
		if (strcmp(argv[0], command->name) == 0) {
			optind = 0; /* getopt begins anew */
			return command->run(argc, argv);
		}
	}
	fprintf(stderr, "mailreeve: unknown command \"%s\"\n", argv[0]);
	return 2;
}

static void usage(FILE *out)
{
	fputs("usage: mailreeve COMMAND [ARGUMENT...]\n\n", out);
	for (const struct command *command = commands; command->name != NULL; command++) {
		fprintf(out, "  %-10s %s\n", command->name, command->help);
	}
	fputs("\nmailreeve COMMAND --help says more; so does mailreeve(1).\n", out);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return 2;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts(PACKAGE_STRING);
		return 0;
	}
	for (const struct command *command = commands; command->name != NULL; command++) {
		if (strcmp(argv[1], command->name) == 0) {
			return command->run(argc - 1, argv + 1);
		}
	}
	fprintf(stderr, "mailreeve: unknown command \"%s\"\n", argv[1]);
	usage(stderr);
	return 2;
}
