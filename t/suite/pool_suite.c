/* A real pool with the mailreeve-inspect that was just built: what it finds, and what happens to its processes. */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/inspect/pool.h"
#include "lib/mail/header.h"
#include "t/dkim_signer.h"
#include "t/messages.h"
#include "t/processes.h"
#include "t/tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOW = 1700000000, NOBODY = 65534, WAIT_S = 30, REPLACED_MAX_MS = 2000 };

static struct arena *arena;
static char folder[] = "/tmp/mailreeve-pool-XXXXXX";
static char *program;
static char *signatures;
static const char clean_mail[] = "From: a@example.com\r\nSubject: x\r\n\r\nhello\r\n";

/* ---- requests ---- */

struct answer {
	enum pool_result result;
	struct inspect_reply reply;
	uint64_t took_ms;
};

static int message_open(struct slice message)
{
	int fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	for (size_t at = 0; at < message.len;) {
		ssize_t n = write(fd, message.data + at, message.len - at);
		if (n <= 0) {
			break;
		}
		at += (size_t)n;
	}
	fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	return fd;
}

static struct answer ask_for(struct pool *pool, unsigned tasks, struct slice message, const struct dkim_keys *keys,
                             uint64_t ms, struct arena *memory)
{
	static const struct dkim_keys none = {.count = 0};
	struct answer answer;
	int fd = message_open(message);
	struct inspect_request request = {.tasks = tasks,
	                                  .message_fd = fd,
	                                  .message_size = message.len,
	                                  .now = NOW,
	                                  .deadline_ms = (uint32_t)ms,
	                                  .keys = keys == NULL ? &none : keys};
	uint64_t start = clock_now();
	answer.result = pool_inspect(pool, &request, start + ms * CLOCK_NS_PER_MS, memory, &answer.reply);
	answer.took_ms = (clock_now() - start) / CLOCK_NS_PER_MS;
	close(fd);
	return answer;
}

static struct answer ask(struct pool *pool, const char *message, uint64_t ms)
{
	return ask_for(pool, INSPECT_VIRUS, slice_from(message), NULL, ms, arena);
}

static bool answers(struct pool *pool)
{
	struct answer answer = ask(pool, clean_mail, WAIT_S * 1000);
	return answer.result == POOL_OK && answer.reply.virus == INSPECT_VIRUS_CLEAN;
}

struct asker {
	struct pool *pool;
	const char *message;
	uint64_t ms;
	struct answer answer;
	pthread_t thread;
};

static void *asker_run(void *data)
{
	struct asker *asker = data;
	struct arena *memory = arena_create(65536);
	asker->answer = ask_for(asker->pool, INSPECT_VIRUS, slice_from(asker->message), NULL, asker->ms, memory);
	arena_destroy(memory);
	return NULL;
}

static void asker_start(struct asker *asker)
{
	pthread_create(&asker->thread, NULL, asker_run, asker);
}

static void asker_join(struct asker *asker)
{
	pthread_join(asker->thread, NULL);
}

/* ---- processes ---- */

static bool busy(struct pool *pool, unsigned workers)
{
	uint64_t end = clock_now() + WAIT_S * CLOCK_NS_PER_S;
	struct pool_status status = {.busy = UINT32_MAX};
	while (status.busy != workers && clock_now() < end) {
		sched_yield();
		pool_get_status(pool, &status);
	}
	return status.busy == workers;
}

static size_t left_behind(void)
{
	size_t n = 0;
	DIR *list = opendir(folder);
	for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
		n += entry->d_name[0] != '.';
	}
	closedir(list);
	return n;
}

static struct pool *pool_start(unsigned workers, const char *database)
{
	const char *databases[] = {database, "/nonexistent/database", NULL};
	struct pool_settings settings;
	char *error = NULL;
	pool_settings_default(&settings);
	settings.program = program;
	settings.workers = workers;
	settings.tmp_dir = folder;
	settings.databases = databases;
	settings.scan_size_max = 4 << 20;
	struct pool *pool = pool_open(&settings, &error);
	if (pool == NULL) {
		printf("Bail out! %s\n", error);
		exit(1);
	}
	return pool;
}

/* ---- tests ---- */

