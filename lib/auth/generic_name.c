#include "lib/auth/generic_name.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	NAME_MAX_BYTES = 255,
	NUMBERS_MAX = 64,
	HEX_RUN = 16,     /* consecutive nibbles of an IPv6 address that cannot be there by chance */
	HEXTETS_RUN = 4,  /* or hextets, written without their zeros */
	HEXTETS_MAX = 64
};

/* What a word says about a name. */
enum kind { KIND_NONE, KIND_WEAK, KIND_STRONG, KIND_MAIL };

struct word {
	const char *text;
	enum kind kind;
};

/* Strong: access networks, by nothing else. Weak: beside numbers only. */
static const struct word words[] = {
	{"adsl", KIND_STRONG},       {"sdsl", KIND_WEAK},         {"xdsl", KIND_STRONG},       {"vdsl", KIND_STRONG},
	{"dsl", KIND_STRONG},        {"dslb", KIND_STRONG},       {"dyn", KIND_STRONG},        {"dynamic", KIND_STRONG},
	{"dynamicip", KIND_STRONG},  {"dynip", KIND_STRONG},      {"dynamik", KIND_STRONG},    {"dinamic", KIND_STRONG},
	{"dinamico", KIND_STRONG},   {"dynpool", KIND_STRONG},    {"dhcp", KIND_STRONG},       {"dialup", KIND_STRONG},
	{"dialin", KIND_STRONG},     {"dial", KIND_STRONG},       {"ppp", KIND_STRONG},        {"pppoe", KIND_STRONG},
	{"pppool", KIND_STRONG},     {"pool", KIND_STRONG},       {"pools", KIND_STRONG},      {"cable", KIND_STRONG},
	{"catv", KIND_STRONG},       {"cablemodem", KIND_STRONG}, {"modem", KIND_STRONG},      {"modems", KIND_STRONG},
	{"dip", KIND_STRONG},        {"hsd", KIND_STRONG},        {"ftth", KIND_STRONG},       {"fttx", KIND_STRONG},
	{"fttb", KIND_STRONG},       {"gpon", KIND_STRONG},       {"broadband", KIND_STRONG},  {"bband", KIND_STRONG},
	{"residential", KIND_STRONG}, {"wimax", KIND_STRONG},     {"gprs", KIND_STRONG},       {"umts", KIND_STRONG},
	{"lte", KIND_STRONG},        {"fios", KIND_STRONG},       {"ipngn", KIND_STRONG},      {"ipbf", KIND_STRONG},       {"ipbfp", KIND_STRONG},
	{"unassigned", KIND_STRONG},
	{"unused", KIND_STRONG},     {"noptr", KIND_STRONG},      {"nordns", KIND_STRONG},     {"noreverse", KIND_STRONG},
	{"undefined", KIND_STRONG},  {"dclient", KIND_STRONG},    {"bredband", KIND_STRONG},   {"bredbaand", KIND_STRONG},
	{"cust", KIND_WEAK},         {"customer", KIND_WEAK},     {"customers", KIND_WEAK},    {"client", KIND_WEAK},
	{"clients", KIND_WEAK},      {"clientes", KIND_WEAK},     {"cliente", KIND_WEAK},      {"user", KIND_WEAK},
	{"users", KIND_WEAK},        {"usuario", KIND_WEAK},      {"subscriber", KIND_WEAK},   {"subs", KIND_WEAK},
	{"abo", KIND_WEAK},          {"cpe", KIND_WEAK},          {"home", KIND_WEAK},         {"res", KIND_WEAK},
	{"static", KIND_WEAK},       {"host", KIND_WEAK},         {"hosts", KIND_WEAK},        {"ip", KIND_WEAK},
	{"node", KIND_WEAK},         {"rev", KIND_WEAK},          {"reverse", KIND_WEAK},      {"ptr", KIND_WEAK},
	{"rdns", KIND_WEAK},         {"broad", KIND_WEAK},        {"access", KIND_WEAK},       {"wireless", KIND_WEAK},
	{"wifi", KIND_WEAK},         {"mobile", KIND_WEAK},       {"nat", KIND_WEAK},          {"net", KIND_WEAK},
	{"range", KIND_WEAK},        {"red", KIND_WEAK},          {"members", KIND_WEAK},      {"compute", KIND_WEAK},
	{"ec", KIND_WEAK},           {"vps", KIND_WEAK},          {"dedicated", KIND_WEAK},    {"hosted", KIND_WEAK},
	{"fixed", KIND_WEAK},        {"fix", KIND_WEAK},          {"fiber", KIND_WEAK},        {"fibre", KIND_WEAK},
	{"fibra", KIND_WEAK},        {"telecom", KIND_WEAK},      {"retail", KIND_WEAK},       {"internet", KIND_WEAK},
	{"mail", KIND_MAIL},         {"mails", KIND_MAIL},        {"email", KIND_MAIL},        {"mailer", KIND_MAIL},
	{"mailers", KIND_MAIL},      {"mailout", KIND_MAIL},      {"mailgw", KIND_MAIL},       {"mailgate", KIND_MAIL},
	{"mailhost", KIND_MAIL},     {"mailserver", KIND_MAIL},   {"mailrelay", KIND_MAIL},    {"maildelivery", KIND_MAIL},
	{"mailing", KIND_MAIL},      {"emailing", KIND_MAIL},     {"mx", KIND_MAIL},           {"mxout", KIND_MAIL},
	{"smtp", KIND_MAIL},         {"smtpout", KIND_MAIL},      {"esmtp", KIND_MAIL},        {"smtps", KIND_MAIL},
	{"mta", KIND_MAIL},          {"mtas", KIND_MAIL},         {"mtaout", KIND_MAIL},       {"outbound", KIND_MAIL},
	{"outgoing", KIND_MAIL},     {"out", KIND_MAIL},          {"relay", KIND_MAIL},        {"relays", KIND_MAIL},
	{"bounce", KIND_MAIL},       {"bounces", KIND_MAIL},      {"news", KIND_MAIL},         {"newsletter", KIND_MAIL},
	{"newsletters", KIND_MAIL},  {"send", KIND_MAIL},         {"sender", KIND_MAIL},       {"senders", KIND_MAIL},
	{"delivery", KIND_MAIL},     {"postfix", KIND_MAIL},      {"exim", KIND_MAIL},         {"webmail", KIND_MAIL},
	{"zimbra", KIND_MAIL},       {"lists", KIND_MAIL},        {"listserv", KIND_MAIL},     {"antispam", KIND_MAIL},
	{"spamfilter", KIND_MAIL},   {"mailfilter", KIND_MAIL},   {"notification", KIND_MAIL}, {"notifications", KIND_MAIL},
};

