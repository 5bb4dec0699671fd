#include "lib/store/dmarc_rows.h"

#include <openssl/evp.h>
#include <stdio.h>

enum { DIGEST_TEXT = 65 };

/* The same row for the same text. */
static bool row_digest(const struct dmarc_rows_message *message, char text_r[DIGEST_TEXT])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
	            EVP_DigestUpdate(context, message->before.data, message->before.len) == 1 &&
	            EVP_DigestUpdate(context, message->after.data, message->after.len) == 1 &&
	            EVP_DigestFinal_ex(context, digest, &n) == 1;
	EVP_MD_CTX_free(context);
	for (unsigned i = 0; good && i < (DIGEST_TEXT - 1) / 2; i++) {
		snprintf(text_r + 2 * i, 3, "%02x", digest[i]);
	}
	return good;
}

bool dmarc_rows_add(struct store *store, const struct dmarc_rows_message *message)
{
	static const char report_sql[] =
	    "INSERT INTO dmarc_report (day, domain, record, state, attempts, due) VALUES ($1, $2, $3, 0, 0, $4)"
	    " ON CONFLICT (day, domain) DO UPDATE SET record = EXCLUDED.record";
	static const char row_sql[] =
	    "INSERT INTO dmarc_row (day, domain, digest, head, tail, messages) VALUES ($1, $2, $3, $4, $5, 1)"
	    " ON CONFLICT (day, domain, digest) DO UPDATE SET messages = dmarc_row.messages + 1";
	char digest[DIGEST_TEXT];
	if (!row_digest(message, digest)) {
		return false;
	}
	const struct store_value report[] = {store_integer(message->day), store_text(message->domain),
	                                     store_text_slice(message->record), store_integer(message->due)};
	const struct store_value row[] = {store_integer(message->day), store_text(message->domain), store_text(digest),
	                                  store_text_slice(message->before), store_text_slice(message->after)};
	const struct store_statement statements[] = {{report_sql, report, 4}, {row_sql, row, 5}};
	return store_write_later(store, statements, 2);
}

/* ---- reading ---- */

struct listing {
	dmarc_rows_visitor *visit;
	void *context;
	struct arena *arena; /* NULL: strings are borrowed from the row, but for the domain's final NUL */
};

static struct dmarc_rows_report report_of(struct arena *arena, const struct store_value *columns)
{
	struct slice record = columns[2].bytes;
	return (struct dmarc_rows_report){.day = columns[0].integer,
	                                  .domain = slice_dup(arena, columns[1].bytes),
	                                  .record = {slice_dup(arena, record), record.len},
	                                  .state = (enum dmarc_report_state)columns[3].integer,
	                                  .attempts = columns[4].integer,
	                                  .messages = columns[5].integer};
}

static bool on_report(void *context, const struct store_value *columns, size_t count)
{
	struct listing *listing = context;
	(void)count;
	arena_reset(listing->arena);
	struct dmarc_rows_report report = report_of(listing->arena, columns);
	return listing->visit(listing->context, &report);
}

enum store_result dmarc_rows_reports(struct store *store, int64_t day, const char *domain, dmarc_rows_visitor *visit,
                                     void *context)
{
	static const char sql[] =
	    "SELECT r.day, r.domain, r.record, r.state, r.attempts, CAST(SUM(w.messages) AS BIGINT) AS messages"
	    " FROM dmarc_report r JOIN dmarc_row w ON w.day = r.day AND w.domain = r.domain"
	    " WHERE r.day = $1 AND ($2 = '' OR r.domain = $2)"
	    " GROUP BY r.day, r.domain, r.record, r.state, r.attempts ORDER BY r.domain";
	const struct store_value values[] = {store_integer(day), store_text(domain)};
	struct listing listing = {visit, context, arena_create(4096)};
	enum store_result result = store_query(store, sql, values, 2, on_report, &listing);
	arena_destroy(listing.arena);
	return result;
}

struct taking {
	struct arena *arena;
	struct dmarc_rows_report *report_r;
	bool found;
};

static bool on_taken(void *context, const struct store_value *columns, size_t count)
{
	struct taking *taking = context;
	(void)count;
	*taking->report_r = report_of(taking->arena, columns);
	taking->found = true;
	return false;
}

