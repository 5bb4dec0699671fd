/* A report's content: from rows of the history and the quarantine to texts. */
#include "lib/report/digest.h"

#include "lib/base/clock.h"
#include "lib/mail/domain.h"
#include "lib/report/local_time.h"
#include "lib/report/mustache.h"
#include "lib/report/templates.h"
#include "lib/report/user_mail.h"
#include "lib/store/quarantine.h"

#include <jansson.h>

enum {
	ROWS_MAX = 2000, /* of the history, before equal ones are one entry */
	ADDRESS_MAX = 120,
	SUBJECT_MAX = 160,
	REASONS_MAX = 3,
	DAY = 86400,
	COVERED_MAX = 31 /* days */
};

/* One that the report tells of: some messages of the same author with the same subject and end. */
struct entry {
	int64_t message, position, time; /* of the newest */
	const char *author, *mail_from, *subject, *address, *action;
	int64_t count;
	const char *codes[REASONS_MAX];
	size_t code_count;
	bool enforced; /* what it was stopped for is nothing that a user can lift */
	const char *copy_id;
	unsigned copy;
	struct digest_link *link;
};

struct making {
	const struct digest_reporter *reporter;
	struct arena *arena;
	const struct digest_user *user;
	struct config_scope scope;
	struct templates templates;
	struct entry *entries;
	size_t count, capacity;
	int64_t more; /* messages that are not listed */
	unsigned char key[RELEASE_KEY_SIZE];
	struct digest_link *links;
	size_t link_count;
};

/* ---- whose ---- */

const char *digest_owner(struct arena *arena, const char *address, const char *delimiter)
{
	struct address parsed;
	if (!address_parse_path(arena, address, &parsed) || parsed.local[0] == '\0' || parsed.domain[0] == '\0') {
		return NULL;
	}
	size_t local = strcspn(parsed.local, delimiter);
	if (local == 0 || parsed.local[0] == '"') {
		local = strlen(parsed.local);
	}
	return arena_printf(arena, "%s@%s", slice_dup_lower(arena, (struct slice){parsed.local, local}), parsed.domain);
}

static struct config_scope scope_of(const struct digest_reporter *reporter, const char *owner)
{
	struct arena *arena = arena_create(1024);
	struct address address;
	struct config_scope scope = {NULL, NULL};
	if (address_parse_path(arena, owner, &address)) {
		scope = config_scope(reporter->config, &address, reporter->delimiter);
	}
	arena_destroy(arena);
	return scope;
}

const char *digest_frequency_name(enum digest_frequency frequency)
{
	switch (frequency) {
	case DIGEST_OFF:
		break;
	case DIGEST_DAILY:
		return "daily";
	case DIGEST_WEEKLY:
		return "weekly";
	}
	return "off";
}

enum digest_frequency digest_frequency_of(const struct digest_reporter *reporter, const struct digest_user *user)
{
	const struct config_scope scope = scope_of(reporter, user->owner);
	const char *text = user->frequency[0] != '\0' ? user->frequency : config_scope_text(&scope, CONFIG_DIGEST);
	if (text == NULL) {
		return (enum digest_frequency)reporter->settings->frequency;
	}
	return strcmp(text, "daily") == 0 ? DIGEST_DAILY : strcmp(text, "weekly") == 0 ? DIGEST_WEEKLY : DIGEST_OFF;
}

void digest_languages_of(const struct digest_reporter *reporter, const struct digest_user *user,
                         const char *languages_r[4])
{
	const struct config_scope scope = scope_of(reporter, user->owner);
	const char *block = config_scope_text(&scope, CONFIG_DIGEST_LANGUAGE);
	size_t n = 0;
	if (user->language[0] != '\0') {
		languages_r[n++] = user->language;
	}
	if (block != NULL) {
		languages_r[n++] = block;
	}
	languages_r[n++] = reporter->settings->language;
	languages_r[n] = NULL;
}

/* One who had none for long is not told of all that time. */
int64_t digest_since(const struct digest_reporter *reporter, const struct digest_user *user, int64_t until)
{
	int64_t days = digest_frequency_of(reporter, user) == DIGEST_WEEKLY ? 7 : 1;
	int64_t since = user->covered > 0 ? user->covered : until - days * DAY;
	return since > until - (int64_t)COVERED_MAX * DAY ? since : until - (int64_t)COVERED_MAX * DAY;
}

/* ---- entries ---- */

