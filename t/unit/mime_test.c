/* Each way to write a message so that it can be read in more than one way: what is visited, and which reasons are told.
 */
#include "inspect/mime_charset.h"
#include "inspect/mime_decode.h"
#include "inspect/mime_name.h"
#include "lib/base/clock.h"
#include "t/mime_collect.h"
#include "t/tap.h"

#define EVIL "RVZJTC1QQVlMT0FE\r\n" /* base64 of: */
#define PAYLOAD "EVIL-PAYLOAD"
#define FILE_PART                                                                                                      \
	"Content-Type: application/octet-stream; name=evil.exe\r\nContent-Transfer-Encoding: base64\r\n\r\n" EVIL
#define TEXT_PART "Content-Type: text/plain\r\n\r\nharmless\r\n"
#define TOP "From: a@a.example\r\nMIME-Version: 1.0\r\n"
#define X(part) "--X\r\n" part
#define Y(part) "--Y\r\n" part

struct reading {
	const char *title;
	struct slice message;
	const char *reasons; /* all of them */
	const char *name;    /* one that must be there; NULL: any */
	size_t visits;       /* 0: any number */
};

#define ROW(title, text, reasons, name, visits)                                                                        \
	{                                                                                                                  \
		title, {text, sizeof(text) - 1}, reasons, name, visits                                                         \
	}

