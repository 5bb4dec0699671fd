#include "inspect/file_name.h"

enum { SHOWN_MAX = 120, BLANKS_SUSPICIOUS = 8 };

static const struct {
	enum file_promise promise;
	const char *extensions;
} promises[] = {
    {FILE_PROMISE_TEXT,
     "asc bib c cc cfg conf cpp css csv diff dtd eml h hpp ics ini java json log markdown md nfo patch po "
     "properties readme rst sql srt tab tex text toml tsv txt vcf xml xsd xsl yaml yml"},
    {FILE_PROMISE_PICTURE,
     "3gp aac aif aiff apng avi avif bmp eps flac gif heic ico jfif jpe jpeg jpg m4a m4v mid midi mkv mov "
     "mp3 mp4 mpeg mpg ogg ogv opus otf png psd svg tga tif tiff ttf wav webm webp wma wmf wmv woff "
     "woff2"},
    {FILE_PROMISE_DOCUMENT, "doc docx dot dotx dwg epub fodt htm html mht mhtml msg odg odp ods odt otp ots ott oxps "
                            "pdf pot potx pps ppsx ppt pptx "
                            "rtf vsd vsdx wpd wps xls xlsb xlsx xlt xltx xps"},
};

/* Media types by which a mail program opens a part that has no name, and the extension that it then takes. */
static const struct {
	const char *type, *extension;
} type_extensions[] = {
    {"application/hta", "hta"},
    {"application/java-archive", "jar"},
    {"application/javascript", "js"},
    {"application/vnd.android.package-archive", "apk"},
    {"application/vnd.microsoft.portable-executable", "exe"},
    {"application/vnd.ms-htmlhelp", "chm"},
    {"application/x-bat", "bat"},
    {"application/x-dosexec", "exe"},
    {"application/x-exe", "exe"},
    {"application/x-java-jnlp-file", "jnlp"},
    {"application/x-javascript", "js"},
    {"application/x-ms-application", "application"},
    {"application/x-ms-installer", "msi"},
    {"application/x-ms-shortcut", "lnk"},
    {"application/x-msdos-program", "exe"},
    {"application/x-msdownload", "exe"},
    {"application/x-msi", "msi"},
    {"application/x-vbs", "vbs"},
    {"text/javascript", "js"},
    {"text/scriptlet", "sct"},
    {"text/vbs", "vbs"},
    {"text/vbscript", "vbs"},
    {"text/calendar", "ics"},
};

static struct slice last_component(const char *name)
{
	const char *start = name;
	for (const char *at = name; *at != '\0'; at++) {
		start = *at == '/' || *at == '\\' ? at + 1 : start;
	}
	return slice_from(start);
}

/* UTF-8 for what looks like a blank or like nothing at the end of a name. */
static const char *const blanks[] = {" ",
                                     ".",
                                     "\t",
                                     "\xc2\xa0",
                                     "\xe2\x80\x83",
                                     "\xe3\x80\x80",
                                     "\xe2\x80\x8b",
                                     "\xe2\x80\x8e",
                                     "\xe2\x80\x8f",
                                     "\xef\xbb\xbf",
                                     "\"",
                                     "'"};

static struct slice strip_end(struct slice name)
{
	for (bool again = true; again;) {
		again = false;
		for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++) {
			struct slice blank = slice_from(blanks[i]);
			if (name.len > 0 && slice_ends_nocase(name, blank)) {
				name.len -= blank.len;
				again = true;
			}
		}
	}
	return name;
}

/* Windows opens "a.exe::$DATA" and "a.exe. ." as a.exe. */
static struct slice effective(const char *name)
{
	struct slice last = last_component(name);
	struct slice stream = SLICE_LITERAL("::$data");
	if (slice_ends_nocase(last, stream)) {
		last.len -= stream.len;
	}
	return strip_end(last);
}

/* Takes ".extension" off the end of *name. False: it has none. */
static bool cut_extension(struct slice *name, struct slice *extension_r)
{
	for (size_t i = name->len; i > 0; i--) {
		if (name->data[i - 1] == '.') {
			*extension_r = (struct slice){name->data + i, name->len - i};
			name->len = i - 1;
			return true;
		}
	}
	return false;
}

static void copy_lower(struct slice text, char to[FILE_EXTENSION_MAX])
{
	size_t n = text.len < FILE_EXTENSION_MAX ? text.len : 0; /* nothing that long is one */
	for (size_t i = 0; i < n; i++) {
		to[i] = ascii_lower(text.data[i]);
	}
	to[n] = '\0';
}

void file_name_extension(const char *name, char extension_r[FILE_EXTENSION_MAX])
{
	struct slice rest = effective(name), extension;
	extension_r[0] = '\0';
	if (cut_extension(&rest, &extension)) {
		copy_lower(extension, extension_r);
	}
}

static enum file_promise promise_of(const char *extension)
{
	uint64_t classes = file_class_of_extension(slice_from(extension));
	const uint64_t archives = FILE_CLASS_BIT(FILE_CLASS_ARCHIVE) | FILE_CLASS_BIT(FILE_CLASS_DISK_IMAGE);
	for (size_t i = 0; i < sizeof promises / sizeof *promises; i++) {
		if (file_word_listed(promises[i].extensions, slice_from(extension))) {
			return promises[i].promise;
		}
	}
	if ((classes & archives) != 0) {
		return FILE_PROMISE_ARCHIVE;
	}
	return classes != 0 ? FILE_PROMISE_RUN : FILE_PROMISE_NONE;
}

