/* keyspace_test.c - operations that do not care about the type, their events and counts, and what
 * SCAN, WATCH, SWAPDB, FLUSHALL and DEBUG DIGEST promise. */
#include "store/keyspace.h"

#include "base/random.h"
#include "store/digest.h"
#include "store/shard.h"
#include "store/types/string.h"
#include "store/watch.h"
#include "support/testing.h"

#include <stdlib.h>
#include <tuco/mem.h>

static struct keyspace *ks;
static struct transaction tx;
static char events[512];

static void note(void *context, uint32_t db, uint32_t event_class, const char *name,
                 struct slice key)
{
    size_t used = strlen(events);
    snprintf(events + used, sizeof events - used, "%s%u:%s:%.*s", used ? " " : "", db, name,
             (int)key.size, key.data);
}

static const char *emitted(void)
{
    static char copy[sizeof events];
    events[0] = 0;
    effects_emit(&tx);
    memcpy(copy, events, sizeof events);
    return copy;
}

static void start(void)
{
    ks = keyspace_new(NULL);
    effects_set_hooks(ks, &(struct store_hooks){.notify = note});
    effects_set_event_mask(ks, EVENT_ALL | EVENT_NEW);
    transaction_init(&tx, ks, 0, 1000);
    transaction_lock_all(&tx);
}

static void stop(void)
{
    for (uint32_t n = 0; n < ks->shard_count; n++)
        for (uint32_t db = 0; db < ks->databases; db++)
            if (shard_db_of(shard_at(ks, n), db))
                hash_table_verify(&shard_db_of(shard_at(ks, n), db)->table);
    transaction_unlock(&tx);
    keyspace_free(ks);
}

static struct store_key key_of(const char *name)
{
    return (struct store_key){slice_of(name), keyspace_hash(ks, slice_of(name))};
}
static void set(const char *name, const char *value)
{
    CHECK_EQ(string_set(&tx, key_of(name), slice_of(value), NULL), STORE_OK);
}
static bool is(const char *name, const char *expected)
{
    struct string_value v;
    return string_get(&tx, key_of(name), &v) == STORE_OK &&
           slice_equal(v.bytes, slice_of(expected));
}
#define SAME(a, b) CHECK(strcmp(a, b) == 0)

TEST(keyspace, rename_copy_move_delete)
{
    start();
    set("a", "1");
    set("b", "2");
    emitted();
    CHECK_EQ(keyspace_rename(&tx, key_of("a"), key_of("b"), true), STORE_NOT_MET);
    CHECK_EQ(keyspace_rename(&tx, key_of("a"), key_of("a"), false), STORE_OK);
    CHECK_EQ(keyspace_rename(&tx, key_of("x"), key_of("y"), false), STORE_MISSING);
    CHECK_EQ(keyspace_rename(&tx, key_of("a"), key_of("b"), false), STORE_OK);
    SAME(emitted(), "0:new:b 0:rename_from:a 0:rename_to:b");
    CHECK(is("b", "1") && !keyspace_exists(&tx, key_of("a")));
    CHECK_EQ(keyspace_copy(&tx, key_of("b"), key_of("b"), 0, false), STORE_SAME);
    CHECK_EQ(keyspace_copy(&tx, key_of("b"), key_of("c"), 0, false), STORE_OK);
    CHECK_EQ(keyspace_copy(&tx, key_of("b"), key_of("c"), 0, false), STORE_EXISTS);
    CHECK_EQ(keyspace_copy(&tx, key_of("b"), key_of("c"), 0, true), STORE_OK);
    CHECK_EQ(keyspace_copy(&tx, key_of("b"), key_of("b"), 3, false), STORE_OK);
    SAME(emitted(), "0:new:c 0:copy_to:c 0:new:c 0:copy_to:c 3:new:b 3:copy_to:b");
    CHECK_EQ(keyspace_move(&tx, key_of("b"), 3), STORE_EXISTS);
    CHECK_EQ(keyspace_move(&tx, key_of("b"), 0), STORE_SAME);
    CHECK_EQ(keyspace_expire_at(&tx, key_of("b"), 9000, 0), STORE_OK);
    emitted();
    CHECK_EQ(keyspace_move(&tx, key_of("b"), 5), STORE_OK);
    SAME(emitted(), "5:new:b 0:move_from:b 5:move_to:b");
    CHECK(keyspace_size_expires(ks, 5) == 1 && keyspace_size_expires(ks, 0) == 0);
    uint64_t dirty = tx.dirty;
    CHECK(keyspace_delete(&tx, key_of("c"), true) && !keyspace_delete(&tx, key_of("c"), true));
    CHECK_EQ(tx.dirty - dirty, 1);
    SAME(emitted(), "0:del:c");
    stop();
}

