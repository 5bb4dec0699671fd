/* Authentication-Results and Received-SPF: whose a value claims to be, in whatever form; and that nothing written into
 * ours breaks out of it. */
#include "lib/mail/authres.h"
#include "lib/mail/received_spf.h"
#include "t/fuzz/fuzz.h"

/* Folds are LF + tab with something behind them; no line is over 998; neither control bytes nor escapes. */
static void check_written(const char *written)
{
	size_t width = sizeof "Authentication-Results: ";
	for (const char *c = written; *c != '\0'; c++) {
		require(*c == '\n'   ? c[1] == '\t'
		        : *c == '\t' ? c > written && c[-1] == '\n'
		                     : (unsigned char)*c >= ' ' && *c != 127);
		require(*c != '\\' && (*c != '\n' || c[2] > ' '));
		width = *c == '\n' ? 0 : width + 1;
		require(width <= 998);
	}
}

/* The field has as many results as were put into it: no value is taken for one, by a reader that knows no quotes. */
static size_t count(const char *text, char wanted)
{
	size_t n = 0;
	for (; *text != '\0'; text++) {
		n += *text == wanted;
	}
	return n;
}

static void check_writers(struct arena *arena, const char *text, bool utf8)
{
	struct authres authres;
	authres_begin(&authres, arena, "mx.example");
	authres.utf8 = utf8;
	authres_method(&authres, "spf", AUTH_FAIL, text, text);
	authres_property(&authres, "smtp", "mailfrom", text);
	authres_property(&authres, "smtp", "helo", text);
	authres_method(&authres, "dkim", AUTH_PASS, NULL, NULL);
	authres_property(&authres, "header", "d", text);
	const char *written = authres_finish(&authres);
	check_written(written);
	require(utf8 ? slice_is_utf8(slice_from(written)) : slice_is_ascii(slice_from(written)));
	require(authres_claims(slice_from(written), "mx.example"));
	require(!authres_claims(slice_from(written), "mx.example.org"));
	require(count(written, '"') % 2 == 0);
	struct ip client = {.family = IP_V4};
	struct received_spf spf = {AUTH_FAIL, text, &client, text, text, "mailfrom", "mx.example", text, text, utf8};
	written = received_spf_write(arena, &spf);
	check_written(written);
	require(received_spf_claims(slice_from(written), "mx.example"));
	require(count(written, '"') % 2 == 0 && count(written, ';') <= 6 + count(text, ';'));
}

/* The name of a field does not change by what stands around it. */
static void check_claims(struct arena *arena, struct slice value)
{
	static const char *const wrapped[] = {"(c)%s", "\"%s", "\t\xc2\xa0%s", "\xe2\x80\x8b%s"};
	received_spf_claims(value, "mx.example");
	if (!authres_claims(value, "mx.example") || memchr(value.data, '\0', value.len) != NULL) {
		return;
	}
	for (size_t i = 0; i < sizeof wrapped / sizeof *wrapped; i++) {
		char *text = arena_alloc(arena, value.len + 16);
		size_t head = strlen(wrapped[i]) - 2;
		memcpy(text, wrapped[i], head);
		memcpy(text + head, value.data, value.len);
		require(authres_claims((struct slice){text, head + value.len}, "mx.example"));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_create(4096);
	struct slice value = {(const char *)data, size};
	if (size > 0) {
		check_claims(arena, value);
	}
	authres_claims(value, "mx.xn--bcher-kva.example");
	check_writers(arena, slice_dup(arena, value), size % 2 == 1);
	arena_destroy(arena);
	return 0;
}
