#include "lib/store/digests.h"

#include "lib/store/history_private.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT(values) (sizeof(values) / sizeof *(values))
#define USER_COLUMNS                                                                                                   \
	"u.owner, u.frequency, u.language, u.covered, u.sent, u.wanted, u.due, u.trying, u.attempts, u.nonce, u.passed"
/* Of history_recipient r. */
#define TOLD "r.action IN ('quarantine', 'reject', 'tag')"

static enum store_result write_one(struct store *store, const char *sql, const struct store_value *values, size_t count,
                                   unsigned flags, store_row *row, void *context)
{
	const struct store_statement statement = {sql, values, count};
	return store_write(store, &statement, 1, flags, row, context);
}

static struct digest_user user_of(struct arena *arena, const struct store_value *v)
{
	return (struct digest_user){.owner = history_text(arena, &v[0]),
	                            .frequency = history_text(arena, &v[1]),
	                            .language = history_text(arena, &v[2]),
	                            .covered = v[3].integer,
	                            .sent = v[4].integer,
	                            .wanted = v[5].integer,
	                            .due = v[6].integer,
	                            .trying = v[7].integer,
	                            .attempts = v[8].integer,
	                            .nonce = history_text(arena, &v[9]),
	                            .passed = v[10].integer != 0};
}

struct user_reading {
	struct arena *arena;
	struct digest_user *user_r;
	bool found;
};

static bool on_user(void *context, const struct store_value *columns, size_t count)
{
	struct user_reading *reading = context;
	(void)count;
	*reading->user_r = user_of(reading->arena, columns);
	reading->found = true;
	return false;
}

struct user_listing {
	struct arena *arena;
	digest_user_visit *visit;
	void *context;
};

static bool on_listed_user(void *context, const struct store_value *columns, size_t count)
{
	struct user_listing *listing = context;
	(void)count;
	arena_reset(listing->arena);
	struct digest_user user = user_of(listing->arena, columns);
	return listing->visit(listing->context, &user);
}

static enum store_result list_users(struct store *store, const char *sql, const struct store_value *values,
                                    size_t count, digest_user_visit *visit, void *context)
{
	struct user_listing listing = {arena_create(4096), visit, context};
	enum store_result result = store_query(store, sql, values, count, on_listed_user, &listing);
	arena_destroy(listing.arena);
	return result;
}

/* ---- settings ---- */

enum store_result digests_user(struct store *store, struct arena *arena, const char *owner, struct digest_user *user_r)
{
	const struct store_value value = store_text(owner);
	struct user_reading reading = {arena, user_r, false};
	*user_r = (struct digest_user){.owner = owner, .frequency = "", .language = "", .nonce = ""};
	return store_query(store, "SELECT " USER_COLUMNS " FROM digest_user u WHERE u.owner = $1", &value, 1, on_user,
	                   &reading);
}

#define INSERT_USER                                                                                                    \
	"INSERT INTO digest_user (owner, frequency, language, covered, sent, wanted, due, trying, attempts, nonce, "       \
	"passed)"

enum store_result digests_set(struct store *store, const char *owner, const char *frequency, const char *language)
{
	static const char sql[] = INSERT_USER
	    " VALUES ($1, COALESCE(CAST($2 AS TEXT), ''), COALESCE(CAST($3 AS TEXT), ''), 0, 0, 0, 0, 0, 0, '', 0)"
	    " ON CONFLICT (owner) DO UPDATE SET frequency = COALESCE(CAST($2 AS TEXT), digest_user.frequency),"
	    " language = COALESCE(CAST($3 AS TEXT), digest_user.language)";
	const struct store_value values[] = {store_text(owner), store_text(frequency), store_text(language)};
	return write_one(store, sql, values, COUNT(values), STORE_DURABLE, NULL, NULL);
}

enum store_result digests_each(struct store *store, digest_user_visit *visit, void *context)
{
	return list_users(store, "SELECT " USER_COLUMNS " FROM digest_user u ORDER BY u.owner COLLATE \"C\"", NULL, 0,
	                  visit, context);
}

