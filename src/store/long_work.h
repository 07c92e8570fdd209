/* long_work.h - commands that go through very many elements.
 *
 * From LONG_WORK elements on (about a millisecond) an operation says so before it changes or tells anything. Its P goes to
 * others (tu_step_aside), and it takes one of as many turns as there are Ps: with more such threads, ordinary commands would
 * get too little of the cores.
 *
 *     if (!long_work_begin(tx, elements))
 *         return STORE_POSTPONED;                  to the dispatcher, which lets go of the shards,
 *     long_work_wait(tx);                          waits for a turn, and runs the command from its beginning
 *     long_work_end(tx);                           after every command
 *
 * Where a transaction may not let go (EXEC, a client that is served) nothing is postponed: it goes on without a turn.
 */
#pragma once

#include "store/transaction.h"

#include <stdbool.h>
#include <stdint.h>

enum { LONG_WORK = 8192 };

enum long_turn {
    TURN_NONE,      /* it has none, and may not wait for one */
    TURN_POSSIBLE,  /* it has none yet, and may be postponed */
    TURN_POSTPONED, /* it has to wait */
    TURN_TAKEN,
};

bool long_work_begin_slow(struct transaction *tx) __attribute__((cold));

/* False: postponed. Never parks. */
static inline bool long_work_begin(struct transaction *tx, uint64_t elements)
{
    return elements < LONG_WORK || long_work_begin_slow(tx);
}
/* For one that was postponed, and holds nothing now: takes a turn. May park. */
void long_work_wait(struct transaction *tx);
/* Gives its turn back. Never parks. */
void long_work_end_slow(struct transaction *tx) __attribute__((cold));
static inline void long_work_end(struct transaction *tx)
{
    if (__builtin_expect(tx->turn == TURN_TAKEN, 0))
        long_work_end_slow(tx);
    tx->turn = TURN_NONE;
}

struct long_work_stats {
    uint64_t begun, postponed; /* in all */
    uint32_t running, waiting; /* now; running: with a turn */
};
struct long_work_stats long_work_stats(struct keyspace *ks);
