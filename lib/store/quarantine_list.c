/* What looks at the quarantine and changes nothing. */
#include "lib/store/quarantine.h"

#include "lib/base/log.h"
#include "lib/store/pack.h"

#include <stdlib.h>

enum { ROWS_DEFAULT = 1000, ROW_CHUNK = 4096 };

static const char *const state_names[] = {
    [QUARANTINE_HELD] = "held",       [QUARANTINE_RELEASING] = "releasing", [QUARANTINE_RELEASED] = "released",
    [QUARANTINE_DELETED] = "deleted", [QUARANTINE_EXPIRED] = "expired",
};

const char *quarantine_state_name(enum quarantine_state state)
{
	return state_names[state];
}

bool quarantine_state_parse(const char *name, enum quarantine_state *state_r)
{
	for (size_t i = 0; i < sizeof state_names / sizeof *state_names; i++) {
		if (strcmp(name, state_names[i]) == 0) {
			*state_r = (enum quarantine_state)i;
			return true;
		}
	}
	return false;
}

/* ---- list ---- */

#define MESSAGE_COLUMNS                                                                                                \
	"m.id, m.created, m.queue_id, m.support_id, m.direction, m.client, m.client_name, m.helo, m.auth_user, "           \
	"m.mail_from,"                                                                                                     \
	" m.smtputf8, m.author, m.subject, m.findings, m.authres, m.size, m.stored"
#define COPY_COLUMNS                                                                                                   \
	"c.n, c.recipient, c.owner, c.verdict, c.reason, c.text, c.state, c.expires, c.changed, c.changed_by, c.note, "    \
	"c.forced"
enum { MESSAGE_COLUMN_COUNT = 17, COPY_COLUMN_COUNT = 12 };

struct listing {
	quarantine_visit *visit;
	void *context;
	struct arena *arena;
};

static const char *text_of(struct arena *arena, const struct store_value *value)
{
	return value->type == STORE_TEXT ? slice_dup(arena, value->bytes) : "";
}

static uint64_t number_of(const struct store_value *value)
{
	return value->type == STORE_INTEGER && value->integer > 0 ? (uint64_t)value->integer : 0;
}

static void read_message(struct arena *arena, const struct store_value *v, struct quarantine_message *message_r)
{
	*message_r = (struct quarantine_message){
	    .id = text_of(arena, &v[0]),
	    .created = number_of(&v[1]),
	    .queue_id = text_of(arena, &v[2]),
	    .support_id = text_of(arena, &v[3]),
	    .direction = number_of(&v[4]) == DIRECTION_OUTBOUND ? DIRECTION_OUTBOUND : DIRECTION_INBOUND,
	    .client = text_of(arena, &v[5]),
	    .client_name = text_of(arena, &v[6]),
	    .helo = text_of(arena, &v[7]),
	    .auth_user = text_of(arena, &v[8]),
	    .mail_from = v[9].bytes,
	    .smtputf8 = number_of(&v[10]) != 0,
	    .author = text_of(arena, &v[11]),
	    .subject = text_of(arena, &v[12]),
	    .findings = text_of(arena, &v[13]),
	    .authres = text_of(arena, &v[14]),
	    .size = number_of(&v[15]),
	    .stored = number_of(&v[16]),
	};
}

static void read_copy(struct arena *arena, const struct store_value *v, struct quarantine_copy *copy_r)
{
	*copy_r = (struct quarantine_copy){
	    .n = (unsigned)number_of(&v[0]),
	    .recipient = v[1].bytes,
	    .owner = text_of(arena, &v[2]),
	    .verdict = text_of(arena, &v[3]),
	    .reason = text_of(arena, &v[4]),
	    .text = text_of(arena, &v[5]),
	    .expires = number_of(&v[7]),
	    .changed = number_of(&v[8]),
	    .changed_by = text_of(arena, &v[9]),
	    .note = text_of(arena, &v[10]),
	    .forced = number_of(&v[11]) != 0,
	};
	if (!quarantine_state_parse(text_of(arena, &v[6]), &copy_r->state)) {
		copy_r->state = QUARANTINE_EXPIRED; /* of a later version: nothing we could do with it */
	}
}

static bool list_row(void *context, const struct store_value *columns, size_t count)
{
	struct listing *listing = context;
	struct quarantine_message message;
	struct quarantine_copy copy;
	if (count != MESSAGE_COLUMN_COUNT + COPY_COLUMN_COUNT) {
		return false;
	}
	arena_reset(listing->arena);
	read_message(listing->arena, columns, &message);
	read_copy(listing->arena, columns + MESSAGE_COLUMN_COUNT, &copy);
	return listing->visit(listing->context, &message, &copy);
}

