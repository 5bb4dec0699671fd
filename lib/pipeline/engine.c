#include "lib/pipeline/engine.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pipeline/auto_learn.h"
#include "lib/pipeline/housekeeping.h"
#include "lib/pipeline/meter.h"
#include "lib/pipeline/monitor.h"
#include "lib/pipeline/stage_bayes.h"
#include "lib/pipeline/stage_dnsbl.h"
#include "lib/pipeline/stage_geo.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stage_lists.h"
#include "lib/pipeline/stage_sign.h"
#include "lib/pipeline/stage_virus.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct engine {
	struct dns *dns;
	struct keeper *keeper;
	char *inspect_program;
	bool daemon;
	struct poison *poison;
	struct message_budget budget;
	struct keystore *keystore;
	struct store *store; /* NULL: none */
	struct housekeeping *housekeeping; /* NULL: no store of the daemon's */
	struct lists *lists;
	struct bayes_cache *bayes;
	struct auto_learn *auto_learn; /* NULL: no store of the daemon's */
	struct dnsbl_health *dnsbl_health; /* NULL: explain */
	struct geo *geo;
	struct meter *meter;     /* NULL: explain */
	struct monitor *monitor; /* likewise */
	pthread_mutex_t lock; /* guards config, times, and housekeeping where others wake it: held for a pointer and a count only */
	struct config *config;
	struct engine_times times;
};

struct dns *engine_open_dns(const struct config *config, const char *zone, char **error_r)
{
	const struct dns_options *options = config_settings(config, SECTION_DNS);
	struct dns_settings settings;
	if (zone != NULL) {
		return dns_open_zone(zone, error_r);
	}
	dns_settings_default(&settings);
	settings.forwarders = options->forwarders;
	settings.timeout_ns = options->timeout;
	settings.cache_bytes = options->cache_size;
	settings.ttl_max = (uint32_t)(options->ttl_max / CLOCK_NS_PER_S);
	settings.ttl_negative_max = (uint32_t)(options->ttl_negative_max / CLOCK_NS_PER_S);
	settings.pending_max = options->pending_max;
	settings.trust_anchor_file = NULL;
	if (options->trust_anchor_file[0] != '\0') {
		if (access(options->trust_anchor_file, R_OK) == 0) {
			settings.trust_anchor_file = options->trust_anchor_file;
		} else {
			log_warning("dns.trust_anchor_file %s: %s: answers are not validated by DNSSEC", options->trust_anchor_file,
			            strerror(errno));
		}
	}
	return dns_open_resolver(&settings, error_r);
}

const char *engine_name(const struct config *config, struct arena *arena)
{
	const struct globals *globals = config_settings(config, SECTION_GLOBALS);
	char host[256] = "";
	if (globals->authserv_id[0] != '\0') {
		return globals->authserv_id;
	}
	if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0') {
		return "localhost";
	}
	return arena_strdup(arena, host);
}

static const char *engine_keys_dir(const struct config *config)
{
	const struct sign_settings *sign = config_settings(config, stages_section(&stage_sign));
	return sign->keys_dir;
}

void engine_geo_settings(const struct config *config, struct geo_settings *settings_r)
{
	bool off = config_mode(config, stages_section(&stage_geo)) == MODE_OFF;
	stage_geo_settings(config_settings(config, stages_section(&stage_geo)), settings_r);
	for (size_t i = 0; i < GEO_KINDS && off; i++) {
		settings_r->paths[i] = "";
	}
}

/* What the workers are started with. Valid while config and engine are. */
static void engine_keeper_settings(const struct engine *engine, const struct config *config,
                                   struct keeper_settings *settings_r)
{
	const struct content_options *content = config_settings(config, SECTION_CONTENT);
	const struct virus_settings *virus = config_settings(config, stages_section(&stage_virus));
	struct pool_settings *pool = &settings_r->pool;
	*settings_r = (struct keeper_settings){
	    .clamd_socket = virus->engine == VIRUS_CLAMD ? virus->clamd_socket : NULL,
	    .check_interval_ns = virus->check_interval,
	    .test_interval_ns = virus->self_test_interval,
	    .self_test = virus->self_test && config_mode(config, stages_section(&stage_virus)) != MODE_OFF,
	    .watch = engine->daemon,
	};
	pool_settings_default(pool);
	pool->program = engine->inspect_program;
	pool->workers = (unsigned)content->workers;
	pool->tmp_dir = content->tmp_dir;
	pool->databases = virus->databases;
	pool->start_timeout_ns = content->start_timeout;
	pool->memory_max = content->memory_max;
	pool->scan_size_max = content->scan_size_max;
	pool->file_size_max = content->file_size_max;
	pool->scan_recursion_max = (unsigned)content->scan_recursion_max;
	pool->scan_files_max = (unsigned)content->scan_files_max;
	pool->scan_time_ms = (uint32_t)(content->scan_time / CLOCK_NS_PER_MS);
	pool->scan_heuristics = virus->heuristics;
	pool->scan_pua = virus->pua;
	pool->ignored = virus->ignore;
}

