/* spf_check() where the RFC 7208 suite does not look: limits, hostile records, what the verdict says, look-ahead. Every
 * row runs with all answers at hand and with each answer late. */
#include "lib/auth/spf.h"
#include "t/late_lookups.h"
#include "t/tap.h"

#include <pthread.h>
#include <unistd.h>

static const char zone_text[] =
    "ip.example. 300 IN TXT \"v=spf1 ip4:192.0.2.0/24 include:never.example a mx ptr -all\"\n"
    "all.example. 300 IN TXT \"v=spf1 -all\"\n"
    "end.example. 300 IN TXT \"v=spf1 ip4:10.0.0.0/8\"\n"
    "zero4.example. 300 IN TXT \"v=spf1 ip4:10.0.0.0/0 -all\"\n"
    "zero6.example. 300 IN TXT \"v=spf1 ip6:2001:db8::/0 -all\"\n"
    "mapped.example. 300 IN TXT \"v=spf1 ip6:::ffff:192.0.2.1/0 ip6:::ffff:192.0.2.1 -all\"\n"
    "azero.example. 300 IN TXT \"v=spf1 a:host.example/0//0 -all\"\n"
    "host.example. 300 IN A 10.9.8.7\n"
    "host.example. 300 IN AAAA 2001:db8:ffff::1\n"
    "inc.example. 300 IN TXT \"v=spf1 -include:ip.example +all\"\n"
    "noinc.example. 300 IN TXT \"v=spf1 +include:all.example +all\"\n"
    "neutral.example. 300 IN TXT \"v=spf1 ?include:all.example\"\n"
    "red.example. 300 IN TXT \"v=spf1 a redirect=inc.example\"\n"
    "red.example. 300 IN A 10.0.0.1\n"
    "badinc.example. 300 IN TXT \"v=spf1 include:missing.example -all\"\n"
    "badred.example. 300 IN TXT \"v=spf1 redirect=missing.example\"\n"
    "badsyntax.example. 300 IN TXT \"v=spf1 a mx/99 -all\"\n"
    "incsyntax.example. 300 IN TXT \"v=spf1 include:badsyntax.example -all\"\n"
    "two.example. 300 IN TXT \"v=spf1 -all\"\n"
    "two.example. 300 IN TXT \"V=SPF1 +all\"\n"
    "label.example. 300 IN TXT \"v=spf1 include:%{d1} +all\"\n"
    "example. 300 IN TXT \"v=spf1 +all\"\n"
    "self.example. 300 IN TXT \"v=spf1 include:self.example +all\"\n"
    "round.example. 300 IN TXT \"v=spf1 redirect=ro%%und.example\"\n"
    "loop.example. 300 IN TXT \"v=spf1 redirect=loop.example\"\n"
    "*.tree.example. 300 IN TXT \"v=spf1 include:0.%{d} include:1.%{d} include:2.%{d} include:3.%{d} include:4.%{d}\" "
    "\" "
    "include:5.%{d} include:6.%{d} include:7.%{d} include:8.%{d} include:9.%{d} +all\"\n"
    "wide.example. 300 IN TXT \"v=spf1 include:w1.example include:w2.example include:w3.example -all\"\n"
    "w1.example. 300 IN TXT \"v=spf1 a:w1a.example mx:w1b.example -all\"\nw1a.example. 300 IN A 10.0.0.1\n"
    "w1b.example. 300 IN MX 1 w1a.example.\n"
    "w2.example. 300 IN TXT \"v=spf1 exists:w2a.example redirect=w2b.example\"\n"
    "w2b.example. 300 IN TXT \"v=spf1 a:w2c.example -all\"\nw2c.example. 300 IN A 10.0.0.1\n"
    "w3.example. 300 IN TXT \"v=spf1 mx:w3a.example -all\"\nw3a.example. 300 IN MX 1 w3b.example.\n"
    "w3b.example. 300 IN A 10.0.0.1\n"
    "ten.example. 300 IN TXT \"v=spf1 a:host.example a:host.example a:host.example a:host.example a:host.example "
    "a:host.example a:host.example a:host.example a:host.example exists:host.example -all\"\n"
    "eleven.example. 300 IN TXT \"v=spf1 a:host.example a:host.example a:host.example a:host.example a:host.example "
    "include:end.example include:end.example a:host.example a:host.example a:host.example exists:host.example -all\"\n"
    "void2.example. 300 IN TXT \"v=spf1 a:v1.example exists:v2.example -all\"\n"
    "void3.example. 300 IN TXT \"v=spf1 a:v1.example include:void2.example -all\"\n"
    "mx4.example. 300 IN TXT \"v=spf1 mx -all\"\n"
    "mx4.example. 300 IN MX 1 four1.example.\n"
    "mx4.example. 300 IN MX 1 four2.example.\n"
    "mx4.example. 300 IN MX 1 four3.example.\n"
    "mx4.example. 300 IN MX 1 four4.example.\n"
    "four1.example. 300 IN A 10.0.0.1\nfour2.example. 300 IN A 10.0.0.2\n"
    "four3.example. 300 IN A 10.0.0.3\nfour4.example. 300 IN A 192.0.2.1\n"
    "mxnull.example. 300 IN TXT \"v=spf1 mx -all\"\nmxnull.example. 300 IN MX 0 .\n"
    "serv.example. 300 IN TXT \"v=spf1 a:broken.example +all\"\n$SERVFAIL broken.example A\n"
    "servmatch.example. 300 IN TXT \"v=spf1 ip4:192.0.2.1 a:broken.example -all\"\n"
    "servtop.example. 300 IN TXT \"v=spf1 +all\"\n$TIMEOUT servtop.example TXT\n"
    "servinc.example. 300 IN TXT \"v=spf1 include:servtop.example +all\"\n"
    "servptr.example. 300 IN TXT \"v=spf1 ptr -all\"\n$TIMEOUT 9.2.0.192.in-addr.arpa PTR\n"
    "exp.example. 300 IN TXT \"v=spf1 -all exp=why.example\"\n"
    "why.example. 300 IN TXT \"%{i} is not %{d}'s, %{l}; %{c}%_%r\"\n"
    "expgood.example. 300 IN TXT \"v=spf1 redirect=exptail.example exp=why.example\"\n"
    "exptail.example. 300 IN TXT \"v=spf1 include:exp.example -all exp=good.example\"\n"
    "good.example. 300 IN TXT \"%{i} is not %{d}'s, \" \"%{l}\"\n"
    "exptwo.example. 300 IN TXT \"v=spf1 -all exp=lines.example\"\n"
    "lines.example. 300 IN TXT \"one\"\nlines.example. 300 IN TXT \"two\"\n"
    "expserv.example. 300 IN TXT \"v=spf1 -all exp=silent.example\"\n$TIMEOUT silent.example\n"
    "expsender.example. 300 IN TXT \"v=spf1 -all exp=sender.example\"\nsender.example. 300 IN TXT \"%{l}\"\n"
    "expbomb.example. 300 IN TXT \"v=spf1 -all exp=bomb.example\"\n"
    "expp.example. 300 IN TXT \"v=spf1 -all exp=validated.example\"\nvalidated.example. 300 IN TXT \"You are %{p}\"\n"
    "1.2.0.192.in-addr.arpa. 300 IN PTR false.example.\n1.2.0.192.in-addr.arpa. 300 IN PTR Mail.Client.Example.\n"
    "mail.client.example. 300 IN A 192.0.2.1\nfalse.example. 300 IN A 192.0.2.2\n"
    "ptr.example. 300 IN TXT \"v=spf1 -ptr:false.example ptr:client.example -all\"\n"
    "pmacro.example. 300 IN TXT \"v=spf1 exists:%{p}.list.example -all\"\n"
    "pahead.example. 300 IN TXT \"v=spf1 a:host.example exists:%{p}.list.example -all\"\n"
    "mail.client.example.list.example. 300 IN A 127.0.0.2\n"
    "xn--bcher-kva.example. 300 IN TXT \"v=spf1 exists:%{h}.helo.example exists:%{o}.o.example -all\"\n"
    "xn--bcher-kva.example.helo.example. 300 IN A 127.0.0.2\nxn--bcher-kva.example.o.example. 300 IN A 127.0.0.2\n"
    "lmacro.example. 300 IN TXT \"v=spf1 exists:%{l}.lp.example -exists:%{L1r}.lp.example include:%{s}.lp.example "
    "a:%{l}.x "
    "mx:%{S}.x ptr:%{l}.x ip4:192.0.2.9 redirect=%{l}.lp.example\"\n"
    "*.lp.example. 300 IN A 127.0.0.2\n"
    "lexp.example. 300 IN TXT \"v=spf1 -all exp=%{l}.text.example\"\n*.text.example. 300 IN TXT \"no\"\n"
    "lupper.example. 300 IN TXT \"v=spf1 -all exp=upper.text.example\"\nupper.text.example. 300 IN TXT \"%{L} no\"\n"
    "open1.example. 300 IN TXT \"v=spf1 include:open2.example -all\"\n"
    "open2.example. 300 IN TXT \"v=spf1 a:host.example +all\"\n"
    "half4.example. 300 IN TXT \"v=spf1 ip4:128.0.0.0/1 -all\"\n"
    "cidr6.example. 300 IN TXT \"v=spf1 a:host.example/0//64 -all\"\n"
    "const.example. 300 IN TXT \"v=spf1 exists:host.example -all\"\n"
    "closed.example. 300 IN TXT \"v=spf1 ip4:192.0.0.0/8 +all\"\n"
    "back.example. 300 IN TXT \"v=spf1 exists:%{l}.back.example -all\"\nc.back.example. 300 IN A 127.0.0.2\n";

