#include "inspect/clamav.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/slice.h"

#include <clamav.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

enum { NAME_MAX_BYTES = 200, LEAD = sizeof CLAMAV_LEAD - 1 };

static struct cl_engine *engine;
static struct cl_scan_options options;
static struct inspect_database database;
static uint32_t time_max; /* milliseconds for one message */
static const char *const *ignored;
static char last_error[512]; /* what libclamav said last; its result alone does not name the file */

struct inspect_database clamav_database(void)
{
	return database;
}

/* libclamav's own messages: what matters comes back as a result. */
static void on_message(enum cl_msg severity, const char *full, const char *text, void *context)
{
	(void)context, (void)full;
	if (severity == CL_MSG_ERROR) {
		log_debug("libclamav: %s", text);
		snprintf(last_error, sizeof last_error, "%.*s", (int)strcspn(text, "\r\n"), text);
	}
}

/* ---- nursery: loading ---- */

static bool is_official(const char *name)
{
	struct slice text = slice_from(name);
	return slice_ends_nocase(text, SLICE_LITERAL(".cvd")) || slice_ends_nocase(text, SLICE_LITERAL(".cld"));
}

/* The newest one's version and age are the database's: "daily", where there is one. */
static void note_official(const char *path)
{
	struct cl_cvd *head = is_official(path) ? cl_cvdhead(path) : NULL;
	if (head == NULL) {
		return;
	}
	database.official = true;
	if (head->stime >= database.time) {
		database.time = head->stime;
		database.version = head->version;
	}
	cl_cvdfree(head);
}

/* Is there a file in the folder that might be a database? An empty one is an error for libclamav. */
static bool folder_has_files(const char *path, struct arena *arena)
{
	DIR *folder = opendir(path);
	bool found = false;
	if (folder == NULL) {
		return false;
	}
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		bool file = entry->d_name[0] != '.' && strchr(entry->d_name, '.') != NULL &&
		            !slice_ends_nocase(slice_from(entry->d_name), SLICE_LITERAL(".dat"));
		found = found || file;
		note_official(arena_printf(arena, "%s/%s", path, entry->d_name));
	}
	closedir(folder);
	return found;
}

static const char *load_one(const char *path, unsigned int db_options, struct arena *arena)
{
	struct stat status;
	unsigned int before = database.signatures;
	unsigned int count = before;
	if (stat(path, &status) != 0) {
		return NULL; /* one that does not exist is passed over */
	}
	if (S_ISDIR(status.st_mode) ? !folder_has_files(path, arena) : false) {
		return NULL;
	}
	note_official(path);
	last_error[0] = '\0';
	cl_error_t error = cl_load(path, engine, &count, db_options);
	database.signatures = count;
	if (error != CL_SUCCESS && !(S_ISDIR(status.st_mode) && count == before && error == CL_EOPEN)) {
		const char *more = text_escape(arena, slice_from(last_error), "", true, sizeof last_error);
		return arena_printf(arena, "virus.databases: %s: %s%s%s", path, cl_strerror(error), *more == '\0' ? "" : ": ",
		                    more);
	}
	return NULL;
}

static void set_limits(const struct pool_settings *settings)
{
	cl_engine_set_num(engine, CL_ENGINE_MAX_SCANSIZE, (long long)settings->scan_size_max);
	cl_engine_set_num(engine, CL_ENGINE_MAX_FILESIZE, (long long)settings->file_size_max);
	cl_engine_set_num(engine, CL_ENGINE_MAX_RECURSION, settings->scan_recursion_max);
	cl_engine_set_num(engine, CL_ENGINE_MAX_FILES, settings->scan_files_max);
	time_max = settings->scan_time_ms;
	options.general = CL_SCAN_GENERAL_HEURISTICS;
	options.parse = ~0U;
	/* Without this flag a message beyond the limits comes back as clean. */
	options.heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX;
	if (settings->scan_heuristics) {
		options.heuristic |= CL_SCAN_HEURISTIC_PHISHING_SSL_MISMATCH | CL_SCAN_HEURISTIC_PHISHING_CLOAK |
		                     CL_SCAN_HEURISTIC_ENCRYPTED_ARCHIVE | CL_SCAN_HEURISTIC_ENCRYPTED_DOC;
	}
}

