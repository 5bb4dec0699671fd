#include "inspect/content.h"

#include "inspect/archive.h"
#include "inspect/clamav.h"
#include "inspect/export.h"
#include "inspect/filetype.h"
#include "inspect/mime.h"
#include "inspect/mime_charset.h"
#include "inspect/urls.h"
#include "lib/base/clock.h"

enum {
	SCRATCH_CHUNK = 16384,
	REPORT_MAX = 24 << 10, /* bytes of names and types that are told */
	NAME_TOLD_MAX = 200,
	RATIO_MAX = 250,          /* a message may unpack to so many times its size */
	RATIO_FREE = 32 << 20,    /* and so many bytes besides */
	REASON_TOLD_MAX = 400,
	LINKS_MAX = 4 << 20, /* bytes of texts of a message that are searched for links */
	PAGE_HEAD = 4096
};

struct content {
	unsigned tasks;
	struct arena *arena; /* of the reply */
	struct inspect_reply *reply;
	struct inspect_part *parts;
	struct tokens *tokens; /* NULL: not asked for */
	const struct part *visited[INSPECT_PARTS_MAX]; /* where each of them stood in memory: only to be compared */
	size_t report; /* bytes used */
	struct part_budget budget;
	struct clamav_scan scan;
	struct export export;
	bool scan_over; /* something was found */
	const struct file_verdict *container; /* of the file whose members are visited */
	struct mime_result mime;
	struct urls urls;
	size_t links; /* bytes searched */
};

const char *content_load(struct arena *arena)
{
	archive_init();
	mime_load();
	return filetype_load(arena);
}

/* ---- what is told ---- */

static const char *told(struct content *content, const char *text)
{
	const char *safe = text_escape(content->arena, slice_from(text), "", true, NAME_TOLD_MAX);
	content->report += strlen(safe);
	return safe;
}

static const char *first_name(const struct part *part)
{
	return part->names[0] == NULL ? "a file without a name" : part->names[0];
}

/* Index of the file that the part was found in. A multipart is no file. Those who are still there were visited last of
 * all that stood in their place. */
static int parent_index(const struct content *content, const struct part *part)
{
	const struct part *parent = part->parent;
	while (parent != NULL && slice_starts_nocase(slice_from(parent->type), SLICE_LITERAL("multipart/"))) {
		parent = parent->parent;
	}
	int index = parent == NULL ? -1 : (int)content->reply->part_count - 1;
	while (index >= 0 && content->visited[index] != parent) {
		index--;
	}
	return index;
}

/* Index in the reply, or -1 where there is no more room: a file that is nothing special is not missed. */
static int list_part(struct content *content, const struct part *part, const struct file_verdict *verdict)
{
	struct inspect_reply *reply = content->reply;
	if (reply->part_count == INSPECT_PARTS_MAX || content->report > REPORT_MAX) {
		reply->parts_unlisted++;
		return -1;
	}
	int index = (int)reply->part_count;
	struct inspect_part *entry = &content->parts[index];
	*entry = (struct inspect_part){.parent = parent_index(content, part),
	                               .type = told(content, part->type),
	                               .detected = told(content, verdict->type),
	                               .size = part->size,
	                               .encrypted = part->encrypted};
	for (size_t i = 0; i < INSPECT_NAMES_MAX && part->names[i] != NULL; i++) {
		entry->names[i] = told(content, part->names[i]);
	}
	content->visited[index] = part;
	reply->part_count++;
	return index;
}

/* A page that is the text of the message may hold what a mail program does not run; as a file it is opened by a
 * browser. */
static uint64_t of_files_only(void)
{
	return FILE_CLASS_BIT(FILE_CLASS_HTML) | FILE_CLASS_BIT(FILE_CLASS_HTML_SCRIPT) |
	       FILE_CLASS_BIT(FILE_CLASS_HTML_SMUGGLING);
}

static void tell_classes(struct content *content, const struct part *part, const struct file_verdict *verdict, int index)
{
	struct inspect_reply *reply = content->reply;
	uint64_t classes = part->names[0] == NULL ? verdict->classes & ~of_files_only() : verdict->classes;
	reply->classes |= classes;
	if (index >= 0) {
		content->parts[index].classes = classes;
	}
	for (unsigned i = 0; i < FILE_CLASS_COUNT; i++) {
		if ((classes & FILE_CLASS_BIT(i)) != 0 && reply->class_reasons[i] == NULL) {
			const char *why = verdict->reasons[i] == NULL ? "" : verdict->reasons[i];
			const char *text = arena_printf(content->arena, "%s: %s", first_name(part), why);
			reply->class_reasons[i] = text_escape(content->arena, slice_from(text), "", true, REASON_TOLD_MAX);
		}
	}
}

