/* Allow and block lists: everybody's, the recipient's domain's, the recipient's own.
 *
 * In each list the most specific entry that matches decides (list_names.h: rank), a block before an allow of the same
 * rank. What a block entry says is a finding for that recipient; an allow entry that acts is told to policy, which
 * lifts what may be lifted. Before DATA a block is answered at once, unless an allow entry may yet lift it: one that
 * matches already and waits for proof, or any of the recipient's or his domain's that names senders, as From may be one
 * of them. */
#include "lib/pipeline/stage_lists.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mail/domain.h"
#include "lib/pipeline/list_names.h"
#include "lib/pipeline/pipeline.h"
#include "lib/pipeline/stage_list.h"
#include "lib/policy/globals.h"

#include <limits.h>
#include <stddef.h>

enum { BLOCKED, BLOCKED_DOMAIN, BLOCKED_USER, UNAVAILABLE, UNDECIDED, PATTERN_LIMIT, UNAUTHENTICATED, ALLOWED };
enum { UNPROVEN_MAX = 4, FIELDS_MAX = 50 };

static const struct finding_code codes[] = {
    [BLOCKED] = {"list.blocked",
                 {ACTION_REJECT, 0},
                 FINDING_AT_RCPT,
                 "7.1",
                 "Mail from this sender or client is not accepted",
                 "an entry of everybody's block list matches"},
    [BLOCKED_DOMAIN] = {"list.blocked_domain",
                        {ACTION_REJECT, 0},
                        FINDING_AT_RCPT,
                        "7.1",
                        "Mail from this sender or client is not accepted for this domain",
                        "an entry of the block list of the recipient's domain matches"},
    [BLOCKED_USER] = {"list.blocked_user",
                      {ACTION_REJECT, 0},
                      FINDING_AT_RCPT,
                      "7.1",
                      "The recipient does not accept mail from this sender",
                      "an entry of the recipient's own block list matches"},
    [UNAVAILABLE] = {"list.unavailable",
                     {ACTION_TEMPFAIL, 0},
                     FINDING_AT_RCPT,
                     "3.0",
                     "Local error, please try again later",
                     "the store could not be read since the start: nobody knows who is blocked"},
    [UNDECIDED] = {"list.undecided",
                   {ACTION_TEMPFAIL, 0},
                   0,
                   "7.1",
                   "The sender could not be verified, please try again later",
                   "a block would be lifted by an allow entry if DNS had not failed"},
    [PATTERN_LIMIT] = {"list.pattern_limit",
                       {ACTION_TAG, 0},
                       0,
                       "7.1",
                       "The header of the message could not be judged",
                       "a header pattern was given up: too many steps or too much time"},
    [UNAUTHENTICATED] =
        {"list.allow_unauthenticated",
         {ACTION_IGNORE, 0},
         0,
         "7.1",
         "The sender could not be verified",
         "an allow entry matches, but nothing proves that the message is from whom it names: it does not act"},
    [ALLOWED] = {"list.allowed", {ACTION_IGNORE, 0}, 0, "7.1", "allowed", "an allow entry acts"},
    {.code = NULL},
};

#define ROW(member, type_, fallback_, least, most, help_)                                                              \
	{                                                                                                                  \
		.name = #member, .type = (type_), .offset = offsetof(struct lists_settings, member), .fallback = (fallback_),  \
		.min = (least), .max = (most), .help = (help_)                                                                 \
	}

static const struct option_row options[] = {
    ROW(allow, OPTION_ENTRIES, "", LIST_ALLOW, 0, "everybody's allow entries, besides those of mailreeve list"),
    ROW(block, OPTION_ENTRIES, "", LIST_BLOCK, 0, "everybody's block entries, likewise"),
    ROW(user_max, OPTION_UINT, "1000", 0, 1000000, "entries that a user may have"),
    ROW(domain_max, OPTION_UINT, "100000", 0, 10000000, "entries that a domain may have"),
    ROW(pattern_time, OPTION_DURATION, "500ms", CLOCK_NS_PER_MS, 60 * CLOCK_NS_PER_S,
        "what the header patterns of all lists may take for one message"),
    {.name = NULL},
};

