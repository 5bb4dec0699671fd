#include "lib/pipeline/monitor.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/window.h"
#include "lib/pipeline/meter.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TICK (5 * CLOCK_NS_PER_S)
#define MINUTE (60 * CLOCK_NS_PER_S)
#define ASK_WELL MINUTE
#define ASK_SICK (10 * CLOCK_NS_PER_S)
#define ASK_WAIT (2 * CLOCK_NS_PER_S)

enum { MINUTE_SLOTS = 14, RATE_SLOTS = 182 };

struct monitor {
	struct engine *engine;
	struct resolver_probe *resolver;
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool stopping;
	struct window *minute, *rates;
	struct monitor_sizes sizes;
};

/* ---- options ---- */

/* "127.0.0.1:9847" as "inet:9847@127.0.0.1". */
static const char *spec_of(const char *listen, struct arena *arena, const char **error_r)
{
	const char *colon = strrchr(listen, ':');
	unsigned long long port;
	struct ip ip;
	*error_r = NULL;
	if (listen[0] == '\0' || strncmp(listen, "unix:/", 6) == 0) {
		return listen;
	}
	bool six = listen[0] == '[' && colon != NULL && colon[-1] == ']';
	size_t n = colon == NULL ? 0 : (size_t)(colon - listen) - (six ? 2 : 0);
	const char *host = arena_memdup(arena, listen + (six ? 1 : 0), n);
	bool good = colon != NULL && slice_to_uint(slice_from(colon + 1), 65535, &port) && port > 0 && ip_parse(host, &ip);
	bool loopback = good && (strcmp(host, "::1") == 0 || strncmp(host, "127.", 4) == 0);
	if (!loopback) {
		*error_r = "metrics.listen: expected \"127.0.0.1:PORT\", \"[::1]:PORT\" or \"unix:/PATH\": other hosts ask "
		           "through a proxy";
		return "";
	}
	return arena_printf(arena, "%s:%llu@%s", six ? "inet6" : "inet", port, host);
}

static const char *finish_options(void *settings, struct arena *arena)
{
	struct metrics_options *options = settings;
	const char *error;
	options->spec = spec_of(options->listen, arena, &error);
	return error;
}

static const struct option_row rows[] = {
    {.name = "listen",
     .type = OPTION_STRING,
     .offset = offsetof(struct metrics_options, listen),
     .fallback = "",
     .max = 200,
     .help = "where Prometheus reads GET /metrics: \"127.0.0.1:9847\", \"[::1]:9847\", \"unix:/PATH\"; empty: on the "
             "control socket alone"},
    {.name = "store_interval",
     .type = OPTION_DURATION,
     .offset = offsetof(struct metrics_options, store_interval),
     .fallback = "60s",
     .min = CLOCK_NS_PER_S,
     .max = 24 * 3600 * CLOCK_NS_PER_S,
     .help = "how often what lies in the quarantine and the greylist is counted"},
    {.name = NULL},
};

const struct section metrics_section = {
    .name = "metrics",
    .help = "Numbers for Prometheus.",
    .options = rows,
    .settings_size = sizeof(struct metrics_options),
    .finish = finish_options,
};

/* ---- the thread ---- */

static void take_reading(struct monitor *monitor)
{
	struct metrics *cells = meter_cells(engine_meter(monitor->engine));
	uint64_t *values = calloc(metrics_count(cells), sizeof *values);
	if (values == NULL) {
		abort();
	}
	metrics_read(cells, values);
	pthread_mutex_lock(&monitor->lock);
	window_put(monitor->minute, clock_now(), values);
	window_put(monitor->rates, clock_now(), values + meter_message_cell(VERDICT_ACCEPT, DIRECTION_INBOUND));
	pthread_mutex_unlock(&monitor->lock);
	free(values);
}

static void count_store(struct monitor *monitor)
{
	struct store *store = engine_store(monitor->engine);
	struct monitor_sizes sizes = {.counted = (uint64_t)time(NULL)};
	if (store == NULL || quarantine_stats(store, &sizes.quarantine) != QUARANTINE_OK ||
	    greylist_count(store, sizes.counted, &sizes.greylist) != STORE_OK ||
	    digests_status(store, &sizes.digests) != STORE_OK) {
		return;
	}
	pthread_mutex_lock(&monitor->lock);
	monitor->sizes = sizes;
	pthread_mutex_unlock(&monitor->lock);
}