static void is_virus(struct pool *pool, const char *message, enum inspect_virus_status expected, const char *name)
{
	struct answer answer = ask(pool, message, WAIT_S * 1000);
	bool named = expected != INSPECT_VIRUS_FOUND ||
	             (answer.reply.virus_name != NULL && strstr(answer.reply.virus_name, "Eicar-Test-Signature") != NULL);
	if (!ok(answer.result == POOL_OK && answer.reply.virus == expected && named, "%s", name)) {
		diag("%s; status %d, name %s, problem %s", pool_result_text(answer.result), (int)answer.reply.virus,
		     answer.reply.virus_name == NULL ? "-" : answer.reply.virus_name,
		     answer.reply.virus_problem == NULL ? "-" : answer.reply.virus_problem);
	}
}

static void test_virus(void)
{
	struct pool *pool = pool_start(2, signatures);
	struct slice virus = message_eicar(arena);
	struct slice zipped = message_zip(arena, "eicar.com", virus);
	struct slice zeros = {arena_alloc(arena, 6 << 20), 6 << 20};
	is_virus(pool, clean_mail, INSPECT_VIRUS_CLEAN, "a clean message");
	is_virus(pool, "", INSPECT_VIRUS_CLEAN, "an empty message");
	is_virus(pool, arena_printf(arena, "From: a@example.com\r\n\r\n%s\r\n", virus.data), INSPECT_VIRUS_FOUND,
	         "EICAR as the body");
	is_virus(pool, message_attach(arena, "From: a@example.com\r\n", "e.com", virus), INSPECT_VIRUS_FOUND, "EICAR attached");
	is_virus(pool, message_attach(arena, "Zzz: no field that libclamav knows\r\n", "e.com", virus), INSPECT_VIRUS_FOUND,
	         "EICAR attached behind unknown fields");
	is_virus(pool, message_attach(arena, "MZ: like a program\r\n", "e.com", virus), INSPECT_VIRUS_FOUND,
	         "EICAR attached behind a field that looks like a program");
	is_virus(pool, message_attach(arena, "From: a@example.com\r\n", "e.zip", zipped), INSPECT_VIRUS_FOUND, "EICAR in a zip");
	is_virus(pool, message_attach(arena, "Zzz: y\r\n", "e.zip", message_zip(arena, "inner.zip", zipped)), INSPECT_VIRUS_FOUND,
	         "EICAR in a zip in a zip");
	is_virus(pool, message_attach(arena, "From: a@example.com\r\n", "clean.zip", message_zip(arena, "a.txt", SLICE_LITERAL("hello"))),
	         INSPECT_VIRUS_CLEAN, "a clean zip");
	is_virus(pool, message_attach(arena, "From: a@example.com\r\n", "big.zip", message_zip(arena, "zeros", zeros)), INSPECT_VIRUS_LIMIT,
	         "more than scan_size_max is not called clean");
	struct answer answer = ask(pool, clean_mail, WAIT_S * 1000);
	is_int(answer.reply.database.signatures, 1, "one signature is loaded");
	ok(!answer.reply.database.official, "and no official database");
	struct pool_status status;
	pool_get_status(pool, &status);
	is_int(status.workers, 2, "two workers");
	is_int((long long)(status.crashed + status.timed_out + status.nonsense + status.restarts), 0, "nothing went wrong");
	diag("the sandbox: %s", status.sandbox);
	ok(strstr(status.sandbox, "seccomp") != NULL && strstr(status.sandbox, "rlimits") != NULL, "the sandbox is told");
	pool_close(pool);
	is_int((long long)left_behind(), 0, "nothing is left in tmp_dir");
	pool = pool_start(1, "/nonexistent");
	is_virus(pool, clean_mail, INSPECT_VIRUS_NO_DATABASE, "without a database nothing is called clean");
	pool_close(pool);
}

static struct answer verify(struct pool *pool, const char *message, enum dkim_key_status status, const char *key)
{
	struct headers headers = {.count = 0};
	struct header_limits limits = {.max_count = 100, .max_bytes = 65536};
	struct dkim_keys keys;
	headers_parse(&headers, arena, &limits, slice_from(message));
	dkim_keys_collect(arena, &headers, DKIM_MAX_SIGNATURES, &keys);
	keys.items[0].status = status;
	keys.items[0].text = slice_from(key);
	return ask_for(pool, INSPECT_DKIM, slice_from(message), &keys, WAIT_S * 1000, arena);
}