/* ---- what a list says ---- */

struct match {
	const struct list_entry *entry; /* NULL: none */
	const struct list_name *name;
};

/* An allow entry's proof. */
enum proof { PROOF_GOOD, PROOF_UNDECIDED, PROOF_NONE };

/* What one level's list says for one recipient. */
struct opinion {
	struct match block, enforced;
	struct match allow;    /* acts */
	struct match possible; /* may yet act: before DATA; or would, if DNS had not failed */
	struct match unproven[UNPROVEN_MAX];
	size_t unproven_count;
};

/* What was asked before: many recipients are of one domain, and all of everybody. */
struct answer {
	const char *owner; /* NULL: nothing yet */
	bool end;
	struct opinion opinion;
};

/* The stage's own, for one transaction. */
struct lists_state {
	struct list_names names;
	bool client_added, unavailable_said, limit_said;
	unsigned said; /* of everybody's list, as recipient.lists_said */
	uint64_t pattern_ns;
	struct answer answers[POLICY_USER]; /* by level, but for users */
};

struct asking {
	struct session *session;
	const struct lists_settings *settings;
	struct lists_state *state;
	bool end; /* all is known: proofs too */
	struct opinion *opinion;
};

static bool more_specific(const struct match *match, const struct match *than)
{
	return match->entry != NULL && (than->entry == NULL || match->name->rank < than->name->rank);
}

static void keep(struct match *best, const struct match *match)
{
	if (more_specific(match, best)) {
		*best = *match;
	}
}

/* ---- proofs ---- */

/* Did a signature of the domain, or of one above it, have that result? */
static bool signed_by(const struct session *session, const char *domain, enum auth_result result)
{
	for (size_t i = 0; i < session->inspection.signature_count; i++) {
		const struct inspect_signature *signature = &session->inspection.signatures[i];
		const char *signer = domain_canonical(session->arena, slice_from(signature->domain));
		if (signature->result == result && signer != NULL && domain_labels(signer) > 1 &&
		    domain_is_below(domain, signer)) {
			return true;
		}
	}
	return false;
}

/* A pass that any client would get is none. */
static enum proof prove_spf(const struct spf_verdict *spf, const char *domain)
{
	if (strcmp(spf->domain, domain) != 0) {
		return PROOF_NONE;
	}
	return spf->result == AUTH_PASS && spf->pass_all == NULL ? PROOF_GOOD
	       : spf->result == AUTH_TEMPERROR                   ? PROOF_UNDECIDED
	                                                         : PROOF_NONE;
}

static enum proof prove_author(const struct session *session, const char *domain)
{
	const struct dmarc_verdict *dmarc = &session->dmarc;
	if (session->author.status != AUTHOR_OK || strcmp(session->author.address.domain, domain) != 0) {
		return PROOF_NONE;
	}
	bool by_dmarc =
	    dmarc->result == AUTH_PASS && (dmarc->dkim_alignment != DMARC_NOT_ALIGNED || session->spf.pass_all == NULL);
	enum proof spf = session->spf.scope == SPF_SCOPE_MFROM ? prove_spf(&session->spf, domain) : PROOF_NONE;
	if (by_dmarc || signed_by(session, domain, AUTH_PASS) || spf == PROOF_GOOD) {
		return PROOF_GOOD;
	}
	bool undecided =
	    dmarc->result == AUTH_TEMPERROR || signed_by(session, domain, AUTH_TEMPERROR) || spf == PROOF_UNDECIDED;
	return undecided ? PROOF_UNDECIDED : PROOF_NONE;
}

