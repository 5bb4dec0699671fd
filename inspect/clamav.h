/* clamav: libclamav in nursery and worker. */
#ifndef MAILREEVE_INSPECT_CLAMAV_H
#define MAILREEVE_INSPECT_CLAMAV_H

#include "lib/inspect/pool.h"

/* Nursery: loads every database that exists and compiles the engine. NULL, or a text (static or in arena) why not, with
 * the name of the file that could not be loaded. settings must outlive the engine. */
const char *clamav_load(const struct pool_settings *settings, struct arena *arena);
struct inspect_database clamav_database(void);

/* Worker, after its fork: a temporary folder of its own. Children that share one invent the same names, and infected
 * mail comes out clean. */
bool clamav_set_tmp_dir(const char *directory);

/* One message, in one piece or in several. What is found in any of them is found; the worst counts: FOUND, then ERROR,
 * LIMIT, CLEAN. All pieces share the time. */
struct clamav_scan {
	struct arena *arena;
	uint64_t deadline; /* monotonic: libclamav is told to end somewhat earlier */
	enum inspect_virus_status status;
	const char *name, *problem, *ignored;
};

void clamav_open(struct clamav_scan *scan_r, uint32_t deadline_ms, struct arena *arena);

/* False: something is found, there is no need to go on. message: CLAMAV_LEAD stands in front of it in memory. */

/* The message with everything in it, by libclamav's own mail parser. */
bool clamav_scan_mail(struct clamav_scan *scan, const char *message, size_t size);
/* The message as it is, without that parser: for him who gives its parts one by one. Signatures for mail (target 4), for
 * any file and of the whole match; those of decoded parts, and the heuristics for phishing, do not. */
bool clamav_scan_raw(struct clamav_scan *scan, const char *message, size_t size);
/* A decoded part. name: of the file, NULL: it has none. Archives in it are unpacked, and a message in it is parsed. */
bool clamav_scan_part(struct clamav_scan *scan, struct slice content, const char *name);

/* Fills the virus_ members of *reply_r, and database. */
void clamav_close(const struct clamav_scan *scan, struct inspect_reply *reply_r);

#endif