static bool on_status(void *context, const struct store_value *columns, size_t count)
{
	struct digest_status *status = context;
	(void)count;
	*status = (struct digest_status){columns[0].integer, columns[1].integer, columns[2].integer, columns[3].integer};
	return false;
}

enum store_result digests_status(struct store *store, struct digest_status *status_r)
{
	static const char sql[] =
	    "SELECT COALESCE(MAX(sent), 0) AS last, CAST(COALESCE(SUM(CASE WHEN wanted > 0 THEN 1 ELSE 0 END), 0) AS "
	    "BIGINT)"
	    " AS waiting, CAST(COALESCE(SUM(CASE WHEN wanted > 0 AND attempts > 0 THEN 1 ELSE 0 END), 0) AS BIGINT) AS "
	    "failed,"
	    " CAST(COALESCE(SUM(CASE WHEN sent > 0 THEN 1 ELSE 0 END), 0) AS BIGINT) AS users FROM digest_user";
	*status_r = (struct digest_status){0};
	return store_query(store, sql, NULL, 0, on_status, status_r);
}

/* ---- who is to get one ---- */

static bool on_progress(void *context, const struct store_value *columns, size_t count)
{
	int64_t *progress = context;
	(void)count;
	progress[0] = columns[0].integer;
	progress[1] = columns[1].integer;
	return false;
}

enum store_result digests_progress(struct store *store, int64_t *scanned_r, int64_t *slot_r)
{
	int64_t progress[2] = {0, 0};
	enum store_result result =
	    store_query(store, "SELECT scanned, slot FROM digest_progress WHERE id = 1", NULL, 0, on_progress, progress);
	*scanned_r = progress[0];
	*slot_r = progress[1];
	return result;
}

/* Forward only: of two who do it, the one who is late changes nothing. */
enum store_result digests_set_progress(struct store *store, int64_t scanned, int64_t slot)
{
	static const char sql[] =
	    "INSERT INTO digest_progress (id, scanned, slot) VALUES (1, $1, $2) ON CONFLICT (id) DO UPDATE"
	    " SET scanned = EXCLUDED.scanned, slot = EXCLUDED.slot"
	    " WHERE digest_progress.scanned <= EXCLUDED.scanned AND digest_progress.slot <= EXCLUDED.slot";
	const struct store_value values[] = {store_integer(scanned), store_integer(slot)};
	return write_one(store, sql, values, COUNT(values), 0, NULL, NULL);
}

struct address_listing {
	struct arena *arena;
	digest_address_visit *visit;
	void *context;
};

static bool on_address(void *context, const struct store_value *columns, size_t count)
{
	struct address_listing *listing = context;
	(void)count;
	arena_reset(listing->arena);
	return listing->visit(listing->context, history_text(listing->arena, &columns[0]),
	                      history_text(listing->arena, &columns[1]), columns[2].integer);
}

enum store_result digests_scan(struct store *store, int64_t since, int64_t until, digest_address_visit *visit,
                               void *context)
{
	static const char sql[] =
	    "SELECT lower(r.address) AS address, r.domain, MAX(m.time) AS newest FROM history_recipient r"
	    " JOIN history_message m ON m.id = r.message WHERE " TOLD " AND r.message >= $1 AND r.message < $2"
	    " AND m.direction = 'inbound' AND r.domain <> '' GROUP BY lower(r.address), r.domain";
	const struct store_value values[] = {store_integer(history_first_id(since)),
	                                     store_integer(history_first_id(until))};
	struct address_listing listing = {arena_create(4096), visit, context};
	enum store_result result = store_query(store, sql, values, COUNT(values), on_address, &listing);
	arena_destroy(listing.arena);
	return result;
}

enum store_result digests_found(struct store *store, const char *address, const char *owner, int64_t newest)
{
	static const char sql[] =
	    "INSERT INTO digest_address (address, owner, newest) VALUES ($1, $2, $3) ON CONFLICT (address) DO UPDATE"
	    " SET owner = EXCLUDED.owner, newest = CASE WHEN digest_address.newest > EXCLUDED.newest"
	    " THEN digest_address.newest ELSE EXCLUDED.newest END";
	const struct store_value values[] = {store_text(address), store_text(owner), store_integer(newest)};
	return write_one(store, sql, values, COUNT(values), 0, NULL, NULL);
}

