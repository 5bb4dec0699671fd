/* What changes the quarantine. quarantine_list.c looks. */
#include "lib/store/quarantine.h"

#include "lib/base/log.h"
#include "lib/store/pack.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
	COPIES_MAX = STORE_STATEMENTS_MAX - 8,
	GRACE = 60, /* seconds that a claim outlives its token: clocks of a fleet differ */
	CLAIM_MAX = 86400 + 3600, /* seconds: quarantine.release_time at its longest, and clocks that differ */
	SAME_SIZE = 2 * RELEASE_DIGEST_SIZE + 1,
};

static enum quarantine_result result_of(enum store_result result)
{
	/* What the database refuses is a fault of ours: nothing is lost where the sender is told to come again. */
	return result == STORE_OK ? QUARANTINE_OK : QUARANTINE_DOWN;
}

static bool count_row(void *context, const struct store_value *columns, size_t count)
{
	(void)columns, (void)count;
	++*(uint64_t *)context;
	return true;
}

/* One batch; how many rows came back. */
static enum quarantine_result write_batch(struct store *store, const struct store_statement *statements, size_t count,
                                          uint64_t *rows_r)
{
	*rows_r = 0;
	return result_of(store_write(store, statements, count, STORE_DURABLE, count_row, rows_r));
}

/* One statement that is to touch one copy. */
static enum quarantine_result write_one(struct store *store, const char *sql, const struct store_value *values,
                                        size_t count)
{
	uint64_t rows;
	struct store_statement statement = {sql, values, count};
	enum quarantine_result result = write_batch(store, &statement, 1, &rows);
	return result == QUARANTINE_OK && rows == 0 ? QUARANTINE_NONE : result;
}

/* ---- putting in ---- */

/* 80 random bits, in Crockford's base 32 like the support id. */
static bool make_id(char *id_r)
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	unsigned char random[RELEASE_MESSAGE_SIZE - 1];
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
		return false;
	}
	for (size_t i = 0; i < sizeof random; i++) {
		id_r[i] = digits[random[i] & 31U];
	}
	id_r[sizeof random] = '\0';
	return true;
}

/* What makes two copies the same: the message, who sent it, and to whom. */
static void same_of(const unsigned char *digest, struct slice mail_from, const char *owner, char *same_r)
{
	unsigned char sum[RELEASE_DIGEST_SIZE];
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	if (context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1 ||
	    EVP_DigestUpdate(context, digest, RELEASE_DIGEST_SIZE) != 1 ||
	    EVP_DigestUpdate(context, owner, strlen(owner) + 1) != 1 ||
	    EVP_DigestUpdate(context, mail_from.len == 0 ? "" : mail_from.data, mail_from.len) != 1 ||
	    EVP_DigestFinal_ex(context, sum, NULL) != 1) {
		abort();
	}
	EVP_MD_CTX_free(context);
	for (size_t i = 0; i < sizeof sum; i++) {
		snprintf(same_r + 2 * i, 3, "%02x", sum[i]);
	}
}

static bool total_row(void *context, const struct store_value *columns, size_t count)
{
	(void)count;
	*(uint64_t *)context = (uint64_t)columns[0].integer;
	return true;
}

static enum quarantine_result within(struct store *store, const char *sql, const char *text, uint64_t more,
                                     uint64_t limit)
{
	uint64_t total = 0;
	struct store_value value = store_text(text);
	enum store_result result = store_query(store, sql, &value, text == NULL ? 0 : 1, total_row, &total);
	return result != STORE_OK ? QUARANTINE_DOWN : total + more > limit ? QUARANTINE_FULL : QUARANTINE_OK;
}

/* Others may store at the same time, so that a limit can be passed by as many messages as are under way at once. */
static enum quarantine_result check_limits(struct store *store, const struct quarantine_limits *limits,
                                           const struct quarantine_copy *copies, size_t count, size_t packed)
{
	enum quarantine_result result = QUARANTINE_OK;
	if (limits->total_max > 0) {
		result = within(store, "SELECT CAST(COALESCE(SUM(stored), 0) AS BIGINT) FROM quarantine_message", NULL, packed,
		                limits->total_max);
	}
	for (size_t i = 0; i < count && result == QUARANTINE_OK && limits->recipient_count > 0; i++) {
		result = within(store, "SELECT COUNT(*) FROM quarantine_copy WHERE owner = $1 AND state = 'held'",
		                copies[i].owner, 1, limits->recipient_count);
	}
	return result;
}

