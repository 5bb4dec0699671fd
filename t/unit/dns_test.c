/* lib/dns without a server that answers: names, rdata, the zone file, and the lookups of a session. */
#include "lib/base/clock.h"
#include "lib/dns/name.h"
#include "lib/dns/rdata.h"
#include "lib/dns/zone_text.h"
#include "t/tap.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define LABEL_63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"

/* In memory of exactly its size, so that ASan sees a read behind its end. */
static char *exact(const char *data, size_t len)
{
	char *copy = malloc(len);
	if (copy == NULL) {
		abort();
	}
	if (len > 0) {
		memcpy(copy, data, len);
	}
	return copy;
}

static void test_normalise(void)
{
	static const struct {
		const char *text, *expected; /* NULL: no domain name */
	} rows[] = {
	    {"example.com", "example.com"},
	    {"Example.COM.", "example.com"},
	    {"a", "a"},
	    {"_dmarc.x--y.test", "_dmarc.x--y.test"},
	    {"*.example", "*.example"},
	    {"sp ace.test", "sp\\032ace.test"},
	    {"tab\there", "tab\\009here"},
	    {"\303\244.test", "\\195\\164.test"},
	    {"a\\.b.test", "a\\046b.test"},
	    {"a\\046b.test", "a\\046b.test"},
	    {"a\\\\b.test", "a\\092b.test"},
	    {"\\065\\066.test", "ab.test"},
	    {"a\\000b", "a\\000b"},
	    {"\\255", "\\255"},
	    {LABEL_63 ".test", LABEL_63 ".test"},
	    {"", NULL},
	    {".", NULL},
	    {"..", NULL},
	    {".test", NULL},
	    {"a..b", NULL},
	    {"a.b..", NULL},
	    {"a\\", NULL},
	    {"a\\1", NULL},
	    {"a\\12", NULL},
	    {"a\\256", NULL},
	    {"a\\1x3", NULL},
	    {"x" LABEL_63 ".test", NULL},
	    {LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63, NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char out[DNS_MAX_NAME_TEXT];
		size_t len = strlen(rows[i].text);
		char *text = exact(rows[i].text, len);
		bool good = dns_name_normalise((struct slice){text, len}, out);
		ok(good == (rows[i].expected != NULL) && (!good || strcmp(out, rows[i].expected) == 0), "name \"%s\"",
		   rows[i].text);
		free(text);
	}
}

/* The longest name there is: 255 bytes of wire, every byte of every label escaped. */
static void test_longest_name(void)
{
	char text[DNS_MAX_NAME_TEXT] = "";
	char out[DNS_MAX_NAME_TEXT];
	char again[DNS_MAX_NAME_TEXT];
	static const int labels[] = {63, 63, 63, 61};
	char wire[255];
	size_t at = 0;
	size_t n = 0;
	for (int i = 0; i < 4; i++) {
		wire[at++] = (char)labels[i];
		for (int k = 0; k < labels[i]; k++) {
			wire[at++] = (char)1;
			n += (size_t)snprintf(text + n, sizeof text - n, "\\001");
		}
		n += (size_t)snprintf(text + n, sizeof text - n, ".");
	}
	wire[at++] = 0;
	char *copy = exact(wire, at);
	ok(at == 255 && dns_name_from_wire((struct slice){copy, at}, out) == 255, "255 bytes of wire are read");
	free(copy);
	ok(dns_name_normalise(slice_from(text), again) && strcmp(out, again) == 0, "its text form is a name, and the same");
	text[n - 1] = '\0';
	ok(snprintf(again, sizeof again, "b%s", text) < (int)sizeof again && !dns_name_normalise(slice_from(again), out),
	   "a byte more is none");
}

static void test_wire_names(void)
{
	static const struct {
		const char *wire;
		size_t len, used;
		const char *expected;
	} rows[] = {
	    {"\0", 1, 1, ""},
	    {"\1a\0", 3, 3, "a"},
	    {"\3WwW\4test\0rest", 14, 10, "www.test"},
	    {"\3a.b\0", 5, 5, "a\\046b"},
	    {"\3a\\b\0", 5, 5, "a\\092b"},
	    {"\1\377\0", 3, 3, "\\255"},
	    {"", 0, 0, NULL},
	    {"\1a", 2, 0, NULL},
	    {"\1", 1, 0, NULL},
	    {"\5abc\0", 5, 0, NULL},
	    {"\300\014", 2, 0, NULL},
	    {"\1a\300\0", 4, 0, NULL},
	    {"\100" LABEL_63 "l\0", 66, 0, NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char out[DNS_MAX_NAME_TEXT];
		char *wire = exact(rows[i].wire, rows[i].len);
		size_t used = dns_name_from_wire((struct slice){wire, rows[i].len}, out);
		ok(used == rows[i].used && (used == 0 || strcmp(out, rows[i].expected) == 0), "wire name %zu", i);
		free(wire);
	}
	char *endless = malloc(400);
	char out[DNS_MAX_NAME_TEXT];
	for (size_t i = 0; i < 400; i += 2) {
		memcpy(endless + i, "\1a", 2);
	}
	ok(dns_name_from_wire((struct slice){endless, 400}, out) == 0, "a name of more than 255 bytes is malformed");
	free(endless);
}

static void test_rdata(void)
{
	static const struct {
		enum dns_type type;
		const char *wire;
		size_t len;
		bool good;
		const char *data; /* text of .data, or NULL */
	} rows[] = {
	    {DNS_TYPE_A, "\300\0\2\1", 4, true, NULL},
	    {DNS_TYPE_A, "\300\0\2", 3, false, NULL},
	    {DNS_TYPE_A, "\300\0\2\1\1", 5, false, NULL},
	    {DNS_TYPE_A, "", 0, false, NULL},
	    {DNS_TYPE_AAAA, "\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16, true, NULL},
	    {DNS_TYPE_AAAA, "\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0", 15, false, NULL},
	    {DNS_TYPE_MX, "\0\12\2MX\4test\0", 11, true, "mx.test"},
	    {DNS_TYPE_MX, "\0\0\0", 3, true, ""},
	    {DNS_TYPE_MX, "\0\12", 2, false, NULL},
	    {DNS_TYPE_MX, "\0\12\2mx", 5, false, NULL},
	    {DNS_TYPE_MX, "\0\12\2mx\0x", 7, false, NULL},
	    {DNS_TYPE_PTR, "\1h\4test\0", 8, true, "h.test"},
	    {DNS_TYPE_PTR, "\300\014", 2, false, NULL},
	    {DNS_TYPE_NS, "\2ns\0", 4, true, "ns"},
	    {DNS_TYPE_CNAME, "\1c\0\0", 4, false, NULL},
	    {DNS_TYPE_SOA, "\2ns\0\2hm\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5", 28, true, "ns"},
	    {DNS_TYPE_SOA, "\2ns", 3, false, NULL},
	    {DNS_TYPE_TXT, "\3one\3two", 8, true, "onetwo"},
	    {DNS_TYPE_TXT, "\0", 1, true, ""},
	    {DNS_TYPE_TXT, "\0\1x\0", 4, true, "x"},
	    {DNS_TYPE_TXT, "\4one", 4, false, NULL},
	    {DNS_TYPE_TXT, "\377", 1, false, NULL},
	    {DNS_TYPE_TLSA, "\3\1\1abc", 6, true, "\3\1\1abc"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena *arena = arena_create(256);
		struct dns_record record;
		char *wire = exact(rows[i].wire, rows[i].len);
		bool good = dns_rdata_decode(arena, rows[i].type, (struct slice){wire, rows[i].len}, &record);
		free(wire);
		ok(good == rows[i].good && (rows[i].data == NULL || slice_equal(record.data, slice_from(rows[i].data))),
		   "rdata %zu, %s", i, dns_type_name(rows[i].type));
		if (good && rows[i].type == DNS_TYPE_MX && rows[i].len > 3) {
			is_int(record.preference, 10, "preference");
		}
		if (good && rows[i].type == DNS_TYPE_A) {
			char text[IP_TEXT_SIZE];
			ip_format(&record.address, text);
			is_text(text, "192.0.2.1", "address");
		}
		arena_destroy(arena);
	}
}

/* A zone from a text. *error_r as dns_open_zone() sets it. */
static struct dns *open_zone(const char *text, char **error_r)
{
	char path[] = "/tmp/mailreeve-zone-XXXXXX";
	int fd = mkstemp(path);
	*error_r = NULL;
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		abort();
	}
	close(fd);
	struct dns *dns = dns_open_zone(path, error_r);
	unlink(path);
	return dns;
}

static const char zone_text[] = "$TTL 300\n"
                                "Example.Test. IN A 192.0.2.1\n"
                                "example.test. 60 IN A 192.0.2.2\n"
                                "example.test. IN MX 10 mx.example.test.\n"
                                "example.test. IN MX 0 .\n"
                                "example.test. IN TXT \"one \" \"two\"\n"
                                "example.test. IN AAAA 2001:db8::1\n"
                                "deep.a.b.example.test. IN A 192.0.2.3\n"
                                "*.wild.test. IN TXT \"any\"\n"
                                "there.wild.test. IN A 192.0.2.4\n"
                                "below.ent.wild.test. IN A 192.0.2.5\n"
                                "www.example.test. IN CNAME example.test.\n"
                                "nowhere.test. IN CNAME no.such.name.\n"
                                "loop1.test. IN CNAME loop2.test.\n"
                                "loop2.test. IN CNAME loop1.test.\n"
                                "c0.test. IN CNAME c1.test.\nc1.test. IN CNAME c2.test.\nc2.test. IN CNAME c3.test.\n"
                                "c3.test. IN CNAME c4.test.\nc4.test. IN CNAME c5.test.\nc5.test. IN CNAME c6.test.\n"
                                "c6.test. IN CNAME c7.test.\nc7.test. IN CNAME c8.test.\nc8.test. IN CNAME c9.test.\n"
                                "c9.test. IN A 192.0.2.9\n"
                                "two.test. IN CNAME example.test.\ntwo.test. IN CNAME www.example.test.\n"
                                "two.test. IN CNAME nowhere.test.\n"
                                "toroot.test. IN CNAME .\n"
                                "1.2.0.192.in-addr.arpa. IN PTR Example.Test.\n"
                                "od\\.d.test. IN A 192.0.2.6\n"
                                "$SERVFAIL sick.test\n"
                                "$NODATA empty.test\nempty.test. IN A 192.0.2.11\n"
                                "$NXDOMAIN example.test SOA\n"
                                "$TIMEOUT slow.test. TXT ; a remark\n"
                                "slow.test. IN A 192.0.2.7\n"
                                "$servfail half.test\n"
                                "half.test. IN A 192.0.2.8\n"
                                "tosick.test. IN CNAME sick.test.\n"
                                "below.sick.test. IN A 192.0.2.10\n"
                                "last.test. IN TXT \"no newline\"";

static const struct zone_row {
	const char *name;
	enum dns_type type;
	enum dns_status status;
	size_t count;
	const char *first; /* address or data of the first record; problem for DNS_TEMPORARY */
} zone_rows[] = {
    {"example.test", DNS_TYPE_A, DNS_FOUND, 2, "192.0.2.1"},
    {"EXAMPLE.TEST.", DNS_TYPE_AAAA, DNS_FOUND, 1, "2001:db8::1"},
    {"example.test", DNS_TYPE_MX, DNS_FOUND, 2, "mx.example.test"},
    {"example.test", DNS_TYPE_TXT, DNS_FOUND, 1, "one two"},
    {"example.test", DNS_TYPE_PTR, DNS_NODATA, 0, NULL},
    {"mx.example.test", DNS_TYPE_A, DNS_NXDOMAIN, 0, NULL},
    {"a.b.example.test", DNS_TYPE_A, DNS_NODATA, 0, NULL},
    {"b.example.test", DNS_TYPE_TXT, DNS_NODATA, 0, NULL},
    {"test", DNS_TYPE_A, DNS_NODATA, 0, NULL},
    {"other", DNS_TYPE_A, DNS_NXDOMAIN, 0, NULL},
    {"x.deep.a.b.example.test", DNS_TYPE_A, DNS_NXDOMAIN, 0, NULL},
    {"foo.wild.test", DNS_TYPE_TXT, DNS_FOUND, 1, "any"},
    {"foo.bar.wild.test", DNS_TYPE_TXT, DNS_FOUND, 1, "any"},
    {"foo.wild.test", DNS_TYPE_A, DNS_NODATA, 0, NULL},
    {"there.wild.test", DNS_TYPE_TXT, DNS_NODATA, 0, NULL},
    {"ent.wild.test", DNS_TYPE_TXT, DNS_NODATA, 0, NULL},
    {"x.ent.wild.test", DNS_TYPE_TXT, DNS_NXDOMAIN, 0, NULL},
    {"x.there.wild.test", DNS_TYPE_TXT, DNS_NXDOMAIN, 0, NULL},
    {"www.example.test", DNS_TYPE_A, DNS_FOUND, 2, "192.0.2.1"},
    {"empty.test", DNS_TYPE_A, DNS_FOUND, 1, "192.0.2.11"},
    {"empty.test", DNS_TYPE_TXT, DNS_NODATA, 0, NULL},
    {"example.test", DNS_TYPE_SOA, DNS_NXDOMAIN, 0, NULL},
    {"www.example.test", DNS_TYPE_CNAME, DNS_FOUND, 1, "example.test"},
    {"www.example.test", DNS_TYPE_PTR, DNS_NODATA, 0, NULL},
    {"nowhere.test", DNS_TYPE_A, DNS_NXDOMAIN, 0, NULL},
    {"loop1.test", DNS_TYPE_A, DNS_TEMPORARY, 0, "too many CNAMEs"},
    {"c1.test", DNS_TYPE_A, DNS_FOUND, 1, "192.0.2.9"},
    {"c0.test", DNS_TYPE_A, DNS_TEMPORARY, 0, "too many CNAMEs"},
    {"two.test", DNS_TYPE_A, DNS_TEMPORARY, 0, "more than one CNAME"},
    {"toroot.test", DNS_TYPE_A, DNS_NXDOMAIN, 0, NULL},
    {"1.2.0.192.in-addr.arpa", DNS_TYPE_PTR, DNS_FOUND, 1, "example.test"},
    {"od\\046d.test", DNS_TYPE_A, DNS_FOUND, 1, "192.0.2.6"},
    {"od.d.test", DNS_TYPE_A, DNS_NXDOMAIN, 0, NULL},
    {"sick.test", DNS_TYPE_A, DNS_TEMPORARY, 0, "SERVFAIL"},
    {"sick.test", DNS_TYPE_TXT, DNS_TEMPORARY, 0, "SERVFAIL"},
    {"below.sick.test", DNS_TYPE_A, DNS_FOUND, 1, "192.0.2.10"},
    {"tosick.test", DNS_TYPE_A, DNS_TEMPORARY, 0, "SERVFAIL"},
    {"slow.test", DNS_TYPE_TXT, DNS_TEMPORARY, 0, "timeout"},
    {"slow.test", DNS_TYPE_A, DNS_FOUND, 1, "192.0.2.7"},
    {"slow.test", DNS_TYPE_MX, DNS_NODATA, 0, NULL},
    {"half.test", DNS_TYPE_A, DNS_FOUND, 1, "192.0.2.8"},
    {"half.test", DNS_TYPE_TXT, DNS_TEMPORARY, 0, "SERVFAIL"},
    {"last.test", DNS_TYPE_TXT, DNS_FOUND, 1, "no newline"},
    {"a..b", DNS_TYPE_A, DNS_NXDOMAIN, 0, NULL},
    {"", DNS_TYPE_A, DNS_NXDOMAIN, 0, NULL},
};

static bool answer_is(const struct dns_answer *answer, const struct zone_row *row)
{
	char address[IP_TEXT_SIZE];
	if (answer == NULL || answer->status != row->status || answer->count != row->count) {
		return false;
	}
	if (row->status == DNS_TEMPORARY) {
		return answer->problem != NULL && strcmp(answer->problem, row->first) == 0;
	}
	if (answer->problem != NULL || answer->secure) {
		return false;
	}
	if (row->status == DNS_FOUND && (row->type == DNS_TYPE_A || row->type == DNS_TYPE_AAAA)) {
		ip_format(&answer->records[0].address, address);
		return strcmp(address, row->first) == 0;
	}
	return row->first == NULL || slice_equal(answer->records[0].data, slice_from(row->first));
}

/* $SECURE and $BOGUS. */
static void test_secure(void)
{
	static const char text[] = "$SECURE signed.test\n$BOGUS broken.signed.test TXT\n$NODATA none.signed.test TXT\n"
	                           "signed.test. A 192.0.2.1\na.signed.test. CNAME b.signed.test.\nb.signed.test. A 192.0.2.2\n"
	                           "out.signed.test. CNAME open.test.\nopen.test. A 192.0.2.3\nin.test. CNAME signed.test.\n";
	static const struct {
		const char *name;
		enum dns_type type;
		bool secure;
	} rows[] = {{"signed.test", DNS_TYPE_A, true},        {"signed.test", DNS_TYPE_TXT, true},  {"a.signed.test", DNS_TYPE_A, true},
	            {"gone.signed.test", DNS_TYPE_A, true},   {"none.signed.test", DNS_TYPE_TXT, true}, {"out.signed.test", DNS_TYPE_A, false},
	            {"out.signed.test", DNS_TYPE_CNAME, true}, {"open.test", DNS_TYPE_A, false},     {"in.test", DNS_TYPE_A, false},
	            {"unsigned.test", DNS_TYPE_A, false},     {"broken.signed.test", DNS_TYPE_TXT, false}};
	char *error = NULL;
	struct dns *dns = dns_open_zone_text(slice_from(text), &error);
	if (!ok(dns != NULL, "a zone with $SECURE is read")) {
		free(error);
		return;
	}
	struct lookups *lookups = lookups_create(dns);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct dns_answer *answer = lookups_get(lookups, rows[i].name, rows[i].type);
		ok(answer->secure == rows[i].secure, "%s %s is %s", rows[i].name, dns_type_name(rows[i].type),
		   rows[i].secure ? "secure" : "not");
	}
	is_text(lookups_get(lookups, "broken.signed.test", DNS_TYPE_TXT)->problem, "bogus: DNSSEC", "what $BOGUS says");
	lookups_destroy(lookups);
	dns_close(dns);
}

static void test_zone(void)
{
	char *error;
	struct dns *dns = open_zone(zone_text, &error);
	if (!ok(dns != NULL, "the zone is read: %s", error == NULL ? "" : error)) {
		free(error);
		return;
	}
	struct lookups *lookups = lookups_create(dns);
	for (size_t i = 0; i < sizeof zone_rows / sizeof *zone_rows; i++) {
		const struct zone_row *row = &zone_rows[i];
		const struct dns_answer *answer = lookups_get(lookups, row->name, row->type);
		if (!ok(answer_is(answer, row), "zone: %s %s is %s", row->name, dns_type_name(row->type),
		        dns_status_name(row->status))) {
			diag("got %s, %zu records, %s", dns_status_name(answer->status), answer->count,
			     answer->problem == NULL ? "" : answer->problem);
		}
	}
	is_int(lookups_get(lookups, "example.test", DNS_TYPE_MX)->records[0].preference, 10, "preference of the MX");
	is_int(lookups_get(lookups, "example.test", DNS_TYPE_MX)->ttl, 300, "$TTL holds");
	is_int((long long)lookups_pending(lookups), 0, "nothing of a zone is ever pending");
	ok(lookups_wait(lookups, 0), "and there is nothing to wait for");
	lookups_destroy(lookups);
	dns_close(dns);
}

/* What means something in a zone file: in names, and in a text of more than one string. */
static void test_zone_text_signs(void)
{
	static const char *const names[] = {"semi\\;colon.test", "quo\\\"te.test", "$dollar.test", "par\\(en.test", "at\\@sign.test", "bl\\032ank.test"};
	enum { NAMES = sizeof names / sizeof *names };
	struct arena *arena = arena_create(4096);
	struct strbuf zone, text;
	char *error;
	strbuf_init(&zone, arena);
	strbuf_init(&text, arena);
	strbuf_add_text(&zone, "long.test. IN TXT");
	for (int i = 0; i < 700; i++) {
		strbuf_printf(&zone, i % 250 == 0 ? "%s\"\\%03d" : "%s\\%03d", i % 250 == 0 && i > 0 ? "\" " : i == 0 ? " " : "", i % 256);
	}
	strbuf_add_text(&zone, "\"\n");
	for (int i = 0; i < NAMES; i++) {
		strbuf_printf(&zone, "x.%s. IN PTR %s.\n", names[i], names[i]);
	}
	struct dns *dns = open_zone(zone.data, &error);
	struct lookups *lookups = lookups_create(dns);
	const struct dns_answer *whole = lookups_get(lookups, "long.test", DNS_TYPE_TXT);
	for (int i = 0; i < NAMES; i++) {
		lookups_get(lookups, arena_printf(arena, "x.%s", names[i]), DNS_TYPE_PTR);
	}
	zone_text_write(lookups, SIZE_MAX, &text);
	struct dns *again = dns_open_zone_text((struct slice){text.data, text.len}, &error);
	if (ok(again != NULL, "signs of a zone file are no trouble")) {
		struct lookups *lookups_again = lookups_create(again);
		const struct dns_answer *answer = lookups_get(lookups_again, "long.test", DNS_TYPE_TXT);
		ok(whole->count == 1 && whole->records[0].data.len == 700 && answer->count == 1 && slice_equal(answer->records[0].data, whole->records[0].data),
		   "a text of 700 bytes of every value comes back");
		for (int i = 0; i < NAMES; i++) {
			const char *name = arena_printf(arena, "x.%s", names[i]);
			const struct dns_answer *first = lookups_get(lookups, name, DNS_TYPE_PTR);
			const struct dns_answer *second = lookups_get(lookups_again, name, DNS_TYPE_PTR);
			ok(first->status == DNS_FOUND && second->status == DNS_FOUND && slice_equal(first->records[0].data, second->records[0].data), "so does %s", name);
		}
		lookups_destroy(lookups_again);
	} else {
		diag("%s: %s", error, text.data);
	}
	lookups_destroy(lookups);
	dns_close(dns);
	dns_close(again);
	arena_destroy(arena);
}

/* The answers of the zone as a text: the same questions to it have the same answers. */
static void test_zone_text(void)
{
	char *error;
	struct dns *dns = open_zone(zone_text, &error);
	struct arena *arena = arena_create(4096);
	struct lookups *lookups = lookups_create(dns);
	struct strbuf text, cut;
	strbuf_init(&text, arena);
	strbuf_init(&cut, arena);
	for (size_t i = 0; i < sizeof zone_rows / sizeof *zone_rows; i++) {
		lookups_get(lookups, zone_rows[i].name, zone_rows[i].type);
	}
	zone_text_write(lookups, SIZE_MAX, &text);
	zone_text_write(lookups, 100, &cut);
	lookups_destroy(lookups);
	dns_close(dns);
	ok(cut.len <= 100 + strlen("; incomplete\n") && strstr(cut.data, "; incomplete\n") != NULL,
	   "a text that is cut says so");
	dns = dns_open_zone_text((struct slice){text.data, text.len}, &error);
	if (!ok(dns != NULL, "the answers as a text are a zone: %s", error == NULL ? "" : error)) {
		free(error);
		return;
	}
	lookups = lookups_create(dns);
	for (size_t i = 0; i < sizeof zone_rows / sizeof *zone_rows; i++) {
		const struct zone_row *row = &zone_rows[i];
		const struct dns_answer *answer = lookups_get(lookups, row->name, row->type);
		bool temporary = row->status == DNS_TEMPORARY && answer->status == DNS_TEMPORARY; /* whatever the reason was */
		if (!ok(temporary || answer_is(answer, row), "and give the same again: %s %s", row->name,
		        dns_type_name(row->type))) {
			diag("%s", text.data);
		}
	}
	lookups_destroy(lookups);
	dns_close(dns);
	arena_destroy(arena);
}

static void test_bad_zones(void)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
	    {"a.test. IN A 192.0.2.1\n\nb.test. IN A 192.0.2\n", ":3: "},
	    {"$SERVFAIL\n", ":1: expected $SERVFAIL"},
	    {"a.test. IN A 192.0.2.1\n$TIMEOUT a..b\n", ":2: expected $SERVFAIL"},
	    {"$TIMEOUT a.test NOTYPE\n", ":1: expected $SERVFAIL"},
	    {"$TIMEOUT a.test TXT more\n", ":1: expected $SERVFAIL"},
	    {"$SECURE a.test TXT\n", ":1: expected $SERVFAIL"},
	    {"$INCLUDE /etc/passwd\n", ":1: "},
	    {"$NODATA a.test TXT more\n", ":1: expected $SERVFAIL"},
	    {"$NXDOMAIN\n", ":1: expected $SERVFAIL"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *error;
		struct dns *dns = open_zone(rows[i].text, &error);
		if (!ok(dns == NULL && error != NULL && strstr(error, rows[i].expected) != NULL, "bad zone %zu is refused",
		        i)) {
			diag("%s", error == NULL ? "read" : error);
		}
		free(error);
		dns_close(dns);
	}
	char *error = NULL;
	ok(dns_open_zone("/nonexistent/zone", &error) == NULL && error != NULL &&
	       strstr(error, "/nonexistent/zone: No such file") != NULL,
	   "a file that is not there");
	free(error);
	struct dns *empty = open_zone("", &error);
	struct lookups *lookups = lookups_create(empty);
	ok(lookups_get(lookups, "a.test", DNS_TYPE_A)->status == DNS_NXDOMAIN, "an empty zone has nothing");
	lookups_destroy(lookups);
	dns_close(empty);
}

/* A port of loopback where datagrams arrive and nobody ever answers. */
static int silent_server(char *forwarder, size_t size)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
		abort();
	}
	snprintf(forwarder, size, "127.0.0.1@%d", ntohs(address.sin_port));
	return fd;
}

