/* libconfuse reads the grammar; every value is checked here, as it is read, so that an error has its file and line. */
#include "lib/base/slice.h"
#include "lib/policy/config_private.h"
#include "lib/policy/config_text.h"
#include "lib/policy/option_value.h"

#include <confuse.h>
#include <errno.h>
#include <stdlib.h>

enum { ERRORS_MAX = 20, SUGGEST_DISTANCE = 3, NAME_BUFFER = 64 };

/* What is being read. libconfuse's callbacks have no pointer of ours; one load runs in one thread from start to end,
 * and no two at a time: its lexer is global. */
struct loader {
	struct config *config;
	const cfg_t *top; /* knows the file: libconfuse does not tell its sections */
	struct strbuf errors;
	size_t error_count;
};
static _Thread_local struct loader *loading;

/* ---- errors ---- */

/* Levenshtein, over short names. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NAME_BUFFER];
	size_t n = strlen(b);
	if (n >= NAME_BUFFER) {
		return NAME_BUFFER;
	}
	for (size_t j = 0; j <= n; j++) {
		row[j] = j;
	}
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t change = diagonal + (ascii_lower(a[i - 1]) != ascii_lower(b[j - 1]));
			size_t insert = row[j - 1] + 1;
			size_t drop = row[j] + 1;
			diagonal = row[j];
			row[j] = change < insert ? (change < drop ? change : drop) : (insert < drop ? insert : drop);
		}
	}
	return row[n];
}

static const char *nearest(const cfg_t *cfg, const char *name)
{
	const char *best = NULL;
	size_t least = SUGGEST_DISTANCE + 1;
	for (const cfg_opt_t *option = cfg->opts; option->name != NULL; option++) {
		size_t d = distance(name, option->name);
		if (d < least && 2 * d <= strlen(option->name)) {
			least = d;
			best = option->name;
		}
	}
	return best;
}

static void error_add(const cfg_t *cfg, const char *text)
{
	struct strbuf *errors = &loading->errors;
	loading->error_count++;
	if (errors->len > 0) {
		strbuf_add_char(errors, '\n');
	}
	const char *file = cfg->filename != NULL ? cfg->filename : loading->top->filename;
	strbuf_printf(errors, "%s:%d: %s", file, cfg->line, text_escape(errors->arena, slice_from(text), "", true, 500));
}

/* libconfuse's own errors: of grammar, and names it does not know. */
__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *cfg, const char *format, va_list args)
{
	struct arena *arena = loading->errors.arena;
	const char *text = arena_vprintf(arena, format, args);
	const char *quote = strstr(text, "no such option '");
	if (quote != NULL) {
		struct slice name = slice_from(quote + strlen("no such option '"));
		name.len = slice_find(name, '\'', 0);
		const char *unknown = slice_dup(arena, name);
		const char *near = nearest(cfg, unknown);
		bool top = cfg->name == NULL || strcmp(cfg->name, "root") == 0;
		text = arena_printf(arena, "unknown %s \"%s\"%s%s%s%s", top ? "option or section" : "option", unknown,
		                    top ? "" : " in ", top ? "" : cfg->name, near == NULL ? "" : "; did you mean ",
		                    near == NULL ? "" : near);
	} else if (strncmp(text, "missing", strlen("missing")) != 0) {
		text = arena_printf(arena, "%s; expected \"name = value\", \"name = {value, value}\" or \"section { ... }\"",
		                    text);
	}
	error_add(cfg, text);
}

/* ---- values as they are read ---- */

static struct config_part *part_find(struct config *config, const char *name)
{
	for (size_t i = 0; i < config->count; i++) {
		if (strcmp(config->parts[i].section->name, name) == 0) {
			return &config->parts[i];
		}
	}
	return NULL;
}

static struct config_part *part_of(const cfg_t *cfg)
{
	return part_find(loading->config, cfg->name == NULL || strcmp(cfg->name, "root") == 0 ? "" : cfg->name);
}

/* Full name of an option for an error: "dns.timeout". */
static const char *full_name(const cfg_t *cfg, const char *name)
{
	bool top = cfg->name == NULL || strcmp(cfg->name, "root") == 0;
	return top ? name : arena_printf(loading->errors.arena, "%s.%s", cfg->name, name);
}

/* True when it is the first time; else an error. */
static bool first_time(cfg_t *cfg, const char *name, int *line)
{
	if (*line != 0) {
		error_add(cfg, arena_printf(loading->errors.arena, "%s is given again; first in line %d", full_name(cfg, name),
		                            *line));
		return false;
	}
	*line = cfg->line;
	return true;
}