static const struct row {
	const char *client, *helo, *from;
	enum auth_result result;
	const char *mechanism, *problem, *explanation;
	unsigned lookups, voids;
} rows[] = {
    {"192.0.2.1", "h", "a@ip.example", AUTH_PASS, "ip4:192.0.2.0/24", NULL, NULL, 0, 0},
    {"192.0.2.1", "h", "a@all.example", AUTH_FAIL, "-all", NULL, NULL, 0, 0},
    {"127.0.0.1", "h", "a@all.example", AUTH_FAIL, "-all", NULL, NULL, 0, 0},
    {"::1", "h", "a@all.example", AUTH_FAIL, "-all", NULL, NULL, 0, 0},
    {"192.0.2.1", "h", "a@end.example", AUTH_NEUTRAL, NULL, NULL, NULL, 0, 0},
    /* identities */
    {"192.0.2.1", "all.example", "", AUTH_FAIL, "-all", NULL, NULL, 0, 0},
    {"192.0.2.1", "All.Example.", "", AUTH_FAIL, "-all", NULL, NULL, 0, 0},
    {"192.0.2.1", "", "", AUTH_NONE, NULL, "no domain name to check", NULL, 0, 0},
    {"192.0.2.1", "[192.0.2.1]", "", AUTH_NONE, NULL, "no domain name to check", NULL, 0, 0},
    {"192.0.2.1", "h", "a@[192.0.2.1]", AUTH_NONE, NULL, "no domain name to check", NULL, 0, 0},
    {"192.0.2.1", "h", "a@localhost", AUTH_NONE, NULL, "no domain name to check", NULL, 0, 0},
    {"192.0.2.1", "h", "a@x..example", AUTH_NONE, NULL, "no domain name to check", NULL, 0, 0},
    {"192.0.2.1", "h", "a@b@all.example", AUTH_FAIL, "-all", NULL, NULL, 0, 0},
    {"192.0.2.1", "h", "a@missing.example", AUTH_NONE, NULL, "no SPF record", NULL, 0, 0},
    {"192.0.2.1", "h", "a@two.example", AUTH_PERMERROR, NULL, "more than one SPF record", NULL, 0, 0},
    /* networks of /0, and IPv4 in IPv6 */
    {"192.0.2.1", "h", "a@zero4.example", AUTH_PASS, "ip4:10.0.0.0/0", NULL, NULL, 0, 0},
    {"2001:db8::1", "h", "a@zero4.example", AUTH_FAIL, "-all", NULL, NULL, 0, 0},
    {"::ffff:192.0.2.1", "h", "a@zero4.example", AUTH_PASS, "ip4:10.0.0.0/0", NULL, NULL, 0, 0},
    {"fe80::1", "h", "a@zero6.example", AUTH_PASS, "ip6:2001:db8::/0", NULL, NULL, 0, 0},
    {"::ffff:192.0.2.1", "h", "a@zero6.example", AUTH_FAIL, "-all", NULL, NULL, 0, 0},
    {"192.0.2.1", "h", "a@mapped.example", AUTH_FAIL, "-all", NULL, NULL, 0, 0},
    {"2001:db8::1", "h", "a@mapped.example", AUTH_PASS, "ip6:::ffff:192.0.2.1/0", NULL, NULL, 0, 0},
    {"192.0.2.1", "h", "a@azero.example", AUTH_PASS, "a:host.example/0//0", NULL, NULL, 1, 0},
    {"fe80::1", "h", "a@azero.example", AUTH_PASS, "a:host.example/0//0", NULL, NULL, 1, 0},
    /* the term that matched is of the record that gave the result */
    {"192.0.2.1", "h", "a@inc.example", AUTH_FAIL, "-include:ip.example", NULL, NULL, 1, 0},
    {"127.0.0.1", "h", "a@noinc.example", AUTH_PASS, "+all", NULL, NULL, 1, 0},
    {"192.0.2.1", "h", "a@neutral.example", AUTH_NEUTRAL, NULL, NULL, NULL, 1, 0},
    {"192.0.2.1", "h", "a@red.example", AUTH_FAIL, "-include:ip.example", NULL, NULL, 3, 0},
    /* problems */
    {"192.0.2.1", "h", "a@badinc.example", AUTH_PERMERROR, NULL, "include:missing.example: no SPF record", NULL, 1, 0},
    {"192.0.2.1", "h", "a@badred.example", AUTH_PERMERROR, NULL, "redirect=missing.example: no SPF record", NULL, 1, 0},
    {"192.0.2.1", "h", "a@badsyntax.example", AUTH_PERMERROR, NULL, "syntax error in the SPF record at \"mx/99\"", NULL,
     0, 0},
    {"192.0.2.1", "h", "a@incsyntax.example", AUTH_PERMERROR, NULL,
     "include:badsyntax.example: syntax error in the SPF record at \"mx/99\"", NULL, 1, 0},
    {"192.0.2.1", "h", "a@label.example", AUTH_PERMERROR, NULL, "include:example: no SPF record", NULL, 1, 0},
    {"192.0.2.1", "h", "a@round.example", AUTH_PERMERROR, NULL, "redirect=ro%und.example: no SPF record", NULL, 1, 0},
    /* limits */
    {"192.0.2.1", "h", "a@self.example", AUTH_PERMERROR, NULL, "more than 10 DNS lookups", NULL, 11, 0},
    {"192.0.2.1", "h", "a@loop.example", AUTH_PERMERROR, NULL, "more than 10 DNS lookups", NULL, 11, 0},
    {"192.0.2.1", "h", "a@x.tree.example", AUTH_PERMERROR, NULL, "more than 10 DNS lookups", NULL, 11, 0},
    {"192.0.2.1", "h", "a@ten.example", AUTH_PASS, "exists:host.example", NULL, NULL, 10, 0},
    {"192.0.2.1", "h", "a@eleven.example", AUTH_PERMERROR, NULL, "more than 10 DNS lookups", NULL, 11, 0},
    {"192.0.2.1", "h", "a@void2.example", AUTH_FAIL, "-all", NULL, NULL, 2, 2},
    {"192.0.2.1", "h", "a@void3.example", AUTH_PERMERROR, NULL, "more than 2 DNS lookups without an answer", NULL, 4,
     3},
    {"192.0.2.1", "h", "a@mx4.example", AUTH_PASS, "mx", NULL, NULL, 1, 0},
    {"2001:db8::1", "h", "a@mx4.example", AUTH_FAIL, "-all", NULL, NULL, 1, 1},
    {"192.0.2.1", "h", "a@mxnull.example", AUTH_FAIL, "-all", NULL, NULL, 1, 1},
    {"192.0.2.1", "h", "a@mx10.example", AUTH_PASS, "mx", NULL, NULL, 1, 0},
    {"192.0.2.1", "h", "a@mx11.example", AUTH_PERMERROR, NULL, "more than 10 MX names", NULL, 1, 0},
    {"192.0.2.10", "h", "a@ptr10.example", AUTH_PASS, "ptr:name9.example", NULL, NULL, 1, 0},
    {"192.0.2.10", "h", "a@ptr11.example", AUTH_FAIL, "-all", NULL, NULL, 1, 0},
    /* temporary errors */
    {"192.0.2.1", "h", "a@serv.example", AUTH_TEMPERROR, NULL, "DNS: broken.example A: SERVFAIL", NULL, 1, 0},
    {"192.0.2.1", "h", "a@servmatch.example", AUTH_PASS, "ip4:192.0.2.1", NULL, NULL, 0, 0},
    {"192.0.2.1", "h", "a@servtop.example", AUTH_TEMPERROR, NULL, "DNS: servtop.example TXT: timeout", NULL, 0, 0},
    {"192.0.2.1", "h", "a@servinc.example", AUTH_TEMPERROR, NULL, "DNS: servtop.example TXT: timeout", NULL, 1, 0},
    {"192.0.2.9", "h", "a@servptr.example", AUTH_FAIL, "-all", NULL, NULL, 1, 0},
    /* explanations */
    {"192.0.2.1", "h", "a@exp.example", AUTH_FAIL, "-all", NULL, NULL, 0, 0},
    {"192.0.2.1", "h", "me@expgood.example", AUTH_FAIL, "-all", NULL, "192.0.2.1 is not exptail.example's, me", 2, 0},
    {"192.0.2.1", "h", "a@exptwo.example", AUTH_FAIL, "-all", NULL, NULL, 0, 0},
    {"192.0.2.1", "h", "a@expserv.example", AUTH_FAIL, "-all", NULL, NULL, 0, 0},
    {"192.0.2.1", "h", "a b@expsender.example", AUTH_FAIL, "-all", NULL, "a b", 0, 0},
    {"192.0.2.1", "h", "a\r\nb@expsender.example", AUTH_FAIL, "-all", NULL, NULL, 0, 0},
    {"192.0.2.1", "h", "\xc3\xbc@expsender.example", AUTH_FAIL, "-all", NULL, NULL, 0, 0},
    {"192.0.2.1", "h", "a\x7f@expsender.example", AUTH_FAIL, "-all", NULL, NULL, 0, 0},
    {"192.0.2.1", "h", "a@expbomb.example", AUTH_FAIL, "-all", NULL, NULL, 0, 0},
    {"192.0.2.1", "h", "a@expp.example", AUTH_FAIL, "-all", NULL, "You are mail.client.example", 0, 0},
    {"192.0.2.7", "h", "a@expp.example", AUTH_FAIL, "-all", NULL, "You are unknown", 0, 0},
    /* names of the client */
    {"192.0.2.1", "h", "a@ptr.example", AUTH_PASS, "ptr:client.example", NULL, NULL, 2, 0},
    {"192.0.2.7", "h", "a@ptr.example", AUTH_FAIL, "-all", NULL, NULL, 2, 0},
    {"192.0.2.1", "h", "a@pmacro.example", AUTH_PASS, "exists:%{p}.list.example", NULL, NULL, 1, 0},
    /* what the sender chose stays one label */
    {"192.0.2.1", "h", "\\099@back.example", AUTH_FAIL, "-all", NULL, NULL, 1, 1},
    {"192.0.2.1", "h", "c@back.example", AUTH_PASS, "exists:%{l}.back.example", NULL, NULL, 1, 0},
    /* RFC 8616 4: A-labels for DNS and macros; terms with %{s} or %{l} match nothing where the local part is UTF-8 */
    {"192.0.2.1", "h",
     "a@b\xc3\xbc"
     "cher.example",
     AUTH_PASS, "exists:%{o}.o.example", NULL, NULL, 2, 1},
    {"192.0.2.1", "h",
     "a@B\xc3\x9c"
     "CHER\xe3\x80\x82"
     "example",
     AUTH_PASS, "exists:%{o}.o.example", NULL, NULL, 2, 1},
    {"192.0.2.1",
     "b\xc3\xbc"
     "cher.example",
     "a@xn--bcher-kva.example", AUTH_PASS, "exists:%{h}.helo.example", NULL, NULL, 1, 0},
    {"192.0.2.1",
     "B\xc3\x9c"
     "CHER.example",
     "", AUTH_PASS, "exists:%{h}.helo.example", NULL, NULL, 1, 0},
    {"192.0.2.1", "h",
     "a@b\xfc"
     "cher.example",
     AUTH_NONE, NULL, "no domain name to check", NULL, 0, 0},
    {"192.0.2.1", "h", "ok@lmacro.example", AUTH_PASS, "exists:%{l}.lp.example", NULL, NULL, 1, 0},
    {"192.0.2.1", "h", "\xc3\xbc@lmacro.example", AUTH_NEUTRAL, NULL, NULL, NULL, 0, 0},
    {"192.0.2.9", "h", "\xc3\xbc@lmacro.example", AUTH_PASS, "ip4:192.0.2.9", NULL, NULL, 0, 0},
    {"192.0.2.1", "h", "\xfc@lmacro.example", AUTH_NEUTRAL, NULL, NULL, NULL, 0, 0},
    {"192.0.2.1", "h", "a@lexp.example", AUTH_FAIL, "-all", NULL, "no", 0, 0},
    {"192.0.2.1", "h", "\xc3\xbc@lexp.example", AUTH_FAIL, "-all", NULL, NULL, 0, 0},
    {"192.0.2.1", "h", "\xc3\xbc@lupper.example", AUTH_FAIL, "-all", NULL, "%C3%BC no", 0, 0},
    /* large records (see write_large) */
    {"192.0.2.64", "h", "a@sixty-four.example", AUTH_PASS, "ip4:192.0.2.64", NULL, NULL, 0, 0},
    {"192.0.2.65", "h", "a@sixty-four.example", AUTH_SOFTFAIL, "~all", NULL, NULL, 0, 0},
    {"192.0.2.1", "h", "a@long.example", AUTH_PASS, "exists:host.example", NULL, NULL, 9, 2},
    {"2001:db8::1", "h", "a@macros.example", AUTH_FAIL, "-all", NULL, NULL, 8, 0},
    {"192.0.2.1", "h", "a@spaces.example", AUTH_PERMERROR, NULL, "the SPF record is too long", NULL, 0, 0},
};

