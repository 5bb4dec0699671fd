#include "inspect/token_bogofilter.h"

enum { WORD_MAX = 24, DIGITS_MAX = 2 }; /* as in token_text.c */

/* A word in its normal form as token_word.c finds it: small letters, no digits beyond two, nothing at its ends. */
static bool normal_word(struct slice word, char *text_r)
{
	size_t letters = 0;
	size_t digits = 0;
	if (word.len == 0 || word.len > WORD_MAX) {
		return false;
	}
	for (size_t i = 0; i < word.len; i++) {
		char c = ascii_lower(word.data[i]);
		bool is_letter = ascii_is_alpha(c);
		bool is_digit = ascii_is_digit(c);
		bool inside = i > 0 && i + 1 < word.len && c != '\0' && strchr(".-'_,+", c) != NULL;
		if (!is_letter && !is_digit && !inside) {
			return false;
		}
		letters += is_letter;
		digits += is_digit;
		text_r[i] = c;
	}
	return letters > 0 && digits <= DIGITS_MAX;
}

bool token_from_bogofilter(struct slice word, uint64_t *token_r)
{
	static const struct {
		const char *prefix, *kind;
		enum inspect_token_group group;
	} fields[] = {
	    {"subj:", "subject", INSPECT_GROUP_SUBJECT},
	    {"from:", "from name", INSPECT_GROUP_FROM},
	    {"to:", "to", INSPECT_GROUP_WAY},
	    {"", "", INSPECT_GROUP_TEXT},
	};
	char text[WORD_MAX];
	size_t i = 0;
	while (!slice_starts_nocase(word, slice_from(fields[i].prefix))) {
		i++;
	}
	size_t skip = strlen(fields[i].prefix);
	struct slice rest = {word.data + skip, word.len - skip};
	if (!normal_word(rest, text)) {
		return false;
	}
	*token_r = token_of(fields[i].group, fields[i].kind, (struct slice){text, rest.len});
	return true;
}
