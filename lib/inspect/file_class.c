#include "lib/inspect/file_class.h"

enum { REASON_MAX = 300 };

const struct file_class_info file_classes[FILE_CLASS_COUNT] = {
    [FILE_CLASS_EXECUTABLE] =
        {"executable",
         "ade adp air apk app appcontent-ms class cla com cpl crx dex dll drv efi elf ex ex_ exe gadget ipa jar lib "
         "le mui ocx pif prg scr so sys tlb vxd xap xbap",
         "Programs and their parts for Windows, DOS, Unix, macOS, Android and Java, by name or by content."},
    [FILE_CLASS_SCRIPT] =
        {"script",
         "asp aspx bas bat cmd csh fxp hta htc js jse ksh mjs msh msh1 msh1xml msh2 msh2xml mshxml ps1 ps1xml ps2 "
         "ps2xml psc1 psc2 psd1 psm1 psdm1 rgs sct shb shs vb vbe vbp vbs vbscript vsmacros ws wsc wsf wsh xnk",
         "Scripts that Windows runs when they are opened, or by the shells that it brings."},
    [FILE_CLASS_SCRIPT_SOURCE] =
        {"script_source",
         "ahk au3 bash command cgi lua phar php php3 php4 php5 php7 phtml pl plg plx py pyc pyo pyw "
         "pyz pyzw rb rbw sh tcl tool vbhtml workflow zsh fish",
         "Scripts for interpreters that a Windows computer does not bring, as developers send "
         "them: shell, Perl, Python, PHP, Ruby."},
    [FILE_CLASS_INSTALLER] =
        {"installer",
         "application appimage appinstaller appx appxbundle appref-ms deb deskthemepack diagcab diagcfg diagpkg "
         "flatpak flatpakref isu jnlp msi msix msixbundle msp mst msu ops osd paf.exe pkg mpkg rpm run snap themepack "
         "vsix wsb xar xpi",
         "Packages that install software, and diagnostic packages."},
    [FILE_CLASS_SHORTCUT] =
        {"shortcut",
         "desktop fileloc glk grp inetloc its library-ms lnk mad maf mag mam maq mar mas mat mau mav maw mcf pcd "
         "rdp scf search-ms searchconnector-ms shortcut theme url vsw webloc webpnp website",
         "Links that open programs, folders of other computers, or web pages."},
    [FILE_CLASS_SETTINGS] =
        {"settings",
         "bgi clb cnt hpj inf ins isp job mof msc mobileconfig nsh pnf printerexport reg scs prf settingcontent-ms "
         "udl provisionedprofile ppkg",
         "Files that change the settings of a computer, or are consoles to do it."},
    [FILE_CLASS_HELP] = {"help", "chm hlp chw chi", "Windows help files: they can run scripts and programs."},
    [FILE_CLASS_DISK_IMAGE] = {"disk_image",
                               "cue daa dmg ima img iso isz mdf mds nrg qcow qcow2 sparseimage toast udf vdi vfd vhd "
                               "vhdx vmdk wim esd swm",
                               "Images of disks: what is inside loses the mark of having come by mail."},
    [FILE_CLASS_DATABASE] = {"database", "accdb accde accdr accdt mda mdb mde mdn mdt mdw mdz",
                             "Databases of Microsoft Access, which hold code."},
    [FILE_CLASS_ADDIN] = {"addin", "ppa ppam wll xla xlam xll",
                          "Add-ins of Office programs: code by their nature (an XLL is a DLL)."},
    [FILE_CLASS_QUERY] = {"query", "dqy iqy odc oqy rqy slk",
                          "Queries and links that make a spreadsheet fetch or run something."},
    [FILE_CLASS_MACRO] =
        {"macro", "docm dotm potm ppam ppsm pptm sldm xlam xlm xlsm xltm",
         "Office documents with macros (VBA or Excel 4), by content or by the name of a macro format."},
    [FILE_CLASS_MACRO_AUTO] = {"macro_auto", "",
                               "Macros that run by themselves when the document is opened or closed."},
    [FILE_CLASS_OFFICE_ACTIVE] = {"office_active", "",
                                  "DDE, external templates, embedded packages and programs, ActiveX and OLE objects "
                                  "that are updated on opening."},
    [FILE_CLASS_ONENOTE] = {"onenote", "one onepkg onetoc onetoc2 onebin",
                            "OneNote sections; files embedded in them are looked at one by one."},
    [FILE_CLASS_PDF_ACTIVE] = {"pdf_active", "",
                               "PDF with JavaScript, with actions that run by themselves or start programs, with XFA "
                               "forms or rich media."},
    [FILE_CLASS_PDF_FILE] = {"pdf_file", "", "PDF that carries other files inside; they are looked at one by one."},
    [FILE_CLASS_DOCUMENT_ENCRYPTED] = {"document_encrypted", "",
                                       "Office and PDF documents that cannot be read without a password."},
    [FILE_CLASS_DOCUMENT_BROKEN] = {"document_broken", "",
                                    "Office documents whose structure is damaged: what they hold is not known."},
    [FILE_CLASS_HTML] = {"html", "htm html mht mhtml shtm shtml svg svgz xht xhtml",
                         "Web pages and pictures made like them (SVG)."},
    [FILE_CLASS_HTML_SCRIPT] = {"html_script", "", "A web page or SVG picture with script in it."},
    [FILE_CLASS_HTML_SMUGGLING] = {"html_smuggling", "",
                                   "A web page whose script puts together a file or a page that was hidden in it."},
    [FILE_CLASS_ARCHIVE] =
        {"archive",
         "7z ace alz ar arc arj b1 bz bz2 cab cbr cbz cpio ear egg gz gzip kgb lha lz lz4 lzh lzma lzo pak paq r00 "
         "r01 rar sit sitx tar taz tbz tbz2 tgz tlz txz tzst uc2 uha war xar xxe xz z zip zipx zoo zpaq zst zz",
         "Archives and packed files of any kind."},
    [FILE_CLASS_ARCHIVE_ENCRYPTED] = {"archive_encrypted", "",
                                      "Archives with a member, or the list of members, behind a password."},
    [FILE_CLASS_ARCHIVE_UNKNOWN] = {"archive_unknown", "",
                                    "Archives of a kind that cannot be opened here: what is inside is not known."},
    [FILE_CLASS_ARCHIVE_BROKEN] = {"archive_broken", "",
                                   "Archives that are damaged or cut off: not all that is inside could be looked at."},
    [FILE_CLASS_ARCHIVE_PARTIAL] = {"archive_partial", "", "One volume of an archive in several."},
    [FILE_CLASS_ARCHIVE_AMBIGUOUS] =
        {"archive_ambiguous", "", "Archives that different programs read differently; every reading was looked at."},
    [FILE_CLASS_ARCHIVE_BOMB] = {"archive_bomb", "",
                                 "Archives that need more time, space, members or levels than the limits allow."},
    [FILE_CLASS_ARCHIVE_PATH] = {"archive_path", "",
                                 "Archives with members that lead out of the folder they are unpacked in."},
    [FILE_CLASS_DOUBLE_EXTENSION] =
        {"double_extension", "",
         "Names made to mislead: a harmless ending before a dangerous one, text that runs backwards, many blanks."},
    [FILE_CLASS_MISMATCH] = {"mismatch", "", "Content that is more dangerous than the name says."},
    [FILE_CLASS_CALENDAR] = {"calendar", "ics ifb ical vcs", "Calendar entries."},
    [FILE_CLASS_MESSAGE] = {"message", "eml emlx msg oft nws", "Attached messages; what they carry is looked at."},
    [FILE_CLASS_CERTIFICATE] = {"certificate", "cer crt der p12 p7b p7c p7r pfx spc sst stl", "Certificates and keys."},
};