static const char *mime_text(struct content *content, enum mime_class class)
{
	struct strbuf text;
	strbuf_init(&text, content->arena);
	for (unsigned i = 0; i < MIME_REASON_COUNT; i++) {
		if ((content->mime.reasons >> i & 1U) != 0 && mime_reason_class((enum mime_reason)i) == class) {
			strbuf_printf(&text, "%s%s", text.len == 0 ? "" : ", ", mime_reason_word((enum mime_reason)i));
		}
	}
	return text.len == 0 ? NULL : text.data;
}

/* ---- the walk ---- */

static void scan_part(struct content *content, const struct part *part)
{
	if ((content->tasks & INSPECT_VIRUS) != 0 && !content->scan_over && part->content.len > 0) {
		content->scan_over = !clamav_scan_part(&content->scan, part->content, part->names[0]);
	}
	if ((content->tasks & INSPECT_EXPORT) != 0 && part->content.len > 0) {
		export_add(&content->export, part->content);
	}
}

/* In UTF-8, as far as it says what it is in: what is ASCII stays, and hosts are that mostly. */
static struct slice text_utf8(struct arena *scratch, const struct part *part, struct slice text)
{
	struct slice converted;
	bool marked = text.len >= 2 && (memcmp(text.data, "\xff\xfe", 2) == 0 || memcmp(text.data, "\xfe\xff", 2) == 0);
	struct slice charset = marked ? SLICE_LITERAL("utf-16") : part->charset;
	bool ascii = slice_is_ascii(text) && memchr(text.data, '\0', text.len) == NULL;
	bool shifted = slice_starts_nocase(charset, SLICE_LITERAL("utf-7")) ||
	               slice_starts_nocase(charset, SLICE_LITERAL("iso-2022")) ||
	               slice_starts_nocase(charset, SLICE_LITERAL("hz"));
	if (charset.len > 0 && (!ascii || shifted) && mime_charset_convert(scratch, charset, text, &converted)) {
		return converted;
	}
	return ascii ? text : mime_charset_guess(scratch, text);
}

/* What a mail program shows, or a browser opens: texts of all kinds, and pages. */
static void find_links(struct content *content, const struct part *part, const struct file_verdict *verdict,
                       struct arena *scratch)
{
	struct slice type = slice_from(part->type);
	bool page = file_verdict_has(verdict, FILE_CLASS_HTML) || slice_starts_nocase(type, SLICE_LITERAL("text/html")) ||
	            slice_starts_nocase(type, SLICE_LITERAL("application/xhtml"));
	bool text = type.len == 0 || slice_starts_nocase(type, SLICE_LITERAL("text/"));
	if ((content->tasks & INSPECT_URLS) == 0 || (!page && !text) || part->content.len == 0) {
		return;
	}
	struct slice bytes = part->content;
	if (bytes.len > LINKS_MAX - content->links) {
		bytes.len = LINKS_MAX - content->links;
		content->urls.cut = true;
	}
	content->links += bytes.len;
	bytes = text_utf8(scratch, part, bytes);
	size_t head = bytes.len < PAGE_HEAD ? bytes.len : PAGE_HEAD;
	urls_find(&content->urls, bytes, page || slice_find((struct slice){bytes.data, head}, '<', 0) < head);
}

static void visit_member(void *context, const struct part *part);
static void visit_entity(void *context, const struct part *part);

static bool is_message(const struct part *part, const struct file_verdict *verdict)
{
	return strcmp(part->type, "message/rfc822") == 0 || strcmp(part->type, "message/global") == 0 ||
	       file_verdict_has(verdict, FILE_CLASS_MESSAGE);
}

/* Looks at the file and goes into it. entity: of MIME, which goes into attached messages itself. */
static void look(struct content *content, const struct part *part, struct arena *scratch, bool entity)
{
	struct file_verdict verdict;
	file_verdict_init(&verdict, scratch);
	filetype_examine(part, scratch, &verdict);
	if (entity) {
		find_links(content, part, &verdict, scratch);
	}
	int index = list_part(content, part, &verdict);
	const struct file_verdict *outer = content->container;
	content->container = &verdict;
	if (is_message(part, &verdict)) {
		if (!entity) {
			mime_walk(part->content, part, &content->budget, visit_entity, content, &content->mime);
		}
	} else {
		filetype_walk(part, &content->budget, visit_member, content, &verdict);
	}
	content->container = outer;
	tell_classes(content, part, &verdict, index);
}

