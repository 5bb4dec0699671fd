#include "ctl/key_record.h"

#include "lib/auth/dkim_keys.h"
#include "lib/mail/taglist.h"

enum { STRING_MAX = 255, STRING_WIDTH = 200, TTL = 3600 };

const char *key_record_text(const struct dkim_private_key *key, struct arena *arena)
{
	return arena_printf(arena, "v=DKIM1; k=%s; p=%s", dkim_key_type(dkim_private_key_algorithm(key)),
	                    dkim_private_key_public(key, arena));
}

const char *key_record_name(const struct key_name *name, struct arena *arena)
{
	return arena_printf(arena, "%s._domainkey.%s", name->selector, name->domain);
}

void key_record_print(const struct keystore_key *item, struct arena *arena, FILE *out)
{
	const char *text = key_record_text(item->key, arena);
	size_t length = strlen(text);
	fprintf(out, "%s. %d IN TXT %s", key_record_name(&item->name, arena), TTL, length > STRING_MAX ? "( " : "");
	for (size_t at = 0; at < length; at += STRING_WIDTH) {
		fprintf(out, "%s\"%.*s\"", at == 0 ? "" : "\n    ", STRING_WIDTH, text + at);
		if (length <= STRING_MAX) {
			break;
		}
	}
	fprintf(out, "%s\n", length > STRING_MAX ? " )" : "");
	fprintf(out, "\nIn a web form: type TXT, name %s._domainkey (below %s), value\n\n%s\n", item->name.selector,
	        item->name.domain, text);
}

/* Does the published key verify what ours signs? Then it is the same, however it is encoded. */
static bool goes_with(const struct dkim_private_key *key, struct slice bytes, struct arena *arena)
{
	const struct slice text = SLICE_LITERAL("is this the key?");
	struct slice signature;
	struct dkim_public_key *published = dkim_public_key_create(dkim_private_key_algorithm(key), bytes);
	const char *ours = published == NULL ? NULL : dkim_private_key_sign(key, text, arena);
	bool good = ours != NULL && dkim_base64_decode(arena, slice_from(ours), &signature) &&
	            dkim_public_key_verify(published, text, signature);
	dkim_public_key_destroy(published);
	return good;
}

const char *key_record_problem(const struct dkim_private_key *key, struct slice text, struct arena *arena,
                               bool *testing_r)
{
	struct taglist list;
	struct slice bytes;
	taglist_parse(text, &list);
	const struct tag *version = taglist_find(&list, "v");
	const struct tag *type = taglist_find(&list, "k");
	const struct tag *hashes = taglist_find(&list, "h");
	const struct tag *service = taglist_find(&list, "s");
	const struct tag *flags = taglist_find(&list, "t");
	const struct tag *data = taglist_find(&list, "p");
	struct slice key_name = type == NULL ? SLICE_LITERAL("rsa") : tag_compact(arena, type->value);
	const char *wanted = dkim_key_type(dkim_private_key_algorithm(key));
	*testing_r = flags != NULL && tag_list_has(flags->value, "y");
	if (list.duplicate || list.malformed || list.truncated) {
		return "the record is malformed";
	}
	if (version != NULL && (version != &list.tags[0] || !slice_equal(version->value, SLICE_LITERAL("DKIM1")))) {
		return "v= is not DKIM1, or does not stand first";
	}
	if (data == NULL) {
		return "the record has no p=";
	}
	if (data->value.len == 0) {
		return "the record is revoked: its p= is empty";
	}
	if (!slice_equal_nocase(key_name, slice_from(wanted))) {
		return arena_printf(arena, "k= is not %s", wanted);
	}
	if (hashes != NULL && !tag_list_has(hashes->value, "sha256")) {
		return "h= does not allow sha256";
	}
	if (service != NULL && !tag_list_has(service->value, "*") && !tag_list_has(service->value, "email")) {
		return "s= does not allow email";
	}
	if (!dkim_base64_decode(arena, tag_compact(arena, data->value), &bytes)) {
		return "p= is no base64 (cut off, or a string is missing?)";
	}
	return goes_with(key, bytes, arena) ? NULL : "p= is another key";
}

static const struct dns_answer *ask(struct lookups *lookups, const char *name, uint64_t deadline)
{
	const struct dns_answer *answer;
	while ((answer = lookups_get(lookups, name, DNS_TYPE_TXT)) == NULL) {
		if (!lookups_wait(lookups, deadline)) {
			lookups_expire(lookups, "no answer");
		}
	}
	return answer;
}

/* The one record of an answer, or what is wrong with it. */
static const char *answer_problem(const struct dns_answer *answer, struct arena *arena)
{
	switch (answer->status) {
	case DNS_FOUND:
		break;
	case DNS_NODATA:
		return "not there: the name has no TXT record";
	case DNS_NXDOMAIN:
		return "not there";
	case DNS_TEMPORARY:
		return arena_printf(arena, "the DNS gives no answer: %s", answer->problem);
	}
	if (answer->count > 1) {
		return arena_printf(arena, "%zu TXT records at the name; verifiers take any of them", answer->count);
	}
	if (answer->records[0].data.len > DKIM_MAX_KEY) {
		return arena_printf(arena, "the record has %zu bytes; verifiers may take no more than %d",
		                    answer->records[0].data.len, DKIM_MAX_KEY);
	}
	return NULL;
}

void key_record_check(const struct keystore_key *item, struct lookups *lookups, uint64_t deadline, struct arena *arena,
                      struct key_publication *publication_r)
{
	bool testing = false;
	const struct dns_answer *answer = ask(lookups, key_record_name(&item->name, arena), deadline);
	const char *problem = answer_problem(answer, arena);
	if (problem == NULL) {
		problem = key_record_problem(item->key, answer->records[0].data, arena, &testing);
	}
	publication_r->published = problem == NULL;
	publication_r->text = problem;
	if (problem == NULL) {
		publication_r->text =
		    arena_printf(arena, "published%s, TTL %u s", testing ? " (t=y: only a test)" : "", (unsigned)answer->ttl);
	}
}