static enum proof prove(const struct asking *asking, const struct match *match)
{
	const struct session *session = asking->session;
	if (match->entry->forced) {
		return PROOF_GOOD;
	}
	switch (match->name->origin) {
	case LIST_BY_CLIENT:
	case LIST_BY_PTR:
		return PROOF_GOOD;
	case LIST_BY_MAIL_FROM:
		return !asking->end                            ? PROOF_UNDECIDED
		       : session->spf.scope == SPF_SCOPE_MFROM ? prove_spf(&session->spf, match->name->domain)
		                                               : PROOF_NONE;
	case LIST_BY_HELO:
		return !asking->end                           ? PROOF_UNDECIDED
		       : session->spf.scope == SPF_SCOPE_HELO ? prove_spf(&session->spf, match->name->domain)
		                                              : prove_spf(&session->spf_helo, match->name->domain);
	case LIST_BY_FROM:
		return asking->end ? prove_author(session, match->name->domain) : PROOF_UNDECIDED;
	case LIST_BY_HEADER:
		break;
	}
	return PROOF_NONE;
}

/* ---- matching ---- */

static void note_match(struct asking *asking, const struct match *match)
{
	struct opinion *opinion = asking->opinion;
	if (match->entry->action == LIST_BLOCK) {
		keep(&opinion->block, match);
		if (match->entry->enforced) {
			keep(&opinion->enforced, match);
		}
		return;
	}
	if (asking->session->direction == DIRECTION_OUTBOUND) {
		return;
	}
	switch (prove(asking, match)) {
	case PROOF_GOOD:
		keep(&opinion->allow, match);
		break;
	case PROOF_UNDECIDED:
		keep(&opinion->possible, match);
		break;
	case PROOF_NONE:
		if (opinion->unproven_count < UNPROVEN_MAX) {
			opinion->unproven[opinion->unproven_count++] = *match;
		}
		break;
	}
}

static void ask_names(struct asking *asking, const struct list_text *owner)
{
	const struct lists_state *state = asking->state;
	for (size_t i = 0; i < state->names.count; i++) {
		const struct list_name *name = &state->names.items[i];
		struct match match = {list_set_find(state->names.set, owner, &name->text, asking->session->now), name};
		if (match.entry != NULL) {
			note_match(asking, &match);
		}
	}
}

static void find_limit(struct asking *asking, const struct list_entry *entry)
{
	struct session *session = asking->session;
	if (asking->state->limit_said) {
		return;
	}
	asking->state->limit_said = true;
	const char *detail =
	    arena_printf(session->arena, "owner=%s entry=%s", entry->owner[0] == '\0' ? "*" : entry->owner, entry->value);
	session_find(session, &codes[PATTERN_LIMIT], detail, NULL);
	log_warning("%s: lists: a header pattern was given up: %s", session->queue_id,
	            text_escape(session->arena, slice_from(detail), "", true, LIST_VALUE_MAX));
}

/* Both as it stands in the message and as people see it. */
static enum list_pattern_result match_field(struct session *session, const struct list_pattern *pattern,
                                            const struct header *field)
{
	struct slice text = header_unfold(session->arena, field->value);
	enum list_pattern_result result = list_pattern_match(pattern, text);
	if (result != LIST_PATTERN_NO || slice_find(text, '=', 0) == text.len) {
		return result;
	}
	return list_pattern_match(pattern, slice_trim(header_decode(session->arena, field->value)));
}

