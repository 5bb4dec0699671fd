/* templates: the texts of mails to users, in a folder for each language below digest.templates:
 *   LANGUAGE/digest.txt, digest.html, answer.txt   mustache.h
 *   LANGUAGE/words                                 "key = text" a line, "#" begins a comment line
 * They are the operator's own, and are believed. */
#ifndef MAILREEVE_REPORT_TEMPLATES_H
#define MAILREEVE_REPORT_TEMPLATES_H

#include "lib/base/slice.h"

#include <stdbool.h>

struct template_word {
	const char *key, *text;
};
struct templates {
	const char *language; /* the one that was found */
	struct slice text, html, answer;
	struct template_word *words;
	size_t word_count;
};

/* "en", "pt-br": what a folder may be called, so that no path leads elsewhere. */
bool templates_language_valid(const char *language);
/* Is there such a language? */
bool templates_exist(struct arena *arena, const char *folder, const char *language);

/* The first of the languages, NULL-ended, that is there. All of it in arena. False with *problem_r. */
bool templates_load(struct arena *arena, const char *folder, const char *const *languages,
                    struct templates *templates_r, const char **problem_r);

/* The text of a key; NULL: none. */
const char *templates_word(const struct templates *templates, const char *key);
/* The text of "reason.CODE" ("reason.dmarc.reject"), of its stage ("reason.dmarc"), or "reason.other"; "" for none. */
const char *templates_reason(struct arena *arena, const struct templates *templates, const char *code);

#endif
