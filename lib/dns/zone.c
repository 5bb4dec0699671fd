/* Answers from a master file. libldns reads the records; the directives are ours. */
#include "lib/base/ip.h"
#include "lib/dns/name.h"
#include "lib/dns/source.h"

#include <errno.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { FILE_MAX = 64 << 20, CNAME_MAX = 8 };

struct zone_record {
	struct zone_record *next;
	enum dns_type type;
	uint32_t ttl;
	struct slice rdata;
};

/* What a directive says: the answer to questions for one type. */
struct zone_fault {
	struct zone_fault *next;
	int type; /* enum dns_type; 0: every type that has no records */
	enum dns_status status;
	const char *problem; /* DNS_TEMPORARY */
};

struct zone_node {
	const char *name;
	struct zone_record *records; /* in the order of the file */
	struct zone_fault *faults;
	bool secure; /* it and all below it */
};

struct dns_zone {
	struct arena *arena;
	struct zone_node *nodes; /* sorted by name once the file is read; names above one that is there are there too */
	size_t count, capacity;
};

static int node_compare(const void *a, const void *b)
{
	const struct zone_node *x = a;
	const struct zone_node *y = b;
	return strcmp(x->name, y->name);
}

static struct zone_node *zone_find(const struct dns_zone *zone, const char *name)
{
	struct zone_node key = {.name = name};
	return zone->count == 0 ? NULL : bsearch(&key, zone->nodes, zone->count, sizeof key, node_compare);
}

static struct zone_node *zone_add_node(struct dns_zone *zone, const char *name)
{
	if (zone->count == zone->capacity) {
		zone->capacity = zone->capacity == 0 ? 64 : zone->capacity * 2;
		zone->nodes = reallocarray(zone->nodes, zone->capacity, sizeof *zone->nodes);
		if (zone->nodes == NULL) {
			abort();
		}
	}
	zone->nodes[zone->count] = (struct zone_node){.name = arena_strdup(zone->arena, name)};
	return &zone->nodes[zone->count++];
}

/* Merges the nodes of one name: every line of the file has made its own. */
static void zone_merge(struct dns_zone *zone)
{
	size_t kept = 0;
	for (size_t i = 0; i < zone->count; i++) {
		struct zone_node *node = &zone->nodes[i];
		if (kept > 0 && strcmp(zone->nodes[kept - 1].name, node->name) == 0) {
			struct zone_node *into = &zone->nodes[kept - 1];
			struct zone_record **record = &into->records;
			while (*record != NULL) {
				record = &(*record)->next;
			}
			*record = node->records;
			struct zone_fault **fault = &into->faults;
			while (*fault != NULL) {
				fault = &(*fault)->next;
			}
			*fault = node->faults;
			into->secure = into->secure || node->secure;
		} else {
			zone->nodes[kept++] = *node;
		}
	}
	zone->count = kept;
}

/* Sorts, keeping the order of equal names: their position breaks the tie. */
struct zone_sort {
	struct zone_node node;
	size_t position;
};

static int sort_compare(const void *a, const void *b)
{
	const struct zone_sort *x = a;
	const struct zone_sort *y = b;
	int order = strcmp(x->node.name, y->node.name);
	return order != 0 ? order : x->position < y->position ? -1 : 1;
}

static void zone_sort(struct dns_zone *zone)
{
	size_t written = zone->count;
	for (size_t i = 0; i < written; i++) {
		const char *name = zone->nodes[i].name;
		while ((name = strchr(name, '.')) != NULL) {
			zone_add_node(zone, ++name);
		}
	}
	struct zone_sort *order = calloc(zone->count + 1, sizeof *order);
	if (order == NULL) {
		abort();
	}
	for (size_t i = 0; i < zone->count; i++) {
		order[i] = (struct zone_sort){zone->nodes[i], i};
	}
	qsort(order, zone->count, sizeof *order, sort_compare);
	for (size_t i = 0; i < zone->count; i++) {
		zone->nodes[i] = order[i].node;
	}
	free(order);
	zone_merge(zone);
}

