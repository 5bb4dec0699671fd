#include "lib/inspect/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	MAGIC_REQUEST = 0x4d525131,
	MAGIC_REPLY = 0x4d525031,
	MAGIC_SETTINGS = 0x4d525331,
	MAGIC_NOTE = 0x4d524e31,
	SIGNATURES_MAX = DKIM_MAX_SIGNATURES,
};

/* ---- numbers and texts ---- */

struct writer {
	char *at;
	size_t left;
	bool full;
};

static void put(struct writer *writer, const void *data, size_t n)
{
	if (writer->full || n > writer->left) {
		writer->full = true;
		return;
	}
	if (n > 0) {
		memcpy(writer->at, data, n);
	}
	writer->at += n;
	writer->left -= n;
}

/* Both ends are one build on one machine: numbers go in its own byte order. */
static void put_u32(struct writer *writer, uint32_t value)
{
	put(writer, &value, sizeof value);
}

static void put_u64(struct writer *writer, uint64_t value)
{
	put(writer, &value, sizeof value);
}

static void put_slice(struct writer *writer, struct slice text)
{
	put_u32(writer, (uint32_t)text.len);
	put(writer, text.data, text.len);
}

/* Cut at WIRE_TEXT_MAX; NULL and "" are told apart by the first byte. */
static void put_text(struct writer *writer, const char *text)
{
	char there = text != NULL;
	put(writer, &there, 1);
	put_slice(writer, (struct slice){text, text == NULL ? 0 : strnlen(text, WIRE_TEXT_MAX)});
}

static struct writer writer_open(char *packet, uint32_t magic)
{
	struct writer writer = {packet, WIRE_PACKET_MAX, false};
	put_u32(&writer, magic);
	return writer;
}

static size_t writer_length(const struct writer *writer)
{
	return writer->full ? 0 : WIRE_PACKET_MAX - writer->left;
}

struct reader {
	struct slice rest;
	struct arena *arena;
	bool bad;
};

static void get(struct reader *reader, void *data_r, size_t n)
{
	if (reader->bad || n > reader->rest.len) {
		reader->bad = true;
		memset(data_r, 0, n);
		return;
	}
	memcpy(data_r, reader->rest.data, n);
	reader->rest = (struct slice){reader->rest.data + n, reader->rest.len - n};
}

static uint32_t get_u32(struct reader *reader)
{
	uint32_t value;
	get(reader, &value, sizeof value);
	return value;
}

static uint64_t get_u64(struct reader *reader)
{
	uint64_t value;
	get(reader, &value, sizeof value);
	return value;
}

/* A number of an enum or a count: at most `max`. */
static uint32_t get_upto(struct reader *reader, uint32_t max)
{
	uint32_t value = get_u32(reader);
	if (value > max) {
		reader->bad = true;
		return 0;
	}
	return value;
}

static struct slice get_slice(struct reader *reader, uint32_t max)
{
	uint32_t n = get_upto(reader, max);
	if (reader->bad || n > reader->rest.len) {
		reader->bad = true;
		return (struct slice){"", 0};
	}
	struct slice text = {slice_dup(reader->arena, (struct slice){reader->rest.data, n}), n};
	reader->rest = (struct slice){reader->rest.data + n, reader->rest.len - n};
	return text;
}

static size_t utf8_length(const unsigned char *text, size_t n)
{
	unsigned char first = text[0];
	size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
	if (length == 0 || length > n) {
		return 0;
	}
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80) {
			return 0;
		}
	}
	bool wrong = (first == 0xe0 && text[1] < 0xa0) || (first == 0xed && text[1] > 0x9f) ||
	             (first == 0xf0 && text[1] < 0x90) || (first == 0xf4 && text[1] > 0x8f);
	return wrong ? 0 : length;
}

/* Fit for logs, headers and JSON: UTF-8, no control bytes. */
static bool text_fit(struct slice text)
{
	for (size_t i = 0; i < text.len;) {
		const unsigned char *at = (const unsigned char *)text.data + i;
		size_t length = utf8_length(at, text.len - i);
		if (length == 0 || *at < ' ' || *at == 127) {
			return false;
		}
		i += length;
	}
	return true;
}

