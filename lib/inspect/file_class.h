/* file_class: the words by which an operator names kinds of attachments, and what was found about one file.
 *
 * A class says what a file can do to its reader, not whether it is bad. One file can have many; each carries one reason
 * for people. The table with extensions and help texts is what the manual page prints. */
#ifndef MAILREEVE_LIB_INSPECT_FILE_CLASS_H
#define MAILREEVE_LIB_INSPECT_FILE_CLASS_H

#include "lib/base/slice.h"

#include <stdint.h>

enum file_class {
	/* what runs when it is opened */
	FILE_CLASS_EXECUTABLE,
	FILE_CLASS_SCRIPT,
	FILE_CLASS_SCRIPT_SOURCE,
	FILE_CLASS_INSTALLER,
	FILE_CLASS_SHORTCUT,
	FILE_CLASS_SETTINGS,
	FILE_CLASS_HELP,
	FILE_CLASS_DISK_IMAGE,
	FILE_CLASS_DATABASE,
	FILE_CLASS_ADDIN,
	FILE_CLASS_QUERY,
	/* what an office document holds */
	FILE_CLASS_MACRO,
	FILE_CLASS_MACRO_AUTO,
	FILE_CLASS_OFFICE_ACTIVE,
	FILE_CLASS_ONENOTE,
	FILE_CLASS_PDF_ACTIVE,
	FILE_CLASS_PDF_FILE,
	FILE_CLASS_DOCUMENT_ENCRYPTED,
	FILE_CLASS_DOCUMENT_BROKEN,
	/* what a web page does */
	FILE_CLASS_HTML,
	FILE_CLASS_HTML_SCRIPT,
	FILE_CLASS_HTML_SMUGGLING,
	/* archives */
	FILE_CLASS_ARCHIVE,
	FILE_CLASS_ARCHIVE_ENCRYPTED,
	FILE_CLASS_ARCHIVE_UNKNOWN,
	FILE_CLASS_ARCHIVE_BROKEN,
	FILE_CLASS_ARCHIVE_PARTIAL,
	FILE_CLASS_ARCHIVE_AMBIGUOUS,
	FILE_CLASS_ARCHIVE_BOMB,
	FILE_CLASS_ARCHIVE_PATH,
	/* names that mislead */
	FILE_CLASS_DOUBLE_EXTENSION,
	FILE_CLASS_MISMATCH,
	/* harmless by themselves; an operator may still have a rule */
	FILE_CLASS_CALENDAR,
	FILE_CLASS_MESSAGE,
	FILE_CLASS_CERTIFICATE,
	FILE_CLASS_COUNT
};

struct file_class_info {
	const char *name; /* the word in the configuration */
	const char
	    *extensions;  /* the published list, in small letters, one blank between; "" where content alone decides */
	const char *help; /* one sentence for the manual page */
};

/* Indexed by enum file_class. */
extern const struct file_class_info file_classes[FILE_CLASS_COUNT];

#define FILE_CLASS_BIT(class) (UINT64_C(1) << (class))

/* What a reader's computer runs by itself when the file is opened. */
#define FILE_CLASSES_RUN                                                                                               \
	(FILE_CLASS_BIT(FILE_CLASS_EXECUTABLE) | FILE_CLASS_BIT(FILE_CLASS_SCRIPT) |                                       \
	 FILE_CLASS_BIT(FILE_CLASS_INSTALLER) | FILE_CLASS_BIT(FILE_CLASS_SHORTCUT) |                                      \
	 FILE_CLASS_BIT(FILE_CLASS_SETTINGS) | FILE_CLASS_BIT(FILE_CLASS_HELP) | FILE_CLASS_BIT(FILE_CLASS_ADDIN))

/* The class of that name; false when there is none. */
bool file_class_find(struct slice name, enum file_class *class_r);

/* The classes whose list names the extension (small letters, without the dot). */
uint64_t file_class_of_extension(struct slice extension);

/* Is it one of the words of a list with one blank between them? */
bool file_word_listed(const char *list, struct slice word);

/* What is known of one file. */
struct file_verdict {
	struct arena *arena;                   /* of type and reasons */
	const char *type;                      /* detected media type, "application/octet-stream" when nothing fits */
	uint64_t classes;                      /* FILE_CLASS_BIT() of each */
	const char *reasons[FILE_CLASS_COUNT]; /* UTF-8 on one line, escaped; NULL for classes it has not */
};

void file_verdict_init(struct file_verdict *verdict, struct arena *arena);
bool file_verdict_has(const struct file_verdict *verdict, enum file_class class);

/* The first reason stays. */
void file_verdict_add(struct file_verdict *verdict, enum file_class class, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Every class of the set, with one reason for all. */
void file_verdict_add_set(struct file_verdict *verdict, uint64_t classes, const char *reason);

#endif