/* n times text, each time with i for %u; the zone's strings are cut where a text ends. */
static void add_strings(struct strbuf *zone, const char *owner, size_t n, const char *text, const char *end)
{
	strbuf_printf(zone, "%s. 300 IN TXT \"v=spf1\"", owner);
	for (size_t i = 1; i <= n; i++) {
		const char *number = strchr(text, '#');
		int before = number == NULL ? (int)strlen(text) : (int)(number - text);
		strbuf_printf(zone, " \" %.*s", before, text);
		if (number != NULL) {
			strbuf_printf(zone, "%zu%s", i, number + 1);
		}
		strbuf_add_text(zone, "\"");
	}
	strbuf_printf(zone, " \" %s\"\n", end);
}

static void write_large(struct arena *arena, struct strbuf *zone)
{
	struct strbuf labels;
	strbuf_init(&labels, arena);
	for (size_t i = 0; i < 20; i++) {
		strbuf_add_text(&labels, "0123456789.");
	}
	add_strings(zone, "sixty-four.example", 64, "ip4:192.0.2.#", "~all");
	/* Two of 230 bytes, then six found ones and the match: far over 511 compiled bytes. */
	strbuf_printf(zone, "long.example. 300 IN TXT \"v=spf1 exists:%s\" \"x.example\"", labels.data);
	strbuf_printf(zone, " \" exists:%s\" \"y.example a:host.example a:host.example\"", labels.data);
	strbuf_add_text(zone,
	                " \" a:host.example a:host.example a:host.example a:host.example exists:host.example -all\"\n");
	add_strings(
	    zone, "spaces.example", 80,
	    "                                                                "
	    "                                                                                                            "
	    "                                   ",
	    "+all");
	strbuf_add_text(zone, "macros.example. 300 IN TXT \"v=spf1\"");
	for (size_t i = 0; i < 8; i++) {
		strbuf_add_text(zone, " \" a:\"");
		for (size_t k = 0; k < 20; k++) {
			strbuf_add_text(
			    zone, " \"%{i1r}%{i}%{s}%{l128r.-+,/_=}%{i1r}%{i}%{s}%{l128r.-+,/_=}%{i1r}%{i}%{s}%{l128r.-+,/_=}\"");
		}
		strbuf_add_text(zone, " \".host.example\"");
	}
	strbuf_add_text(zone, " \" -all\"\n*.host.example. 300 IN AAAA 2001:db8:ffff::1\nbomb.example. 300 IN TXT");
	for (size_t i = 0; i < 127; i++) {
		strbuf_add_text(zone, " \"%{d}\"");
	}
	strbuf_add_text(zone, "\n");
}

