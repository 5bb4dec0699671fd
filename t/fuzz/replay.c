/* main() of a fuzz harness in `make check`: runs it on every file of its corpus, t/fuzz/corpus/NAME, as TAP. */
#include "t/fuzz/fuzz.h"
#include "t/tap.h"

#include <dirent.h>
#include <sys/stat.h>

/* In memory of exactly its size, so that ASan sees a read behind its end. */
static void replay(const char *path, const char *name)
{
	struct stat st;
	FILE *file = fopen(path, "rb");
	if (file == NULL || fstat(fileno(file), &st) != 0) {
		ok(false, "%s cannot be read", name);
		return;
	}
	size_t size = (size_t)st.st_size;
	uint8_t *data = malloc(size);
	bool whole = fread(data, 1, size, file) == size;
	fclose(file);
	ok(whole && LLVMFuzzerTestOneInput(data, size) == 0, "%s", name);
	free(data);
}

static int is_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	char path[4096];
	(void)argc;
	const char *slash = strrchr(argv[0], '/');
	const char *name = slash == NULL ? argv[0] : slash + 1;
	const char *end = strstr(name, "_fuzz");
	const char *source = getenv("MAILREEVE_SOURCE");
	int length = end == NULL ? (int)strlen(name) : (int)(end - name);
	snprintf(path, sizeof path, "%s/t/fuzz/corpus/%.*s", source == NULL ? "." : source, length, name);
	struct dirent **entries;
	int count = scandir(path, &entries, is_file, alphasort);
	if (count <= 0) {
		printf("Bail out! no corpus in %s\n", path);
		return 1;
	}
	for (int i = 0; i < count; i++) {
		char file[8192];
		snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
		replay(file, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return done_testing();
}