static void zone_add_record(struct dns_zone *zone, const ldns_rr *rr)
{
	char name[DNS_MAX_NAME_TEXT];
	struct strbuf rdata;
	const ldns_rdf *owner = ldns_rr_owner(rr);
	if (dns_name_from_wire((struct slice){(const char *)ldns_rdf_data(owner), ldns_rdf_size(owner)}, name) == 0) {
		return;
	}
	strbuf_init(&rdata, zone->arena);
	for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
		const ldns_rdf *field = ldns_rr_rdf(rr, i);
		strbuf_add(&rdata, ldns_rdf_data(field), ldns_rdf_size(field));
	}
	struct zone_record *record = arena_alloc(zone->arena, sizeof *record);
	record->type = (enum dns_type)ldns_rr_get_type(rr);
	record->ttl = ldns_rr_ttl(rr);
	record->rdata = (struct slice){rdata.data, rdata.len};
	zone_add_node(zone, name)->records = record;
}

static bool directive_type(struct slice word, int *type_r)
{
	char text[16];
	*type_r = 0;
	if (word.len == 0) {
		return true;
	}
	if (word.len >= sizeof text) {
		return false;
	}
	memcpy(text, word.data, word.len);
	text[word.len] = '\0';
	*type_r = (int)ldns_get_rr_type_by_name(text);
	return *type_r != 0;
}

static struct slice next_word(struct slice *line)
{
	*line = slice_trim(*line);
	size_t n = 0;
	while (n < line->len && line->data[n] != ' ' && line->data[n] != '\t') {
		n++;
	}
	struct slice word = {line->data, n};
	*line = (struct slice){line->data + n, line->len - n};
	return word;
}

static const struct {
	const char *word;
	enum dns_status status;
	const char *problem;
} directives[] = {{"$SERVFAIL", DNS_TEMPORARY, "SERVFAIL"},
                  {"$TIMEOUT", DNS_TEMPORARY, "timeout"},
                  {"$BOGUS", DNS_TEMPORARY, "bogus: DNSSEC"},
                  {"$NODATA", DNS_NODATA, NULL},
                  {"$NXDOMAIN", DNS_NXDOMAIN, NULL}};
enum { DIRECTIVES = sizeof directives / sizeof *directives };

/* "name" behind $SECURE. */
static int zone_secure(struct dns_zone *zone, struct slice line)
{
	char name[DNS_MAX_NAME_TEXT];
	struct slice owner = next_word(&line);
	if (!dns_name_normalise(owner, name) || slice_trim(line).len > 0) {
		return -1;
	}
	zone_add_node(zone, name)->secure = true;
	return 1;
}

/* "$SERVFAIL name [type]", or another of them: 1; no such directive: 0; a bad one: -1. */
static int zone_directive(struct dns_zone *zone, struct slice line)
{
	char name[DNS_MAX_NAME_TEXT];
	int type;
	line.len = slice_find(line, ';', 0);
	struct slice word = next_word(&line);
	if (slice_equal_nocase(word, SLICE_LITERAL("$SECURE"))) {
		return zone_secure(zone, line);
	}
	size_t kind = 0;
	while (kind < DIRECTIVES && !slice_equal_nocase(word, slice_from(directives[kind].word))) {
		kind++;
	}
	if (kind == DIRECTIVES) {
		return 0;
	}
	struct slice owner = next_word(&line);
	struct slice type_word = next_word(&line);
	if (!dns_name_normalise(owner, name) || !directive_type(type_word, &type) || slice_trim(line).len > 0) {
		return -1;
	}
	struct zone_fault *fault = arena_alloc(zone->arena, sizeof *fault);
	fault->type = type;
	fault->status = directives[kind].status;
	fault->problem = directives[kind].problem;
	zone_add_node(zone, name)->faults = fault;
	return 1;
}

