/* effects.c - records in the order of the changes, a copy of the key in each, because a deleted
 * entry's key is gone when the record is emitted. Nobody listening costs one load and a test.
 */
#include "store/effects.h"

#include "base/check.h"
#include "store/shard.h"
#include "store/transaction.h"
#include "store/watch.h"

#include <string.h>
#include <tuco/mem.h>

struct effect {
    struct effect *next;
    const char *name; /* NULL: the key changed */
    uint32_t db, event_class;
    size_t key_size;
    char key[];
};

void effects_set_hooks(struct keyspace *ks, const struct store_hooks *hooks)
{
    ks->hooks = hooks ? *hooks : (struct store_hooks){0};
}

void effects_set_event_mask(struct keyspace *ks, uint32_t mask)
{
    atomic_store_explicit(&ks->event_mask, mask, memory_order_relaxed);
}

/* A record that cannot be had is dropped: an event, unlike a change, may be lost. */
static void record(struct transaction *tx, uint32_t db, uint32_t event_class, const char *name,
                   struct slice key)
{
    struct effect *r = tu_alloc(sizeof *r + key.size);
    if (!r)
        return;
    *r = (struct effect){.name = name, .db = db, .event_class = event_class, .key_size = key.size};
    if (key.size > 0)
        memcpy(r->key, key.data, key.size);
    if (tx->effects.last)
        tx->effects.last->next = r;
    else
        tx->effects.first = r;
    tx->effects.last = r;
}

void effects_dirty(struct transaction *tx, uint64_t hash, uint64_t dirty)
{
    tx->dirty += dirty;
    counter_add(&shard_of(tx->keyspace, hash)->dirty, dirty);
}

void effects_changed(struct transaction *tx, uint32_t db, struct slice key, uint64_t hash,
                     uint64_t dirty)
{
    struct keyspace *ks = tx->keyspace;
    struct shard *s = shard_of(ks, hash);
    if (__builtin_expect((s->watch.count | s->blocking.count) != 0, 0)) {
        watch_touch(s, db, key, hash);
        if (s->blocking.count > 0)
            blocking_touch(tx, db, key, hash, false);
    }
    effects_dirty(tx, hash, dirty);
    if (ks->hooks.changed)
        record(tx, db, 0, NULL, key);
}

void effects_notify(struct transaction *tx, uint32_t db, uint32_t event_class, const char *name,
                    struct slice key)
{
    struct keyspace *ks = tx->keyspace;
    if (__builtin_expect(atomic_load_explicit(&ks->event_mask, memory_order_relaxed) & event_class,
                         0) &&
        ks->hooks.notify)
        record(tx, db, event_class, name, key);
}

void effects_emit(struct transaction *tx)
{
    const struct store_hooks *hooks = &tx->keyspace->hooks;
    struct effect *r = tx->effects.first;
    tx->effects = (struct effects){NULL, NULL};
    while (r) {
        struct effect *next = r->next;
        struct slice key = {r->key, r->key_size};
        if (r->name)
            hooks->notify(hooks->context, r->db, r->event_class, r->name, key);
        else
            hooks->changed(hooks->context, r->db, key, false);
        tu_free(r);
        r = next;
    }
}
