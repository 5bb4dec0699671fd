/* mailreeve report tls: the ledger by sender domain, and what requiring TLS would have blocked. */
#include "ctl/period.h"
#include "ctl/report.h"
#include "ctl/table.h"

enum { DOMAIN_WIDTH = 60 };

struct ledger {
	struct report *report;
	struct table *table; /* NULL: JSON is wanted */
	json_t *domains;
	size_t listed, count;
	struct history_tls sum;
};

static json_t *require_json(int64_t messages, int64_t accepted, int64_t authenticated)
{
	json_t *object = json_object();
	json_object_set_new(object, "messages", json_integer(messages));
	json_object_set_new(object, "accepted", json_integer(accepted));
	json_object_set_new(object, "authenticated", json_integer(authenticated));
	return object;
}

/* name NULL: the sum. */
static json_t *tls_json(const struct history_tls *tls, const char *name)
{
	json_t *object = json_object();
	if (name != NULL) {
		json_object_set_new(object, "domain", history_json_text(name));
	}
	json_object_set_new(object, "messages", json_integer(tls->messages));
	json_object_set_new(object, "none", json_integer(tls->plain));
	json_object_set_new(object, "below_1_2", json_integer(tls->old));
	json_object_set_new(object, "tls_1_2", json_integer(tls->v12));
	json_object_set_new(object, "tls_1_3", json_integer(tls->v13));
	json_object_set_new(object, "last_without", tls->plain_last == 0 ? json_null() : json_integer(tls->plain_last));
	json_object_set_new(object, "require_tls", require_json(tls->plain, tls->plain_accepted, tls->plain_authenticated));
	json_object_set_new(object, "require_1_2",
	                    require_json(tls->plain + tls->old, tls->plain_accepted + tls->old_accepted,
	                                 tls->plain_authenticated + tls->old_authenticated));
	return object;
}

/* "12 (10 accepted, 3 DMARC)" */
static const char *require_text(struct arena *arena, int64_t messages, int64_t accepted, int64_t authenticated)
{
	return messages == 0 ? "nothing"
	                     : arena_printf(arena, "%lld (%lld accepted, %lld DMARC pass)", (long long)messages,
	                                    (long long)accepted, (long long)authenticated);
}

static void tls_row(struct ledger *ledger, const struct history_tls *tls, const char *name)
{
	struct arena *arena = ledger->report->arena;
	const char *cells[] = {name,
	                       table_number(arena, tls->messages),
	                       table_number(arena, tls->plain),
	                       table_number(arena, tls->old),
	                       table_number(arena, tls->v12),
	                       table_number(arena, tls->v13),
	                       require_text(arena, tls->plain, tls->plain_accepted, tls->plain_authenticated),
	                       require_text(arena, tls->plain + tls->old, tls->plain_accepted + tls->old_accepted,
	                                    tls->plain_authenticated + tls->old_authenticated)};
	table_row(ledger->table, cells);
}

static void ledger_add(void *context, const struct history_tls *tls)
{
	struct ledger *ledger = context;
	struct history_tls *sum = &ledger->sum;
	sum->messages += tls->messages;
	sum->plain += tls->plain;
	sum->old += tls->old;
	sum->v12 += tls->v12;
	sum->v13 += tls->v13;
	sum->plain_accepted += tls->plain_accepted;
	sum->plain_authenticated += tls->plain_authenticated;
	sum->old_accepted += tls->old_accepted;
	sum->old_authenticated += tls->old_authenticated;
	sum->plain_last = tls->plain_last > sum->plain_last ? tls->plain_last : sum->plain_last;
	ledger->count++;
	if (ledger->report->period.limit != 0 && ledger->listed == ledger->report->period.limit) {
		return;
	}
	ledger->listed++;
	if (ledger->table == NULL) {
		json_array_append_new(ledger->domains, tls_json(tls, tls->domain));
	} else {
		tls_row(ledger, tls,
		        tls->domain[0] == '\0' ? "<>" : table_text(ledger->report->arena, tls->domain, DOMAIN_WIDTH));
	}
}

static void ledger_print(struct ledger *ledger)
{
	struct report *report = ledger->report;
	printf("%s: %lld inbound messages of %zu sender domains, %s without TLS\n", report_period_text(report),
	       (long long)ledger->sum.messages, ledger->count,
	       report_share(report, ledger->sum.plain, ledger->sum.messages));
	if (ledger->count == 0) {
		return;
	}
	tls_row(ledger, &ledger->sum, ledger->listed < ledger->count ? "all, those not listed too" : "all");
	table_print(ledger->table, 0, stdout);
}

bool report_tls(struct report *report)
{
	static const char *const headings[] = {
	    "sender domain",        ">messages", ">no TLS", ">below 1.2", ">1.2", ">1.3", "requiring TLS blocks",
	    "requiring 1.2 blocks", NULL};
	struct ledger ledger = {.report = report, .domains = json_array()};
	struct history_period period = report->period;
	period.limit = 0; /* the sum is of all */
	ledger.table = report->json ? NULL : table_create(report->arena, headings);
	bool good =
	    history_worked("report", history_tls(report->history.store, &period, report->domain, ledger_add, &ledger));
	if (good && report->json) {
		json_t *object = report_json_begin(report);
		json_object_set_new(object, "total", tls_json(&ledger.sum, NULL));
		json_object_set_new(object, "domain_count", json_integer((json_int_t)ledger.count));
		json_object_set(object, "domains", ledger.domains);
		report_json_print(object);
	} else if (good) {
		ledger_print(&ledger);
	}
	json_decref(ledger.domains);
	return good;
}
