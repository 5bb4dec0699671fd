#include "inspect/folder.h"

#include "inspect/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TREE_DEPTH_MAX = 64, TRIES = 10 };

static const char prefix[] = "mailreeve-";

/* Bounded in depth; links are not followed. */
static void remove_tree(int parent, const char *name, int depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *folder = fd < 0 || depth > TREE_DEPTH_MAX ? NULL : fdopendir(fd);
	if (folder == NULL) {
		if (fd >= 0) {
			close(fd);
		}
		return;
	}
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
			continue;
		}
		if (unlinkat(fd, entry->d_name, 0) != 0 && (errno == EISDIR || errno == EPERM)) {
			remove_tree(fd, entry->d_name, depth + 1);
		}
	}
	closedir(folder);
	unlinkat(parent, name, AT_REMOVEDIR);
}

void folder_remove(const char *path)
{
	remove_tree(AT_FDCWD, path, 0);
}

/* A lock that a living nursery holds: the kernel lets go of it for one that was killed. */
static int lock(int parent, const char *name)
{
	struct stat status;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && (fstat(fd, &status) != 0 || status.st_uid != geteuid() || flock(fd, LOCK_EX | LOCK_NB) != 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* What nurseries left that had no time to. */
static void sweep(const char *parent)
{
	int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	if (list == NULL) {
		if (fd >= 0) {
			close(fd);
		}
		return;
	}
	for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
		int locked = strncmp(entry->d_name, prefix, sizeof prefix - 1) == 0 ? lock(fd, entry->d_name) : -1;
		if (locked >= 0) {
			remove_tree(fd, entry->d_name, 0);
			close(locked);
		}
	}
	closedir(list);
}

bool folder_open(struct folder *folder, const char *parent)
{
	struct stat status;
	folder->serial = 0;
	sweep(parent);
	for (int i = 0; i < TRIES; i++) { /* between mkdtemp() and flock() another nursery may sweep it away */
		int n = snprintf(folder->path, sizeof folder->path, "%s/%sXXXXXX", parent, prefix);
		if (n < 0 || (size_t)n >= sizeof folder->path || mkdtemp(folder->path) == NULL) {
			folder->path[0] = '\0';
			return false;
		}
		folder->lock = lock(AT_FDCWD, folder->path);
		if (folder->lock >= 0 && fstat(folder->lock, &status) == 0 && status.st_nlink > 0) {
			return geteuid() != 0 || fchmod(folder->lock, 0711) == 0;
		}
		if (folder->lock >= 0) {
			close(folder->lock);
		}
	}
	folder->path[0] = '\0';
	return false;
}

bool folder_make(struct folder *folder, char path_r[FOLDER_PATH_SIZE])
{
	int n = snprintf(path_r, FOLDER_PATH_SIZE, "%s/%u", folder->path, folder->serial++);
	if (n < 0 || n >= FOLDER_PATH_SIZE || mkdir(path_r, 0700) != 0) {
		return false;
	}
	return geteuid() != 0 || chown(path_r, SANDBOX_USER, SANDBOX_USER) == 0;
}

void folder_forget(struct folder *folder)
{
	close(folder->lock);
}

void folder_close(struct folder *folder)
{
	if (folder->path[0] != '\0') {
		folder_remove(folder->path);
		close(folder->lock);
	}
}
