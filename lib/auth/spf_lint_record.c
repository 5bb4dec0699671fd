#include "lib/auth/spf_lint_record.h"

#include "lib/auth/spf_macro.h"

#include <arpa/inet.h>

enum {
	RECORD_ADVISED = 450, /* bytes (RFC 7208 3.4) */
	QUOTE_MAX = 100,
	COMPARED_MAX = 100 /* terms of a record that are compared to each other */
};

void spf_fault_add(struct spf_faults *faults, enum spf_fault_code code, const char *domain, const char *format, ...)
{
	va_list args;
	if (faults->count == SPF_LINT_FAULTS_MAX) {
		faults->truncated = true;
		return;
	}
	if (faults->items == NULL) {
		faults->items = arena_alloc(faults->arena, SPF_LINT_FAULTS_MAX * sizeof *faults->items);
	}
	va_start(args, format);
	faults->items[faults->count++] = (struct spf_fault){code, domain, arena_vprintf(faults->arena, format, args)};
	va_end(args);
}

const char *spf_fault_quote(struct spf_faults *faults, struct slice text)
{
	return text_escape(faults->arena, text, "\"", false, QUOTE_MAX);
}

static bool is_modifier(struct slice word, const char *name)
{
	struct slice prefix = slice_from(name);
	return word.len > prefix.len && word.data[prefix.len] == '=' && slice_starts_nocase(word, prefix);
}

/* The modifiers of a record, which need not be one that can be read. True: one stands there twice. */
static bool check_modifiers(struct spf_faults *faults, const char *domain, struct slice text)
{
	static const char *const mechanisms[] = {"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"};
	struct slice rest = {text.data + 6, text.len - 6};
	struct slice word;
	unsigned redirects = 0;
	unsigned explanations = 0;
	while (slice_split(&rest, ' ', &word)) {
		size_t equals = slice_find(word, '=', 0);
		bool named = equals < word.len && equals > 0 && ascii_is_alpha(word.data[0]);
		if (is_modifier(word, "redirect")) {
			redirects++;
		} else if (is_modifier(word, "exp")) {
			explanations++;
		} else if (named && slice_find(word, ':', 0) > equals && slice_find(word, '/', 0) > equals) {
			const char *hint = "";
			for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++) {
				hint = is_modifier(word, mechanisms[i]) ? ": a mechanism is written with \":\"" : hint;
			}
			spf_fault_add(faults, SPF_FAULT_UNKNOWN_MODIFIER, domain, "\"%s\" is not known and passed over%s",
			              spf_fault_quote(faults, word), hint);
		}
	}
	if (redirects > 1 || explanations > 1) {
		spf_fault_add(faults, SPF_FAULT_MODIFIER_TWICE, domain, "%s= stands more than once",
		              redirects > 1 ? "redirect" : "exp");
	}
	return redirects > 1 || explanations > 1;
}

/* Has the address bits behind its prefix? They are cleared in term->network. */
static bool has_host_bits(struct spf_faults *faults, const struct spf_term *term)
{
	size_t colon = slice_find(term->text, ':', 0) + 1;
	struct slice address = {term->text.data + colon, term->text.len - colon};
	address.len = slice_find(address, '/', 0);
	uint8_t bytes[16] = {0};
	bool four = term->network.address.family == IP_V4;
	bool read = inet_pton(four ? AF_INET : AF_INET6, slice_dup(faults->arena, address), bytes) == 1;
	return read && memcmp(bytes, term->network.address.bytes, four ? 4 : 16) != 0;
}

static void check_network(struct spf_faults *faults, const char *domain, const struct spf_term *term)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	const char *text = spf_fault_quote(faults, term->text);
	if (has_host_bits(faults, term)) {
		spf_fault_add(faults, SPF_FAULT_HOST_BITS, domain, "\"%s\" has bits behind its prefix", text);
	}
	if (term->network.address.family == IP_V6 && term->network.prefix >= 96 &&
	    memcmp(term->network.address.bytes, mapped, sizeof mapped) == 0) {
		spf_fault_add(faults, SPF_FAULT_MAPPED, domain, "\"%s\" matches no client: use ip4", text);
	}
}

static bool is_whole(const struct spf_term *term)
{
	switch (term->kind) {
	case SPF_TERM_ALL:
		return true;
	case SPF_TERM_IP:
		return term->network.prefix == 0;
	case SPF_TERM_A:
	case SPF_TERM_MX:
		return term->prefix4 == 0 || term->prefix6 == 0;
	case SPF_TERM_EXISTS:
	case SPF_TERM_INCLUDE:
	case SPF_TERM_PTR:
		break;
	}
	return false;
}

