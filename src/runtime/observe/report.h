/* report.h - text for reports: collected in a buffer on the caller's stack, written to a descriptor.
 *
 * No allocation, no stdio, no locks: usable in a fault handler. Errors of the write are ignored: there is
 * nobody to tell.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct report {
    int fd;
    size_t used;
    char bytes[1024];
};

static inline void report_init(struct report *r, int fd)
{
    r->fd = fd;
    r->used = 0;
}

void report_text(struct report *r, const char *text);
/* At most `size` bytes, up to a 0; what is not printable ASCII becomes '?'. */
void report_name(struct report *r, const char *text, size_t size);
void report_number(struct report *r, uint64_t value);
void report_hex(struct report *r, uint64_t value); /* with 0x */
/* A time as people say it, two digits or more: 850 ms, 5.2 s, 3 min 20 s, 4 h 10 min. */
void report_duration(struct report *r, int64_t duration_ns);
void report_flush(struct report *r);
