#include "lib/mail/received_spf.h"

#include "lib/mail/domain.h"

/* A dot-atom as it stands, anything else quoted. `more`: another pair follows. */
static void add_pair(struct field *field, const char *key, const char *value, bool utf8, bool more)
{
	struct arena *arena = field->text.arena;
	const char *safe = field_is_dot_atom(slice_from(value), false) ? value : field_quoted(arena, value, utf8);
	field_word(field, arena_printf(arena, "%s=%s%s", key, safe, more ? ";" : ""));
}

/* Our name in US-ASCII where it is a domain. */
static const char *receiver_name(struct arena *arena, const char *receiver)
{
	const char *domain = domain_canonical(arena, slice_from(receiver));
	return domain != NULL ? domain : receiver;
}

const char *received_spf_write(struct arena *arena, const struct received_spf *record)
{
	struct field field;
	char client[IP_TEXT_SIZE];
	ip_format(record->client, client);
	field_begin(&field, arena, "Received-SPF", auth_result_name(record->result));
	if (record->comment != NULL) {
		field_comment(&field, record->comment);
	}
	field_line(&field, arena_printf(arena, "identity=%s;", record->identity));
	add_pair(&field, "client-ip", client, record->utf8, true);
	add_pair(&field, "helo", record->helo, record->utf8, true);
	add_pair(&field, "envelope-from", record->envelope_from, record->utf8, true);
	if (record->mechanism != NULL) {
		add_pair(&field, "mechanism", record->mechanism, record->utf8, true);
	}
	if (record->problem != NULL) {
		add_pair(&field, "problem", record->problem, record->utf8, true);
	}
	add_pair(&field, "receiver", receiver_name(arena, record->receiver), record->utf8, false);
	return field.text.data;
}

static bool is_name_byte(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == '_' || c == '.';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A name that is there, and might be ours. */
static bool names(struct slice text, const char *receiver)
{
	return slice_trim(text).len > 0 && authres_claims(text, receiver);
}

/* "(mx.example: domain of ..." */
static bool comment_names(struct slice value, const char *receiver)
{
	size_t open = slice_find(value, '(', 0);
	size_t colon = slice_find(value, ':', open);
	return open < value.len && colon < value.len &&
	       names((struct slice){value.data + open + 1, colon - open - 1}, receiver);
}

/* What stands behind "=" at or behind `at`, up to the next ";"; false when no "=" stands there. */
static bool value_behind(struct slice value, size_t at, struct slice *text_r)
{
	while (at < value.len && is_blank(value.data[at])) {
		at++;
	}
	if (at == value.len || value.data[at] != '=') {
		return false;
	}
	*text_r = (struct slice){value.data + at + 1, slice_find(value, ';', at + 1) - at - 1};
	return true;
}

bool received_spf_claims(struct slice value, const char *receiver)
{
	static const struct slice key = {"receiver", 8};
	struct slice text;
	if (comment_names(value, receiver)) {
		return true;
	}
	for (size_t at = 0; at + key.len <= value.len; at++) {
		if ((at == 0 || !is_name_byte(value.data[at - 1])) &&
		    slice_starts_nocase((struct slice){value.data + at, value.len - at}, key) &&
		    value_behind(value, at + key.len, &text) && names(text, receiver)) {
			return true;
		}
	}
	return false;
}
