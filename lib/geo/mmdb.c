#include "lib/geo/mmdb.h"

#include "lib/base/io.h"
#include "lib/base/slice.h"

#include <errno.h>
#include <fcntl.h>
#include <maxminddb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { COPY_BYTES = 1 << 20 };

struct mmdb_library {
	MMDB_s handle;
};

/* ---- loading ---- */

static char *error_text(const char *text)
{
	char *copy = strdup(text);
	if (copy == NULL) {
		abort();
	}
	return copy;
}

static bool copy_all(int from, int to, off_t size)
{
	char *buffer = malloc(COPY_BYTES);
	off_t done = 0;
	ssize_t n = 1;
	while (buffer != NULL && done < size && (n = read(from, buffer, COPY_BYTES)) > 0 &&
	       io_write_all(to, buffer, (size_t)n)) {
		done += n;
	}
	free(buffer);
	if (n == 0) {
		errno = EBUSY; /* it has become shorter */
	}
	return done == size;
}

/* The library maps the file, and dies by SIGBUS when it is truncated: it gets a copy that nobody can change. -1 with
 * *error_r. */
static int copy_sealed(int file, const struct stat *status, char **error_r)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
	struct stat after;
	if (!S_ISREG(status->st_mode)) {
		*error_r = error_text("it is no regular file");
		return -1;
	}
	if (status->st_size > MMDB_CHECK_MAX) {
		*error_r = error_text("it is larger than 1 GB");
		return -1;
	}
	int copy = memfd_create("mmdb", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0 || !copy_all(file, copy, status->st_size) || fcntl(copy, F_ADD_SEALS, seals) != 0 ||
	    fstat(file, &after) != 0) {
		*error_r = error_text(strerror(errno));
	} else if (after.st_size != status->st_size || after.st_mtim.tv_sec != status->st_mtim.tv_sec ||
	           after.st_mtim.tv_nsec != status->st_mtim.tv_nsec) {
		*error_r = error_text("it changed while it was read");
	} else {
		return copy;
	}
	if (copy >= 0) {
		close(copy);
	}
	return -1;
}

static const char *check_copy(int copy, size_t size, struct mmdb_summary *summary_r)
{
	void *data = size == 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_SHARED, copy, 0);
	if (data == MAP_FAILED) {
		return size == 0 ? "it is empty" : "there is not enough memory for it";
	}
	const char *problem = mmdb_check(data, size, summary_r);
	munmap(data, size);
	return problem;
}

static struct mmdb *mmdb_open_copy(int copy, const struct mmdb_summary *summary, char **error_r)
{
	char path[64];
	struct mmdb *mmdb = calloc(1, sizeof *mmdb);
	if (mmdb == NULL || (mmdb->library = calloc(1, sizeof *mmdb->library)) == NULL) {
		abort();
	}
	snprintf(path, sizeof path, "/proc/self/fd/%d", copy);
	int error = MMDB_open(path, MMDB_MODE_MMAP, &mmdb->library->handle);
	if (error != MMDB_SUCCESS) {
		*error_r = error_text(MMDB_strerror(error));
		free(mmdb->library);
		free(mmdb);
		return NULL;
	}
	counted_init(&mmdb->counted);
	mmdb->summary = *summary;
	struct arena *arena = arena_create(256);
	snprintf(
	    mmdb->type, sizeof mmdb->type, "%s",
	    text_escape(arena, slice_from(mmdb->library->handle.metadata.database_type), "", false, sizeof mmdb->type - 1));
	arena_destroy(arena);
	return mmdb;
}

struct mmdb *mmdb_load(const char *path, struct stamp *stamp_r, char **error_r)
{
	struct stat status;
	struct mmdb_summary summary;
	struct mmdb *mmdb = NULL;
	*stamp_r = (struct stamp){.settled = false};
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file < 0 || fstat(file, &status) != 0) {
		*error_r = error_text(strerror(errno));
		if (file >= 0) {
			close(file);
		}
		return NULL;
	}
	*stamp_r = stamp_of(&status);
	int copy = copy_sealed(file, &status, error_r);
	close(file);
	if (copy >= 0) {
		const char *problem = check_copy(copy, (size_t)status.st_size, &summary);
		if (problem != NULL) {
			*error_r = error_text(problem);
		} else {
			mmdb = mmdb_open_copy(copy, &summary, error_r);
		}
		close(copy);
	}
	return mmdb;
}

void mmdb_release(struct mmdb *mmdb)
{
	if (mmdb != NULL && counted_release(&mmdb->counted)) {
		MMDB_close(&mmdb->library->handle);
		free(mmdb->library);
		free(mmdb);
	}
}

/* ---- looking up ---- */

