#include "ctl/control.h"

#include "ctl/command.h"
#include "lib/http/client.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"

#include <getopt.h>
#include <stdio.h>

enum { ANSWER_MAX = 16 << 20 };

bool control_ask(const struct config *config, const struct control_ask *ask, struct arena *arena, unsigned *status_r,
                 struct slice *body_r)
{
	const char *error = NULL;
	const char *path = globals_control_socket(config_settings(config, SECTION_GLOBALS), arena);
	if (path == NULL) {
		fputs("mailreeve: the configuration gives the daemon no control socket (control_socket)\n", stderr);
		return false;
	}
	const struct http_ask question = {.socket = path,
	                                  .method = ask->method,
	                                  .path = ask->path,
	                                  .body = ask->body,
	                                  .timeout_ns = ask->timeout_ns,
	                                  .answer_max = ANSWER_MAX};
	if (!http_ask(&question, arena, status_r, body_r, &error)) {
		fprintf(stderr, "mailreeve: the daemon does not answer (is it running, and may you ask it?): %s\n", error);
		return false;
	}
	return true;
}

int control_print(const struct config *config, const struct control_ask *ask)
{
	struct arena *arena = arena_create(4096);
	unsigned status;
	struct slice body;
	int result = 1;
	if (control_ask(config, ask, arena, &status, &body)) {
		result = status == 200 ? 0 : 1;
		fprintf(result == 0 ? stdout : stderr, "%.*s", SLICE_ARGS(body));
	}
	arena_destroy(arena);
	return result;
}

int control_order(int argc, char **argv, const char *path, const char *usage, uint64_t timeout_ns)
{
	static const struct option long_options[] = {
	    {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	const char *file = NULL;
	int option;
	while ((option = getopt_long(argc, argv, "c:h", long_options, NULL)) != -1) {
		switch (option) {
		case 'c':
			file = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	struct config *config = command_load_config(file);
	if (config == NULL) {
		fputs("mailreeve: the daemon was not asked: its configuration stays as it was\n", stderr);
		return 1;
	}
	const struct control_ask order = {.method = "POST", .path = path, .timeout_ns = timeout_ns};
	int result = control_print(config, &order);
	config_release(config);
	return result;
}