enum store_result digests_news(struct store *store, const char *after, int64_t limit, digest_user_visit *visit,
                               void *context)
{
	static const char sql[] =
	    "SELECT a.owner, COALESCE(MAX(u.frequency), '') AS frequency, COALESCE(MAX(u.language), '') AS language,"
	    " COALESCE(MAX(u.covered), 0) AS covered, COALESCE(MAX(u.sent), 0) AS sent, COALESCE(MAX(u.wanted), 0) AS "
	    "wanted,"
	    " COALESCE(MAX(u.due), 0) AS due, 0 AS trying, 0 AS attempts, '' AS nonce, 0 AS passed"
	    " FROM digest_address a LEFT JOIN digest_user u ON u.owner = a.owner"
	    " WHERE a.owner COLLATE \"C\" > $1 AND a.newest >= COALESCE(u.covered, 0)"
	    " GROUP BY a.owner ORDER BY a.owner COLLATE \"C\" LIMIT $2";
	const struct store_value values[] = {store_text(after), store_integer(limit)};
	return list_users(store, sql, values, COUNT(values), visit, context);
}

enum store_result digests_want(struct store *store, const char *owner, int64_t until, int64_t now)
{
	static const char sql[] =
	    INSERT_USER " VALUES ($1, '', '', 0, 0, $2, $3, 0, 0, '', 0)"
	                " ON CONFLICT (owner) DO UPDATE SET wanted = EXCLUDED.wanted, attempts = 0,"
	                " due = CASE WHEN digest_user.nonce = '' THEN EXCLUDED.due ELSE digest_user.due END"
	                " WHERE digest_user.wanted < EXCLUDED.wanted AND digest_user.covered < EXCLUDED.wanted";
	const struct store_value values[] = {store_text(owner), store_integer(until), store_integer(now)};
	return write_one(store, sql, values, COUNT(values), 0, NULL, NULL);
}

/* ---- sending ---- */

/* One statement: of two daemons that ask at the same time the second finds a time that has not come. A nonce that is
 * there is of an attempt whose end nobody has written down. */
enum store_result digests_take(struct store *store, struct arena *arena, const char *owner, int64_t now, int64_t lease,
                               struct digest_user *user_r, bool *found_r)
{
	static const char sql[] =
	    "UPDATE digest_user AS u SET due = $3, attempts = u.attempts + 1,"
	    " trying = CASE WHEN u.nonce = '' THEN u.wanted ELSE u.trying END,"
	    " nonce = CASE WHEN u.nonce = '' THEN $4 ELSE u.nonce END"
	    " WHERE u.wanted > 0 AND u.due <= $2 AND u.owner IN (SELECT o.owner FROM digest_user o WHERE o.wanted > 0"
	    " AND o.due <= $2 AND ($1 = '' OR o.owner = $1) ORDER BY o.due, o.owner LIMIT 1)"
	    " RETURNING owner, frequency, language, covered, sent, wanted, due, trying, attempts, nonce, passed";
	char nonce[ACTION_NONCE_SIZE];
	*found_r = false;
	if (!action_nonce_make(nonce)) {
		return STORE_UNAVAILABLE;
	}
	const struct store_value values[] = {store_text(owner), store_integer(now), store_integer(now + lease),
	                                     store_text(nonce)};
	struct user_reading reading = {arena, user_r, false};
	enum store_result result = write_one(store, sql, values, COUNT(values), STORE_DURABLE, on_user, &reading);
	*found_r = result == STORE_OK && reading.found;
	return result;
}

enum store_result digests_passed(struct store *store, const char *nonce, const char *owner)
{
	const struct store_value values[] = {store_text(nonce), store_text(owner)};
	return write_one(store, "UPDATE digest_user SET passed = 1 WHERE nonce = $1 AND owner = $2", values, COUNT(values),
	                 STORE_DURABLE, NULL, NULL);
}

