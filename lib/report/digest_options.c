/* digest { }: its options. */
#include "lib/base/clock.h"
#include "lib/mail/domain.h"
#include "lib/report/digest.h"
#include "lib/report/local_time.h"
#include "lib/report/submit.h"
#include "lib/report/templates.h"

#include <stddef.h>

#define HOUR (3600 * CLOCK_NS_PER_S)

enum { LOCAL_PART_MAX = 64 };

static const struct option_word frequencies[] = {
    {"off", DIGEST_OFF}, {"daily", DIGEST_DAILY}, {"weekly", DIGEST_WEEKLY}, {NULL, 0}};
static const struct option_word trusts[] = {
    {"login", DIGEST_TRUST_LOGIN}, {"network", DIGEST_TRUST_NETWORK}, {"sender", DIGEST_TRUST_SENDER}, {NULL, 0}};

#define ROW(member, kind, default_text, least, most, help_text)                                                        \
	{                                                                                                                  \
		.name = #member, .type = (kind), .offset = offsetof(struct digest_settings, member),                           \
		.fallback = (default_text), .min = (least), .max = (most), .help = (help_text)                                 \
	}

const struct option_row digest_options[] = {
    ROW(from, OPTION_STRING, "", 0, 254,
        "address that reports to users come from, in a domain that we sign for; empty: none are made"),
    ROW(name, OPTION_STRING, "Mail gate", 0, 100, "what mail programs show as their sender"),
    {.name = "frequency",
     .type = OPTION_WORD,
     .offset = offsetof(struct digest_settings, frequency),
     .fallback = "off",
     .words = frequencies,
     .help =
         "how often a recipient gets one, unless he, or a domain or recipient block (digest = daily), says otherwise"},
    ROW(hour, OPTION_UINT, "7", 0, 23, "they are sent some minutes after that hour"),
    ROW(weekday, OPTION_UINT, "1", 1, 7, "reports of a week are sent on that day, 1 being Monday"),
    ROW(time_zone, OPTION_STRING, "", 0, 64,
        "of these hours and of the times in a report: Europe/Berlin; empty: the machine's"),
    ROW(language, OPTION_STRING, "en", 2, 16,
        "folder of templates, unless the user, or a block (digest_language), says otherwise"),
    ROW(templates, OPTION_STRING, MR_DATADIR "/templates", 1, 1000,
        "folder with a folder of templates for each language"),
    ROW(rejected, OPTION_BOOL, "yes", 0, 0, "what was rejected is told too"),
    ROW(tagged, OPTION_BOOL, "yes", 0, 0, "what was delivered with a mark is told too"),
    ROW(entries_max, OPTION_UINT, "50", 1, 1000, "messages in one report; of more the number is told"),
    ROW(link_lifetime, OPTION_DURATION, "14d", HOUR, 365 * 24 * HOUR,
        "links and reply addresses in a report are good that long"),
    ROW(reply_address, OPTION_STRING, "", 0, 254,
        "address whose mail the MTA takes, with details (reeve+x@...): replies to it are acted on; empty: no such "
        "links"),
    {.name = "reply_trust",
     .type = OPTION_WORD,
     .offset = offsetof(struct digest_settings, reply_trust),
     .fallback = "network",
     .words = trusts,
     .help = "whose outbound reply is the user's own: login, who has authenticated as him; network, also "
             "unauthenticated mail "
             "from own_networks in his name; sender, also any authenticated one in his name"},
    ROW(console_url, OPTION_STRING, "", 0, 300,
        "https://... of the console: links lead there instead; empty: there is none"),
    ROW(relay, OPTION_STRING, "smtp:127.0.0.1:25", 1, 300,
        "MTA that sends them, smtp:HOST:PORT or sendmail:/PATH; it must give them to us to be signed"),
    {.name = NULL},
};

static bool is_address(struct arena *arena, const char *text)
{
	struct address address;
	return address_parse_path(arena, text, &address) && address.local[0] != '\0' && address.domain[0] != '\0' &&
	       strcmp(address.text, text) == 0;
}

const char *digest_finish(void *settings, struct arena *arena)
{
	const struct digest_settings *digest = settings;
	struct submit_relay relay;
	const char *expected;
	size_t local = strcspn(digest->reply_address, "@");
	if (digest->from[0] != '\0' && !is_address(arena, digest->from)) {
		return "from: expected an address such as \"reports@example.org\"";
	}
	if (digest->reply_address[0] != '\0' && !is_address(arena, digest->reply_address)) {
		return "reply_address: expected an address such as \"reeve@example.org\"";
	}
	if (local + 1 + ACTION_TOKEN_MAX > LOCAL_PART_MAX && digest->reply_address[0] != '\0') {
		return arena_printf(arena, "reply_address: what stands before \"@\" is longer than %d bytes",
		                    LOCAL_PART_MAX - 1 - ACTION_TOKEN_MAX);
	}
	if (!local_time_zone_valid(digest->time_zone)) {
		return "time_zone: expected a zone of tzdata such as \"Europe/Berlin\", or \"UTC\"";
	}
	if (!templates_language_valid(digest->language)) {
		return "language: expected small letters such as \"en\"";
	}
	if (strncmp(digest->console_url, "https://", 8) != 0 && digest->console_url[0] != '\0') {
		return "console_url: expected https://...";
	}
	if (!submit_relay_parse(arena, digest->relay, &relay, &expected)) {
		return arena_printf(arena, "relay: expected %s", expected);
	}
	return NULL;
}