/* In every one of them PAYLOAD must be visited as a content of its own. */
static const struct reading readings[] = {
    /* what is in order */
    ROW("a single part", TOP FILE_PART, "", "evil.exe", 1),
    ROW("a multipart",
        TOP "Content-Type: multipart/mixed; boundary=X\r\n\r\npreamble\r\n" X(TEXT_PART) X(FILE_PART) "--X--\r\n", "",
        "evil.exe", 2),
    ROW("bare LF",
        "From: a@a.example\nContent-Type: multipart/mixed; boundary=X\n\n--X\nContent-Transfer-Encoding: base64\n\n"
        "RVZJTC1QQVlMT0FE\n--X--\n",
        "", NULL, 1),
    ROW("CR CR LF",
        "From: a@a.example\r\r\nContent-Type: multipart/mixed; boundary=X\r\r\n\r\r\n--X\r\r\n"
        "Content-Transfer-Encoding: base64\r\r\n\r\r\nRVZJTC1QQVlMT0FE\r\r\n--X--\r\r\n",
        "", NULL, 1),
    ROW("nested multiparts",
        TOP "Content-Type: multipart/mixed; boundary=X\r\n\r\n--X\r\n"
            "Content-Type: multipart/related; boundary=Y\r\n\r\n" Y(TEXT_PART) Y(FILE_PART) "--Y--\r\n--X--\r\n",
        "", "evil.exe", 2),
    ROW("an attached message",
        TOP "Content-Type: multipart/mixed; boundary=X\r\n\r\n--X\r\nContent-Type: message/rfc822\r\n\r\n"
            "Subject: inner\r\n" FILE_PART "--X--\r\n",
        "", "evil.exe", 2),
    ROW("multipart/digest",
        TOP "Content-Type: multipart/digest; boundary=X\r\n\r\n--X\r\n\r\nSubject: inner\r\n" FILE_PART "--X--\r\n", "",
        "evil.exe", 2),
    ROW("a message declared as a file, by its name",
        TOP "Content-Type: application/octet-stream; name=a.eml\r\n\r\n"
            "X-First: no field that is known\r\n" FILE_PART,
        "", "evil.exe", 2),
    ROW("a message declared as a file, by its content",
        TOP "Content-Type: application/octet-stream\r\n\r\nReceived: x\r\n" FILE_PART, "", "evil.exe", 2),
    ROW("a bounce in plain text",
        TOP "\r\nCould not deliver:\r\n\r\nFrom: a@a.example\r\nContent-Type: multipart/mixed; boundary=X\r\n\r\n" X(
            TEXT_PART) X(FILE_PART) "--X--\r\n",
        "", "evil.exe", 0),
    ROW("two files in uuencode",
        TOP "\r\ntext\r\nbegin 644 first.txt\r\n#8V%T\r\n`\r\nend\r\nbegin 755 sub/evil.exe\r\n"
            ",159)3\"U005E,3T%$\r\n`\r\nend\r\n",
        "", "evil.exe", 3),
    ROW("uuencode -m", TOP "\r\nbegin-base64 644 evil.exe\r\n" EVIL "====\r\n", "", "evil.exe", 2),
    ROW("yEnc",
        TOP "\r\n=ybegin line=128 size=12 name=evil file.exe\r\n\x6f\x80\x73\x76\x57\x7a\x6b\x83\x76\x79\x6b\x6e\r\n"
            "=yend size=12\r\n",
        "", "evil file.exe", 2),
    ROW("uuencode as transfer encoding",
        TOP "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\n"
            "begin 644 evil.exe\r\n,159)3\"U005E,3T%$\r\n`\r\nend\r\n",
        "", "evil.exe", 0),
    ROW("quoted-printable", TOP "Content-Transfer-Encoding: quoted-printable\r\n\r\nEV=49L=\r\n-PAY= \r\nLOAD=", "",
        NULL, 1),
    /* fields twice */
    ROW("two types, the first parts",
        TOP "Content-Type: multipart/mixed; boundary=X\r\nContent-Type: text/plain\r\n\r\n" X(FILE_PART) "--X--\r\n",
        "content-type", "evil.exe", 0),
    ROW("two types, the last parts",
        TOP "Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=X\r\n\r\n" X(FILE_PART) "--X--\r\n",
        "content-type", "evil.exe", 0),
    ROW("two types with a boundary each",
        TOP "Content-Type: multipart/mixed; boundary=X\r\nContent-Type: multipart/mixed; boundary=Y\r\n"
            "\r\n" X(TEXT_PART) "--X--\r\n" Y(FILE_PART) "--Y--\r\n",
        "content-type boundary boundary-guessed", "evil.exe", 2),
    ROW("two types that agree", TOP "Content-Type: application/octet-stream; name=a.txt\r\n" FILE_PART, "doubled",
        "evil.exe", 1),
    ROW("two encodings", TOP "Content-Transfer-Encoding: 7bit\r\n" FILE_PART, "transfer-encoding", "evil.exe", 2),
    ROW("two encodings, the last one plain",
        TOP "Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" EVIL, "transfer-encoding",
        NULL, 2),
    ROW("two dispositions",
        TOP "Content-Disposition: attachment; filename=a.txt\r\nContent-Disposition: attachment; "
            "filename=b.exe\r\n" FILE_PART,
        "", "b.exe", 1),
    /* boundaries */
    ROW("two boundaries in one field",
        TOP "Content-Type: multipart/mixed; boundary=X; boundary=Y\r\n\r\n" X(TEXT_PART) "--X--\r\n" Y(
            FILE_PART) "--Y--\r\n",
        "boundary boundary-guessed", "evil.exe", 2),
    ROW("a boundary in quotes with blanks behind",
        TOP "Content-Type: multipart/mixed; boundary=\"X  \"\r\n\r\n--X  \r\n" FILE_PART "--X  --\r\n",
        "boundary boundary-prefix base64", "evil.exe", 0),
    ROW("a boundary in pieces",
        TOP "Content-Type: multipart/mixed; boundary*0=X1; boundary*1=Y2\r\n\r\n--X1Y2\r\n" FILE_PART "--X1Y2--\r\n",
        "", "evil.exe", 1),
    ROW("a boundary with a charset",
        TOP "Content-Type: multipart/mixed; boundary*=us-ascii''X%31\r\n\r\n--X1\r\n" FILE_PART "--X1--\r\n", "",
        "evil.exe", 1),
    ROW("a boundary with a comment",
        TOP "Content-Type: multipart/mixed; boundary=X(comment)\r\n\r\n" X(FILE_PART) "--X--\r\n", "", "evil.exe", 1),
    ROW("a boundary in Content-Disposition",
        TOP "Content-Type: multipart/mixed\r\nContent-Disposition: inline; boundary=X\r\n\r\n" X(FILE_PART) "--X--\r\n",
        "", "evil.exe", 1),
    ROW("a boundary without a semicolon",
        TOP "Content-Type: multipart/mixed boundary=X\r\n\r\n" X(FILE_PART) "--X--\r\n", "", "evil.exe", 1),
    ROW("a boundary whose quote is not closed",
        TOP "Content-Type: multipart/mixed; boundary=\"X; a=b\r\n\r\n" X(FILE_PART) "--X--\r\n", "", "evil.exe", 1),
    ROW("a line that goes on behind the boundary",
        TOP "Content-Type: multipart/mixed; boundary=X\r\n\r\n" X(TEXT_PART) "--X garbage\r\n" FILE_PART "--X--\r\n",
        "boundary-prefix", "evil.exe", 0),
    ROW("no boundary declared", TOP "Content-Type: multipart/mixed\r\n\r\n" X(FILE_PART) "--X--\r\n",
        "boundary-guessed no-boundary", "evil.exe", 0),
    ROW("another boundary than declared",
        TOP "Content-Type: multipart/mixed; boundary=Y\r\n\r\n" X(FILE_PART) "--X--\r\n",
        "boundary-guessed no-boundary", "evil.exe", 0),
    ROW("no closing boundary", TOP "Content-Type: multipart/mixed; boundary=X\r\n\r\n" X(TEXT_PART) X(FILE_PART),
        "unclosed", "evil.exe", 2),
    ROW("parts behind the closing boundary",
        TOP "Content-Type: multipart/mixed; boundary=X\r\n\r\n" X(TEXT_PART) "--X--\r\n" X(FILE_PART) "--X--\r\n",
        "boundary-guessed after-closing", "evil.exe", 0),
    ROW("parts of another boundary in the preamble",
        TOP "Content-Type: multipart/mixed; boundary=X\r\n\r\n" Y(FILE_PART) "--Y--\r\n" X(TEXT_PART) "--X--\r\n",
        "boundary-guessed", "evil.exe", 2),
    ROW("uuencode in the epilogue",
        TOP "Content-Type: multipart/mixed; boundary=X\r\n\r\n" X(
            TEXT_PART) "--X--\r\n"
                       "begin 644 evil.exe\r\n,159)3\"U005E,3T%$\r\n`\r\nend\r\n",
        "", "evil.exe", 2),
    ROW("an inner boundary that crosses the outer one",
        TOP "Content-Type: multipart/mixed; boundary=X\r\n\r\n--X\r\n"
            "Content-Type: multipart/mixed; boundary=Y\r\n\r\n" Y(
                "Content-Transfer-Encoding: base64\r\n\r\nRVZJ\r\n--X\r\n") "TC1QQVlMT0FE\r\n"
                                                                            "--Y--\r\n--X--\r\n",
        "boundary-crossing base64 unclosed", NULL, 0),
    ROW("text/plain with a boundary", TOP "Content-Type: text/plain; boundary=X\r\n\r\n" X(FILE_PART) "--X--\r\n",
        "boundary-type", "evil.exe", 0),
    ROW("a boundary of the inner and the outer alike",
        TOP "Content-Type: multipart/mixed; boundary=X\r\n\r\n--X\r\n"
            "Content-Type: multipart/mixed; boundary=X\r\n\r\n" X(FILE_PART) "--X--\r\n--X--\r\n",
        "boundary-crossing after-closing unclosed", "evil.exe", 0),
    ROW("a boundary as an encoded word",
        TOP "Content-Type: multipart/mixed; boundary=\"=?utf-8?Q?X?=\"\r\n\r\n" X(FILE_PART) "--X--\r\n", "",
        "evil.exe", 1),
    ROW("an inner multipart that is never closed, and a part of the outer one in its middle",
        TOP
        "Content-Type: multipart/mixed; boundary=X\r\n\r\n--X\r\nContent-Type: multipart/mixed; boundary=Y\r\n\r\n" Y(
            "Content-Type: text/plain\r\n\r\na\r\n--X\r\n\r\n") Y(FILE_PART),
        "boundary-crossing unclosed", "evil.exe", 0),
    /* headers */
    ROW("a comment in the name of the field",
        TOP "Content-Type(x): multipart/mixed; boundary=X\r\n\r\n" X(FILE_PART) "--X--\r\n", "field-name", "evil.exe",
        0),
    ROW("a blank behind the name of the field",
        TOP "Content-Type : multipart/mixed; boundary=X\r\n\r\n" X(FILE_PART) "--X--\r\n", "field-name", "evil.exe", 0),
    ROW("a NUL in the name of the field",
        TOP "Content-\0Type: multipart/mixed; boundary=X\r\n\r\n" X(FILE_PART) "--X--\r\n", "field-name nul",
        "evil.exe", 0),
    ROW("a line without a colon",
        TOP "no field\r\nContent-Type: multipart/mixed; boundary=X\r\n\r\n" X(FILE_PART) "--X--\r\n",
        "header-line header-defect", "evil.exe", 0),
    ROW("a line of blanks", TOP " \r\nContent-Type: multipart/mixed; boundary=X\r\n\r\n" X(FILE_PART) "--X--\r\n",
        "header-line header-defect", "evil.exe", 0),
    ROW("no empty line before the first part",
        TOP "Content-Type: multipart/mixed; boundary=X\r\n" X(FILE_PART) "--X--\r\n", "", "evil.exe", 1),
    ROW("no empty line in the part",
        TOP "Content-Type: multipart/mixed; boundary=X\r\n\r\n--X\r\nContent-Transfer-Encoding: base64\r\n" EVIL
            "--X--\r\n",
        "header-defect", NULL, 0),
    ROW("a bare CR in the header",
        TOP "Subject: x\rContent-Type: multipart/mixed; boundary=X\r\n\r\n" X(FILE_PART) "--X--\r\n", "bare-cr",
        "evil.exe", 0),
    ROW("a bare CR before the boundary",
        TOP "Content-Type: multipart/mixed; boundary=X\r\n\r\n" X("\r\ntext\r") X(FILE_PART) "--X--\r\n", "bare-cr",
        "evil.exe", 0),
    ROW("a folded type", TOP "Content-Type:\r\n multipart/mixed;\r\n\tboundary=\r\n X\r\n\r\n" X(FILE_PART) "--X--\r\n",
        "", "evil.exe", 1),
    ROW("a comment before the type",
        TOP "Content-Type: (a (b)) multipart/mixed; boundary=X\r\n\r\n" X(FILE_PART) "--X--\r\n", "", "evil.exe", 1),
    ROW("capitals", TOP "CONTENT-TYPE: MULTIPART/MIXED; BOUNDARY=X\r\n\r\n" X(FILE_PART) "--X--\r\n", "", "evil.exe",
        1),
    ROW("a blank before the first field",
        TOP "Content-Type: multipart/mixed; boundary=X\r\n\r\n--X\r\n " FILE_PART "--X--\r\n", "field-name", "evil.exe",
        0),
    ROW("an mbox line in front", "From a@a.example Mon Jan  1 00:00:00 2001\r\n" TOP FILE_PART, "", "evil.exe", 1),
    /* encodings */
    ROW("base-64", TOP "Content-Transfer-Encoding: base-64\r\n\r\n" EVIL, "unknown-encoding", NULL, 2),
    ROW("Base64 ;", TOP "Content-Transfer-Encoding: (x) Base64 ;\r\n\r\n" EVIL, "", NULL, 1),
    ROW("an encoding in quotes", TOP "Content-Transfer-Encoding: \"base64\"\r\n\r\n" EVIL, "", NULL, 1),
    ROW("a folded encoding", TOP "Content-Transfer-Encoding:\r\n base64\r\n\r\n" EVIL, "", NULL, 1),
    ROW("7bit, base64", TOP "Content-Transfer-Encoding: 7bit, base64\r\n\r\n" EVIL, "unknown-encoding", NULL, 2),
    ROW("garbage in base64", TOP "Content-Transfer-Encoding: base64\r\n\r\nRVZJ!TC1Q*QVlM\r\n#T0FE\r\n", "base64", NULL,
        0),
    ROW("padding in the middle of base64",
        TOP "Content-Transfer-Encoding: base64\r\n\r\nRVZJTC1QQVlMT0FE===="
            "QUJD\r\n",
        "base64", NULL, 0),
    ROW("base64 in two streams", TOP "Content-Transfer-Encoding: base64\r\n\r\nRVZJTA==\r\nLVBBWUxPQUQ=\r\n",
        "base64-tail", NULL, 0),
    ROW("a footer behind base64", TOP "Content-Transfer-Encoding: base64\r\n\r\n" EVIL "_______\r\nA list.\r\n",
        "base64", NULL, 0),
    ROW("base64 of a multipart",
        TOP "Content-Type: multipart/mixed; boundary=X\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            "LS1YCkNvbnRlbnQtVHJhbnNmZXItRW5jb2Rpbmc6IGJhc2U2NAoKUlZaSlRDMVFRVmxNVDBGRQotLVgtLQo=\r\n",
        "transfer-encoding", NULL, 0),
    ROW("quoted-printable of a message",
        TOP "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
            "Subject: x\r\nContent-Transfer-Encoding: base64=0A=0ARVZJTC1QQVlMT0FE\r\n",
        "nested-encoding", NULL, 0),
    ROW("S/MIME, signed",
        TOP "Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\n"
            "Content-Transfer-Encoding: base64\r\n\r\n"
            "MF4GCSqGSIb3DQEHAqBRME8CAQExADBGBgkqhkiG9w0BBwGgOQQ3Q29udGVudC1UcmFuc2Zlci1F\r\n"
            "bmNvZGluZzogYmFzZTY0DQoNClJWWkpUQzFRUVZsTVQwRkUNCjEA\r\n",
        "", "smime.p7m", 2),
    /* what cannot be looked into */
    ROW("message/partial", TOP "Content-Type: message/partial; id=a; number=1; total=2\r\n\r\nSubject: x\r\n" FILE_PART,
        "partial", "evil.exe", 2),
    ROW("message/external-body",
        TOP "Content-Type: message/external-body; access-type=URL; URL=\"http://a.example/\"\r\n\r\n" FILE_PART,
        "external-body", "evil.exe", 2),
    ROW("S/MIME that is none",
        TOP "Content-Type: multipart/mixed; boundary=X\r\n\r\n--X\r\nContent-Type: application/pkcs7-mime\r\n\r\n"
            "none\r\n" X(FILE_PART) "--X--\r\n",
        "smime", "evil.exe", 2),
};

