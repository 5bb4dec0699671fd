/* The links of a text: whatever it is, hosts are domains in canonical form or addresses, each once. The first byte says
 * whether it is read as HTML. */
#include "inspect/html_text.h"
#include "inspect/urls.h"
#include "lib/base/ip.h"
#include "lib/mail/domain.h"
#include "t/fuzz/fuzz.h"

static void check_host(struct arena *arena, const char *host)
{
	struct ip ip;
	if (!ip_parse(host, &ip)) {
		const char *canonical = domain_canonical(arena, slice_from(host));
		require(canonical != NULL && strcmp(canonical, host) == 0 && domain_labels(host) >= 2);
	}
}

static void on_attribute(void *context, struct slice name, struct slice value)
{
	const struct slice *text = context;
	require(name.data >= text->data && name.data + name.len <= text->data + text->len && value.len <= text->len);
}

static void check_decode(struct slice text)
{
	char *buffer = malloc(text.len == 0 ? 1 : text.len);
	require(html_text_decode(text, buffer) <= text.len);
	html_text_attributes(text, buffer, text.len, on_attribute, &text);
	free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0) {
		return 0;
	}
	struct arena *arena = arena_create(4096);
	struct slice text = {(const char *)data + 1, size - 1};
	struct urls urls;
	urls_init(&urls, arena);
	urls_find(&urls, text, (data[0] & 1) != 0);
	require(urls.count <= INSPECT_HOSTS_MAX && urls.bytes <= INSPECT_HOSTS_BYTES);
	for (size_t i = 0; i < urls.count; i++) {
		check_host(arena, urls.hosts[i]);
		for (size_t k = 0; k < i; k++) {
			require(strcmp(urls.hosts[i], urls.hosts[k]) != 0);
		}
	}
	check_decode(text);
	const char *host = urls_host(arena, text);
	if (host != NULL) {
		check_host(arena, host);
	}
	arena_destroy(arena);
	return 0;
}