static void message_values(const struct quarantine_message *message, const char *id, uint64_t size, uint64_t stored,
                           struct store_value *values_r)
{
	const struct store_value values[] = {
	    store_text(id),
	    store_integer((int64_t)message->created),
	    store_text(message->queue_id),
	    store_text(message->support_id),
	    store_integer(message->direction),
	    store_text(message->client),
	    store_text(message->client_name),
	    store_text(message->helo),
	    store_text(message->auth_user),
	    store_blob(message->mail_from.data, message->mail_from.len),
	    store_text_slice(message->mail_from),
	    store_integer(message->smtputf8),
	    store_text(message->author),
	    store_text(message->subject),
	    store_text(message->findings),
	    store_text(message->authres),
	    store_integer((int64_t)size),
	    store_integer((int64_t)stored),
	};
	memcpy(values_r, values, sizeof values);
}

enum { MESSAGE_VALUES = 18, COPY_VALUES = 10 };

static void copy_values(const struct quarantine_copy *copy, const char *id, const char *same, uint64_t created,
                        uint64_t keep, struct store_value *values_r)
{
	const struct store_value values[] = {
	    store_text(id),
	    store_integer(copy->n),
	    store_blob(copy->recipient.data, copy->recipient.len),
	    store_text(copy->owner),
	    store_text(copy->verdict),
	    store_text(copy->reason),
	    store_text(copy->text),
	    store_text(same),
	    store_integer((int64_t)created),
	    store_integer((int64_t)(created + keep)),
	};
	_Static_assert(sizeof values / sizeof *values == COPY_VALUES, "one value for each column");
	memcpy(values_r, values, sizeof values);
}

static const char insert_message[] =
    "INSERT INTO quarantine_message (id, created, queue_id, support_id, direction, client, client_name, helo, "
    "auth_user,"
    " mail_from, sender, smtputf8, author, subject, findings, authres, size, stored) VALUES"
    " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";
static const char insert_content[] = "INSERT INTO quarantine_content (message, data) VALUES ($1, $2)";
/* One that is held already is not held again: quarantine_copy_same. */
static const char insert_copy[] =
    "INSERT INTO quarantine_copy (message, n, recipient, owner, verdict, reason, text, same, changed, expires, state,"
    " changed_by, note, nonce, claimed_until, used, forced) VALUES"
    " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'held', '', '', '', 0, 0, 0) ON CONFLICT DO NOTHING RETURNING n";
static const char drop_empty_content[] = "DELETE FROM quarantine_content WHERE message = $1 AND NOT EXISTS"
                                         " (SELECT 1 FROM quarantine_copy WHERE message = $1)";
static const char drop_empty_message[] = "DELETE FROM quarantine_message WHERE id = $1 AND NOT EXISTS"
                                         " (SELECT 1 FROM quarantine_copy WHERE message = $1)";

struct put {
	struct store_statement *statements;
	struct store_value *values;
	char (*same)[SAME_SIZE];
};

static void put_free(struct put *put)
{
	free(put->statements);
	free(put->values);
	free(put->same);
}

static enum quarantine_result put_write(struct store *store, const struct quarantine_limits *limits,
                                        const struct quarantine_message *message, const struct quarantine_copy *copies,
                                        size_t count, struct slice content, struct slice packed, struct put *put,
                                        const char *id, uint64_t *rows_r)
{
	unsigned char digest[RELEASE_DIGEST_SIZE];
	struct store_value content_values[2] = {store_text(id), store_blob(packed.data, packed.len)};
	size_t n = 0;
	release_token_digest(content, digest);
	message_values(message, id, content.len, packed.len, put->values);
	put->statements[n++] = (struct store_statement){insert_message, put->values, MESSAGE_VALUES};
	put->statements[n++] = (struct store_statement){insert_content, content_values, 2};
	for (size_t i = 0; i < count; i++) {
		struct store_value *values = put->values + MESSAGE_VALUES + i * COPY_VALUES;
		same_of(digest, message->mail_from, copies[i].owner, put->same[i]);
		copy_values(&copies[i], id, put->same[i], message->created, limits->keep, values);
		put->statements[n++] = (struct store_statement){insert_copy, values, COPY_VALUES};
	}
	put->statements[n++] = (struct store_statement){drop_empty_content, content_values, 1};
	put->statements[n++] = (struct store_statement){drop_empty_message, content_values, 1};
	return write_batch(store, put->statements, n, rows_r);
}

