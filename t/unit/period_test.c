/* Times as administrators write them. */
#include "ctl/period.h"
#include "t/tap.h"

#include <time.h>

enum { NOW = 1764072605 /* 2025-11-25 12:10:05 UTC */ };

static const struct {
	const char *text;
	int64_t time; /* -1: refused */
} rows[] = {
	{"now", NOW},
	{"45s", NOW - 45},
	{"30m", NOW - 1800},
	{"12h", NOW - 12 * 3600},
	{"7d", NOW - 7 * 86400},
	{"2w", NOW - 14 * 86400},
	{"0d", NOW},
	{"@1764000000", 1764000000},
	{"2025-11-24", 1763938800},          /* midnight in Berlin */
	{"2025-11-24 13:05", 1763985900},
	{"2025-11-24T13:05", 1763985900},
	{"2025-11-24 13:05:10", 1763985910},
	{"2025-07-01 12:00", 1751364000}, /* summer time */
	{"13:05", 1764072300},
	{"", -1},
	{"7", -1},
	{"d", -1},
	{"-7d", -1},
	{"7dd", -1},
	{"99999999d", -1},
	{"@", -1},
	{"@-5", -1},
	{"@99999999999", -1},
	{"2025-02-30", -1},
	{"2025-13-01", -1},
	{"2025-11-24x", -1},
	{"2025-11-24 25:00", -1},
	{"soon", -1},
};

int main(void)
{
	char text[PERIOD_TEXT_SIZE];
	setenv("TZ", "Europe/Berlin", 1);
	tzset();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t time = -1;
		bool good = period_parse(rows[i].text, NOW, &time);
		is_int(good ? time : -1, rows[i].time, rows[i].text);
	}
	period_format(NOW, text);
	is_text(text, "2025-11-25 13:10:05", "local time");
	period_format_iso(NOW, text);
	is_text(text, "2025-11-25T13:10:05+0100", "and with its zone");
	period_format(INT64_MAX, text);
	is_text(text, "@9223372036854775807", "a time without a year");
	return done_testing();
}
