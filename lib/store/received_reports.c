#include "lib/store/received_reports.h"

#include <openssl/evp.h>
#include <stdlib.h>

enum { BATCH = 500, ROW_VALUES = 14 };

static const char *text_or_empty(const char *text)
{
	return text == NULL ? "" : text;
}

/* The same for the same report of the same reporter, whoever imports it. */
static int64_t report_key(const struct received_report *report)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	int64_t key = 0;
	const char *parts[] = {report->kind, report->org, report->report_id, report->domain};
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	if (context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
		abort();
	}
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		const char *part = text_or_empty(parts[i]);
		EVP_DigestUpdate(context, part, strlen(part) + 1);
	}
	EVP_DigestFinal_ex(context, digest, NULL);
	EVP_MD_CTX_free(context);
	for (int i = 0; i < 8; i++) {
		key = (int64_t)((uint64_t)key << 8 | digest[i]);
	}
	return key & INT64_MAX;
}

static bool on_any(void *context, const struct store_value *columns, size_t count)
{
	(void)columns, (void)count;
	*(bool *)context = true;
	return false;
}

static void row_values(int64_t key, size_t position, const struct received_row *row,
                       struct store_value values_r[ROW_VALUES])
{
	const struct store_value values[ROW_VALUES] = {
	    store_integer(key),
	    store_integer((int64_t)position),
	    store_text(text_or_empty(row->source)),
	    store_text(text_or_empty(row->disposition)),
	    store_text(text_or_empty(row->dkim)),
	    store_text(text_or_empty(row->spf)),
	    store_text(text_or_empty(row->header_from)),
	    store_text(text_or_empty(row->dkim_domains)),
	    store_text(text_or_empty(row->spf_domain)),
	    store_integer(row->messages),
	    store_text(text_or_empty(row->mx)),
	    store_text(text_or_empty(row->details)),
	    store_integer(row->success),
	    store_integer(row->failure),
	};
	memcpy(values_r, values, sizeof values);
}

static enum store_result add_rows(struct store *store, int64_t key, const struct received_row *rows, size_t count)
{
	static const char sql[] = "INSERT INTO received_row (report, position, source, disposition, dkim, spf, "
	                          "header_from, dkim_domains, spf_domain,"
	                          " messages, mx, details, success, failure)"
	                          " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT "
	                          "(report, position) DO NOTHING";
	struct store_value(*values)[ROW_VALUES] = calloc(BATCH, sizeof *values);
	struct store_statement *statements = calloc(BATCH, sizeof *statements);
	enum store_result result = STORE_OK;
	if (values == NULL || statements == NULL) {
		abort();
	}
	for (size_t at = 0; at < count && result == STORE_OK; at += BATCH) {
		size_t n = count - at < BATCH ? count - at : BATCH;
		for (size_t i = 0; i < n; i++) {
			row_values(key, at + i, &rows[at + i], values[i]);
			statements[i] = (struct store_statement){sql, values[i], ROW_VALUES};
		}
		result = store_write(store, statements, n, 0, NULL, NULL);
	}
	free(statements);
	free(values);
	return result;
}

enum store_result received_report_add(struct store *store, const struct received_report *report,
                                      const struct received_row *rows, size_t count, int64_t now, bool *known_r)
{
	static const char find[] = "SELECT 1 FROM received_report WHERE id = $1";
	static const char insert[] =
	    "INSERT INTO received_report (id, kind, org, report_id, domain, policy, begins, ends, imported)"
	    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING";
	int64_t key = report_key(report);
	const struct store_value id = store_integer(key);
	*known_r = false;
	enum store_result result = store_query(store, find, &id, 1, on_any, known_r);
	if (result != STORE_OK || *known_r) {
		return result;
	}
	result = add_rows(store, key, rows, count);
	if (result != STORE_OK) {
		return result;
	}
	const struct store_value values[] = {
	    store_integer(key),
	    store_text(report->kind),
	    store_text(text_or_empty(report->org)),
	    store_text(text_or_empty(report->report_id)),
	    store_text(text_or_empty(report->domain)),
	    store_text(text_or_empty(report->policy)),
	    store_integer(report->begin),
	    store_integer(report->end),
	    store_integer(now),
	};
	return store_write(store, &(struct store_statement){insert, values, 9}, 1, STORE_DURABLE, NULL, NULL);
}

/* ---- asking ---- */

struct source_listing {
	received_source_visitor *visit;
	void *context;
	struct arena *arena;
};

static bool on_source(void *context, const struct store_value *columns, size_t count)
{
	struct source_listing *listing = context;
	(void)count;
	arena_reset(listing->arena);
	struct received_source source = {
	    .source = slice_dup(listing->arena, columns[0].bytes),
	    .messages = columns[1].integer,
	    .pass = columns[2].integer,
	    .dkim_pass = columns[3].integer,
	    .spf_pass = columns[4].integer,
	    .dkim_domains = slice_dup(listing->arena, columns[5].bytes),
	    .spf_domain = slice_dup(listing->arena, columns[6].bytes),
	};
	return listing->visit(listing->context, &source);
}

