/* fuzz: what every harness defines (libFuzzer's interface). Returns 0; a fault aborts. */
#ifndef MAILREEVE_T_FUZZ_FUZZ_H
#define MAILREEVE_T_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is: else a fault for the fuzzer to find. */
static inline void require(bool condition)
{
	if (!condition) {
		abort();
	}
}

#endif