char *engine_inspect_program(const char *program)
{
	program = program != NULL ? program : getenv("MAILREEVE_INSPECT");
	char *copy = strdup(program != NULL ? program : MR_LIBEXECDIR "/mailreeve-inspect");
	if (copy == NULL) {
		abort();
	}
	return copy;
}

/* What cannot be kept to is refused: clamd tells of one match only, and behind one that is ignored another may hide. */
static const char *engine_refusal(const struct config *config)
{
	const struct virus_settings *virus = config_settings(config, stages_section(&stage_virus));
	return virus->engine == VIRUS_CLAMD && virus->ignore[0] != NULL
	           ? "virus.ignore does not hold with engine = clamd: name the signatures in an .ign2 file of clamd's database"
	           : NULL;
}

static void engine_log_start(struct engine *engine, const struct config *config)
{
	struct keeper_status status;
	keeper_get_status(engine->keeper, &status);
	const struct inspect_database *database = &status.pool.database;
	log_info("content workers: %u, sandbox: %s, ClamAV signatures: %u%s", status.pool.workers, status.pool.sandbox,
	         database->signatures, status.clamd ? ", viruses are looked for by clamd" : "");
	if (config_mode(config, stages_section(&stage_virus)) == MODE_OFF) {
		return;
	}
	if (!database->official) {
		log_warning("no official ClamAV database is loaded (virus.databases): run freshclam; see virus.no_database in "
		            "mailreeve.conf(5)");
	} else {
		time_t age = time(NULL) - (time_t)database->time;
		log_info("official ClamAV database: version %u, %lld days old", database->version,
		         (long long)(age > 0 ? age : 0) / (24 * 3600));
	}
}

/* False with *error_r: the daemon cannot have the store that it is to have. */
static bool engine_start_store(struct engine *engine, const struct config *config, char **error_r)
{
	const struct store_options *options = config_settings(config, SECTION_STORE);
	char *error = NULL;
	if (options->location[0] == '\0' || (!engine->daemon && !store_exists(options))) {
		return true;
	}
	unsigned flags = !engine->daemon ? STORE_READ_ONLY : STORE_LATER | STORE_QUICK_CHECK | (options->migrate ? STORE_MIGRATE : 0U);
	engine->store = store_open(options, flags, &error);
	if (engine->store == NULL && engine->daemon) {
		*error_r = error;
		return false;
	}
	if (engine->store == NULL) {
		log_error("goes on without the store: %s", error);
		free(error);
	}
	return true;
}

static void engine_configure_lists(struct engine *engine, const struct config *config)
{
	const struct lists_settings *settings = config_settings(config, stages_section(&stage_lists));
	lists_configure(engine->lists, &settings->allow, &settings->block);
}

static void engine_configure_dnsbl(struct engine *engine, struct config *config)
{
	const struct dnsbl_settings *dnsbl = config_settings(config, stages_section(&stage_dnsbl));
	bool off = config_mode(config, stages_section(&stage_dnsbl)) == MODE_OFF;
	dnsbl_health_configure(engine->dnsbl_health,
	                       &(struct dnsbl_health_settings){.config = config,
	                                                       .lists = &dnsbl->lists,
	                                                       .interval_ns = off ? 0 : dnsbl->test_interval,
	                                                       .retry_ns = dnsbl->test_retry,
	                                                       .timeout_ns = dnsbl->timeout});
}

/* Where Bayes is off nothing is held. */
static uint64_t engine_bayes_size(const struct config *config)
{
	const struct bayes_settings *bayes = config_settings(config, stages_section(&stage_bayes));
	return config_mode(config, stages_section(&stage_bayes)) == MODE_OFF ? 0 : bayes->cache_size;
}

