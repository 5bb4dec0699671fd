#include "lib/pipeline/engine.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pipeline/stage_list.h"
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
	struct pool *pool;
	struct keystore *keystore;
	pthread_mutex_t lock; /* guards config: held for a pointer and a count only */
	struct config *config;
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

static const char *engine_keys_dir(const struct config *config)
{
	const struct sign_settings *sign = config_settings(config, stages_section(&stage_sign));
	return sign->keys_dir;
}

static struct pool *engine_open_pool(const struct config *config, const char *program, char **error_r)
{
	const struct content_options *content = config_settings(config, SECTION_CONTENT);
	const struct virus_settings *virus = config_settings(config, stages_section(&stage_virus));
	struct pool_settings settings;
	pool_settings_default(&settings);
	if (program == NULL) {
		program = getenv("MAILREEVE_INSPECT");
	}
	settings.program = program == NULL ? MR_LIBEXECDIR "/mailreeve-inspect" : program;
	settings.workers = (unsigned)content->workers;
	settings.tmp_dir = content->tmp_dir;
	settings.databases = virus->databases;
	settings.start_timeout_ns = content->start_timeout;
	settings.memory_max = content->memory_max;
	settings.scan_size_max = content->scan_size_max;
	settings.file_size_max = content->file_size_max;
	settings.scan_recursion_max = (unsigned)content->scan_recursion_max;
	settings.scan_files_max = (unsigned)content->scan_files_max;
	settings.scan_time_ms = (uint32_t)(content->scan_time / CLOCK_NS_PER_MS);
	settings.scan_heuristics = virus->heuristics;
	return pool_open(&settings, error_r);
}

struct engine *engine_open(struct config *config, const struct engine_options *options, char **error_r)
{
	struct engine *engine = calloc(1, sizeof *engine);
	if (engine == NULL) {
		abort();
	}
	pthread_mutex_init(&engine->lock, NULL);
	engine->config = config_acquire(config);
	engine->pool = engine_open_pool(config, options->inspect_program, error_r);
	if (engine->pool != NULL) {
		engine->dns = engine_open_dns(config, options->dns_zone, error_r);
	}
	if (engine->dns == NULL) {
		engine_close(engine);
		return NULL;
	}
	engine->keystore =
		keystore_create(engine_keys_dir(config), globals_user(config_settings(config, SECTION_GLOBALS), NULL));
	struct pool_status status;
	pool_get_status(engine->pool, &status);
	log_info("content workers: %u, sandbox: %s, ClamAV signatures: %u", status.workers, status.sandbox,
	         status.signatures_loaded);
	if (!status.official_database && config_mode(config, stages_section(&stage_virus)) != MODE_OFF) {
		log_warning("no official ClamAV database is loaded (virus.databases): run freshclam; see virus.no_database in "
		            "mailreeve.conf(5)");
	}
	return engine;
}

void engine_close(struct engine *engine)
{
	if (engine == NULL) {
		return;
	}
	keystore_destroy(engine->keystore);
	pool_close(engine->pool);
	dns_close(engine->dns);
	config_release(engine->config);
	pthread_mutex_destroy(&engine->lock);
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
	const struct content_options *c = config_settings(before, SECTION_CONTENT);
	struct content_options f = *(const struct content_options *)config_settings(after, SECTION_CONTENT);
	const struct virus_settings *v = config_settings(before, stages_section(&stage_virus));
	const struct virus_settings *w = config_settings(after, stages_section(&stage_virus));
	bool same_tmp = same_text(c->tmp_dir, f.tmp_dir);
	f.tmp_dir = c->tmp_dir;
	f.deadline = c->deadline;
	if (!same_tmp || memcmp(c, &f, sizeof f) != 0 || !same_list(v->databases, w->databases) ||
	    v->heuristics != w->heuristics) {
		log_warning("reload: content { } but for deadline, and the options of virus { }, stay until a restart");
	}
}

void engine_publish(struct engine *engine, struct config *config)
{
	struct config *before = engine_config(engine);
	engine_log_restart(before, config);
	pthread_mutex_lock(&engine->lock);
	struct config *old = engine->config;
	engine->config = config_acquire(config);
	pthread_mutex_unlock(&engine->lock);
	config_release(old);
	config_release(before);
	keystore_reload(engine->keystore, engine_keys_dir(config));
}

struct config *engine_config(struct engine *engine)
{
	pthread_mutex_lock(&engine->lock);
	struct config *config = config_acquire(engine->config);
	pthread_mutex_unlock(&engine->lock);
	return config;
}

struct dns *engine_dns(struct engine *engine)
{
	return engine->dns;
}

struct pool *engine_pool(struct engine *engine)
{
	return engine->pool;
}

struct keystore *engine_keystore(struct engine *engine)
{
	return engine->keystore;
}
