/* Definitions: texts of an operator, with one error at a time. */
#include "lib/dnsbl/dnsbl.h"

#include "lib/dns/name.h"
#include "lib/dnsbl/key.h"
#include "lib/mail/domain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SCORE_MAX = 1000 };

static const char *const kinds[] = {[DNSBL_CLIENT] = "client", [DNSBL_ALLOW] = "allow", [DNSBL_DOMAIN] = "domain"};
static const char *const places[] = {
    [DNSBL_FROM] = "from",         [DNSBL_SENDER] = "sender", [DNSBL_HELO] = "helo", [DNSBL_PTR] = "ptr",
    [DNSBL_REPLY_TO] = "reply_to", [DNSBL_DKIM] = "dkim",     [DNSBL_URL] = "url"};
static const char *const names[] = {
    [DNSBL_NAMES_DOMAIN] = "domain", [DNSBL_NAMES_HOST] = "host", [DNSBL_NAMES_BOTH] = "both"};

const char *dnsbl_kind_name(enum dnsbl_kind kind)
{
	return kinds[kind];
}

const char *dnsbl_place_name(enum dnsbl_place place)
{
	return places[place];
}

/* What is being read. Problems are texts in the arena. */
struct definition {
	struct arena *arena;
	struct dnsbl_list *list;
	const char *zone, *keyed; /* with %k in place of the key */
	struct dnsbl_code *codes;
	bool url_given, txt_given;
};

static int word_of(const char *const *words, size_t count, struct slice word)
{
	for (size_t i = 0; i < count; i++) {
		if (slice_equal(slice_from(words[i]), word)) {
			return (int)i;
		}
	}
	return -1;
}

static const char *wrong(struct arena *arena, const char *what, struct slice value, const char *expected)
{
	return arena_printf(arena, "%s \"%.*s\"; expected %s", what, SLICE_ARGS(value), expected);
}

/* ---- actions ---- */

static bool score_read(struct slice text, double *score_r)
{
	char digits[16];
	if (text.len == 0 || text.len >= sizeof digits) {
		return false;
	}
	memcpy(digits, text.data, text.len);
	digits[text.len] = '\0';
	const char *start = digits + (digits[0] == '-' || digits[0] == '+');
	char *end;
	*score_r = strtod(digits, &end);
	return ascii_is_digit(*start) && strspn(start, "0123456789.") == strlen(start) && *end == '\0' &&
	       fabs(*score_r) <= SCORE_MAX;
}

/* "reject", "score=2", "skip", "lift". */
static bool action_read(struct slice text, struct dnsbl_action *action_r)
{
	static const struct {
		const char *word;
		enum action_kind kind;
	} kinds_of[] = {{"ignore", ACTION_IGNORE},     {"tag", ACTION_TAG},         {"quarantine", ACTION_QUARANTINE},
	                {"tempfail", ACTION_TEMPFAIL}, {"discard", ACTION_DISCARD}, {"reject", ACTION_REJECT}};
	*action_r = (struct dnsbl_action){.given = true, .action = {ACTION_IGNORE, 0}};
	for (size_t i = 0; i < sizeof kinds_of / sizeof *kinds_of; i++) {
		if (slice_equal(text, slice_from(kinds_of[i].word))) {
			action_r->action.kind = kinds_of[i].kind;
			return true;
		}
	}
	action_r->skip = slice_equal(text, SLICE_LITERAL("skip"));
	action_r->lift = slice_equal(text, SLICE_LITERAL("lift"));
	if (action_r->skip || action_r->lift) {
		return true;
	}
	action_r->action.kind = ACTION_SCORE;
	size_t n = strlen("score=");
	return slice_starts_nocase(text, SLICE_LITERAL("score=")) &&
	       score_read((struct slice){text.data + n, text.len - n}, &action_r->action.score);
}

static const char action_words[] = "reject, tempfail, quarantine, tag, discard, ignore or score=N";

/* ---- codes ---- */