static void check_open(struct spf_faults *faults, const char *domain, const struct spf_term *term)
{
	/* Whether the name of an exists is there takes DNS. */
	if (term->qualifier != '+' || term->kind == SPF_TERM_EXISTS || !spf_term_is_open(term, IP_UNKNOWN)) {
		return;
	}
	const char *text = spf_fault_quote(faults, term->text);
	if (is_whole(term)) {
		spf_fault_add(faults, SPF_FAULT_PASS_ALL, domain, "\"%s\" lets any client pass", text);
	} else {
		spf_fault_add(faults, SPF_FAULT_WIDE, domain, "\"%s\" lets a large part of the Internet pass", text);
	}
}

static void check_ptr(struct spf_faults *faults, const char *domain, const struct spf_term *term)
{
	if (term->kind == SPF_TERM_PTR || spf_macro_uses(term->domain, 'p')) {
		spf_fault_add(faults, SPF_FAULT_PTR, domain, "\"%s\" hangs on the names of the client's address; do not use it",
		              spf_fault_quote(faults, term->text));
	}
}

/* Does it match the same clients? */
static bool is_same(const struct spf_term *a, const struct spf_term *b)
{
	return a->kind == b->kind && a->prefix4 == b->prefix4 && a->prefix6 == b->prefix6 &&
	       a->network.prefix == b->network.prefix && ip_equal(&a->network.address, &b->network.address) &&
	       slice_equal_nocase(a->domain, b->domain);
}

static void check_duplicate(struct spf_faults *faults, const char *domain, const struct spf_record *record,
                            size_t index)
{
	for (size_t i = 0; i < index && index < COMPARED_MAX; i++) {
		if (is_same(&record->terms[i], &record->terms[index])) {
			spf_fault_add(faults, SPF_FAULT_DUPLICATE, domain, "\"%s\" stands there twice",
			              spf_fault_quote(faults, record->terms[index].text));
			return;
		}
	}
}

size_t spf_lint_all(const struct spf_record *record)
{
	size_t i = 0;
	while (i < record->count && record->terms[i].kind != SPF_TERM_ALL) {
		i++;
	}
	return i;
}

static void check_terms(struct spf_faults *faults, const char *domain, const struct spf_record *record)
{
	size_t all = spf_lint_all(record);
	for (size_t i = 0; i < record->count && !faults->truncated; i++) {
		const struct spf_term *term = &record->terms[i];
		if (i > all) {
			spf_fault_add(faults, SPF_FAULT_UNREACHABLE, domain, "\"%s\" stands behind all",
			              spf_fault_quote(faults, term->text));
			continue;
		}
		check_open(faults, domain, term);
		check_ptr(faults, domain, term);
		if (term->kind == SPF_TERM_IP) {
			check_network(faults, domain, term);
		}
		check_duplicate(faults, domain, record, i);
	}
}

/* How the record ends. */
static void check_end(struct spf_faults *faults, const char *domain, const struct spf_record *record, bool top)
{
	size_t all = spf_lint_all(record);
	bool redirect = record->redirect.data != NULL;
	if (all < record->count && redirect) {
		spf_fault_add(faults, SPF_FAULT_REDIRECT_IGNORED, domain, "\"redirect=%s\" is ignored beside all",
		              spf_fault_quote(faults, record->redirect));
	}
	if (top && all == record->count && !redirect) {
		spf_fault_add(faults, SPF_FAULT_NO_ALL, domain, "no all at its end: other clients are neutral");
	}
	if (top && all < record->count && record->terms[all].qualifier == '?') {
		spf_fault_add(faults, SPF_FAULT_NEUTRAL_ALL, domain, "\"?all\": other clients are neutral");
	}
}

bool spf_lint_record(struct spf_faults *faults, const char *domain, struct slice text, bool top,
                     struct spf_record *record_r)
{
	const char *problem;
	bool twice = false;
	if (text.len > RECORD_ADVISED) {
		spf_fault_add(faults, SPF_FAULT_LONG, domain, "the record has %zu bytes, more than %d", text.len,
		              RECORD_ADVISED);
	}
	if (text.len <= SPF_RECORD_MAX) {
		twice = check_modifiers(faults, domain, text);
	}
	if (!spf_record_parse(faults->arena, text, record_r, &problem)) {
		if (!twice) {
			spf_fault_add(faults, SPF_FAULT_SYNTAX, domain, "%s", problem);
		}
		return false;
	}
	check_terms(faults, domain, record_r);
	check_end(faults, domain, record_r, top);
	return true;
}
