#include "lib/pipeline/scrape.h"

#include "lib/base/clock.h"
#include "lib/pipeline/health.h"
#include "lib/pipeline/housekeeping.h"
#include "lib/pipeline/meter.h"
#include "lib/pipeline/monitor.h"
#include "lib/pipeline/session.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* What is read once for all metrics. */
struct scrape {
	struct engine *engine;
	struct config *config;
	struct strbuf out;
	const char *name; /* of the metric that is being written */
	struct meter *meter;
	uint64_t *cells;
	struct dns_statistics dns;
	struct keeper_status workers;
	struct store_status store; /* driver NULL: there is none */
	struct monitor_sizes sizes;
	struct engine_times times;
	struct health_check checks[HEALTH_CHECKS_MAX];
	size_t check_count;
};

static void put(struct scrape *s, double value)
{
	metrics_put(&s->out, s->name, NULL, value);
}

static void put1(struct scrape *s, const char *key, const char *word, double value)
{
	metrics_put(&s->out, s->name, (const char *const[]){key, word, NULL}, value);
}

/* ---- mail ---- */

static void by_action(struct scrape *s, size_t (*cell)(enum verdict_action action, enum direction direction))
{
	for (size_t i = 0; i < METER_ACTIONS; i++) {
		for (size_t j = 0; j < DIRECTION_COUNT; j++) {
			const char *const labels[] = {"action", verdict_action_name((enum verdict_action)i), "direction",
			                              direction_name((enum direction)j), NULL};
			metrics_put(&s->out, s->name, labels, (double)s->cells[cell((enum verdict_action)i, (enum direction)j)]);
		}
	}
}

static void messages(struct scrape *s)
{
	by_action(s, meter_message_cell);
}

static void refused(struct scrape *s)
{
	by_action(s, meter_refused_cell);
}

static void message_bytes(struct scrape *s)
{
	put(s, (double)s->cells[meter_event_cell(METER_BYTES)]);
}

static void findings(struct scrape *s)
{
	const struct finding_code *code;
	size_t cell;
	for (size_t i = 0; (code = meter_finding(s->meter, i, &cell)) != NULL; i++) {
		put1(s, "code", code->code, (double)s->cells[cell]);
	}
}

static void message_seconds(struct scrape *s)
{
	metrics_put_histogram(&s->out, s->name, NULL, s->cells + meter_elapsed_cell());
}

static void stage_seconds(struct scrape *s)
{
	for (size_t i = 0; i < stages_count; i++) {
		metrics_put_histogram(&s->out, s->name, (const char *const[]){"stage", stages[i]->section.name, NULL},
		                      s->cells + meter_stage_cell(i));
	}
}

static void dns_wait(struct scrape *s)
{
	metrics_put_histogram(&s->out, s->name, NULL, s->cells + meter_dns_wait_cell());
}

static void sessions_open(struct scrape *s)
{
	put(s, (double)s->cells[meter_event_cell(METER_SESSION_OPENED)] -
	           (double)s->cells[meter_event_cell(METER_SESSION_CLOSED)]);
}

static void sessions(struct scrape *s)
{
	put(s, (double)s->cells[meter_event_cell(METER_SESSION_OPENED)]);
}

static void sessions_refused(struct scrape *s)
{
	put(s, (double)s->cells[meter_event_cell(METER_SESSION_REFUSED)]);
}

/* ---- DNS ---- */

static void dns_questions(struct scrape *s)
{
	put(s, (double)s->dns.questions);
}

static void dns_sources(struct scrape *s)
{
	put1(s, "from", "cache", (double)s->dns.hits);
	put1(s, "from", "under_way", (double)s->dns.coalesced);
	put1(s, "from", "resolver", (double)s->dns.misses);
}

static void dns_answers(struct scrape *s)
{
	put1(s, "result", "answered", (double)s->dns.answered);
	put1(s, "result", "timeout", (double)s->dns.timeouts);
	put1(s, "result", "servfail", (double)s->dns.servfail);
	put1(s, "result", "other_failure", (double)(s->dns.temporary - s->dns.timeouts - s->dns.servfail));
}

