/* What a worker that was taken over may send: a reply and a note. What is read must be in its range, and come out the
 * same when it is put and got again. */
#include "lib/inspect/wire.h"
#include "t/fuzz/fuzz.h"

static void check_text(const char *text)
{
	for (; text != NULL && *text != '\0'; text++) {
		require((unsigned char)*text >= ' ' && *text != 127);
	}
}

static void check_reply(const struct inspect_reply *reply, struct arena *arena)
{
	static char packet[WIRE_PACKET_MAX];
	struct inspect_reply again;
	require(reply->signature_count <= DKIM_MAX_SIGNATURES && reply->virus <= INSPECT_VIRUS_NOT_SCANNED);
	check_text(reply->virus_name);
	check_text(reply->virus_problem);
	check_text(reply->virus_ignored);
	for (size_t i = 0; i < reply->signature_count; i++) {
		const struct inspect_signature *signature = &reply->signatures[i];
		require(signature->result <= AUTH_PERMERROR && signature->domain != NULL && signature->selector != NULL);
		check_text(signature->domain);
		check_text(signature->identity);
		check_text(signature->problem);
	}
	require(reply->arc.count <= ARC_MAX_SETS && reply->arc.oldest_pass <= reply->arc.count);
	check_text(reply->arc.problem);
	for (size_t i = 0; i < reply->arc.count; i++) {
		const struct arc_set *set = &reply->arc.sets[i];
		require(set->instance == i + 1 && set->cv <= ARC_CV_FAIL && set->result_count <= ARC_MAX_RESULTS);
		check_text(set->domain);
		check_text(set->selector);
		for (size_t k = 0; k < set->result_count; k++) {
			check_text(set->results[k].domain);
		}
	}
	require(reply->host_count <= INSPECT_HOSTS_MAX);
	for (size_t i = 0; i < reply->host_count; i++) {
		require(*reply->hosts[i] != '\0' && strspn(reply->hosts[i], "abcdefghijklmnopqrstuvwxyz0123456789-_.:") == strlen(reply->hosts[i]));
	}
	require(reply->token_count <= INSPECT_TOKENS_MAX && reply->name_count <= INSPECT_NAMED_MAX);
	for (size_t i = 1; i < reply->token_count; i++) {
		require(reply->tokens[i - 1] < reply->tokens[i]);
	}
	for (size_t i = 0; i < reply->name_count; i++) {
		check_text(reply->token_names[i]);
	}
	size_t n = wire_put_reply(reply, packet);
	require(n > 0 && wire_get_reply((struct slice){packet, n}, arena, &again));
	require(again.signature_count == reply->signature_count && again.virus == reply->virus);
	require(again.token_count == reply->token_count && again.name_count == reply->name_count);
	require(again.arc.result == reply->arc.result && again.arc.count == reply->arc.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice packet = {(const char *)data, size};
	struct inspect_reply reply;
	struct wire_note note;
	struct arena *arena = arena_create(4096);
	if (wire_get_reply(packet, arena, &reply)) {
		check_reply(&reply, arena);
	}
	if (wire_get_note(packet, arena, &note)) {
		require(note.kind >= WIRE_LOADED && note.kind <= WIRE_READY && note.text != NULL);
		check_text(note.text);
	}
	arena_destroy(arena);
	return 0;
}