static void on_found(int fd, const char *name, void *context);

const char *clamav_load(const struct pool_settings *settings, struct arena *arena)
{
	unsigned int db_options = CL_DB_STDOPT | (settings->scan_pua ? CL_DB_PUA : 0);
	cl_set_clcb_msg(on_message);
	cl_error_t error = cl_init(CL_INIT_DEFAULT);
	engine = error == CL_SUCCESS ? cl_engine_new() : NULL;
	if (engine == NULL) {
		return "libclamav cannot be initialised";
	}
	cl_engine_set_str(engine, CL_ENGINE_TMPDIR, settings->tmp_dir);
	ignored = settings->ignored;
	for (size_t i = 0; settings->databases[i] != NULL; i++) {
		const char *problem = load_one(settings->databases[i], db_options, arena);
		if (problem != NULL) {
			return problem;
		}
	}
	set_limits(settings);
	cl_engine_set_clcb_virus_found(engine, on_found);
	error = cl_engine_compile(engine);
	return error == CL_SUCCESS ? NULL : cl_strerror(error);
}

bool clamav_set_tmp_dir(const char *directory)
{
	return cl_engine_set_str(engine, CL_ENGINE_TMPDIR, directory) == CL_SUCCESS;
}

/* ---- worker: scanning ---- */

static bool is_limit(const char *name)
{
	return name == NULL || slice_starts_nocase(slice_from(name), SLICE_LITERAL("Heuristics.Limits.Exceeded"));
}

/* libclamav adds .UNOFFICIAL to what is not its own; the operator need not. */
static bool is_ignored(const char *name)
{
	for (size_t i = 0; name != NULL && ignored != NULL && ignored[i] != NULL; i++) {
		size_t n = strlen(ignored[i]);
		if (strncmp(name, ignored[i], n) == 0 && (name[n] == '\0' || strcmp(name + n, ".UNOFFICIAL") == 0)) {
			return true;
		}
	}
	return false;
}

static int weight(enum inspect_virus_status status)
{
	switch (status) {
	case INSPECT_VIRUS_NOT_ASKED:
	case INSPECT_VIRUS_CLEAN:
	case INSPECT_VIRUS_NO_DATABASE:
	case INSPECT_VIRUS_NOT_SCANNED:
		break;
	case INSPECT_VIRUS_LIMIT:
		return 1;
	case INSPECT_VIRUS_ERROR:
		return 2;
	case INSPECT_VIRUS_FOUND:
		return 3;
	}
	return 0;
}

static void note(struct clamav_scan *scan, enum inspect_virus_status status, const char *name, const char *problem)
{
	if (weight(status) > weight(scan->status)) {
		scan->status = status;
		scan->name = name == NULL ? NULL : text_escape(scan->arena, slice_from(name), "", false, NAME_MAX_BYTES);
		scan->problem = problem;
	}
}

static void note_name(struct clamav_scan *scan, const char *name)
{
	if (is_ignored(name)) {
		scan->ignored = text_escape(scan->arena, slice_from(name), "", false, NAME_MAX_BYTES);
	} else {
		note(scan, is_limit(name) ? INSPECT_VIRUS_LIMIT : INSPECT_VIRUS_FOUND,
		     name == NULL ? "Limits.Exceeded" : name, NULL);
	}
}

/* libclamav calls it for every match, in the scan for all of them only that has a context. */
static void on_found(int fd, const char *name, void *context)
{
	(void)fd;
	if (context != NULL) {
		note_name(context, name);
	}
}