static void dns_pending(struct scrape *s)
{
	put(s, (double)s->dns.pending);
}

static void dns_cache_bytes(struct scrape *s)
{
	put(s, (double)s->dns.bytes);
}

static void dns_cache_entries(struct scrape *s)
{
	put(s, (double)s->dns.entries);
}

/* ---- content workers ---- */

static void workers(struct scrape *s)
{
	put(s, s->workers.pool.workers);
}

static void workers_busy(struct scrape *s)
{
	put(s, s->workers.pool.busy);
}

static void workers_waiting(struct scrape *s)
{
	put(s, s->workers.pool.waiting);
}

static void worker_requests(struct scrape *s)
{
	put(s, (double)s->workers.pool.requests);
}

static void worker_failures(struct scrape *s)
{
	put1(s, "kind", "crash", (double)s->workers.pool.crashed);
	put1(s, "kind", "timeout", (double)s->workers.pool.timed_out);
	put1(s, "kind", "nonsense", (double)s->workers.pool.nonsense);
}

static void nursery_restarts(struct scrape *s)
{
	put(s, (double)s->workers.pool.restarts);
}

static void worker_wait(struct scrape *s)
{
	metrics_put_histogram(&s->out, s->name, NULL, s->workers.pool.wait);
}

static void not_scanned(struct scrape *s)
{
	put(s, (double)s->workers.not_scanned);
}

static void self_test(struct scrape *s)
{
	put(s, s->workers.problem[0] == '\0');
}

static void database_reloads(struct scrape *s)
{
	put1(s, "result", "taken", (double)s->workers.reloads);
	put1(s, "result", "refused", (double)s->workers.refused);
}

static void virus_signatures(struct scrape *s)
{
	put(s, s->workers.pool.database.signatures);
}

/* ---- databases ---- */

static void database_built(struct scrape *s)
{
	static const char *const names[GEO_KINDS] = {[GEO_COUNTRY] = "geoip_country", [GEO_ASN] = "geoip_asn"};
	if (s->workers.pool.database.time != 0) {
		put1(s, "database", "clamav", (double)s->workers.pool.database.time);
	}
	for (size_t i = 0; i < GEO_KINDS; i++) {
		uint64_t built = geo_built(engine_geo(s->engine), (enum geo_kind)i);
		if (built != 0) {
			put1(s, "database", names[i], (double)built);
		}
	}
}

static void put_list(void *context, const struct dnsbl_status *status)
{
	put1(context, "list", status->name, status->state != DNSBL_STATE_SICK);
}

static void dnsbl_well(struct scrape *s)
{
	dnsbl_health_each(engine_dnsbl_health(s->engine), put_list, s);
}

/* ---- the store ---- */

static void store_up(struct scrape *s)
{
	put(s, s->store.available);
}

static void store_seconds(struct scrape *s)
{
	metrics_put_histogram(&s->out, s->name, (const char *const[]){"kind", "query", NULL}, s->store.query_times);
	metrics_put_histogram(&s->out, s->name, (const char *const[]){"kind", "write", NULL}, s->store.write_times);
}

static void store_batches(struct scrape *s)
{
	put1(s, "kind", "query", (double)s->store.queries);
	put1(s, "kind", "write", (double)s->store.writes);
}

static void store_failed(struct scrape *s)
{
	put(s, (double)s->store.failed);
}

static void store_queued(struct scrape *s)
{
	put(s, (double)s->store.queued);
}

static void store_spill(struct scrape *s)
{
	put(s, (double)s->store.spilled_bytes);
}

static void store_replayed(struct scrape *s)
{
	put(s, (double)s->store.replayed);
}

static void store_lost(struct scrape *s)
{
	put(s, (double)s->store.lost);
}

static void quarantine_copies(struct scrape *s)
{
	for (size_t i = 0; i <= QUARANTINE_EXPIRED; i++) {
		put1(s, "state", quarantine_state_name((enum quarantine_state)i), (double)s->sizes.quarantine.copies[i]);
	}
}

static void quarantine_bytes(struct scrape *s)
{
	put(s, (double)s->sizes.quarantine.stored);
}

