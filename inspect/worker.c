#include "inspect/worker.h"

#include "inspect/clamav.h"
#include "inspect/dkim_verify.h"
#include "inspect/sandbox.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/inspect/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	ARENA_CHUNK = 65536,
	LARGE_MESSAGE = 16 << 20, /* bytes: a worker that scanned one keeps much memory; a fresh one takes its place */
};

/* libclamav and libcrypto open files at their first use (openssl.cnf, gconv, localtime): now, while they can. */
static void warm_up(struct arena *arena)
{
	static const char message[] =
		"DKIM-Signature: v=1; a=rsa-sha256; d=x.example; s=s; h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n"
		"\tb=AAAA\r\nFrom: a@x.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
		"--b\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n<html><p>x</p></html>\r\n"
		"--b\r\nContent-Transfer-Encoding: base64\r\n\r\nUEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==\r\n--b--\r\n";
	static const char key[] = "v=DKIM1; k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKY0+1dXpHZ+Wm1kKJbVXeqWEGwO8fZLMW0zJ9CVqO"
							  "m0tX9pNfAmd2mP9oX0bRkYQnS8Hn6l3lWqkX1m3d0tQFMCAwEAAQ==";
	struct dkim_keys keys = {.count = 1};
	keys.items[0] = (struct dkim_key){
		.domain = "x.example", .selector = "s", .status = DKIM_KEY_FOUND, .text = SLICE_LITERAL(key)};
	struct inspect_reply reply = {.signature_count = 0};
	struct slice bytes = SLICE_LITERAL(message);
	dkim_verify_message(bytes, &keys, (uint64_t)time(NULL), arena, &reply);
	clamav_scan(bytes.data, bytes.len, arena, &reply);
	arena_reset(arena);
}

static void inspect(const struct inspect_request *request, struct slice message, struct arena *arena,
                    struct inspect_reply *reply_r)
{
	uint64_t start = clock_now();
	*reply_r = (struct inspect_reply){.virus = INSPECT_VIRUS_NOT_SCANNED,
	                                  .signatures_loaded = clamav_signatures(),
	                                  .official_database = clamav_official()};
	if ((request->tasks & INSPECT_DKIM) != 0) {
		dkim_verify_message(message, request->keys, request->now, arena, reply_r);
		reply_r->dkim_us = (uint32_t)((clock_now() - start) / 1000);
	}
	start = clock_now();
	if ((request->tasks & INSPECT_VIRUS) != 0) {
		clamav_scan(message.data, message.len, arena, reply_r);
		reply_r->virus_us = (uint32_t)((clock_now() - start) / 1000);
	}
}

/* One request, one answer. False: the other end is gone, or the request makes no sense. */
static bool serve(int socket, char *packet, struct arena *arena, size_t *size_r)
{
	struct inspect_request request;
	struct inspect_reply reply;
	int fd = -1;
	ssize_t n = wire_receive(socket, packet, &fd);
	if (n <= 0 || fd < 0 || !wire_get_request((struct slice){packet, (size_t)n}, arena, &request)) {
		return false;
	}
	struct slice message = {"", (size_t)request.message_size};
	void *map = MAP_FAILED;
	if (message.len > 0) {
		map = mmap(NULL, message.len, PROT_READ, MAP_PRIVATE, fd, 0);
		if (map == MAP_FAILED) {
			return false;
		}
		message.data = map;
	}
	close(fd);
	inspect(&request, message, arena, &reply);
	size_t length = wire_put_reply(&reply, packet);
	if (map != MAP_FAILED) {
		munmap(map, message.len);
	}
	*size_r = message.len;
	return length > 0 && wire_send(socket, packet, length, -1);
}

static bool say_ready(int socket, char *packet)
{
	struct wire_note ready = {.kind = WIRE_READY, .text = sandbox_text()};
	return wire_send(socket, packet, wire_put_note(&ready, packet), -1);
}

void worker_run(int socket, const char *directory, const struct pool_settings *settings)
{
	struct arena *arena = arena_create(ARENA_CHUNK);
	char *packet = malloc(WIRE_PACKET_MAX);
	struct sandbox_settings sandbox = {.directory = directory, .memory_max = settings->memory_max};
	size_t size = 0;
	if (packet == NULL || !clamav_set_tmp_dir(directory) || chdir(directory) != 0) {
		log_error("content worker: cannot use %s", directory);
		_exit(1);
	}
	warm_up(arena);
	if (!sandbox_enter(&sandbox)) {
		log_error("content worker: the sandbox cannot be entered");
		_exit(1);
	}
	if (say_ready(socket, packet)) {
		while (serve(socket, packet, arena, &size) && size <= LARGE_MESSAGE) {
			arena_reset(arena);
		}
	}
	_exit(0);
}
