/* The values of options: what is taken, what it comes to, what is refused, and what an error tells to expect. */
#include "lib/policy/option_value.h"
#include "t/tap.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)

struct settings {
	bool flag;
	uint64_t number;
	const char *text;
	const char *const *texts;
	struct option_networks networks;
	int word;
};

static const struct option_word colours[] = {{"red", 3}, {"green", 7}, {NULL, 0}};

static const struct option_row row_bool = {"flag", OPTION_BOOL, offsetof(struct settings, flag), "no", 0, 0, NULL, "", NULL};
static const struct option_row row_uint = {"n", OPTION_UINT, offsetof(struct settings, number), "5", 2, 300, NULL, "", NULL};
static const struct option_row row_any = {"any", OPTION_UINT, offsetof(struct settings, number), "0", 0, UINT64_MAX,
                                          NULL, "", NULL};
static const struct option_row row_duration = {
    "time", OPTION_DURATION, offsetof(struct settings, number), "10s", 100 * MS, 60 * SECOND, NULL, "", NULL};
static const struct option_row row_long = {
    "long", OPTION_DURATION, offsetof(struct settings, number), "1d", 0, UINT64_MAX, NULL, "", NULL};
static const struct option_row row_size = {
    "size", OPTION_SIZE, offsetof(struct settings, number), "64K", 1024, UINT64_C(4) << 30, NULL, "", NULL};
static const struct option_row row_any_size = {
    "any_size", OPTION_SIZE, offsetof(struct settings, number), "1K", 0, UINT64_MAX, NULL, "", NULL};
static const struct option_row row_mode = {"mode", OPTION_MODE, offsetof(struct settings, number), "0660", 0, 0777,
                                           NULL, "", NULL};
static const struct option_row row_string = {"text", OPTION_STRING, offsetof(struct settings, text), "abc", 1, 5, NULL, "", NULL};
static const struct option_row row_long_string = {
    "long_text", OPTION_STRING, offsetof(struct settings, text), "", 0, 0, NULL, "", NULL};
static const struct option_row row_strings = {
    "texts", OPTION_STRINGS, offsetof(struct settings, texts), "a, b", 0, 0, NULL, "", NULL};
static const struct option_row row_networks = {
    "networks", OPTION_NETWORKS, offsetof(struct settings, networks), "127.0.0.0/8, ::1", 0, 0, NULL, "", NULL};
static const struct option_row row_domains = {
    "domains", OPTION_DOMAINS, offsetof(struct settings, texts), "", 0, 0, NULL, "", NULL};
static const struct option_row row_word = {"word",  OPTION_WORD, offsetof(struct settings, word), "red", 0, 0,
                                           colours, "", NULL};

/* A copy of exactly the text's size: ASan sees a read behind it. */
static bool parse_one(const struct option_row *row, struct arena *arena, const char *text, struct settings *settings_r)
{
	char *copy = strdup(text);
	const char *values[] = {copy};
	*settings_r = (struct settings){.word = -1, .number = 4711};
	bool good = option_parse(row, arena, values, 1, settings_r);
	free(copy);
	return good;
}

struct number_case {
	const struct option_row *row;
	const char *text;
	bool good;
	uint64_t value;
};

