#include "lib/base/slice.h"
#include "lib/policy/config_private.h"
#include "lib/policy/option_value.h"
#include "lib/policy/verdict.h"

#include <stdbool.h>

/* A text as libconfuse reads it back: in double quotes, its escapes undone by the reader. */
static void print_text(const char *text, FILE *out)
{
	fputc('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\' || *text == '$') {
			fputc('\\', out);
		}
		fputc(*text, out);
	}
	fputc('"', out);
}

/* One that may hold a secret is shown without it, and does not read back then. */
static void print_shown(const struct option_row *row, const char *text, FILE *out)
{
	struct arena *arena = arena_create(1024);
	print_text(row->shown == NULL ? text : row->shown(arena, text), out);
	arena_destroy(arena);
}

/* Numbers and words stand bare; what may hold anything is quoted. */
static void print_value(const struct option_row *row, const char *const *texts, size_t count, FILE *out)
{
	switch (row->type) {
	case OPTION_BOOL:
	case OPTION_UINT:
	case OPTION_DURATION:
	case OPTION_SIZE:
	case OPTION_MODE:
	case OPTION_REAL:
	case OPTION_WORD:
		fputs(texts[0], out);
		return;
	case OPTION_STRING:
		print_shown(row, texts[0], out);
		return;
	case OPTION_STRINGS:
	case OPTION_NETWORKS:
	case OPTION_DOMAINS:
	case OPTION_RULES:
	case OPTION_ENTRIES:
	case OPTION_COUNTRIES:
	case OPTION_ASNS:
		break;
	}
	fputc('{', out);
	for (size_t i = 0; i < count; i++) {
		fputs(i == 0 ? "" : ", ", out);
		print_shown(row, texts[i], out);
	}
	fputc('}', out);
}

static void print_line(const char *indent, const struct option_row *row, const struct config_value *value, FILE *out)
{
	fprintf(out, "%s%s = ", indent, row->name);
	print_value(row, value->texts, value->count, out);
	fputs(value->line == 0 ? " # default\n" : "\n", out);
}

static void print_action(const struct finding_code *code, struct config_rule rule, bool given, FILE *out)
{
	bool enforced = rule.enforced && (code->traits & FINDING_ENFORCED) == 0;
	if (rule.action.kind == ACTION_SCORE) {
		fprintf(out, "    %s = \"score %g\"", code->code, rule.action.score);
	} else {
		const char *quote = enforced ? "\"" : "";
		fprintf(out, "    %s = %s%s%s%s", code->code, quote, action_kind_name(rule.action.kind),
		        enforced ? " enforced" : "", quote);
	}
	fprintf(out, "%s%s\n", given ? "" : " # default", (code->traits & FINDING_ENFORCED) != 0 ? " # enforced" : "");
}

static void print_part(const struct config_part *part, FILE *out)
{
	const struct section *section = part->section;
	bool top = section->name[0] == '\0';
	const char *indent = top ? "" : "    ";
	if (!top) {
		fprintf(out, "%s {\n", section->name);
	}
	if (section->codes != NULL) {
		fprintf(out, "%smode = %s%s", indent, stage_mode_name(part->mode),
		        part->mode_line == 0 ? " # default\n" : "\n");
	}
	for (size_t i = 0; i < part->row_count; i++) {
		print_line(indent, &section->options[i], &part->values[i], out);
	}
	fputs(top ? "\n" : "}\n\n", out);
}

static void print_actions(const struct config *config, enum direction direction, FILE *out)
{
	fprintf(out, "%s {\n", direction == DIRECTION_OUTBOUND ? "outbound" : "policy");
	for (size_t i = 0; i < config->count; i++) {
		const struct config_part *part = &config->parts[i];
		for (size_t k = 0; k < part->code_count; k++) {
			bool given = part->action_lines[direction][k] != 0 ||
			             (direction == DIRECTION_OUTBOUND && part->action_lines[DIRECTION_INBOUND][k] != 0);
			print_action(&part->section->codes[k], part->rules[direction][k], given, out);
		}
	}
	fputs("}\n", out);
}

static void print_block(const char *kind, const struct config_block *block, FILE *out)
{
	fprintf(out, "\n%s ", kind);
	print_text(block->title, out);
	fputs(" {\n", out);
	for (size_t i = 0; i < BLOCK_SCORES; i++) {
		if (block->has_score[i]) {
			fprintf(out, "    %s = %g\n", config_block_score_names[i], block->scores[i]);
		}
	}
	for (size_t i = 0; i < BLOCK_TEXTS; i++) {
		if (block->texts[i] != NULL) {
			fprintf(out, "    %s = ", config_block_texts[i].name);
			print_text(block->texts[i], out);
			fputc('\n', out);
		}
	}
	for (size_t i = 0; i < block->count; i++) {
		print_action(block->rules[i].code, block->rules[i].rule, true, out);
	}
	fputs("}\n", out);
}

