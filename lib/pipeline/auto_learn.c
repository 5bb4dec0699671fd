#include "lib/pipeline/auto_learn.h"

#include "lib/base/log.h"
#include "lib/pipeline/client_key.h"
#include "lib/pipeline/session.h"
#include "lib/pipeline/stage_bayes.h"
#include "lib/pipeline/stage_learn.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stages.h"
#include "lib/store/bayes_auto.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Where Bayes is that sure, nothing is learnt that contradicts it. */
static const double sure_spam = 0.9;
static const double sure_ham = 0.1;

/* In the queue; owns its tokens. */
struct entry {
	struct auto_learn_order order;
	uint64_t *tokens;
};

struct auto_learn {
	struct store *store;
	pthread_t thread;
	bool running;         /* of who starts and stops */
	pthread_mutex_t lock; /* guards what follows; not held while the store is asked */
	pthread_cond_t changed;
	bool stopping;
	struct entry queue[AUTO_LEARN_QUEUE_MAX]; /* a ring */
	size_t first, count;
	struct auto_learn_status status;
};

/* ---- what is learnt ---- */

static bool of_stage(const struct finding *finding, const char *stage)
{
	size_t n = strlen(stage);
	return strncmp(finding->code->code, stage, n) == 0 && finding->code->code[n] == '.';
}

/* What one recipient's rules say decides nothing for everybody; what speaks against the message at all does. */
struct weight {
	double score;
	bool enforced; /* or a virus */
	bool against;  /* more than points off */
};

static struct weight weigh(const struct session *session)
{
	struct weight weight = {.score = 0};
	for (size_t i = 0; i < session->finding_count; i++) {
		const struct finding *finding = session->findings[i];
		const struct action *action = &finding->action;
		if (of_stage(finding, "bayes") || action->kind == ACTION_IGNORE) {
			continue;
		}
		bool enforced = finding->enforced || (finding->code->traits & FINDING_ENFORCED) != 0;
		weight.enforced = weight.enforced || enforced || of_stage(finding, "virus");
		weight.against = weight.against || action->kind != ACTION_SCORE || action->score > 0;
		if (finding->effective == ACTION_SCORE && finding->recipient == FINDING_ALL_RECIPIENTS) {
			weight.score += action->score;
		}
	}
	return weight;
}

static bool is_signed_by(const struct session *session, const char *domain)
{
	const struct inspect_reply *reply = &session->inspection;
	for (size_t i = 0; i < reply->signature_count; i++) {
		if (reply->signatures[i].result == AUTH_PASS && strcmp(reply->signatures[i].domain, domain) == 0) {
			return true;
		}
	}
	return false;
}

/* Where its domain has no DMARC record, SPF or DKIM must have passed for that very domain. */
static bool is_authenticated(const struct session *session)
{
	const struct dmarc_verdict *dmarc = &session->dmarc;
	if (!session->dmarc_known || dmarc->result != AUTH_NONE || dmarc->domain[0] == '\0') {
		return session->dmarc_known && dmarc->result == AUTH_PASS;
	}
	bool sent_by =
	    session->spf_known && session->spf.result == AUTH_PASS && strcmp(session->spf.domain, dmarc->domain) == 0;
	return sent_by || is_signed_by(session, dmarc->domain);
}

/* Is it mail of the network, read whole, on which we were to have a word? NULL: yes. */
static const char *why_not_at_all(const struct session *session, const struct learn_settings *settings)
{
	if (session->direction != DIRECTION_INBOUND || session->release != NULL || session->digest != NULL) {
		return "it is no mail from outside";
	}
	if (!session->client_known || session->client.family == IP_UNKNOWN) {
		return "whose mail it is is not known";
	}
	if (session->message_status != MESSAGE_OK || session->poison ||
	    session->inspection.token_count < settings->auto_tokens_min) {
		return "it has too few tokens";
	}
	return session->verdict.action == VERDICT_TEMPFAIL ? "it may come again" : NULL;
}