static struct dns *open_silent(int *fd_r, size_t pending_max, uint64_t timeout_ns)
{
	char forwarder[40];
	const char *forwarders[] = {forwarder, NULL};
	struct dns_settings settings;
	char *error = NULL;
	*fd_r = silent_server(forwarder, sizeof forwarder);
	dns_settings_default(&settings);
	settings.forwarders = forwarders;
	settings.timeout_ns = timeout_ns;
	settings.pending_max = pending_max;
	struct dns *dns = dns_open_resolver(&settings, &error);
	if (dns == NULL) {
		diag("%s", error);
		abort();
	}
	return dns;
}

static bool is_temporary(const struct dns_answer *answer, const char *problem)
{
	return answer != NULL && answer->status == DNS_TEMPORARY && strcmp(answer->problem, problem) == 0;
}

struct seen {
	char text[400];
	uint64_t took;
};

static void see(void *context, const char *name, enum dns_type type, const struct dns_answer *answer, uint64_t took_ns)
{
	struct seen *seen = context;
	size_t n = strlen(seen->text);
	snprintf(seen->text + n, sizeof seen->text - n, "%s/%s/%s ", name, dns_type_name(type),
	         answer == NULL ? "pending" : dns_status_name(answer->status));
	seen->took = took_ns;
}

