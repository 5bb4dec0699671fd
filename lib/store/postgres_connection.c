#include "lib/store/postgres_connection.h"

#include "lib/base/clock.h"
#include "lib/store/driver.h"
#include "lib/store/postgres_value.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum { PREPARED_MAX = 256, VERSION_MIN = 140000 };

/* A statement is prepared for the types of its values. */
struct prepared_name {
	char *sql;
	size_t count;
	Oid types[STORE_VALUES_MAX];
	unsigned long long name;
};

/* ---- errors ---- */

static void end_text(struct postgres_end *end, const char *text)
{
	size_t n = strcspn(text, "\n");
	snprintf(end->text, sizeof end->text, "%.*s", (int)(n < sizeof end->text ? n : sizeof end->text - 1), text);
}

static struct postgres_end end_broken(struct postgres *postgres, const char *text)
{
	struct postgres_end end = {.result = STORE_UNAVAILABLE};
	end_text(&end, text != NULL ? text : PQerrorMessage(postgres->conn));
	postgres->broken = true;
	return end;
}

static bool is_class(const char *state, const char *class)
{
	return strncmp(state, class, strlen(class)) == 0;
}

/* By SQLSTATE (PostgreSQL's appendix A). */
static struct postgres_end end_error(struct postgres *postgres, const PGresult *result)
{
	static const char *const unavailable[] = {"08", "25006", "28", "3D", "53", "55", "57", "58", "XX", NULL};
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	struct postgres_end end = {.result = STORE_REFUSED};
	if (state == NULL) {
		return end_broken(postgres, PQresultErrorMessage(result));
	}
	end_text(&end, text == NULL ? "no text" : text);
	/* 0A000: "cached plan must not change result type", after a migration; 26000: the statement is gone. */
	if (is_class(state, "40") || is_class(state, "0A000") || is_class(state, "26000")) {
		end.result = STORE_UNAVAILABLE;
		end.again = true;
		postgres->broken = !is_class(state, "40");
	}
	for (size_t i = 0; unavailable[i] != NULL; i++) {
		if (is_class(state, unavailable[i])) {
			end.result = STORE_UNAVAILABLE;
			/* A former primary, or a server that stops: another host may do better. */
			postgres->broken = postgres->broken || is_class(state, "25006") || is_class(state, "57P");
		}
	}
	return end;
}

/* ---- waiting ---- */

/* Sends what is to be sent and reads what comes, until there is a result or, with flush, all is sent. */
static bool postgres_wait(struct postgres *postgres, uint64_t deadline)
{
	while (PQisBusy(postgres->conn)) {
		int unsent = PQflush(postgres->conn);
		struct pollfd fd = {.fd = PQsocket(postgres->conn), .events = (short)(POLLIN | (unsent > 0 ? POLLOUT : 0))};
		if (unsent < 0 || fd.fd < 0) {
			return false;
		}
		int ready = poll(&fd, 1, deadline == 0 ? -1 : clock_poll_timeout(deadline));
		if (ready == 0 || (ready < 0 && errno != EINTR)) {
			return false;
		}
		if (ready > 0 && (fd.revents & ~POLLOUT) != 0 && !PQconsumeInput(postgres->conn)) {
			return false;
		}
	}
	return true;
}

/* The next result, NULL behind the last of a command; false: the connection is not to be used any more. */
static bool postgres_result(struct postgres *postgres, uint64_t deadline, PGresult **result_r)
{
	*result_r = NULL;
	if (!postgres_wait(postgres, deadline)) {
		return false;
	}
	*result_r = PQgetResult(postgres->conn);
	return true;
}

static const char *wait_problem(struct postgres *postgres, uint64_t deadline)
{
	return deadline != 0 && clock_now() >= deadline ? "no answer within store.timeout" : PQerrorMessage(postgres->conn);
}

/* ---- life ---- */

bool postgres_parse(const char *location, char **error_r)
{
	char *ignored = NULL; /* may hold a part of the password */
	PQconninfoOption *options = PQconninfoParse(location, &ignored);
	bool good = options != NULL;
	PQconninfoFree(options);
	PQfreemem(ignored);
	return good || driver_fail(error_r, "store.location is no connection string for PostgreSQL; expected "
	                                    "postgresql://[USER@]HOST[:PORT][,HOST...]/DATABASE"
	                                    "[?PARAMETER=VALUE...], special characters as %%XX");
}