static void ask_pattern(void *context, const struct list_entry *entry, const struct list_pattern *pattern)
{
	struct asking *asking = context;
	struct session *session = asking->session;
	uint64_t start = clock_now();
	enum list_pattern_result result = LIST_PATTERN_NO;
	const struct header *field = NULL;
	if (entry->expires != 0 && entry->expires <= session->now) {
		return;
	}
	for (size_t n = 0; n < FIELDS_MAX && result == LIST_PATTERN_NO; n++) {
		field = headers_find(session_headers(session), list_pattern_field(pattern), n);
		if (field == NULL) {
			return;
		}
		if (asking->state->pattern_ns + (clock_now() - start) > asking->settings->pattern_time) {
			find_limit(asking, entry);
			return;
		}
		result = match_field(session, pattern, field);
	}
	asking->state->pattern_ns += clock_now() - start;
	switch (result) {
	case LIST_PATTERN_NO:
		break;
	case LIST_PATTERN_LIMIT:
		find_limit(asking, entry);
		break;
	case LIST_PATTERN_MATCH: {
		struct list_name *name = arena_alloc(session->arena, sizeof *name);
		*name = (struct list_name){.kind = LIST_PATTERN, .origin = LIST_BY_HEADER, .rank = UINT_MAX, .domain = ""};
		name->shown = arena_printf(session->arena, "field %s", list_pattern_field(pattern));
		note_match(asking, &(struct match){entry, name});
		break;
	}
	}
}

/* The owners of one level for a recipient. */
static size_t owners_of(const struct session *session, const struct recipient *recipient, enum policy_level level,
                        const char *owners_r[LIST_NAMES_USERS])
{
	const struct address *address = &recipient->address;
	if (level == POLICY_GLOBAL) {
		owners_r[0] = "";
		return 1;
	}
	if (address->domain[0] == '\0') {
		return 0;
	}
	if (level == POLICY_DOMAIN) {
		owners_r[0] = address->domain;
		return 1;
	}
	return list_names_users(session->arena, address, session_globals(session)->recipient_delimiter, owners_r);
}

static void ask_owner(struct asking *asking, const char *name, enum policy_level level)
{
	static const struct list_entry somebody = {.kind = LIST_ADDRESS};
	static const struct list_name unknown = {.kind = LIST_ADDRESS};
	struct list_set *set = asking->state->names.set;
	struct list_text owner = list_index_text(set->stored, name);
	struct list_index_owner totals = list_set_owner(set, &owner);
	if (totals.entries == 0) {
		return;
	}
	ask_names(asking, &owner);
	if (asking->end && totals.patterns > 0) {
		list_index_patterns(set->fixed, &owner, ask_pattern, asking);
		list_index_patterns(set->stored, &owner, ask_pattern, asking);
	}
	/* Whoever From will name may be one of them. */
	if (!asking->end && level > POLICY_GLOBAL && totals.sender_allows > 0 && asking->opinion->block.entry == NULL) {
		keep(&asking->opinion->possible, &(struct match){&somebody, &unknown});
	}
}

static void ask_level(struct asking *asking, const struct recipient *recipient, enum policy_level level,
                      struct opinion *opinion_r)
{
	const char *owners[LIST_NAMES_USERS];
	size_t count = owners_of(asking->session, recipient, level, owners);
	struct answer *answer = level < POLICY_USER && count > 0 ? &asking->state->answers[level] : NULL;
	if (answer != NULL && answer->owner != NULL && answer->end == asking->end &&
	    strcmp(answer->owner, owners[0]) == 0) {
		*opinion_r = answer->opinion;
		return;
	}
	*opinion_r = (struct opinion){.unproven_count = 0};
	asking->opinion = opinion_r;
	for (size_t i = 0; i < count; i++) {
		ask_owner(asking, owners[i], level);
	}
	if (answer != NULL) {
		*answer = (struct answer){owners[0], asking->end, *opinion_r};
	}
}

/* ---- findings ---- */

static const char *describe(struct session *session, const struct match *match)
{
	const struct list_entry *entry = match->entry;
	struct strbuf text;
	strbuf_init(&text, session->arena);
	strbuf_printf(&text, "owner=%s kind=%s entry=%s matched=%s", entry->owner[0] == '\0' ? "*" : entry->owner,
	              list_kind_name(entry->kind), entry->value, match->name->shown);
	strbuf_add_text(&text, entry->enforced ? " enforced" : entry->forced ? " forced" : "");
	if (entry->note[0] != '\0') {
		strbuf_printf(&text, " note=%s", entry->note);
	}
	return text.data;
}

