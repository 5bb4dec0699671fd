#include "lib/inspect/wire_packet.h"

enum { HOST_MAX = 253 };

static void put_arc(struct wire_writer *writer, const struct arc_verdict *arc)
{
	wire_put_u32(writer, (uint32_t)arc->result);
	wire_put_text(writer, arc->problem);
	wire_put_u32(writer, arc->oldest_pass);
	wire_put_u32(writer, arc->from_signed);
	wire_put_u32(writer, arc->too_long);
	wire_put_u32(writer, arc->ended);
	wire_put_u32(writer, (uint32_t)arc->count);
	for (size_t i = 0; i < arc->count; i++) {
		const struct arc_set *set = &arc->sets[i];
		wire_put_text(writer, set->domain);
		wire_put_text(writer, set->selector);
		wire_put_u32(writer, set->has_cv);
		wire_put_u32(writer, (uint32_t)set->cv);
		wire_put_u32(writer, (uint32_t)set->result_count);
		for (size_t k = 0; k < set->result_count; k++) {
			wire_put_u32(writer, (uint32_t)set->results[k].method);
			wire_put_u32(writer, (uint32_t)set->results[k].result);
			wire_put_text(writer, set->results[k].domain);
		}
	}
}

static void get_arc_results(struct wire_reader *reader, struct arc_set *set_r)
{
	set_r->result_count = wire_get_upto(reader, ARC_MAX_RESULTS);
	struct arc_result *results = arena_alloc(reader->arena, set_r->result_count * sizeof *results);
	for (size_t i = 0; i < set_r->result_count; i++) {
		results[i].method = (enum arc_method)wire_get_upto(reader, ARC_METHOD_DKIM);
		results[i].result = (enum auth_result)wire_get_upto(reader, AUTH_PERMERROR);
		results[i].domain = wire_get_text(reader);
	}
	set_r->results = results;
}

/* A verdict is whole: a problem where there is one, sets where there is a chain. */
static bool arc_consistent(const struct arc_verdict *arc)
{
	bool good = arc->result == AUTH_PASS && arc->count > 0 && !arc->too_long && !arc->ended;
	bool bad = arc->result == AUTH_FAIL || (arc->result == AUTH_TEMPERROR && arc->count > 0);
	return arc->problem != NULL ? bad : good || (arc->result == AUTH_NONE && arc->count == 0);
}

static void get_arc(struct wire_reader *reader, struct arc_verdict *arc_r)
{
	arc_r->result = (enum auth_result)wire_get_upto(reader, AUTH_PERMERROR);
	arc_r->problem = wire_get_text_or_null(reader);
	arc_r->oldest_pass = wire_get_upto(reader, ARC_MAX_SETS);
	arc_r->from_signed = wire_get_upto(reader, 1) == 1;
	arc_r->too_long = wire_get_upto(reader, 1) == 1;
	arc_r->ended = wire_get_upto(reader, 1) == 1;
	arc_r->count = wire_get_upto(reader, ARC_MAX_SETS);
	struct arc_set *sets = arena_alloc(reader->arena, arc_r->count * sizeof *sets);
	for (size_t i = 0; i < arc_r->count; i++) {
		sets[i].instance = (unsigned)i + 1;
		sets[i].domain = wire_get_text(reader);
		sets[i].selector = wire_get_text(reader);
		sets[i].has_cv = wire_get_upto(reader, 1) == 1;
		sets[i].cv = (enum arc_cv)wire_get_upto(reader, ARC_CV_FAIL);
		get_arc_results(reader, &sets[i]);
	}
	arc_r->sets = sets;
	reader->bad = reader->bad || arc_r->oldest_pass > arc_r->count || !arc_consistent(arc_r);
}

static void put_part(struct wire_writer *writer, const struct inspect_part *part)
{
	wire_put_u32(writer, (uint32_t)(part->parent + 1));
	for (size_t i = 0; i < INSPECT_NAMES_MAX; i++) {
		wire_put_text(writer, part->names[i]);
		if (part->names[i] == NULL) {
			break;
		}
	}
	wire_put_text(writer, part->type);
	wire_put_text(writer, part->detected);
	wire_put_u64(writer, part->size);
	wire_put_u32(writer, part->encrypted);
	wire_put_u64(writer, part->classes);
}

/* A part stands in one before it, or in the message. */
static void get_part(struct wire_reader *reader, size_t index, struct inspect_part *part_r)
{
	*part_r = (struct inspect_part){.parent = (int)wire_get_upto(reader, (uint32_t)index) - 1};
	for (size_t i = 0; i < INSPECT_NAMES_MAX; i++) {
		part_r->names[i] = wire_get_text_or_null(reader);
		if (part_r->names[i] == NULL) {
			break;
		}
	}
	part_r->type = wire_get_text(reader);
	part_r->detected = wire_get_text(reader);
	part_r->size = wire_get_u64(reader);
	part_r->encrypted = wire_get_upto(reader, 1) == 1;
	part_r->classes = wire_get_classes(reader);
}

