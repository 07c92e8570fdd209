/* transaction.c - locking without deadlock: wait for one, try the others.
 *
 * A transaction first waits for its lowest shard holding nothing, then tries the rest in ascending
 * order. A busy one is tried for as long as a short command takes; then all are given back, and the
 * next round begins by waiting for exactly that shard. So nobody ever waits while holding, and the
 * order does not matter for safety; ascending order only makes collisions rarer.
 *
 * The gate is the same with every shard: docs/decisions/0010-the-gate-is-all-locks.md.
 *
 * Who waits for a key may need others when it is served. Only under the lock can be seen that somebody does: then all is given
 * back, and locked anew with what it needs, until that is enough; after a few rounds, everything.
 */
#include "store/transaction.h"

#include "base/check.h"
#include "store/shard.h"

#include <tuco/go.h>
#include <tuco/mem.h>

/* Old values a reply may still show. */
struct transaction_garbage {
    struct transaction_garbage *next;
    struct entry *entry;
};

enum { TRIES = 40 }; /* about the time of a short command under the lock */

static inline void nopark(bool begin)
{
#ifdef TU_DEBUG
    if (begin)
        tu_nopark_begin();
    else
        tu_nopark_end();
#else
    (void)begin;
#endif
}

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

void transaction_init(struct transaction *tx, struct keyspace *ks, uint32_t db, int64_t now_ms)
{
    tu_assert(db < ks->databases);
    tx->keyspace = ks;
    tx->now_ms = now_ms;
    tx->db = db;
    tx->no_touch = tx->holds_all = tx->no_expire = false;
    tx->turn = 0;
    tx->held_count = tx->held_one = 0;
    tx->dirty = 0;
    tx->ready.first = tx->ready.last = NULL;
    tx->effects = (struct effects){NULL, NULL};
    tx->garbage = NULL;
}

static void hold_one(struct transaction *tx, uint32_t number)
{
    tu_mutex_lock(&shard_at(tx->keyspace, number)->lock);
    tx->held_count = 1;
    tx->held_one = number;
    nopark(true);
}

static inline bool in_set(const uint64_t *set, uint32_t number)
{
    return set[number / 64] >> (number % 64) & 1;
}

/* The first shard of the set at or behind `from`, but `count` or more if it is not below `count`. */
static inline uint32_t next_in_set(const uint64_t *set, uint32_t from, uint32_t count)
{
    while (from < count) {
        uint64_t rest = set[from / 64] >> (from % 64);
        if (rest)
            return from + (uint32_t)__builtin_ctzll(rest);
        from = (from | 63) + 1;
    }
    return count;
}

static bool try_for_a_while(struct tu_mutex *lock)
{
    for (int i = 0; i < TRIES; i++) {
        if (tu_mutex_try_lock(lock))
            return true;
        relax();
    }
    return false;
}

/* Tries every shard of tx->held but `have`: the number of the first that is busy, all others given
 * back, or shard_count when all are held. */
static uint32_t try_rest(struct transaction *tx, uint32_t have)
{
    const struct keyspace *ks = tx->keyspace;
    const uint64_t *held = tx->held;
    const uint32_t all = ks->shard_count;
    for (uint32_t n = next_in_set(held, 0, all); n < all; n = next_in_set(held, n + 1, all)) {
        if (n == have || try_for_a_while(&shard_at(ks, n)->lock))
            continue;
        for (uint32_t back = next_in_set(held, 0, n); back < n;
             back = next_in_set(held, back + 1, n))
            if (back != have)
                tu_mutex_unlock(&shard_at(ks, back)->lock);
        tu_mutex_unlock(&shard_at(ks, have)->lock);
        return n;
    }
    return ks->shard_count;
}

static void hold_set(struct transaction *tx, uint32_t first)
{
    const struct keyspace *ks = tx->keyspace;
    for (uint32_t wait_for = first; wait_for < ks->shard_count;) {
        tu_mutex_lock(&shard_at(ks, wait_for)->lock);
        wait_for = try_rest(tx, wait_for);
    }
    nopark(true);
}

static void lock_named(struct transaction *tx, const uint64_t *hashes, size_t count)
{
    const struct keyspace *ks = tx->keyspace;
    uint32_t first = shard_number(ks, hashes[0]), shards = 1;
    if (count == 1) {
        hold_one(tx, first);
        return;
    }
    memset(tx->held, 0, sizeof tx->held);
    tx->held[first / 64] |= UINT64_C(1) << (first % 64);
    for (size_t i = 1; i < count; i++) {
        uint32_t n = shard_number(ks, hashes[i]);
        shards += !in_set(tx->held, n);
        tx->held[n / 64] |= UINT64_C(1) << (n % 64);
        first = n < first ? n : first;
    }
    if (shards == 1) {
        hold_one(tx, first);
        return;
    }
    hold_set(tx, first);
    tx->held_count = shards;
}

