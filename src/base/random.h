/* random.h - fast random numbers for sampling.
 *
 * A generator belongs to one caller (a shard under its lock, a goroutine). Not for secrets: those
 * come from platform/entropy.h, as does a seed. Pure.
 */
#pragma once

#include <stdint.h>

struct random_state {
    uint64_t s[4]; /* xoshiro256++; not all zero */
};

/* Starts a generator from a number; equal seeds give equal sequences. */
void random_init(struct random_state *r, uint64_t seed);
uint64_t random_next(struct random_state *r);
/* Uniform in [0, bound); bound > 0. */
uint64_t random_below(struct random_state *r, uint64_t bound);
