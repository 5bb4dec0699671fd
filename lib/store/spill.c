#include "lib/store/spill.h"

#include "lib/base/io.h"
#include "lib/base/log.h"
#include "lib/store/batch_code.h"
#include "lib/store/driver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static const char magic[8] = {'M', 'R', 'S', 'P', 'I', 'L', 'L', '1'};
static const char prefix[] = "spill-";

enum {
	NEXT_MAX = 1000,        /* sequences that may lie between two records */
	LOOK_BEHIND = 16 << 20, /* bytes in which another record is looked for */
};

struct spill {
	char *path;
	char id[SPILL_ID_SIZE];
	int fd;        /* -1: not made yet */
	uint64_t done; /* offset behind the last record that was removed */
	uint64_t at;   /* offset of the next one to read */
	uint64_t end;  /* offset behind the last one */
	bool damaged;  /* it bears another name now: nothing is added any more */
};

/* ---- the format ---- */

static uint64_t get_number(const char *at, size_t n)
{
	uint64_t number = 0;
	for (size_t i = 0; i < n; i++) {
		number |= (uint64_t)(unsigned char)at[i] << (8 * i);
	}
	return number;
}

static void put_number(char *at, uint64_t number, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		at[i] = (char)(number >> (8 * i) & 0xff);
	}
}

static bool is_id(const char *text)
{
	return strspn(text, "0123456789abcdef") == SPILL_ID_SIZE - 1 && text[SPILL_ID_SIZE - 1] == '\0';
}

bool spill_parse_header(struct slice bytes, char *id_r)
{
	if (bytes.len < SPILL_HEADER_SIZE || memcmp(bytes.data, magic, sizeof magic) != 0) {
		return false;
	}
	memcpy(id_r, bytes.data + sizeof magic, SPILL_ID_SIZE - 1);
	id_r[SPILL_ID_SIZE - 1] = '\0';
	return is_id(id_r) && get_number(bytes.data + sizeof magic + SPILL_ID_SIZE - 1, 8) == 0;
}

static uint32_t record_crc(const char *sequence, struct slice batch)
{
	uLong crc = crc32(0, (const Bytef *)sequence, 8);
	return (uint32_t)crc32_z(crc, (const Bytef *)batch.data, batch.len);
}

enum spill_read spill_parse_record(struct slice *bytes, struct spill_record *record_r)
{
	if (bytes->len == 0) {
		return SPILL_END;
	}
	if (bytes->len < SPILL_RECORD_HEADER_SIZE) {
		return SPILL_CUT;
	}
	uint64_t length = get_number(bytes->data, 4);
	if (length > BATCH_BYTES_MAX) {
		return SPILL_DAMAGED;
	}
	if (length > bytes->len - SPILL_RECORD_HEADER_SIZE) {
		return SPILL_CUT;
	}
	record_r->sequence = get_number(bytes->data + 8, 8);
	record_r->batch = (struct slice){bytes->data + SPILL_RECORD_HEADER_SIZE, (size_t)length};
	if (record_crc(bytes->data + 8, record_r->batch) != get_number(bytes->data + 4, 4)) {
		return SPILL_DAMAGED;
	}
	bytes->data += SPILL_RECORD_HEADER_SIZE + length;
	bytes->len -= SPILL_RECORD_HEADER_SIZE + (size_t)length;
	return SPILL_RECORD;
}

bool spill_record_follows(struct slice bytes)
{
	uint64_t sequence = bytes.len < SPILL_RECORD_HEADER_SIZE ? 0 : get_number(bytes.data + 8, 8);
	for (size_t i = 1; i + SPILL_RECORD_HEADER_SIZE <= bytes.len; i++) {
		uint64_t next = get_number(bytes.data + i + 8, 8);
		uint64_t length = get_number(bytes.data + i, 4);
		if (next > sequence && next - sequence <= NEXT_MAX && length <= bytes.len - i - SPILL_RECORD_HEADER_SIZE) {
			return true;
		}
	}
	return false;
}

/* ---- the folder ---- */

bool spill_folder(const char *dir, char **error_r)
{
	if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
		return driver_fail(error_r, "store.spill_dir: %s: %s; make the folder above it for the daemon's user", dir,
		                   strerror(errno));
	}
	return access(dir, R_OK | W_OK | X_OK) == 0 ||
	       driver_fail(error_r, "store.spill_dir: %s: %s; it must belong to the daemon's user", dir, strerror(errno));
}

