#include "lib/pipeline/parting.h"

#include "lib/base/log.h"
#include "lib/pipeline/stage_digest.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stage_quarantine.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"

#include <jansson.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { SUBJECT_MAX = 300 };

static const struct quarantine_settings *settings_of(const struct session *session)
{
	return config_settings(session->config, stages_section(&stage_quarantine));
}

/* ---- which recipients have the same path ---- */

static int compare_paths(const void *a, const void *b, void *context)
{
	const struct recipient *recipients = context;
	size_t i = *(const size_t *)a;
	size_t k = *(const size_t *)b;
	int order = strcmp(recipients[i].path, recipients[k].path);
	return order != 0 ? order : i < k ? -1 : 1;
}

static void find_twins(struct session *session)
{
	size_t n = session->recipient_count;
	size_t *order = arena_alloc(session->arena, (n + 1) * sizeof *order);
	for (size_t i = 0; i < n; i++) {
		order[i] = i;
	}
	qsort_r(order, n, sizeof *order, compare_paths, session->recipients);
	for (size_t i = 0; i < n; i++) {
		struct recipient *recipient = &session->recipients[order[i]];
		const struct recipient *before = i == 0 ? NULL : &session->recipients[order[i - 1]];
		bool twin = before != NULL && strcmp(before->path, recipient->path) == 0;
		recipient->first = twin ? before->first : order[i];
	}
}

/* ---- the plan ---- */

static enum delivery_store store_now(const struct session *session)
{
	const struct store_options *store = config_settings(session->config, SECTION_STORE);
	bool large = session->message != NULL && message_size(session->message) > settings_of(session)->message_max;
	/* explain has no store that is not there yet, and the daemon would make one. */
	return store->location[0] == '\0' || large ? DELIVERY_STORE_NONE : DELIVERY_STORE_READY;
}

static void plan(struct session *session, enum delivery_store store)
{
	size_t n = session->recipient_count;
	struct delivery_recipient *recipients = arena_alloc(session->arena, (n + 1) * sizeof *recipients);
	enum delivery_fate *fates = arena_alloc(session->arena, (n + 1) * sizeof *fates);
	for (size_t i = 0; i < n; i++) {
		const struct recipient *recipient = &session->recipients[i];
		recipients[i] = (struct delivery_recipient){
		    .action = recipient->verdict.action, .refused = recipient->refused, .first = recipient->first};
	}
	struct delivery_facts facts = {recipients, n, settings_of(session)->method == QUARANTINE_HOLD, store};
	struct delivery delivery = delivery_plan(&facts, fates);
	for (size_t i = 0; i < n; i++) {
		session->recipients[i].fate = fates[i];
	}
	session->answer = delivery.answer;
	if (delivery.reason < n) {
		session->verdict = session->recipients[delivery.reason].verdict;
	} else if (delivery.answer == DELIVERY_TEMPFAIL) {
		session->verdict = (struct verdict){.action = VERDICT_TEMPFAIL,
		                                    .code = 451,
		                                    .enhanced = "4.3.0",
		                                    .text = arena_printf(session->arena, "%s (support id %s)",
		                                                         quarantine_unavailable->reply, session->support_id)};
	}
}

/* Nobody's address is known, or all were refused at RCPT: the common verdict stands. */
static void plan_nobody(struct session *session)
{
	switch (session->verdict.action) {
	case VERDICT_ACCEPT:
	case VERDICT_TAG:
		session->answer = DELIVERY_PASS;
		break;
	case VERDICT_QUARANTINE:
		session->answer = DELIVERY_HOLD;
		break;
	case VERDICT_DISCARD:
		session->answer = DELIVERY_TAKE;
		break;
	case VERDICT_TEMPFAIL:
		session->answer = DELIVERY_TEMPFAIL;
		break;
	case VERDICT_REJECT:
		session->answer = DELIVERY_REJECT;
		break;
	}
}

/* ---- storing ---- */

