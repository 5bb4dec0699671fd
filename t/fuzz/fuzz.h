/* fuzz: what every harness defines (libFuzzer's interface). Returns 0; a fault aborts. */
#ifndef MAILREEVE_T_FUZZ_FUZZ_H
#define MAILREEVE_T_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
