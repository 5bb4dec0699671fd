/* dnsprobe FORWARDER TIMEOUT_MS [TRUST_ANCHORS]: asks through one resolver. Standard input has lines "NAME TYPE"; those
 * up to an empty line are asked together, and all are waited for. For each it prints
 *     NAME TYPE STATUS SECURE TTL RECORDS...
 * separated by tabs (for temporary: the problem), and at the end a line "took MILLISECONDS". A record longer than 200
 * bytes is shown by its length. FORWARDER "-": none. */
#include "lib/base/clock.h"
#include "lib/dns/dns.h"

#include <stdio.h>
#include <stdlib.h>

enum { QUESTIONS_MAX = 1000, LINE = 1100 };

struct question {
	char name[LINE];
	enum dns_type type;
};

static enum dns_type type_from(const char *name)
{
	static const enum dns_type types[] = {DNS_TYPE_A,   DNS_TYPE_AAAA, DNS_TYPE_MX, DNS_TYPE_TXT,
	                                      DNS_TYPE_PTR, DNS_TYPE_NS,   DNS_TYPE_SOA};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		if (strcmp(dns_type_name(types[i]), name) == 0) {
			return types[i];
		}
	}
	fprintf(stderr, "dnsprobe: unknown type %s\n", name);
	exit(2);
}

/* The questions up to an empty line or the end. */
static size_t read_batch(struct question *questions)
{
	char line[LINE];
	size_t count = 0;
	while (count < QUESTIONS_MAX && fgets(line, sizeof line, stdin) != NULL && line[0] != '\n') {
		line[strcspn(line, "\n")] = '\0';
		char *space = strrchr(line, ' ');
		if (space == NULL) {
			fprintf(stderr, "dnsprobe: expected NAME TYPE\n");
			exit(2);
		}
		*space = '\0';
		memcpy(questions[count].name, line, sizeof line);
		questions[count++].type = type_from(space + 1);
	}
	return count;
}

static void print_record(enum dns_type type, const struct dns_record *record)
{
	char text[IP_TEXT_SIZE];
	if (type == DNS_TYPE_A || type == DNS_TYPE_AAAA) {
		ip_format(&record->address, text);
		printf("\t%s", text);
	} else if (record->data.len > 200) {
		printf("\t%zu bytes", record->data.len);
	} else if (type == DNS_TYPE_MX) {
		printf("\t%u %.*s", record->preference, SLICE_ARGS(record->data));
	} else {
		printf("\t%.*s", SLICE_ARGS(record->data));
	}
}

static void print_answer(const struct question *question, const struct dns_answer *answer)
{
	printf("%s\t%s\t", question->name, dns_type_name(question->type));
	if (answer == NULL) {
		printf("pending\n");
		return;
	}
	printf("%s\t%s\t%u", dns_status_name(answer->status), answer->secure ? "secure" : "insecure", answer->ttl);
	for (size_t i = 0; i < answer->count; i++) {
		print_record(question->type, &answer->records[i]);
	}
	if (answer->problem != NULL) {
		printf("\t%s", answer->problem);
	}
	printf("\n");
}

static void run_batch(struct dns *dns, const struct question *questions, size_t count)
{
	struct lookups *lookups = lookups_create(dns);
	uint64_t start = clock_now();
	for (size_t i = 0; i < count; i++) {
		lookups_get(lookups, questions[i].name, questions[i].type);
	}
	while (lookups_pending(lookups) > 0 && lookups_wait(lookups, start + 60 * CLOCK_NS_PER_S)) {
	}
	uint64_t took = clock_now() - start;
	for (size_t i = 0; i < count; i++) {
		print_answer(&questions[i], lookups_peek(lookups, questions[i].name, questions[i].type));
	}
	printf("took %.1f\n", (double)took / (double)CLOCK_NS_PER_MS);
	fflush(stdout);
	lookups_destroy(lookups);
}

int main(int argc, char **argv)
{
	static struct question questions[QUESTIONS_MAX];
	struct dns_settings settings;
	char *error = NULL;
	if (argc < 3) {
		fprintf(stderr, "usage: dnsprobe FORWARDER TIMEOUT_MS [TRUST_ANCHORS]\n");
		return 2;
	}
	const char *forwarders[] = {strcmp(argv[1], "-") == 0 ? NULL : argv[1], NULL};
	dns_settings_default(&settings);
	settings.forwarders = forwarders;
	settings.timeout_ns = strtoull(argv[2], NULL, 10) * CLOCK_NS_PER_MS;
	settings.trust_anchor_file = argc > 3 ? argv[3] : NULL;
	struct dns *dns = dns_open_resolver(&settings, &error);
	if (dns == NULL) {
		fprintf(stderr, "%s\n", error);
		free(error);
		return 1;
	}
	for (size_t count; (count = read_batch(questions)) > 0;) {
		run_batch(dns, questions, count);
	}
	dns_close(dns);
	return 0;
}