enum file_promise file_name_promise(const char *name)
{
	char extension[FILE_EXTENSION_MAX];
	file_name_extension(name, extension);
	return promise_of(extension);
}

/* U+202D and U+202E turn the order of letters around: "cod.exe" reads "exe.doc". */
static bool is_turned(struct slice name)
{
	for (size_t i = 0; i + 2 < name.len; i++) {
		if (memcmp(name.data + i, "\xe2\x80\xad", 3) == 0 || memcmp(name.data + i, "\xe2\x80\xae", 3) == 0) {
			return true;
		}
	}
	return false;
}

static bool has_long_gap(struct slice name)
{
	size_t run = 0;
	for (size_t i = 0; i < name.len; i++) {
		run = name.data[i] == ' ' || name.data[i] == '_' ? run + 1 : 0;
		if (run >= BLANKS_SUSPICIOUS) {
			return true;
		}
	}
	return false;
}

/* "invoice.pdf.exe": an ending that people trust right before one that runs. x.txt.html and x.conf.sh are what
 * programmers call their files. */
static bool is_doubled(struct slice name, uint64_t classes)
{
	const bool strict = (classes & (FILE_CLASSES_RUN | FILE_CLASS_BIT(FILE_CLASS_DISK_IMAGE))) != 0;
	struct slice last, before;
	char text[FILE_EXTENSION_MAX];
	if (!cut_extension(&name, &last)) {
		return false;
	}
	name = strip_end(name);
	if (!cut_extension(&name, &before) || name.len == 0) {
		return false;
	}
	copy_lower(before, text);
	enum file_promise promise = promise_of(text);
	bool page = (file_class_of_extension(slice_from(text)) & FILE_CLASS_BIT(FILE_CLASS_HTML)) != 0;
	return (strict && (promise == FILE_PROMISE_TEXT || page)) || promise == FILE_PROMISE_PICTURE ||
	       (promise == FILE_PROMISE_DOCUMENT && !page);
}

/* A class id as the extension: Windows opens it with that class and shows the name without it. */
static bool is_class_id(const char *extension)
{
	size_t n = strlen(extension);
	return n == 0 ? false : extension[0] == '{' && extension[n - 1] == '}';
}

static void examine_class_id(struct slice name, const char *shown, struct file_verdict *verdict)
{
	struct slice rest = name, last;
	char text[64] = "";
	if (cut_extension(&rest, &last) && last.len > 0 && last.len < sizeof text) {
		memcpy(text, last.data, last.len);
		if (is_class_id(text)) {
			file_verdict_add(verdict, FILE_CLASS_EXECUTABLE, "the name ends in a class id: %s", shown);
			file_verdict_add(verdict, FILE_CLASS_DOUBLE_EXTENSION, "a class id hides behind the name: %s", shown);
		}
	}
}

static void examine_name(const char *raw, struct file_verdict *verdict)
{
	struct slice name = effective(raw);
	char extension[FILE_EXTENSION_MAX];
	const uint64_t run = FILE_CLASSES_RUN | FILE_CLASS_BIT(FILE_CLASS_SCRIPT_SOURCE) |
	                     FILE_CLASS_BIT(FILE_CLASS_DISK_IMAGE) | FILE_CLASS_BIT(FILE_CLASS_HTML);
	file_name_extension(raw, extension);
	const char *shown = text_escape(verdict->arena, last_component(raw), "", true, SHOWN_MAX);
	uint64_t classes = file_class_of_extension(slice_from(extension));
	if (classes != 0) {
		file_verdict_add_set(verdict, classes, arena_printf(verdict->arena, "named .%s: %s", extension, shown));
	}
	examine_class_id(name, shown, verdict);
	if (is_turned(last_component(raw))) {
		file_verdict_add(verdict, FILE_CLASS_DOUBLE_EXTENSION, "letters of the name run backwards (.%s): %s", extension,
		                 shown);
	}
	if ((classes & run) == 0) {
		return;
	}
	if (is_doubled(name, classes)) {
		file_verdict_add(verdict, FILE_CLASS_DOUBLE_EXTENSION, ".%s behind another ending: %s", extension, shown);
	} else if (has_long_gap(name)) {
		file_verdict_add(verdict, FILE_CLASS_DOUBLE_EXTENSION, "blanks push .%s out of sight: %s", extension, shown);
	}
}

void file_name_examine(const struct part *part, struct file_verdict *verdict)
{
	for (size_t i = 0; part->names[i] != NULL; i++) {
		examine_name(part->names[i], verdict);
	}
	for (size_t i = 0; i < sizeof type_extensions / sizeof *type_extensions; i++) {
		if (strcmp(part->type, type_extensions[i].type) == 0) {
			uint64_t classes = file_class_of_extension(slice_from(type_extensions[i].extension));
			file_verdict_add_set(verdict, classes, arena_printf(verdict->arena, "declared as %s", part->type));
		}
	}
}
