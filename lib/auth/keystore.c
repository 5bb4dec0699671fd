#include "lib/auth/keystore.h"

#include "lib/base/clock.h"
#include "lib/base/current.h"
#include "lib/base/log.h"
#include "lib/base/stamp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { ATTEMPTS = 20, LOOK_EVERY_S = 1 };

/* A parsed key, shared by the snapshots that show it. */
struct secret {
	atomic_uint references;
	struct dkim_private_key *key;
};

struct keys {
	struct counted counted;
	struct arena *arena; /* holds everything, this struct too */
	uid_t user;
	const char *path;
	struct stamp folder;
	const char *problem;
	const char **strangers;
	size_t stranger_count;
	size_t count;
	struct keystore_key *items; /* by domain, selector, state */
	struct secret **secrets;    /* of each item, NULL: none */
	struct stamp *stamps;       /* of each item's file */
};

/* ---- a snapshot ---- */

static struct secret *secret_create(struct dkim_private_key *key)
{
	struct secret *secret = malloc(sizeof *secret);
	if (secret == NULL) {
		abort();
	}
	atomic_init(&secret->references, 1);
	secret->key = key;
	return secret;
}

static struct secret *secret_acquire(struct secret *secret)
{
	atomic_fetch_add_explicit(&secret->references, 1, memory_order_relaxed);
	return secret;
}

static void secret_release(struct secret *secret)
{
	if (secret != NULL && atomic_fetch_sub_explicit(&secret->references, 1, memory_order_acq_rel) == 1) {
		dkim_private_key_destroy(secret->key);
		free(secret);
	}
}

static void keys_clear(struct keys *keys)
{
	for (size_t i = 0; i < keys->count; i++) {
		secret_release(keys->secrets[i]);
	}
	keys->count = 0;
}

void keys_release(struct keys *keys)
{
	if (keys != NULL && counted_release(&keys->counted)) {
		keys_clear(keys);
		arena_destroy(keys->arena);
	}
}

static int compare_keys(const void *a, const void *b)
{
	const struct keystore_key *x = a;
	const struct keystore_key *y = b;
	int order = strcmp(x->name.domain, y->name.domain);
	if (order == 0) {
		order = strcmp(x->name.selector, y->name.selector);
	}
	/* The active one of a selector first. */
	return order != 0 ? order : (y->name.state == KEY_ACTIVE) - (x->name.state == KEY_ACTIVE);
}

const struct keystore_key *keys_all(const struct keys *keys, size_t *count_r)
{
	*count_r = keys->count;
	return keys->items;
}

const struct keystore_key *keys_of(const struct keys *keys, const char *domain, size_t *count_r)
{
	size_t low = 0;
	size_t high = keys->count;
	while (low < high) {
		size_t half = low + (high - low) / 2;
		if (strcmp(keys->items[half].name.domain, domain) < 0) {
			low = half + 1;
		} else {
			high = half;
		}
	}
	*count_r = 0;
	while (low + *count_r < keys->count && strcmp(keys->items[low + *count_r].name.domain, domain) == 0) {
		++*count_r;
	}
	return keys->items + low;
}

const struct keystore_key *keys_find(const struct keys *keys, const char *domain, const char *selector)
{
	size_t count;
	const struct keystore_key *items = keys_of(keys, domain, &count);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(items[i].name.selector, selector) == 0) {
			return &items[i];
		}
	}
	return NULL;
}

const char *keys_problem(const struct keys *keys)
{
	return keys->problem;
}

const char *const *keys_strangers(const struct keys *keys)
{
	return (const char *const *)keys->strangers;
}

/* ---- reading a folder ---- */

static bool is_pem(const char *name)
{
	return name[0] != '.' && slice_ends_nocase(slice_from(name), SLICE_LITERAL(".pem"));
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct names {
	size_t count;
	const char **items;
};

/* The names of the folder, sorted; false with errno. */
static bool names_read(int fd, struct arena *arena, struct names *names_r)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	size_t capacity = 64;
	*names_r = (struct names){0, arena_alloc(arena, capacity * sizeof *names_r->items)};
	while (folder != NULL && (errno = 0, entry = readdir(folder)) != NULL) {
		if (!is_pem(entry->d_name)) {
			continue;
		}
		if (names_r->count == KEYSTORE_MAX) {
			errno = EFBIG;
			break;
		}
		if (names_r->count == capacity) {
			const char **more = arena_alloc(arena, 2 * capacity * sizeof *more);
			memcpy(more, names_r->items, capacity * sizeof *more);
			names_r->items = more;
			capacity *= 2;
		}
		names_r->items[names_r->count++] = arena_strdup(arena, entry->d_name);
	}
	int error = errno;
	if (folder != NULL) {
		closedir(folder);
	}
	qsort(names_r->items, names_r->count, sizeof *names_r->items, compare_names);
	errno = error;
	return error == 0;
}

