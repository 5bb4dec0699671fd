/* Messages of other parsers' test suites through the MIME walk. Where they say what is in a message, that must be
 * visited: the walk may find more than one parser does, never less. GMime is asked too. */
#include "inspect/mime_charset.h"
#include "t/mime_collect.h"
#include "t/tap.h"

#include <dirent.h>
#include <gmime/gmime.h>
#include <jansson.h>

enum { DEPTH_MAX = 8, PATH_SIZE = 1024 };

static const char *data;

/* What a source expects and the walk does not do, with the reason; anything else missing is a failure. */
static const struct {
	const char *file;
	const char *reason;
} deviations[] = {
    {"legacy/026.json", "the other leaves x-uuencode as it is; the decoded file is visited"},
    {"legacy/026.crlf.json", "the other leaves x-uuencode as it is; the decoded file is visited"},
    {"legacy/052.json", "the other shows bytes of an unknown charset as U+FFFD"},
    {"legacy/052.crlf.json", "the other shows bytes of an unknown charset as U+FFFD"},
    {"rfc/000.json", "the other shows what is not base64 as it stands"},
    {"rfc/000.crlf.json", "the other shows what is not base64 as it stands"},
    {"thirdparty/002.json", "the other shows what is not base64 as it stands"},
    {"thirdparty/002.crlf.json", "the other shows what is not base64 as it stands"},
    {"thirdparty/005.json", "the other takes a boundary in the middle of a line"},
    {"thirdparty/005.crlf.json",
     "the other takes a boundary in the middle of a line; text in UTF-16 whose line ends were changed"},
    {"malformedHeaderStartsBody-nocrlfcrlf_decoded_1.txt",
     "a body without a line in its middle: no program shows that"},
    {"malformedHeaderStartsBody-noheader_decoded_1.txt",
     "without a header the second line is no body to the other; all is visited"},
    {"multi-nested2.ref", "the other counts the line end before the boundary: 58 for 57"},
    {"multi-weirdspace.ref", "the other counts 420 where 421 bytes stand before the boundary"},
    {"uu-junk-extracted.ref", "the other makes parts of the text around uuencoded files; the files are visited"},
    {"russian.ref", "the name is in Perl's escapes there"},
    {"malformed/007.eml", "GMime takes a boundary behind a header without an empty line for a field"},
    {"thirdparty/001.eml", "GMime takes the byte before a bare LF away with it where other lines end in CRLF"},
};

struct tally {
	size_t files;
	size_t agreed;
	size_t expected;
	size_t explained;
};

static const char *deviation(const char *path)
{
	for (size_t i = 0; i < sizeof deviations / sizeof *deviations; i++) {
		if (slice_ends_nocase(slice_from(path), slice_from(deviations[i].file))) {
			return deviations[i].reason;
		}
	}
	return NULL;
}

static void expect(struct tally *tally, const char *path, bool met, const char *what)
{
	const char *reason = met ? NULL : deviation(path);
	tally->expected++;
	tally->agreed += met;
	tally->explained += reason != NULL;
	if (!met && reason == NULL) {
		ok(false, "%s: %s", path, what);
	} else if (!met) {
		diag("%s: %s: %s", path, what, reason);
	}
}

static bool ends(const char *path, const char *suffix)
{
	return slice_ends_nocase(slice_from(path), slice_from(suffix));
}

typedef void file_visitor(void *context, const char *path);

static void each_file(const char *folder, file_visitor *visitor, void *context, int depth)
{
	struct dirent **entries;
	char path[PATH_SIZE];
	int count = depth > DEPTH_MAX ? 0 : scandir(folder, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
		if (entries[i]->d_type == DT_DIR && entries[i]->d_name[0] != '.') {
			each_file(path, visitor, context, depth + 1);
		} else if (entries[i]->d_type == DT_REG) {
			visitor(context, path);
		}
		free(entries[i]);
	}
	if (count > 0) {
		free(entries);
	}
}

/* Line ends and those at the end do not matter for text: parsers differ in whose they are. */
static struct slice text_form(struct arena *arena, struct slice text)
{
	char *out = arena_alloc(arena, text.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] != '\r') {
			out[n++] = text.data[i];
		}
	}
	while (n > 0 && out[n - 1] == '\n') {
		n--;
	}
	return (struct slice){out, n};
}

