/* A whole audit, of a domain whose every record is hostile: the input is lines, the first byte of each saying which record
 * the rest of it is. What comes out is one line of printable ASCII each, and never more than its bounds. */
#include "lib/audit/audit.h"
#include "t/fuzz/fuzz.h"

static const char *const names[] = {"example.com",        "_dmarc.example.com",        "_mta-sts.example.com",
                                    "_smtp._tls.example.com", "default._bimi.example.com", "s1._domainkey.example.com",
                                    "a.example.com",      "example.com._report._dmarc.a.example.com"};
enum { NAMES = sizeof names / sizeof *names, STRING_MAX = 255 };

static void add_record(struct strbuf *zone, struct slice line)
{
	unsigned kind = line.len == 0 ? 0 : (unsigned char)line.data[0] % (NAMES + 2);
	if (line.len == 0 || line.len > STRING_MAX) {
		return;
	}
	if (kind == NAMES) {
		strbuf_printf(zone, "_25._tcp.mx.example.com. TYPE52 \\# %zu ", line.len - 1);
		for (size_t i = 1; i < line.len; i++) {
			strbuf_printf(zone, "%02x", (unsigned char)line.data[i]);
		}
		strbuf_add_char(zone, '\n');
		return;
	}
	if (kind > NAMES) {
		strbuf_add_text(zone, "example.com. MX 10 ");
		for (size_t i = 1; i < line.len && i < 60; i++) {
			strbuf_printf(zone, "\\%03u", (unsigned char)line.data[i]);
		}
		strbuf_add_text(zone, ".example.com.\n");
		return;
	}
	strbuf_printf(zone, "%s. TXT \"", names[kind]);
	for (size_t i = 1; i < line.len; i++) {
		strbuf_printf(zone, "\\%03u", (unsigned char)line.data[i]);
	}
	strbuf_add_text(zone, "\"\n");
}

static void check_text(const char *text)
{
	for (; *text != '\0'; text++) {
		require(*text >= ' ' && *text <= '~');
	}
}

static void check(const struct audit *audit, struct arena *arena)
{
	const struct audit_finding **plan;
	require(audit->finding_count <= AUDIT_FINDINGS_MAX && audit->host_count <= AUDIT_MX_MAX);
	for (size_t i = 0; i < audit->finding_count; i++) {
		check_text(audit->findings[i].text);
		if (audit->findings[i].record != NULL) {
			check_text(audit->findings[i].record);
		}
	}
	for (size_t i = 0; i < AUDIT_SUBJECTS; i++) {
		for (size_t k = 0; k < audit->parts[i].line_count; k++) {
			check_text(audit->parts[i].lines[k]);
		}
	}
	require(audit_plan(audit, arena, &plan) <= audit->finding_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const selectors[] = {"s1", NULL};
	struct arena *arena = arena_create(65536);
	struct strbuf zone;
	struct slice rest = {size == 0 ? "" : (const char *)data, size};
	struct slice line;
	char *error = NULL;
	strbuf_init(&zone, arena);
	strbuf_add_text(&zone, "$SECURE example.com\nmx.example.com. A 192.0.2.1\nexample.com. MX 10 mx.example.com.\n"
	                       "mta-sts.example.com. A 192.0.2.1\n");
	while (slice_split(&rest, '\n', &line)) {
		add_record(&zone, line);
	}
	struct dns *dns = dns_open_zone_text((struct slice){zone.data, zone.len}, &error);
	free(error);
	if (dns != NULL) {
		struct audit audit;
		struct audit_request request = {.domain = "example.com", .selectors = selectors, .validates = true, .now = 1};
		struct lookups *lookups = lookups_create(dns);
		ip_parse("192.0.2.1", &request.ip);
		require(audit_run(&request, lookups, arena, &audit));
		check(&audit, arena);
		lookups_destroy(lookups);
	}
	dns_close(dns);
	arena_destroy(arena);
	return 0;
}
