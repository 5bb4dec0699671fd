/* Precedence: enforced global > enforced domain > user > domain > global; allow entries; scores. */
#include "lib/policy/policy.h"
#include "t/config_sections.h"
#include "t/tap.h"

#include <unistd.h>

static const char file[] = "policy {\n"
						   "  spf.fail = \"score 4\"\n"
						   "  spf.none = \"score 2.5\"\n"
						   "  lists.other = \"quarantine enforced\"\n"
						   "}\n"
						   "virus { mode = enforce }\n"
						   "domain \"example.org\" {\n"
						   "  spf.fail = quarantine\n"
						   "  lists.other = discard\n"
						   "  score_tag = 2\n"
						   "}\n"
						   "domain \".example.net\" { spf.fail = discard }\n"
						   "domain \"strict.example\" { spf.fail = \"reject enforced\" }\n"
						   "recipient \"bob@example.org\" {\n"
						   "  spf.fail = tag\n"
						   "  lists.other = ignore\n"
						   "  score_tag = 0\n"
						   "  score_reject = 6\n"
						   "}\n"
						   "recipient \"carol@strict.example\" { spf.fail = ignore }\n";

static const struct finding_code lists_codes[] = {
	{"lists.block", {ACTION_REJECT, 0}, 0, "7.1", "blocked", "an entry blocks it"},
	{"lists.other", {ACTION_IGNORE, 0}, 0, "7.1", "other", "which the configuration enforces"},
	{.code = NULL},
};
static const struct section lists_section = {"lists", "Lists.", NULL, 0, lists_codes, MODE_ENFORCE, false, NULL, NULL};
static const struct section *const sections[] = {&test_top_section, &test_spf_section, &test_virus_section,
                                                 &lists_section};
enum { SECTIONS = sizeof sections / sizeof *sections };

struct judge_case {
	const char *name;
	const char *rcpt;
	enum policy_level allow;
	unsigned codes; /* bit 0: spf.fail, 1: spf.none, 2: virus.found, 3: a block entry of the recipient, 4: an enforced one, 5: lists.other */
	enum verdict_action action;
	int score; /* in tenths */
};

enum { FAIL = 1, NONE = 2, VIRUS = 4, BLOCK = 8, BLOCK_ENFORCED = 16, OTHER = 32 };

static const struct judge_case cases[] = {
	{"nothing", "x@example.com", POLICY_NONE, 0, VERDICT_ACCEPT, 0},
	{"points below all thresholds", "x@example.com", POLICY_NONE, FAIL, VERDICT_ACCEPT, 40},
	{"points that tag", "x@example.com", POLICY_NONE, FAIL | NONE, VERDICT_TAG, 65},
	{"a domain's action", "x@example.org", POLICY_NONE, FAIL, VERDICT_QUARANTINE, 0},
	{"case of a domain", "x@EXAMPLE.org", POLICY_NONE, FAIL, VERDICT_QUARANTINE, 0},
	{"not a domain below it", "x@sub.example.org", POLICY_NONE, FAIL, VERDICT_ACCEPT, 40},
	{"below a dotted domain", "x@a.b.example.net", POLICY_NONE, FAIL, VERDICT_DISCARD, 0},
	{"a dotted domain is not itself", "x@example.net", POLICY_NONE, FAIL, VERDICT_ACCEPT, 40},
	{"a domain's threshold", "x@example.org", POLICY_NONE, NONE, VERDICT_TAG, 25},
	{"a recipient before his domain", "bob@example.org", POLICY_NONE, FAIL, VERDICT_TAG, 0},
	{"his address with a detail and in capitals", "BOB+lists@example.org", POLICY_NONE, FAIL, VERDICT_TAG, 0},
	{"not one whose name begins alike", "bobby@example.org", POLICY_NONE, FAIL, VERDICT_QUARANTINE, 0},
	{"his own threshold: never", "bob@example.org", POLICY_NONE, NONE, VERDICT_ACCEPT, 25},
	{"enforced by the domain", "carol@strict.example", POLICY_NONE, FAIL, VERDICT_REJECT, 0},
	{"an allow entry lifts", "x@example.com", POLICY_GLOBAL, FAIL | NONE, VERDICT_ACCEPT, 0},
	{"an allow entry lifts a domain's action", "x@example.org", POLICY_USER, FAIL, VERDICT_ACCEPT, 0},
	{"but not what the domain enforces", "carol@strict.example", POLICY_USER, FAIL, VERDICT_REJECT, 0},
	{"nor a virus", "x@example.com", POLICY_USER, VIRUS, VERDICT_REJECT, 0},
	{"nor a virus by any level", "x@example.com", POLICY_GLOBAL, VIRUS | FAIL, VERDICT_REJECT, 0},
	{"nor an enforced entry", "x@example.com", POLICY_USER, BLOCK_ENFORCED, VERDICT_REJECT, 0},
	{"what policy { } enforces holds against a recipient's block", "bob@example.org", POLICY_NONE, OTHER, VERDICT_QUARANTINE, 0},
	{"and against a domain's", "x@example.org", POLICY_NONE, OTHER, VERDICT_QUARANTINE, 0},
	{"and against an allow entry", "x@example.com", POLICY_USER, OTHER, VERDICT_QUARANTINE, 0},
	{"a domain's allow does not lift a user's block", "x@example.com", POLICY_DOMAIN, BLOCK, VERDICT_REJECT, 0},
	{"a user's allow does", "x@example.com", POLICY_USER, BLOCK, VERDICT_ACCEPT, 0},
};

