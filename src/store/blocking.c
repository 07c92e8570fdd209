/* blocking.c - queues of waiters in each shard, found by the key's hash.
 *
 * Serving is doing the waiter's command once more: that is how the peers do it, and so the order of its keys, an error that a
 * second key gives, or a destination of the wrong type need no rules here. It costs that all shards of the command are
 * held, which only those pay who name a key that such a waiter waits for.
 *
 * Rejected: to hand the element over and let the waiter's own goroutine do the rest (others would see the element, or
 * its absence, before the destination has it); to serve with the served key's shard only (a waiter for two keys could be
 * served by two at once, and the second key's error would depend on which shard it lies in).
 *
 *   server of a key, under its lock                 who withdraws                owner
 *   1 WAITING -> CLAIMED, acquire                   WAITING -> WITHDRAWN         1 sees SERVED or WITHDRAWN, acquire
 *   2 serve; unlink where the lock is held          CLAIMED: look again          2 takes each shard's lock once,
 *   3 CLAIMED -> SERVED, release; wake                                             unlinking
 *
 * A queue is freed with its last node, but not while it is on a transaction's list: whoever takes it from the list does that.
 */
#include "store/blocking.h"

#include "base/check.h"
#include "store/shard.h"
#include "store/transaction.h"

#include <string.h>
#include <tuco/mem.h>

struct blocking_queue {
    struct blocking_queue *next, **previous; /* chain */
    struct blocking_queue *next_ready;
    struct blocking_node *first, *last;
    uint32_t waiters, on_missing;
    uint32_t wanting[TYPE_MODULE + 1]; /* waiters by what they can take from */
    bool ready;                        /* on a transaction's list */
    const void *
        seen; /* identity() of the key when it was last looked at: most changes of a stream are for nobody */
    uint32_t db, key_size;
    uint64_t hash;
    char key[];
};

static struct slice queue_key(const struct blocking_queue *q)
{
    return (struct slice){q->key, q->key_size};
}

static const struct entry *entry_of(const struct keyspace *ks, const struct blocking_queue *q)
{
    const struct shard_db *d = shard_db_of(shard_of(ks, q->hash), q->db);
    return d ? hash_table_find(&d->table, queue_key(q), q->hash, NULL) : NULL;
}

static enum store_type type_of(const struct keyspace *ks, const struct blocking_queue *q)
{
    const struct entry *e = entry_of(ks, q);
    return e ? (enum store_type)e->type : TYPE_NONE;
}

/* Differs if the key has come to be, or gone, or has another type, or is another stream. */
static const void *identity(const struct keyspace *ks, const struct blocking_queue *q)
{
    const struct entry *e = entry_of(ks, q);
    if (e && e->type == TYPE_STREAM)
        return entry_block(e);
    return (const void *)(uintptr_t)(e ? 1 + e->type : 0);
}

/* ---- the table of a shard ---- */

static struct blocking_queue **chain_of(struct blocking_table *t, uint64_t hash)
{
    return &t->chains[hash & (t->chain_count - 1)];
}

static void link_queue(struct blocking_table *t, struct blocking_queue *q)
{
    struct blocking_queue **chain = chain_of(t, q->hash);
    q->next = *chain;
    q->previous = chain;
    if (q->next)
        q->next->previous = &q->next;
    *chain = q;
}

static bool make_room(struct blocking_table *t)
{
    if (t->count < t->chain_count)
        return true;
    struct blocking_table larger = *t;
    larger.chain_count = t->chain_count ? t->chain_count * 2 : 8;
    larger.chains = tu_alloc_zeroed(larger.chain_count * sizeof(struct blocking_queue *));
    if (!larger.chains)
        return t->chain_count > 0; /* longer chains, then */
    for (uint32_t i = 0; i < t->chain_count; i++) {
        for (struct blocking_queue *q = t->chains[i], *next; q; q = next) {
            next = q->next;
            link_queue(&larger, q);
        }
    }
    tu_free(t->chains);
    *t = larger;
    return true;
}

static struct blocking_queue *find_queue(struct blocking_table *t, uint32_t db, struct slice key,
                                         uint64_t hash)
{
    if (t->count == 0)
        return NULL;
    for (struct blocking_queue *q = *chain_of(t, hash); q; q = q->next)
        if (q->hash == hash && q->db == db && slice_equal(queue_key(q), key))
            return q;
    return NULL;
}

