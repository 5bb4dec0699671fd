#include "inspect/token_text.h"

#include "inspect/token_word.h"
#include "inspect/urls.h"

enum {
	WORD_MAX = 24,   /* bytes of a word that is told as it is */
	CODE_DIGITS = 2, /* with more of them among its letters it is a number of something */
	LINK_MAX = 1024,
	PATH_WORDS = 6
};

/* The last words, so that each is paired with those before it. */
struct stream {
	struct token_set *set;
	const char *kind;
	struct slice last;
	struct slice last_but_one;
	size_t words;
};

static void stream_word(struct stream *stream, struct slice word)
{
	token_add(stream->set, stream->kind, word);
	if (stream->last.len > 0) {
		token_add_pair(stream->set, stream->kind, stream->last, word, false);
	}
	if (stream->last_but_one.len > 0) {
		token_add_pair(stream->set, stream->kind, stream->last_but_one, word, true);
	}
	stream->last_but_one = stream->last;
	stream->last = word;
	stream->words++;
}

/* ---- links and addresses ---- */

struct slice token_domain(struct slice host)
{
	size_t starts[3] = {0, 0, 0}; /* of the last label, the one before it, and so on */
	size_t labels = 0;
	for (size_t i = host.len; i > 0 && labels < 3; i--) {
		if (host.data[i - 1] == '.' || i == 1) {
			starts[labels++] = host.data[i - 1] == '.' ? i : 0;
		}
	}
	if (labels < 3) {
		return host;
	}
	bool second = host.len - starts[0] == 2 && starts[0] - starts[1] <= 4; /* "co.uk", "com.au" */
	size_t start = second ? starts[2] : starts[1];
	return (struct slice){host.data + start, host.len - start};
}

static void link_path(struct token_set *set, struct slice rest)
{
	size_t words = 0;
	for (size_t i = 0; i < rest.len && words < PATH_WORDS;) {
		size_t start = i;
		while (i < rest.len && ascii_is_alpha(rest.data[i])) {
			i++;
		}
		if (i - start >= 3 && i - start <= WORD_MAX) {
			token_add(set, "link path",
			          slice_from(slice_dup_lower(set->arena, (struct slice){rest.data + start, i - start})));
			words++;
		}
		i += i == start;
	}
}

static void link_tokens(struct token_set *set, struct slice link)
{
	link.len = link.len < LINK_MAX ? link.len : LINK_MAX;
	const char *host = urls_host(set->arena, link);
	size_t colon = slice_find(link, ':', 0);
	if (host == NULL) {
		if (colon > 0 && colon <= 12 && colon < link.len) {
			token_add(set, "link scheme", slice_from(slice_dup_lower(set->arena, (struct slice){link.data, colon})));
		}
		return;
	}
	struct slice name = slice_from(host);
	bool address = ascii_is_digit(name.data[name.len - 1]) || strchr(host, ':') != NULL;
	if (address) {
		token_add(set, "link", SLICE_LITERAL("to an address"));
		token_add(set, "link host", name);
	} else {
		struct slice domain = token_domain(name);
		token_add(set, "link domain", domain);
		if (domain.len < name.len) {
			token_add(set, "link host", name);
		}
		token_add(set, "link top", slice_from(strrchr(host, '.') + 1));
	}
	size_t start = colon + 3 < link.len ? colon + 3 : link.len;
	while (start < link.len && strchr("/?#\\", link.data[start]) == NULL) {
		if (link.data[start] == '@' || link.data[start] == ':') {
			token_add(set, "link",
			          link.data[start] == '@' ? SLICE_LITERAL("with a user name") : SLICE_LITERAL("with a port"));
		}
		start++;
	}
	link_path(set, (struct slice){link.data + start, link.len - start});
}

void token_link(struct token_set *set, struct slice link)
{
	enum inspect_token_group before = token_group(set, INSPECT_GROUP_LINK);
	link_tokens(set, link);
	token_group(set, before);
}

/* ---- words ---- */

static void add_in(struct token_set *set, enum inspect_token_group group, const char *kind, struct slice text)
{
	enum inspect_token_group before = token_group(set, group);
	token_add(set, kind, text);
	token_group(set, before);
}

static void word_address(struct stream *stream, struct slice word, size_t at)
{
	struct slice host = {word.data + at + 1, word.len - at - 1};
	add_in(stream->set, INSPECT_GROUP_LINK, "address domain", token_domain(host));
	stream->last_but_one = stream->last;
	stream->last = SLICE_LITERAL("@");
}

/* Digits as "0": what numbers look like, not what they are. In place. */
static void word_number(struct stream *stream, struct token_word *word)
{
	for (size_t i = 0; i < word->text.len; i++) {
		if (ascii_is_digit(word->data[i])) {
			word->data[i] = '0';
		}
	}
	stream_word(stream, word->text);
}

static void word_out(struct stream *stream, struct token_word *word)
{
	static const char *const lengths[] = {"24 to 31", "32 to 63", "64 to 127", "128 to 255", "256 and more"};
	if (word->at > 0 && word->at + 1 < word->text.len) {
		word_address(stream, word->text, word->at);
	} else if (word->text.len > WORD_MAX) {
		size_t class = 0;
		for (size_t n = 32; class < 4 && word->text.len >= n; n *= 2) {
			class ++;
		}
		add_in(stream->set, INSPECT_GROUP_TRICK, "long word", slice_from(lengths[class]));
	} else if (word->digits > 0 && word->letters == 0) {
		word_number(stream, word);
	} else if (word->digits > CODE_DIGITS) {
		add_in(stream->set, INSPECT_GROUP_TRICK, "code", slice_from(lengths[0]));
	} else {
		stream_word(stream, word->text);
	}
	if (word->mixed) {
		add_in(stream->set, INSPECT_GROUP_TRICK, "trick", SLICE_LITERAL("letters of several alphabets in a word"));
	}
	if (word->invisible) {
		add_in(stream->set, INSPECT_GROUP_TRICK, "trick", SLICE_LITERAL("invisible characters in a word"));
	}
}

void token_text(struct token_set *set, const char *kind, struct slice text, size_t words_max)
{
	struct stream stream = {.set = set, .kind = kind};
	struct token_words words;
	struct token_word word;
	token_words_open(&words, set->arena, text);
	while (stream.words < words_max && token_words_next(&words, &word)) {
		if (word.link) {
			token_link(set, word.text);
		} else {
			word_out(&stream, &word);
		}
	}
}
