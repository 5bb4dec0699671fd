#include "milter/control.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/http/server.h"
#include "lib/pipeline/logging.h"
#include "lib/pipeline/status.h"
#include "milter/exporter.h"
#include "milter/handover.h"
#include "lib/pipeline/stage_learn.h"
#include "milter/control_learn.h"
#include "milter/listener.h"
#include "milter/reload.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATUS_WAIT (2 * CLOCK_NS_PER_S) /* for the resolver, where mail has asked nothing lately */

enum { THREADS = 4, CONNECTIONS = 64, TIMEOUT_S = 60, REQUEST_S = 120 };

struct control {
	struct listener *listener;
	int socket; /* until it is the server's */
	struct http_server *server;
};

static void on_reload(void *context, struct http_request *request, struct http_response *response_r)
{
	(void)context;
	char *error = reload();
	if (error == NULL) {
		http_answer(request, response_r, 200, "the configuration is in force for new connections");
	} else {
		http_answer(request, response_r, 422, "%s", error);
	}
	free(error);
}

static void on_status(void *context, struct http_request *request, struct http_response *response_r)
{
	response_r->type = "application/json";
	response_r->body = slice_from(status_json(context, http_query(request, "quick") != NULL ? 0 : STATUS_WAIT, request->arena));
}

static void on_levels(void *context, struct http_request *request, struct http_response *response_r)
{
	(void)context;
	response_r->body = slice_from(logging_levels(request->arena));
}

static void on_set_level(void *context, struct http_request *request, struct http_response *response_r)
{
	const char *level = http_query(request, "level");
	const char *stage = http_query(request, "stage");
	const char *problem = logging_set_level(stage, level == NULL ? "" : level, request->arena);
	if (problem != NULL) {
		http_answer(request, response_r, 422, "%s", problem);
		return;
	}
	log_event(LOG_LEVEL_INFO, "level", arena_printf(request->arena, "log level of %s is %s until the next reload", stage == NULL ? "all" : stage, level), NULL, 0);
	on_levels(context, request, response_r);
}

/* What the new process would refuse is refused here, where somebody reads it. */
static void on_restart(void *context, struct http_request *request, struct http_response *response_r)
{
	(void)context;
	char *error = reload_check();
	unsigned refused = 422;
	if (error == NULL) {
		error = handover_run();
		refused = 500;
	}
	if (error == NULL) {
		http_answer(request, response_r, 200, "a new process has taken over; the old one finishes what it has begun");
	} else {
		http_answer(request, response_r, refused, "%s", error);
	}
	free(error);
}

/* The context of each handler is the engine. */
static const struct http_route routes[] = {
    {"POST", "/learn", HTTP_ANY, LEARN_BODY_MAX, control_learn},
    {"POST", "/reload", HTTP_OWNER, 0, on_reload},
    {"GET", "/status", HTTP_OWNER, 0, on_status},
    {"GET", "/metrics", HTTP_ANY, 0, exporter_answer},
    {"GET", "/log/level", HTTP_OWNER, 0, on_levels},
    {"POST", "/log/level", HTTP_OWNER, 0, on_set_level},
    {"POST", "/restart", HTTP_OWNER, 0, on_restart},
    {NULL, NULL, HTTP_OWNER, 0, NULL},
};

struct control *control_open(const struct globals *globals, uid_t user, gid_t group, char **error_r)
{
	struct arena *arena = arena_create(512);
	const char *path = globals_control_socket(globals, arena);
	struct control *control = NULL;
	if (path != NULL) {
		const struct listener_settings settings = {.option = "control_socket",
		                                           .spec = arena_printf(arena, "unix:%s", path),
		                                           .mode = globals->control_group[0] == '\0' ? 0600 : 0660,
		                                           .group = globals->control_group,
		                                           .inherited = handover_take(HANDOVER_CONTROL)};
		control = calloc(1, sizeof *control);
		if (control == NULL) {
			abort();
		}
		control->socket = -1;
		control->listener = listener_create(&settings, user, group, error_r);
		control->socket = control->listener == NULL ? -1 : listener_bind(control->listener, error_r);
		if (control->socket < 0 || !listener_publish(control->listener, error_r)) {
			control_close(control);
			control = NULL;
		}
	}
	arena_destroy(arena);
	return control;
}

static void give_away(void *context)
{
	struct control *control = context;
	http_server_give_away(control->server);
	listener_give_away(control->listener);
}

bool control_start(struct control *control, struct engine *engine, char **error_r)
{
	const struct http_settings settings = {.listener = control->socket,
	                                       .threads = THREADS,
	                                       .connections = CONNECTIONS,
	                                       .timeout_s = TIMEOUT_S,
	                                       .request_s = REQUEST_S,
	                                       .routes = routes,
	                                       .context = engine};
	control->socket = -1;
	control->server = http_server_open(&settings, error_r);
	handover_offer(HANDOVER_CONTROL, settings.listener, give_away, control);
	return control->server != NULL;
}

void control_claim(struct control *control)
{
	if (control != NULL) {
		listener_claim(control->listener);
	}
}

void control_withdraw(struct control *control)
{
	if (control != NULL) {
		listener_withdraw(control->listener);
	}
}

void control_close(struct control *control)
{
	if (control == NULL) {
		return;
	}
	listener_destroy(control->listener);
	http_server_close(control->server);
	if (control->socket >= 0) {
		close(control->socket);
	}
	free(control);
}