static bool has_text(const struct collection *all, struct slice text, struct slice charset)
{
	struct arena *arena = all->arena;
	text = text_form(arena, text);
	for (size_t i = 0; i < all->count; i++) {
		struct slice found = all->items[i].content;
		struct slice converted;
		if (slice_equal(text_form(arena, found), text) ||
		    slice_equal(text_form(arena, mime_charset_guess(arena, found)), text)) {
			return true;
		}
		if (charset.len > 0 && mime_charset_convert(arena, charset, found, &converted) &&
		    slice_equal(text_form(arena, converted), text)) {
			return true;
		}
	}
	return false;
}

/* U+FFFD in the expected name stands for a byte that its makers could not read; we take it for Windows-1252. */
static bool name_matches(const char *expected, const char *name)
{
	while (*expected != '\0' && *name != '\0') {
		if (strncmp(expected, "\xef\xbf\xbd", 3) == 0) {
			expected += 3;
			name++;
			while (((unsigned char)*name & 0xc0) == 0x80) {
				name++;
			}
		} else if (*expected++ != *name++) {
			return false;
		}
	}
	return *expected == *name;
}

static bool has_name(const struct collection *all, const char *name)
{
	for (size_t i = 0; i < all->count; i++) {
		for (const char **at = all->items[i].names; *at != NULL; at++) {
			if (name_matches(name, *at)) {
				return true;
			}
		}
	}
	return false;
}

/* The attribute of a field in stalwart's JSON. */
static const char *json_attribute(json_t *part, const char *field, const char *attribute)
{
	size_t i;
	size_t k;
	json_t *header;
	json_t *item;
	json_array_foreach(json_object_get(part, "headers"), i, header)
	{
		const char *named = json_string_value(json_object_get(header, "name")); /* an object: no standard field */
		if (named == NULL || strcmp(named, field) != 0) {
			continue;
		}
		json_t *type = json_object_get(json_object_get(header, "value"), "ContentType");
		json_array_foreach(json_object_get(type, "attributes"), k, item)
		{
			if (strcmp(json_string_value(json_object_get(item, "name")), attribute) == 0) {
				return json_string_value(json_object_get(item, "value"));
			}
		}
	}
	return NULL;
}

static struct slice json_bytes(struct arena *arena, json_t *list)
{
	size_t i;
	json_t *item;
	char *out = arena_alloc(arena, json_array_size(list) + 1);
	json_array_foreach(list, i, item)
	{
		out[i] = (char)json_integer_value(item);
	}
	return (struct slice){out, json_array_size(list)};
}

static void stalwart_parts(struct tally *tally, const char *path, struct collection *all, json_t *message);

static void stalwart_part(struct tally *tally, const char *path, struct collection *all, json_t *part)
{
	static const char *const fields[][2] = {{"content_disposition", "filename"}, {"content_type", "name"}};
	const char *kind = json_object_iter_key(json_object_iter(json_object_get(part, "body")));
	json_t *body = json_object_get(json_object_get(part, "body"), kind);
	const char *charset = json_attribute(part, "content_type", "charset");
	for (size_t i = 0; i < 2; i++) {
		const char *name = json_attribute(part, fields[i][0], fields[i][1]);
		if (name != NULL && strcmp(kind, "Multipart") != 0) {
			expect(tally, path, has_name(all, name), name);
		}
	}
	if (strcmp(kind, "Message") == 0) {
		stalwart_parts(tally, path, all, body);
	} else if (strcmp(kind, "Text") == 0 || strcmp(kind, "Html") == 0) {
		struct slice text = {json_string_value(body), json_string_length(body)};
		expect(tally, path, has_text(all, text, slice_from(charset)), kind);
	} else if (strcmp(kind, "Multipart") != 0) {
		struct slice bytes = json_bytes(all->arena, body);
		expect(tally, path, collection_has_content(all, bytes) || has_text(all, bytes, slice_from(charset)), kind);
	}
}

static void stalwart_parts(struct tally *tally, const char *path, struct collection *all, json_t *message)
{
	size_t i;
	json_t *part;
	json_array_foreach(json_object_get(message, "parts"), i, part)
	{
		stalwart_part(tally, path, all, part);
	}
}

/* As its makers read it: without any CR, or with one before each LF. */
static struct slice line_form(struct arena *arena, struct slice text, bool crlf)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '\r') {
			continue;
		}
		if (text.data[i] == '\n' && crlf) {
			strbuf_add_char(&out, '\r');
		}
		strbuf_add_char(&out, text.data[i]);
	}
	return (struct slice){out.data, out.len};
}

