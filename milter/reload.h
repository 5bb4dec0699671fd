/* reload: reads the configuration again and publishes it, for who sends HUP and for who asks by the control socket. */
#ifndef MAILREEVE_MILTER_RELOAD_H
#define MAILREEVE_MILTER_RELOAD_H

#include "lib/pipeline/engine.h"

/* Before the first reload. config_path NULL: the defaults, which a reload does not change. Both are borrowed. */
void reload_init(struct engine *engine, const char *config_path);

/* Checks first, then swaps; what is refused changes nothing, and is logged. NULL, or what is wrong (free()), with file and
 * line. Of several at once one waits for the other. */
char *reload(void);

/* Would a reload, or a start, take the configuration? NULL, or what is wrong (free()). */
char *reload_check(void);

/* Reloads where a file that the configuration names has changed since; what cannot be read is tried once. For one
 * thread. */
void reload_changed(void);

#endif