static void on_notice(void *context, const char *message)
{
	(void)context;
	(void)message;
}

static bool postgres_prepare_session(struct postgres *postgres, enum postgres_kind kind, uint64_t timeout_ns,
                                     char **error_r)
{
	unsigned long long ms = timeout_ns / CLOCK_NS_PER_MS;
	char sql[600];
	const char *encoding = PQparameterStatus(postgres->conn, "server_encoding");
	if (PQserverVersion(postgres->conn) < VERSION_MIN) {
		return driver_fail(error_r, "PostgreSQL %d or newer is needed", VERSION_MIN / 10000);
	}
	if (encoding == NULL || strcmp(encoding, "UTF8") != 0) {
		return driver_fail(error_r,
		                   "the database has the encoding %s: make one with UTF8 (createdb -E UTF8 -T template0)",
		                   encoding == NULL ? "?" : encoding);
	}
	snprintf(
	    sql, sizeof sql,
	    "SET standard_conforming_strings = on; SET bytea_output = hex; SET extra_float_digits = 1; SET "
	    "default_transaction_isolation = 'read committed';"
	    "SET statement_timeout = %llu; SET idle_in_transaction_session_timeout = %llu; SET synchronous_commit = %s;"
	    "SET default_transaction_read_only = %s",
	    kind == POSTGRES_COMMAND ? 0 : ms, kind == POSTGRES_COMMAND ? 0 : ms, kind == POSTGRES_COMMAND ? "on" : "off",
	    kind == POSTGRES_READ_ONLY ? "on" : "off");
	return postgres_script(postgres, sql, error_r);
}

struct postgres *postgres_connect(const char *location, enum postgres_kind kind, uint64_t timeout_ns, char **error_r)
{
	char seconds[24];
	snprintf(seconds, sizeof seconds, "%llu",
	         (unsigned long long)(timeout_ns / CLOCK_NS_PER_S < 2 ? 2 : timeout_ns / CLOCK_NS_PER_S));
	/* What stands in the string itself comes after, and wins. */
	const char *const keywords[] = {"connect_timeout", "fallback_application_name", "dbname", "client_encoding", NULL};
	const char *const values[] = {seconds, "mailreeve", location, "UTF8", NULL};
	struct postgres *postgres = calloc(1, sizeof *postgres);
	if (postgres == NULL) {
		abort();
	}
	postgres->conn = PQconnectdbParams(keywords, values, 1);
	if (postgres->conn == NULL) {
		abort();
	}
	PQsetNoticeProcessor(postgres->conn, on_notice, NULL);
	if (PQstatus(postgres->conn) != CONNECTION_OK) {
		struct postgres_end end;
		end_text(&end, PQerrorMessage(postgres->conn));
		driver_fail(error_r, "%s", end.text);
	} else if (PQsetnonblocking(postgres->conn, 1) == 0 &&
	           postgres_prepare_session(postgres, kind, timeout_ns, error_r)) {
		return postgres;
	}
	postgres_disconnect(postgres);
	return NULL;
}

void postgres_disconnect(struct postgres *postgres)
{
	if (postgres == NULL) {
		return;
	}
	PQfinish(postgres->conn);
	for (size_t i = 0; i < postgres->prepared_count; i++) {
		free(postgres->prepared[i].sql);
	}
	free(postgres->prepared);
	free(postgres);
}

/* A server that has nothing to answer says something when it ends, and hardly ever otherwise. */
bool postgres_alive(struct postgres *postgres)
{
	struct pollfd fd = {.fd = PQsocket(postgres->conn), .events = POLLIN};
	return fd.fd >= 0 && poll(&fd, 1, 0) == 0;
}

bool postgres_script(struct postgres *postgres, const char *sql, char **error_r)
{
	struct postgres_end end = {.result = STORE_OK};
	PGresult *result = NULL;
	if (!PQsendQuery(postgres->conn, sql)) {
		end = end_broken(postgres, NULL);
	}
	while (end.result != STORE_UNAVAILABLE || !postgres->broken) {
		if (!postgres_result(postgres, 0, &result)) {
			end = end_broken(postgres, NULL);
			break;
		}
		if (result == NULL) {
			break;
		}
		ExecStatusType status = PQresultStatus(result);
		if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && end.result == STORE_OK) {
			end = end_error(postgres, result);
		}
		PQclear(result);
	}
	return end.result == STORE_OK || driver_fail(error_r, "%s", end.text);
}