enum store_result digests_settle(struct store *store, const struct digest_user *user, bool sent, int64_t now)
{
	static const char sql[] =
	    "UPDATE digest_user SET covered = trying, sent = CASE WHEN $3 = 1 THEN $4 ELSE sent END,"
	    " wanted = CASE WHEN wanted > trying THEN wanted ELSE 0 END, due = $4, attempts = 0, trying = 0, nonce = '',"
	    " passed = 0 WHERE owner = $1 AND nonce = $2";
	const struct store_value values[] = {store_text(user->owner), store_text(user->nonce), store_integer(sent),
	                                     store_integer(now)};
	return write_one(store, sql, values, COUNT(values), STORE_DURABLE, NULL, NULL);
}

enum store_result digests_later(struct store *store, const struct digest_user *user, int64_t due)
{
	static const char sql[] = "UPDATE digest_user SET due = $3, trying = 0, nonce = '', passed = 0"
	                          " WHERE owner = $1 AND nonce = $2";
	const struct store_value values[] = {store_text(user->owner), store_text(user->nonce), store_integer(due)};
	return write_one(store, sql, values, COUNT(values), STORE_DURABLE, NULL, NULL);
}

/* ---- what there is to tell ---- */

struct entry_listing {
	struct arena *arena;
	digest_entry_visit *visit;
	void *context;
};

static bool on_entry(void *context, const struct store_value *v, size_t count)
{
	struct entry_listing *listing = context;
	struct arena *arena = listing->arena;
	(void)count;
	arena_reset(arena);
	const struct digest_entry entry = {.message = v[0].integer,
	                                   .position = v[1].integer,
	                                   .time = v[2].integer,
	                                   .author = history_text(arena, &v[3]),
	                                   .mail_from = history_text(arena, &v[4]),
	                                   .subject = history_text(arena, &v[5]),
	                                   .support_id = history_text(arena, &v[6]),
	                                   .address = history_text(arena, &v[7]),
	                                   .domain = history_text(arena, &v[8]),
	                                   .action = history_text(arena, &v[9])};
	return listing->visit(listing->context, &entry);
}

enum store_result digests_entries(struct store *store, const char *owner, int64_t since, int64_t until, int64_t limit,
                                  digest_entry_visit *visit, void *context)
{
	static const char sql[] =
	    "SELECT m.id, r.position, m.time, m.author, m.mail_from, m.subject, m.support_id, r.address, r.domain, r.action"
	    " FROM history_recipient r JOIN history_message m ON m.id = r.message WHERE lower(r.address) IN"
	    " (SELECT CAST($1 AS TEXT) AS address UNION SELECT a.address FROM digest_address a WHERE a.owner = $1) AND "
	    "r.message >= $2 AND r.message < $3 AND " TOLD
	    " AND m.direction = 'inbound' ORDER BY m.id DESC, r.position LIMIT $4";
	const struct store_value values[] = {store_text(owner), store_integer(history_first_id(since)),
	                                     store_integer(history_first_id(until)), store_integer(limit)};
	struct entry_listing listing = {arena_create(4096), visit, context};
	enum store_result result = store_query(store, sql, values, COUNT(values), on_entry, &listing);
	arena_destroy(listing.arena);
	return result;
}

struct finding_listing {
	struct arena *arena;
	digest_finding_visit *visit;
	void *context;
};

static bool on_finding(void *context, const struct store_value *columns, size_t count)
{
	struct finding_listing *listing = context;
	(void)count;
	arena_reset(listing->arena);
	return listing->visit(listing->context, history_text(listing->arena, &columns[0]),
	                      history_text(listing->arena, &columns[1]));
}

enum store_result digests_findings(struct store *store, int64_t message, int64_t position, digest_finding_visit *visit,
                                   void *context)
{
	static const char sql[] = "SELECT code, effective FROM history_finding WHERE message = $1"
	                          " AND (recipient = -1 OR recipient = $2) AND effective <> 'ignore' ORDER BY position";
	const struct store_value values[] = {store_integer(message), store_integer(position)};
	struct finding_listing listing = {arena_create(1024), visit, context};
	enum store_result result = store_query(store, sql, values, COUNT(values), on_finding, &listing);
	arena_destroy(listing.arena);
	return result;
}

