/* monitor: the daemon's thread that looks at its counters every few seconds, so that rates of the last minutes are
 * known, asks the resolver where mail asks nothing, and counts what lies in the store. */
#ifndef MAILREEVE_PIPELINE_MONITOR_H
#define MAILREEVE_PIPELINE_MONITOR_H

#include "lib/pipeline/engine.h"
#include "lib/pipeline/resolver_probe.h"
#include "lib/store/greylist.h"
#include "lib/store/digests.h"
#include "lib/store/quarantine.h"

/* metrics { } */
struct metrics_options {
	const char *listen;      /* "", "127.0.0.1:9847", "[::1]:9847", "unix:/PATH" */
	uint64_t store_interval; /* 60s */
	const char *spec;        /* listen as listener.h takes it; "": none */
};
extern const struct section metrics_section;

struct monitor;
/* NULL: no thread could be started. The engine outlives it. */
struct monitor *monitor_start(struct engine *engine);
void monitor_stop(struct monitor *monitor); /* takes NULL */

/* All cells of the meter: what they went up by in the last span_ns (60 s at most are kept of most of them). The seconds
 * that it is of: less where the daemon is younger, a few more else. */
double monitor_minute(struct monitor *monitor, uint64_t *change_r);
/* The same of messages and refused recipients alone, from meter_message_cell(0, 0) to meter_elapsed_cell() - 1, up to
 * fifteen minutes: change_r[0] is the first of them. */
double monitor_rates(struct monitor *monitor, uint64_t span_ns, uint64_t *change_r);

struct monitor_sizes {
	uint64_t counted; /* epoch seconds; 0: not yet, or there is no store */
	struct quarantine_stats quarantine;
	struct greylist_counts greylist;
	struct digest_status digests; /* reports to users */
};
void monitor_sizes(struct monitor *monitor, struct monitor_sizes *sizes_r);

struct resolver_probe *monitor_resolver(struct monitor *monitor);

#endif