static bool is_wanted(const struct making *making, const struct digest_entry *row)
{
	const struct digest_settings *settings = making->reporter->settings;
	bool rejected = strcmp(row->action, "reject") == 0;
	bool tagged = strcmp(row->action, "tag") == 0;
	/* A report is no news. */
	bool ours = row->mail_from[0] == '\0' && strcasecmp(row->author, settings->from) == 0;
	return !ours && (!rejected || settings->rejected) && (!tagged || settings->tagged);
}

/* What is held has a link of its own. */
static bool is_same(const struct entry *entry, const struct digest_entry *row)
{
	return strcmp(row->action, "quarantine") != 0 && strcmp(entry->action, row->action) == 0 &&
	       strcmp(entry->author, row->author) == 0 && strcmp(entry->subject, row->subject) == 0 &&
	       strcmp(entry->address, row->address) == 0;
}

struct collecting {
	struct making *making;
	const char **support_ids; /* beside the entries */
	size_t support_capacity;
};

static bool on_entry(void *context, const struct digest_entry *row)
{
	struct collecting *collecting = context;
	struct making *making = collecting->making;
	struct arena *arena = making->arena;
	if (!is_wanted(making, row)) {
		return true;
	}
	for (size_t i = 0; i < making->count; i++) {
		if (is_same(&making->entries[i], row)) {
			making->entries[i].count++;
			return true;
		}
	}
	if (making->count >= making->reporter->settings->entries_max) {
		making->more++;
		return true;
	}
	making->entries = arena_grow(arena, making->entries, sizeof *making->entries, making->count, &making->capacity);
	collecting->support_ids = arena_grow(arena, collecting->support_ids, sizeof *collecting->support_ids, making->count,
	                                     &collecting->support_capacity);
	collecting->support_ids[making->count] = arena_strdup(arena, row->support_id);
	making->entries[making->count++] = (struct entry){.message = row->message,
	                                                  .position = row->position,
	                                                  .time = row->time,
	                                                  .author = arena_strdup(arena, row->author),
	                                                  .mail_from = arena_strdup(arena, row->mail_from),
	                                                  .subject = arena_strdup(arena, row->subject),
	                                                  .address = arena_strdup(arena, row->address),
	                                                  .action = arena_strdup(arena, row->action),
	                                                  .count = 1,
	                                                  .copy_id = ""};
	return true;
}

struct explaining {
	struct making *making;
	struct entry *entry;
};

static bool is_code_enforced(const struct making *making, const char *name)
{
	const struct finding_code *code = config_code(making->reporter->config, name);
	return code == NULL || config_rule(making->reporter->config, DIRECTION_INBOUND, code, &making->scope).enforced;
}

static bool stops(const char *effective)
{
	return strcmp(effective, "quarantine") == 0 || strcmp(effective, "reject") == 0 ||
	       strcmp(effective, "discard") == 0;
}

/* What decided first, then the others; points alone only where nothing else is to be said. */
static bool on_finding(void *context, const char *code, const char *effective)
{
	struct explaining *explaining = context;
	struct entry *entry = explaining->entry;
	bool decides = strcmp(effective, entry->action) == 0;
	entry->enforced = entry->enforced || (stops(effective) && is_code_enforced(explaining->making, code));
	if (entry->code_count < REASONS_MAX) {
		const char *copy = arena_strdup(explaining->making->arena, code);
		size_t at = decides ? 0 : entry->code_count;
		memmove(entry->codes + at + 1, entry->codes + at, (entry->code_count - at) * sizeof *entry->codes);
		entry->codes[at] = copy;
		entry->code_count++;
	} else if (decides) {
		memmove(entry->codes + 1, entry->codes, (REASONS_MAX - 1) * sizeof *entry->codes);
		entry->codes[0] = arena_strdup(explaining->making->arena, code);
	}
	return true;
}

static bool is_held(const struct entry *entry)
{
	return entry->copy > 0 && !entry->enforced;
}

/* Can an allow or block entry name the author? */
static const char *author_of(struct arena *arena, const struct entry *entry)
{
	struct address address;
	if (!address_parse_path(arena, entry->author, &address) || address.local[0] == '\0' || address.domain[0] == '\0' ||
	    !slice_is_ascii(slice_from(entry->author)) || strpbrk(entry->author, "\\\" ") != NULL) {
		return "";
	}
	return arena_printf(arena, "%s@%s", slice_dup_lower(arena, slice_from(address.local)), address.domain);
}

static bool has_links(const struct digest_reporter *reporter)
{
	return reporter->settings->console_url[0] != '\0' || reporter->settings->reply_address[0] != '\0';
}