/* Each condition holds where its parameter is empty. */
static const char list_sql[] =
    "SELECT " MESSAGE_COLUMNS ", " COPY_COLUMNS " FROM quarantine_message m JOIN quarantine_copy c ON c.message = m.id"
    " WHERE ($1 = '' OR m.id = $1 OR m.support_id = $1 OR m.queue_id = $1)"
    " AND ($2 = 0 OR c.n = $2)"
    " AND ($3 = '' OR c.owner = $3 OR (substr($3, 1, 1) = '@' AND"
    " substr(c.owner, length(c.owner) - length($3) + 1) = $3))"
    " AND ($4 = '' OR lower(m.sender) = lower($4) OR lower(m.author) = lower($4))"
    " AND ($5 = '' OR c.state = $5)"
    " AND ($6 = 0 OR m.created >= $6) AND ($7 = 0 OR m.created < $7)"
    " ORDER BY m.created DESC, m.id, c.n LIMIT $8";

static const char *or_empty(const char *text)
{
	return text == NULL ? "" : text;
}

enum quarantine_result quarantine_list(struct store *store, const struct quarantine_filter *filter,
                                       quarantine_visit *visit, void *context)
{
	const struct store_value values[] = {
	    store_text(or_empty(filter->id)),
	    store_integer(filter->copy),
	    store_text(or_empty(filter->owner)),
	    store_text(or_empty(filter->sender)),
	    store_text(or_empty(filter->state)),
	    store_integer((int64_t)filter->since),
	    store_integer((int64_t)filter->before),
	    store_integer((int64_t)(filter->limit == 0 ? ROWS_DEFAULT : filter->limit)),
	};
	struct listing listing = {visit, context, arena_create(ROW_CHUNK)};
	enum store_result result = store_query(store, list_sql, values, sizeof values / sizeof *values, list_row, &listing);
	arena_destroy(listing.arena);
	return result == STORE_OK ? QUARANTINE_OK : QUARANTINE_DOWN;
}

/* ---- content ---- */

struct content {
	const char *id;
	struct slice data; /* expanded */
	bool found, good;
};

static bool content_row(void *context, const struct store_value *columns, size_t count)
{
	struct content *content = context;
	(void)count;
	content->found = true;
	content->good = pack_expand(columns[0].bytes, number_of(&columns[1]), &content->data);
	return false;
}

enum quarantine_result quarantine_content(struct store *store, const char *id, struct slice *content_r)
{
	struct content content = {.id = id};
	struct store_value value = store_text(id);
	enum store_result result = store_query(
	    store,
	    "SELECT d.data, m.size FROM quarantine_content d JOIN quarantine_message m ON m.id = d.message WHERE m.id = $1",
	    &value, 1, content_row, &content);
	if (result != STORE_OK) {
		return QUARANTINE_DOWN;
	}
	if (content.found && !content.good) {
		log_error("quarantine: the content of %s is damaged", id);
	}
	*content_r = content.data;
	return content.good ? QUARANTINE_OK : QUARANTINE_NONE;
}

/* ---- stats ---- */

static bool state_row(void *context, const struct store_value *columns, size_t count)
{
	struct quarantine_stats *stats = context;
	enum quarantine_state state;
	char name[16] = "";
	(void)count;
	if (columns[0].bytes.len < sizeof name) {
		memcpy(name, columns[0].bytes.data, columns[0].bytes.len);
	}
	if (quarantine_state_parse(name, &state)) {
		stats->copies[state] = number_of(&columns[1]);
		stats->oldest = state == QUARANTINE_HELD ? number_of(&columns[2]) : stats->oldest;
	}
	return true;
}

static bool size_row(void *context, const struct store_value *columns, size_t count)
{
	struct quarantine_stats *stats = context;
	(void)count;
	stats->messages = number_of(&columns[0]);
	stats->size = number_of(&columns[1]);
	stats->stored = number_of(&columns[2]);
	return true;
}

enum quarantine_result quarantine_stats(struct store *store, struct quarantine_stats *stats_r)
{
	*stats_r = (struct quarantine_stats){.messages = 0};
	enum store_result result = store_query(store,
	                                       "SELECT c.state, COUNT(*), MIN(m.created) FROM quarantine_copy c JOIN"
	                                       " quarantine_message m ON m.id = c.message GROUP BY c.state",
	                                       NULL, 0, state_row, stats_r);
	if (result == STORE_OK) {
		result = store_query(
		    store,
		    "SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT), CAST(COALESCE(SUM(stored), 0) AS BIGINT)"
		    " FROM quarantine_message WHERE stored > 0",
		    NULL, 0, size_row, stats_r);
	}
	return result == STORE_OK ? QUARANTINE_OK : QUARANTINE_DOWN;
}