/* NULL where NULL was put. */
static const char *get_text_or_null(struct reader *reader)
{
	char there;
	get(reader, &there, 1);
	struct slice text = get_slice(reader, WIRE_TEXT_MAX);
	reader->bad = reader->bad || !text_fit(text) || (there != 0 && there != 1) || (there == 0 && text.len > 0);
	return there == 0 ? NULL : text.data;
}

static const char *get_text(struct reader *reader)
{
	const char *text = get_text_or_null(reader);
	reader->bad = reader->bad || text == NULL;
	return text == NULL ? "" : text;
}

static uint64_t get_classes(struct reader *reader)
{
	uint64_t classes = get_u64(reader);
	reader->bad = reader->bad || classes >> FILE_CLASS_COUNT != 0;
	return classes;
}

static struct reader reader_open(struct slice packet, struct arena *arena, uint32_t magic)
{
	struct reader reader = {packet, arena, false};
	reader.bad = get_u32(&reader) != magic;
	return reader;
}

static bool reader_done(const struct reader *reader)
{
	return !reader->bad && reader->rest.len == 0;
}

/* ---- request ---- */

/* The verifier knows a key by its name alone. */
static void put_arc_keys(struct writer *writer, const struct arc_keys *keys)
{
	size_t count = keys == NULL ? 0 : keys->count;
	put_u32(writer, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		put_u32(writer, (uint32_t)keys->items[i].status);
		put_text(writer, keys->items[i].name);
		put_slice(writer, keys->items[i].status == DKIM_KEY_FOUND ? keys->items[i].text : SLICE_LITERAL(""));
	}
}

static void get_arc_keys(struct reader *reader, struct arc_keys *keys_r)
{
	keys_r->count = get_upto(reader, ARC_MAX_KEYS);
	for (size_t i = 0; i < keys_r->count; i++) {
		struct dkim_key *key = &keys_r->items[i];
		key->status = (enum dkim_key_status)get_upto(reader, DKIM_KEY_HEADER_CUT);
		key->domain = key->selector = "";
		key->name = get_text(reader);
		key->text = get_slice(reader, DKIM_MAX_KEY);
	}
}

size_t wire_put_request(const struct inspect_request *request, char *packet_r)
{
	struct writer writer = writer_open(packet_r, MAGIC_REQUEST);
	put_u32(&writer, request->tasks);
	put_u64(&writer, request->message_size);
	put_u64(&writer, request->now);
	put_u32(&writer, request->deadline_ms);
	put_u32(&writer, request->dkim.key_bits_min);
	put_u32(&writer, request->dkim.clock_drift);
	put_u32(&writer, (uint32_t)request->keys->count);
	for (size_t i = 0; i < request->keys->count; i++) {
		const struct dkim_key *key = &request->keys->items[i];
		put_u32(&writer, (uint32_t)key->status);
		put_text(&writer, key->domain);
		put_text(&writer, key->selector);
		put_slice(&writer, key->status == DKIM_KEY_FOUND ? key->text : SLICE_LITERAL(""));
	}
	put_arc_keys(&writer, request->arc_keys);
	return writer_length(&writer);
}

bool wire_get_request(struct slice packet, struct arena *arena, struct inspect_request *request_r)
{
	struct reader reader = reader_open(packet, arena, MAGIC_REQUEST);
	struct dkim_keys *keys = arena_alloc(arena, sizeof *keys);
	struct arc_keys *arc_keys = arena_alloc(arena, sizeof *arc_keys);
	*request_r = (struct inspect_request){.message_fd = -1, .keys = keys, .arc_keys = arc_keys};
	request_r->tasks = get_upto(&reader, INSPECT_ALL);
	request_r->message_size = get_u64(&reader);
	request_r->now = get_u64(&reader);
	request_r->deadline_ms = get_u32(&reader);
	request_r->dkim.key_bits_min = get_u32(&reader);
	request_r->dkim.clock_drift = get_u32(&reader);
	keys->count = get_upto(&reader, DKIM_MAX_SIGNATURES);
	for (size_t i = 0; i < keys->count; i++) {
		struct dkim_key *key = &keys->items[i];
		key->status = (enum dkim_key_status)get_upto(&reader, DKIM_KEY_HEADER_CUT);
		key->domain = get_text(&reader);
		key->selector = get_text(&reader);
		key->text = get_slice(&reader, DKIM_MAX_KEY);
	}
	get_arc_keys(&reader, arc_keys);
	return reader_done(&reader);
}

