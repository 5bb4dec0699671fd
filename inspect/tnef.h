/* tnef: the files in a winmail.dat (application/ms-tnef; [MS-OXTNEF]). */
#ifndef MAILREEVE_INSPECT_TNEF_H
#define MAILREEVE_INSPECT_TNEF_H

#include "lib/base/slice.h"

enum { TNEF_NAMES_MAX = 8 };

enum tnef_kind {
	TNEF_FILE,    /* an attachment */
	TNEF_OBJECT,  /* an attached OLE object */
	TNEF_MESSAGE, /* an attached message: content is TNEF again */
	TNEF_TEXT,    /* the message's own body */
	TNEF_HTML,
	TNEF_RTF /* of the message; compressed: tnef_rtf() */
};

struct tnef_name {
	struct slice text;
	bool utf16; /* little end first; else of an unknown charset */
};

struct tnef_member {
	enum tnef_kind kind;
	struct tnef_name names[TNEF_NAMES_MAX];
	size_t name_count;
	struct slice type;    /* MIME type as declared; may be empty, of unknown case */
	struct slice content; /* in the input */
};

typedef void tnef_visitor(void *context, const struct tnef_member *member);

bool tnef_is(struct slice content);

/* Visits each member with content; in one pass. False: it ends before it should, or its lengths make no sense; what
 * came before is visited all the same. */
bool tnef_read(struct slice content, tnef_visitor *visitor, void *context);

/* [MS-OXRTFCP]: the size that the text declares for itself, at most `max`; then the text, at most `size` bytes. Returns
 * how many were written. */
size_t tnef_rtf_size(struct slice compressed, size_t max);
size_t tnef_rtf(struct slice compressed, char *out, size_t size);

#endif
