/* Configuration files: what they come to, and each kind of error with its file and line. */
#include "lib/policy/config.h"
#include "lib/policy/config_text.h"
#include "t/config_sections.h"
#include "t/tap.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/mailreeve-config-XXXXXX";
static char path[200];

static void write_bytes(const char *bytes, size_t size)
{
	FILE *file = fopen(path, "w");
	if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
		printf("Bail out! cannot write %s\n", path);
		exit(1);
	}
}

static struct config *load_file(const char *name, char **error_r)
{
	*error_r = NULL;
	return config_load(name, test_sections, TEST_SECTIONS, error_r);
}

static struct config *load(const char *text, char **error_r)
{
	write_bytes(text, strlen(text));
	return load_file(path, error_r);
}

/* The configuration, or the end of the test: what is wrong is printed. */
static struct config *load_good(const char *text)
{
	char *error;
	struct config *config = load(text, &error);
	if (!ok(config != NULL, "good: %.*s", (int)strcspn(text, "\n"), text)) {
		diag("%s", error);
		printf("Bail out!\n");
		exit(1);
	}
	return config;
}

struct bad {
	const char *text;
	const char *errors; /* behind "FILE:", joined by line ends with "FILE:" in front of each */
};

#define GRAMMAR "; expected \"name = value\", \"name = {value, value}\" or \"section { ... }\""
#define DURATION "expected a duration with ms, s, m, h or d, 100ms to 1m, such as 10s"
#define ACTIONS "expected ignore, \"score N\", tag, quarantine, tempfail, discard or reject"

