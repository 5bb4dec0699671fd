/* What of greylist { } and rate { } cannot work as it is written, for `config check`. */
#include "ctl/check_limits.h"

#include "lib/pipeline/rate_whose.h"
#include "lib/pipeline/stage_greylist.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stages.h"
#include "lib/store/store.h"

static bool any_code_matches(const struct greylist_cause *cause)
{
	for (size_t i = 0; i < stages_count; i++) {
		for (const struct finding_code *code = stages[i]->section.codes; code != NULL && code->code != NULL; code++) {
			if (greylist_cause_matches(cause, code->code)) {
				return true;
			}
		}
	}
	return false;
}

static void warn_causes(const struct greylist_causes *causes)
{
	for (size_t i = 0; i < causes->count; i++) {
		if (causes->items[i].kind == GREYLIST_CODE && !any_code_matches(&causes->items[i])) {
			printf("warning: greylist.suspicious: no finding is called \"%s\"\n", causes->items[i].text);
		}
	}
}

/* Inbound a sender counts when SPF has passed for him. */
static void warn_senders(const struct config *config, const struct rate_rules *limits)
{
	bool spf = config_mode(config, stages_section(&stage_spf)) != MODE_OFF;
	for (size_t i = 0; i < limits->count && !spf; i++) {
		const struct rate_rule *rule = &limits->items[i];
		if (rule->inbound && (rule->subject == RATE_SENDER || rule->subject == RATE_SENDER_DOMAIN)) {
			printf("warning: rate.limits: \"%s\" holds for nobody inbound while spf.mode is \"off\"\n", rule->text);
		}
	}
}

void check_limits(const struct config *config)
{
	const struct store_options *store = config_settings(config, SECTION_STORE);
	const struct greylist_settings *greylist = config_settings(config, stages_section(&stage_greylist));
	const struct rate_settings *rate = config_settings(config, stages_section(&stage_rate));
	bool waits = config_mode(config, stages_section(&stage_greylist)) != MODE_OFF;
	bool counts = config_mode(config, stages_section(&stage_rate)) != MODE_OFF && rate->limits.count > 0;
	if (store->location[0] == '\0' && (waits || counts)) {
		printf("warning: %s%s%s nothing without a store (store.location)\n", counts ? "rate.limits" : "",
		       counts && waits ? " and greylist" : waits ? "greylist" : "", counts && waits ? " do" : " does");
	}
	if (waits) {
		warn_causes(&greylist->suspicious);
	}
	if (counts) {
		warn_senders(config, &rate->limits);
	}
}
