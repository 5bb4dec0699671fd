/* What to do first. */
#include "lib/audit/audit.h"

#include <stdlib.h>

static int plan_compare(const void *a, const void *b)
{
	const struct audit_finding *x = *(const struct audit_finding *const *)a;
	const struct audit_finding *y = *(const struct audit_finding *const *)b;
	if (x->code->risk != y->code->risk) {
		return x->code->risk < y->code->risk ? -1 : 1;
	}
	if (x->code->grade != y->code->grade) {
		return x->code->grade > y->code->grade ? -1 : 1;
	}
	return x < y ? -1 : x > y;
}

size_t audit_plan(const struct audit *audit, struct arena *arena, const struct audit_finding ***plan_r)
{
	size_t count = 0;
	*plan_r = arena_alloc(arena, (audit->finding_count + 1) * sizeof **plan_r);
	for (size_t i = 0; i < audit->finding_count; i++) {
		enum audit_level level = audit->findings[i].code->level;
		if (level == AUDIT_WARNING || level == AUDIT_FAULT) {
			(*plan_r)[count++] = &audit->findings[i];
		}
	}
	qsort(*plan_r, count, sizeof **plan_r, plan_compare);
	return count;
}

const char *const *audit_next_steps(const struct audit *audit, struct arena *arena)
{
	const char **steps = arena_alloc(arena, 6 * sizeof *steps);
	size_t n = 0;
	enum dmarc_policy policy = audit->dmarc_found ? audit->dmarc.p : DMARC_POLICY_NONE;
	if (audit->domain[0] == '\0' || (audit->dmarc_found && policy == DMARC_POLICY_REJECT)) {
		return steps;
	}
	if (!audit->dmarc_found || audit->dmarc.rua.len == 0) {
		steps[n++] = "Have DMARC reports sent to you, and read them for two to four weeks (mailreeve report import, "
		             "mailreeve report domain).";
	}
	if (policy == DMARC_POLICY_NONE) {
		steps[n++] = "Where the reports show servers of your own that fail: put them into SPF, and have them sign with DKIM.";
		steps[n++] = "When all of your own mail passes: p=quarantine; wait two weeks more.";
	}
	steps[n++] = "When nothing of your own was quarantined: p=reject.";
	return steps;
}