static const struct number_case numbers[] = {
    {&row_uint, "2", true, 2},
    {&row_uint, "300", true, 300},
    {&row_uint, "0017", true, 17},
    {&row_uint, "1", false, 0},
    {&row_uint, "301", false, 0},
    {&row_uint, "", false, 0},
    {&row_uint, " 5", false, 0},
    {&row_uint, "5 ", false, 0},
    {&row_uint, "+5", false, 0},
    {&row_uint, "-5", false, 0},
    {&row_uint, "0x10", false, 0},
    {&row_uint, "5K", false, 0},
    {&row_uint, "5.0", false, 0},
    {&row_any, "18446744073709551615", true, UINT64_MAX},
    {&row_any, "18446744073709551616", false, 0},
    {&row_any, "99999999999999999999999999", false, 0},
    {&row_duration, "100ms", true, 100 * MS},
    {&row_duration, "99ms", false, 0},
    {&row_duration, "60s", true, 60 * SECOND},
    {&row_duration, "1m", true, 60 * SECOND},
    {&row_duration, "1M", true, 60 * SECOND},
    {&row_duration, "61s", false, 0},
    {&row_duration, "10", false, 0},
    {&row_duration, "10x", false, 0},
    {&row_duration, "10 s", false, 0},
    {&row_duration, "s", false, 0},
    {&row_duration, "1.5s", false, 0},
    {&row_duration, "10ss", false, 0},
    {&row_long, "0", true, 0},
    {&row_long, "2h", true, 7200 * SECOND},
    {&row_long, "7d", true, 7 * 86400 * SECOND},
    {&row_long, "213503d", true, UINT64_C(213503) * 86400 * SECOND},
    {&row_long, "213504d", false, 0}, /* does not fit into 64 bits of nanoseconds */
    {&row_long, "18446744073709551615d", false, 0},
    {&row_size, "1024", true, 1024},
    {&row_size, "1K", true, 1024},
    {&row_size, "1k", true, 1024},
    {&row_size, "10M", true, 10 << 20},
    {&row_size, "4G", true, UINT64_C(4) << 30},
    {&row_size, "5G", false, 0},
    {&row_size, "1023", false, 0},
    {&row_size, "1KB", false, 0},
    {&row_size, "1T", false, 0},
    {&row_size, "0", false, 0},
    {&row_any_size, "17179869183G", true, UINT64_C(17179869183) << 30},
    {&row_any_size, "17179869184G", false, 0},
    {&row_mode, "0660", true, 0660},
    {&row_mode, "660", true, 0660},
    {&row_mode, "0", true, 0},
    {&row_mode, "0777", true, 0777},
    {&row_mode, "01000", false, 0},
    {&row_mode, "0668", false, 0},
    {&row_mode, "", false, 0},
    {&row_mode, "rw", false, 0},
    {&row_mode, "7777777777777777777777777777", false, 0},
};

static void test_numbers(struct arena *arena)
{
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		const struct number_case *t = &numbers[i];
		struct settings settings;
		bool good = parse_one(t->row, arena, t->text, &settings);
		ok(good == t->good && (!good || settings.number == t->value), "%s: \"%s\" is %s", t->row->name, t->text,
		   t->good ? "taken" : "refused");
	}
}

static void test_words(struct arena *arena)
{
	static const char *const yes[] = {"yes", "true", "on", "YES", "True"};
	static const char *const no[] = {"no", "false", "off", "No"};
	static const char *const neither[] = {"", "1", "0", "y", "yess", "maybe"};
	struct settings settings;
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		ok(parse_one(&row_bool, arena, yes[i], &settings) && settings.flag, "%s is yes", yes[i]);
	}
	for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
		settings.flag = true;
		ok(parse_one(&row_bool, arena, no[i], &settings) && !settings.flag, "%s is no", no[i]);
	}
	for (size_t i = 0; i < sizeof neither / sizeof *neither; i++) {
		ok(!parse_one(&row_bool, arena, neither[i], &settings), "\"%s\" is neither", neither[i]);
	}
	ok(parse_one(&row_word, arena, "green", &settings) && settings.word == 7, "a word");
	ok(parse_one(&row_word, arena, "RED", &settings) && settings.word == 3, "in capitals");
	ok(!parse_one(&row_word, arena, "blue", &settings), "a word that is not there");
	ok(!parse_one(&row_word, arena, "", &settings), "no word");
	ok(!parse_one(&row_word, arena, "re", &settings), "half a word");
}

