#include "milter/daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ERROR_MAX = 4096 };

/* The caller's side: one byte '+' is success, anything else the text of an error. */
__attribute__((noreturn)) static void wait_for_report(int report)
{
	char text[ERROR_MAX + 1];
	size_t n = 0;
	while (n < ERROR_MAX) {
		ssize_t got = read(report, text + n, ERROR_MAX - n);
		if (got == 0 || (got < 0 && errno != EINTR)) {
			break;
		}
		n += got > 0 ? (size_t)got : 0;
	}
	text[n] = '\0';
	if (strcmp(text, "+") == 0) {
		_exit(0);
	}
	fprintf(stderr, "mailreeved: %s\n", n == 0 ? "ended without a word; see the log" : text);
	_exit(1);
}

int daemonize_start(void)
{
	int report[2];
	if (pipe2(report, O_CLOEXEC) != 0) {
		perror("mailreeved: pipe");
		exit(1);
	}
	pid_t pid = fork();
	if (pid < 0) {
		perror("mailreeved: fork");
		exit(1);
	}
	if (pid > 0) {
		close(report[1]);
		wait_for_report(report[0]);
	}
	close(report[0]);
	setsid();
	/* A second fork: no session leader, so no terminal can come back. */
	pid = fork();
	if (pid != 0) {
		_exit(pid < 0);
	}
	if (chdir("/") != 0) {
		daemonize_failed(report[1], strerror(errno));
		exit(1);
	}
	return report[1];
}

void daemonize_ready(int report)
{
	if (report < 0) {
		return;
	}
	int null = open("/dev/null", O_RDWR);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		if (null > STDERR_FILENO) {
			close(null);
		}
	}
	if (write(report, "+", 1) < 0) {
		/* The caller is gone: nobody waits. */
	}
	close(report);
}

void daemonize_failed(int report, const char *error)
{
	if (report < 0) {
		fprintf(stderr, "mailreeved: %s\n", error);
		return;
	}
	if (write(report, error, strnlen(error, ERROR_MAX)) < 0) {
		/* The caller is gone: nobody waits. */
	}
	close(report);
}