/* Carries out our directives and blanks their lines, so that libldns counts lines as the file has them. */
static int zone_directives(struct dns_zone *zone, char *text, size_t size)
{
	int number = 1;
	for (size_t at = 0; at < size; number++) {
		size_t end = slice_find((struct slice){text, size}, '\n', at);
		int found = text[at] == '$' ? zone_directive(zone, (struct slice){text + at, end - at}) : 0;
		if (found < 0) {
			return number;
		}
		if (found > 0) {
			memset(text + at, ' ', end - at);
		}
		at = end + 1;
	}
	return 0;
}

static ldns_status zone_records(struct dns_zone *zone, FILE *file, int *line)
{
	uint32_t ttl = 3600;
	ldns_rdf *origin = ldns_dname_new_frm_str(".");
	ldns_rdf *previous = NULL;
	ldns_status status = LDNS_STATUS_OK;
	int next = 1;
	while (status == LDNS_STATUS_OK && !feof(file)) {
		ldns_rr *rr = NULL;
		*line = next; /* where the record begins */
		status = ldns_rr_new_frm_fp_l(&rr, file, &ttl, &origin, &previous, &next);
		if (status == LDNS_STATUS_OK) {
			zone_add_record(zone, rr);
			ldns_rr_free(rr);
		} else if (status == LDNS_STATUS_SYNTAX_EMPTY || status == LDNS_STATUS_SYNTAX_TTL ||
		           status == LDNS_STATUS_SYNTAX_ORIGIN) {
			status = LDNS_STATUS_OK;
		}
	}
	ldns_rdf_deep_free(origin);
	ldns_rdf_deep_free(previous);
	return status;
}

/* All of the file, or NULL with errno set. */
static char *zone_read_all(FILE *file, size_t *size_r)
{
	size_t capacity = 0;
	size_t got;
	char *text = NULL;
	*size_r = 0;
	do {
		capacity = capacity == 0 ? 65536 : capacity * 2;
		char *larger = realloc(text, capacity);
		if (larger == NULL) {
			abort();
		}
		text = larger;
		got = fread(text + *size_r, 1, capacity - *size_r, file);
		*size_r += got;
	} while (got > 0 && *size_r == capacity && *size_r <= FILE_MAX);
	if (ferror(file) != 0 || *size_r > FILE_MAX) {
		int problem = ferror(file) != 0 ? errno : EFBIG;
		free(text);
		errno = problem;
		return NULL;
	}
	return text;
}

static char *zone_read(const char *path, size_t *size_r)
{
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		return NULL;
	}
	char *text = zone_read_all(file, size_r);
	int saved = errno;
	fclose(file);
	errno = saved;
	return text;
}

/* NULL, or what is wrong. */
static const char *zone_parse(struct dns_zone *zone, char *text, size_t size, int *line_r)
{
	*line_r = zone_directives(zone, text, size);
	if (*line_r != 0) {
		return "expected $SERVFAIL, $TIMEOUT, $BOGUS, $NODATA or $NXDOMAIN, a name and perhaps a record type, or $SECURE and a name";
	}
	if (size == 0) {
		return NULL;
	}
	FILE *file = fmemopen(text, size, "r");
	if (file == NULL) {
		return strerror(errno);
	}
	ldns_status status = zone_records(zone, file, line_r);
	fclose(file);
	return status == LDNS_STATUS_OK ? NULL : ldns_get_errorstr_by_id(status);
}

/* Takes text, which it changes. */
static struct dns_zone *zone_create(const char *path, char *text, size_t size, char **error_r)
{
	int line = 0;
	struct dns_zone *zone = calloc(1, sizeof *zone);
	if (zone == NULL) {
		abort();
	}
	zone->arena = arena_create(65536);
	const char *problem = zone_parse(zone, text, size, &line);
	free(text);
	if (problem != NULL) {
		if (asprintf(error_r, "%s:%d: %s", path, line, problem) < 0) {
			abort();
		}
		dns_zone_destroy(zone);
		return NULL;
	}
	zone_sort(zone);
	return zone;
}

struct dns_zone *dns_zone_load(const char *path, char **error_r)
{
	size_t size = 0;
	char *text = zone_read(path, &size);
	if (text == NULL) {
		if (asprintf(error_r, "%s: %s", path, strerror(errno)) < 0) {
			abort();
		}
		return NULL;
	}
	return zone_create(path, text, size, error_r);
}

