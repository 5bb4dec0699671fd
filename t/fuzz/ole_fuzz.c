/* OLE compound files, VBA, Excel records; RTF and OneNote. */
#include "t/fuzz/file_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return file_fuzz("x.doc", data, size);
}
