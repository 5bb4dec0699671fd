#include "milter/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DESCRIPTORS = 65536 };

__attribute__((format(printf, 2, 3))) static bool fail(char **error_r, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (vasprintf(error_r, format, args) < 0) {
		abort();
	}
	va_end(args);
	return false;
}

bool privileges_find(const struct globals *globals, struct privileges *privileges_r, char **error_r)
{
	*privileges_r = (struct privileges){.user = geteuid(), .group = getegid()};
	if (geteuid() != 0) {
		return true;
	}
	const struct passwd *user = getpwnam(globals->user);
	if (user == NULL) {
		return fail(error_r, "user: there is no user \"%s\"; make it (useradd --system %s) or name another",
		            globals->user, globals->user);
	}
	if (user->pw_uid == 0 && strcmp(globals->user, "root") != 0) {
		return fail(error_r, "user: \"%s\" is root under another name", globals->user);
	}
	privileges_r->user = user->pw_uid;
	privileges_r->group = user->pw_gid;
	snprintf(privileges_r->name, sizeof privileges_r->name, "%s", globals->user);
	if (globals->group[0] != '\0') {
		const struct group *group = getgrnam(globals->group);
		if (group == NULL) {
			return fail(error_r, "group: there is no group \"%s\"", globals->group);
		}
		privileges_r->group = group->gr_gid;
	}
	return true;
}

static void raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
		return;
	}
	struct rlimit more = {.rlim_cur = DESCRIPTORS, .rlim_max = DESCRIPTORS};
	if (limit.rlim_max >= DESCRIPTORS || geteuid() != 0 || setrlimit(RLIMIT_NOFILE, &more) != 0) {
		limit.rlim_cur = limit.rlim_max > DESCRIPTORS ? DESCRIPTORS : limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

bool privileges_drop(const struct privileges *privileges, char **error_r)
{
	struct rlimit none = {0, 0};
	raise_descriptors();
	if (geteuid() == 0 && privileges->user != 0 &&
	    (initgroups(privileges->name, privileges->group) != 0 || setgid(privileges->group) != 0 ||
	     setuid(privileges->user) != 0)) {
		return fail(error_r, "cannot become user %s: %s", privileges->name, strerror(errno));
	}
	if (privileges->user != 0 && setuid(0) == 0) {
		return fail(error_r, "root privileges could not be given up");
	}
	setrlimit(RLIMIT_CORE, &none);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		return fail(error_r, "PR_SET_NO_NEW_PRIVS: %s", strerror(errno));
	}
	return true;
}