/* ten and eleven names of a domain's mail and of a client, the last of which is the one that matches */
static void write_counts(struct strbuf *zone)
{
	for (int n = 10; n <= 11; n++) {
		strbuf_printf(zone, "mx%d.example. 300 IN TXT \"v=spf1 mx -all\"\n", n);
		strbuf_printf(zone, "ptr%d.example. 300 IN TXT \"v=spf1 ptr:name%d.example -all\"\n", n, n - 1);
		for (int i = 0; i < n; i++) {
			strbuf_printf(zone, "mx%d.example. 300 IN MX 10 m%d.x%d.example.\nm%d.x%d.example. 300 IN A %s\n", n, i, n,
			              i, n, i == n - 1 ? "192.0.2.1" : "10.0.0.1");
		}
	}
	for (int i = 0; i < 11; i++) {
		strbuf_printf(
		    zone, "10.2.0.192.in-addr.arpa. 300 IN PTR name%d.example.\nname%d.example. 300 IN A 192.0.2.10\n", i, i);
	}
}

static const char *write_zone(void)
{
	struct arena *arena = arena_create(65536);
	struct strbuf zone;
	strbuf_init(&zone, arena);
	strbuf_add_text(&zone, zone_text);
	write_large(arena, &zone);
	write_counts(&zone);
	const char *path = late_write_zone(zone.data);
	arena_destroy(arena);
	return path;
}

