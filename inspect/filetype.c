#include "inspect/filetype.h"

#include "inspect/file_format.h"
#include "inspect/file_name.h"
#include "inspect/file_text.h"

#include <magic.h>
#include <stdlib.h>

enum { MAGIC_BYTES = 1 << 20, MAGIC_ENCODING_BYTES = 65536 };

static magic_t library; /* loaded before the workers are forked, read by each of them alone */

/* Its own readers of containers (OLE, tar, compressed files, ELF notes) are older than ours, and not needed. */
static const int magic_flags = MAGIC_MIME_TYPE | MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_CDF | MAGIC_NO_CHECK_TAR |
                               MAGIC_NO_CHECK_ELF | MAGIC_NO_CHECK_APPTYPE;

static void set_limit(int parameter, size_t value)
{
	magic_setparam(library, parameter, &value);
}

const char *filetype_load(struct arena *arena)
{
	filetype_unload();
	library = magic_open(magic_flags);
	if (library == NULL || magic_load(library, NULL) != 0) {
		const char *problem = library == NULL ? "out of memory" : magic_error(library);
		problem = arena_printf(arena, "libmagic: %s", problem == NULL ? "no database" : problem);
		filetype_unload();
		return problem;
	}
	set_limit(MAGIC_PARAM_BYTES_MAX, MAGIC_BYTES);
	set_limit(MAGIC_PARAM_ENCODING_MAX, MAGIC_ENCODING_BYTES);
	set_limit(MAGIC_PARAM_INDIR_MAX, 15);
	set_limit(MAGIC_PARAM_NAME_MAX, 30);
	set_limit(MAGIC_PARAM_REGEX_MAX, 8192);
	magic_buffer(library, "text\n", 5); /* builds its regular expressions: 30 ms that no message should pay */
	return NULL;
}

void filetype_unload(void)
{
	if (library != NULL) {
		magic_close(library);
		library = NULL;
	}
}

/* Types by which libmagic knows what our signatures do not. Its words on texts are guesses and give no class. */
static const struct {
	const char *type;
	enum file_class class;
} magic_classes[] = {
    {"application/vnd.microsoft.portable-executable", FILE_CLASS_EXECUTABLE},
    {"application/x-dosexec", FILE_CLASS_EXECUTABLE},
    {"application/x-executable", FILE_CLASS_EXECUTABLE},
    {"application/x-pie-executable", FILE_CLASS_EXECUTABLE},
    {"application/x-sharedlib", FILE_CLASS_EXECUTABLE},
    {"application/x-object", FILE_CLASS_EXECUTABLE},
    {"application/x-mach-binary", FILE_CLASS_EXECUTABLE},
    {"application/x-java-applet", FILE_CLASS_EXECUTABLE},
    {"application/x-bytecode.python", FILE_CLASS_SCRIPT_SOURCE},
    {"application/vnd.ms-htmlhelp", FILE_CLASS_HELP},
    {"application/x-iso9660-image", FILE_CLASS_DISK_IMAGE},
    {"application/x-qemu-disk", FILE_CLASS_DISK_IMAGE},
    {"application/x-virtualbox-vhd", FILE_CLASS_DISK_IMAGE},
    {"application/x-virtualbox-vhdx", FILE_CLASS_DISK_IMAGE},
    {"application/x-arc", FILE_CLASS_ARCHIVE_UNKNOWN},
    {"application/x-zoo", FILE_CLASS_ARCHIVE_UNKNOWN},
    {"application/x-stuffit", FILE_CLASS_ARCHIVE_UNKNOWN},
    {"application/x-ace-compressed", FILE_CLASS_ARCHIVE_UNKNOWN},
};

static const char *ask_library(struct slice content, struct file_verdict *verdict)
{
	const char *type = library == NULL ? NULL : magic_buffer(library, content.data, content.len);
	if (type == NULL || strchr(type, '/') == NULL) {
		return NULL;
	}
	for (size_t i = 0; i < sizeof magic_classes / sizeof *magic_classes; i++) {
		if (strcmp(type, magic_classes[i].type) == 0) {
			file_verdict_add(verdict, magic_classes[i].class, "content is %s", type);
		}
	}
	return arena_strdup(verdict->arena, type);
}