static bool same_names(const struct names *a, const struct names *b)
{
	for (size_t i = 0; i < a->count && a->count == b->count; i++) {
		if (strcmp(a->items[i], b->items[i]) != 0) {
			return false;
		}
	}
	return a->count == b->count;
}

/* A file that is renamed while readdir() runs may be missed under both names, which would leave a domain without its
 * key. Two readings that agree have missed none. */
static bool names_read_stable(int fd, struct arena *arena, struct names *names_r)
{
	struct names before;
	bool good = names_read(fd, arena, &before);
	for (int i = 0; good && i < ATTEMPTS; i++) {
		good = names_read(fd, arena, names_r);
		if (good && same_names(&before, names_r)) {
			return true;
		}
		before = *names_r;
	}
	if (good) {
		errno = EAGAIN;
	}
	return false;
}

/* The item of `before` with that name, in whatever state; NULL: none that helps. */
static size_t find_before(const struct keys *before, const struct key_name *name)
{
	const struct keystore_key *found = before == NULL ? NULL : keys_find(before, name->domain, name->selector);
	return found == NULL ? SIZE_MAX : (size_t)(found - before->items);
}

static void item_set_key(struct keys *keys, size_t i, struct secret *secret)
{
	keys->secrets[i] = secret;
	keys->items[i].key = secret == NULL ? NULL : secret->key;
}

/* Fills item i, whose name is there. False when the file is gone: the folder is to be read again. */
static bool item_read(struct keys *keys, int folder, size_t i, const struct keys *before)
{
	struct keystore_key *item = &keys->items[i];
	struct stat status;
	size_t old = find_before(before, &item->name);
	if (fstatat(folder, item->file, &status, AT_SYMLINK_NOFOLLOW) != 0) {
		return false;
	}
	struct stamp stamp = stamp_of(&status);
	if (old != SIZE_MAX && before->items[old].problem == NULL && stamp_same(&before->stamps[old], &stamp)) {
		item_set_key(keys, i, secret_acquire(before->secrets[old]));
	} else {
		const char *path = arena_printf(keys->arena, "%s/%s", keys->path, item->file);
		struct stat opened;
		struct dkim_private_key *key =
		    key_file_read(folder, item->file, path, keys->user, keys->arena, &opened, &item->problem);
		if (opened.st_mode != 0) {
			status = opened;
			stamp = stamp_of(&opened);
		} else if (fstatat(folder, item->file, &opened, AT_SYMLINK_NOFOLLOW) != 0) {
			return false;
		}
		item_set_key(keys, i, key == NULL ? NULL : secret_create(key));
		if (key == NULL && old != SIZE_MAX && before->secrets[old] != NULL) {
			item_set_key(keys, i, secret_acquire(before->secrets[old]));
		}
	}
	keys->stamps[i] = stamp;
	item->since = (uint64_t)status.st_mtim.tv_sec;
	item->user = status.st_uid;
	item->group = status.st_gid;
	item->mode = status.st_mode;
	return true;
}

static void keys_allocate(struct keys *keys, size_t count)
{
	keys->items = arena_alloc(keys->arena, count * sizeof *keys->items);
	keys->secrets = arena_alloc(keys->arena, count * sizeof(struct secret *));
	keys->stamps = arena_alloc(keys->arena, count * sizeof *keys->stamps);
}

