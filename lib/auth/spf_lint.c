#include "lib/auth/spf_lint.h"

#include "lib/auth/spf_eval.h"
#include "lib/auth/spf_lint_record.h"
#include "lib/mail/domain.h"

enum { ARENA_CHUNK = 16384, RECORD_SHOWN_MAX = 2000 };

/* A record that was read. */
struct node {
	const char *domain;
	unsigned lookups; /* of its terms and what they lead to; 0 while it is open */
	bool open;        /* being walked: one that leads here again is a loop */
	bool missing;     /* there is not exactly one record */
	size_t found;     /* records, when missing */
};

/* One walk over the tree, down to depth_max. Like a check it is made anew when answers have come, and what it computes
 * goes with it. Walks go deeper one level at a time, and only when all above is known and no bound was met: else which
 * names are looked at would hang on the order of the answers, and there would be no bound on all of them. */
struct walk {
	unsigned depth_max;
	struct lookups *lookups;
	struct arena *arena;
	struct spf_faults faults;
	const char *domain; /* the top */
	const char *record; /* its text */
	unsigned voids;
	size_t names; /* of a, mx and exists that were asked for */
	bool pending;
	bool failed;  /* a temporary error of DNS */
	bool cut;     /* there is more below depth_max */
	bool limited; /* there are more names than are looked at */
	size_t node_count;
	struct node nodes[SPF_LINT_NAMES_MAX];
};

static unsigned walk_record(struct walk *walk, const char *from, const char *domain, const char *term, bool top,
                            unsigned depth);

static unsigned add(unsigned a, unsigned b)
{
	return a + b > SPF_LINT_SUM_MAX ? SPF_LINT_SUM_MAX : a + b;
}

/* The answer, or NULL: pending, or a temporary error, which is told. */
static const struct dns_answer *ask(struct walk *walk, const char *domain, const char *name, enum dns_type type)
{
	const struct dns_answer *answer = lookups_get(walk->lookups, name, type);
	if (answer == NULL) {
		walk->pending = true;
	} else if (answer->status == DNS_TEMPORARY) {
		walk->failed = true;
		spf_fault_add(&walk->faults, SPF_FAULT_DNS, domain, "DNS: %s %s: %s",
		              spf_fault_quote(&walk->faults, slice_from(name)), dns_type_name(type), answer->problem);
		answer = NULL;
	}
	return answer;
}

static bool may_ask(struct walk *walk)
{
	walk->limited = walk->limited || walk->names >= SPF_LINT_NAMES_MAX;
	return walk->names++ < SPF_LINT_NAMES_MAX;
}

static bool all_digits(const char *label)
{
	return label[0] != '\0' && strspn(label, "0123456789") == strlen(label);
}

/* Can there be something at the name? Two labels or more of 1 to 63 bytes, the last of them no number. */
static bool is_possible(const char *name)
{
	struct slice rest = slice_from(name);
	struct slice label;
	size_t count = 0;
	while (slice_split(&rest, '.', &label)) {
		if (label.len == 0 || label.len > 63 || memchr(label.data, ' ', label.len) != NULL) {
			return false;
		}
		count++;
	}
	return count > 1 && !all_digits(strrchr(name, '.') + 1);
}

/* The name that a domain-spec stands for; NULL when it has many, or, which is told, can have none. */
static const char *target(struct walk *walk, const char *domain, struct slice spec, struct slice term)
{
	if (spec.len == 0) {
		return domain;
	}
	const char *host = arena_printf(walk->arena, "mail.%s", walk->domain);
	struct spf_macro_values values = {.local = "postmaster",
	                                  .sender_domain = walk->domain,
	                                  .domain = domain,
	                                  .validated = host,
	                                  .helo = host,
	                                  .receiver = "mx.example"};
	ip_parse("192.0.2.1", &values.client);
	const char *name = spf_macro_expand_domain(walk->arena, spec, &values);
	if (name == NULL || !is_possible(name)) {
		spf_fault_add(&walk->faults, SPF_FAULT_MACRO, domain, "\"%s\" gives no domain name",
		              spf_fault_quote(&walk->faults, term));
		return NULL;
	}
	return spf_macro_varies(spec) ? NULL : name;
}

/* Is there an address of either family? True too where that is not known. */
static bool has_address(struct walk *walk, const char *domain, const char *name)
{
	const struct dns_answer *four = ask(walk, domain, name, DNS_TYPE_A);
	const struct dns_answer *six = ask(walk, domain, name, DNS_TYPE_AAAA);
	return four == NULL || six == NULL || four->count > 0 || six->count > 0;
}

