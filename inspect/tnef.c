#include "inspect/tnef.h"

enum {
	HEADER_SIZE = 6,    /* signature, key */
	ATTRIBUTE_SIZE = 9, /* level, id, length; the checksum behind the data is 2 bytes more */
	PROPERTIES_MAX = 4096,
	VALUES_MAX = 4096
};

/* Attributes */
enum {
	ATT_BODY = 0x2800c,
	ATT_MAPI = 0x69003,
	ATT_RENDDATA = 0x69002,
	ATT_TITLE = 0x18010,
	ATT_DATA = 0x6800f,
	ATT_TRANSPORT_NAME = 0x69001,
	ATT_ATTACHMENT = 0x69005
};

/* MAPI properties and their types */
enum {
	PR_BODY = 0x1000,
	PR_RTF_COMPRESSED = 0x1009,
	PR_BODY_HTML = 0x1013,
	PR_DISPLAY_NAME = 0x3001,
	PR_ATTACH_DATA = 0x3701,
	PR_ATTACH_FILENAME = 0x3704,
	PR_ATTACH_LONG_FILENAME = 0x3707,
	PR_ATTACH_TRANSPORT_NAME = 0x370c,
	PR_ATTACH_MIME_TAG = 0x370e,
	PT_OBJECT = 0x0d,
	PT_STRING8 = 0x1e,
	PT_UNICODE = 0x1f,
	PT_BINARY = 0x102,
	PT_MULTIPLE = 0x1000
};

struct reader {
	struct slice rest;
	bool short_of; /* more was asked for than is there */
};

static struct slice take(struct reader *reader, size_t n)
{
	if (n > reader->rest.len) {
		reader->short_of = true;
		n = reader->rest.len;
	}
	struct slice taken = {reader->rest.data, n};
	reader->rest = (struct slice){reader->rest.data + n, reader->rest.len - n};
	return taken;
}

static unsigned long take_number(struct reader *reader, size_t bytes)
{
	struct slice taken = take(reader, bytes);
	unsigned long value = 0;
	for (size_t i = taken.len; i > 0; i--) {
		value = value << 8 | (unsigned char)taken.data[i - 1];
	}
	return value;
}

struct tnef {
	tnef_visitor *visitor;
	void *context;
	struct tnef_member attachment; /* that is being put together */
	bool attached;
};

static void flush(struct tnef *tnef)
{
	if (tnef->attached && (tnef->attachment.content.len > 0 || tnef->attachment.name_count > 0)) {
		tnef->visitor(tnef->context, &tnef->attachment);
	}
	tnef->attachment = (struct tnef_member){.kind = TNEF_FILE, .type = {"", 0}, .content = {"", 0}};
	tnef->attached = true;
}

static void name_add(struct tnef_member *member, struct slice text, bool utf16)
{
	while (text.len > 0 && text.data[text.len - 1] == '\0' &&
	       (!utf16 || text.len % 2 == 1 || text.data[text.len - 2] == '\0')) {
		text.len -= utf16 && text.len % 2 == 0 ? 2 : 1;
	}
	if (text.len > 0 && member->name_count < TNEF_NAMES_MAX) {
		member->names[member->name_count++] = (struct tnef_name){text, utf16};
	}
}

static void body(struct tnef *tnef, enum tnef_kind kind, struct slice content)
{
	struct tnef_member member = {.kind = kind, .type = {"", 0}, .content = content};
	if (content.len > 0) {
		tnef->visitor(tnef->context, &member);
	}
}

/* Content may come twice, as an attribute and as a property; each is a file then. */
static void content_set(struct tnef *tnef, enum tnef_kind kind, struct slice content)
{
	if (tnef->attachment.content.len > 0 && !slice_equal(tnef->attachment.content, content)) {
		tnef->visitor(tnef->context, &tnef->attachment);
	}
	tnef->attachment.kind = kind;
	tnef->attachment.content = content;
}

