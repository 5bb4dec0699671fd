/* tap: the few words a unit test needs to print TAP. Include in one .c per test program. */
#ifndef MAILREEVE_T_TAP_H
#define MAILREEVE_T_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tap_count;
static int tap_failed;

__attribute__((format(printf, 2, 3))) static inline bool ok(bool condition, const char *format, ...)
{
	va_list args;
	printf("%sok %d - ", condition ? "" : "not ", ++tap_count);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	if (!condition) {
		tap_failed++;
	}
	return condition;
}

static inline bool is_text(const char *got, const char *expected, const char *name)
{
	bool same = got == expected || (got != NULL && expected != NULL && strcmp(got, expected) == 0);
	ok(same, "%s", name);
	if (!same) {
		printf("#      got: %s\n# expected: %s\n", got == NULL ? "(null)" : got, expected == NULL ? "(null)" : expected);
	}
	return same;
}

static inline bool is_int(long long got, long long expected, const char *name)
{
	if (!ok(got == expected, "%s", name)) {
		printf("#      got: %lld\n# expected: %lld\n", got, expected);
		return false;
	}
	return true;
}

__attribute__((format(printf, 1, 2))) static inline void diag(const char *format, ...)
{
	va_list args;
	printf("# ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

__attribute__((noreturn, format(printf, 1, 2))) static inline void skip_all(const char *format, ...)
{
	va_list args;
	printf("1..0 # SKIP ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	exit(0);
}

/* Prints the plan; the program's exit status. */
static inline int done_testing(void)
{
	printf("1..%d\n", tap_count);
	fflush(stdout);
	return tap_failed == 0 && tap_count > 0 ? 0 : 1;
}

#endif
