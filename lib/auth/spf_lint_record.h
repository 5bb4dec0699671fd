/* spf_lint_record: the faults of one SPF record that can be seen without DNS (spf_lint.h). */
#ifndef MAILREEVE_AUTH_SPF_LINT_RECORD_H
#define MAILREEVE_AUTH_SPF_LINT_RECORD_H

#include "lib/auth/spf_lint.h"
#include "lib/auth/spf_record.h"

/* Collects up to SPF_LINT_FAULTS_MAX. */
struct spf_faults {
	struct arena *arena;
	size_t count;
	struct spf_fault *items;
	bool truncated;
};

void spf_fault_add(struct spf_faults *faults, enum spf_fault_code code, const char *domain, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A piece of a record, or a name, made safe for a fault's text. */
const char *spf_fault_quote(struct spf_faults *faults, struct slice text);

/* Reads the record text of domain into record_r and tells its faults. top: the result is the domain's own (the first
 * record and those that it redirects to), not an include's, where only a pass counts. False: it is in error. */
bool spf_lint_record(struct spf_faults *faults, const char *domain, struct slice text, bool top,
                     struct spf_record *record_r);

/* The term all of the record: its index, or record->count. */
size_t spf_lint_all(const struct spf_record *record);

#endif
