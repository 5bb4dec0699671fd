/* control_learn: POST /learn?class=spam|ham|forget&user=ADDRESS&attached=yes: the body is one message, for Bayes. */
#ifndef MAILREEVE_MILTER_CONTROL_LEARN_H
#define MAILREEVE_MILTER_CONTROL_LEARN_H

#include "lib/http/server.h"

/* context: the engine. Without user it is for everybody, with one for that recipient. Root and the daemon's user may do
 * either, others what learn.socket says. 200: the numbers of what became of it in the order of enum bayes_outcome, then
 * words; 403, 413, 422, 503: why not. */
http_handler control_learn;

#endif