/* What is said of a level's list: each once. */
enum saying { SAY_BLOCK, SAY_ENFORCED, SAY_ALLOW };

/* Of everybody's list for all recipients, of the others for theirs. False: it was said. */
static bool say_once(struct asking *asking, size_t recipient, enum policy_level level, enum saying saying)
{
	unsigned *said = level == POLICY_GLOBAL ? &asking->state->said : &asking->session->recipients[recipient].lists_said;
	unsigned bit = 1U << ((unsigned)saying * (POLICY_USER + 1U) + (unsigned)level);
	bool first = (*said & bit) == 0;
	*said |= bit;
	return first;
}

static void find(struct asking *asking, size_t code, size_t recipient, enum policy_level level,
                 const struct match *match)
{
	struct session *session = asking->session;
	const char *detail = describe(session, match);
	struct finding *finding = level == POLICY_GLOBAL ? session_find(session, &codes[code], detail, NULL)
	                                                 : session_find_for(session, recipient, &codes[code], detail, NULL);
	finding->level = level;
	finding->enforced = match->entry->enforced;
}

static size_t block_code(enum policy_level level)
{
	return level == POLICY_USER ? BLOCKED_USER : level == POLICY_DOMAIN ? BLOCKED_DOMAIN : BLOCKED;
}

/* An enforced one counts besides the most specific. */
static void say_blocks(struct asking *asking, size_t recipient, enum policy_level level, const struct opinion *opinion)
{
	const struct match *block = &opinion->block;
	if (opinion->enforced.entry != NULL && say_once(asking, recipient, level, SAY_ENFORCED)) {
		find(asking, block_code(level), recipient, level, &opinion->enforced);
	}
	if (block->entry != NULL && !block->entry->enforced && say_once(asking, recipient, level, SAY_BLOCK)) {
		find(asking, block_code(level), recipient, level, block);
	}
}

/* ---- before DATA ---- */

static bool acts(const struct session *session)
{
	return pipeline_mode(session, &stage_lists) == MODE_ENFORCE;
}

static struct lists_state *state_of(struct session *session)
{
	if (session->lists_state == NULL) {
		struct lists_state *state = arena_alloc(session->arena, sizeof *state);
		session->lists = lists_acquire(engine_lists(session->engine));
		list_names_init(&state->names, session->arena, session->lists);
		list_names_add_envelope(&state->names, session);
		session->lists_state = state;
	}
	return session->lists_state;
}

/* Blocks by client are for mail that comes in: own users may be anywhere. */
static void add_client(struct session *session, struct lists_state *state)
{
	if (!state->client_added && session->client_known && session->direction == DIRECTION_INBOUND) {
		state->client_added = true;
		list_names_add_client(&state->names, session);
		if (session->release == NULL) { /* the place is our relay's */
			list_names_add_place(&state->names, session->geo.country, session->geo.asn);
		}
	}
}

static void say_unavailable(struct session *session, struct lists_state *state)
{
	if (!session->lists->known && !state->unavailable_said && session->direction == DIRECTION_INBOUND) {
		state->unavailable_said = true;
		session_find(session, &codes[UNAVAILABLE], NULL, NULL);
	}
}

static enum stage_progress lists_rcpt(struct session *session, const void *settings)
{
	struct lists_state *state = state_of(session);
	struct asking asking = {.session = session, .settings = settings, .state = state};
	size_t index = session->recipient_count - 1;
	struct recipient *recipient = &session->recipients[index];
	say_unavailable(session, state);
	add_client(session, state);
	for (enum policy_level level = POLICY_GLOBAL; level <= POLICY_USER; level++) {
		struct opinion opinion;
		ask_level(&asking, recipient, level, &opinion);
		say_blocks(&asking, index, level, &opinion);
		if (more_specific(&opinion.allow, &opinion.block) && acts(session)) {
			recipient->allow = level;
		}
		if (more_specific(&opinion.possible, &opinion.block) && acts(session)) {
			recipient->allow_possible = level;
		}
	}
	return STAGE_DONE;
}