/* An object starts with the identity of its interface: IMessage is a message in TNEF. */
static void data_object(struct tnef *tnef, struct slice value, unsigned type)
{
	static const char message[16] = {7, 3, 2, 0, 0, 0, 0, 0, (char)0xc0, 0, 0, 0, 0, 0, 0, 0x46};
	if (type == PT_OBJECT && value.len > sizeof message) {
		struct slice inner = {value.data + sizeof message, value.len - sizeof message};
		bool is_message = memcmp(value.data, message, sizeof message) == 0 || tnef_is(inner);
		content_set(tnef, is_message ? TNEF_MESSAGE : TNEF_OBJECT, inner);
	} else {
		content_set(tnef, TNEF_FILE, value);
	}
}

static void property(struct tnef *tnef, bool of_message, unsigned id, unsigned type, struct slice value)
{
	bool utf16 = type == PT_UNICODE;
	if (of_message) {
		if (id == PR_RTF_COMPRESSED) {
			body(tnef, TNEF_RTF, value);
		} else if (id == PR_BODY_HTML || id == PR_BODY) {
			body(tnef, id == PR_BODY ? TNEF_TEXT : TNEF_HTML, value);
		}
		return;
	}
	switch (id) {
	case PR_ATTACH_LONG_FILENAME:
	case PR_ATTACH_FILENAME:
	case PR_DISPLAY_NAME:
	case PR_ATTACH_TRANSPORT_NAME:
		name_add(&tnef->attachment, value, utf16);
		break;
	case PR_ATTACH_MIME_TAG:
		tnef->attachment.type = (struct slice){value.data, slice_find(value, '\0', 0)};
		break;
	case PR_ATTACH_DATA:
		data_object(tnef, value, type);
		break;
	default: /* the other thousand */
		break;
	}
}

static bool is_variable(unsigned type)
{
	return type == PT_OBJECT || type == PT_STRING8 || type == PT_UNICODE || type == PT_BINARY;
}

static size_t fixed_size(unsigned type)
{
	switch (type) {
	case 0x05: /* double */
	case 0x06: /* currency */
	case 0x07: /* application time */
	case 0x14: /* 64 bits */
	case 0x40: /* system time */
		return 8;
	case 0x48: /* GUID */
		return 16;
	default: /* 16 and 32 bits, float, boolean: padded to 4 */
		return 4;
	}
}

/* A named property has its GUID and a number or a text between tag and values. */
static void skip_name(struct reader *reader)
{
	take(reader, 16);
	if (take_number(reader, 4) == 0) {
		take(reader, 4);
		return;
	}
	size_t length = take_number(reader, 4);
	take(reader, length + (4 - length % 4) % 4);
}

static void values(struct tnef *tnef, struct reader *reader, bool of_message, unsigned id, unsigned type)
{
	bool many = (type & PT_MULTIPLE) != 0;
	unsigned single = type & 0xfffU;
	bool variable = is_variable(single);
	size_t count = many || variable ? take_number(reader, 4) : 1;
	for (size_t i = 0; i < count && i < VALUES_MAX && !reader->short_of; i++) {
		size_t length = variable ? take_number(reader, 4) : fixed_size(single);
		struct slice value = take(reader, length);
		if (variable) {
			property(tnef, of_message, id, single, value);
			size_t padding = (4 - length % 4) % 4;
			take(reader, padding < reader->rest.len ? padding : reader->rest.len);
		}
	}
}

static void properties(struct tnef *tnef, struct slice text, bool of_message)
{
	struct reader reader = {.rest = text};
	size_t count = take_number(&reader, 4);
	for (size_t i = 0; i < count && i < PROPERTIES_MAX && !reader.short_of; i++) {
		unsigned type = (unsigned)take_number(&reader, 2);
		unsigned id = (unsigned)take_number(&reader, 2);
		if (id >= 0x8000) {
			skip_name(&reader);
		}
		values(tnef, &reader, of_message, id, type);
	}
}