static struct blocking_queue *make_queue(struct keyspace *ks, struct blocking_table *t, uint32_t db,
                                         struct slice key, uint64_t hash)
{
    struct blocking_queue *q = tu_alloc(sizeof *q + key.size);
    if (!q || !make_room(t)) {
        tu_free(q);
        return NULL;
    }
    *q = (struct blocking_queue){.db = db, .key_size = (uint32_t)key.size, .hash = hash};
    if (key.size > 0)
        memcpy(q->key, key.data, key.size);
    q->seen = identity(ks, q);
    link_queue(t, q);
    t->count++;
    atomic_fetch_add_explicit(&ks->blocking_keys, 1, memory_order_relaxed);
    return q;
}

/* Frees a queue that nobody is in, unless a transaction's list still has it. */
static void drop_queue(struct keyspace *ks, struct blocking_table *t, struct blocking_queue *q)
{
    if (q->first || q->ready)
        return;
    *q->previous = q->next;
    if (q->next)
        q->next->previous = q->previous;
    tu_free(q);
    atomic_fetch_sub_explicit(&ks->blocking_keys, 1, memory_order_relaxed);
    if (--t->count == 0) {
        tu_free(t->chains);
        *t = (struct blocking_table){0};
    }
}

/* ---- places in queues ---- */

static void link_node(struct keyspace *ks, struct blocking_table *t, struct blocking_queue *q,
                      struct blocking_node *n)
{
    const struct blocking_waiter *w = n->waiter;
    n->queue = q;
    n->next = NULL;
    n->previous = q->last;
    if (q->last)
        q->last->next = n;
    else
        q->first = n;
    q->last = n;
    q->waiters++;
    q->wanting[w->type]++;
    t->wide += w->wide;
    if (w->on_missing && q->on_missing++ == 0)
        atomic_fetch_add_explicit(&ks->blocking_keys_on_missing, 1, memory_order_relaxed);
}

static void unlink_node(struct keyspace *ks, struct blocking_table *t, struct blocking_node *n)
{
    struct blocking_queue *q = n->queue;
    const struct blocking_waiter *w = n->waiter;
    if (!q)
        return;
    if (n->previous)
        n->previous->next = n->next;
    else
        q->first = n->next;
    if (n->next)
        n->next->previous = n->previous;
    else
        q->last = n->previous;
    n->queue = NULL;
    q->waiters--;
    q->wanting[w->type]--;
    t->wide -= w->wide;
    if (w->on_missing && --q->on_missing == 0)
        atomic_fetch_sub_explicit(&ks->blocking_keys_on_missing, 1, memory_order_relaxed);
    drop_queue(ks, t, q);
}

static void release_nodes(struct blocking_waiter *w)
{
    if (w->nodes != &w->one)
        tu_free(w->nodes);
    w->nodes = NULL;
    w->count = 0;
}

static void unlink_all(struct transaction *tx, struct blocking_waiter *w)
{
    for (size_t i = 0; i < w->count; i++) {
        struct blocking_node *n = &w->nodes[i];
        if (transaction_holds(tx, n->hash))
            unlink_node(tx->keyspace, &shard_of(tx->keyspace, n->hash)->blocking, n);
    }
}

/* One key more to wait for. If it is one already, the waiter is the last in its queue: all locks have been held since. */
static bool enrol_key(struct transaction *tx, struct blocking_waiter *w, struct slice name,
                      uint64_t hash)
{
    struct keyspace *ks = tx->keyspace;
    struct blocking_table *t = &shard_of(ks, hash)->blocking;
    struct blocking_queue *q = find_queue(t, tx->db, name, hash);
    tu_assert(transaction_holds(tx, hash));
    if (q && q->last && q->last->waiter == w)
        return true;
    if (!q && !(q = make_queue(ks, t, tx->db, name, hash)))
        return false;
    struct blocking_node *n = &w->nodes[w->count++];
    *n = (struct blocking_node){.waiter = w, .hash = hash};
    link_node(ks, t, q, n);
    return true;
}

