/* hash_table_test.c - the table against a plain array of flags, verified as it goes; what scans
 * promise while the table grows and shrinks; and what a key costs. */
#include "store/hash_table.h"

#include "base/random.h"
#include "store/entry.h"
#include "store/hash_segment.h"
#include "support/testing.h"

#include <stdlib.h>
#include <tuco/mem.h>

static const struct siphash_key secret = {1, 2};

struct fixture {
    struct hash_table table;
    uint8_t *present; /* the model: is key i there? */
    size_t keys, count;
    uint32_t shard_bits;
};

static size_t key_name(char out[32], size_t i)
{
    return (size_t)sprintf(out, "key:%012zu", i);
}

static uint64_t hash_of(struct slice key)
{
    return siphash13(&secret, key.data, key.size);
}

static void fixture_init(struct fixture *f, size_t keys, uint32_t shard_bits)
{
    f->present = calloc(keys, 1);
    f->keys = keys;
    f->count = 0;
    f->shard_bits = shard_bits;
    void *any = tu_alloc(64);
    hash_table_init(&f->table, &secret, shard_bits, any);
    tu_free(any);
}

static bool add(struct fixture *f, size_t i)
{
    char name[32];
    struct slice key = {name, key_name(name, i)};
    uint64_t hash = hash_of(key);
    struct hash_slot slot;
    struct entry *e = hash_table_find(&f->table, key, hash, &slot);
    CHECK((e != NULL) == f->present[i]);
    if (e)
        return false;
    e = entry_new_integer(key, (int64_t)i, EXPIRY_NONE);
    REQUIRE(e && hash_table_insert(&f->table, e, hash));
    f->present[i] = 1;
    f->count++;
    return true;
}

static bool drop(struct fixture *f, size_t i)
{
    char name[32];
    struct slice key = {name, key_name(name, i)};
    struct hash_slot slot;
    struct entry *e = hash_table_find(&f->table, key, hash_of(key), &slot);
    CHECK((e != NULL) == f->present[i]);
    if (!e)
        return false;
    CHECK_EQ(entry_integer(e), (int64_t)i);
    hash_table_remove(&f->table, &slot);
    entry_free(e);
    f->present[i] = 0;
    f->count--;
    return true;
}

static void fixture_free(struct fixture *f)
{
    hash_detached_free(hash_table_detach(&f->table));
    CHECK_EQ(hash_table_count(&f->table), 0);
    hash_table_verify(&f->table);
    hash_table_destroy(&f->table);
    free(f->present);
}

TEST(hash_table, agrees_with_a_model_while_verified)
{
    struct fixture f;
    struct random_state r;
    random_init(&r, 11);
    fixture_init(&f, 3000, 4);
    for (int round = 0; round < 40; round++) {
        uint64_t bias = random_below(&r, 100); /* rounds that grow and rounds that shrink */
        for (int i = 0; i < 500; i++) {
            if (random_below(&r, 100) < bias)
                add(&f, random_below(&r, f.keys));
            else
                drop(&f, random_below(&r, f.keys));
            if (i % 16 == 0)
                hash_table_verify(&f.table);
        }
        hash_table_verify(&f.table);
        CHECK_EQ(hash_table_count(&f.table), f.count);
    }
    fixture_free(&f);
}

TEST(hash_table, small_tables_verified_at_every_step)
{
    struct fixture f;
    fixture_init(&f, 700, 0);
    for (size_t i = 0; i < f.keys; i++) {
        add(&f, i);
        hash_table_verify(&f.table);
    }
    for (size_t i = 0; i < f.keys; i++) {
        drop(&f, i * 331 % f.keys);
        hash_table_verify(&f.table);
    }
    CHECK_EQ(hash_table_count(&f.table), 0);
    CHECK(hash_table_bytes(&f.table) < 2048); /* directories only: no segment is left */
    fixture_free(&f);
}

TEST(hash_table, shrinks_with_its_keys)
{
    struct fixture f;
    fixture_init(&f, 100000, 0);
    for (size_t i = 0; i < f.keys; i++)
        add(&f, i);
    size_t full = hash_table_bytes(&f.table);
    for (size_t i = 0; i < f.keys - 1000; i++)
        drop(&f, i);
    hash_table_verify(&f.table);
    CHECK(hash_table_bytes(&f.table) < full / 10);
    fixture_free(&f);
}

