#include "inspect/file_format.h"

enum {
	ISO_SECTOR = 2048,
	ISO_FIRST = 16 * ISO_SECTOR,
	ISO_LAST = 20 * ISO_SECTOR,
	TAR_BLOCK = 512,
	PDF_SEARCH = 1024, /* readers look for %PDF- that far (ISO 32000-1 annex H) */
	TRAILER = 512,
	RPM_LEAD = 96,
	ARJ_HEADER_MAX = 2600,
};

#define BIT(name) FILE_CLASS_BIT(FILE_CLASS_##name)
#define MSDOS_TYPE "application/vnd.microsoft.portable-executable"

uint32_t bytes_le16(struct slice content, size_t at)
{
	const unsigned char *p = (const unsigned char *)content.data + at;
	return at <= content.len && content.len - at >= 2 ? (uint32_t)(p[0] | p[1] << 8) : 0;
}

uint32_t bytes_le32(struct slice content, size_t at)
{
	return bytes_le16(content, at) |
	       (at <= content.len && content.len - at >= 4 ? bytes_le16(content, at + 2) << 16 : 0);
}

uint64_t bytes_le64(struct slice content, size_t at)
{
	return bytes_le32(content, at) |
	       (at <= content.len && content.len - at >= 8 ? (uint64_t)bytes_le32(content, at + 4) << 32 : 0);
}

uint32_t bytes_be32(struct slice content, size_t at)
{
	return __builtin_bswap32(bytes_le32(content, at));
}

struct slice bytes_part(struct slice content, size_t at, size_t n)
{
	if (at >= content.len) {
		return (struct slice){"", 0};
	}
	return (struct slice){content.data + at, n < content.len - at ? n : content.len - at};
}

bool bytes_are(struct slice content, size_t at, const char *bytes, size_t n)
{
	return at <= content.len && content.len - at >= n && memcmp(content.data + at, bytes, n) == 0;
}

size_t bytes_find(struct slice content, struct slice pattern, size_t from)
{
	if (from >= content.len || content.len - from < pattern.len) {
		return content.len;
	}
	const char *found = memmem(content.data + from, content.len - from, pattern.data, pattern.len);
	return found == NULL ? content.len : (size_t)(found - content.data);
}

#define SIGNATURE(at, bytes) at, bytes, sizeof(bytes) - 1

