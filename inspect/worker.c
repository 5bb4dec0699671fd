#include "inspect/worker.h"

#include "inspect/arc_inspect.h"
#include "inspect/attached.h"
#include "inspect/clamav.h"
#include "inspect/content.h"
#include "inspect/dkim_verify.h"
#include "inspect/sandbox.h"
#include "lib/base/clock.h"
#include "lib/inspect/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	ARENA_CHUNK = 65536,
	OWN_FILES = 1024, /* folders of libclamav's own */
	LARGE_MESSAGE = 16 << 20, /* bytes: a worker that scanned one keeps much memory; a fresh one takes its place */
	LEAD = sizeof CLAMAV_LEAD - 1,
};

/* libclamav and libcrypto open files at their first use (openssl.cnf, gconv, localtime): now, while they can. */
static void warm_up(const struct pool_settings *settings, struct arena *arena)
{
	static const char message[] = CLAMAV_LEAD
	    "DKIM-Signature: v=1; a=rsa-sha256; d=x.example; s=s; h=from; "
	    "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n"
	    "\tb=AAAA\r\nFrom: a@x.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
	    "--b\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n<html><p>x</p></html>\r\n"
	    "--b\r\nContent-Transfer-Encoding: base64\r\n\r\nUEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==\r\n--b--\r\n";
	static const char key[] =
	    "v=DKIM1; k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKY0+1dXpHZ+Wm1kKJbVXeqWEGwO8fZLMW0zJ9CVqO"
	    "m0tX9pNfAmd2mP9oX0bRkYQnS8Hn6l3lWqkX1m3d0tQFMCAwEAAQ==";
	struct dkim_keys keys = {.count = 1};
	keys.items[0] =
	    (struct dkim_key){.domain = "x.example", .selector = "s", .status = DKIM_KEY_FOUND, .text = SLICE_LITERAL(key)};
	struct inspect_reply reply = {.signature_count = 0};
	struct slice bytes = {message + LEAD, sizeof message - 1 - LEAD};
	struct dkim_rules rules = {.key_bits_min = 0, .clock_drift = UINT32_MAX};
	dkim_verify_message(bytes, &keys, &rules, (uint64_t)time(NULL), arena, &reply);
	int files_fd;
	struct inspect_request nothing = {.named_count = 0};
	content_inspect(bytes, INSPECT_VIRUS | INSPECT_FILES | INSPECT_URLS, UINT32_MAX, settings,
	                tokens_open(arena, bytes, &nothing), arena, &reply, &files_fd);
	arena_reset(arena);
}

/* The message that is asked about: attached to the one that came; empty: there is none. */
static struct slice attached_message(const struct inspect_request *request, const struct pool_settings *settings,
                                     struct slice message, struct arena *arena, struct inspect_reply *reply_r)
{
	struct part_budget budget = {.bytes = settings->scan_size_max,
	                             .parts = settings->scan_files_max,
	                             .depth_max = settings->scan_recursion_max,
	                             .deadline = clock_now() + request->deadline_ms / 3 * CLOCK_NS_PER_MS};
	return attached_find(message, request->attached, &budget, arena, &reply_r->attached_count);
}

static void inspect(const struct inspect_request *request, const struct pool_settings *settings, struct slice message,
                    struct arena *arena, struct inspect_reply *reply_r, int *files_fd_r)
{
	uint64_t start = clock_now();
	*reply_r = (struct inspect_reply){.virus = INSPECT_VIRUS_NOT_ASKED, .database = clamav_database()};
	if ((request->tasks & INSPECT_DKIM) != 0) {
		dkim_verify_message(message, request->keys, &request->dkim, request->now, arena, reply_r);
		reply_r->dkim_us = (uint32_t)((clock_now() - start) / 1000);
	}
	start = clock_now();
	if ((request->tasks & (INSPECT_ARC | INSPECT_BODY)) != 0) {
		arc_inspect_message(request, message, arena, reply_r);
		reply_r->arc_us = (uint32_t)((clock_now() - start) / 1000);
	}
	start = clock_now();
	unsigned tasks = request->tasks & (INSPECT_VIRUS | INSPECT_FILES | INSPECT_URLS | INSPECT_EXPORT);
	bool wanted = (request->tasks & INSPECT_TOKENS) != 0;
	if (wanted && request->attached > 0) {
		message = attached_message(request, settings, message, arena, reply_r);
		wanted = message.len > 0;
		tasks = 0;
	}
	struct tokens *tokens = !wanted ? NULL : tokens_open(arena, message, request);
	if (tasks != 0 || tokens != NULL) {
		content_inspect(message, tasks, request->deadline_ms, settings, tokens, arena, reply_r, files_fd_r);
		reply_r->virus_us = (uint32_t)((clock_now() - start) / 1000);
	}
	if (tokens != NULL) {
		tokens_close(tokens, reply_r);
	}
}