/* The record of an address; false: there is none. IPv4 is looked up as such, wherever the tree has it. */
static bool find_record(const struct mmdb *mmdb, const struct ip *ip, MMDB_entry_s *entry_r)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	int error = MMDB_SUCCESS;
	MMDB_lookup_result_s result = {.found_entry = false};
	switch (ip->family) {
	case IP_V4:
		memcpy(&v4.sin_addr, ip->bytes, 4);
		result = MMDB_lookup_sockaddr(&mmdb->library->handle, (const struct sockaddr *)&v4, &error);
		break;
	case IP_V6:
		memcpy(&v6.sin6_addr, ip->bytes, 16);
		result = MMDB_lookup_sockaddr(&mmdb->library->handle, (const struct sockaddr *)&v6, &error);
		break;
	case IP_UNKNOWN:
		return false;
	}
	*entry_r = result.entry;
	return error == MMDB_SUCCESS && result.found_entry;
}

/* path: keys, NULL-ended. */
static bool find_member(MMDB_entry_s *entry, const char *const *path, MMDB_entry_data_s *data_r)
{
	return MMDB_aget_value(entry, data_r, path) == MMDB_SUCCESS && data_r->has_data;
}

static struct slice member_text(const MMDB_entry_data_s *data)
{
	return data->type == MMDB_DATA_TYPE_UTF8_STRING ? (struct slice){data->utf8_string, data->data_size}
	                                                : (struct slice){NULL, 0};
}

static bool take_country(struct slice text, struct geo_facts *facts)
{
	if (text.len != 2 || !ascii_is_alpha(text.data[0]) || !ascii_is_alpha(text.data[1])) {
		return false;
	}
	for (size_t i = 0; i < 2; i++) {
		facts->country[i] = (char)(text.data[i] & ~0x20);
	}
	return true;
}

void mmdb_country(const struct mmdb *mmdb, const struct ip *ip, struct geo_facts *facts)
{
	static const char *const paths[][3] = {{"country", "iso_code", NULL},
	                                       {"country_code", NULL},
	                                       {"country", NULL},
	                                       {"registered_country", "iso_code", NULL}};
	MMDB_entry_s entry;
	MMDB_entry_data_s data;
	if (!find_record(mmdb, ip, &entry)) {
		return;
	}
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		if (find_member(&entry, paths[i], &data) && take_country(member_text(&data), facts)) {
			return;
		}
	}
}

static uint32_t system_number(const MMDB_entry_data_s *data)
{
	struct slice text = member_text(data);
	unsigned long long number = 0;
	switch (data->type) {
	case MMDB_DATA_TYPE_UINT32:
		return data->uint32;
	case MMDB_DATA_TYPE_UINT16:
		return data->uint16;
	case MMDB_DATA_TYPE_UINT64:
		return data->uint64 <= UINT32_MAX ? (uint32_t)data->uint64 : 0;
	case MMDB_DATA_TYPE_INT32:
		return data->int32 > 0 ? (uint32_t)data->int32 : 0;
	default:
		break;
	}
	if (slice_starts_nocase(text, SLICE_LITERAL("AS"))) {
		text = (struct slice){text.data + 2, text.len - 2};
	}
	return slice_to_uint(text, UINT32_MAX, &number) ? (uint32_t)number : 0;
}

/* Cut between characters; what is no text of any kind is left out. */
static void take_name(struct slice text, char *name_r)
{
	size_t n = 0;
	while (text.len > 0) {
		char c = text.data[0];
		size_t length = (c & 0x80) != 0 ? text_utf8_length(text) : c >= ' ' && c != 0x7f;
		size_t step = length == 0 ? 1 : length;
		if (n + length >= GEO_NAME_SIZE) {
			break;
		}
		memcpy(name_r + n, text.data, length);
		n += length;
		text = (struct slice){text.data + step, text.len - step};
	}
	name_r[n] = '\0';
}

void mmdb_system(const struct mmdb *mmdb, const struct ip *ip, struct geo_facts *facts)
{
	static const char *const numbers[][3] = {{"autonomous_system_number", NULL},
	                                         {"traits", "autonomous_system_number", NULL},
	                                         {"asn", NULL},
	                                         {"traits", "asn", NULL}};
	static const char *const names[][3] = {{"autonomous_system_organization", NULL},
	                                       {"traits", "autonomous_system_organization", NULL},
	                                       {"as_name", NULL},
	                                       {"as_organization", NULL},
	                                       {"name", NULL},
	                                       {"org", NULL}};
	MMDB_entry_s entry;
	MMDB_entry_data_s data;
	if (!find_record(mmdb, ip, &entry)) {
		return;
	}
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers && facts->asn == 0; i++) {
		if (find_member(&entry, numbers[i], &data)) {
			facts->asn = system_number(&data);
		}
	}
	for (size_t i = 0; i < sizeof names / sizeof *names && facts->asn != 0 && facts->as_name[0] == '\0'; i++) {
		if (find_member(&entry, names[i], &data)) {
			take_name(member_text(&data), facts->as_name);
		}
	}
}
