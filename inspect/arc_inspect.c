#include "inspect/arc_inspect.h"

enum { HEADERS_MAX = 20000 };

void arc_inspect_message(const struct inspect_request *request, struct slice message, struct arena *arena,
                         struct inspect_reply *reply_r)
{
	struct headers headers = {.count = 0};
	struct header_limits limits = {.max_count = HEADERS_MAX, .max_bytes = SIZE_MAX};
	size_t at = headers_parse(&headers, arena, &limits, message);
	struct slice body = {message.data + at, message.len - at};
	if ((request->tasks & INSPECT_ARC) != 0) {
		arc_verify(arena, &headers, body, request->arc_keys, request->now, &reply_r->arc);
	}
	if ((request->tasks & INSPECT_BODY) != 0) {
		canon_body(body, CANON_RELAXED, UINT64_MAX, reply_r->body_digest);
		reply_r->body_hashed = true;
	}
}
