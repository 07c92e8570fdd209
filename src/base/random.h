/* random.h - fast random numbers for sampling, and secret bytes.
 *
 * A generator belongs to one caller (a P, a shard under its lock, a goroutine); it is not for
 * secrets. random_bytes is. Never parks.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct random_state {
    uint64_t s[4]; /* xoshiro256++; not all zero */
};

/* Starts a generator from a number; equal seeds give equal sequences. */
void random_init(struct random_state *r, uint64_t seed);
/* Starts it from the system's entropy. */
void random_init_entropy(struct random_state *r);
uint64_t random_next(struct random_state *r);
/* Uniform in [0, bound); bound > 0. */
uint64_t random_below(struct random_state *r, uint64_t bound);

/* Fills `out` from the kernel's generator; aborts if it has none. */
void random_bytes(void *out, size_t size);
/* `size` lower-case hex digits from the kernel's generator (run ids); not null-terminated. */
void random_hex(char *out, size_t size);
