#include "ctl/explain_run.h"

#include "ctl/command.h"
#include "ctl/explain.h"
#include "lib/pipeline/stage_dnsbl.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Reads fd to its end, but no more than max bytes. NULL with errno set on failure. */
static char *read_all(int fd, size_t max, size_t *size_r)
{
	size_t capacity = 65536;
	size_t n = 0;
	char *data = malloc(capacity);
	while (data != NULL && n < max) {
		if (n == capacity) {
			char *larger = realloc(data, capacity * 2);
			if (larger == NULL) {
				break;
			}
			data = larger;
			capacity *= 2;
		}
		ssize_t got = read(fd, data + n, capacity - n < max - n ? capacity - n : max - n);
		if (got == 0) {
			break;
		}
		if (got < 0 && errno != EINTR) {
			free(data);
			return NULL;
		}
		n += got > 0 ? (size_t)got : 0;
	}
	*size_r = n;
	return data;
}

static char *read_message(const char *file, size_t max, size_t *size_r)
{
	if (strcmp(file, "-") == 0) {
		return read_all(STDIN_FILENO, max, size_r);
	}
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return NULL;
	}
	char *data = read_all(fd, max, size_r);
	int saved = errno;
	close(fd);
	errno = saved;
	return data;
}

/* Without --from: the Return-Path that the MTA wrote at delivery, else the author. */
static const char *default_sender(struct arena *arena, struct slice bytes)
{
	struct headers headers = {.count = 0};
	struct header_limits limits = {.max_count = 1000, .max_bytes = 1 << 20};
	struct author author;
	headers_parse(&headers, arena, &limits, bytes);
	const struct header *path = headers_find(&headers, "Return-Path", 0);
	if (path != NULL) {
		return slice_dup(arena, header_unfold(arena, path->value));
	}
	author_find(arena, &headers, &author);
	return author.address.text == NULL ? "" : author.address.text;
}

/* An address with UTF-8 is only ever sent with SMTPUTF8 (RFC 6531 3.4). */
static void explain_address(struct session *session, const char *path)
{
	if (!slice_is_ascii(slice_from(path))) {
		session_smtputf8(session);
	}
}

static void explain_begin(const struct explain_options *options, struct session *session, const char *sender)
{
	const char *from = options->from == NULL ? sender : options->from;
	session_connect(session, options->client.family == IP_UNKNOWN ? NULL : &options->client, options->ptr, NULL);
	session_tls(session, &options->tls);
	session_helo(session, options->helo == NULL ? "" : options->helo);
	session_mail(session, from, options->auth, NULL, options->now);
	explain_address(session, from);
	for (size_t i = 0; i < options->rcpt_count; i++) {
		explain_address(session, options->rcpt[i]);
		session_rcpt(session, options->rcpt[i]);
	}
}

static void explain_show(const struct explain_options *options, struct session *session, const char *file)
{
	if (options->object_r != NULL) {
		*options->object_r = explain_object(session, file);
	} else if (options->json) {
		explain_json(session, file, stdout);
	} else {
		explain_table(session, file, stdout);
	}
	fflush(stdout);
}

void explain_bytes(const struct explain_options *options, struct engine *engine, const char *file, struct slice bytes)
{
	struct session *session = session_create(engine);
	struct arena *arena = arena_create(65536);
	explain_begin(options, session, default_sender(arena, bytes));
	session_load(session, bytes);
	session_end(session);
	explain_show(options, session, file);
	session_destroy(session);
	arena_destroy(arena);
}

/* One byte more than is taken, so that it is seen to be too large. */
static size_t read_max(struct engine *engine)
{
	struct session *session = session_create(engine);
	size_t max = session_globals(session)->message_max + 1;
	session_destroy(session);
	return max;
}

bool explain_file(const struct explain_options *options, struct engine *engine, const char *file)
{
	size_t size;
	char *data = read_message(file, read_max(engine), &size);
	if (data == NULL) {
		fprintf(stderr, "mailreeve explain: %s: %s\n", file, strerror(errno));
		return false;
	}
	explain_bytes(options, engine, file, (struct slice){data, size});
	free(data);
	return true;
}

void explain_envelope(const struct explain_options *options, struct engine *engine)
{
	struct session *session = session_create(engine);
	explain_begin(options, session, "");
	session_end_envelope(session);
	explain_show(options, session, NULL);
	session_destroy(session);
}

struct engine *explain_open(const struct explain_options *options)
{
	size_t count;
	const struct section *const *sections = stages_sections(&count);
	const char *path = options->config != NULL ? options->config : command_default_config();
	char *error = NULL;
	struct engine *engine = NULL;
	struct config *config = config_load(path, sections, count, &error);
	if (config != NULL) {
		struct arena *arena = arena_create(4096);
		const struct dnsbl_settings *dnsbl = config_settings(config, stages_section(&stage_dnsbl));
		const char *dns_text = options->dns_text == NULL ? NULL : dnsbl_unhide(arena, &dnsbl->lists, options->dns_text);
		engine =
		    engine_open(config, &(struct engine_options){.dns_zone = options->dns_zone, .dns_text = dns_text}, &error);
		arena_destroy(arena);
		config_release(config);
	}
	if (engine == NULL) {
		fprintf(stderr, "mailreeve explain: %s\n", error);
		free(error);
	}
	return engine;
}
