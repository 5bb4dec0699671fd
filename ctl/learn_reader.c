/* The process that reads files and mailboxes for `mailreeve learn`. */
#include "ctl/learn.h"
#include "lib/mail/mbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIECE = 65536, NAME_MAX_BYTES = 300, DEPTH_MAX = 32 };

struct learn_reader {
	pid_t pid;
	int fd;
};

/* In front of each: then name and content. */
struct frame {
	uint32_t kind; /* enum learn_next */
	uint32_t name_size;
	uint64_t size;
};

/* ---- in the process ---- */

struct source {
	int out;
	uint64_t message_max;
	const char *name; /* of the file */
	bool mailbox;
	unsigned long long count; /* of its messages */
};

static void put(int fd, const void *data, size_t n)
{
	const char *at = data;
	while (n > 0) {
		ssize_t done = write(fd, at, n);
		if (done < 0 && errno != EINTR) {
			_exit(EXIT_FAILURE);
		}
		at += done > 0 ? done : 0;
		n -= done > 0 ? (size_t)done : 0;
	}
}

static void put_frame(const struct source *source, enum learn_next kind, struct slice content)
{
	struct arena *arena = arena_create(4096);
	const char *name = text_escape(arena, slice_from(source->name), "", true, NAME_MAX_BYTES);
	if (source->mailbox) {
		name = arena_printf(arena, "%s, message %llu", name, source->count);
	}
	struct frame frame = {.kind = kind, .name_size = (uint32_t)strlen(name), .size = content.len};
	put(source->out, &frame, sizeof frame);
	put(source->out, name, frame.name_size);
	put(source->out, content.data, content.len);
	arena_destroy(arena);
}

static void put_problem(const struct source *source, const char *why)
{
	put_frame(source, LEARN_PROBLEM, slice_from(why));
}

static void on_message(void *context, struct slice message, struct slice from_line)
{
	struct source *source = context;
	source->mailbox = from_line.len > 0;
	source->count++;
	if (message.data == NULL) {
		put_problem(source, "it is larger than learn.message_max");
	} else {
		put_frame(source, LEARN_MESSAGE, message);
	}
}

static void read_fd(struct source *source, int fd)
{
	static char piece[PIECE];
	struct mbox *mbox = mbox_open((size_t)source->message_max, on_message, source);
	ssize_t n;
	while ((n = read(fd, piece, sizeof piece)) > 0 || (n < 0 && errno == EINTR)) {
		mbox_feed(mbox, piece, n > 0 ? (size_t)n : 0);
	}
	int error = errno;
	mbox_close(mbox);
	if (n < 0) {
		put_problem(source, strerror(error));
	} else if (source->count == 0) {
		put_problem(source, "it is empty");
	}
}

static void read_path(struct source *template, int at, const char *entry, const char *name, unsigned depth);

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a folder, sorted. */
static char **names_of(DIR *folder, struct arena *arena, size_t *count_r)
{
	char **names = NULL;
	size_t capacity = 0;
	const struct dirent *entry;
	*count_r = 0;
	while ((entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] != '.') {
			names = arena_grow(arena, names, sizeof *names, *count_r, &capacity);
			names[(*count_r)++] = arena_strdup(arena, entry->d_name);
		}
	}
	if (*count_r > 0) {
		qsort(names, *count_r, sizeof *names, compare_names);
	}
	return names;
}

/* Of a maildir what is in cur and new; of another folder everything, however deep, but names that begin with a dot. */
static void read_folder(struct source *template, int fd, const char *name, unsigned depth)
{
	DIR *folder = fdopendir(fd);
	struct arena *arena = arena_create(65536);
	bool maildir = faccessat(fd, "cur", F_OK, 0) == 0 && faccessat(fd, "new", F_OK, 0) == 0;
	size_t count;
	if (folder == NULL || depth == DEPTH_MAX) {
		put_problem(template, folder == NULL ? strerror(errno) : "folders are too deep in each other");
		arena_destroy(arena);
		return;
	}
	char **names = names_of(folder, arena, &count);
	for (size_t i = 0; i < count; i++) {
		if (!maildir || strcmp(names[i], "cur") == 0 || strcmp(names[i], "new") == 0) {
			read_path(template, fd, names[i], arena_printf(arena, "%s/%s", name, names[i]), depth + 1);
		}
	}
	arena_destroy(arena);
	closedir(folder);
}