TEST(keyspace, expire_conditions)
{
    start();
    int64_t at_ms;
    set("k", "v");
    CHECK_EQ(keyspace_expire_at(&tx, key_of("k"), 5000, EXPIRE_XX), STORE_NOT_MET);
    CHECK_EQ(keyspace_expire_at(&tx, key_of("k"), 5000, EXPIRE_GT), STORE_NOT_MET);
    CHECK_EQ(keyspace_expire_at(&tx, key_of("k"), 5000, EXPIRE_LT), STORE_OK);
    CHECK_EQ(keyspace_expire_at(&tx, key_of("k"), 6000, EXPIRE_NX), STORE_NOT_MET);
    CHECK_EQ(keyspace_expire_at(&tx, key_of("k"), 6000, EXPIRE_LT), STORE_NOT_MET);
    CHECK_EQ(keyspace_expire_at(&tx, key_of("k"), 6000, EXPIRE_XX | EXPIRE_GT), STORE_OK);
    CHECK(keyspace_expiry(&tx, key_of("k"), &at_ms) == STORE_OK && at_ms == 6000);
    CHECK_EQ(keyspace_persist(&tx, key_of("k")), STORE_OK);
    CHECK_EQ(keyspace_persist(&tx, key_of("k")), STORE_NOT_MET);
    CHECK_EQ(keyspace_persist(&tx, key_of("x")), STORE_MISSING);
    emitted();
    CHECK_EQ(keyspace_expire_at(&tx, key_of("k"), 1000, 0), STORE_OK);
    SAME(emitted(), "0:expired:k");
    CHECK_EQ(keyspace_expire_at(&tx, key_of("k"), 9000, 0), STORE_MISSING);
    stop();
}

TEST(keyspace, hits_misses_clock)
{
    start();
    struct keyspace_stats stats;
    struct object_info info;
    set("k", "v");
    tx.now_ms += 7000;
    CHECK_EQ(keyspace_type(&tx, key_of("k")), TYPE_STRING);
    CHECK_EQ(keyspace_type(&tx, key_of("x")), TYPE_NONE);
    CHECK(keyspace_object(&tx, key_of("k"), &info) == STORE_OK && info.idle_s == 7);
    tx.no_touch = true;
    CHECK(is("k", "v"));
    CHECK(keyspace_object(&tx, key_of("k"), &info) == STORE_OK && info.idle_s == 7);
    tx.no_touch = false;
    CHECK(is("k", "v"));
    CHECK(keyspace_object(&tx, key_of("k"), &info) == STORE_OK && info.idle_s == 0);
    transaction_unlock(&tx);
    keyspace_stats(ks, &stats);
    CHECK(stats.hits == 3 && stats.misses == 1 && stats.dirty == 1);
    keyspace_stats_reset(ks);
    keyspace_set_clock_policy(ks, (struct keyspace_clock_policy){true, 0, 1});
    keyspace_stats(ks, &stats);
    CHECK(stats.hits == 0 && stats.misses == 0);
    transaction_lock_all(&tx);
    set("l", "v");
    for (int i = 0; i < 10; i++)
        CHECK(is("l", "v"));
    CHECK(keyspace_object(&tx, key_of("l"), &info) == STORE_OK && info.frequency == 15);
    tx.now_ms += 4 * 60000;
    CHECK(keyspace_object(&tx, key_of("l"), &info) == STORE_OK && info.frequency == 11);
    stop();
}

struct seen {
    uint8_t *flags;
    size_t count;
};
static void see(void *context, struct slice key, enum store_type type)
{
    struct seen *s = context;
    int64_t i;
    REQUIRE(number_parse_int64((struct slice){key.data + 4, key.size - 4}, &i));
    CHECK(s->flags[i] == 0);
    s->flags[i] = 1;
    s->count++;
}