static bool number_read(struct slice text, uint8_t *value_r)
{
	unsigned long long value;
	bool good = slice_to_uint(text, 255, &value);
	*value_r = good ? (uint8_t)value : 0;
	return good;
}

/* "2", "2-11", "*", "&8". */
static bool octet_read(struct slice text, struct dnsbl_octet *octet_r)
{
	*octet_r = (struct dnsbl_octet){0, 255, 0};
	if (text.len == 1 && text.data[0] == '*') {
		return true;
	}
	if (text.len > 1 && text.data[0] == '&') {
		return number_read((struct slice){text.data + 1, text.len - 1}, &octet_r->bits) && octet_r->bits != 0;
	}
	size_t dash = slice_find(text, '-', 0);
	bool good = number_read((struct slice){text.data, dash}, &octet_r->low);
	octet_r->high = octet_r->low;
	if (good && dash < text.len) {
		good = number_read((struct slice){text.data + dash + 1, text.len - dash - 1}, &octet_r->high);
	}
	return good && octet_r->low <= octet_r->high;
}

static bool network_read(struct arena *arena, struct slice text, struct dnsbl_octet *octets_r)
{
	struct ip_network network;
	if (!ip_network_parse(slice_dup(arena, text), &network) || network.address.family != IP_V4) {
		return false;
	}
	for (unsigned i = 0; i < 4; i++) {
		unsigned bits = network.prefix <= i * 8 ? 0 : network.prefix - i * 8 > 8 ? 8 : network.prefix - i * 8;
		octets_r[i] =
		    (struct dnsbl_octet){network.address.bytes[i], (uint8_t)(network.address.bytes[i] | 0xffU >> bits), 0};
	}
	return true;
}

/* Within 127.0.0.0/8, and not the error codes alone. */
static bool pattern_read(struct arena *arena, struct slice text, struct dnsbl_octet *octets_r)
{
	struct slice piece;
	size_t n = 0;
	if (slice_find(text, '/', 0) < text.len) {
		n = network_read(arena, text, octets_r) ? 4 : 0;
	} else {
		while (slice_split(&text, '.', &piece)) {
			if (n == 4 || !octet_read(piece, &octets_r[n])) {
				return false;
			}
			n++;
		}
	}
	return n == 4 && octets_r[0].low == 127 && octets_r[0].high == 127 && octets_r[0].bits == 0 &&
	       !(octets_r[1].low == 255 && octets_r[2].low == 255);
}

static const char *code_adjust(struct definition *definition, struct slice name, const struct dnsbl_action *action)
{
	bool found = false;
	for (size_t i = 0; i < definition->list->code_count; i++) {
		if (slice_equal_nocase(slice_from(definition->codes[i].name), name)) {
			definition->codes[i].action = *action;
			found = true;
		}
	}
	return found && action->given
	           ? NULL
	           : wrong(definition->arena, "codes:", name,
	                   "PATTERN[:NAME[:ACTION]] with a PATTERN such as 127.0.0.2, 127.0.0.2-11, 127.0.*.3, "
	                   "127.0.0.&8 or 127.0.0.0/24, or a code's NAME:ACTION");
}

/* "127.0.0.2:SBL:reject", or, of a code that is there, "SBL:reject". The first pattern replaces those of a ready list.
 */
static const char *code_read(struct definition *definition, struct slice text, bool *fresh)
{
	struct slice first, name = {"", 0}, action_text = {NULL, 0};
	struct dnsbl_action action = {.given = false};
	struct dnsbl_octet octets[4];
	slice_split(&text, ':', &first);
	bool pattern = pattern_read(definition->arena, first, octets);
	if (pattern && text.data != NULL) {
		slice_split(&text, ':', &name);
	}
	action_text = text;
	if (action_text.data != NULL && !action_read(action_text, &action)) {
		return wrong(definition->arena, "codes: action", action_text,
		             arena_printf(definition->arena, "%s, skip or lift", action_words));
	}
	if (!pattern) {
		return code_adjust(definition, first, &action);
	}
	if (*fresh) {
		definition->list->code_count = 0;
		*fresh = false;
	}
	if (definition->list->code_count == DNSBL_CODES_MAX) {
		return "codes: too many";
	}
	struct dnsbl_code *code = &definition->codes[definition->list->code_count++];
	*code = (struct dnsbl_code){.name = slice_dup(definition->arena, name), .action = action};
	memcpy(code->octets, octets, sizeof octets);
	return NULL;
}

