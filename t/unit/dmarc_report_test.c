/* Aggregate reports: whom they go to, their XML (against the schema of RFC 9990 where it is at hand), their message. */
#include "lib/report/dmarc_mail.h"
#include "lib/report/dmarc_uri.h"
#include "lib/report/dmarc_xml.h"
#include "lib/report/xml.h"
#include "t/tap.h"

#include <unistd.h>

/* ---- rua= ---- */

static const struct {
	const char *list;
	const char *expected; /* address!limit, blanks between */
} lists[] = {
    {"mailto:a@example.org", "a@example.org!0"},
    {" MAILTO:a@example.org , mailto:b@EXAMPLE.net!10m", "a@example.org!0 b@EXAMPLE.net!10485760"},
    {"mailto:a@example.org!5", "a@example.org!5"},
    {"mailto:a@example.org!2k,mailto:b@example.org!1G,mailto:c@example.org!1t",
     "a@example.org!2048 b@example.org!1073741824 c@example.org!1099511627776"},
    {"mailto:a%2Bb@example.org", "a+b@example.org!0"},
    {"mailto:a%21b@example.org!1m", "a!b@example.org!1048576"},
    {"mailto:a@example.org?subject=x", "a@example.org!0"},
    {"mailto:a@example.org,mailto:A@example.ORG", "a@example.org!0"},
    {"https://example.org/report,mailto:a@example.org", "a@example.org!0"},
    {"", ""},
    {",,", ""},
    {"a@example.org", ""},
    {"mailto:", ""},
    {"mailto:a", ""},
    {"mailto:@example.org", ""},
    {"mailto:a@", ""},
    {"mailto:a%@example.org", ""},
    {"mailto:a%4@example.org", ""},
    {"mailto:a@example.org%4", ""},
    {"mailto:a%0d%0aRCPT@example.org", ""},
    {"mailto:a%20b@example.org", ""},
    {"mailto:a@example.org!", ""},
    {"mailto:a@example.org!m", ""},
    {"mailto:a@example.org!1x", ""},
    {"mailto:a@example.org!99999999999999999999m", ""},
    {"mailto:a@b.c,mailto:b@b.c,mailto:c@b.c,mailto:d@b.c,mailto:e@b.c,mailto:f@b.c,mailto:g@b.c,mailto:h@b.c,mailto:i@"
     "b.c,"
     "mailto:j@b.c,mailto:k@b.c",
     "a@b.c!0 b@b.c!0 c@b.c!0 d@b.c!0 e@b.c!0 f@b.c!0 g@b.c!0 h@b.c!0 i@b.c!0 j@b.c!0"},
};

static void test_lists(struct arena *arena)
{
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		struct dmarc_uri uris[DMARC_URI_MAX];
		struct strbuf got;
		size_t n = strlen(lists[i].list);
		char *copy = malloc(n == 0 ? 1 : n);
		memcpy(copy, lists[i].list, n);
		size_t count = dmarc_uri_parse(arena, (struct slice){copy, n}, uris);
		free(copy);
		strbuf_init(&got, arena);
		for (size_t k = 0; k < count; k++) {
			strbuf_printf(&got, "%s%s!%llu", k == 0 ? "" : " ", uris[k].address.text,
			              (unsigned long long)uris[k].size_max);
		}
		is_text(got.data, lists[i].expected, lists[i].list);
	}
}

/* ---- text ---- */

static const struct {
	const char *text, *expected;
} texts[] = {
    {"a<b>&\"c\"", "a&lt;b&gt;&amp;&quot;c&quot;"},
    {"\xc3\xa4", "\xc3\xa4"},
    {"\xc3", "\xef\xbf\xbd"},
    {"\x01\x7f", "\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xef\xbf\xbf \xef\xbf\xbe", "\xef\xbf\xbd \xef\xbf\xbd"},
    {"\xf0\x9f\x93\xa7", "\xf0\x9f\x93\xa7"},
    {"]]>", "]]&gt;"},
    {"", ""},
};