/* Links are followed where they are named, not where they are found. What is no file is not waited for. */
static void read_path(struct source *template, int at, const char *entry, const char *name, unsigned depth)
{
	struct source source = {.out = template->out, .message_max = template->message_max, .name = name};
	int fd = openat(at, entry, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (depth > 0 ? O_NOFOLLOW : 0));
	struct stat status;
	if (fd < 0 && errno == ELOOP && depth > 0) {
		return;
	}
	if (fd < 0 || fstat(fd, &status) != 0) {
		put_problem(&source, strerror(errno));
		return;
	}
	if (S_ISDIR(status.st_mode)) {
		read_folder(&source, fd, name, depth);
		return;
	}
	if (S_ISREG(status.st_mode)) {
		read_fd(&source, fd);
	} else if (depth == 0) {
		put_problem(&source, "it is no file and no folder");
	}
	close(fd);
}

static void read_all(const struct learn_command *command, int out)
{
	struct source source = {.out = out, .message_max = command->message_max};
	for (char **word = command->words; *word != NULL; word++) {
		if (strcmp(*word, "-") == 0) {
			struct source input = {.out = out, .message_max = command->message_max, .name = "standard input"};
			read_fd(&input, STDIN_FILENO);
		} else {
			read_path(&source, AT_FDCWD, *word, *word, 0);
		}
	}
	source.name = "";
	put_frame(&source, LEARN_END, (struct slice){NULL, 0});
}

/* ---- in the command ---- */

struct learn_reader *learn_reader_start(const struct learn_command *command)
{
	int ends[2];
	struct learn_reader *reader = calloc(1, sizeof *reader);
	if (reader == NULL) {
		abort();
	}
	fflush(NULL);
	reader->pid = pipe2(ends, O_CLOEXEC) == 0 ? fork() : -1;
	if (reader->pid < 0) {
		learn_refuse("no process can be started: %s", strerror(errno));
		free(reader);
		return NULL;
	}
	if (reader->pid == 0) {
		close(ends[0]);
		signal(SIGPIPE, SIG_DFL);
		read_all(command, ends[1]);
		_exit(EXIT_SUCCESS);
	}
	close(ends[1]);
	reader->fd = ends[0];
	return reader;
}

static bool get(int fd, void *data, size_t n)
{
	char *at = data;
	while (n > 0) {
		ssize_t done = read(fd, at, n);
		if (done == 0 || (done < 0 && errno != EINTR)) {
			return false;
		}
		at += done > 0 ? done : 0;
		n -= done > 0 ? (size_t)done : 0;
	}
	return true;
}

static char *get_bytes(struct learn_reader *reader, size_t n)
{
	char *bytes = malloc(n + 1);
	if (bytes == NULL || !get(reader->fd, bytes, n)) {
		free(bytes);
		return NULL;
	}
	bytes[n] = '\0';
	return bytes;
}

enum learn_next learn_reader_next(struct learn_reader *reader, char **name_r, struct slice *message_r)
{
	struct frame frame;
	*name_r = NULL;
	if (!get(reader->fd, &frame, sizeof frame) || frame.kind == LEARN_END) {
		return LEARN_END;
	}
	*name_r = get_bytes(reader, frame.name_size);
	char *content = *name_r == NULL ? NULL : get_bytes(reader, frame.size);
	if (content == NULL) {
		free(*name_r);
		*name_r = NULL;
		return LEARN_END;
	}
	*message_r = (struct slice){content, frame.size};
	return (enum learn_next)frame.kind;
}

bool learn_reader_close(struct learn_reader *reader)
{
	int status = 0;
	close(reader->fd);
	while (waitpid(reader->pid, &status, 0) < 0 && errno == EINTR) {
	}
	free(reader);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
