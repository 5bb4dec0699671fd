/* One thread owns one long-lived libunbound context. Others hand it questions through a queue; it hands answers to
 * the cache. ub_resolve() is never called: it costs a millisecond of CPU even from libunbound's cache. */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/dns/source.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unbound.h>
#include <unistd.h>

enum { RCODE_NXDOMAIN = 3, CLASS_IN = 1 };

struct dns_resolver {
	struct dns_cache *cache;
	struct ub_ctx *ctx;
	uint64_t timeout_ns;
	size_t pending_max;
	atomic_size_t pending;
	pthread_t thread;
	int wake; /* eventfd */

	pthread_mutex_t lock; /* guards the two below */
	struct dns_entry *queue;
	bool stop;

	/* The thread's: questions under way, oldest first, so in the order of their deadlines. */
	struct dns_entry *oldest, *newest;
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

static void entry_set_found(struct dns_entry *entry, const struct ub_result *result)
{
	struct slice rdata[DNS_MAX_RECORDS];
	size_t count = 0;
	while (count < DNS_MAX_RECORDS && result->data[count] != NULL) {
		rdata[count] = (struct slice){result->data[count], (size_t)result->len[count]};
		count++;
	}
	dns_entry_set_records(entry, rdata, count, (uint32_t)result->ttl, result->secure != 0);
}

static void entry_set_result(struct dns_entry *entry, const struct ub_result *result)
{
	uint32_t ttl = result->ttl < 0 ? 0 : (uint32_t)result->ttl;
	char problem[300];
	if (result->bogus != 0) {
		snprintf(problem, sizeof problem, "bogus: %s", result->why_bogus == NULL ? "DNSSEC" : result->why_bogus);
		dns_entry_set_temporary(entry, problem);
	} else if (result->havedata != 0) {
		entry_set_found(entry, result);
	} else if (result->nxdomain != 0 || result->rcode == RCODE_NXDOMAIN) {
		dns_entry_set_negative(entry, DNS_NXDOMAIN, ttl, result->secure != 0);
	} else if (result->rcode == 0) {
		dns_entry_set_negative(entry, DNS_NODATA, ttl, result->secure != 0);
	} else if (result->rcode == 2) {
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

static void *resolver_run(void *data)
{
	struct dns_resolver *resolver = data;
	struct pollfd fds[2] = {{.fd = ub_fd(resolver->ctx), .events = POLLIN}, {.fd = resolver->wake, .events = POLLIN}};
	bool stop = false;
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
		if ((fds[0].revents & POLLIN) != 0) {
			ub_process(resolver->ctx);
		}
		resolver_expire(resolver, clock_now(), "timeout");
	}
	resolver_expire(resolver, UINT64_MAX, "shutting down");
	return NULL;
}

static bool is_loopback(const char *forwarder)
{
	return strncmp(forwarder, "127.", 4) == 0 || strncmp(forwarder, "::1", 3) == 0;
}

/* Names of private use that libunbound would answer itself (RFC 6303, RFC 6761); a forwarder is asked for them. */
static int resolver_forward_all(struct ub_ctx *ctx)
{
	static const char *const zones[] = {"127.in-addr.arpa.", "test.", "invalid.", "home.arpa.", NULL};
	int error = 0;
	for (size_t i = 0; zones[i] != NULL && error == 0; i++) {
		error = ub_ctx_zone_remove(ctx, zones[i]);
	}
	return error;
}

static int resolver_set_forwarders(struct ub_ctx *ctx, const char *const *forwarders)
{
	int error = 0;
	for (size_t i = 0; forwarders[i] != NULL && error == 0; i++) {
		if (is_loopback(forwarders[i])) {
			error = ub_ctx_set_option(ctx, "do-not-query-localhost:", "no");
		}
		if (error == 0) {
			error = ub_ctx_set_fwd(ctx, forwarders[i]);
		}
	}
	if (error == 0) {
		error = ub_ctx_set_option(ctx, "unblock-lan-zones:", "yes");
	}
	return error;
}

static int resolver_configure(struct ub_ctx *ctx, const struct dns_settings *settings)
{
	/* RFC 9715 asks for no more than 1232 bytes of UDP; negative answers are bounded by our own cache. */
	static const char *const options[][2] = {
		{"edns-buffer-size:", "1232"}, {"use-syslog:", "no"}, {"module-config:", NULL}, {NULL, NULL}};
	bool forward = settings->forwarders != NULL && settings->forwarders[0] != NULL;
	int error = ub_ctx_debugout(ctx, NULL);
	for (size_t i = 0; options[i][0] != NULL && error == 0; i++) {
		const char *value = options[i][1];
		if (value == NULL) {
			value = settings->trust_anchor_file != NULL ? "validator iterator" : "iterator";
		}
		error = ub_ctx_set_option(ctx, options[i][0], value);
	}
	if (error == 0 && settings->trust_anchor_file != NULL) {
		error = ub_ctx_add_ta_file(ctx, settings->trust_anchor_file);
	}
	if (error == 0 && settings->root_hints != NULL) {
		error = ub_ctx_set_option(ctx, "root-hints:", settings->root_hints);
	}
	if (error == 0 && forward) {
		error = resolver_set_forwarders(ctx, settings->forwarders);
	}
	if (error == 0) {
		error = ub_ctx_async(ctx, 1);
	}
	return error == 0 && forward ? resolver_forward_all(ctx) : error;
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
	const char *problem = "out of resources";
	if (resolver->wake >= 0 && resolver->ctx != NULL) {
		int error = resolver_configure(resolver->ctx, settings);
		if (error == 0 && resolver_start_thread(resolver)) {
			return resolver;
		}
		problem = error != 0 ? ub_strerror(error) : "no thread";
	}
	if (asprintf(error_r, "dns: the resolver cannot start: %s", problem) < 0) {
		abort();
	}
	if (resolver->ctx != NULL) {
		ub_ctx_delete(resolver->ctx);
	}
	if (resolver->wake >= 0) {
		close(resolver->wake);
	}
	pthread_mutex_destroy(&resolver->lock);
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
	free(resolver);
}
