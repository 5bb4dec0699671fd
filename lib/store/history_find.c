/* Rows of the history, read. A search first finds the ids, the youngest first; its SQL is put together of constant
 * pieces, one for each thing that is asked for, so that it stands on one index and ends when it has enough: one table
 * leads, which has an index by what is looked for and then by message, and the others are only asked about the messages
 * that it names. */
#include "lib/store/history_private.h"

#include <stdlib.h>

enum {
	LIMIT = 1000000,
	VALUES_MAX = 24, /* conditions of a search */
	CHUNK = 50,      /* messages read at a time */
};

struct search {
	struct strbuf sql;
	struct store_value values[VALUES_MAX];
	size_t count;
};

const char *history_text(struct arena *arena, const struct store_value *column)
{
	return column->type == STORE_TEXT ? slice_dup(arena, column->bytes) : "";
}

static void search_value(struct search *search, const char *before, struct store_value value, const char *after)
{
	search->values[search->count++] = value;
	strbuf_printf(&search->sql, "%s$%zu%s", before, search->count, after);
}

/* "%text%" for LIKE, its own signs taken literally. */
static const char *like_part(struct arena *arena, const char *text)
{
	struct strbuf pattern;
	strbuf_init(&pattern, arena);
	strbuf_add_char(&pattern, '%');
	for (const char *c = text; *c != '\0'; c++) {
		strbuf_printf(&pattern, "%s%c", strchr("%_\\", *c) != NULL ? "\\" : "", *c);
	}
	strbuf_add_char(&pattern, '%');
	return pattern.data;
}

/* alias: of a table with the columns address and domain. */
static void search_address(struct search *search, const struct history_address *address, const char *alias)
{
	switch (address->match) {
	case HISTORY_MATCH_EXACT:
		strbuf_printf(&search->sql, " AND lower(%s.address) = ", alias);
		search_value(search, "lower(", store_text(address->text), ")");
		break;
	case HISTORY_MATCH_DOMAIN:
		strbuf_printf(&search->sql, " AND %s.domain = ", alias);
		search_value(search, "lower(", store_text(address->text), ")");
		break;
	case HISTORY_MATCH_PART:
		strbuf_printf(&search->sql, " AND lower(%s.address) LIKE ", alias);
		search_value(search, "lower(", store_text(like_part(search->sql.arena, address->text)), ") ESCAPE '\\'");
		break;
	}
}

/* One recipient for whom both hold. */
static void search_recipient(struct search *search, const struct history_filter *filter)
{
	if (filter->to.text != NULL) {
		search_address(search, &filter->to, "r");
	}
	if (filter->action != NULL) {
		search_value(search, " AND r.action = ", store_text(filter->action), "");
	}
}

static void search_sender(struct search *search, const struct history_filter *filter)
{
	search_address(search, &filter->from, "s");
}

static void search_finding(struct search *search, const struct history_filter *filter)
{
	bool code = strchr(filter->finding, '.') != NULL;
	search_value(search, code ? " AND f.code = " : " AND f.stage = ", store_text(filter->finding), "");
}

static void search_message(struct search *search, const struct history_filter *filter)
{
	if (filter->queue_id != NULL) {
		search_value(search, " AND m.queue_id = ", store_text(filter->queue_id), "");
	}
	if (filter->support_id != NULL) {
		search_value(search, " AND m.support_id = ", store_text(filter->support_id), "");
	}
	if (filter->client != NULL) {
		search_value(search, " AND m.client = ", store_text(filter->client), "");
	}
}

/* What can be asked for, by table. */
enum side { SIDE_MESSAGE, SIDE_RECIPIENT, SIDE_SENDER, SIDE_FINDING, SIDE_COUNT };
static const struct {
	const char *table, *id; /* with its alias; the column that names the message */
	void (*conditions)(struct search *search, const struct history_filter *filter);
} sides[SIDE_COUNT] = {
    [SIDE_MESSAGE] = {"history_message m", "m.id", search_message},
    [SIDE_RECIPIENT] = {"history_recipient r", "r.message", search_recipient},
    [SIDE_SENDER] = {"history_sender s", "s.message", search_sender},
    [SIDE_FINDING] = {"history_finding f", "f.message", search_finding},
};