enum quarantine_result quarantine_put(struct store *store, const struct quarantine_limits *limits,
                                      const struct quarantine_message *message, const struct quarantine_copy *copies,
                                      size_t count, struct slice content, char *id_r)
{
	struct slice packed;
	uint64_t rows;
	if (count > COPIES_MAX || (limits->message_max > 0 && content.len > limits->message_max)) {
		return QUARANTINE_TOO_LARGE;
	}
	if (!make_id(id_r) || !pack_compress(content, &packed)) {
		return QUARANTINE_DOWN;
	}
	struct put put = {calloc(count + 4, sizeof *put.statements),
	                  calloc(MESSAGE_VALUES + count * COPY_VALUES, sizeof *put.values), calloc(count + 1, SAME_SIZE)};
	if (put.statements == NULL || put.values == NULL || put.same == NULL) {
		abort();
	}
	enum quarantine_result result = check_limits(store, limits, copies, count, packed.len);
	if (result == QUARANTINE_OK) {
		result = put_write(store, limits, message, copies, count, content, packed, &put, id_r, &rows);
	}
	if (result != QUARANTINE_OK || rows == 0) {
		id_r[0] = '\0';
	}
	put_free(&put);
	free((char *)(uintptr_t)packed.data);
	return result;
}

/* ---- release ---- */

enum quarantine_result quarantine_claim(struct store *store, const struct release_token *token, const char *by,
                                        uint64_t now)
{
	const struct store_value values[] = {
	    store_text(token->message),
	    store_integer(token->copy),
	    store_text(token->nonce),
	    store_integer((int64_t)token->expires + GRACE),
	    store_integer(token->forced),
	    store_integer((int64_t)now),
	    store_text(by),
	};
	return write_one(
	    store,
	    "UPDATE quarantine_copy SET state = 'releasing', nonce = $3, claimed_until = $4, forced = $5, used = 0,"
	    " changed = $6, changed_by = $7, note = '' WHERE message = $1 AND n = $2 AND (state = 'held' OR"
	    " (state = 'releasing' AND used = 0 AND claimed_until < $6)) RETURNING n",
	    values, sizeof values / sizeof *values);
}

struct settled {
	bool found, used;
};

static bool settled_row(void *context, const struct store_value *columns, size_t count)
{
	(void)count;
	*(struct settled *)context = (struct settled){true, columns[0].integer > 0};
	return true;
}

enum quarantine_result quarantine_settle(struct store *store, const struct release_token *token, bool released,
                                         const char *note, uint64_t now, bool *used_r)
{
	struct settled settled = {false, false};
	const struct store_value values[] = {
	    store_text(token->message), store_integer(token->copy),
	    store_text(token->nonce),   store_text(quarantine_state_name(released ? QUARANTINE_RELEASED : QUARANTINE_HELD)),
	    store_text(note),           store_integer((int64_t)now)};
	const struct store_statement statement = {"UPDATE quarantine_copy SET state = $4, note = $5, changed = $6 WHERE "
	                                          "message = $1 AND n = $2 AND nonce = $3 AND"
	                                          " state = 'releasing' RETURNING used",
	                                          values, sizeof values / sizeof *values};
	enum quarantine_result result = result_of(store_write(store, &statement, 1, STORE_DURABLE, settled_row, &settled));
	if (used_r != NULL) {
		*used_r = settled.used;
	}
	return result == QUARANTINE_OK && !settled.found ? QUARANTINE_NONE : result;
}

enum quarantine_result quarantine_consume(struct store *store, const struct release_token *token, uint64_t now)
{
	const struct store_value values[] = {store_text(token->message), store_integer(token->copy),
	                                     store_text(token->nonce), store_integer((int64_t)now)};
	if (now > token->expires) {
		return QUARANTINE_NONE;
	}
	return write_one(store,
	                 "UPDATE quarantine_copy SET used = $4 WHERE message = $1 AND n = $2 AND nonce = $3 AND"
	                 " state = 'releasing' AND used = 0 RETURNING n",
	                 values, sizeof values / sizeof *values);
}

/* ---- the end ---- */

