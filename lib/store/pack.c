#include "lib/store/pack.h"

#include <stdlib.h>
#include <zstd.h>

/* Level 3 packs mail at hundreds of megabytes a second; higher ones gain a few percent for many times that. */
enum { LEVEL = 3 };

bool pack_compress(struct slice data, struct slice *packed_r)
{
	size_t capacity = ZSTD_compressBound(data.len);
	char *packed = malloc(capacity);
	ZSTD_CCtx *context = ZSTD_createCCtx();
	size_t n = 0;
	bool good = packed != NULL && context != NULL;
	if (good) {
		ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, LEVEL);
		ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
		n = ZSTD_compress2(context, packed, capacity, data.len == 0 ? "" : data.data, data.len);
		good = !ZSTD_isError(n);
	}
	ZSTD_freeCCtx(context);
	if (!good) {
		free(packed);
		return false;
	}
	*packed_r = (struct slice){packed, n};
	return true;
}

bool pack_expand(struct slice packed, uint64_t size, struct slice *data_r)
{
	if (packed.len == 0 || ZSTD_getFrameContentSize(packed.data, packed.len) != size ||
	    ZSTD_findFrameCompressedSize(packed.data, packed.len) != packed.len) {
		return false;
	}
	char *data = malloc(size + 1);
	if (data == NULL) {
		return false;
	}
	if (ZSTD_decompress(data, size, packed.data, packed.len) != size) {
		free(data);
		return false;
	}
	data[size] = '\0';
	*data_r = (struct slice){data, size};
	return true;
}
