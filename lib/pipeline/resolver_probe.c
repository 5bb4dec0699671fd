#include "lib/pipeline/resolver_probe.h"

#include "lib/base/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct resolver_probe {
	struct dns *dns;
	pthread_mutex_t lock; /* guards the rest; not held while a question is under way */
	bool asking, known, good;
	uint64_t answered; /* the resolver's counter when it was looked at last */
	uint64_t good_at;  /* monotonic */
	char problem[64];
};

struct resolver_probe *resolver_probe_create(struct dns *dns)
{
	struct resolver_probe *probe = calloc(1, sizeof *probe);
	if (probe == NULL) {
		abort();
	}
	probe->dns = dns;
	pthread_mutex_init(&probe->lock, NULL);
	return probe;
}

void resolver_probe_destroy(struct resolver_probe *probe)
{
	if (probe != NULL) {
		pthread_mutex_destroy(&probe->lock);
		free(probe);
	}
}

/* The lock is held. */
static void note_good(struct resolver_probe *probe)
{
	probe->known = probe->good = true;
	probe->good_at = clock_now();
}

/* Has mail got an answer since? The lock is held. */
static void look_at_mail(struct resolver_probe *probe)
{
	struct dns_statistics statistics;
	dns_get_statistics(probe->dns, &statistics);
	if (statistics.answered != probe->answered) {
		probe->answered = statistics.answered;
		note_good(probe);
	}
}

/* A random label: no cache on the way has it, ours neither. NULL, or what went wrong; static. */
static const char *ask(struct dns *dns, const char *domain, uint64_t wait_ns, char problem_r[64])
{
	char name[300];
	uint64_t random = 0;
	if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
		random = clock_now();
	}
	snprintf(name, sizeof name, "probe-%012llx.%s", (unsigned long long)(random >> 16), domain);
	uint64_t deadline = clock_now() + wait_ns;
	struct lookups *lookups = lookups_create(dns);
	const struct dns_answer *answer = lookups_get(lookups, name, DNS_TYPE_A);
	while (answer == NULL && lookups_wait(lookups, deadline)) {
		answer = lookups_get(lookups, name, DNS_TYPE_A);
	}
	bool good = answer != NULL && answer->status != DNS_TEMPORARY;
	snprintf(problem_r, 64, "%s", good ? "" : answer == NULL ? "no answer" : answer->problem);
	lookups_destroy(lookups);
	return good ? NULL : problem_r;
}

void resolver_probe_ask(struct resolver_probe *probe, const char *domain, uint64_t max_age_ns, uint64_t wait_ns,
                        struct resolver_state *state_r)
{
	char problem[64];
	pthread_mutex_lock(&probe->lock);
	look_at_mail(probe);
	bool fresh = probe->good && clock_now() - probe->good_at <= max_age_ns;
	if (!fresh && !probe->asking && domain[0] != '\0') {
		probe->asking = true;
		pthread_mutex_unlock(&probe->lock);
		bool good = ask(probe->dns, domain, wait_ns, problem) == NULL;
		pthread_mutex_lock(&probe->lock);
		look_at_mail(probe);
		probe->asking = false;
		probe->known = true;
		if (good) {
			note_good(probe);
		} else if (clock_now() - probe->good_at > wait_ns || probe->good_at == 0) {
			probe->good = false;
			memcpy(probe->problem, problem, sizeof problem);
		}
	}
	*state_r = (struct resolver_state){
	    .known = probe->known, .good = probe->good, .good_age = probe->good_at == 0 ? 0 : clock_now() - probe->good_at};
	memcpy(state_r->problem, probe->problem, sizeof state_r->problem);
	pthread_mutex_unlock(&probe->lock);
}