static void missing(struct walk *walk, const char *domain, const struct spf_term *term, const char *what)
{
	spf_fault_add(&walk->faults, SPF_FAULT_NAME_MISSING, domain, "\"%s\": %s",
	              spf_fault_quote(&walk->faults, term->text), what);
}

static void check_mx(struct walk *walk, const char *domain, const struct spf_term *term, const char *name)
{
	const struct dns_answer *answer = ask(walk, domain, name, DNS_TYPE_MX);
	if (answer == NULL) {
		return;
	}
	if (answer->count == 0) {
		walk->voids++;
		missing(walk, domain, term, "there is no MX");
	}
	if (answer->count > SPF_NAMES_MAX) {
		spf_fault_add(&walk->faults, SPF_FAULT_MX_HOSTS, domain, "\"%s\" has %zu mail servers, more than %d",
		              spf_fault_quote(&walk->faults, term->text), answer->count, SPF_NAMES_MAX);
		return;
	}
	for (size_t i = 0; i < answer->count && may_ask(walk); i++) {
		const char *host = answer->records[i].data.data;
		if (host[0] == '\0' || !has_address(walk, domain, host)) {
			missing(walk, domain, term,
			        arena_printf(walk->arena, "the mail server \"%s\" has no address",
			                     spf_fault_quote(&walk->faults, slice_from(host))));
		}
	}
}

static void check_a(struct walk *walk, const char *domain, const struct spf_term *term, const char *name)
{
	if (!has_address(walk, domain, name)) {
		walk->voids++;
		missing(walk, domain, term, "there is no address");
	}
}

static void check_exists(struct walk *walk, const char *domain, const struct spf_term *term, const char *name)
{
	const struct dns_answer *answer = ask(walk, domain, name, DNS_TYPE_A);
	if (answer != NULL && answer->count == 0) {
		walk->voids++;
		missing(walk, domain, term, "the name is not there");
	} else if (answer != NULL && term->qualifier == '+') {
		spf_fault_add(&walk->faults, SPF_FAULT_PASS_ALL, domain, "\"%s\" lets any client pass",
		              spf_fault_quote(&walk->faults, term->text));
	}
}

/* What the term costs in lookups. */
static unsigned walk_term(struct walk *walk, const char *domain, const struct spf_term *term, unsigned depth)
{
	if (term->kind == SPF_TERM_IP || term->kind == SPF_TERM_ALL) {
		return 0;
	}
	const char *name = target(walk, domain, term->domain, term->text);
	if (name == NULL || term->kind == SPF_TERM_PTR) {
		return 1;
	}
	if (term->kind == SPF_TERM_INCLUDE) {
		const char *text = spf_fault_quote(&walk->faults, term->text);
		return add(1, walk_record(walk, domain, name, text, false, depth + 1));
	}
	if (!may_ask(walk)) {
		return 1;
	}
	switch (term->kind) {
	case SPF_TERM_A:
		check_a(walk, domain, term, name);
		break;
	case SPF_TERM_MX:
		check_mx(walk, domain, term, name);
		break;
	case SPF_TERM_EXISTS:
		check_exists(walk, domain, term, name);
		break;
	case SPF_TERM_ALL:
	case SPF_TERM_INCLUDE:
	case SPF_TERM_PTR:
	case SPF_TERM_IP:
		break;
	}
	return 1;
}

static unsigned walk_redirect(struct walk *walk, const char *domain, const struct spf_record *record, bool top,
                              unsigned depth)
{
	if (record->redirect.data == NULL || spf_lint_all(record) < record->count) {
		return 0;
	}
	const char *text = arena_printf(walk->arena, "redirect=%s", spf_fault_quote(&walk->faults, record->redirect));
	const char *name = target(walk, domain, record->redirect, slice_from(text));
	return name == NULL ? 1 : add(1, walk_record(walk, domain, name, text, top, depth + 1));
}

static void check_explanation(struct walk *walk, const char *domain, struct slice spec)
{
	const char *text = arena_printf(walk->arena, "exp=%s", spf_fault_quote(&walk->faults, spec));
	const char *name = target(walk, domain, spec, slice_from(text));
	const struct dns_answer *answer = name == NULL || !may_ask(walk) ? NULL : ask(walk, domain, name, DNS_TYPE_TXT);
	if (answer == NULL) {
		return;
	}
	const char *problem = answer->count == 0                                         ? "leads to no text"
	                      : answer->count > 1                                        ? "leads to several texts"
	                      : !spf_macro_valid(answer->records[0].data, SPF_MACRO_EXP) ? "leads to a text in error"
	                                                                                 : NULL;
	if (problem != NULL) {
		spf_fault_add(&walk->faults, SPF_FAULT_EXPLANATION, domain, "\"%s\" %s", text, problem);
	}
}

