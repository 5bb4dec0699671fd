#include "ctl/audit.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH_MIN = 40, WIDTH_MAX = 120, WIDTH_DEFAULT = 100, INDENT = 4 };

struct screen {
	FILE *out;
	int width;
	bool colours;
};

static struct screen screen_of(FILE *out)
{
	struct winsize size = {.ws_col = 0};
	const char *columns = getenv("COLUMNS");
	bool terminal = isatty(fileno(out)) != 0;
	struct screen screen = {.out = out, .width = WIDTH_DEFAULT};
	if (terminal && ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
		screen.width = size.ws_col;
	} else if (columns != NULL && atoi(columns) > 0) {
		screen.width = atoi(columns);
	}
	screen.width = screen.width < WIDTH_MIN ? WIDTH_MIN : screen.width > WIDTH_MAX ? WIDTH_MAX : screen.width;
	screen.colours = terminal && getenv("NO_COLOR") == NULL;
	return screen;
}

static const char *colour_of(char grade)
{
	return grade == 'A' ? "32" : grade == 'B' || grade == 'C' ? "33" : grade == '-' ? "2" : "31";
}

static void paint(const struct screen *screen, const char *colour, const char *text)
{
	if (screen->colours) {
		fprintf(screen->out, "\033[%sm%s\033[0m", colour, text);
	} else {
		fputs(text, screen->out);
	}
}

/* Broken at blanks. Lines that are to be copied are not given to this. */
static void wrap(const struct screen *screen, const char *text, int indent)
{
	int column = indent;
	fprintf(screen->out, "%*s", indent, "");
	while (*text != '\0') {
		int word = (int)strcspn(text, " ");
		if (column > indent && column + 1 + word > screen->width) {
			fprintf(screen->out, "\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', screen->out);
			column++;
		}
		fwrite(text, 1, (size_t)word, screen->out);
		column += word;
		text += word;
		text += strspn(text, " ");
	}
	fputc('\n', screen->out);
}

static const char *count_text(struct arena *arena, size_t count, const char *what)
{
	return count == 0 ? arena_printf(arena, "no %ss", what) : arena_printf(arena, "%zu %s%s", count, what, count == 1 ? "" : "s");
}

const char *audit_counts(const struct audit_view *view)
{
	struct arena *arena = view->arena;
	size_t unknown = audit_count(view->audit, AUDIT_UNKNOWN);
	return arena_printf(arena, "%s, %s, %s%s", count_text(arena, audit_count(view->audit, AUDIT_FAULT), "fault"),
	                    count_text(arena, audit_count(view->audit, AUDIT_WARNING), "warning"),
	                    count_text(arena, audit_count(view->audit, AUDIT_NOTE), "note"),
	                    unknown == 0 ? "" : arena_printf(arena, ", %zu not known", unknown));
}

static void print_finding(const struct screen *screen, const struct audit_finding *finding)
{
	const struct audit_code *code = finding->code;
	char level[16];
	snprintf(level, sizeof level, "%-8s", audit_level_name(code->level));
	fprintf(screen->out, "  ");
	paint(screen, code->level == AUDIT_FAULT ? "31" : code->level == AUDIT_WARNING ? "33" : "2", level);
	fprintf(screen->out, "%s: %s\n", code->id, finding->text);
	wrap(screen, code->meaning, INDENT);
	wrap(screen, code->advice, INDENT);
	if (finding->record != NULL) {
		fprintf(screen->out, "%*s", INDENT, "");
		paint(screen, "1", finding->record);
		fputc('\n', screen->out);
	}
}

static void print_part(const struct screen *screen, const struct audit *audit, enum audit_subject subject)
{
	const struct audit_part *part = &audit->parts[subject];
	char grade[2] = {part->grade, '\0'};
	fputc('\n', screen->out);
	paint(screen, "1", audit_subject_title(subject));
	fputs(": ", screen->out);
	paint(screen, colour_of(part->grade), grade);
	fprintf(screen->out, "%s%s\n", part->reason == NULL ? "" : " ", part->reason == NULL ? "" : part->reason);
	for (size_t i = 0; i < part->line_count; i++) {
		fprintf(screen->out, "  %s\n", part->lines[i]);
	}
	for (size_t i = 0; i < audit->finding_count; i++) {
		if (audit->findings[i].code->subject == subject) {
			print_finding(screen, &audit->findings[i]);
		}
	}
}

static void print_plan(const struct screen *screen, const struct audit_view *view)
{
	static const char *const when[] = {"", "now", "this week", "this month", "later", "when there is time"};
	const struct audit_finding **plan;
	size_t count = audit_plan(view->audit, view->arena, &plan);
	const char *const *steps = audit_next_steps(view->audit, view->arena);
	unsigned risk = 0;
	for (size_t i = 0; i < count; i++) {
		if (plan[i]->code->risk != risk) {
			risk = plan[i]->code->risk;
			fputc('\n', screen->out);
			paint(screen, "1", when[risk]);
			fputc('\n', screen->out);
		}
		fprintf(screen->out, "%2zu. %s: %s\n", i + 1, plan[i]->code->id, plan[i]->text);
		wrap(screen, plan[i]->code->meaning, INDENT);
		wrap(screen, plan[i]->code->advice, INDENT);
		if (plan[i]->record != NULL) {
			fprintf(screen->out, "%*s%s\n", INDENT, "", plan[i]->record);
		}
	}
	if (count == 0) {
		fputs("\nThere is nothing to put right.\n", screen->out);
	}
	if (steps[0] != NULL) {
		fputc('\n', screen->out);
		paint(screen, "1", "then, on the way to p=reject");
		fputc('\n', screen->out);
	}
	for (size_t i = 0; steps[i] != NULL; i++) {
		fputs("  - ", screen->out);
		wrap(screen, steps[i], 0);
	}
}

void audit_table(const struct audit_view *view, FILE *out)
{
	const struct audit *audit = view->audit;
	struct screen screen = screen_of(out);
	char grade[2] = {audit->grade, '\0'};
	fprintf(out, "%s: ", audit->domain);
	paint(&screen, colour_of(audit->grade), grade);
	fprintf(out, " (%s)%s\n", audit_counts(view), view->connected ? "" : "; no server was asked");
	if (view->plan) {
		print_plan(&screen, view);
		return;
	}
	for (enum audit_subject subject = 0; subject < AUDIT_SUBJECTS; subject++) {
		print_part(&screen, audit, subject);
	}
}
