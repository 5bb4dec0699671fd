#include "ctl/audit.h"

#include <time.h>

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<style>\n"
    ":root{--bg:#fff;--fg:#1b1f24;--dim:#5c6670;--line:#d9dee3;--card:#f6f8fa;--good:#1a7f37;--warn:#8a5a00;--bad:#c1121f}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#12161b;--fg:#e3e8ed;--dim:#98a4b0;--line:#313a44;--card:#1b2129;--good:#4cc26b;"
    "--warn:#e0ac4a;--bad:#ff7b80}}\n"
    "*{box-sizing:border-box}body{margin:0 auto;padding:1.5rem 1rem 4rem;max-width:56rem;background:var(--bg);color:var(--fg);"
    "font:16px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.5rem;margin:0;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}p{margin:.25rem 0}"
    ".dim{color:var(--dim)}\n"
    ".top{display:flex;gap:1rem;align-items:center}\n"
    ".g{display:inline-block;min-width:1.8em;padding:0 .4em;border-radius:.3em;border:2px solid currentColor;text-align:center;"
    "font-weight:700}.big{font-size:2.2rem}\n"
    ".A{color:var(--good)}.B,.C{color:var(--warn)}.D,.F{color:var(--bad)}.n{color:var(--dim)}\n"
    ".grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(10.5rem,1fr));gap:.5rem;margin:1.2rem 0}\n"
    ".grid a{display:flex;justify-content:space-between;align-items:center;padding:.4rem .6rem;border:1px solid var(--line);"
    "border-radius:.4rem;color:inherit;text-decoration:none}.grid a:hover{background:var(--card)}\n"
    ".f{border-left:4px solid var(--line);background:var(--card);padding:.6rem .8rem;margin:.6rem 0;border-radius:0 .4rem .4rem 0}\n"
    ".f.fault{border-color:var(--bad)}.f.warning{border-color:var(--warn)}.f p{overflow-wrap:anywhere}\n"
    "pre{margin:.5rem 0 0;padding:.5rem .6rem;border:1px solid var(--line);border-radius:.3rem;background:var(--bg);"
    "font:13px/1.45 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}\n"
    "ol{padding-left:1.6rem}@media print{.f{break-inside:avoid}}\n"
    "</style>\n";

/* Everything that is not in this file goes through here. */
static void text(FILE *out, const char *what)
{
	for (; *what != '\0'; what++) {
		switch (*what) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		case '\'':
			fputs("&#39;", out);
			break;
		default:
			fputc(*what, out);
		}
	}
}

static void grade(FILE *out, char letter, const char *size)
{
	fprintf(out, "<span class=\"g %s %c\">%s</span>", size, letter == '-' ? 'n' : letter,
	        letter == '-' ? "&ndash;" : (const char[]){letter, '\0'});
}

static void finding(FILE *out, const struct audit_finding *finding)
{
	const char *level = audit_level_name(finding->code->level);
	fprintf(out, "<div class=\"f %s\">\n<p><strong>%s</strong> <span class=\"dim\">%s</span> ", level, finding->code->id, level);
	text(out, finding->text);
	fputs("</p>\n<p>", out);
	text(out, finding->code->meaning);
	fputs("</p>\n<p>", out);
	text(out, finding->code->advice);
	fputs("</p>\n", out);
	if (finding->record != NULL) {
		fputs("<pre>", out);
		text(out, finding->record);
		fputs("</pre>\n", out);
	}
	fputs("</div>\n", out);
}

static void part(FILE *out, const struct audit *audit, enum audit_subject subject)
{
	const struct audit_part *part = &audit->parts[subject];
	fprintf(out, "<h2 id=\"%s\">", audit_subject_name(subject));
	grade(out, part->grade, "");
	fprintf(out, " %s</h2>\n", audit_subject_title(subject));
	if (part->reason != NULL) {
		fputs("<p class=\"dim\">", out);
		text(out, part->reason);
		fputs("</p>\n", out);
	}
	fputs(part->line_count > 0 ? "<pre>" : "", out);
	for (size_t i = 0; i < part->line_count; i++) {
		text(out, part->lines[i]);
		fputc('\n', out);
	}
	fputs(part->line_count > 0 ? "</pre>\n" : "", out);
	for (size_t i = 0; i < audit->finding_count; i++) {
		if (audit->findings[i].code->subject == subject) {
			finding(out, &audit->findings[i]);
		}
	}
}

static void plan(FILE *out, const struct audit_view *view)
{
	const struct audit_finding **items;
	size_t count = audit_plan(view->audit, view->arena, &items);
	const char *const *steps = audit_next_steps(view->audit, view->arena);
	fputs("<h2 id=\"plan\">What to do, in order of risk</h2>\n", out);
	if (count == 0) {
		fputs("<p>There is nothing to put right.</p>\n", out);
	}
	fputs("<ol>\n", out);
	for (size_t i = 0; i < count; i++) {
		fputs("<li>", out);
		finding(out, items[i]);
		fputs("</li>\n", out);
	}
	for (size_t i = 0; steps[i] != NULL; i++) {
		fputs("<li>", out);
		text(out, steps[i]);
		fputs("</li>\n", out);
	}
	fputs("</ol>\n", out);
}

static void summary(FILE *out, const struct audit_view *view)
{
	char when[64] = "";
	time_t now = (time_t)view->now;
	struct tm parts;
	if (gmtime_r(&now, &parts) != NULL) {
		strftime(when, sizeof when, "%Y-%m-%d %H:%M UTC", &parts);
	}
	fputs("<div class=\"top\">", out);
	grade(out, view->audit->grade, "big");
	fputs("<div><h1>", out);
	text(out, view->audit->domain);
	fprintf(out, "</h1><p class=\"dim\">%s; %s%s</p></div></div>\n", audit_counts(view), when,
	        view->connected ? "" : "; no server was asked");
	fputs("<div class=\"grid\">\n", out);
	for (enum audit_subject subject = 0; subject < AUDIT_SUBJECTS && !view->plan; subject++) {
		fprintf(out, "<a href=\"#%s\">%s ", audit_subject_name(subject), audit_subject_title(subject));
		grade(out, view->audit->parts[subject].grade, "");
		fputs("</a>\n", out);
	}
	fputs("</div>\n", out);
}

void audit_html(const struct audit_view *view, FILE *out)
{
	fputs(head, out);
	fputs("<title>Mail audit of ", out);
	text(out, view->audit->domain);
	fputs("</title>\n</head>\n<body>\n", out);
	summary(out, view);
	if (view->plan) {
		plan(out, view);
	} else {
		for (enum audit_subject subject = 0; subject < AUDIT_SUBJECTS; subject++) {
			part(out, view->audit, subject);
		}
	}
	fputs("</body>\n</html>\n", out);
}