/* ---- prepared statements ---- */

static struct prepared_name *prepared_find(struct postgres *postgres, const char *sql, const Oid *types, size_t count)
{
	for (size_t i = 0; i < postgres->prepared_count; i++) {
		struct prepared_name *prepared = &postgres->prepared[i];
		if (prepared->count == count && strcmp(prepared->sql, sql) == 0 &&
		    memcmp(prepared->types, types, count * sizeof *types) == 0) {
			return prepared;
		}
	}
	return NULL;
}

static void prepared_add(struct postgres *postgres, const char *sql, const Oid *types, size_t count,
                         unsigned long long name)
{
	if (postgres->prepared == NULL) {
		postgres->prepared = calloc(PREPARED_MAX, sizeof *postgres->prepared);
	}
	char *copy = strdup(sql);
	if (postgres->prepared == NULL || copy == NULL) {
		abort();
	}
	struct prepared_name *prepared = &postgres->prepared[postgres->prepared_count++];
	*prepared = (struct prepared_name){.sql = copy, .count = count, .name = name};
	memcpy(prepared->types, types, count * sizeof *types);
}

static void name_format(unsigned long long name, char *text_r, size_t size)
{
	snprintf(text_r, size, "m%llu", name);
}

/* ---- a batch in one round trip ---- */

/* What was sent, in order. */
struct sent {
	bool prepare;
	size_t at; /* the statement */
};

struct pipeline {
	struct postgres *postgres;
	const struct store_statement *statements;
	size_t count;
	uint64_t deadline;
	store_row *row;
	void *context;
	struct arena *arena;
	struct sent *sent;
	size_t sent_count;
	struct postgres_end end;
};

static bool pipeline_send(struct pipeline *pipeline, size_t at)
{
	struct postgres *postgres = pipeline->postgres;
	const struct store_statement *statement = &pipeline->statements[at];
	struct postgres_parameters *parameters = arena_alloc(pipeline->arena, sizeof *parameters);
	char name[32];
	if (!postgres_parameters_set(parameters, statement->values, statement->count)) {
		pipeline->end = (struct postgres_end){.result = STORE_REFUSED, .at = at};
		end_text(&pipeline->end, "values are too many or too large");
		return false;
	}
	struct prepared_name *prepared = prepared_find(postgres, statement->sql, parameters->types, statement->count);
	bool keep = prepared == NULL && postgres->prepared_count < PREPARED_MAX;
	if (keep) {
		name_format(postgres->next_name++, name, sizeof name);
		prepared_add(postgres, statement->sql, parameters->types, statement->count, postgres->next_name - 1);
		pipeline->sent[pipeline->sent_count++] = (struct sent){.prepare = true, .at = at};
		if (!PQsendPrepare(postgres->conn, name, statement->sql, (int)statement->count, parameters->types)) {
			return false;
		}
	} else if (prepared != NULL) {
		name_format(prepared->name, name, sizeof name);
	}
	pipeline->sent[pipeline->sent_count++] = (struct sent){.prepare = false, .at = at};
	return prepared != NULL || keep
	           ? PQsendQueryPrepared(postgres->conn, name, (int)statement->count, parameters->values,
	                                 parameters->lengths, parameters->formats, 0) == 1
	           : PQsendQueryParams(postgres->conn, statement->sql, (int)statement->count, parameters->types,
	                               parameters->values, parameters->lengths, parameters->formats, 0) == 1;
}

/* False: the caller wants no more rows, or there are too many columns. */
static bool deliver_rows(struct pipeline *pipeline, const PGresult *result)
{
	struct store_value columns[STORE_VALUES_MAX];
	size_t count;
	int rows = PQntuples(result);
	for (int i = 0; i < rows && pipeline->row != NULL; i++) {
		if (!postgres_row(result, i, pipeline->arena, columns, &count)) {
			return false;
		}
		if (!pipeline->row(pipeline->context, columns, count)) {
			pipeline->row = NULL;
		}
	}
	return true;
}

