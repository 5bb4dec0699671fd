/* sandbox: what a worker gives up for good before it sees its first message. */
#ifndef MAILREEVE_INSPECT_SANDBOX_H
#define MAILREEVE_INSPECT_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

struct sandbox_settings {
	const char *directory; /* the only place where files can be made or opened */
	uint64_t memory_max;   /* address space beyond what the process has now, bytes */
};

/* Nursery, before any worker: new network (and user) namespace. What holds is remembered for sandbox_text(). */
void sandbox_isolate(void);

/* Worker: no_new_privs, not dumpable, rlimits, Landlock, seccomp. False when what must hold does not (seccomp, rlimits);
 * Landlock is left out on a kernel without it. A build with sanitizers has neither seccomp nor a memory limit. */
bool sandbox_enter(const struct sandbox_settings *settings);

/* "seccomp landlock netns rlimits": what holds. */
const char *sandbox_text(void);

#endif
