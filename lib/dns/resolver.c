/* One thread owns one long-lived libunbound context. Others hand it questions through a queue; it hands answers to
 * the cache. ub_resolve() is never called: it costs a millisecond of CPU even from libunbound's cache. */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/pulse.h"
#include "lib/dns/source.h"

#include <errno.h>
#include <ldns/ldns.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unbound.h>
#include <unistd.h>

enum { RCODE_NOERROR = 0, RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3, CLASS_IN = 1 };

struct dns_resolver {
	struct dns_cache *cache;
	struct ub_ctx *ctx;
	uint64_t timeout_ns;
	size_t pending_max;
	atomic_size_t pending;
	pthread_t thread;
	int wake; /* eventfd */
	struct pulse pulse;

	pthread_mutex_t lock; /* guards the two below */
	struct dns_entry *queue;
	bool stop;

	/* The thread's: questions under way, oldest first, so in the order of their deadlines. */
	struct dns_entry *oldest, *newest;
	bool probing; /* a question for the pulse is under way */
};

static void resolver_wake(struct dns_resolver *resolver)
{
	uint64_t one = 1;
	while (write(resolver->wake, &one, sizeof one) < 0 && errno == EINTR) {
	}
}

void dns_resolver_ask(struct dns_resolver *resolver, struct dns_entry *entry)
{
	if (atomic_fetch_add(&resolver->pending, 1) >= resolver->pending_max) {
		atomic_fetch_sub(&resolver->pending, 1);
		dns_entry_set_temporary(entry, "resolver busy");
		dns_cache_complete(resolver->cache, entry, false);
		return;
	}
	dns_entry_acquire(entry);
	entry->resolver = resolver;
	entry->deadline = clock_now() + resolver->timeout_ns;
	pthread_mutex_lock(&resolver->lock);
	bool idle = resolver->queue == NULL;
	entry->queue_next = resolver->queue;
	resolver->queue = entry;
	pthread_mutex_unlock(&resolver->lock);
	if (idle) {
		resolver_wake(resolver);
	}
}

size_t dns_resolver_pending(struct dns_resolver *resolver)
{
	return atomic_load(&resolver->pending);
}

static void pending_add(struct dns_resolver *resolver, struct dns_entry *entry)
{
	entry->queue_next = NULL;
	entry->queue_previous = resolver->newest;
	if (resolver->newest != NULL) {
		resolver->newest->queue_next = entry;
	} else {
		resolver->oldest = entry;
	}
	resolver->newest = entry;
}

/* The answer is set: out of the list, into the cache. */
static void pending_complete(struct dns_resolver *resolver, struct dns_entry *entry)
{
	if (entry->queue_previous != NULL) {
		entry->queue_previous->queue_next = entry->queue_next;
	} else {
		resolver->oldest = entry->queue_next;
	}
	if (entry->queue_next != NULL) {
		entry->queue_next->queue_previous = entry->queue_previous;
	} else {
		resolver->newest = entry->queue_previous;
	}
	atomic_fetch_sub(&resolver->pending, 1);
	dns_cache_complete(resolver->cache, entry, true);
	dns_entry_release(entry);
}

static void entry_set_found(struct dns_entry *entry, const struct ub_result *result, uint32_t ttl)
{
	struct slice rdata[DNS_MAX_RECORDS];
	size_t count = 0;
	while (count < DNS_MAX_RECORDS && result->data[count] != NULL) {
		rdata[count] = (struct slice){result->data[count], (size_t)result->len[count]};
		count++;
	}
	dns_entry_set_records(entry, rdata, count, ttl, result->secure != 0);
}

