#include "milter/exporter.h"

#include "lib/pipeline/scrape.h"
#include "milter/handover.h"
#include "milter/listener.h"

#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 1, CONNECTIONS = 16, TIMEOUT_S = 30, REQUEST_S = 30 };

struct exporter {
	struct listener *listener;
	int socket; /* until it is the server's */
	struct http_server *server;
};

void exporter_answer(void *context, struct http_request *request, struct http_response *response_r)
{
	response_r->type = SCRAPE_TYPE;
	response_r->body = slice_from(scrape(context, request->arena));
}

static const struct http_route routes[] = {
    {"GET", "/metrics", HTTP_ANY, 0, exporter_answer},
    {NULL, NULL, HTTP_OWNER, 0, NULL},
};

struct exporter *exporter_open(const struct metrics_options *options, uid_t user, gid_t group, char **error_r)
{
	const struct listener_settings settings = {
	    .option = "metrics.listen", .spec = options->spec, .mode = 0666, .group = "",
	                                            .inherited = handover_take(HANDOVER_METRICS)};
	struct exporter *exporter = options->spec[0] == '\0' ? NULL : calloc(1, sizeof *exporter);
	if (exporter == NULL) {
		return NULL;
	}
	exporter->socket = -1;
	exporter->listener = listener_create(&settings, user, group, error_r);
	exporter->socket = exporter->listener == NULL ? -1 : listener_bind(exporter->listener, error_r);
	if (exporter->socket < 0 || !listener_publish(exporter->listener, error_r)) {
		exporter_close(exporter);
		return NULL;
	}
	return exporter;
}

static void give_away(void *context)
{
	struct exporter *exporter = context;
	http_server_give_away(exporter->server);
	listener_give_away(exporter->listener);
}

bool exporter_start(struct exporter *exporter, struct engine *engine, char **error_r)
{
	const struct http_settings settings = {.listener = exporter->socket,
	                                       .threads = THREADS,
	                                       .connections = CONNECTIONS,
	                                       .timeout_s = TIMEOUT_S,
	                                       .request_s = REQUEST_S,
	                                       .routes = routes,
	                                       .context = engine};
	exporter->socket = -1;
	exporter->server = http_server_open(&settings, error_r);
	handover_offer(HANDOVER_METRICS, settings.listener, give_away, exporter);
	return exporter->server != NULL;
}

void exporter_claim(struct exporter *exporter)
{
	if (exporter != NULL) {
		listener_claim(exporter->listener);
	}
}

void exporter_withdraw(struct exporter *exporter)
{
	if (exporter != NULL) {
		listener_withdraw(exporter->listener);
	}
}

void exporter_close(struct exporter *exporter)
{
	if (exporter == NULL) {
		return;
	}
	listener_destroy(exporter->listener);
	http_server_close(exporter->server);
	if (exporter->socket >= 0) {
		close(exporter->socket);
	}
	free(exporter);
}
