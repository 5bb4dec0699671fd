/* bayes_bench MODE ...: how well and how fast the worker's tokens and lib/bayes tell spam from ham, in memory.
 *
 *   bayes_bench scores TRAIN TEST     learns what the list TRAIN names, prints "label probability file" for each of
 * TEST bayes_bench time TEST             CPU microseconds for a message bayes_bench tokens FILE           how many
 * tokens, and their names
 *
 *   bayes_bench import WORDS TEST     the same as scores, with what `bogoutil -d` said of bogofilter's list
 *
 * A list has a line "spam FILE" or "ham FILE" for each message. MAILREEVE_BENCH_SKIP: digits of groups of tokens
 * (inspect.h) that are left out. */
#include "inspect/content.h"
#include "inspect/token_bogofilter.h"
#include "lib/bayes/classifier.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TABLE_BITS = 24, LINE_MAX_BYTES = 4096 };

struct entry {
	uint64_t token;
	struct classifier_counts counts;
};

struct bench {
	struct pool_settings settings;
	struct arena *arena;
	struct entry *table; /* open addressing */
	struct classifier_counts all;
};

static struct entry *find(struct bench *bench, uint64_t token)
{
	size_t mask = ((size_t)1 << TABLE_BITS) - 1;
	size_t at = token & mask;
	while (bench->table[at].token != 0 && bench->table[at].token != token) {
		at = (at + 1) & mask;
	}
	return &bench->table[at];
}

/* The message as the daemon gives it to a worker: CRLF, and CLAMAV_LEAD in front. */
static struct slice message_read(struct arena *arena, const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) != 0) {
		perror(path);
		exit(1);
	}
	size_t size = (size_t)status.st_size;
	char *raw = malloc(size + 1);
	ssize_t got = read(fd, raw, size);
	close(fd);
	char *out = arena_alloc(arena, 2 * size + sizeof CLAMAV_LEAD);
	size_t lead = sizeof CLAMAV_LEAD - 1;
	size_t n = lead;
	memcpy(out, CLAMAV_LEAD, lead);
	size_t start = 0;
	if (got >= 5 && memcmp(raw, "From ", 5) == 0) {
		start = slice_find((struct slice){raw, (size_t)got}, '\n', 0) + 1;
	}
	for (size_t i = start; i < (size_t)got; i++) {
		if (raw[i] == '\n' && (i == 0 || raw[i - 1] != '\r')) {
			out[n++] = '\r';
		}
		out[n++] = raw[i];
	}
	free(raw);
	return (struct slice){out + lead, n - lead};
}

static void tokenise(struct bench *bench, struct slice message, const struct inspect_request *request,
                     struct inspect_reply *reply_r)
{
	int fd;
	*reply_r = (struct inspect_reply){.token_count = 0};
	struct tokens *tokens = tokens_open(bench->arena, message, request);
	content_inspect(message, 0, 60000, &bench->settings, tokens, bench->arena, reply_r, &fd);
	tokens_close(tokens, reply_r);
	const char *skip = getenv("MAILREEVE_BENCH_SKIP");
	if (skip == NULL) {
		return;
	}
	uint64_t *kept = arena_alloc(bench->arena, reply_r->token_count * sizeof *kept);
	size_t n = 0;
	for (size_t i = 0; i < reply_r->token_count; i++) {
		if (strchr(skip, (int)('0' + (reply_r->tokens[i] >> INSPECT_GROUP_SHIFT))) == NULL) {
			kept[n++] = reply_r->tokens[i];
		}
	}
	reply_r->tokens = kept;
	reply_r->token_count = n;
}

static bool next_line(FILE *list, bool *spam_r, char *path_r)
{
	char line[LINE_MAX_BYTES];
	if (fgets(line, sizeof line, list) == NULL) {
		return false;
	}
	line[strcspn(line, "\n")] = '\0';
	char *blank = strchr(line, ' ');
	*spam_r = strncmp(line, "spam ", 5) == 0;
	strcpy(path_r, blank == NULL ? "" : blank + 1);
	return blank != NULL;
}

static FILE *list_open(const char *path)
{
	FILE *list = fopen(path, "r");
	if (list == NULL) {
		perror(path);
		exit(1);
	}
	return list;
}

static void learn(struct bench *bench, const char *path)
{
	FILE *list = list_open(path);
	char file[LINE_MAX_BYTES];
	bool spam;
	struct inspect_request request = {.named_count = 0};
	struct inspect_reply reply;
	while (next_line(list, &spam, file)) {
		tokenise(bench, message_read(bench->arena, file), &request, &reply);
		for (size_t i = 0; i < reply.token_count; i++) {
			struct entry *entry = find(bench, reply.tokens[i]);
			entry->token = reply.tokens[i];
			entry->counts.spam += spam ? 1 : 0;
			entry->counts.ham += spam ? 0 : 1;
		}
		bench->all.spam += spam ? 1 : 0;
		bench->all.ham += spam ? 0 : 1;
		arena_reset(bench->arena);
	}
	fclose(list);
}

