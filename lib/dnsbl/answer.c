/* Questions to a list, and what its answers mean. */
#include "lib/dnsbl/dnsbl.h"

#include <libpsl.h>
#include <pthread.h>
#include <stdio.h>

static bool joined(const char *front, const struct dnsbl_list *list, char *name_r)
{
	int n = snprintf(name_r, DNS_MAX_NAME_TEXT, "%s.%s", front, list->zone);
	return n > 0 && n <= 253;
}

bool dnsbl_address_name(const struct dnsbl_list *list, const struct ip *ip, char *name_r)
{
	bool taken = ip->family == IP_V4 ? list->ipv4 : ip->family == IP_V6 && list->ipv6;
	return taken && ip_reverse_name(ip, list->zone, name_r, DNS_MAX_NAME_TEXT) && strlen(name_r) <= 253;
}

bool dnsbl_domain_name(const struct dnsbl_list *list, const char *domain, char *name_r)
{
	return joined(domain, list, name_r);
}

/* RFC 5782 5: 127.0.0.2 and 127.0.0.1, ::FFFF:7F00:2 and ::FFFF:7F00:1, TEST and INVALID. */
void dnsbl_test_name(const struct dnsbl_list *list, bool listed, char *name_r)
{
	const char *own = listed ? list->test_listed : list->test_unlisted;
	struct ip ip = {.family = IP_V4, .bytes = {127, 0, 0, listed ? 2 : 1}};
	if (own != NULL) {
		joined(own, list, name_r);
	} else if (list->kind == DNSBL_DOMAIN) {
		joined(listed ? "test" : "invalid", list, name_r);
	} else {
		if (!list->ipv4) {
			ip = (struct ip){.family = IP_V6, .bytes = {[10] = 0xff, [11] = 0xff, [12] = 0x7f, [15] = listed ? 2 : 1}};
		}
		ip_reverse_name(&ip, list->zone, name_r, DNS_MAX_NAME_TEXT);
	}
}

struct dnsbl_action dnsbl_action_of(const struct dnsbl_list *list, const struct dnsbl_code *code)
{
	return code->action.given ? code->action : list->action;
}

static bool code_matches(const struct dnsbl_code *code, const struct ip *ip)
{
	for (unsigned i = 0; i < 4; i++) {
		const struct dnsbl_octet *octet = &code->octets[i];
		uint8_t byte = ip->bytes[i];
		if (byte < octet->low || byte > octet->high || (octet->bits != 0 && (byte & octet->bits) == 0)) {
			return false;
		}
	}
	return true;
}

/* 127.255.255.0/24 is for errors, by the largest operators' convention. */
static bool is_error_code(const struct ip *ip)
{
	return ip->bytes[0] != 127 || (ip->bytes[1] == 255 && ip->bytes[2] == 255);
}

static const char *error_meaning(const struct ip *ip)
{
	static const uint8_t prefix[] = {127, 255, 255};
	if (memcmp(ip->bytes, prefix, sizeof prefix) != 0) {
		return ip->bytes[0] == 127 ? "a code that is not in codes"
		                           : "no address of a list: the zone is parked, or the resolver rewrites answers";
	}
	switch (ip->bytes[3]) {
	case 252:
		return "an error code: the name of the zone is wrong";
	case 254:
		return "an error code: asked through a public resolver";
	case 255:
		return "an error code: asked too often";
	default:
		return "an error code";
	}
}

static const char *answered(const struct ip *ip, struct arena *arena)
{
	char text[IP_TEXT_SIZE];
	ip_format(ip, text);
	return arena_printf(arena, "answered %s: %s", text, error_meaning(ip));
}

/* Bits may set several codes in one answer. Skipped ones are known, and nothing more. */
static bool record_match(const struct dnsbl_list *list, const struct ip *ip, struct strbuf *names,
                         struct dnsbl_match *match)
{
	char text[IP_TEXT_SIZE];
	bool known = false;
	ip_format(ip, text);
	for (size_t i = 0; i < list->code_count; i++) {
		const struct dnsbl_code *code = &list->codes[i];
		if (!code_matches(code, ip)) {
			continue;
		}
		known = true;
		if (code->action.skip) {
			continue;
		}
		strbuf_printf(names, "%s%s", names->len == 0 ? "" : ", ", code->name[0] == '\0' ? text : code->name);
		if (match->code == NULL ||
		    dnsbl_action_of(list, code).action.kind > dnsbl_action_of(list, match->code).action.kind) {
			match->code = code;
		}
		if (code->octets[3].bits == 0) {
			break;
		}
	}
	return known;
}