/* Lets all go, without telling anybody of anything. */
static void release(struct transaction *tx)
{
    const struct keyspace *ks = tx->keyspace;
    nopark(false);
    if (tx->held_count == 1) {
        tu_mutex_unlock(&shard_at(ks, tx->held_one)->lock);
    } else {
        const uint32_t all = ks->shard_count;
        for (uint32_t n = next_in_set(tx->held, 0, all); n < all;
             n = next_in_set(tx->held, n + 1, all))
            tu_mutex_unlock(&shard_at(ks, n)->lock);
    }
    tx->held_count = 0;
    tx->holds_all = false;
}

static bool any_wide(const struct transaction *tx, const uint64_t *hashes, size_t count)
{
    if (tx->held_count == 1)
        return shard_at(tx->keyspace, tx->held_one)->blocking.wide > 0;
    for (size_t i = 0; i < count; i++)
        if (shard_of(tx->keyspace, hashes[i])->blocking.wide > 0)
            return true;
    return false;
}

enum { WIDEN_ROUNDS = 8 };

/* Takes what those who wait for the keys need, too. */
static __attribute__((noinline)) void widen(struct transaction *tx, const uint64_t *hashes,
                                            size_t count)
{
    enum { SET = TRANSACTION_SHARDS_MAX / 64 };
    for (int round = 0; round < WIDEN_ROUNDS; round++) {
        uint64_t wanted[SET] = {0};
        uint32_t shards = 0, first = UINT32_MAX;
        for (size_t i = 0; i < count; i++) {
            uint32_t n = shard_number(tx->keyspace, hashes[i]);
            wanted[n / 64] |= UINT64_C(1) << (n % 64);
        }
        if (!blocking_reach(tx, hashes, count, wanted))
            break;
        bool enough = true;
        for (uint32_t n = 0; n < tx->keyspace->shard_count; n++)
            if (in_set(wanted, n)) {
                enough &= tx->held_count == 1 ? n == tx->held_one : in_set(tx->held, n);
                first = n < first ? n : first;
                shards++;
            }
        if (enough)
            return;
        release(tx);
        memcpy(tx->held, wanted, sizeof wanted);
        hold_set(tx, first);
        tx->held_count = shards;
    }
    release(tx);
    transaction_lock_all(tx);
}

void transaction_lock(struct transaction *tx, const uint64_t *hashes, size_t count)
{
    tu_check(tx->held_count == 0, "a transaction that locks twice");
    if (count == 0)
        return;
    lock_named(tx, hashes, count);
    if (__builtin_expect(any_wide(tx, hashes, count), 0))
        widen(tx, hashes, count);
}

void transaction_lock_all(struct transaction *tx)
{
    const struct keyspace *ks = tx->keyspace;
    tu_check(tx->held_count == 0, "a transaction that locks twice");
    memset(tx->held, 0, sizeof tx->held);
    for (uint32_t n = 0; n < ks->shard_count; n++)
        tx->held[n / 64] |= UINT64_C(1) << (n % 64);
    hold_set(tx, 0);
    tx->held_one = 0;
    tx->held_count = ks->shard_count;
    tx->holds_all = true;
}

bool transaction_lock_shard(struct transaction *tx, uint32_t number)
{
    if (tx->holds_all)
        return false;
    tu_check(tx->held_count == 0, "a command without declared keys holds some");
    hold_one(tx, number);
    return true;
}

bool transaction_holds(const struct transaction *tx, uint64_t hash)
{
    uint32_t n = shard_number(tx->keyspace, hash);
    if (tx->held_count <= 1)
        return tx->held_count == 1 && tx->held_one == n;
    return in_set(tx->held, n);
}

bool transaction_covers(const struct transaction *tx, uint64_t hash)
{
    return transaction_holds(tx, hash) && !tx->ready.first &&
           shard_of(tx->keyspace, hash)->blocking.wide == 0;
}

void transaction_rebind_db(struct transaction *tx, uint32_t db)
{
    tu_check(db < tx->keyspace->databases, "database %u", db);
    tx->db = db;
}

bool transaction_keep(struct transaction *tx, struct entry *e)
{
    struct transaction_garbage *g = tu_alloc(sizeof *g);
    if (!g)
        return false;
    g->next = tx->garbage;
    g->entry = e;
    tx->garbage = g;
    return true;
}

static void free_garbage(struct transaction *tx)
{
    while (tx->garbage) {
        struct transaction_garbage *g = tx->garbage;
        tx->garbage = g->next;
        entry_free(g->entry);
        tu_free(g);
    }
}

void transaction_unlock(struct transaction *tx)
{
    if (tx->held_count == 0)
        return;
    if (__builtin_expect(tx->ready.first != NULL, 0))
        blocking_serve(tx);
    if (tx->effects.first)
        effects_emit(tx);
    release(tx);
    if (tx->garbage)
        free_garbage(tx);
}
