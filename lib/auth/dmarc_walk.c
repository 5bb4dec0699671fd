#include "lib/auth/dmarc_walk.h"

#include "lib/mail/domain.h"

struct dmarc_known {
	struct dmarc_known *next;
	const char *query;
	const struct dns_answer *answer; /* NULL: pending */
	bool read;                       /* step is set */
	struct dmarc_step step;
};

/* The names of the walk: the domain; then its parents, but of a long one only the last seven labels and up. */
static size_t walk_names(const char *domain, const char *names[DMARC_WALK_MAX])
{
	size_t n = 0;
	size_t labels = domain_labels(domain);
	names[n++] = domain;
	const char *next =
	    labels >= DMARC_WALK_MAX ? domain_last_labels(domain, DMARC_WALK_MAX - 1) : domain_parent(domain);
	while (next != NULL && n < DMARC_WALK_MAX) {
		names[n++] = next;
		next = domain_parent(next);
	}
	return n;
}

/* The one record at a name; several are as good as none (4.10). */
static bool step_record(const struct dns_answer *answer, struct dmarc_record *record_r)
{
	size_t found = 0;
	struct dmarc_record record;
	for (size_t i = 0; i < answer->count; i++) {
		if (dmarc_record_parse(answer->records[i].data, &record)) {
			*record_r = record;
			found++;
		}
	}
	return found == 1;
}

/* 4.10.2: psd=n says "this is it"; psd=y above the start says "one below"; else the record with the fewest labels. */
static const char *org_domain(const struct dmarc_walk *walk)
{
	const char *fewest = walk->steps[0].domain;
	for (size_t i = 0; i < walk->count; i++) {
		const struct dmarc_step *step = &walk->steps[i];
		if (!step->found) {
			continue;
		}
		if (step->record.psd == DMARC_PSD_NO) {
			return step->domain;
		}
		if (step->record.psd == DMARC_PSD_YES && i > 0) {
			return domain_last_labels(walk->steps[0].domain, domain_labels(step->domain) + 1);
		}
		fewest = step->domain;
	}
	return fewest;
}

/* Asks for the record of a step; the name is put together once. */
static struct dmarc_known *walk_ask(struct arena *arena, struct lookups *lookups, struct dmarc_memo *memo,
                                    const char *domain)
{
	struct dmarc_known *known = memo->first;
	while (known != NULL && strcmp(known->step.domain, domain) != 0) {
		known = known->next;
	}
	if (known == NULL) {
		known = arena_alloc(arena, sizeof *known);
		*known = (struct dmarc_known){
		    .next = memo->first, .query = arena_printf(arena, "_dmarc.%s", domain), .step = {.domain = domain}};
		memo->first = known;
	}
	if (known->answer == NULL) {
		known->answer = lookups_get(lookups, known->query, DNS_TYPE_TXT);
	}
	return known;
}

static const struct dmarc_step *walk_read(struct dmarc_known *known)
{
	if (!known->read) {
		known->read = true;
		known->step.found = step_record(known->answer, &known->step.record);
	}
	return &known->step;
}

bool dmarc_walk(struct arena *arena, struct lookups *lookups, struct dmarc_memo *memo, const char *domain,
                struct dmarc_walk *walk_r)
{
	const char *names[DMARC_WALK_MAX];
	struct dmarc_known *known[DMARC_WALK_MAX];
	size_t count = walk_names(domain, names);
	*walk_r = (struct dmarc_walk){.org_domain = domain};
	for (size_t i = 0; i < count; i++) {
		known[i] = walk_ask(arena, lookups, memo, names[i]);
	}
	for (size_t i = 0; i < count; i++) {
		if (known[i]->answer == NULL) {
			return false;
		}
		const struct dmarc_step *step = &walk_r->steps[i];
		walk_r->steps[i] = *walk_read(known[i]);
		walk_r->count = i + 1;
		if (known[i]->answer->status == DNS_TEMPORARY && walk_r->problem == NULL) {
			walk_r->problem = arena_printf(arena, "DNS: %s TXT: %s", known[i]->query, known[i]->answer->problem);
		}
		if (step->found && step->record.psd != DMARC_PSD_UNKNOWN) {
			break;
		}
	}
	walk_r->org_domain = org_domain(walk_r);
	return true;
}
