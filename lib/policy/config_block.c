/* Blocks for some recipients: domain "example.org" { } and recipient "bob@example.org" { }. */
#include "lib/base/slice.h"
#include "lib/mail/domain.h"
#include "lib/policy/config_private.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE = 1100 }; /* of an address; one that is longer has no block */

const char *const config_block_names[BLOCK_KINDS] = {[BLOCK_DOMAIN] = "domain", [BLOCK_USER] = "recipient"};
const char *const config_block_score_names[BLOCK_SCORES] = {[BLOCK_SCORE_TAG] = "score_tag",
                                                            [BLOCK_SCORE_QUARANTINE] = "score_quarantine",
                                                            [BLOCK_SCORE_REJECT] = "score_reject"};

static const struct option_word frequencies[] = {{"off", 0}, {"daily", 1}, {"weekly", 2}, {NULL, 0}};
const struct option_row config_block_texts[BLOCK_TEXTS] = {
    [CONFIG_DIGEST] = {.name = "digest", .type = OPTION_WORD, .fallback = "off", .words = frequencies},
    [CONFIG_DIGEST_LANGUAGE] = {.name = "digest_language", .type = OPTION_STRING, .fallback = "en", .min = 2, .max = 16},
};

/* ---- reading ---- */

struct config_block *config_block_open(struct config *config, enum block_kind kind, const char *title, int line)
{
	struct config_blocks *blocks = &config->blocks[kind];
	if (blocks->count > 0 && strcmp(blocks->items[blocks->count - 1].title, title) == 0) {
		return &blocks->items[blocks->count - 1];
	}
	blocks->items = arena_grow(config->arena, blocks->items, sizeof *blocks->items, blocks->count, &blocks->capacity);
	struct config_block *block = &blocks->items[blocks->count++];
	*block = (struct config_block){.title = arena_strdup(config->arena, title), .name = "", .line = line};
	return block;
}

void config_block_add(struct config *config, struct config_block *block, const struct finding_code *code,
                      struct config_rule rule)
{
	block->rules = arena_grow(config->arena, block->rules, sizeof *block->rules, block->count, &block->capacity);
	block->rules[block->count++] = (struct block_rule){code, rule};
}

static const char *domain_name(struct arena *arena, const char *title)
{
	const char *domain = domain_canonical(arena, slice_from(title + (title[0] == '.')));
	return domain == NULL || title[0] != '.' ? domain : arena_printf(arena, ".%s", domain);
}

static char *lower(struct arena *arena, struct slice text)
{
	char *copy = arena_memdup(arena, text.data, text.len);
	for (size_t i = 0; i < text.len; i++) {
		copy[i] = ascii_lower(copy[i]);
	}
	return copy;
}

static const char *user_name(struct arena *arena, const char *title)
{
	struct address address;
	if (!address_parse_path(arena, title, &address) || address.local[0] == '\0' || address.domain[0] == '\0') {
		return NULL;
	}
	return arena_printf(arena, "%s@%s", lower(arena, slice_from(address.local)), address.domain);
}

const char *config_block_name(struct config *config, enum block_kind kind, struct config_block *block)
{
	const char *name =
	    kind == BLOCK_DOMAIN ? domain_name(config->arena, block->title) : user_name(config->arena, block->title);
	if (name == NULL || strlen(name) >= NAME_SIZE) {
		return kind == BLOCK_DOMAIN ? "a domain name such as \"example.org\", or \".example.org\" for all below it"
		                            : "an address such as \"bob@example.org\"";
	}
	block->name = name;
	return NULL;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct config_block *)a)->name, ((const struct config_block *)b)->name);
}

const struct config_block *config_blocks_close(struct config_blocks *blocks)
{
	if (blocks->count == 0) {
		return NULL;
	}
	qsort(blocks->items, blocks->count, sizeof *blocks->items, compare);
	for (size_t i = 1; i < blocks->count; i++) {
		if (compare(&blocks->items[i - 1], &blocks->items[i]) == 0) {
			return blocks->items[i - 1].line > blocks->items[i].line ? &blocks->items[i - 1] : &blocks->items[i];
		}
	}
	return NULL;
}

