#include "lib/auth/dmarc_record.h"
#include "lib/mail/taglist.h"
#include "t/fuzz/fuzz.h"

#include <stdlib.h>

static bool inside(struct slice text, struct slice part)
{
	return part.len == 0 || (part.data >= text.data && part.data + part.len <= text.data + text.len);
}

static bool is_policy(enum dmarc_policy policy)
{
	return policy <= DMARC_POLICY_REJECT && dmarc_policy_name(policy) != NULL;
}

/* What the tree walk and the judgement rely on. */
static void check_record(struct slice text, const struct dmarc_record *record)
{
	require(text.len >= 8 && text.data[0] == 'v');
	require(slice_equal(record->text, text) && inside(text, record->rua) && inside(text, record->ruf));
	require(is_policy(record->p) && is_policy(record->sp) && is_policy(record->np));
	require(record->has_sp || record->sp == record->p);
	require(record->has_np || record->np == record->sp);
	require(record->usable || (record->p == DMARC_POLICY_NONE && record->np == DMARC_POLICY_NONE));
}

/* A tag that nobody knows changes nothing, wherever the text ended. */
static void check_unknown_tag(struct slice text, const struct dmarc_record *record)
{
	static const char tag[] = "; zz=reject";
	size_t n = text.len + sizeof tag - 1;
	char *longer = malloc(n);
	struct dmarc_record again;
	memcpy(longer, text.data, text.len);
	memcpy(longer + text.len, tag, sizeof tag - 1);
	require(dmarc_record_parse((struct slice){longer, n}, &again));
	require(again.p == record->p && again.sp == record->sp && again.np == record->np && again.psd == record->psd);
	require(again.usable == record->usable && again.testing == record->testing);
	free(longer);
}

/* pct, rf and ri are passed over like any unknown tag; a tag given twice does not undo the first. */
static void check_doubles(struct slice text, const struct dmarc_record *record)
{
	static const char tags[] = ";pct=0;rf=x;ri=1;p=none;sp=none;np=none;t=n;psd=u";
	struct arena *arena = arena_create(4096);
	struct dmarc_record again;
	struct taglist list;
	taglist_parse(text, &list);
	if (taglist_find(&list, "p") != NULL && taglist_find(&list, "sp") != NULL && taglist_find(&list, "np") != NULL) {
		struct strbuf longer;
		strbuf_init(&longer, arena);
		strbuf_add_slice(&longer, text);
		strbuf_add_text(&longer, tags);
		require(dmarc_record_parse((struct slice){longer.data, longer.len}, &again));
		require(again.p == record->p && again.sp == record->sp && again.np == record->np);
		require(again.usable == record->usable);
	}
	arena_destroy(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data, size};
	struct dmarc_record record;
	if (dmarc_record_parse(text, &record)) {
		check_record(text, &record);
		check_unknown_tag(text, &record);
		check_doubles(text, &record);
	}
	return 0;
}