TEST(keyspace, scan_and_keys)
{
    enum { KEYS = 20000 };
    start();
    transaction_unlock(&tx);
    CHECK_EQ(keyspace_populate(&tx, KEYS, SLICE("key"), 10), STORE_OK);
    CHECK_EQ(keyspace_size(ks, 0), KEYS);
    struct seen s = {calloc(KEYS, 1), 0};
    uint64_t cursor = 0, calls = 0;
    do {
        size_t before = s.count;
        uint64_t next = keyspace_scan(&tx, cursor, 100, see, &s);
        CHECK(next == 0 || (next > cursor && next < UINT64_C(1) << 48));
        CHECK(next == 0 || (s.count - before >= 100 && s.count - before < 140));
        cursor = next;
        calls++;
    } while (cursor != 0);
    CHECK_EQ(s.count, KEYS);
    CHECK(calls > 140 && calls <= 200);
    memset(s.flags, 0, KEYS);
    s.count = 0;
    keyspace_each(&tx, see, &s);
    CHECK_EQ(s.count, KEYS);
    CHECK_EQ(keyspace_scan(&tx, UINT64_C(0xffffffffffff), 10, see, &(struct seen){s.flags, 0}), 0);
    struct slice name;
    CHECK(keyspace_random(&tx, &name));
    tu_free((void *)name.data);
    free(s.flags);
    transaction_lock_all(&tx);
    CHECK_EQ(keyspace_flush(&tx, KEYSPACE_ALL_DBS, true), KEYS);
    CHECK_EQ(keyspace_size(ks, 0), 0);
    transaction_unlock(&tx);
    CHECK(!keyspace_random(&tx, &name));
    transaction_lock_all(&tx);
    stop();
}

TEST(keyspace, random_of_expired_keys_ends)
{
    start();
    for (int i = 0; i < 100; i++) {
        char name[16];
        sprintf(name, "k%d", i);
        set(name, "v");
        CHECK_EQ(keyspace_expire_at(&tx, key_of(name), 2000, 0), STORE_OK);
    }
    transaction_unlock(&tx);
    tx.now_ms = 2000;
    struct slice name;
    CHECK(!keyspace_random(&tx, &name));
    CHECK_EQ(keyspace_size(ks, 0), 0);
    transaction_lock_all(&tx);
    stop();
}

TEST(keyspace, swap_and_flush)
{
    start();
    set("a", "zero");
    transaction_rebind_db(&tx, 1);
    set("b", "one");
    keyspace_swap(&tx, 0, 1);
    CHECK(is("a", "zero") && !keyspace_exists(&tx, key_of("b")));
    transaction_rebind_db(&tx, 0);
    CHECK(is("b", "one"));
    CHECK_EQ(keyspace_flush(&tx, 1, false), 1);
    CHECK(keyspace_size(ks, 1) == 0 && keyspace_size(ks, 0) == 1);
    set("e", "x");
    CHECK_EQ(keyspace_expire_at(&tx, key_of("e"), 9000, 0), STORE_OK);
    CHECK_EQ(keyspace_flush(&tx, 0, false), 2);
    CHECK_EQ(keyspace_size_expires(ks, 0), 0);
    stop();
}

static bool digest_is(const uint8_t d[SHA1_SIZE], const char *hex)
{
    char text[41];
    for (int i = 0; i < SHA1_SIZE; i++)
        sprintf(text + 2 * i, "%02x", d[i]);
    if (strcmp(text, hex) != 0)
        fprintf(stderr, "  got %s\n", text);
    return strcmp(text, hex) == 0;
}

