/* The token of a release: what is read, what is refused, and what its MAC binds. */
#include "lib/store/release_token.h"
#include "t/tap.h"

#define MESSAGE "0123456789ABCDEF"
#define NONCE "00112233445566778899aabbccddeeff"
#define MAC "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct {
	const char *value;
	bool good;
	const char *why;
} cases[] = {
    {" 1 " MESSAGE "/0 " NONCE " 1800000000 once " MAC, true, "as it is written"},
    {"1 " MESSAGE "/3 " NONCE "\r\n\t1800000000 forced\n\t" MAC "\r\n", true, "folded"},
    {" 2 " MESSAGE "/0 " NONCE " 1800000000 once " MAC, false, "another version"},
    {" 1 " MESSAGE "/0 " NONCE " 1800000000 once", false, "no MAC"},
    {" 1 " MESSAGE "/0 " NONCE " 1800000000 once " MAC " x", false, "a word too many"},
    {" 1 " MESSAGE "/0 " NONCE " 1800000000 twice " MAC, false, "an unknown mode"},
    {" 1 " MESSAGE "/0 " NONCE " -1 once " MAC, false, "no time"},
    {" 1 " MESSAGE "/0 " NONCE " 99999999999 once " MAC, false, "a time beyond bounds"},
    {" 1 " MESSAGE " " NONCE " 1800000000 once " MAC, false, "no copy"},
    {" 1 " MESSAGE "/ " NONCE " 1800000000 once " MAC, false, "an empty copy"},
    {" 1 " MESSAGE "/1000001 " NONCE " 1800000000 once " MAC, false, "a copy beyond bounds"},
    {" 1 0123456789ABCDE/0 " NONCE " 1800000000 once " MAC, false, "an identifier that is too short"},
    {" 1 0123456789ABCDEFF/0 " NONCE " 1800000000 once " MAC, false, "too long"},
    {" 1 0123456789abcdef/0 " NONCE " 1800000000 once " MAC, false, "of small letters"},
    {" 1 " MESSAGE "/0 00112233445566778899AABBCCDDEEFF 1800000000 once " MAC, false, "a nonce in capitals"},
    {" 1 " MESSAGE "/0 " NONCE " 1800000000 once " MAC "0", false, "a MAC that is too long"},
    {"", false, "nothing"},
    {" \r\n\t", false, "blanks"},
};

/* On the heap at its exact size. */
static bool parse(const char *value, struct release_token *token_r)
{
	size_t n = strlen(value);
	char *exact = malloc(n == 0 ? 1 : n);
	memcpy(exact, value, n);
	bool good = release_token_parse((struct slice){exact, n}, token_r);
	free(exact);
	return good;
}

static void test_parse(void)
{
	struct release_token token;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ok(parse(cases[i].value, &token) == cases[i].good, "%s: %s", cases[i].why,
		   cases[i].good ? "is read" : "is refused");
	}
	parse(cases[1].value, &token);
	ok(strcmp(token.message, MESSAGE) == 0 && token.copy == 3 && strcmp(token.nonce, NONCE) == 0 &&
	       token.expires == 1800000000 && token.forced && strcmp(token.mac, MAC) == 0,
	   "every word is where it belongs");
}

static void test_mac(void)
{
	static const unsigned char key[RELEASE_KEY_SIZE] = "a key";
	static const unsigned char other_key[RELEASE_KEY_SIZE] = "another key";
	unsigned char digest[RELEASE_DIGEST_SIZE];
	unsigned char other_digest[RELEASE_DIGEST_SIZE];
	struct arena *arena = arena_create(4096);
	struct slice bob = slice_from("bob@dst.example");
	struct release_token token = {.message = MESSAGE, .copy = 1, .nonce = NONCE, .expires = 1800000000};
	struct release_token changed;
	release_token_digest(slice_from("message"), digest);
	release_token_digest(slice_from("messagf"), other_digest);
	release_token_sign(&token, key, bob, digest);
	ok(release_token_parse(slice_from(release_token_print(arena, &token)), &changed), "what is printed is read");
	ok(release_token_verify(&changed, key, bob, digest), "and holds");
	ok(!release_token_verify(&token, other_key, bob, digest), "not under another key");
	ok(!release_token_verify(&token, key, slice_from("Bob@dst.example"), digest), "not for another recipient");
	ok(!release_token_verify(&token, key, slice_from(""), digest), "not for none");
	ok(!release_token_verify(&token, key, bob, other_digest), "not with another message");
	changed = token;
	changed.copy = 2;
	ok(!release_token_verify(&changed, key, bob, digest), "not for another copy");
	changed = token;
	changed.expires++;
	ok(!release_token_verify(&changed, key, bob, digest), "not for longer");
	changed = token;
	changed.forced = true;
	ok(!release_token_verify(&changed, key, bob, digest), "not by force");
	changed = token;
	changed.nonce[0] = '1';
	ok(!release_token_verify(&changed, key, bob, digest), "not with another nonce");
	changed = token;
	changed.message[0] = '1';
	ok(!release_token_verify(&changed, key, bob, digest), "not for another message of the store");
	arena_destroy(arena);
}

static const struct {
	const char *message, *behind; /* NULL: no such field */
	const char *why;
} digests[] = {
    {"X-Mailreeve-Release: t\r\nFrom: a\r\n\r\nbody\r\n", "From: a\r\n\r\nbody\r\n", "the first field"},
    {"Received: x\r\n\ty\r\nx-mailreeve-release: t\r\n\tu\r\nFrom: a\r\n\r\nbody", "From: a\r\n\r\nbody",
     "relays put theirs in front; a fold"},
    {"X-Mailreeve-Release: t\r\nX-Mailreeve-Release: u\r\n\r\n", "X-Mailreeve-Release: u\r\n\r\n", "the first of two"},
    {"From: a\r\n\r\nX-Mailreeve-Release: t\r\n", NULL, "none in the header"},
    {"X-Mailreeve-Release: t", "", "and nothing else"},
    {"X-Mailreeve-Releases: t\r\n\r\n", NULL, "another name"},
    {"", NULL, "no message"},
};

static void test_digest(void)
{
	for (size_t i = 0; i < sizeof digests / sizeof *digests; i++) {
		unsigned char got[RELEASE_DIGEST_SIZE];
		unsigned char expected[RELEASE_DIGEST_SIZE];
		size_t n = strlen(digests[i].message);
		char *exact = malloc(n == 0 ? 1 : n);
		memcpy(exact, digests[i].message, n);
		bool found = release_token_digest_behind((struct slice){exact, n}, got);
		release_token_digest(slice_from(digests[i].behind), expected);
		ok(found == (digests[i].behind != NULL) && (!found || memcmp(got, expected, sizeof got) == 0), "digest: %s",
		   digests[i].why);
		free(exact);
	}
}

int main(void)
{
	test_parse();
	test_mac();
	test_digest();
	return done_testing();
}