static const char *set_codes(struct definition *definition, struct slice value)
{
	struct slice item;
	bool fresh = true;
	while (slice_split(&value, ',', &item)) {
		const char *problem = code_read(definition, item, &fresh);
		if (problem != NULL) {
			return problem;
		}
	}
	return NULL;
}

/* ---- the other words ---- */

static const char *set_kind(struct definition *definition, struct slice value)
{
	int kind = word_of(kinds, 3, value);
	definition->list->kind = kind < 0 ? DNSBL_CLIENT : (enum dnsbl_kind)kind;
	return kind < 0 ? wrong(definition->arena, "kind", value, "client, allow or domain") : NULL;
}

static const char *set_zone(struct definition *definition, struct slice value)
{
	definition->zone = slice_dup_lower(definition->arena, value);
	definition->keyed = NULL;
	return NULL;
}

static const char *set_keyed(struct definition *definition, struct slice value)
{
	definition->keyed = slice_dup_lower(definition->arena, value);
	return NULL;
}

static const char *set_key(struct definition *definition, struct slice value)
{
	definition->list->key = slice_dup(definition->arena, value);
	return dnsbl_key_is_good(value) ? NULL : "key: expected letters, digits and hyphens, at most 63";
}

static const char *set_key_file(struct definition *definition, struct slice value)
{
	const char *path = slice_dup(definition->arena, value);
	const char *problem = NULL;
	definition->list->key = dnsbl_key_read(path, definition->arena, &problem);
	return problem;
}

static const char *set_name(struct definition *definition, struct slice value)
{
	definition->list->name = slice_dup(definition->arena, value);
	for (size_t i = 0; i < value.len; i++) {
		if (!ascii_is_alpha(value.data[i]) && !ascii_is_digit(value.data[i]) && strchr("-_.", value.data[i]) == NULL) {
			return wrong(definition->arena, "name", value, "letters, digits, \"-\", \"_\" and \".\"");
		}
	}
	return value.len > 0 && value.len <= DNSBL_NAME_MAX ? NULL : "name: expected 1 to 63 letters";
}

static const char *set_action(struct definition *definition, struct slice value)
{
	struct dnsbl_action *action = &definition->list->action;
	bool good = action_read(value, action) && !action->skip;
	return good ? NULL : wrong(definition->arena, "action", value, action_words);
}

static const char *set_on(struct definition *definition, struct slice value)
{
	struct slice word;
	definition->list->places = 0;
	while (slice_split(&value, ',', &word)) {
		int place = word_of(places, DNSBL_PLACE_COUNT, word);
		if (place < 0) {
			return wrong(definition->arena, "on", word,
			             "from, sender, helo, ptr, reply_to, dkim or url, with commas between");
		}
		definition->list->places |= 1U << place;
	}
	return NULL;
}

static const char *set_names(struct definition *definition, struct slice value)
{
	int which = word_of(names, 3, value);
	definition->list->names = which < 0 ? DNSBL_NAMES_DOMAIN : (enum dnsbl_names)which;
	return which < 0 ? wrong(definition->arena, "names", value, "domain, host or both") : NULL;
}

static const char *yes_no(struct definition *definition, const char *word, struct slice value, bool *yes_r)
{
	*yes_r = slice_equal(value, SLICE_LITERAL("yes"));
	return *yes_r || slice_equal(value, SLICE_LITERAL("no")) ? NULL
	                                                         : wrong(definition->arena, word, value, "yes or no");
}

static const char *set_addresses(struct definition *definition, struct slice value)
{
	return yes_no(definition, "addresses", value, &definition->list->addresses);
}

