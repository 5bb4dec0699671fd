/* Tokens of any message: each once, ascending, with names fit for a line; what is hidden and seen is bounded. */
#include "inspect/html_render.h"
#include "inspect/mime.h"
#include "inspect/tokens.h"
#include "lib/base/clock.h"
#include "t/fuzz/fuzz.h"

static void visit(void *context, const struct part *part)
{
	struct arena *scratch = arena_create(16384);
	tokens_part(context, part, scratch);
	arena_destroy(scratch);
}

static struct inspect_reply tokenise(struct arena *arena, struct slice message, const uint64_t *named,
                                     size_t named_count)
{
	struct inspect_reply reply = {.token_count = 0};
	struct inspect_request request = {.named = named, .named_count = named_count};
	struct part_budget budget = {
	    .bytes = 4 << 20, .parts = 200, .depth_max = 10, .deadline = clock_now() + 60 * CLOCK_NS_PER_S};
	struct mime_result result = {0};
	struct tokens *tokens = tokens_open(arena, message, &request);
	mime_walk(message, NULL, &budget, visit, tokens, &result);
	tokens_close(tokens, &reply);
	return reply;
}

static void on_attribute(void *context, struct slice tag, struct slice name, struct slice value)
{
	(void)context;
	require(tag.len < 64 && name.len < 64 && value.len <= 4096);
}

static void check_render(struct arena *arena, struct slice page)
{
	struct html_render render = {.visit = on_attribute};
	strbuf_init(&render.visible, arena);
	strbuf_init(&render.hidden, arena);
	html_render(&render, page);
	require(render.visible.len <= page.len && render.hidden.len <= page.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool loaded;
	if (!loaded) {
		mime_load();
		loaded = true;
	}
	struct arena *arena = arena_create(65536);
	struct slice message = {(const char *)data, size};
	struct inspect_reply reply = tokenise(arena, message, NULL, 0);
	require(reply.token_count <= INSPECT_TOKENS_MAX);
	for (size_t i = 1; i < reply.token_count; i++) {
		require(reply.tokens[i - 1] < reply.tokens[i]);
	}
	size_t n = reply.token_count < INSPECT_NAMED_MAX ? reply.token_count : INSPECT_NAMED_MAX;
	struct inspect_reply named = tokenise(arena, message, reply.tokens, n);
	require(named.token_count == reply.token_count && named.name_count == n);
	require(memcmp(named.content_digest, reply.content_digest, INSPECT_DIGEST_SIZE) == 0);
	for (size_t i = 0; i < n; i++) {
		require(named.token_names[i] != NULL && slice_is_utf8(slice_from(named.token_names[i])));
		for (const char *c = named.token_names[i]; *c != '\0'; c++) {
			require((unsigned char)*c >= ' ' && *c != 127);
		}
	}
	check_render(arena, message);
	arena_destroy(arena);
	return 0;
}
