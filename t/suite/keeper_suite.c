/* A real keeper with the mailreeve-inspect that was just built: databases come and go, and no message suffers. */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/inspect/keeper.h"
#include "t/messages.h"
#include "t/processes.h"
#include "t/tap.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOW = 1700000000, WAIT_S = 30 };

static struct arena *arena;
static char folder[] = "/tmp/mailreeve-keeper-XXXXXX";
static char *program;
static char *database; /* a folder */
static const char clean_mail[] = "From: a@example.com\r\nSubject: x\r\n\r\nhello\r\n";
static const char odd_mail[] = "From: a@example.com\r\nSubject: x\r\n\r\nthe quick brown malware\r\n";

/* ---- databases ---- */

static const char eicar_ndb[] =
    "Eicar-Test-Signature:0:*:58354f2150254041505b345c505a58353428505e2937434329377d2445494341522d"
    "5354414e444152442d414e544956495255532d544553542d46494c452124482b482a\n";
/* "quick brown malware" */
static const char odd_ndb[] = "Odd.Malware:0:*:717569636b2062726f776e206d616c77617265\n";

static void put_file(const char *name, const char *text)
{
	char *path = arena_printf(arena, "%s/%s", database, name);
	char *temporary = arena_printf(arena, "%s/.new", database);
	FILE *file = fopen(temporary, "w");
	if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0 || rename(temporary, path) != 0) {
		printf("Bail out! %s\n", path);
		exit(1);
	}
}

static void remove_file(const char *name)
{
	unlink(arena_printf(arena, "%s/%s", database, name));
}

static void remove_files(void)
{
	static const char *const names[] = {"eicar.ndb", "odd.ndb",    "odd.ldb", "odd.hdb",  "odd.yara",
	                                    "pua.ndu",   "broken.ndb", ".new",    "daily.cld"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		remove_file(names[i]);
	}
}

/* ---- keepers and requests ---- */

static struct keeper_settings settings_of(const char *const *databases)
{
	struct keeper_settings settings = {.check_interval_ns = 200 * CLOCK_NS_PER_MS,
	                                   .test_interval_ns = 3600 * CLOCK_NS_PER_S,
	                                   .watch = true,
	                                   .self_test = true};
	pool_settings_default(&settings.pool);
	settings.pool.program = program;
	settings.pool.workers = 2;
	settings.pool.tmp_dir = folder;
	settings.pool.databases = databases;
	return settings;
}

static struct keeper_settings settings_now(void)
{
	static const char *databases[2];
	databases[0] = database;
	return settings_of(databases);
}

static struct keeper *keeper_start(const struct keeper_settings *settings)
{
	char *error = NULL;
	struct keeper *keeper = keeper_open(settings, &error);
	if (keeper == NULL) {
		printf("Bail out! %s\n", error);
		exit(1);
	}
	return keeper;
}

static struct inspect_reply ask_in(struct keeper *keeper, const char *message, struct arena *memory)
{
	static const struct dkim_keys none = {.count = 0};
	struct inspect_reply reply = {.virus = INSPECT_VIRUS_NOT_ASKED};
	size_t n = strlen(message);
	int fd = memfd_create("message", MFD_CLOEXEC);
	if (write(fd, message, n) != (ssize_t)n) {
		printf("Bail out! no memory for a message\n");
		exit(1);
	}
	struct inspect_request request = {.tasks = INSPECT_VIRUS,
	                                  .message_fd = fd,
	                                  .message_size = n,
	                                  .now = NOW,
	                                  .deadline_ms = WAIT_S * 1000,
	                                  .keys = &none};
	enum pool_result result = keeper_inspect(keeper, &request, clock_now() + WAIT_S * CLOCK_NS_PER_S, memory, &reply);
	if (result != POOL_OK) {
		diag("%s", pool_result_text(result));
		reply.virus = INSPECT_VIRUS_NOT_ASKED;
	}
	close(fd);
	return reply;
}

static void is_virus(struct keeper *keeper, const char *message, enum inspect_virus_status expected, const char *name,
                     const char *what)
{
	struct inspect_reply reply = ask_in(keeper, message, arena);
	bool named = name == NULL || (reply.virus_name != NULL && strncmp(reply.virus_name, name, strlen(name)) == 0);
	if (!ok(reply.virus == expected && named, "%s", what)) {
		diag("status %d, name %s, problem %s", (int)reply.virus, reply.virus_name == NULL ? "-" : reply.virus_name,
		     reply.virus_problem == NULL ? "-" : reply.virus_problem);
	}
}

