/* Policies of MTA-STS, and TLSA rdata from the same bytes. */
#include "lib/audit/sts_policy.h"
#include "lib/audit/tlsa.h"
#include "t/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data, size};
	struct sts_policy policy;
	struct tlsa tlsa;
	const char *problem;
	bool good = sts_policy_parse(text, &policy, &problem);
	require(good == (problem == NULL) && policy.mx_count <= STS_MX_MAX);
	for (size_t i = 0; i < policy.mx_count; i++) {
		struct slice mx = policy.mx[i];
		require(mx.len > 0 && mx.data >= text.data && mx.data + mx.len <= text.data + size);
		require(mx.data[0] == '*' || sts_mx_matches(mx, mx));
		sts_mx_matches(mx, text);
	}
	require(!good || (policy.max_age <= STS_AGE_MAX && (policy.mode == STS_MODE_NONE || policy.mx_count > 0)));
	enum tlsa_problem tlsa_problem = tlsa_parse(text, &tlsa);
	require(tlsa.data.len <= size && (tlsa_problem != TLSA_GOOD || tlsa.usage == 2 || tlsa.usage == 3));
	struct arena *arena = arena_create(1024);
	require(strlen(tlsa_text(arena, &tlsa, 16)) < 64);
	arena_destroy(arena);
	return 0;
}
