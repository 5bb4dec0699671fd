/* What the reports are made of: groups of rows, counted by the store. */
#include "lib/store/history_private.h"

/* $1 and $2 of every query here: ids of the period; the last one: how many groups. */
static struct store_value period_since(const struct history_period *period)
{
	return store_integer(history_first_id(period->since));
}

static struct store_value period_until(const struct history_period *period)
{
	return store_integer(period->until == 0 ? INT64_MAX : history_first_id(period->until));
}

static struct store_value period_limit(const struct history_period *period)
{
	return store_integer(period->limit == 0 || period->limit > INT64_MAX ? INT64_MAX : (int64_t)period->limit);
}

/* A visitor of one of the kinds, and memory for the texts of one row. */
struct reader {
	struct arena *arena;
	void *context;
	history_would_visitor *would;
	history_direct_visitor *direct;
	history_text_visitor *text;
	history_tls_visitor *tls;
};

static enum store_result report_query(struct store *store, const char *sql, const struct store_value *values,
                                      size_t count, store_row *row, struct reader *reader)
{
	reader->arena = arena_create(4096);
	enum store_result result = store_query(store, sql, values, count, row, reader);
	arena_destroy(reader->arena);
	return result;
}

static bool read_text(void *context, const struct store_value *columns, size_t count)
{
	struct reader *reader = context;
	(void)count;
	arena_reset(reader->arena);
	reader->text(reader->context, history_text(reader->arena, &columns[0]), columns[1].integer);
	return true;
}

#define WOULD_SUMS                                                                                                     \
	" COUNT(DISTINCT m.id) AS messages,"                                                                               \
	" COUNT(DISTINCT CASE WHEN m.action IN ('accept', 'tag') THEN m.id END) AS delivered,"                             \
	" COUNT(DISTINCT CASE WHEN m.dmarc = 'pass' THEN m.id END) AS authenticated,"                                      \
	" MIN(m.time) AS first_time, MAX(m.time) AS last_time"                                                             \
	" FROM history_finding f JOIN history_message m ON m.id = f.message"                                               \
	" WHERE f.would = 1 AND f.message >= $1 AND f.message < $2 AND ($3 = '' OR f.stage = $3)"                          \
	" AND ($4 = '' OR f.code = $4)"
#define WOULD_ORDER " ORDER BY messages DESC, f.code, grouped LIMIT $5"

static bool read_would(void *context, const struct store_value *columns, size_t count)
{
	struct reader *reader = context;
	(void)count;
	arena_reset(reader->arena);
	reader->would(reader->context, &(struct history_would){
	                                   .code = history_text(reader->arena, &columns[0]),
	                                   .mode = history_text(reader->arena, &columns[1]),
	                                   .action = history_text(reader->arena, &columns[2]),
	                                   .group = history_text(reader->arena, &columns[3]),
	                                   .name = history_text(reader->arena, &columns[4]),
	                                   .messages = columns[5].integer,
	                                   .delivered = columns[6].integer,
	                                   .authenticated = columns[7].integer,
	                                   .first = columns[8].integer,
	                                   .last = columns[9].integer,
	                               });
	return true;
}

enum store_result history_would(struct store *store, const struct history_period *period, enum history_would_by by,
                                const char *stage, const char *code, history_would_visitor *visit, void *context)
{
	static const char *const queries[] = {
	    [HISTORY_BY_CODE] =
	        "SELECT f.code AS code, f.mode AS mode, f.action AS action, '' AS grouped, '' AS name," WOULD_SUMS
	        " GROUP BY f.code, f.mode, f.action" WOULD_ORDER,
	    [HISTORY_BY_SENDER] =
	        "SELECT f.code AS code, '' AS mode, '' AS action, m.mail_from_domain AS grouped, '' AS name," WOULD_SUMS
	        " GROUP BY f.code, m.mail_from_domain" WOULD_ORDER,
	    [HISTORY_BY_CLIENT] = "SELECT f.code AS code, '' AS mode, '' AS action, m.client AS grouped,"
	                          " MAX(m.client_name) AS name," WOULD_SUMS " GROUP BY f.code, m.client" WOULD_ORDER,
	};
	struct reader reader = {.would = visit, .context = context};
	const struct store_value values[] = {period_since(period), period_until(period),
	                                     store_text(stage == NULL ? "" : stage), store_text(code == NULL ? "" : code),
	                                     period_limit(period)};
	return report_query(store, queries[by], values, 5, read_would, &reader);
}

