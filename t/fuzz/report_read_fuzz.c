#include "lib/report/report_read.h"
#include "t/fuzz/fuzz.h"

#include <stdlib.h>

/* What the commands that print and store it rely on. */
static void check_report(json_t *report, const char *problem)
{
	if (report == NULL) {
		require(problem != NULL);
		return;
	}
	require(json_is_string(json_object_get(report, "domain")) && json_is_string(json_object_get(report, "id")));
	const json_t *rows = json_object_get(report, "rows");
	require(json_is_array(rows) && json_array_size(rows) <= REPORT_ROWS_MAX);
	for (size_t i = 0; i < json_array_size(rows); i++) {
		require(json_is_object(json_array_get(rows, i)));
	}
	char *text = json_dumps(report, JSON_COMPACT);
	require(text != NULL);
	free(text);
	json_decref(report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data, size};
	const char *problem = NULL;
	json_t *report = report_read_dmarc(text, &problem);
	check_report(report, problem);
	problem = NULL;
	report = report_read_tls(text, &problem);
	check_report(report, problem);
	return 0;
}