/* libconfuse takes "dns|timeout = 5s" outside of dns { } too, and then names the wrong section. */
static bool in_its_block(cfg_t *cfg, const cfg_opt_t *option)
{
	for (const cfg_opt_t *own = cfg->opts; own->name != NULL; own++) {
		if (own == option) {
			return true;
		}
	}
	error_add(cfg,
	          arena_printf(loading->errors.arena, "%s stands outside of its block; expected \"section { %s = value }\"",
	                       option->name, option->name));
	return false;
}

static void refuse_value(cfg_t *cfg, const char *name, const char *text, const char *expected)
{
	error_add(cfg, arena_printf(loading->errors.arena, "%s: \"%s\" is not allowed; expected %s", full_name(cfg, name),
	                            text, expected));
}

/* Called for each scalar; for a list after each of its elements and again at its end. A list's elements are looked at
 * as they come, for the sake of the line; set_lists() takes them all together. */
static void row_set(cfg_t *cfg, cfg_opt_t *option, const struct option_row *row, void *settings,
                    struct config_value *value)
{
	struct arena *arena = loading->config->arena;
	/* Each element sets the flag, the end of a list does not. */
	if ((option->flags & CFGF_MODIFIED) == 0) {
		return;
	}
	option->flags &= ~CFGF_MODIFIED;
	if (option->nvalues == 1 && !first_time(cfg, row->name, &value->line)) {
		return;
	}
	const char *text = option->values[option->nvalues - 1]->string;
	const char **texts = arena_alloc(arena, sizeof *texts);
	texts[0] = arena_strdup(arena, text == NULL ? "" : text);
	value->texts = texts;
	value->count = 1;
	const char *shown = row->shown == NULL ? texts[0] : row->shown(loading->errors.arena, texts[0]);
	const char *problem = row->check == NULL ? NULL : row->check(loading->errors.arena, texts[0]);
	if (!option_parse(row, arena, texts, 1, settings)) {
		refuse_value(cfg, row->name, shown, option_expected_of(row, loading->errors.arena, texts[0]));
	} else if (problem != NULL) {
		error_add(cfg, arena_printf(loading->errors.arena, "%s: \"%s\": %s", full_name(cfg, row->name), shown, problem));
	}
}

/* An error of a value is no reason not to look at the next one. */
static int go_on(void)
{
	return loading->error_count < ERRORS_MAX ? 0 : -1;
}

static int on_option(cfg_t *cfg, cfg_opt_t *option)
{
	if (!in_its_block(cfg, option)) {
		return -1;
	}
	struct config_part *part = part_of(cfg);
	for (size_t i = 0; i < part->row_count; i++) {
		if (strcmp(part->section->options[i].name, option->name) == 0) {
			row_set(cfg, option, &part->section->options[i], part->settings, &part->values[i]);
			return go_on();
		}
	}
	/* What is left is `mode`. */
	struct option_row row = config_mode_row(part->section);
	struct config_value value = {.line = part->mode_line};
	int mode = MODE_OFF;
	row_set(cfg, option, &row, &mode, &value);
	part->mode_line = value.line;
	part->mode = (enum stage_mode)mode;
	return go_on();
}

/* A rule of a code as it is written. */
static bool rule_read(cfg_t *cfg, const cfg_opt_t *option, const struct finding_code *code, struct config_rule *rule_r)
{
	const char *text = option->values[0]->string == NULL ? "" : option->values[0]->string;
	if (!action_parse(text, &rule_r->action, &rule_r->enforced)) {
		refuse_value(cfg, option->name, text, action_expected);
		return false;
	}
	rule_r->given = true;
	rule_r->enforced = rule_r->enforced || (code->traits & FINDING_ENFORCED) != 0;
	return true;
}

static void rule_set(cfg_t *cfg, const cfg_opt_t *option, struct config_part *part, size_t code)
{
	bool outbound = strcmp(cfg->name, "outbound") == 0;
	enum direction direction = outbound ? DIRECTION_OUTBOUND : DIRECTION_INBOUND;
	struct config_rule rule;
	if (!first_time(cfg, option->name, &part->action_lines[direction][code]) ||
	    !rule_read(cfg, option, &part->section->codes[code], &rule)) {
		return;
	}
	part->rules[direction][code] = rule;
	/* What policy { } says holds for outbound mail too, unless outbound { } has its own word. */
	if (!outbound && part->action_lines[DIRECTION_OUTBOUND][code] == 0) {
		part->rules[DIRECTION_OUTBOUND][code] = rule;
	}
}