static bool asks(const struct history_filter *filter, enum side side)
{
	switch (side) {
	case SIDE_MESSAGE:
		return filter->queue_id != NULL || filter->support_id != NULL || filter->client != NULL;
	case SIDE_RECIPIENT:
		return filter->to.text != NULL || filter->action != NULL;
	case SIDE_SENDER:
		return filter->from.text != NULL;
	case SIDE_FINDING:
		return filter->finding != NULL;
	case SIDE_COUNT:
		break;
	}
	return false;
}

/* What names fewest messages; a part of an address has no index, and then all messages are walked through. */
static enum side search_leader(const struct history_filter *filter)
{
	bool to = filter->to.text != NULL && filter->to.match != HISTORY_MATCH_PART;
	bool from = filter->from.text != NULL && filter->from.match != HISTORY_MATCH_PART;
	if (asks(filter, SIDE_MESSAGE)) {
		return SIDE_MESSAGE;
	}
	if (to || from) {
		return to ? SIDE_RECIPIENT : SIDE_SENDER;
	}
	if (filter->finding != NULL) {
		return SIDE_FINDING;
	}
	return filter->action != NULL ? SIDE_RECIPIENT : SIDE_MESSAGE;
}

static void search_build(struct search *search, const struct history_filter *filter)
{
	enum side leader = search_leader(filter);
	const char *id = sides[leader].id;
	strbuf_printf(&search->sql, "SELECT DISTINCT %s AS id FROM %s WHERE %s", id, sides[leader].table, id);
	search_value(search, " >= ", store_integer(history_first_id(filter->since)), "");
	if (filter->until != 0) {
		strbuf_printf(&search->sql, " AND %s", id);
		search_value(search, " < ", store_integer(history_first_id(filter->until)), "");
	}
	sides[leader].conditions(search, filter);
	for (enum side side = 0; side < SIDE_COUNT; side++) {
		if (side != leader && asks(filter, side)) {
			strbuf_printf(&search->sql, " AND EXISTS (SELECT 1 FROM %s WHERE %s = %s", sides[side].table,
			              sides[side].id, id);
			sides[side].conditions(search, filter);
			strbuf_add_char(&search->sql, ')');
		}
	}
	search_value(search, " ORDER BY id DESC LIMIT ",
	             store_integer(filter->limit == 0 || filter->limit > LIMIT ? LIMIT : (int64_t)filter->limit), "");
}

/* Ids that were found. */
struct ids {
	int64_t *items;
	size_t count, capacity;
};

static bool read_id(void *context, const struct store_value *columns, size_t count)
{
	struct ids *ids = context;
	(void)count;
	if (ids->count == ids->capacity) {
		ids->capacity = ids->capacity == 0 ? 64 : ids->capacity * 2;
		ids->items = reallocarray(ids->items, ids->capacity, sizeof *ids->items);
		if (ids->items == NULL) {
			abort();
		}
	}
	ids->items[ids->count++] = columns[0].integer;
	return true;
}

/* Messages that are being read: those of one chunk, in the order of their ids. */
struct chunk {
	struct arena *arena;
	struct history_message messages[CHUNK];
	size_t count;
};

static struct history_message *chunk_find(struct chunk *chunk, int64_t id)
{
	for (size_t i = 0; i < chunk->count; i++) {
		if (chunk->messages[i].id == id) {
			return &chunk->messages[i];
		}
	}
	return NULL;
}

#define CHUNK_IDS                                                                                                      \
	"($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, " \
	"$25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, "   \
	"$47, $48, $49, $50)"

static const char select_messages[] =
    "SELECT id, time, host, queue_id, support_id, direction, peer, client, client_name, helo, country, asn, as_name,"
    " tls_version, tls_cipher, auth_user, mail_from, mail_from_domain, author, author_domain, subject, message_id, "
    "size,"
    " spf, dkim, arc, dmarc, dmarc_domain, results, action, reason, reply, score, milliseconds, ended,"
    " recipient_count, tls_bits, cert_subject, cert_issuer, cert_verified, peer_name, peer_helo FROM history_message "
    "WHERE id IN " CHUNK_IDS " ORDER BY id DESC";