static void test_texts(struct arena *arena)
{
	struct settings settings;
	char text[4098];
	memset(text, 'x', sizeof text);
	text[4097] = '\0';
	ok(!parse_one(&row_long_string, arena, text, &settings), "4097 bytes");
	text[4096] = '\0';
	ok(parse_one(&row_long_string, arena, text, &settings) && strcmp(settings.text, text) == 0, "4096 bytes");
	ok(parse_one(&row_long_string, arena, "", &settings) && settings.text[0] == '\0', "an empty text where it may be");
	ok(!parse_one(&row_string, arena, "", &settings), "an empty text where it may not be");
	ok(parse_one(&row_string, arena, "12345", &settings), "as long as may be");
	ok(!parse_one(&row_string, arena, "123456", &settings), "longer");
	ok(parse_one(&row_string, arena, "\xc3\xa4\xc3\xb6", &settings), "UTF-8");
	ok(!parse_one(&row_string, arena, "a\nb", &settings), "a line end");
	ok(!parse_one(&row_string, arena, "a\rb", &settings), "a carriage return");
	ok(!parse_one(&row_string, arena, "a\x7f", &settings), "DEL");
	ok(!parse_one(&row_strings, arena, "a\tb", &settings), "a tab in a list");
	ok(!parse_one(&row_strings, arena, "", &settings), "an empty text in a list");
	const char *const two[] = {"x", "y z"};
	ok(option_parse(&row_strings, arena, two, 2, &settings) && strcmp(settings.texts[1], "y z") == 0 &&
	       settings.texts[2] == NULL,
	   "a list ends with NULL");
	ok(option_parse(&row_strings, arena, NULL, 0, &settings) && settings.texts[0] == NULL, "an empty list");
	const char *const domains[] = {"Example.ORG.", "b\xc3\xbc" "cher.example"};
	ok(option_parse(&row_domains, arena, domains, 2, &settings) && strcmp(settings.texts[0], "example.org") == 0 &&
	       strcmp(settings.texts[1], "xn--bcher-kva.example") == 0 && settings.texts[2] == NULL,
	   "domains are canonical");
	ok(option_parse(&row_domains, arena, NULL, 0, &settings) && settings.texts[0] == NULL, "no domains");
	static const char *const no_domains[] = {"", ".", "a b", "a@b.example", ".example.org", "a..b", "*.example.org"};
	for (size_t i = 0; i < sizeof no_domains / sizeof *no_domains; i++) {
		ok(!parse_one(&row_domains, arena, no_domains[i], &settings), "\"%s\" is no domain", no_domains[i]);
	}
	ok(!option_parse(&row_string, arena, two, 2, &settings), "two values where one is wanted");
	ok(!option_parse(&row_string, arena, NULL, 0, &settings), "none");
}

static void test_networks(struct arena *arena)
{
	static const char *const bad[] = {"", "192.0.2.1/33", "192.0.2.1/24", "2001:db8::/129", "localhost", "192.0.2/24"};
	const char *const good[] = {"192.0.2.0/24", "2001:db8::/32", "198.51.100.7"};
	struct settings settings;
	struct ip address;
	ok(option_parse(&row_networks, arena, good, 3, &settings) && settings.networks.count == 3, "three networks");
	ok(ip_parse("192.0.2.77", &address) && ip_network_contains(&settings.networks.items[0], &address),
	   "the first holds its own");
	ok(ip_parse("198.51.100.8", &address) && !ip_network_contains(&settings.networks.items[2], &address),
	   "an address holds no other");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ok(!parse_one(&row_networks, arena, bad[i], &settings), "no network: \"%s\"", bad[i]);
	}
	ok(option_parse(&row_networks, arena, NULL, 0, &settings) && settings.networks.count == 0, "no networks");
}

static void test_fallback(struct arena *arena)
{
	const char *const *texts;
	is_int((long long)option_fallback(&row_strings, arena, &texts), 2, "a default list");
	is_text(texts[0], "a", "its first");
	is_text(texts[1], "b", "its second, without the blank");
	is_int((long long)option_fallback(&row_string, arena, &texts), 1, "a default text");
	is_text(texts[0], "abc", "is itself");
	struct option_row empty = row_strings;
	empty.fallback = "";
	is_int((long long)option_fallback(&empty, arena, &texts), 0, "an empty default list");
}

