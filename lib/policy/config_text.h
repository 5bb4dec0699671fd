/* config_text: a configuration file's bytes, made ready for libconfuse, which gets nothing that it would read otherwise
 * than mailreeve.conf(5) says. */
#ifndef MAILREEVE_POLICY_CONFIG_TEXT_H
#define MAILREEVE_POLICY_CONFIG_TEXT_H

#include "lib/base/arena.h"

#include <stdbool.h>
#include <stddef.h>

enum { CONFIG_TEXT_MAX = 1 << 20 };

/* The file's bytes in arena, or NULL with errno: a folder (EISDIR), over CONFIG_TEXT_MAX bytes (EFBIG), ... */
char *config_text_read(const char *path, struct arena *arena, size_t *size_r);

/* Blanks comments out and looks through the rest. False with the line and what is wrong there: a NUL byte, a comment,
 * a quoted text or a block without an end, an unknown escape, ${NAME}, a plus sign. */
bool config_text_prepare(char *bytes, size_t size, size_t *line_r, const char **problem_r);

#endif