static const struct finding_code *code_find(const struct config *config, const char *name, struct config_part **part_r,
                                            size_t *index_r)
{
	for (size_t i = 0; i < config->count; i++) {
		struct config_part *part = &config->parts[i];
		for (size_t k = 0; k < part->code_count; k++) {
			if (strcmp(part->section->codes[k].code, name) == 0) {
				*part_r = part;
				*index_r = k;
				return &part->section->codes[k];
			}
		}
	}
	return NULL;
}

static int on_action(cfg_t *cfg, cfg_opt_t *option)
{
	struct config_part *part;
	size_t code;
	if (!in_its_block(cfg, option)) {
		return -1;
	}
	if (code_find(loading->config, option->name, &part, &code) != NULL) {
		rule_set(cfg, option, part, code);
	}
	return go_on();
}

/* ---- domain "..." { } and recipient "..." { } ---- */

static enum block_kind block_kind(const char *name)
{
	return strcmp(name, config_block_names[BLOCK_DOMAIN]) == 0 ? BLOCK_DOMAIN : BLOCK_USER;
}

static struct config_block *block_of(cfg_t *cfg)
{
	return config_block_open(loading->config, block_kind(cfg->name), cfg_title(cfg), cfg->line);
}

static bool block_has(const struct config_block *block, const struct finding_code *code)
{
	for (size_t i = 0; i < block->count; i++) {
		if (block->rules[i].code == code) {
			return true;
		}
	}
	return false;
}

static int on_block_action(cfg_t *cfg, cfg_opt_t *option)
{
	struct config_part *part;
	struct config_rule rule;
	size_t index;
	if (!in_its_block(cfg, option)) {
		return -1;
	}
	struct config_block *block = block_of(cfg);
	const struct finding_code *code = code_find(loading->config, option->name, &part, &index);
	if ((code->traits & FINDING_ENFORCED) != 0) {
		error_add(cfg, arena_printf(loading->errors.arena, "%s is enforced: only policy { } and outbound { } can change it",
		                            full_name(cfg, option->name)));
	} else if (block_has(block, code)) {
		error_add(cfg, arena_printf(loading->errors.arena, "%s is given again in the same block",
		                            full_name(cfg, option->name)));
	} else if (rule_read(cfg, option, code, &rule)) {
		config_block_add(loading->config, block, code, rule);
	}
	return go_on();
}

static int on_block_score(cfg_t *cfg, cfg_opt_t *option)
{
	size_t which = 0;
	if (!in_its_block(cfg, option)) {
		return -1;
	}
	while (strcmp(config_block_score_names[which], option->name) != 0) {
		which++;
	}
	struct config_block *block = block_of(cfg);
	const struct option_row row = {.name = option->name, .type = OPTION_REAL, .fallback = "5", .max = 1000};
	struct config_value value = {.line = 0};
	if (block->has_score[which]) {
		error_add(cfg, arena_printf(loading->errors.arena, "%s is given again in the same block",
		                            full_name(cfg, option->name)));
		return go_on();
	}
	row_set(cfg, option, &row, &block->scores[which], &value);
	block->has_score[which] = true;
	return go_on();
}

static int on_block_text(cfg_t *cfg, cfg_opt_t *option)
{
	size_t which = 0;
	union {
		int word;
		const char *text;
	} settings;
	if (!in_its_block(cfg, option)) {
		return -1;
	}
	while (strcmp(config_block_texts[which].name, option->name) != 0) {
		which++;
	}
	struct config_block *block = block_of(cfg);
	struct config_value value = {.line = 0};
	if (block->texts[which] != NULL) {
		error_add(cfg, arena_printf(loading->errors.arena, "%s is given again in the same block",
		                            full_name(cfg, option->name)));
		return go_on();
	}
	row_set(cfg, option, &config_block_texts[which], &settings, &value);
	block->texts[which] = value.count == 0 ? "" : value.texts[0];
	return go_on();
}

static int on_block_end(cfg_t *cfg, cfg_opt_t *option)
{
	cfg_t *section = option->values[option->nvalues - 1]->section;
	struct config_block *block = block_of(section);
	const char *expected = config_block_name(loading->config, block_kind(option->name), block);
	if (expected != NULL) {
		refuse_value(cfg, option->name, block->title, expected);
	}
	return go_on();
}

