#include "ctl/top_frame.h"

#include "ctl/status_read.h"
#include "lib/base/slice.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { STAGES_SHOWN = 6, STAGES_MAX = 64, NAMES_SHOWN = 5 };

struct frame {
	struct strbuf out;
	size_t rows, columns;
	struct arena *arena;
	const json_t *root;
};

/* Cut at the edge, by characters. */
__attribute__((format(printf, 2, 3))) static void line(struct frame *frame, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	const char *text = arena_vprintf(frame->arena, format, args);
	va_end(args);
	size_t n = 0;
	size_t bytes = 0;
	while (text[bytes] != '\0' && n < frame->columns) {
		size_t more = (unsigned char)text[bytes] < 0x80 ? 1 : text_utf8_length(slice_from(text + bytes));
		bytes += more == 0 ? 1 : more;
		n++;
	}
	if (frame->rows > 0) {
		frame->rows--;
		strbuf_add(&frame->out, text, bytes);
		strbuf_add_char(&frame->out, '\n');
	}
}

static double number(const struct frame *frame, const char *path)
{
	return status_number(frame->root, path);
}

static void rates(struct frame *frame)
{
	static const char *const minutes[] = {"1", "5", "15"};
	line(frame, "messages/s   accept     tag  quarant tempfail discard  reject    rcpt");
	for (size_t i = 0; i < sizeof minutes / sizeof *minutes; i++) {
		const char *base = arena_printf(frame->arena, "rates.%s", minutes[i]);
		double values[7];
		static const char *const names[7] = {"accept",  "tag",    "quarantine",     "tempfail",
		                                     "discard", "reject", "refused_at_rcpt"};
		for (size_t j = 0; j < 7; j++) {
			values[j] = number(frame, arena_printf(frame->arena, "%s.%s", base, names[j]));
		}
		line(frame, "  %2s min   %8.2f %7.2f  %7.2f  %7.2f %7.2f %7.2f %7.2f", minutes[i], values[0], values[1],
		     values[2], values[3], values[4], values[5], values[6]);
	}
}

struct stage_times {
	const char *name;
	double p50, p99;
};

static int by_p99(const void *a, const void *b)
{
	const struct stage_times *x = a;
	const struct stage_times *y = b;
	return x->p99 < y->p99 ? 1 : x->p99 > y->p99 ? -1 : strcmp(x->name, y->name);
}

/* The slowest stages of the last minute. */
static void times(struct frame *frame)
{
	struct stage_times all[STAGES_MAX];
	size_t count = 0;
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)status_member(frame->root, "minute.stages"), key, value)
	{
		if (count < STAGES_MAX && status_number(value, "count") > 0) {
			all[count++] = (struct stage_times){key, status_number(value, "p50"), status_number(value, "p99")};
		}
	}
	qsort(all, count, sizeof *all, by_p99);
	line(frame, "time, last minute  %10s %10s    %10s %10s", "p50", "p99", "p50", "p99");
	line(frame, "  %-16s %10s %10s dns%10s %10s", "whole message",
	     status_seconds(number(frame, "minute.message.p50"), frame->arena),
	     status_seconds(number(frame, "minute.message.p99"), frame->arena),
	     status_seconds(number(frame, "minute.dns_wait.p50"), frame->arena),
	     status_seconds(number(frame, "minute.dns_wait.p99"), frame->arena));
	for (size_t i = 0; i < STAGES_SHOWN / 2; i++) {
		const struct stage_times *left = &all[i];
		const struct stage_times *right = &all[i + STAGES_SHOWN / 2];
		if (i + STAGES_SHOWN / 2 < count) {
			line(frame, "  %-16s %10s %10s  %-10s %10s %10s", left->name, status_seconds(left->p50, frame->arena),
			     status_seconds(left->p99, frame->arena), right->name, status_seconds(right->p50, frame->arena),
			     status_seconds(right->p99, frame->arena));
		} else if (i < count) {
			line(frame, "  %-16s %10s %10s", left->name, status_seconds(left->p50, frame->arena),
			     status_seconds(left->p99, frame->arena));
		}
	}
}

static const char *entry(const struct frame *frame, const char *list, size_t i, size_t room)
{
	const json_t *item = json_array_get(status_member(frame->root, arena_printf(frame->arena, "minute.%s", list)), i);
	const char *name = status_text(item, "name", frame->arena);
	return item == NULL ? ""
	                    : arena_printf(frame->arena, "%6.0f %.*s", status_number(item, "count"), (int)room - 7, name);
}

/* Two columns: names are ASCII, as the daemon has escaped them. */
static void names(struct frame *frame, const char *left, const char *right)
{
	size_t room = frame->columns / 2 - 1;
	line(frame, "%-*s %s", (int)room, left, right);
	for (size_t i = 0; i < NAMES_SHOWN; i++) {
		const char *a = entry(frame, left, i, room);
		const char *b = entry(frame, right, i, room);
		if (a[0] != '\0' || b[0] != '\0') {
			line(frame, "%-*s %s", (int)room, a, b);
		}
	}
}

/* What is not well; where all is, that. */
static void health(struct frame *frame)
{
	size_t i;
	const json_t *check;
	bool any = false;
	json_array_foreach(status_member(frame->root, "health"), i, check)
	{
		const char *state = status_text(check, "state", frame->arena);
		if (strcmp(state, "warning") == 0 || strcmp(state, "critical") == 0) {
			line(frame, "%s: %s: %s", state, status_text(check, "name", frame->arena),
			     status_text(check, "text", frame->arena));
			any = true;
		}
	}
	if (!any) {
		line(frame, "all that it depends on is well");
	}
}

const char *top_frame(const json_t *status, size_t rows, size_t columns, struct arena *arena)
{
	struct frame frame = {.rows = rows, .columns = columns, .arena = arena, .root = status};
	strbuf_init(&frame.out, arena);
	line(&frame, "mailreeved %s  up %s  %s  sessions %.0f", status_text(status, "version", arena),
	     status_age(number(&frame, "uptime"), arena), status_text(status, "state", arena),
	     number(&frame, "totals.sessions_open"));
	health(&frame);
	rates(&frame);
	line(&frame, "dns: %.0f asked, %.0f from cache, %.0f under way, %.0f timed out, %.0f SERVFAIL",
	     number(&frame, "dns.questions"), number(&frame, "dns.cache_hits"), number(&frame, "dns.in_flight"),
	     number(&frame, "dns.timeouts"), number(&frame, "dns.servfail"));
	line(&frame, "workers: %.0f/%.0f busy, %.0f wait, %.0f crashed, %.0f hung; store: %.0f queued, %.0f KB on disk",
	     number(&frame, "workers.busy"), number(&frame, "workers.workers"), number(&frame, "workers.waiting"),
	     number(&frame, "workers.crashed"), number(&frame, "workers.timed_out"), number(&frame, "store.queued"),
	     number(&frame, "store.spilled_bytes") / 1024);
	times(&frame);
	names(&frame, "senders", "recipients");
	names(&frame, "clients", "findings");
	return frame.out.data;
}