static struct finding finding_for(unsigned code)
{
	struct finding finding = {.code = &lists_codes[0], .recipient = FINDING_ALL_RECIPIENTS, .level = POLICY_GLOBAL};
	finding.detail = "";
	if (code == FAIL || code == NONE) {
		finding.code = &test_spf_codes[code == NONE];
	} else if (code == VIRUS) {
		finding.code = &test_virus_codes[0];
	} else if (code == OTHER) {
		finding.code = &lists_codes[1];
	} else {
		finding.level = POLICY_USER;
		finding.enforced = code == BLOCK_ENFORCED;
	}
	return finding;
}

static size_t findings_for(unsigned codes, struct finding *room, struct finding **findings)
{
	size_t n = 0;
	for (unsigned code = FAIL; code <= OTHER; code *= 2) {
		if ((codes & code) != 0) {
			room[n] = finding_for(code);
			findings[n] = &room[n];
			n++;
		}
	}
	return n;
}

static void begin(const struct policy_context *context, struct finding *const *findings, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		policy_begin(context, findings[i]);
	}
}

static struct config *load(const char *text)
{
	char path[] = "/tmp/policy_test.XXXXXX";
	char *error = NULL;
	int fd = mkstemp(path);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		abort();
	}
	close(fd);
	struct config *config = config_load(path, sections, SECTIONS, &error);
	unlink(path);
	if (config == NULL) {
		diag("%s", error);
		abort();
	}
	return config;
}

static void judge(const struct config *config, struct arena *arena, const struct judge_case *t)
{
	static const struct scores scores = {.tag = 5, .quarantine = 0, .reject = 15};
	struct policy_context context = {config, DIRECTION_INBOUND, &scores, "SUPPORT", arena};
	struct address address;
	struct finding room[6];
	struct finding *findings[6];
	struct verdict verdict;
	address_parse_path(arena, t->rcpt, &address);
	struct policy_recipient recipient = {0, config_scope(config, &address, "+"), t->allow, false};
	size_t count = findings_for(t->codes, room, findings);
	begin(&context, findings, count);
	policy_judge(&context, findings, count, &recipient, 0, &verdict);
	ok(verdict.action == t->action && (int)(verdict.score * 10) == t->score, "%s: %s with %d", t->name,
	   verdict_action_name(verdict.action), (int)(verdict.score * 10));
}

