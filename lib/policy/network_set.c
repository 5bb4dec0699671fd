#include "lib/policy/network_set.h"

#include "lib/base/slice.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { LINE_SIZE = 1024 };

static const char file_prefix[] = "file:";
static const char network_expected[] =
    "a network such as 192.0.2.0/24 or 2001:db8::/32 (no bits set behind the prefix), or file:PATH";

static bool list_append(struct network_list *list, struct arena *arena, const struct ip_network *network)
{
	if (list->count == NETWORK_LIST_MAX) {
		return false;
	}
	list->items = arena_grow(arena, list->items, sizeof *list->items, list->count, &list->capacity);
	list->items[list->count++] = *network;
	return true;
}

static const char *at_line(struct arena *arena, const char *path, unsigned line, const char *text)
{
	const char *safe = text_escape(arena, slice_from(text), "", true, 100);
	return arena_printf(arena, "%s:%u to be a network such as 192.0.2.0/24 or 2001:db8::/32, not \"%s\"", path, line,
	                    safe);
}

/* The text of a line without its comment and blanks; "" where nothing is left. */
static char *line_text(char *line)
{
	line[strcspn(line, "#\r\n")] = '\0';
	size_t n = strlen(line);
	while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t')) {
		line[--n] = '\0';
	}
	return line + strspn(line, " \t");
}

static const char *read_lines(struct network_list *list, struct arena *arena, const char *path, FILE *file)
{
	char buffer[LINE_SIZE];
	struct ip_network network;
	for (unsigned line = 1; fgets(buffer, sizeof buffer, file) != NULL; line++) {
		bool whole = strchr(buffer, '\n') != NULL || feof(file);
		const char *text = line_text(buffer);
		if (!whole) {
			/* Only a comment may be as long as that. */
			for (int c = fgetc(file); c != EOF && c != '\n'; c = fgetc(file)) {
			}
		}
		if (text[0] == '\0') {
			continue;
		}
		if (!ip_network_parse(text, &network) || network.prefix == 0) {
			return at_line(arena, path, line, text);
		}
		if (!list_append(list, arena, &network)) {
			return arena_printf(arena, "at most %d networks; %s has more", NETWORK_LIST_MAX, path);
		}
	}
	return ferror(file) ? arena_printf(arena, "a file that can be read: %s: %s", path, strerror(errno)) : NULL;
}

/* NULL, or what was expected. */
static const char *read_file(struct network_list *list, struct arena *arena, const char *path)
{
	struct stat st;
	if (path[0] != '/') {
		return "an absolute path behind file:";
	}
	FILE *file = fopen(path, "re");
	if (file == NULL || fstat(fileno(file), &st) != 0) {
		const char *problem = arena_printf(arena, "a file that can be read: %s: %s", path, strerror(errno));
		if (file != NULL) {
			fclose(file);
		}
		return problem;
	}
	const char *expected = !S_ISREG(st.st_mode) || st.st_size > NETWORK_FILE_MAX
	                           ? arena_printf(arena, "a plain file of at most 16 MiB; %s is not", path)
	                           : read_lines(list, arena, path, file);
	fclose(file);
	return expected;
}

bool network_list_add(struct network_list *list, struct arena *arena, const char *text, const char **expected_r)
{
	struct ip_network network;
	if (strncmp(text, file_prefix, strlen(file_prefix)) == 0) {
		*expected_r = read_file(list, arena, text + strlen(file_prefix));
		return *expected_r == NULL;
	}
	*expected_r = network_expected;
	return ip_network_parse(text, &network) && network.prefix > 0 && list_append(list, arena, &network);
}

bool network_list_join(struct network_list *list, struct arena *arena, const struct network_list *more)
{
	for (size_t i = 0; i < more->count; i++) {
		if (!list_append(list, arena, &more->items[i])) {
			return false;
		}
	}
	return true;
}

/* By address, then the wider one first, so that what it holds follows it. */
static int network_compare(const void *a, const void *b)
{
	const struct ip_network *x = a;
	const struct ip_network *y = b;
	if (x->address.family != y->address.family) {
		return x->address.family < y->address.family ? -1 : 1;
	}
	int order = memcmp(x->address.bytes, y->address.bytes, sizeof x->address.bytes);
	return order != 0 ? order : (x->prefix > y->prefix) - (x->prefix < y->prefix);
}

void network_set_make(const struct network_list *list, struct arena *arena, struct network_set *set_r)
{
	struct ip_network *items = arena_alloc(arena, list->count * sizeof *items);
	size_t n = 0;
	if (list->count > 0) {
		memcpy(items, list->items, list->count * sizeof *items);
		qsort(items, list->count, sizeof *items, network_compare);
	}
	for (size_t i = 0; i < list->count; i++) {
		if (n == 0 || !ip_network_contains(&items[n - 1], &items[i].address)) {
			items[n++] = items[i];
		}
	}
	*set_r = (struct network_set){n, items};
}

bool network_set_contains(const struct network_set *set, const struct ip *address)
{
	struct ip_network wanted = {.address = *address, .prefix = 129};
	size_t low = 0;
	size_t high = set->count;
	/* The last that does not begin behind the address: none but it can hold it. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (network_compare(&set->items[middle], &wanted) <= 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low > 0 && ip_network_contains(&set->items[low - 1], address);
}