static enum kind word_kind(struct slice word)
{
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (slice_equal(word, slice_from(words[i].text))) {
			return words[i].kind;
		}
	}
	/* "athedsl-1234", "kabeldsl": nothing else ends so. */
	return word.len > 3 && slice_ends_nocase(word, SLICE_LITERAL("dsl")) ? KIND_STRONG : KIND_NONE;
}

struct features {
	bool weak, strong, mail;
	size_t number_count;
	unsigned numbers[NUMBERS_MAX]; /* that could be octets, in order */
};

static void features_number(struct features *features, struct slice digits)
{
	/* Octets padded to three digits with nothing between: "088064001002". */
	size_t width = digits.len >= 6 && digits.len <= 12 && digits.len % 3 == 0 ? 3 : digits.len;
	for (size_t at = 0; at < digits.len; at += width) {
		unsigned long long value;
		struct slice group = {digits.data + at, width};
		if (width <= 3 && slice_to_uint(group, 255, &value) && features->number_count < NUMBERS_MAX) {
			features->numbers[features->number_count++] = (unsigned)value;
		}
	}
}

static void features_word(struct features *features, struct slice word)
{
	switch (word_kind(word)) {
	case KIND_NONE:
		break;
	case KIND_WEAK:
		features->weak = true;
		break;
	case KIND_STRONG:
		features->strong = true;
		break;
	case KIND_MAIL:
		features->mail = true;
		break;
	}
}

/* Runs of letters, where they count, and runs of digits. */
static void features_read(struct features *features, struct slice host, bool with_words)
{
	for (size_t at = 0; at < host.len;) {
		size_t from = at;
		if (ascii_is_alpha(host.data[at])) {
			while (at < host.len && ascii_is_alpha(host.data[at])) {
				at++;
			}
			if (with_words) {
				features_word(features, (struct slice){host.data + from, at - from});
			}
		} else if (ascii_is_digit(host.data[at])) {
			while (at < host.len && ascii_is_digit(host.data[at])) {
				at++;
			}
			features_number(features, (struct slice){host.data + from, at - from});
		} else {
			at++;
		}
	}
}

