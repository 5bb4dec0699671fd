#include "lib/policy/config_files.h"

#include "lib/base/slice.h"
#include "lib/policy/config_private.h"

#include <sys/stat.h>
#include <time.h>

enum { YOUNG = 2, PATH_SIZE = 4096 }; /* seconds; bytes */

static const char prefix[] = "file:";

static uint64_t mix(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * UINT64_C(0x100000001b3);
}

/* False: it is young. */
static bool stamp_file(const char *path, uint64_t *hash)
{
	struct stat st;
	if (stat(path, &st) != 0) {
		*hash = mix(*hash, 1);
		return true;
	}
	*hash = mix(mix(mix(*hash, (uint64_t)st.st_dev), (uint64_t)st.st_ino), (uint64_t)st.st_size);
	*hash = mix(mix(*hash, (uint64_t)st.st_mtim.tv_sec), (uint64_t)st.st_mtim.tv_nsec);
	*hash = mix(mix(*hash, (uint64_t)st.st_ctim.tv_sec), (uint64_t)st.st_ctim.tv_nsec);
	return st.st_ctim.tv_sec + YOUNG < time(NULL);
}

/* Each word "file:PATH" of a rule. */
static bool stamp_rule(const char *text, uint64_t *hash)
{
	bool old = true;
	char path[PATH_SIZE];
	for (const char *word = text; (word = strstr(word, prefix)) != NULL;) {
		bool begins = word == text || strchr(" \t,:", word[-1]) != NULL;
		word += strlen(prefix);
		size_t n = strcspn(word, " \t,");
		if (begins && n < sizeof path) {
			memcpy(path, word, n);
			path[n] = '\0';
			old = stamp_file(path, hash) && old;
		}
	}
	return old;
}

static bool stamp_part(const struct config_part *part, uint64_t *hash)
{
	bool old = true;
	for (size_t i = 0; i < part->row_count; i++) {
		const struct config_value *value = &part->values[i];
		for (size_t k = 0; part->section->options[i].type == OPTION_RULES && k < value->count; k++) {
			old = stamp_rule(value->texts[k], hash) && old;
		}
	}
	return old;
}

static uint64_t files_hash(const struct config *config, bool *old_r)
{
	uint64_t hash = 0;
	*old_r = true;
	for (size_t i = 0; i < config->count; i++) {
		*old_r = stamp_part(&config->parts[i], &hash) && *old_r;
	}
	return hash;
}

struct config_stamp config_files_stamp(const struct config *config)
{
	struct config_stamp stamp = {.own = 0};
	bool old;
	if (config->path != NULL) {
		stamp_file(config->path, &stamp.own);
	}
	stamp.files = files_hash(config, &old);
	stamp.files = old ? stamp.files : 0;
	return stamp;
}

bool config_files_changed(const struct config *config, uint64_t *now_r)
{
	bool old;
	uint64_t own = 0;
	*now_r = files_hash(config, &old);
	if (config->path == NULL || *now_r == config->stamp.files) {
		return false;
	}
	stamp_file(config->path, &own);
	return own == config->stamp.own;
}