/* Most keys are over at 10, some at 1000. */
static bool over_at_10(size_t i)
{
    return i % 16 != 0;
}

static void add_with_deadline(struct fixture *f, size_t i)
{
    char name[32];
    struct slice key = {name, key_name(name, i)};
    struct entry *e = entry_new_integer(key, (int64_t)i, over_at_10(i) ? 10 : 1000);
    REQUIRE(e && hash_table_insert(&f->table, e, hash_of(key)));
    f->present[i] = 1;
    f->count++;
}

static void drop_due(struct fixture *f, const struct hash_slot *slot, struct entry *e)
{
    size_t i = (size_t)entry_integer(e);
    CHECK(over_at_10(i) && f->present[i]);
    hash_table_remove(&f->table, slot);
    entry_free(e);
    f->present[i] = 0;
    f->count--;
}

/* As the expirer does it: a batch of hashes without their low bits, looked for together and then taken one after the other,
 * some twice, and some of keys that are not over yet. */
TEST(hash_table, candidates_of_a_batch)
{
    enum { KEYS = 40000, BATCH = 64 };
    struct fixture f;
    struct random_state r;
    random_init(&r, 21);
    fixture_init(&f, KEYS, 4);
    for (size_t i = 0; i < KEYS; i++)
        add_with_deadline(&f, i);
    size_t order[2 * KEYS], count = 0, direct = 0;
    for (size_t i = 0; i < KEYS; i++)
        for (size_t times = random_below(&r, 8) == 0 ? 2 : 1; times > 0; times--)
            order[count++] = i;
    for (size_t i = count; i-- > 1;) {
        size_t k = random_below(&r, i + 1), kept = order[i];
        order[i] = order[k];
        order[k] = kept;
    }
    for (size_t from = 0; from < count; from += BATCH) {
        struct hash_candidate found[BATCH];
        uint64_t hashes[BATCH];
        size_t n = count - from < BATCH ? count - from : BATCH;
        for (size_t k = 0; k < n; k++) {
            char name[32];
            struct slice key = {name, key_name(name, order[from + k])};
            hashes[k] = hash_of(key) & ~UINT64_C(15);
            found[k] = hash_table_candidate(&f.table, hashes[k]);
        }
        for (size_t k = 0; k < n; k++) {
            bool last = false;
            struct entry *e = hash_table_candidate_due(&f.table, &found[k], hashes[k], 10, &last);
            direct += e != NULL;
            if (e)
                drop_due(&f, &found[k].slot, e);
            if (last) {
                CHECK(!f.present[order[from + k]]);
                continue;
            }
            struct hash_slot slot;
            while ((e = hash_table_find_due(&f.table, hashes[k], 10, &slot)) &&
                   entry_is_expired(e, 10))
                drop_due(&f, &slot, e);
            CHECK((e != NULL) == !over_at_10(order[from + k]));
        }
        if (from % (32 * BATCH) == 0)
            hash_table_verify(&f.table);
    }
    CHECK_EQ(f.count, KEYS / 16);
    CHECK(direct > KEYS / 4 * 3);
    fixture_free(&f);
}

TEST(hash_table, replaces_in_place)
{
    struct fixture f;
    fixture_init(&f, 100, 0);
    for (size_t i = 0; i < 100; i++)
        add(&f, i);
    char name[32];
    struct slice key = {name, key_name(name, 42)};
    uint64_t hash = hash_of(key);
    struct hash_slot slot;
    struct entry *old = hash_table_find(&f.table, key, hash, &slot);
    struct entry *e = entry_new_integer(key, 4200, EXPIRY_NONE);
    hash_table_replace(&f.table, &slot, e);
    entry_free(old);
    CHECK(hash_table_find(&f.table, key, hash, NULL) == e);
    CHECK(hash_table_find_hash(&f.table, hash, NULL) == e);
    hash_table_verify(&f.table);
    fixture_free(&f);
}

/* One full scan, with `between` random changes after each step to the keys that may change: those
 * from `stable` on. Stable ones must be seen exactly once, the others at most once per presence. */