static void is_dkim(const struct answer *answer, enum auth_result expected, const char *name)
{
	bool one = answer->result == POOL_OK && answer->reply.signature_count == 1;
	ok(one && answer->reply.signatures[0].result == expected, "%s: %s", name, auth_result_name(expected));
	ok(one && answer->reply.virus == INSPECT_VIRUS_NOT_ASKED, "and no scan, as asked");
}

static void test_dkim(void)
{
	struct pool *pool = pool_start(1, signatures);
	struct signer_key rsa = signer_key_create(arena, 1024);
	struct signer_key ed25519 = signer_key_create(arena, 0);
	struct signer signer = {.key = &rsa, .domain = "example.com", .selector = "s", .length = -1, .time = NOW};
	const char *text = arena_printf(arena, "%s%s", signer_sign(arena, &signer, slice_from(clean_mail)), clean_mail);
	const char *key = arena_printf(arena, "v=DKIM1; p=%s", rsa.public_key);
	struct answer answer = verify(pool, text, DKIM_KEY_FOUND, key);
	is_dkim(&answer, AUTH_PASS, "a signed message");
	answer = verify(pool, arena_printf(arena, "%smore\r\n", text), DKIM_KEY_FOUND, key);
	is_dkim(&answer, AUTH_FAIL, "a changed one");
	answer = verify(pool, text, DKIM_KEY_TEMPORARY, "");
	is_dkim(&answer, AUTH_TEMPERROR, "no answer about the key");
	signer.key = &ed25519;
	signer.algorithm = SIGNER_ED25519;
	text = arena_printf(arena, "%s%s", signer_sign(arena, &signer, slice_from(clean_mail)), clean_mail);
	answer = verify(pool, text, DKIM_KEY_FOUND, arena_printf(arena, "v=DKIM1; k=ed25519; p=%s", ed25519.public_key));
	is_dkim(&answer, AUTH_PASS, "an ed25519 signature");
	pool_close(pool);
}

