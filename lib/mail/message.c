#include "lib/mail/message.h"

#include "lib/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_SIZE = 16384 };

struct message {
	struct arena *arena;
	struct message_settings settings;
	struct headers headers;
	struct strbuf block; /* the header block until message_end_headers() */
	int fd;
	bool spooled, sealed, block_written;
	enum message_status status;
	uint64_t size;
	uint64_t body_size;
	uint64_t reserved; /* bytes of the budget */
	size_t buffered;
	char buffer[BUFFER_SIZE]; /* gathers small pieces of the body */
};

struct message *message_create(struct arena *arena, const struct message_settings *settings)
{
	struct message *message = malloc(sizeof *message);
	if (message == NULL) {
		abort();
	}
	*message = (struct message){.arena = arena, .settings = *settings, .fd = -1};
	strbuf_init(&message->block, arena);
	return message;
}

/* Of the budget of all messages. False: there is not so much left. */
static bool message_reserve(struct message *message, uint64_t n)
{
	struct message_budget *budget = message->settings.budget;
	if (budget == NULL) {
		return true;
	}
	if (atomic_fetch_add(&budget->used, n) + n > message->settings.budget_max) {
		atomic_fetch_sub(&budget->used, n);
		return false;
	}
	message->reserved += n;
	return true;
}

static void message_give_back(struct message *message)
{
	if (message->reserved > 0) {
		atomic_fetch_sub(&message->settings.budget->used, message->reserved);
		message->reserved = 0;
	}
}

void message_destroy(struct message *message)
{
	if (message == NULL) {
		return;
	}
	message_give_back(message);
	if (message->fd >= 0) {
		close(message->fd);
	}
	free(message);
}

/* A file without a name. */
static int spool_open(const char *directory)
{
	int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) {
		return fd;
	}
	char path[4096];
	int n = snprintf(path, sizeof path, "%s/mailreeve.XXXXXX", directory);
	if (n < 0 || (size_t)n >= sizeof path) {
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0) {
		unlink(path);
	}
	return fd;
}

/* Moves what is in the memfd to a file. */
static bool message_spool(struct message *message)
{
	int file = spool_open(message->settings.spool_dir);
	off_t offset = 0;
	off_t size = lseek(message->fd, 0, SEEK_CUR);
	if (file < 0 || size < 0) {
		if (file >= 0) {
			close(file);
		}
		return false;
	}
	while (offset < size) {
		char piece[65536];
		ssize_t got = pread(message->fd, piece, sizeof piece, offset);
		if (got <= 0 || !io_write_all(file, piece, (size_t)got)) {
			close(file);
			return false;
		}
		offset += got;
	}
	close(message->fd);
	message->fd = file;
	message->spooled = true;
	message_give_back(message);
	return true;
}

static enum message_status message_fail(struct message *message, enum message_status status)
{
	if (message->status == MESSAGE_OK) {
		message->status = status;
	}
	return message->status;
}

static enum message_status message_write(struct message *message, const char *data, size_t n)
{
	if (message->status != MESSAGE_OK || n == 0) {
		return message->status;
	}
	if (message->fd < 0) {
		message->fd = memfd_create("mailreeve-message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	}
	bool move = !message->spooled && (message->size > message->settings.memory_max || !message_reserve(message, n));
	if (message->fd < 0 || (move && !message_spool(message)) || !io_write_all(message->fd, data, n)) {
		return message_fail(message, MESSAGE_NO_SPACE);
	}
	return MESSAGE_OK;
}

static enum message_status message_flush(struct message *message)
{
	size_t n = message->buffered;
	message->buffered = 0;
	return message_write(message, message->buffer, n);
}

/* Counts first, so that a message that is too large is never stored beyond its bound. */
static enum message_status message_add(struct message *message, const char *data, size_t n)
{
	if (message->status != MESSAGE_OK) {
		return message->status;
	}
	if (n > message->settings.size_max - message->size) {
		return message_fail(message, MESSAGE_TOO_LARGE);
	}
	message->size += n;
	if (n > BUFFER_SIZE - message->buffered && message_flush(message) != MESSAGE_OK) {
		return message->status;
	}
	if (n >= BUFFER_SIZE) {
		return message_write(message, data, n);
	}
	if (n > 0) {
		memcpy(message->buffer + message->buffered, data, n);
	}
	message->buffered += n;
	return MESSAGE_OK;
}

/* A value whose folds are LF, with CRLF. */
static void block_add_value(struct strbuf *block, struct slice value)
{
	for (size_t i = 0; i < value.len; i++) {
		if (value.data[i] == '\n' && (i == 0 || value.data[i - 1] != '\r')) {
			strbuf_add_char(block, '\r');
		}
		strbuf_add_char(block, value.data[i]);
	}
}

enum message_status message_add_header(struct message *message, struct slice name, struct slice value)
{
	if (message->status != MESSAGE_OK) {
		return message->status;
	}
	struct strbuf *block = &message->block;
	size_t start = block->len;
	strbuf_add_slice(block, name);
	strbuf_add_char(block, ':');
	size_t value_start = block->len;
	block_add_value(block, value);
	/* The field as the worker will see it: what is signed is canonical only with CRLF. */
	struct slice wire = {block->data + value_start, block->len - value_start};
	if (!headers_add(&message->headers, message->arena, &message->settings.headers, name, wire)) {
		/* Past the limit the bytes still belong to the message, but it will not be inspected: they are not kept. */
		block->len = start;
		return MESSAGE_OK;
	}
	strbuf_add_text(block, "\r\n");
	return MESSAGE_OK;
}

enum message_status message_end_headers(struct message *message)
{
	if (!message->block_written) {
		message->block_written = true;
		strbuf_add_text(&message->block, "\r\n");
		message_add(message, message->block.data, message->block.len);
	}
	return message->status;
}

enum message_status message_add_body(struct message *message, const void *data, size_t n)
{
	if (message_add(message, data, n) == MESSAGE_OK) {
		message->body_size += n;
	}
	return message->status;
}

/* A file that nobody can write to any more through the descriptor that is left. */
static bool message_reopen(struct message *message)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", message->fd);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return false;
	}
	close(message->fd);
	message->fd = fd;
	return true;
}

