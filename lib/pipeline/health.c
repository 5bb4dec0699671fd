#include "lib/pipeline/health.h"

#include "lib/base/clock.h"
#include "lib/pipeline/housekeeping.h"
#include "lib/pipeline/meter.h"
#include "lib/pipeline/monitor.h"
#include "lib/pipeline/session.h"
#include "lib/pipeline/stage_geo.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stage_sign.h"
#include "lib/pipeline/stage_virus.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"

#include <time.h>

#define ASKED_LATELY (3 * CLOCK_NS_PER_S)

enum { DAY = 24 * 3600, GEO_DAYS_MAX = 90, TASK_LATE = 120, NAMES_MAX = 5 };

struct input {
	struct engine *engine;
	const struct config *config;
	struct arena *arena;
	uint64_t wait_ns, now; /* now: epoch seconds */
};

static struct {
	const char *name;
	health_probe *probe;
	void *context;
} added[HEALTH_ADDED_MAX];
static size_t added_count;

const char *health_state_name(enum health_state state)
{
	static const char *const names[] = {
	    [HEALTH_OK] = "ok", [HEALTH_WARNING] = "warning", [HEALTH_CRITICAL] = "critical"};
	return names[state];
}

void health_add(const char *name, health_probe *probe, void *context)
{
	if (added_count < HEALTH_ADDED_MAX) {
		added[added_count].name = name;
		added[added_count].probe = probe;
		added[added_count++].context = context;
	}
}

static void is_off(struct health_check *check, const char *why)
{
	check->off = true;
	check->text = why;
}

static const char *age_text(struct arena *arena, uint64_t seconds)
{
	return seconds < 2 * 3600  ? arena_printf(arena, "%llu minutes", (unsigned long long)seconds / 60)
	       : seconds < 2 * DAY ? arena_printf(arena, "%llu hours", (unsigned long long)seconds / 3600)
	                           : arena_printf(arena, "%llu days", (unsigned long long)seconds / DAY);
}

static void check_resolver(const struct input *in, struct health_check *check)
{
	const struct dns_options *dns = config_settings(in->config, SECTION_DNS);
	struct resolver_state state;
	resolver_probe_ask(monitor_resolver(engine_monitor(in->engine)), in->wait_ns == 0 ? "" : dns->probe, ASKED_LATELY,
	                   in->wait_ns, &state);
	if (!state.known) {
		check->text = "nothing was asked yet";
	} else if (state.good) {
		check->text = arena_printf(in->arena, "answers; last seen %llu s ago",
		                           (unsigned long long)(state.good_age / CLOCK_NS_PER_S));
	} else {
		check->state = HEALTH_CRITICAL;
		check->text = arena_printf(in->arena, "does not answer: %s", state.problem);
	}
}

static void check_store(const struct input *in, struct health_check *check)
{
	struct store *store = engine_store(in->engine);
	struct store_status status;
	if (store == NULL) {
		is_off(check, "none is configured");
		return;
	}
	store_get_status(store, &status);
	if (!status.available) {
		check->state = HEALTH_CRITICAL;
		check->text =
		    arena_printf(in->arena, "%s is unavailable; %llu batches and %llu bytes on disk wait for it", status.driver,
		                 (unsigned long long)status.queued, (unsigned long long)status.spilled_bytes);
	} else if (status.spilled_bytes > 0 || status.lost > 0) {
		check->state = HEALTH_WARNING;
		check->text =
		    arena_printf(in->arena, "%s works; %llu bytes on disk wait for it, %llu batches were lost since the start",
		                 status.driver, (unsigned long long)status.spilled_bytes, (unsigned long long)status.lost);
	} else {
		check->text = arena_printf(in->arena, "%s works", status.driver);
	}
}

static void check_workers(const struct input *in, struct health_check *check)
{
	struct keeper_status status;
	keeper_get_status(engine_keeper(in->engine), &status);
	if (status.pool.nursery < 0) {
		check->state = HEALTH_CRITICAL;
		check->text = "the nursery of the content workers is not there; it is being restarted";
	} else {
		check->state = status.pool.waiting > 0 ? HEALTH_WARNING : HEALTH_OK;
		check->text = arena_printf(in->arena, "%u of %u busy, %u messages wait", status.pool.busy, status.pool.workers,
		                           status.pool.waiting);
	}
}

