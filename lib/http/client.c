#include "lib/http/client.h"

#include "lib/base/clock.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

struct answer {
	char *data;
	size_t size, max;
};

static size_t take(char *data, size_t one, size_t n, void *context)
{
	struct answer *answer = context;
	(void)one; /* is always 1 */
	if (n > answer->max - answer->size) {
		return 0;
	}
	char *more = realloc(answer->data, answer->size + n + 1);
	if (more == NULL) {
		return 0;
	}
	answer->data = more;
	memcpy(answer->data + answer->size, data, n);
	answer->size += n;
	return n;
}

static CURLcode perform(CURL *curl, const struct http_ask *ask, struct arena *arena, struct answer *answer)
{
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, ask->socket);
	curl_easy_setopt(curl, CURLOPT_URL, arena_printf(arena, "http://localhost%s", ask->path));
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(ask->timeout_ns / CLOCK_NS_PER_MS));
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	if (strcmp(ask->method, "GET") != 0) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, ask->body.len == 0 ? "" : ask->body.data);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->body.len);
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, ask->method);
	}
	struct curl_slist *fields = curl_slist_append(NULL, "Expect:");
	fields = curl_slist_append(fields, "Content-Type: application/octet-stream");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
	CURLcode result = curl_easy_perform(curl);
	curl_slist_free_all(fields);
	return result;
}

bool http_ask(const struct http_ask *ask, struct arena *arena, unsigned *status_r, struct slice *body_r, const char **error_r)
{
	struct answer answer = {.max = ask->answer_max};
	CURL *curl = curl_easy_init();
	if (curl == NULL) {
		*error_r = "libcurl cannot start";
		return false;
	}
	CURLcode result = perform(curl, ask, arena, &answer);
	long status = 0;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(curl);
	if (result == CURLE_OK) {
		*status_r = (unsigned)status;
		*body_r = (struct slice){arena_memdup(arena, answer.size == 0 ? "" : answer.data, answer.size), answer.size};
	} else {
		*error_r = arena_printf(arena, "%s: %s", ask->socket, curl_easy_strerror(result));
	}
	free(answer.data);
	return result == CURLE_OK;
}