/* The last columns. */
static void read_peer(struct arena *arena, struct history_message *m, const struct store_value *c)
{
	m->tls_bits = c[0].integer;
	m->cert_subject = history_text(arena, &c[1]);
	m->cert_issuer = history_text(arena, &c[2]);
	m->cert_verified = c[3].integer == HISTORY_CERT_VERIFIED       ? HISTORY_CERT_VERIFIED
	                   : c[3].integer == HISTORY_CERT_NOT_VERIFIED ? HISTORY_CERT_NOT_VERIFIED
	                                                               : HISTORY_CERT_UNKNOWN;
	m->peer_name = history_text(arena, &c[4]);
	m->peer_helo = history_text(arena, &c[5]);
}

static bool read_message(void *context, const struct store_value *columns, size_t count)
{
	struct chunk *chunk = context;
	struct arena *arena = chunk->arena;
	const struct store_value *c = columns;
	(void)count;
	if (chunk->count == CHUNK) {
		return false;
	}
	struct history_message *m = &chunk->messages[chunk->count++];
	*m = (struct history_message){.id = c[0].integer, .time = c[1].integer, .dns = ""};
	const char **const before_asn[] = {&m->host,   &m->queue_id,    &m->support_id, &m->direction, &m->peer,
	                                   &m->client, &m->client_name, &m->helo,       &m->country};
	const char **const before_size[] = {&m->as_name,   &m->tls_version,      &m->tls_cipher, &m->auth_user,
	                                    &m->mail_from, &m->mail_from_domain, &m->author,     &m->author_domain,
	                                    &m->subject,   &m->message_id};
	const char **const before_score[] = {&m->spf,     &m->dkim,   &m->arc,    &m->dmarc, &m->dmarc_domain,
	                                     &m->results, &m->action, &m->reason, &m->reply};
	c += 2;
	for (size_t i = 0; i < sizeof before_asn / sizeof *before_asn; i++) {
		*before_asn[i] = history_text(arena, c++);
	}
	m->asn = c++->integer;
	for (size_t i = 0; i < sizeof before_size / sizeof *before_size; i++) {
		*before_size[i] = history_text(arena, c++);
	}
	m->size = c++->integer;
	for (size_t i = 0; i < sizeof before_score / sizeof *before_score; i++) {
		*before_score[i] = history_text(arena, c++);
	}
	m->score = c++->real;
	m->milliseconds = c++->integer;
	m->ended = c++->integer != 0;
	m->recipient_count = c++->integer;
	read_peer(arena, m, c);
	return true;
}

static const char select_recipients[] =
    "SELECT r.message, r.address, r.domain, r.action, r.reply, r.refused, r.fate, r.quarantine, r.copy,"
    " COALESCE(c.state, '') FROM history_recipient r"
    " LEFT JOIN quarantine_copy c ON c.message = r.quarantine AND c.n = r.copy"
    " WHERE r.message IN " CHUNK_IDS " ORDER BY r.message DESC, r.position";

/* Room for one more: arrays of an arena that double. */
static void *grow(struct arena *arena, void *items, size_t count, size_t size)
{
	if (count != 0 && (count & (count - 1)) != 0) {
		return items;
	}
	void *larger = arena_alloc(arena, (count == 0 ? 1 : count * 2) * size);
	if (count > 0) {
		memcpy(larger, items, count * size);
	}
	return larger;
}