static void check_virus(const struct input *in, struct health_check *check)
{
	size_t section = stages_section(&stage_virus);
	const struct virus_settings *virus = config_settings(in->config, section);
	struct keeper_status status;
	keeper_get_status(engine_keeper(in->engine), &status);
	const struct inspect_database *database = &status.pool.database;
	uint64_t age = database->time == 0 || in->now < database->time ? 0 : in->now - database->time;
	if (config_mode(in->config, section) == MODE_OFF) {
		is_off(check, "virus { mode = off }");
	} else if (status.problem[0] != '\0') {
		check->state = HEALTH_CRITICAL;
		check->text = text_escape(
		    in->arena, slice_from(arena_printf(in->arena, "the self-test fails: %s", status.problem)), "", true, 400);
	} else if (!database->official) {
		check->state = HEALTH_WARNING;
		check->text = arena_printf(in->arena, "no official database is loaded; %u signatures", database->signatures);
	} else {
		check->state = age > virus->max_age / CLOCK_NS_PER_S ? HEALTH_WARNING : HEALTH_OK;
		check->text = arena_printf(in->arena, "%s, database version %u, %s old%s", status.clamd ? "clamd" : "libclamav",
		                           database->version, age_text(in->arena, age),
		                           check->state == HEALTH_OK ? "" : ": does freshclam run?");
	}
}

static void check_geo(const struct input *in, struct health_check *check)
{
	static const char *const names[GEO_KINDS] = {[GEO_COUNTRY] = "countries", [GEO_ASN] = "AS numbers"};
	size_t section = stages_section(&stage_geo);
	const struct geo_options *options = config_settings(in->config, section);
	struct geo_settings settings;
	struct strbuf text;
	bool any = false;
	engine_geo_settings(in->config, &settings);
	strbuf_init(&text, in->arena);
	for (size_t i = 0; i < GEO_KINDS; i++) {
		uint64_t built = geo_built(engine_geo(in->engine), (enum geo_kind)i);
		uint64_t age = built == 0 || in->now < built ? 0 : in->now - built;
		bool wanted =
		    settings.paths[i][0] != '\0' && (settings.expected[i] || stage_geo_needs(options, (enum geo_kind)i));
		any = any || wanted || built != 0;
		if (built != 0) {
			strbuf_printf(&text, "%s%s: %s old", text.len == 0 ? "" : ", ", names[i], age_text(in->arena, age));
			check->state = age > (uint64_t)GEO_DAYS_MAX * DAY ? HEALTH_WARNING : check->state;
		} else if (wanted) {
			strbuf_printf(&text, "%s%s: no database", text.len == 0 ? "" : ", ", names[i]);
			check->state = HEALTH_WARNING;
		}
	}
	check->text = text.data;
	if (!any || config_mode(in->config, section) == MODE_OFF) {
		check->state = HEALTH_OK;
		is_off(check, "no database is used");
	}
}

struct sick {
	struct strbuf names;
	size_t count, sick, unknown;
};

static void count_sick(void *context, const struct dnsbl_status *status)
{
	struct sick *sick = context;
	sick->count++;
	sick->unknown += status->state == DNSBL_STATE_UNKNOWN;
	if (status->state == DNSBL_STATE_SICK) {
		sick->sick++;
		if (sick->sick <= NAMES_MAX) {
			strbuf_printf(&sick->names, "%s%s", sick->names.len == 0 ? "" : ", ", status->name);
		}
	}
}

static void check_dnsbl(const struct input *in, struct health_check *check)
{
	struct sick sick = {.count = 0};
	strbuf_init(&sick.names, in->arena);
	dnsbl_health_each(engine_dnsbl_health(in->engine), count_sick, &sick);
	if (sick.count == 0 || config_mode(in->config, stages_section(&stage_dnsbl)) == MODE_OFF) {
		is_off(check, "no list is asked");
		return;
	}
	check->state = sick.sick > 0 ? HEALTH_WARNING : HEALTH_OK;
	check->text = sick.sick > 0
	                  ? arena_printf(in->arena, "%zu of %zu lists are sick and not asked: %s", sick.sick, sick.count,
	                                 sick.names.data)
	                  : arena_printf(in->arena, "%zu lists, %zu of them not tested yet", sick.count, sick.unknown);
}

static void check_keys(const struct input *in, struct health_check *check)
{
	struct keys *keys = keystore_acquire(engine_keystore(in->engine));
	size_t count;
	size_t active = 0;
	const char *broken = keys_problem(keys);
	const struct keystore_key *all = keys_all(keys, &count);
	for (size_t i = 0; i < count; i++) {
		active += all[i].name.state == KEY_ACTIVE;
		if (all[i].name.state == KEY_ACTIVE && all[i].problem != NULL) {
			broken = all[i].problem;
		}
	}
	if (config_mode(in->config, stages_section(&stage_sign)) == MODE_OFF) {
		is_off(check, "sign { mode = off }");
	} else if (broken != NULL) {
		check->state = HEALTH_CRITICAL;
		check->text = text_escape(in->arena, slice_from(broken), "", true, 400);
	} else if (count == 0) {
		is_off(check, "there are no keys: nothing is signed");
	} else {
		check->state = active == 0 ? HEALTH_WARNING : HEALTH_OK;
		check->text = arena_printf(in->arena, "%zu of %zu keys are active", active, count);
	}
	keys_release(keys);
}