enum bayes_class auto_learn_class(const struct session *session, const struct learn_settings *settings,
                                  const char **why_r)
{
	*why_r = why_not_at_all(session, settings);
	if (*why_r != NULL) {
		return 0;
	}
	struct weight weight = weigh(session);
	bool judged = session->bayes != NULL && session->bayes->state == SESSION_BAYES_JUDGED;
	double p = judged ? session->bayes->probability : 0.5;
	if (weight.enforced) {
		*why_r = "it has a virus, or another enforced finding";
	} else if (weight.score >= settings->auto_spam_score) {
		*why_r = p < sure_ham ? "Bayes is sure that it is good mail" : NULL;
		return *why_r == NULL ? BAYES_SPAM : 0;
	} else if (weight.score > -settings->auto_ham_points) {
		*why_r = "its points are between -auto_ham_points and auto_spam_score";
	} else if (weight.against) {
		*why_r = "something speaks against it";
	} else if (!is_authenticated(session)) {
		*why_r = "its author's domain is not authenticated";
	} else if (p > sure_spam) {
		*why_r = "Bayes is sure that it is spam";
	}
	return *why_r == NULL ? BAYES_HAM : 0;
}

void auto_learn_offer(struct auto_learn *learn, const struct session *session)
{
	if (learn == NULL || !session->ended) {
		return;
	}
	const struct learn_settings *settings = config_settings(session->config, stages_section(&stage_learn));
	const struct inspect_reply *reply = &session->inspection;
	const char *why;
	enum bayes_class class = settings->automatic ? auto_learn_class(session, settings, &why) : 0;
	if (class == 0) {
		if (settings->automatic) {
			log_debug("auto-learn: %s: not learnt: %s", session->support_id, why);
		}
		return;
	}
	struct auto_learn_order order = {.class = class,
	                                 .version = INSPECT_TOKENIZER_VERSION,
	                                 .tokens = reply->tokens,
	                                 .count = reply->token_count,
	                                 .now = (int64_t)session->now,
	                                 .daily_max = settings->auto_daily_max,
	                                 .client_max = settings->auto_client_max,
	                                 .balance = settings->auto_balance};
	memcpy(order.digest, reply->content_digest, sizeof order.digest);
	snprintf(order.support_id, sizeof order.support_id, "%s", session->support_id);
	snprintf(order.network, sizeof order.network, "%s", client_key_network(session->arena, &session->client));
	if (!auto_learn_add(learn, &order)) {
		log_debug("auto-learn: %s: not learnt: too many wait", session->support_id);
	}
}

/* ---- the thread ---- */

/* As one that is there already does not cost anything, a wave of the same message does not use up the caps. */
static enum store_result learn_one(struct store *store, const struct entry *entry, struct auto_learn_status *status,
                                   const char **what_r)
{
	const struct auto_learn_order *order = &entry->order;
	static const char *const everybody[] = {""};
	struct bayes_counts total;
	struct bayes_counts none[1];
	struct bayes_learnt learnt;
	bool found;
	bool taken;
	enum store_result result = bayes_find(store, "", order->digest, &found, &learnt);
	if (result != STORE_OK || found) {
		*what_r = "known already";
		status->known += result == STORE_OK;
		return result;
	}
	result = bayes_read(store, everybody, 1, NULL, 0, &total, none);
	double own = order->class == BAYES_SPAM ? total.spam : total.ham;
	double other = order->class == BAYES_SPAM ? total.ham : total.spam;
	if (result != STORE_OK || own + 1 > order->balance * (other < 1 ? 1 : other)) {
		*what_r = "not learnt: auto_balance";
		status->unbalanced += result == STORE_OK;
		return result;
	}
	result =
	    bayes_auto_take(store, order->class, order->network, order->daily_max, order->client_max, order->now, &taken);
	if (result != STORE_OK || !taken) {
		*what_r = "not learnt: auto_daily_max or auto_client_max";
		status->capped += result == STORE_OK;
		return result;
	}
	struct bayes_message message = {.only_new = true,
	                                .class = order->class,
	                                .version = order->version,
	                                .tokens = entry->tokens,
	                                .count = order->count};
	memcpy(message.digest, order->digest, sizeof message.digest);
	result = bayes_learn_many(store, "", &message, 1, order->now);
	bool is_new = message.outcome == BAYES_LEARNT;
	*what_r = is_new ? "learnt" : "known already";
	status->known += result == STORE_OK && !is_new;
	*(order->class == BAYES_SPAM ? &status->spam : &status->ham) += is_new;
	return result;
}

static void tell(const struct auto_learn_order *order, enum store_result result, const char *what)
{
	const char *class = order->class == BAYES_SPAM ? "spam" : "ham";
	if (result != STORE_OK) {
		log_debug("auto-learn: %s: %s, not learnt: the store does not take it", order->support_id, class);
	} else if (strcmp(what, "learnt") == 0) {
		log_info("auto-learn: %s: %s, learnt", order->support_id, class);
	} else {
		log_debug("auto-learn: %s: %s, %s", order->support_id, class, what);
	}
}

