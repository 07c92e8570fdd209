/* expire_index.h - the deadlines of one shard in one database: a hierarchical wheel of key hashes.
 *
 * Time is counted in ticks of EXPIRE_TICK_MS. A level has 64 slots; a slot of level n is 64^n ticks
 * wide. An item lies on the level of the highest 6-bit digit in which its tick and the wheel's differ,
 * in the slot of its own digit there, so an item moves at most once per level before it fires. Levels
 * are allocated when first used.
 *
 * Fields of hashes have the same wheel with ticks of one millisecond (`exact`): there an item comes due when its deadline
 * has come, neither sooner nor later.
 *
 * The index does not know deadlines again once an item is in: what comes due is handed out as hashes,
 * and the caller asks the table and adds back what is not over yet. On the way from levels 2 and 1 down, which a million
 * items may take at once, that is not needed where all hashes share their top eight bits, as those of a shard do
 * (expire_index_share): items of these levels carry their digits of levels 1 and 0 in place of those bits and of the
 * lowest four, which are lost: such an index hands out hashes whose low four bits are zero.
 *
 * Invariants: every set bit of a level's bitmap is a slot above the wheel's digit on that level; its
 * vector is not empty; items is the number of hashes in slots and in the due vector.
 *
 * Under the shard's lock. Never parks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPIRE_LEVELS 10u

struct expire_vector {
    uint64_t *hashes;
    uint32_t count, capacity;
};
struct expire_level; /* expire_index.c */

struct expire_index {
    struct expire_level *levels[EXPIRE_LEVELS]; /* NULL: nothing was ever there */
    struct expire_vector due;                   /* taken from a slot, still to be handed out */
    uint64_t tick;                              /* the wheel's time */
    uint64_t items;
    size_t bytes;   /* memory of levels and vectors */
    uint32_t sweep; /* slot at which expire_index_sweep goes on */
    bool exact;     /* a tick is a millisecond; set while it is empty */
    bool carries; /* items of level 1 carry a digit; set while it is empty, by expire_index_share */
    uint64_t common; /* the top six bits of every hash, and zeros, if it does */
};

/* Says that all hashes have the top `bits` bits of `hash`; before the first is added. */
void expire_index_share(struct expire_index *x, uint64_t hash, unsigned bits);

/* Adds an item that comes due within a tick after deadline_ms. False: out of memory. If now_ms shows
 * that the clock was set back, all items become due at once, to be put back where they belong. */
bool expire_index_add(struct expire_index *x, uint64_t hash, int64_t deadline_ms, int64_t now_ms);
/* Takes out up to `capacity` items that are due at now_ms: their number. What is not over must be
 * added again. */
size_t expire_index_take(struct expire_index *x, int64_t now_ms, uint64_t *hashes, size_t capacity);
/* Puts an item to those due at once, in front. False: out of memory. */
bool expire_index_again(struct expire_index *x, uint64_t hash);
/* When expire_index_take will have something, in ms; INT64_MAX: never. */
int64_t expire_index_due_ms(const struct expire_index *x);
/* Puts the items of one slot, without duplicates, to those due at once, so that stale ones are found:
 * the caller does it while there are many more items than keys with a deadline. */
void expire_index_sweep(struct expire_index *x);
/* Drops all and gives the memory back. */
void expire_index_clear(struct expire_index *x);
/* Walks everything and aborts on a broken invariant. */
void expire_index_verify(const struct expire_index *x);