static void attribute(struct tnef *tnef, unsigned long id, struct slice data)
{
	switch (id) {
	case ATT_RENDDATA:
		flush(tnef);
		break;
	case ATT_TITLE:
	case ATT_TRANSPORT_NAME:
		tnef->attached = true;
		name_add(&tnef->attachment, data, false);
		break;
	case ATT_DATA:
		tnef->attached = true;
		content_set(tnef, TNEF_FILE, data);
		break;
	case ATT_ATTACHMENT:
		tnef->attached = true;
		properties(tnef, data, false);
		break;
	case ATT_MAPI:
		properties(tnef, data, true);
		break;
	case ATT_BODY:
		body(tnef, TNEF_TEXT, data);
		break;
	default: /* addresses, dates ... */
		break;
	}
}

bool tnef_is(struct slice content)
{
	return content.len >= HEADER_SIZE && memcmp(content.data, "\x78\x9f\x3e\x22", 4) == 0;
}

bool tnef_read(struct slice content, tnef_visitor *visitor, void *context)
{
	struct tnef tnef = {.visitor = visitor, .context = context};
	struct reader reader = {.rest = content};
	if (!tnef_is(content)) {
		return false;
	}
	flush(&tnef);
	tnef.attached = false;
	take(&reader, HEADER_SIZE);
	while (reader.rest.len >= ATTRIBUTE_SIZE && !reader.short_of) {
		take(&reader, 1);
		unsigned long id = take_number(&reader, 4);
		size_t length = take_number(&reader, 4);
		attribute(&tnef, id, take(&reader, length));
		take(&reader, reader.rest.len < 2 ? reader.rest.len : 2);
	}
	flush(&tnef);
	return !reader.short_of && reader.rest.len == 0;
}

static const char rtf_start[] =
    "{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern "
    "\\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0"
    "\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";

enum { RTF_HEADER = 16, RTF_WINDOW = 4096 };

size_t tnef_rtf_size(struct slice compressed, size_t max)
{
	struct reader reader = {.rest = compressed};
	take(&reader, 4);
	size_t size = take_number(&reader, 4);
	return reader.short_of || compressed.len < RTF_HEADER ? 0 : size < max ? size : max;
}

struct rtf {
	char window[RTF_WINDOW];
	size_t position;
	char *out;
	size_t size;
	size_t written;
};

static void rtf_put(struct rtf *rtf, char c)
{
	rtf->window[rtf->position] = c;
	rtf->position = (rtf->position + 1) % RTF_WINDOW;
	if (rtf->written < rtf->size) {
		rtf->out[rtf->written++] = c;
	}
}

/* False: the reference to the place that is written next ends the text. */
static bool rtf_reference(struct rtf *rtf, unsigned value)
{
	size_t from = value >> 4;
	size_t length = (value & 0xf) + 2;
	if (from == rtf->position) {
		return false;
	}
	for (size_t i = 0; i < length; i++) {
		rtf_put(rtf, rtf->window[(from + i) % RTF_WINDOW]);
	}
	return true;
}

size_t tnef_rtf(struct slice compressed, char *out, size_t size)
{
	struct rtf rtf = {.position = sizeof rtf_start - 1, .out = out, .size = size};
	struct reader reader = {.rest = compressed};
	take(&reader, 8);
	bool stored = take_number(&reader, 4) == 0x414c454d; /* "MELA" */
	take(&reader, 4);
	memset(rtf.window, ' ', sizeof rtf.window);
	memcpy(rtf.window, rtf_start, sizeof rtf_start - 1);
	while (reader.rest.len > 0 && rtf.written < size) {
		unsigned control = stored ? 0 : (unsigned)take_number(&reader, 1);
		for (unsigned bit = 0; bit < 8 && reader.rest.len > 0; bit++) {
			if ((control >> bit & 1) == 0) {
				rtf_put(&rtf, (char)take_number(&reader, 1));
				continue;
			}
			struct slice pair = take(&reader, 2);
			if (pair.len < 2 ||
			    !rtf_reference(&rtf, (unsigned)(unsigned char)pair.data[0] << 8 | (unsigned char)pair.data[1])) {
				return rtf.written;
			}
		}
	}
	return rtf.written;
}
