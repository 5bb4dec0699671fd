#include "lib/report/user_mail.h"

#include "lib/mail/field.h"

#include <openssl/evp.h>
#include <time.h>

enum { QP_LINE = 73, WORD_BYTES = 39 /* an encoded word of 52 characters of base64 */, LINE_WIDTH = 70 };

/* RFC 5322 3.3, in UTC. Names of days and months are English whatever the locale. */
static void add_date(struct strbuf *out, uint64_t now)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t time = (time_t)now;
	struct tm tm;
	gmtime_r(&time, &tm);
	strbuf_printf(out, "Date: %.3s, %d %.3s %d %02d:%02d:%02d +0000\r\n", days + 3 * (size_t)tm.tm_wday, tm.tm_mday,
	              months + 3 * (size_t)tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* RFC 2047, a character never in two words. */
static void add_encoded(struct strbuf *out, struct slice text)
{
	for (size_t at = 0; at < text.len;) {
		unsigned char word[WORD_BYTES / 3 * 4 + 1];
		size_t n = text.len - at < WORD_BYTES ? text.len - at : WORD_BYTES;
		while (n > 1 && at + n < text.len && ((unsigned char)text.data[at + n] & 0xc0) == 0x80) {
			n--;
		}
		EVP_EncodeBlock(word, (const unsigned char *)text.data + at, (int)n);
		strbuf_printf(out, "%s=?UTF-8?B?%s?=", at == 0 ? "" : "\r\n\t", (const char *)word);
		at += n;
	}
}

static bool is_printable(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < ' ' || text.data[i] > '~') {
			return false;
		}
	}
	return true;
}

/* Unstructured (RFC 5322 3.2.5). */
static void add_text(struct strbuf *out, const char *text)
{
	struct slice slice = slice_from(text);
	if (slice.len <= LINE_WIDTH && is_printable(slice)) {
		strbuf_add_slice(out, slice);
	} else {
		add_encoded(out, slice);
	}
}

static void add_from(struct strbuf *out, const struct user_mail *mail)
{
	strbuf_add_text(out, "From: ");
	if (mail->from_name[0] != '\0' && is_printable(slice_from(mail->from_name))) {
		strbuf_printf(out, "%s\r\n\t", field_quoted(out->arena, mail->from_name, false));
	} else if (mail->from_name[0] != '\0') {
		add_encoded(out, slice_from(mail->from_name));
		strbuf_add_text(out, "\r\n\t");
	}
	strbuf_printf(out, "<%s>\r\n", mail->from);
}

/* RFC 2045 6.7. */
static void add_quoted_printable(struct strbuf *out, struct slice text)
{
	size_t width = 0;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];
		bool last = i + 1 == text.len || text.data[i + 1] == '\n';
		bool plain = (c > ' ' && c <= '~' && c != '=' && !(c == '.' && width == 0)) || (c == ' ' && !last);
		if (c == '\n') {
			strbuf_add_text(out, "\r\n");
			width = 0;
			continue;
		}
		if (width >= QP_LINE) {
			strbuf_add_text(out, "=\r\n");
			width = 0;
			plain = plain && c != '.';
		}
		if (plain) {
			strbuf_add_char(out, (char)c);
			width++;
		} else {
			strbuf_printf(out, "=%02X", c);
			width += 3;
		}
	}
	strbuf_add_text(out, width > 0 ? "\r\n" : "");
}

static void add_part(struct strbuf *out, const char *type, struct slice text)
{
	strbuf_printf(out, "Content-Type: %s; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", type);
	add_quoted_printable(out, text);
}

struct slice user_mail_compose(struct arena *arena, const struct user_mail *mail)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	add_from(&out, mail);
	strbuf_printf(&out, "To: <%s>\r\nSubject: ", mail->to);
	add_text(&out, mail->subject);
	strbuf_add_text(&out, "\r\n");
	add_date(&out, mail->now);
	strbuf_printf(&out, "Message-ID: <%s>\r\n", mail->id);
	if (mail->in_reply_to[0] != '\0') {
		strbuf_printf(&out, "In-Reply-To: %s\r\nReferences: %s\r\n", mail->in_reply_to, mail->in_reply_to);
	}
	strbuf_printf(&out, "Auto-Submitted: %s\r\nPrecedence: bulk\r\nX-Auto-Response-Suppress: All\r\n",
	              mail->reply ? "auto-replied" : "auto-generated");
	strbuf_printf(&out, "%sMIME-Version: 1.0\r\n", mail->fields);
	if (mail->html.len == 0) {
		add_part(&out, "text/plain", mail->text);
		return (struct slice){out.data, out.len};
	}
	/* "=_" stands in no quoted-printable text. */
	static const char boundary[] = "=_mailreeve";
	strbuf_printf(&out, "Content-Type: multipart/alternative; boundary=\"%s\"\r\n\r\n--%s\r\n", boundary, boundary);
	add_part(&out, "text/plain", mail->text);
	strbuf_printf(&out, "--%s\r\n", boundary);
	add_part(&out, "text/html", mail->html);
	strbuf_printf(&out, "--%s--\r\n", boundary);
	return (struct slice){out.data, out.len};
}

/* ---- texts of the network ---- */

static uint32_t code_point(const unsigned char *bytes, size_t n)
{
	static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t code = bytes[0] & masks[n];
	for (size_t i = 1; i < n; i++) {
		code = code << 6 | (bytes[i] & 0x3f);
	}
	return code;
}

/* Not seen, or turns the direction, or a line of its own. */
static bool is_unseen(uint32_t code)
{
	return code < ' ' || (code >= 0x7f && code < 0xa0) || code == 0xad || code == 0x61c || code == 0x115f ||
	       code == 0x1160 || (code >= 0x17b4 && code <= 0x17b5) || (code >= 0x180b && code <= 0x180f) ||
	       (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2060 && code <= 0x206f) || code == 0x3164 || (code >= 0xe000 && code <= 0xf8ff) ||
	       (code >= 0xfe00 && code <= 0xfe0f) || code == 0xfeff || code == 0xffa0 ||
	       (code >= 0xfff0 && code <= 0xfffb) || code >= 0xe0000;
}

const char *user_mail_clean(struct arena *arena, const char *text, size_t max)
{
	struct strbuf out;
	struct slice rest = slice_from(text);
	strbuf_init(&out, arena);
	while (rest.len > 0) {
		size_t n = (unsigned char)rest.data[0] < 0x80 ? 1 : text_utf8_length(rest);
		bool seen = n > 0 && !is_unseen(code_point((const unsigned char *)rest.data, n));
		n = n == 0 ? 1 : n;
		if (out.len + n > max) {
			strbuf_add_text(&out, "...");
			break;
		}
		if (slice_starts_nocase(rest, SLICE_LITERAL("://"))) {
			strbuf_add_text(&out, ":/");
			for (n = 3; n < rest.len && rest.data[n] == '/'; n++) {
			}
		} else if (slice_starts_nocase(rest, SLICE_LITERAL("www."))) {
			strbuf_add_text(&out, "www ");
			n = 4;
		} else {
			strbuf_add(&out, seen ? rest.data : "?", seen ? n : 1);
		}
		rest = (struct slice){rest.data + n, rest.len - n};
	}
	return out.data;
}

const char *user_mail_percent(struct arena *arena, const char *text)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	for (const char *c = text; *c != '\0'; c++) {
		if (ascii_is_alpha(*c) || ascii_is_digit(*c) || strchr("-._~", *c) != NULL) {
			strbuf_add_char(&out, *c);
		} else {
			strbuf_printf(&out, "%%%02X", (unsigned char)*c);
		}
	}
	return out.data;
}