static void put_files(struct wire_writer *writer, const struct inspect_reply *reply)
{
	wire_put_u32(writer, (uint32_t)reply->part_count);
	for (size_t i = 0; i < reply->part_count; i++) {
		put_part(writer, &reply->parts[i]);
	}
	wire_put_u32(writer, reply->parts_unlisted);
	wire_put_u64(writer, reply->classes);
	for (size_t i = 0; i < FILE_CLASS_COUNT; i++) {
		if ((reply->classes & FILE_CLASS_BIT(i)) != 0) {
			wire_put_text(writer, reply->class_reasons[i]);
		}
	}
	wire_put_text(writer, reply->mime_ambiguous);
	wire_put_text(writer, reply->mime_defect);
	wire_put_text(writer, reply->mime_opaque);
	wire_put_text(writer, reply->exhausted);
}

static void get_files(struct wire_reader *reader, struct inspect_reply *reply_r)
{
	reply_r->part_count = wire_get_upto(reader, INSPECT_PARTS_MAX);
	struct inspect_part *parts = arena_alloc(reader->arena, reply_r->part_count * sizeof *parts);
	for (size_t i = 0; i < reply_r->part_count; i++) {
		get_part(reader, i, &parts[i]);
	}
	reply_r->parts = parts;
	reply_r->parts_unlisted = wire_get_u32(reader);
	reply_r->classes = wire_get_classes(reader);
	for (size_t i = 0; i < FILE_CLASS_COUNT; i++) {
		if ((reply_r->classes & FILE_CLASS_BIT(i)) != 0) {
			reply_r->class_reasons[i] = wire_get_text(reader);
		}
	}
	reply_r->mime_ambiguous = wire_get_text_or_null(reader);
	reply_r->mime_defect = wire_get_text_or_null(reader);
	reply_r->mime_opaque = wire_get_text_or_null(reader);
	reply_r->exhausted = wire_get_text_or_null(reader);
}

static void put_hosts(struct wire_writer *writer, const struct inspect_reply *reply)
{
	wire_put_u32(writer, (uint32_t)reply->host_count);
	for (size_t i = 0; i < reply->host_count; i++) {
		wire_put_text(writer, reply->hosts[i]);
	}
	wire_put_u32(writer, reply->hosts_cut);
}

/* They become names of questions to the DNS. */
static bool is_host(const char *text)
{
	for (const char *c = text; *c != '\0'; c++) {
		if (!ascii_is_digit(*c) && (*c < 'a' || *c > 'z') && strchr("-_.:", *c) == NULL) {
			return false;
		}
	}
	return *text != '\0' && strlen(text) <= HOST_MAX;
}

static void get_hosts(struct wire_reader *reader, struct inspect_reply *reply_r)
{
	reply_r->host_count = wire_get_upto(reader, INSPECT_HOSTS_MAX);
	const char **hosts = arena_alloc(reader->arena, reply_r->host_count * sizeof *hosts);
	for (size_t i = 0; i < reply_r->host_count; i++) {
		hosts[i] = wire_get_text(reader);
		reader->bad = reader->bad || !is_host(hosts[i]);
	}
	reply_r->hosts = hosts;
	reply_r->hosts_cut = wire_get_upto(reader, 1) == 1;
}

static void put_tokens(struct wire_writer *writer, const struct inspect_reply *reply)
{
	wire_put_u32(writer, (uint32_t)reply->token_count);
	wire_put(writer, reply->tokens, reply->token_count * sizeof *reply->tokens);
	wire_put_u32(writer, reply->tokens_cut);
	wire_put_u32(writer, (uint32_t)reply->name_count);
	for (size_t i = 0; i < reply->name_count; i++) {
		wire_put_text(writer, reply->token_names[i]);
	}
	wire_put(writer, reply->content_digest, sizeof reply->content_digest);
	wire_put_u32(writer, reply->attached_count);
}

/* Each of them is counted once: one that comes twice would count double. */
static void get_tokens(struct wire_reader *reader, struct inspect_reply *reply_r)
{
	reply_r->token_count = wire_get_upto(reader, INSPECT_TOKENS_MAX);
	uint64_t *tokens = arena_alloc(reader->arena, reply_r->token_count * sizeof *tokens);
	wire_get(reader, tokens, reply_r->token_count * sizeof *tokens);
	for (size_t i = 1; i < reply_r->token_count; i++) {
		reader->bad = reader->bad || tokens[i - 1] >= tokens[i];
	}
	reply_r->tokens = tokens;
	reply_r->tokens_cut = wire_get_upto(reader, 1) == 1;
	reply_r->name_count = wire_get_upto(reader, INSPECT_NAMED_MAX);
	const char **names = arena_alloc(reader->arena, reply_r->name_count * sizeof *names);
	for (size_t i = 0; i < reply_r->name_count; i++) {
		names[i] = wire_get_text_or_null(reader);
	}
	reply_r->token_names = names;
	wire_get(reader, reply_r->content_digest, sizeof reply_r->content_digest);
	reply_r->attached_count = (unsigned)wire_get_upto(reader, INSPECT_ATTACHED_MAX);
}

