#include "lib/report/local_time.h"

#include <glib.h>
#include <stdlib.h>

/* NULL: there is none of that name. */
static GTimeZone *zone_open(const char *name)
{
	return name[0] == '\0' ? g_time_zone_new_local() : g_time_zone_new_identifier(name);
}

bool local_time_zone_valid(const char *zone)
{
	GTimeZone *found = zone_open(zone);
	if (found != NULL) {
		g_time_zone_unref(found);
	}
	return found != NULL;
}

/* What was good when the configuration was read may be gone: then UTC. */
static GDateTime *moment(const char *zone, int64_t time, GTimeZone **zone_r)
{
	GDateTime *utc = g_date_time_new_from_unix_utc(time);
	*zone_r = zone_open(zone);
	if (*zone_r == NULL) {
		*zone_r = g_time_zone_new_utc();
	}
	if (utc == NULL) {
		abort();
	}
	GDateTime *there = g_date_time_to_timezone(utc, *zone_r);
	g_date_time_unref(utc);
	return there;
}

const char *local_time_format(struct arena *arena, const char *zone, const char *format, int64_t time)
{
	GTimeZone *there;
	GDateTime *date = moment(zone, time, &there);
	char *text = g_date_time_format(date, format);
	const char *copy = arena_strdup(arena, text == NULL ? "" : text);
	g_free(text);
	g_date_time_unref(date);
	g_time_zone_unref(there);
	return copy;
}

int64_t local_time_slot(const char *zone, int64_t now, unsigned hour, int *weekday_r)
{
	GTimeZone *there;
	GDateTime *date = moment(zone, now, &there);
	int64_t slot = 0;
	/* Today's may still come; the day before has one. Where the clock leaps over that hour, GLib takes the next. */
	for (int back = 0; back <= 1; back++) {
		GDateTime *day = g_date_time_add_days(date, -back);
		GDateTime *at = g_date_time_new(there, g_date_time_get_year(day), g_date_time_get_month(day),
		                                g_date_time_get_day_of_month(day), (int)hour, 0, 0);
		slot = g_date_time_to_unix(at);
		*weekday_r = g_date_time_get_day_of_week(at);
		g_date_time_unref(at);
		g_date_time_unref(day);
		if (slot <= now) {
			break;
		}
	}
	g_date_time_unref(date);
	g_time_zone_unref(there);
	return slot;
}