static struct spill *spill_alloc(const char *dir, const char *id)
{
	struct spill *spill = calloc(1, sizeof *spill);
	if (spill == NULL || asprintf(&spill->path, "%s/%s%s", dir, prefix, id) < 0) {
		abort();
	}
	memcpy(spill->id, id, SPILL_ID_SIZE);
	spill->fd = -1;
	spill->done = spill->at = spill->end = SPILL_HEADER_SIZE;
	return spill;
}

static void spill_free(struct spill *spill)
{
	if (spill->fd >= 0) {
		close(spill->fd);
	}
	free(spill->path);
	free(spill);
}

struct spill *spill_create(const char *dir, const char *id)
{
	return spill_alloc(dir, id);
}

/* Empty files are of processes that ended while they made one. */
static bool spill_take_up(struct spill *spill)
{
	char header[SPILL_HEADER_SIZE];
	char id[SPILL_ID_SIZE];
	struct stat status;
	spill->fd = open(spill->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	/* Locked by us, and still under its name. */
	if (spill->fd < 0 || flock(spill->fd, LOCK_EX | LOCK_NB) != 0 || fstat(spill->fd, &status) != 0 ||
	    !S_ISREG(status.st_mode) || status.st_nlink == 0) {
		return false;
	}
	if (status.st_size <= SPILL_HEADER_SIZE) {
		unlink(spill->path);
		return false;
	}
	if (pread(spill->fd, header, sizeof header, 0) != (ssize_t)sizeof header ||
	    !spill_parse_header((struct slice){header, sizeof header}, id) || strcmp(id, spill->id) != 0) {
		log_error("store: %s is no file of batches that wait: left alone", spill->path);
		return false;
	}
	spill->end = (uint64_t)status.st_size;
	return true;
}

struct spill *spill_adopt(const char *dir)
{
	DIR *folder = opendir(dir);
	struct spill *found = NULL;
	struct dirent *entry;
	while (folder != NULL && found == NULL && (entry = readdir(folder)) != NULL) {
		if (strncmp(entry->d_name, prefix, sizeof prefix - 1) != 0 ||
		    strlen(entry->d_name) != sizeof prefix - 1 + SPILL_ID_SIZE - 1 ||
		    !is_id(entry->d_name + sizeof prefix - 1)) {
			continue;
		}
		struct spill *spill = spill_alloc(dir, entry->d_name + sizeof prefix - 1);
		if (spill_take_up(spill)) {
			found = spill;
		} else {
			spill_free(spill);
		}
	}
	if (folder != NULL) {
		closedir(folder);
	}
	return found;
}

uint64_t spill_folder_size(const char *dir)
{
	uint64_t size = 0;
	DIR *folder = opendir(dir);
	struct dirent *entry;
	while (folder != NULL && (entry = readdir(folder)) != NULL) {
		struct stat status;
		if (strncmp(entry->d_name, prefix, sizeof prefix - 1) == 0 &&
		    fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode)) {
			size += (uint64_t)status.st_size;
		}
	}
	if (folder != NULL) {
		closedir(folder);
	}
	return size;
}

void spill_close(struct spill *spill)
{
	if (spill == NULL) {
		return;
	}
	if (spill->fd >= 0 && spill_size(spill) == 0 && !spill->damaged) {
		unlink(spill->path);
	}
	spill_free(spill);
}

const char *spill_id(const struct spill *spill)
{
	return spill->id;
}

uint64_t spill_size(const struct spill *spill)
{
	return spill->end - spill->done;
}

/* ---- writing ---- */

