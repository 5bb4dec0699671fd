/* messages: what tests of content send. */
#ifndef MAILREEVE_T_MESSAGES_H
#define MAILREEVE_T_MESSAGES_H

#include "lib/base/slice.h"

struct slice message_eicar(struct arena *arena);
const char *message_base64(struct arena *arena, struct slice data);
/* An archive of one stored member. */
struct slice message_zip(struct arena *arena, const char *name, struct slice data);
/* A message with the data attached under that name. first_field: with its CRLF, in front of all others. */
const char *message_attach(struct arena *arena, const char *first_field, const char *name, struct slice data);

#endif