static void quarantine_oldest(struct scrape *s)
{
	put(s, (double)s->sizes.quarantine.oldest);
}

static void digest_last(struct scrape *s)
{
	put(s, (double)s->sizes.digests.sent);
}

static void digest_waiting(struct scrape *s)
{
	put(s, (double)s->sizes.digests.waiting);
}

static void digest_failed(struct scrape *s)
{
	put(s, (double)s->sizes.digests.failed);
}

static void greylist_rows(struct scrape *s)
{
	put1(s, "state", "waiting", (double)s->sizes.greylist.rows[GREYLIST_WAITING]);
	put1(s, "state", "passed", (double)s->sizes.greylist.rows[GREYLIST_PASSED]);
	put1(s, "state", "network", (double)s->sizes.greylist.rows[GREYLIST_NETWORK]);
}

/* ---- tasks ---- */

static void put_last(void *context, const struct housekeeping_status *task)
{
	put1(context, "task", task->name, (double)task->last);
}

static void task_last(struct scrape *s)
{
	housekeeping_each(engine_housekeeping(s->engine), put_last, s);
}

static void put_next(void *context, const struct housekeeping_status *task)
{
	put1(context, "task", task->name, (double)task->next);
}

static void task_next(struct scrape *s)
{
	housekeeping_each(engine_housekeeping(s->engine), put_next, s);
}

static void put_failed(void *context, const struct housekeeping_status *task)
{
	put1(context, "task", task->name, (double)task->failed);
}

static void task_failed(struct scrape *s)
{
	housekeeping_each(engine_housekeeping(s->engine), put_failed, s);
}

/* ---- the daemon ---- */

static void build_info(struct scrape *s)
{
	put1(s, "version", MR_VERSION, 1);
}

static void started(struct scrape *s)
{
	put(s, (double)s->times.started);
}

static void loaded(struct scrape *s)
{
	put(s, (double)s->times.loaded);
}

static void reloads(struct scrape *s)
{
	put1(s, "result", "taken", (double)s->cells[meter_event_cell(METER_RELOAD)]);
	put1(s, "result", "refused", (double)s->cells[meter_event_cell(METER_RELOAD_REFUSED)]);
}

static void reload_good(struct scrape *s)
{
	put(s, s->times.refused == 0);
}

static void message_memory(struct scrape *s)
{
	put(s, (double)atomic_load(&engine_message_budget(s->engine)->used));
}

static void message_memory_max(struct scrape *s)
{
	const struct globals *globals = config_settings(s->config, SECTION_GLOBALS);
	put(s, (double)globals->memory_total);
}

static void resident(struct scrape *s)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long size = 0;
	unsigned long long pages = 0;
	if (file != NULL && fscanf(file, "%llu %llu", &size, &pages) == 2) {
		put(s, (double)pages * (double)sysconf(_SC_PAGESIZE));
	}
	if (file != NULL) {
		fclose(file);
	}
}

static void health(struct scrape *s)
{
	for (size_t i = 0; i < s->check_count; i++) {
		put1(s, "check", s->checks[i].name, s->checks[i].state);
	}
}

/* ---- the table ---- */

enum source { ANY, STORE, SIZES }; /* what must be there: a store, what lies in it counted once */