static void test_timeout(void)
{
	int fd;
	struct dns_statistics statistics;
	struct dns *dns = open_silent(&fd, 3, 300 * CLOCK_NS_PER_MS);
	struct lookups *lookups = lookups_create(dns);
	uint64_t start = clock_now();
	ok(lookups_peek(lookups, "a.example", DNS_TYPE_A) == NULL && lookups_pending(lookups) == 0, "peek asks nothing");
	ok(lookups_get(lookups, "a.example", DNS_TYPE_A) == NULL, "a question under way has no answer");
	ok(lookups_get(lookups, "A.Example.", DNS_TYPE_A) == NULL && lookups_pending(lookups) == 1,
	   "the same name asks once");
	ok(!lookups_wait(lookups, start), "a deadline that has passed is not waited for");
	ok(!lookups_wait(lookups, start + 20 * CLOCK_NS_PER_MS), "nor is an answer made of it");
	lookups_get(lookups, "b.example", DNS_TYPE_A);
	struct lookups *other = lookups_create(dns);
	ok(lookups_get(other, "a.example", DNS_TYPE_A) == NULL, "another session waits for the same question");
	lookups_get(lookups, "c.example", DNS_TYPE_A);
	ok(is_temporary(lookups_get(lookups, "d.example", DNS_TYPE_A), "resolver busy"),
	   "more than pending_max is \"busy\"");
	ok(lookups_wait(lookups, start + 20 * CLOCK_NS_PER_S), "the wait ends");
	const struct dns_answer *answer = lookups_peek(lookups, "a.example", DNS_TYPE_A);
	uint64_t took = clock_now() - start;
	ok(is_temporary(answer, "timeout"), "with DNS_TEMPORARY \"timeout\"");
	ok(took >= 300 * CLOCK_NS_PER_MS && took < 2 * CLOCK_NS_PER_S, "after the timeout of the settings (%d ms)",
	   (int)(took / CLOCK_NS_PER_MS));
	ok(lookups_wait(other, start + 20 * CLOCK_NS_PER_S) && lookups_peek(other, "a.example", DNS_TYPE_A) == answer,
	   "both sessions have the same answer");
	while (lookups_pending(lookups) > 0 && lookups_wait(lookups, start + 20 * CLOCK_NS_PER_S)) {
	}
	ok(is_temporary(lookups_get(lookups, "d.example", DNS_TYPE_A), "resolver busy"), "what a session was told stays");
	lookups_destroy(other);
	other = lookups_create(dns);
	ok(lookups_get(other, "a.example", DNS_TYPE_A) == answer, "a timeout is kept for a moment");
	ok(lookups_get(other, "d.example", DNS_TYPE_A) == NULL, "\"busy\" is not kept");
	dns_get_statistics(dns, &statistics);
	ok(statistics.questions == 7 && statistics.misses == 5 && statistics.coalesced == 1 && statistics.hits == 1 &&
	       statistics.temporary == 4 && statistics.pending == 1,
	   "statistics: %d questions, %d misses, %d coalesced, %d hits, %d temporary, %d pending",
	   (int)statistics.questions, (int)statistics.misses, (int)statistics.coalesced, (int)statistics.hits,
	   (int)statistics.temporary, (int)statistics.pending);
	lookups_destroy(lookups);
	lookups_destroy(other);
	dns_close(dns);
	close(fd);
}

