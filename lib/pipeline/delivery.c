#include "lib/pipeline/delivery.h"

#include <stdint.h>

enum { ACTIONS = VERDICT_REJECT + 1 };

/* The recipients that the MTA has, by action. */
struct tally {
	size_t count[ACTIONS];
	size_t first[ACTIONS]; /* SIZE_MAX: none */
	size_t total;
};

const char *delivery_fate_name(enum delivery_fate fate)
{
	switch (fate) {
	case DELIVERY_REFUSED:
		return "refused";
	case DELIVERY_SENT:
		return "sent";
	case DELIVERY_HELD:
		return "held";
	case DELIVERY_STORED:
		return "stored";
	case DELIVERY_DROPPED:
		return "dropped";
	case DELIVERY_RETURNED:
		return "returned";
	}
	return NULL;
}

/* The MTA removes by path: what has one path has one fate. */
static void join_paths(const struct delivery_facts *facts)
{
	for (size_t i = 0; i < facts->count; i++) {
		facts->recipients[i].strictest = VERDICT_ACCEPT;
	}
	for (size_t i = 0; i < facts->count; i++) {
		const struct delivery_recipient *recipient = &facts->recipients[i];
		enum verdict_action *strictest = &facts->recipients[recipient->first].strictest;
		if (!recipient->refused && recipient->action > *strictest) {
			*strictest = recipient->action;
		}
	}
}

static enum verdict_action action_of(const struct delivery_facts *facts, size_t i)
{
	return facts->recipients[facts->recipients[i].first].strictest;
}

static void tally_take(const struct delivery_facts *facts, struct tally *tally_r)
{
	*tally_r = (struct tally){.total = 0};
	for (size_t action = 0; action < ACTIONS; action++) {
		tally_r->first[action] = SIZE_MAX;
	}
	for (size_t i = 0; i < facts->count; i++) {
		const struct delivery_recipient *recipient = &facts->recipients[i];
		enum verdict_action action = action_of(facts, i);
		if (recipient->refused) {
			continue;
		}
		/* The verdict that is told must be one that says so. */
		if (tally_r->first[action] == SIZE_MAX && recipient->action == action) {
			tally_r->first[action] = i;
		}
		tally_r->count[action]++;
		tally_r->total++;
	}
}

static void fates_set(const struct delivery_facts *facts, const enum delivery_fate *by_action,
                      enum delivery_fate *fates_r)
{
	for (size_t i = 0; i < facts->count; i++) {
		fates_r[i] = facts->recipients[i].refused ? DELIVERY_REFUSED : by_action[action_of(facts, i)];
	}
}

/* The strictest action that some recipient has, SIZE_MAX: nobody has any. */
static size_t tally_strictest(const struct tally *tally)
{
	for (size_t action = ACTIONS; action > 0; action--) {
		if (tally->count[action - 1] > 0) {
			return tally->first[action - 1];
		}
	}
	return SIZE_MAX;
}

/* The same for all. */
static struct delivery plan_common(const struct delivery_facts *facts, enum delivery_answer answer, size_t reason,
                                   enum delivery_fate *fates_r)
{
	enum delivery_fate fate = DELIVERY_RETURNED;
	switch (answer) {
	case DELIVERY_PASS:
		fate = DELIVERY_SENT;
		break;
	case DELIVERY_HOLD:
		fate = DELIVERY_HELD;
		break;
	case DELIVERY_TAKE:
		fate = DELIVERY_DROPPED;
		break;
	case DELIVERY_TEMPFAIL:
	case DELIVERY_REJECT:
		break;
	}
	enum delivery_fate fates[ACTIONS] = {fate, fate, fate, fate, fate, fate};
	fates_set(facts, fates, fates_r);
	return (struct delivery){answer, reason};
}

/* Where there is no store to part them, reject or quarantine holds for all. */
static struct delivery plan_strictest(const struct delivery_facts *facts, const struct tally *tally,
                                      enum delivery_fate *fates_r)
{
	if (tally->count[VERDICT_REJECT] > 0) {
		return plan_common(facts, DELIVERY_REJECT, tally->first[VERDICT_REJECT], fates_r);
	}
	return plan_common(facts, DELIVERY_HOLD, tally->first[VERDICT_QUARANTINE], fates_r);
}

/* Each gets his own. hold: what is quarantined stays with the MTA, and nobody gets the message. */
static struct delivery plan_parted(const struct delivery_facts *facts, const struct tally *tally, bool hold,
                                   enum delivery_fate *fates_r)
{
	const enum delivery_fate fates[ACTIONS] = {
	    [VERDICT_ACCEPT] = DELIVERY_SENT,
	    [VERDICT_TAG] = DELIVERY_SENT,
	    [VERDICT_QUARANTINE] = hold ? DELIVERY_HELD : DELIVERY_STORED,
	    [VERDICT_TEMPFAIL] = DELIVERY_RETURNED,
	    [VERDICT_DISCARD] = DELIVERY_DROPPED,
	    [VERDICT_REJECT] = DELIVERY_STORED,
	};
	fates_set(facts, fates, fates_r);
	if (tally->count[VERDICT_TAG] > 0) {
		return (struct delivery){DELIVERY_PASS, tally->first[VERDICT_TAG]};
	}
	if (tally->count[VERDICT_ACCEPT] > 0) {
		return (struct delivery){DELIVERY_PASS, tally->first[VERDICT_ACCEPT]};
	}
	bool quarantined = tally->count[VERDICT_QUARANTINE] > 0;
	return (struct delivery){hold ? DELIVERY_HOLD : DELIVERY_TAKE,
	                         tally->first[quarantined ? VERDICT_QUARANTINE : VERDICT_DISCARD]};
}

/* Quarantine or reject for some, and something else for others. */
static struct delivery plan_mixed(const struct delivery_facts *facts, const struct tally *tally, size_t delivered,
                                  enum delivery_fate *fates_r)
{
	size_t quarantined = tally->count[VERDICT_QUARANTINE];
	bool hold = facts->hold && delivered == 0 && quarantined > 0;
	bool stores = tally->count[VERDICT_REJECT] > 0 || (quarantined > 0 && !hold);
	if (stores && facts->store == DELIVERY_STORE_DOWN) {
		return plan_common(facts, DELIVERY_TEMPFAIL, SIZE_MAX, fates_r);
	}
	if (stores && facts->store == DELIVERY_STORE_NONE) {
		return plan_strictest(facts, tally, fates_r);
	}
	return plan_parted(facts, tally, hold, fates_r);
}

struct delivery delivery_plan(const struct delivery_facts *facts, enum delivery_fate *fates_r)
{
	struct tally tally;
	join_paths(facts);
	tally_take(facts, &tally);
	size_t delivered = tally.count[VERDICT_ACCEPT] + tally.count[VERDICT_TAG];
	if (tally.count[VERDICT_TEMPFAIL] > 0) {
		return plan_common(facts, DELIVERY_TEMPFAIL, tally.first[VERDICT_TEMPFAIL], fates_r);
	}
	if (delivered == tally.total) {
		return plan_common(facts, DELIVERY_PASS, tally_strictest(&tally), fates_r);
	}
	/* Nobody is to get it, and somebody is to be told. Who asked for silence has nothing to say about the others. */
	if (tally.count[VERDICT_REJECT] + tally.count[VERDICT_DISCARD] == tally.total) {
		bool told = tally.count[VERDICT_REJECT] > 0;
		return plan_common(facts, told ? DELIVERY_REJECT : DELIVERY_TAKE, tally_strictest(&tally), fates_r);
	}
	return plan_mixed(facts, &tally, delivered, fates_r);
}
