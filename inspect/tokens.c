#include "inspect/tokens.h"

#include "inspect/content_digest.h"
#include "inspect/html_render.h"
#include "inspect/mime_charset.h"
#include "inspect/token_header.h"
#include "inspect/token_text.h"

enum {
	HEADERS_MAX = 1000,
	HEADERS_BYTES = 256 << 10,
	TEXT_MAX = 64 << 10,  /* bytes of a text, and of all texts of a message, in which words are looked for */
	PAGE_MAX = 256 << 10, /* of a page, tags and all */
	WORDS_MAX = 4000,
	HIDDEN_WORDS_MAX = 300,
	NAME_WORDS_MAX = 20,
	FILES_MAX = 50
};

struct tokens {
	struct token_set set;
	size_t text_left;
	size_t page_left;
	size_t files;
	size_t links;
	uint8_t digest[INSPECT_DIGEST_SIZE];
};

struct tokens *tokens_open(struct arena *arena, struct slice message, const struct inspect_request *request)
{
	struct tokens *tokens = arena_alloc(arena, sizeof *tokens);
	struct headers headers = {.count = 0};
	struct header_limits limits = {.max_count = HEADERS_MAX, .max_bytes = HEADERS_BYTES};
	tokens->text_left = TEXT_MAX;
	tokens->page_left = PAGE_MAX;
	token_set_init(&tokens->set, arena, request->named, request->named_count);
	size_t at = headers_parse(&headers, arena, &limits, message);
	content_digest(&headers, (struct slice){message.data + at, message.len - at}, tokens->digest);
	token_header(&tokens->set, &headers);
	return tokens;
}

/* Three quarters from its head, one from its tail, so that nothing is hidden behind a long text. */
static struct slice head_and_tail(struct arena *scratch, struct slice text, size_t most)
{
	if (text.len <= most) {
		return text;
	}
	size_t head = most / 4 * 3;
	size_t tail = most - head;
	struct strbuf out;
	strbuf_init(&out, scratch);
	strbuf_add(&out, text.data, head);
	strbuf_add_char(&out, '\n');
	strbuf_add(&out, text.data + text.len - tail, tail);
	return (struct slice){out.data, out.len};
}

static struct slice to_utf8(struct token_set *set, struct arena *scratch, const struct part *part, struct slice text)
{
	struct slice converted;
	bool marked = text.len >= 2 && (memcmp(text.data, "\xff\xfe", 2) == 0 || memcmp(text.data, "\xfe\xff", 2) == 0);
	struct slice charset = marked ? SLICE_LITERAL("utf-16") : part->charset;
	bool ascii = slice_is_ascii(text) && memchr(text.data, '\0', text.len) == NULL;
	bool shifted = slice_starts_nocase(charset, SLICE_LITERAL("utf-7")) ||
	               slice_starts_nocase(charset, SLICE_LITERAL("iso-2022")) ||
	               slice_starts_nocase(charset, SLICE_LITERAL("hz"));
	if (ascii && !shifted) {
		return text;
	}
	if (charset.len > 0 && mime_charset_convert(scratch, charset, text, &converted)) {
		return converted;
	}
	token_add(set, "trick",
	          charset.len == 0 ? SLICE_LITERAL("8 bits without a charset") : SLICE_LITERAL("a broken charset"));
	return mime_charset_guess(scratch, text);
}

/* What people do and programs do not, and the other way round. */
static void layout(struct tokens *tokens, struct slice text)
{
	size_t lines = 0;
	size_t quoted = 0;
	size_t longest = 0;
	for (size_t at = 0; at < text.len;) {
		size_t end = slice_find(text, '\n', at);
		lines++;
		quoted += text.data[at] == '>' ? 1 : 0;
		longest = end - at > longest ? end - at : longest;
		at = end + 1;
	}
	token_group(&tokens->set, INSPECT_GROUP_HEADER);
	static const char *const sizes[] = {"none", "a line", "few lines", "some lines", "many lines", "very many lines"};
	size_t class = lines == 0 ? 0 : lines < 2 ? 1 : lines < 8 ? 2 : lines < 32 ? 3 : lines < 128 ? 4 : 5;
	token_add(&tokens->set, "text of", slice_from(sizes[class]));
	if (quoted > 0) {
		token_add(&tokens->set, "text",
		          quoted * 2 > lines ? SLICE_LITERAL("mostly quoted") : SLICE_LITERAL("quoted in part"));
	}
	token_add(&tokens->set, "text",
	          longest < 80    ? SLICE_LITERAL("of short lines")
	          : longest < 200 ? SLICE_LITERAL("of long lines")
	                          : SLICE_LITERAL("of very long lines"));
}

