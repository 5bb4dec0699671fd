/* config_sections: a small configuration for tests of the loader: top level, `dns`, and two stages. */
#ifndef MAILREEVE_T_CONFIG_SECTIONS_H
#define MAILREEVE_T_CONFIG_SECTIONS_H

#include "lib/policy/option.h"

struct test_top {
	const char *user;
	struct option_networks networks;
	uint64_t limit;
};
struct test_dns {
	const char *const *servers;
	uint64_t timeout;
	bool check;
};

static const struct option_row test_top_rows[] = {
    {"user", OPTION_STRING, offsetof(struct test_top, user), "reeve", 0, 64, NULL, "who", NULL, NULL, NULL},
    {"networks", OPTION_NETWORKS, offsetof(struct test_top, networks), "127.0.0.0/8, ::1", 0, 0, NULL, "whence", NULL, NULL, NULL},
    {"limit", OPTION_SIZE, offsetof(struct test_top, limit), "8M", 1024, 1 << 30, NULL, "how much", NULL, NULL, NULL},
    {.name = NULL},
};
static const struct option_row test_dns_rows[] = {
    {"servers", OPTION_STRINGS, offsetof(struct test_dns, servers), "", 0, 0, NULL, "whom", NULL, NULL, NULL},
    {"timeout", OPTION_DURATION, offsetof(struct test_dns, timeout), "10s", 100000000, 60000000000, NULL, "how long", NULL, NULL, NULL},
    {"check", OPTION_BOOL, offsetof(struct test_dns, check), "yes", 0, 0, NULL, "whether", NULL, NULL, NULL},
    {.name = NULL},
};
static const struct finding_code test_spf_codes[] = {
    {"spf.fail", {ACTION_REJECT, 0}, 0, "7.23", "SPF", "the record forbids it"},
    {"spf.none", {ACTION_IGNORE, 0}, 0, "7.23", "SPF", "there is none"},
    {.code = NULL},
};
static const struct finding_code test_virus_codes[] = {
    {"virus.found", {ACTION_REJECT, 0}, FINDING_ENFORCED, "7.0", "virus", "it is one"},
    {.code = NULL},
};
static const struct section test_top_section = {"", "Top.", test_top_rows, sizeof(struct test_top), NULL, MODE_OFF, false, NULL, NULL};
static const struct section test_dns_section = {"dns", "Names.", test_dns_rows, sizeof(struct test_dns),
                                                NULL,  MODE_OFF, false, NULL, NULL};
static const struct section test_spf_section = {"spf", "SPF.", NULL, 0, test_spf_codes, MODE_ENFORCE, false, NULL, NULL};
static const struct section test_virus_section = {"virus", "Viruses.", NULL, 0, test_virus_codes, MODE_OBSERVE, false, NULL, NULL};

enum { TEST_TOP, TEST_DNS, TEST_SPF, TEST_VIRUS, TEST_SECTIONS };
static const struct section *const test_sections[TEST_SECTIONS] = {&test_top_section, &test_dns_section,
                                                                   &test_spf_section, &test_virus_section};

#endif
