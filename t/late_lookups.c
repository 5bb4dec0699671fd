#include "t/late_lookups.h"

#include "lib/dns/name.h"
#include "lib/dns/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct question {
	struct question *next;
	struct dns_entry *entry;
	bool answered;
};

struct lookups {
	struct dns_zone *zone;
	struct question *questions;
	size_t count;
	bool late;
};

static const struct dns_answer no_such_name = {.status = DNS_NXDOMAIN};

struct lookups *late_create(const char *zone_path, bool late)
{
	char *error = NULL;
	struct lookups *lookups = calloc(1, sizeof *lookups);
	lookups->zone = dns_zone_load(zone_path, &error);
	lookups->late = late;
	if (lookups->zone == NULL) {
		fprintf(stderr, "%s\n", error);
		exit(1);
	}
	return lookups;
}

void late_destroy(struct lookups *lookups)
{
	while (lookups->questions != NULL) {
		struct question *next = lookups->questions->next;
		dns_entry_release(lookups->questions->entry);
		free(lookups->questions);
		lookups->questions = next;
	}
	dns_zone_destroy(lookups->zone);
	free(lookups);
}

void late_round(struct lookups *lookups)
{
	for (struct question *question = lookups->questions; question != NULL; question = question->next) {
		question->answered = true;
	}
}

size_t late_questions(const struct lookups *lookups)
{
	return lookups->count;
}

static struct question *question_find(const struct lookups *lookups, const char *name, enum dns_type type)
{
	struct question *question = lookups->questions;
	while (question != NULL && (question->entry->type != type || strcmp(question->entry->name, name) != 0)) {
		question = question->next;
	}
	return question;
}

const struct dns_answer *lookups_peek(struct lookups *lookups, const char *name, enum dns_type type)
{
	char text[DNS_MAX_NAME_TEXT];
	if (!dns_name_normalise(slice_from(name), text)) {
		return &no_such_name;
	}
	const struct question *question = question_find(lookups, text, type);
	return question != NULL && question->answered ? &question->entry->answer : NULL;
}

const struct dns_answer *lookups_get(struct lookups *lookups, const char *name, enum dns_type type)
{
	char text[DNS_MAX_NAME_TEXT];
	if (!dns_name_normalise(slice_from(name), text)) {
		return &no_such_name;
	}
	struct question *question = question_find(lookups, text, type);
	if (question == NULL) {
		question = calloc(1, sizeof *question);
		question->entry = dns_entry_create(text, type);
		question->answered = !lookups->late;
		question->next = lookups->questions;
		lookups->questions = question;
		lookups->count++;
		dns_zone_answer(lookups->zone, question->entry);
	}
	return question->answered ? &question->entry->answer : NULL;
}

const char *late_write_zone(const char *text)
{
	static char path[4096];
	const char *directory = getenv("TMPDIR");
	snprintf(path, sizeof path, "%s/zone.XXXXXX", directory == NULL ? "/tmp" : directory);
	int fd = mkstemp(path);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
		perror(path);
		exit(1);
	}
	return path;
}
