/* dnsbl_health: which of the configured lists are in order. Each is asked for its two test entries (RFC 5782 5) at the
 * start and from time to time; one that does not list the first, lists the second, or does not answer is sick: nobody
 * asks it until it is well again. Safe from any thread. */
#ifndef MAILREEVE_PIPELINE_DNSBL_HEALTH_H
#define MAILREEVE_PIPELINE_DNSBL_HEALTH_H

#include "lib/dnsbl/dnsbl.h"
#include "lib/policy/config.h"

enum dnsbl_state {
	DNSBL_STATE_UNKNOWN, /* not tested yet */
	DNSBL_STATE_WELL,
	DNSBL_STATE_SICK
};
const char *dnsbl_state_name(enum dnsbl_state state); /* "well" */

struct dnsbl_health_settings {
	struct config *config; /* holds lists; another reference is taken */
	const struct dnsbl_lists *lists;
	uint64_t interval_ns; /* between two tests of a list that is well; 0: it is never tested */
	uint64_t retry_ns;    /* of one that is sick */
	uint64_t timeout_ns;  /* a test without answer has failed then */
};

struct dnsbl_health;

/* Starts the thread that tests. dns outlives it. */
struct dnsbl_health *dnsbl_health_create(struct dns *dns);
void dnsbl_health_destroy(struct dnsbl_health *health); /* takes NULL */

/* From now on these lists. What is known of a zone that was there before stays known. */
void dnsbl_health_configure(struct dnsbl_health *health, const struct dnsbl_health_settings *settings);

/* health NULL (explain): nothing is known. *problem_r, where it is sick: why, in arena; arena NULL: always NULL. */
enum dnsbl_state dnsbl_health_state(struct dnsbl_health *health, const struct dnsbl_list *list, struct arena *arena,
                                    const char **problem_r);

struct dnsbl_status {
	const char *name, *zone; /* the public one */
	enum dnsbl_state state;
	const char *problem; /* of a sick one; else NULL */
	uint64_t since;      /* epoch seconds of the state; 0: unknown */
	uint64_t tested;     /* of the last test; 0: none */
};
typedef void dnsbl_health_visitor(void *context, const struct dnsbl_status *status);
void dnsbl_health_each(struct dnsbl_health *health, dnsbl_health_visitor *visit, void *context);

/* Tests these lists at once and waits for it, without any thread: problems_r[i] is NULL for one that is in order, else
 * why not, in arena. */
void dnsbl_health_test(struct dns *dns, const struct dnsbl_list *const *lists, size_t count, uint64_t timeout_ns,
                       struct arena *arena, const char **problems_r);

#endif
