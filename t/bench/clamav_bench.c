/* What a scan costs in CPU time, and what it finds: the whole message by libclamav's mail parser, against the message
 * without that parser and its decoded parts one by one.
 *
 *     clamav_bench DATABASE MESSAGES PARTS [ROUNDS]
 *
 * MESSAGES: a folder of NAME.eml; PARTS: NAME.0.bin, NAME.1.bin ... beside each other, the decoded parts of it. */
#include "inspect/clamav.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PARTS_MAX = 16, MESSAGES_MAX = 10000, LEAD = sizeof CLAMAV_LEAD - 1 };

enum mode { MAIL, RAW, PARTS, RAW_AND_PARTS, MODES };
static const char *const mode_names[] = {"whole, mail parser", "raw", "parts", "raw and parts"};

struct bench_message {
	char *name;
	struct slice bytes; /* CLAMAV_LEAD in front */
	struct slice parts[PARTS_MAX];
	size_t part_count;
};

static struct bench_message messages[MESSAGES_MAX];
static size_t count;

static bool read_all(const char *path, size_t lead, struct slice *bytes_r)
{
	FILE *file = fopen(path, "re");
	if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
		return false;
	}
	size_t size = (size_t)ftell(file);
	char *data = malloc(lead + size + 1);
	rewind(file);
	memcpy(data, CLAMAV_LEAD, lead);
	bool good = fread(data + lead, 1, size, file) == size;
	fclose(file);
	*bytes_r = (struct slice){data + lead, size};
	return good;
}

static void load_message(const char *folder, const char *parts, const char *file)
{
	char path[4096];
	struct bench_message *message = &messages[count];
	size_t n = strlen(file);
	if (count == MESSAGES_MAX || n < 5 || strcmp(file + n - 4, ".eml") != 0) {
		return;
	}
	message->name = strndup(file, n - 4);
	snprintf(path, sizeof path, "%s/%s", folder, file);
	if (!read_all(path, LEAD, &message->bytes)) {
		return;
	}
	while (message->part_count < PARTS_MAX) {
		snprintf(path, sizeof path, "%s/%s.%zu.bin", parts, message->name, message->part_count);
		if (!read_all(path, 0, &message->parts[message->part_count])) {
			break;
		}
		message->part_count++;
	}
	count++;
}

static double cpu_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static bool scan(const struct bench_message *message, enum mode mode, struct arena *arena)
{
	struct clamav_scan scan;
	clamav_open(&scan, UINT32_MAX, arena);
	bool go_on = true;
	if (mode == MAIL) {
		go_on = clamav_scan_mail(&scan, message->bytes.data, message->bytes.len);
	}
	if (mode == RAW || mode == RAW_AND_PARTS) {
		go_on = clamav_scan_raw(&scan, message->bytes.data, message->bytes.len);
	}
	for (size_t i = 0; go_on && mode >= PARTS && i < message->part_count; i++) {
		go_on = clamav_scan_part(&scan, message->parts[i], NULL);
	}
	arena_reset(arena);
	return scan.status == INSPECT_VIRUS_FOUND;
}

struct outcome {
	double ms;
	unsigned found;
};

/* In a process of its own: libclamav remembers what was clean, and the next mode shall not profit. */
static struct outcome run(enum mode mode, struct arena *arena)
{
	struct outcome outcome = {0, 0};
	int pipes[2];
	if (pipe(pipes) != 0) {
		abort();
	}
	if (fork() == 0) {
		double start = cpu_ms();
		for (size_t i = 0; i < count; i++) {
			outcome.found += scan(&messages[i], mode, arena);
		}
		outcome.ms = cpu_ms() - start;
		_exit(write(pipes[1], &outcome, sizeof outcome) == (ssize_t)sizeof outcome ? 0 : 1);
	}
	close(pipes[1]);
	if (read(pipes[0], &outcome, sizeof outcome) != (ssize_t)sizeof outcome) {
		abort();
	}
	close(pipes[0]);
	wait(NULL);
	return outcome;
}

int main(int argc, char **argv)
{
	struct arena *arena = arena_create(65536);
	struct pool_settings settings;
	double took[MODES] = {0};
	unsigned found[MODES] = {0};
	if (argc < 4) {
		fputs("usage: clamav_bench DATABASE MESSAGES PARTS [ROUNDS]\n", stderr);
		return 2;
	}
	int rounds = argc > 4 ? atoi(argv[4]) : 1;
	const char *databases[] = {argv[1], NULL};
	pool_settings_default(&settings);
	settings.databases = databases;
	settings.tmp_dir = "/tmp";
	const char *problem = clamav_load(&settings, arena);
	DIR *folder = problem == NULL ? opendir(argv[2]) : NULL;
	if (folder == NULL) {
		fprintf(stderr, "%s\n", problem != NULL ? problem : argv[2]);
		return 1;
	}
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		load_message(argv[2], argv[3], entry->d_name);
	}
	closedir(folder);
	for (int round = 0; round < rounds; round++) {
		for (int mode = 0; mode < MODES; mode++) {
			struct outcome outcome = run((enum mode)mode, arena);
			took[mode] += outcome.ms;
			found[mode] += outcome.found;
		}
	}
	printf("%zu messages, %u signatures, %d rounds\n", count, clamav_database().signatures, rounds);
	for (int mode = 0; mode < MODES; mode++) {
		printf("%-20s %8.3f ms CPU a message, %u found\n", mode_names[mode], took[mode] / (double)count / rounds,
		       found[mode] / (unsigned)rounds);
	}
	arena_destroy(arena);
	return 0;
}
