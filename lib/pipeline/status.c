#include "lib/pipeline/status.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pipeline/health.h"
#include "lib/pipeline/housekeeping.h"
#include "lib/pipeline/meter.h"
#include "lib/pipeline/monitor.h"
#include "lib/pipeline/session.h"
#include "lib/pipeline/stages.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { TOP_COUNT = 10 };

static void put(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

static void put_number(json_t *object, const char *key, uint64_t value)
{
	put(object, key, json_integer((json_int_t)value));
}

/* What is no UTF-8 is shown escaped. */
static void put_text(json_t *object, const char *key, const char *text, struct arena *arena)
{
	json_t *value = json_string(text);
	put(object, key, value != NULL ? value : json_string(text_escape(arena, slice_from(text), "", true, 1000)));
}

static double rounded(double value)
{
	return round(value * 10000) / 10000;
}

static json_t *health_object(struct engine *engine, uint64_t wait_ns, struct arena *arena, enum health_state *worst_r)
{
	struct health_check checks[HEALTH_CHECKS_MAX];
	size_t count = health_run(engine, wait_ns, arena, checks);
	json_t *array = json_array();
	for (size_t i = 0; i < count; i++) {
		json_t *object = json_object();
		put(object, "name", json_string(checks[i].name));
		put(object, "state", json_string(checks[i].off ? "off" : health_state_name(checks[i].state)));
		put_text(object, "text", checks[i].text, arena);
		json_array_append_new(array, object);
	}
	*worst_r = health_worst(checks, count);
	return array;
}

/* Both directions of each action; cells begin at meter_message_cell(0, 0). */
static void put_actions(json_t *object, const uint64_t *cells, size_t base, double divisor)
{
	for (size_t i = 0; i < METER_ACTIONS; i++) {
		uint64_t n = 0;
		for (size_t j = 0; j < DIRECTION_COUNT; j++) {
			n += cells[meter_message_cell((enum verdict_action)i, (enum direction)j) - base];
		}
		put(object, verdict_action_name((enum verdict_action)i),
		    divisor > 0 ? json_real(rounded((double)n / divisor)) : json_integer((json_int_t)n));
	}
}

static uint64_t refused_of(const uint64_t *cells, size_t base)
{
	uint64_t n = 0;
	for (size_t i = 0; i < METER_ACTIONS; i++) {
		for (size_t j = 0; j < DIRECTION_COUNT; j++) {
			n += cells[meter_refused_cell((enum verdict_action)i, (enum direction)j) - base];
		}
	}
	return n;
}

static json_t *rates_object(struct engine *engine, struct arena *arena)
{
	static const unsigned minutes[] = {1, 5, 15};
	size_t base = meter_message_cell(VERDICT_ACCEPT, DIRECTION_INBOUND);
	uint64_t *change = arena_alloc(arena, (meter_elapsed_cell() - base) * sizeof *change);
	json_t *rates = json_object();
	for (size_t i = 0; i < sizeof minutes / sizeof *minutes; i++) {
		double seconds = monitor_rates(engine_monitor(engine), minutes[i] * 60 * CLOCK_NS_PER_S, change);
		json_t *object = json_object();
		put_actions(object, change, base, seconds);
		put(object, "refused_at_rcpt", json_real(rounded((double)refused_of(change, base) / seconds)));
		put(object, "seconds", json_real(rounded(seconds)));
		put(rates, arena_printf(arena, "%u", minutes[i]), object);
	}
	return rates;
}

static json_t *times_object(const uint64_t *cells)
{
	json_t *object = json_object();
	put_number(object, "count", histogram_count(cells));
	put(object, "p50", json_real(histogram_quantile(cells, 0.5)));
	put(object, "p99", json_real(histogram_quantile(cells, 0.99)));
	return object;
}

static json_t *minute_object(struct engine *engine, struct arena *arena)
{
	struct metrics *cells = meter_cells(engine_meter(engine));
	uint64_t *change = arena_alloc(arena, metrics_count(cells) * sizeof *change);
	json_t *minute = json_object();
	json_t *by_stage = json_object();
	put(minute, "seconds", json_real(rounded(monitor_minute(engine_monitor(engine), change))));
	for (size_t i = 0; i < stages_count; i++) {
		put(by_stage, stages[i]->section.name, times_object(change + meter_stage_cell(i)));
	}
	put(minute, "message", times_object(change + meter_elapsed_cell()));
	put(minute, "dns_wait", times_object(change + meter_dns_wait_cell()));
	put(minute, "stages", by_stage);
	for (size_t i = 0; i < METER_TOPS; i++) {
		struct topk_entry entries[TOP_COUNT];
		size_t n = topk_read(meter_top(engine_meter(engine), (enum meter_top)i), clock_now(), TOP_COUNT, entries);
		json_t *array = json_array();
		for (size_t j = 0; j < n; j++) {
			json_t *object = json_object();
			put_text(object, "name", entries[j].name, arena);
			put_number(object, "count", entries[j].count);
			json_array_append_new(array, object);
		}
		put(minute, meter_top_names[i], array);
	}
	return minute;
}

static json_t *totals_object(struct engine *engine, struct arena *arena)
{
	struct metrics *metrics = meter_cells(engine_meter(engine));
	uint64_t *cells = arena_alloc(arena, metrics_count(metrics) * sizeof *cells);
	json_t *object = json_object();
	metrics_read(metrics, cells);
	put_actions(object, cells, 0, 0);
	put_number(object, "refused_at_rcpt", refused_of(cells, 0));
	put_number(object, "bytes", cells[meter_event_cell(METER_BYTES)]);
	put_number(object, "sessions", cells[meter_event_cell(METER_SESSION_OPENED)]);
	put_number(object, "sessions_refused", cells[meter_event_cell(METER_SESSION_REFUSED)]);
	uint64_t closed = cells[meter_event_cell(METER_SESSION_CLOSED)];
	put_number(object, "sessions_open", cells[meter_event_cell(METER_SESSION_OPENED)] - closed);
	return object;
}

static json_t *dns_object(struct engine *engine)
{
	struct dns_statistics dns;
	json_t *object = json_object();
	dns_get_statistics(engine_dns(engine), &dns);
	put_number(object, "questions", dns.questions);
	put_number(object, "cache_hits", dns.hits);
	put_number(object, "answered", dns.answered);
	put_number(object, "timeouts", dns.timeouts);
	put_number(object, "servfail", dns.servfail);
	put_number(object, "in_flight", dns.pending);
	return object;
}

static json_t *workers_object(const struct keeper_status *status)
{
	json_t *object = json_object();
	put_number(object, "workers", status->pool.workers);
	put_number(object, "busy", status->pool.busy);
	put_number(object, "waiting", status->pool.waiting);
	put_number(object, "requests", status->pool.requests);
	put_number(object, "crashed", status->pool.crashed);
	put_number(object, "timed_out", status->pool.timed_out);
	put_number(object, "restarts", status->pool.restarts);
	put_number(object, "not_scanned", status->not_scanned);
	return object;
}

static json_t *store_object(struct engine *engine, struct arena *arena)
{
	struct store_status status;
	if (engine_store(engine) == NULL) {
		return json_null();
	}
	json_t *object = json_object();
	store_get_status(engine_store(engine), &status);
	put_text(object, "driver", status.driver, arena);
	put(object, "available", json_boolean(status.available));
	put_number(object, "queued", status.queued);
	put_number(object, "spilled_bytes", status.spilled_bytes);
	put_number(object, "lost", status.lost);
	put(object, "query", times_object(status.query_times));
	put(object, "write", times_object(status.write_times));
	return object;
}

/* A database that there is none of is null. */
static json_t *databases_object(struct engine *engine, const struct keeper_status *status)
{
	uint64_t built[] = {status->pool.database.time, geo_built(engine_geo(engine), GEO_COUNTRY),
	                    geo_built(engine_geo(engine), GEO_ASN)};
	static const char *const names[] = {"clamav", "geoip_country", "geoip_asn"};
	json_t *object = json_object();
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		put(object, names[i], built[i] == 0 ? json_null() : json_integer((json_int_t)built[i]));
	}
	return object;
}

