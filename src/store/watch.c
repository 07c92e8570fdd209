/* watch.c - a node is linked twice: singly in its client's list, doubly in a chain of its shard's
 * table. Chains are found by the key's hash; there are as many as nodes, about.
 *
 * An expired key that WATCH meets is deleted first, so "was already expired" needs no flag: it is
 * simply missing. EXEC looks every watched key up once more, which deletes those that expired in the
 * meantime and thereby marks the watcher.
 */
#include "store/watch.h"

#include "base/check.h"
#include "store/shard.h"
#include "store/transaction.h"

#include <string.h>
#include <tuco/mem.h>

struct watch_node {
    struct watch_node *next_of_client;
    struct watch_node *next, **previous; /* chain; under the shard's lock */
    struct watcher *watcher;
    uint64_t hash;
    uint32_t db, key_size;
    char key[];
};

static struct slice node_key(const struct watch_node *n)
{
    return (struct slice){n->key, n->key_size};
}

/* The shard is chosen by the top bits of the hash, so the chain is by the low ones. */
static struct watch_node **chain_of(struct watch_table *t, uint64_t hash)
{
    return &t->chains[hash & (t->chain_count - 1)];
}

static void link_node(struct watch_table *t, struct watch_node *n)
{
    struct watch_node **chain = chain_of(t, n->hash);
    n->next = *chain;
    n->previous = chain;
    if (n->next)
        n->next->previous = &n->next;
    *chain = n;
}

static bool make_room(struct watch_table *t)
{
    if (t->count < t->chain_count)
        return true;
    struct watch_table larger = {.chain_count = t->chain_count ? t->chain_count * 2 : 8,
                                 .count = t->count};
    larger.chains = tu_alloc_zeroed(larger.chain_count * sizeof(struct watch_node *));
    if (!larger.chains)
        return t->chain_count > 0; /* longer chains, then */
    for (uint32_t i = 0; i < t->chain_count; i++) {
        for (struct watch_node *n = t->chains[i], *next; n; n = next) {
            next = n->next;
            link_node(&larger, n);
        }
    }
    tu_free(t->chains);
    *t = larger;
    return true;
}

static void unlink_node(struct watch_table *t, struct watch_node *n)
{
    *n->previous = n->next;
    if (n->next)
        n->next->previous = n->previous;
    if (--t->count == 0) {
        tu_free(t->chains);
        *t = (struct watch_table){0};
    }
}

enum store_result watch_key(struct transaction *tx, struct watcher *w, struct store_key key)
{
    for (struct watch_node *n = w->nodes; n; n = n->next_of_client)
        if (n->db == tx->db && n->hash == key.hash && slice_equal(node_key(n), key.name))
            return STORE_OK;
    (void)shard_lookup(tx, tx->db, key, LOOKUP_PEEK); /* an expired key goes now */
    struct watch_table *t = &shard_of(tx->keyspace, key.hash)->watch;
    struct watch_node *n = tu_alloc(sizeof *n + key.name.size);
    if (!n || !make_room(t)) {
        tu_free(n);
        return STORE_NO_MEMORY;
    }
    n->watcher = w;
    n->hash = key.hash;
    n->db = tx->db;
    n->key_size = (uint32_t)key.name.size;
    if (key.name.size > 0)
        memcpy(n->key, key.name.data, key.name.size);
    link_node(t, n);
    t->count++;
    n->next_of_client = w->nodes;
    w->nodes = n;
    w->count++;
    return STORE_OK;
}

void watch_clear(struct watcher *w, struct keyspace *ks)
{
    for (struct watch_node *n = w->nodes, *next; n; n = next) {
        struct shard *s = shard_of(ks, n->hash);
        next = n->next_of_client;
        tu_mutex_lock(&s->lock);
        unlink_node(&s->watch, n);
        tu_mutex_unlock(&s->lock);
        tu_free(n);
    }
    w->nodes = NULL;
    w->count = 0;
    atomic_store_explicit(&w->dirty, false, memory_order_relaxed);
}

void watch_clear_locked(struct watcher *w, struct transaction *tx)
{
    for (struct watch_node *n = w->nodes, *next; n; n = next) {
        tu_assert(transaction_holds(tx, n->hash));
        next = n->next_of_client;
        unlink_node(&shard_of(tx->keyspace, n->hash)->watch, n);
        tu_free(n);
    }
    w->nodes = NULL;
    w->count = 0;
    atomic_store_explicit(&w->dirty, false, memory_order_relaxed);
}

size_t watch_hashes(const struct watcher *w, uint64_t *hashes, size_t capacity)
{
    size_t count = 0;
    for (struct watch_node *n = w->nodes; n && count < capacity; n = n->next_of_client)
        hashes[count++] = n->hash;
    return count;
}

bool watch_is_dirty(struct watcher *w, struct transaction *tx)
{
    for (struct watch_node *n = w->nodes; n; n = n->next_of_client)
        (void)shard_lookup(tx, n->db, (struct store_key){node_key(n), n->hash}, LOOKUP_PEEK);
    /* Relaxed: set under the locks of the keys' shards, which we hold. */
    return atomic_load_explicit(&w->dirty, memory_order_relaxed);
}

void watch_touch(struct shard *shard, uint32_t db, struct slice key, uint64_t hash)
{
    if (shard->watch.count == 0)
        return;
    for (struct watch_node *n = *chain_of(&shard->watch, hash); n; n = n->next)
        if (n->hash == hash && n->db == db && slice_equal(node_key(n), key))
            atomic_store_explicit(&n->watcher->dirty, true, memory_order_relaxed);
}

static bool exists_in(const struct shard *shard, uint32_t db, const struct watch_node *n)
{
    struct shard_db *d = shard_db_of(shard, db);
    return d && hash_table_find(&d->table, node_key(n), n->hash, NULL);
}

void watch_touch_db(struct shard *shard, uint32_t db, uint32_t other_db)
{
    for (uint32_t i = 0; i < shard->watch.chain_count; i++)
        for (struct watch_node *n = shard->watch.chains[i]; n; n = n->next)
            if (n->db == db && (exists_in(shard, db, n) || exists_in(shard, other_db, n)))
                atomic_store_explicit(&n->watcher->dirty, true, memory_order_relaxed);
}