/* False when a file vanished meanwhile. */
static bool keys_read(struct keys *keys, int folder, const struct names *names, const struct keys *before)
{
	size_t count = 0;
	keys_clear(keys);
	keys_allocate(keys, names->count);
	keys->strangers = arena_alloc(keys->arena, (names->count + 1) * sizeof(const char *));
	keys->stranger_count = 0;
	for (size_t i = 0; i < names->count; i++) {
		struct keystore_key *item = &keys->items[count];
		item->file = names->items[i];
		if (key_name_parse(keys->arena, item->file, &item->name)) {
			count++;
		} else {
			keys->strangers[keys->stranger_count++] =
			    arena_printf(keys->arena, "%s/%s is no name of a key; expected SELECTOR._domainkey.DOMAIN.STATE.pem",
			                 keys->path, text_escape(keys->arena, slice_from(item->file), "", false, 300));
		}
	}
	qsort(keys->items, count, sizeof *keys->items, compare_keys);
	for (size_t i = 0; i < count; i++) {
		bool there = item_read(keys, folder, i, before);
		keys->count = i + there;
		if (!there) {
			return false;
		}
	}
	return true;
}

/* Everything as it was, with a reason. */
static void keys_carry(struct keys *keys, const struct keys *before, const char *problem)
{
	keys_clear(keys);
	keys->problem = problem;
	keys->folder = (struct stamp){.settled = false};
	if (before == NULL) {
		return;
	}
	keys_allocate(keys, before->count);
	keys->count = before->count;
	for (size_t i = 0; i < before->count; i++) {
		struct keystore_key *item = &keys->items[i];
		*item = before->items[i];
		item->name.domain = arena_strdup(keys->arena, item->name.domain);
		item->name.selector = arena_strdup(keys->arena, item->name.selector);
		item->file = arena_strdup(keys->arena, item->file);
		item->problem = item->problem == NULL ? NULL : arena_strdup(keys->arena, item->problem);
		keys->stamps[i] = (struct stamp){.settled = false};
		item_set_key(keys, i, before->secrets[i] == NULL ? NULL : secret_acquire(before->secrets[i]));
	}
}

/* What keeps the folder from being ours; NULL: nothing. */
static const char *folder_check(const struct keys *keys, const struct stat *status)
{
	if (status->st_uid != 0 && status->st_uid != keys->user) {
		return arena_printf(keys->arena, "%s belongs to user %lu, neither root nor the daemon's user: chown it",
		                    keys->path, (unsigned long)status->st_uid);
	}
	if ((status->st_mode & 0002) != 0) {
		return arena_printf(keys->arena, "%s can be written by everybody (mode %04o): chmod 700 %s", keys->path,
		                    (unsigned)status->st_mode & 07777U, keys->path);
	}
	return NULL;
}

static const char *error_text(const struct keys *keys, int error)
{
	return error == EFBIG ? arena_printf(keys->arena, "%s has more than %d files", keys->path, KEYSTORE_MAX)
	                      : arena_printf(keys->arena, "%s: %s", keys->path, strerror(error));
}

/* NULL, or why the folder cannot be read. */
static const char *keys_read_folder(struct keys *keys, int folder, const struct keys *before)
{
	struct stat status;
	struct names names;
	if (fstat(folder, &status) != 0) {
		return error_text(keys, errno);
	}
	const char *problem = folder_check(keys, &status);
	if (problem != NULL) {
		return problem;
	}
	keys->folder = stamp_of(&status);
	for (int i = 0; i < ATTEMPTS; i++) {
		if (!names_read_stable(folder, keys->arena, &names)) {
			return error_text(keys, errno);
		}
		if (keys_read(keys, folder, &names, before)) {
			return NULL;
		}
	}
	return error_text(keys, EAGAIN);
}

struct keys *keys_load(const char *path, uid_t user, const struct keys *before)
{
	struct arena *arena = arena_create(4096);
	struct keys *keys = arena_alloc(arena, sizeof *keys);
	const char *problem = NULL;
	keys->arena = arena;
	counted_init(&keys->counted);
	keys->user = user;
	keys->path = arena_strdup(arena, path);
	keys_allocate(keys, 0);
	keys->strangers = arena_alloc(arena, sizeof(const char *));
	int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder >= 0) {
		problem = keys_read_folder(keys, folder, before);
		close(folder);
	} else if (errno != ENOENT || (before != NULL && before->count > 0)) {
		problem = error_text(keys, errno);
	}
	if (problem != NULL) {
		keys_carry(keys, before, problem);
	}
	return keys;
}

/* ---- the daemon's folder ---- */

struct keystore {
	uid_t user;
	_Atomic uint64_t next_look; /* monotonic */
	atomic_flag busy;           /* whoever sets it may look, read, publish, and use path */
	char *path;
	struct current current; /* struct keys, never NULL */
};

