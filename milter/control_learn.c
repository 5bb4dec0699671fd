#include "milter/control_learn.h"

#include "lib/base/log.h"
#include "lib/pipeline/engine.h"
#include "lib/pipeline/learner.h"
#include "lib/pipeline/stage_learn.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stages.h"

#include <time.h>
#include <unistd.h>

static bool read_class(const char *word, struct learner_order *order)
{
	order->forget = word != NULL && strcmp(word, "forget") == 0;
	order->class = word != NULL && strcmp(word, "ham") == 0 ? BAYES_HAM : BAYES_SPAM;
	return word != NULL && (order->forget || strcmp(word, "spam") == 0 || strcmp(word, "ham") == 0);
}

/* NULL: he may. Whoever is in control_group runs programs for users (an IMAP server): he is believed whose mail it is.
 */
static const char *refusal(const struct http_request *request, const struct learn_settings *learn, bool for_user)
{
	if (request->local && (request->uid == 0 || request->uid == geteuid())) {
		return NULL;
	}
	switch ((enum learn_scope)learn->socket) {
	case LEARN_OFF:
		return "nobody may teach Bayes by the control socket but root: see learn.socket";
	case LEARN_USER:
		return for_user ? NULL
		                : "by the control socket only a user's own mail is learnt (--user ADDRESS): see learn.socket";
	case LEARN_EVERYBODY:
		break;
	}
	return NULL;
}

static void answer_counts(struct http_request *request, const struct learner_counts *counts,
                          struct http_response *response_r)
{
	struct strbuf text;
	strbuf_init(&text, request->arena);
	for (size_t i = 0; i < LEARNER_OUTCOMES; i++) {
		strbuf_printf(&text, "%llu ", (unsigned long long)counts->of[i]);
	}
	http_answer(request, response_r, 200, "%s%s", text.data, learner_counts_text(counts, request->arena));
}

static void learn(struct engine *engine, const struct config *config, const struct learner_order *order,
                  struct http_request *request, struct http_response *response_r)
{
	struct learner_entries entries = {.count = 0};
	struct learner_counts counts = {{0}};
	struct store *store = engine_store(engine);
	const char *problem = "there is no store";
	if (!learner_read(engine_keeper(engine), config, order, request->body, request->arena, &entries, &problem)) {
		http_answer(request, response_r, 422, "%s", problem);
		return;
	}
	if (store == NULL || !learner_write(store, order, &entries, &counts, &problem)) {
		http_answer(request, response_r, 503, "%s", problem);
		return;
	}
	log_info("learn: %s%s%s by user %ld: %s",
	         order->forget                ? "to be forgotten"
	         : order->class == BAYES_SPAM ? "spam"
	                                      : "ham",
	         order->owner[0] == '\0' ? "" : " of ",
	         text_escape(request->arena, slice_from(order->owner), "", true, 320), (long)request->uid,
	         learner_counts_text(&counts, request->arena));
	answer_counts(request, &counts, response_r);
}

void control_learn(void *context, struct http_request *request, struct http_response *response_r)
{
	struct engine *engine = context;
	struct config *config = engine_config(engine);
	const struct learn_settings *settings = config_settings(config, stages_section(&stage_learn));
	const char *user = http_query(request, "user");
	const char *why = refusal(request, settings, user != NULL);
	struct learner_order order = {
	    .attached = http_query(request, "attached") != NULL,
	    .owner = user == NULL ? "" : learner_owner(config, user, request->arena),
	    .now = (int64_t)time(NULL),
	};
	if (why != NULL) {
		http_answer(request, response_r, 403, "%s", why);
	} else if (!read_class(http_query(request, "class"), &order)) {
		http_answer(request, response_r, 422, "class: expected spam, ham or forget");
	} else if (order.owner == NULL) {
		http_answer(request, response_r, 422, "user: neither an address nor @domain");
	} else if (request->body.len == 0) {
		http_answer(request, response_r, 422, "it is empty");
	} else if (request->body.len > settings->message_max) {
		http_answer(request, response_r, 413, "it is larger than learn.message_max");
	} else {
		learn(engine, config, &order, request, response_r);
	}
	config_release(config);
}