struct engine *engine_open(struct config *config, const struct engine_options *options, char **error_r)
{
	struct engine *engine = calloc(1, sizeof *engine);
	if (engine == NULL) {
		abort();
	}
	pthread_mutex_init(&engine->lock, NULL);
	engine->config = config_acquire(config);
	engine->inspect_program = engine_inspect_program(options->inspect_program);
	engine->daemon = options->daemon;
	engine->meter = options->daemon ? meter_create() : NULL;
	engine->times.started = engine->times.loaded = (uint64_t)time(NULL);
	engine->poison = poison_create();
	struct keeper_settings settings;
	engine_keeper_settings(engine, config, &settings);
	const char *refusal = engine_refusal(config);
	if (refusal != NULL) {
		*error_r = strdup(refusal);
	} else if (engine_start_store(engine, config, error_r)) {
		engine->keeper = keeper_open(&settings, error_r);
	}
	if (engine->keeper != NULL) {
		engine->dns = options->dns_text != NULL ? dns_open_zone_text(slice_from(options->dns_text), error_r)
		                                        : engine_open_dns(config, options->dns_zone, error_r);
	}
	if (engine->dns == NULL) {
		engine_close(engine);
		return NULL;
	}
	engine->keystore =
		keystore_create(engine_keys_dir(config), globals_user(config_settings(config, SECTION_GLOBALS), NULL));
	engine->lists = lists_open(engine->store, engine->daemon);
	engine_configure_lists(engine, config);
	engine->bayes = bayes_cache_open(engine->store, engine->daemon, engine_bayes_size(config));
	if (options->daemon) {
		engine->dnsbl_health = dnsbl_health_create(engine->dns);
		engine_configure_dnsbl(engine, config);
	}
	struct geo_settings geo;
	engine_geo_settings(config, &geo);
	engine->geo = geo_open(&geo);
	engine_log_start(engine, config);
	engine->housekeeping = engine_records(engine) ? housekeeping_start(engine) : NULL;
	engine->auto_learn = engine_records(engine) ? auto_learn_start(engine->store) : NULL;
	engine->monitor = options->daemon ? monitor_start(engine) : NULL;
	return engine;
}

