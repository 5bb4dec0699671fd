/* The policy of MTA-STS over HTTPS (RFC 8461 3.3): from the addresses that the audit has looked up, the certificate
 * verified, without redirection, proxies or more than 64 KB. */
#include "lib/audit/audit_contact.h"

#include <curl/curl.h>

enum { PROBLEM_MAX = 200 };

struct fetch {
	struct strbuf body;
	bool too_long;
};

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
	struct fetch *fetch = context;
	if (size * count > AUDIT_POLICY_MAX - fetch->body.len) {
		fetch->too_long = true;
		return 0; /* ends the transfer */
	}
	strbuf_add(&fetch->body, data, size * count);
	return size * count;
}

/* "HOST:PORT:ADDRESS,ADDRESS"; NULL: there is none that may be asked. */
static struct curl_slist *addresses(const struct audit *audit, const char *host, const struct audit_contact_settings *settings,
                                    struct arena *arena)
{
	struct strbuf text;
	size_t count = 0;
	strbuf_init(&text, arena);
	strbuf_printf(&text, "%s:%u:", host, settings->https_port);
	for (size_t i = 0; i < audit->policy_address_count; i++) {
		char address[IP_TEXT_SIZE];
		if (!ip_is_private(&audit->policy_addresses[i]) || settings->private_allowed) {
			ip_format(&audit->policy_addresses[i], address);
			bool six = audit->policy_addresses[i].family == IP_V6;
			strbuf_printf(&text, "%s%s%s%s", count++ == 0 ? "" : ",", six ? "[" : "", address, six ? "]" : "");
		}
	}
	return count == 0 ? NULL : curl_slist_append(NULL, text.data);
}

static void set_options(CURL *curl, const struct audit_contact_settings *settings, struct fetch *fetch)
{
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)AUDIT_CONTACT_HOST_S);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, fetch);
	if (settings->ca_file != NULL) {
		curl_easy_setopt(curl, CURLOPT_CAINFO, settings->ca_file);
	}
}

static void read_result(CURL *curl, CURLcode code, struct fetch *fetch, struct arena *arena, struct audit_contact *contact)
{
	char *type = NULL;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &contact->policy_status);
	curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
	contact->policy_problem = text_escape(arena, slice_from(curl_easy_strerror(code)), "", false, PROBLEM_MAX);
	if (fetch->too_long) {
		contact->policy_state = AUDIT_POLICY_TOO_LONG;
	} else if (code == CURLE_PEER_FAILED_VERIFICATION) {
		contact->policy_state = AUDIT_POLICY_CERTIFICATE;
	} else if (code != CURLE_OK) {
		contact->policy_state = AUDIT_POLICY_UNREACHABLE;
	} else if (contact->policy_status != 200) {
		contact->policy_state = AUDIT_POLICY_STATUS;
	} else {
		contact->policy_state = AUDIT_POLICY_FETCHED;
		contact->policy = (struct slice){fetch->body.data, fetch->body.len};
		contact->policy_is_text = type != NULL && slice_starts_nocase(slice_from(type), SLICE_LITERAL("text/plain"));
	}
}

void audit_policy_fetch(const struct audit *audit, const struct audit_contact_settings *settings, struct arena *arena,
                        struct audit_contact *contact)
{
	const char *host = arena_printf(arena, "mta-sts.%s", audit->domain);
	struct curl_slist *resolved = addresses(audit, host, settings, arena);
	struct fetch fetch = {.too_long = false};
	CURL *curl = resolved == NULL ? NULL : curl_easy_init();
	strbuf_init(&fetch.body, arena);
	if (curl != NULL) {
		const char *url = arena_printf(arena, "https://%s:%u/.well-known/mta-sts.txt", host, settings->https_port);
		set_options(curl, settings, &fetch);
		curl_easy_setopt(curl, CURLOPT_URL, url);
		curl_easy_setopt(curl, CURLOPT_RESOLVE, resolved);
		read_result(curl, curl_easy_perform(curl), &fetch, arena, contact);
	}
	curl_easy_cleanup(curl);
	curl_slist_free_all(resolved);
}