/* ---- reply ---- */

static void put_arc(struct writer *writer, const struct arc_verdict *arc)
{
	put_u32(writer, (uint32_t)arc->result);
	put_text(writer, arc->problem);
	put_u32(writer, arc->oldest_pass);
	put_u32(writer, arc->from_signed);
	put_u32(writer, arc->too_long);
	put_u32(writer, arc->ended);
	put_u32(writer, (uint32_t)arc->count);
	for (size_t i = 0; i < arc->count; i++) {
		const struct arc_set *set = &arc->sets[i];
		put_text(writer, set->domain);
		put_text(writer, set->selector);
		put_u32(writer, set->has_cv);
		put_u32(writer, (uint32_t)set->cv);
		put_u32(writer, (uint32_t)set->result_count);
		for (size_t k = 0; k < set->result_count; k++) {
			put_u32(writer, (uint32_t)set->results[k].method);
			put_u32(writer, (uint32_t)set->results[k].result);
			put_text(writer, set->results[k].domain);
		}
	}
}

static void get_arc_results(struct reader *reader, struct arc_set *set_r)
{
	set_r->result_count = get_upto(reader, ARC_MAX_RESULTS);
	struct arc_result *results = arena_alloc(reader->arena, set_r->result_count * sizeof *results);
	for (size_t i = 0; i < set_r->result_count; i++) {
		results[i].method = (enum arc_method)get_upto(reader, ARC_METHOD_DKIM);
		results[i].result = (enum auth_result)get_upto(reader, AUTH_PERMERROR);
		results[i].domain = get_text(reader);
	}
	set_r->results = results;
}

/* A verdict is whole: a problem where there is one, sets where there is a chain. */
static bool arc_consistent(const struct arc_verdict *arc)
{
	bool good = arc->result == AUTH_PASS && arc->count > 0 && !arc->too_long && !arc->ended;
	bool bad = arc->result == AUTH_FAIL || (arc->result == AUTH_TEMPERROR && arc->count > 0);
	return arc->problem != NULL ? bad : good || (arc->result == AUTH_NONE && arc->count == 0);
}

static void get_arc(struct reader *reader, struct arc_verdict *arc_r)
{
	arc_r->result = (enum auth_result)get_upto(reader, AUTH_PERMERROR);
	arc_r->problem = get_text_or_null(reader);
	arc_r->oldest_pass = get_upto(reader, ARC_MAX_SETS);
	arc_r->from_signed = get_upto(reader, 1) == 1;
	arc_r->too_long = get_upto(reader, 1) == 1;
	arc_r->ended = get_upto(reader, 1) == 1;
	arc_r->count = get_upto(reader, ARC_MAX_SETS);
	struct arc_set *sets = arena_alloc(reader->arena, arc_r->count * sizeof *sets);
	for (size_t i = 0; i < arc_r->count; i++) {
		sets[i].instance = (unsigned)i + 1;
		sets[i].domain = get_text(reader);
		sets[i].selector = get_text(reader);
		sets[i].has_cv = get_upto(reader, 1) == 1;
		sets[i].cv = (enum arc_cv)get_upto(reader, ARC_CV_FAIL);
		get_arc_results(reader, &sets[i]);
	}
	arc_r->sets = sets;
	reader->bad = reader->bad || arc_r->oldest_pass > arc_r->count || !arc_consistent(arc_r);
}

static void put_database(struct writer *writer, const struct inspect_database *database)
{
	put_u32(writer, database->signatures);
	put_u32(writer, database->official);
	put_u32(writer, database->version);
	put_u64(writer, database->time);
}

static void get_database(struct reader *reader, struct inspect_database *database_r)
{
	database_r->signatures = get_u32(reader);
	database_r->official = get_upto(reader, 1) == 1;
	database_r->version = get_u32(reader);
	database_r->time = get_u64(reader);
}

