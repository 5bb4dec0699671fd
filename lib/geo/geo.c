#include "lib/geo/geo.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/slice.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

struct file {
	enum geo_kind kind;
	struct current current; /* struct mmdb, NULL: none could be loaded */
	/* The rest is used by whoever has set the geo's `busy`. */
	char *path;
	bool expected;
	struct stamp tried; /* of the file that was loaded or refused last */
	char *problem;      /* that was logged last; NULL: none */
};

struct geo {
	_Atomic uint64_t next_look, interval; /* monotonic nanoseconds */
	atomic_flag busy;                     /* whoever sets it may look at files and load them */
	atomic_bool shared;                   /* both kinds are in one file: the second is not loaded */
	struct file files[GEO_KINDS];
};

static const char *const kind_names[] = {[GEO_COUNTRY] = "countries", [GEO_ASN] = "AS numbers"};

static char *copy_text(const char *text)
{
	char *copy = strdup(text);
	if (copy == NULL) {
		abort();
	}
	return copy;
}

/* A file without what it is there for is as good as none, and most likely another one than was meant. */
static const char *unfit(const struct mmdb *mmdb, enum geo_kind kind)
{
	bool fit = kind == GEO_COUNTRY ? mmdb->summary.has_country : mmdb->summary.has_asn;
	return fit ? NULL : kind == GEO_COUNTRY ? "there are no countries in it" : "there are no AS numbers in it";
}

static struct mmdb *load(const char *path, enum geo_kind kind, struct stamp *stamp_r, char **error_r)
{
	struct mmdb *mmdb = mmdb_load(path, stamp_r, error_r);
	if (mmdb != NULL && unfit(mmdb, kind) != NULL) {
		*error_r = copy_text(unfit(mmdb, kind));
		mmdb_release(mmdb);
		return NULL;
	}
	return mmdb;
}

char *geo_problem(const char *path, enum geo_kind kind)
{
	struct stamp stamp;
	char *error = NULL;
	mmdb_release(load(path, kind, &stamp, &error));
	return error;
}

/* Says once what is wrong. Takes over problem. */
static void file_problem(struct file *file, char *problem)
{
	bool missing = strcmp(problem, strerror(ENOENT)) == 0;
	bool same = file->problem != NULL && strcmp(file->problem, problem) == 0;
	struct mmdb *kept = (struct mmdb *)current_acquire(&file->current);
	const char *then = kept != NULL ? "; what was loaded before is used" : "";
	if (!same && missing && kept == NULL && !file->expected) {
		log_info("geo: no %s: %s is not there", kind_names[file->kind], file->path);
	} else if (!same && missing) {
		log_warning("geo: no new %s: %s: %s%s", kind_names[file->kind], file->path, problem, then);
	} else if (!same) {
		log_error("geo: %s is refused: %s%s", file->path, problem, then);
	}
	mmdb_release(kept);
	free(file->problem);
	file->problem = problem;
}

static void file_log(const struct file *file, const struct mmdb *mmdb)
{
	char built[32] = "?";
	time_t epoch = (time_t)mmdb->summary.build_epoch;
	struct tm utc;
	if (gmtime_r(&epoch, &utc) != NULL) {
		strftime(built, sizeof built, "%Y-%m-%d", &utc);
	}
	log_info("geo: %s by %s: %s of %s, %llu networks", kind_names[file->kind], file->path, mmdb->type, built,
	         (unsigned long long)mmdb->summary.networks);
}

static bool same_content(const struct mmdb *a, const struct mmdb *b)
{
	return a != NULL && a->summary.build_epoch == b->summary.build_epoch &&
	       a->summary.networks == b->summary.networks && a->summary.node_count == b->summary.node_count &&
	       strcmp(a->type, b->type) == 0;
}

static void file_load(struct file *file)
{
	char *error = NULL;
	struct mmdb *mmdb = load(file->path, file->kind, &file->tried, &error);
	if (mmdb == NULL) {
		file_problem(file, error);
		return;
	}
	struct mmdb *before = (struct mmdb *)current_acquire(&file->current);
	/* What changed shortly before it was read is read twice; that is no news. */
	if (file->problem != NULL || !same_content(before, mmdb)) {
		file_log(file, mmdb);
	}
	free(file->problem);
	file->problem = NULL;
	mmdb_release((struct mmdb *)current_replace(&file->current, &mmdb->counted));
	mmdb_release(before);
}