static const struct bad bads[] = {
    /* values */
    {"dns {\n\ttimeout = 10x\n}\n", "2: dns.timeout: \"10x\" is not allowed; " DURATION},
    {"dns {\n\ttimeout =\n\n10x\n}\n", "4: dns.timeout: \"10x\" is not allowed; " DURATION},
    {"dns { timeout = 61s }", "1: dns.timeout: \"61s\" is not allowed; " DURATION},
    {"\n\nlimit = 2G\n",
     "3: limit: \"2G\" is not allowed; expected a size in bytes or with K, M or G, 1K to 1G, such as 8M"},
    {"networks = {\"::1\",\n\"10.0.0.0/8\",\n\"10.0.0.1/8\",\n\"::2\"}",
     "3: networks: \"10.0.0.1/8\" is not allowed; expected a list of networks such as {\"192.0.2.0/24\", "
     "\"2001:db8::/32\"}, no bits set behind the prefix"},
    {"virus { mode = sometimes }",
     "1: virus.mode: \"sometimes\" is not allowed; expected off, observe, tag or enforce"},
    {"policy {\n spf.fail = refuse\n}", "2: policy.spf.fail: \"refuse\" is not allowed; " ACTIONS},
    {"outbound {\n spf.fail = \"score 1e3\"\n}", "2: outbound.spf.fail: \"score 1e3\" is not allowed; " ACTIONS},
    {"user = \"\x01\"\n",
     "1: user: \"\\x01\" is not allowed; expected a text of 0 to 64 bytes without control characters"},
    /* several at once */
    {"dns {\n timeout = 1x\n check = 2\n}\nspf {\n mode = x\n}\n",
     "2: dns.timeout: \"1x\" is not allowed; " DURATION "\n3: dns.check: \"2\" is not allowed; expected yes or no\n"
     "6: spf.mode: \"x\" is not allowed; expected off, observe, tag or enforce"},
    /* names */
    {"timeout = 5s", "1: unknown option or section \"timeout\""},
    {"dns {\n timeuot = 5s }", "2: unknown option \"timeuot\" in dns; did you mean timeout"},
    {"dsn { }", "1: unknown option or section \"dsn\""},
    {"virsu { }", "1: unknown option or section \"virsu\"; did you mean virus"},
    {"Limit = 1M", "1: unknown option or section \"Limit\"; did you mean limit"},
    {"policy {\n virus.fuond = tag\n}", "2: unknown option \"virus.fuond\" in policy; did you mean virus.found"},
    {"dns { mode = off }", "1: unknown option \"mode\" in dns"},
    {"mode = off", "1: unknown option or section \"mode\""},
    {"spf { spf { } }", "1: unknown option \"spf\" in spf"},
    {"include(\"/etc/passwd\")", "1: unknown option or section \"include\""},
    {"include = 1", "1: unknown option or section \"include\""},
    /* twice */
    {"limit = 1M\nlimit = 1M\n", "2: limit is given again; first in line 1"},
    {"dns {\n timeout = 1s\n\n timeout = 2s\n}", "4: dns.timeout is given again; first in line 2"},
    {"spf { mode = off\nmode = off }", "2: spf.mode is given again; first in line 1"},
    {"policy { spf.fail = tag\nspf.fail = tag }", "2: policy.spf.fail is given again; first in line 1"},
    {"networks = {\"::1\"}\nnetworks = {\"::1\", \"::2\"}", "2: networks is given again; first in line 1"},
    {"networks = {\"::1\",}\nnetworks = {\"::1\"}", "2: networks is given again; first in line 1"},
    {"networks = \"::1\"\nnetworks = \"::1\"", "2: networks is given again; first in line 1"},
    {"dns { servers = {a}\nservers = {}\n}", "3: dns.servers is given again; first in line 1"},
    {"dns {\n}\ndns {\n}\n", "4: dns is given again; first in line 2"},
    {"policy { }\n\npolicy { }", "3: policy is given again; first in line 1"},
    {"outbound { }\noutbound { }", "2: outbound is given again; first in line 1"},
    /* libconfuse's paths */
    {"dns|timeout = 5s", "1: timeout stands outside of its block; expected \"section { timeout = value }\""},
    {"outbound|spf.fail = tag", "1: spf.fail stands outside of its block; expected \"section { spf.fail = value }\""},
    {"\"spf|mode\" = off", "1: mode stands outside of its block; expected \"section { mode = value }\""},
    /* grammar */
    {"limit 5", "1: missing equal sign after option 'limit'"},
    {"dns\n= 5", "2: missing opening brace for section 'dns'"},
    {"dns { timeout = }", "1: unexpected token '}'" GRAMMAR},
    {"dns { timeout = {1s} }", "1: unexpected token '{'" GRAMMAR},
    {"networks = {\"::1\" \"::2\"}", "1: unexpected token '::2'" GRAMMAR},
    {"\n}", "2: unexpected closing brace" GRAMMAR},
    {"limit = ", "1: premature end of file" GRAMMAR},
    {"limit += 1M", "1: a plus sign; expected \"=\", or a text in quotes"},
    {"\nnetworks += {\"::1\"}", "2: a plus sign; expected \"=\", or a text in quotes"},
    {"limit = 1M\n\ndns {\n timeout = 1s\n", "3: the block that begins here does not end; expected \"}\""},
    {"dns { servers = {\n a,", "1: the block that begins here does not end; expected \"}\""},
    {"\n/* a\n* / \n", "2: the comment that begins here does not end; expected \"*/\""},
    {"/*/", "1: the comment that begins here does not end; expected \"*/\""},
    /* texts */
    {"\nuser = \"abc\nlimit = 1M\n", "2: a text that does not end in its line; expected a quotation mark"},
    {"user = 'abc", "1: a text that does not end in its line; expected a quotation mark"},
    {"user = 'abc\\\nd'", "1: a text that does not end in its line; expected a quotation mark"},
    {"user = \"abc\\", "1: unknown escape in a text; expected \\\\, \\\", \\' or \\$"},
    {"user = \"a\\0b\"", "1: unknown escape in a text; expected \\\\, \\\", \\' or \\$"},
    {"user = \"a\\x00b\"", "1: unknown escape in a text; expected \\\\, \\\", \\' or \\$"},
    {"user = \"a\\\nb\"", "1: unknown escape in a text; expected \\\\, \\\", \\' or \\$"},
    {"user = \"${HOME}\"", "1: ${NAME} is not replaced here; expected \\${ for the two characters"},
    {"user = \"${HOME\"\nlimit = 1M}", "1: ${NAME} is not replaced here; expected \\${ for the two characters"},
    {"user = ${HOME}", "1: ${NAME} is not replaced here; expected a text in quotes"},
};

/* "FILE:" in front of every line. */
static char *with_file(const char *errors)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	fprintf(out, "%s:", path);
	for (const char *c = errors; *c != '\0'; c++) {
		fputc(*c, out);
		if (*c == '\n') {
			fprintf(out, "%s:", path);
		}
	}
	fclose(out);
	return text;
}

static void test_errors(void)
{
	for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
		char *error;
		struct config *config = load(bads[i].text, &error);
		char *expected = with_file(bads[i].errors);
		ok(config == NULL, "refused: %.20s", strchr(bads[i].errors, ' ') + 1);
		is_text(error, expected, "  with the place and what was expected");
		free(expected);
		free(error);
		config_release(config);
	}
}

static void test_error_limit(void)
{
	char *error;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	for (int i = 0; i < 1000; i++) {
		fputs("limit = 1M\n", out);
	}
	fclose(out);
	struct config *config = load(text, &error);
	size_t lines = 1;
	for (const char *c = error; c != NULL && *c != '\0'; c++) {
		lines += *c == '\n';
	}
	ok(config == NULL && lines == 20, "no more than 20 errors (%zu)", lines);
	free(error);
	free(text);
}