/* Does libclamav open it? Then it scans what is inside with it. */
static bool scanner_opens(const struct file_verdict *verdict)
{
	static const char *const types[] = {
	    "application/zip",        "application/x-7z-compressed",
	    "application/gzip",       "application/x-gzip",         "application/x-tar",            "application/x-bzip2",
	    "application/x-xz",       "application/x-arj",          "application/vnd.ms-cab-compressed",
	    "application/x-iso9660-image", "application/pdf",       "application/x-ole-storage",
	};
	if (file_verdict_has(verdict, FILE_CLASS_ARCHIVE_AMBIGUOUS) || file_verdict_has(verdict, FILE_CLASS_ARCHIVE_BROKEN)) {
		return false; /* it may read something else than we do */
	}
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		if (strcmp(verdict->type, types[i]) == 0) {
			return true;
		}
	}
	return slice_starts_nocase(slice_from(verdict->type), SLICE_LITERAL("application/vnd.openxmlformats")) ||
	       slice_starts_nocase(slice_from(verdict->type), SLICE_LITERAL("application/vnd.oasis"));
}

/* A member of an archive or of a document. */
static void visit_member(void *context, const struct part *part)
{
	struct content *content = context;
	struct arena *scratch = arena_create(SCRATCH_CHUNK);
	if (!scanner_opens(content->container)) {
		scan_part(content, part);
	}
	look(content, part, scratch, false);
	arena_destroy(scratch);
}

static void visit_entity(void *context, const struct part *part)
{
	struct content *content = context;
	struct arena *scratch = arena_create(SCRATCH_CHUNK);
	if (content->tokens != NULL) {
		tokens_part(content->tokens, part, scratch);
	}
	if (content->tasks == 0) {
		arena_destroy(scratch);
		return; /* nobody asks what kind of file it is, which costs more than all tokens */
	}
	if (strcmp(part->type, "message/rfc822") != 0) {
		scan_part(content, part); /* what an attached message is made of comes by itself */
	}
	look(content, part, scratch, true);
	arena_destroy(scratch);
}

/* A bomb is small: what a message may cost hangs on its size too. */
static uint64_t bytes_allowed(size_t size, const struct pool_settings *settings)
{
	uint64_t most = RATIO_FREE + (uint64_t)size * RATIO_MAX;
	return most < settings->scan_size_max ? most : settings->scan_size_max;
}

void content_inspect(struct slice message, unsigned tasks, uint32_t deadline_ms, const struct pool_settings *settings,
                     struct tokens *tokens, struct arena *arena, struct inspect_reply *reply_r, int *files_fd_r)
{
	struct content *content = arena_alloc(arena, sizeof *content);
	content->tasks = tasks;
	content->arena = arena;
	content->tokens = tokens;
	content->reply = reply_r;
	content->parts = arena_alloc(arena, INSPECT_PARTS_MAX * sizeof *content->parts);
	reply_r->parts = content->parts;
	content->budget = (struct part_budget){.bytes = bytes_allowed(message.len, settings),
	                                       .parts = settings->scan_files_max,
	                                       .depth_max = settings->scan_recursion_max,
	                                       .deadline = clock_now() + deadline_ms / 3 * 2 * CLOCK_NS_PER_MS};
	if ((tasks & INSPECT_VIRUS) != 0) {
		clamav_open(&content->scan, deadline_ms, arena);
		content->scan_over = !clamav_scan_raw(&content->scan, message.data, message.len);
	}
	export_open(&content->export);
	urls_init(&content->urls, arena);
	mime_walk(message, NULL, &content->budget, visit_entity, content, &content->mime);
	if ((tasks & INSPECT_VIRUS) != 0) {
		clamav_close(&content->scan, reply_r);
	}
	reply_r->mime_ambiguous = mime_text(content, MIME_AMBIGUOUS);
	reply_r->mime_defect = mime_text(content, MIME_DEFECT);
	reply_r->mime_opaque = mime_text(content, MIME_OPAQUE);
	reply_r->host_count = content->urls.count;
	reply_r->hosts = content->urls.hosts;
	reply_r->hosts_cut = content->urls.cut;
	*files_fd_r = export_close(&content->export);
	reply_r->exhausted = content->export.failed ? "no room for the files" : content->budget.exhausted;
}
