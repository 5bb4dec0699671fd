/* DKIM: keys at the selectors that are given and at the usual ones (RFC 6376 3.6, RFC 8301, RFC 8463). */
#include "lib/audit/audit_private.h"
#include "lib/auth/dkim_crypto.h"

enum { BITS_MIN = 1024, BITS_ADVISED = 2048, BITS_MAX = 4096 };

static const char *const common[] = {
    "default", "dkim",    "mail",    "selector1", "selector2", "google", "s1",     "s2",   "k1",   "k2",    "k3",
    "key1",    "key2",    "fm1",     "fm2",       "fm3",       "smtp",   "mx",     "email", "dkim1", "sig1", "20230601",
    "protonmail", "zoho", "mandrill", "mailjet", "pm", "everlytickey1", "cm", "scph0",
};
enum { COMMON = sizeof common / sizeof *common };

/* No label that anybody has: what answers it answers all. */
#define NOBODY "mailreeve-no-such-selector"

struct keys {
	size_t rsa, ed25519, revoked;
};

static void check_rsa(struct audit_run *run, const char *name, unsigned bits)
{
	if (bits < BITS_MIN) {
		audit_find(run, "dkim.weak", NULL, "%s: %u bits", name, bits);
	} else if (bits < BITS_ADVISED) {
		audit_find(run, "dkim.short", NULL, "%s: %u bits", name, bits);
	} else if (bits > BITS_MAX) {
		audit_find(run, "dkim.too_large", NULL, "%s: %u bits", name, bits);
	}
}

static void check_key(struct audit_run *run, const char *name, const struct tag *data, bool ed25519, struct keys *keys)
{
	struct slice bytes;
	struct dkim_public_key *key = NULL;
	if (dkim_base64_decode(run->arena, tag_compact(run->arena, data->value), &bytes)) {
		key = dkim_public_key_create(ed25519 ? DKIM_ED25519_SHA256 : DKIM_RSA_SHA256, bytes);
	}
	if (key == NULL) {
		audit_find(run, "dkim.bad_key", NULL, "%s: p= is no %s key", name, ed25519 ? "ed25519" : "RSA");
		return;
	}
	unsigned bits = dkim_public_key_bits(key);
	dkim_public_key_destroy(key);
	if (ed25519) {
		keys->ed25519++;
		audit_line(run, AUDIT_DKIM, "%s: ed25519", name);
	} else {
		keys->rsa++;
		audit_line(run, AUDIT_DKIM, "%s: RSA, %u bits", name, bits);
		check_rsa(run, name, bits);
	}
	run->audit->dkim_usable = true;
}

/* The record without the tags that harm. */
static const char *without(struct audit_run *run, const char *query, const struct taglist *list, const char *tag)
{
	struct strbuf text;
	strbuf_init(&text, run->arena);
	for (size_t i = 0; i < list->count; i++) {
		if (!slice_equal(list->tags[i].name, slice_from(tag))) {
			struct slice value = tag_compact(run->arena, list->tags[i].value);
			strbuf_printf(&text, "%s%.*s=%.*s", text.len == 0 ? "" : "; ", SLICE_ARGS(list->tags[i].name), SLICE_ARGS(value));
		}
	}
	return slice_is_ascii((struct slice){text.data, text.len}) && text.len > 0 ? audit_txt_record(run, query, text.data) : NULL;
}

static void check_tags(struct audit_run *run, const char *query, const char *name, const struct taglist *list)
{
	const struct tag *flags = taglist_find(list, "t");
	const struct tag *hashes = taglist_find(list, "h");
	const struct tag *service = taglist_find(list, "s");
	if (flags != NULL && tag_list_has(flags->value, "y")) {
		audit_find(run, "dkim.testing", without(run, query, list, "t"), "%s: t=y", name);
	}
	if (hashes != NULL && !tag_list_has(hashes->value, "sha256")) {
		audit_find(run, "dkim.sha1_only", without(run, query, list, "h"), "%s: h=%s", name, audit_safe(run, hashes->value));
	}
	if (service != NULL && !tag_list_has(service->value, "*") && !tag_list_has(service->value, "email")) {
		audit_find(run, "dkim.not_mail", without(run, query, list, "s"), "%s: s=%s", name, audit_safe(run, service->value));
	}
	if (taglist_find(list, "g") != NULL) {
		audit_find(run, "dkim.old_tag", without(run, query, list, "g"), "%s: g=", name);
	}
}

static void check_record(struct audit_run *run, const char *query, const char *name, struct slice text, bool given, struct keys *keys)
{
	struct taglist list;
	taglist_parse(text, &list);
	const struct tag *version = taglist_find(&list, "v");
	const struct tag *type = taglist_find(&list, "k");
	const struct tag *data = taglist_find(&list, "p");
	if (list.malformed || list.duplicate || list.truncated || data == NULL ||
	    (version != NULL && (version != list.tags || !slice_equal(version->value, SLICE_LITERAL("DKIM1"))))) {
		audit_find(run, "dkim.malformed", NULL, "%s: \"%s\"", name, text_escape(run->arena, text, "", false, 80));
		return;
	}
	if (tag_compact(run->arena, data->value).len == 0) {
		keys->revoked++;
		audit_line(run, AUDIT_DKIM, "%s: revoked", name);
		if (given) {
			audit_find(run, "dkim.revoked", NULL, "%s: p= is empty", name);
		}
		return;
	}
	struct slice of_type = type == NULL ? SLICE_LITERAL("rsa") : tag_compact(run->arena, type->value);
	bool ed25519 = slice_equal_nocase(of_type, SLICE_LITERAL("ed25519"));
	check_tags(run, query, name, &list);
	if (!ed25519 && !slice_equal_nocase(of_type, SLICE_LITERAL("rsa"))) {
		audit_find(run, "dkim.unknown_type", NULL, "%s: k=%s", name, audit_safe(run, of_type));
		return;
	}
	check_key(run, name, data, ed25519, keys);
}