static void put_part(struct writer *writer, const struct inspect_part *part)
{
	put_u32(writer, (uint32_t)(part->parent + 1));
	for (size_t i = 0; i < INSPECT_NAMES_MAX; i++) {
		put_text(writer, part->names[i]);
		if (part->names[i] == NULL) {
			break;
		}
	}
	put_text(writer, part->type);
	put_text(writer, part->detected);
	put_u64(writer, part->size);
	put_u32(writer, part->encrypted);
	put_u64(writer, part->classes);
}

/* A part stands in one before it, or in the message. */
static void get_part(struct reader *reader, size_t index, struct inspect_part *part_r)
{
	*part_r = (struct inspect_part){.parent = (int)get_upto(reader, (uint32_t)index) - 1};
	for (size_t i = 0; i < INSPECT_NAMES_MAX; i++) {
		part_r->names[i] = get_text_or_null(reader);
		if (part_r->names[i] == NULL) {
			break;
		}
	}
	part_r->type = get_text(reader);
	part_r->detected = get_text(reader);
	part_r->size = get_u64(reader);
	part_r->encrypted = get_upto(reader, 1) == 1;
	part_r->classes = get_classes(reader);
}

static void put_files(struct writer *writer, const struct inspect_reply *reply)
{
	put_u32(writer, (uint32_t)reply->part_count);
	for (size_t i = 0; i < reply->part_count; i++) {
		put_part(writer, &reply->parts[i]);
	}
	put_u32(writer, reply->parts_unlisted);
	put_u64(writer, reply->classes);
	for (size_t i = 0; i < FILE_CLASS_COUNT; i++) {
		if ((reply->classes & FILE_CLASS_BIT(i)) != 0) {
			put_text(writer, reply->class_reasons[i]);
		}
	}
	put_text(writer, reply->mime_ambiguous);
	put_text(writer, reply->mime_defect);
	put_text(writer, reply->mime_opaque);
	put_text(writer, reply->exhausted);
}

static void get_files(struct reader *reader, struct inspect_reply *reply_r)
{
	reply_r->part_count = get_upto(reader, INSPECT_PARTS_MAX);
	struct inspect_part *parts = arena_alloc(reader->arena, reply_r->part_count * sizeof *parts);
	for (size_t i = 0; i < reply_r->part_count; i++) {
		get_part(reader, i, &parts[i]);
	}
	reply_r->parts = parts;
	reply_r->parts_unlisted = get_u32(reader);
	reply_r->classes = get_classes(reader);
	for (size_t i = 0; i < FILE_CLASS_COUNT; i++) {
		if ((reply_r->classes & FILE_CLASS_BIT(i)) != 0) {
			reply_r->class_reasons[i] = get_text(reader);
		}
	}
	reply_r->mime_ambiguous = get_text_or_null(reader);
	reply_r->mime_defect = get_text_or_null(reader);
	reply_r->mime_opaque = get_text_or_null(reader);
	reply_r->exhausted = get_text_or_null(reader);
}

size_t wire_put_reply(const struct inspect_reply *reply, char *packet_r)
{
	struct writer writer = writer_open(packet_r, MAGIC_REPLY);
	put_u32(&writer, (uint32_t)reply->signature_count);
	for (size_t i = 0; i < reply->signature_count; i++) {
		const struct inspect_signature *signature = &reply->signatures[i];
		put_u32(&writer, (uint32_t)signature->result);
		put_text(&writer, signature->domain);
		put_text(&writer, signature->selector);
		put_text(&writer, signature->identity);
		put_text(&writer, signature->algorithm);
		put_text(&writer, signature->b);
		put_text(&writer, signature->problem);
		put_u32(&writer, signature->key_bits);
		put_u32(&writer, signature->testing);
	}
	put_arc(&writer, &reply->arc);
	put_u32(&writer, reply->body_hashed);
	put(&writer, reply->body_digest, sizeof reply->body_digest);
	put_u32(&writer, (uint32_t)reply->virus);
	put_text(&writer, reply->virus_name);
	put_text(&writer, reply->virus_problem);
	put_text(&writer, reply->virus_ignored);
	put_database(&writer, &reply->database);
	put_files(&writer, reply);
	put_u32(&writer, reply->dkim_us);
	put_u32(&writer, reply->virus_us);
	put_u32(&writer, reply->arc_us);
	return writer_length(&writer);
}