struct copy_reading {
	struct arena *arena;
	const char **id_r;
	unsigned *copy_r;
};

static bool on_copy(void *context, const struct store_value *columns, size_t count)
{
	struct copy_reading *reading = context;
	(void)count;
	*reading->id_r = history_text(reading->arena, &columns[0]);
	*reading->copy_r = (unsigned)columns[1].integer;
	return false;
}

enum store_result digests_copy(struct store *store, struct arena *arena, const char *support_id, const char *owner,
                               const char **id_r, unsigned *copy_r)
{
	static const char sql[] =
	    "SELECT c.message, c.n FROM quarantine_message m JOIN quarantine_copy c ON c.message = m.id"
	    " WHERE m.support_id = $1 AND c.owner = $2 AND c.state = 'held'";
	const struct store_value values[] = {store_text(support_id), store_text(owner)};
	struct copy_reading reading = {arena, id_r, copy_r};
	*id_r = "";
	*copy_r = 0;
	return store_query(store, sql, values, COUNT(values), on_copy, &reading);
}

/* ---- links ---- */

enum { LINK_VALUES = 7, LINKS_AT_ONCE = 500 };

static enum store_result add_links(struct store *store, const struct digest_link *links, size_t count)
{
	static const char sql[] = "INSERT INTO digest_link (nonce, owner, message, copy, author, language, expires, uses)"
	                          " VALUES ($1, $2, $3, $4, $5, $6, $7, 0)";
	struct store_value(*values)[LINK_VALUES] = calloc(count, sizeof *values);
	struct store_statement *statements = calloc(count, sizeof *statements);
	if (values == NULL || statements == NULL) {
		abort();
	}
	for (size_t i = 0; i < count; i++) {
		const struct digest_link *link = &links[i];
		const struct store_value row[LINK_VALUES] = {store_text(link->nonce),     store_text(link->owner),
		                                             store_text(link->message),   store_integer(link->copy),
		                                             store_text(link->author),    store_text(link->language),
		                                             store_integer(link->expires)};
		memcpy(values[i], row, sizeof row);
		statements[i] = (struct store_statement){sql, values[i], LINK_VALUES};
	}
	enum store_result result = store_write(store, statements, count, STORE_DURABLE, NULL, NULL);
	free(values);
	free(statements);
	return result;
}

enum store_result digests_add_links(struct store *store, const struct digest_link *links, size_t count)
{
	enum store_result result = STORE_OK;
	for (size_t at = 0; at < count && result == STORE_OK; at += LINKS_AT_ONCE) {
		result = add_links(store, links + at, count - at < LINKS_AT_ONCE ? count - at : LINKS_AT_ONCE);
	}
	return result;
}

struct link_reading {
	struct arena *arena;
	struct digest_link *link_r;
	bool *found_r;
};

static bool on_link(void *context, const struct store_value *columns, size_t count)
{
	struct link_reading *reading = context;
	(void)count;
	reading->link_r->owner = history_text(reading->arena, &columns[0]);
	reading->link_r->message = history_text(reading->arena, &columns[1]);
	reading->link_r->copy = (unsigned)columns[2].integer;
	reading->link_r->author = history_text(reading->arena, &columns[3]);
	reading->link_r->language = history_text(reading->arena, &columns[4]);
	reading->link_r->expires = columns[5].integer;
	*reading->found_r = true;
	return false;
}

enum store_result digests_link(struct store *store, struct arena *arena, const char *nonce, struct digest_link *link_r,
                               bool *found_r)
{
	const struct store_value value = store_text(nonce);
	struct link_reading reading = {arena, link_r, found_r};
	*link_r = (struct digest_link){.owner = "", .message = "", .author = "", .language = ""};
	snprintf(link_r->nonce, sizeof link_r->nonce, "%s", nonce);
	*found_r = false;
	return store_query(store,
	                   "SELECT owner, message, copy, author, language, expires FROM digest_link WHERE nonce = $1",
	                   &value, 1, on_link, &reading);
}

