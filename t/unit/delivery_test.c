/* One answer from the verdicts of all recipients. A recipient is a letter: a(ccept) t(ag) q(uarantine) f (tempfail)
 * d(iscard) r(eject), in capitals refused at RCPT; "=" behind it: it has the path of the one before. A fate: S(ent)
 * H(eld) Q (stored) D(ropped) B (returned) - (refused). */
#include "lib/pipeline/delivery.h"
#include "t/tap.h"

#include <ctype.h>
#include <stdint.h>

enum { MOST = 16 };

static const char actions[] = "atqfdr";

static size_t parse(const char *text, struct delivery_recipient *recipients_r)
{
	size_t n = 0;
	for (; *text != '\0'; text++) {
		if (*text == '=') {
			recipients_r[n - 1].first = recipients_r[n - 2].first;
		} else {
			const char *at = strchr(actions, tolower((unsigned char)*text));
			recipients_r[n] = (struct delivery_recipient){.action = (enum verdict_action)(at - actions), .first = n};
			recipients_r[n++].refused = isupper((unsigned char)*text);
		}
	}
	return n;
}

static const char *fates_text(const enum delivery_fate *fates, size_t n)
{
	static char text[MOST + 1];
	for (size_t i = 0; i < n; i++) {
		text[i] = "-SHQDB"[fates[i]];
	}
	text[n] = '\0';
	return text;
}

static const struct {
	const char *recipients;
	bool hold;
	enum delivery_store store;
	enum delivery_answer answer;
	const char *fates;
	size_t reason;
	const char *why;
} cases[] = {
    /* all alike */
    {"a", true, DELIVERY_STORE_NONE, DELIVERY_PASS, "S", 0, "one who accepts"},
    {"ata", true, DELIVERY_STORE_NONE, DELIVERY_PASS, "SSS", 1, "accept and tag part nobody; the tag is told"},
    {"qq", true, DELIVERY_STORE_READY, DELIVERY_HOLD, "HH", 0, "method hold: the MTA holds it"},
    {"qq", false, DELIVERY_STORE_READY, DELIVERY_TAKE, "QQ", 0, "method store: stored for each"},
    {"qq", false, DELIVERY_STORE_NONE, DELIVERY_HOLD, "HH", 0, "nowhere to store it: the MTA holds it"},
    {"qq", false, DELIVERY_STORE_DOWN, DELIVERY_TEMPFAIL, "BB", SIZE_MAX, "the store is down: later"},
    {"qq", true, DELIVERY_STORE_DOWN, DELIVERY_HOLD, "HH", 0, "which is nothing to method hold"},
    {"rr", true, DELIVERY_STORE_READY, DELIVERY_REJECT, "BB", 0, "all reject: the sender is told"},
    {"dd", true, DELIVERY_STORE_DOWN, DELIVERY_TAKE, "DD", 0, "all discard"},
    {"ff", true, DELIVERY_STORE_READY, DELIVERY_TEMPFAIL, "BB", 0, "all tempfail"},
    /* tempfail for one is tempfail for all */
    {"atqfdr", false, DELIVERY_STORE_READY, DELIVERY_TEMPFAIL, "BBBBBB", 3, "one who says later makes all come later"},
    {"fr", false, DELIVERY_STORE_READY, DELIVERY_TEMPFAIL, "BB", 0, "even where the other rejects"},
    /* parted */
    {"atqrd", true, DELIVERY_STORE_READY, DELIVERY_PASS, "SSQQD", 1, "five policies, five fates"},
    {"atqrd", false, DELIVERY_STORE_READY, DELIVERY_PASS, "SSQQD", 1, "with method store too"},
    {"qaa", true, DELIVERY_STORE_READY, DELIVERY_PASS, "QSS", 1, "method hold cannot hold for one: it is stored"},
    {"ad", true, DELIVERY_STORE_DOWN, DELIVERY_PASS, "SD", 0, "a discard needs no store"},
    {"dr", true, DELIVERY_STORE_READY, DELIVERY_REJECT, "BB", 1, "nobody gets it and one rejects: the sender is told"},
    {"qd", true, DELIVERY_STORE_DOWN, DELIVERY_HOLD, "HD", 0, "held for one, dropped for the other"},
    {"qd", false, DELIVERY_STORE_READY, DELIVERY_TAKE, "QD", 0, "stored for one, dropped for the other"},
    {"rq", false, DELIVERY_STORE_READY, DELIVERY_TAKE, "QQ", 1,
     "reject and quarantine: who may release it can, so the sender is not told"},
    {"rq", true, DELIVERY_STORE_READY, DELIVERY_HOLD, "QH", 1,
     "with method hold the rejected copy is stored, the other held"},
    /* no store */
    {"atqrd", true, DELIVERY_STORE_DOWN, DELIVERY_TEMPFAIL, "BBBBB", SIZE_MAX,
     "the store is down: nobody gets it, nobody loses it"},
    {"atqrd", true, DELIVERY_STORE_NONE, DELIVERY_REJECT, "BBBBB", 3, "no store at all: the strictest for all"},
    {"aq", false, DELIVERY_STORE_NONE, DELIVERY_HOLD, "HH", 1, "held for all"},
    {"rq", true, DELIVERY_STORE_NONE, DELIVERY_REJECT, "BB", 0, "rejected for all"},
    /* refused at RCPT */
    {"Ra", true, DELIVERY_STORE_NONE, DELIVERY_PASS, "-S", 1, "who was refused at RCPT is no recipient"},
    {"aFq", true, DELIVERY_STORE_READY, DELIVERY_PASS, "S-Q", 0, "whatever he was told"},
    {"RF", true, DELIVERY_STORE_READY, DELIVERY_PASS, "--", SIZE_MAX, "nobody left"},
    /* the same path twice */
    {"aq=", true, DELIVERY_STORE_READY, DELIVERY_HOLD, "HH", 1, "one path, two verdicts: the stricter holds for both"},
    {"ar=a", true, DELIVERY_STORE_READY, DELIVERY_PASS, "QQS", 2, "and both are removed"},
    {"Ra=", true, DELIVERY_STORE_READY, DELIVERY_PASS, "-S", 1, "refused once, taken the second time"},
    {"rr=", true, DELIVERY_STORE_READY, DELIVERY_REJECT, "BB", 0, "twice the same is one recipient"},
};

