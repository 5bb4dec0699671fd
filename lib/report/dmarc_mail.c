#include "lib/report/dmarc_mail.h"

#include "lib/mail/field.h"
#include "lib/report/mail_date.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <zlib.h>

enum { GZIP_WINDOW = 15 + 16, MEMORY_LEVEL = 8, LINE_BYTES = 57 /* 76 characters of base64 */ };

static struct slice compress_gzip(struct arena *arena, struct slice text)
{
	z_stream stream = {.next_in = (unsigned char *)(uintptr_t)text.data, .avail_in = (unsigned)text.len};
	if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
		abort();
	}
	size_t room = deflateBound(&stream, text.len);
	char *out = arena_alloc(arena, room);
	stream.next_out = (unsigned char *)out;
	stream.avail_out = (unsigned)room;
	int status = deflate(&stream, Z_FINISH);
	deflateEnd(&stream);
	if (status != Z_STREAM_END) {
		abort();
	}
	return (struct slice){out, room - stream.avail_out};
}

static void add_base64(struct strbuf *out, struct slice bytes)
{
	for (size_t at = 0; at < bytes.len; at += LINE_BYTES) {
		unsigned char line[LINE_BYTES / 3 * 4 + 1];
		size_t n = bytes.len - at < LINE_BYTES ? bytes.len - at : LINE_BYTES;
		EVP_EncodeBlock(line, (const unsigned char *)bytes.data + at, (int)n);
		strbuf_printf(out, "%s\r\n", (const char *)line);
	}
}

static void add_header(struct strbuf *out, const struct dmarc_mail *mail)
{
	const char *at = strrchr(mail->from, '@');
	strbuf_printf(out, "From: %s\r\n\t<%s>\r\n", field_quoted(out->arena, mail->org_name, false), mail->from);
	strbuf_printf(out, "To: <%s>\r\n", mail->to);
	strbuf_printf(out, "Subject: Report Domain: %s\r\n\tSubmitter: %s\r\n\tReport-ID: <%s>\r\n", mail->domain,
	              mail->submitter, mail->report_id);
	strbuf_add_text(out, "Date: ");
	mail_date_add(out, mail->now);
	strbuf_add_text(out, "\r\n");
	strbuf_printf(out, "Message-ID: <%s.%llu%s>\r\n", mail->report_id, (unsigned long long)mail->now, at);
	strbuf_add_text(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n");
	strbuf_printf(out, "Content-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n", mail->report_id);
}

struct slice dmarc_mail_compose(struct arena *arena, const struct dmarc_mail *mail, size_t *size_r)
{
	struct strbuf out;
	struct slice report = compress_gzip(arena, mail->xml);
	strbuf_init(&out, arena);
	add_header(&out, mail);
	strbuf_printf(&out,
	              "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
	              "This is a DMARC aggregate report (RFC 9990) about mail in the name of %s,\r\n"
	              "as %s received it. It is meant to be read by a program.\r\n\r\n",
	              mail->report_id, mail->domain, mail->submitter);
	const char *name = arena_printf(arena, "%s!%s!%llu!%llu.xml.gz", mail->submitter, mail->domain,
	                                (unsigned long long)mail->begin, (unsigned long long)mail->end);
	strbuf_printf(&out,
	              "--%s\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n"
	              "Content-Disposition: attachment;\r\n\tfilename=\"%s\"\r\n\r\n",
	              mail->report_id, name);
	add_base64(&out, report);
	strbuf_printf(&out, "--%s--\r\n", mail->report_id);
	*size_r = report.len;
	return (struct slice){out.data, out.len};
}
