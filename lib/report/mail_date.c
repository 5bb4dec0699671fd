#include "lib/report/mail_date.h"

#include <time.h>

void mail_date_add(struct strbuf *out, uint64_t epoch_seconds)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t time = (time_t)epoch_seconds;
	struct tm tm;
	gmtime_r(&time, &tm);
	strbuf_printf(out, "%.3s, %d %.3s %d %02d:%02d:%02d +0000", days + 3 * (size_t)tm.tm_wday, tm.tm_mday,
	              months + 3 * (size_t)tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}