static const struct {
	const char *name;
	enum metric_type type;
	enum source source;
	const char *help;
	void (*put)(struct scrape *s);
} table[] = {
    {"mailreeve_build_info", METRIC_GAUGE, ANY, "Always 1; the version is a label.", build_info},
    {"mailreeve_start_time_seconds", METRIC_GAUGE, ANY, "When the daemon was started, since the epoch.", started},
    {"mailreeve_health", METRIC_GAUGE, ANY, "What mailreeve status says: 0 ok, 1 warning, 2 critical.", health},
    {"mailreeve_messages_total", METRIC_COUNTER, ANY, "Messages that were judged, by what became of them.", messages},
    {"mailreeve_recipients_refused_total", METRIC_COUNTER, ANY, "Recipients that were refused at RCPT.", refused},
    {"mailreeve_message_bytes_total", METRIC_COUNTER, ANY, "Size of the messages that were judged.", message_bytes},
    {"mailreeve_findings_total", METRIC_COUNTER, ANY, "Messages in which a finding was stated, by its code.", findings},
    {"mailreeve_message_seconds", METRIC_HISTOGRAM, ANY, "From end of message to the verdict.", message_seconds},
    {"mailreeve_stage_seconds", METRIC_HISTOGRAM, ANY, "Time in a stage for a message, without waiting for DNS.",
     stage_seconds},
    {"mailreeve_dns_wait_seconds", METRIC_HISTOGRAM, ANY, "What a message waited for DNS at its end.", dns_wait},
    {"mailreeve_sessions_open", METRIC_GAUGE, ANY, "SMTP sessions at this moment.", sessions_open},
    {"mailreeve_sessions_total", METRIC_COUNTER, ANY, "SMTP sessions.", sessions},
    {"mailreeve_sessions_refused_total", METRIC_COUNTER, ANY, "Sessions refused, as there were sessions_max.",
     sessions_refused},
    {"mailreeve_dns_questions_total", METRIC_COUNTER, ANY, "Questions that stages asked.", dns_questions},
    {"mailreeve_dns_lookups_total", METRIC_COUNTER, ANY,
     "Questions by what answered: the cache, one under way, the resolver.", dns_sources},
    {"mailreeve_dns_answers_total", METRIC_COUNTER, ANY, "What the resolver came to.", dns_answers},
    {"mailreeve_dns_in_flight", METRIC_GAUGE, ANY, "Questions to the resolver under way.", dns_pending},
    {"mailreeve_dns_cache_bytes", METRIC_GAUGE, ANY, "Memory of the cache of answers.", dns_cache_bytes},
    {"mailreeve_dns_cache_entries", METRIC_GAUGE, ANY, "Answers in it.", dns_cache_entries},
    {"mailreeve_workers", METRIC_GAUGE, ANY, "Content workers.", workers},
    {"mailreeve_workers_busy", METRIC_GAUGE, ANY, "Content workers that look at a message.", workers_busy},
    {"mailreeve_worker_queue", METRIC_GAUGE, ANY, "Messages that wait for a content worker.", workers_waiting},
    {"mailreeve_worker_wait_seconds", METRIC_HISTOGRAM, ANY, "What a message waited for a content worker.",
     worker_wait},
    {"mailreeve_worker_requests_total", METRIC_COUNTER, ANY, "Requests to content workers.", worker_requests},
    {"mailreeve_worker_failures_total", METRIC_COUNTER, ANY, "Content workers that failed on a message.",
     worker_failures},
    {"mailreeve_nursery_restarts_total", METRIC_COUNTER, ANY, "Restarts of the process that forks the workers.",
     nursery_restarts},
    {"mailreeve_virus_not_scanned_total", METRIC_COUNTER, ANY, "Messages that were to be scanned and were not.",
     not_scanned},
    {"mailreeve_virus_self_test_good", METRIC_GAUGE, ANY, "1: the test virus was found when it was looked for last.",
     self_test},
    {"mailreeve_virus_signatures", METRIC_GAUGE, ANY, "ClamAV signatures loaded; 0 with clamd.", virus_signatures},
    {"mailreeve_virus_database_loads_total", METRIC_COUNTER, ANY,
     "Databases that took the place of another, and that did not.", database_reloads},
    {"mailreeve_database_built_timestamp_seconds", METRIC_GAUGE, ANY, "When a database was made.", database_built},
    {"mailreeve_dnsbl_well", METRIC_GAUGE, ANY, "0: a list in the DNS is sick and not asked.", dnsbl_well},
    {"mailreeve_store_up", METRIC_GAUGE, STORE, "1: the last use of the store worked.", store_up},
    {"mailreeve_store_seconds", METRIC_HISTOGRAM, STORE, "What a caller waited for the store.", store_seconds},
    {"mailreeve_store_batches_total", METRIC_COUNTER, STORE, "Queries and batches.", store_batches},
    {"mailreeve_store_unavailable_total", METRIC_COUNTER, STORE, "Queries and batches for which it was unavailable.",
     store_failed},
    {"mailreeve_store_queue", METRIC_GAUGE, STORE, "Batches in memory that wait to be written.", store_queued},
    {"mailreeve_store_spill_bytes", METRIC_GAUGE, STORE, "Bytes on disk that wait for the store.", store_spill},
    {"mailreeve_store_replayed_total", METRIC_COUNTER, STORE, "Batches from disk that were written.", store_replayed},
    {"mailreeve_store_lost_total", METRIC_COUNTER, STORE, "Batches for which there was no room.", store_lost},
    {"mailreeve_quarantine_copies", METRIC_GAUGE, SIZES, "Copies in the quarantine, one for each recipient.",
     quarantine_copies},
    {"mailreeve_quarantine_bytes", METRIC_GAUGE, SIZES, "Size of what is in the quarantine, compressed.",
     quarantine_bytes},
    {"mailreeve_quarantine_oldest_timestamp_seconds", METRIC_GAUGE, SIZES,
     "Arrival of the oldest that is held; 0: none is.", quarantine_oldest},
    {"mailreeve_greylist_entries", METRIC_GAUGE, SIZES, "Senders in the greylist.", greylist_rows},
    {"mailreeve_digest_last_sent_timestamp_seconds", METRIC_GAUGE, SIZES,
     "When the last report to a user went out; 0: none has.", digest_last},
    {"mailreeve_digest_waiting", METRIC_GAUGE, SIZES, "Reports to users that are to be sent.", digest_waiting},
    {"mailreeve_digest_failing", METRIC_GAUGE, SIZES, "Of these, those that were tried in vain.", digest_failed},
    {"mailreeve_task_last_run_timestamp_seconds", METRIC_GAUGE, STORE,
     "Last turn of a task by this daemon; 0: none yet.", task_last},
    {"mailreeve_task_next_run_timestamp_seconds", METRIC_GAUGE, STORE, "When a task is due next.", task_next},
    {"mailreeve_task_failures_total", METRIC_COUNTER, STORE, "Turns that the store did not take.", task_failed},
    {"mailreeve_config_loaded_timestamp_seconds", METRIC_GAUGE, ANY, "When the configuration in force was read.",
     loaded},
    {"mailreeve_config_reload_good", METRIC_GAUGE, ANY, "0: the last reload was refused.", reload_good},
    {"mailreeve_config_reloads_total", METRIC_COUNTER, ANY, "Reloads of the configuration.", reloads},
    {"mailreeve_message_memory_bytes", METRIC_GAUGE, ANY, "Memory that messages hold.", message_memory},
    {"mailreeve_message_memory_limit_bytes", METRIC_GAUGE, ANY, "memory_total.", message_memory_max},
    {"mailreeve_resident_memory_bytes", METRIC_GAUGE, ANY, "Resident memory of the daemon, without its workers.",
     resident},
};

