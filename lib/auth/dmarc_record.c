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

static bool policy_parse(const struct tag *tag, enum dmarc_policy *policy_r)
{
	for (enum dmarc_policy policy = DMARC_POLICY_NONE; tag != NULL && policy <= DMARC_POLICY_REJECT; policy++) {
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

/* Is there one URI that a report could be sent to? */
static bool has_report_uri(const struct tag *tag)
{
	struct slice uri;
	if (tag == NULL || tag->value.len == 0) {
		return false;
	}
	struct slice rest = tag->value;
	while (slice_split(&rest, ',', &uri)) {
		uri = slice_trim(uri);
		size_t colon = slice_find(uri, ':', 0);
		if (colon > 0 && colon + 1 < uri.len) {
			return true;
		}
	}
	return false;
}

static struct slice value_of(const struct tag *tag)
{
	return tag == NULL ? (struct slice){NULL, 0} : tag->value;
}

bool dmarc_record_parse(struct slice text, struct dmarc_record *record_r)
{
	struct taglist list;
	*record_r = (struct dmarc_record){.text = text};
	if (!version_first(text)) {
		return false;
	}
	taglist_parse(text, &list);
	if (list.malformed || list.truncated) {
		return false;
	}
	const struct tag *rua = taglist_find(&list, "rua");
	if (!policy_parse(taglist_find(&list, "p"), &record_r->p)) {
		if (!has_report_uri(rua)) {
			return false;
		}
		record_r->p = DMARC_POLICY_NONE;
	}
	if (!policy_parse(taglist_find(&list, "sp"), &record_r->sp)) {
		record_r->sp = record_r->p;
	}
	if (!policy_parse(taglist_find(&list, "np"), &record_r->np)) {
		record_r->np = record_r->sp;
	}
	const struct tag *psd = taglist_find(&list, "psd");
	record_r->psd = value_is(psd, 'y') ? DMARC_PSD_YES : value_is(psd, 'n') ? DMARC_PSD_NO : DMARC_PSD_UNKNOWN;
	record_r->adkim_strict = value_is(taglist_find(&list, "adkim"), 's');
	record_r->aspf_strict = value_is(taglist_find(&list, "aspf"), 's');
	record_r->testing = value_is(taglist_find(&list, "t"), 'y');
	record_r->rua = value_of(rua);
	record_r->ruf = value_of(taglist_find(&list, "ruf"));
	return true;
}