void config_print(const struct config *config, FILE *out)
{
	fprintf(out, "# %s\n\n", config->path == NULL ? "built-in defaults" : config->path);
	for (size_t i = 0; i < config->count; i++) {
		print_part(&config->parts[i], out);
	}
	print_actions(config, DIRECTION_INBOUND, out);
	fputc('\n', out);
	print_actions(config, DIRECTION_OUTBOUND, out);
	for (size_t kind = 0; kind < BLOCK_KINDS; kind++) {
		for (size_t i = 0; i < config->blocks[kind].count; i++) {
			print_block(config_block_names[kind], &config->blocks[kind].items[i], out);
		}
	}
}

static void sample_row(const char *indent, const struct option_row *row, struct arena *arena, FILE *out)
{
	const char *const *texts;
	const char *limits = option_limits(row, arena);
	size_t count = option_fallback(row, arena, &texts);
	fprintf(out, "%s# %s%s%s%s\n", indent, row->help, limits[0] == '\0' ? "" : " (", limits,
	        limits[0] == '\0' ? "" : ")");
	fprintf(out, "%s#%s = ", indent, row->name);
	print_value(row, texts, count, out);
	fputc('\n', out);
}

static void sample_section(const struct section *section, struct arena *arena, FILE *out)
{
	bool top = section->name[0] == '\0';
	const char *indent = top ? "" : "    ";
	fprintf(out, "\n# %s\n", section->help);
	if (!top) {
		fprintf(out, "%s {\n", section->name);
	}
	struct slice rest = slice_from(section->example);
	struct slice line;
	while (rest.data != NULL && slice_split(&rest, '\n', &line)) {
		if (line.len > 0) {
			fprintf(out, "%s#   %.*s\n", indent, SLICE_ARGS(line));
		}
	}
	if (section->codes != NULL) {
		struct option_row mode = config_mode_row(section);
		sample_row(indent, &mode, arena, out);
	}
	for (const struct option_row *row = section->options; row != NULL && row->name != NULL; row++) {
		sample_row(indent, row, arena, out);
	}
	if (!top) {
		fputs("}\n", out);
	}
}

static void sample_actions(const struct section *const *sections, size_t count, FILE *out)
{
	fprintf(out, "\n# What is done about each finding: %s.\n", action_expected);
	fputs(
	    "# All but a score also with a word behind, as in \"reject enforced\": then no allow entry, score or block can lift it.\n"
	    "# The strictest action of all findings of a message counts. outbound { } takes the same names for mail from\n"
	    "# authenticated users and own networks; what it does not name is as in policy { }.\npolicy {\n",
	    out);
	for (size_t i = 0; i < count; i++) {
		for (const struct finding_code *code = sections[i]->codes; code != NULL && code->code != NULL; code++) {
			fprintf(out, "    # %s%s\n", code->help, (code->traits & FINDING_ENFORCED) != 0 ? " (enforced: no user can lift it)" : "");
			fprintf(out, "    #%s = %s\n", code->code, action_kind_name(code->fallback.kind));
		}
	}
	fputs("}\n"
	      "\n# Other actions for the mail of some recipients: a recipient's block comes before his domain's, and that before policy { };\n"
	      "# what is enforced (by nature, or by \"reject enforced\") cannot be changed by what is more specific.\n"
	      "#domain \"example.org\" {\n"
	      "#    score_tag = 3\n"
	      "#    attachment.macro = \"reject enforced\"\n"
	      "#}\n"
	      "#recipient \"bob@example.org\" {\n"
	      "#    spf.fail = tag\n"
	      "#    digest = daily\n"
	      "#}\n",
	      out);
}

void config_print_sample(const struct section *const *sections, size_t count, FILE *out)
{
	struct arena *arena = arena_create(4096);
	fputs("# mailreeve.conf: every option with its default. See mailreeve.conf(5).\n"
	      "# Nothing here needs to be changed: without this file the same defaults hold.\n"
	      "# Check with `mailreeve config check`; `mailreeve config show` prints what is in force.\n",
	      out);
	for (size_t i = 0; i < count; i++) {
		sample_section(sections[i], arena, out);
	}
	sample_actions(sections, count, out);
	arena_destroy(arena);
}