static void test_texts(struct arena *arena)
{
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct strbuf got;
		strbuf_init(&got, arena);
		xml_add_text(&got, slice_from(texts[i].text));
		is_text(got.data, texts[i].expected, "a text in XML");
	}
}

/* ---- a report ---- */

static void add_row(struct strbuf *out, const struct dmarc_xml_row *row, uint64_t count)
{
	struct strbuf before, after;
	strbuf_init(&before, out->arena);
	strbuf_init(&after, out->arena);
	dmarc_xml_row(&before, &after, row);
	dmarc_xml_add(out, (struct slice){before.data, before.len}, count, (struct slice){after.data, after.len});
}

static void begin(struct strbuf *out, const char *record)
{
	dmarc_xml_begin(out, &(struct dmarc_xml_report){.org_name = "Relay & <Co>",
	                                                .email = "dmarc@relay.example",
	                                                .contact = "https://relay.example/?a=1&b=2",
	                                                .report_id = "20782.abc",
	                                                .begin = 1795564800,
	                                                .end = 1795651199,
	                                                .domain = "example.org",
	                                                .record = slice_from(record),
	                                                .generator = "Mailreeve"});
}

static struct slice report(struct arena *arena)
{
	struct strbuf out;
	struct ip v4, v6;
	ip_parse("192.0.2.7", &v4);
	ip_parse("2001:db8::7", &v6);
	struct dmarc_verdict pass = {.result = AUTH_PASS,
	                             .policy = DMARC_POLICY_REJECT,
	                             .domain = "example.org",
	                             .dkim_alignment = DMARC_ALIGNED_STRICT};
	struct dmarc_verdict fail = {.result = AUTH_FAIL,
	                             .policy = DMARC_POLICY_REJECT,
	                             .disposition = DMARC_POLICY_NONE,
	                             .domain = "sub.example.org"};
	fail.override = (struct dmarc_override){DMARC_OVERRIDE_MAILING_LIST, "list <dev> & friends"};
	struct spf_verdict spf = {.result = AUTH_PASS, .domain = "bounce.example.net", .scope = SPF_SCOPE_MFROM};
	struct spf_verdict helo = {
	    .result = AUTH_PERMERROR, .domain = "mail.example", .scope = SPF_SCOPE_HELO, .problem = "two <records>"};
	struct dmarc_xml_dkim dkim[] = {{"example.org", "s1", AUTH_PASS, NULL},
	                                {"other.example", "s2", AUTH_FAIL, "body \x01 hash"}};
	strbuf_init(&out, arena);
	begin(&out, "v=DMARC1; p=reject; sp=quarantine; adkim=s; fo=1:d; t=y; rua=mailto:a@example.org");
	add_row(&out,
	        &(struct dmarc_xml_row){.source = &v4,
	                                .dmarc = &pass,
	                                .envelope_from = "bounce.example.net",
	                                .spf = &spf,
	                                .dkim = dkim,
	                                .dkim_count = 2},
	        3);
	add_row(&out, &(struct dmarc_xml_row){.source = &v6, .dmarc = &fail, .envelope_from = "", .spf = &helo}, 1);
	dmarc_xml_end(&out);
	return (struct slice){out.data, out.len};
}