static void entry_set_result(struct dns_entry *entry, const struct ub_result *result)
{
	uint32_t ttl = result->ttl < 0 ? 0 : (uint32_t)result->ttl;
	char problem[300];
	if (result->bogus != 0) {
		snprintf(problem, sizeof problem, "bogus: %s", result->why_bogus == NULL ? "DNSSEC" : result->why_bogus);
		dns_entry_set_temporary(entry, problem);
	} else if (result->rcode == RCODE_NOERROR && result->havedata != 0) {
		entry_set_found(entry, result, ttl);
	} else if (result->rcode == RCODE_NOERROR) {
		dns_entry_set_negative(entry, DNS_NODATA, ttl, result->secure != 0);
	} else if (result->rcode == RCODE_NXDOMAIN) {
		dns_entry_set_negative(entry, DNS_NXDOMAIN, ttl, result->secure != 0);
	} else if (result->rcode == RCODE_SERVFAIL) {
		dns_entry_set_temporary(entry, "SERVFAIL");
	} else {
		snprintf(problem, sizeof problem, "DNS error %d", result->rcode);
		dns_entry_set_temporary(entry, problem);
	}
}

static void resolver_callback(void *data, int error, struct ub_result *result)
{
	struct dns_entry *entry = data;
	if (error != 0) {
		dns_entry_set_temporary(entry, ub_strerror(error));
	} else {
		entry_set_result(entry, result);
	}
	ub_resolve_free(result);
	pending_complete(entry->resolver, entry);
}

/* Questions in the order in which they were asked. */
static struct dns_entry *queue_take(struct dns_resolver *resolver, bool *stop_r)
{
	struct dns_entry *in_order = NULL;
	pthread_mutex_lock(&resolver->lock);
	struct dns_entry *queue = resolver->queue;
	resolver->queue = NULL;
	*stop_r = resolver->stop;
	pthread_mutex_unlock(&resolver->lock);
	while (queue != NULL) {
		struct dns_entry *next = queue->queue_next;
		queue->queue_next = in_order;
		in_order = queue;
		queue = next;
	}
	return in_order;
}

static void resolver_start_questions(struct dns_resolver *resolver, struct dns_entry *queue)
{
	while (queue != NULL) {
		struct dns_entry *entry = queue;
		queue = queue->queue_next;
		pending_add(resolver, entry);
		int error = ub_resolve_async(resolver->ctx, entry->name, (int)entry->type, CLASS_IN, entry, resolver_callback,
		                             &entry->async_id);
		if (error != 0) {
			dns_entry_set_temporary(entry, ub_strerror(error));
			pending_complete(resolver, entry);
		}
	}
}

static void resolver_expire(struct dns_resolver *resolver, uint64_t now, const char *problem)
{
	while (resolver->oldest != NULL && resolver->oldest->deadline <= now) {
		struct dns_entry *entry = resolver->oldest;
		ub_cancel(resolver->ctx, entry->async_id);
		dns_entry_set_temporary(entry, problem);
		pending_complete(resolver, entry);
	}
}

/* An error too is a word from libunbound. */
static void resolver_probed(void *data, int error, struct ub_result *result)
{
	struct dns_resolver *resolver = data;
	(void)error;
	ub_resolve_free(result);
	resolver->probing = false;
	pulse_beat(&resolver->pulse);
}

/* libunbound knows "localhost" by itself (RFC 6761): the question goes to its own thread and back, and no further. */
static void resolver_probe(struct dns_resolver *resolver)
{
	if (!resolver->probing && pulse_asked(&resolver->pulse)) {
		resolver->probing =
		    ub_resolve_async(resolver->ctx, "localhost", DNS_TYPE_A, CLASS_IN, resolver, resolver_probed, NULL) == 0;
	}
}

bool dns_resolver_alive(struct dns_resolver *resolver, uint64_t deadline)
{
	uint64_t ticket = pulse_ask(&resolver->pulse);
	resolver_wake(resolver);
	return pulse_wait(&resolver->pulse, ticket, deadline);
}

static void *resolver_run(void *data)
{
	struct dns_resolver *resolver = data;
	struct pollfd fds[2] = {{.fd = ub_fd(resolver->ctx), .events = POLLIN}, {.fd = resolver->wake, .events = POLLIN}};
	bool stop = false;
	pthread_setname_np(pthread_self(), "resolver");
	while (!stop) {
		int timeout = resolver->oldest == NULL ? -1 : clock_poll_timeout(resolver->oldest->deadline);
		if (poll(fds, 2, timeout) < 0 && errno != EINTR) {
			log_error("resolver: poll: errno %d", errno);
		}
		if ((fds[1].revents & POLLIN) != 0) {
			uint64_t count;
			while (read(resolver->wake, &count, sizeof count) < 0 && errno == EINTR) {
			}
		}
		resolver_start_questions(resolver, queue_take(resolver, &stop));
		resolver_probe(resolver);
		if ((fds[0].revents & POLLIN) != 0) {
			ub_process(resolver->ctx);
		}
		resolver_expire(resolver, clock_now(), "timeout");
	}
	resolver_expire(resolver, UINT64_MAX, "shutting down");
	return NULL;
}

