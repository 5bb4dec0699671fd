/* urls: the hosts that the links of a message lead to, as a mail program and a browser would read them (RFC 3986, and
 * the URL standard of browsers where it takes more). For lists of domains and addresses; nothing is ever fetched. */
#ifndef MAILREEVE_INSPECT_URLS_H
#define MAILREEVE_INSPECT_URLS_H

#include "lib/base/slice.h"
#include "lib/inspect/inspect.h"

struct urls {
	struct arena *arena;                  /* of the hosts */
	const char *hosts[INSPECT_HOSTS_MAX]; /* each once, in order of appearance: domains in canonical form (domain.h) of
	                                         two labels at least, or addresses as ip_format() writes them */
	size_t count;
	size_t bytes; /* of all hosts */
	size_t seen;  /* links looked at */
	bool cut;     /* there are more than are kept, or looked at */
};

void urls_init(struct urls *urls, struct arena *arena);

/* The links of a text in UTF-8: http, https and ftp with their scheme, "www." without, and links in links
 * (percent-encoded too). html: of tags and attributes too, character references decoded. Time: linear. */
void urls_find(struct urls *urls, struct slice text, bool html);

/* The host of one link as it stands in an attribute: without tabs and line breaks, with "\" for "/", with user name and
 * port, in any of the ways to write an address. NULL: it has none. In arena. */
const char *urls_host(struct arena *arena, struct slice link);

#endif