static void scan_with_changes(struct fixture *f, struct random_state *r, size_t stable, int between,
                              int bias)
{
    uint8_t *seen = calloc(f->keys, 1);
    uint64_t position = 0, steps = 0;
    do {
        struct entry *found[HASH_SCAN_MAX];
        size_t count;
        uint64_t next = hash_table_scan(&f->table, position, found, &count);
        CHECK(next == 0 || next > position);
        for (size_t i = 0; i < count; i++) {
            size_t key = (size_t)entry_integer(found[i]);
            CHECK(seen[key] == 0 || key >= stable);
            seen[key] = 1;
        }
        position = next;
        for (int i = 0; i < between; i++) {
            size_t key = stable + random_below(r, f->keys - stable);
            if ((int)random_below(r, 100) < bias)
                add(f, key);
            else
                drop(f, key);
        }
        steps++;
    } while (position != 0);
    for (size_t i = 0; i < stable; i++)
        CHECK(seen[i]);
    CHECK(steps > 0);
    free(seen);
}

TEST(hash_table, a_scan_sees_what_stays_exactly_once)
{
    struct fixture f;
    struct random_state r;
    random_init(&r, 5);
    fixture_init(&f, 30000, 3);
    for (size_t i = 0; i < 2000; i++)
        add(&f, i);
    scan_with_changes(&f, &r, 2000, 0, 0);
    scan_with_changes(&f, &r, 2000, 200, 95); /* grows a lot while it runs */
    CHECK(f.count > 15000);
    scan_with_changes(&f, &r, 2000, 60, 5); /* shrinks */
    scan_with_changes(&f, &r, 2000, 100, 50);
    hash_table_verify(&f.table);
    fixture_free(&f);
}

TEST(hash_table, random_entries_are_spread)
{
    struct fixture f;
    struct random_state r;
    random_init(&r, 9);
    fixture_init(&f, 200, 0);
    CHECK(hash_table_random(&f.table, 1) == NULL);
    add(&f, 7);
    for (int i = 0; i < 100; i++)
        CHECK(hash_table_random(&f.table, random_next(&r)) != NULL);
    for (size_t i = 0; i < f.keys; i++)
        add(&f, i);
    unsigned counts[200] = {0};
    for (int i = 0; i < 100000; i++)
        counts[entry_integer(hash_table_random(&f.table, random_next(&r)))]++;
    for (size_t i = 0; i < f.keys; i++)
        CHECK(counts[i] > 250 && counts[i] < 900);
    fixture_free(&f);
}

TEST(hash_table, detach_takes_everything)
{
    struct fixture f;
    fixture_init(&f, 5000, 0);
    CHECK(hash_table_detach(&f.table) == NULL);
    for (size_t i = 0; i < f.keys; i++)
        add(&f, i);
    hash_detached_free(hash_table_detach(&f.table));
    memset(f.present, 0, f.keys);
    f.count = 0;
    hash_table_verify(&f.table);
    for (size_t i = 0; i < f.keys; i++) /* reuses the directories */
        add(&f, i);
    hash_table_verify(&f.table);
    fixture_free(&f);
}

/* The budget of a 16-byte key with a 64-byte value is 96 bytes, 88 of them its entry. 256 tables, as
 * a keyspace has; half a million keys to a million. */
TIMEOUT_TEST(hash_table, costs_at_most_8_bytes_a_key, 120)
{
    if (HASH_REF_BYTES != 5)
        return; /* the sanitizer's layout is wider */
    enum { TABLES = 256, KEYS = 1000000 };
    static struct hash_table tables[TABLES];
    void *any = tu_alloc(64);
    for (int i = 0; i < TABLES; i++)
        hash_table_init(&tables[i], &secret, 8, any);
    tu_free(any);
    double sum = 0, worst = 0;
    int samples = 0;
    for (size_t i = 0; i < KEYS; i++) {
        char name[32];
        struct slice key = {name, key_name(name, i)};
        uint64_t hash = siphash13(&secret, key.data, key.size);
        struct entry *e = entry_new_integer(key, (int64_t)i, EXPIRY_NONE);
        REQUIRE(e && hash_table_insert(&tables[hash >> 56], e, hash));
        if (i >= KEYS / 2 && i % 10000 == 9999) {
            size_t bytes = 0;
            for (int j = 0; j < TABLES; j++)
                bytes += hash_table_bytes(&tables[j]) + sizeof tables[j];
            double share = (double)bytes / (double)(i + 1);
            sum += share;
            worst = share > worst ? share : worst;
            samples++;
        }
    }
    printf("  table bytes a key: %.2f on average, %.2f at worst\n", sum / samples, worst);
    CHECK(sum / samples <= 7.6);
    CHECK(worst <= 7.8);
}