bool file_class_find(struct slice name, enum file_class *class_r)
{
	for (unsigned i = 0; i < FILE_CLASS_COUNT; i++) {
		if (slice_equal(name, slice_from(file_classes[i].name))) {
			*class_r = (enum file_class)i;
			return true;
		}
	}
	return false;
}

bool file_word_listed(const char *list, struct slice word)
{
	struct slice text = slice_from(list);
	const char *end = text.data + text.len, *at = text.data;
	while (word.len > 0 && (at = memmem(at, (size_t)(end - at), word.data, word.len)) != NULL) {
		bool starts = at == text.data || at[-1] == ' ';
		bool stops = at + word.len == end || at[word.len] == ' ';
		if (starts && stops) {
			return memchr(word.data, ' ', word.len) == NULL;
		}
		at++;
	}
	return false;
}

uint64_t file_class_of_extension(struct slice extension)
{
	uint64_t classes = 0;
	for (unsigned i = 0; extension.len > 0 && i < FILE_CLASS_COUNT; i++) {
		if (file_word_listed(file_classes[i].extensions, extension)) {
			classes |= FILE_CLASS_BIT(i);
		}
	}
	return classes;
}

void file_verdict_init(struct file_verdict *verdict, struct arena *arena)
{
	*verdict = (struct file_verdict){.arena = arena, .type = "application/octet-stream"};
}

bool file_verdict_has(const struct file_verdict *verdict, enum file_class class)
{
	return (verdict->classes & FILE_CLASS_BIT(class)) != 0;
}

void file_verdict_add(struct file_verdict *verdict, enum file_class class, const char *format, ...)
{
	if (file_verdict_has(verdict, class)) {
		return;
	}
	va_list args;
	va_start(args, format);
	const char *text = arena_vprintf(verdict->arena, format, args);
	va_end(args);
	verdict->classes |= FILE_CLASS_BIT(class);
	verdict->reasons[class] = text_escape(verdict->arena, slice_from(text), "", true, REASON_MAX);
}

void file_verdict_add_set(struct file_verdict *verdict, uint64_t classes, const char *reason)
{
	for (unsigned i = 0; i < FILE_CLASS_COUNT; i++) {
		if ((classes & FILE_CLASS_BIT(i)) != 0) {
			file_verdict_add(verdict, (enum file_class)i, "%s", reason);
		}
	}
}
