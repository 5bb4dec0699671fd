#include "ctl/explain_bayes.h"

#include "lib/pipeline/results.h"
#include "lib/pipeline/stage_bayes.h"

enum { WORD_MAX = 70 };

/* "not enough learnt: 37 of 200 ham" */
static const char *few_text(struct session *session, const struct session_bayes *bayes)
{
	unsigned long long least = bayes->min_learnt;
	bool spam = bayes->learnt.spam < least;
	bool ham = bayes->learnt.ham < least;
	return arena_printf(session->arena, "not enough learnt:%s%s%s",
	                    spam ? arena_printf(session->arena, " %u of %llu spam", bayes->learnt.spam, least) : "",
	                    spam && ham ? "," : "",
	                    ham ? arena_printf(session->arena, " %u of %llu ham", bayes->learnt.ham, least) : "");
}

const char *explain_bayes_text(struct session *session)
{
	const struct session_bayes *bayes = session->bayes;
	if (bayes == NULL) {
		return engine_store(session->engine) == NULL ? "there is no store" : "nothing to look at";
	}
	switch (bayes->state) {
	case SESSION_BAYES_NOT_ASKED:
		break;
	case SESSION_BAYES_FEW:
		return few_text(session, bayes);
	case SESSION_BAYES_UNAVAILABLE:
		return "it is not known what was learnt";
	case SESSION_BAYES_JUDGED:
		return arena_printf(session->arena, "spam with a probability of %.4f, by %u spam and %u ham",
		                    bayes->probability, bayes->learnt.spam, bayes->learnt.ham);
	}
	return "not asked";
}

json_t *explain_bayes_json(struct session *session)
{
	const struct session_bayes *bayes = session->bayes;
	struct bayes_word words[BAYES_WORDS_MAX];
	if (bayes == NULL) {
		return json_null();
	}
	bool judged = bayes->state == SESSION_BAYES_JUDGED;
	json_t *tokens = json_array();
	size_t count = bayes_words(session, words);
	for (size_t i = 0; i < count; i++) {
		json_array_append_new(tokens, json_pack("{s:o, s:f, s:I, s:I}", "token", results_text(session, words[i].text),
		                                        "weight", words[i].weight, "spam", (json_int_t)words[i].counts.spam,
		                                        "ham", (json_int_t)words[i].counts.ham));
	}
	return json_pack("{s:o, s:{s:I, s:I}, s:o, s:o}", "probability",
	                 judged ? json_real(bayes->probability) : json_null(), "learnt", "spam",
	                 (json_int_t)bayes->learnt.spam, "ham", (json_int_t)bayes->learnt.ham, "problem",
	                 judged ? json_null() : json_string(explain_bayes_text(session)), "tokens", tokens);
}

void explain_bayes_print(struct session *session, FILE *out)
{
	struct bayes_word words[BAYES_WORDS_MAX];
	size_t count = bayes_words(session, words);
	if (count > 0) {
		fprintf(out, "\n  %-10s %9s %7s  %s\n", "Bayes", "spam", "ham", "token, of those that weighed most");
	}
	for (size_t i = 0; i < count; i++) {
		fprintf(out, "  %+10.2f %9u %7u  %s\n", words[i].weight, words[i].counts.spam, words[i].counts.ham,
		        text_escape(session->arena, slice_from(words[i].text), "", true, WORD_MAX));
	}
}
