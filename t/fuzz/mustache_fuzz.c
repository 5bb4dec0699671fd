/* A template and a text of the network in it; and the mail that it becomes. */
#include "lib/report/mustache.h"
#include "lib/report/user_mail.h"
#include "t/fuzz/fuzz.h"

/* No character in it ends a line, and none is markup. */
static void check_clean(const char *text)
{
	require(slice_is_utf8(slice_from(text)));
	require(strpbrk(text, "\r\n\t\x7f") == NULL && strstr(text, "\xe2\x80\xae") == NULL && strstr(text, "://") == NULL);
}

static void check_mail(struct arena *arena, const char *subject, struct slice text)
{
	const struct user_mail mail = {.from_name = subject,
	                               .from = "a@b.example",
	                               .to = "c@d.example",
	                               .subject = subject,
	                               .id = "x@b.example",
	                               .in_reply_to = "",
	                               .fields = "",
	                               .text = text,
	                               .html = text};
	struct slice message = user_mail_compose(arena, &mail);
	size_t line = 0;
	require(slice_is_ascii(message));
	for (size_t i = 0; i < message.len; i++) {
		require(message.data[i] != '\n' || message.data[i - 1] == '\r');
		line = message.data[i] == '\n' ? 0 : line + 1;
		require(line <= 998);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_create(4096);
	struct slice template = {(const char *)data, size};
	template.len = slice_find(template, '\0', 0);
	struct slice rest = {template.data + template.len, size - template.len};
	const char *text = user_mail_clean(
	    arena, slice_dup(arena, (struct slice){rest.data + (rest.len > 0), rest.len - (rest.len > 0)}), 300);
	json_t *values =
	    json_pack("{s:s, s:[{s:s}, {s:s}], s:i, s:b}", "a", text, "l", "v", text, "a", "x", "n", 3, "t", 1);
	check_clean(text);
	require(values != NULL);
	for (int kind = MUSTACHE_TEXT; kind <= MUSTACHE_HTML; kind++) {
		struct strbuf out;
		const char *problem = NULL;
		strbuf_init(&out, arena);
		if (mustache_render(template, (enum mustache_kind)kind, values, &out, &problem)) {
			check_mail(arena, text, (struct slice){out.data, out.len});
		} else {
			require(problem != NULL);
		}
	}
	json_decref(values);
	arena_destroy(arena);
	return 0;
}