static void test_readings(void)
{
	for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
		const struct reading *row = &readings[i];
		struct collection all;
		collection_open(&all, row->message, NULL, true);
		bool good = collection_has_content(&all, SLICE_LITERAL(PAYLOAD)) &&
		            (row->name == NULL || collection_has_name(&all, row->name)) &&
		            (row->visits == 0 || row->visits == all.count) && all.budget.exhausted == NULL;
		if (!ok(good, "%s: visited", row->title)) {
			for (size_t k = 0; k < all.count; k++) {
				diag("%u [%s] <%s> %.*s", all.items[k].depth, all.items[k].type,
				     all.items[k].names[0] == NULL ? "" : all.items[k].names[0], SLICE_ARGS(all.items[k].content));
			}
		}
		is_text(collection_reasons(&all), row->reasons, arena_printf(all.arena, "%s: reasons", row->title));
		collection_close(&all);
	}
}

/* Each must be told as encrypted. */
static const struct {
	const char *title;
	const char *message;
} encrypted[] = {
    {"S/MIME",
     TOP "Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\nContent-Transfer-Encoding: base64\r\n\r\n"
         "MFIGCSqGSIb3DQEHA6BFMEMCAQAxADA8BgkqhkiG9w0BBwEwHQYJYIZIAWUDBAECBBAAAAAAAAAA\r\n"
         "AAAAAAAAAAAAgBB4eHh4eHh4eHh4eHh4eHh4\r\n"},
    {"PGP/MIME", TOP "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=X\r\n\r\n"
                     "--X\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"
                     "--X\r\nContent-Type: application/octet-stream\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n--X--\r\n"},
    {"PGP in text", TOP "\r\nHello,\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nabc=\r\n-----END PGP MESSAGE-----\r\n"},
};

