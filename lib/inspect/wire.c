#include "lib/inspect/wire_packet.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- request ---- */

/* The verifier knows a key by its name alone. */
static void put_arc_keys(struct wire_writer *writer, const struct arc_keys *keys)
{
	size_t count = keys == NULL ? 0 : keys->count;
	wire_put_u32(writer, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		wire_put_u32(writer, (uint32_t)keys->items[i].status);
		wire_put_text(writer, keys->items[i].name);
		wire_put_slice(writer, keys->items[i].status == DKIM_KEY_FOUND ? keys->items[i].text : SLICE_LITERAL(""));
	}
}

static void get_arc_keys(struct wire_reader *reader, struct arc_keys *keys_r)
{
	keys_r->count = wire_get_upto(reader, ARC_MAX_KEYS);
	for (size_t i = 0; i < keys_r->count; i++) {
		struct dkim_key *key = &keys_r->items[i];
		key->status = (enum dkim_key_status)wire_get_upto(reader, DKIM_KEY_HEADER_CUT);
		key->domain = key->selector = "";
		key->name = wire_get_text(reader);
		key->text = wire_get_slice(reader, DKIM_MAX_KEY);
	}
}

size_t wire_put_request(const struct inspect_request *request, char *packet_r)
{
	struct wire_writer writer = wire_writer_open(packet_r, WIRE_MAGIC_REQUEST);
	wire_put_u32(&writer, request->tasks);
	wire_put_u64(&writer, request->message_size);
	wire_put_u64(&writer, request->now);
	wire_put_u32(&writer, request->deadline_ms);
	wire_put_u32(&writer, request->dkim.key_bits_min);
	wire_put_u32(&writer, request->dkim.clock_drift);
	wire_put_u32(&writer, (uint32_t)request->keys->count);
	for (size_t i = 0; i < request->keys->count; i++) {
		const struct dkim_key *key = &request->keys->items[i];
		wire_put_u32(&writer, (uint32_t)key->status);
		wire_put_text(&writer, key->domain);
		wire_put_text(&writer, key->selector);
		wire_put_slice(&writer, key->status == DKIM_KEY_FOUND ? key->text : SLICE_LITERAL(""));
	}
	put_arc_keys(&writer, request->arc_keys);
	wire_put_u32(&writer, (uint32_t)request->named_count);
	wire_put(&writer, request->named, request->named_count * sizeof *request->named);
	wire_put_u32(&writer, request->attached);
	return wire_writer_length(&writer);
}

bool wire_get_request(struct slice packet, struct arena *arena, struct inspect_request *request_r)
{
	struct wire_reader reader = wire_reader_open(packet, arena, WIRE_MAGIC_REQUEST);
	struct dkim_keys *keys = arena_alloc(arena, sizeof *keys);
	struct arc_keys *arc_keys = arena_alloc(arena, sizeof *arc_keys);
	*request_r = (struct inspect_request){.message_fd = -1, .keys = keys, .arc_keys = arc_keys};
	request_r->tasks = wire_get_upto(&reader, INSPECT_ALL);
	request_r->message_size = wire_get_u64(&reader);
	request_r->now = wire_get_u64(&reader);
	request_r->deadline_ms = wire_get_u32(&reader);
	request_r->dkim.key_bits_min = wire_get_u32(&reader);
	request_r->dkim.clock_drift = wire_get_u32(&reader);
	keys->count = wire_get_upto(&reader, DKIM_MAX_SIGNATURES);
	for (size_t i = 0; i < keys->count; i++) {
		struct dkim_key *key = &keys->items[i];
		key->status = (enum dkim_key_status)wire_get_upto(&reader, DKIM_KEY_HEADER_CUT);
		key->domain = wire_get_text(&reader);
		key->selector = wire_get_text(&reader);
		key->text = wire_get_slice(&reader, DKIM_MAX_KEY);
	}
	get_arc_keys(&reader, arc_keys);
	request_r->named_count = wire_get_upto(&reader, INSPECT_NAMED_MAX);
	uint64_t *named = arena_alloc(arena, request_r->named_count * sizeof *named);
	wire_get(&reader, named, request_r->named_count * sizeof *named);
	request_r->named = named;
	request_r->attached = (unsigned)wire_get_upto(&reader, INSPECT_ATTACHED_MAX);
	return wire_reader_done(&reader);
}