/* ---- replies ---- */

enum store_result digests_add_request(struct store *store, const struct action_token *token, const char *message_id,
                                      int64_t now)
{
	static const char insert[] =
	    "INSERT INTO digest_request (id, nonce, verb, message_id, due, attempts)"
	    " SELECT CAST($1 AS TEXT), nonce, CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS BIGINT), 0"
	    " FROM digest_link WHERE nonce = $2 AND uses < $6";
	static const char count[] = "UPDATE digest_link SET uses = uses + 1 WHERE nonce = $1";
	char id[ACTION_NONCE_SIZE];
	if (!action_nonce_make(id)) {
		return STORE_UNAVAILABLE;
	}
	const struct store_value values[] = {
	    store_text(id),         store_text(token->nonce), store_text(action_verb_name(token->verb)),
	    store_text(message_id), store_integer(now),       store_integer(DIGESTS_USES_MAX)};
	const struct store_statement statements[] = {{insert, values, COUNT(values)}, {count, &values[1], 1}};
	return store_write(store, statements, COUNT(statements), STORE_DURABLE, NULL, NULL);
}

struct request_reading {
	struct arena *arena;
	struct digest_request *request_r;
	bool found;
};

static bool on_request(void *context, const struct store_value *columns, size_t count)
{
	struct request_reading *reading = context;
	struct digest_request *request = reading->request_r;
	struct arena *arena = reading->arena;
	(void)count;
	*request = (struct digest_request){.id = history_text(arena, &columns[0]),
	                                   .message_id = history_text(arena, &columns[3]),
	                                   .attempts = columns[4].integer};
	snprintf(request->nonce, sizeof request->nonce, "%s", history_text(arena, &columns[1]));
	const char *verb = history_text(arena, &columns[2]);
	for (size_t i = 0; i < ACTION_VERBS; i++) {
		if (strcmp(action_verb_name((enum action_verb)i), verb) == 0) {
			request->verb = (enum action_verb)i;
			reading->found = true;
		}
	}
	return false;
}

enum store_result digests_take_request(struct store *store, struct arena *arena, int64_t now, int64_t lease,
                                       struct digest_request *request_r, bool *found_r)
{
	static const char sql[] = "UPDATE digest_request SET due = $2, attempts = attempts + 1 WHERE due <= $1 AND id IN"
	                          " (SELECT q.id FROM digest_request q WHERE q.due <= $1 ORDER BY q.due, q.id LIMIT 1)"
	                          " RETURNING id, nonce, verb, message_id, attempts";
	const struct store_value values[] = {store_integer(now), store_integer(now + lease)};
	struct request_reading reading = {arena, request_r, false};
	enum store_result result = write_one(store, sql, values, COUNT(values), STORE_DURABLE, on_request, &reading);
	*found_r = result == STORE_OK && reading.found;
	return result;
}

enum store_result digests_end_request(struct store *store, const struct digest_request *request)
{
	const struct store_value value = store_text(request->id);
	return write_one(store, "DELETE FROM digest_request WHERE id = $1", &value, 1, STORE_DURABLE, NULL, NULL);
}

enum store_result digests_later_request(struct store *store, const struct digest_request *request, int64_t due)
{
	const struct store_value values[] = {store_text(request->id), store_integer(due)};
	return write_one(store, "UPDATE digest_request SET due = $2 WHERE id = $1", values, COUNT(values), 0, NULL, NULL);
}

enum store_result digests_expire(struct store *store, int64_t links, int64_t addresses)
{
	const struct store_value values[] = {store_integer(links), store_integer(addresses)};
	const struct store_statement statements[] = {{"DELETE FROM digest_link WHERE expires < $1", &values[0], 1},
	                                             {"DELETE FROM digest_address WHERE newest < $1", &values[1], 1}};
	return store_write(store, statements, COUNT(statements), 0, NULL, NULL);
}