static void ask_resolver(struct monitor *monitor, const struct config *config, uint64_t *next_ask)
{
	const struct dns_options *dns = config_settings(config, SECTION_DNS);
	struct resolver_state state;
	if (clock_now() >= *next_ask) {
		resolver_probe_ask(monitor->resolver, dns->probe, ASK_WELL, ASK_WAIT, &state);
		*next_ask = clock_now() + (state.good ? ASK_WELL : ASK_SICK);
	}
}

/* False: the thread is to stop. */
static bool wait_until(struct monitor *monitor, uint64_t deadline)
{
	struct timespec until = clock_timespec(deadline);
	int error = 0;
	pthread_mutex_lock(&monitor->lock);
	while (!monitor->stopping && error == 0) {
		error = pthread_cond_clockwait(&monitor->changed, &monitor->lock, CLOCK_MONOTONIC, &until);
	}
	bool stopping = monitor->stopping;
	pthread_mutex_unlock(&monitor->lock);
	return !stopping;
}

static void *monitor_run(void *context)
{
	struct monitor *monitor = context;
	uint64_t next_count = 0;
	uint64_t next_ask = clock_now() + ASK_WELL;
	uint64_t next_reading = clock_now() + TICK;
	do {
		struct config *config = engine_config(monitor->engine);
		const struct metrics_options *options = config_settings(config, SECTION_METRICS);
		if (clock_now() >= next_reading) {
			take_reading(monitor);
			next_reading += TICK;
		}
		if (clock_now() >= next_count) {
			count_store(monitor);
			next_count = clock_now() + options->store_interval;
		}
		ask_resolver(monitor, config, &next_ask);
		log_tell_repeats(false);
		config_release(config);
	} while (wait_until(monitor, next_count < next_reading ? next_count : next_reading));
	return NULL;
}

struct monitor *monitor_start(struct engine *engine)
{
	struct monitor *monitor = calloc(1, sizeof *monitor);
	if (monitor == NULL) {
		abort();
	}
	size_t first = meter_message_cell(VERDICT_ACCEPT, DIRECTION_INBOUND);
	monitor->engine = engine;
	monitor->resolver = resolver_probe_create(engine_dns(engine));
	pthread_mutex_init(&monitor->lock, NULL);
	pthread_cond_init(&monitor->changed, NULL);
	monitor->minute = window_create(metrics_count(meter_cells(engine_meter(engine))), MINUTE_SLOTS);
	monitor->rates = window_create(meter_elapsed_cell() - first, RATE_SLOTS);
	take_reading(monitor);
	if (pthread_create(&monitor->thread, NULL, monitor_run, monitor) != 0) {
		abort(); /* at the very start */
	}
	return monitor;
}

void monitor_stop(struct monitor *monitor)
{
	if (monitor == NULL) {
		return;
	}
	pthread_mutex_lock(&monitor->lock);
	monitor->stopping = true;
	pthread_cond_broadcast(&monitor->changed);
	pthread_mutex_unlock(&monitor->lock);
	pthread_join(monitor->thread, NULL);
	window_destroy(monitor->minute);
	window_destroy(monitor->rates);
	resolver_probe_destroy(monitor->resolver);
	pthread_cond_destroy(&monitor->changed);
	pthread_mutex_destroy(&monitor->lock);
	free(monitor);
}

/* ---- what is known ---- */

static double change_of(struct monitor *monitor, struct window *window, size_t first, uint64_t span_ns,
                        uint64_t *change_r)
{
	struct metrics *cells = meter_cells(engine_meter(monitor->engine));
	uint64_t *values = calloc(metrics_count(cells), sizeof *values);
	if (values == NULL) {
		abort();
	}
	pthread_mutex_lock(&monitor->lock);
	metrics_read(cells, values);
	uint64_t ns = window_change(window, clock_now(), span_ns, values + first, change_r);
	pthread_mutex_unlock(&monitor->lock);
	free(values);
	return ns < CLOCK_NS_PER_S ? 1 : (double)ns / CLOCK_NS_PER_S;
}

double monitor_minute(struct monitor *monitor, uint64_t *change_r)
{
	return change_of(monitor, monitor->minute, 0, MINUTE, change_r);
}

double monitor_rates(struct monitor *monitor, uint64_t span_ns, uint64_t *change_r)
{
	return change_of(monitor, monitor->rates, meter_message_cell(VERDICT_ACCEPT, DIRECTION_INBOUND), span_ns, change_r);
}

void monitor_sizes(struct monitor *monitor, struct monitor_sizes *sizes_r)
{
	pthread_mutex_lock(&monitor->lock);
	*sizes_r = monitor->sizes;
	pthread_mutex_unlock(&monitor->lock);
}

struct resolver_probe *monitor_resolver(struct monitor *monitor)
{
	return monitor->resolver;
}
