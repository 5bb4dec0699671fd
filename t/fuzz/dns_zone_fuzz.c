/* A zone file, and questions for the names that stand first in its lines. What was answered, as a text, is a zone that
 * answers the same. */
#include "lib/dns/zone_text.h"
#include "t/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static void check_answer(const struct dns_answer *answer)
{
	require(answer != NULL && (answer->status == DNS_FOUND) == (answer->count > 0));
	require((answer->status == DNS_TEMPORARY) == (answer->problem != NULL));
	require(answer->count <= DNS_MAX_RECORDS);
	for (size_t i = 0; i < answer->count; i++) {
		require(answer->records[i].data.len <= DNS_MAX_ANSWER);
	}
}

static void ask(struct lookups *lookups, struct slice line)
{
	static const enum dns_type types[] = {DNS_TYPE_A, DNS_TYPE_CNAME, DNS_TYPE_MX, DNS_TYPE_TXT};
	char name[300];
	size_t n = 0;
	while (n < line.len && n < sizeof name - 1 && line.data[n] > ' ') {
		n++;
	}
	memcpy(name, line.data, n);
	name[n] = '\0';
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		check_answer(lookups_get(lookups, name, types[i]));
	}
}

static void ask_again(void *context, const char *name, enum dns_type type, const struct dns_answer *answer,
                      uint64_t took_ns)
{
	const struct dns_answer *again = lookups_get(context, name, type);
	(void)took_ns;
	if (strchr(name, '*') != NULL) {
		return; /* not in the text */
	}
	require(again->status == answer->status && again->count == answer->count);
	for (size_t i = 0; i < answer->count; i++) {
		require(slice_equal(again->records[i].data, answer->records[i].data));
		require(ip_equal(&again->records[i].address, &answer->records[i].address));
	}
}

static void check_text(struct lookups *lookups)
{
	struct arena *arena = arena_create(4096);
	struct strbuf text;
	char *error = NULL;
	strbuf_init(&text, arena);
	zone_text_write(lookups, SIZE_MAX, &text);
	struct dns *dns = dns_open_zone_text((struct slice){text.data, text.len}, &error);
	require(dns != NULL);
	struct lookups *again = lookups_create(dns);
	lookups_each(lookups, ask_again, again);
	lookups_destroy(again);
	dns_close(dns);
	arena_destroy(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[40];
	int fd = memfd_create("zone", MFD_CLOEXEC);
	char *error = NULL;
	require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	struct dns *dns = dns_open_zone(path, &error);
	close(fd);
	require((dns == NULL) == (error != NULL));
	free(error);
	if (dns == NULL) {
		return 0;
	}
	struct lookups *lookups = lookups_create(dns);
	struct slice rest = {(const char *)data, size};
	struct slice line;
	while (size > 0 && slice_split(&rest, '\n', &line)) {
		ask(lookups, line);
	}
	check_text(lookups);
	lookups_destroy(lookups);
	dns_close(dns);
	return 0;
}
