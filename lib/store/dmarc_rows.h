/* dmarc_rows: what messages came to under DMARC, counted by UTC day and by the domain whose record was found, until their
 * reports (RFC 9990) are sent. */
#ifndef MAILREEVE_STORE_DMARC_ROWS_H
#define MAILREEVE_STORE_DMARC_ROWS_H

#include "lib/store/store.h"

/* Seconds: no report of a day that is over waits longer for its time or its next try; what does was put off by a clock that
 * was ahead, and is due. */
enum { DMARC_ROWS_DUE_MAX = 3 * 86400 };

enum dmarc_report_state {
	DMARC_REPORT_OPEN, /* not sent yet: its day is not over, or a try is still due */
	DMARC_REPORT_SENT, /* to all that could be reached */
	DMARC_REPORT_VOID  /* nobody wants it, or it could not be sent in time */
};

struct dmarc_rows_message {
	int64_t day;        /* since 1970 */
	const char *domain; /* canonical */
	struct slice record;
	struct slice before, after; /* dmarc_xml_row() */
	int64_t due;        /* epoch seconds: when the day's report to this domain is to be sent first */
};

/* Counts a message: store_write_later(). False: it was lost. */
bool dmarc_rows_add(struct store *store, const struct dmarc_rows_message *message);

struct dmarc_rows_report {
	int64_t day;
	const char *domain;
	struct slice record; /* the newest of that day */
	enum dmarc_report_state state;
	int64_t attempts;
	int64_t messages;
};

/* False ends the listing. Strings live until it returns. It must not call the store. */
typedef bool dmarc_rows_visitor(void *context, const struct dmarc_rows_report *report);

/* Reports of that day, by domain; domain "": all. */
enum store_result dmarc_rows_reports(struct store *store, int64_t day, const char *domain, dmarc_rows_visitor *visit,
                                     void *context);

/* Takes the next report that is due (its day is before `today`, its time has come), for lease seconds, in which nobody else takes
 * it. *found_r false: none is. Strings in arena. */
enum store_result dmarc_rows_take(struct store *store, struct arena *arena, int64_t today, int64_t now, int64_t lease,
                                  struct dmarc_rows_report *report_r, bool *found_r);

/* The rows of a report with most messages, most first, limit at most. */
typedef bool dmarc_row_visitor(void *context, struct slice before, int64_t messages, struct slice after);
enum store_result dmarc_rows_each(struct store *store, int64_t day, const char *domain, int64_t limit,
                                  dmarc_row_visitor *visit, void *context);

/* Remembers that the report has reached an address, which must not get it again. */
enum store_result dmarc_rows_sent_to(struct store *store, int64_t day, const char *domain, const char *address);
enum store_result dmarc_rows_was_sent_to(struct store *store, int64_t day, const char *domain, const char *address,
                                         bool *sent_r);
/* due: of the next try, while it is open. */
enum store_result dmarc_rows_set_state(struct store *store, int64_t day, const char *domain,
                                       enum dmarc_report_state state, int64_t due);

/* Forgets days before that one. */
enum store_result dmarc_rows_expire(struct store *store, int64_t day);

#endif