static unsigned walk_terms(struct walk *walk, const char *domain, const struct spf_record *record, bool top,
                           unsigned depth)
{
	unsigned sum = 0;
	size_t all = spf_lint_all(record);
	for (size_t i = 0; i < all; i++) {
		sum = add(sum, walk_term(walk, domain, &record->terms[i], depth));
	}
	sum = add(sum, walk_redirect(walk, domain, record, top, depth));
	if (top && record->exp.data != NULL) {
		check_explanation(walk, domain, record->exp);
	}
	return sum;
}

/* A domain without exactly one record. from: whose term leads here; the domain itself at the top. */
static void tell_no_record(struct walk *walk, const char *from, const char *domain, const char *term, size_t found)
{
	const char *what = found == 0 ? "no SPF record" : "more than one SPF record";
	if (term == NULL) {
		spf_fault_add(&walk->faults, found == 0 ? SPF_FAULT_NO_RECORD : SPF_FAULT_MANY_RECORDS, domain, "%s", what);
	} else {
		spf_fault_add(&walk->faults, SPF_FAULT_INCLUDE_MISSING, from, "\"%s\": %s has %s", term,
		              spf_fault_quote(&walk->faults, slice_from(domain)), what);
	}
}

static unsigned read_record(struct walk *walk, struct node *node, const char *from, const char *term, bool top,
                            unsigned depth)
{
	const char *domain = node->domain;
	struct slice text = {NULL, 0};
	struct spf_record record;
	const struct dns_answer *answer = ask(walk, domain, domain, DNS_TYPE_TXT);
	if (answer == NULL) {
		return 0;
	}
	size_t found = domain_labels(domain) > 1 ? spf_select(answer, &text) : 0;
	if (found != 1) {
		node->missing = true;
		node->found = found;
		tell_no_record(walk, from, domain, term, found);
		return 0;
	}
	if (term == NULL) {
		walk->record = text_escape(walk->arena, text, "", false, RECORD_SHOWN_MAX);
	}
	bool good = spf_lint_record(&walk->faults, domain, text, top, &record);
	return good ? walk_terms(walk, domain, &record, top, depth) : 0;
}

/* The record of a domain and what it leads to; what it costs in lookups. term: what led here, NULL at the top. */
static unsigned walk_record(struct walk *walk, const char *from, const char *domain, const char *term, bool top,
                            unsigned depth)
{
	size_t i = 0;
	while (i < walk->node_count && !slice_equal_nocase(slice_from(walk->nodes[i].domain), slice_from(domain))) {
		i++;
	}
	if (i < walk->node_count) {
		if (walk->nodes[i].open) {
			spf_fault_add(&walk->faults, SPF_FAULT_LOOP, from, "\"%s\" leads back", term);
		}
		if (walk->nodes[i].missing) {
			tell_no_record(walk, from, domain, term, walk->nodes[i].found);
		}
		return walk->nodes[i].lookups;
	}
	if (i == SPF_LINT_NAMES_MAX || depth > walk->depth_max) {
		walk->limited = walk->limited || i == SPF_LINT_NAMES_MAX || depth > SPF_LINT_DEPTH_MAX;
		walk->cut = true;
		return 0;
	}
	walk->nodes[walk->node_count++] = (struct node){.domain = domain, .open = true};
	walk->nodes[i].lookups = read_record(walk, &walk->nodes[i], from, term, top, depth);
	walk->nodes[i].open = false;
	return walk->nodes[i].lookups;
}

/* What only the whole tree shows. */
static void check_sums(struct walk *walk)
{
	unsigned lookups = walk->nodes[0].lookups;
	if (lookups > SPF_LOOKUPS_MAX) {
		spf_fault_add(&walk->faults, SPF_FAULT_LOOKUPS, walk->domain, "%u terms cost a DNS lookup, more than %d",
		              lookups, SPF_LOOKUPS_MAX);
	}
	if (walk->voids > SPF_VOID_MAX) {
		spf_fault_add(&walk->faults, SPF_FAULT_VOIDS, walk->domain,
		              "%u DNS lookups are without an answer, more than %d", walk->voids, SPF_VOID_MAX);
	}
	if (walk->limited) {
		spf_fault_add(&walk->faults, SPF_FAULT_LIMIT, walk->domain, "more names than are looked at here");
	}
}