/* The numbers are a real server's for the same keys. */
TEST(keyspace, digest)
{
    start();
    uint8_t d[SHA1_SIZE];
    digest_dataset(&tx, d);
    CHECK(digest_is(d, "0000000000000000000000000000000000000000"));
    set("a", "1");
    set("key", "value");
    set("e", "x");
    CHECK_EQ(keyspace_expire_at(&tx, key_of("e"), 90000, 0), STORE_OK);
    transaction_rebind_db(&tx, 3);
    set("", "");
    transaction_rebind_db(&tx, 0);
    digest_dataset(&tx, d);
    CHECK(digest_is(d, "9278cd184eb6558a64ce9950375b268008e3c810"));
    digest_value(&tx, key_of("a"), d);
    CHECK(digest_is(d, "b4fc66738120fba0b5aa500ab5c2bf89cea1c5da"));
    digest_value(&tx, key_of("e"), d);
    CHECK(digest_is(d, "0745672cb1bf060476eedeb8a28f5ffe1ff5a2be"));
    digest_value(&tx, key_of("none"), d);
    CHECK(digest_is(d, "0000000000000000000000000000000000000000"));
    stop();
}

/* Every way in which a row of keys can end: before, at and behind the end of a group; with keys that are missing, and in
 * a database where nothing was ever stored. */
TEST(keyspace, ahead_of_many_keys)
{
    enum { KEYS = 4 * KEYSPACE_AHEAD + 3 };
    char names[KEYS][16];
    uint64_t hashes[KEYS];
    start();
    for (int i = 0; i < KEYS; i++) {
        snprintf(names[i], sizeof names[i], "key:%d", i);
        hashes[i] = key_of(names[i]).hash;
        if (i % 3 != 0)
            set(names[i], "value");
    }
    for (uint32_t db = 0; db < 2; db++) {
        tx.db = db;
        for (size_t count = 1; count <= KEYS; count++)
            for (size_t at = 0; at < count; at += KEYSPACE_AHEAD)
                keyspace_prefetch_keys(&tx, hashes, count, at);
    }
    tx.db = 0;
    for (int i = 0; i < KEYS; i++)
        CHECK_EQ(keyspace_exists(&tx, key_of(names[i])), i % 3 != 0);
    stop();
}

TEST(keyspace, watchers)
{
    start();
    struct watcher w = {0}, other = {0};
    set("k", "v");
    set("e", "v");
    CHECK_EQ(keyspace_expire_at(&tx, key_of("e"), 2000, 0), STORE_OK);
    CHECK_EQ(watch_key(&tx, &w, key_of("k")), STORE_OK);
    CHECK_EQ(watch_key(&tx, &w, key_of("k")), STORE_OK);
    CHECK_EQ(watch_key(&tx, &w, key_of("e")), STORE_OK);
    CHECK_EQ(watch_key(&tx, &other, key_of("none")), STORE_OK);
    CHECK(w.count == 2 && !watch_is_dirty(&w, &tx) && !watch_is_dirty(&other, &tx));
    CHECK(is("k", "v"));
    CHECK(!watch_is_dirty(&w, &tx));
    tx.now_ms = 2000; /* one of the watched keys is over */
    CHECK(watch_is_dirty(&w, &tx));
    watch_clear_locked(&w, &tx);
    CHECK_EQ(watch_key(&tx, &w, key_of("e")), STORE_OK);
    CHECK(!watch_is_dirty(&w, &tx));
    set("none", "1");
    CHECK(watch_is_dirty(&other, &tx));
    watch_clear_locked(&other, &tx);
    CHECK_EQ(watch_key(&tx, &other, key_of("none")), STORE_OK);
    CHECK_EQ(watch_key(&tx, &w, key_of("k")), STORE_OK);
    transaction_rebind_db(&tx, 1);
    set("k", "another database");
    CHECK(!watch_is_dirty(&w, &tx));
    transaction_rebind_db(&tx, 0);
    keyspace_swap(&tx, 0, 1);
    CHECK(watch_is_dirty(&w, &tx) && watch_is_dirty(&other, &tx));
    watch_clear_locked(&w, &tx);
    CHECK_EQ(watch_key(&tx, &w, key_of("missing")), STORE_OK);
    keyspace_flush(&tx, KEYSPACE_ALL_DBS, false);
    CHECK(!watch_is_dirty(&w, &tx));
    uint64_t hashes[2];
    CHECK_EQ(watch_hashes(&w, hashes, 2), 1);
    transaction_unlock(&tx);
    watch_clear(&w, ks);
    watch_clear(&other, ks);
    CHECK(!watch_any(&w) && !watch_any(&other));
    transaction_lock_all(&tx);
    stop();
}