enum store_result history_would_examples(struct store *store, const struct history_period *period, const char *code,
                                         history_text_visitor *visit, void *context)
{
	static const char sql[] = "SELECT CASE WHEN m.queue_id <> '' THEN m.queue_id ELSE m.support_id END AS name,"
	                          " m.time AS time FROM history_message m WHERE m.id IN"
	                          " (SELECT DISTINCT f.message FROM history_finding f WHERE f.code = $3 AND f.would = 1"
	                          " AND f.message >= $1 AND f.message < $2 ORDER BY f.message DESC LIMIT $4)"
	                          " ORDER BY m.id DESC";
	struct reader reader = {.text = visit, .context = context};
	const struct store_value values[] = {period_since(period), period_until(period), store_text(code),
	                                     period_limit(period)};
	return report_query(store, sql, values, 4, read_text, &reader);
}

static bool read_direct(void *context, const struct store_value *columns, size_t count)
{
	struct reader *reader = context;
	(void)count;
	arena_reset(reader->arena);
	reader->direct(reader->context, &(struct history_direct){
	                                    .client = history_text(reader->arena, &columns[0]),
	                                    .client_name = history_text(reader->arena, &columns[1]),
	                                    .helo = history_text(reader->arena, &columns[2]),
	                                    .country = history_text(reader->arena, &columns[3]),
	                                    .as_name = history_text(reader->arena, &columns[4]),
	                                    .asn = columns[5].integer,
	                                    .messages = columns[6].integer,
	                                    .refused = columns[7].integer,
	                                    .recipients = columns[8].integer,
	                                    .first = columns[9].integer,
	                                    .last = columns[10].integer,
	                                });
	return true;
}

/* The recipients that a finding was about. */
#define FINDING_RECIPIENTS                                                                                             \
	" FROM history_finding f JOIN history_message m ON m.id = f.message"                                               \
	" LEFT JOIN history_recipient r ON r.message = f.message AND (f.recipient = -1 OR r.position = f.recipient)"       \
	" WHERE f.code = $3 AND f.message >= $1 AND f.message < $2"

enum store_result history_direct(struct store *store, const struct history_period *period, const char *code,
                                 history_direct_visitor *visit, void *context)
{
	static const char sql[] =
	    "SELECT m.client AS client, MAX(m.client_name) AS name, MAX(m.helo) AS helo, MAX(m.country) AS country,"
	    " MAX(m.as_name) AS as_name, MAX(m.asn) AS asn, COUNT(DISTINCT m.id) AS messages,"
	    " COUNT(DISTINCT CASE WHEN r.action IN ('reject', 'tempfail') THEN m.id END) AS refused,"
	    " COUNT(DISTINCT lower(r.address)) AS recipients, MIN(m.time) AS first_time, MAX(m.time) AS "
	    "last_time" FINDING_RECIPIENTS " GROUP BY m.client ORDER BY messages DESC, client LIMIT $4";
	struct reader reader = {.direct = visit, .context = context};
	const struct store_value values[] = {period_since(period), period_until(period), store_text(code),
	                                     period_limit(period)};
	return report_query(store, sql, values, 4, read_direct, &reader);
}

enum store_result history_direct_domains(struct store *store, const struct history_period *period, const char *code,
                                         const char *client, history_text_visitor *visit, void *context)
{
	static const char sql[] = "SELECT r.domain AS domain, COUNT(DISTINCT m.id) AS messages" FINDING_RECIPIENTS
	                          " AND m.client = $4 AND r.domain IS NOT NULL GROUP BY r.domain"
	                          " ORDER BY messages DESC, domain LIMIT $5";
	struct reader reader = {.text = visit, .context = context};
	const struct store_value values[] = {period_since(period), period_until(period), store_text(code),
	                                     store_text(client), period_limit(period)};
	return report_query(store, sql, values, 5, read_text, &reader);
}

enum store_result history_direct_senders(struct store *store, const struct history_period *period, const char *code,
                                         const char *client, history_text_visitor *visit, void *context)
{
	static const char sql[] = "SELECT m.mail_from_domain AS domain, COUNT(DISTINCT m.id) AS messages"
	                          " FROM history_finding f JOIN history_message m ON m.id = f.message"
	                          " WHERE f.code = $3 AND f.message >= $1 AND f.message < $2 AND m.client = $4"
	                          " GROUP BY m.mail_from_domain ORDER BY messages DESC, domain LIMIT $5";
	struct reader reader = {.text = visit, .context = context};
	const struct store_value values[] = {period_since(period), period_until(period), store_text(code),
	                                     store_text(client), period_limit(period)};
	return report_query(store, sql, values, 5, read_text, &reader);
}

