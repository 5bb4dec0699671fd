/* sign_bench LIBRARY KEY.pem THREADS SECONDS: signs one message of 4 KB over and over. LIBRARY: ours, opendkim.
 * Prints: signatures/s, microseconds of CPU for one, bytes of heap lost by one. See t/bench/sign.sh. */
#include "lib/auth/dkim_sign.h"
#include "lib/base/clock.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include <opendkim/dkim.h>
#pragma GCC diagnostic pop

enum { BODY_LINES = 64, PEM_SIZE = 32768 };

static const char *const fields[] = {"to", "subject", "date", "message-id", "mime-version", "content-type", NULL};
static const char *const oversign[] = {"from", NULL};
static char pem[PEM_SIZE];
static struct dkim_private_key *key;
static DKIM_LIB *library;
static char body[BODY_LINES * 64 + 1];
static const char header[] = "From: Anna <anna@example.com>\r\nTo: bob@example.net\r\nSubject: a message\r\n"
                             "Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n"
                             "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n";
static atomic_bool stop;
static atomic_ulong signatures;

static void must(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "sign_bench: %s\n", what);
		exit(1);
	}
}

static void sign_ours(struct arena *arena, const struct headers *headers)
{
	static const struct dkim_sign_options options = {fields, oversign, 0};
	struct dkim_draft *draft = dkim_sign_begin(arena, &options, headers, slice_from(body), 1700000000);
	must(dkim_sign_field(draft, "example.com", "sel", NULL, key) != NULL, "no signature");
}

static void sign_opendkim(struct arena *arena, const struct headers *headers)
{
	DKIM_STAT status;
	u_char *value;
	size_t size;
	dkim_alg_t algorithm =
	    dkim_private_key_algorithm(key) == DKIM_RSA_SHA256 ? DKIM_SIGN_RSASHA256 : DKIM_SIGN_ED25519SHA256;
	DKIM *dkim =
	    dkim_sign(library, (const u_char *)"bench", NULL, (dkim_sigkey_t)pem, (const u_char *)"sel",
	              (const u_char *)"example.com", DKIM_CANON_RELAXED, DKIM_CANON_RELAXED, algorithm, -1, &status);
	must(dkim != NULL, "dkim_sign");
	for (size_t i = 0; i < headers->count; i++) {
		const struct header *item = &headers->items[i];
		char *text = arena_printf(arena, "%.*s:%.*s", SLICE_ARGS(item->name), SLICE_ARGS(item->value));
		must(dkim_header(dkim, (u_char *)text, strlen(text)) == DKIM_STAT_OK, "dkim_header");
	}
	must(dkim_eoh(dkim) == DKIM_STAT_OK && dkim_body(dkim, (u_char *)body, strlen(body)) == DKIM_STAT_OK &&
	         dkim_eom(dkim, NULL) == DKIM_STAT_OK && dkim_getsighdr_d(dkim, 16, &value, &size) == DKIM_STAT_OK,
	     "no signature");
	dkim_free(dkim);
}

static void *run(void *opendkim)
{
	struct arena *arena = arena_create(65536);
	struct arena *kept = arena_create(4096);
	struct headers headers = {.count = 0};
	struct header_limits limits = {100, 10000};
	headers_parse(&headers, kept, &limits, slice_from(header));
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		(opendkim != NULL ? sign_opendkim : sign_ours)(arena, &headers);
		arena_reset(arena);
		atomic_fetch_add_explicit(&signatures, 1, memory_order_relaxed);
	}
	arena_destroy(arena);
	arena_destroy(kept);
	return NULL;
}

static double cpu_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void measure(bool opendkim, size_t threads, unsigned seconds, bool print)
{
	pthread_t ids[64];
	atomic_store(&stop, false);
	atomic_store(&signatures, 0);
	size_t heap = mallinfo2().uordblks;
	double cpu = cpu_seconds();
	uint64_t start = clock_now();
	for (size_t i = 0; i < threads; i++) {
		must(pthread_create(&ids[i], NULL, run, opendkim ? &stop : NULL) == 0, "no thread");
	}
	struct timespec end = clock_timespec(start + seconds * CLOCK_NS_PER_S);
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL);
	atomic_store(&stop, true);
	for (size_t i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
	}
	double n = (double)atomic_load(&signatures);
	if (print) {
		printf("%.0f %.1f %.0f\n", n * 1e9 / (double)(clock_now() - start), (cpu_seconds() - cpu) * 1e6 / n,
		       ((double)mallinfo2().uordblks - (double)heap) / n);
	}
}

int main(int argc, char **argv)
{
	must(argc == 5, "usage: sign_bench ours|opendkim KEY.pem THREADS SECONDS");
	FILE *file = fopen(argv[2], "r");
	must(file != NULL && fread(pem, 1, sizeof pem - 1, file) > 0, argv[2]);
	fclose(file);
	key = dkim_private_key_create(slice_from(pem));
	must(key != NULL, "no key");
	for (size_t i = 0; i < BODY_LINES; i++) {
		strcat(body, "a line of sixty-two bytes, as mail has some in its body, so so \r\n" + 1);
	}
	library = dkim_init(NULL, NULL);
	size_t threads = strtoul(argv[3], NULL, 10);
	must(threads > 0 && threads <= 64, "1 to 64 threads");
	measure(strcmp(argv[1], "opendkim") == 0, threads, 1, false); /* warm up */
	measure(strcmp(argv[1], "opendkim") == 0, threads, (unsigned)strtoul(argv[4], NULL, 10), true);
	dkim_close(library);
	dkim_private_key_destroy(key);
	return 0;
}
