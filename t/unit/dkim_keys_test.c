/* DKIM keys: which names a message's signatures ask for, and what may be a key of what is there. */
#include "lib/auth/dkim_keys.h"
#include "t/late_lookups.h"
#include "t/tap.h"

#include <unistd.h>

static const struct header_limits limits = {100, 100000};

static const char *status_name(enum dkim_key_status status)
{
	switch (status) {
	case DKIM_KEY_FOUND:
		return "found";
	case DKIM_KEY_ABSENT:
		return "absent";
	case DKIM_KEY_TEMPORARY:
		return "temporary";
	case DKIM_KEY_TOO_LONG:
		return "too long";
	case DKIM_KEY_AMBIGUOUS:
		return "ambiguous";
	case DKIM_KEY_UNUSABLE:
		return "unusable";
	case DKIM_KEY_HEADER_CUT:
		return "cut";
	}
	return NULL;
}

static void add_signature(struct headers *headers, struct arena *arena, const char *value)
{
	size_t n = strlen(value);
	char *heap = malloc(n == 0 ? 1 : n);
	memcpy(heap, value, n);
	headers_add(headers, arena, &limits, SLICE_LITERAL("dkim-signature"), (struct slice){heap, n});
	free(heap);
}

static void test_collect(void)
{
	static const struct {
		const char *signature;
		const char *name; /* "" : unusable */
	} rows[] = {
	    {" v=1; d=example.com; s=sel; b=AA==", "sel._domainkey.example.com"},
	    {" d=EXAMPLE.Com; s=Sel.Sub;", "sel.sub._domainkey.example.com"},
	    {" d=exa\r\n mple.com;\r\n\ts = s\r\n el", "sel._domainkey.example.com"},
	    {" d=example.com; s=sel; q=dns/txt", "sel._domainkey.example.com"},
	    {" d=example.com; s=sel; q=other : DNS/TXT", "sel._domainkey.example.com"},
	    {" d=b\xc3\xbc"
	     "cher.example; s=sel",
	     "sel._domainkey.xn--bcher-kva.example"},
	    {" d=example.com; s=sel; q=http", ""},
	    {" d=example.com; s=sel; q=", ""},
	    {" d=example.com", ""},
	    {" s=sel", ""},
	    {" d=; s=sel", ""},
	    {" d=example.com; s=", ""},
	    {" d=example.com; s=../sel", ""},
	    {" d=exa..mple; s=sel", ""},
	    {" d=example.com; s=sel; d=evil.example", ""},
	    {" d=example.com; s=sel; nonsense", ""},
	    {" d=b\xc3\xbc"
	     "cher.example; s=s\xc3\xbc"
	     "ch",
	     "xn--sch-hoa._domainkey.xn--bcher-kva.example"},
	    {" d=B\r\n U\xcc\x88"
	     "CHER.example; s=sel",
	     "sel._domainkey.xn--bcher-kva.example"},
	    {" d=b\xfc"
	     "cher.example; s=sel",
	     ""},
	    {" d=example.com; s=a\xe2\x80\x8d"
	     "b",
	     ""},
	    {"", ""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena *arena = arena_create(1024);
		struct headers headers = {.items = NULL};
		struct dkim_keys keys;
		add_signature(&headers, arena, rows[i].signature);
		dkim_keys_collect(arena, &headers, DKIM_MAX_SIGNATURES, &keys);
		is_int((long long)keys.count, 1, "one signature");
		is_text(keys.items[0].name, rows[i].name, text_escape(arena, slice_from(rows[i].signature), "", false, 200));
		ok((keys.items[0].status == DKIM_KEY_UNUSABLE) == (rows[i].name[0] == '\0'), "unusable is told");
		arena_destroy(arena);
	}
}

static void test_bounds(void)
{
	struct arena *arena = arena_create(1024);
	struct headers headers = {.items = NULL};
	struct dkim_keys keys;
	struct strbuf long_text;
	char label[64] = {0};
	memset(label, 'a', 63);
	strbuf_init(&long_text, arena);
	strbuf_printf(&long_text, "d=x.example; s=%s.%s.%s.aaaaaaaaaa", label, label, label);
	add_signature(&headers, arena, long_text.data);
	strbuf_init(&long_text, arena);
	strbuf_add_text(&long_text, "d=x.example; s=s; b=");
	for (size_t i = 0; i < 300; i++) {
		strbuf_add_text(&long_text, label);
	}
	add_signature(&headers, arena, long_text.data);
	for (size_t i = 0; i < DKIM_MAX_SIGNATURES; i++) {
		add_signature(&headers, arena, arena_printf(arena, "d=d%zu.example; s=s", i));
	}
	dkim_keys_collect(arena, &headers, DKIM_MAX_SIGNATURES, &keys);
	is_int((long long)keys.count, DKIM_MAX_SIGNATURES, "no more signatures than the bound");
	is_int((long long)keys.ignored, 2, "the others are counted");
	is_int(keys.items[0].status, DKIM_KEY_UNUSABLE, "a selector that is too long");
	is_int(keys.items[1].status, DKIM_KEY_UNUSABLE, "a signature that is too long");
	is_text(keys.items[2].domain, "d0.example", "from the top");
	arena_destroy(arena);
}

static const char *make_zone(struct arena *arena)
{
	struct strbuf zone;
	strbuf_init(&zone, arena);
	strbuf_add_text(&zone, "plain._domainkey.x.example. TXT \"v=DKIM1; k=rsa; p=AAAA\"\n"
	                       "joined._domainkey.x.example. TXT \"p=AA\" \"AA\"\n"
	                       "revoked._domainkey.x.example. TXT \"v=DKIM1; p=\"\n"
	                       "alias._domainkey.x.example. CNAME plain._domainkey.x.example.\n"
	                       "two._domainkey.x.example. TXT \"p=AAAA\"\n"
	                       "two._domainkey.x.example. TXT \"v=DKIM1; p=BBBB\"\n"
	                       "mixed._domainkey.x.example. TXT \"v=spf1 -all\"\n"
	                       "mixed._domainkey.x.example. TXT \"v=DMARC1; p=reject\"\n"
	                       "mixed._domainkey.x.example. TXT \"p=AAAA\"\n"
	                       "dmarc._domainkey.x.example. TXT \"v=DMARC1; p=reject\"\n"
	                       "dkim2._domainkey.x.example. TXT \"v=DKIM2; p=AAAA\"\n"
	                       "text._domainkey.x.example. TXT \"hello\"\n"
	                       "address._domainkey.x.example. A 192.0.2.1\n"
	                       "$SERVFAIL broken._domainkey.x.example TXT\n");
	for (size_t size = DKIM_MAX_KEY; size <= DKIM_MAX_KEY + 1; size++) {
		strbuf_printf(&zone, "k%zu._domainkey.x.example. TXT \"p=\"", size);
		for (size_t have = 2; have < size; have++) {
			strbuf_add_text(&zone, (have - 2) % 200 == 0 ? (have == 2 ? " \"A" : "\" \"A") : "A");
		}
		strbuf_add_text(&zone, "\"\n");
	}
	return late_write_zone(zone.data);
}

static void run_resolve(const char *path, const char *selector, const char *expected, bool late)
{
	struct arena *arena = arena_create(1024);
	struct lookups *lookups = late_create(path, late);
	struct headers headers = {.items = NULL};
	struct dkim_keys keys;
	int rounds = 0;
	add_signature(&headers, arena, arena_printf(arena, "d=x.example; s=%s", selector));
	add_signature(&headers, arena, "d=x.example; s=plain");
	dkim_keys_collect(arena, &headers, DKIM_MAX_SIGNATURES, &keys);
	while (!dkim_keys_resolve(&keys, lookups) && rounds < 5) {
		late_round(lookups);
		rounds++;
	}
	is_int(rounds, late ? 1 : 0, "both are asked at once");
	const struct dkim_key *key = &keys.items[0];
	const char *got = status_name(key->status);
	if (key->status == DKIM_KEY_FOUND && key->text.len < 100) {
		got = slice_dup(arena, key->text);
	}
	is_text(got, expected, arena_printf(arena, "%s%s", selector, late ? ", late" : ""));
	is_text(status_name(keys.items[1].status), "found", "the other signature has its own key");
	late_destroy(lookups);
	arena_destroy(arena);
}

static void test_resolve(void)
{
	static const struct {
		const char *selector, *expected; /* the text of the key, or what is wrong */
	} rows[] = {
	    {"plain", "v=DKIM1; k=rsa; p=AAAA"},
	    {"joined", "p=AAAA"},
	    {"revoked", "v=DKIM1; p="},
	    {"alias", "v=DKIM1; k=rsa; p=AAAA"},
	    {"two", "ambiguous"},
	    {"mixed", "p=AAAA"},
	    {"dmarc", "absent"},
	    {"dkim2", "absent"},
	    {"text", "absent"},
	    {"address", "absent"},
	    {"nothing", "absent"},
	    {"broken", "temporary"},
	    {"k3072", "found"},
	    {"k3073", "too long"},
	};
	struct arena *arena = arena_create(1024);
	const char *path = make_zone(arena);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		run_resolve(path, rows[i].selector, rows[i].expected, false);
		run_resolve(path, rows[i].selector, rows[i].expected, true);
	}
	unlink(path);
	arena_destroy(arena);
}

int main(void)
{
	test_collect();
	test_bounds();
	test_resolve();
	return done_testing();
}
