/* period: times as administrators write them. */
#ifndef MAILREEVE_CTL_PERIOD_H
#define MAILREEVE_CTL_PERIOD_H

#include <stdbool.h>
#include <stdint.h>

enum { PERIOD_TEXT_SIZE = 32 };
#define PERIOD_EXPECTED "a time such as 7d, 12h, 30m, 2026-11-24, \"2026-11-24 13:05\" or @1764000000"

/* "7d", "12h", "30m", "45s": so long before now. "2026-11-24", "2026-11-24 13:05", "2026-11-24T13:05:10": local time; a
 * day alone begins at midnight. "13:05": today. "@1764000000": epoch seconds. "now". False for anything else. */
bool period_parse(const char *text, int64_t now, int64_t *time_r);

/* "2026-11-24 13:05:10" in local time. text_r: PERIOD_TEXT_SIZE bytes. */
void period_format(int64_t time, char *text_r);
/* "2026-11-24T13:05:10+0100" */
void period_format_iso(int64_t time, char *text_r);

#endif
