/* engine: what all sessions share: the published configuration, the resolver, the content workers, our keys and the store. */
#ifndef MAILREEVE_PIPELINE_ENGINE_H
#define MAILREEVE_PIPELINE_ENGINE_H

#include "lib/auth/keystore.h"
#include "lib/dns/dns.h"
#include "lib/geo/geo.h"
#include "lib/inspect/keeper.h"
#include "lib/inspect/poison.h"
#include "lib/pipeline/bayes_cache.h"
#include "lib/pipeline/lists.h"
#include "lib/pipeline/dnsbl_health.h"
#include "lib/policy/config.h"
#include "lib/store/store.h"

struct auto_learn;
struct engine;
struct meter;
struct monitor;
struct housekeeping;

struct engine_options {
	const char *dns_zone;        /* answers from this master file instead of the resolver; NULL: resolver */
	const char *dns_text;        /* likewise, from such a text in memory; NULL: see dns_zone */
	const char *inspect_program; /* NULL: MAILREEVE_INSPECT in the environment, else where make install puts it */
	/* It lives long: the virus database is watched, and tested; the store is opened to write, and must be usable. Without
	 * it an existing store is read only, and one that cannot be read is an error in the log and no store. */
	bool daemon;
};

/* Takes its own reference of config. NULL with *error_r (free()) when the resolver, the workers or the store cannot start. */
struct engine *engine_open(struct config *config, const struct engine_options *options, char **error_r);
void engine_close(struct engine *engine); /* no session may be alive; takes NULL */

/* Publishes another snapshot: sessions that have begun keep theirs. The keys are read again. What only a restart can change (socket, user, dns)
 * is logged when it differs. Other options of content { } and virus { } start other workers beside the old: see keeper.h. */
void engine_publish(struct engine *engine, struct config *config);
void engine_log_counters(struct engine *engine); /* what the content workers have done since the start */
struct config *engine_config(struct engine *engine); /* a reference of the current one: config_release() */

/* The daemon ends, while transactions that were cut off may still run: what is queued for the store is written or
 * spilled now. Nobody asks for the monitor any more. */
void engine_stop_store(struct engine *engine);

/* Housekeeping looks at once whether there is something to do. */
void engine_wake(struct engine *engine);

/* Our own name where no MTA tells one: authserv_id, else the host's. */
const char *engine_name(const struct config *config, struct arena *arena);

/* The resolver as configured, or the master file. NULL with *error_r (free()). For commands that need no more. */
struct dns *engine_open_dns(const struct config *config, const char *zone, char **error_r);

/* The program of the workers: the one given, else MAILREEVE_INSPECT in the environment, else the installed one. free() */
char *engine_inspect_program(const char *program);

bool engine_is_daemon(const struct engine *engine); /* what it decides is done; false: it is only told */
struct dns *engine_dns(struct engine *engine);
struct keeper *engine_keeper(struct engine *engine);
struct poison *engine_poison(struct engine *engine);
struct message_budget *engine_message_budget(struct engine *engine);
struct store *engine_store(struct engine *engine); /* NULL: there is none */
bool engine_records(const struct engine *engine);  /* is there one that is written to: the daemon's? */
struct lists *engine_lists(struct engine *engine); /* of lists { } and of the store */
struct bayes_cache *engine_bayes(struct engine *engine); /* never NULL */
struct dnsbl_health *engine_dnsbl_health(struct engine *engine); /* NULL in explain: nothing is tested beforehand */
struct keystore *engine_keystore(struct engine *engine); /* of sign.keys_dir */
struct geo *engine_geo(struct engine *engine);           /* never NULL */
struct meter *engine_meter(struct engine *engine);       /* NULL in explain: nothing is counted */
/* What the daemon learns by itself; NULL: no store of the daemon's. */
struct auto_learn *engine_auto_learn(struct engine *engine);
struct monitor *engine_monitor(struct engine *engine);   /* likewise */
struct housekeeping *engine_housekeeping(struct engine *engine); /* NULL: no store of the daemon's */

struct engine_times { /* epoch seconds */
	uint64_t started;  /* the process */
	uint64_t loaded;   /* the configuration that is in force */
	uint64_t refused;  /* a reload, last; 0: none */
};
struct engine_times engine_times(struct engine *engine);
void engine_reload_refused(struct engine *engine); /* there was one */
/* As config_settings(): the databases of config, for what looks after them. */
void engine_geo_settings(const struct config *config, struct geo_settings *settings_r);

#endif