/* ---- settings ---- */

/* False: too many of them, or too long a one. */
static bool put_list(struct wire_writer *writer, const char *const *texts, uint32_t most)
{
	uint32_t count = 0;
	bool fits = true;
	while (texts != NULL && texts[count] != NULL) {
		fits = fits && strlen(texts[count]) <= WIRE_TEXT_MAX;
		count++;
	}
	wire_put_u32(writer, count);
	for (uint32_t i = 0; i < count; i++) {
		wire_put_text(writer, texts[i]);
	}
	return fits && count <= most;
}

static const char *const *get_list(struct wire_reader *reader, uint32_t most)
{
	uint32_t count = wire_get_upto(reader, most);
	const char **texts = arena_alloc(reader->arena, (count + 1) * sizeof *texts);
	for (uint32_t i = 0; i < count; i++) {
		texts[i] = wire_get_text(reader);
	}
	return texts;
}

size_t wire_put_settings(const struct pool_settings *settings, char *packet_r)
{
	struct wire_writer writer = wire_writer_open(packet_r, WIRE_MAGIC_SETTINGS);
	bool fits = strlen(settings->tmp_dir) <= WIRE_TEXT_MAX;
	wire_put_u32(&writer, settings->workers);
	wire_put_text(&writer, settings->tmp_dir);
	wire_put_u64(&writer, settings->memory_max);
	wire_put_u64(&writer, settings->scan_size_max);
	wire_put_u64(&writer, settings->file_size_max);
	wire_put_u32(&writer, settings->scan_recursion_max);
	wire_put_u32(&writer, settings->scan_files_max);
	wire_put_u32(&writer, settings->scan_time_ms);
	wire_put_u32(&writer, settings->scan_heuristics);
	wire_put_u32(&writer, settings->scan_pua);
	fits = put_list(&writer, settings->databases, WIRE_DATABASES_MAX) && fits;
	fits = put_list(&writer, settings->ignored, WIRE_IGNORED_MAX) && fits;
	return fits ? wire_writer_length(&writer) : 0;
}

bool wire_get_settings(struct slice packet, struct arena *arena, struct pool_settings *settings_r)
{
	struct wire_reader reader = wire_reader_open(packet, arena, WIRE_MAGIC_SETTINGS);
	*settings_r = (struct pool_settings){.workers = wire_get_upto(&reader, 256)};
	settings_r->tmp_dir = wire_get_text(&reader);
	settings_r->memory_max = wire_get_u64(&reader);
	settings_r->scan_size_max = wire_get_u64(&reader);
	settings_r->file_size_max = wire_get_u64(&reader);
	settings_r->scan_recursion_max = wire_get_u32(&reader);
	settings_r->scan_files_max = wire_get_u32(&reader);
	settings_r->scan_time_ms = wire_get_u32(&reader);
	settings_r->scan_heuristics = wire_get_upto(&reader, 1) == 1;
	settings_r->scan_pua = wire_get_upto(&reader, 1) == 1;
	settings_r->databases = get_list(&reader, WIRE_DATABASES_MAX);
	settings_r->ignored = get_list(&reader, WIRE_IGNORED_MAX);
	return wire_reader_done(&reader);
}

/* ---- notes ---- */

size_t wire_put_note(const struct wire_note *note, char *packet_r)
{
	struct wire_writer writer = wire_writer_open(packet_r, WIRE_MAGIC_NOTE);
	wire_put_u32(&writer, (uint32_t)note->kind);
	wire_put_u32(&writer, note->number);
	wire_put_database(&writer, &note->database);
	wire_put_text(&writer, note->text == NULL ? "" : note->text);
	return wire_writer_length(&writer);
}

bool wire_get_note(struct slice packet, struct arena *arena, struct wire_note *note_r)
{
	struct wire_reader reader = wire_reader_open(packet, arena, WIRE_MAGIC_NOTE);
	note_r->kind = (enum wire_kind)wire_get_upto(&reader, WIRE_READY);
	note_r->number = wire_get_u32(&reader);
	wire_get_database(&reader, &note_r->database);
	note_r->text = wire_get_text(&reader);
	return wire_reader_done(&reader) && note_r->kind >= WIRE_LOADED;
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