static const char *eicar_mail(void)
{
	return message_attach(arena, "From: a@example.com\r\n", "e.com", message_eicar(arena));
}

/* Polls until the counters are so. */
static bool reaches(struct keeper *keeper, uint64_t reloads, uint64_t refused)
{
	uint64_t end = clock_now() + WAIT_S * CLOCK_NS_PER_S;
	struct keeper_status status;
	do {
		sched_yield();
		keeper_get_status(keeper, &status);
	} while ((status.reloads != reloads || status.refused != refused) && clock_now() < end);
	return status.reloads == reloads && status.refused == refused;
}

static struct keeper_status status_of(struct keeper *keeper)
{
	struct keeper_status status;
	keeper_get_status(keeper, &status);
	return status;
}

/* ---- tests ---- */

struct hammer {
	struct keeper *keeper;
	pthread_t thread;
	_Atomic bool *stop;
	unsigned asked, wrong;
};

static void *hammer_run(void *data)
{
	struct hammer *hammer = data;
	while (!atomic_load(hammer->stop)) {
		struct arena *memory = arena_create(65536);
		hammer->wrong += ask_in(hammer->keeper, clean_mail, memory).virus != INSPECT_VIRUS_CLEAN;
		hammer->asked++;
		arena_destroy(memory);
	}
	return NULL;
}

static void test_reload(void)
{
	put_file("eicar.ndb", eicar_ndb);
	struct keeper_settings settings = settings_now();
	struct keeper *keeper = keeper_start(&settings);
	struct hammer hammers[4];
	_Atomic bool stop = false;
	unsigned asked = 0;
	unsigned wrong = 0;
	pid_t nursery = process_nursery();
	is_virus(keeper, odd_mail, INSPECT_VIRUS_CLEAN, NULL, "a message that no signature knows");
	for (size_t i = 0; i < 4; i++) {
		hammers[i] = (struct hammer){.keeper = keeper, .stop = &stop};
		pthread_create(&hammers[i].thread, NULL, hammer_run, &hammers[i]);
	}
	put_file("odd.ndb", odd_ndb);
	ok(reaches(keeper, 1, 0), "a new file is noticed");
	is_virus(keeper, odd_mail, INSPECT_VIRUS_FOUND, "Odd.Malware", "and what it knows is found");
	is_virus(keeper, eicar_mail(), INSPECT_VIRUS_FOUND, "Eicar-Test-Signature", "as what was known before");
	ok(process_gone(nursery), "the old nursery ends");
	remove_file("odd.ndb");
	ok(reaches(keeper, 2, 0), "a file that is gone is noticed");
	is_virus(keeper, odd_mail, INSPECT_VIRUS_CLEAN, NULL, "and what it knew is forgotten");
	atomic_store(&stop, true);
	for (size_t i = 0; i < 4; i++) {
		pthread_join(hammers[i].thread, NULL);
		asked += hammers[i].asked;
		wrong += hammers[i].wrong;
	}
	ok(wrong == 0 && asked > 0, "of %u requests of four threads meanwhile none failed: %u", asked, wrong);
	struct keeper_status status = status_of(keeper);
	ok(status.pool.requests >= asked && status.pool.crashed == 0, "the counters go on: %llu requests",
	   (unsigned long long)status.pool.requests);
	is_int(status.pool.database.signatures, 1, "signatures in force");
	keeper_close(keeper);
	is_int(process_nursery_now(), 0, "no process is left");
	remove_files();
}

static void test_refusal(void)
{
	put_file("eicar.ndb", eicar_ndb);
	struct keeper_settings settings = settings_now();
	struct keeper *keeper = keeper_start(&settings);
	put_file("broken.ndb", "no signature\n");
	ok(reaches(keeper, 0, 1), "a database that does not load is refused");
	is_virus(keeper, eicar_mail(), INSPECT_VIRUS_FOUND, NULL, "and the old one stays");
	remove_file("broken.ndb");
	remove_file("eicar.ndb");
	put_file("odd.ndb", odd_ndb);
	ok(reaches(keeper, 0, 2), "so is one that does not know EICAR");
	is_virus(keeper, eicar_mail(), INSPECT_VIRUS_FOUND, NULL, "the old one stays");
	remove_file("odd.ndb");
	ok(reaches(keeper, 0, 3), "so is none at all");
	is_virus(keeper, clean_mail, INSPECT_VIRUS_CLEAN, NULL, "the old one stays");
	put_file("eicar.ndb", eicar_ndb);
	put_file("odd.ndb", odd_ndb);
	ok(reaches(keeper, 1, 3), "a good one is loaded again");
	is_virus(keeper, odd_mail, INSPECT_VIRUS_FOUND, NULL, "and knows what it should");
	keeper_close(keeper);
	remove_files();
}

