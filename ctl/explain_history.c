#include "ctl/explain_history.h"

#include "ctl/explain.h"
#include "ctl/period.h"
#include "ctl/table.h"

#include <unistd.h>

enum { ID_MIN = 6, ID_MAX = 32, MOST = 10, TEXT_MAX = 400, FOUND_COLUMN = 24, RECIPIENTS = 3, CELL_MAX = 60 };

bool explain_is_id(const char *text)
{
	size_t n = strlen(text);
	for (size_t i = 0; i < n; i++) {
		if (!ascii_is_alpha(text[i]) && !ascii_is_digit(text[i])) {
			return false;
		}
	}
	return n >= ID_MIN && n <= ID_MAX && access(text, F_OK) != 0;
}

/* The visitor that is called, and whether it was. */
struct finder {
	history_visitor *visit;
	void *context;
	bool found;
};

static void finder_visit(void *context, const struct history_message *message)
{
	struct finder *finder = context;
	finder->found = true;
	finder->visit(finder->context, message);
}

bool explain_find(struct store *store, const char *id, history_visitor *visit, void *context)
{
	struct finder finder = {.visit = visit, .context = context};
	enum store_result result =
	    history_find(store, &(struct history_filter){.support_id = id, .limit = MOST}, true, finder_visit, &finder);
	if (result == STORE_OK && !finder.found) {
		result =
		    history_find(store, &(struct history_filter){.queue_id = id, .limit = MOST}, true, finder_visit, &finder);
	}
	if (history_worked("explain", result) && !finder.found) {
		fprintf(stderr,
		        "mailreeve explain: \"%s\" is no file, and the history has no message of that queue id or support id\n",
		        id);
	}
	return result == STORE_OK && finder.found;
}

static const char *json_get_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text == NULL ? "" : text;
}

static void add_known(struct strbuf *text, const char *before, const char *value)
{
	if (value[0] != '\0') {
		strbuf_printf(text, "%s%s", before, value);
	}
}

/* "fail for bank.example, by -all: problem", of an object with result, domain ... */
static void add_result(struct strbuf *text, const json_t *object)
{
	strbuf_add_text(text, json_get_text(object, "result"));
	add_known(text, " for ", json_get_text(object, "domain"));
	add_known(text, ", selector ", json_get_text(object, "selector"));
	add_known(text, ", by ", json_get_text(object, "mechanism"));
	add_known(text, ", policy ", json_get_text(object, "policy"));
	add_known(text, ", sealed by ", json_get_text(object, "sealer"));
	add_known(text, ": ", json_get_text(object, "problem"));
}

/* What a stage found out, as far as it is among the results; "" else. */
static const char *result_text(struct arena *arena, const json_t *results, const char *key)
{
	const json_t *value = json_object_get(results, key);
	struct strbuf text;
	strbuf_init(&text, arena);
	if (json_is_string(value)) {
		strbuf_printf(&text, "found %s", json_string_value(value));
	} else if (json_is_object(value)) {
		add_result(&text, value);
	}
	for (size_t i = 0; i < json_array_size(value); i++) {
		strbuf_add_text(&text, i == 0 ? "" : "; ");
		add_result(&text, json_array_get(value, i));
	}
	return table_text(arena, text.data, TEXT_MAX);
}

static void print_findings(struct arena *arena, const struct history_message *message, const char *stage, FILE *out)
{
	size_t n = strlen(stage);
	for (size_t i = 0; i < message->findings_given; i++) {
		const struct history_finding *finding = &message->findings[i];
		if (strncmp(finding->code, stage, n) != 0 || finding->code[n] != '.') {
			continue;
		}
		const char *action = finding->effective;
		if (strcmp(action, finding->action) != 0) {
			action = arena_printf(arena, "%s (would %s)", action, finding->action);
		}
		const char *detail = table_text(arena, finding->detail, TEXT_MAX);
		fprintf(out, "%*s", FOUND_COLUMN, "* ");
		explain_wrap(out,
		             arena_printf(arena, "%s -> %s%s%s", finding->code, action, detail[0] == '\0' ? "" : ": ", detail),
		             FOUND_COLUMN + 2, FOUND_COLUMN);
	}
}