static bool read_recipient(void *context, const struct store_value *columns, size_t count)
{
	struct chunk *chunk = context;
	struct history_message *m = chunk_find(chunk, columns[0].integer);
	(void)count;
	if (m != NULL) {
		m->recipients = grow(chunk->arena, m->recipients, m->recipients_given, sizeof *m->recipients);
		m->recipients[m->recipients_given++] = (struct history_recipient){
		    .address = history_text(chunk->arena, &columns[1]),
		    .domain = history_text(chunk->arena, &columns[2]),
		    .action = history_text(chunk->arena, &columns[3]),
		    .reply = history_text(chunk->arena, &columns[4]),
		    .refused = columns[5].integer != 0,
		    .fate = history_text(chunk->arena, &columns[6]),
		    .quarantine = history_text(chunk->arena, &columns[7]),
		    .copy = columns[8].integer,
		    .state = history_text(chunk->arena, &columns[9]),
		};
	}
	return true;
}

static const char select_findings[] =
    "SELECT message, code, detail, action, effective, mode, would, recipient FROM history_finding"
    " WHERE message IN " CHUNK_IDS " ORDER BY message DESC, position";

static bool read_finding(void *context, const struct store_value *columns, size_t count)
{
	struct chunk *chunk = context;
	struct history_message *m = chunk_find(chunk, columns[0].integer);
	(void)count;
	if (m != NULL) {
		m->findings = grow(chunk->arena, m->findings, m->findings_given, sizeof *m->findings);
		m->findings[m->findings_given++] = (struct history_finding){
		    .code = history_text(chunk->arena, &columns[1]),
		    .detail = history_text(chunk->arena, &columns[2]),
		    .action = history_text(chunk->arena, &columns[3]),
		    .effective = history_text(chunk->arena, &columns[4]),
		    .mode = history_text(chunk->arena, &columns[5]),
		    .would = columns[6].integer != 0,
		    .recipient = columns[7].integer,
		};
	}
	return true;
}

static const char select_dns[] = "SELECT message, zone FROM history_dns WHERE message IN " CHUNK_IDS;

static bool read_dns(void *context, const struct store_value *columns, size_t count)
{
	struct chunk *chunk = context;
	struct history_message *m = chunk_find(chunk, columns[0].integer);
	(void)count;
	if (m != NULL) {
		m->dns = history_text(chunk->arena, &columns[1]);
	}
	return true;
}

static enum store_result chunk_read(struct store *store, const int64_t *ids, size_t count, bool dns,
                                    struct chunk *chunk)
{
	static const struct {
		const char *sql;
		store_row *row;
	} queries[] = {{select_messages, read_message},
	               {select_recipients, read_recipient},
	               {select_findings, read_finding},
	               {select_dns, read_dns}};
	struct store_value values[CHUNK];
	enum store_result result = STORE_OK;
	for (size_t i = 0; i < CHUNK; i++) {
		values[i] = store_integer(ids[i < count ? i : count - 1]);
	}
	for (size_t i = 0; i < (dns ? 4 : 3) && result == STORE_OK; i++) {
		result = store_query(store, queries[i].sql, values, CHUNK, queries[i].row, chunk);
	}
	return result;
}

static enum store_result visit_all(struct store *store, const struct ids *ids, bool dns, history_visitor *visit,
                                   void *context)
{
	struct chunk chunk = {.arena = arena_create(65536)};
	enum store_result result = STORE_OK;
	for (size_t at = 0; at < ids->count && result == STORE_OK; at += CHUNK) {
		size_t count = ids->count - at < CHUNK ? ids->count - at : CHUNK;
		arena_reset(chunk.arena);
		chunk.count = 0;
		result = chunk_read(store, ids->items + at, count, dns, &chunk);
		for (size_t i = 0; i < chunk.count && result == STORE_OK; i++) {
			visit(context, &chunk.messages[i]);
		}
	}
	arena_destroy(chunk.arena);
	return result;
}

enum store_result history_find(struct store *store, const struct history_filter *filter, bool dns,
                               history_visitor *visit, void *context)
{
	struct arena *arena = arena_create(4096);
	struct search search = {.count = 0};
	struct ids ids = {.count = 0};
	strbuf_init(&search.sql, arena);
	search_build(&search, filter);
	enum store_result result = store_query(store, search.sql.data, search.values, search.count, read_id, &ids);
	if (result == STORE_OK) {
		result = visit_all(store, &ids, dns, visit, context);
	}
	free(ids.items);
	arena_destroy(arena);
	return result;
}
