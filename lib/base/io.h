/* io: what read(2) and write(2) leave to their caller. */
#ifndef MAILREEVE_BASE_IO_H
#define MAILREEVE_BASE_IO_H

#include <stdbool.h>
#include <stddef.h>

/* All of it, however many calls it takes. False with errno: some of it may be written. */
bool io_write_all(int fd, const void *data, size_t n);

#endif
