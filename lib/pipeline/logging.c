#include "lib/pipeline/logging.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/slice.h"
#include "lib/pipeline/session.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"

#define REPEATS_WINDOW (10 * CLOCK_NS_PER_S)

_Static_assert((int)SESSION_MAX_STAGES <= (int)LOG_STAGES_MAX, "each stage has a level");

static const struct option_word forms[] = {{"text", LOG_FORM_TEXT}, {"json", LOG_FORM_JSON}, {NULL, 0}};

/* Its index; stages_count: there is none of that name. */
static size_t find_stage(const char *name)
{
	size_t i = 0;
	while (i < stages_count && strcmp(stages[i]->section.name, name) != 0) {
		i++;
	}
	return i;
}

/* "spf=debug" */
static const char *read_pair(struct arena *arena, const char *text, size_t *stage_r, enum log_level *level_r)
{
	const char *equals = strchr(text, '=');
	if (equals == NULL || !log_level_parse(equals + 1, level_r)) {
		return arena_printf(arena, "\"%s\": expected STAGE=LEVEL, LEVEL one of error, warning, info, debug", text);
	}
	const char *name = arena_memdup(arena, text, (size_t)(equals - text));
	*stage_r = find_stage(name);
	return *stage_r < stages_count ? NULL : arena_printf(arena, "there is no stage \"%s\"", name);
}

static const char *check_pair(struct arena *arena, const char *text)
{
	size_t stage;
	enum log_level level;
	return read_pair(arena, text, &stage, &level);
}

static const struct option_row rows[] = {
    {.name = "format",
     .type = OPTION_WORD,
     .offset = offsetof(struct logging_options, format),
     .fallback = "text",
     .words = forms,
     .help = "of a line; json: each an object, the verdict line with its fields; the journal has fields in any case"},
    {.name = "stages",
     .type = OPTION_STRINGS,
     .offset = offsetof(struct logging_options, stages),
     .fallback = "",
     .help =
         "STAGE=LEVEL: what is logged of a stage, where it is not log_level; debug tells what it does for each message",
     .check = check_pair},
    {.name = "repeats",
     .type = OPTION_UINT,
     .offset = offsetof(struct logging_options, repeats),
     .fallback = "20",
     .min = 0,
     .max = 100000,
     .help = "lines of one kind in ten seconds, verdict lines apart; more are counted, and one line tells how many; 0: "
             "all are written"},
    {.name = NULL},
};

const struct section logging_section = {
    .name = "log",
    .help = "How the log is written. log_target and log_level stand at the top.",
    .options = rows,
    .settings_size = sizeof(struct logging_options),
};

void logging_apply(const struct config *config)
{
	static const char *names[SESSION_MAX_STAGES];
	const struct globals *globals = config_settings(config, SECTION_GLOBALS);
	const struct logging_options *options = config_settings(config, SECTION_LOG);
	struct arena *arena = arena_create(512);
	if (names[0] == NULL) {
		for (size_t i = 0; i < stages_count; i++) {
			names[i] = stages[i]->section.name;
		}
		log_name_stages(names, stages_count);
	}
	log_set_form((enum log_form)options->format);
	log_limit_repeats((unsigned)options->repeats, REPEATS_WINDOW);
	log_set_level((enum log_level)globals->log_level);
	for (size_t i = 0; options->stages[i] != NULL; i++) {
		size_t stage;
		enum log_level level;
		if (read_pair(arena, options->stages[i], &stage, &level) == NULL) {
			log_set_stage_level(stage, level);
		}
	}
	arena_destroy(arena);
}

const char *logging_set_level(const char *stage, const char *level_name, struct arena *arena)
{
	enum log_level level;
	if (!log_level_parse(level_name, &level)) {
		return "expected one of error, warning, info, debug";
	}
	size_t i = stage == NULL ? 0 : find_stage(stage);
	if (i >= stages_count) {
		return arena_printf(arena, "there is no stage \"%s\"", text_escape(arena, slice_from(stage), "\"", false, 64));
	}
	if (stage == NULL) {
		log_set_level(level);
	} else {
		log_set_stage_level(i, level);
	}
	return NULL;
}

const char *logging_levels(struct arena *arena)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	strbuf_printf(&out, "all %s\n", log_level_name(log_get_level()));
	for (size_t i = 0; i < stages_count; i++) {
		if (log_get_stage_level(i) != log_get_level()) {
			strbuf_printf(&out, "%s %s\n", stages[i]->section.name, log_level_name(log_get_stage_level(i)));
		}
	}
	return out.data;
}