/* 000.json is about 000.eml; 000.crlf.json about the same with CRLF. */
static void stalwart_file(void *context, const char *path)
{
	struct tally *tally = context;
	if (!ends(path, ".json")) {
		return;
	}
	struct arena *arena = arena_create(65536);
	json_t *expected = json_load_file(path, JSON_ALLOW_NUL, NULL);
	bool crlf = ends(path, ".crlf.json");
	int stem = (int)(strlen(path) - strlen(crlf ? ".crlf.json" : ".json"));
	struct slice message = collection_read_file(arena, arena_printf(arena, "%.*s.eml", stem, path));
	if (message.data != NULL && expected != NULL && json_is_array(json_object_get(expected, "parts"))) {
		struct collection all;
		collection_open(&all, line_form(arena, message, crlf), NULL, true);
		tally->files++;
		stalwart_parts(tally, path, &all, expected);
		collection_close(&all);
	}
	json_decref(expected);
	arena_destroy(arena);
}

/* NAME_decoded.xml names the files that hold each body. */
static void mime4j_file(void *context, const char *path)
{
	struct tally *tally = context;
	if (!ends(path, "_decoded.xml")) {
		return;
	}
	struct arena *arena = arena_create(65536);
	int stem = (int)(strlen(path) - strlen("_decoded.xml"));
	struct slice message = collection_read_file(arena, arena_printf(arena, "%.*s.msg", stem, path));
	struct slice xml = collection_read_file(arena, path);
	int folder = (int)(strrchr(path, '/') - path);
	if (message.data != NULL && xml.data != NULL) {
		struct collection all;
		collection_open(&all, message, NULL, true);
		tally->files++;
		for (const char *at = xml.data; (at = strstr(at, "-body name=\"")) != NULL; at++) {
			at += strlen("-body name=\"");
			const char *file = arena_printf(arena, "%.*s/%.*s", folder, path, (int)strcspn(at, "\""), at);
			struct slice body = collection_read_file(arena, file);
			expect(tally, file, body.data != NULL && (body.len == 0 || has_text(&all, body, (struct slice){"", 0})),
			       "a body");
		}
		collection_close(&all);
	}
	arena_destroy(arena);
}

static const char *quoted_after(struct arena *arena, const char *at, const char *key)
{
	if (strncmp(at, key, strlen(key)) != 0) {
		return NULL;
	}
	const char *start = at + strlen(key);
	return arena_memdup(arena, start, strcspn(start, "\""));
}

/* NAME.ref is Perl: "Filename" => "one.gif", "Size" => 419. */
static void mime_tools_file(void *context, const char *path)
{
	struct tally *tally = context;
	if (!ends(path, ".ref")) {
		return;
	}
	struct arena *arena = arena_create(65536);
	struct slice ref = collection_read_file(arena, path);
	const char *name = strstr(ref.data, "\"Message\" => \"testmsgs/");
	name = name == NULL ? NULL : quoted_after(arena, name, "\"Message\" => \"testmsgs/");
	struct slice message = {NULL, 0};
	if (name != NULL) {
		message =
		    collection_read_file(arena, arena_printf(arena, "%.*s/%s", (int)(strrchr(path, '/') - path), path, name));
	}
	if (message.data != NULL) {
		struct collection all;
		collection_open(&all, message, NULL, true);
		tally->files++;
		for (const char *at = ref.data; *at != '\0'; at++) {
			const char *file = quoted_after(arena, at, "\"Filename\" => \"");
			if (file != NULL) {
				expect(tally, path, collection_has_name(&all, file), file);
			}
			if (strncmp(at, "\"Size\" => ", 10) == 0) {
				unsigned long size = strtoul(at + 10 + (at[10] == '"'), NULL, 10);
				bool found = false;
				for (size_t i = 0; i < all.count; i++) {
					found = found || all.items[i].content.len == size;
				}
				expect(tally, path, found, "a size");
			}
		}
		collection_close(&all);
	}
	arena_destroy(arena);
}

/* GMime's own reading of the whole message. */
struct oracle {
	struct tally tally;
	struct collection *all;
	const char *path;
};