static bool read_tls(void *context, const struct store_value *columns, size_t count)
{
	struct reader *reader = context;
	const struct store_value *c = columns;
	(void)count;
	arena_reset(reader->arena);
	reader->tls(reader->context, &(struct history_tls){
	                                 .domain = history_text(reader->arena, &c[0]),
	                                 .messages = c[1].integer,
	                                 .plain = c[2].integer,
	                                 .old = c[3].integer,
	                                 .v12 = c[4].integer,
	                                 .v13 = c[1].integer - c[2].integer - c[3].integer - c[4].integer,
	                                 .plain_accepted = c[5].integer,
	                                 .plain_authenticated = c[6].integer,
	                                 .old_accepted = c[7].integer,
	                                 .old_authenticated = c[8].integer,
	                                 .plain_last = c[9].integer,
	                             });
	return true;
}

#define TLS_PLAIN "version = ''"
#define TLS_OLD "version IN ('SSLv2', 'SSLv3', 'TLSv1', 'TLSv1.0', 'TLSv1.1')"
#define TLS_SUM(condition, column, name)                                                                               \
	" CAST(SUM(CASE WHEN " condition " THEN " column " ELSE 0 END) AS BIGINT) AS " name

enum store_result history_tls(struct store *store, const struct history_period *period, const char *domain,
                              history_tls_visitor *visit, void *context)
{
	static const char sql[] =
	    "SELECT domain, CAST(SUM(messages) AS BIGINT) AS messages," TLS_SUM(TLS_PLAIN, "messages", "plain") "," TLS_SUM(
	        TLS_OLD, "messages",
	        "old") "," TLS_SUM("version = 'TLSv1.2'", "messages",
	                           "v12") "," TLS_SUM(TLS_PLAIN, "accepted",
	                                              "plain_accepted") "," TLS_SUM(TLS_PLAIN, "authenticated",
	                                                                            "plain_authenticated") "," TLS_SUM(TLS_OLD,
	                                                                                                               "acc"
	                                                                                                               "ept"
	                                                                                                               "ed",
	                                                                                                               "old"
	                                                                                                               "_ac"
	                                                                                                               "cep"
	                                                                                                               "te"
	                                                                                                               "d") "," TLS_SUM(TLS_OLD,
	                                                                                                                                "authenticated",
	                                                                                                                                "old_authenticated") ","
	                                                                                                                                                     " MAX(CASE WHEN " TLS_PLAIN
	                                                                                                                                                     " THEN day ELSE 0 END) AS plain_last"
	                                                                                                                                                     " FROM history_tls WHERE day >= $1 AND day < $2 AND ($3 = '' OR domain = $4)"
	                                                                                                                                                     " GROUP BY domain ORDER BY plain DESC, old DESC, messages DESC, domain LIMIT $5";
	struct reader reader = {.tls = visit, .context = context};
	const struct store_value values[] = {store_integer(period->since - period->since % HISTORY_DAY),
	                                     store_integer(period->until == 0 ? INT64_MAX : period->until),
	                                     store_text(domain == NULL ? "" : "one"),
	                                     store_text(domain == NULL ? "" : domain), period_limit(period)};
	return report_query(store, sql, values, 5, read_tls, &reader);
}

enum store_result history_count(struct store *store, const struct history_period *period, enum history_count what,
                                history_text_visitor *visit, void *context)
{
#define COUNT_MESSAGES(column)                                                                                         \
	"SELECT " column " AS name, COUNT(*) AS messages FROM history_message WHERE id >= $1 AND id < $2"                  \
	" GROUP BY " column " ORDER BY messages DESC, name LIMIT $3"
#define COUNT_CHILDREN(table, column)                                                                                  \
	"SELECT " column " AS name, COUNT(DISTINCT message) AS messages FROM " table                                       \
	" WHERE message >= $1 AND message < $2 GROUP BY " column " ORDER BY messages DESC, name LIMIT $3"
	static const char *const queries[] = {
	    [HISTORY_COUNT_ACTION] = COUNT_MESSAGES("direction || ' ' || action"),
	    [HISTORY_COUNT_REASON] = COUNT_MESSAGES("reason"),
	    [HISTORY_COUNT_SENDER] = COUNT_MESSAGES("mail_from_domain"),
	    [HISTORY_COUNT_CLIENT] = COUNT_MESSAGES("client"),
	    [HISTORY_COUNT_COUNTRY] = COUNT_MESSAGES("country"),
	    [HISTORY_COUNT_FINDING] = COUNT_CHILDREN("history_finding", "code"),
	    [HISTORY_COUNT_RECIPIENT] = COUNT_CHILDREN("history_recipient", "domain"),
	};
#undef COUNT_MESSAGES
#undef COUNT_CHILDREN
	struct reader reader = {.text = visit, .context = context};
	const struct store_value values[] = {period_since(period), period_until(period), period_limit(period)};
	return report_query(store, queries[what], values, 3, read_text, &reader);
}