static void test_encrypted(void)
{
	for (size_t i = 0; i < sizeof encrypted / sizeof *encrypted; i++) {
		struct collection all;
		collection_open(&all, slice_from(encrypted[i].message), NULL, true);
		ok(all.count > 0 && all.items[all.count - 1].encrypted, "%s is encrypted", encrypted[i].title);
		is_text(collection_reasons(&all), "", "and not ambiguous");
		collection_close(&all);
	}
	struct collection all;
	collection_open(&all, SLICE_LITERAL(TOP "\r\nWrite\r\n > -----BEGIN PGP MESSAGE-----\r\n"), NULL, true);
	ok(all.count == 1 && !all.items[0].encrypted, "a quoted line is not encrypted");
	collection_close(&all);
}

/* Where a part stands, and what is made of one content twice. */
static void test_tree(void)
{
	struct collection all;
	collection_open(
	    &all,
	    SLICE_LITERAL(TOP "Content-Type: multipart/mixed; boundary=X\r\n\r\n--X\r\nContent-Type: message/rfc822\r\n\r\n"
	                      "Content-Type: multipart/related; boundary=Y\r\n\r\n" Y(TEXT_PART) Y(TEXT_PART)
	                          Y(FILE_PART) "--Y--\r\n--X--\r\n"),
	    NULL, true);
	if (is_int((long long)all.count, 3, "the message, its text once, its file")) {
		is_text(all.items[0].type, "message/rfc822", "an attached message is a file");
		is_int(all.items[0].depth, 1, "below the multipart");
		is_text(all.items[0].parent, "multipart/mixed", "that is its parent");
		is_int(all.items[1].depth, 3, "its parts are below it and its own multipart");
		is_text(all.items[1].parent, "multipart/related", "that is theirs");
	}
	collection_close(&all);
	collection_open(&all, SLICE_LITERAL(TOP "Content-Type: Application/PDF\r\n\r\n%PDF"), NULL, true);
	is_text(all.items[0].type, "application/pdf", "the declared type, in small letters");
	is_int(all.items[0].depth, 0, "a message without parts is at depth 0");
	ok(all.items[0].parent == NULL, "and has no parent");
	collection_close(&all);
}

