/* futex.h - sleeping on a 32-bit word, for threads. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

/* Sleeps while *word == expected, at most timeout_ns (negative: for ever). 0 when woken (perhaps for
 * nothing), -EAGAIN when the word was different, -ETIMEDOUT. */
int futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns);
/* Wakes up to `count` sleepers. The word's memory may be gone: a stray wake is harmless. */
void futex_wake(_Atomic uint32_t *word, int count);
