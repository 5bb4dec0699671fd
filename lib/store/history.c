/* Rows of the history: written, and deleted when they are old. */
#include "lib/store/history.h"

#include "lib/store/history_private.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
	BATCH = 512,           /* statements of one batch: a message to 10,000 recipients is several */
	EXPIRE_MESSAGES = 100, /* deleted at a time: 20 to 60 milliseconds, in which others wait to write */
	EXPIRE_LEDGER = 5000,
	CHILD_VALUES = 10,
};

/* The second, and below it a number that each process counts up from a random start: rows lie in the order of time, no
 * two of one gate are the same, and those of two gates but when their counts meet in one second. */
int64_t history_new_id(int64_t time)
{
	static atomic_uint_fast32_t next;
	uint32_t start = 0;
	uint_fast32_t none = 0;
	if (atomic_load(&next) == 0) {
		if (getrandom(&start, sizeof start, 0) != (ssize_t)sizeof start || start == 0) {
			start = (uint32_t)time + 1;
		}
		atomic_compare_exchange_strong(&next, &none, start);
	}
	return history_first_id(time) + (int64_t)(atomic_fetch_add(&next, 1) & HISTORY_ID_MASK);
}

int64_t history_first_id(int64_t time)
{
	int64_t most = INT64_MAX >> HISTORY_ID_BITS;
	return (time < 0 ? 0 : time > most ? most : time) << HISTORY_ID_BITS;
}

static struct store_value text(const char *value)
{
	return store_text(value == NULL ? "" : value);
}

static bool is(const char *value, const char *word)
{
	return value != NULL && strcmp(value, word) == 0;
}

static const char insert_message[] =
    "INSERT INTO history_message (id, time, host, queue_id, support_id, direction, peer, client, client_name, helo,"
    " country, asn, as_name, tls_version, tls_cipher, auth_user, mail_from, mail_from_domain, author, author_domain,"
    " subject, message_id, size, spf, dkim, arc, dmarc, dmarc_domain, results, action, reason, reply, score,"
    " milliseconds, ended, recipient_count, tls_bits, cert_subject, cert_issuer, cert_verified, peer_name, peer_helo)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,"
    " $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42)";
enum { MESSAGE_VALUES = 42 };

static void message_values(const struct history_message *m, struct store_value *values)
{
	const struct store_value list[MESSAGE_VALUES] = {store_integer(m->id),
	                                                 store_integer(m->time),
	                                                 text(m->host),
	                                                 text(m->queue_id),
	                                                 text(m->support_id),
	                                                 text(m->direction),
	                                                 text(m->peer),
	                                                 text(m->client),
	                                                 text(m->client_name),
	                                                 text(m->helo),
	                                                 text(m->country),
	                                                 store_integer(m->asn),
	                                                 text(m->as_name),
	                                                 text(m->tls_version),
	                                                 text(m->tls_cipher),
	                                                 text(m->auth_user),
	                                                 text(m->mail_from),
	                                                 text(m->mail_from_domain),
	                                                 text(m->author),
	                                                 text(m->author_domain),
	                                                 text(m->subject),
	                                                 text(m->message_id),
	                                                 store_integer(m->size),
	                                                 text(m->spf),
	                                                 text(m->dkim),
	                                                 text(m->arc),
	                                                 text(m->dmarc),
	                                                 text(m->dmarc_domain),
	                                                 text(m->results),
	                                                 text(m->action),
	                                                 text(m->reason),
	                                                 text(m->reply),
	                                                 store_real(m->score),
	                                                 store_integer(m->milliseconds),
	                                                 store_integer(m->ended),
	                                                 store_integer(m->recipient_count),
	                                                 store_integer(m->tls_bits),
	                                                 text(m->cert_subject),
	                                                 text(m->cert_issuer),
	                                                 store_integer(m->cert_verified),
	                                                 text(m->peer_name),
	                                                 text(m->peer_helo)};
	memcpy(values, list, sizeof list);
}

static const char insert_recipient[] =
    "INSERT INTO history_recipient (message, position, address, domain, action, reply, refused, fate, quarantine, copy)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
static const char insert_sender[] = "INSERT INTO history_sender (message, address, domain) VALUES ($1, $2, $3)";
static const char insert_finding[] =
    "INSERT INTO history_finding (message, position, stage, code, detail, action, effective, mode, would, recipient)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
static const char insert_dns[] = "INSERT INTO history_dns (message, zone) VALUES ($1, $2)";
static const char count_tls[] =
    "INSERT INTO history_tls (day, domain, version, messages, accepted, authenticated) VALUES ($1, $2, $3, 1, $4, $5)"
    " ON CONFLICT (day, domain, version) DO UPDATE SET messages = history_tls.messages + 1,"
    " accepted = history_tls.accepted + EXCLUDED.accepted,"
    " authenticated = history_tls.authenticated + EXCLUDED.authenticated";

/* Statements of a batch that is being put together. */
struct batch {
	struct store *store;
	struct store_statement statements[BATCH];
	size_t count;
	struct store_value values[BATCH][CHILD_VALUES];
};

static void batch_send(struct batch *batch)
{
	if (batch->count > 0) {
		store_write_later(batch->store, batch->statements, batch->count);
	}
	batch->count = 0;
}

