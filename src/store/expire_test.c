/* expire_test.c - keys leave the keyspace within 100 ms of their deadline when expire_run is called
 * every 50 ms, in bounded steps, and the index does not grow with rewritten deadlines. */
#include "store/expire.h"

#include "base/random.h"
#include "store/shard.h"
#include "store/types/string.h"
#include "support/testing.h"

#include <stdlib.h>

static struct keyspace *ks;

static void set(const char *name, int64_t now_ms, int64_t at_ms)
{
    struct transaction tx;
    struct store_key key = {slice_of(name), keyspace_hash(ks, slice_of(name))};
    struct string_set_options o = {.expire_at_ms = at_ms};
    transaction_init(&tx, ks, 0, now_ms);
    transaction_lock(&tx, &key.hash, 1);
    CHECK_EQ(string_set(&tx, key, SLICE("value"), at_ms ? &o : NULL), STORE_OK);
    transaction_unlock(&tx);
}

TEST(expire, within_100_ms)
{
    enum { KEYS = 20000 };
    static int64_t deadline[KEYS];
    struct random_state r;
    random_init(&r, 4);
    ks = keyspace_new(NULL);
    int64_t start = INT64_C(1700000000000), now = start;
    char name[32];
    for (int i = 0; i < KEYS; i++) {
        deadline[i] = start + 1 + (int64_t)random_below(&r, i % 2 ? 3000 : 100000);
        sprintf(name, "key:%d", i);
        set(name, now, deadline[i]);
    }
    for (; now < start + 101000; now += now < start + 4000 ? 50 : 5000) {
        if (now >= start + 4000)
            now += 50; /* jumps, then one more run soon after */
        while (expire_run(ks, now, 1000))
            ;
        uint64_t alive = 0;
        for (int i = 0; i < KEYS; i++)
            alive += deadline[i] + 100 - 50 > now;
        CHECK(keyspace_size(ks, 0) <= alive);
        uint64_t not_yet = 0;
        for (int i = 0; i < KEYS; i++)
            not_yet += deadline[i] > now;
        CHECK(keyspace_size(ks, 0) >= not_yet);
    }
    while (expire_run(ks, start + 200000, 1000))
        ;
    struct keyspace_stats stats;
    keyspace_stats(ks, &stats);
    CHECK_EQ(keyspace_size(ks, 0), 0);
    CHECK_EQ(keyspace_size_expires(ks, 0), 0);
    CHECK_EQ(stats.expired, KEYS);
    keyspace_free(ks);
}

TEST(expire, budget_bounds_one_call)
{
    ks = keyspace_new(NULL);
    int64_t now = INT64_C(1700000000000);
    char name[32];
    for (int i = 0; i < 5000; i++) {
        sprintf(name, "key:%d", i);
        set(name, now, now + 10);
    }
    CHECK(expire_run(ks, now + 100, 1000));
    uint64_t left = keyspace_size(ks, 0);
    CHECK(left <= 4000 && left >= 3900);
    while (expire_run(ks, now + 100, 1000))
        ;
    CHECK_EQ(keyspace_size(ks, 0), 0);
    CHECK(!expire_run(ks, now + 100, 1000));
    keyspace_free(ks);
}

/* SET without, SET with a deadline, over and over: each leaves an item behind. */
TEST(expire, the_index_does_not_grow_with_rewrites)
{
    ks = keyspace_new(&(struct keyspace_options){.shards = 1});
    int64_t now = INT64_C(1700000000000);
    char name[32];
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 100; i++) {
            sprintf(name, "key:%d", i);
            set(name, now, 0);
            set(name, now, now + INT64_C(86400000) + round);
        }
        now += 20;
        expire_run(ks, now, 100000);
        struct shard_db *d = shard_db_of(shard_at(ks, 0), 0);
        CHECK(d->expire.items <= 600);
        expire_index_verify(&d->expire);
    }
    CHECK_EQ(keyspace_size_expires(ks, 0), 100);
    now += INT64_C(86400000);
    while (expire_run(ks, now + 300, 1000))
        ;
    CHECK_EQ(keyspace_size(ks, 0), 0);
    keyspace_free(ks);
}