/* A block has ended: the same one twice would make libconfuse forget the first. */
static int on_section(cfg_t *cfg, cfg_opt_t *option)
{
	struct config *config = loading->config;
	struct config_part *part = part_find(config, option->name);
	int *line = part != NULL                            ? &part->line
	            : strcmp(option->name, "outbound") == 0 ? &config->outbound_line
	                                                    : &config->policy_line;
	first_time(cfg, option->name, line);
	return go_on();
}

/* ---- libconfuse's tables ---- */

static cfg_opt_t option_scalar(const char *name)
{
	return (cfg_opt_t)CFG_STR(name, NULL, CFGF_NODEFAULT);
}

static cfg_opt_t option_list(const char *name)
{
	return (cfg_opt_t)CFG_STR_LIST(name, NULL, CFGF_NODEFAULT);
}

static cfg_opt_t *table_alloc(struct config *config, size_t n)
{
	cfg_opt_t *table = arena_alloc(config->arena, (n + 1) * sizeof *table);
	table[n] = (cfg_opt_t)CFG_END();
	return table;
}

static cfg_opt_t *table_rows(struct config *config, const struct config_part *part, size_t extra)
{
	bool mode = part->section->codes != NULL;
	size_t n = 0;
	cfg_opt_t *table = table_alloc(config, part->row_count + mode + extra);
	for (size_t i = 0; i < part->row_count; i++) {
		const struct option_row *row = &part->section->options[i];
		table[n] = option_is_list(row) ? option_list(row->name) : option_scalar(row->name);
		table[n++].validcb = on_option;
	}
	if (mode) {
		table[n] = option_scalar("mode");
		table[n].validcb = on_option;
	}
	return table;
}

/* With room for some more. */
static cfg_opt_t *table_codes(struct config *config, cfg_validate_callback_t callback, size_t extra)
{
	size_t total = 0;
	size_t n = 0;
	for (size_t i = 0; i < config->count; i++) {
		total += config->parts[i].code_count;
	}
	cfg_opt_t *table = table_alloc(config, total + extra);
	for (size_t i = 0; i < config->count; i++) {
		for (size_t k = 0; k < config->parts[i].code_count; k++) {
			table[n] = option_scalar(config->parts[i].section->codes[k].code);
			table[n++].validcb = callback;
		}
	}
	table[n] = (cfg_opt_t)CFG_END();
	return table;
}

static cfg_opt_t option_section(const char *name, cfg_opt_t *table)
{
	cfg_opt_t option = CFG_SEC(name, table, CFGF_NONE);
	option.validcb = on_section;
	return option;
}

