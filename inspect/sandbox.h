/* sandbox: what a worker gives up for good before it sees its first message. */
#ifndef MAILREEVE_INSPECT_SANDBOX_H
#define MAILREEVE_INSPECT_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

enum { SANDBOX_CPU_SECONDS = 3600, SANDBOX_USER = 65534 };

struct sandbox_settings {
	const char *directory; /* the only place where files can be made or opened */
	uint64_t memory_max;   /* address space beyond what the process has now, bytes */
	uint64_t disk_max;     /* bytes in the directory: of all files where it can be a tmpfs, else of each file */
	uint64_t files_max;    /* files in it, where it can be a tmpfs */
};

/* Nursery, before any worker: new network (and user) namespace. What holds is remembered for sandbox_text(). */
void sandbox_isolate(void);

/* Worker: a tmpfs over the directory, the directory as its root, standard files closed, no privileges (root becomes SANDBOX_USER), no_new_privs,
 * not dumpable, rlimits, Landlock, seccomp. False when what must hold does not: rlimits, seccomp, and one of chroot and
 * Landlock. A build with sanitizers has neither seccomp nor a memory limit, and its standard error stays open. */
bool sandbox_enter(const struct sandbox_settings *settings);

/* Worker, in the sandbox: what its directory is called there. */
const char *sandbox_directory(void);

/* "userns netns tmpfs chroot rlimits landlock seccomp": what holds; "folder" for tmpfs where none could be mounted. */
const char *sandbox_text(void);

#endif
