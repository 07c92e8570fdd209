/* restore.c - see restore.h. */
#include "store/restore.h"

#include "store/access_clock.h"
#include "store/shard.h"
#include "store/types/value.h"

bool restore_may_put(struct transaction *tx, struct store_key key, bool replace)
{
    return replace || !shard_lookup(tx, tx->db, key, LOOKUP_WRITE).entry;
}

/* As a new key's, or as told; the clock holds 24 bits of the seconds. */
static void set_clock(struct transaction *tx, struct entry *e,
                      const struct restore_options *options)
{
    struct clock_policy p = shard_clock_policy(tx->keyspace);
    uint32_t clock = clock_start(p, tx->now_ms);
    if (p.lfu && options->frequency >= 0)
        clock = clock_minutes(tx->now_ms) << 8 | (uint32_t)(options->frequency & 0xff);
    else if (!p.lfu && options->idle_s >= 0)
        clock = clock_seconds(tx->now_ms) - (uint32_t)options->idle_s;
    e->clock = clock & 0xffffff;
}

enum store_result restore_put(struct transaction *tx, struct store_key key, struct entry *e,
                              const struct restore_options *options)
{
    struct found old = shard_lookup(tx, tx->db, key, LOOKUP_PEEK);
    if (entry_is_expired(e, tx->now_ms)) {
        entry_free(e);
        if (!old.entry)
            return STORE_OK;
        shard_delete(&old, true);
        value_changed(tx, key, EVENT_GENERIC, "del", 1);
        return STORE_OK;
    }
    enum store_result rc = value_put(tx, key, e);
    if (rc != STORE_OK)
        return rc;
    if (old.entry)
        effects_notify(tx, tx->db, EVENT_NEW, "new", key.name);
    set_clock(tx, e, options);
    value_changed(tx, key, EVENT_GENERIC, "restore", 1);
    return STORE_OK;
}