static void gmime_leaf(struct oracle *oracle, GMimePart *part)
{
	GMimeDataWrapper *wrapper = g_mime_part_get_content(part);
	GByteArray *bytes = g_byte_array_new();
	GMimeStream *stream = g_mime_stream_mem_new_with_byte_array(bytes);
	const char *name = g_mime_part_get_filename(part);
	if (wrapper != NULL) {
		g_mime_data_wrapper_write_to_stream(wrapper, stream);
		struct slice content = {(const char *)bytes->data, bytes->len};
		expect(&oracle->tally, oracle->path,
		       collection_has_content(oracle->all, content) || has_text(oracle->all, content, (struct slice){"", 0}),
		       "GMime's content");
	}
	if (name != NULL && *name != '\0') {
		expect(&oracle->tally, oracle->path, collection_has_name(oracle->all, name), name);
	}
	g_object_unref(stream);
}

static void gmime_walk(struct oracle *oracle, GMimeObject *object, int depth)
{
	if (depth > 50) {
		return;
	}
	if (GMIME_IS_MULTIPART(object)) {
		for (int i = 0; i < g_mime_multipart_get_count(GMIME_MULTIPART(object)); i++) {
			gmime_walk(oracle, g_mime_multipart_get_part(GMIME_MULTIPART(object), i), depth + 1);
		}
	} else if (GMIME_IS_MESSAGE_PART(object)) {
		GMimeMessage *message = g_mime_message_part_get_message(GMIME_MESSAGE_PART(object));
		if (message != NULL && g_mime_message_get_mime_part(message) != NULL) {
			gmime_walk(oracle, g_mime_message_get_mime_part(message), depth + 1);
		}
	} else if (GMIME_IS_PART(object)) {
		gmime_leaf(oracle, GMIME_PART(object));
	}
}

static void gmime_message(struct oracle *oracle, struct slice bytes)
{
	GMimeStream *stream = g_mime_stream_mem_new_with_buffer(bytes.data, bytes.len);
	GMimeParser *parser = g_mime_parser_new_with_stream(stream);
	GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);
	if (message != NULL && g_mime_message_get_mime_part(message) != NULL) {
		gmime_walk(oracle, g_mime_message_get_mime_part(message), 0);
	}
	if (message != NULL) {
		g_object_unref(message);
	}
	g_object_unref(parser);
	g_object_unref(stream);
}

/* Every file there is, message or not: nothing crashes, and what GMime finds is visited. */
static void any_file(void *context, const char *path)
{
	struct oracle *oracle = context;
	struct arena *arena = arena_create(65536);
	struct slice bytes = collection_read_file(arena, path);
	struct collection all;
	collection_open(&all, bytes, NULL, true);
	oracle->all = &all;
	oracle->path = path;
	oracle->tally.files++;
	if (bytes.len > 0 && (ends(path, ".eml") || ends(path, ".msg") || strstr(path, "/msg_") != NULL)) {
		gmime_message(oracle, bytes);
	}
	collection_close(&all);
	arena_destroy(arena);
}

/* The files that a mail carries the program in, as itself. */
static void clam(void)
{
	static const char *const files[] = {"clam.mail",
	                                    "clam.tnef",
	                                    "clam.exe.mbox.base64",
	                                    "clam.exe.mbox.uu",
	                                    "clam.exe.binhex",
	                                    "clam.mail-boundary-content-disposition.eml",
	                                    "clam.mail-comment-header-name.eml",
	                                    "clam.mail-disposition-rfc2231-boundary.eml",
	                                    "clam.mail-multiple-boundaries.eml",
	                                    "clam.mail-multiple-content-type.eml",
	                                    "clam.mail-nested-comment-header-name.eml",
	                                    "clam.mail-semicolon-boundary.eml"};
	struct arena *arena = arena_create(65536);
	struct slice program = collection_read_file(arena, arena_printf(arena, "%s/mime/clamav-decoded/clam.exe", data));
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct collection all;
		struct slice bytes =
		    collection_read_file(arena, arena_printf(arena, "%s/mime/clamav-decoded/%s", data, files[i]));
		collection_open(&all, bytes, NULL, true);
		ok(program.len == 544 && collection_has_content(&all, program), "%s: clam.exe is visited (%s)", files[i],
		   collection_reasons(&all));
		collection_close(&all);
	}
	arena_destroy(arena);
}

/* Real mail: how much of it is called ambiguous. */
struct mailbox {
	struct oracle oracle;
	size_t messages;
	size_t ambiguous;
	size_t reasons[MIME_REASON_COUNT];
	uint64_t ns;
	uint64_t bytes;
};

