/* The snapshot: made with all defaults, counted, and asked. config_read.c fills in what a file says. */
#include "lib/policy/config.h"

#include "lib/policy/config_private.h"
#include "lib/policy/option_value.h"
#include "lib/policy/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_word mode_words[] = {
    {"off", MODE_OFF}, {"observe", MODE_OBSERVE}, {"tag", MODE_TAG}, {"enforce", MODE_ENFORCE}, {NULL, 0}};

const char *direction_name(enum direction direction)
{
	return direction == DIRECTION_OUTBOUND ? "outbound" : "inbound";
}

struct option_row config_mode_row(const struct section *section)
{
	return (struct option_row){.name = "mode",
	                           .type = OPTION_WORD,
	                           .fallback = stage_mode_name(section->mode),
	                           .words = section->needed ? mode_words + 1 : mode_words,
	                           .help = section->needed
	                                       ? "observe (log and explain, never act), tag (at most tag) or enforce"
	                                       : "off, observe (log and explain, never act), tag (at most tag) or enforce"};
}

/* ---- the snapshot with all defaults ---- */

static size_t codes_count(const struct section *section)
{
	size_t n = 0;
	while (section->codes != NULL && section->codes[n].code != NULL) {
		n++;
	}
	return n;
}

static size_t rows_count(const struct section *section)
{
	size_t n = 0;
	while (section->options != NULL && section->options[n].name != NULL) {
		n++;
	}
	return n;
}

/* A fallback that its own row refuses is a bug. */
static void value_set_default(struct config *config, const struct option_row *row, void *settings,
                              struct config_value *value)
{
	value->count = option_fallback(row, config->arena, &value->texts);
	if (!option_parse(row, config->arena, value->texts, value->count, settings)) {
		fprintf(stderr, "option %s: bad default \"%s\": expected %s\n", row->name, row->fallback,
		        option_expected(row, config->arena));
		abort();
	}
}

static void part_open(struct config *config, struct config_part *part, const struct section *section)
{
	struct arena *arena = config->arena;
	part->section = section;
	part->row_count = rows_count(section);
	part->code_count = codes_count(section);
	part->settings = arena_alloc(arena, section->settings_size);
	part->values = arena_alloc(arena, part->row_count * sizeof *part->values);
	for (size_t i = 0; i < part->row_count; i++) {
		value_set_default(config, &section->options[i], part->settings, &part->values[i]);
	}
	part->mode = section->mode;
	for (int direction = 0; direction < DIRECTION_COUNT; direction++) {
		part->rules[direction] = arena_alloc(arena, part->code_count * sizeof(struct config_rule));
		part->action_lines[direction] = arena_alloc(arena, part->code_count * sizeof(int));
		for (size_t i = 0; i < part->code_count; i++) {
			part->rules[direction][i] = (struct config_rule){
				.action = section->codes[i].fallback,
				.enforced = (section->codes[i].traits & FINDING_ENFORCED) != 0,
			};
		}
	}
}

const char *config_part_finish(struct config *config, struct config_part *part)
{
	return part->section->finish == NULL ? NULL : part->section->finish(part->settings, config->arena);
}

struct config *config_open(const struct section *const *sections, size_t count)
{
	struct arena *arena = arena_create(16384);
	struct config *config = arena_alloc(arena, sizeof *config);
	config->arena = arena;
	atomic_init(&config->references, 1);
	config->count = count;
	config->parts = arena_alloc(arena, count * sizeof *config->parts);
	for (size_t i = 0; i < count; i++) {
		part_open(config, &config->parts[i], sections[i]);
	}
	return config;
}

struct config *config_acquire(struct config *config)
{
	atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
	return config;
}

void config_release(struct config *config)
{
	if (config != NULL && atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel) == 1) {
		arena_destroy(config->arena);
	}
}

/* ---- reading a snapshot ---- */

const void *config_settings(const struct config *config, size_t index)
{
	return config->parts[index].settings;
}

enum stage_mode config_mode(const struct config *config, size_t index)
{
	return config->parts[index].mode;
}

size_t config_section_of(const struct config *config, const struct finding_code *code)
{
	for (size_t i = 0; i < config->count; i++) {
		const struct config_part *part = &config->parts[i];
		if (part->code_count > 0 && code >= part->section->codes && code < part->section->codes + part->code_count) {
			return i;
		}
	}
	abort();
}

const struct finding_code *config_code(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->count; i++) {
		const struct config_part *part = &config->parts[i];
		for (size_t k = 0; k < part->code_count; k++) {
			if (strcmp(part->section->codes[k].code, name) == 0) {
				return &part->section->codes[k];
			}
		}
	}
	return NULL;
}

struct action config_action(const struct config *config, enum direction direction, const struct finding_code *code)
{
	const struct config_part *part = &config->parts[config_section_of(config, code)];
	return part->rules[direction][code - part->section->codes].action;
}

const char *config_path(const struct config *config)
{
	return config->path;
}