static void test_expected(struct arena *arena)
{
	is_text(option_expected(&row_bool, arena), "yes or no", "expected of a bool");
	is_text(option_expected(&row_uint, arena), "a whole number, 2 to 300", "of a number");
	is_text(option_expected(&row_duration, arena), "a duration with ms, s, m, h or d, 100ms to 1m, such as 10s",
	        "of a duration");
	is_text(option_expected(&row_size, arena), "a size in bytes or with K, M or G, 1K to 4G, such as 64K", "of a size");
	is_text(option_expected(&row_mode, arena), "an octal file mode, 00 to 0777", "of a mode");
	is_text(option_expected(&row_string, arena), "a text of 1 to 5 bytes without control characters", "of a text");
	is_text(option_expected(&row_word, arena), "red or green", "of a word");
	is_text(option_limits(&row_string, arena), "", "a text has no limits to tell");
	ok(strstr(option_expected(&row_networks, arena), "192.0.2.0/24") != NULL, "networks are shown by an example");
	ok(strstr(option_expected(&row_domains, arena), "domain names") != NULL, "domains are described");
	ok(strstr(option_expected(&row_strings, arena), "{\"a\", \"b\"}") != NULL, "and lists");
}

struct action_case {
	const char *text;
	bool good;
	enum action_kind kind;
	double score;
};

static const struct action_case actions[] = {
    {"ignore", true, ACTION_IGNORE, 0},
    {"tag", true, ACTION_TAG, 0},
    {"quarantine", true, ACTION_QUARANTINE, 0},
    {"tempfail", true, ACTION_TEMPFAIL, 0},
    {"discard", true, ACTION_DISCARD, 0},
    {"reject", true, ACTION_REJECT, 0},
    {"Reject", true, ACTION_REJECT, 0},
    {"score 2", true, ACTION_SCORE, 2},
    {"score -1.5", true, ACTION_SCORE, -1.5},
    {"score +0.125", true, ACTION_SCORE, 0.125},
    {"score 1000", true, ACTION_SCORE, 1000},
    {"score 1000.001", false, ACTION_SCORE, 0},
    {"score -1001", false, ACTION_SCORE, 0},
    {"score 1.2345", false, ACTION_SCORE, 0},
    {"score", false, ACTION_SCORE, 0},
    {"score ", false, ACTION_SCORE, 0},
    {"score  1", false, ACTION_SCORE, 0},
    {"score 1 ", false, ACTION_SCORE, 0},
    {"score .5", false, ACTION_SCORE, 0},
    {"score -", false, ACTION_SCORE, 0},
    {"score 0x10", false, ACTION_SCORE, 0},
    {"score 1e3", false, ACTION_SCORE, 0},
    {"score nan", false, ACTION_SCORE, 0},
    {"score -inf", false, ACTION_SCORE, 0},
    {"score 1,5", false, ACTION_SCORE, 0},
    {"score 9999999999999999999999999999999", false, ACTION_SCORE, 0},
    {"rejec", false, ACTION_IGNORE, 0},
    {"reject ", false, ACTION_IGNORE, 0},
    {"reject enforced", true, ACTION_REJECT, 0},
    {"tag   Enforced", true, ACTION_TAG, 0},
    {"enforced", false, ACTION_IGNORE, 0},
    {" enforced", false, ACTION_IGNORE, 0},
    {"rejectenforced", false, ACTION_IGNORE, 0},
    {"score 5 enforced", false, ACTION_SCORE, 0},
    {"reject enforced enforced", false, ACTION_IGNORE, 0},
    {"", false, ACTION_IGNORE, 0},
};

static void test_actions(void)
{
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
		const struct action_case *t = &actions[i];
		struct action action;
		char *copy = strdup(t->text);
		bool enforced;
		bool good = action_parse(copy, &action, &enforced);
		free(copy);
		/* In thousandths: the scores here have no more. */
		bool same = good && action.kind == t->kind && (long)(action.score * 1000) == (long)(t->score * 1000);
		bool word = strstr(t->text, "nforced") != NULL;
		ok(good == t->good && (!good || (same && enforced == word)), "action \"%s\" is %s", t->text,
		   t->good ? "taken" : "refused");
	}
}

int main(void)
{
	struct arena *arena = arena_create(4096);
	test_numbers(arena);
	test_words(arena);
	test_texts(arena);
	test_networks(arena);
	test_fallback(arena);
	test_expected(arena);
	test_actions();
	arena_destroy(arena);
	return done_testing();
}
