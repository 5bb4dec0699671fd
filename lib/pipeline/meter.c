#include "lib/pipeline/meter.h"

#include "lib/base/clock.h"
#include "lib/pipeline/session.h"
#include "lib/pipeline/stages.h"

#include <stdlib.h>

enum {
	MESSAGES = METER_EVENTS,
	REFUSED = MESSAGES + METER_ACTIONS * DIRECTION_COUNT,
	ELAPSED = REFUSED + METER_ACTIONS * DIRECTION_COUNT,
	DNS_WAIT = ELAPSED + HISTOGRAM_CELLS,
	STAGES = DNS_WAIT + HISTOGRAM_CELLS,
	FINDINGS = STAGES + SESSION_MAX_STAGES * HISTOGRAM_CELLS
};

/* Top names are what people see, as in the log. */
enum { NAME_MAX_BYTES = TOPK_NAME_SIZE - 1 };

struct meter {
	struct metrics *cells;
	const struct finding_code **codes; /* by address, for the search */
	size_t code_count;
	struct topk *tops[METER_TOPS];
};

const char *const meter_top_names[METER_TOPS] = {[METER_SENDERS] = "senders",
                                                 [METER_RECIPIENTS] = "recipients",
                                                 [METER_CLIENTS] = "clients",
                                                 [METER_FINDINGS] = "findings"};

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t) * (const struct finding_code *const *)a;
	uintptr_t y = (uintptr_t) * (const struct finding_code *const *)b;
	return x < y ? -1 : x > y;
}

static void collect_codes(struct meter *meter)
{
	size_t sections;
	const struct section *const *all = stages_sections(&sections);
	for (int pass = 0; pass < 2; pass++) {
		size_t n = 0;
		for (size_t i = 0; i < sections; i++) {
			for (const struct finding_code *code = all[i]->codes; code != NULL && code->code != NULL; code++, n++) {
				if (pass == 1) {
					meter->codes[n] = code;
				}
			}
		}
		if (pass == 0) {
			meter->codes = calloc(n + 1, sizeof *meter->codes);
			meter->code_count = n;
		}
		if (meter->codes == NULL) {
			abort();
		}
	}
	qsort(meter->codes, meter->code_count, sizeof *meter->codes, by_address);
}

struct meter *meter_create(void)
{
	struct meter *meter = calloc(1, sizeof *meter);
	if (meter == NULL) {
		abort();
	}
	collect_codes(meter);
	meter->cells = metrics_create(FINDINGS + meter->code_count);
	for (size_t i = 0; i < METER_TOPS; i++) {
		meter->tops[i] = topk_create();
	}
	return meter;
}

void meter_destroy(struct meter *meter)
{
	if (meter == NULL) {
		return;
	}
	for (size_t i = 0; i < METER_TOPS; i++) {
		topk_destroy(meter->tops[i]);
	}
	metrics_destroy(meter->cells);
	free(meter->codes);
	free(meter);
}

void meter_count(struct meter *meter, enum meter_event event, uint64_t n)
{
	if (meter != NULL) {
		metrics_add(meter->cells, event, n);
	}
}

static void count_finding(struct meter *meter, const struct finding_code *code, uint64_t now)
{
	const struct finding_code **at = bsearch(&code, meter->codes, meter->code_count, sizeof *meter->codes, by_address);
	if (at != NULL) {
		metrics_add(meter->cells, FINDINGS + (size_t)(at - meter->codes), 1);
		topk_add(meter->tops[METER_FINDINGS], code->code, now);
	}
}

static void count_name(struct meter *meter, enum meter_top top, struct arena *arena, const char *name, uint64_t now)
{
	topk_add(meter->tops[top], text_escape(arena, slice_from(name), "", false, NAME_MAX_BYTES), now);
}

static void count_who(struct meter *meter, const struct session *session, uint64_t now)
{
	char client[IP_TEXT_SIZE];
	ip_format(&session->client, client);
	topk_add(meter->tops[METER_CLIENTS], client, now);
	count_name(meter, METER_SENDERS, session->arena,
	           session->mail_from.text[0] == '\0' ? "<>" : session->mail_from.text, now);
}

void meter_message(struct meter *meter, const struct session *session)
{
	enum { RECIPIENTS_MAX = 100 }; /* of one message; a mailing to thousands must not take long here */
	if (meter == NULL) {
		return;
	}
	uint64_t now = clock_now();
	metrics_add(meter->cells, meter_message_cell(session->verdict.action, session->direction), 1);
	metrics_add(meter->cells, METER_BYTES, session->message == NULL ? 0 : message_size(session->message));
	metrics_observe(meter->cells, ELAPSED, session->elapsed_ns);
	for (size_t i = 0; i < stages_count; i++) {
		if (session->stage_ns[i] > 0) {
			metrics_observe(meter->cells, meter_stage_cell(i), session->stage_ns[i]);
		}
	}
	for (size_t i = 0; i < session->finding_count; i++) {
		if (!session_found_before(session, i, ACTION_IGNORE)) {
			count_finding(meter, session->findings[i]->code, now);
		}
	}
	count_who(meter, session, now);
	for (size_t i = 0; i < session->recipient_count && i < RECIPIENTS_MAX; i++) {
		count_name(meter, METER_RECIPIENTS, session->arena, session->recipients[i].address.text, now);
	}
}

void meter_refused(struct meter *meter, const struct session *session, const struct recipient *recipient)
{
	if (meter == NULL) {
		return;
	}
	uint64_t now = clock_now();
	metrics_add(meter->cells, meter_refused_cell(recipient->verdict.action, session->direction), 1);
	count_who(meter, session, now);
	count_name(meter, METER_RECIPIENTS, session->arena, recipient->address.text, now);
}

void meter_dns_wait(struct meter *meter, uint64_t ns)
{
	if (meter != NULL) {
		metrics_observe(meter->cells, DNS_WAIT, ns);
	}
}

/* ---- reading ---- */

struct metrics *meter_cells(struct meter *meter)
{
	return meter->cells;
}

size_t meter_event_cell(enum meter_event event)
{
	return event;
}

size_t meter_message_cell(enum verdict_action action, enum direction direction)
{
	return MESSAGES + (size_t)action * DIRECTION_COUNT + direction;
}

size_t meter_refused_cell(enum verdict_action action, enum direction direction)
{
	return REFUSED + (size_t)action * DIRECTION_COUNT + direction;
}

size_t meter_elapsed_cell(void)
{
	return ELAPSED;
}

size_t meter_dns_wait_cell(void)
{
	return DNS_WAIT;
}

size_t meter_stage_cell(size_t stage)
{
	return STAGES + stage * HISTOGRAM_CELLS;
}

const struct finding_code *meter_finding(const struct meter *meter, size_t i, size_t *cell_r)
{
	*cell_r = FINDINGS + i;
	return i < meter->code_count ? meter->codes[i] : NULL;
}

struct topk *meter_top(struct meter *meter, enum meter_top which)
{
	return meter->tops[which];
}