static json_t *sizes_object(struct engine *engine)
{
	struct monitor_sizes sizes;
	monitor_sizes(engine_monitor(engine), &sizes);
	if (sizes.counted == 0) {
		return json_null();
	}
	json_t *object = json_object();
	put_number(object, "counted", sizes.counted);
	put_number(object, "quarantine_held", sizes.quarantine.copies[QUARANTINE_HELD]);
	put_number(object, "quarantine_bytes", sizes.quarantine.stored);
	put_number(object, "quarantine_oldest", sizes.quarantine.oldest);
	put_number(object, "digest_sent", (uint64_t)sizes.digests.sent);
	put_number(object, "digest_waiting", (uint64_t)sizes.digests.waiting);
	put_number(object, "greylist_waiting", sizes.greylist.rows[GREYLIST_WAITING]);
	put_number(object, "greylist_passed", sizes.greylist.rows[GREYLIST_PASSED]);
	return object;
}

static void put_task(void *context, const struct housekeeping_status *task)
{
	json_t *object = json_object();
	put(object, "name", json_string(task->name));
	put_number(object, "interval", (uint64_t)task->interval);
	put(object, "last", task->last == 0 ? json_null() : json_integer((json_int_t)task->last));
	put_number(object, "next", task->next);
	put_number(object, "failed", task->failed);
	json_array_append_new(context, object);
}

static json_t *config_object(struct engine *engine, struct arena *arena)
{
	struct config *config = engine_config(engine);
	struct engine_times times = engine_times(engine);
	json_t *object = json_object();
	put_text(object, "path", config_path(config) == NULL ? "" : config_path(config), arena);
	put_number(object, "loaded", times.loaded);
	put(object, "refused", times.refused == 0 ? json_null() : json_integer((json_int_t)times.refused));
	config_release(config);
	return object;
}

const char *status_json(struct engine *engine, uint64_t wait_ns, struct arena *arena)
{
	json_t *root = json_object();
	json_t *tasks = json_array();
	struct keeper_status workers;
	enum health_state worst;
	uint64_t now = (uint64_t)time(NULL);
	json_t *health = health_object(engine, wait_ns, arena, &worst);
	keeper_get_status(engine_keeper(engine), &workers);
	put(root, "state", json_string(health_state_name(worst)));
	put(root, "version", json_string(MR_VERSION));
	put_number(root, "pid", (uint64_t)getpid());
	put_number(root, "now", now);
	put_number(root, "uptime", now - engine_times(engine).started);
	put(root, "configuration", config_object(engine, arena));
	put(root, "health", health);
	put(root, "rates", rates_object(engine, arena));
	put(root, "totals", totals_object(engine, arena));
	put(root, "minute", minute_object(engine, arena));
	put(root, "dns", dns_object(engine));
	put(root, "workers", workers_object(&workers));
	put(root, "store", store_object(engine, arena));
	put(root, "databases", databases_object(engine, &workers));
	put(root, "sizes", sizes_object(engine));
	housekeeping_each(engine_housekeeping(engine), put_task, tasks);
	put(root, "tasks", tasks);
	char *text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9));
	const char *copy = arena_strdup(arena, text == NULL ? "{}" : text);
	free(text);
	json_decref(root);
	return copy;
}
