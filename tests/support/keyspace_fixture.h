/* keyspace_fixture.h - what a test of operations on keys stands on: one keyspace, all of it locked by one transaction at 1000 ms,
 * and its events, written down as "name key, name key" once the test has set an event mask. */
#pragma once

#include "store/effects.h"
#include "store/keyspace.h"
#include "store/transaction.h"
#include "support/testing.h"

#include <stdio.h>
#include <string.h>

static struct keyspace *ks;
static struct transaction tx;
static char events[256];

static void note_event(void *context, uint32_t db, uint32_t event_class, const char *name,
                       struct slice key)
{
    size_t used = strlen(events);
    (void)snprintf(events + used, sizeof events - used, "%s%s %.*s", used ? ", " : "", name,
                   (int)key.size, key.data);
}

static void ignore_change(void *context, uint32_t db, struct slice key, bool all_keys) {}

static inline void keyspace_fixture_start(void)
{
    static const struct store_hooks hooks = {.notify = note_event, .changed = ignore_change};
    ks = keyspace_new(NULL);
    REQUIRE(ks);
    effects_set_hooks(ks, &hooks);
    transaction_init(&tx, ks, 0, 1000);
    transaction_lock_all(&tx);
}

static inline void keyspace_fixture_stop(void)
{
    transaction_unlock(&tx);
    keyspace_free(ks);
}

static inline struct store_key key_of(const char *name)
{
    return (struct store_key){slice_of(name), keyspace_hash(ks, slice_of(name))};
}