static struct digest_link *add_link(struct making *making, const char *message, unsigned copy, const char *author,
                                    const char *language)
{
	struct digest_link *link = &making->links[making->link_count];
	*link = (struct digest_link){.owner = making->user->owner,
	                             .message = message,
	                             .copy = copy,
	                             .author = author,
	                             .language = language,
	                             .expires = making->reporter->now +
	                                        (int64_t)(making->reporter->settings->link_lifetime / CLOCK_NS_PER_S)};
	if (!action_nonce_make(link->nonce)) {
		return NULL;
	}
	making->link_count++;
	return link;
}

static bool fill_entries(struct making *making, const char *const *support_ids)
{
	struct store *store = making->reporter->store;
	bool good = true;
	for (size_t i = 0; i < making->count && good; i++) {
		struct entry *entry = &making->entries[i];
		struct explaining explaining = {making, entry};
		const char *owner = digest_owner(making->arena, entry->address, "");
		good = digests_findings(store, entry->message, entry->position, on_finding, &explaining) == STORE_OK;
		if (good && owner != NULL && support_ids[i][0] != '\0') {
			good = digests_copy(store, making->arena, support_ids[i], owner, &entry->copy_id, &entry->copy) == STORE_OK;
		}
		const char *author = author_of(making->arena, entry);
		if (good && has_links(making->reporter) && (is_held(entry) || author[0] != '\0')) {
			bool held = is_held(entry);
			entry->link = add_link(making, held ? entry->copy_id : "", held ? entry->copy : 0, author, "");
		}
	}
	return good;
}

/* ---- values for the templates ---- */

static void set_text(json_t *object, const char *key, const char *text)
{
	json_t *value = json_string(text);
	json_object_set_new(object, key, value != NULL ? value : json_string("?"));
}

static const char *word(const struct making *making, const char *key)
{
	const char *text = templates_word(&making->templates, key);
	return text == NULL ? "" : text;
}

/* Where a verb of a link leads; subject: of the mail that a reply begins as. */
static const char *link_to(const struct making *making, const struct digest_link *link, enum action_verb verb)
{
	const struct digest_settings *settings = making->reporter->settings;
	struct arena *arena = making->arena;
	const char *token = action_token_print(arena, making->key, verb, link->nonce);
	if (settings->console_url[0] != '\0') {
		return arena_printf(arena, "%s/digest/%s", settings->console_url, token);
	}
	const char *at = strchr(settings->reply_address, '@');
	char delimiter = making->reporter->delimiter[0] == '\0' ? '+' : making->reporter->delimiter[0];
	const char *subject = word(making, arena_printf(arena, "reply.%s", action_verb_name(verb)));
	return arena_printf(
	    arena, "mailto:%s%s%s%s?subject=%s",
	    user_mail_percent(arena, arena_memdup(arena, settings->reply_address, (size_t)(at - settings->reply_address))),
	    delimiter == '+' ? "%2B" : (char[2]){delimiter, '\0'}, token, at, user_mail_percent(arena, subject));
}

/* The address alone, for who cannot follow a link in plain text. */
static const char *address_of(const struct making *making, const char *link)
{
	struct strbuf text;
	strbuf_init(&text, making->arena);
	if (strncmp(link, "mailto:", 7) != 0) {
		return link;
	}
	for (const char *c = link + 7; *c != '\0' && *c != '?'; c++) {
		bool plus = strncmp(c, "%2B", 3) == 0;
		strbuf_add_char(&text, plus ? '+' : *c);
		c += plus ? 2 : 0;
	}
	return text.data;
}

static void set_link(const struct making *making, json_t *object, const char *key, const struct digest_link *link,
                     enum action_verb verb)
{
	const char *target = link_to(making, link, verb);
	set_text(object, key, target);
	set_text(object, arena_printf(making->arena, "%s_plain", key), address_of(making, target));
}

static void set_reasons(const struct making *making, json_t *object, const struct entry *entry)
{
	json_t *reasons = json_array();
	const char *said[REASONS_MAX];
	size_t n = 0;
	for (size_t i = 0; i < entry->code_count; i++) {
		const char *text = templates_reason(making->arena, &making->templates, entry->codes[i]);
		bool again = text[0] == '\0';
		for (size_t k = 0; k < n; k++) {
			again = again || strcmp(said[k], text) == 0;
		}
		if (!again) {
			said[n++] = text;
			json_array_append_new(reasons, json_string(text));
		}
	}
	if (n == 0) {
		json_array_append_new(reasons, json_string(word(making, "reason.other")));
	}
	json_object_set_new(object, "reasons", reasons);
}