static void note_result(struct clamav_scan *scan, cl_error_t result)
{
	if (result == CL_ETIMEOUT || result == CL_EMAXREC || result == CL_EMAXSIZE || result == CL_EMAXFILES) {
		note(scan, INSPECT_VIRUS_LIMIT, cl_strerror(result), NULL);
	} else if (result != CL_CLEAN && result != CL_VIRUS) {
		note(scan, INSPECT_VIRUS_ERROR, NULL, arena_printf(scan->arena, "ClamAV: %s", cl_strerror(result)));
	}
}

/* Its clock is looked at now and then only: 300 ms took 880. What is not fully scanned in two thirds of the time is
 * better told as that than killed at the deadline. 0 would be no limit. */
static void set_time(const struct clamav_scan *scan)
{
	uint64_t now = clock_now();
	uint64_t most = scan->deadline > now ? (scan->deadline - now) / CLOCK_NS_PER_MS / 3 * 2 : 0;
	most = time_max > 0 && time_max < most ? time_max : most;
	cl_engine_set_num(engine, CL_ENGINE_MAX_SCANTIME, most == 0 ? 1 : (long long)most);
}

static void scan_map(struct clamav_scan *scan, cl_fmap_t *map, const char *file, struct cl_scan_options how)
{
	const char *name = NULL;
	unsigned long scanned = 0;
	cl_error_t result = cl_scanmap_callback(map, file, &name, &scanned, engine, &how, NULL);
	if (result != CL_VIRUS) {
		note_result(scan, result);
	} else if (!is_ignored(name)) {
		note_name(scan, name);
	} else {
		/* It ends at the first match: what is behind one that is ignored has not been looked for. */
		how.general |= CL_SCAN_GENERAL_ALLMATCHES;
		note_name(scan, name);
		note_result(scan, cl_scanmap_callback(map, file, &name, &scanned, engine, &how, scan));
	}
}

static bool scan_bytes(struct clamav_scan *scan, const char *data, size_t size, const char *file, uint32_t parse)
{
	struct cl_scan_options how = options;
	if (scan->status == INSPECT_VIRUS_NO_DATABASE || size == 0) {
		return true;
	}
	how.parse = parse;
	set_time(scan);
	cl_fmap_t *map = cl_fmap_open_memory(data, size);
	if (map == NULL) {
		note_result(scan, CL_EMEM);
		return true;
	}
	scan_map(scan, map, file, how);
	cl_fmap_close(map);
	return scan->status != INSPECT_VIRUS_FOUND;
}

void clamav_open(struct clamav_scan *scan_r, uint32_t deadline_ms, struct arena *arena)
{
	*scan_r = (struct clamav_scan){
	    .arena = arena,
	    .deadline = clock_now() + deadline_ms * CLOCK_NS_PER_MS,
	    .status = database.signatures == 0 ? INSPECT_VIRUS_NO_DATABASE : INSPECT_VIRUS_CLEAN,
	};
}

bool clamav_scan_mail(struct clamav_scan *scan, const char *message, size_t size)
{
	return size == 0 || scan_bytes(scan, message - LEAD, LEAD + size, NULL, options.parse);
}

bool clamav_scan_raw(struct clamav_scan *scan, const char *message, size_t size)
{
	return size == 0 || scan_bytes(scan, message - LEAD, LEAD + size, NULL, options.parse & ~(uint32_t)CL_SCAN_PARSE_MAIL);
}

bool clamav_scan_part(struct clamav_scan *scan, struct slice content, const char *name)
{
	return scan_bytes(scan, content.data, content.len, name, options.parse);
}

void clamav_close(const struct clamav_scan *scan, struct inspect_reply *reply_r)
{
	reply_r->virus = scan->status;
	reply_r->virus_name = scan->name;
	reply_r->virus_problem = scan->problem;
	reply_r->virus_ignored = scan->ignored;
	reply_r->database = database;
}
