/* mailreeve learn import: what other filters have learnt. */
#include "ctl/command.h"
#include "ctl/learn.h"
#include "inspect/token_bogofilter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LINE_BYTES = 1024, COUNT_MAX = 1000000000, LINES_MAX = 20000000 };

struct words {
	struct bayes_imported *items;
	size_t count, room;
	struct bayes_counts learnt;
	bool counted; /* .MSG_COUNT was there */
};

/* "word spam ham yyyymmdd" */
static bool read_line(const char *line, struct slice *word_r, struct bayes_counts *counts_r)
{
	char *end;
	*word_r = (struct slice){line, strcspn(line, " \t\n")};
	const char *at = line + word_r->len;
	unsigned long spam = strtoul(at, &end, 10);
	if (word_r->len == 0 || *at != ' ' || !ascii_is_digit(at[1]) || *end != ' ' || !ascii_is_digit(end[1])) {
		return false;
	}
	unsigned long ham = strtoul(end, &end, 10);
	*counts_r = (struct bayes_counts){(uint32_t)spam, (uint32_t)ham};
	return spam <= COUNT_MAX && ham <= COUNT_MAX && (*end == ' ' || *end == '\n' || *end == '\0');
}

/* False: there are too many. */
static bool add_word(struct learn_command *command, struct words *words, struct slice word, struct bayes_counts counts)
{
	uint64_t token;
	if (slice_equal(word, SLICE_LITERAL(".MSG_COUNT"))) {
		words->learnt = counts;
		words->counted = true;
	} else if (word.data[0] != '.' && token_from_bogofilter(word, &token)) {
		if (words->count == BAYES_IMPORT_MAX) {
			return false;
		}
		words->items = arena_grow(command->arena, words->items, sizeof *words->items, words->count, &words->room);
		words->items[words->count++] = (struct bayes_imported){token, counts};
	}
	return true;
}

static int by_token(const void *a, const void *b)
{
	uint64_t first = ((const struct bayes_imported *)a)->token;
	uint64_t second = ((const struct bayes_imported *)b)->token;
	return (first > second) - (first < second);
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Words in capitals and small letters are one token of ours: that which was in most counts, as they come together. No
 * more messages have a token than there are. */
static void join(struct words *words)
{
	size_t n = 0;
	if (words->count > 0) {
		qsort(words->items, words->count, sizeof *words->items, by_token);
	}
	for (size_t i = 0; i < words->count; i++) {
		struct bayes_imported next = words->items[i];
		next.counts.spam = least(next.counts.spam, words->learnt.spam);
		next.counts.ham = least(next.counts.ham, words->learnt.ham);
		if (n > 0 && words->items[n - 1].token == next.token) {
			struct bayes_counts *last = &words->items[n - 1].counts;
			last->spam = last->spam > next.counts.spam ? last->spam : next.counts.spam;
			last->ham = last->ham > next.counts.ham ? last->ham : next.counts.ham;
		} else {
			words->items[n++] = next;
		}
	}
	words->count = n;
}

static bool read_words(struct learn_command *command, FILE *file, struct words *words)
{
	char line[LINE_BYTES];
	for (unsigned long n = 1; fgets(line, sizeof line, file) != NULL; n++) {
		struct slice word;
		struct bayes_counts counts;
		if (strlen(line) == sizeof line - 1 || !read_line(line, &word, &counts)) {
			return learn_refuse("import: line %lu is not \"word spam ham date\", as bogoutil -d writes it", n);
		}
		if (n > LINES_MAX || !add_word(command, words, word, counts)) {
			return learn_refuse("import: there are more words than can be taken over: bogoutil -m -c 2 makes it less");
		}
	}
	if (ferror(file)) {
		return learn_refuse("import: it cannot be read");
	}
	join(words);
	return words->counted || learn_refuse("import: .MSG_COUNT is missing: is it what bogoutil -d writes?");
}

static bool write_words(struct learn_command *command, const struct words *words)
{
	/* One list for an owner: a newer dump has all that an older one had. */
	static const uint8_t digest[BAYES_DIGEST_SIZE] = "imported from bogofilter";
	const char *owner = command->user == NULL ? "" : learner_owner(command->config, command->user, command->arena);
	bool known = false;
	struct store *store = command_open_store(command->config, 0);
	if (store == NULL) {
		return false;
	}
	enum store_result result =
	    bayes_import(store, owner, digest, words->learnt, words->items, words->count, (int64_t)time(NULL), &known);
	store_close(store);
	if (known) {
		return learn_refuse("import: a list of bogofilter's was taken over before, and would count twice");
	}
	if (result != STORE_OK) {
		return learn_refuse("import: the store does not take it");
	}
	printf("%zu tokens of %u spam and %u ham taken over\n", words->count, words->learnt.spam, words->learnt.ham);
	return true;
}

static bool import_bogofilter(struct learn_command *command, const char *name)
{
	struct words words = {.count = 0};
	if (command->config == NULL || command->socket != NULL) {
		return learn_refuse("import: only who may write the store can take a list over");
	}
	FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
	if (file == NULL) {
		return learn_refuse("%s: %s", name, strerror(errno));
	}
	bool good = read_words(command, file, &words);
	if (file != stdin) {
		fclose(file);
	}
	return good && write_words(command, &words);
}

bool learn_import(struct learn_command *command, const char *format, const char *file)
{
	if (strcmp(format, "bogofilter") == 0) {
		return import_bogofilter(command, file);
	}
	if (strcmp(format, "rspamd") == 0) {
		return learn_refuse(
		    "rspamd keeps hashes of its own tokens, from which nobody can tell the words again, so what it "
		    "has learnt cannot be taken over. Teach from the mail instead: mailreeve learn spam FOLDER");
	}
	return learn_refuse(
	    "import: what \"%s\" has learnt cannot be taken over. Teach from the mail instead: mailreeve learn spam "
	    "FOLDER",
	    format);
}
