#include "lib/base/window.h"

#include <stdlib.h>
#include <string.h>

struct window {
	size_t cells, slots;
	size_t next, used;
	uint64_t *times;
	uint64_t *values; /* slot by slot */
};

struct window *window_create(size_t cells, size_t slots)
{
	struct window *window = calloc(1, sizeof *window);
	if (window == NULL) {
		abort();
	}
	*window = (struct window){.cells = cells,
	                          .slots = slots,
	                          .times = calloc(slots, sizeof *window->times),
	                          .values = calloc(slots * cells, sizeof *window->values)};
	if (window->times == NULL || window->values == NULL) {
		abort();
	}
	return window;
}

void window_destroy(struct window *window)
{
	if (window != NULL) {
		free(window->times);
		free(window->values);
		free(window);
	}
}

void window_put(struct window *window, uint64_t now, const uint64_t *values)
{
	window->times[window->next] = now;
	memcpy(window->values + window->next * window->cells, values, window->cells * sizeof *values);
	window->next = (window->next + 1) % window->slots;
	window->used += window->used < window->slots;
}

uint64_t window_change(const struct window *window, uint64_t now, uint64_t span_ns, const uint64_t *values,
                       uint64_t *change_r)
{
	const uint64_t *then = NULL;
	uint64_t time = now;
	for (size_t i = 1; i <= window->used && (then == NULL || now - time < span_ns); i++) {
		size_t slot = (window->next + window->slots - i) % window->slots;
		time = window->times[slot];
		then = window->values + slot * window->cells;
	}
	for (size_t i = 0; i < window->cells; i++) {
		change_r[i] = values[i] - (then == NULL ? 0 : then[i]);
	}
	return now - time;
}