static void get_signature(struct reader *reader, struct inspect_signature *signature_r)
{
	signature_r->result = (enum auth_result)get_upto(reader, AUTH_PERMERROR);
	signature_r->domain = get_text(reader);
	signature_r->selector = get_text(reader);
	signature_r->identity = get_text(reader);
	signature_r->algorithm = get_text(reader);
	signature_r->b = get_text(reader);
	signature_r->problem = get_text_or_null(reader);
	signature_r->key_bits = get_upto(reader, 1U << 20);
	signature_r->testing = get_upto(reader, 1) == 1;
}

bool wire_get_reply(struct slice packet, struct arena *arena, struct inspect_reply *reply_r)
{
	struct reader reader = reader_open(packet, arena, MAGIC_REPLY);
	*reply_r = (struct inspect_reply){.signature_count = get_upto(&reader, SIGNATURES_MAX)};
	struct inspect_signature *signatures = arena_alloc(arena, reply_r->signature_count * sizeof *signatures);
	for (size_t i = 0; i < reply_r->signature_count; i++) {
		get_signature(&reader, &signatures[i]);
	}
	reply_r->signatures = signatures;
	get_arc(&reader, &reply_r->arc);
	reply_r->body_hashed = get_upto(&reader, 1) == 1;
	get(&reader, reply_r->body_digest, sizeof reply_r->body_digest);
	reply_r->virus = (enum inspect_virus_status)get_upto(&reader, INSPECT_VIRUS_NOT_SCANNED);
	reply_r->virus_name = get_text_or_null(&reader);
	reply_r->virus_problem = get_text_or_null(&reader);
	reply_r->virus_ignored = get_text_or_null(&reader);
	get_database(&reader, &reply_r->database);
	get_files(&reader, reply_r);
	reply_r->dkim_us = get_u32(&reader);
	reply_r->virus_us = get_u32(&reader);
	reply_r->arc_us = get_u32(&reader);
	bool named = reply_r->virus == INSPECT_VIRUS_FOUND || reply_r->virus == INSPECT_VIRUS_LIMIT;
	bool told = reply_r->virus == INSPECT_VIRUS_ERROR || reply_r->virus == INSPECT_VIRUS_NOT_SCANNED;
	return reader_done(&reader) && named == (reply_r->virus_name != NULL) && told == (reply_r->virus_problem != NULL);
}

/* ---- settings ---- */

/* False: too many of them, or too long a one. */
static bool put_list(struct writer *writer, const char *const *texts, uint32_t most)
{
	uint32_t count = 0;
	bool fits = true;
	while (texts != NULL && texts[count] != NULL) {
		fits = fits && strlen(texts[count]) <= WIRE_TEXT_MAX;
		count++;
	}
	put_u32(writer, count);
	for (uint32_t i = 0; i < count; i++) {
		put_text(writer, texts[i]);
	}
	return fits && count <= most;
}

static const char *const *get_list(struct reader *reader, uint32_t most)
{
	uint32_t count = get_upto(reader, most);
	const char **texts = arena_alloc(reader->arena, (count + 1) * sizeof *texts);
	for (uint32_t i = 0; i < count; i++) {
		texts[i] = get_text(reader);
	}
	return texts;
}

size_t wire_put_settings(const struct pool_settings *settings, char *packet_r)
{
	struct writer writer = writer_open(packet_r, MAGIC_SETTINGS);
	bool fits = strlen(settings->tmp_dir) <= WIRE_TEXT_MAX;
	put_u32(&writer, settings->workers);
	put_text(&writer, settings->tmp_dir);
	put_u64(&writer, settings->memory_max);
	put_u64(&writer, settings->scan_size_max);
	put_u64(&writer, settings->file_size_max);
	put_u32(&writer, settings->scan_recursion_max);
	put_u32(&writer, settings->scan_files_max);
	put_u32(&writer, settings->scan_time_ms);
	put_u32(&writer, settings->scan_heuristics);
	put_u32(&writer, settings->scan_pua);
	fits = put_list(&writer, settings->databases, WIRE_DATABASES_MAX) && fits;
	fits = put_list(&writer, settings->ignored, WIRE_IGNORED_MAX) && fits;
	return fits ? writer_length(&writer) : 0;
}

