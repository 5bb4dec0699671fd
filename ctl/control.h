/* control: what the running daemon is asked, by its control socket. */
#ifndef MAILREEVE_CTL_CONTROL_H
#define MAILREEVE_CTL_CONTROL_H

#include "lib/base/arena.h"
#include "lib/base/slice.h"
#include "lib/policy/config.h"

#include <stdbool.h>

struct control_ask {
	const char *method, *path; /* "POST", "/reload" */
	struct slice body;
	uint64_t timeout_ns;
};

/* False: there was no answer; the reason, and what to do, was printed. Else its status and body (in arena). */
bool control_ask(const struct config *config, const struct control_ask *ask, struct arena *arena, unsigned *status_r,
                 struct slice *body_r);

/* Asks, and prints the answer: on standard error where it is not 200. The exit status: 0, 1. */
int control_print(const struct config *config, const struct control_ask *ask);

/* A subcommand that gives the daemon an order, which has no arguments but --config: POST path. What it answers is printed. The
 * exit status. */
int control_order(int argc, char **argv, const char *path, const char *usage, uint64_t timeout_ns);

#endif