/* One statement: of two daemons that ask at the same time the second finds a time that has not come. */
enum store_result dmarc_rows_take(struct store *store, struct arena *arena, int64_t today, int64_t now, int64_t lease,
                                  struct dmarc_rows_report *report_r, bool *found_r)
{
	static const char sql[] = "UPDATE dmarc_report SET due = $3, attempts = attempts + 1"
	                          " WHERE state = 0 AND (due <= $2 OR due > $4) AND (day, domain) IN"
	                          " (SELECT day, domain FROM dmarc_report WHERE state = 0 AND day < $1 AND"
	                          " (due <= $2 OR due > $4) ORDER BY due, day, domain LIMIT 1)"
	                          " RETURNING day, domain, record, state, attempts, 0";
	const struct store_value values[] = {store_integer(today), store_integer(now), store_integer(now + lease),
	                                     store_integer(now + DMARC_ROWS_DUE_MAX)};
	const struct store_statement statement = {sql, values, 4};
	struct taking taking = {arena, report_r, false};
	enum store_result result = store_write(store, &statement, 1, 0, on_taken, &taking);
	*found_r = result == STORE_OK && taking.found;
	return result;
}

struct row_listing {
	dmarc_row_visitor *visit;
	void *context;
};

static bool on_row(void *context, const struct store_value *columns, size_t count)
{
	struct row_listing *listing = context;
	(void)count;
	return listing->visit(listing->context, columns[0].bytes, columns[1].integer, columns[2].bytes);
}

enum store_result dmarc_rows_each(struct store *store, int64_t day, const char *domain, int64_t limit,
                                  dmarc_row_visitor *visit, void *context)
{
	static const char sql[] = "SELECT head, messages, tail FROM dmarc_row WHERE day = $1 AND domain = $2"
	                          " ORDER BY messages DESC, digest LIMIT $3";
	const struct store_value values[] = {store_integer(day), store_text(domain), store_integer(limit)};
	struct row_listing listing = {visit, context};
	return store_query(store, sql, values, 3, on_row, &listing);
}

static bool on_any(void *context, const struct store_value *columns, size_t count)
{
	(void)columns, (void)count;
	*(bool *)context = true;
	return false;
}

enum store_result dmarc_rows_was_sent_to(struct store *store, int64_t day, const char *domain, const char *address,
                                         bool *sent_r)
{
	static const char sql[] = "SELECT 1 FROM dmarc_sent WHERE day = $1 AND domain = $2 AND address = $3";
	const struct store_value values[] = {store_integer(day), store_text(domain), store_text(address)};
	*sent_r = false;
	return store_query(store, sql, values, 3, on_any, sent_r);
}

/* ---- what became of a report ---- */

enum store_result dmarc_rows_sent_to(struct store *store, int64_t day, const char *domain, const char *address)
{
	static const char sql[] = "INSERT INTO dmarc_sent (day, domain, address) VALUES ($1, $2, $3) ON CONFLICT (day, "
	                          "domain, address) DO NOTHING";
	const struct store_value values[] = {store_integer(day), store_text(domain), store_text(address)};
	return store_write(store, &(struct store_statement){sql, values, 3}, 1, STORE_DURABLE, NULL, NULL);
}

enum store_result dmarc_rows_set_state(struct store *store, int64_t day, const char *domain,
                                       enum dmarc_report_state state, int64_t due)
{
	static const char sql[] = "UPDATE dmarc_report SET state = $3, due = $4 WHERE day = $1 AND domain = $2";
	const struct store_value values[] = {store_integer(day), store_text(domain), store_integer(state),
	                                     store_integer(due)};
	return store_write(store, &(struct store_statement){sql, values, 4}, 1, STORE_DURABLE, NULL, NULL);
}

enum store_result dmarc_rows_expire(struct store *store, int64_t day)
{
	static const char *const sql[] = {"DELETE FROM dmarc_row WHERE day < $1", "DELETE FROM dmarc_sent WHERE day < $1",
	                                  "DELETE FROM dmarc_report WHERE day < $1"};
	const struct store_value value = store_integer(day);
	struct store_statement statements[] = {{sql[0], &value, 1}, {sql[1], &value, 1}, {sql[2], &value, 1}};
	return store_write(store, statements, 3, 0, NULL, NULL);
}