size_t wire_put_reply(const struct inspect_reply *reply, char *packet_r)
{
	struct wire_writer writer = wire_writer_open(packet_r, WIRE_MAGIC_REPLY);
	wire_put_u32(&writer, (uint32_t)reply->signature_count);
	for (size_t i = 0; i < reply->signature_count; i++) {
		const struct inspect_signature *signature = &reply->signatures[i];
		wire_put_u32(&writer, (uint32_t)signature->result);
		wire_put_text(&writer, signature->domain);
		wire_put_text(&writer, signature->selector);
		wire_put_text(&writer, signature->identity);
		wire_put_text(&writer, signature->algorithm);
		wire_put_text(&writer, signature->b);
		wire_put_text(&writer, signature->problem);
		wire_put_u32(&writer, signature->key_bits);
		wire_put_u32(&writer, signature->testing);
	}
	put_arc(&writer, &reply->arc);
	wire_put_u32(&writer, reply->body_hashed);
	wire_put(&writer, reply->body_digest, sizeof reply->body_digest);
	wire_put_u32(&writer, (uint32_t)reply->virus);
	wire_put_text(&writer, reply->virus_name);
	wire_put_text(&writer, reply->virus_problem);
	wire_put_text(&writer, reply->virus_ignored);
	wire_put_database(&writer, &reply->database);
	put_files(&writer, reply);
	put_hosts(&writer, reply);
	put_tokens(&writer, reply);
	wire_put_u32(&writer, reply->dkim_us);
	wire_put_u32(&writer, reply->virus_us);
	wire_put_u32(&writer, reply->arc_us);
	return wire_writer_length(&writer);
}

static void get_signature(struct wire_reader *reader, struct inspect_signature *signature_r)
{
	signature_r->result = (enum auth_result)wire_get_upto(reader, AUTH_PERMERROR);
	signature_r->domain = wire_get_text(reader);
	signature_r->selector = wire_get_text(reader);
	signature_r->identity = wire_get_text(reader);
	signature_r->algorithm = wire_get_text(reader);
	signature_r->b = wire_get_text(reader);
	signature_r->problem = wire_get_text_or_null(reader);
	signature_r->key_bits = wire_get_upto(reader, 1U << 20);
	signature_r->testing = wire_get_upto(reader, 1) == 1;
}

bool wire_get_reply(struct slice packet, struct arena *arena, struct inspect_reply *reply_r)
{
	struct wire_reader reader = wire_reader_open(packet, arena, WIRE_MAGIC_REPLY);
	*reply_r = (struct inspect_reply){.signature_count = wire_get_upto(&reader, DKIM_MAX_SIGNATURES)};
	struct inspect_signature *signatures = arena_alloc(arena, reply_r->signature_count * sizeof *signatures);
	for (size_t i = 0; i < reply_r->signature_count; i++) {
		get_signature(&reader, &signatures[i]);
	}
	reply_r->signatures = signatures;
	get_arc(&reader, &reply_r->arc);
	reply_r->body_hashed = wire_get_upto(&reader, 1) == 1;
	wire_get(&reader, reply_r->body_digest, sizeof reply_r->body_digest);
	reply_r->virus = (enum inspect_virus_status)wire_get_upto(&reader, INSPECT_VIRUS_NOT_SCANNED);
	reply_r->virus_name = wire_get_text_or_null(&reader);
	reply_r->virus_problem = wire_get_text_or_null(&reader);
	reply_r->virus_ignored = wire_get_text_or_null(&reader);
	wire_get_database(&reader, &reply_r->database);
	get_files(&reader, reply_r);
	get_hosts(&reader, reply_r);
	get_tokens(&reader, reply_r);
	reply_r->dkim_us = wire_get_u32(&reader);
	reply_r->virus_us = wire_get_u32(&reader);
	reply_r->arc_us = wire_get_u32(&reader);
	bool named = reply_r->virus == INSPECT_VIRUS_FOUND || reply_r->virus == INSPECT_VIRUS_LIMIT;
	bool told = reply_r->virus == INSPECT_VIRUS_ERROR || reply_r->virus == INSPECT_VIRUS_NOT_SCANNED;
	return wire_reader_done(&reader) && named == (reply_r->virus_name != NULL) && told == (reply_r->virus_problem != NULL);
}
