#include "ctl/period.h"

#include "lib/base/slice.h"

#include <stdio.h>
#include <time.h>

static bool parse_before(struct slice text, int64_t now, int64_t *time_r)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 7 * 86400}};
	unsigned long long count;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (text.len > 1 && text.data[text.len - 1] == units[i].unit &&
		    slice_to_uint((struct slice){text.data, text.len - 1}, 1000000, &count)) {
			*time_r = now - (int64_t)count * units[i].seconds;
			return true;
		}
	}
	return false;
}

/* strptime() lets through what is no date ("2026-02-30"): a date that mktime() has to mend is none. */
static bool parse_local(const char *text, const char *format, int64_t now, int64_t *time_r)
{
	time_t today = (time_t)now;
	struct tm wanted;
	localtime_r(&today, &wanted);
	wanted.tm_hour = wanted.tm_min = wanted.tm_sec = 0;
	wanted.tm_isdst = -1;
	const char *end = strptime(text, format, &wanted);
	struct tm made = wanted;
	time_t time = end == NULL || *end != '\0' ? (time_t)-1 : mktime(&made);
	if (time == (time_t)-1 || made.tm_mday != wanted.tm_mday || made.tm_mon != wanted.tm_mon) {
		return false;
	}
	*time_r = (int64_t)time;
	return true;
}

bool period_parse(const char *text, int64_t now, int64_t *time_r)
{
	static const char *const formats[] = {"%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M",
	                                      "%Y-%m-%dT%H:%M",    "%Y-%m-%d",          "%H:%M"};
	struct slice all = slice_from(text);
	unsigned long long epoch;
	if (strcmp(text, "now") == 0) {
		*time_r = now;
		return true;
	}
	if (text[0] == '@') {
		bool good = slice_to_uint((struct slice){text + 1, all.len - 1}, UINT32_MAX, &epoch);
		*time_r = good ? (int64_t)epoch : 0;
		return good;
	}
	if (parse_before(all, now, time_r)) {
		return true;
	}
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		if (parse_local(text, formats[i], now, time_r)) {
			return true;
		}
	}
	return false;
}

static bool local_time(int64_t time, struct tm *local_r, char *text_r)
{
	time_t when = (time_t)time;
	if (localtime_r(&when, local_r) == NULL) {
		snprintf(text_r, PERIOD_TEXT_SIZE, "@%lld", (long long)time);
		return false;
	}
	return true;
}

void period_format(int64_t time, char *text_r)
{
	struct tm local;
	if (local_time(time, &local, text_r) && strftime(text_r, PERIOD_TEXT_SIZE, "%Y-%m-%d %H:%M:%S", &local) == 0) {
		text_r[0] = '\0';
	}
}

void period_format_iso(int64_t time, char *text_r)
{
	struct tm local;
	if (local_time(time, &local, text_r) && strftime(text_r, PERIOD_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S%z", &local) == 0) {
		text_r[0] = '\0';
	}
}
