/* long_work.c - a semaphore with as many units as Ps, and counts. A turn is tried for under the shards' locks, and waited for
 * without them: the command is then run again from its beginning, since what it looked at may have changed. */
#include "store/long_work.h"

#include "store/shard.h"

#include "base/check.h"

#include <tuco/go.h>

static void take(struct transaction *tx)
{
    struct long_turns *turns = &tx->keyspace->long_turns;
    tx->turn = TURN_TAKEN;
    atomic_fetch_add_explicit(&turns->begun, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&turns->running, 1, memory_order_relaxed);
}

bool long_work_begin_slow(struct transaction *tx)
{
    struct long_turns *turns = &tx->keyspace->long_turns;
    if (tx->turn == TURN_POSSIBLE) {
        if (!tu_semaphore_try_acquire(&turns->free, 1)) {
            tx->turn = TURN_POSTPONED;
            atomic_fetch_add_explicit(&turns->postponed, 1, memory_order_relaxed);
            return false;
        }
        take(tx);
    } else if (tx->turn == TURN_NONE) {
        atomic_fetch_add_explicit(&turns->begun, 1, memory_order_relaxed);
    }
    tu_step_aside();
    return true;
}

void long_work_wait(struct transaction *tx)
{
    struct long_turns *turns = &tx->keyspace->long_turns;
    tu_assert(tx->turn == TURN_POSTPONED && !transaction_holds_any(tx));
    atomic_fetch_add_explicit(&turns->waiting, 1, memory_order_relaxed);
    bool taken = tu_semaphore_acquire(&turns->free, 1) == 0;
    atomic_fetch_sub_explicit(&turns->waiting, 1, memory_order_relaxed);
    tx->turn = TURN_NONE; /* the server ends: it is not kept waiting */
    if (taken)
        take(tx);
}

void long_work_end_slow(struct transaction *tx)
{
    struct long_turns *turns = &tx->keyspace->long_turns;
    atomic_fetch_sub_explicit(&turns->running, 1, memory_order_relaxed);
    tu_semaphore_release(&turns->free, 1);
}

struct long_work_stats long_work_stats(struct keyspace *ks)
{
    struct long_turns *turns = &ks->long_turns;
    return (struct long_work_stats){
        .begun = atomic_load_explicit(&turns->begun, memory_order_relaxed),
        .postponed = atomic_load_explicit(&turns->postponed, memory_order_relaxed),
        .running = atomic_load_explicit(&turns->running, memory_order_relaxed),
        .waiting = atomic_load_explicit(&turns->waiting, memory_order_relaxed),
    };
}