static void test_files(void)
{
	char *error;
	char expected[300];
	ok(load_file("/nonexistent/x", &error) == NULL, "a file that is not there");
	is_text(error, "/nonexistent/x: No such file or directory; expected a readable file of at most 1 MiB", "  and why");
	free(error);
	ok(load_file(folder, &error) == NULL, "a folder");
	snprintf(expected, sizeof expected, "%s: Is a directory; expected a readable file of at most 1 MiB", folder);
	is_text(error, expected, "  and why");
	free(error);

	char *big = malloc(CONFIG_TEXT_MAX + 1);
	memset(big, '\n', CONFIG_TEXT_MAX + 1);
	write_bytes(big, CONFIG_TEXT_MAX + 1);
	ok(load_file(path, &error) == NULL, "more than 1 MiB");
	snprintf(expected, sizeof expected, "%s: File too large; expected a readable file of at most 1 MiB", path);
	is_text(error, expected, "  and why");
	free(error);
	write_bytes(big, CONFIG_TEXT_MAX);
	struct config *config = load_file(path, &error);
	ok(config != NULL, "1 MiB");
	config_release(config);
	free(big);

	write_bytes("limit = 1M\nuser = \"a\0b\"\n", 24);
	ok(load_file(path, &error) == NULL, "a NUL byte");
	snprintf(expected, sizeof expected, "%s:2: a NUL byte; expected text", path);
	is_text(error, expected, "  and where");
	free(error);
}

static void check_defaults(const struct config *config, const char *name)
{
	const struct test_top *top = config_settings(config, TEST_TOP);
	const struct test_dns *dns = config_settings(config, TEST_DNS);
	ok(strcmp(top->user, "reeve") == 0 && top->networks.count == 2 && top->limit == 8 << 20 &&
	       dns->servers[0] == NULL && dns->timeout == UINT64_C(10000000000) && dns->check,
	   "%s: settings", name);
	ok(config_mode(config, TEST_SPF) == MODE_ENFORCE && config_mode(config, TEST_VIRUS) == MODE_OBSERVE, "%s: modes",
	   name);
	ok(config_action(config, DIRECTION_INBOUND, &test_spf_codes[0]).kind == ACTION_REJECT &&
	       config_action(config, DIRECTION_OUTBOUND, &test_spf_codes[1]).kind == ACTION_IGNORE,
	   "%s: actions", name);
}

static void test_defaults(void)
{
	char *error;
	struct config *config = load_file(NULL, &error);
	check_defaults(config, "no file");
	is_text(config_path(config), NULL, "no path");
	is_int((long long)config_section_of(config, &test_virus_codes[0]), TEST_VIRUS, "the section of a code");
	config_release(config);
	static const char *const nothing[] = {"", "\n", "# only\n// comments /*\n/* \" { \n */",
	                                      "dns { }\nspf { }\npolicy { }"};
	for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
		config = load_good(nothing[i]);
		check_defaults(config, "nothing said");
		is_text(config_path(config), path, "its path");
		config_release(config);
	}
}

static const char all[] = "user = \"a\\\"b\\\\c\\${d} 'e'\" # comment {\r\n"
                          "networks = {192.0.2.0/24, '2001:db8::/32',}//comment }\n"
                          "/* \" ' { */ limit=1G\n"
                          "dns{servers={\"192.0.2.1\", 'a b\\c\\'' ,c//d}timeout = 2S check=OFF}\n"
                          "spf { mode = Tag } virus { mode = off }\n"
                          "outbound { spf.none = discard }\n"
                          "policy { spf.fail = 'score -1.125' spf.none = quarantine virus.found = tempfail }\n";