static void visible_text(struct tokens *tokens, struct arena *scratch, struct slice text)
{
	layout(tokens, text);
	text = head_and_tail(scratch, text, tokens->text_left);
	tokens->text_left -= text.len < tokens->text_left ? text.len : tokens->text_left;
	token_group(&tokens->set, INSPECT_GROUP_TEXT);
	token_text(&tokens->set, "", text, WORDS_MAX);
}

static bool is_any_of(struct slice name, const char *const *names)
{
	for (; *names != NULL; names++) {
		if (slice_equal(name, slice_from(*names))) {
			return true;
		}
	}
	return false;
}

static void on_attribute(void *context, struct slice tag, struct slice name, struct slice value)
{
	static const char *const links[] = {"href", "src", "action", "background", NULL};
	static const char *const looks[] = {"color", "bgcolor", "face", "size", NULL};
	struct tokens *tokens = context;
	if (name.data == NULL) {
		token_add(&tokens->set, "html", tag);
	} else if (is_any_of(name, links)) {
		if (tokens->links++ < 400) {
			token_link(&tokens->set, value);
		}
	} else if (is_any_of(name, looks) && value.len <= 24) {
		token_add_pair(&tokens->set, "html", tag, value, false);
	}
}

static void page_text(struct tokens *tokens, struct arena *scratch, struct slice page)
{
	struct html_render render = {.visit = on_attribute, .context = tokens};
	strbuf_init(&render.visible, scratch);
	strbuf_init(&render.hidden, scratch);
	page = head_and_tail(scratch, page, tokens->page_left);
	tokens->page_left -= page.len < tokens->page_left ? page.len : tokens->page_left;
	token_group(&tokens->set, INSPECT_GROUP_FORM);
	html_render(&render, page);
	visible_text(tokens, scratch, (struct slice){render.visible.data, render.visible.len});
	struct slice hidden = slice_trim((struct slice){render.hidden.data, render.hidden.len});
	if (hidden.len > 0) {
		token_group(&tokens->set, INSPECT_GROUP_TRICK);
		token_add(&tokens->set, "trick", SLICE_LITERAL("hidden text"));
		token_text(&tokens->set, "hidden", head_and_tail(scratch, hidden, TEXT_MAX / 8), HIDDEN_WORDS_MAX);
	}
}

static void file_names(struct tokens *tokens, const struct part *part)
{
	for (const char *const *name = part->names; *name != NULL; name++) {
		const char *dot = strrchr(*name, '.');
		token_text(&tokens->set, "file name", slice_from(*name), NAME_WORDS_MAX);
		if (dot != NULL && strlen(dot) <= 6) {
			token_add(&tokens->set, "file extension",
			          slice_from(slice_dup_lower(tokens->set.arena, slice_from(dot + 1))));
		}
	}
}

void tokens_part(struct tokens *tokens, const struct part *part, struct arena *scratch)
{
	struct slice type = slice_from(part->type);
	struct slice text = part->content;
	if (tokens->files++ >= FILES_MAX) {
		return;
	}
	token_group(&tokens->set, INSPECT_GROUP_FORM);
	token_add(&tokens->set, "type", type.len == 0 ? SLICE_LITERAL("none") : type);
	if (part->charset.len > 0 && part->charset.len < 40) {
		token_add(&tokens->set, "charset", slice_from(slice_dup_lower(scratch, part->charset)));
	}
	file_names(tokens, part);
	bool page = slice_starts_nocase(type, SLICE_LITERAL("text/html")) ||
	            slice_starts_nocase(type, SLICE_LITERAL("application/xhtml"));
	if (text.len == 0 || (type.len > 0 && !page && !slice_starts_nocase(type, SLICE_LITERAL("text/")))) {
		return;
	}
	text = to_utf8(&tokens->set, scratch, part,
	               head_and_tail(scratch, text, page ? tokens->page_left : tokens->text_left));
	if (page) {
		page_text(tokens, scratch, text);
	} else {
		visible_text(tokens, scratch, text);
	}
}

void tokens_close(struct tokens *tokens, struct inspect_reply *reply_r)
{
	memcpy(reply_r->content_digest, tokens->digest, sizeof tokens->digest);
	token_set_close(&tokens->set, reply_r);
}
