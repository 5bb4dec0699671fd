#include "inspect/vba.h"

#include "inspect/file_format.h"

enum { CHUNK = 4096, SOURCE_SEARCH = 1 << 20 };

/* One chunk of at most 4096 bytes; copies reach back within it only. */
static size_t unpack_chunk(struct slice packed, char out[CHUNK])
{
	size_t at = 0, n = 0;
	while (at < packed.len) {
		unsigned flags = (unsigned char)packed.data[at++];
		for (unsigned bit = 0; bit < 8 && at < packed.len; bit++, flags >>= 1) {
			if ((flags & 1) == 0) {
				if (n >= CHUNK) {
					return n;
				}
				out[n++] = packed.data[at++];
				continue;
			}
			uint32_t token = bytes_le16(packed, at);
			unsigned bits = 4;
			while (bits < 12 && (1U << bits) < n) {
				bits++;
			}
			size_t length = (token & (0xffffU >> bits)) + 3, offset = (token >> (16 - bits)) + 1;
			at += 2;
			if (offset > n) {
				return n;
			}
			for (size_t i = 0; i < length && n < CHUNK; i++, n++) {
				out[n] = out[n - offset];
			}
		}
	}
	return n;
}

bool vba_decompress(struct slice packed, struct part_budget *budget, struct file_bytes *bytes_r)
{
	if (packed.len == 0 || packed.data[0] != 1) {
		return true;
	}
	for (size_t at = 1; at + 2 <= packed.len;) {
		uint32_t header = bytes_le16(packed, at);
		size_t size = (header & 0xfff) + 1;
		struct slice chunk = bytes_part(packed, at + 2, size);
		char out[CHUNK];
		if ((header & 0x7000) != 0x3000) {
			return true;
		}
		size_t n = (header & 0x8000) != 0 ? unpack_chunk(chunk, out) : chunk.len;
		if (!file_bytes_add(bytes_r, budget, (header & 0x8000) != 0 ? out : chunk.data, n)) {
			return false;
		}
		at += 2 + size;
	}
	return true;
}

/* The source begins with "Attribute VB_Name": its first chunk holds a byte of flags, then those letters. */
bool vba_module_source(struct slice stream, struct part_budget *budget, struct file_bytes *bytes_r)
{
	struct slice head = bytes_part(stream, 0, SOURCE_SEARCH);
	const struct slice mark = {"\0Attribut", 9};
	for (size_t at = bytes_find(head, mark, 0); at < head.len; at = bytes_find(head, mark, at + 1)) {
		if (at >= 3 && head.data[at - 3] == 1) {
			return vba_decompress(bytes_part(stream, at - 3, stream.len), budget, bytes_r);
		}
	}
	return true;
}

static const struct {
	const char *word; /* in small letters */
	const char *name;
} auto_names[] = {
    {"autoexec", "AutoExec"},
    {"auto_exec", "Auto_Exec"},
    {"autoopen", "AutoOpen"},
    {"auto_open", "Auto_Open"},
    {"autoclose", "AutoClose"},
    {"auto_close", "Auto_Close"},
    {"autonew", "AutoNew"},
    {"autoexit", "AutoExit"},
    {"auto_activate", "Auto_Activate"},
    {"auto_deactivate", "Auto_Deactivate"},
    {"document_open", "Document_Open"},
    {"document_close", "Document_Close"},
    {"document_new", "Document_New"},
    {"document_beforeclose", "Document_BeforeClose"},
    {"documentopen", "DocumentOpen"},
    {"document_contentcontrolonenter", "Document_ContentControlOnEnter"},
    {"workbook_open", "Workbook_Open"},
    {"workbook_close", "Workbook_Close"},
    {"workbook_beforeclose", "Workbook_BeforeClose"},
    {"workbook_activate", "Workbook_Activate"},
    {"workbook_deactivate", "Workbook_Deactivate"},
    {"workbook_windowactivate", "Workbook_WindowActivate"},
    {"worksheet_activate", "Worksheet_Activate"},
    {"worksheet_calculate", "Worksheet_Calculate"},
    {"worksheet_selectionchange", "Worksheet_SelectionChange"},
    {"app_workbookopen", "App_WorkbookOpen"},
    {"app_documentopen", "App_DocumentOpen"},
    {"presentation_open", "Presentation_Open"},
    {"slideshowbegin", "SlideShowBegin"},
    {"onslideshowpagechange", "OnSlideShowPageChange"},
    {"onslideshowterminate", "OnSlideShowTerminate"},
    {"_painted(", "Painted"},
    {"_painting(", "Painting"},
    {"_gotfocus(", "GotFocus"},
    {"_mousemove(", "MouseMove"},
    {"_mouseenter(", "MouseEnter"},
    {"_mousehover(", "MouseHover"},
    {"_layout(", "Layout"},
    {"_resize(", "Resize"},
    {"inkpicture1_", "InkPicture"},
    {"_followhyperlink(", "FollowHyperlink"},
};

static bool is_name_byte(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c == '_';
}

const char *vba_auto_name(struct slice text)
{
	for (size_t i = 0; i < sizeof auto_names / sizeof *auto_names; i++) {
		struct slice word = slice_from(auto_names[i].word);
		for (size_t at = bytes_find(text, word, 0); at < text.len; at = bytes_find(text, word, at + 1)) {
			bool part = word.data[0] == '_' || at == 0 || !is_name_byte(text.data[at - 1]);
			size_t end = at + word.len;
			bool whole = !is_name_byte(word.data[word.len - 1]) || end >= text.len || !is_name_byte(text.data[end]);
			if (part && (whole || word.data[word.len - 1] == '_')) {
				return auto_names[i].name;
			}
		}
	}
	return NULL;
}

const char *vba_suspicion(struct slice text)
{
	static const struct {
		const char *word, *what;
	} words[] = {
	    {"shell(", "starts programs"},
	    {"wscript.shell", "starts programs"},
	    {"shell.application", "starts programs"},
	    {"shellexecute", "starts programs"},
	    {"winexec", "starts programs"},
	    {"createprocess", "starts programs"},
	    {"urldownloadtofile", "downloads"},
	    {"msxml2.xmlhttp", "downloads"},
	    {"winhttp", "downloads"},
	    {"powershell", "starts programs"},
	    {"adodb.stream", "writes files"},
	    {"virtualalloc", "runs code in memory"},
	};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (bytes_find(text, slice_from(words[i].word), 0) < text.len) {
			return words[i].what;
		}
	}
	return NULL;
}
