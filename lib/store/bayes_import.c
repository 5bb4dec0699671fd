/* What another filter has learnt: counts without messages. All of it is one transaction, with a row in bayes_learnt
 * that says so: a message of no version, which can be neither moved nor un-learnt. */
#include "lib/store/bayes_private.h"

#include <stdlib.h>

enum { CHUNK = 4096, RECORD_SIZE = 16 };

/* $1: owner  $2: records: token, spam, ham (32 bits each)  $3: how many  $4: now */
#define BYTE(at) "get_byte($2, n.i * 16 + " at ")"
#define COUNT(a, b, c, d) "((CAST(" BYTE(a) " AS BIGINT) * 256 + " BYTE(b) ") * 256 + " BYTE(c) ") * 256 + " BYTE(d)
static const char sql_add[] =
    BAYES_NUMBERS("$3") "INSERT INTO bayes_token (owner, token, spam, ham, seen) SELECT $1, substr($2, n.i * 16 + 1, "
                        "8), " COUNT("8", "9", "10", "11") ", " COUNT(
                            "12", "13", "14",
                            "15") ", $4 FROM n WHERE 1 = 1"
                                  " ON CONFLICT (owner, token) DO UPDATE SET spam = bayes_token.spam + EXCLUDED.spam,"
                                  " ham = bayes_token.ham + EXCLUDED.ham, seen = EXCLUDED.seen";
static const char sql_change[] =
    "INSERT INTO bayes_change (change, owner, time, tokens) SELECT " BAYES_NOW_CHANGE ", $1, $2, $3";
static const char sql_mark[] = "INSERT INTO bayes_learnt (owner, digest, class, time, version, change, tokens) SELECT "
                               "$1, $2, $3, $4, 0, " BAYES_NOW_CHANGE ", $5";
static const char sql_owner[] =
    "INSERT INTO bayes_owner (owner, spam, ham, changed) VALUES ($1, $2, $3, $4) ON CONFLICT (owner) DO UPDATE SET"
    " spam = bayes_owner.spam + EXCLUDED.spam, ham = bayes_owner.ham + EXCLUDED.ham, changed = EXCLUDED.changed";

static void put_number(char *at, uint32_t number)
{
	for (int i = 0; i < 4; i++) {
		at[i] = (char)(number >> (24 - 8 * i) & 0xff);
	}
}

static char *records_of(const struct bayes_imported *tokens, size_t count)
{
	char *records = malloc(count * RECORD_SIZE + 1);
	if (records == NULL) {
		abort();
	}
	for (size_t i = 0; i < count; i++) {
		bayes_put_token(tokens[i].token, records + i * RECORD_SIZE);
		put_number(records + i * RECORD_SIZE + 8, tokens[i].counts.spam);
		put_number(records + i * RECORD_SIZE + 12, tokens[i].counts.ham);
	}
	return records;
}

enum store_result bayes_import(struct store *store, const char *owner, const uint8_t *digest,
                               struct bayes_counts learnt, const struct bayes_imported *tokens, size_t count,
                               int64_t now, bool *known_r)
{
	static const struct store_value subject = {.type = STORE_TEXT, .bytes = SLICE_LITERAL("bayes")};
	struct store_value values[BAYES_IMPORT_MAX / CHUNK + 1][4];
	struct store_statement statements[BAYES_IMPORT_MAX / CHUNK + 5];
	struct bayes_learnt before;
	size_t n = 0;
	enum store_result result = bayes_find(store, owner, digest, known_r, &before);
	if (result != STORE_OK || *known_r || count > BAYES_IMPORT_MAX || strlen(owner) > BAYES_OWNER_MAX) {
		return result == STORE_OK && !*known_r ? STORE_REFUSED : result;
	}
	char *records = records_of(tokens, count);
	const struct store_value change[] = {store_text(owner), store_integer(now), store_blob("", 0)};
	const struct store_value mark[] = {store_text(owner), store_blob(digest, BAYES_DIGEST_SIZE),
	                                   store_integer(BAYES_SPAM), store_integer(now), store_blob("", 0)};
	const struct store_value total[] = {store_text(owner), store_integer(learnt.spam), store_integer(learnt.ham),
	                                    store_integer(now)};
	statements[n++] = store_bump(&subject);
	statements[n++] = (struct store_statement){sql_change, change, 3};
	statements[n++] = (struct store_statement){sql_mark, mark, 5};
	statements[n++] = (struct store_statement){sql_owner, total, 4};
	for (size_t from = 0; from < count; from += CHUNK) {
		size_t some = count - from < CHUNK ? count - from : CHUNK;
		struct store_value *of = values[from / CHUNK];
		of[0] = store_text(owner);
		of[1] = store_blob(records + from * RECORD_SIZE, some * RECORD_SIZE);
		of[2] = store_integer((int64_t)some);
		of[3] = store_integer(now);
		statements[n++] = (struct store_statement){sql_add, of, 4};
	}
	result = store_write(store, statements, n, STORE_DURABLE, NULL, NULL);
	free(records);
	return result;
}
