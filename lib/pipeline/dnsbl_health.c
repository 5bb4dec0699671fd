#include "lib/pipeline/dnsbl_health.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PROBLEM_SIZE = 200 };

struct patient {
	const struct dnsbl_list *list;
	enum dnsbl_state state;
	char problem[PROBLEM_SIZE];
	uint64_t since, tested; /* epoch seconds */
	uint64_t due;           /* monotonic */
};

struct dnsbl_health {
	struct dns *dns;
	pthread_t thread;
	pthread_mutex_t lock; /* guards all below; no DNS and no log while it is held */
	pthread_cond_t changed;
	bool stopping;
	unsigned generation; /* of settings and patients */
	struct dnsbl_health_settings settings;
	size_t count;
	struct patient patients[DNSBL_LISTS_MAX];
};

const char *dnsbl_state_name(enum dnsbl_state state)
{
	static const char *const names[] = {
	    [DNSBL_STATE_UNKNOWN] = "unknown", [DNSBL_STATE_WELL] = "well", [DNSBL_STATE_SICK] = "sick"};
	return names[state];
}

/* ---- testing ---- */

static void test_all(struct lookups *lookups, const struct dnsbl_list *const *lists, size_t count, struct arena *arena,
                     const char **problems_r)
{
	char name[DNS_MAX_NAME_TEXT];
	for (size_t i = 0; i < count; i++) {
		bool dead;
		dnsbl_test_name(lists[i], true, name);
		const struct dns_answer *listed = lookups_get(lookups, name, DNS_TYPE_A);
		dnsbl_test_name(lists[i], false, name);
		const struct dns_answer *unlisted = lookups_get(lookups, name, DNS_TYPE_A);
		problems_r[i] =
		    listed == NULL || unlisted == NULL ? NULL : dnsbl_test(lists[i], listed, unlisted, arena, &dead);
	}
}

void dnsbl_health_test(struct dns *dns, const struct dnsbl_list *const *lists, size_t count, uint64_t timeout_ns,
                       struct arena *arena, const char **problems_r)
{
	struct lookups *lookups = lookups_create(dns);
	uint64_t deadline = clock_now() + timeout_ns;
	test_all(lookups, lists, count, arena, problems_r);
	while (lookups_pending(lookups) > 0 && lookups_wait(lookups, deadline)) {
		test_all(lookups, lists, count, arena, problems_r);
	}
	if (lookups_pending(lookups) > 0) {
		lookups_expire(lookups, "no answer in time");
	}
	test_all(lookups, lists, count, arena, problems_r);
	lookups_destroy(lookups);
}

/* What a test says to the log: changes only. */
struct news {
	const struct dnsbl_list *list;
	const char *problem; /* NULL: well again */
};

/* Returns the number of news. */
static size_t results_keep(struct dnsbl_health *health, const size_t *which, const char *const *problems, size_t count,
                           struct news *news_r)
{
	size_t n = 0;
	uint64_t now = (uint64_t)time(NULL);
	for (size_t i = 0; i < count; i++) {
		struct patient *patient = &health->patients[which[i]];
		enum dnsbl_state state = problems[i] == NULL ? DNSBL_STATE_WELL : DNSBL_STATE_SICK;
		bool told = state == DNSBL_STATE_WELL && patient->state == DNSBL_STATE_UNKNOWN;
		if (state != patient->state) {
			patient->since = now;
			if (!told) {
				news_r[n++] = (struct news){patient->list, problems[i]};
			}
		}
		snprintf(patient->problem, sizeof patient->problem, "%s", problems[i] == NULL ? "" : problems[i]);
		patient->state = state;
		patient->tested = now;
		patient->due =
		    clock_now() + (state == DNSBL_STATE_WELL ? health->settings.interval_ns : health->settings.retry_ns);
	}
	return n;
}

static void news_log(const struct news *news, size_t count, uint64_t retry_ns, struct arena *arena)
{
	for (size_t i = 0; i < count; i++) {
		const char *name = news[i].list->name;
		if (news[i].problem == NULL) {
			log_info("dnsbl: %s is in order again and is asked", name);
		} else {
			log_warning("dnsbl: %s is not asked any more: %s; it is tested again every %llu s", name,
			            text_escape(arena, slice_from(news[i].problem), "", true, PROBLEM_SIZE),
			            (unsigned long long)(retry_ns / CLOCK_NS_PER_S));
		}
	}
}

/* Those whose time has come; *next_r: when the next one's does, UINT64_MAX: never. */
static size_t due_find(const struct dnsbl_health *health, size_t *which_r, const struct dnsbl_list **lists_r,
                       uint64_t *next_r)
{
	size_t n = 0;
	uint64_t now = clock_now();
	*next_r = UINT64_MAX;
	for (size_t i = 0; i < health->count && health->settings.interval_ns > 0; i++) {
		if (health->patients[i].due <= now) {
			which_r[n] = i;
			lists_r[n++] = health->patients[i].list;
		} else if (health->patients[i].due < *next_r) {
			*next_r = health->patients[i].due;
		}
	}
	return n;
}

static void wait_until(struct dnsbl_health *health, uint64_t next)
{
	struct timespec until = clock_timespec(next);
	if (next == UINT64_MAX) {
		pthread_cond_wait(&health->changed, &health->lock);
	} else {
		pthread_cond_clockwait(&health->changed, &health->lock, CLOCK_MONOTONIC, &until);
	}
}

