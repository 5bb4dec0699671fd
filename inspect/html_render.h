/* html_render: what of a web page a reader sees, and what is only there for those who look for words. */
#ifndef MAILREEVE_INSPECT_HTML_RENDER_H
#define MAILREEVE_INSPECT_HTML_RENDER_H

#include "lib/base/slice.h"

/* Each attribute of each tag; both names in small letters, the value decoded. An attribute of NULL data: the tag
 * itself. Valid during the call only. */
typedef void html_render_visitor(void *context, struct slice tag, struct slice name, struct slice value);

struct html_render {
	struct strbuf visible; /* UTF-8, tags of blocks as line breaks, those inside of words as nothing */
	struct strbuf hidden;  /* not shown: display:none and the like, no size, the colour of what is behind it */
	html_render_visitor *visit;
	void *context;
};

/* page: UTF-8. visible and hidden must be initialised. Never more is written than the page has bytes, and a line break
 * for each tag. Time: linear. */
void html_render(struct html_render *render, struct slice page);

#endif
