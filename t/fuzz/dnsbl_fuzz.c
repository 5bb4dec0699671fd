/* A definition of a list, and its answers: the text up to the first NUL, then addresses of four bytes each. No key is
 * ever shown. */
#include "lib/dnsbl/dnsbl.h"
#include "t/fuzz/fuzz.h"

enum { ANSWERS_MAX = 8 };

static void check_answers(const struct dnsbl_list *list, struct slice bytes, struct arena *arena)
{
	struct dns_record records[ANSWERS_MAX] = {0};
	struct dns_answer answer = {.status = DNS_FOUND, .records = records};
	struct dnsbl_match match;
	for (; answer.count < ANSWERS_MAX && bytes.len >= 4; bytes.data += 4, bytes.len -= 4) {
		records[answer.count].address.family = IP_V4;
		memcpy(records[answer.count++].address.bytes, bytes.data, 4);
	}
	enum dnsbl_result result = dnsbl_judge(list, &answer, arena, &match);
	require((result == DNSBL_LISTED) == (match.code != NULL && match.problem == NULL && match.names != NULL));
	require((result == DNSBL_ERROR) == (match.problem != NULL));
	for (size_t i = 0; i < answer.count; i++) {
		const uint8_t *b = records[i].address.bytes;
		require(result != DNSBL_LISTED || (b[0] == 127 && !(b[1] == 255 && b[2] == 255)));
	}
}

static void check_list(const struct dnsbl_list *list, struct arena *arena)
{
	char name[DNS_MAX_NAME_TEXT];
	struct ip ip = {.family = IP_V6};
	require(list->code_count > 0 && list->code_count <= DNSBL_CODES_MAX && strlen(list->name) <= DNSBL_NAME_MAX);
	require(list->key == NULL || list->kind > DNSBL_DOMAIN || strcmp(list->zone, list->public_zone) != 0);
	dnsbl_test_name(list, true, name);
	dnsbl_test_name(list, false, name);
	if (dnsbl_address_name(list, &ip, name)) {
		require(strlen(name) <= 253);
	}
	dnsbl_domain_name(list, "spam.example", name);
	dnsbl_page(arena, list, "192.0.2.1");
	dnsbl_public(arena, list, name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_create(4096);
	size_t n = strnlen((const char *)data, size);
	const char *text = arena_memdup(arena, data, n);
	struct dnsbl_list list;
	dnsbl_text_public(arena, text);
	dnsbl_rule_check(arena, text);
	/* A key file is read: not by what a fuzzer says. */
	if (strstr(text, "key_file") == NULL && dnsbl_list_parse(arena, text, &list) == NULL) {
		struct slice rest = {(const char *)data + n, size - n};
		check_list(&list, arena);
		check_answers(&list, rest, arena);
	}
	arena_destroy(arena);
	return 0;
}