static void *auto_learn_run(void *context)
{
	struct auto_learn *learn = context;
	pthread_mutex_lock(&learn->lock);
	while (!learn->stopping) {
		if (learn->count == 0) {
			pthread_cond_wait(&learn->changed, &learn->lock);
			continue;
		}
		struct entry entry = learn->queue[learn->first];
		struct auto_learn_status status = learn->status;
		learn->first = (learn->first + 1) % AUTO_LEARN_QUEUE_MAX;
		learn->count--;
		pthread_mutex_unlock(&learn->lock);
		const char *what;
		enum store_result result = learn_one(learn->store, &entry, &status, &what);
		status.failed += result != STORE_OK;
		tell(&entry.order, result, what);
		free(entry.tokens);
		pthread_mutex_lock(&learn->lock);
		status.dropped = learn->status.dropped; /* the only one that others count */
		learn->status = status;
	}
	pthread_mutex_unlock(&learn->lock);
	return NULL;
}

/* ---- the queue ---- */

bool auto_learn_add(struct auto_learn *learn, const struct auto_learn_order *order)
{
	struct entry entry = {.order = *order, .tokens = malloc(order->count * sizeof *order->tokens + 1)};
	if (entry.tokens == NULL) {
		abort();
	}
	if (order->count > 0) {
		memcpy(entry.tokens, order->tokens, order->count * sizeof *order->tokens);
	}
	entry.order.tokens = NULL; /* its owner's: not ours to look at later */
	pthread_mutex_lock(&learn->lock);
	bool room = !learn->stopping && learn->count < AUTO_LEARN_QUEUE_MAX;
	if (room) {
		learn->queue[(learn->first + learn->count++) % AUTO_LEARN_QUEUE_MAX] = entry;
		pthread_cond_signal(&learn->changed);
	} else {
		learn->status.dropped++;
	}
	pthread_mutex_unlock(&learn->lock);
	if (!room) {
		free(entry.tokens);
	}
	return room;
}

void auto_learn_get_status(struct auto_learn *learn, struct auto_learn_status *status_r)
{
	pthread_mutex_lock(&learn->lock);
	*status_r = learn->status;
	pthread_mutex_unlock(&learn->lock);
}

void auto_learn_log(struct auto_learn *learn)
{
	struct auto_learn_status status = {.spam = 0};
	if (learn != NULL) {
		auto_learn_get_status(learn, &status);
	}
	if (status.spam + status.ham + status.known + status.unbalanced + status.capped + status.failed + status.dropped >
	    0) {
		log_info(
		    "auto-learn since the start: %llu spam and %llu ham learnt, %llu known already, %llu beyond a cap, %llu "
		    "for auto_balance not, %llu not taken by the store, %llu dropped",
		    (unsigned long long)status.spam, (unsigned long long)status.ham, (unsigned long long)status.known,
		    (unsigned long long)status.capped, (unsigned long long)status.unbalanced, (unsigned long long)status.failed,
		    (unsigned long long)status.dropped);
	}
}

struct auto_learn *auto_learn_start(struct store *store)
{
	struct auto_learn *learn = calloc(1, sizeof *learn);
	if (learn == NULL) {
		abort();
	}
	learn->store = store;
	pthread_mutex_init(&learn->lock, NULL);
	pthread_cond_init(&learn->changed, NULL);
	learn->running = pthread_create(&learn->thread, NULL, auto_learn_run, learn) == 0;
	if (!learn->running) {
		auto_learn_destroy(learn);
		return NULL;
	}
	return learn;
}

void auto_learn_stop(struct auto_learn *learn)
{
	if (learn == NULL || !learn->running) {
		return;
	}
	pthread_mutex_lock(&learn->lock);
	learn->stopping = true;
	pthread_cond_signal(&learn->changed);
	pthread_mutex_unlock(&learn->lock);
	pthread_join(learn->thread, NULL);
	learn->running = false;
}

void auto_learn_destroy(struct auto_learn *learn)
{
	if (learn == NULL) {
		return;
	}
	auto_learn_stop(learn);
	for (size_t i = 0; i < learn->count; i++) {
		free(learn->queue[(learn->first + i) % AUTO_LEARN_QUEUE_MAX].tokens);
	}
	pthread_cond_destroy(&learn->changed);
	pthread_mutex_destroy(&learn->lock);
	free(learn);
}