/* Is the selector an alias of a name without a key? */
static bool check_alias(struct audit_run *run, const char *query, const char *name)
{
	const struct dns_answer *alias = audit_ask(run, "dkim.dns", query, DNS_TYPE_CNAME);
	if (alias == NULL || alias->count == 0) {
		return false;
	}
	audit_find(run, "dkim.dangling", NULL, "%s is an alias of %s, where there is no key", name,
	           audit_safe(run, alias->records[0].data));
	return true;
}

static void check_selector(struct audit_run *run, const char *selector, bool given, bool wildcard, struct keys *keys)
{
	const char *query = arena_printf(run->arena, "%s._domainkey.%s", selector, run->domain);
	const char *name = audit_safe(run, slice_from(selector));
	const struct dns_answer *answer = audit_ask(run, "dkim.dns", query, DNS_TYPE_TXT);
	if (answer == NULL || (wildcard && !given)) {
		return;
	}
	if (answer->count == 0) {
		if (!check_alias(run, query, name) && given) {
			audit_find(run, "dkim.selector_missing", NULL, "%s: no key at %s", name, audit_safe(run, slice_from(query)));
		}
		return;
	}
	if (answer->count > 1) {
		audit_find(run, "dkim.many_records", NULL, "%s: %zu records", name, answer->count);
	}
	for (size_t i = 0; i < answer->count; i++) {
		check_record(run, query, name, answer->records[i].data, given, keys);
	}
}

static bool is_revoked(struct audit_run *run, struct slice text)
{
	struct taglist list;
	taglist_parse(text, &list);
	const struct tag *data = taglist_find(&list, "p");
	return data != NULL && tag_compact(run->arena, data->value).len == 0;
}

/* A wildcard with an empty key is what a domain publishes that signs nothing. */
static bool check_wildcard(struct audit_run *run)
{
	const char *query = arena_printf(run->arena, NOBODY "._domainkey.%s", run->domain);
	const struct dns_answer *answer = audit_ask(run, "dkim.dns", query, DNS_TYPE_TXT);
	if (answer == NULL || answer->count == 0) {
		return false;
	}
	if (answer->count == 1 && is_revoked(run, answer->records[0].data)) {
		audit_line(run, AUDIT_DKIM, "every selector is revoked: the domain signs nothing");
	} else {
		audit_find(run, "dkim.wildcard", arena_printf(run->arena, "*._domainkey.%s. 3600 IN TXT \"v=DKIM1; p=\"", run->domain),
		           "*._domainkey.%s: \"%s\"", run->domain, text_escape(run->arena, answer->records[0].data, "", false, 80));
	}
	return true;
}

/* Both were judged before; only now is known whether anything passes. */
static void check_enforced(struct audit_run *run, size_t found)
{
	if (run->audit->dmarc_enforced && !run->audit->spf_usable && !run->audit->sends_nothing && !run->audit->null_mx &&
	    found == 0) {
		audit_find(run, "dmarc.nothing_passes", NULL, "p=%s, but no SPF record and no DKIM key that was found",
		           dmarc_policy_name(run->audit->dmarc.p));
	}
}

static bool is_given(const char *const *given, const char *selector)
{
	for (size_t i = 0; given != NULL && given[i] != NULL; i++) {
		if (strcmp(given[i], selector) == 0) {
			return true;
		}
	}
	return false;
}

void audit_dkim(struct audit_run *run)
{
	const char *const *given = run->request->selectors;
	struct keys keys = {0};
	bool wildcard = check_wildcard(run);
	for (size_t i = 0; given != NULL && given[i] != NULL && i < AUDIT_SELECTORS_MAX; i++) {
		check_selector(run, given[i], true, wildcard, &keys);
	}
	for (size_t i = 0; i < COMMON; i++) {
		if (!is_given(given, common[i])) {
			check_selector(run, common[i], false, wildcard, &keys);
		}
	}
	bool silent = run->audit->sends_nothing || run->audit->null_mx;
	if (run->pending) {
		return;
	}
	if (keys.rsa + keys.ed25519 + keys.revoked == 0 && !wildcard && silent) {
		audit_skip(run, AUDIT_DKIM, "the domain sends no mail");
	} else if (keys.rsa + keys.ed25519 == 0 && !wildcard && given == NULL && run->audit->parts[AUDIT_DKIM].grade == 'A') {
		audit_find(run, "dkim.not_found", NULL, "none of %d usual selectors has a key", (int)COMMON);
	}
	if (keys.ed25519 > 0 && keys.rsa == 0) {
		audit_find(run, "dkim.ed25519_alone", NULL, "only ed25519 keys were found");
	}
	check_enforced(run, keys.rsa + keys.ed25519);
}
