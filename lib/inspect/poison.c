#include "lib/inspect/poison.h"

#include "lib/base/clock.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { HASH_SIZE = 32 };

struct entry {
	uint64_t expires; /* monotonic, 0: free */
	unsigned failures;
	unsigned char hash[HASH_SIZE];
};

struct poison {
	pthread_mutex_t lock; /* guards all below; held for a walk through the table, and by no one who hashes */
	size_t used;
	struct entry entries[POISON_MAX];
};

struct poison *poison_create(void)
{
	struct poison *poison = calloc(1, sizeof *poison);
	if (poison == NULL) {
		abort();
	}
	pthread_mutex_init(&poison->lock, NULL);
	return poison;
}

void poison_destroy(struct poison *poison)
{
	if (poison != NULL) {
		pthread_mutex_destroy(&poison->lock);
		free(poison);
	}
}

/* ---- what is the same content ---- */

/* What the author wrote and no relay touches: it is the same when the sender tries again, from another host too.
 * Received, Return-Path, signatures and whatever a hop may add are not among them. With the body alone, an empty
 * message that failed for its header would take all empty messages with it. */
static bool names_content(struct slice name)
{
	static const char *const names[] = {"from", "subject", "date", "message-id", "mime-version"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (slice_equal_nocase(name, slice_from(names[i]))) {
			return true;
		}
	}
	return slice_starts_nocase(name, SLICE_LITERAL("content-"));
}

static bool hash_headers(EVP_MD_CTX *context, const struct headers *headers)
{
	bool good = true;
	for (size_t i = 0; good && i < headers->count; i++) {
		const struct header *header = &headers->items[i];
		if (names_content(header->name)) {
			uint64_t lengths[2] = {header->name.len, header->value.len};
			good = EVP_DigestUpdate(context, lengths, sizeof lengths) == 1 &&
			       EVP_DigestUpdate(context, header->name.data, header->name.len) == 1 &&
			       EVP_DigestUpdate(context, header->value.data, header->value.len) == 1;
		}
	}
	return good;
}

static bool hash_body(EVP_MD_CTX *context, const struct message *message)
{
	char piece[65536];
	uint64_t size = message_size(message);
	uint64_t at = size - message_body_size(message);
	while (at < size) {
		ssize_t n = pread(message_fd(message), piece, sizeof piece, (off_t)at);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0 || EVP_DigestUpdate(context, piece, (size_t)n) != 1) {
			return false;
		}
		at += (uint64_t)n;
	}
	return true;
}

static bool hash_message(const struct message *message, unsigned char hash_r[HASH_SIZE])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
	            hash_headers(context, message_headers(message)) && hash_body(context, message) &&
	            EVP_DigestFinal_ex(context, hash_r, NULL) == 1;
	EVP_MD_CTX_free(context);
	return good;
}

/* ---- the table ---- */

static void expire(struct poison *poison, uint64_t now)
{
	for (size_t i = 0; i < POISON_MAX; i++) {
		if (poison->entries[i].expires != 0 && poison->entries[i].expires <= now) {
			poison->entries[i].expires = 0;
			poison->used--;
		}
	}
}

static struct entry *find(struct poison *poison, const unsigned char hash[HASH_SIZE])
{
	for (size_t i = 0; i < POISON_MAX; i++) {
		struct entry *entry = &poison->entries[i];
		if (entry->expires != 0 && memcmp(entry->hash, hash, HASH_SIZE) == 0) {
			return entry;
		}
	}
	return NULL;
}

/* A free one, or the one that would be the first to go. */
static struct entry *oldest(struct poison *poison)
{
	struct entry *entry = &poison->entries[0];
	for (size_t i = 1; i < POISON_MAX; i++) {
		if (poison->entries[i].expires < entry->expires) {
			entry = &poison->entries[i];
		}
	}
	return entry;
}

bool poison_is(struct poison *poison, const struct message *message, uint64_t now)
{
	unsigned char hash[HASH_SIZE];
	pthread_mutex_lock(&poison->lock);
	expire(poison, now);
	bool any = poison->used > 0;
	pthread_mutex_unlock(&poison->lock);
	if (!any || !hash_message(message, hash)) {
		return false;
	}
	pthread_mutex_lock(&poison->lock);
	const struct entry *entry = find(poison, hash);
	bool is = entry != NULL && entry->failures >= POISON_FAILURES;
	pthread_mutex_unlock(&poison->lock);
	return is;
}

bool poison_count(struct poison *poison, const struct message *message, uint64_t now)
{
	unsigned char hash[HASH_SIZE];
	if (!hash_message(message, hash)) {
		return false;
	}
	pthread_mutex_lock(&poison->lock);
	expire(poison, now);
	struct entry *entry = find(poison, hash);
	if (entry == NULL) {
		entry = oldest(poison);
		poison->used += entry->expires == 0;
		entry->failures = 0;
		memcpy(entry->hash, hash, HASH_SIZE);
	}
	entry->expires = now + POISON_SECONDS * CLOCK_NS_PER_S;
	bool last = ++entry->failures >= POISON_FAILURES;
	pthread_mutex_unlock(&poison->lock);
	return last;
}

size_t poison_size(struct poison *poison)
{
	pthread_mutex_lock(&poison->lock);
	size_t n = poison->used;
	pthread_mutex_unlock(&poison->lock);
	return n;
}