static void print_stages(struct arena *arena, const struct history_message *message, FILE *out)
{
	json_t *results = json_loads(message->results, 0, NULL);
	const char *stage;
	json_t *took;
	fprintf(out, "\n  %-10s %9s  %s\n", "stage", "time", "what it found");
	json_object_foreach(json_object_get(results, "stages"), stage, took)
	{
		fprintf(out, "  %-10s %6.2f ms  ", stage, json_number_value(took));
		explain_wrap(out, result_text(arena, results, strcmp(stage, "sign") == 0 ? "signed" : stage), FOUND_COLUMN,
		             FOUND_COLUMN);
		print_findings(arena, message, stage, out);
	}
	json_decref(results);
}

static void print_envelope(struct arena *arena, const struct history_message *message, FILE *out)
{
	struct strbuf line;
	char time[PERIOD_TEXT_SIZE];
	strbuf_init(&line, arena);
	period_format(message->time, time);
	fprintf(out, "%s, support id %s, recorded by %s at %s\n  ",
	        message->queue_id[0] == '\0' ? "no queue id" : table_text(arena, message->queue_id, TEXT_MAX),
	        message->support_id, table_text(arena, message->host, TEXT_MAX), time);
	strbuf_printf(&line, "%s: client %s (%s), HELO %s, ", message->direction, message->client, message->client_name,
	              message->helo);
	add_known(&line, "country ", message->country);
	strbuf_add_text(&line, message->country[0] == '\0' ? "" : ", ");
	if (strcmp(message->peer, message->client) != 0) {
		strbuf_printf(&line, "by way of %s, ", message->peer);
	}
	strbuf_printf(&line, "%s, from <%s>", message->tls_version[0] == '\0' ? "no TLS" : message->tls_version,
	              message->mail_from);
	for (size_t i = 0; i < message->recipients_given && i < RECIPIENTS; i++) {
		strbuf_printf(&line, "%s<%s>", i == 0 ? " to " : ", ", message->recipients[i].address);
	}
	if (message->recipients_given > RECIPIENTS) {
		strbuf_printf(&line, " and %zu more", message->recipients_given - RECIPIENTS);
	}
	explain_wrap(out, table_text(arena, line.data, line.len * 4), 4, 2);
	if (message->ended) {
		fprintf(out, "  %lld bytes, author %s, subject \"%s\", Message-ID %s\n", (long long)message->size,
		        table_text(arena, message->author, TEXT_MAX), table_text(arena, message->subject, TEXT_MAX),
		        table_text(arena, message->message_id, TEXT_MAX));
	}
}

/* "; quarantine 3KWP5B9D3PQECZ8X/1: released". */
static const char *copy_text(struct arena *arena, const struct history_recipient *recipient, const char *state)
{
	if (state[0] == '\0') {
		return "";
	}
	if (recipient->quarantine[0] == '\0') {
		return strcmp(state, "held") == 0 ? "held by the MTA" : "in the quarantine, which had this copy before";
	}
	return arena_printf(arena, "in the quarantine as %s/%lld: %s", table_text(arena, recipient->quarantine, TEXT_MAX),
	                    (long long)recipient->copy, state);
}

static void print_recipients(struct arena *arena, const struct history_message *message, FILE *out)
{
	for (size_t i = 0; i < message->recipients_given; i++) {
		const struct history_recipient *recipient = &message->recipients[i];
		const char *copy = history_copy_state(recipient);
		if (strcmp(recipient->action, message->action) != 0 || recipient->refused || copy[0] != '\0') {
			fprintf(out, "  <%s>: %s%s %s%s\n", table_text(arena, recipient->address, TEXT_MAX), recipient->action,
			        recipient->refused ? " at RCPT" : "", table_text(arena, recipient->reply, TEXT_MAX),
			        copy_text(arena, recipient, copy));
		}
	}
}