void engine_close(struct engine *engine)
{
	if (engine == NULL) {
		return;
	}
	monitor_stop(engine->monitor);
	housekeeping_stop(engine->housekeeping);
	auto_learn_destroy(engine->auto_learn);
	dnsbl_health_destroy(engine->dnsbl_health);
	geo_close(engine->geo);
	keystore_destroy(engine->keystore);
	lists_close(engine->lists);
	bayes_cache_close(engine->bayes);
	keeper_close(engine->keeper);
	dns_close(engine->dns);
	store_close(engine->store);
	config_release(engine->config);
	poison_destroy(engine->poison);
	meter_destroy(engine->meter);
	pthread_mutex_destroy(&engine->lock);
	free(engine->inspect_program);
	free(engine);
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static bool same_list(const char *const *a, const char *const *b)
{
	while (*a != NULL && *b != NULL && same_text(*a, *b)) {
		a++;
		b++;
	}
	return *a == NULL && *b == NULL;
}

/* Names what a reload cannot change. */
static void engine_log_restart(const struct config *before, const struct config *after)
{
	const struct globals *g = config_settings(before, SECTION_GLOBALS);
	const struct globals *h = config_settings(after, SECTION_GLOBALS);
	if (!same_text(g->socket, h->socket) || g->socket_mode != h->socket_mode ||
	    !same_text(g->socket_group, h->socket_group) || !same_text(g->user, h->user) || !same_text(g->group, h->group) ||
	    !same_text(g->pid_file, h->pid_file)) {
		log_warning("reload: socket, user, group and pid_file stay as they were until a restart");
	}
	const struct dns_options *d = config_settings(before, SECTION_DNS);
	const struct dns_options *e = config_settings(after, SECTION_DNS);
	if (!same_list(d->forwarders, e->forwarders) || !same_text(d->trust_anchor_file, e->trust_anchor_file) ||
	    d->timeout != e->timeout || d->cache_size != e->cache_size || d->ttl_max != e->ttl_max ||
	    d->ttl_negative_max != e->ttl_negative_max || d->pending_max != e->pending_max) {
		log_warning("reload: dns { } but for deadline stays as it was until a restart");
	}
	const struct store_options *s = config_settings(before, SECTION_STORE);
	const struct store_options *t = config_settings(after, SECTION_STORE);
	if (!same_text(s->location, t->location) || s->timeout != t->timeout || s->connections != t->connections ||
	    !same_text(s->spill_dir, t->spill_dir) || s->spill_max != t->spill_max) {
		log_warning("reload: store { } stays as it was until a restart");
	}
}

/* Tells the keeper, which compares with what it has. */
static void engine_configure_keeper(struct engine *engine, const struct config *config)
{
	const char *refusal = engine_refusal(config);
	struct keeper_settings settings;
	if (refusal != NULL) {
		log_error("reload: %s: content { } and virus { } stay as they were", refusal);
		return;
	}
	engine_keeper_settings(engine, config, &settings);
	keeper_configure(engine->keeper, &settings);
}

void engine_log_counters(struct engine *engine)
{
	struct keeper_status status;
	keeper_get_status(engine->keeper, &status);
	log_info("content workers since the start: %llu requests, %llu crashed, %llu timed out, %llu answered nonsense, %llu "
	         "messages not scanned, %zu contents remembered for that",
	         (unsigned long long)status.pool.requests, (unsigned long long)status.pool.crashed,
	         (unsigned long long)status.pool.timed_out, (unsigned long long)status.pool.nonsense,
	         (unsigned long long)status.not_scanned, poison_size(engine->poison));
	auto_learn_log(engine->auto_learn);
}

void engine_publish(struct engine *engine, struct config *config)
{
	struct config *before = engine_config(engine);
	engine_log_restart(before, config);
	pthread_mutex_lock(&engine->lock);
	struct config *old = engine->config;
	engine->config = config_acquire(config);
	engine->times.loaded = (uint64_t)time(NULL);
	engine->times.refused = 0;
	pthread_mutex_unlock(&engine->lock);
	meter_count(engine->meter, METER_RELOAD, 1);
	engine_configure_keeper(engine, config);
	engine_configure_lists(engine, config);
	bayes_cache_configure(engine->bayes, engine_bayes_size(config));
	engine_configure_dnsbl(engine, config);
	engine_log_counters(engine);
	config_release(old);
	config_release(before);
	keystore_reload(engine->keystore, engine_keys_dir(config));
	struct geo_settings geo;
	engine_geo_settings(config, &geo);
	geo_configure(engine->geo, &geo);
}

struct config *engine_config(struct engine *engine)
{
	pthread_mutex_lock(&engine->lock);
	struct config *config = config_acquire(engine->config);
	pthread_mutex_unlock(&engine->lock);
	return config;
}

bool engine_is_daemon(const struct engine *engine)
{
	return engine->daemon;
}

struct dns *engine_dns(struct engine *engine)
{
	return engine->dns;
}

struct keeper *engine_keeper(struct engine *engine)
{
	return engine->keeper;
}

struct poison *engine_poison(struct engine *engine)
{
	return engine->poison;
}

struct dnsbl_health *engine_dnsbl_health(struct engine *engine)
{
	return engine->dnsbl_health;
}

struct message_budget *engine_message_budget(struct engine *engine)
{
	return &engine->budget;
}

struct store *engine_store(struct engine *engine)
{
	return engine->store;
}

bool engine_records(const struct engine *engine)
{
	return engine->store != NULL && engine->daemon;
}

void engine_stop_store(struct engine *engine)
{
	monitor_stop(engine->monitor);
	engine->monitor = NULL;
	pthread_mutex_lock(&engine->lock);
	struct housekeeping *housekeeping = engine->housekeeping;
	engine->housekeeping = NULL;
	pthread_mutex_unlock(&engine->lock);
	housekeeping_stop(housekeeping);
	auto_learn_stop(engine->auto_learn);
	if (engine->store != NULL) {
		store_stop(engine->store);
	}
}

void engine_wake(struct engine *engine)
{
	pthread_mutex_lock(&engine->lock);
	struct housekeeping *housekeeping = engine->housekeeping;
	if (housekeeping != NULL) {
		housekeeping_wake(housekeeping);
	}
	pthread_mutex_unlock(&engine->lock);
}

struct lists *engine_lists(struct engine *engine)
{
	return engine->lists;
}

struct auto_learn *engine_auto_learn(struct engine *engine)
{
	return engine->auto_learn;
}

struct bayes_cache *engine_bayes(struct engine *engine)
{
	return engine->bayes;
}

struct geo *engine_geo(struct engine *engine)
{
	return engine->geo;
}

struct keystore *engine_keystore(struct engine *engine)
{
	return engine->keystore;
}

struct meter *engine_meter(struct engine *engine)
{
	return engine->meter;
}

struct monitor *engine_monitor(struct engine *engine)
{
	return engine->monitor;
}

struct housekeeping *engine_housekeeping(struct engine *engine)
{
	return engine->housekeeping;
}

struct engine_times engine_times(struct engine *engine)
{
	pthread_mutex_lock(&engine->lock);
	struct engine_times times = engine->times;
	pthread_mutex_unlock(&engine->lock);
	return times;
}

void engine_reload_refused(struct engine *engine)
{
	meter_count(engine->meter, METER_RELOAD_REFUSED, 1);
	pthread_mutex_lock(&engine->lock);
	engine->times.refused = (uint64_t)time(NULL);
	pthread_mutex_unlock(&engine->lock);
}
