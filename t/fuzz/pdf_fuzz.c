/* PDF: objects, object streams, the security handler. */
#include "t/fuzz/file_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return file_fuzz("x.pdf", data, size);
}
