/* command: the subcommands of `mailreeve`. */
#ifndef MAILREEVE_CTL_COMMAND_H
#define MAILREEVE_CTL_COMMAND_H

#include <stdbool.h>

/* argv[0] is the subcommand's name. The result is the exit status: 0; 1: it failed; 2: it was called wrongly. */
struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
};

int cmd_bayes(int argc, char **argv);
int cmd_audit(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_digest(int argc, char **argv);
int cmd_dnsbl(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_find(int argc, char **argv);
int cmd_key(int argc, char **argv);
int cmd_learn(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_log(int argc, char **argv);
int cmd_reload(int argc, char **argv);
int cmd_restart(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_store(int argc, char **argv);
int cmd_greylist(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_rate(int argc, char **argv);
int cmd_quarantine(int argc, char **argv);

/* Another command as if it were called, argv[0] being its name. The exit status; 2, with a word, where there is none. */
int command_call(int argc, char **argv);

/* The configuration file when none is named: the installed one where it exists, else NULL (built-in defaults). */
const char *command_default_config(void);

struct config;
struct store;

/* The configuration file that was named, or the installed one. NULL: the error was printed. config_release(). */
struct config *command_load_config(const char *path);

/* Root becomes the daemon's user and group for good, so that no file is left that the daemon cannot write, and no link
 * that it may have laid is followed. For others nothing. False: the error was printed. */
bool command_become_daemon(const struct config *config);

/* The store of the configuration, opened by the daemon's user (command_become_daemon()); flags: enum store_open_flags. NULL: there is none, or it cannot be
 * used; the reason was printed. store_close(). */
struct store *command_open_store(const struct config *config, unsigned flags);

#endif
