#include "lib/base/clock.h"
#include "lib/pipeline/stage_bayes.h"
#include "lib/policy/globals.h"
#include "lib/pipeline/stages.h"

#include <math.h>
#include <stdlib.h>

struct heavy {
	size_t index;
	double weight;
};

static int compare_heavy(const void *a, const void *b)
{
	const struct heavy *left = a;
	const struct heavy *right = b;
	double difference = fabs(right->weight) - fabs(left->weight);
	return difference > 0 ? 1 : difference < 0 ? -1 : (left->index > right->index) - (left->index < right->index);
}

/* Their names, parallel to tokens; false: no worker answered. */
static bool ask_names(struct session *session, const uint64_t *tokens, size_t count, struct inspect_reply *reply_r)
{
	const struct content_options *content = config_settings(session->config, SECTION_CONTENT);
	uint64_t deadline = clock_now() + content->deadline;
	const struct inspect_request request = {.tasks = INSPECT_TOKENS,
	                                        .message_fd = message_fd(session->message),
	                                        .message_size = message_size(session->message),
	                                        .now = session->now,
	                                        .deadline_ms = (uint32_t)clock_poll_timeout(deadline),
	                                        .keys = &session->keys,
	                                        .dkim = session->dkim_rules,
	                                        .named_count = count,
	                                        .named = tokens};
	return keeper_inspect(engine_keeper(session->engine), &request, deadline, session->arena, reply_r) == POOL_OK &&
	       reply_r->name_count == count;
}

size_t bayes_words(struct session *session, struct bayes_word words_r[BAYES_WORDS_MAX])
{
	const struct session_bayes *bayes = session->bayes;
	struct inspect_reply reply;
	uint64_t tokens[BAYES_WORDS_MAX];
	size_t count = 0;
	if (bayes == NULL || bayes->state != SESSION_BAYES_JUDGED || bayes->weights == NULL) {
		return 0;
	}
	struct heavy *heavy = arena_alloc(session->arena, bayes->tokens * sizeof *heavy);
	for (size_t i = 0; i < bayes->tokens; i++) {
		heavy[i] = (struct heavy){.index = i, .weight = bayes->weights[i]};
	}
	qsort(heavy, bayes->tokens, sizeof *heavy, compare_heavy);
	while (count < BAYES_WORDS_MAX && count < bayes->tokens && heavy[count].weight != 0) {
		words_r[count] =
		    (struct bayes_word){.weight = heavy[count].weight, .counts = bayes->counts[heavy[count].index]};
		tokens[count] = session->inspection.tokens[heavy[count].index];
		count++;
	}
	bool named = count > 0 && ask_names(session, tokens, count, &reply);
	for (size_t i = 0; i < count; i++) {
		const char *name = named ? reply.token_names[i] : NULL;
		words_r[i].text =
		    name != NULL ? name : arena_printf(session->arena, "token %016llx", (unsigned long long)tokens[i]);
	}
	return count;
}