static void test_expire(void)
{
	int fd;
	struct dns *dns = open_silent(&fd, 100, 600 * CLOCK_NS_PER_S);
	struct lookups *lookups = lookups_create(dns);
	struct seen seen = {.text = ""};
	lookups_get(lookups, "client.example", DNS_TYPE_PTR);
	lookups_mark(lookups);
	lookups_get(lookups, "sender.example", DNS_TYPE_TXT);
	lookups_each(lookups, see, &seen);
	is_text(seen.text, "client.example/PTR/pending sender.example/TXT/pending ",
	        "each shows what is pending, in order");
	lookups_expire(lookups, "deadline");
	ok(is_temporary(lookups_get(lookups, "sender.example", DNS_TYPE_TXT), "deadline"),
	   "expiry answers what is pending");
	ok(is_temporary(lookups_get(lookups, "new.example", DNS_TYPE_TXT), "deadline"), "and what is asked afterwards");
	ok(lookups_pending(lookups) == 0 && lookups_wait(lookups, UINT64_MAX / 2), "so nothing is waited for");
	seen.took = 0;
	lookups_each(lookups, see, &seen);
	ok(seen.took > 0, "the time it took is told for what has expired");
	lookups_reset(lookups);
	seen.text[0] = '\0';
	lookups_each(lookups, see, &seen);
	is_text(seen.text, "client.example/PTR/pending ", "reset keeps what was marked, and lifts the expiry");
	ok(lookups_get(lookups, "sender.example", DNS_TYPE_TXT) == NULL, "what was dropped is asked anew");
	lookups_reset(lookups);
	lookups_reset(lookups);
	is_int((long long)lookups_pending(lookups), 1, "a second reset keeps it too");
	lookups_destroy(lookups);
	lookups_destroy(NULL);
	lookups = lookups_create(dns);
	lookups_get(lookups, "x.example", DNS_TYPE_A);
	lookups_reset(lookups);
	is_int((long long)lookups_pending(lookups), 0, "without a mark reset drops all");
	lookups_destroy(lookups);
	uint64_t start = clock_now();
	dns_close(dns);
	ok(clock_now() - start < 5 * CLOCK_NS_PER_S, "the resolver ends at once with questions under way");
	close(fd);
}