static const struct {
	size_t at;
	const char *bytes;
	size_t length;
	struct file_kind kind;
} signatures[] = {
    {SIGNATURE(0, "PK\3\4"), {FILE_FORMAT_ZIP, "application/zip", "a zip archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "PK\5\6"), {FILE_FORMAT_ZIP, "application/zip", "a zip archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "PK\7\10PK\3\4"), {FILE_FORMAT_ZIP, "application/zip", "a zip archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "PK00PK\3\4"), {FILE_FORMAT_ZIP, "application/zip", "a zip archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "Rar!\x1a\x07"), {FILE_FORMAT_RAR, "application/vnd.rar", "a rar archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "RE~^"), {FILE_FORMAT_CLOSED, "application/vnd.rar", "a rar archive of 1993", BIT(ARCHIVE)}},
    {SIGNATURE(0, "7z\xbc\xaf\x27\x1c"),
     {FILE_FORMAT_LIBARCHIVE, "application/x-7z-compressed", "a 7z archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "\x1f\x8b"), {FILE_FORMAT_PACKED, "application/gzip", "a gzip file", BIT(ARCHIVE)}},
    {SIGNATURE(0, "\x1f\x9d"), {FILE_FORMAT_PACKED, "application/x-compress", "a compress (.Z) file", BIT(ARCHIVE)}},
    {SIGNATURE(4, "1AY&SY"), {FILE_FORMAT_PACKED, "application/x-bzip2", "a bzip2 file", BIT(ARCHIVE)}},
    {SIGNATURE(4, "\x17\x72\x45\x38\x50\x90"),
     {FILE_FORMAT_PACKED, "application/x-bzip2", "a bzip2 file", BIT(ARCHIVE)}},
    {SIGNATURE(0, "\xfd"
                  "7zXZ\0"),
     {FILE_FORMAT_PACKED, "application/x-xz", "an xz file", BIT(ARCHIVE)}},
    {SIGNATURE(0, "\x28\xb5\x2f\xfd"), {FILE_FORMAT_PACKED, "application/zstd", "a zstd file", BIT(ARCHIVE)}},
    {SIGNATURE(0, "LZIP\1"), {FILE_FORMAT_PACKED, "application/x-lzip", "an lzip file", BIT(ARCHIVE)}},
    {SIGNATURE(0, "\x04\x22\x4d\x18"), {FILE_FORMAT_PACKED, "application/x-lz4", "an lz4 file", BIT(ARCHIVE)}},
    {SIGNATURE(0, "\x02\x21\x4c\x18"), {FILE_FORMAT_PACKED, "application/x-lz4", "an lz4 file", BIT(ARCHIVE)}},
    {SIGNATURE(0, "MSCF\0\0\0\0"), {FILE_FORMAT_CAB, "application/vnd.ms-cab-compressed", "a cabinet", BIT(ARCHIVE)}},
    {SIGNATURE(0, "xar!\0"),
     {FILE_FORMAT_CLOSED, "application/x-xar", "a macOS package (xar)", BIT(ARCHIVE) | BIT(INSTALLER)}},
    {SIGNATURE(0, "!<arch>\ndebian"),
     {FILE_FORMAT_LIBARCHIVE, "application/vnd.debian.binary-package", "a Debian package",
      BIT(ARCHIVE) | BIT(INSTALLER)}},
    {SIGNATURE(0, "!<arch>\n"), {FILE_FORMAT_LIBARCHIVE, "application/x-archive", "an ar archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "\xed\xab\xee\xdb"),
     {FILE_FORMAT_PACKED, "application/x-rpm", "an RPM package", BIT(ARCHIVE) | BIT(INSTALLER)}},
    {SIGNATURE(0, "070701"), {FILE_FORMAT_LIBARCHIVE, "application/x-cpio", "a cpio archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "070702"), {FILE_FORMAT_LIBARCHIVE, "application/x-cpio", "a cpio archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "070727"), {FILE_FORMAT_CLOSED, "application/x-cpio", "an afio archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "070707"), {FILE_FORMAT_LIBARCHIVE, "application/x-cpio", "a cpio archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "\xc7\x71"), {FILE_FORMAT_LIBARCHIVE, "application/x-cpio", "a cpio archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "\x71\xc7"), {FILE_FORMAT_LIBARCHIVE, "application/x-cpio", "a cpio archive", BIT(ARCHIVE)}},
    {SIGNATURE(257, "ustar"), {FILE_FORMAT_LIBARCHIVE, "application/x-tar", "a tar archive", BIT(ARCHIVE)}},
    {SIGNATURE(7, "**ACE**"), {FILE_FORMAT_CLOSED, "application/x-ace-compressed", "an ACE archive", BIT(ARCHIVE)}},
    {SIGNATURE(20, "\xdc\xa7\xc4\xfd"), {FILE_FORMAT_CLOSED, "application/x-zoo", "a zoo archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "\x89LZO\0\r\n\x1a\n"), {FILE_FORMAT_CLOSED, "application/x-lzop", "an lzop file", BIT(ARCHIVE)}},
    {SIGNATURE(0, "LRZI"), {FILE_FORMAT_CLOSED, "application/x-lrzip", "an lrzip file", BIT(ARCHIVE)}},
    {SIGNATURE(0, "SIT!"), {FILE_FORMAT_CLOSED, "application/x-stuffit", "a StuffIt archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "StuffIt (c)1997"), {FILE_FORMAT_CLOSED, "application/x-stuffit", "a StuffIt archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "StuffIt!"), {FILE_FORMAT_CLOSED, "application/x-stuffitx", "a StuffIt X archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "KGB_arch"), {FILE_FORMAT_CLOSED, "application/x-kgb", "a KGB archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "zPQ"), {FILE_FORMAT_CLOSED, "application/x-zpaq", "a zpaq archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "7kSt"), {FILE_FORMAT_CLOSED, "application/x-zpaq", "a zpaq archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "ALZ\1"), {FILE_FORMAT_CLOSED, "application/x-alz-compressed", "an ALZip archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "EGGA"), {FILE_FORMAT_CLOSED, "application/x-alz-compressed", "an EGG archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "ArC\1"), {FILE_FORMAT_CLOSED, "application/x-freearc", "a FreeArc archive", BIT(ARCHIVE)}},
    {SIGNATURE(0, "SZDD\x88\xf0\x27\x33"),
     {FILE_FORMAT_CLOSED, "application/x-ms-compress-szdd", "an MS-DOS compressed file", BIT(ARCHIVE)}},
    {SIGNATURE(0, "KWAJ\x88\xf0\x27\xd1"),
     {FILE_FORMAT_CLOSED, "application/x-ms-compress-kwaj", "an MS-DOS compressed file", BIT(ARCHIVE)}},
    {SIGNATURE(0, "\x7f"
                  "ELF"),
     {FILE_FORMAT_PROGRAM, "application/x-executable", "a Unix program (ELF)", BIT(EXECUTABLE)}},
    {SIGNATURE(0, "\xfe\xed\xfa\xce"),
     {FILE_FORMAT_PROGRAM, "application/x-mach-binary", "a macOS program", BIT(EXECUTABLE)}},
    {SIGNATURE(0, "\xfe\xed\xfa\xcf"),
     {FILE_FORMAT_PROGRAM, "application/x-mach-binary", "a macOS program", BIT(EXECUTABLE)}},
    {SIGNATURE(0, "\xce\xfa\xed\xfe"),
     {FILE_FORMAT_PROGRAM, "application/x-mach-binary", "a macOS program", BIT(EXECUTABLE)}},
    {SIGNATURE(0, "\xcf\xfa\xed\xfe"),
     {FILE_FORMAT_PROGRAM, "application/x-mach-binary", "a macOS program", BIT(EXECUTABLE)}},
    {SIGNATURE(0, "\xca\xfe\xd0\x0d"),
     {FILE_FORMAT_OTHER, "application/x-java-pack200", "packed Java classes", BIT(EXECUTABLE)}},
    {SIGNATURE(0, "dex\n03"), {FILE_FORMAT_OTHER, "application/x-dex", "an Android program", BIT(EXECUTABLE)}},
    {SIGNATURE(0, "Cr24"),
     {FILE_FORMAT_PROGRAM, "application/x-chrome-extension", "a browser extension", BIT(EXECUTABLE)}},
    {SIGNATURE(0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
     {FILE_FORMAT_OLE, "application/x-ole-storage", "an OLE file", 0}},
    {SIGNATURE(0, "\x4c\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46"),
     {FILE_FORMAT_SHORTCUT, "application/x-ms-shortcut", "a Windows shortcut", BIT(SHORTCUT)}},
    {SIGNATURE(0, "ITSF\3\0\0\0"),
     {FILE_FORMAT_OTHER, "application/vnd.ms-htmlhelp", "a Windows help file", BIT(HELP)}},
    {SIGNATURE(0, "?_\3\0"), {FILE_FORMAT_OTHER, "application/winhlp", "a Windows help file", BIT(HELP)}},
    {SIGNATURE(0, "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3"),
     {FILE_FORMAT_ONENOTE, "application/onenote", "a OneNote section", BIT(ONENOTE)}},
    {SIGNATURE(0, "\xa1\x2f\xff\x43\xd9\xef\x76\x4c\x9e\xe2\x10\xea\x57\x22\x76\x5f"),
     {FILE_FORMAT_ONENOTE, "application/onenote", "a OneNote table of contents", BIT(ONENOTE)}},
    {SIGNATURE(0, "conectix"),
     {FILE_FORMAT_OTHER, "application/x-virtualbox-vhd", "a virtual disk (VHD)", BIT(DISK_IMAGE)}},
    {SIGNATURE(0, "vhdxfile"), {FILE_FORMAT_OTHER, "application/x-vhdx", "a virtual disk (VHDX)", BIT(DISK_IMAGE)}},
    {SIGNATURE(0, "KDMV"), {FILE_FORMAT_OTHER, "application/x-vmdk", "a virtual disk (VMDK)", BIT(DISK_IMAGE)}},
    {SIGNATURE(0, "# Disk DescriptorFile"),
     {FILE_FORMAT_OTHER, "application/x-vmdk", "a virtual disk (VMDK)", BIT(DISK_IMAGE)}},
    {SIGNATURE(0, "QFI\xfb"), {FILE_FORMAT_OTHER, "application/x-qemu-disk", "a virtual disk (QCOW)", BIT(DISK_IMAGE)}},
    {SIGNATURE(0x40, "\x7f\x10\xda\xbe"),
     {FILE_FORMAT_OTHER, "application/x-virtualbox-vdi", "a virtual disk (VDI)", BIT(DISK_IMAGE)}},
    {SIGNATURE(0, "MSWIM\0\0\0"),
     {FILE_FORMAT_OTHER, "application/x-ms-wim", "a Windows image (WIM)", BIT(DISK_IMAGE)}},
    {SIGNATURE(3, "NTFS    "),
     {FILE_FORMAT_OTHER, "application/x-raw-disk-image", "an NTFS file system", BIT(DISK_IMAGE)}},
    {SIGNATURE(54, "FAT1"), {FILE_FORMAT_OTHER, "application/x-raw-disk-image", "a FAT file system", BIT(DISK_IMAGE)}},
    {SIGNATURE(82, "FAT32   "),
     {FILE_FORMAT_OTHER, "application/x-raw-disk-image", "a FAT file system", BIT(DISK_IMAGE)}},
    {SIGNATURE(1024, "H+\0\4"),
     {FILE_FORMAT_OTHER, "application/x-apple-diskimage", "a macOS file system", BIT(DISK_IMAGE)}},
    {SIGNATURE(0, "Standard Jet DB\0"),
     {FILE_FORMAT_OTHER, "application/x-msaccess", "an Access database", BIT(DATABASE)}},
    {SIGNATURE(4, "Standard Jet DB\0"),
     {FILE_FORMAT_OTHER, "application/x-msaccess", "an Access database", BIT(DATABASE)}},
    {SIGNATURE(4, "Standard ACE DB\0"),
     {FILE_FORMAT_OTHER, "application/x-msaccess", "an Access database", BIT(DATABASE)}},
    {SIGNATURE(0, "\x78\x9f\x3e\x22"), {FILE_FORMAT_OTHER, "application/vnd.ms-tnef", "a TNEF message", BIT(MESSAGE)}},
};

static bool is_text_byte(unsigned char c)
{
	return c >= 0x20 || c == '\t' || c == '\r' || c == '\n' || c == '\f';
}

/* A text may begin with "MZ": the header of a program has other bytes. */
static bool detect_dos(struct slice content, struct file_kind *kind_r)
{
	uint32_t new_header = bytes_le32(content, 0x3c);
	bool binary = false;
	if (content.len < 0x1c || (!bytes_are(content, 0, "MZ", 2) && !bytes_are(content, 0, "ZM", 2))) {
		return false;
	}
	for (size_t i = 2; i < 0x1c; i++) {
		binary = binary || !is_text_byte((unsigned char)content.data[i]);
	}
	bool windows = bytes_are(content, new_header, "PE\0\0", 4) || bytes_are(content, new_header, "NE", 2);
	*kind_r = (struct file_kind){FILE_FORMAT_PROGRAM, MSDOS_TYPE, windows ? "a Windows program" : "a DOS program",
	                             BIT(EXECUTABLE)};
	return binary;
}

/* A Java class and a macOS program for several processors share the signature: a class has a version of 45 or more
 * where the other counts its processors. */
static bool detect_cafebabe(struct slice content, struct file_kind *kind_r)
{
	if (!bytes_are(content, 0, "\xca\xfe\xba\xbe", 4) || content.len < 8) {
		return false;
	}
	*kind_r =
	    bytes_be32(content, 4) < 30
	        ? (struct file_kind){FILE_FORMAT_PROGRAM, "application/x-mach-binary", "a macOS program", BIT(EXECUTABLE)}
	        : (struct file_kind){FILE_FORMAT_OTHER, "application/java-vm", "a Java class", BIT(EXECUTABLE)};
	return true;
}

static bool detect_iso(struct slice content, struct file_kind *kind_r)
{
	for (size_t at = ISO_FIRST + 1; at <= ISO_LAST + 1; at += ISO_SECTOR) {
		if (bytes_are(content, at, "CD001", 5)) {
			*kind_r = (struct file_kind){FILE_FORMAT_LIBARCHIVE, "application/x-iso9660-image", "a CD image (ISO 9660)",
			                             BIT(DISK_IMAGE) | BIT(ARCHIVE)};
			return true;
		}
		if (bytes_are(content, at, "NSR0", 4) || bytes_are(content, at, "BEA01", 5)) {
			*kind_r = (struct file_kind){FILE_FORMAT_CLOSED, "application/x-udf-image", "a DVD image (UDF)",
			                             BIT(DISK_IMAGE) | BIT(ARCHIVE)};
		}
	}
	return kind_r->classes != 0;
}

static bool detect_trailer(struct slice content, struct file_kind *kind_r)
{
	if (content.len < TRAILER) {
		return false;
	}
	if (bytes_are(content, content.len - TRAILER, "koly", 4)) {
		*kind_r = (struct file_kind){FILE_FORMAT_OTHER, "application/x-apple-diskimage", "a macOS disk image",
		                             BIT(DISK_IMAGE)};
		return true;
	}
	if (bytes_are(content, content.len - TRAILER, "conectix", 8)) {
		*kind_r = (struct file_kind){FILE_FORMAT_OTHER, "application/x-virtualbox-vhd", "a virtual disk (VHD)",
		                             BIT(DISK_IMAGE)};
		return true;
	}
	return false;
}

/* The sum over a header block of a tar archive, its own field taken as blanks: archives of 1979 have no "ustar". */
static bool detect_tar(struct slice content, struct file_kind *kind_r)
{
	unsigned long sum = 0, said = 0;
	bool digits = false;
	if (content.len < TAR_BLOCK || content.data[0] == '\0') {
		return false;
	}
	for (size_t i = 0; i < TAR_BLOCK; i++) {
		sum += i >= 148 && i < 156 ? ' ' : (unsigned char)content.data[i];
	}
	for (size_t i = 148; i < 156; i++) {
		char c = content.data[i];
		if (c >= '0' && c <= '7') {
			said = said * 8 + (unsigned long)(c - '0');
			digits = true;
		} else if (digits) {
			break;
		}
	}
	*kind_r = (struct file_kind){FILE_FORMAT_LIBARCHIVE, "application/x-tar", "a tar archive", BIT(ARCHIVE)};
	return digits && said == sum;
}

static bool detect_lha(struct slice content, struct file_kind *kind_r)
{
	bool method = bytes_are(content, 2, "-lh", 3) || bytes_are(content, 2, "-lz", 3) || bytes_are(content, 2, "-pm", 3);
	*kind_r = (struct file_kind){FILE_FORMAT_LIBARCHIVE, "application/x-lha", "an lha archive", BIT(ARCHIVE)};
	return method && bytes_are(content, 6, "-", 1);
}

static bool detect_arj(struct slice content, struct file_kind *kind_r)
{
	uint32_t size = bytes_le16(content, 2);
	*kind_r = (struct file_kind){FILE_FORMAT_CLOSED, "application/x-arj", "an ARJ archive", BIT(ARCHIVE)};
	return bytes_are(content, 0, "\x60\xea", 2) && size >= 30 && size <= ARJ_HEADER_MAX;
}

/* LZMA without a container: properties 0x5d, a power of two as the dictionary, a size that is known or -1. */
static bool detect_lzma(struct slice content, struct file_kind *kind_r)
{
	uint32_t dictionary = bytes_le32(content, 1);
	uint64_t size = bytes_le64(content, 5);
	*kind_r = (struct file_kind){FILE_FORMAT_PACKED, "application/x-lzma", "an LZMA file", BIT(ARCHIVE)};
	return content.len > 13 && content.data[0] == 0x5d && dictionary >= 4096 && (dictionary & (dictionary - 1)) == 0 &&
	       (size == UINT64_MAX || size < UINT64_C(1) << 40);
}

/* Frames of zstd that hold nothing stand before the first that does; versions before 0.8 nobody here reads. */
static bool detect_zstd(struct slice content, struct file_kind *kind_r)
{
	unsigned char first = content.len > 4 ? (unsigned char)content.data[0] : 0;
	bool skippable = first >= 0x50 && first <= 0x5f && bytes_are(content, 1, "\x2a\x4d\x18", 3);
	bool old = first >= 0x22 && first <= 0x27 && bytes_are(content, 1, "\xb5\x2f\xfd", 3);
	*kind_r = (struct file_kind){skippable ? FILE_FORMAT_PACKED : FILE_FORMAT_CLOSED, "application/zstd", "a zstd file",
	                             BIT(ARCHIVE)};
	return skippable || old;
}

static bool detect_pdf(struct slice content, struct file_kind *kind_r)
{
	struct slice head = bytes_part(content, 0, PDF_SEARCH);
	*kind_r = (struct file_kind){FILE_FORMAT_PDF, "application/pdf", "a PDF document", 0};
	return bytes_find(head, SLICE_LITERAL("%PDF-"), 0) < head.len;
}

/* Word takes "{\rt" for RTF, and blanks before it. */
static bool detect_rtf(struct slice content, struct file_kind *kind_r)
{
	struct slice text = slice_trim(bytes_part(content, 0, 256));
	*kind_r = (struct file_kind){FILE_FORMAT_RTF, "application/rtf", "an RTF document", 0};
	return slice_starts_nocase(text, SLICE_LITERAL("{\\rt"));
}

typedef bool detector(struct slice content, struct file_kind *kind_r);

static detector *const detectors[] = {detect_dos, detect_cafebabe, detect_rtf, detect_lha,  detect_arj,    detect_zstd,
                                      detect_pdf, detect_iso,      detect_tar, detect_lzma, detect_trailer};

struct file_kind file_format_detect(struct slice content)
{
	for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
		if (bytes_are(content, signatures[i].at, signatures[i].bytes, signatures[i].length)) {
			return signatures[i].kind;
		}
	}
	for (size_t i = 0; i < sizeof detectors / sizeof *detectors; i++) {
		struct file_kind kind = {.classes = 0};
		if (detectors[i](content, &kind)) {
			return kind;
		}
	}
	return (struct file_kind){FILE_FORMAT_OTHER, NULL, "", 0};
}