static const char *findings_json(struct session *session)
{
	json_t *array = json_array();
	for (size_t i = 0; i < session->finding_count; i++) {
		const struct finding *finding = session->findings[i];
		json_t *object = json_object();
		json_t *detail = json_string(finding->detail);
		json_object_set_new(object, "code", json_string(finding->code->code));
		json_object_set_new(object, "detail", detail != NULL ? detail : json_string(""));
		json_object_set_new(object, "action", json_string(action_kind_name(finding->effective)));
		json_array_append_new(array, object);
	}
	char *text = json_dumps(array, JSON_COMPACT);
	const char *copy = arena_strdup(session->arena, text == NULL ? "[]" : text);
	free(text);
	json_decref(array);
	return copy;
}

static const char *lower(struct session *session, const char *text)
{
	return slice_dup_lower(session->arena, slice_from(text));
}

static struct quarantine_copy copy_of(struct session *session, size_t i)
{
	const struct recipient *recipient = &session->recipients[i];
	const struct address *address = &recipient->address;
	const struct verdict *verdict = &recipient->verdict;
	const char *owner = address->domain[0] == '\0'
	                        ? lower(session, address->text)
	                        : arena_printf(session->arena, "%s@%s", lower(session, address->local), address->domain);
	return (struct quarantine_copy){
	    .n = (unsigned)i + 1,
	    .recipient = slice_from(address->text),
	    .owner = owner,
	    .verdict = verdict_action_name(verdict->action),
	    .reason = verdict->reason == NULL ? "" : verdict->reason->code->code,
	    .text = verdict->text == NULL ? "" : verdict->text,
	};
}

static void message_of(struct session *session, struct quarantine_message *message_r)
{
	char client[IP_TEXT_SIZE];
	const struct header *subject = headers_find(session_headers(session), "Subject", 0);
	struct author author;
	ip_format(&session->client, client);
	author_find(session->arena, session_headers(session), &author);
	*message_r = (struct quarantine_message){
	    .created = session->now,
	    .queue_id = session->queue_id,
	    .support_id = session->support_id,
	    .direction = session->direction,
	    .client = arena_strdup(session->arena, client),
	    .client_name = session->client_name,
	    .helo = session->helo,
	    .auth_user = session->auth_user,
	    .mail_from = slice_from(session->mail_from.text),
	    .smtputf8 = session->smtputf8,
	    .author = author.address.text,
	    .subject = subject == NULL
	                   ? ""
	                   : text_escape(session->arena, slice_trim(header_unfold(session->arena, subject->value)), "",
	                                 true, SUBJECT_MAX),
	    .findings = findings_json(session),
	    .authres = session->authres == NULL ? "" : session->authres,
	};
}

/* One copy for each path. */
static size_t copies_of(struct session *session, struct quarantine_copy *copies_r)
{
	size_t n = 0;
	for (size_t i = 0; i < session->recipient_count; i++) {
		if (session->recipients[i].fate == DELIVERY_STORED && session->recipients[i].first == i) {
			copies_r[n++] = copy_of(session, i);
		}
	}
	return n;
}

static enum quarantine_result put_copies(struct session *session, struct store *store,
                                         const struct quarantine_copy *copies, size_t count)
{
	struct quarantine_limits limits = quarantine_limits_of(settings_of(session));
	struct quarantine_message message;
	size_t size = (size_t)message_size(session->message);
	void *bytes = size == 0 ? NULL : mmap(NULL, size, PROT_READ, MAP_PRIVATE, message_fd(session->message), 0);
	if (bytes == MAP_FAILED) {
		return QUARANTINE_DOWN;
	}
	message_of(session, &message);
	enum quarantine_result result =
		quarantine_put(store, &limits, &message, copies, count, (struct slice){bytes, size}, session->quarantine_id);
	if (bytes != NULL) {
		munmap(bytes, size);
	}
	return result;
}

/* What the store holds of it meanwhile, packed, counts as memory of messages. */
static enum quarantine_result store_copies(struct session *session, const struct quarantine_copy *copies, size_t count)
{
	struct store *store = engine_store(session->engine);
	struct message_budget *budget = engine_message_budget(session->engine);
	uint64_t memory = 2 * message_size(session->message);
	enum quarantine_result result = QUARANTINE_DOWN;
	if (store == NULL || session->message_status != MESSAGE_OK) {
		return QUARANTINE_DOWN;
	}
	if (atomic_fetch_add(&budget->used, memory) + memory <= session_globals(session)->memory_total) {
		result = put_copies(session, store, copies, count);
	}
	atomic_fetch_sub(&budget->used, memory);
	return result;
}

