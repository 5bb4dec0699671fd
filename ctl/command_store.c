/* What commands that use the store have in common. */
#include "ctl/command.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/config.h"
#include "lib/policy/globals.h"
#include "lib/store/store.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

struct config *command_load_config(const char *path)
{
	size_t count;
	char *error = NULL;
	const struct section *const *sections = stages_sections(&count);
	struct config *config = config_load(path != NULL ? path : command_default_config(), sections, count, &error);
	if (config == NULL) {
		fprintf(stderr, "%s\n", error);
		free(error);
	}
	return config;
}

bool command_become_daemon(const struct config *config)
{
	const struct globals *globals = config_settings(config, SECTION_GLOBALS);
	const struct passwd *user = geteuid() == 0 ? getpwnam(globals->user) : NULL;
	if (geteuid() != 0 || (user != NULL && user->pw_uid == 0)) {
		return true;
	}
	if (user == NULL) {
		fprintf(stderr, "user: there is no user \"%s\"; make it (useradd --system %s) or name another\n", globals->user,
		        globals->user);
		return false;
	}
	const struct group *named = globals->group[0] == '\0' ? NULL : getgrnam(globals->group);
	if (globals->group[0] != '\0' && named == NULL) {
		fprintf(stderr, "group: there is no group \"%s\"\n", globals->group);
		return false;
	}
	gid_t group = named == NULL ? user->pw_gid : named->gr_gid;
	if (initgroups(globals->user, group) != 0 || setgid(group) != 0 || setuid(user->pw_uid) != 0) {
		fprintf(stderr, "cannot become user %s: %s\n", globals->user, strerror(errno));
		return false;
	}
	return true;
}

struct store *command_open_store(const struct config *config, unsigned flags)
{
	const struct globals *globals = config_settings(config, SECTION_GLOBALS);
	const struct store_options *options = config_settings(config, SECTION_STORE);
	gid_t group;
	uid_t user = globals_user(globals, &group);
	char *error = NULL;
	struct store *store = NULL;
	if (options->location[0] == '\0') {
		fputs("there is no store: store.location is empty\n", stderr);
		return NULL;
	}
	bool folders = (flags & STORE_READ_ONLY) != 0 || store_make_folders(options, user, group, &error);
	if (folders && !command_become_daemon(config)) {
		return NULL;
	}
	if (folders) {
		store = store_open(options, flags, &error);
	}
	if (store == NULL) {
		fprintf(stderr, "%s\n", error);
		free(error);
	}
	return store;
}