static void gather(struct scrape *s, struct arena *arena)
{
	struct metrics *cells = meter_cells(s->meter);
	s->cells = arena_alloc(arena, metrics_count(cells) * sizeof *s->cells);
	metrics_read(cells, s->cells);
	dns_get_statistics(engine_dns(s->engine), &s->dns);
	keeper_get_status(engine_keeper(s->engine), &s->workers);
	if (engine_store(s->engine) != NULL) {
		store_get_status(engine_store(s->engine), &s->store);
	}
	monitor_sizes(engine_monitor(s->engine), &s->sizes);
	s->times = engine_times(s->engine);
	s->check_count = health_run(s->engine, 0, arena, s->checks);
}

const char *scrape(struct engine *engine, struct arena *arena)
{
	struct scrape *s = arena_alloc(arena, sizeof *s);
	s->engine = engine;
	s->config = engine_config(engine);
	s->meter = engine_meter(engine);
	strbuf_init(&s->out, arena);
	gather(s, arena);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		bool there = table[i].source == ANY || (table[i].source == STORE && s->store.driver != NULL) ||
		             (table[i].source == SIZES && s->sizes.counted != 0);
		if (there) {
			s->name = table[i].name;
			metrics_put_head(&s->out, s->name, table[i].type, table[i].help);
			table[i].put(s);
		}
	}
	config_release(s->config);
	return s->out.data;
}