static void check_all(const struct config *config)
{
	const struct test_top *top = config_settings(config, TEST_TOP);
	const struct test_dns *dns = config_settings(config, TEST_DNS);
	is_text(top->user, "a\"b\\c${d} 'e'", "escapes");
	is_int((long long)top->networks.count, 2, "a list with a comma behind its last");
	is_int((long long)top->limit, 1 << 30, "a value behind a comment");
	is_text(dns->servers[0], "192.0.2.1", "the first of a list");
	is_text(dns->servers[1], "a b\\c'", "single quotes");
	is_text(dns->servers[2], "c//d", "slashes in a word");
	ok(dns->servers[3] == NULL && dns->timeout == 2000000000 && !dns->check, "the end of it, and what follows");
	ok(config_mode(config, TEST_SPF) == MODE_TAG && config_mode(config, TEST_VIRUS) == MODE_OFF, "modes");
	struct action in = config_action(config, DIRECTION_INBOUND, &test_spf_codes[0]);
	struct action out = config_action(config, DIRECTION_OUTBOUND, &test_spf_codes[0]);
	ok(in.kind == ACTION_SCORE && (int)(in.score * 1000) == -1125, "a score");
	ok(out.kind == ACTION_SCORE && (int)(out.score * 1000) == -1125, "outbound as in policy");
	is_int(config_action(config, DIRECTION_INBOUND, &test_spf_codes[1]).kind, ACTION_QUARANTINE, "inbound");
	is_int(config_action(config, DIRECTION_OUTBOUND, &test_spf_codes[1]).kind, ACTION_DISCARD,
	       "outbound has its own word");
	is_int(config_action(config, DIRECTION_OUTBOUND, &test_virus_codes[0]).kind, ACTION_TEMPFAIL, "an enforced code");
}

static char *print(const struct config *config)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	config_print(config, out);
	fclose(out);
	return text;
}

/* Without the mark of defaults: what was printed is no default when it is read. */
static char *without_marks(char *text)
{
	char *mark;
	while ((mark = strstr(text, " # default")) != NULL) {
		memmove(mark, mark + 10, strlen(mark + 10) + 1);
	}
	return text;
}

static void test_values(void)
{
	struct config *config = load_good(all);
	check_all(config);
	char *shown = print(config);
	config_release(config);
	ok(strstr(shown, "    timeout = 2S\n") != NULL && strstr(shown, "    virus.found = tempfail # enforced\n") != NULL,
	   "what is set has no mark");
	config = load_good(shown);
	check_all(config);
	char *again = print(config);
	is_text(without_marks(again), without_marks(shown), "and is printed the same again");
	config_release(config);
	free(shown);
	free(again);

	char *error;
	config = load_file(NULL, &error);
	shown = print(config);
	ok(strstr(shown, "# built-in defaults\n") != NULL && strstr(shown, "limit = 8M # default\n") != NULL &&
	       strstr(shown, "    mode = enforce # default\n") != NULL &&
	       strstr(shown, "    servers = {} # default\n") != NULL,
	   "defaults are marked");
	config_release(config);
	config = load_good(shown);
	check_defaults(config, "printed defaults");
	config_release(config);
	free(shown);
	config = load_good("networks = {}");
	is_int((long long)((const struct test_top *)config_settings(config, TEST_TOP))->networks.count, 0, "an empty list");
	config_release(config);
}

static void test_sample(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	config_print_sample(test_sections, TEST_SECTIONS, out);
	fclose(out);
	struct config *config = load_good(text);
	check_defaults(config, "the sample");
	config_release(config);
	ok(strstr(text, "    # how long (100ms to 1m)\n    #timeout = 10s\n") != NULL, "an option has its help and limits");
	ok(strstr(text, "    # it is one (enforced: no user can lift it)\n    #virus.found = reject\n") != NULL,
	   "and a code");
	free(text);
}

/* A bad file leaves nothing behind in libconfuse that the next load would see. */
static void test_again(void)
{
	for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
		char *error;
		config_release(load(bads[i].text, &error));
		free(error);
		struct config *config = load(all, &error);
		if (config == NULL) {
			ok(false, "a good file behind a bad one: %s", bads[i].text);
			diag("%s", error);
			return;
		}
		config_release(config);
	}
	ok(true, "a good file behind every bad one");
}

static void *hold(void *config)
{
	for (int i = 0; i < 10000; i++) {
		config_release(config_acquire(config));
	}
	config_release(config);
	return NULL;
}

static void test_references(void)
{
	enum { THREADS = 4 };
	char *error;
	pthread_t threads[THREADS];
	struct config *config = load_file(NULL, &error);
	for (size_t i = 0; i < THREADS; i++) {
		ok(pthread_create(&threads[i], NULL, hold, config_acquire(config)) == 0, "a thread that holds it");
	}
	config_release(config);
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
	}
	config_release(NULL);
	is_text(direction_name(DIRECTION_INBOUND), "inbound", "inbound");
	is_text(direction_name(DIRECTION_OUTBOUND), "outbound", "outbound");
}

int main(void)
{
	if (mkdtemp(folder) == NULL) {
		printf("Bail out! no temporary folder\n");
		return 1;
	}
	snprintf(path, sizeof path, "%s/mailreeve.conf", folder);
	test_defaults();
	test_values();
	test_errors();
	test_error_limit();
	test_files();
	test_sample();
	test_again();
	test_references();
	unlink(path);
	rmdir(folder);
	return done_testing();
}