static const char *set_txt(struct definition *definition, struct slice value)
{
	definition->txt_given = true;
	return yes_no(definition, "txt", value, &definition->list->txt);
}

static const char *set_ip(struct definition *definition, struct slice value)
{
	bool both = slice_equal(value, SLICE_LITERAL("both"));
	definition->list->ipv4 = both || slice_equal(value, SLICE_LITERAL("4"));
	definition->list->ipv6 = both || slice_equal(value, SLICE_LITERAL("6"));
	return definition->list->ipv4 || definition->list->ipv6 ? NULL
	                                                        : wrong(definition->arena, "ip", value, "4, 6 or both");
}

static const char *set_test(struct definition *definition, struct slice value)
{
	struct slice listed, unlisted = {NULL, 0};
	char normal[DNS_MAX_NAME_TEXT];
	slice_split(&value, ',', &listed);
	bool good = value.data != NULL && slice_split(&value, ',', &unlisted) && value.data == NULL &&
	            dns_name_normalise(listed, normal) && dns_name_normalise(unlisted, normal);
	if (!good) {
		return "test: expected LISTED,UNLISTED: the names in the zone, or the reversed addresses, of an entry that is "
		       "always "
		       "listed and one that never is";
	}
	definition->list->test_listed = slice_dup(definition->arena, listed);
	definition->list->test_unlisted = slice_dup(definition->arena, unlisted);
	return NULL;
}

static const char *set_url(struct definition *definition, struct slice value)
{
	const char *url = definition->list->url = slice_dup(definition->arena, value);
	const char *percent = strchr(url, '%');
	bool good = slice_is_ascii(value) && (percent == NULL || (percent[1] == 's' && strchr(percent + 1, '%') == NULL));
	return good ? NULL : wrong(definition->arena, "url", value, "an address with %s for what is listed, once");
}

struct word {
	const char *name;
	const char *(*set)(struct definition *definition, struct slice value);
};

static const struct word words[] = {
    {"kind", set_kind},
    {"zone", set_zone},
    {"keyed", set_keyed},
    {"key", set_key},
    {"key_file", set_key_file},
    {"name", set_name},
    {"codes", set_codes},
    {"action", set_action},
    {"on", set_on},
    {"names", set_names},
    {"addresses", set_addresses},
    {"ip", set_ip},
    {"test", set_test},
    {"url", set_url},
    {"txt", set_txt},
};

static const char *word_read(struct definition *definition, struct slice word)
{
	size_t equals = slice_find(word, '=', 0);
	struct slice name = {word.data, equals};
	if (equals == word.len || slice_equal(name, SLICE_LITERAL("score"))) {
		return set_action(definition, word);
	}
	struct slice value = {word.data + equals + 1, word.len - equals - 1};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (slice_equal(name, slice_from(words[i].name))) {
			return value.len == 0 ? arena_printf(definition->arena, "%s: empty", words[i].name)
			                      : words[i].set(definition, value);
		}
	}
	return wrong(definition->arena, "word", name,
	             "kind, zone, key, key_file, name, codes, action, score, on, names, addresses, ip, test, url or txt");
}

static const char *words_read(struct definition *definition, struct slice text)
{
	struct slice word;
	const char *problem = NULL;
	while (problem == NULL && slice_split(&text, ' ', &word)) {
		word = slice_trim(word);
		problem = word.len == 0 ? NULL : word_read(definition, word);
	}
	return problem;
}

/* ---- the whole ---- */

static const struct dnsbl_known *known_find(struct slice name)
{
	for (const struct dnsbl_known *known = dnsbl_known; known->name != NULL; known++) {
		if (slice_equal_nocase(slice_from(known->name), name)) {
			return known;
		}
	}
	return NULL;
}

