/* mustache: the part of the template language of that name (mustache(5)) that our mails need. No library in C for it is
 * in Debian.
 *
 *   {{name}}               the value, escaped for the kind of text; "" where there is none
 *   {{{name}}}             the value as it is
 *   {{#name}} ... {{/name}}  once for each item of a list, once for an object or a true value that is not empty, else
 *                          not at all; names inside are looked up in the item first, then further out
 *   {{^name}} ... {{/name}}  only where {{#name}} would do nothing
 *   {{! text }}            nothing
 *
 * A name is letters, digits, "_", "." aside ({{.}} is the item of a list of texts). A tag that stands alone on its line
 * takes the line with it, but for those that put out a value. */
#ifndef MAILREEVE_REPORT_MUSTACHE_H
#define MAILREEVE_REPORT_MUSTACHE_H

#include "lib/base/slice.h"

#include <jansson.h>
#include <stdbool.h>

enum {
	MUSTACHE_DEPTH = 16,                  /* sections in sections */
	MUSTACHE_TEMPLATE_MAX = 1024 * 1024,  /* bytes */
	MUSTACHE_OUTPUT_MAX = 8 * 1024 * 1024 /* bytes; more is a problem */
};

enum mustache_kind {
	MUSTACHE_TEXT, /* {{name}} as it is */
	MUSTACHE_HTML  /* & < > " ' as character references */
};

/* Puts out what the template makes of values, an object. False with *problem_r, in out's arena: what is wrong, and in
 * which line; what out holds then is of no use. */
bool mustache_render(struct slice template, enum mustache_kind kind, json_t *values, struct strbuf *out,
                     const char **problem_r);

#endif