void explain_history_table(const struct history_message *message, FILE *out)
{
	struct arena *arena = arena_create(16384);
	print_envelope(arena, message, out);
	print_stages(arena, message, out);
	fprintf(out, "\n  verdict: %s", message->action);
	if (message->reason[0] != '\0') {
		fprintf(out, " because of %s", table_text(arena, message->reason, TEXT_MAX));
	}
	fprintf(out, ", after %lld ms", (long long)message->milliseconds);
	if (message->score < 0 || message->score > 0) {
		fprintf(out, ", score %g", message->score);
	}
	fputs(message->ended ? "\n" : "; the client went away before it had sent a message\n", out);
	if (message->reply[0] != '\0') {
		fputs("  reply:   ", out);
		explain_wrap(out, table_text(arena, message->reply, TEXT_MAX * 4), 11, 11);
	}
	print_recipients(arena, message, out);
	fputc('\n', out);
	arena_destroy(arena);
}

/* What became of a code, "-" where it was not stated. */
static const char *finding_action(const json_t *object, const char *code)
{
	const json_t *findings = json_object_get(object, "findings");
	for (size_t i = 0; i < json_array_size(findings); i++) {
		if (strcmp(json_get_text(json_array_get(findings, i), "code"), code) == 0) {
			return json_get_text(json_array_get(findings, i), "action");
		}
	}
	return "-";
}

enum { SIDES = 3 };

static void compare_row(struct table *table, struct arena *arena, const char *name, const char *const *values,
                        bool has_then)
{
	bool same = strcmp(values[0], values[2]) == 0 && (!has_then || strcmp(values[0], values[1]) == 0);
	const char *cells[] = {name, table_text(arena, values[0], CELL_MAX),
	                       has_then ? table_text(arena, values[1], CELL_MAX) : "(no answers)",
	                       table_text(arena, values[2], CELL_MAX), same ? "" : "differs"};
	table_row(table, cells);
}

static bool is_listed(const json_t *findings, const char *code, size_t before)
{
	for (size_t i = 0; i < before; i++) {
		if (strcmp(json_get_text(json_array_get(findings, i), "code"), code) == 0) {
			return true;
		}
	}
	return false;
}

/* Codes of one side that no side before it has. */
static void compare_findings(struct table *table, struct arena *arena, json_t *const *sides, size_t side)
{
	const json_t *findings = json_object_get(sides[side], "findings");
	for (size_t i = 0; i < json_array_size(findings); i++) {
		const char *code = json_get_text(json_array_get(findings, i), "code");
		bool listed = is_listed(findings, code, i);
		for (size_t k = 0; k < side && !listed; k++) {
			listed = strcmp(finding_action(sides[k], code), "-") != 0;
		}
		if (!listed) {
			const char *values[SIDES] = {finding_action(sides[0], code), finding_action(sides[1], code),
			                             finding_action(sides[2], code)};
			compare_row(table, arena, code, values, sides[1] != NULL);
		}
	}
}

void explain_compare(json_t *recorded, json_t *then, json_t *now, FILE *out)
{
	static const char *const headings[] = {"", "recorded", "again, by the DNS of then", "now", "", NULL};
	static const char *const keys[] = {"spf", "dkim", "arc", "dmarc", "virus"};
	struct arena *arena = arena_create(16384);
	struct table *table = table_create(arena, headings);
	json_t *const sides[SIDES] = {recorded, then, now};
	const char *actions[SIDES] = {json_get_text(recorded, "action"), json_get_text(then, "action"),
	                              json_get_text(now, "action")};
	compare_row(table, arena, "verdict", actions, then != NULL);
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const char *values[SIDES];
		for (size_t k = 0; k < SIDES; k++) {
			values[k] = result_text(arena, sides[k], keys[i]);
		}
		compare_row(table, arena, keys[i], values, then != NULL);
	}
	for (size_t k = 0; k < SIDES; k++) {
		compare_findings(table, arena, sides, k);
	}
	table_print(table, 2, out);
	fputc('\n', out);
	arena_destroy(arena);
}
