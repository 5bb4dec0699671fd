#include "ctl/key.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stage_sign.h"
#include "lib/pipeline/stages.h"
#include "lib/auth/dkim_sign.h"
#include "lib/policy/globals.h"

#include <jansson.h>
#include <time.h>

enum { RSA_BITS_GOOD = 2048 };

/* A row of the list. */
struct row {
	const struct keystore_key *item;
	const char *problem;   /* NULL: none */
	const char *published; /* NULL: not asked */
	bool is_published;
};

static void put(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

static json_t *json_row(const struct key_command *command, const struct row *row)
{
	const struct keystore_key *item = row->item;
	json_t *object = json_object();
	put(object, "domain", json_string(item->name.domain));
	put(object, "selector", json_string(item->name.selector));
	put(object, "state", json_string(key_state_name(item->name.state)));
	put(object, "algorithm",
	    item->key == NULL ? json_null() : json_string(dkim_algorithm_name(dkim_private_key_algorithm(item->key))));
	put(object, "bits", item->key == NULL ? json_null() : json_integer(dkim_private_key_bits(item->key)));
	put(object, "since", json_integer((json_int_t)item->since));
	put(object, "file", json_string(arena_printf(command->arena, "%s/%s", command->folder.path, item->file)));
	put(object, "published", row->published == NULL ? json_null() : json_boolean(row->is_published));
	put(object, "dns", row->published == NULL ? json_null() : json_string(row->published));
	put(object, "problem", row->problem == NULL ? json_null() : json_string(row->problem));
	return object;
}

static const char *key_text(const struct keystore_key *item, struct arena *arena)
{
	if (item->key == NULL) {
		return "unusable";
	}
	return dkim_private_key_algorithm(item->key) == DKIM_RSA_SHA256
	           ? arena_printf(arena, "rsa %u", dkim_private_key_bits(item->key))
	           : "ed25519";
}

static void print_row(const struct key_command *command, const struct row *row)
{
	char since[32];
	time_t time = (time_t)row->item->since;
	struct tm date;
	strftime(since, sizeof since, "%Y-%m-%d", gmtime_r(&time, &date));
	printf("%-24s %-12s %-8s %-9s %s%s%s\n", row->item->name.domain, row->item->name.selector,
	       key_state_name(row->item->name.state), key_text(row->item, command->arena), since,
	       row->published == NULL ? "" : "  ", row->published == NULL ? "" : row->published);
	if (row->problem != NULL) {
		printf("    %s\n", row->problem);
	}
}

/* Fills a row; false when what it shows is not as it must be. */
static bool row_make(struct key_command *command, key_asker *ask, struct row *row)
{
	const struct keystore_key *item = row->item;
	struct key_publication publication;
	row->problem = item->problem;
	if (row->problem == NULL) {
		row->problem = key_unreadable(item, command->folder.user, command->folder.group, command->arena);
	}
	if (command->check && item->key != NULL && ask(command, item, &publication)) {
		row->published = publication.text;
		row->is_published = publication.published;
	}
	bool good = row->problem == NULL && (!command->check || row->is_published);
	return good || item->name.state != KEY_ACTIVE;
}

bool key_list(struct key_command *command, key_asker *ask)
{
	size_t count;
	bool good = true;
	const struct keystore_key *items =
	    command->domain != NULL ? keys_of(command->keys, command->domain, &count) : keys_all(command->keys, &count);
	json_t *array = json_array();
	for (const char *const *stranger = keys_strangers(command->keys); *stranger != NULL; stranger++) {
		fprintf(stderr, "mailreeve key: %s\n", *stranger);
	}
	if (!command->json) {
		printf(count == 0 ? "no keys\n" : "%-24s %-12s %-8s %-9s %-10s%s\n", "domain", "selector", "state", "key",
		       "since", command->check ? "  in the DNS" : "");
	}
	for (size_t i = 0; i < count; i++) {
		struct row row = {.item = &items[i]};
		good = row_make(command, ask, &row) && good;
		if (command->json) {
			json_array_append_new(array, json_row(command, &row));
		} else {
			print_row(command, &row);
		}
	}
	if (command->json) {
		json_dumpf(array, stdout, JSON_INDENT(1));
		putchar('\n');
	}
	json_decref(array);
	return good;
}

/* ---- config check ---- */

static bool has_active(const struct keys *keys, const char *domain)
{
	size_t count;
	const struct keystore_key *items = keys_of(keys, domain, &count);
	for (size_t i = 0; i < count; i++) {
		if (items[i].name.state == KEY_ACTIVE) {
			return true;
		}
	}
	return false;
}

static void warn_key(const struct keys *keys, const struct keystore_key *item, uid_t user, gid_t group,
                     struct arena *arena)
{
	const char *problem = item->problem != NULL ? item->problem : key_unreadable(item, user, group, arena);
	if (problem != NULL) {
		printf("warning: sign.keys_dir: %s%s\n", problem,
		       item->name.state == KEY_ACTIVE ? "; mail of the domain is put off (sign.failed)" : "");
	} else if (dkim_private_key_algorithm(item->key) == DKIM_RSA_SHA256 && item->name.state != KEY_RETIRED &&
	           dkim_private_key_bits(item->key) < RSA_BITS_GOOD) {
		printf("warning: sign.keys_dir: %s: an RSA key of %u bits; %d are asked for today\n", item->file,
		       dkim_private_key_bits(item->key), RSA_BITS_GOOD);
	}
	if (item->name.state == KEY_NEW && !has_active(keys, item->name.domain)) {
		printf("warning: sign.keys_dir: %s has no active key: its mail is not signed; publish %s and run mailreeve key "
		       "activate %s\n",
		       item->name.domain, item->name.selector, item->name.domain);
	}
}

static void warn_fields(const char *option, const char *const *fields)
{
	for (; *fields != NULL; fields++) {
		if (dkim_sign_excluded(*fields)) {
			printf("warning: %s: %s is never signed: it changes on the way\n", option, *fields);
		}
	}
}

void key_warn(const struct config *config)
{
	const struct sign_settings *sign = config_settings(config, stages_section(&stage_sign));
	struct arena *arena = arena_create(4096);
	gid_t group;
	uid_t user = globals_user(config_settings(config, SECTION_GLOBALS), &group);
	struct keys *keys = keys_load(sign->keys_dir, user, NULL);
	size_t count;
	const struct keystore_key *items = keys_all(keys, &count);
	if (keys_problem(keys) != NULL) {
		printf("warning: sign.keys_dir: %s: outbound mail is put off (sign.failed)\n", keys_problem(keys));
	}
	for (const char *const *stranger = keys_strangers(keys); *stranger != NULL; stranger++) {
		printf("warning: sign.keys_dir: %s\n", *stranger);
	}
	for (size_t i = 0; i < count; i++) {
		warn_key(keys, &items[i], user, group, arena);
	}
	warn_fields("sign.headers", sign->headers);
	warn_fields("sign.oversign", sign->oversign);
	keys_release(keys);
	arena_destroy(arena);
}