/* What `bogoutil -d` says, instead of messages. Words that become the same token: the one that was in most. */
static void import(struct bench *bench, const char *path)
{
	FILE *list = list_open(path);
	char line[LINE_MAX_BYTES];
	char word[LINE_MAX_BYTES];
	unsigned spam, ham;
	size_t words = 0;
	size_t taken = 0;
	while (fgets(line, sizeof line, list) != NULL) {
		uint64_t token;
		if (sscanf(line, "%4095s %u %u", word, &spam, &ham) != 3) {
			continue;
		}
		words++;
		if (strcmp(word, ".MSG_COUNT") == 0) {
			bench->all = (struct classifier_counts){.spam = spam, .ham = ham};
		} else if (token_from_bogofilter(slice_from(word), &token)) {
			struct entry *entry = find(bench, token);
			entry->token = token;
			entry->counts.spam = spam > entry->counts.spam ? spam : entry->counts.spam;
			entry->counts.ham = ham > entry->counts.ham ? ham : entry->counts.ham;
			taken++;
		}
	}
	fprintf(stderr, "%zu of %zu words\n", taken, words);
	fclose(list);
}

static void classify(struct bench *bench, const char *path)
{
	FILE *list = list_open(path);
	char file[LINE_MAX_BYTES];
	bool spam;
	struct inspect_request request = {.named_count = 0};
	struct inspect_reply reply;
	static struct classifier_counts counts[INSPECT_TOKENS_MAX];
	while (next_line(list, &spam, file)) {
		tokenise(bench, message_read(bench->arena, file), &request, &reply);
		for (size_t i = 0; i < reply.token_count; i++) {
			counts[i] = find(bench, reply.tokens[i])->counts;
		}
		double probability = classifier_classify(bench->all, reply.tokens, counts, reply.token_count, NULL);
		printf("%s %.17g %s %zu\n", spam ? "spam" : "ham", probability, file, reply.token_count);
		arena_reset(bench->arena);
	}
	fclose(list);
}

static void measure(struct bench *bench, const char *path)
{
	FILE *list = list_open(path);
	char file[LINE_MAX_BYTES];
	bool spam;
	struct inspect_request request = {.named_count = 0};
	struct inspect_reply reply;
	struct timespec from;
	struct timespec to;
	double total = 0;
	size_t bytes = 0;
	size_t messages = 0;
	size_t tokens = 0;
	static struct classifier_counts counts[INSPECT_TOKENS_MAX];
	while (next_line(list, &spam, file)) {
		struct slice message = message_read(bench->arena, file);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
		tokenise(bench, message, &request, &reply);
		for (size_t i = 0; i < reply.token_count; i++) {
			counts[i] = find(bench, reply.tokens[i])->counts;
		}
		classifier_classify(bench->all, reply.tokens, counts, reply.token_count, NULL);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
		total += (double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) / 1e3;
		bytes += message.len;
		tokens += reply.token_count;
		messages++;
		arena_reset(bench->arena);
	}
	fclose(list);
	printf("%zu messages of %zu bytes, %zu tokens each: %.0f us\n", messages, bytes / messages, tokens / messages,
	       total / (double)messages);
}

static void show(struct bench *bench, const char *path)
{
	struct inspect_request request = {.named_count = 0};
	struct inspect_reply reply;
	struct inspect_reply named;
	struct slice message = message_read(bench->arena, path);
	tokenise(bench, message, &request, &reply);
	printf("%zu tokens%s\n", reply.token_count, reply.tokens_cut ? ", cut" : "");
	for (size_t i = 0; i < reply.token_count; i += INSPECT_NAMED_MAX) {
		size_t left = reply.token_count - i;
		request.named = reply.tokens + i;
		request.named_count = left < INSPECT_NAMED_MAX ? left : INSPECT_NAMED_MAX;
		tokenise(bench, message, &request, &named);
		for (size_t k = 0; k < named.name_count; k++) {
			printf("%s\n", named.token_names[k] == NULL ? "?" : named.token_names[k]);
		}
	}
}

int main(int argc, char **argv)
{
	struct bench bench = {.arena = arena_create(1 << 20)};
	bench.table = calloc((size_t)1 << TABLE_BITS, sizeof *bench.table);
	pool_settings_default(&bench.settings);
	const char *problem = content_load(bench.arena);
	if (problem != NULL || argc < 3) {
		fprintf(stderr, "bayes_bench: %s\n", problem == NULL ? "scores TRAIN TEST | time TEST | tokens FILE" : problem);
		return 1;
	}
	if (strcmp(argv[1], "scores") == 0 && argc == 4) {
		learn(&bench, argv[2]);
		classify(&bench, argv[3]);
	} else if (strcmp(argv[1], "import") == 0 && argc == 4) {
		import(&bench, argv[2]);
		classify(&bench, argv[3]);
	} else if (strcmp(argv[1], "time") == 0) {
		measure(&bench, argv[2]);
	} else {
		show(&bench, argv[2]);
	}
	free(bench.table);
	arena_destroy(bench.arena);
	return 0;
}