/* The longest run of numbers that are octets of the address in their order, or in reverse. last_r: does one of that
 * length hold the last octet, which tells hosts apart? */
static size_t octets_run(const struct features *features, const uint8_t *octets, bool *last_r)
{
	size_t best = 0;
	*last_r = false;
	for (int step = -1; step <= 1; step += 2) {
		for (size_t from = 0; from < features->number_count; from++) {
			for (int first = 0; first < 4; first++) {
				size_t length = 0;
				int octet = first;
				bool last = false;
				while (from + length < features->number_count && octet >= 0 && octet < 4 &&
				       features->numbers[from + length] == octets[octet]) {
					last = last || octet == 3;
					octet += step;
					length++;
				}
				*last_r = length > best ? last : length == best ? *last_r || last : *last_r;
				best = length > best ? length : best;
			}
		}
	}
	return best;
}

/* Is every octet there, each by a number of its own, wherever it stands: "4.red-88-12-34"? */
static bool octets_all(const struct features *features, const uint8_t *octets)
{
	bool taken[NUMBERS_MAX] = {false};
	for (size_t k = 0; k < 4; k++) {
		size_t i = 0;
		while (i < features->number_count && (taken[i] || features->numbers[i] != octets[k])) {
			i++;
		}
		if (i == features->number_count) {
			return false;
		}
		taken[i] = true;
	}
	return true;
}

/* How many octets of the address the name shows: 4, 3, 2 with the last one, or 0. */
static unsigned octets_shown(const struct features *features, const uint8_t *octets)
{
	bool last;
	size_t run = octets_run(features, octets, &last);
	if (run == 4 || (run >= 2 && octets_all(features, octets))) {
		return 4;
	}
	return run == 3 ? 3 : run == 2 && last ? 2 : 0;
}

