#include "lib/report/xml.h"

static const char replacement[] = "\xef\xbf\xbd";

/* XML 1.0 2.2: no control characters but tab and line ends, not U+FFFE and U+FFFF. */
static bool is_character(struct slice sequence)
{
	if (sequence.len == 1) {
		unsigned char c = (unsigned char)sequence.data[0];
		return (c >= 0x20 && c < 0x7f) || c == '\t' || c == '\n';
	}
	return !(sequence.len == 3 && memcmp(sequence.data, "\xef\xbf", 2) == 0 && (unsigned char)sequence.data[2] >= 0xbe);
}

static void add_character(struct strbuf *out, struct slice sequence)
{
	if (!is_character(sequence)) {
		strbuf_add_text(out, replacement);
		return;
	}
	switch (sequence.data[0]) {
	case '<':
		strbuf_add_text(out, "&lt;");
		return;
	case '>':
		strbuf_add_text(out, "&gt;");
		return;
	case '&':
		strbuf_add_text(out, "&amp;");
		return;
	case '"':
		strbuf_add_text(out, "&quot;");
		return;
	default:
		strbuf_add_slice(out, sequence);
	}
}

void xml_add_text(struct strbuf *out, struct slice text)
{
	while (text.len > 0) {
		size_t n = (unsigned char)text.data[0] < 0x80 ? 1 : text_utf8_length(text);
		if (n == 0) {
			strbuf_add_text(out, replacement);
			n = 1;
		} else {
			add_character(out, (struct slice){text.data, n});
		}
		text.data += n;
		text.len -= n;
	}
}

void xml_add_element(struct strbuf *out, int indent, const char *name, const char *text)
{
	if (text != NULL) {
		strbuf_printf(out, "%*s<%s>", indent, "", name);
		xml_add_text(out, slice_from(text));
		strbuf_printf(out, "</%s>\n", name);
	}
}
