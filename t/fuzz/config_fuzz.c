/* Any bytes as a configuration file. What is taken is printed, and that must be taken and print the same. */
#include "lib/policy/config.h"
#include "t/config_sections.h"
#include "t/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct config *load(const void *data, size_t size, char **error_r)
{
	char path[40];
	int fd = memfd_create("config", MFD_CLOEXEC);
	require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	*error_r = NULL;
	struct config *config = config_load(path, test_sections, TEST_SECTIONS, error_r);
	close(fd);
	return config;
}

/* Without the first line, which names the file, and without the marks of defaults. */
static char *print(const struct config *config, size_t *size_r)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, size_r);
	config_print(config, out);
	fclose(out);
	char *mark;
	while ((mark = strstr(text, " # default")) != NULL) {
		memmove(mark, mark + 10, strlen(mark + 10) + 1);
	}
	memmove(text, strchr(text, '\n'), strlen(strchr(text, '\n')) + 1);
	*size_r = strlen(text);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *error;
	struct config *config = load(data, size, &error);
	if (config == NULL) {
		require(error != NULL && strncmp(error, "/proc/self/fd/", 14) == 0 && strlen(error) > 20);
		free(error);
		return 0;
	}
	require(error == NULL);
	size_t length;
	char *text = print(config, &length);
	config_release(config);
	struct config *again = load(text, length, &error);
	if (again == NULL) {
		fprintf(stderr, "%s\n%s\n", text, error);
	}
	require(again != NULL);
	char *text_again = print(again, &length);
	require(strcmp(text, text_again) == 0);
	config_release(again);
	free(text);
	free(text_again);
	return 0;
}
