#include "t/processes.h"

#include "lib/base/clock.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_S = 30 };

/* 'R', 'S', 'T' and so on; 'Z' too where there is no such process. */
static char process_state(long pid, pid_t *parent_r)
{
	char path[64];
	char line[512];
	char state = 'Z';
	long parent = 0;
	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	FILE *file = fopen(path, "re");
	if (file != NULL && fgets(line, sizeof line, file) != NULL && strrchr(line, ')') != NULL &&
	    sscanf(strrchr(line, ')') + 1, " %c %ld", &state, &parent) != 2) {
		state = 'Z';
	}
	if (file != NULL) {
		fclose(file);
	}
	*parent_r = (pid_t)parent;
	return state;
}

/* 0: it is dead, a zombie or, for an instant before it is gone, 'X'. */
static pid_t process_parent(long pid)
{
	pid_t parent;
	char state = process_state(pid, &parent);
	return state == 'Z' || state == 'X' ? 0 : parent;
}

/* Never to 0: that would be the whole group, prove and all. */
void process_signal(pid_t pid, int number)
{
	if (pid <= 0) {
		printf("Bail out! there is no process to signal\n");
		exit(1);
	}
	kill(pid, number);
}

void process_stop(pid_t pid)
{
	uint64_t end = clock_now() + WAIT_S * CLOCK_NS_PER_S;
	pid_t parent;
	process_signal(pid, SIGSTOP);
	while (process_state(pid, &parent) != 'T' && clock_now() < end) {
		sched_yield();
	}
}

size_t process_children(pid_t parent, pid_t pids_r[PROCESS_PIDS_MAX])
{
	size_t n = 0;
	DIR *proc = opendir("/proc");
	for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
		long pid = strtol(entry->d_name, NULL, 10);
		if (pid > 0 && n < PROCESS_PIDS_MAX && process_parent(pid) == parent) {
			pids_r[n++] = (pid_t)pid;
		}
	}
	closedir(proc);
	return n;
}

/* Our child, 0: there is none. */
pid_t process_nursery_now(void)
{
	pid_t pids[PROCESS_PIDS_MAX];
	return process_children(getpid(), pids) == 1 ? pids[0] : 0;
}

/* Never 0, which kill() takes for all of us. */
static pid_t child_pid(bool worker)
{
	uint64_t end = clock_now() + WAIT_S * CLOCK_NS_PER_S;
	while (clock_now() < end) {
		pid_t pids[PROCESS_PIDS_MAX];
		pid_t nursery = process_nursery_now();
		if (nursery > 0 && (!worker || process_children(nursery, pids) > 0)) {
			return worker ? pids[0] : nursery;
		}
	}
	printf("Bail out! there is no %s\n", worker ? "worker" : "nursery");
	exit(1);
}

pid_t process_nursery(void)
{
	return child_pid(false);
}

pid_t process_worker(void)
{
	return child_pid(true);
}

/* Waits until it is dead: a zombie has closed its sockets. */
bool process_gone(pid_t pid)
{
	uint64_t end = clock_now() + WAIT_S * CLOCK_NS_PER_S;
	while (process_parent(pid) != 0 && clock_now() < end) {
		sched_yield();
	}
	return process_parent(pid) == 0;
}
