#include "lib/pipeline/dnsbl_check.h"

#include "lib/base/clock.h"

enum { TEXT_MAX = 160 };

struct dnsbl_check *dnsbl_check_create(struct arena *arena)
{
	struct dnsbl_check *check = arena_alloc(arena, sizeof *check);
	check->arena = arena;
	return check;
}

static void question_add(struct dnsbl_check *check, const struct dnsbl_list *list, unsigned place, const char *subject,
                         const char *name)
{
	for (size_t i = 0; i < check->count; i++) {
		if (check->questions[i].list == list && strcmp(check->questions[i].name, name) == 0) {
			check->questions[i].places |= DNSBL_PLACE_BIT(place);
			return;
		}
	}
	if (check->count == check->capacity) {
		check->capacity = check->capacity == 0 ? 16 : check->capacity * 2;
		struct dnsbl_question *larger = arena_alloc(check->arena, check->capacity * sizeof *larger);
		if (check->count > 0) {
			memcpy(larger, check->questions, check->count * sizeof *larger);
		}
		check->questions = larger;
	}
	check->questions[check->count++] = (struct dnsbl_question){.list = list,
	                                                           .places = DNSBL_PLACE_BIT(place),
	                                                           .subject = arena_strdup(check->arena, subject),
	                                                           .name = arena_strdup(check->arena, name),
	                                                           .started = clock_now()};
}

void dnsbl_check_address(struct dnsbl_check *check, const struct dnsbl_list *list, unsigned place, const struct ip *ip)
{
	char name[DNS_MAX_NAME_TEXT];
	char text[IP_TEXT_SIZE];
	if (dnsbl_address_name(list, ip, name)) {
		ip_format(ip, text);
		question_add(check, list, place, text, name);
	}
}

void dnsbl_check_domain(struct dnsbl_check *check, const struct dnsbl_list *list, enum dnsbl_place place,
                        const char *domain)
{
	char name[DNS_MAX_NAME_TEXT];
	const char *registrable = list->names == DNSBL_NAMES_HOST ? domain : dnsbl_registrable(domain);
	if (dnsbl_domain_name(list, registrable, name)) {
		question_add(check, list, place, registrable, name);
	}
	if (list->names == DNSBL_NAMES_BOTH && dnsbl_domain_name(list, domain, name)) {
		question_add(check, list, place, domain, name);
	}
}

static void question_fail(struct dnsbl_question *question, const char *problem)
{
	question->done = true;
	question->result = DNSBL_ERROR;
	question->match = (struct dnsbl_match){.problem = problem};
}

/* A listing is believed only of a list that does not list what nobody may list: a zone that has expired, and answers
 * everything, would block the world until its next test. *wait_r: the answer has not come. */
static bool question_is_wild(const struct dnsbl_question *question, struct lookups *lookups, bool late, bool *wait_r)
{
	char name[DNS_MAX_NAME_TEXT];
	dnsbl_test_name(question->list, false, name);
	const struct dns_answer *answer = lookups_get(lookups, name, DNS_TYPE_A);
	*wait_r = answer == NULL && !late;
	return answer != NULL && answer->status == DNS_FOUND;
}

static const char *question_text(const struct dnsbl_question *question, struct lookups *lookups, struct arena *arena,
                                 bool late, bool *wait_r)
{
	const struct dns_answer *answer = lookups_get(lookups, question->name, DNS_TYPE_TXT);
	*wait_r = answer == NULL && !late;
	if (answer == NULL || answer->status != DNS_FOUND) {
		return NULL;
	}
	struct slice text = answer->records[0].data;
	text.len = text.len < TEXT_MAX ? text.len : TEXT_MAX;
	return dnsbl_public(arena, question->list, slice_dup(arena, text));
}

static void question_listed(struct dnsbl_check *check, struct dnsbl_question *question, struct lookups *lookups,
                            bool late)
{
	bool wait;
	bool wait_text = false;
	question->wildcard = question_is_wild(question, lookups, late, &wait);
	if (question->list->txt) {
		question->text = question_text(question, lookups, check->arena, late, &wait_text);
	}
	question->done = !wait && !wait_text;
	if (question->wildcard) {
		question_fail(question, "it lists what nobody lists (RFC 5782 5), and so everything");
	}
}

static void question_advance(struct dnsbl_check *check, struct dnsbl_question *question, struct lookups *lookups,
                             bool late)
{
	const struct dns_answer *answer = lookups_get(lookups, question->name, DNS_TYPE_A);
	if (answer == NULL) {
		if (late) {
			question_fail(question, "no answer in time");
		}
		return;
	}
	question->result = dnsbl_judge(question->list, answer, check->arena, &question->match);
	switch (question->result) {
	case DNSBL_UNLISTED:
	case DNSBL_ERROR:
		question->done = true;
		return;
	case DNSBL_LISTED:
		break;
	}
	question_listed(check, question, lookups, late);
}

bool dnsbl_check_advance(struct dnsbl_check *check, struct lookups *lookups, uint64_t timeout_ns, uint64_t *next_r)
{
	uint64_t now = clock_now();
	bool all = true;
	*next_r = UINT64_MAX;
	for (size_t i = 0; i < check->count; i++) {
		struct dnsbl_question *question = &check->questions[i];
		uint64_t end = question->started + timeout_ns;
		if (!question->done) {
			question_advance(check, question, lookups, end <= now);
		}
		if (!question->done) {
			all = false;
			*next_r = end < *next_r ? end : *next_r;
		}
	}
	return all;
}

void dnsbl_check_retry(struct dnsbl_check *check)
{
	for (size_t i = 0; i < check->count; i++) {
		struct dnsbl_question *question = &check->questions[i];
		if (question->done && question->result == DNSBL_ERROR) {
			question->done = question->wildcard = false;
			question->started = clock_now();
		}
	}
}

const char *dnsbl_question_subject(struct arena *arena, const struct dnsbl_question *question)
{
	struct strbuf text;
	if ((question->places & DNSBL_PLACE_BIT(DNSBL_PLACE_CLIENT)) != 0) {
		return question->subject;
	}
	strbuf_init(&text, arena);
	strbuf_printf(&text, "%s (", question->subject);
	const char *comma = "";
	for (unsigned place = 0; place < DNSBL_PLACE_COUNT; place++) {
		if ((question->places & DNSBL_PLACE_BIT(place)) != 0) {
			strbuf_printf(&text, "%s%s", comma, dnsbl_place_name((enum dnsbl_place)place));
			comma = ", ";
		}
	}
	strbuf_add_char(&text, ')');
	return text.data;
}