/* The context while it is being made: after the first error nothing more is done to it. */
struct setup {
	struct ub_ctx *ctx;
	const char *what;    /* which setting has the error */
	const char *problem; /* NULL: none */
};

static void setup_check(struct setup *setup, const char *what, int error)
{
	if (setup->problem == NULL && error != 0) {
		setup->what = what;
		setup->problem = ub_strerror(error);
	}
}

/* libunbound would only tell that it did not start. */
static void setup_check_file(struct setup *setup, const char *path)
{
	if (setup->problem == NULL && access(path, R_OK) != 0) {
		setup->what = path;
		setup->problem = strerror(errno);
	}
}

/* A file without a key would be taken by libunbound, and nothing would be validated. */
static void setup_check_anchors(struct setup *setup, const char *path)
{
	bool found = false;
	ldns_status status = LDNS_STATUS_OK;
	setup_check_file(setup, path);
	FILE *file = setup->problem == NULL ? fopen(path, "re") : NULL;
	while (file != NULL && !found && !feof(file) && (status == LDNS_STATUS_OK || status == LDNS_STATUS_SYNTAX_EMPTY)) {
		ldns_rr *rr = NULL;
		status = ldns_rr_new_frm_fp(&rr, file, NULL, NULL, NULL);
		if (status == LDNS_STATUS_OK) {
			found = ldns_rr_get_type(rr) == LDNS_RR_TYPE_DS || ldns_rr_get_type(rr) == LDNS_RR_TYPE_DNSKEY;
			ldns_rr_free(rr);
		}
	}
	if (file != NULL) {
		fclose(file);
	}
	if (setup->problem == NULL && !found) {
		setup->what = path;
		setup->problem = "expected a trust anchor, a DS or DNSKEY record";
	}
}

static void setup_option(struct setup *setup, const char *name, const char *value)
{
	if (setup->problem == NULL) {
		setup_check(setup, name, ub_ctx_set_option(setup->ctx, name, value));
	}
}

static bool is_loopback(const char *forwarder)
{
	return strncmp(forwarder, "127.", 4) == 0 || strncmp(forwarder, "::1", 3) == 0;
}

/* A forwarder is asked for the names of private use too (RFC 6303, RFC 6761), and may answer them unsigned. */
static void setup_forwarders(struct setup *setup, const char *const *forwarders)
{
	for (size_t i = 0; forwarders[i] != NULL && setup->problem == NULL; i++) {
		if (is_loopback(forwarders[i])) {
			setup_option(setup, "do-not-query-localhost:", "no");
		}
		setup_check(setup, forwarders[i], ub_ctx_set_fwd(setup->ctx, forwarders[i]));
	}
	setup_option(setup, "unblock-lan-zones:", "yes");
	setup_option(setup, "insecure-lan-zones:", "yes");
}

/* What unblock-lan-zones leaves. Nothing can be set in the context afterwards, so a bad file shows here at the latest.
 */
static void setup_finish(struct setup *setup, const struct dns_settings *settings, bool forward)
{
	static const char *const zones[] = {"127.in-addr.arpa.", "test.", "invalid.", "home.arpa.", NULL};
	const char *what = settings->trust_anchor_file != NULL ? settings->trust_anchor_file : "libunbound";
	/* Removing nothing makes libunbound read its files now, not at the first question. */
	if (setup->problem == NULL) {
		setup_check(setup, what, ub_ctx_data_remove(setup->ctx, "none.invalid."));
	}
	for (size_t i = 0; forward && zones[i] != NULL && setup->problem == NULL; i++) {
		setup_check(setup, zones[i], ub_ctx_zone_remove(setup->ctx, zones[i]));
	}
}

