/* sandbox: what a worker gives up for good before it sees its first message. */
#ifndef MAILREEVE_INSPECT_SANDBOX_H
#define MAILREEVE_INSPECT_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

enum { SANDBOX_CPU_SECONDS = 3600, SANDBOX_USER = 65534 };

struct sandbox_settings {
	const char *directory; /* the only place where files can be made or opened */
	uint64_t memory_max;   /* address space beyond what the process has now, bytes */
};

/* Nursery, before any worker: new network (and user) namespace. What holds is remembered for sandbox_text(). */
void sandbox_isolate(void);

/* Worker: the directory as its root, standard files closed, no privileges (root becomes SANDBOX_USER), no_new_privs,
 * not dumpable, rlimits, Landlock, seccomp. False when what must hold does not: rlimits, seccomp, and one of chroot and
 * Landlock. A build with sanitizers has neither seccomp nor a memory limit, and its standard error stays open. */
bool sandbox_enter(const struct sandbox_settings *settings);

/* Worker, in the sandbox: what its directory is called there. */
const char *sandbox_directory(void);

/* "chroot rlimits landlock seccomp": what holds. */
const char *sandbox_text(void);

#endif
