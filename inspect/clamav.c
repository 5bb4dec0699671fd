#include "inspect/clamav.h"

#include "lib/base/log.h"
#include "lib/base/slice.h"

#include <clamav.h>
#include <dirent.h>
#include <sys/stat.h>

enum { NAME_MAX_BYTES = 200, LEAD = sizeof CLAMAV_LEAD - 1 };

static struct cl_engine *engine;
static struct cl_scan_options options;
static unsigned int signatures;
static bool official;
static uint32_t time_max; /* milliseconds for one message */

uint32_t clamav_signatures(void)
{
	return signatures;
}

bool clamav_official(void)
{
	return official;
}

/* libclamav's own messages: what matters comes back as a result. */
static void on_message(enum cl_msg severity, const char *full, const char *text, void *context)
{
	(void)context, (void)full;
	if (severity == CL_MSG_ERROR) {
		log_debug("libclamav: %s", text);
	}
}

static bool is_official(const char *name)
{
	struct slice text = slice_from(name);
	return slice_ends_nocase(text, SLICE_LITERAL(".cvd")) || slice_ends_nocase(text, SLICE_LITERAL(".cld"));
}

/* Is there a file in the folder that might be a database? An empty one is an error for libclamav. */
static bool folder_has_files(const char *path)
{
	DIR *folder = opendir(path);
	bool found = false;
	if (folder == NULL) {
		return false;
	}
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		bool database = entry->d_name[0] != '.' && strchr(entry->d_name, '.') != NULL &&
		                !slice_ends_nocase(slice_from(entry->d_name), SLICE_LITERAL(".dat"));
		found = found || database;
		official = official || is_official(entry->d_name);
	}
	closedir(folder);
	return found;
}

static const char *load_one(const char *path, struct arena *arena)
{
	struct stat status;
	unsigned int before = signatures;
	if (stat(path, &status) != 0) {
		return NULL; /* one that does not exist is passed over */
	}
	if (S_ISDIR(status.st_mode) ? !folder_has_files(path) : false) {
		return NULL;
	}
	official = official || (!S_ISDIR(status.st_mode) && is_official(path));
	cl_error_t error = cl_load(path, engine, &signatures, CL_DB_STDOPT);
	if (error != CL_SUCCESS && !(S_ISDIR(status.st_mode) && signatures == before && error == CL_EOPEN)) {
		return arena_printf(arena, "virus.databases: %s: %s", path, cl_strerror(error));
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

const char *clamav_load(const struct pool_settings *settings, struct arena *arena)
{
	cl_set_clcb_msg(on_message);
	cl_error_t error = cl_init(CL_INIT_DEFAULT);
	engine = error == CL_SUCCESS ? cl_engine_new() : NULL;
	if (engine == NULL) {
		return "libclamav cannot be initialised";
	}
	cl_engine_set_str(engine, CL_ENGINE_TMPDIR, settings->tmp_dir);
	for (size_t i = 0; settings->databases[i] != NULL; i++) {
		const char *problem = load_one(settings->databases[i], arena);
		if (problem != NULL) {
			return problem;
		}
	}
	set_limits(settings);
	error = cl_engine_compile(engine);
	return error == CL_SUCCESS ? NULL : cl_strerror(error);
}

bool clamav_set_tmp_dir(const char *directory)
{
	return cl_engine_set_str(engine, CL_ENGINE_TMPDIR, directory) == CL_SUCCESS;
}

static bool is_limit(const char *name)
{
	return name == NULL || slice_starts_nocase(slice_from(name), SLICE_LITERAL("Heuristics.Limits.Exceeded"));
}

/* Its clock is looked at now and then only: 300 ms took 880. What is not fully scanned in two thirds of the time is
 * better told as that than killed at the deadline. 0 would be no limit. */
static void set_time(uint32_t deadline_ms)
{
	uint32_t most = deadline_ms / 3 * 2;
	most = time_max > 0 && time_max < most ? time_max : most;
	cl_engine_set_num(engine, CL_ENGINE_MAX_SCANTIME, most == 0 ? 1 : most);
}

void clamav_scan(const char *message, size_t size, uint32_t deadline_ms, struct arena *arena,
                 struct inspect_reply *reply_r)
{
	const char *name = NULL;
	unsigned long scanned = 0;
	if (signatures == 0) {
		reply_r->virus = INSPECT_VIRUS_NO_DATABASE;
		return;
	}
	if (size == 0) {
		reply_r->virus = INSPECT_VIRUS_CLEAN;
		return;
	}
	set_time(deadline_ms);
	cl_fmap_t *map = cl_fmap_open_memory(message - LEAD, LEAD + size);
	cl_error_t result = map == NULL ? CL_EMEM : cl_scanmap_callback(map, NULL, &name, &scanned, engine, &options, NULL);
	if (result == CL_VIRUS) {
		reply_r->virus = is_limit(name) ? INSPECT_VIRUS_LIMIT : INSPECT_VIRUS_FOUND;
		reply_r->virus_name =
		    text_escape(arena, slice_from(name == NULL ? "Limits.Exceeded" : name), "", false, NAME_MAX_BYTES);
	} else if (result == CL_CLEAN) {
		reply_r->virus = INSPECT_VIRUS_CLEAN;
	} else if (result == CL_ETIMEOUT || result == CL_EMAXREC || result == CL_EMAXSIZE || result == CL_EMAXFILES) {
		reply_r->virus = INSPECT_VIRUS_LIMIT;
		reply_r->virus_name = cl_strerror(result);
	} else {
		reply_r->virus = INSPECT_VIRUS_ERROR;
		reply_r->virus_problem = arena_printf(arena, "ClamAV: %s", cl_strerror(result));
	}
	if (map != NULL) {
		cl_fmap_close(map);
	}
}
