/* health: is what the daemon depends on in order? Cheap: it looks at what is known, but for the resolver, which may be
 * asked, for a bounded time. Safe from any thread. */
#ifndef MAILREEVE_PIPELINE_HEALTH_H
#define MAILREEVE_PIPELINE_HEALTH_H

#include "lib/pipeline/engine.h"

/* As plug-ins of Nagios count. */
enum health_state { HEALTH_OK, HEALTH_WARNING, HEALTH_CRITICAL };
const char *health_state_name(enum health_state state); /* "warning" */

struct health_check {
	const char *name; /* "resolver" */
	enum health_state state;
	bool off;         /* it is not used; then OK */
	const char *text; /* one line for people: what is wrong, or how it is */
};

enum { HEALTH_CHECKS_MAX = 24, HEALTH_ADDED_MAX = 4 };

/* Besides those in health.c: sets *check_r but for its name. Before the first health_run(); name lives on. */
typedef void health_probe(void *context, struct arena *arena, struct health_check *check_r);
void health_add(const char *name, health_probe *probe, void *context);

/* Of a daemon's engine. wait_ns: so long the resolver may take where nothing has been heard of it for some seconds; 0:
 * it is not asked. Texts in arena. How many there are. */
size_t health_run(struct engine *engine, uint64_t wait_ns, struct arena *arena,
                  struct health_check checks_r[HEALTH_CHECKS_MAX]);
enum health_state health_worst(const struct health_check *checks, size_t count);

#endif