/* Takes the values' array; they are copied when the batch is sent. */
static void batch_add(struct batch *batch, const char *sql, const struct store_value *values, size_t count)
{
	if (batch->count == BATCH) {
		batch_send(batch);
	}
	struct store_value *own = batch->values[batch->count];
	if (count <= CHILD_VALUES) {
		memcpy(own, values, count * sizeof *values);
		values = own;
	}
	batch->statements[batch->count++] = (struct store_statement){sql, values, count};
}

static void add_recipient(struct batch *batch, const struct history_message *message, size_t i)
{
	const struct history_recipient *r = &message->recipients[i];
	const struct store_value values[] = {store_integer(message->id),
	                                     store_integer((int64_t)i),
	                                     text(r->address),
	                                     text(r->domain),
	                                     text(r->action),
	                                     text(r->reply),
	                                     store_integer(r->refused),
	                                     text(r->fate),
	                                     text(r->quarantine),
	                                     store_integer(r->copy)};
	batch_add(batch, insert_recipient, values, sizeof values / sizeof *values);
}

static void add_finding(struct batch *batch, const struct history_message *message, size_t i)
{
	const struct history_finding *f = &message->findings[i];
	struct slice stage = {f->code, strcspn(f->code, ".")};
	const struct store_value values[] = {store_integer(message->id),
	                                     store_integer((int64_t)i),
	                                     store_text_slice(stage),
	                                     text(f->code),
	                                     text(f->detail),
	                                     text(f->action),
	                                     text(f->effective),
	                                     text(f->mode),
	                                     store_integer(f->would),
	                                     store_integer(f->recipient)};
	batch_add(batch, insert_finding, values, sizeof values / sizeof *values);
}

/* For the search: who sent it, by the envelope and by its From. */
static void add_senders(struct batch *batch, const struct history_message *message)
{
	const char *author = message->author == NULL ? "" : message->author;
	const char *sender = message->mail_from == NULL ? "" : message->mail_from;
	const struct store_value values[] = {store_integer(message->id), text(sender), text(message->mail_from_domain)};
	batch_add(batch, insert_sender, values, 3);
	if (author[0] != '\0' && strcmp(author, sender) != 0) {
		batch_add(batch, insert_sender,
		          (struct store_value[]){store_integer(message->id), text(author), text(message->author_domain)}, 3);
	}
}

/* Inbound messages that came to an end: what was refused at RCPT would have met a demand for TLS no more than that. */
static void add_ledger(struct batch *batch, const struct history_message *message)
{
	bool refused = is(message->action, "reject") || is(message->action, "tempfail");
	if (!message->ended || !is(message->direction, "inbound")) {
		return;
	}
	const struct store_value values[] = {store_integer(message->time - message->time % HISTORY_DAY),
	                                     text(message->mail_from_domain), text(message->tls_version),
	                                     store_integer(!refused), store_integer(is(message->dmarc, "pass"))};
	batch_add(batch, count_tls, values, sizeof values / sizeof *values);
}

void history_record(struct store *store, const struct history_message *message)
{
	struct store_value values[MESSAGE_VALUES];
	struct batch *batch = malloc(sizeof *batch);
	if (batch == NULL) {
		abort();
	}
	batch->store = store;
	batch->count = 0;
	message_values(message, values);
	batch_add(batch, insert_message, values, MESSAGE_VALUES);
	add_senders(batch, message);
	add_ledger(batch, message);
	if (message->dns != NULL && message->dns[0] != '\0') {
		batch_add(batch, insert_dns, (struct store_value[]){store_integer(message->id), text(message->dns)}, 2);
	}
	for (size_t i = 0; i < message->findings_given; i++) {
		add_finding(batch, message, i);
	}
	for (size_t i = 0; i < message->recipients_given; i++) {
		add_recipient(batch, message, i);
	}
	batch_send(batch);
	free(batch);
}

static bool read_integer(void *context, const struct store_value *columns, size_t count)
{
	int64_t *value = context;
	*value = count == 1 ? columns[0].integer : 0;
	return true;
}

/* Rows lie in the order of their ids: the last of the batch bounds it in every table. */
enum store_result history_expire(struct store *store, int64_t rows_before, int64_t ledger_before, bool *more_r)
{
	int64_t bound = history_first_id(rows_before);
	int64_t last = 0;
	struct store_value find[] = {store_integer(bound), store_integer(EXPIRE_MESSAGES)};
	*more_r = false;
	enum store_result result =
	    store_query(store, "SELECT id FROM history_message WHERE id < $1 ORDER BY id LIMIT 1 OFFSET $2", find, 2,
	                read_integer, &last);
	if (result != STORE_OK) {
		return result;
	}
	*more_r = last != 0;
	const struct store_value rows = store_integer(last != 0 ? last : bound);
	const struct store_value ledger[] = {store_integer(ledger_before), store_integer(EXPIRE_LEDGER)};
	const struct store_statement statements[] = {
	    {"DELETE FROM history_finding WHERE message < $1", &rows, 1},
	    {"DELETE FROM history_recipient WHERE message < $1", &rows, 1},
	    {"DELETE FROM history_sender WHERE message < $1", &rows, 1},
	    {"DELETE FROM history_dns WHERE message < $1", &rows, 1},
	    {"DELETE FROM history_message WHERE id < $1", &rows, 1},
	    {"DELETE FROM history_tls WHERE (day, domain, version) IN"
	     " (SELECT day, domain, version FROM history_tls WHERE day < $1 ORDER BY day LIMIT $2)",
	     ledger, 2},
	};
	return store_write(store, statements, sizeof statements / sizeof *statements, 0, NULL, NULL);
}