enum store_result blocking_enrol(struct transaction *tx, struct blocking_waiter *w,
                                 const struct blocking_ops *ops, const struct blocking_wish *wish)
{
    tu_check(blocking_state(w) == BLOCKING_IDLE, "a waiter that waits already");
    w->ops = ops;
    w->type = wish->type;
    w->on_missing = wish->on_missing;
    w->pushes = wish->pushes;
    w->wide = wish->pushes || wish->count > 1;
    w->destination = wish->destination;
    w->count = 0;
    w->nodes = wish->count <= 1 ? &w->one : tu_alloc(wish->count * sizeof *w->nodes);
    if (!w->nodes)
        return STORE_NO_MEMORY;
    for (size_t i = 0; i < wish->count; i++)
        if (!enrol_key(tx, w, wish->names[i], wish->hashes[i])) {
            unlink_all(tx, w);
            release_nodes(w);
            return STORE_NO_MEMORY;
        }
    atomic_store_explicit(&w->state, BLOCKING_WAITING, memory_order_release);
    return STORE_OK;
}

/* ---- the end of waiting ---- */

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

bool blocking_withdraw(struct blocking_waiter *w, uint32_t reason)
{
    uint32_t state = blocking_state(w);
    for (;;) {
        if (state == BLOCKING_CLAIMED) { /* its server does not wait for anything */
            relax();
            state = blocking_state(w);
        } else if (state != BLOCKING_WAITING) {
            return false;
        } else if (atomic_compare_exchange_weak_explicit(
                       &w->state, &state, BLOCKING_WITHDRAWN + reason, memory_order_acq_rel,
                       memory_order_acquire)) {
            return true;
        }
    }
}

void blocking_leave(struct blocking_waiter *w, struct keyspace *ks)
{
    uint32_t state = blocking_state(w);
    tu_check(state == BLOCKING_SERVED || state >= BLOCKING_WITHDRAWN, "a waiter leaves in state %u",
             state);
    for (size_t i = 0; i < w->count; i++) {
        struct shard *s = shard_of(ks, w->nodes[i].hash);
        tu_mutex_lock(&s->lock);
        unlink_node(ks, &s->blocking, &w->nodes[i]);
        tu_mutex_unlock(&s->lock);
    }
    release_nodes(w);
    atomic_store_explicit(&w->state, BLOCKING_IDLE, memory_order_relaxed);
}

/* ---- who is ready ---- */

static void touch_queue(struct transaction *tx, struct blocking_queue *q, bool grown)
{
    const void *now = identity(tx->keyspace, q);
    bool changed = now != q->seen || grown;
    q->seen = now;
    if (!changed || q->ready || (q->wanting[type_of(tx->keyspace, q)] == 0 && q->on_missing == 0))
        return;
    q->ready = true;
    q->next_ready = NULL;
    if (tx->ready.last)
        tx->ready.last->next_ready = q;
    else
        tx->ready.first = q;
    tx->ready.last = q;
}

void blocking_touch(struct transaction *tx, uint32_t db, struct slice key, uint64_t hash,
                    bool grown)
{
    struct blocking_queue *q = find_queue(&shard_of(tx->keyspace, hash)->blocking, db, key, hash);
    if (q)
        touch_queue(tx, q, grown);
}

void blocking_touch_db(struct transaction *tx, struct shard *shard, uint32_t db)
{
    for (uint32_t i = 0; i < shard->blocking.chain_count; i++)
        for (struct blocking_queue *q = shard->blocking.chains[i]; q; q = q->next)
            if (q->db == db)
                touch_queue(tx, q, false);
}

/* ---- serving ---- */

/* False: it is not waiting any more, or there was nothing for it. */
static bool serve_waiter(struct transaction *tx, struct blocking_waiter *w)
{
    uint32_t waiting = BLOCKING_WAITING;
    if (!atomic_compare_exchange_strong_explicit(&w->state, &waiting, BLOCKING_CLAIMED,
                                                 memory_order_acq_rel, memory_order_relaxed))
        return false;
    bool served = w->ops->serve(w, tx);
    if (served)
        unlink_all(tx, w);
    atomic_store_explicit(&w->state, served ? BLOCKING_SERVED : BLOCKING_WAITING,
                          memory_order_release);
    if (served)
        w->ops->wake(w);
    return served;
}

/* Those who wait now, once each. */
static void serve_queue(struct transaction *tx, struct blocking_queue *q)
{
    struct blocking_node *n = q->first, *next;
    for (; n; n = next) {
        enum store_type type = type_of(tx->keyspace, q);
        next = n->next; /* of another waiter, so it stays while this one is served */
        if (q->wanting[type] == 0 && q->on_missing == 0)
            return;
        if (n->waiter->type != type && !n->waiter->on_missing)
            continue;
        transaction_rebind_db(tx, q->db);
        (void)serve_waiter(tx, n->waiter);
    }
}

