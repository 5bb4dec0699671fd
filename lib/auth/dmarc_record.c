#include "lib/auth/dmarc_record.h"

#include "lib/mail/taglist.h"

const char *dmarc_policy_name(enum dmarc_policy policy)
{
	switch (policy) {
	case DMARC_POLICY_NONE:
		return "none";
	case DMARC_POLICY_QUARANTINE:
		return "quarantine";
	case DMARC_POLICY_REJECT:
		return "reject";
	}
	return NULL;
}

/* "v" *WSP "=" *WSP %s"DMARC1" and then a separator or the end. */
static bool version_first(struct slice text)
{
	struct slice first = {text.data, slice_find(text, ';', 0)};
	size_t equals = slice_find(first, '=', 0);
	if (equals == first.len || first.len == 0 || first.data[0] != 'v') {
		return false;
	}
	struct slice name = slice_trim((struct slice){first.data, equals});
	struct slice value = slice_trim((struct slice){first.data + equals + 1, first.len - equals - 1});
	return slice_equal(name, SLICE_LITERAL("v")) && slice_equal(value, SLICE_LITERAL("DMARC1"));
}

/* A policy tag that is there, read; false when its value is none of the three. */
static bool policy_parse(const struct tag *tag, enum dmarc_policy *policy_r)
{
	for (enum dmarc_policy policy = DMARC_POLICY_NONE; policy <= DMARC_POLICY_REJECT; policy++) {
		if (slice_equal_nocase(tag->value, slice_from(dmarc_policy_name(policy)))) {
			*policy_r = policy;
			return true;
		}
	}
	return false;
}

static bool value_is(const struct tag *tag, char letter)
{
	return tag != NULL && tag->value.len == 1 && ascii_lower(tag->value.data[0]) == letter;
}

/* "scheme:something" (RFC 3986 3); what follows the colon is for him to judge who sends the report. */
static bool is_uri(struct slice text)
{
	size_t colon = slice_find(text, ':', 0);
	if (colon == 0 || colon + 1 >= text.len || !ascii_is_alpha(text.data[0])) {
		return false;
	}
	for (size_t i = 1; i < colon; i++) {
		char c = text.data[i];
		if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '+' && c != '-' && c != '.') {
			return false;
		}
	}
	return true;
}

/* Is there one URI that a report could be sent to? */
static bool has_report_uri(const struct tag *tag)
{
	struct slice uri;
	if (tag == NULL || tag->value.len == 0) {
		return false;
	}
	struct slice rest = tag->value;
	while (slice_split(&rest, ',', &uri)) {
		if (is_uri(slice_trim(uri))) {
			return true;
		}
	}
	return false;
}

static struct slice value_of(const struct tag *tag)
{
	return tag == NULL ? (struct slice){NULL, 0} : tag->value;
}

/* p, sp and np. Where one of them is not valid, the record stands for p=none if somebody wants reports, else for
 * nothing at all (4.10.1); p= that is not there is p=none (4.7). */
static void policies_parse(const struct taglist *list, struct dmarc_record *record)
{
	const struct tag *p = taglist_find(list, "p");
	const struct tag *sp = taglist_find(list, "sp");
	const struct tag *np = taglist_find(list, "np");
	record->has_sp = sp != NULL;
	record->has_np = np != NULL;
	record->usable = true;
	if ((p != NULL && !policy_parse(p, &record->p)) || (sp != NULL && !policy_parse(sp, &record->sp)) ||
	    (np != NULL && !policy_parse(np, &record->np))) {
		record->usable = has_report_uri(taglist_find(list, "rua"));
		record->p = record->sp = record->np = DMARC_POLICY_NONE;
		record->has_sp = record->has_np = false;
		return;
	}
	record->sp = record->has_sp ? record->sp : record->p;
	record->np = record->has_np ? record->np : record->sp;
}

bool dmarc_record_parse(struct slice text, struct dmarc_record *record_r)
{
	struct taglist list;
	*record_r = (struct dmarc_record){.text = text};
	if (!version_first(text)) {
		return false;
	}
	taglist_parse(text, &list); /* what is no tag is passed over (4.8) */
	policies_parse(&list, record_r);
	const struct tag *psd = taglist_find(&list, "psd");
	record_r->psd = value_is(psd, 'y') ? DMARC_PSD_YES : value_is(psd, 'n') ? DMARC_PSD_NO : DMARC_PSD_UNKNOWN;
	record_r->adkim_strict = value_is(taglist_find(&list, "adkim"), 's');
	record_r->aspf_strict = value_is(taglist_find(&list, "aspf"), 's');
	record_r->testing = value_is(taglist_find(&list, "t"), 'y');
	record_r->rua = value_of(taglist_find(&list, "rua"));
	record_r->ruf = value_of(taglist_find(&list, "ruf"));
	record_r->fo = value_of(taglist_find(&list, "fo"));
	return true;
}
