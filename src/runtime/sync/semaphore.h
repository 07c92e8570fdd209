/* semaphore.h - waiting on an address: the parking table under mutex, rwmutex and wait group.
 *
 * A waiter queues under the address of a 32-bit word, in one of a fixed number of buckets, so an
 * unused lock owns no queue and no memory. The word counts tokens nobody waited for yet; it is only
 * changed under its bucket's lock, by these functions. Tokens are handed to the first waiter
 * directly and cannot be stolen by a later one.
 *
 * Callable from goroutines and plain threads. The word's memory may go as soon as the last waiter
 * has been woken: a release does not touch it after that.
 */
#pragma once

#include <tuco/base.h>

#include "runtime/sched/park.h"

enum tu__semaphore_end { TU__SEMAPHORE_BACK, TU__SEMAPHORE_FRONT };

/* Takes a token; waits for one at that end of the queue. May park. */
void tu__semaphore_acquire(uint32_t *word, enum tu__semaphore_end end, enum tu__wait why);

/* Hands out `count` tokens. Never parks. */
void tu__semaphore_release(uint32_t *word, uint32_t count);

/* Waiting for an event rather than a token: a wait group's door. `enter(arg)` is called under the
 * bucket's lock and says whether to wait; `leave(arg)` is called under it when a wait ends by the
 * current context instead of tu__semaphore_open. 0 (opened, or enter was false), or the context's
 * error. May park. */
int tu__semaphore_wait(uint32_t *word, bool (*enter)(void *arg), void (*leave)(void *arg),
                       void *arg, enum tu__wait why);

/* Wakes all who wait for the event, if `may_open(arg)`, called under the bucket's lock, agrees.
 * Returns what it said. Never parks. */
bool tu__semaphore_open(uint32_t *word, bool (*may_open)(void *arg), void *arg);
