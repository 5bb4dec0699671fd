/* mailreeve quarantine list, show, stats: text of the network is shown escaped, and only the raw message as it is. */
#include "ctl/quarantine.h"
#include "lib/mail/header.h"
#include "lib/base/io.h"

#include <jansson.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_MAX = 200, LINE_MAX_SHOWN = 300, BODY_LINES_MAX = 60 };

static const char *time_text(struct arena *arena, uint64_t seconds)
{
	struct tm tm;
	char text[32] = "";
	time_t value = (time_t)seconds;
	if (localtime_r(&value, &tm) != NULL) {
		strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
	}
	return arena_strdup(arena, text);
}

static const char *safe_text(struct quarantine_command *command, const char *text)
{
	return quarantine_safe(command, slice_from(text), TEXT_MAX);
}

static void put(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

/* JSON is UTF-8: other bytes are shown escaped. */
static json_t *json_slice(struct quarantine_command *command, struct slice text)
{
	json_t *value = json_stringn(text.len == 0 ? "" : text.data, text.len);
	return value != NULL ? value : json_string(quarantine_safe(command, text, SIZE_MAX));
}

static json_t *json_text(struct quarantine_command *command, const char *text)
{
	return json_slice(command, slice_from(text));
}

static json_t *json_found(struct quarantine_command *command, const struct quarantine_found *found)
{
	const struct quarantine_message *message = &found->message;
	const struct quarantine_copy *copy = &found->copy;
	json_t *object = json_object();
	json_t *findings = json_loads(message->findings, 0, NULL);
	put(object, "id", json_string(arena_printf(command->arena, "%s/%u", message->id, copy->n)));
	put(object, "state", json_string(quarantine_state_name(copy->state)));
	put(object, "time", json_integer((json_int_t)message->created));
	put(object, "expires", json_integer((json_int_t)copy->expires));
	put(object, "rcpt", json_slice(command, copy->recipient));
	put(object, "from", json_slice(command, message->mail_from));
	put(object, "author", json_text(command, message->author));
	put(object, "subject", json_text(command, message->subject));
	put(object, "verdict", json_text(command, copy->verdict));
	put(object, "reason", json_text(command, copy->reason));
	put(object, "text", json_text(command, copy->text));
	put(object, "direction", json_string(direction_name(message->direction)));
	put(object, "client", json_text(command, message->client));
	put(object, "client_name", json_text(command, message->client_name));
	put(object, "helo", json_text(command, message->helo));
	put(object, "auth_user", json_text(command, message->auth_user));
	put(object, "queue_id", json_text(command, message->queue_id));
	put(object, "support_id", json_text(command, message->support_id));
	put(object, "size", json_integer((json_int_t)message->size));
	put(object, "stored", json_integer((json_int_t)message->stored));
	put(object, "authres", json_text(command, message->authres));
	put(object, "changed", json_integer((json_int_t)copy->changed));
	put(object, "changed_by", json_text(command, copy->changed_by));
	put(object, "note", json_text(command, copy->note));
	put(object, "findings", findings != NULL ? findings : json_array());
	return object;
}

static void print_json(struct quarantine_command *command, const struct quarantine_found_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		json_t *object = json_found(command, &list->items[i]);
		json_dumpf(object, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(object);
	}
}

/* ---- list ---- */

static void print_row(struct quarantine_command *command, const struct quarantine_found *found, bool state)
{
	const struct quarantine_message *message = &found->message;
	const struct quarantine_copy *copy = &found->copy;
	const char *id = arena_printf(command->arena, "%s/%u", message->id, copy->n);
	printf("%-19s %s %8llu  %s%s%s\n", id, time_text(command->arena, message->created),
	       (unsigned long long)message->size, copy->reason, state ? ", " : "",
	       state ? quarantine_state_name(copy->state) : "");
	printf("    from <%s> to <%s>\n", quarantine_safe(command, message->mail_from, TEXT_MAX),
	       quarantine_safe(command, copy->recipient, TEXT_MAX));
	printf("    %s: %s\n", message->author[0] == '\0' ? "(no author)" : safe_text(command, message->author),
	       message->subject[0] == '\0' ? "(no subject)" : safe_text(command, message->subject));
	if (copy->note[0] != '\0') {
		printf("    %s\n", safe_text(command, copy->note));
	}
}

bool quarantine_do_list(struct quarantine_command *command)
{
	struct quarantine_found_list list;
	if (!quarantine_find(command, &command->filter, &list)) {
		return false;
	}
	if (command->json) {
		print_json(command, &list);
		return true;
	}
	for (size_t i = 0; i < list.count; i++) {
		print_row(command, &list.items[i], command->filter.state == NULL);
	}
	if (list.count == 0) {
		puts("nothing");
	}
	return true;
}

/* ---- show ---- */

static void print_findings(struct quarantine_command *command, const char *text)
{
	json_t *array = json_loads(text, 0, NULL);
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *finding = json_array_get(array, i);
		const char *code = json_string_value(json_object_get(finding, "code"));
		const char *detail = json_string_value(json_object_get(finding, "detail"));
		const char *action = json_string_value(json_object_get(finding, "action"));
		if (code != NULL && detail != NULL && action != NULL) {
			printf("  %s -> %s%s%s\n", safe_text(command, code), safe_text(command, action),
			       detail[0] == '\0' ? "" : ": ", safe_text(command, detail));
		}
	}
	json_decref(array);
}

