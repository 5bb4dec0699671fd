/* local_time: times as people at a place read them. Zones are those of tzdata, by GLib: libc's own functions know one
 * zone for the whole process. Safe from any thread. */
#ifndef MAILREEVE_REPORT_LOCAL_TIME_H
#define MAILREEVE_REPORT_LOCAL_TIME_H

#include "lib/base/arena.h"

#include <stdbool.h>
#include <stdint.h>

enum { LOCAL_TIME_MONDAY = 1 };

/* "Europe/Berlin", "" the machine's own, "UTC". */
bool local_time_zone_valid(const char *zone);

/* epoch seconds in that zone, by a format of g_date_time_format() ("%Y-%m-%d %H:%M"); "" where that is none. */
const char *local_time_format(struct arena *arena, const char *zone, const char *format, int64_t time);

/* The latest moment at or before now at which a clock there says HOUR:00, and its day of the week, from 1, Monday. */
int64_t local_time_slot(const char *zone, int64_t now, unsigned hour, int *weekday_r);

#endif
