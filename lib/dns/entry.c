#include "lib/dns/entry.h"

#include "lib/dns/rdata.h"

#include <stdlib.h>

enum { ENTRY_CHUNK = 256 };

struct dns_entry *dns_entry_create(const char *name, enum dns_type type)
{
	struct dns_entry *entry = calloc(1, sizeof *entry);
	if (entry == NULL) {
		abort();
	}
	entry->arena = arena_create(ENTRY_CHUNK);
	entry->name = arena_strdup(entry->arena, name);
	entry->type = type;
	atomic_init(&entry->references, 1);
	return entry;
}

struct dns_entry *dns_entry_acquire(struct dns_entry *entry)
{
	atomic_fetch_add_explicit(&entry->references, 1, memory_order_relaxed);
	return entry;
}

void dns_entry_release(struct dns_entry *entry)
{
	if (entry != NULL && atomic_fetch_sub_explicit(&entry->references, 1, memory_order_acq_rel) == 1) {
		arena_destroy(entry->arena);
		free(entry);
	}
}

void dns_entry_set_temporary(struct dns_entry *entry, const char *problem)
{
	entry->answer =
		(struct dns_answer){.status = DNS_TEMPORARY, .problem = arena_strdup(entry->arena, problem), .ttl = 5};
}

void dns_entry_set_negative(struct dns_entry *entry, enum dns_status status, uint32_t ttl, bool secure)
{
	entry->answer = (struct dns_answer){.status = status, .ttl = ttl, .secure = secure};
}

void dns_entry_set_records(struct dns_entry *entry, const struct slice *rdata, size_t count, uint32_t ttl, bool secure)
{
	size_t bytes = 0;
	if (count == 0) {
		dns_entry_set_negative(entry, DNS_NODATA, ttl, secure);
		return;
	}
	if (count > DNS_MAX_RECORDS) {
		count = DNS_MAX_RECORDS;
	}
	struct dns_record *records = arena_alloc(entry->arena, count * sizeof *records);
	for (size_t i = 0; i < count; i++) {
		bytes += rdata[i].len;
		if (bytes > DNS_MAX_ANSWER) {
			dns_entry_set_temporary(entry, "answer too large");
			return;
		}
		if (!dns_rdata_decode(entry->arena, entry->type, rdata[i], &records[i])) {
			dns_entry_set_temporary(entry, "malformed answer");
			return;
		}
	}
	entry->answer =
		(struct dns_answer){.status = DNS_FOUND, .secure = secure, .ttl = ttl, .count = count, .records = records};
}