static void file_look(struct file *file)
{
	struct stat status;
	if (file->path[0] == '\0') {
		return;
	}
	if (stat(file->path, &status) != 0) {
		file->tried = (struct stamp){.settled = false};
		file_problem(file, copy_text(strerror(errno)));
		return;
	}
	struct stamp now = stamp_of(&status);
	bool in_place = now.inode == file->tried.inode && now.device == file->tried.device;
	if (!stamp_same(&file->tried, &now) && (!in_place || now.settled)) {
		file_load(file);
	}
}

static void file_configure(struct file *file, const char *path, bool expected)
{
	file->expected = expected;
	if (file->path != NULL && strcmp(file->path, path) == 0) {
		file_look(file);
		return;
	}
	free(file->path);
	free(file->problem);
	file->path = copy_text(path);
	file->problem = NULL;
	file->tried = (struct stamp){.settled = false};
	if (path[0] == '\0') {
		mmdb_release((struct mmdb *)current_replace(&file->current, NULL));
	} else {
		file_load(file);
	}
}

void geo_configure(struct geo *geo, const struct geo_settings *settings)
{
	bool shared = strcmp(settings->paths[GEO_COUNTRY], settings->paths[GEO_ASN]) == 0;
	while (atomic_flag_test_and_set(&geo->busy)) {
		sched_yield();
	}
	atomic_store(&geo->interval, settings->check_interval_ns);
	atomic_store(&geo->next_look, clock_now() + settings->check_interval_ns);
	atomic_store(&geo->shared, shared);
	for (size_t i = 0; i < GEO_KINDS; i++) {
		bool wanted = i == 0 || !shared;
		file_configure(&geo->files[i], wanted ? settings->paths[i] : "", settings->expected[i]);
	}
	atomic_flag_clear(&geo->busy);
}

struct geo *geo_open(const struct geo_settings *settings)
{
	struct geo *geo = calloc(1, sizeof *geo);
	if (geo == NULL) {
		abort();
	}
	atomic_flag_clear(&geo->busy);
	for (size_t i = 0; i < GEO_KINDS; i++) {
		geo->files[i].kind = (enum geo_kind)i;
	}
	geo_configure(geo, settings);
	return geo;
}

void geo_close(struct geo *geo)
{
	if (geo == NULL) {
		return;
	}
	for (size_t i = 0; i < GEO_KINDS; i++) {
		mmdb_release((struct mmdb *)current_replace(&geo->files[i].current, NULL));
		free(geo->files[i].path);
		free(geo->files[i].problem);
	}
	free(geo);
}

static void geo_look(struct geo *geo)
{
	uint64_t now = clock_now();
	if (now < atomic_load_explicit(&geo->next_look, memory_order_relaxed) || atomic_flag_test_and_set(&geo->busy)) {
		return;
	}
	for (size_t i = 0; i < GEO_KINDS; i++) {
		file_look(&geo->files[i]);
	}
	atomic_store_explicit(&geo->next_look, clock_now() + atomic_load(&geo->interval), memory_order_relaxed);
	atomic_flag_clear(&geo->busy);
}

static struct mmdb *geo_acquire(struct geo *geo, enum geo_kind kind)
{
	enum geo_kind where = atomic_load_explicit(&geo->shared, memory_order_relaxed) ? GEO_COUNTRY : kind;
	return (struct mmdb *)current_acquire(&geo->files[where].current);
}

void geo_lookup(struct geo *geo, const struct ip *ip, struct geo_facts *facts_r)
{
	*facts_r = (struct geo_facts){.address = *ip};
	geo_look(geo);
	for (size_t i = 0; i < GEO_KINDS; i++) {
		struct mmdb *mmdb = geo_acquire(geo, (enum geo_kind)i);
		if (mmdb != NULL && i == GEO_COUNTRY) {
			mmdb_country(mmdb, ip, facts_r);
		} else if (mmdb != NULL) {
			mmdb_system(mmdb, ip, facts_r);
		}
		mmdb_release(mmdb);
	}
}

uint64_t geo_built(struct geo *geo, enum geo_kind kind)
{
	struct mmdb *mmdb = geo_acquire(geo, kind);
	uint64_t built = mmdb == NULL ? 0 : mmdb->summary.build_epoch;
	mmdb_release(mmdb);
	return built;
}

bool geo_has(struct geo *geo, enum geo_kind kind)
{
	struct mmdb *mmdb = geo_acquire(geo, kind);
	mmdb_release(mmdb);
	return mmdb != NULL;
}