/* What each recipient does not see, and the reply of a sum. */
static void test_recipients(const struct config *config, struct arena *arena)
{
	static const struct scores scores = {.reject = 5};
	struct policy_context context = {config, DIRECTION_INBOUND, &scores, "SUPPORT", arena};
	struct finding room[3] = {finding_for(FAIL), finding_for(NONE), finding_for(BLOCK)};
	struct finding *findings[3] = {&room[0], &room[1], &room[2]};
	struct policy_recipient first = {.index = 0}, second = {.index = 1};
	struct verdict verdict;
	room[2].recipient = 1;
	begin(&context, findings, 3);
	policy_judge(&context, findings, 3, &first, 0, &verdict);
	ok(verdict.action == VERDICT_REJECT && verdict.by_score && verdict.reason == &room[0], "the heaviest is the reason");
	is_int(room[2].effective, ACTION_IGNORE, "another's finding does not act");
	is_int(room[2].action.kind, ACTION_REJECT, "but it has its action");
	policy_judge(&context, findings, 3, &second, 0, &verdict);
	ok(verdict.reason == &room[2] && !verdict.by_score, "a finding as strict as the sum is the reason");
	is_text(verdict.text, "blocked (support id SUPPORT)", "the reply");
	is_int(room[2].effective, ACTION_REJECT, "it acts for one");
	policy_judge(&context, findings, 3, &first, FINDING_AT_RCPT, &verdict);
	is_int(verdict.action, VERDICT_ACCEPT, "no finding of these is final at RCPT");
	second.allow = POLICY_USER;
	begin(&context, findings, 3);
	policy_judge(&context, findings, 3, &second, 0, &verdict);
	ok(verdict.action == VERDICT_ACCEPT && room[2].lifted && room[2].effective == ACTION_IGNORE, "lifted");
	room[2].enforced = true;
	begin(&context, findings, 3);
	policy_judge(&context, findings, 3, &second, 0, &verdict);
	is_int(verdict.action, VERDICT_REJECT, "what is enforced is not");
	second.forced = true;
	begin(&context, findings, 3);
	policy_judge(&context, findings, 3, &second, 0, &verdict);
	is_int(verdict.action, VERDICT_ACCEPT, "but by the administrator's word");
	context.direction = DIRECTION_OUTBOUND;
	struct address address;
	address_parse_path(arena, "x@strict.example", &address);
	second = (struct policy_recipient){0, config_scope(config, &address, "+"), POLICY_NONE, false};
	policy_judge(&context, findings, 1, &second, 0, &verdict);
	is_int(verdict.action, VERDICT_ACCEPT, "blocks are for inbound mail");
}

/* A finding's own action goes before its code's default, and behind whatever the operator says of the code. */
static void test_own(struct arena *arena)
{
	static const struct action score = {ACTION_SCORE, 2.5}, reject = {ACTION_REJECT, 0};
	static const struct scores scores = {.tag = 5};
	struct config *config = load("policy { lists.other = tag }\nrecipient \"bob@example.org\" { lists.block = quarantine }\n");
	struct policy_context context = {config, DIRECTION_INBOUND, &scores, "SUPPORT", arena};
	struct finding room[2] = {finding_for(BLOCK), finding_for(OTHER)};
	struct finding *findings[2] = {&room[0], &room[1]};
	struct policy_recipient any = {.index = FINDING_ALL_RECIPIENTS}, bob = any;
	struct address address;
	struct verdict verdict;
	address_parse_path(arena, "bob@example.org", &address);
	bob.scope = config_scope(config, &address, "+");
	room[0].recipient = room[1].recipient = FINDING_ALL_RECIPIENTS;
	room[0].own = &score;
	room[1].own = &reject;
	begin(&context, findings, 2);
	policy_judge(&context, findings, 1, &any, 0, &verdict);
	ok(verdict.action == VERDICT_ACCEPT && verdict.score == 2.5, "its own points, not the code's reject");
	policy_judge(&context, findings, 2, &any, 0, &verdict);
	ok(verdict.action == VERDICT_TAG && verdict.reason == &room[1], "policy { } names the other's code: its own action is nothing");
	policy_judge(&context, findings, 1, &bob, 0, &verdict);
	ok(verdict.action == VERDICT_QUARANTINE && verdict.score == 0, "so does a recipient's block");
	config_release(config);
}

int main(void)
{
	struct config *config = load(file);
	struct arena *arena = arena_create(4096);
	test_recipients(config, arena);
	test_own(arena);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		judge(config, arena, &cases[i]);
	}
	arena_destroy(arena);
	config_release(config);
	return done_testing();
}
