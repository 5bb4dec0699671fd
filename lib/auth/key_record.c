#include "lib/auth/key_record.h"

#include "lib/mail/taglist.h"

/* NULL: such a signature may use it. */
static const char *record_problem(struct arena *arena, const struct taglist *list, enum dkim_algorithm algorithm)
{
	const struct tag *version = taglist_find(list, "v");
	const struct tag *type = taglist_find(list, "k");
	const struct tag *service = taglist_find(list, "s");
	const struct tag *hashes = taglist_find(list, "h");
	const struct tag *data = taglist_find(list, "p");
	struct slice of_type = type == NULL ? SLICE_LITERAL("rsa") : tag_compact(arena, type->value);
	if (list->duplicate || list->malformed || list->truncated ||
	    (version != NULL && (version != list->tags || !slice_equal(version->value, SLICE_LITERAL("DKIM1"))))) {
		return "the key record is malformed";
	}
	if (data == NULL || tag_compact(arena, data->value).len == 0) {
		return "the key is revoked";
	}
	if (!slice_equal_nocase(of_type, slice_from(dkim_key_type(algorithm)))) {
		return "the key is of another type than a= says";
	}
	if (service != NULL && !tag_list_has(service->value, "*") && !tag_list_has(service->value, "email")) {
		return "the key is not for mail";
	}
	if (hashes != NULL && !tag_list_has(hashes->value, "sha256")) {
		return "the key is not for sha256";
	}
	return NULL;
}

struct dkim_public_key *key_record_open(struct arena *arena, struct slice text, enum dkim_algorithm algorithm,
                                        const char **problem_r)
{
	struct taglist list;
	struct slice bytes;
	taglist_parse(text, &list);
	*problem_r = record_problem(arena, &list, algorithm);
	if (*problem_r != NULL) {
		return NULL;
	}
	struct dkim_public_key *key = NULL;
	if (dkim_base64_decode(arena, tag_compact(arena, taglist_find(&list, "p")->value), &bytes)) {
		key = dkim_public_key_create(algorithm, bytes);
	}
	if (key == NULL) {
		*problem_r = "the key cannot be read";
	} else if (algorithm == DKIM_RSA_SHA256 && dkim_public_key_bits(key) < KEY_RECORD_BITS_MIN) {
		dkim_public_key_destroy(key);
		key = NULL;
		*problem_r = "the key is shorter than 1024 bits";
	}
	return key;
}
