/* stages: the table of all stages in the order in which they run, and the sections of the configuration. */
#ifndef MAILREEVE_PIPELINE_STAGES_H
#define MAILREEVE_PIPELINE_STAGES_H

#include "lib/pipeline/stage.h"

enum section_index {
	SECTION_GLOBALS,
	SECTION_DNS,
	SECTION_CONTENT,
	SECTION_STORE,
	SECTION_HISTORY,
	SECTION_SCORES,
	SECTION_HEADERS,
	SECTION_DMARC_REPORTS,
	SECTION_LOG,
	SECTION_METRICS,
	SECTION_FIRST_STAGE
};

/* stages[i] has the section index SECTION_FIRST_STAGE + i. */
extern const struct stage *const stages[];
extern const size_t stages_count;
size_t stages_section(const struct stage *stage); /* its section index */

/* For config_load(): those of enum section_index, then one for each stage. */
const struct section *const *stages_sections(size_t *count_r);

#endif