struct dns_zone *dns_zone_load_text(struct slice text, char **error_r)
{
	char *copy = malloc(text.len + 1);
	if (copy == NULL) {
		abort();
	}
	memcpy(copy, text.data == NULL ? "" : text.data, text.len);
	return zone_create("(text)", copy, text.len, error_r);
}

void dns_zone_destroy(struct dns_zone *zone)
{
	if (zone != NULL) {
		arena_destroy(zone->arena);
		free(zone->nodes);
		free(zone);
	}
}

/* The node of the name, or the wildcard that stands for it (RFC 4592); NULL: the name does not exist. */
static const struct zone_node *zone_match(const struct dns_zone *zone, const char *name)
{
	const struct zone_node *node = zone_find(zone, name);
	while (node == NULL && (name = strchr(name, '.')) != NULL) {
		char wildcard[DNS_MAX_NAME_TEXT + 2];
		name++;
		snprintf(wildcard, sizeof wildcard, "*.%s", name);
		node = zone_find(zone, wildcard);
		if (zone_find(zone, name) != NULL) {
			return node;
		}
	}
	return node;
}

static size_t node_records(const struct zone_node *node, enum dns_type type, struct slice *rdata, size_t max,
                           uint32_t *ttl_r)
{
	size_t n = 0;
	for (const struct zone_record *record = node->records; record != NULL && n < max; record = record->next) {
		if (record->type == type) {
			rdata[n++] = record->rdata;
			*ttl_r = record->ttl;
		}
	}
	return n;
}

static const struct zone_fault *node_fault(const struct zone_node *node, enum dns_type type, bool has_records)
{
	for (const struct zone_fault *fault = node->faults; fault != NULL; fault = fault->next) {
		if (fault->type == (int)type || (fault->type == 0 && !has_records)) {
			return fault;
		}
	}
	return NULL;
}

static void zone_answer_fault(struct dns_entry *entry, const struct zone_fault *fault, uint32_t ttl, bool secure)
{
	if (fault->status == DNS_TEMPORARY) {
		dns_entry_set_temporary(entry, fault->problem);
	} else {
		dns_entry_set_negative(entry, fault->status, ttl, secure);
	}
}

/* Is the name, or one above it, said to be secure? */
static bool zone_is_secure(const struct dns_zone *zone, const char *name)
{
	while (name != NULL) {
		const struct zone_node *node = zone_find(zone, name);
		if (node != NULL && node->secure) {
			return true;
		}
		name = strchr(name, '.');
		name = name == NULL ? NULL : name + 1;
	}
	return false;
}

void dns_zone_answer(const struct dns_zone *zone, struct dns_entry *entry)
{
	struct slice rdata[DNS_MAX_RECORDS];
	char name[DNS_MAX_NAME_TEXT];
	uint32_t ttl = 3600;
	bool secure = true;
	snprintf(name, sizeof name, "%s", entry->name);
	for (int hops = 0; hops <= CNAME_MAX; hops++) {
		const struct zone_node *node = zone_match(zone, name);
		secure = secure && zone_is_secure(zone, name);
		if (node == NULL) {
			dns_entry_set_negative(entry, DNS_NXDOMAIN, ttl, secure);
			return;
		}
		size_t count = node_records(node, entry->type, rdata, DNS_MAX_RECORDS, &ttl);
		const struct zone_fault *fault = node_fault(node, entry->type, count > 0);
		if (fault != NULL) {
			zone_answer_fault(entry, fault, ttl, secure);
			return;
		}
		struct slice targets[2];
		size_t cnames = count > 0 ? 0 : node_records(node, DNS_TYPE_CNAME, targets, 2, &ttl);
		if (cnames == 0) {
			dns_entry_set_records(entry, rdata, count, ttl, secure);
			return;
		}
		if (cnames > 1) {
			dns_entry_set_temporary(entry, "more than one CNAME");
			return;
		}
		dns_name_from_wire(targets[0], name);
	}
	dns_entry_set_temporary(entry, "too many CNAMEs");
}