static void test_report(struct arena *arena)
{
	static const char *const parts[] = {
	    "<org_name>Relay &amp; &lt;Co&gt;</org_name>",
	    "<p>reject</p>\n    <sp>quarantine</sp>\n    <np>quarantine</np>\n    <adkim>s</adkim>\n    <aspf>r</aspf>",
	    "<fo>1:d</fo>\n    <testing>y</testing>",
	    "<source_ip>192.0.2.7</source_ip>\n      <count>3</count>\n",
	    "<disposition>pass</disposition>\n        <dkim>pass</dkim>\n        <spf>fail</spf>\n      </policy",
	    "<source_ip>2001:db8::7</source_ip>\n      <count>1</count>",
	    "<disposition>none</disposition>\n        <dkim>fail</dkim>\n        <spf>fail</spf>\n        <reason>\n       "
	    "   "
	    "<type>mailing_list</type>\n          <comment>list &lt;dev&gt; &amp; friends</comment>",
	    "<envelope_from>bounce.example.net</envelope_from>",
	    "<envelope_from></envelope_from>",
	    "<scope>mfrom</scope>\n        <result>pass</result>",
	    "<domain>mail.example</domain>\n        <result>permerror</result>\n        <human_result>two &lt;records&gt;",
	};
	struct slice xml = report(arena);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		ok(strstr(xml.data, parts[i]) != NULL, "it says %zu", i);
	}
}

/* With the program that everybody uses for it, on the published schema. */
static void test_schema(struct arena *arena)
{
	char path[] = "/tmp/dmarc_report.XXXXXX";
	const char *data = getenv("MAILREEVE_DATA");
	const char *schema = data == NULL ? "" : arena_printf(arena, "%s/dmarc/dmarc-2.0.xsd", data);
	if (access(schema, R_OK) != 0 || system("xmllint --version > /dev/null 2>&1") != 0) {
		ok(true, "valid by the schema # SKIP no schema (MAILREEVE_DATA) or no xmllint");
		return;
	}
	struct slice xml = report(arena);
	int fd = mkstemp(path);
	if (fd < 0 || write(fd, xml.data, xml.len) != (ssize_t)xml.len) {
		abort();
	}
	close(fd);
	const char *command = arena_printf(arena, "xmllint --noout --schema '%s' %s 2>&1 | sed 's/^/# /'", schema, path);
	const char *quiet = arena_printf(arena, "xmllint --noout --schema '%s' %s 2> /dev/null", schema, path);
	int status = system(quiet);
	if (!ok(status == 0, "valid by the schema") && system(command) != 0) {
		diag("xmllint");
	}
	unlink(path);
}

/* ---- its message ---- */

static void test_mail(struct arena *arena)
{
	struct slice xml = report(arena);
	size_t size;
	struct dmarc_mail mail = {.org_name = "Relay \"& Co\"",
	                          .from = "dmarc@relay.example",
	                          .to = "a@example.org",
	                          .submitter = "mx.relay.example",
	                          .domain = "example.org",
	                          .report_id = "20782.abc",
	                          .begin = 1795564800,
	                          .end = 1795651199,
	                          .now = 1795660000,
	                          .xml = xml};
	struct slice text = dmarc_mail_compose(arena, &mail, &size);
	ok(strstr(text.data, "\r\nSubject: Report Domain: example.org\r\n\tSubmitter: mx.relay.example\r\n\tReport-ID: "
	                     "<20782.abc>\r\n") != NULL,
	   "the subject of RFC 9990");
	ok(strstr(text.data, "filename=\"mx.relay.example!example.org!1795564800!1795651199.xml.gz\"\r\n") != NULL,
	   "the name of the file");
	ok(strstr(text.data, "\r\nDate: Thu, 26 Nov 2026 02:26:40 +0000") != NULL, "the date");
	ok(strstr(text.data, "\r\nAuto-Submitted: auto-generated\r\n") != NULL, "no human wrote it");
	bool lines = true;
	for (size_t i = 0; i < text.len; i++) {
		lines = lines && (text.data[i] != '\n' || (i > 0 && text.data[i - 1] == '\r'));
	}
	ok(lines, "lines end in CRLF");
	ok(size > 100 && size < xml.len, "the report is smaller than its XML");
}

int main(void)
{
	struct arena *arena = arena_create(65536);
	test_lists(arena);
	test_texts(arena);
	test_report(arena);
	test_schema(arena);
	test_mail(arena);
	arena_destroy(arena);
	return done_testing();
}