/* Lines are added one by one, faster than it settles: what is seen half is not loaded. */
static void test_partial(void)
{
	put_file("eicar.ndb", eicar_ndb);
	struct keeper_settings settings = settings_now();
	settings.check_interval_ns = CLOCK_NS_PER_S;
	struct keeper *keeper = keeper_start(&settings);
	FILE *file = fopen(arena_printf(arena, "%s/odd.ndb", database), "w");
	uint64_t end = clock_now() + 4 * CLOCK_NS_PER_S;
	for (int i = 0; clock_now() < end; i++) {
		fprintf(file, "Odd.Malware.%d:0:*:71756963", i); /* cut: does not load */
		fflush(file);
		usleep(100000);
		fprintf(file, "6b2062726f776e206d616c77617265%06x\n", i);
		fflush(file);
	}
	struct keeper_status status = status_of(keeper);
	is_int((long long)(status.reloads + status.refused), 0, "a file that still changes is not loaded");
	fputs(odd_ndb, file);
	fclose(file);
	ok(reaches(keeper, 1, 0), "when it is whole, it is");
	is_virus(keeper, odd_mail, INSPECT_VIRUS_FOUND, "Odd.Malware", "to its last line");
	keeper_close(keeper);
	remove_files();
}

static void test_settings(void)
{
	put_file("eicar.ndb", eicar_ndb);
	put_file("pua.ndu", "PUA.Odd.Program:0:*:717569636b2062726f776e206d616c77617265\n");
	struct keeper_settings settings = settings_now();
	struct keeper *keeper = keeper_start(&settings);
	pid_t pids[PROCESS_PIDS_MAX];
	is_virus(keeper, odd_mail, INSPECT_VIRUS_CLEAN, NULL, "a program that is only unwanted");
	keeper_configure(keeper, &settings);
	settings.pool.workers = 3;
	settings.pool.scan_pua = true;
	keeper_configure(keeper, &settings);
	ok(reaches(keeper, 1, 0), "other settings start other workers, the same do not");
	is_virus(keeper, odd_mail, INSPECT_VIRUS_FOUND, "PUA.Odd.Program", "with pua it is found");
	is_int((long long)process_children(process_nursery(), pids), 3, "three workers");
	settings.pool.tmp_dir = "/nonexistent";
	keeper_configure(keeper, &settings);
	ok(reaches(keeper, 1, 1), "settings that cannot hold are refused");
	is_virus(keeper, odd_mail, INSPECT_VIRUS_FOUND, NULL, "and the old ones stay");
	keeper_close(keeper);
	remove_files();
}

static void test_ignored(void)
{
	static const char *const ignored[] = {"Odd.Malware", NULL};
	put_file("eicar.ndb", eicar_ndb);
	put_file("odd.ndb", odd_ndb);
	struct keeper_settings settings = settings_now();
	settings.pool.ignored = ignored;
	struct keeper *keeper = keeper_start(&settings);
	struct inspect_reply reply = ask_in(keeper, odd_mail, arena);
	ok(reply.virus == INSPECT_VIRUS_CLEAN && reply.virus_ignored != NULL &&
	       strcmp(reply.virus_ignored, "Odd.Malware.UNOFFICIAL") == 0,
	   "an ignored signature is told, and not acted on");
	const char *both = arena_printf(arena,
	                                "From: a@example.com\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
	                                "Content-Type: text/plain\r\n\r\nquick brown malware\r\n--b\r\n"
	                                "Content-Type: application/octet-stream; name=e.com\r\n"
	                                "Content-Transfer-Encoding: base64\r\n\r\n%s\r\n--b--\r\n",
	                                message_base64(arena, message_eicar(arena)));
	is_virus(keeper, both, INSPECT_VIRUS_FOUND, "Eicar-Test-Signature", "what hides behind it is found");
	const char *zipped = message_attach(arena, "From: a@example.com\r\n", "o.zip",
	                                    message_zip(arena, "o.txt", SLICE_LITERAL("the quick brown malware")));
	is_virus(keeper, zipped, INSPECT_VIRUS_CLEAN, NULL, "an ignored one alone, in an archive");
	keeper_close(keeper);
	remove_files();
}

