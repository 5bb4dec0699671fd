#include "milter/notify.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MESSAGE_MAX = 512 };

static struct {
	struct sockaddr_un address;
	socklen_t size; /* 0: nobody is to be told */
	uint64_t watchdog_ns;
	char legacy[2][sizeof(struct sockaddr_un) + 32];
	const char *legacy_texts[3];
} manager;

static atomic_bool handed_over; /* another process speaks for the service */

/* "/run/systemd/notify", or "@name" in the abstract namespace. */
static void find_socket(const char *name)
{
	size_t n = name == NULL ? 0 : strlen(name);
	if (n < 2 || n >= sizeof manager.address.sun_path || (name[0] != '/' && name[0] != '@')) {
		return;
	}
	manager.address.sun_family = AF_UNIX;
	memcpy(manager.address.sun_path, name, n);
	if (name[0] == '@') {
		manager.address.sun_path[0] = '\0';
	}
	manager.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (name[0] == '/'));
}

static uint64_t number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	errno = 0;
	unsigned long long value = text == NULL ? 0 : strtoull(text, &end, 10);
	return text == NULL || errno != 0 || *end != '\0' || value > UINT64_MAX / 1000 ? 0 : value;
}

void notify_open(void)
{
	uint64_t pid = number("WATCHDOG_PID");
	find_socket(getenv("NOTIFY_SOCKET"));
	manager.watchdog_ns = pid == 0 || pid == (uint64_t)getpid() ? number("WATCHDOG_USEC") * 1000 : 0;
	if (manager.size > 0) {
		snprintf(manager.legacy[0], sizeof manager.legacy[0], "NOTIFY_SOCKET=%s", getenv("NOTIFY_SOCKET"));
		snprintf(manager.legacy[1], sizeof manager.legacy[1], "WATCHDOG_USEC=%llu",
		         (unsigned long long)(manager.watchdog_ns / 1000));
		manager.legacy_texts[0] = manager.legacy[0];
		manager.legacy_texts[1] = manager.watchdog_ns > 0 ? manager.legacy[1] : NULL;
	}
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

const char *const *notify_legacy(void)
{
	return manager.legacy_texts;
}

uint64_t notify_watchdog(void)
{
	return manager.size > 0 && !atomic_load(&handed_over) ? manager.watchdog_ns : 0;
}

static void say(const char *text)
{
	int fd = manager.size == 0 || atomic_load(&handed_over) ? -1 : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&manager.address, manager.size) < 0) {
		log_warning("the service manager cannot be told: %s", strerror(errno));
	}
	if (fd >= 0) {
		close(fd);
	}
}

static void say_with_status(const char *what, const char *status)
{
	char text[MESSAGE_MAX];
	snprintf(text, sizeof text, "%sSTATUS=%s", what, status);
	say(text);
}

void notify_ready(const char *status)
{
	say_with_status("READY=1\n", status);
}

/* The time tells the manager which request this is an answer to (systemd 253, Type=notify-reload). */
void notify_reloading(void)
{
	char text[MESSAGE_MAX];
	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Reading the configuration",
	         (unsigned long long)(clock_now() / 1000));
	say(text);
}

void notify_stopping(void)
{
	say("STOPPING=1\nSTATUS=Stopping: running transactions are finished first");
}

void notify_status(const char *status)
{
	say_with_status("", status);
}

void notify_alive(const char *status)
{
	say_with_status("WATCHDOG=1\n", status);
}

void notify_hand_over(pid_t heir)
{
	char text[MESSAGE_MAX];
	snprintf(text, sizeof text, "MAINPID=%ld", (long)heir);
	say(text);
	atomic_store(&handed_over, true);
}
