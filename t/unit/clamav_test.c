/* libclamav as the workers use it: the message in one piece by libclamav's mail parser, or without that parser and its
 * decoded parts one by one. What the first finds the second must find. */
#include "inspect/clamav.h"
#include "t/messages.h"
#include "t/tap.h"

#include <sys/stat.h>
#include <unistd.h>

static struct arena *arena;
static char folder[] = "/tmp/mailreeve-clamav-XXXXXX";

/* ---- the database ---- */

static const char *hex(const char *text)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	for (; *text != '\0'; text++) {
		strbuf_printf(&out, "%02x", (unsigned char)*text);
	}
	return out.data;
}

static void write_database(void)
{
	FILE *file = fopen(arena_printf(arena, "%s/test.ndb", folder), "w");
	fprintf(file, "Test.Header:4:*:%s\n", hex("X-Marker: mail"));  /* mail */
	fprintf(file, "Test.Any:0:*:%s\n", hex("marker-anywhere"));    /* any file */
	fprintf(file, "Test.Text:7:*:%s\n", hex("marker-in-text"));    /* normalised text */
	fprintf(file, "Test.Html:3:*:%s\n", hex("marker-in-html"));    /* normalised HTML */
	fprintf(file, "Test.Program:1:*:%s\n", hex("marker-in-exe"));  /* a program */
	fprintf(file, "Test.Encoded:0:*:%s\n", hex("bWFya2VyLXJhdw")); /* as it stands in the message */
	fclose(file);
	file = fopen(arena_printf(arena, "%s/test.ldb", folder), "w");
	fprintf(file, "Test.Logical.Mail;Engine:51-255,Target:4;0&1;%s;%s\n", hex("X-Logical: one"), hex("and two"));
	fclose(file);
}

/* ---- scans ---- */

static char *behind_lead(const char *text)
{
	char *bytes = arena_printf(arena, "%s%s", CLAMAV_LEAD, text);
	return bytes + sizeof CLAMAV_LEAD - 1;
}

static const char *whole(const char *message)
{
	struct clamav_scan scan;
	clamav_open(&scan, 60000, arena);
	clamav_scan_mail(&scan, behind_lead(message), strlen(message));
	return scan.status == INSPECT_VIRUS_FOUND ? scan.name : "";
}

static const char *in_pieces(const char *message, struct slice part)
{
	struct clamav_scan scan;
	struct inspect_reply reply = {.signature_count = 0};
	clamav_open(&scan, 60000, arena);
	if (clamav_scan_raw(&scan, behind_lead(message), strlen(message))) {
		clamav_scan_part(&scan, part, "name");
	}
	clamav_close(&scan, &reply);
	return reply.virus == INSPECT_VIRUS_FOUND ? reply.virus_name : "";
}

static void both(const char *message, struct slice part, const char *expected, const char *what)
{
	const char *name = *expected == '\0' ? "" : arena_printf(arena, "%s.UNOFFICIAL", expected);
	is_text(whole(message), name, arena_printf(arena, "whole: %s", what));
	is_text(in_pieces(message, part), name, arena_printf(arena, "in pieces: %s", what));
}

static const char *encoded(const char *type, const char *first, struct slice part)
{
	return arena_printf(
	    arena,
	    "From: a@example.com\r\n%sMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
	    "--b\r\nContent-Type: %s; name=x\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n--b--\r\n",
	    first, type, message_base64(arena, part));
}

static void test_signatures(void)
{
	struct slice plain = SLICE_LITERAL("nothing of interest here\r\n");
	struct slice any = SLICE_LITERAL("some marker-anywhere bytes\r\n");
	struct slice text = SLICE_LITERAL("some Marker-In-Text words in small and large letters\r\n");
	struct slice html = SLICE_LITERAL("<html><body><p>some MARKER-in-html words</p></body></html>\r\n");
	struct slice raw = SLICE_LITERAL("marker-raw");
	both(encoded("text/plain", "", plain), plain, "", "nothing");
	both(encoded("text/plain", "X-Marker: mail\r\n", plain), plain, "Test.Header", "a header field (target 4)");
	both(encoded("text/plain", "X-Logical: one\r\nX-More: and two\r\n", plain), plain, "Test.Logical.Mail",
	     "a logical signature for mail");
	both(encoded("application/octet-stream", "", any), any, "Test.Any", "a decoded part (target 0)");
	both(encoded("text/plain", "", text), text, "Test.Text", "a decoded text (target 7)");
	both(encoded("text/html", "", html), html, "Test.Html", "a decoded HTML (target 3)");
	both(encoded("application/octet-stream", "", raw), raw, "Test.Encoded", "an encoded part as it stands there");
	both("From: a@example.com\r\n\r\nsome marker-anywhere bytes\r\n", any, "Test.Any", "an unencoded body");
	struct slice zipped = message_zip(arena, "inner", any);
	both(encoded("application/zip", "", zipped), zipped, "Test.Any", "an archive");
	const char *inner = encoded("application/octet-stream", "", any);
	both(encoded("message/rfc822", "", slice_from(inner)), slice_from(inner), "Test.Any", "a message attached");
}

/* The worst counts, whatever comes first. */
static void test_order(void)
{
	struct clamav_scan scan;
	struct slice any = SLICE_LITERAL("some marker-anywhere bytes\r\n");
	struct slice zeros = {arena_alloc(arena, 3 << 20), 3 << 20};
	memset((char *)(uintptr_t)zeros.data, '0', zeros.len);
	clamav_open(&scan, 60000, arena);
	ok(clamav_scan_part(&scan, message_zip(arena, "zeros", zeros), NULL), "a limit is no reason to stop");
	is_int(scan.status, INSPECT_VIRUS_LIMIT, "it is kept");
	ok(clamav_scan_part(&scan, SLICE_LITERAL("clean"), NULL), "something clean");
	is_int(scan.status, INSPECT_VIRUS_LIMIT, "does not wipe it out");
	ok(!clamav_scan_part(&scan, any, "x"), "something found ends it");
	is_int(scan.status, INSPECT_VIRUS_FOUND, "and counts more");
	clamav_scan_part(&scan, message_zip(arena, "zeros", zeros), NULL);
	is_int(scan.status, INSPECT_VIRUS_FOUND, "than a limit behind it");
	is_text(scan.name, "Test.Any.UNOFFICIAL", "its name stays");
	ok(clamav_scan_part(&scan, (struct slice){NULL, 0}, NULL) || scan.status == INSPECT_VIRUS_FOUND, "an empty part");
}

int main(void)
{
	struct pool_settings settings;
	arena = arena_create(1 << 20);
	if (mkdtemp(folder) == NULL) {
		skip_all("no folder can be made in /tmp");
	}
	const char *databases[] = {folder, NULL};
	write_database();
	pool_settings_default(&settings);
	settings.databases = databases;
	settings.tmp_dir = "/tmp";
	settings.scan_size_max = 1 << 20;
	const char *problem = clamav_load(&settings, arena);
	is_text(problem, NULL, "the database is loaded");
	is_int(clamav_database().signatures, 7, "seven signatures");
	test_signatures();
	test_order();
	unlink(arena_printf(arena, "%s/test.ndb", folder));
	unlink(arena_printf(arena, "%s/test.ldb", folder));
	rmdir(folder);
	arena_destroy(arena);
	return done_testing();
}