static void test_own_signatures(void)
{
	put_file("eicar.ndb", eicar_ndb);
	put_file("odd.yara", "rule odd_rule { strings: $a = \"quick brown malware\" condition: $a }\n");
	put_file("odd.ldb", "Odd.Logical;Engine:51-255,Target:0;0&1;6c617a79;646f67\n"); /* lazy, dog */
	put_file("odd.hdb", "99ce309a96aee7d6cf3730e8e71ac5f1:28:Odd.Hash\n");
	struct keeper_settings settings = settings_now();
	struct keeper *keeper = keeper_start(&settings);
	is_virus(keeper, odd_mail, INSPECT_VIRUS_FOUND, "YARA.odd_rule", "a YARA rule");
	is_virus(keeper, "From: a@example.com\r\n\r\nover the lazy dog\r\n", INSPECT_VIRUS_FOUND, "Odd.Logical",
	         "a logical signature");
	is_virus(keeper,
	         message_attach(arena, "From: a@example.com\r\n", "h", SLICE_LITERAL("hello, hash of an attachment")),
	         INSPECT_VIRUS_FOUND, "Odd.Hash", "a hash of an attachment");
	keeper_close(keeper);
	remove_files();
}

/* The databases never knew EICAR. */
static void test_self_test(void)
{
	put_file("odd.ndb", odd_ndb);
	struct keeper_settings settings = settings_now();
	struct keeper *keeper = keeper_start(&settings);
	ok(status_of(keeper).problem[0] != '\0', "a self-test that fails at the start: \"%s\"", status_of(keeper).problem);
	is_virus(keeper, clean_mail, INSPECT_VIRUS_NOT_SCANNED, NULL, "what seems clean counts as not scanned");
	is_virus(keeper, odd_mail, INSPECT_VIRUS_FOUND, NULL, "what is found is found");
	is_int((long long)status_of(keeper).not_scanned, 1, "one message is counted as not scanned");
	put_file("eicar.ndb", eicar_ndb);
	ok(reaches(keeper, 1, 0), "a database that knows it comes");
	is_virus(keeper, clean_mail, INSPECT_VIRUS_CLEAN, NULL, "and clean is clean");
	ok(status_of(keeper).problem[0] == '\0', "the self-test is well");
	keeper_close(keeper);
	remove_file("eicar.ndb");
	settings.self_test = false;
	keeper = keeper_start(&settings);
	is_virus(keeper, clean_mail, INSPECT_VIRUS_CLEAN, NULL, "without a self-test nobody asks for EICAR");
	keeper_close(keeper);
	remove_files();
	keeper = keeper_start(&settings);
	is_virus(keeper, clean_mail, INSPECT_VIRUS_NO_DATABASE, NULL, "no database at all is a state of its own");
	keeper_close(keeper);
}

/* All workers hang: the repeated self-test fails, and is well when they go on. */
static void test_repeated(void)
{
	put_file("eicar.ndb", eicar_ndb);
	struct keeper_settings settings = settings_now();
	settings.test_interval_ns = 100 * CLOCK_NS_PER_MS;
	struct keeper *keeper = keeper_start(&settings);
	uint64_t before = status_of(keeper).pool.requests;
	uint64_t end = clock_now() + WAIT_S * CLOCK_NS_PER_S;
	while (status_of(keeper).pool.requests < before + 3 && clock_now() < end) {
		sched_yield();
	}
	ok(status_of(keeper).pool.requests >= before + 3, "the self-test is repeated");
	is_int((long long)status_of(keeper).reloads, 0, "without a reload");
	keeper_close(keeper);
	remove_files();
}

int main(void)
{
	const char *build = getenv("MAILREEVE_BUILD");
	arena = arena_create(1 << 20);
	if (build == NULL) {
		skip_all("MAILREEVE_BUILD is not set");
	}
	log_open(LOG_TARGET_STDERR, "keeper_suite");
	program = arena_printf(arena, "%s/mailreeve-inspect", build);
	if (mkdtemp(folder) == NULL) {
		skip_all("no folder can be made in /tmp");
	}
	database = arena_printf(arena, "%s/db", folder);
	mkdir(database, 0755);
	test_reload();
	test_refusal();
	test_partial();
	test_settings();
	test_ignored();
	test_own_signatures();
	test_self_test();
	test_repeated();
	rmdir(database);
	rmdir(folder);
	arena_destroy(arena);
	return done_testing();
}
