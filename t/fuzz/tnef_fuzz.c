/* winmail.dat: its members lie in the input, and RTF is decompressed as far as asked for. */
#include "inspect/tnef.h"
#include "t/fuzz/fuzz.h"

enum { RTF_MAX = 1 << 16 };

static void inside(struct slice whole, struct slice part)
{
	require(part.len == 0 || (part.data >= whole.data && part.data + part.len <= whole.data + whole.len));
}

static void visit(void *context, const struct tnef_member *member)
{
	const struct slice *input = context;
	inside(*input, member->content);
	inside(*input, member->type);
	require(member->name_count <= TNEF_NAMES_MAX);
	for (size_t i = 0; i < member->name_count; i++) {
		inside(*input, member->names[i].text);
	}
	size_t size = tnef_rtf_size(member->content, RTF_MAX);
	char *out = malloc(size);
	if (member->kind == TNEF_RTF) {
		require(tnef_rtf(member->content, out, size) <= size);
	}
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = {(const char *)data, size};
	tnef_read(input, visit, &input);
	return 0;
}
