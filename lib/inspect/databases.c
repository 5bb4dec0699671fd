#include "lib/inspect/databases.h"

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_SIZE = 4096 };

/* FNV-1a: what is told apart here was not chosen by an attacker. */
static uint64_t mix(uint64_t hash, const void *data, size_t n)
{
	const unsigned char *bytes = data;
	for (size_t i = 0; i < n; i++) {
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	}
	return hash;
}

/* Summed, so that the order of a folder's entries is the same to us. */
static void add_file(struct databases_print *print, const char *path, const struct stat *status)
{
	uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), path, strlen(path));
	hash = mix(hash, &status->st_dev, sizeof status->st_dev);
	hash = mix(hash, &status->st_ino, sizeof status->st_ino);
	hash = mix(hash, &status->st_size, sizeof status->st_size);
	hash = mix(hash, &status->st_mtim.tv_sec, sizeof status->st_mtim.tv_sec);
	hash = mix(hash, &status->st_mtim.tv_nsec, sizeof status->st_mtim.tv_nsec);
	print->sum += hash;
	print->files++;
}

/* freshclam.dat and hidden files are none of the database. */
static bool may_be_database(const char *name)
{
	const char *dot = strrchr(name, '.');
	return name[0] != '.' && dot != NULL && strcmp(dot, ".dat") != 0;
}

static void add_folder(struct databases_print *print, const char *path)
{
	DIR *folder = opendir(path);
	if (folder == NULL) {
		return;
	}
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		char file[PATH_SIZE];
		struct stat status;
		int n = snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
		if (may_be_database(entry->d_name) && n > 0 && (size_t)n < sizeof file && stat(file, &status) == 0 &&
		    S_ISREG(status.st_mode)) {
			add_file(print, file, &status);
		}
	}
	closedir(folder);
}

struct databases_print databases_look(const char *const *paths)
{
	struct databases_print print = {0, 0};
	for (size_t i = 0; paths[i] != NULL; i++) {
		struct stat status;
		if (stat(paths[i], &status) != 0) {
			continue;
		}
		if (S_ISDIR(status.st_mode)) {
			add_folder(&print, paths[i]);
		} else {
			add_file(&print, paths[i], &status);
		}
	}
	return print;
}

bool databases_same(struct databases_print a, struct databases_print b)
{
	return a.sum == b.sum && a.files == b.files;
}
