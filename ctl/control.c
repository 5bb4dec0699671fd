#include "ctl/control.h"

#include "lib/http/client.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"

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