struct run {
	struct spf_verdict verdict;
	int rounds; /* of answers that were waited for */
	size_t questions, bytes;
};

static struct run run_check(struct arena *arena, const char *zone, const struct row *row, bool late)
{
	struct lookups *lookups = late_create(zone, late);
	struct spf_request request = {
	    .helo = row->helo, .mail_from = row->from, .receiver = "mx.example", .now = 1700000000};
	struct run run = {.rounds = 0};
	ip_parse(row->client, &request.client);
	size_t before = arena_used(arena);
	while (!spf_check(&request, lookups, arena, &run.verdict) && run.rounds < 100) {
		late_round(lookups);
		run.rounds++;
	}
	run.bytes = arena_used(arena) - before;
	run.questions = late_questions(lookups);
	late_destroy(lookups);
	return run;
}

static void test_row(const char *zone, const struct row *row)
{
	struct arena *arena = arena_create(65536);
	for (int late = 0; late <= 1; late++) {
		struct run run = run_check(arena, zone, row, late == 1);
		const char *when = late == 1 ? ", late" : "";
		const struct spf_verdict *verdict = &run.verdict;
		is_text(auth_result_name(verdict->result), auth_result_name(row->result),
		        arena_printf(arena, "%s of %s with %s%s", text_escape(arena, slice_from(row->from), "#", false, 80),
		                     row->client, row->helo, when));
		is_text(verdict->mechanism, row->mechanism, "mechanism");
		is_text(verdict->problem, row->problem, "problem");
		is_text(verdict->explanation, row->explanation, "explanation");
		ok(verdict->lookups == row->lookups && verdict->void_lookups == row->voids, "%u lookups, %u of them void",
		   verdict->lookups, verdict->void_lookups);
		ok(run.rounds < 20 && run.bytes < 8192, "%d rounds, %zu bytes of the session", run.rounds, run.bytes);
	}
	arena_destroy(arena);
}