/* Called and returns with the lock held, but lets it go meanwhile; the configuration stays alive. */
static void test_due(struct dnsbl_health *health, const size_t *which, const struct dnsbl_list *const *lists,
                     size_t count)
{
	struct config *config = config_acquire(health->settings.config);
	struct arena *arena = arena_create(4096);
	const char *problems[DNSBL_LISTS_MAX];
	struct news news[DNSBL_LISTS_MAX];
	unsigned generation = health->generation;
	uint64_t timeout = health->settings.timeout_ns;
	uint64_t retry = health->settings.retry_ns;
	size_t news_count = 0;
	pthread_mutex_unlock(&health->lock);
	dnsbl_health_test(health->dns, lists, count, timeout, arena, problems);
	pthread_mutex_lock(&health->lock);
	if (generation == health->generation) {
		news_count = results_keep(health, which, problems, count, news);
	}
	pthread_mutex_unlock(&health->lock);
	news_log(news, news_count, retry, arena);
	arena_destroy(arena);
	config_release(config);
	pthread_mutex_lock(&health->lock);
}

static void *health_run(void *context)
{
	struct dnsbl_health *health = context;
	size_t which[DNSBL_LISTS_MAX];
	const struct dnsbl_list *lists[DNSBL_LISTS_MAX];
	uint64_t next;
	pthread_mutex_lock(&health->lock);
	while (!health->stopping) {
		size_t count = due_find(health, which, lists, &next);
		if (count > 0) {
			test_due(health, which, lists, count);
		} else {
			wait_until(health, next);
		}
	}
	pthread_mutex_unlock(&health->lock);
	return NULL;
}

/* ---- from outside ---- */

struct dnsbl_health *dnsbl_health_create(struct dns *dns)
{
	struct dnsbl_health *health = calloc(1, sizeof *health);
	if (health == NULL) {
		abort();
	}
	health->dns = dns;
	pthread_mutex_init(&health->lock, NULL);
	pthread_cond_init(&health->changed, NULL);
	if (pthread_create(&health->thread, NULL, health_run, health) != 0) {
		abort();
	}
	return health;
}

void dnsbl_health_destroy(struct dnsbl_health *health)
{
	if (health == NULL) {
		return;
	}
	pthread_mutex_lock(&health->lock);
	health->stopping = true;
	pthread_cond_signal(&health->changed);
	pthread_mutex_unlock(&health->lock);
	pthread_join(health->thread, NULL);
	config_release(health->settings.config);
	pthread_cond_destroy(&health->changed);
	pthread_mutex_destroy(&health->lock);
	free(health);
}

static bool same_list(const struct dnsbl_list *a, const struct dnsbl_list *b)
{
	return a->kind == b->kind && strcmp(a->zone, b->zone) == 0;
}

static const struct patient *patient_find(const struct patient *patients, size_t count, const struct dnsbl_list *list)
{
	for (size_t i = 0; i < count; i++) {
		if (same_list(patients[i].list, list)) {
			return &patients[i];
		}
	}
	return NULL;
}

void dnsbl_health_configure(struct dnsbl_health *health, const struct dnsbl_health_settings *settings)
{
	struct patient *fresh = calloc(DNSBL_LISTS_MAX, sizeof *fresh);
	if (fresh == NULL) {
		abort();
	}
	config_acquire(settings->config);
	pthread_mutex_lock(&health->lock);
	for (size_t i = 0; i < settings->lists->count; i++) {
		const struct patient *before = patient_find(health->patients, health->count, &settings->lists->items[i]);
		if (before != NULL && settings->interval_ns > 0) {
			fresh[i] = *before;
		}
		fresh[i].list = &settings->lists->items[i];
		fresh[i].due = 0; /* its codes or test entries may be others now */
	}
	struct config *old = health->settings.config;
	memcpy(health->patients, fresh, sizeof health->patients);
	health->count = settings->lists->count;
	health->settings = *settings;
	health->generation++;
	pthread_cond_signal(&health->changed);
	pthread_mutex_unlock(&health->lock);
	config_release(old);
	free(fresh);
}

enum dnsbl_state dnsbl_health_state(struct dnsbl_health *health, const struct dnsbl_list *list, struct arena *arena,
                                    const char **problem_r)
{
	enum dnsbl_state state = DNSBL_STATE_UNKNOWN;
	char problem[PROBLEM_SIZE] = "";
	*problem_r = NULL;
	if (health == NULL) {
		return state;
	}
	pthread_mutex_lock(&health->lock);
	const struct patient *patient = patient_find(health->patients, health->count, list);
	if (patient != NULL) {
		state = patient->state;
		memcpy(problem, patient->problem, sizeof problem);
	}
	pthread_mutex_unlock(&health->lock);
	if (state == DNSBL_STATE_SICK && arena != NULL) {
		*problem_r = arena_strdup(arena, problem);
	}
	return state;
}

void dnsbl_health_each(struct dnsbl_health *health, dnsbl_health_visitor *visit, void *context)
{
	pthread_mutex_lock(&health->lock);
	for (size_t i = 0; i < health->count; i++) {
		const struct patient *patient = &health->patients[i];
		struct dnsbl_status status = {.name = patient->list->name,
		                              .zone = patient->list->public_zone,
		                              .state = patient->state,
		                              .problem = patient->state == DNSBL_STATE_SICK ? patient->problem : NULL,
		                              .since = patient->since,
		                              .tested = patient->tested};
		visit(context, &status);
	}
	pthread_mutex_unlock(&health->lock);
}