static struct keys *store_acquire(struct keystore *store)
{
	return (struct keys *)current_acquire(&store->current);
}

static void store_publish(struct keystore *store, struct keys *keys)
{
	keys_release((struct keys *)current_replace(&store->current, &keys->counted));
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static const struct keystore_key *find_file(const struct keys *keys, const struct keystore_key *item)
{
	size_t count;
	const struct keystore_key *items = keys == NULL ? NULL : keys_of(keys, item->name.domain, &count);
	for (size_t i = 0; items != NULL && i < count; i++) {
		if (strcmp(items[i].file, item->file) == 0) {
			return &items[i];
		}
	}
	return NULL;
}

/* What is new in `after`. before may be NULL. */
static void store_log(const struct keys *before, const struct keys *after)
{
	if (after->problem != NULL && (before == NULL || !same_text(before->problem, after->problem))) {
		log_warning("keys: %s%s", after->problem, before == NULL ? "" : "; the keys stay as they were");
	}
	for (size_t i = 0; i < after->count && after->problem == NULL; i++) {
		const struct keystore_key *item = &after->items[i];
		const struct keystore_key *old = find_file(before, item);
		const char *said = old == NULL ? NULL : old->problem;
		if (item->problem != NULL && !same_text(said, item->problem)) {
			log_warning("keys: %s%s", item->problem, item->key == NULL ? "" : "; what it held before is used");
		} else if (item->problem == NULL && said != NULL) {
			log_info("keys: %s is good again", item->file);
		}
	}
	for (size_t i = 0; i < after->stranger_count; i++) {
		if (before == NULL || i >= before->stranger_count || !same_text(before->strangers[i], after->strangers[i])) {
			log_warning("keys: %s", after->strangers[i]);
		}
	}
}

static bool keys_changed(const struct keys *keys)
{
	struct stat status;
	int folder = open(keys->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0) {
		return keys->folder.inode != 0 || keys->problem != NULL || errno != ENOENT;
	}
	struct stamp now;
	bool same = keys->problem == NULL && fstat(folder, &status) == 0 &&
	            (now = stamp_of(&status), stamp_same(&keys->folder, &now));
	for (size_t i = 0; same && i < keys->count; i++) {
		same = fstatat(folder, keys->items[i].file, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
		       (now = stamp_of(&status), stamp_same(&keys->stamps[i], &now));
	}
	close(folder);
	return !same;
}

/* By whoever has set `busy`: nobody else replaces what is current. */
static void store_read(struct keystore *store)
{
	struct keys *before = store_acquire(store);
	struct keys *after = keys_load(store->path, store->user, before);
	store_log(before, after);
	store_publish(store, after);
	keys_release(before);
}

struct keystore *keystore_create(const char *path, uid_t user)
{
	struct keystore *store = calloc(1, sizeof *store);
	if (store == NULL || (store->path = strdup(path)) == NULL) {
		abort();
	}
	store->user = user;
	atomic_flag_clear(&store->busy);
	struct keys *keys = keys_load(path, user, NULL);
	store_log(NULL, keys);
	store_publish(store, keys);
	atomic_init(&store->next_look, clock_now() + LOOK_EVERY_S * CLOCK_NS_PER_S);
	return store;
}

void keystore_destroy(struct keystore *store)
{
	if (store != NULL) {
		keys_release((struct keys *)current_replace(&store->current, NULL));
		free(store->path);
		free(store);
	}
}

struct keys *keystore_acquire(struct keystore *store)
{
	uint64_t now = clock_now();
	if (now >= atomic_load_explicit(&store->next_look, memory_order_relaxed) &&
	    !atomic_flag_test_and_set(&store->busy)) {
		atomic_store_explicit(&store->next_look, now + LOOK_EVERY_S * CLOCK_NS_PER_S, memory_order_relaxed);
		struct keys *keys = store_acquire(store);
		if (keys_changed(keys)) {
			store_read(store);
		}
		keys_release(keys);
		atomic_flag_clear(&store->busy);
	}
	return store_acquire(store);
}

void keystore_reload(struct keystore *store, const char *path)
{
	while (atomic_flag_test_and_set(&store->busy)) {
		sched_yield();
	}
	if (strcmp(store->path, path) != 0) {
		free(store->path);
		store->path = strdup(path);
		if (store->path == NULL) {
			abort();
		}
	}
	store_read(store);
	atomic_flag_clear(&store->busy);
}