/* How long a client waits, and what a stranger's record makes us ask. */
static void test_questions(const char *zone)
{
	static const struct {
		const char *name;
		struct row row;
		int rounds;
		size_t questions;
	} costs[] = {
	    {"an ip4 that matches", {"192.0.2.1", "h", "a@ip.example", AUTH_PASS, NULL, NULL, NULL, 0, 0}, 1, 1},
	    {"ten terms", {"192.0.2.1", "h", "a@ten.example", AUTH_PASS, NULL, NULL, NULL, 0, 0}, 2, 2},
	    {"ten names of MX", {"192.0.2.1", "h", "a@mx10.example", AUTH_PASS, NULL, NULL, NULL, 0, 0}, 3, 12},
	    {"a redirect to includes", {"192.0.2.1", "h", "a@red.example", AUTH_FAIL, NULL, NULL, NULL, 0, 0}, 4, 5},
	    {"includes with terms of their own",
	     {"192.0.2.1", "h", "a@wide.example", AUTH_FAIL, NULL, NULL, NULL, 0, 0},
	     4,
	     12},
	    {"%{p}", {"192.0.2.1", "h", "a@pahead.example", AUTH_PASS, NULL, NULL, NULL, 0, 0}, 4, 6},
	    /* ten includes a record, ten deep: 10^10 without a limit */
	    {"a tree of includes", {"192.0.2.1", "h", "a@x.tree.example", AUTH_FAIL, NULL, NULL, NULL, 0, 0}, 11, 56},
	};
	struct arena *arena = arena_create(65536);
	for (size_t i = 0; i < sizeof costs / sizeof *costs; i++) {
		struct run run = run_check(arena, zone, &costs[i].row, true);
		ok(run.rounds <= costs[i].rounds, "%s: %d rounds of answers", costs[i].name, run.rounds);
		ok(run.questions <= costs[i].questions, "%s: %zu questions", costs[i].name, run.questions);
	}
	arena_destroy(arena);
}