static bool contains(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

/* As one number: eight hexadecimal digits, or up to ten decimal ones. */
static bool v4_as_number(const char *name, const uint8_t *b)
{
	char text[16];
	uint32_t number = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	snprintf(text, sizeof text, "%08x", number);
	if (contains(name, text)) {
		return true;
	}
	snprintf(text, sizeof text, "%02x%02x%02x%02x", b[3], b[2], b[1], b[0]);
	if (contains(name, text)) {
		return true;
	}
	snprintf(text, sizeof text, "%02x-%02x-%02x-%02x", b[0], b[1], b[2], b[3]);
	if (contains(name, text)) {
		return true;
	}
	snprintf(text, sizeof text, "%u", number);
	return strlen(text) >= 9 && contains(name, text);
}

/* Octets without padding and with nothing between: "1921681254". */
static bool v4_run_together(const char *name, const uint8_t *b)
{
	char text[16];
	snprintf(text, sizeof text, "%u%u%u%u", b[0], b[1], b[2], b[3]);
	if (strlen(text) >= 8 && contains(name, text)) {
		return true;
	}
	snprintf(text, sizeof text, "%u%u%u%u", b[3], b[2], b[1], b[0]);
	return strlen(text) >= 8 && contains(name, text);
}

/* Do HEX_RUN consecutive nibbles of the address stand in the name, whatever separates them? */
static bool v6_nibbles(const char *name, const struct ip *client, bool backwards)
{
	char squeezed[NAME_MAX_BYTES + 1];
	char digits[33];
	size_t n = 0;
	for (const char *c = name; *c != '\0'; c++) {
		if (*c != '-' && *c != '.' && *c != '_') {
			squeezed[n++] = *c;
		}
	}
	squeezed[n] = '\0';
	for (unsigned i = 0; i < 32; i++) {
		unsigned nibble = backwards ? 31 - i : i;
		snprintf(digits + i, 2, "%x", (unsigned)client->bytes[nibble / 2] >> (nibble % 2 == 0 ? 4 : 0) & 0xfU);
	}
	for (size_t at = 0; at + HEX_RUN <= 32; at++) {
		char window[HEX_RUN + 1];
		memcpy(window, digits + at, HEX_RUN);
		window[HEX_RUN] = '\0';
		if (strspn(window, "0") < HEX_RUN - 1 && contains(squeezed, window)) {
			return true;
		}
	}
	return false;
}

static unsigned hextet(const struct ip *client, size_t i)
{
	return (unsigned)client->bytes[2 * i] << 8 | client->bytes[2 * i + 1];
}

/* "2001-db8-1-2-3-4-5-6": runs of up to four hexadecimal digits between separators. */
static size_t hextets_read(const char *name, unsigned *values_r)
{
	size_t count = 0;
	for (const char *c = name; *c != '\0' && count < HEXTETS_MAX;) {
		size_t n = strspn(c, "0123456789abcdef");
		if (n >= 1 && n <= 4) {
			values_r[count++] = (unsigned)strtoul(c, NULL, 16);
		} else {
			values_r[count++] = UINT32_MAX; /* no hextet */
		}
		c += n;
		c += *c != '\0';
	}
	return count;
}

static bool v6_hextets(const char *name, const struct ip *client)
{
	unsigned values[HEXTETS_MAX];
	size_t count = hextets_read(name, values);
	for (size_t from = 0; from + HEXTETS_RUN <= count; from++) {
		for (size_t first = 0; first + HEXTETS_RUN <= 8; first++) {
			size_t same = 0;
			size_t zeros = 0;
			while (same < HEXTETS_RUN && values[from + same] == hextet(client, first + same)) {
				zeros += values[from + same] == 0;
				same++;
			}
			if (same == HEXTETS_RUN && zeros <= HEXTETS_RUN - 2) {
				return true;
			}
		}
	}
	return false;
}

static bool shows_v6(const char *name, const struct ip *client)
{
	return v6_nibbles(name, client, false) || v6_nibbles(name, client, true) || v6_hextets(name, client);
}

/* Where the registered domain begins, as near as the number of labels tells. */
static size_t domain_begin(const char *name)
{
	size_t dots = 0;
	for (size_t at = strlen(name); at > 0; at--) {
		if (name[at - 1] == '.' && ++dots == 2) {
			return at;
		}
	}
	return 0;
}

/* "S0106001122334455": six or eight bytes of a modem's own number. */
static bool shows_hardware(const char *name)
{
	for (const char *c = name; *c != '\0';) {
		size_t n = strspn(c, "0123456789abcdef");
		size_t digits = 0;
		for (size_t i = 0; i < n; i++) {
			digits += ascii_is_digit(c[i]);
		}
		if ((n == 12 || n == 16) && digits >= n / 2) {
			return true;
		}
		c += n;
		c += *c != '\0';
	}
	return false;
}

static const char *judge(const struct features *features, unsigned shown, bool number, bool hardware)
{
	if (features->strong && (shown > 0 || number)) {
		return "it has the address and the words of an access network";
	}
	if (features->mail) {
		return NULL;
	}
	if (shown >= 3 || number) {
		return "the address is in it";
	}
	if (features->weak && shown == 2) {
		return "a part of the address is in it, and words of an access network";
	}
	if (hardware) {
		return "a hardware address is in it";
	}
	return features->strong ? "it has the words of an access network" : NULL;
}

const char *generic_name(const char *name, const struct ip *client)
{
	char lower[NAME_MAX_BYTES + 1];
	struct features features = {.number_count = 0};
	size_t n = strlen(name);
	if (n == 0 || n > NAME_MAX_BYTES) {
		return NULL;
	}
	for (size_t i = 0; i <= n; i++) {
		lower[i] = ascii_lower(name[i]);
	}
	size_t domain = domain_begin(lower);
	size_t top = (size_t)(strrchr(lower, '.') == NULL ? 0 : strrchr(lower, '.') - lower);
	features_read(&features, (struct slice){lower, domain}, true);
	features_read(&features, (struct slice){lower + domain, top > domain ? top - domain : 0}, false);
	switch (client->family) {
	case IP_V4:
		return judge(&features, octets_shown(&features, client->bytes),
		             v4_as_number(lower, client->bytes) || v4_run_together(lower, client->bytes), shows_hardware(lower));
	case IP_V6:
		return judge(&features, 0, shows_v6(lower, client), shows_hardware(lower));
	case IP_UNKNOWN:
		break;
	}
	return NULL;
}