/* Where it cannot be done, the plan is made anew. */
static void parting_store(struct session *session)
{
	struct quarantine_copy *copies = arena_alloc(session->arena, (session->recipient_count + 1) * sizeof *copies);
	size_t count = copies_of(session, copies);
	if (count == 0 || !engine_is_daemon(session->engine)) {
		return;
	}
	switch (store_copies(session, copies, count)) {
	case QUARANTINE_OK:
		return;
	case QUARANTINE_DOWN:
	case QUARANTINE_NONE:
		session_find(session, quarantine_unavailable, "a copy could not be stored", NULL);
		break;
	case QUARANTINE_FULL:
		session_find(session, quarantine_full, NULL, NULL);
		break;
	case QUARANTINE_TOO_LARGE:
		plan(session, DELIVERY_STORE_NONE);
		return;
	}
	session_judge(session);
	plan(session, DELIVERY_STORE_DOWN);
}

/* ---- what was released ---- */

/* What is held against a released message is told to who releases it: it is in the quarantine already. */
static void release_refuse(struct session *session)
{
	const struct finding *reason = session->verdict.reason;
	session->verdict.action = VERDICT_REJECT;
	session->verdict.code = 550;
	session->verdict.enhanced = "5.7.1";
	session->verdict.text = arena_printf(session->arena, "Not released because of %s (support id %s)",
	                                     reason == NULL ? "policy" : reason->code->code, session->support_id);
	session->answer = DELIVERY_REJECT;
	for (size_t i = 0; i < session->recipient_count; i++) {
		struct recipient *recipient = &session->recipients[i];
		recipient->fate = recipient->refused ? DELIVERY_REFUSED : DELIVERY_RETURNED;
	}
}

/* Uses the token up, as the last thing before the MTA is told. */
static void release_consume(struct session *session)
{
	enum quarantine_result result =
	    engine_is_daemon(session->engine)
	        ? quarantine_consume(engine_store(session->engine), &session->release->token, session->now)
	        : QUARANTINE_OK;
	if (result == QUARANTINE_OK) {
		return;
	}
	session_find(session, result == QUARANTINE_NONE ? quarantine_spent : quarantine_unavailable, NULL, NULL);
	session->release = NULL;
	session_judge(session);
	plan(session, DELIVERY_STORE_DOWN);
}

static void parting_release(struct session *session)
{
	plan(session, DELIVERY_STORE_NONE);
	switch (session->answer) {
	case DELIVERY_PASS:
		release_consume(session);
		break;
	case DELIVERY_HOLD:
	case DELIVERY_TAKE:
	case DELIVERY_REJECT:
		release_refuse(session);
		break;
	case DELIVERY_TEMPFAIL:
		break;
	}
}

/* ---- reports to users ---- */

/* What a user asked for by reply, and that a report goes out, is durable before the MTA is told. */
static void parting_digest(struct session *session)
{
	if (!engine_is_daemon(session->engine) || stage_digest_commit(session)) {
		return;
	}
	session_find(session, digest_unavailable, NULL, NULL);
	session_judge(session);
	plan(session, DELIVERY_STORE_DOWN);
}

/* ---- the whole ---- */

void parting_decide(struct session *session)
{
	session->quarantine_id[0] = '\0';
	if (session->recipient_count == session->refused_count) {
		plan_nobody(session);
		return;
	}
	find_twins(session);
	if (session->release != NULL) {
		parting_release(session);
		return;
	}
	plan(session, store_now(session));
	if (session->message != NULL) {
		parting_store(session);
		parting_digest(session);
	}
}

void parting_edit(struct session *session)
{
	if (session->answer != DELIVERY_PASS && session->answer != DELIVERY_HOLD) {
		return;
	}
	for (size_t i = 0; i < session->recipient_count; i++) {
		const struct recipient *recipient = &session->recipients[i];
		bool removed = recipient->fate == DELIVERY_STORED || recipient->fate == DELIVERY_DROPPED;
		if (removed && recipient->first == i) {
			session_edit_add(session,
			                 (struct edit){.kind = EDIT_DELETE_RECIPIENT, .name = "", .value = recipient->path});
		}
	}
}
