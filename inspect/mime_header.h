/* mime_header: where the header block of an entity ends and which fields describe its content, in every reading that
 * mail programs have of it. */
#ifndef MAILREEVE_INSPECT_MIME_HEADER_H
#define MAILREEVE_INSPECT_MIME_HEADER_H

#include "lib/base/slice.h"

enum mime_field_kind {
	MIME_FIELD_TYPE,
	MIME_FIELD_ENCODING,
	MIME_FIELD_DISPOSITION,
	MIME_FIELD_DESCRIPTION,
	MIME_FIELD_LOCATION
};

enum { MIME_FIELDS_MAX = 24, MIME_BODIES_MAX = 6, MIME_VALUE_MAX = 65536 };

struct mime_field {
	enum mime_field_kind kind;
	struct slice value; /* as it stands, folds included; cut at MIME_VALUE_MAX bytes */
	bool odd_name;      /* a comment, a blank or bytes that do not belong there: some programs do not know it */
	bool late;          /* behind a line that is none of a header, or between bare CRs: some programs do not see it */
};

struct mime_header {
	struct mime_field fields[MIME_FIELDS_MAX];
	size_t field_count;
	struct slice bodies[MIME_BODIES_MAX]; /* most usual reading first; they end where the entity ends */
	size_t body_count;                    /* at least 1 */
	bool any_field;                       /* the entity starts with a field of whatever name */
	bool broken;                          /* a line that is no field, before the empty line */
	bool bare_cr;                         /* in the header block */
	bool nul;                             /* in the header block */
	bool cut;                             /* more fields, or longer ones, than are kept here */
};

void mime_header_read(struct slice entity, struct mime_header *header_r);

/* Does text start with a field "Name: value" of a message or an entity? */
bool mime_header_is_mail(struct slice text);

#endif