/* The zone with the key in it, and what people may see of it. */
static const char *zone_finish(struct definition *definition)
{
	struct dnsbl_list *list = definition->list;
	struct arena *arena = definition->arena;
	char normal[DNS_MAX_NAME_TEXT];
	const char *zone = list->key != NULL && definition->keyed != NULL ? definition->keyed : definition->zone;
	const char *place = strstr(zone, "%k");
	if ((place != NULL) != (list->key != NULL)) {
		return place != NULL ? arena_printf(arena, "%s: a key is needed: key_file=PATH or key=KEY", list->name)
		                     : arena_printf(arena, "%s: there is a key, and no %%k in the zone to put it", list->name);
	}
	list->zone = list->public_zone = zone;
	if (place != NULL) {
		list->zone = arena_printf(arena, "%.*s%s%s", (int)(place - zone), zone, list->key, place + 2);
		list->public_zone = arena_printf(arena, "%.*s***%s", (int)(place - zone), zone, place + 2);
	}
	size_t n = strlen(list->zone);
	return n > DNSBL_ZONE_MAX || strchr(list->zone, '.') == NULL || !dns_name_normalise(slice_from(list->zone), normal)
	           ? wrong(arena, "zone", slice_from(list->public_zone), "the name of a zone")
	           : NULL;
}

static bool any_lift(const struct dnsbl_list *list)
{
	bool lift = list->action.lift;
	for (size_t i = 0; i < list->code_count; i++) {
		lift = lift || list->codes[i].action.lift;
	}
	return lift;
}

static const char *list_finish(struct definition *definition)
{
	struct dnsbl_list *list = definition->list;
	bool domains = list->kind == DNSBL_DOMAIN;
	const char *problem = zone_finish(definition);
	if (problem != NULL) {
		return problem;
	}
	if (list->code_count == 0) {
		return arena_printf(definition->arena,
		                    "%s: codes=... is needed: which answers mean \"listed\"; for most lists 127.0.0.2",
		                    list->name);
	}
	if (list->kind != DNSBL_ALLOW && any_lift(list)) {
		return "lift: only a list of kind=allow can";
	}
	if (!domains && (list->places != 0 || list->addresses)) {
		return "on and addresses: only a list of kind=domain has them";
	}
	if (list->kind == DNSBL_ALLOW && !list->action.given) {
		list->action = (struct dnsbl_action){.given = true, .lift = true, .action = {ACTION_IGNORE, 0}};
	}
	if (domains && list->places == 0) {
		list->places = ((1U << DNSBL_PLACE_COUNT) - 1) & ~(1U << DNSBL_DKIM);
	}
	list->txt = definition->txt_given ? list->txt : list->url[0] == '\0' && list->kind != DNSBL_ALLOW;
	return NULL;
}

const char *dnsbl_list_parse(struct arena *arena, const char *text, struct dnsbl_list *list_r)
{
	struct slice rest = slice_trim(slice_from(text));
	struct slice first;
	struct definition definition = {.arena = arena, .list = list_r};
	*list_r = (struct dnsbl_list){.kind = DNSBL_CLIENT, .ipv4 = true, .ipv6 = true, .url = ""};
	definition.codes = arena_alloc(arena, DNSBL_CODES_MAX * sizeof *definition.codes);
	list_r->codes = definition.codes;
	slice_split(&rest, ' ', &first);
	const struct dnsbl_known *known = known_find(first);
	const char *problem = set_name(&definition, first);
	if (known != NULL) {
		list_r->name = known->name;
		problem = words_read(&definition, slice_from(known->words));
	} else {
		definition.zone = slice_dup_lower(arena, first);
		if (problem != NULL || slice_find(first, '.', 0) == first.len) {
			return wrong(arena, "list", first, "the name of a ready list (mailreeve dnsbl known) or of a zone");
		}
	}
	if (problem == NULL && rest.data != NULL) {
		problem = words_read(&definition, rest);
	}
	return problem != NULL ? problem : list_finish(&definition);
}

/* ---- rules ---- */