/* Sessions move between threads, and many are checked at once. */
static void *check_rows(void *zone)
{
	size_t good = 0;
	struct arena *arena = arena_create(65536);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct run run = run_check(arena, zone, &rows[i], i % 2 == 0);
		const char *got = run.verdict.mechanism == NULL ? "" : run.verdict.mechanism;
		const char *expected = rows[i].mechanism == NULL ? "" : rows[i].mechanism;
		good += run.verdict.result == rows[i].result && strcmp(got, expected) == 0;
	}
	arena_destroy(arena);
	return (void *)(uintptr_t)good;
}

static void test_threads(const char *zone)
{
	pthread_t threads[4];
	char path[4096];
	snprintf(path, sizeof path, "%s", zone);
	for (size_t i = 0; i < 4; i++) {
		if (pthread_create(&threads[i], NULL, check_rows, path) != 0) {
			abort();
		}
	}
	for (size_t i = 0; i < 4; i++) {
		void *good;
		pthread_join(threads[i], &good);
		is_int((long long)(uintptr_t)good, sizeof rows / sizeof *rows, "all checks of a thread beside three others");
	}
}

/* A pass that says nothing about the client, and ptr. */
static void test_open(const char *zone)
{
	static const struct {
		const char *client, *from, *pass_all;
		bool ptr;
	} opens[] = {
	    {"192.0.2.1", "a@open1.example", "+all", false},
	    {"192.0.2.1", "a@noinc.example", "+all", false},
	    {"192.0.2.1", "a@zero4.example", "ip4:10.0.0.0/0", false},
	    {"2001:db8::1", "a@zero4.example", NULL, false},
	    {"fe80::1", "a@zero6.example", "ip6:2001:db8::/0", false},
	    {"192.0.2.1", "a@half4.example", "ip4:128.0.0.0/1", false},
	    {"192.0.2.1", "a@cidr6.example", "a:host.example/0//64", false},
	    {"2001:db8:ffff::2", "a@cidr6.example", NULL, false}, /* that is not what it passed by */
	    {"192.0.2.1", "a@const.example", "exists:host.example", false},
	    {"192.0.2.1", "a@closed.example", NULL, false},
	    {"10.0.0.1", "a@closed.example", "+all", false},
	    {"192.0.2.1", "a@all.example", NULL, false},
	    {"192.0.2.1", "a@neutral.example", NULL, false},
	    {"192.0.2.1", "a@ptr.example", NULL, true},
	    {"192.0.2.1", "a@pmacro.example", NULL, true},
	    {"192.0.2.1", "a@ip.example", NULL, false}, /* it did not get as far as its ptr */
	};
	struct arena *arena = arena_create(65536);
	for (size_t i = 0; i < 2 * sizeof opens / sizeof *opens; i++) {
		struct row row = {.client = opens[i / 2].client, .helo = "h", .from = opens[i / 2].from};
		struct run run = run_check(arena, zone, &row, i % 2 == 1);
		is_text(run.verdict.pass_all, opens[i / 2].pass_all,
		        arena_printf(arena, "%s with %s: open to all", row.from, row.client));
		ok(run.verdict.ptr == opens[i / 2].ptr, "ptr: %d", run.verdict.ptr);
	}
	arena_destroy(arena);
}