enum quarantine_result quarantine_delete(struct store *store, const char *id, unsigned copy, const char *by,
                                         uint64_t now)
{
	const struct store_value values[] = {store_text(id), store_integer(copy), store_integer((int64_t)now),
	                                     store_text(by)};
	const struct store_statement statements[] = {
	    {"UPDATE quarantine_copy SET state = 'deleted', changed = $3, changed_by = $4 WHERE message = $1 AND n = $2 AND"
	     " state = 'held' RETURNING n",
	     values, 4},
	    {"DELETE FROM quarantine_content WHERE message = $1 AND NOT EXISTS (SELECT 1 FROM quarantine_copy WHERE"
	     " message = $1 AND state IN ('held', 'releasing', 'released'))",
	     values, 1},
	    {"UPDATE quarantine_message SET stored = 0 WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM quarantine_content WHERE"
	     " message = $1)",
	     values, 1},
	};
	uint64_t rows;
	enum quarantine_result result = write_batch(store, statements, 3, &rows);
	return result == QUARANTINE_OK && rows == 0 ? QUARANTINE_NONE : result;
}

enum quarantine_result quarantine_expire(struct store *store, uint64_t now, uint64_t keep, uint64_t *expired_r)
{
	const struct store_value values[] = {store_integer((int64_t)now),
	                                     store_integer((int64_t)(now > keep ? now - keep : 0))};
	/* One that is to last longer than any is of a clock that was ahead: nobody could release the copy until then. */
	const struct store_value claims[] = {store_integer((int64_t)now), store_integer((int64_t)now + CLAIM_MAX)};
	const struct store_statement statements[] = {
	    {"UPDATE quarantine_copy SET state = 'released', changed = $1 WHERE state = 'releasing' AND used > 0 AND"
	     " (claimed_until < $1 OR claimed_until > $2)",
	     claims, 2},
	    {"UPDATE quarantine_copy SET state = 'held', changed = $1, note = 'the release was broken off' WHERE"
	     " state = 'releasing' AND used = 0 AND (claimed_until < $1 OR claimed_until > $2)",
	     claims, 2},
	    {"UPDATE quarantine_copy SET state = 'expired', changed = $1, changed_by = '' WHERE state = 'held' AND"
	     " expires <= $1 RETURNING n",
	     values, 1},
	    {"DELETE FROM quarantine_content WHERE message IN (SELECT message FROM quarantine_copy WHERE expires <= $1) AND"
	     " NOT EXISTS (SELECT 1 FROM quarantine_copy c WHERE c.message = quarantine_content.message AND"
	     " (c.state IN ('held', 'releasing') OR c.expires > $1))",
	     values, 1},
	    {"UPDATE quarantine_message SET stored = 0 WHERE stored > 0 AND NOT EXISTS (SELECT 1 FROM quarantine_content"
	     " WHERE message = quarantine_message.id)",
	     NULL, 0},
	    {"DELETE FROM quarantine_copy WHERE expires <= $1 AND state IN ('released', 'deleted', 'expired')", values + 1,
	     1},
	    {"DELETE FROM quarantine_message WHERE created <= $1 AND NOT EXISTS (SELECT 1 FROM quarantine_copy WHERE"
	     " message = quarantine_message.id)",
	     values + 1, 1},
	};
	return write_batch(store, statements, sizeof statements / sizeof *statements, expired_r);
}

/* ---- the key ---- */

static bool key_row(void *context, const struct store_value *columns, size_t count)
{
	(void)count;
	if (columns[0].type == STORE_BLOB && columns[0].bytes.len == RELEASE_KEY_SIZE) {
		memcpy(context, columns[0].bytes.data, RELEASE_KEY_SIZE);
		((unsigned char *)context)[RELEASE_KEY_SIZE] = 1;
	}
	return false;
}

/* Looked for first: who only reads need not be able to write. */
enum quarantine_result quarantine_key(struct store *store, unsigned char *key_r)
{
	static const char select[] = "SELECT key FROM quarantine_key WHERE id = 1";
	unsigned char found[RELEASE_KEY_SIZE + 1] = {0};
	enum quarantine_result result = result_of(store_query(store, select, NULL, 0, key_row, found));
	if (result == QUARANTINE_OK && found[RELEASE_KEY_SIZE] == 0) {
		unsigned char random[RELEASE_KEY_SIZE];
		if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
			return QUARANTINE_DOWN;
		}
		const struct store_value value = store_blob(random, sizeof random);
		const struct store_statement statements[] = {
		    {"INSERT INTO quarantine_key (id, key) VALUES (1, $1) ON CONFLICT DO NOTHING", &value, 1},
		    {select, NULL, 0}};
		result = result_of(store_write(store, statements, 2, STORE_DURABLE, key_row, found));
	}
	memcpy(key_r, found, RELEASE_KEY_SIZE);
	return result == QUARANTINE_OK && found[RELEASE_KEY_SIZE] == 0 ? QUARANTINE_NONE : result;
}