/* The most harmless of what the names say: a text that a reader opens in an editor. */
static enum file_promise least_promise(const struct part *part)
{
	enum file_promise least = FILE_PROMISE_NONE;
	bool first = true;
	for (size_t i = 0; part->names[i] != NULL; i++) {
		enum file_promise promise = file_name_promise(part->names[i]);
		if (first || promise == FILE_PROMISE_NONE || promise == FILE_PROMISE_RUN) {
			least = promise;
		}
		first = false;
	}
	bool text = strncmp(part->type, "text/", 5) == 0;
	return first && text ? FILE_PROMISE_TEXT : least;
}

static bool is_table(const struct part *part)
{
	static const char *const extensions[] = {"csv", "tsv", "tab", "slk", "dif", "prn", "xls", "xlsx", "xlt"};
	for (size_t i = 0; part->names[i] != NULL; i++) {
		char extension[FILE_EXTENSION_MAX];
		file_name_extension(part->names[i], extension);
		for (size_t k = 0; k < sizeof extensions / sizeof *extensions; k++) {
			if (strcmp(extension, extensions[k]) == 0) {
				return true;
			}
		}
	}
	return strcmp(part->type, "text/csv") == 0;
}

static void examine_text(const struct part *part, struct file_verdict *verdict)
{
	struct slice text;
	file_text_plain(part->content, &text);
	const char *type = text.len == 0 ? NULL : file_text_examine(text, least_promise(part), is_table(part), verdict);
	free((char *)(uintptr_t)text.data);
	verdict->type = type != NULL ? type : verdict->type;
}

/* A name that promises something harmless, and content that runs or hides. */
static void examine_mismatch(const struct part *part, uint64_t found, struct file_verdict *verdict)
{
	const uint64_t runs = FILE_CLASSES_RUN | FILE_CLASS_BIT(FILE_CLASS_DISK_IMAGE) | FILE_CLASS_BIT(FILE_CLASS_ONENOTE);
	const uint64_t hides = FILE_CLASS_BIT(FILE_CLASS_ARCHIVE) | FILE_CLASS_BIT(FILE_CLASS_HTML);
	for (size_t i = 0; part->names[i] != NULL; i++) {
		char extension[FILE_EXTENSION_MAX];
		file_name_extension(part->names[i], extension);
		enum file_promise promise = file_name_promise(part->names[i]);
		uint64_t named = file_class_of_extension(slice_from(extension));
		uint64_t more = found & ~named;
		bool harmless =
		    promise == FILE_PROMISE_PICTURE || promise == FILE_PROMISE_TEXT || promise == FILE_PROMISE_DOCUMENT;
		bool binary = promise == FILE_PROMISE_PICTURE || strcmp(extension, "pdf") == 0;
		uint64_t bad =
		    (harmless || (promise == FILE_PROMISE_ARCHIVE && (named & FILE_CLASSES_RUN) == 0) ? more & runs : 0) |
		    (binary ? more & hides : 0);
		for (unsigned class = 0; class < FILE_CLASS_COUNT; class ++) {
			if ((bad & FILE_CLASS_BIT(class)) != 0) {
				file_verdict_add(verdict, FILE_CLASS_MISMATCH, "named .%s, but %s", extension, verdict->reasons[class]);
				return;
			}
		}
	}
}

static void examine_content(const struct part *part, struct file_verdict *verdict)
{
	struct file_kind kind = file_format_detect(part->content);
	const char *type = kind.type;
	if (kind.classes != 0) {
		file_verdict_add_set(verdict, kind.classes, arena_printf(verdict->arena, "content is %s", kind.what));
	}
	if (kind.format == FILE_FORMAT_CLOSED) {
		file_verdict_add(verdict, FILE_CLASS_ARCHIVE_UNKNOWN, "%s cannot be opened here", kind.what);
	}
	type = type == NULL ? ask_library(part->content, verdict) : type;
	verdict->type = type == NULL ? "application/octet-stream" : type;
	if (kind.format == FILE_FORMAT_OTHER && kind.type == NULL && file_text_is(part->content)) {
		examine_text(part, verdict);
	}
}

void filetype_examine(const struct part *part, struct arena *arena, struct file_verdict *verdict_r)
{
	file_verdict_init(verdict_r, arena);
	file_name_examine(part, verdict_r);
	if (part->encrypted || part->content.len == 0) {
		return;
	}
	uint64_t named = verdict_r->classes;
	examine_content(part, verdict_r);
	examine_mismatch(part, verdict_r->classes & ~named, verdict_r);
}