static void test_scope(const char *zone)
{
	struct arena *arena = arena_create(65536);
	struct lookups *lookups = late_create(zone, false);
	struct spf_request request = {.helo = "all.example", .mail_from = "a@zero4.example", .scope = SPF_SCOPE_HELO};
	struct spf_verdict verdict;
	ip_parse("192.0.2.1", &request.client);
	ok(spf_check(&request, lookups, arena, &verdict) && verdict.result == AUTH_FAIL && verdict.scope == SPF_SCOPE_HELO,
	   "HELO is checked on its own");
	is_text(verdict.domain, "all.example", "its domain");
	request.scope = SPF_SCOPE_MFROM;
	ok(spf_check(&request, lookups, arena, &verdict) && verdict.result == AUTH_PASS && verdict.scope == SPF_SCOPE_MFROM,
	   "and MAIL FROM");
	is_text(verdict.domain, "zero4.example", "its domain");
	request.mail_from = "";
	ok(spf_check(&request, lookups, arena, &verdict) && verdict.scope == SPF_SCOPE_HELO, "the null sender is HELO's");
	request.client.family = IP_UNKNOWN;
	ok(spf_check(&request, lookups, arena, &verdict) && verdict.result == AUTH_NONE,
	   "a client without an address: none");
	late_destroy(lookups);
	arena_destroy(arena);
}

int main(void)
{
	const char *zone = write_zone();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		test_row(zone, &rows[i]);
	}
	test_questions(zone);
	test_scope(zone);
	test_open(zone);
	test_threads(zone);
	unlink(zone);
	return done_testing();
}
