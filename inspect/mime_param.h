/* mime_param: the value of a structured field (RFC 2045 5.1, RFC 2183) with its parameters, however badly written, and
 * the texts that readers make of one parameter: doubled, quoted wrongly, continued and encoded (RFC 2231). */
#ifndef MAILREEVE_INSPECT_MIME_PARAM_H
#define MAILREEVE_INSPECT_MIME_PARAM_H

#include "lib/base/slice.h"

enum { MIME_PARAMS_MAX = 96, MIME_TEXTS_MAX = 24 };

struct mime_param {
	struct slice name;  /* small letters, without the "*" of RFC 2231 */
	struct slice value; /* unquoted, not decoded */
	unsigned index;     /* "name*7" */
	bool continued;     /* has an index */
	bool extended;      /* ends in "*": charset'language'%XX */
	bool second;        /* another reading of the parameter before it, or one that only lax readers find */
};

struct mime_value {
	struct slice word; /* what stands before the first ";", small letters, without comments: "text/plain" */
	struct mime_param params[MIME_PARAMS_MAX];
	size_t count;
	bool cut; /* there were more */
};

/* Line ends taken out, and what is blank around it; the blanks of a fold stay. */
struct slice mime_unfold(struct arena *arena, struct slice text);

void mime_value_parse(struct arena *arena, struct slice text, struct mime_value *value_r);

struct mime_texts {
	struct slice items[MIME_TEXTS_MAX]; /* most usual first; UTF-8 where a charset was declared, else any bytes */
	size_t count;
	bool cut;
};

/* Adds the texts of the parameters of that name. */
void mime_value_texts(struct arena *arena, const struct mime_value *value, const char *name, struct mime_texts *texts);

/* Is the parameter there twice, in the same form and with different values? */
bool mime_value_doubled(const struct mime_value *value, const char *name);

#endif