static void pipeline_take(struct pipeline *pipeline, const struct sent *sent, const PGresult *result)
{
	switch (PQresultStatus(result)) {
	case PGRES_TUPLES_OK:
		if (pipeline->end.result == STORE_OK && !deliver_rows(pipeline, result)) {
			pipeline->end = (struct postgres_end){.result = STORE_REFUSED, .at = sent->at, .text = "too many columns"};
		}
		break;
	case PGRES_COMMAND_OK:
	case PGRES_PIPELINE_ABORTED:
		break;
	default:
		if (pipeline->end.result == STORE_OK) {
			pipeline->end = end_error(pipeline->postgres, result);
			pipeline->end.at = sent->at;
		}
		break;
	}
	/* A statement that could not be prepared is not there the next time: start with a new connection. */
	if (sent->prepare && PQresultStatus(result) != PGRES_COMMAND_OK) {
		pipeline->postgres->broken = true;
	}
}

/* All results up to the sync point; false: the connection broke. */
static bool pipeline_receive(struct pipeline *pipeline)
{
	struct postgres *postgres = pipeline->postgres;
	PGresult *result;
	for (size_t i = 0; i <= pipeline->sent_count; i++) {
		bool sync = i == pipeline->sent_count;
		for (bool first = true;; first = false) {
			if (!postgres_result(postgres, pipeline->deadline, &result)) {
				return false;
			}
			if (result == NULL && !first) {
				break;
			}
			if (result == NULL || PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
				PQclear(result);
				return sync && result != NULL;
			}
			if (sync) {
				PQclear(result);
				return false;
			}
			pipeline_take(pipeline, &pipeline->sent[i], result);
			PQclear(result);
		}
	}
	return false;
}

struct postgres_end postgres_batch(struct postgres *postgres, const struct store_statement *statements, size_t count,
                                   uint64_t deadline, store_row *row, void *context)
{
	struct pipeline pipeline = {.postgres = postgres,
	                            .statements = statements,
	                            .count = count,
	                            .deadline = deadline,
	                            .row = row,
	                            .context = context,
	                            .arena = arena_create(16384)};
	pipeline.sent = arena_alloc(pipeline.arena, 2 * count * sizeof *pipeline.sent);
	bool good = PQenterPipelineMode(postgres->conn) == 1;
	for (size_t i = 0; i < count && good; i++) {
		good = pipeline_send(&pipeline, i);
	}
	if (pipeline.end.result == STORE_REFUSED) {
		postgres->broken = true; /* half of it is under way */
	} else if (!good || PQpipelineSync(postgres->conn) != 1 || !pipeline_receive(&pipeline)) {
		pipeline.end = end_broken(postgres, wait_problem(postgres, deadline));
	} else if (PQexitPipelineMode(postgres->conn) != 1) {
		postgres->broken = true;
	}
	arena_destroy(pipeline.arena);
	return pipeline.end;
}

/* ---- row by row ---- */

struct postgres_end postgres_stream(struct postgres *postgres, const struct store_statement *statement, store_row *row,
                                    void *context)
{
	struct postgres_parameters parameters;
	struct pipeline pipeline = {.postgres = postgres, .row = row, .context = context, .arena = arena_create(16384)};
	struct sent sent = {.prepare = false};
	PGresult *result = NULL;
	if (!postgres_parameters_set(&parameters, statement->values, statement->count)) {
		pipeline.end.result = STORE_REFUSED;
		end_text(&pipeline.end, "values are too many or too large");
	} else if (!PQsendQueryParams(postgres->conn, statement->sql, (int)statement->count, parameters.types,
	                              parameters.values, parameters.lengths, parameters.formats, 0) ||
	           !PQsetSingleRowMode(postgres->conn)) {
		pipeline.end = end_broken(postgres, NULL);
	} else {
		while (postgres_result(postgres, 0, &result) && result != NULL) {
			if (PQresultStatus(result) == PGRES_SINGLE_TUPLE) {
				deliver_rows(&pipeline, result);
				arena_reset(pipeline.arena);
			} else {
				pipeline_take(&pipeline, &sent, result);
			}
			PQclear(result);
		}
		if (PQstatus(postgres->conn) != CONNECTION_OK) {
			pipeline.end = end_broken(postgres, NULL);
		}
	}
	arena_destroy(pipeline.arena);
	return pipeline.end;
}