static void set_entry_links(const struct making *making, json_t *object, const struct entry *entry)
{
	const struct digest_link *link = entry->link;
	if (link == NULL) {
		return;
	}
	json_object_set_new(object, "links", json_true());
	if (link->message[0] != '\0') {
		set_link(making, object, "release", link, ACTION_RELEASE);
	}
	if (link->message[0] != '\0' && link->author[0] != '\0') {
		set_link(making, object, "trust", link, ACTION_TRUST);
	} else if (link->author[0] != '\0' && !entry->enforced) {
		set_link(making, object, "allow", link, ACTION_ALLOW);
	}
	if (link->author[0] != '\0') {
		set_link(making, object, "block", link, ACTION_BLOCK);
	}
}

static json_t *entry_values(const struct making *making, const struct entry *entry)
{
	const struct digest_settings *settings = making->reporter->settings;
	struct arena *arena = making->arena;
	json_t *object = json_object();
	const char *from = user_mail_clean(arena, entry->author, ADDRESS_MAX);
	const char *envelope = user_mail_clean(arena, entry->mail_from, ADDRESS_MAX);
	const char *subject = making->reporter->subjects ? user_mail_clean(arena, entry->subject, SUBJECT_MAX) : "";
	set_text(object, "when", local_time_format(arena, settings->time_zone, word(making, "format.time"), entry->time));
	set_text(object, "from", from[0] != '\0' ? from : envelope[0] != '\0' ? envelope : word(making, "nobody"));
	set_text(object, "envelope", strcasecmp(from, envelope) == 0 || from[0] == '\0' ? "" : envelope);
	set_text(object, "subject", subject[0] != '\0' ? subject : "");
	set_text(object, "no_subject",
	         subject[0] != '\0' ? "" : word(making, making->reporter->subjects ? "subject.empty" : "subject.hidden"));
	if (strcasecmp(entry->address, making->user->owner) != 0) {
		set_text(object, "recipient", user_mail_clean(arena, entry->address, ADDRESS_MAX));
	}
	if (entry->count > 1) {
		json_object_set_new(object, "times", json_integer(entry->count));
	}
	bool quarantined = strcmp(entry->action, "quarantine") == 0;
	if (quarantined && entry->enforced) {
		set_text(object, "note", word(making, "note.enforced"));
	} else if (quarantined && entry->copy == 0) {
		set_text(object, "note", word(making, "note.not_held"));
	}
	set_reasons(making, object, entry);
	set_entry_links(making, object, entry);
	return object;
}

/* Those of one action; NULL: there are none. */
static json_t *section_values(const struct making *making, const char *action)
{
	json_t *entries = json_array();
	for (size_t i = 0; i < making->count; i++) {
		if (strcmp(making->entries[i].action, action) == 0) {
			json_array_append_new(entries, entry_values(making, &making->entries[i]));
		}
	}
	if (json_array_size(entries) == 0) {
		json_decref(entries);
		return NULL;
	}
	json_t *section = json_object();
	set_text(section, "kind", action);
	json_object_set_new(section, arena_printf(making->arena, "is_%s", action), json_true());
	set_text(section, "title", word(making, arena_printf(making->arena, "title.%s", action)));
	set_text(section, "intro", word(making, arena_printf(making->arena, "intro.%s", action)));
	json_object_set_new(section, "count", json_integer((json_int_t)json_array_size(entries)));
	json_object_set_new(section, "entries", entries);
	return section;
}

static int64_t message_count(const struct making *making)
{
	int64_t count = making->more;
	for (size_t i = 0; i < making->count; i++) {
		count += making->entries[i].count;
	}
	return count;
}

/* Settings by one link: how often, and, for each other language that there is, that one. */
static void set_settings_links(struct making *making, json_t *values, const struct digest_link *settings_link)
{
	bool weekly = digest_frequency_of(making->reporter, making->user) == DIGEST_WEEKLY;
	set_link(making, values, "off", settings_link, ACTION_OFF);
	set_link(making, values, weekly ? "daily" : "weekly", settings_link, weekly ? ACTION_DAILY : ACTION_WEEKLY);
	const char *other = word(making, "language.other");
	if (other[0] != '\0' && templates_exist(making->arena, making->reporter->settings->templates, other)) {
		struct digest_link *link = add_link(making, "", 0, "", other);
		if (link != NULL) {
			set_link(making, values, "language", link, ACTION_LANGUAGE);
			set_text(values, "language_name", word(making, "language.other_name"));
		}
	}
}