static void mailbox_file(void *context, const char *path)
{
	struct mailbox *mailbox = context;
	struct arena *arena = arena_create(65536);
	struct collection all;
	struct slice bytes = collection_read_file(arena, path);
	collection_open(&all, bytes, NULL, true);
	mailbox->messages++;
	mailbox->ns += all.ns;
	mailbox->bytes += bytes.len;
	mailbox->ambiguous += collection_ambiguous(&all);
	for (size_t i = 0; i < MIME_REASON_COUNT; i++) {
		mailbox->reasons[i] += all.result.reasons >> i & 1;
	}
	mailbox->oracle.all = &all;
	mailbox->oracle.path = path;
	gmime_message(&mailbox->oracle, bytes);
	collection_close(&all);
	arena_destroy(arena);
}

static void mailbox(const char *folder, const char *kind, double most)
{
	struct mailbox box = {.messages = 0};
	char path[PATH_SIZE];
	snprintf(path, sizeof path, "%s/spam-open/%s", folder, kind);
	each_file(path, mailbox_file, &box, 0);
	for (unsigned i = 0; i < MIME_REASON_COUNT; i++) {
		if (box.reasons[i] > 0) {
			diag("%s: %zu %s%s", kind, box.reasons[i], mime_reason_word((enum mime_reason)i),
			     mime_reason_class((enum mime_reason)i) == MIME_AMBIGUOUS ? " (ambiguous)" : "");
		}
	}
	double share = box.messages == 0 ? 1 : (double)box.ambiguous / (double)box.messages;
	ok(box.messages > 1000 && share < most, "%zu of %zu %s are ambiguous; %.2f ms for one, %.0f MB/s", box.ambiguous,
	   box.messages, kind, (double)box.ns / 1e6 / (double)(box.messages + 1),
	   (double)box.bytes * 1e3 / (double)(box.ns + 1));
	ok(box.oracle.tally.agreed == box.oracle.tally.expected, "GMime: %zu of %zu contents and names in %s are visited",
	   box.oracle.tally.agreed, box.oracle.tally.expected, kind);
}

static void real_mail(void)
{
	char folder[] = "/tmp/mailreeve-mime-XXXXXX";
	char command[PATH_SIZE * 2];
	if (mkdtemp(folder) == NULL) {
		ok(false, "a folder for real mail");
		return;
	}
	snprintf(command, sizeof command, "tar -C '%s' -xJf '%s/spam/spam-open.tar.xz'", folder, data);
	if (system(command) == 0) {
		mailbox(folder, "ham", 0.005);
		mailbox(folder, "spam", 0.05);
	} else {
		diag("SKIP: no real mail in %s/spam", data);
	}
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	ok(system(command) == 0, "the folder is removed");
}

static void suite(const char *folder, file_visitor *visitor, const char *what)
{
	struct tally tally = {.files = 0};
	char path[PATH_SIZE];
	snprintf(path, sizeof path, "%s/mime/%s", data, folder);
	each_file(path, visitor, &tally, 0);
	ok(tally.expected > 0 && tally.agreed + tally.explained == tally.expected,
	   "%s: %zu of %zu %s in %zu messages are visited, %zu missing ones explained", folder, tally.agreed,
	   tally.expected, what, tally.files, tally.explained);
}

int main(void)
{
	const char *given = getenv("MAILREEVE_DATA");
	char path[PATH_SIZE];
	struct oracle oracle = {.path = NULL};
	data = given == NULL ? "../shared/data" : given;
	snprintf(path, sizeof path, "%s/mime", data);
	DIR *folder = opendir(path);
	if (folder == NULL) {
		skip_all("%s is not here", path);
	}
	closedir(folder);
	mime_load();
	clam();
	suite("stalwart-mail-parser", stalwart_file, "bodies and names");
	suite("mime4j", mime4j_file, "bodies");
	suite("mime-tools", mime_tools_file, "names and sizes");
	each_file(path, any_file, &oracle, 0);
	ok(oracle.tally.expected > 0 && oracle.tally.agreed + oracle.tally.explained == oracle.tally.expected,
	   "GMime: %zu of %zu contents and names are visited, %zu files walked, %zu explained", oracle.tally.agreed,
	   oracle.tally.expected, oracle.tally.files, oracle.tally.explained);
	real_mail();
	return done_testing();
}
