/* entropy.h - secret bytes from the kernel: hash keys, run ids, seeds. Callable from anywhere; never
 * parks (before the kernel has gathered entropy, early in boot, it blocks the thread).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Fills `out`; aborts if the kernel has no generator. */
void entropy_bytes(void *out, size_t size);
/* `size` lower-case hexadecimal digits; not null-terminated. */
void entropy_hex(char *out, size_t size);
uint64_t entropy_seed(void);