static void check_config(const struct input *in, struct health_check *check)
{
	struct engine_times times = engine_times(in->engine);
	const char *path = config_path(in->config) == NULL ? "the defaults" : config_path(in->config);
	check->state = times.refused != 0 ? HEALTH_WARNING : HEALTH_OK;
	check->text = text_escape(
	    in->arena,
	    slice_from(times.refused != 0 ? arena_printf(in->arena, "%s: the last reload was refused: see the log", path)
	                                  : arena_printf(in->arena, "%s is in force", path)),
	    "", true, 400);
}

struct late {
	uint64_t now;
	struct strbuf names;
	const char *next;
	uint64_t next_at;
};

static void look_at_task(void *context, const struct housekeeping_status *task)
{
	struct late *late = context;
	bool failed = task->turns > 0 && !task->good;
	bool overdue = late->now > task->next + 2 * (uint64_t)task->interval + TASK_LATE && task->last != 0;
	if (failed || overdue) {
		strbuf_printf(&late->names, "%s%s %s", late->names.len == 0 ? "" : ", ", task->name,
		              failed ? "failed" : "is late");
	}
	if (late->next == NULL || task->next < late->next_at) {
		late->next = task->name;
		late->next_at = task->next;
	}
}

static void check_tasks(const struct input *in, struct health_check *check)
{
	struct late late = {.now = in->now};
	strbuf_init(&late.names, in->arena);
	housekeeping_each(engine_housekeeping(in->engine), look_at_task, &late);
	if (late.next == NULL) {
		is_off(check, "no store, no tasks");
		return;
	}
	check->state = late.names.len > 0 ? HEALTH_WARNING : HEALTH_OK;
	check->text = late.names.len > 0 ? late.names.data : arena_printf(in->arena, "in time; the next is %s", late.next);
}

static void check_sessions(const struct input *in, struct health_check *check)
{
	const struct globals *globals = config_settings(in->config, SECTION_GLOBALS);
	struct metrics *cells = meter_cells(engine_meter(in->engine));
	uint64_t closed = metrics_get(cells, meter_event_cell(METER_SESSION_CLOSED));
	uint64_t open = metrics_get(cells, meter_event_cell(METER_SESSION_OPENED)) - closed;
	check->state = open * 10 > globals->sessions_max * 9 ? HEALTH_WARNING : HEALTH_OK;
	check->text = arena_printf(in->arena, "%llu of at most %llu", (unsigned long long)open,
	                           (unsigned long long)globals->sessions_max);
}

static void check_memory(const struct input *in, struct health_check *check)
{
	const struct globals *globals = config_settings(in->config, SECTION_GLOBALS);
	uint64_t used = atomic_load(&engine_message_budget(in->engine)->used);
	check->state = used > globals->memory_total / 10 * 9 ? HEALTH_WARNING : HEALTH_OK;
	check->text = arena_printf(in->arena, "messages hold %llu of at most %llu MB%s", (unsigned long long)(used >> 20),
	                           (unsigned long long)(globals->memory_total >> 20),
	                           check->state == HEALTH_OK ? "" : ": more go to spool_dir");
}

static const struct {
	const char *name;
	void (*look)(const struct input *in, struct health_check *check);
} checks[] = {
    {"resolver", check_resolver}, {"store", check_store},
    {"workers", check_workers},   {"virus", check_virus},
    {"geoip", check_geo},         {"dnsbl", check_dnsbl},
    {"keys", check_keys},         {"configuration", check_config},
    {"tasks", check_tasks},       {"sessions", check_sessions},
    {"memory", check_memory},
};
enum { CHECKS = sizeof checks / sizeof *checks };
_Static_assert((int)CHECKS + (int)HEALTH_ADDED_MAX <= (int)HEALTH_CHECKS_MAX, "all checks fit");

size_t health_run(struct engine *engine, uint64_t wait_ns, struct arena *arena,
                  struct health_check checks_r[HEALTH_CHECKS_MAX])
{
	struct config *config = engine_config(engine);
	struct input in = {
	    .engine = engine, .config = config, .arena = arena, .wait_ns = wait_ns, .now = (uint64_t)time(NULL)};
	size_t count = 0;
	for (size_t i = 0; i < added_count; i++) {
		checks_r[count] = (struct health_check){.name = added[i].name, .text = ""};
		added[i].probe(added[i].context, arena, &checks_r[count++]);
	}
	for (size_t i = 0; i < CHECKS; i++) {
		checks_r[count] = (struct health_check){.name = checks[i].name, .text = ""};
		checks[i].look(&in, &checks_r[count++]);
	}
	config_release(config);
	return count;
}

enum health_state health_worst(const struct health_check *all, size_t count)
{
	enum health_state worst = HEALTH_OK;
	for (size_t i = 0; i < count; i++) {
		worst = all[i].state > worst ? all[i].state : worst;
	}
	return worst;
}