static json_t *report_values(struct making *making, int64_t since, int64_t until)
{
	static const char *const actions[] = {"quarantine", "reject", "tag"};
	const struct digest_settings *settings = making->reporter->settings;
	struct arena *arena = making->arena;
	json_t *values = json_object();
	json_t *sections = json_array();
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
		json_t *section = section_values(making, actions[i]);
		if (section != NULL) {
			json_array_append_new(sections, section);
		}
	}
	json_object_set_new(values, "sections", sections);
	json_object_set_new(values, "count", json_integer(message_count(making)));
	json_object_set_new(values, "more", json_integer(making->more));
	set_text(values, "user", user_mail_clean(arena, making->user->owner, ADDRESS_MAX));
	set_text(values, "name", settings->name);
	set_text(values, "lang", making->templates.language);
	set_text(values, "since", local_time_format(arena, settings->time_zone, word(making, "format.time"), since));
	set_text(values, "until", local_time_format(arena, settings->time_zone, word(making, "format.time"), until));
	set_text(values, "zone",
	         settings->time_zone[0] != '\0' ? settings->time_zone
	                                        : local_time_format(arena, settings->time_zone, "%Z", until));
	set_text(values, "expires",
	         local_time_format(arena, settings->time_zone, word(making, "format.day"),
	                           making->reporter->now + (int64_t)(settings->link_lifetime / CLOCK_NS_PER_S)));
	if (has_links(making->reporter)) {
		json_object_set_new(values, settings->console_url[0] != '\0' ? "by_console" : "by_reply", json_true());
	}
	return values;
}

/* ---- the whole ---- */

static bool render(const struct making *making, struct slice template, enum mustache_kind kind, json_t *values,
                   const char *name, struct slice *text_r, const char **problem_r)
{
	struct strbuf out;
	const char *problem;
	strbuf_init(&out, making->arena);
	if (!mustache_render(template, kind, values, &out, &problem)) {
		*problem_r = arena_printf(making->arena, "%s/%s/%s: %s", making->reporter->settings->templates,
		                          making->templates.language, name, problem);
		return false;
	}
	*text_r = (struct slice){out.data, out.len};
	return true;
}

static const char *unsubscribe_fields(const struct making *making, const struct digest_link *link)
{
	const char *target = link_to(making, link, ACTION_OFF);
	bool https = making->reporter->settings->console_url[0] != '\0';
	return arena_printf(making->arena, "List-Unsubscribe: <%s>\r\n%s", target,
	                    https ? "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" : "");
}

static bool render_all(struct making *making, json_t *values, struct digest_report *report_r, const char **problem_r)
{
	struct slice subject;
	bool good =
	    render(making, slice_from(word(making, "subject")), MUSTACHE_TEXT, values, "words", &subject, problem_r) &&
	    render(making, making->templates.text, MUSTACHE_TEXT, values, "digest.txt", &report_r->text, problem_r) &&
	    render(making, making->templates.html, MUSTACHE_HTML, values, "digest.html", &report_r->html, problem_r);
	if (good) {
		report_r->subject = slice_dup(making->arena, subject);
	}
	return good;
}

bool digest_make(const struct digest_reporter *reporter, struct arena *arena, const struct digest_user *user,
                 int64_t since, int64_t until, struct digest_report *report_r, const char **problem_r)
{
	struct making making = {
	    .reporter = reporter, .arena = arena, .user = user, .scope = scope_of(reporter, user->owner)};
	struct collecting collecting = {&making, NULL, 0};
	const char *languages[4];
	*report_r = (struct digest_report){.subject = "", .unsubscribe = ""};
	*problem_r = "the store does not answer";
	digest_languages_of(reporter, user, languages);
	if (digests_entries(reporter->store, user->owner, since, until, ROWS_MAX, on_entry, &collecting) != STORE_OK) {
		return false;
	}
	if (making.count == 0) {
		return true;
	}
	making.links = arena_alloc(arena, (making.count + 2) * sizeof *making.links);
	if (quarantine_key(reporter->store, making.key) != QUARANTINE_OK ||
	    !fill_entries(&making, collecting.support_ids) ||
	    !templates_load(arena, reporter->settings->templates, languages, &making.templates, problem_r)) {
		return false;
	}
	json_t *values = report_values(&making, since, until);
	struct digest_link *settings_link = has_links(reporter) ? add_link(&making, "", 0, "", "") : NULL;
	if (settings_link != NULL) {
		set_settings_links(&making, values, settings_link);
		report_r->unsubscribe = unsubscribe_fields(&making, settings_link);
	}
	bool good = render_all(&making, values, report_r, problem_r);
	json_decref(values);
	report_r->entries = making.count;
	report_r->links = making.links;
	report_r->link_count = making.link_count;
	return good;
}