static enum dnsbl_result judge_records(const struct dnsbl_list *list, const struct dns_answer *answer,
                                       struct arena *arena, struct dnsbl_match *match_r)
{
	struct strbuf names;
	const struct ip *strange = NULL;
	strbuf_init(&names, arena);
	for (size_t i = 0; i < answer->count; i++) {
		const struct ip *ip = &answer->records[i].address;
		if (is_error_code(ip)) {
			match_r->problem = answered(ip, arena);
			return DNSBL_ERROR;
		}
		if (!record_match(list, ip, &names, match_r)) {
			strange = ip;
		}
	}
	if (match_r->code != NULL) {
		match_r->names = names.data;
		return DNSBL_LISTED;
	}
	match_r->problem = strange == NULL ? NULL : answered(strange, arena);
	return strange == NULL ? DNSBL_UNLISTED : DNSBL_ERROR;
}

enum dnsbl_result dnsbl_judge(const struct dnsbl_list *list, const struct dns_answer *answer, struct arena *arena,
                              struct dnsbl_match *match_r)
{
	*match_r = (struct dnsbl_match){.code = NULL};
	switch (answer->status) {
	case DNS_NXDOMAIN:
	case DNS_NODATA:
		return DNSBL_UNLISTED;
	case DNS_TEMPORARY:
		match_r->problem = dnsbl_public(arena, list, answer->problem);
		return DNSBL_ERROR;
	case DNS_FOUND:
		break;
	}
	return judge_records(list, answer, arena, match_r);
}

/* Whatever it was answered: is there an address at all? */
static bool lists_it(const struct dns_answer *answer)
{
	return answer->status == DNS_FOUND && answer->count > 0;
}

static const char *test_text(const struct dnsbl_list *list, bool listed)
{
	const char *own = listed ? list->test_listed : list->test_unlisted;
	if (own != NULL) {
		return own;
	}
	if (list->kind == DNSBL_DOMAIN) {
		return listed ? "test" : "invalid";
	}
	return list->ipv4 ? (listed ? "127.0.0.2" : "127.0.0.1") : listed ? "::ffff:7f00:2" : "::ffff:7f00:1";
}

const char *dnsbl_test(const struct dnsbl_list *list, const struct dns_answer *listed,
                       const struct dns_answer *unlisted, struct arena *arena, bool *dead_r)
{
	struct dnsbl_match match;
	enum dnsbl_result result = dnsbl_judge(list, listed, arena, &match);
	*dead_r = result == DNSBL_ERROR;
	if (result == DNSBL_ERROR) {
		return arena_printf(arena, "its test entry %s: %s", test_text(list, true), match.problem);
	}
	if (!lists_it(listed)) {
		return arena_printf(arena, "it does not list its test entry %s", test_text(list, true));
	}
	if (unlisted->status == DNS_TEMPORARY) {
		*dead_r = true;
		return arena_printf(arena, "its test entry %s: %s", test_text(list, false),
		                    dnsbl_public(arena, list, unlisted->problem));
	}
	return lists_it(unlisted) ? arena_printf(arena, "it lists %s, and so everything", test_text(list, false)) : NULL;
}

const char *dnsbl_page(struct arena *arena, const struct dnsbl_list *list, const char *listed)
{
	const char *place = strstr(list->url, "%s");
	if (list->url[0] == '\0') {
		return NULL;
	}
	return place == NULL ? list->url
	                     : arena_printf(arena, "%.*s%s%s", (int)(place - list->url), list->url, listed, place + 2);
}

/* Read once, for the life of the process: Debian's publicsuffix where it is newer than what libpsl was built with. */
static pthread_once_t psl_once = PTHREAD_ONCE_INIT;
static psl_ctx_t *psl;

static void psl_open(void)
{
	psl = psl_latest(NULL);
}

const char *dnsbl_registrable(const char *host)
{
	pthread_once(&psl_once, psl_open);
	const char *domain = psl == NULL ? NULL : psl_registrable_domain(psl, host);
	return domain == NULL ? host : domain;
}