/* "3 of a b c: reject" -> 3, " a b c", the action. */
static const char *rule_read(struct arena *arena, const char *text, struct dnsbl_rule *rule_r, struct slice *members_r)
{
	static const char expected[] = "\"N of NAME NAME...: ACTION\" or \"N of any: ACTION\"";
	struct slice rest = slice_trim(slice_from(text));
	struct slice head, number, of;
	unsigned long long least;
	*rule_r = (struct dnsbl_rule){.text = arena_strdup(arena, text)};
	slice_split(&rest, ':', &head);
	if (rest.data != NULL) {
		struct slice action = slice_trim(rest);
		if (!action_read(action, &rule_r->action) || rule_r->action.skip || rule_r->action.lift) {
			return wrong(arena, "action", action, action_words);
		}
	}
	bool good = slice_split(&head, ' ', &number) && slice_to_uint(number, DNSBL_LISTS_MAX, &least) && least > 0 &&
	            head.data != NULL && slice_split(&head, ' ', &of) && slice_equal(of, SLICE_LITERAL("of")) &&
	            head.data != NULL;
	if (!good) {
		return wrong(arena, "rule", slice_from(text), expected);
	}
	rule_r->least = (unsigned)least;
	*members_r = head;
	return NULL;
}

const char *dnsbl_rule_check(struct arena *arena, const char *text)
{
	struct dnsbl_rule rule;
	struct slice members;
	return rule_read(arena, text, &rule, &members);
}

static const char *rule_members(struct arena *arena, const struct dnsbl_lists *lists, struct slice members,
                                struct dnsbl_rule *rule)
{
	struct slice name;
	while (slice_split(&members, ' ', &name)) {
		bool any = slice_equal(name, SLICE_LITERAL("any"));
		bool found = name.len == 0;
		for (size_t i = 0; i < lists->count; i++) {
			bool same = slice_equal_nocase(slice_from(lists->items[i].name), name);
			if ((any || same) && lists->items[i].kind != DNSBL_ALLOW) {
				rule->members |= UINT64_C(1) << i;
				found = true;
			}
		}
		if (!found) {
			return wrong(arena, "rules:", name, "the name of a list in dnsbl.lists that is no allow list, or any");
		}
	}
	unsigned count = (unsigned)__builtin_popcountll(rule->members);
	return rule->least <= count
	           ? NULL
	           : arena_printf(arena, "rules: \"%s\" asks for %u of %u lists", rule->text, rule->least, count);
}

static const char *rules_parse(struct arena *arena, const char *const *texts, struct dnsbl_lists *lists)
{
	struct dnsbl_rule *rules = arena_alloc(arena, DNSBL_RULES_MAX * sizeof *rules);
	const char *problem = NULL;
	lists->rules = rules;
	for (; problem == NULL && *texts != NULL; texts++) {
		struct slice members;
		if (lists->rule_count == DNSBL_RULES_MAX) {
			return arena_printf(arena, "rules: more than %d", DNSBL_RULES_MAX);
		}
		struct dnsbl_rule *rule = &rules[lists->rule_count++];
		problem = rule_read(arena, *texts, rule, &members);
		problem = problem == NULL ? rule_members(arena, lists, members, rule) : problem;
	}
	return problem;
}

const char *dnsbl_lists_parse(struct arena *arena, const char *const *texts, const char *const *rules,
                              struct dnsbl_lists *lists_r)
{
	struct dnsbl_list *items = arena_alloc(arena, DNSBL_LISTS_MAX * sizeof *items);
	*lists_r = (struct dnsbl_lists){.items = items};
	for (; *texts != NULL; texts++) {
		if (lists_r->count == DNSBL_LISTS_MAX) {
			return arena_printf(arena, "lists: more than %d", DNSBL_LISTS_MAX);
		}
		struct dnsbl_list *list = &items[lists_r->count++];
		const char *problem = dnsbl_list_parse(arena, *texts, list);
		if (problem != NULL) {
			return problem;
		}
		for (const struct dnsbl_list *other = items; other < list; other++) {
			if (slice_equal_nocase(slice_from(other->name), slice_from(list->name))) {
				return arena_printf(arena, "lists: \"%s\" is there twice; give one of them another name=", list->name);
			}
		}
	}
	return rules_parse(arena, rules, lists_r);
}
