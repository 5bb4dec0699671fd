/* command: the subcommands of `mailreeve`. */
#ifndef MAILREEVE_CTL_COMMAND_H
#define MAILREEVE_CTL_COMMAND_H

/* argv[0] is the subcommand's name. The result is the exit status: 0; 1: it failed; 2: it was called wrongly. */
struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
};

int cmd_config(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_key(int argc, char **argv);

/* The configuration file when none is named: the installed one where it exists, else NULL (built-in defaults). */
const char *command_default_config(void);

#endif