/* The message behind a page that ends with CLAMAV_LEAD: both in one piece, and nothing copied. NULL: no memory. */
static char *map_open(int fd, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *base = mmap(NULL, page + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED) {
		return NULL;
	}
	memcpy(base + page - LEAD, CLAMAV_LEAD, LEAD);
	if (size > 0 && mmap(base + page, size, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED) {
		munmap(base, page + size);
		return NULL;
	}
	return base + page;
}

static void map_close(char *message, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	munmap(message - page, page + size);
}

/* One request, one answer. False: the other end is gone, or the request makes no sense. */
static bool serve(int socket, const struct pool_settings *settings, char *packet, struct arena *arena, size_t *size_r)
{
	struct inspect_request request;
	struct inspect_reply reply;
	int fd = -1;
	ssize_t n = wire_receive(socket, packet, &fd);
	if (n <= 0 || fd < 0 || !wire_get_request((struct slice){packet, (size_t)n}, arena, &request)) {
		return false;
	}
	size_t size = (size_t)request.message_size;
	char *message = map_open(fd, size);
	close(fd);
	if (message == NULL) {
		return false;
	}
	int files_fd = -1;
	inspect(&request, settings, (struct slice){message, size}, arena, &reply, &files_fd);
	size_t length = wire_put_reply(&reply, packet);
	map_close(message, size);
	*size_r = size;
	bool sent = length > 0 && wire_send(socket, packet, length, files_fd);
	if (files_fd >= 0) {
		close(files_fd);
	}
	return sent;
}

static bool say_ready(int socket, char *packet)
{
	struct wire_note ready = {.kind = WIRE_READY, .text = sandbox_text()};
	return wire_send(socket, packet, wire_put_note(&ready, packet), -1);
}

static uint64_t cpu_seconds(void)
{
	struct timespec used;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec;
}

/* Until the worker should be replaced. A request that comes too late for it is not read, and goes to another. */
static void serve_all(int socket, const struct pool_settings *settings, char *packet, struct arena *arena)
{
	size_t size = 0;
	while (size <= LARGE_MESSAGE && cpu_seconds() < SANDBOX_CPU_SECONDS / 2 &&
	       serve(socket, settings, packet, arena, &size)) {
		arena_reset(arena);
	}
}

void worker_run(int socket, const char *directory, const struct pool_settings *settings)
{
	struct arena *arena = arena_create(ARENA_CHUNK);
	char *packet = malloc(WIRE_PACKET_MAX);
	struct sandbox_settings sandbox = {.directory = directory, .memory_max = settings->memory_max,
	                                   /* What libclamav unpacks is bounded by its limits; one file may be under way. */
	                                   .disk_max = settings->scan_size_max + settings->file_size_max,
	                                   .files_max = settings->scan_files_max + OWN_FILES};
	if (packet == NULL || !clamav_set_tmp_dir(directory)) {
		_exit(WORKER_UNFIT);
	}
	warm_up(settings, arena);
	if (!sandbox_enter(&sandbox) || !clamav_set_tmp_dir(sandbox_directory())) {
		_exit(WORKER_UNFIT);
	}
	if (say_ready(socket, packet)) {
		serve_all(socket, settings, packet, arena);
	}
	_exit(0);
}