static void report(const struct walk *walk, struct arena *arena, struct spf_lint *lint)
{
	lint->record = walk->record == NULL ? NULL : arena_strdup(arena, walk->record);
	lint->void_lookups = walk->voids;
	lint->complete = !walk->failed && !walk->limited && !walk->faults.truncated;
	lint->count = walk->faults.count;
	lint->faults = arena_alloc(arena, lint->count * sizeof *lint->faults);
	for (size_t i = 0; i < lint->count; i++) {
		const struct spf_fault *fault = &walk->faults.items[i];
		lint->faults[i] =
		    (struct spf_fault){fault->code, arena_strdup(arena, fault->domain), arena_strdup(arena, fault->text)};
	}
}

/* False while pending. *deeper_r: a walk that goes down one level more is worth it. */
static bool walk_down(struct lookups *lookups, unsigned depth, struct arena *arena, struct spf_lint *lint,
                      bool *deeper_r)
{
	struct arena *scratch = arena_create(ARENA_CHUNK);
	struct walk walk = {
	    .depth_max = depth, .lookups = lookups, .arena = scratch, .faults = {.arena = scratch}, .domain = lint->domain};
	lint->lookups = walk_record(&walk, walk.domain, walk.domain, NULL, true, 0);
	*deeper_r = walk.cut && !walk.limited;
	if (!walk.pending && !*deeper_r) {
		check_sums(&walk);
		report(&walk, arena, lint);
	}
	arena_destroy(scratch);
	return !walk.pending;
}

static void report_no_name(struct slice domain, struct arena *arena, struct spf_lint *lint)
{
	struct spf_faults faults = {.arena = arena};
	spf_fault_add(&faults, SPF_FAULT_NO_RECORD, "", "\"%s\" is no domain name", spf_fault_quote(&faults, domain));
	lint->count = faults.count;
	lint->faults = faults.items;
	lint->complete = true;
}

bool spf_lint(struct slice domain, struct lookups *lookups, struct arena *arena, struct spf_lint *lint_r)
{
	const char *name = domain_canonical(arena, domain);
	*lint_r = (struct spf_lint){.domain = name == NULL ? "" : name};
	if (name == NULL) {
		report_no_name(domain, arena, lint_r);
		return true;
	}
	bool deeper = true;
	for (unsigned depth = 0; deeper; depth++) {
		if (!walk_down(lookups, depth, arena, lint_r, &deeper)) {
			return false;
		}
	}
	return true;
}

const char *spf_fault_name(enum spf_fault_code code)
{
	static const char *const names[SPF_FAULT_COUNT] = {
	    [SPF_FAULT_MANY_RECORDS] = "many_records",
	    [SPF_FAULT_SYNTAX] = "syntax",
	    [SPF_FAULT_MODIFIER_TWICE] = "modifier_twice",
	    [SPF_FAULT_LOOKUPS] = "lookups",
	    [SPF_FAULT_VOIDS] = "voids",
	    [SPF_FAULT_MX_HOSTS] = "mx_hosts",
	    [SPF_FAULT_INCLUDE_MISSING] = "include_missing",
	    [SPF_FAULT_LOOP] = "loop",
	    [SPF_FAULT_NO_RECORD] = "no_record",
	    [SPF_FAULT_PASS_ALL] = "pass_all",
	    [SPF_FAULT_WIDE] = "wide",
	    [SPF_FAULT_NEUTRAL_ALL] = "neutral_all",
	    [SPF_FAULT_NO_ALL] = "no_all",
	    [SPF_FAULT_PTR] = "ptr",
	    [SPF_FAULT_REDIRECT_IGNORED] = "redirect_ignored",
	    [SPF_FAULT_UNREACHABLE] = "unreachable",
	    [SPF_FAULT_DUPLICATE] = "duplicate",
	    [SPF_FAULT_NAME_MISSING] = "name_missing",
	    [SPF_FAULT_MACRO] = "macro",
	    [SPF_FAULT_MAPPED] = "mapped",
	    [SPF_FAULT_UNKNOWN_MODIFIER] = "unknown_modifier",
	    [SPF_FAULT_EXPLANATION] = "explanation",
	    [SPF_FAULT_HOST_BITS] = "host_bits",
	    [SPF_FAULT_LONG] = "long",
	    [SPF_FAULT_DNS] = "dns",
	    [SPF_FAULT_LIMIT] = "limit",
	};
	return names[code];
}
