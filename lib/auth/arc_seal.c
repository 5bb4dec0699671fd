#include "lib/auth/arc_seal.h"

enum {
	FOLD = 72,       /* bytes of a line of h= */
	NAMES_MAX = 200, /* of one name: a message with more of one field is signed as far */
};

static const char *const signed_names[] = {
    "From",
    "Sender",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "To",
    "Cc",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-ID",
    "Content-Description",
    "Resent-Date",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "Resent-Message-ID",
    "List-Id",
    "List-Help",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
    "DKIM-Signature",
};

const char *arc_seal_names(struct arena *arena, const struct headers *headers)
{
	struct strbuf names;
	size_t line = 0;
	strbuf_init(&names, arena);
	for (size_t i = 0; i < sizeof signed_names / sizeof *signed_names; i++) {
		size_t count = headers_count(headers, signed_names[i]);
		size_t times = (count < NAMES_MAX ? count : NAMES_MAX) + (i == 0);
		for (; times > 0; times--) {
			size_t n = strlen(signed_names[i]) + 1;
			bool fold = line > 0 && line + n > FOLD;
			strbuf_printf(&names, "%s%s%s", names.len == 0 ? "" : ":", fold ? "\n\t " : "", signed_names[i]);
			line = fold ? n : line + n;
		}
	}
	return names.data;
}

/* ---- the fields ---- */

/* b= in lines of that length. */
static const char *folded(struct arena *arena, const char *base64, size_t line)
{
	struct strbuf out;
	size_t room = line - 2; /* "b=" */
	strbuf_init(&out, arena);
	for (size_t n = strlen(base64); n > 0;) {
		size_t part = n < room ? n : room;
		strbuf_add(&out, base64, part);
		base64 += part;
		n -= part;
		room = line;
		if (n > 0) {
			strbuf_add_text(&out, "\n\t");
		}
	}
	return out.data;
}

static const char *message_value(struct arena *arena, const struct arc_seal_request *request, unsigned instance,
                                 const char *b)
{
	const char *digest =
	    dkim_base64_encode(arena, (struct slice){(const char *)request->body_digest, CANON_DIGEST_SIZE});
	return arena_printf(arena, "a=%s;\n\tb=%s;\n\tbh=%s; c=relaxed/relaxed;\n\td=%s;\n\th=%s; i=%u; s=%s; t=%llu",
	                    dkim_algorithm_name(dkim_private_key_algorithm(request->key)), b, digest, request->domain,
	                    request->names, instance, request->selector, (unsigned long long)request->now);
}

static const char *seal_value(struct arena *arena, const struct arc_seal_request *request, unsigned instance,
                              const char *b)
{
	return arena_printf(arena, "a=%s;\n\tb=%s; cv=%s;\n\td=%s; i=%u; s=%s; t=%llu",
	                    dkim_algorithm_name(dkim_private_key_algorithm(request->key)), b, arc_cv_name(request->cv),
	                    request->domain, instance, request->selector, (unsigned long long)request->now);
}

/* A value as it will stand on the wire: a leading space, CRLF for each LF. */
static struct slice on_wire(struct arena *arena, const char *value)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	strbuf_add_char(&out, ' ');
	for (; *value != '\0'; value++) {
		if (*value == '\n') {
			strbuf_add_char(&out, '\r');
		}
		strbuf_add_char(&out, *value);
	}
	return (struct slice){out.data, out.len};
}

static void add_made(struct strbuf *data, enum arc_field field, const char *value, bool line_end)
{
	canon_header(data, slice_from(arc_field_name(field)), on_wire(data->arena, value), CANON_RELAXED, line_end);
}

static const char *sign(struct arena *arena, const struct arc_seal_request *request, const struct strbuf *data)
{
	const char *b = dkim_private_key_sign(request->key, (struct slice){data->data, data->len}, arena);
	return b == NULL || request->line == 0 ? b : folded(arena, b, request->line);
}

static bool make_message_signature(struct arena *arena, const struct arc_seal_request *request, struct arc_seal *seal)
{
	struct strbuf data;
	strbuf_init(&data, arena);
	struct slice names = tag_compact(arena, slice_from(request->names));
	canon_fields(&data, arena, request->headers, names, CANON_RELAXED);
	add_made(&data, ARC_MESSAGE_SIGNATURE, message_value(arena, request, seal->instance, ""), false);
	const char *b = sign(arena, request, &data);
	seal->values[ARC_MESSAGE_SIGNATURE] = b == NULL ? NULL : message_value(arena, request, seal->instance, b);
	return b != NULL;
}

static bool make_seal(struct arena *arena, const struct arc_seal_request *request, const struct arc_chain *chain,
                      struct arc_seal *seal)
{
	struct strbuf data;
	strbuf_init(&data, arena);
	for (unsigned i = 0; request->cv == ARC_CV_PASS && i < chain->count; i++) {
		for (enum arc_field field = ARC_RESULTS; field < ARC_FIELD_COUNT; field++) {
			const struct header *header = chain->sets[i].fields[field];
			canon_header(&data, header->name, header->value, CANON_RELAXED, true);
		}
	}
	for (enum arc_field field = ARC_RESULTS; field < ARC_SEAL; field++) {
		add_made(&data, field, seal->values[field], true);
	}
	add_made(&data, ARC_SEAL, seal_value(arena, request, seal->instance, ""), false);
	const char *b = sign(arena, request, &data);
	seal->values[ARC_SEAL] = b == NULL ? NULL : seal_value(arena, request, seal->instance, b);
	return b != NULL;
}

enum arc_seal_result arc_seal_make(struct arena *arena, const struct arc_seal_request *request, struct arc_seal *seal_r)
{
	struct arc_chain chain;
	*seal_r = (struct arc_seal){.instance = 0};
	arc_chain_read(arena, request->headers, &chain);
	if (chain.ended) {
		return ARC_SEAL_ENDED;
	}
	if (chain.too_long || chain.count >= ARC_MAX_SETS) {
		return ARC_SEAL_FULL;
	}
	bool fits = request->cv == ARC_CV_NONE   ? chain.fields == 0
	            : request->cv == ARC_CV_PASS ? chain.count > 0 && chain.problem == NULL
	                                         : chain.fields > 0;
	if (!fits) {
		return ARC_SEAL_UNFIT;
	}
	seal_r->instance = chain.count + 1;
	seal_r->values[ARC_RESULTS] = arena_printf(arena, "i=%u; %s", seal_r->instance, request->results);
	bool made = make_message_signature(arena, request, seal_r) && make_seal(arena, request, &chain, seal_r);
	return made ? ARC_SEAL_MADE : ARC_SEAL_ERROR;
}