static bool spill_make(struct spill *spill)
{
	char header[SPILL_HEADER_SIZE] = {0};
	memcpy(header, magic, sizeof magic);
	memcpy(header + sizeof magic, spill->id, SPILL_ID_SIZE - 1);
	spill->fd = open(spill->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (spill->fd >= 0 && flock(spill->fd, LOCK_EX | LOCK_NB) == 0 && io_write_all(spill->fd, header, sizeof header)) {
		return true;
	}
	int saved = errno;
	if (spill->fd >= 0) {
		unlink(spill->path);
		close(spill->fd);
		spill->fd = -1;
	}
	errno = saved;
	return false;
}

bool spill_append(struct spill *spill, uint64_t sequence, struct slice batch)
{
	char header[SPILL_RECORD_HEADER_SIZE];
	if (spill->damaged) {
		errno = EIO;
		return false;
	}
	if (spill->fd < 0 && !spill_make(spill)) {
		return false;
	}
	put_number(header, batch.len, 4);
	put_number(header + 8, sequence, 8);
	put_number(header + 4, record_crc(header + 8, batch), 4);
	if (lseek(spill->fd, (off_t)spill->end, SEEK_SET) >= 0 && io_write_all(spill->fd, header, sizeof header) &&
	    io_write_all(spill->fd, batch.data, batch.len)) {
		spill->end += sizeof header + batch.len;
		return true;
	}
	int saved = errno;
	if (ftruncate(spill->fd, (off_t)spill->end) != 0) {
		log_error("store: %s: %s", spill->path, strerror(errno));
	}
	errno = saved;
	return false;
}

bool spill_sync(struct spill *spill)
{
	return spill->fd < 0 || fdatasync(spill->fd) == 0;
}

/* ---- reading ---- */

static bool read_at(int fd, char *data, size_t n, uint64_t offset)
{
	while (n > 0) {
		ssize_t got = pread(fd, data, n, (off_t)offset);
		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got <= 0) {
			return false;
		}
		data += got;
		offset += (uint64_t)got;
		n -= (size_t)got;
	}
	return true;
}

/* The file with what is damaged stays for a person; what was read of it before is not in it any more for us. */
static void spill_set_aside(struct spill *spill, const char *problem)
{
	char *aside;
	if (asprintf(&aside, "%s.damaged", spill->path) < 0) {
		abort();
	}
	log_error("store: %s is damaged at byte %llu (%s): %llu bytes of batches that waited are not written; the file is "
	          "kept as %s",
	          spill->path, (unsigned long long)spill->at, problem, (unsigned long long)(spill->end - spill->at), aside);
	if (rename(spill->path, aside) != 0) {
		log_error("store: %s: %s", aside, strerror(errno));
	}
	free(aside);
	spill->end = spill->at;
	spill->damaged = true;
}

/* A record that a crash cut off is the last one. Where others follow, it is its length that is damaged. */
static bool spill_is_cut(const struct spill *spill)
{
	uint64_t left = spill->end - spill->at;
	size_t n = left < LOOK_BEHIND ? (size_t)left : LOOK_BEHIND;
	char *data = malloc(n);
	if (data == NULL) {
		abort();
	}
	bool follows = read_at(spill->fd, data, n, spill->at) && spill_record_follows((struct slice){data, n});
	free(data);
	return !follows;
}

static enum spill_read spill_stop(struct spill *spill, enum spill_read why)
{
	if (why == SPILL_CUT && spill_is_cut(spill)) {
		log_warning("store: %s ends within a record, cut off by a crash", spill->path);
		spill->end = spill->at;
		return SPILL_END;
	}
	spill_set_aside(spill, why == SPILL_DAMAGED ? "bad checksum" : why == SPILL_CUT ? "bad length" : strerror(errno));
	return SPILL_END;
}

enum spill_read spill_next(struct spill *spill, uint64_t *sequence_r, struct slice *batch_r, char **data_r)
{
	char header[SPILL_RECORD_HEADER_SIZE];
	struct spill_record record;
	uint64_t left = spill->end - spill->at;
	if (left == 0) {
		return SPILL_END;
	}
	size_t n = left < sizeof header ? (size_t)left : sizeof header;
	if (!read_at(spill->fd, header, n, spill->at)) {
		return spill_stop(spill, SPILL_END);
	}
	uint64_t length = n < sizeof header ? 0 : get_number(header, 4);
	n += length <= BATCH_BYTES_MAX && length <= left - n ? (size_t)length : 0;
	char *data = malloc(n);
	if (data == NULL) {
		abort();
	}
	struct slice bytes = {data, n};
	enum spill_read result = read_at(spill->fd, data, n, spill->at) ? spill_parse_record(&bytes, &record) : SPILL_END;
	if (result != SPILL_RECORD) {
		free(data);
		return spill_stop(spill, result);
	}
	spill->at += n;
	*sequence_r = record.sequence;
	*batch_r = record.batch;
	*data_r = data;
	return SPILL_RECORD;
}

void spill_remove_read(struct spill *spill)
{
	spill->done = spill->at;
	if (spill->fd < 0 || spill->done < spill->end) {
		return;
	}
	if (spill->damaged) {
		close(spill->fd);
		spill->fd = -1;
		spill->damaged = false;
	} else if (ftruncate(spill->fd, SPILL_HEADER_SIZE) != 0) {
		return;
	}
	spill->done = spill->at = spill->end = SPILL_HEADER_SIZE;
}

void spill_rewind(struct spill *spill)
{
	spill->at = spill->done;
}