static void print_copies(struct quarantine_command *command, const struct quarantine_found_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct quarantine_copy *copy = &list->items[i].copy;
		printf("  /%u <%s>: %s because of %s; %s since %s", copy->n,
		       quarantine_safe(command, copy->recipient, TEXT_MAX), copy->verdict, copy->reason,
		       quarantine_state_name(copy->state), time_text(command->arena, copy->changed));
		printf("%s%s", copy->changed_by[0] == '\0' ? "" : " by ", safe_text(command, copy->changed_by));
		printf(", expires %s%s%s\n", time_text(command->arena, copy->expires), copy->note[0] == '\0' ? "" : "; ",
		       safe_text(command, copy->note));
	}
}

static void print_message(struct quarantine_command *command, const struct quarantine_found_list *list)
{
	const struct quarantine_message *message = &list->items[0].message;
	printf("%s, arrived %s, %llu bytes, %s\n", message->id, time_text(command->arena, message->created),
	       (unsigned long long)message->size, direction_name(message->direction));
	printf("  queue id %s, support id %s\n", safe_text(command, message->queue_id),
	       safe_text(command, message->support_id));
	printf("  client %s (%s), HELO %s%s%s\n", safe_text(command, message->client),
	       safe_text(command, message->client_name), safe_text(command, message->helo),
	       message->auth_user[0] == '\0' ? "" : ", user ", safe_text(command, message->auth_user));
	printf("  from <%s>\n\nCopies\n", quarantine_safe(command, message->mail_from, TEXT_MAX));
	print_copies(command, list);
	puts("\nFindings");
	print_findings(command, message->findings);
	if (message->authres[0] != '\0') {
		printf("\nResults\n  %s\n", quarantine_safe(command, slice_from(message->authres), 2000));
	}
}

/* Header and the beginning of the body, line by line. */
static void print_content(struct quarantine_command *command, struct slice content)
{
	bool header = true;
	size_t lines = 0;
	puts("\nMessage");
	for (size_t at = 0; at < content.len && lines < BODY_LINES_MAX;) {
		size_t end = slice_find(content, '\n', at);
		struct slice line = {content.data + at, end - at};
		line.len -= line.len > 0 && line.data[line.len - 1] == '\r';
		header = header && line.len > 0;
		lines += !header;
		printf("  %s\n", quarantine_safe(command, line, LINE_MAX_SHOWN));
		at = end + 1;
		if (lines == BODY_LINES_MAX && at < content.len) {
			printf("  ... %zu bytes more: --raw shows all\n", content.len - at);
		}
	}
}

bool quarantine_do_show(struct quarantine_command *command)
{
	struct quarantine_found_list list;
	struct slice content = {NULL, 0};
	if (!quarantine_find_word(command, command->words[0], &list)) {
		return false;
	}
	if (command->json) {
		print_json(command, &list);
		return true;
	}
	enum quarantine_result result = quarantine_content(command->store, list.items[0].message.id, &content);
	bool good = result == QUARANTINE_OK;
	if (command->raw) {
		good = good && io_write_all(STDOUT_FILENO, content.data, content.len);
	} else {
		print_message(command, &list);
		if (good) {
			print_content(command, content);
		}
	}
	free((char *)(uintptr_t)content.data);
	return good || quarantine_refuse("the message itself is not there: %s", result == QUARANTINE_NONE
	                                                                            ? "deleted, expired or damaged"
	                                                                            : quarantine_result_text(result));
}

/* ---- stats ---- */

bool quarantine_do_stats(struct quarantine_command *command)
{
	struct quarantine_stats stats;
	enum quarantine_result result = quarantine_stats(command->store, &stats);
	if (result != QUARANTINE_OK) {
		return quarantine_refuse("%s", quarantine_result_text(result));
	}
	if (!command->json) {
		printf("messages  %llu, %llu bytes, %llu compressed\n", (unsigned long long)stats.messages,
		       (unsigned long long)stats.size, (unsigned long long)stats.stored);
		for (int state = QUARANTINE_HELD; state <= QUARANTINE_EXPIRED; state++) {
			printf("%-9s %llu\n", quarantine_state_name((enum quarantine_state)state),
			       (unsigned long long)stats.copies[state]);
		}
		printf("oldest    %s\n", stats.oldest == 0 ? "-" : time_text(command->arena, stats.oldest));
		return true;
	}
	json_t *object = json_object();
	put(object, "messages", json_integer((json_int_t)stats.messages));
	put(object, "size", json_integer((json_int_t)stats.size));
	put(object, "stored", json_integer((json_int_t)stats.stored));
	put(object, "oldest", stats.oldest == 0 ? json_null() : json_integer((json_int_t)stats.oldest));
	for (int state = QUARANTINE_HELD; state <= QUARANTINE_EXPIRED; state++) {
		put(object, quarantine_state_name((enum quarantine_state)state), json_integer((json_int_t)stats.copies[state]));
	}
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
	return true;
}