static void test_cases(void)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct delivery_recipient *recipients = calloc(MOST, sizeof *recipients);
		size_t n = parse(cases[i].recipients, recipients);
		enum delivery_fate *fates = malloc(n * sizeof *fates);
		struct delivery_recipient *exact = malloc(n * sizeof *exact);
		memcpy(exact, recipients, n * sizeof *exact);
		struct delivery_facts facts = {exact, n, cases[i].hold, cases[i].store};
		struct delivery got = delivery_plan(&facts, fates);
		if (!ok(got.answer == cases[i].answer && got.reason == cases[i].reason &&
		            strcmp(fates_text(fates, n), cases[i].fates) == 0,
		        "%s%s: %s", cases[i].recipients, cases[i].hold ? " hold" : "", cases[i].why)) {
			diag("answer %d reason %zd fates %s", (int)got.answer, (ssize_t)got.reason, fates_text(fates, n));
		}
		free(exact);
		free(fates);
		free(recipients);
	}
}

/* What must hold for any three recipients, any method, any state of the store. */
static bool sound(const struct delivery_facts *facts, const enum delivery_fate *fates, const struct delivery *plan)
{
	bool returned = plan->answer == DELIVERY_TEMPFAIL || plan->answer == DELIVERY_REJECT;
	for (size_t i = 0; i < facts->count; i++) {
		const struct delivery_recipient *recipient = &facts->recipients[i];
		bool gets = recipient->action <= VERDICT_TAG;
		bool removed = fates[i] == DELIVERY_STORED || fates[i] == DELIVERY_DROPPED;
		if (recipient->refused != (fates[i] == DELIVERY_REFUSED) ||
		    (fates[i] == DELIVERY_SENT && !gets) || /* delivered what must not be */
		    (removed && gets) ||                    /* lost, or put away what is wanted */
		    (fates[i] == DELIVERY_DROPPED && recipient->action != VERDICT_DISCARD) ||
		    (!recipient->refused && returned != (fates[i] == DELIVERY_RETURNED)) ||
		    (fates[i] == DELIVERY_SENT && plan->answer != DELIVERY_PASS) ||
		    (fates[i] == DELIVERY_HELD && plan->answer != DELIVERY_HOLD) ||
		    (fates[i] == DELIVERY_STORED && facts->store != DELIVERY_STORE_READY)) {
			return false;
		}
	}
	return true;
}

static void test_all(void)
{
	size_t bad = 0;
	size_t total = 0;
	enum { KINDS = 6 * 2, ALL = KINDS * KINDS * KINDS };
	for (int combination = 0; combination < ALL * 6; combination++) {
		struct delivery_recipient recipients[3];
		enum delivery_fate fates[3];
		int rest = combination;
		for (size_t i = 0; i < 3; i++, rest /= KINDS) {
			int kind = rest % KINDS;
			recipients[i] = (struct delivery_recipient){
			    .action = (enum verdict_action)(kind % 6), .refused = kind / 6 % 2, .first = i};
		}
		struct delivery_facts facts = {recipients, 3, rest % 2, (enum delivery_store)(rest / 2)};
		struct delivery plan = delivery_plan(&facts, fates);
		total++;
		bad += !sound(&facts, fates, &plan);
	}
	ok(bad == 0, "%zu combinations of three recipients: none lost, none delivered that must not be", total);
}

int main(void)
{
	test_cases();
	test_all();
	return done_testing();
}