void blocking_serve(struct transaction *tx)
{
    uint32_t db = tx->db;
    struct blocking_queue *q;
    while ((q = tx->ready.first)) {
        tx->ready.first = q->next_ready;
        if (!tx->ready.first)
            tx->ready.last = NULL;
        serve_queue(tx, q);
        q->ready =
            false; /* until here it keeps the queue alive; its waiters have all had their chance */
        drop_queue(tx->keyspace, &shard_of(tx->keyspace, q->hash)->blocking, q);
    }
    tx->db = db;
}

/* ---- what serving needs ---- */

static void add_shard(const struct keyspace *ks, uint64_t *shards, uint64_t hash)
{
    uint32_t n = shard_number(ks, hash);
    shards[n / 64] |= UINT64_C(1) << (n % 64);
}

/* Keys that serving may push to; they may have waiters of their own. */
enum { DESTINATIONS = 64 };
struct reach {
    const struct transaction *tx;
    uint64_t *shards;
    uint64_t destinations[DESTINATIONS];
    size_t count;
};

static bool add_destination(struct reach *r, uint64_t hash)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->destinations[i] == hash)
            return true;
    if (r->count == DESTINATIONS)
        return false;
    r->destinations[r->count++] = hash;
    add_shard(r->tx->keyspace, r->shards, hash);
    return true;
}

static bool add_waiter(struct reach *r, const struct blocking_waiter *w)
{
    for (size_t i = 0; i < w->count; i++)
        add_shard(r->tx->keyspace, r->shards, w->nodes[i].hash);
    return !w->pushes || add_destination(r, w->destination);
}

static bool add_waiters_of(struct reach *r, uint64_t hash)
{
    const struct blocking_table *t = &shard_of(r->tx->keyspace, hash)->blocking;
    if (!transaction_holds(r->tx, hash) || t->wide == 0)
        return true;
    for (const struct blocking_queue *q = t->chains[hash & (t->chain_count - 1)]; q; q = q->next)
        for (const struct blocking_node *n = q->hash == hash ? q->first : NULL; n; n = n->next)
            if (n->waiter->wide && !add_waiter(r, n->waiter))
                return false;
    return true;
}

bool blocking_reach(const struct transaction *tx, const uint64_t *hashes, size_t count,
                    uint64_t *shards)
{
    struct reach r = {.tx = tx, .shards = shards};
    for (size_t i = 0; i < count; i++)
        if (!add_waiters_of(&r, hashes[i]))
            return false;
    for (size_t i = 0; i < r.count; i++)
        if (!add_waiters_of(&r, r.destinations[i]))
            return false;
    return true;
}

/* ---- numbers, tests ---- */

struct blocking_stats blocking_stats(const struct keyspace *ks)
{
    return (struct blocking_stats){
        atomic_load_explicit(&ks->blocking_keys, memory_order_relaxed),
        atomic_load_explicit(&ks->blocking_keys_on_missing, memory_order_relaxed)};
}

static void verify_queue(const struct blocking_queue *q, uint32_t *wide)
{
    uint32_t waiters = 0, on_missing = 0;
    const struct blocking_node *last = NULL;
    for (const struct blocking_node *n = q->first; n; last = n, n = n->next) {
        tu_check(n->previous == last && n->queue == q && n->hash == q->hash, "a waiter's place");
        waiters++;
        on_missing += n->waiter->on_missing;
        *wide += n->waiter->wide;
    }
    tu_check(q->last == last && q->waiters == waiters && q->on_missing == on_missing,
             "a queue's numbers");
    tu_check(q->first && !q->ready, "a queue that should be gone, or served");
}

/* For a shard that no transaction has changed since it was locked. */
void blocking_verify(const struct shard *shard)
{
    const struct blocking_table *t = &shard->blocking;
    uint32_t count = 0, wide = 0;
    for (uint32_t i = 0; i < t->chain_count; i++)
        for (const struct blocking_queue *q = t->chains[i]; q; q = q->next, count++) {
            tu_check((q->hash & (t->chain_count - 1)) == i && *q->previous == q, "a queue's place");
            verify_queue(q, &wide);
        }
    tu_check(count == t->count && wide == t->wide, "a blocking table's numbers");
}