enum message_status message_seal(struct message *message)
{
	if (message_flush(message) != MESSAGE_OK) {
		return message->status;
	}
	if (message->fd < 0) {
		message->fd = memfd_create("mailreeve-message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	}
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
	bool good = message->fd >= 0 && lseek(message->fd, 0, SEEK_SET) == 0 &&
	            (message->spooled ? message_reopen(message) : fcntl(message->fd, F_ADD_SEALS, seals) == 0);
	message->sealed = good;
	return good ? MESSAGE_OK : message_fail(message, MESSAGE_NO_SPACE);
}

/* Adds bytes with every bare LF as CRLF. */
static void message_add_unix(struct message *message, struct slice bytes)
{
	for (size_t at = 0; at < bytes.len;) {
		size_t end = slice_find(bytes, '\n', at);
		message_add(message, bytes.data + at, end - at);
		if (end < bytes.len) {
			bool crlf = end > at && bytes.data[end - 1] == '\r';
			message_add(message, crlf ? "\n" : "\r\n", crlf ? 1 : 2);
		}
		at = end + 1;
	}
}

/* As the lines of the message become CRLF, those of the view of its header do. */
static void headers_to_wire(struct headers *headers, struct arena *arena)
{
	for (size_t i = 0; i < headers->count; i++) {
		struct slice *value = &headers->items[i].value;
		if (value->len > 0 && memchr(value->data, '\n', value->len) != NULL) {
			struct slice *field = &headers->items[i].field;
			size_t before = field->len - value->len; /* the name, blanks, the colon */
			struct strbuf wire;
			strbuf_init(&wire, arena);
			strbuf_add(&wire, field->data, before);
			block_add_value(&wire, *value);
			*field = (struct slice){wire.data, wire.len};
			*value = (struct slice){wire.data + before, wire.len - before};
		}
	}
}

enum message_status message_load(struct message *message, struct slice bytes)
{
	if (bytes.len >= 5 && memcmp(bytes.data, "From ", 5) == 0) {
		size_t end = slice_find(bytes, '\n', 0);
		size_t skip = end < bytes.len ? end + 1 : bytes.len;
		bytes = (struct slice){bytes.data + skip, bytes.len - skip};
	}
	size_t first = slice_find(bytes, '\n', 0);
	bool unix_lines = first < bytes.len && (first == 0 || bytes.data[first - 1] != '\r');
	uint64_t body = headers_parse(&message->headers, message->arena, &message->settings.headers, bytes);
	message->block_written = true;
	if (unix_lines) {
		headers_to_wire(&message->headers, message->arena);
		message_add_unix(message, (struct slice){bytes.data, body});
		uint64_t header_size = message->size;
		message_add_unix(message, (struct slice){bytes.data + body, bytes.len - body});
		message->body_size = message->size - header_size;
	} else {
		message_add(message, bytes.data, bytes.len);
		message->body_size = bytes.len - body;
	}
	return message_seal(message);
}

const struct headers *message_headers(const struct message *message)
{
	return &message->headers;
}

uint64_t message_size(const struct message *message)
{
	return message->size;
}

uint64_t message_body_size(const struct message *message)
{
	return message->body_size;
}

int message_fd(const struct message *message)
{
	return message->sealed ? message->fd : -1;
}

bool message_spooled(const struct message *message)
{
	return message->spooled;
}