/* ---- at the end ---- */

static bool all_known(const struct session *session)
{
	if (session->direction == DIRECTION_OUTBOUND) {
		return true;
	}
	bool spf = !pipeline_runs(session, &stage_spf) || session->spf_known;
	if (session->message == NULL) {
		return spf;
	}
	return spf && session->inspected && (!pipeline_runs(session, &stage_dmarc) || session->dmarc_known);
}

/* A release allows more than any entry, and no entry takes it back. */
static void allow(struct session *session, size_t index, enum policy_level level)
{
	struct recipient *recipient = &session->recipients[index];
	if (session->release == NULL || level > recipient->allow) {
		recipient->allow = level;
	}
}

static void say_allow(struct asking *asking, size_t index, enum policy_level level, const struct opinion *opinion)
{
	bool wins = more_specific(&opinion->allow, &opinion->block);
	bool first = (wins || opinion->unproven_count > 0) && say_once(asking, index, level, SAY_ALLOW);
	if (wins && first) {
		find(asking, ALLOWED, index, level, &opinion->allow);
	}
	if (wins && acts(asking->session)) {
		allow(asking->session, index, level);
	}
	for (size_t i = 0; !wins && first && i < opinion->unproven_count; i++) {
		find(asking, UNAUTHENTICATED, index, level, &opinion->unproven[i]);
	}
}

/* A block that would be lifted if DNS had answered is no reason to turn mail away for good. */
static void say_undecided(struct asking *asking, size_t index, enum policy_level level, const struct match *match)
{
	struct session *session = asking->session;
	if (acts(session) && policy_effective(session->config, session->direction, &codes[UNDECIDED]) >= ACTION_TEMPFAIL) {
		struct finding *finding = session_find_for(session, index, &codes[UNDECIDED], describe(session, match), NULL);
		finding->level = level;
		finding->enforced = true; /* by which it outlives the lifting of the block */
		allow(session, index, level);
	}
}

static void judge_recipient(struct asking *asking, size_t index)
{
	const struct recipient *recipient = &asking->session->recipients[index];
	bool blocked = false;
	for (enum policy_level level = POLICY_GLOBAL; level <= POLICY_USER; level++) {
		struct opinion opinion;
		ask_level(asking, recipient, level, &opinion);
		say_blocks(asking, index, level, &opinion);
		blocked = blocked || (opinion.block.entry != NULL && !opinion.block.entry->enforced);
		say_allow(asking, index, level, &opinion);
		if (blocked && recipient->allow < level && more_specific(&opinion.possible, &opinion.block)) {
			say_undecided(asking, index, level, &opinion.possible);
		}
	}
}

static enum stage_progress lists_end(struct session *session, const void *settings)
{
	if (!all_known(session)) {
		return STAGE_PENDING;
	}
	struct lists_state *state = state_of(session);
	struct asking asking = {.session = session, .settings = settings, .state = state, .end = true};
	say_unavailable(session, state);
	state->client_added =
	    state->client_added && session->release == NULL; /* the client of its arrival, not our relay */
	add_client(session, state);
	list_names_add_authors(&state->names, session);
	author_find(session->arena, session_headers(session), &session->author);
	for (size_t i = 0; i < session->recipient_count; i++) {
		if (!session->recipients[i].refused) {
			judge_recipient(&asking, i);
		}
	}
	return STAGE_DONE;
}

const struct stage stage_lists = {
    .section = {.name = "lists",
                .help = "Allow and block lists, for everybody, for domains and for users; see mailreeve list.",
                .options = options,
                .settings_size = sizeof(struct lists_settings),
                .codes = codes,
                .mode = MODE_ENFORCE},
    .inbound = true,
    .outbound = true,
    .released = true,
    .on = {[PHASE_RCPT] = lists_rcpt, [PHASE_END] = lists_end},
};