static void test_bad_settings(void)
{
	static const struct {
		const char *forwarder, *anchors, *hints, *expected;
	} rows[] = {
	    {"not-an-address", NULL, NULL, "not-an-address"},
	    {NULL, "/nonexistent/anchors", NULL, "/nonexistent/anchors"},
	    {NULL, NULL, "/nonexistent/hints", "/nonexistent/hints"},
	    {NULL, "/dev/null", NULL, "/dev/null"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *forwarders[] = {rows[i].forwarder, NULL};
		struct dns_settings settings;
		char *error = NULL;
		dns_settings_default(&settings);
		settings.forwarders = forwarders;
		settings.trust_anchor_file = rows[i].anchors;
		settings.root_hints = rows[i].hints;
		struct dns *dns = dns_open_resolver(&settings, &error);
		ok(dns == NULL && error != NULL && strstr(error, rows[i].expected) != NULL, "refused: %s",
		   error == NULL ? rows[i].expected : error);
		free(error);
		dns_close(dns);
	}
	dns_close(NULL);
}

int main(void)
{
	test_normalise();
	test_longest_name();
	test_wire_names();
	test_rdata();
	test_zone();
	test_secure();
	test_zone_text();
	test_zone_text_signs();
	test_bad_zones();
	test_timeout();
	test_expire();
	test_bad_settings();
	return done_testing();
}
