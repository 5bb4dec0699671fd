/* The file of batches that wait, and a batch by itself (first byte "B": no checksum stands before it): what is read is
 * written to the same bytes. */
#include "lib/store/batch_code.h"
#include "lib/store/spill.h"
#include "t/fuzz/fuzz.h"

static void one_batch(struct slice bytes, struct arena *arena)
{
	size_t count;
	const struct store_statement *statements = batch_decode(bytes, arena, &count);
	if (statements != NULL) {
		require(count <= STORE_STATEMENTS_MAX && batch_size(statements, count) == bytes.len);
		char *again = arena_alloc(arena, bytes.len);
		batch_encode(statements, count, again);
		require(memcmp(again, bytes.data, bytes.len) == 0);
	}
}

static void one_file(struct slice bytes, struct arena *arena)
{
	char id[SPILL_ID_SIZE];
	struct spill_record record;
	if (!spill_parse_header(bytes, id)) {
		return;
	}
	require(strlen(id) == SPILL_ID_SIZE - 1);
	bytes.data += SPILL_HEADER_SIZE;
	bytes.len -= SPILL_HEADER_SIZE;
	for (size_t left = bytes.len; spill_parse_record(&bytes, &record) == SPILL_RECORD; left = bytes.len) {
		require(left - bytes.len == SPILL_RECORD_HEADER_SIZE + record.batch.len);
		one_batch(record.batch, arena);
	}
	spill_record_follows(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_create(4096);
	struct slice bytes = {(const char *)data, size};
	if (size > 0 && data[0] == 'B') {
		one_batch((struct slice){bytes.data + 1, size - 1}, arena);
	} else {
		one_file(bytes, arena);
	}
	arena_destroy(arena);
	return 0;
}