/* ---- asking ---- */

static const struct config_block *block_find(const struct config_blocks *blocks, const char *name)
{
	struct config_block key = {.name = name};
	return blocks->count == 0 ? NULL : bsearch(&key, blocks->items, blocks->count, sizeof key, compare);
}

/* The domain itself, else the nearest that takes all below it. */
static const struct config_block *domain_find(const struct config_blocks *blocks, const char *domain)
{
	const struct config_block *block = blocks->count == 0 ? NULL : block_find(blocks, domain);
	for (const char *dot = domain; blocks->count > 0 && block == NULL && (dot = strchr(dot, '.')) != NULL; dot++) {
		block = block_find(blocks, dot);
	}
	return block;
}

static const struct config_block *user_find_local(const struct config_blocks *blocks, struct slice local,
                                                  const char *domain)
{
	char name[NAME_SIZE];
	size_t length = strlen(domain);
	if (local.len + 1 + length >= sizeof name) {
		return NULL;
	}
	for (size_t i = 0; i < local.len; i++) {
		name[i] = ascii_lower(local.data[i]);
	}
	name[local.len] = '@';
	memcpy(name + local.len + 1, domain, length + 1);
	return block_find(blocks, name);
}

static const struct config_block *user_find(const struct config_blocks *blocks, const struct address *address,
                                            const char *delimiter)
{
	if (blocks->count == 0) {
		return NULL;
	}
	const struct config_block *block = user_find_local(blocks, slice_from(address->local), address->domain);
	size_t plain = strcspn(address->local, delimiter);
	if (block == NULL && plain > 0 && address->local[plain] != '\0') {
		block = user_find_local(blocks, (struct slice){address->local, plain}, address->domain);
	}
	return block;
}

struct config_scope config_scope(const struct config *config, const struct address *address, const char *delimiter)
{
	return (struct config_scope){.domain = domain_find(&config->blocks[BLOCK_DOMAIN], address->domain),
	                             .user = user_find(&config->blocks[BLOCK_USER], address, delimiter)};
}

static const struct config_rule *block_rule(const struct config_block *block, const struct finding_code *code)
{
	for (size_t i = 0; block != NULL && i < block->count; i++) {
		if (block->rules[i].code == code) {
			return &block->rules[i].rule;
		}
	}
	return NULL;
}

struct config_rule config_rule(const struct config *config, enum direction direction, const struct finding_code *code,
                               const struct config_scope *scope)
{
	const struct config_part *part = &config->parts[config_section_of(config, code)];
	const struct config_rule *global = &part->rules[direction][code - part->section->codes];
	if (global->enforced || scope == NULL) {
		return *global;
	}
	const struct config_rule *domain = block_rule(scope->domain, code);
	const struct config_rule *user = block_rule(scope->user, code);
	if (domain != NULL && (domain->enforced || user == NULL)) {
		return *domain;
	}
	return user != NULL ? *user : *global;
}

static double block_score(const struct config_scope *scope, enum block_score which, double otherwise)
{
	if (scope->user != NULL && scope->user->has_score[which]) {
		return scope->user->scores[which];
	}
	return scope->domain != NULL && scope->domain->has_score[which] ? scope->domain->scores[which] : otherwise;
}

struct scores config_scores(const struct config_scope *scope, const struct scores *section)
{
	return (struct scores){.tag = block_score(scope, BLOCK_SCORE_TAG, section->tag),
	                       .quarantine = block_score(scope, BLOCK_SCORE_QUARANTINE, section->quarantine),
	                       .reject = block_score(scope, BLOCK_SCORE_REJECT, section->reject)};
}

const char *config_scope_text(const struct config_scope *scope, enum config_text which)
{
	const char *user = scope->user == NULL ? NULL : scope->user->texts[which];
	return user != NULL || scope->domain == NULL ? user : scope->domain->texts[which];
}
