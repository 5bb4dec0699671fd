/* Archives: zip, rar, cab, 7z and all that libarchive opens. */
#include "t/fuzz/file_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return file_fuzz("x.zip", data, size);
}
