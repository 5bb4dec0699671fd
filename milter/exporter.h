/* exporter: metrics.listen: a loopback port, or a unix socket, on which GET /metrics is answered and nothing else. */
#ifndef MAILREEVE_MILTER_EXPORTER_H
#define MAILREEVE_MILTER_EXPORTER_H

#include "lib/http/server.h"
#include "lib/pipeline/engine.h"
#include "lib/pipeline/monitor.h"

struct exporter;

/* As control_open() and those after it (milter/control.h). */
struct exporter *exporter_open(const struct metrics_options *options, uid_t user, gid_t group, char **error_r);
bool exporter_start(struct exporter *exporter, struct engine *engine, char **error_r);
void exporter_claim(struct exporter *exporter);    /* takes NULL */
void exporter_withdraw(struct exporter *exporter); /* takes NULL */
void exporter_close(struct exporter *exporter);    /* takes NULL */

/* Answers GET /metrics; context: the engine. */
http_handler exporter_answer;

#endif