static struct slice repeated(struct arena *arena, const char *before, const char *piece, size_t count)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	strbuf_add_text(&out, before);
	for (size_t i = 0; i < count; i++) {
		strbuf_add_text(&out, piece);
	}
	return (struct slice){out.data, out.len};
}

static struct slice nested(struct arena *arena, size_t levels)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	for (size_t i = 0; i < levels; i++) {
		strbuf_printf(&out, "Content-Type: multipart/mixed; boundary=b%zu.\r\n\r\n--b%zu.\r\n", i, i);
	}
	return (struct slice){out.data, out.len};
}

/* Built to cost much: each must end soon, and say why where something was left out. */
static void test_torture(void)
{
	static const char mixed[] = "Content-Type: multipart/mixed; boundary=X\r\n\r\n";
	enum { MB = 1 << 20 };
	struct arena *arena = arena_create(65536);
	const struct {
		const char *title;
		struct slice message;
		const char *exhausted;
	} rows[] = {
	    {"100,000 parts", repeated(arena, mixed, "--X\r\n\r\na\r\n", 100000), "too many parts"},
	    {"10,000 levels", nested(arena, 10000), "nested too deep"},
	    {"10,000 attached messages", repeated(arena, "", "Content-Type: message/rfc822\r\n\r\n", 10000),
	     "nested too deep"},
	    {"99 levels", nested(arena, 99), NULL},
	    {"100,000 fields", repeated(arena, "", "X-Field: value\r\n", 100000), NULL},
	    {"100,000 Content-Type fields", repeated(arena, "", "Content-Type: text/plain; name=a\r\n", 100000), NULL},
	    {"a field of 16 MB", repeated(arena, "Content-Type: multipart/mixed; boundary=", "a;b=\"c\\\"", 2 * MB), NULL},
	    {"a name of 1 MB", repeated(arena, "Content-Disposition: attachment; filename=", "=?utf-8?q?a?= ", MB / 16),
	     NULL},
	    {"20,000 pieces of a name", repeated(arena, "Content-Type: text/plain;", "name*1=a;name*2*=%41;", 10000), NULL},
	    {"open comments", repeated(arena, "Content-Type: ", "((((((((", 8192), NULL},
	    {"16 MB of \"--\"", repeated(arena, mixed, "----------------\r\n", MB), NULL},
	    {"16 MB of boundary prefixes", repeated(arena, mixed, "--XX\r\n", 16 * MB / 6), "too many parts"},
	    {"16 MB in one line", repeated(arena, mixed, "aaaaaaaaaaaaaaaa", MB), NULL},
	    {"16 MB of bare CR", repeated(arena, mixed, "\r--X\r", 16 * MB / 5), "too many parts"},
	    {"16 MB of garbage in base64",
	     repeated(arena, "Content-Transfer-Encoding: base64\r\n\r\n", "=!A=\r\n", 16 * MB / 6), NULL},
	    {"lines that begin files", repeated(arena, "\r\n", "begin 644 a\r\n", 100000), NULL},
	    {"lines that begin entities", repeated(arena, "\r\n", "Content-Type: text/plain\r\n\r\n", 100000), NULL},
	    {"lines that begin parts", repeated(arena, "\r\n", "--a\r\nContent-Type: text/plain\r\n\r\n", 50000),
	     "too many parts"},
	    {"unclosed multiparts that cross",
	     repeated(arena, mixed, "--X\r\nContent-Type: multipart/mixed; boundary=Y\r\n\r\n--Y\r\n\r\na\r\n", 20000),
	     "too many parts"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct part_budget budget = {.bytes = 256 * MB, .parts = 20000, .depth_max = 100};
		struct collection all;
		collection_open(&all, rows[i].message, &budget, false);
		double s = (double)all.ns / (double)CLOCK_NS_PER_S;
		ok(s < 10, "%s: %.0f MB in %.2f s, %zu visits: %s", rows[i].title, (double)rows[i].message.len / MB, s,
		   all.count, collection_reasons(&all));
		is_text(all.budget.exhausted, rows[i].exhausted, "told what ran out");
		collection_close(&all);
	}
	arena_destroy(arena);
}

static void test_budget(void)
{
	struct part_budget budget = {.bytes = 8, .parts = 100, .depth_max = 100};
	struct collection all;
	collection_open(&all, SLICE_LITERAL(TOP FILE_PART), &budget, true);
	is_text(all.budget.exhausted, "too much to unpack", "more bytes than may be decoded");
	collection_close(&all);
	struct arena *arena = arena_create(4096);
	budget = (struct part_budget){.bytes = 1000, .parts = 100, .depth_max = 3};
	collection_open(&all, nested(arena, 3), &budget, true);
	is_text(all.budget.exhausted, NULL, "as deep as allowed");
	collection_close(&all);
	budget = (struct part_budget){.bytes = 1000, .parts = 100, .depth_max = 3};
	collection_open(&all, nested(arena, 4), &budget, true);
	is_text(all.budget.exhausted, "nested too deep", "one deeper");
	collection_close(&all);
	arena_destroy(arena);
	budget = (struct part_budget){.bytes = 1000, .parts = 100, .depth_max = 100, .deadline = 1};
	collection_open(&all, SLICE_LITERAL(TOP FILE_PART), &budget, true);
	is_text(all.budget.exhausted, "out of time", "the deadline has passed");
	collection_close(&all);
}

/* Two attachments, one of them a message with one of its own, and a body in RTF and HTML. */
static void test_tnef(void)
{
	static const char *const contents[] = {"PAYLOAD", "INNER", "{\\rtf1 hello}", "<p>x"};
	static const char *const names[] = {"winmail.dat", "SHORT~1.EXE", "long n\u00e4me.exe", "Attached", "inner.exe"};
	struct collection all;
	collection_open(
	    &all,
	    SLICE_LITERAL(TOP
	                  "Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	                  "eJ8+IgEAAQOQBgBIAAAAAwAAAAIBCRABAAAAHQAAABkAAAANAAAATUVMQQAAAAB7XHJ0ZjEgaGVs\r\n"
	                  "bG99AAAAAgETEAEAAAAEAAAAPHA+eAMABw4BAAAALQgCApAGAA4AAAABAAEAAQABAAEAAQABAAcA\r\n"
	                  "AhCAAQAMAAAAU0hPUlR+MS5FWEUATwMCD4AGAAcAAABQQVlMT0FECgICBZAGAHQAAAADAAAAHwAH\r\n"
	                  "NwEAAAAcAAAAbABvAG4AZwAgAG4A5ABtAGUALgBlAHgAZQAAAB4ADjcBAAAAEAAAAGFwcGxpY2F0\r\n"
	                  "aW9uL3gteAAfAAGAZ2dnZ2dnZ2dnZ2dnZ2dnZwEAAAAEAAAAYQBiAAEAAAAEAAAAYwBkANkUAgKQ\r\n"
	                  "BgAOAAAAAQABAAEAAQABAAEAAQAHAAIFkAYAhAAAAAIAAAANAAE3AQAAAFQAAAAHAwIAAAAAAMAA\r\n"
	                  "AAAAAABGeJ8+IgEAAgKQBgAOAAAAAQABAAEAAQABAAEAAQAHAAIQgAEACgAAAGlubmVyLmV4ZQCM\r\n"
	                  "AwIPgAYABQAAAElOTkVSfAEfAAEwAQAAABIAAABBAHQAdABhAGMAaABlAGQAAAAAAKoO\r\n"),
	    NULL, true);
	is_int((long long)all.count, 6, "winmail.dat and what is in it");
	is_text(collection_reasons(&all), "", "is in order");
	for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
		ok(collection_has_content(&all, slice_from(contents[i])), "holds %s", contents[i]);
	}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		ok(collection_has_name(&all, names[i]), "names %s", names[i]);
	}
	collection_close(&all);
}

int main(void)
{
	mime_load();
	test_readings();
	test_encrypted();
	test_tree();
	test_tnef();
	test_budget();
	test_torture();
	return done_testing();
}
