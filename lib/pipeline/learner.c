#include "lib/pipeline/learner.h"

#include "lib/base/clock.h"
#include "lib/mail/address.h"
#include "lib/mail/domain.h"
#include "lib/mail/message.h"
#include "lib/pipeline/engine.h"
#include "lib/pipeline/list_names.h"
#include "lib/pipeline/stages.h"

#include <stdlib.h>

const char *learner_counts_text(const struct learner_counts *counts, struct arena *arena)
{
	static const char *const words[LEARNER_OUTCOMES] = {
	    [BAYES_NOT_WRITTEN] = "not written",
	    [BAYES_LEARNT] = "learnt",
	    [BAYES_MOVED] = "moved from the other class",
	    [BAYES_KNOWN] = "known already",
	    [BAYES_UNLEARNT] = "forgotten",
	    [BAYES_NOT_LEARNT] = "not known",
	    [BAYES_FORGOTTEN] = "too old to be changed",
	};
	struct strbuf text;
	strbuf_init(&text, arena);
	for (size_t i = 0; i < LEARNER_OUTCOMES; i++) {
		if (counts->of[i] > 0) {
			strbuf_printf(&text, "%s%llu %s", text.len == 0 ? "" : ", ", (unsigned long long)counts->of[i], words[i]);
		}
	}
	return text.len == 0 ? "nothing" : text.data;
}

const char *learner_owner(const struct config *config, const char *text, struct arena *arena)
{
	const struct globals *globals = config_settings(config, SECTION_GLOBALS);
	const char *users[LIST_NAMES_USERS];
	struct address address;
	if (text[0] == '@') {
		const char *domain = domain_canonical(arena, slice_from(text + 1));
		return domain == NULL || strlen(domain) + 1 > BAYES_OWNER_MAX ? NULL : arena_printf(arena, "@%s", domain);
	}
	if (!address_parse_path(arena, text, &address) || address.domain[0] == '\0' || address.local[0] == '\0' ||
	    !slice_is_utf8(slice_from(text))) {
		return NULL;
	}
	size_t count = list_names_users(arena, &address, globals->recipient_delimiter, users);
	return strlen(users[count - 1]) > BAYES_OWNER_MAX ? NULL : users[count - 1];
}

struct keeper *learner_open(const struct config *config, unsigned workers, char **error_r)
{
	static const char *const none[] = {NULL};
	const struct content_options *content = config_settings(config, SECTION_CONTENT);
	struct keeper_settings settings = {.check_interval_ns = CLOCK_NS_PER_S, .test_interval_ns = CLOCK_NS_PER_S};
	char *program = engine_inspect_program(NULL);
	pool_settings_default(&settings.pool);
	settings.pool.program = program;
	settings.pool.workers = workers > 0 ? workers : (unsigned)content->workers;
	settings.pool.tmp_dir = content->tmp_dir;
	settings.pool.databases = none;
	settings.pool.ignored = none;
	settings.pool.start_timeout_ns = content->start_timeout;
	settings.pool.memory_max = content->memory_max;
	settings.pool.scan_recursion_max = (unsigned)content->scan_recursion_max;
	settings.pool.scan_files_max = (unsigned)content->scan_files_max;
	struct keeper *keeper = keeper_open(&settings, error_r);
	free(program);
	return keeper;
}

bool learner_inspect(struct keeper *keeper, const struct config *config, int fd, uint64_t size, unsigned attached,
                     struct arena *arena, struct inspect_reply *reply_r, const char **problem_r)
{
	const struct content_options *content = config_settings(config, SECTION_CONTENT);
	uint64_t deadline = clock_now() + content->deadline;
	static const struct dkim_keys no_keys = {.count = 0};
	const struct inspect_request request = {.tasks = INSPECT_TOKENS,
	                                        .message_fd = fd,
	                                        .message_size = size,
	                                        .deadline_ms = (uint32_t)(content->deadline / CLOCK_NS_PER_MS),
	                                        .keys = &no_keys,
	                                        .attached = attached};
	enum pool_result result = keeper_inspect(keeper, &request, deadline, arena, reply_r);
	if (result != POOL_OK) {
		*problem_r = pool_result_text(result);
	}
	return result == POOL_OK;
}

struct bayes_message learner_message(const struct learner_order *order, const struct inspect_reply *reply)
{
	struct bayes_message message = {.unlearn = order->forget,
	                                .class = order->class,
	                                .version = INSPECT_TOKENIZER_VERSION,
	                                .tokens = reply->tokens,
	                                .count = reply->token_count};
	_Static_assert((int)BAYES_DIGEST_SIZE == (int)INSPECT_DIGEST_SIZE, "the same digest");
	memcpy(message.digest, reply->content_digest, sizeof message.digest);
	return message;
}

const char learner_nothing_attached[] = "no message is attached to it";

static void add_entry(struct learner_entries *entries, struct arena *arena, struct bayes_message entry)
{
	entries->items = arena_grow(arena, entries->items, sizeof *entries->items, entries->count, &entries->capacity);
	entries->items[entries->count++] = entry;
}

bool learner_read_fd(struct keeper *keeper, const struct config *config, const struct learner_order *order, int fd,
                     uint64_t size, struct arena *arena, struct learner_entries *entries_r, const char **problem_r)
{
	unsigned n = order->attached ? 1 : 0;
	unsigned count = n;
	for (; n <= count; n++) {
		struct inspect_reply reply;
		if (!learner_inspect(keeper, config, fd, size, n, arena, &reply, problem_r)) {
			return false;
		}
		if (order->attached && reply.attached_count == 0) {
			*problem_r = learner_nothing_attached;
			return false;
		}
		count = order->attached ? reply.attached_count : 0;
		add_entry(entries_r, arena, learner_message(order, &reply));
	}
	return true;
}

bool learner_read(struct keeper *keeper, const struct config *config, const struct learner_order *order,
                  struct slice bytes, struct arena *arena, struct learner_entries *entries_r, const char **problem_r)
{
	const struct globals *globals = config_settings(config, SECTION_GLOBALS);
	const struct message_settings settings = {
	    .memory_max = globals->message_memory,
	    .size_max = globals->message_max,
	    .spool_dir = globals->spool_dir,
	    .headers = {.max_count = (size_t)globals->header_count_max, .max_bytes = (size_t)globals->header_max},
	};
	struct message *message = message_create(arena, &settings);
	bool good = false;
	switch (message_load(message, bytes)) {
	case MESSAGE_OK:
		good = learner_read_fd(keeper, config, order, message_fd(message), message_size(message), arena, entries_r,
		                       problem_r);
		break;
	case MESSAGE_TOO_LARGE:
		*problem_r = "it is too large";
		break;
	case MESSAGE_NO_SPACE:
		*problem_r = "there is no room for it";
		break;
	}
	message_destroy(message);
	return good;
}

bool learner_write(struct store *store, const struct learner_order *order, struct learner_entries *entries,
                   struct learner_counts *counts, const char **problem_r)
{
	enum store_result result = bayes_learn_many(store, order->owner, entries->items, entries->count, order->now);
	for (size_t i = 0; i < entries->count; i++) {
		counts->of[entries->items[i].outcome]++;
	}
	switch (result) {
	case STORE_OK:
		break;
	case STORE_UNAVAILABLE:
		*problem_r = "the store is not available";
		break;
	case STORE_REFUSED:
		*problem_r = "the store refuses it: see the log";
		break;
	}
	return result == STORE_OK;
}