enum store_result received_sources(struct store *store, const char *domain, int64_t since, int64_t limit,
                                   received_source_visitor *visit, void *context)
{
	static const char sql[] =
	    "SELECT w.source, CAST(SUM(w.messages) AS BIGINT) AS messages,"
	    " CAST(SUM(CASE WHEN w.dkim = 'pass' OR w.spf = 'pass' THEN w.messages ELSE 0 END) AS BIGINT) AS pass,"
	    " CAST(SUM(CASE WHEN w.dkim = 'pass' THEN w.messages ELSE 0 END) AS BIGINT) AS dkim_pass,"
	    " CAST(SUM(CASE WHEN w.spf = 'pass' THEN w.messages ELSE 0 END) AS BIGINT) AS spf_pass,"
	    " MAX(w.dkim_domains) AS dkim_domains, MAX(w.spf_domain) AS spf_domain"
	    " FROM received_report r JOIN received_row w ON w.report = r.id"
	    " WHERE r.kind = 'dmarc' AND r.domain = $1 AND r.ends >= $2"
	    " GROUP BY w.source ORDER BY messages DESC, w.source LIMIT $3";
	const struct store_value values[] = {store_text(domain), store_integer(since),
	                                     store_integer(limit == 0 ? INT64_MAX : limit)};
	struct source_listing listing = {visit, context, arena_create(1024)};
	enum store_result result = store_query(store, sql, values, 3, on_source, &listing);
	arena_destroy(listing.arena);
	return result;
}

static bool on_totals(void *context, const struct store_value *columns, size_t count)
{
	struct received_totals *totals = context;
	(void)count;
	bool tls = slice_equal(columns[0].bytes, SLICE_LITERAL("tls"));
	*(tls ? &totals->tls_reports : &totals->reports) = columns[1].integer;
	if (tls) {
		totals->tls_success = columns[5].integer;
		totals->tls_failure = columns[6].integer;
	} else {
		totals->messages = columns[2].integer;
		totals->pass = columns[3].integer;
		totals->stopped = columns[4].integer;
	}
	return true;
}

enum store_result received_totals(struct store *store, const char *domain, int64_t since,
                                  struct received_totals *totals_r)
{
	static const char sql[] =
	    "SELECT r.kind, CAST(COUNT(DISTINCT r.id) AS BIGINT) AS reports, CAST(SUM(w.messages) AS BIGINT) AS messages,"
	    " CAST(SUM(CASE WHEN w.dkim = 'pass' OR w.spf = 'pass' THEN w.messages ELSE 0 END) AS BIGINT) AS pass,"
	    " CAST(SUM(CASE WHEN w.disposition IN ('quarantine', 'reject') THEN w.messages ELSE 0 END) AS BIGINT) AS "
	    "stopped,"
	    " CAST(SUM(w.success) AS BIGINT) AS success, CAST(SUM(w.failure) AS BIGINT) AS failure"
	    " FROM received_report r JOIN received_row w ON w.report = r.id WHERE r.domain = $1 AND r.ends >= $2"
	    " GROUP BY r.kind";
	const struct store_value values[] = {store_text(domain), store_integer(since)};
	*totals_r = (struct received_totals){.reports = 0};
	return store_query(store, sql, values, 2, on_totals, totals_r);
}

struct tls_listing {
	received_tls_visitor *visit;
	void *context;
	struct arena *arena;
};

static bool on_tls(void *context, const struct store_value *columns, size_t count)
{
	struct tls_listing *listing = context;
	(void)count;
	arena_reset(listing->arena);
	return listing->visit(listing->context, slice_dup(listing->arena, columns[0].bytes),
	                      slice_dup(listing->arena, columns[1].bytes), slice_dup(listing->arena, columns[2].bytes),
	                      columns[3].integer);
}

enum store_result received_tls(struct store *store, const char *domain, int64_t since, int64_t limit,
                               received_tls_visitor *visit, void *context)
{
	static const char sql[] = "SELECT r.org, w.mx, w.details, CAST(SUM(w.failure) AS BIGINT) AS failure"
	                          " FROM received_report r JOIN received_row w ON w.report = r.id"
	                          " WHERE r.kind = 'tls' AND r.domain = $1 AND r.ends >= $2 AND w.failure > 0"
	                          " GROUP BY r.org, w.mx, w.details ORDER BY failure DESC, r.org, w.mx LIMIT $3";
	const struct store_value values[] = {store_text(domain), store_integer(since),
	                                     store_integer(limit == 0 ? INT64_MAX : limit)};
	struct tls_listing listing = {visit, context, arena_create(1024)};
	enum store_result result = store_query(store, sql, values, 3, on_tls, &listing);
	arena_destroy(listing.arena);
	return result;
}
