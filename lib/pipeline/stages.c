#include "lib/pipeline/stages.h"

#include "lib/pipeline/logging.h"
#include "lib/pipeline/monitor.h"
#include "lib/pipeline/record.h"
#include "lib/pipeline/session.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/tagging.h"
#include "lib/policy/globals.h"
#include "lib/policy/scores.h"
#include "lib/report/dmarc_reports.h"
#include "lib/store/store.h"

const struct stage *const stages[] = {
	&stage_message, &stage_quarantine, &stage_upstream, &stage_geo, &stage_client, &stage_tls, &stage_dnsbl,
	&stage_lists, &stage_rate, &stage_spf, &stage_dkim, &stage_arc, &stage_inspect, &stage_dmarc, &stage_learn, &stage_mime,
	&stage_attachment, &stage_virus, &stage_bayes, &stage_digest, &stage_greylist, &stage_authres, &stage_sign,
};

enum { STAGES_COUNT = sizeof stages / sizeof *stages };
_Static_assert((int)STAGES_COUNT <= (int)SESSION_MAX_STAGES, "session->stages_done and stage_ns hold every stage");

const size_t stages_count = STAGES_COUNT;

size_t stages_section(const struct stage *stage)
{
	size_t i = 0;
	while (stages[i] != stage) {
		i++;
	}
	return SECTION_FIRST_STAGE + i;
}

static const struct section *const sections[] = {
	[SECTION_GLOBALS] = &globals_section,
	[SECTION_DNS] = &dns_section,
	[SECTION_CONTENT] = &content_section,
	[SECTION_STORE] = &store_section,
	[SECTION_HISTORY] = &history_section,
	[SECTION_SCORES] = &scores_section,
	[SECTION_HEADERS] = &tagging_section,
	[SECTION_DMARC_REPORTS] = &dmarc_reports_section,
	[SECTION_LOG] = &logging_section,
	[SECTION_METRICS] = &metrics_section,
	&stage_message.section,
	&stage_quarantine.section,
	&stage_upstream.section,
	&stage_geo.section,
	&stage_client.section,
	&stage_tls.section,
	&stage_dnsbl.section,
	&stage_lists.section,
	&stage_rate.section,
	&stage_spf.section,
	&stage_dkim.section,
	&stage_arc.section,
	&stage_inspect.section,
	&stage_dmarc.section,
	&stage_learn.section,
	&stage_mime.section,
	&stage_attachment.section,
	&stage_virus.section,
	&stage_bayes.section,
	&stage_digest.section,
	&stage_greylist.section,
	&stage_authres.section,
	&stage_sign.section,
};
_Static_assert(sizeof sections / sizeof *sections == SECTION_FIRST_STAGE + STAGES_COUNT, "one section for each stage");

const struct section *const *stages_sections(size_t *count_r)
{
	*count_r = sizeof sections / sizeof *sections;
	return sections;
}
