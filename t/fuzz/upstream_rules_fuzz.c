/* Rules of upstream { } and tls { }, one a line, and the same text as a file of networks: a set holds each address that
 * one of its networks holds. */
#include "lib/pipeline/tls_rules.h"
#include "lib/pipeline/upstream_rules.h"
#include "t/fuzz/fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

static void check_set(const struct network_list *list, struct arena *arena)
{
	struct network_set set;
	network_set_make(list, arena, &set);
	require(set.count <= list->count);
	for (size_t i = 0; i < list->count; i++) {
		require(network_set_contains(&set, &list->items[i].address));
	}
	for (size_t i = 1; i < set.count; i++) {
		require(!ip_network_contains(&set.items[i - 1], &set.items[i].address));
	}
}

static void check_file(struct arena *arena, const uint8_t *data, size_t size)
{
	struct network_list list = {.count = 0};
	const char *expected = NULL;
	int fd = memfd_create("networks", MFD_CLOEXEC);
	require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	bool good = network_list_add(&list, arena, arena_printf(arena, "file:/proc/self/fd/%d", fd), &expected);
	require(good || expected != NULL);
	check_set(&list, arena);
	close(fd);
}

static void check_line(struct arena *arena, const char *text)
{
	struct upstream_guard guard;
	struct tls_domain_rules domains;
	struct tls_network_rules networks;
	const char *expected = NULL;
	static const struct ip client = {IP_V4, {192, 0, 2, 1}};
	/* The file system is none of the fuzzer's business. */
	if (strstr(text, "file:") != NULL) {
		return;
	}
	if (upstream_guard_parse(arena, &text, 1, &guard, &expected)) {
		enum upstream_answer answer = upstream_guard_check(&guard, "example.org", &client);
		require(answer != UPSTREAM_MAY_DELIVER || network_set_contains(&guard.all, &client));
	} else {
		require(expected != NULL);
	}
	require(tls_domains_parse(arena, &text, 1, &domains, &expected) || expected != NULL);
	require(tls_networks_parse(arena, &text, 1, &networks, &expected) || expected != NULL);
	tls_version_parse(slice_from(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_create(4096);
	struct slice rest = {(const char *)data, size};
	struct slice line;
	check_file(arena, data, size);
	while (rest.data != NULL && slice_split(&rest, '\n', &line)) {
		check_line(arena, slice_dup(arena, line));
	}
	arena_destroy(arena);
	return 0;
}