bool wire_get_settings(struct slice packet, struct arena *arena, struct pool_settings *settings_r)
{
	struct reader reader = reader_open(packet, arena, MAGIC_SETTINGS);
	*settings_r = (struct pool_settings){.workers = get_upto(&reader, 256)};
	settings_r->tmp_dir = get_text(&reader);
	settings_r->memory_max = get_u64(&reader);
	settings_r->scan_size_max = get_u64(&reader);
	settings_r->file_size_max = get_u64(&reader);
	settings_r->scan_recursion_max = get_u32(&reader);
	settings_r->scan_files_max = get_u32(&reader);
	settings_r->scan_time_ms = get_u32(&reader);
	settings_r->scan_heuristics = get_upto(&reader, 1) == 1;
	settings_r->scan_pua = get_upto(&reader, 1) == 1;
	settings_r->databases = get_list(&reader, WIRE_DATABASES_MAX);
	settings_r->ignored = get_list(&reader, WIRE_IGNORED_MAX);
	return reader_done(&reader);
}

/* ---- notes ---- */

size_t wire_put_note(const struct wire_note *note, char *packet_r)
{
	struct writer writer = writer_open(packet_r, MAGIC_NOTE);
	put_u32(&writer, (uint32_t)note->kind);
	put_u32(&writer, note->number);
	put_database(&writer, &note->database);
	put_text(&writer, note->text == NULL ? "" : note->text);
	return writer_length(&writer);
}

bool wire_get_note(struct slice packet, struct arena *arena, struct wire_note *note_r)
{
	struct reader reader = reader_open(packet, arena, MAGIC_NOTE);
	note_r->kind = (enum wire_kind)get_upto(&reader, WIRE_READY);
	note_r->number = get_u32(&reader);
	get_database(&reader, &note_r->database);
	note_r->text = get_text(&reader);
	return reader_done(&reader) && note_r->kind >= WIRE_LOADED;
}

/* ---- sockets ---- */

static bool packet_send(int socket, const char *packet, size_t n, int fd, int flags)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec part = {.iov_base = (char *)(uintptr_t)packet, .iov_len = n};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
	if (fd >= 0) {
		header.msg_control = control;
		header.msg_controllen = sizeof control;
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof fd);
	}
	ssize_t sent;
	do {
		sent = sendmsg(socket, &header, MSG_NOSIGNAL | flags);
	} while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)n;
}

bool wire_send(int socket, const char *packet, size_t n, int fd)
{
	return packet_send(socket, packet, n, fd, 0);
}

bool wire_offer(int socket, const char *packet, size_t n, int fd)
{
	return packet_send(socket, packet, n, fd, MSG_DONTWAIT);
}

/* The one descriptor that may come beside a packet; any other is closed. */
static int take_descriptor(struct msghdr *header, bool wanted)
{
	int kept = -1;
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg != NULL; cmsg = CMSG_NXTHDR(header, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS) {
			continue;
		}
		size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof fd, sizeof fd);
			if (wanted && kept < 0) {
				kept = fd;
			} else {
				close(fd);
			}
		}
	}
	return kept;
}

ssize_t wire_receive(int socket, char *packet_r, int *fd_r)
{
	char control[CMSG_SPACE(4 * sizeof(int))];
	struct iovec part = {.iov_base = packet_r, .iov_len = WIRE_PACKET_MAX};
	struct msghdr header = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	ssize_t got;
	do {
		got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0) {
		return -1;
	}
	int fd = take_descriptor(&header, fd_r != NULL);
	if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		if (fd >= 0) {
			close(fd);
		}
		errno = EMSGSIZE;
		return -1;
	}
	if (fd_r != NULL) {
		*fd_r = fd;
	}
	return got;
}