/* As the user that the worker is: root may be without CAP_SYS_RESOURCE. */
static bool starve(pid_t worker)
{
	const struct rlimit none = {.rlim_cur = 1, .rlim_max = 1};
	int status = 1;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		bool same = geteuid() != 0 || (setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
		_exit(same && prlimit(worker, RLIMIT_AS, &none, NULL) == 0 ? 0 : 1);
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

/* The only worker reads a request, and dies of it: no memory is left for the message. */
static void test_death(void)
{
	struct pool *pool = pool_start(1, signatures);
	struct pool_status status;
	pid_t worker = process_worker();
	ok(worker > 0 && answers(pool), "a worker at work");
	ok(starve(worker), "its memory is taken away");
	struct answer answer = ask(pool, clean_mail, WAIT_S * 1000);
	uint64_t start = clock_now();
	ok(answer.result == POOL_CRASHED, "the message it died on: \"%s\"", pool_result_text(answer.result));
	ok(answers(pool), "the next one is answered by a new worker");
	uint64_t ms = (clock_now() - start) / CLOCK_NS_PER_MS;
	ok(ms < REPLACED_MAX_MS, "%llu ms from death to the next answer", (unsigned long long)ms);
	ok(process_worker() != worker, "it is a new worker");
	pool_get_status(pool, &status);
	is_int((long long)status.crashed, 1, "exactly one crash is counted");
	pool_close(pool);
}

/* The only worker is stopped, is sent a request, and is killed before it has read it. */
static void test_unread(void)
{
	struct pool *pool = pool_start(1, signatures);
	struct pool_status status;
	struct asker asker = {.pool = pool, .message = clean_mail, .ms = WAIT_S * 1000};
	pid_t worker = process_worker();
	process_stop(worker);
	asker_start(&asker);
	ok(busy(pool, 1), "a stopped worker has a message");
	uint64_t start = clock_now();
	process_signal(worker, SIGKILL);
	asker_join(&asker);
	uint64_t ms = (clock_now() - start) / CLOCK_NS_PER_MS;
	ok(asker.answer.result == POOL_OK, "a message that it did not read goes to the next worker: \"%s\"",
	   pool_result_text(asker.answer.result));
	ok(ms < REPLACED_MAX_MS, "answered %llu ms after the death", (unsigned long long)ms);
	ok(process_gone(worker), "the old one is gone");
	pool_get_status(pool, &status);
	is_int((long long)status.crashed, 0, "no crash is counted");
	pool_close(pool);
}

static void test_hang(void)
{
	struct pool *pool = pool_start(1, signatures);
	pid_t worker = process_worker();
	process_stop(worker);
	struct answer answer = ask(pool, clean_mail, 200);
	ok(answer.result == POOL_TIMEOUT, "a worker that hangs: \"%s\"", pool_result_text(answer.result));
	ok(answer.took_ms >= 200 && answer.took_ms < 200 + REPLACED_MAX_MS, "at the deadline of 200 ms: %llu ms",
	   (unsigned long long)answer.took_ms);
	uint64_t start = clock_now();
	ok(answers(pool), "the next message is answered by a new worker");
	ok(process_gone(worker), "the old one was killed");
	diag("replaced in %llu ms", (unsigned long long)((clock_now() - start) / CLOCK_NS_PER_MS));
	pool_close(pool);
}

/* A packet that is sent in the very instant in which the kernel closes a killed worker's socket may be lost without an
 * error: then that one message is a crash. More than one in ten kills would be a fault of ours. */
static void test_idle_death(void)
{
	struct pool *pool = pool_start(2, signatures);
	struct pool_status status;
	bool all_gone = true;
	unsigned failed = 0;
	for (int i = 0; i < 10; i++) {
		pid_t worker = process_worker();
		process_signal(worker, SIGKILL);
		all_gone = process_gone(worker) && all_gone;
		failed += !answers(pool);
	}
	pool_get_status(pool, &status);
	ok(all_gone && failed <= 1 && status.crashed == failed, "workers that die idle cost no message: %u failed, %llu crashed",
	   failed, (unsigned long long)status.crashed);
	pool_close(pool);
}

static void test_queue(void)
{
	struct pool *pool = pool_start(1, signatures);
	struct asker first = {.pool = pool, .message = clean_mail, .ms = WAIT_S * 1000};
	struct asker second = first;
	pid_t worker = process_worker();
	process_stop(worker);
	asker_start(&first);
	ok(busy(pool, 1), "the only worker has a message");
	struct answer answer = ask(pool, clean_mail, 100);
	ok(answer.result == POOL_BUSY, "who cannot wait longer: \"%s\"", pool_result_text(answer.result));
	asker_start(&second);
	process_signal(worker, SIGCONT);
	asker_join(&first);
	asker_join(&second);
	ok(first.answer.result == POOL_OK && second.answer.result == POOL_OK, "who can wait is answered");
	pool_close(pool);
}

static void test_nursery_death(void)
{
	struct pool *pool = pool_start(2, signatures);
	struct pool_status status;
	pid_t nursery = process_nursery();
	pid_t worker = process_worker();
	uint64_t start = clock_now();
	process_signal(nursery, SIGKILL);
	ok(process_gone(worker), "a worker dies with its nursery");
	ok(answers(pool), "a request during the restart is answered, once there is a worker");
	diag("%llu ms from the nursery's death to the next answer",
	     (unsigned long long)((clock_now() - start) / CLOCK_NS_PER_MS));
	pool_get_status(pool, &status);
	is_int((long long)status.restarts, 1, "one restart is counted");
	ok(process_nursery() != nursery, "there is a new nursery");
	is_int((long long)left_behind(), 1, "the folder of the dead one was removed");
	process_stop(process_nursery());
	pid_t pids[PROCESS_PIDS_MAX];
	size_t n = process_children(process_nursery(), pids);
	for (size_t i = 0; i < n; i++) {
		process_signal(pids[i], SIGKILL);
	}
	for (size_t i = 0; i < n; i++) {
		process_gone(pids[i]);
	}
	struct answer answer = ask(pool, clean_mail, 100);
	ok(answer.result == POOL_DOWN && answer.took_ms >= 100, "without a nursery at work: \"%s\", at the deadline",
	   pool_result_text(answer.result));
	process_signal(process_nursery(), SIGCONT);
	ok(answers(pool), "when it goes on, so does the pool");
	pool_close(pool);
	is_int((long long)left_behind(), 0, "nothing is left in tmp_dir");
}

static void test_large(void)
{
	struct pool *pool = pool_start(1, signatures);
	struct pool_status status;
	size_t size = 17 << 20;
	char *text = arena_alloc(arena, size + 1);
	memset(text, 'x', size);
	for (size_t i = 62; i < size; i += 64) {
		memcpy(text + i - 1, "\r\n", 2);
	}
	memcpy(text, clean_mail, strlen(clean_mail));
	pid_t worker = process_worker();
	bool all = true;
	for (int i = 0; i < 5; i++) {
		all = all && ask(pool, text, WAIT_S * 1000).result == POOL_OK;
		all = all && answers(pool) && answers(pool);
	}
	pool_get_status(pool, &status);
	ok(all && status.crashed == 0, "a worker that retires after a large message takes no other message with it");
	ok(process_gone(worker), "and is gone");
	pool_close(pool);
}

static void test_close(void)
{
	struct pool *pool = pool_start(1, signatures);
	struct asker asker = {.pool = pool, .message = clean_mail, .ms = 300};
	process_stop(process_worker());
	asker_start(&asker);
	ok(busy(pool, 1), "a request is under way");
	pool_close(pool);
	asker_join(&asker);
	ok(asker.answer.result == POOL_TIMEOUT, "pool_close() waits for it: \"%s\"", pool_result_text(asker.answer.result));
	is_int(process_nursery_now(), 0, "no process is left");
}

static void is_refused(struct pool_settings settings, const char *part, const char *name)
{
	char *error = NULL;
	struct pool *pool = pool_open(&settings, &error);
	if (!ok(pool == NULL && error != NULL && strstr(error, part) != NULL, "not started: %s", name)) {
		diag("%s", error == NULL ? "it was started" : error);
	}
	pool_close(pool);
	free(error);
}

static void test_refusals(void)
{
	char *broken = arena_printf(arena, "%s/broken.ndb", folder);
	const char *databases[] = {broken, NULL};
	struct pool_settings settings;
	FILE *file = fopen(broken, "w");
	fputs("not a signature\n", file);
	fclose(file);
	pool_settings_default(&settings);
	settings.program = program;
	settings.workers = 1;
	settings.tmp_dir = folder;
	settings.databases = databases;
	is_refused(settings, "broken.ndb", "a broken database");
	unlink(broken);
	settings.tmp_dir = "/nonexistent";
	is_refused(settings, "/nonexistent", "no tmp_dir");
	settings.tmp_dir = folder;
	settings.program = "/nonexistent/mailreeve-inspect";
	is_refused(settings, "/nonexistent/mailreeve-inspect", "no program");
}

struct hammer {
	struct pool *pool;
	pthread_t thread;
	unsigned wrong;
};

static void *hammer_run(void *data)
{
	struct hammer *hammer = data;
	for (int i = 0; i < 100; i++) {
		struct arena *memory = arena_create(65536);
		struct answer answer =
		    ask_for(hammer->pool, INSPECT_VIRUS, slice_from(clean_mail), NULL, WAIT_S * 1000, memory);
		hammer->wrong += answer.result != POOL_OK || answer.reply.virus != INSPECT_VIRUS_CLEAN;
		arena_destroy(memory);
	}
	return NULL;
}

static void test_threads(void)
{
	struct pool *pool = pool_start(2, signatures);
	struct hammer hammers[4];
	unsigned wrong = 0;
	uint64_t start = clock_now();
	for (size_t i = 0; i < 4; i++) {
		hammers[i] = (struct hammer){.pool = pool};
		pthread_create(&hammers[i].thread, NULL, hammer_run, &hammers[i]);
	}
	for (size_t i = 0; i < 4; i++) {
		pthread_join(hammers[i].thread, NULL);
		wrong += hammers[i].wrong;
	}
	is_int(wrong, 0, "400 requests of four threads to two workers");
	diag("in %llu ms", (unsigned long long)((clock_now() - start) / CLOCK_NS_PER_MS));
	pool_close(pool);
}

int main(void)
{
	const char *build = getenv("MAILREEVE_BUILD");
	const char *source = getenv("MAILREEVE_SOURCE");
	arena = arena_create(1 << 20);
	if (build == NULL || source == NULL) {
		skip_all("MAILREEVE_BUILD and MAILREEVE_SOURCE are not set");
	}
	log_open(LOG_TARGET_STDERR, "pool_suite");
	program = arena_printf(arena, "%s/mailreeve-inspect", build);
	signatures = arena_printf(arena, "%s/conf/signatures/mailreeve-test.ndb", source);
	if (mkdtemp(folder) == NULL) {
		skip_all("no folder can be made in /tmp");
	}
	test_virus();
	test_dkim();
	test_death();
	test_unread();
	test_hang();
	test_idle_death();
	test_queue();
	test_nursery_death();
	test_large();
	test_close();
	test_refusals();
	test_threads();
	rmdir(folder);
	arena_destroy(arena);
	return done_testing();
}
