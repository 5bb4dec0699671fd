/* bayesprobe LOCATION OWNER spam|ham|unlearn FILE...: teaches a store messages, for scripts that need one that has
 * learnt. Their tokens are made in this process. */
#include "inspect/content.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/store/bayes.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BYTES_MAX = 1 << 20 };

static struct slice read_file(struct arena *arena, const char *path)
{
	char *data = arena_alloc(arena, (size_t)BYTES_MAX * 2);
	FILE *file = fopen(path, "r");
	size_t n = 0;
	int c;
	if (file == NULL) {
		perror(path);
		exit(1);
	}
	for (int last = 0; (c = getc(file)) != EOF && n < (size_t)BYTES_MAX; last = c) {
		if (c == '\n' && last != '\r') {
			data[n++] = '\r';
		}
		data[n++] = (char)c;
	}
	fclose(file);
	return (struct slice){data, n};
}

static enum store_result teach(struct store *store, const char *owner, const char *class, const char *path)
{
	struct arena *arena = arena_create(1 << 20);
	struct slice message = read_file(arena, path);
	struct pool_settings settings;
	const struct inspect_request request = {.tasks = INSPECT_TOKENS, .message_size = message.len};
	struct inspect_reply reply = {.token_count = 0};
	enum bayes_outcome outcome;
	int fd = -1;
	pool_settings_default(&settings);
	struct tokens *tokens = tokens_open(arena, message, &request);
	content_inspect(message, 0, 60000, &settings, tokens, arena, &reply, &fd);
	tokens_close(tokens, &reply);
	enum store_result result =
	    strcmp(class, "unlearn") == 0
	        ? bayes_unlearn(store, owner, reply.content_digest, time(NULL), &outcome)
	        : bayes_learn(store, owner, strcmp(class, "spam") == 0 ? BAYES_SPAM : BAYES_HAM, reply.content_digest,
	                      INSPECT_TOKENIZER_VERSION, reply.tokens, reply.token_count, time(NULL), &outcome);
	arena_destroy(arena);
	return result;
}

int main(int argc, char **argv)
{
	char *error = NULL;
	int status = 0;
	if (argc < 4) {
		return 2;
	}
	struct store_options options = {.location = argv[1],
	                                .timeout = 60 * CLOCK_NS_PER_S,
	                                .connections = 2,
	                                .spill_dir = "/nonexistent",
	                                .spill_max = 1};
	log_set_level(LOG_LEVEL_ERROR);
	struct store *store = store_open(&options, STORE_MIGRATE, &error);
	if (store == NULL) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	for (int i = 4; i < argc && status == 0; i++) {
		status = teach(store, argv[2], argv[3], argv[i]) == STORE_OK ? 0 : 1;
	}
	store_close(store);
	return status;
}
