/* What a lookup costs with 1, 1,000 and 1,000,000 entries: the names of one message (two senders, a client, HELO) in
 * the lists of one recipient, which are three. */
#include "lib/base/clock.h"
#include "lib/policy/list_index.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOOKUPS = 200000 };

static struct list_entry *make_entries(struct arena *arena, size_t count)
{
	struct list_entry *entries = arena_alloc(arena, count * sizeof *entries);
	for (size_t i = 0; i < count; i++) {
		struct list_entry *entry = &entries[i];
		const char *problem;
		const char *owner = i % 4 == 3 ? arena_printf(arena, "user%zu@dst.example", i % 10000) : "";
		const char *value = i % 10 == 0 ? arena_printf(arena, "10.%zu.%zu.0/24", i / 10 % 65536 / 256, i / 10 % 256)
		                                : arena_printf(arena, "s%zu@domain%zu.example", i, i);
		*entry = (struct list_entry){.owner = owner, .action = LIST_BLOCK, .by = "bench", .note = ""};
		if (i % 10 == 0 && i >= 655360) {
			value = arena_printf(arena, "d%zu.example", i);
		}
		if (!list_value_parse(arena, slice_from(value), entry, &problem)) {
			abort();
		}
	}
	return entries;
}

static double look(const struct list_index *index, struct arena *arena)
{
	static const char *const owners[] = {"", "dst.example", "user3@dst.example"};
	static const char *const names[] = {"bounce@mail.sender.example",
	                                    "mail.sender.example",
	                                    ".sender.example",
	                                    ".example",
	                                    "news@sender.example",
	                                    "sender.example",
	                                    ".example",
	                                    "192.0.2.7",
	                                    "192.0.2.0/24",
	                                    "helo:mail.sender.example",
	                                    "helo:.sender.example",
	                                    "helo:.example",
	                                    "country:DE",
	                                    "asn:64500"};
	enum { NAMES = sizeof names / sizeof *names };
	struct list_text texts[NAMES];
	size_t found = 0;
	(void)arena;
	uint64_t start = clock_now();
	for (size_t round = 0; round < LOOKUPS; round++) {
		for (size_t i = 0; i < NAMES; i++) {
			texts[i] = list_index_text(index, names[i]);
		}
		for (size_t k = 0; k < sizeof owners / sizeof *owners; k++) {
			struct list_text owner = list_index_text(index, owners[k]);
			for (size_t i = 0; i < NAMES; i++) {
				found += list_index_find(index, &owner, &texts[i]) != NULL;
			}
		}
	}
	uint64_t took = clock_now() - start;
	if (found != 0) {
		abort();
	}
	return (double)took / LOOKUPS;
}

int main(void)
{
	static const size_t counts[] = {1, 1000, 1000000};
	printf("%10s %16s %14s %18s %12s\n", "entries", "all made, ms", "one more, us", "one recipient, ns", "bytes each");
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		struct arena *arena = arena_create(1 << 20);
		struct list_entry *entries = make_entries(arena, counts[i]);
		size_t broken;
		struct list_index *empty = list_index_create(1);
		size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
		uint64_t start = clock_now();
		struct list_index *index = list_index_change(empty, entries, counts[i], &broken);
		uint64_t made = clock_now() - start;
		size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
		start = clock_now();
		struct list_index *next = list_index_change(
		    index,
		    &(struct list_entry){
		        .owner = "", .value = "new.example", .kind = LIST_DOMAIN, .action = LIST_BLOCK, .by = "", .note = ""},
		    1, &broken);
		uint64_t one = clock_now() - start;
		double each = look(index, arena);
		printf("%10zu %16.1f %14.1f %18.0f %12.0f\n", counts[i], (double)made / 1e6, (double)one / 1e3, each,
		       (double)(after - before) / (double)counts[i]);
		list_index_release(next);
		list_index_release(index);
		list_index_release(empty);
		arena_destroy(arena);
	}
	return 0;
}
