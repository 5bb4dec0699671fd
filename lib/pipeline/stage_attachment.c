/* What the message carries: a finding for each class of files (lib/inspect/file_class.h), whatever its nesting. */
#include "lib/pipeline/stage_attachment.h"

#include "lib/pipeline/session.h"
#include "lib/pipeline/stage_list.h"

#define CODE(name, action, traits, reply, help) {"attachment." name, {action, 0}, traits, "7.0", reply, help}

static const struct finding_code codes[] = {
	[FILE_CLASS_EXECUTABLE] = CODE("executable", ACTION_REJECT, FINDING_ENFORCED, "The message carries a program",
                        "a program or a part of one, by name or by content"),
	[FILE_CLASS_SCRIPT] = CODE("script", ACTION_REJECT, FINDING_ENFORCED, "The message carries a script",
                        "a script that Windows runs when it is opened"),
	[FILE_CLASS_SCRIPT_SOURCE] = CODE("script_source", ACTION_IGNORE, 0, "The message carries a script",
                        "a script as developers send them: shell, Perl, Python, PHP, Ruby"),
	[FILE_CLASS_INSTALLER] = CODE("installer", ACTION_REJECT, FINDING_ENFORCED, "The message carries software to be installed",
                        "a package that installs software"),
	[FILE_CLASS_SHORTCUT] = CODE("shortcut", ACTION_REJECT, FINDING_ENFORCED, "The message carries a shortcut",
                        "a link that opens a program, a folder elsewhere, or a page"),
	[FILE_CLASS_SETTINGS] = CODE("settings", ACTION_REJECT, FINDING_ENFORCED, "The message carries a file that changes settings",
                        "a file that changes settings"),
	[FILE_CLASS_HELP] = CODE("help", ACTION_REJECT, FINDING_ENFORCED, "The message carries a help file",
                        "a Windows help file: it can run programs"),
	[FILE_CLASS_DISK_IMAGE] = CODE("disk_image", ACTION_QUARANTINE, 0, "The message carries a disk image",
                        "an image of a disk: what is inside loses the mark of having come by mail"),
	[FILE_CLASS_DATABASE] = CODE("database", ACTION_TAG, 0, "The message carries a database",
                        "a Microsoft Access database"),
	[FILE_CLASS_ADDIN] = CODE("addin", ACTION_REJECT, FINDING_ENFORCED, "The message carries an add-in",
                        "an add-in of an Office program"),
	[FILE_CLASS_QUERY] = CODE("query", ACTION_TAG, 0, "The message carries a query",
                        "a query that makes a spreadsheet fetch or run something"),
	[FILE_CLASS_MACRO] = CODE("macro", ACTION_TAG, 0, "The message carries a document with macros",
                        "an Office document with macros"),
	[FILE_CLASS_MACRO_AUTO] = CODE("macro_auto", ACTION_TAG, 0, "The message carries a document with macros that run by themselves",
                        "macros that run by themselves"),
	[FILE_CLASS_OFFICE_ACTIVE] = CODE("office_active", ACTION_TAG, 0, "The message carries a document with active content",
                        "DDE, external templates, embedded programs, ActiveX"),
	[FILE_CLASS_ONENOTE] = CODE("onenote", ACTION_TAG, 0, "The message carries a OneNote section",
                        "a OneNote section"),
	[FILE_CLASS_PDF_ACTIVE] = CODE("pdf_active", ACTION_IGNORE, 0, "The message carries a PDF with active content",
                        "PDF with JavaScript or actions"),
	[FILE_CLASS_PDF_FILE] = CODE("pdf_file", ACTION_IGNORE, 0, "The message carries a PDF with files in it",
                        "PDF with files in it"),
	[FILE_CLASS_DOCUMENT_ENCRYPTED] = CODE("document_encrypted", ACTION_TAG, 0, "The message carries a document behind a password",
                        "an Office or PDF document behind a password"),
	[FILE_CLASS_DOCUMENT_BROKEN] = CODE("document_broken", ACTION_IGNORE, 0, "The message carries a damaged document",
                        "a damaged Office document"),
	[FILE_CLASS_HTML] = CODE("html", ACTION_IGNORE, 0, "The message carries a web page",
                        "a web page or SVG as an attachment"),
	[FILE_CLASS_HTML_SCRIPT] = CODE("html_script", ACTION_IGNORE, 0, "The message carries a web page with script",
                        "the same with script"),
	[FILE_CLASS_HTML_SMUGGLING] = CODE("html_smuggling", ACTION_QUARANTINE, 0, "The message carries a web page with a hidden file",
                        "the same, whose script puts together a hidden file"),
	[FILE_CLASS_ARCHIVE] = CODE("archive", ACTION_IGNORE, 0, "The message carries an archive",
                        "an archive or packed file of any kind"),
	[FILE_CLASS_ARCHIVE_ENCRYPTED] = CODE("archive_encrypted", ACTION_TAG, 0, "The message carries an archive behind a password",
                        "an archive with a member behind a password"),
	[FILE_CLASS_ARCHIVE_UNKNOWN] = CODE("archive_unknown", ACTION_TAG, 0, "The message carries an archive that cannot be opened",
                        "an archive of a kind that cannot be opened here"),
	[FILE_CLASS_ARCHIVE_BROKEN] = CODE("archive_broken", ACTION_TAG, 0, "The message carries a damaged archive",
                        "a damaged or cut archive"),
	[FILE_CLASS_ARCHIVE_PARTIAL] = CODE("archive_partial", ACTION_TAG, 0, "The message carries a part of an archive",
                        "one volume of an archive in several"),
	[FILE_CLASS_ARCHIVE_AMBIGUOUS] = CODE("archive_ambiguous", ACTION_TAG, 0, "The message carries an archive that can be read in more than one way",
                        "programs read the archive differently; every reading was looked at"),
	[FILE_CLASS_ARCHIVE_BOMB] = CODE("archive_bomb", ACTION_QUARANTINE, FINDING_ENFORCED, "The message carries an archive that is too large when unpacked",
                        "more time, space, members or levels than the limits allow: not all was looked at"),
	[FILE_CLASS_ARCHIVE_PATH] = CODE("archive_path", ACTION_TAG, 0, "The message carries an archive that leaves its folder",
                        "members that lead out of the folder they are unpacked in"),
	[FILE_CLASS_DOUBLE_EXTENSION] = CODE("double_extension", ACTION_TAG, 0, "The message carries a file with a misleading name",
                        "a harmless ending before a dangerous one, text that runs backwards, many blanks"),
	[FILE_CLASS_MISMATCH] = CODE("mismatch", ACTION_TAG, 0, "The message carries a file that is not what its name says",
                        "content that is more dangerous than the name says"),
	[FILE_CLASS_CALENDAR] = CODE("calendar", ACTION_IGNORE, 0, "The message carries a calendar entry",
                        "a calendar entry"),
	[FILE_CLASS_MESSAGE] = CODE("message", ACTION_IGNORE, 0, "The message carries another message",
                        "an attached message; what it carries is looked at"),
	[FILE_CLASS_CERTIFICATE] = CODE("certificate", ACTION_IGNORE, 0, "The message carries a certificate",
                        "a certificate or key"),
	{.code = NULL},
};
_Static_assert(sizeof codes / sizeof *codes == FILE_CLASS_COUNT + 1, "one code for each class");

const struct finding_code *attachment_code(enum file_class class)
{
	return &codes[class];
}

static enum stage_progress attachment_end(struct session *session, const void *settings)
{
	(void)settings;
	if (!session->inspected) {
		return STAGE_PENDING;
	}
	for (unsigned i = 0; i < FILE_CLASS_COUNT; i++) {
		if ((session->inspection.classes & FILE_CLASS_BIT(i)) != 0) {
			session_find(session, &codes[i], session->inspection.class_reasons[i], NULL);
		}
	}
	return STAGE_DONE;
}

const struct stage stage_attachment = {
	.section = {.name = "attachment",
                .help = "Kinds of files that the message carries, by name and by content, in archives and documents too.",
                .codes = codes,
                .mode = MODE_ENFORCE},
	.inbound = true,
	.outbound = true,
	.released = true,
	.on = {[PHASE_END] = attachment_end},
};