static cfg_opt_t option_block(struct config *config, enum block_kind kind)
{
	cfg_opt_t *table = table_codes(config, on_block_action, BLOCK_SCORES + BLOCK_TEXTS);
	size_t n = 0;
	while (table[n].name != NULL) {
		n++;
	}
	for (size_t i = 0; i < BLOCK_SCORES; i++) {
		table[n] = option_scalar(config_block_score_names[i]);
		table[n++].validcb = on_block_score;
	}
	for (size_t i = 0; i < BLOCK_TEXTS; i++) {
		table[n] = option_scalar(config_block_texts[i].name);
		table[n++].validcb = on_block_text;
	}
	table[n] = (cfg_opt_t)CFG_END();
	cfg_opt_t option = CFG_SEC(config_block_names[kind], table, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
	option.validcb = on_block_end;
	return option;
}

/* The top level: its rows, every section, policy, outbound, and the blocks for some recipients. */
static cfg_opt_t *table_top(struct config *config)
{
	const struct config_part *top = part_find(config, "");
	static const struct section none = {.name = ""};
	const struct config_part empty = {.section = &none};
	size_t extra = config->count + 2 + BLOCK_KINDS;
	cfg_opt_t *table = table_rows(config, top == NULL ? &empty : top, extra);
	size_t n = top == NULL ? 0 : top->row_count;
	for (size_t i = 0; i < config->count; i++) {
		if (&config->parts[i] != top) {
			table[n++] = option_section(config->parts[i].section->name, table_rows(config, &config->parts[i], 0));
		}
	}
	table[n++] = option_section("policy", table_codes(config, on_action, 0));
	table[n++] = option_section("outbound", table_codes(config, on_action, 0));
	table[n++] = option_block(config, BLOCK_DOMAIN);
	table[n++] = option_block(config, BLOCK_USER);
	table[n] = (cfg_opt_t)CFG_END();
	return table;
}

/* ---- the file ---- */

/* The lists of a block, whole. One that is empty was reported by nothing but its flag. */
static void set_lists(cfg_t *cfg, struct config_part *part)
{
	struct arena *arena = loading->config->arena;
	cfg_t *block = part->section->name[0] == '\0' ? cfg : cfg_getsec(cfg, part->section->name);
	for (size_t i = 0; block != NULL && i < part->row_count; i++) {
		const struct option_row *row = &part->section->options[i];
		struct config_value *value = &part->values[i];
		const cfg_opt_t *option = option_is_list(row) ? cfg_getopt(block, row->name) : NULL;
		if (option == NULL || (value->line == 0 && (option->flags & CFGF_MODIFIED) == 0)) {
			continue;
		}
		if (value->line != 0 && (option->flags & CFGF_MODIFIED) != 0) {
			first_time(block, row->name, &value->line);
		}
		const char **texts = arena_alloc(arena, option->nvalues * sizeof *texts);
		for (size_t k = 0; k < option->nvalues; k++) {
			texts[k] = arena_strdup(arena, option->values[k]->string);
		}
		*value =
		    (struct config_value){.texts = texts, .count = option->nvalues, .line = value->line != 0 ? value->line : 1};
		/* Each element was good by itself; a file that it names may have changed since. */
		if (!option_parse(row, arena, value->texts, value->count, part->settings) && loading->error_count == 0) {
			refuse_value(block, row->name, value->count == 0 ? "" : value->texts[0], option_expected(row, arena));
		}
	}
}

/* Told with the line where the block ended. */
static void finish_parts(cfg_t *cfg, struct config *config)
{
	for (size_t i = 0; i < config->count; i++) {
		const char *problem = config_part_finish(config, &config->parts[i]);
		if (problem != NULL) {
			cfg->line = config->parts[i].line;
			error_add(cfg, arena_printf(loading->errors.arena, "%s.%s", config->parts[i].section->name, problem));
		}
	}
}

static bool config_parse(struct config *config, const char *path, char *bytes, size_t size)
{
	size_t line;
	const char *problem;
	if (!config_text_prepare(bytes, size, &line, &problem)) {
		strbuf_printf(&loading->errors, "%s:%zu: %s", path, line, problem);
		return false;
	}
	FILE *file = fmemopen(bytes, size == 0 ? 1 : size, "r");
	cfg_t *cfg = cfg_init(table_top(config), CFGF_NONE);
	if (file == NULL || cfg == NULL) {
		abort();
	}
	cfg_set_error_function(cfg, on_error);
	cfg->filename = strdup(path);
	loading->top = cfg;
	bool good = size == 0 || cfg_parse_fp(cfg, file) == CFG_SUCCESS;
	fclose(file);
	if (!good && loading->errors.len == 0) {
		error_add(cfg, "syntax error; expected \"name = value\" or \"section { ... }\"");
	}
	for (size_t i = 0; good && i < config->count; i++) {
		set_lists(cfg, &config->parts[i]);
	}
	for (size_t kind = 0; good && kind < BLOCK_KINDS; kind++) {
		const struct config_block *twice = config_blocks_close(&config->blocks[kind]);
		if (twice != NULL) {
			cfg->line = twice->line;
			error_add(cfg, arena_printf(loading->errors.arena, "%s \"%s\" has a block already", config_block_names[kind],
			                            twice->title));
		}
	}
	if (good && loading->errors.len == 0) {
		finish_parts(cfg, config);
	}
	cfg_free(cfg);
	return loading->errors.len == 0;
}

struct config *config_load(const char *path, const struct section *const *sections, size_t count, char **error_r)
{
	struct config *config = config_open(sections, count);
	if (path == NULL) {
		for (size_t i = 0; i < count; i++) {
			config_part_finish(config, &config->parts[i]);
		}
		return config;
	}
	struct arena *arena = arena_create(4096);
	struct loader loader = {.config = config};
	size_t size = 0;
	strbuf_init(&loader.errors, arena);
	loading = &loader;
	config->path = arena_strdup(config->arena, path);
	char *bytes = config_text_read(path, arena, &size);
	if (bytes == NULL) {
		strbuf_printf(&loader.errors, "%s: %s; expected a readable file of at most 1 MiB", path, strerror(errno));
	}
	bool good = bytes != NULL && config_parse(config, path, bytes, size);
	loading = NULL;
	config->stamp = config_files_stamp(config);
	if (!good) {
		*error_r = strdup(loader.errors.data);
		config_release(config);
		config = NULL;
	}
	arena_destroy(arena);
	return config;
}
