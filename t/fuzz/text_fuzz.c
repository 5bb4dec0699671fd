/* Pages, scripts, shortcuts, office documents as text. */
#include "t/fuzz/file_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return file_fuzz("x.html", data, size);
}