static void setup_context(struct setup *setup, const struct dns_settings *settings)
{
	/* RFC 9715 asks for no more than 1232 bytes of UDP. As a library libunbound has 16 sockets, that is 16 questions on
	 * the wire at a time, 2 TCP connections, and caches of 1 MB. */
	static const char *const options[][2] = {
	    {"edns-buffer-size:", "1232"},       {"use-syslog:", "no"},
	    {"outgoing-range:", "512"},          {"outgoing-num-tcp:", "32"},
	    {"num-queries-per-thread:", "4096"}, {"msg-cache-size:", "4m"},
	    {"rrset-cache-size:", "8m"},         {"do-not-query-localhost:", "yes"},
	};
	bool forward = settings->forwarders != NULL && settings->forwarders[0] != NULL;
	setup_check(setup, "log", ub_ctx_debugout(setup->ctx, NULL));
	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		setup_option(setup, options[i][0], options[i][1]);
	}
	/* How long libunbound leaves a server alone that was silent for 20 s: 900 s if it is not told, and all mail is
	 * deferred as long when it is the only forwarder. */
	setup_option(setup, "infra-host-ttl:", forward ? "5" : "60");
	setup_option(setup, "module-config:", settings->trust_anchor_file != NULL ? "validator iterator" : "iterator");
	if (settings->trust_anchor_file != NULL) {
		setup_check_anchors(setup, settings->trust_anchor_file);
		setup_check(setup, settings->trust_anchor_file, ub_ctx_add_ta_file(setup->ctx, settings->trust_anchor_file));
	}
	if (settings->root_hints != NULL) {
		setup_check_file(setup, settings->root_hints);
		setup_option(setup, "root-hints:", settings->root_hints);
	}
	if (forward) {
		setup_forwarders(setup, settings->forwarders);
	}
	setup_check(setup, "threads", ub_ctx_async(setup->ctx, 1));
	setup_finish(setup, settings, forward);
}

static bool resolver_start_thread(struct dns_resolver *resolver)
{
	sigset_t all;
	sigset_t before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&resolver->thread, NULL, resolver_run, resolver);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error == 0;
}

struct dns_resolver *dns_resolver_start(const struct dns_settings *settings, struct dns_cache *cache, char **error_r)
{
	struct dns_resolver *resolver = calloc(1, sizeof *resolver);
	if (resolver == NULL) {
		abort();
	}
	resolver->cache = cache;
	resolver->timeout_ns = settings->timeout_ns;
	resolver->pending_max = settings->pending_max;
	resolver->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	resolver->ctx = ub_ctx_create();
	pthread_mutex_init(&resolver->lock, NULL);
	pulse_init(&resolver->pulse);
	struct setup setup = {.ctx = resolver->ctx};
	if (resolver->wake >= 0 && resolver->ctx != NULL) {
		setup_context(&setup, settings);
		if (setup.problem == NULL && resolver_start_thread(resolver)) {
			return resolver;
		}
	}
	if (asprintf(error_r, "dns: the resolver cannot start: %s: %s", setup.problem == NULL ? "system" : setup.what,
	             setup.problem == NULL ? "out of resources" : setup.problem) < 0) {
		abort();
	}
	if (resolver->ctx != NULL) {
		ub_ctx_delete(resolver->ctx);
	}
	if (resolver->wake >= 0) {
		close(resolver->wake);
	}
	pthread_mutex_destroy(&resolver->lock);
	pulse_destroy(&resolver->pulse);
	free(resolver);
	return NULL;
}

void dns_resolver_stop(struct dns_resolver *resolver)
{
	if (resolver == NULL) {
		return;
	}
	pthread_mutex_lock(&resolver->lock);
	resolver->stop = true;
	pthread_mutex_unlock(&resolver->lock);
	resolver_wake(resolver);
	pthread_join(resolver->thread, NULL);
	ub_ctx_delete(resolver->ctx);
	close(resolver->wake);
	pthread_mutex_destroy(&resolver->lock);
	pulse_destroy(&resolver->pulse);
	free(resolver);
}
