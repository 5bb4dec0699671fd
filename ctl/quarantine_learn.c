/* What an administrator decides about a quarantined message teaches Bayes. */
#include "ctl/quarantine.h"
#include "lib/pipeline/learner.h"
#include "lib/pipeline/stage_bayes.h"
#include "lib/pipeline/stage_learn.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stages.h"

#include <jansson.h>
#include <stdlib.h>

static bool code_is_enforced(const char *code)
{
	size_t count;
	const struct section *const *sections = stages_sections(&count);
	for (size_t i = 0; i < count; i++) {
		for (const struct finding_code *row = sections[i]->codes; row != NULL && row->code != NULL; row++) {
			if (strcmp(row->code, code) == 0) {
				return (row->traits & FINDING_ENFORCED) != 0;
			}
		}
	}
	return true; /* of another version: not known to be harmless */
}

/* A virus, or another finding that nobody may lift, and that acted: what is in the message is no example of anything.
 */
static bool has_enforced(const struct quarantine_found *found)
{
	json_t *findings = json_loads(found->message.findings, 0, NULL);
	bool enforced = findings == NULL;
	size_t i;
	json_t *finding;
	json_array_foreach(findings, i, finding)
	{
		const char *code = json_string_value(json_object_get(finding, "code"));
		const char *action = json_string_value(json_object_get(finding, "action"));
		bool acted = action == NULL ||
		             (strcmp(action, "ignore") != 0 && strcmp(action, "score") != 0 && strcmp(action, "tag") != 0);
		enforced = enforced || code == NULL || (acted && code_is_enforced(code));
	}
	json_decref(findings);
	return enforced;
}

static bool learn(struct quarantine_command *command, const struct quarantine_found *found, enum bayes_class class,
                  struct slice content, const char **problem_r)
{
	const struct bayes_settings *bayes = config_settings(command->config, stages_section(&stage_bayes));
	struct learner_order order = {.class = class, .owner = "", .now = (int64_t)command->now};
	struct learner_entries entries = {.count = 0};
	struct learner_counts counts = {{0}};
	char *error = NULL;
	if (bayes->per_user) {
		const char *owner = learner_owner(command->config, found->copy.owner, command->arena);
		order.owner = owner == NULL ? "" : owner;
	}
	if (command->keeper == NULL) {
		command->keeper = learner_open(command->config, 1, &error);
	}
	if (command->keeper == NULL) {
		*problem_r = arena_strdup(command->arena, error);
		free(error);
		return false;
	}
	if (!learner_read(command->keeper, command->config, &order, content, command->arena, &entries, problem_r) ||
	    !learner_write(command->store, &order, &entries, &counts, problem_r)) {
		return false;
	}
	printf("as %s: %s\n", class == BAYES_SPAM ? "spam" : "good mail", learner_counts_text(&counts, command->arena));
	return true;
}

bool quarantine_learn(struct quarantine_command *command, const struct quarantine_found *found, bool spam,
                      struct slice content)
{
	const struct learn_settings *settings = config_settings(command->config, stages_section(&stage_learn));
	const char *problem = NULL;
	if ((!spam && !settings->release) || content.len > settings->message_max) {
		return true;
	}
	if (has_enforced(found)) {
		return !spam ||
		       quarantine_refuse("%s/%u: not learnt, as it has an enforced finding", found->message.id, found->copy.n);
	}
	return learn(command, found, spam ? BAYES_SPAM : BAYES_HAM, content, &problem) ||
	       quarantine_refuse("%s/%u: not learnt: %s", found->message.id, found->copy.n, problem);
}
