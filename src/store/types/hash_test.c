/* hash_test.c - a hash beside an array of fields, in both forms, with deadlines and a clock that moves, few fields (the next
 * deadline by looking at all) and many (by the wheel); then the same with allocations that fail; random fields; events. */
#include "store/types/hash.h"

#include "base/random.h"
#include "runtime/mem/heap.h"
#include "store/expire.h"
#include "store/types/hash_object.h"
#include "store/types/value.h"
#include "support/keyspace_fixture.h"

#include <stdio.h>

enum { MOST = 700 };
struct model_field {
    bool there;
    char name[16], value[96];
    int64_t at_ms;
};

static struct random_state random_state;
static struct model_field fields[MOST];
static size_t pool; /* fields in use */

static struct store_key the_key(void)
{
    return (struct store_key){SLICE("h"), keyspace_hash(ks, SLICE("h"))};
}

static size_t below(size_t n)
{
    return random_below(&random_state, n);
}

/* ---- the model ---- */

static void begin_model(size_t size)
{
    (void)keyspace_delete(&tx, the_key(), false);
    pool = size;
    for (size_t i = 0; i < pool; i++) {
        fields[i].there = false;
        (void)snprintf(fields[i].name, sizeof fields[i].name, i % 3 ? "%zu" : "field %zu", i);
    }
}

static size_t model_count(void)
{
    size_t n = 0;
    for (size_t i = 0; i < pool; i++)
        n += fields[i].there;
    return n;
}

static void model_set(struct model_field *f, const char *value, int64_t at_ms)
{
    f->there = true;
    strcpy(f->value, value);
    f->at_ms = at_ms;
}

static void model_expire(void)
{
    for (size_t i = 0; i < pool; i++)
        if (fields[i].there && fields[i].at_ms != EXPIRY_NONE && fields[i].at_ms <= tx.now_ms)
            fields[i].there = false;
}

static struct model_field *model_find(struct slice name)
{
    for (size_t i = 0; i < pool; i++)
        if (slice_equal(name, slice_of(fields[i].name)))
            return &fields[i];
    REQUIRE(false);
    return NULL;
}

struct seen {
    size_t count;
    bool met[MOST];
};

static void see(void *context, struct slice name, struct slice value)
{
    struct seen *s = context;
    const struct model_field *f = model_find(name);
    CHECK(f->there && slice_equal(value, slice_of(f->value)));
    CHECK(!s->met[f - fields]);
    s->met[f - fields] = true;
    s->count++;
}

static void compare_walks(const struct hash_view *v)
{
    struct seen all = {0}, scanned = {0}, some = {0};
    uint64_t cursor = 0;
    hash_each(v, see, &all);
    CHECK_EQ(all.count, model_count());
    do
        cursor = hash_scan(v, cursor, 10, see, &scanned);
    while (cursor != 0);
    CHECK_EQ(scanned.count, model_count());
    size_t wanted = 1 + below(model_count());
    hash_random_distinct(v, wanted, see, &some);
    CHECK_EQ(some.count, wanted);
}

static void compare(bool walks)
{
    struct hash_view v;
    model_expire();
    enum store_result rc = hash_open(&tx, the_key(), LOOKUP_PEEK, &v);
    REQUIRE(rc == (model_count() ? STORE_OK : STORE_MISSING));
    CHECK_EQ(hash_count(&v), model_count());
    if (rc != STORE_OK)
        return;
    if (v.f.entry->encoding == ENCODING_TABLE)
        hash_object_verify(value_object(&v.f));
    else
        REQUIRE(packed_is_valid(entry_packed(v.f.entry)));
    for (size_t i = 0; i < pool; i++) {
        struct hash_text value;
        int64_t at_ms;
        const struct model_field *f = &fields[i];
        REQUIRE(hash_get(&v, slice_of(f->name), &value) == f->there);
        REQUIRE(hash_deadline(&v, slice_of(f->name), &at_ms) == f->there);
        CHECK(!f->there || slice_equal(value.bytes, slice_of(f->value)));
        CHECK_EQ(at_ms, f->there ? f->at_ms : EXPIRY_NONE);
    }
    if (walks)
        compare_walks(&v);
}

/* ---- steps ---- */

static const char *a_value(char value[96])
{
    memset(value, 0, 96);
    if (below(3))
        (void)snprintf(value, 96, "%d", (int)below(100000) - 50000);
    else
        memset(value, 'x', below(below(4) ? 20 : 95));
    return value;
}

static int64_t a_deadline(void)
{
    static const size_t spans[] = {5, 40, 300, 5000, 1000000};
    return tx.now_ms + 1 + (int64_t)below(spans[below(5)]);
}

static enum store_result try_set(size_t most)
{
    struct slice pairs[8];
    char values[4][96];
    struct model_field *chosen[4];
    size_t n = 1 + below(most), added, expected = 0;
    for (size_t i = 0; i < n; i++) {
        chosen[i] = &fields[below(pool)];
        pairs[2 * i] = slice_of(chosen[i]->name);
        pairs[2 * i + 1] = slice_of(a_value(values[i]));
    }
    enum store_result rc = hash_set(&tx, the_key(), pairs, n, &added);
    for (size_t i = 0; rc == STORE_OK && i < n; i++) {
        expected += !chosen[i]->there;
        model_set(chosen[i], values[i], EXPIRY_NONE);
    }
    if (rc == STORE_OK)
        CHECK_EQ(added, expected);
    return rc;
}

static enum store_result try_set_with(void)
{
    char value[96];
    struct model_field *f = &fields[below(pool)];
    const struct slice pair[2] = {slice_of(f->name), slice_of(a_value(value))};
    struct hash_set_options options = {.keep_ttl = below(4) == 0, .at_ms = EXPIRY_NONE};
    if (!options.keep_ttl && below(4))
        options.at_ms = below(10) ? a_deadline() : tx.now_ms;
    unsigned condition = (unsigned)below(6);
    options.conditions = condition < 4 ? 1u << condition : 0;
    bool there = model_count() > 0;
    bool met = condition == 0   ? !there
               : condition == 1 ? there
               : condition == 2 ? !f->there
               : condition == 3 ? f->there
                                : true;
    enum store_result rc = hash_set_with(&tx, the_key(), pair, 1, &options);
    if (rc == STORE_NO_MEMORY)
        return rc;
    CHECK_EQ(rc, met ? STORE_OK : STORE_NOT_MET);
    if (rc == STORE_OK)
        model_set(f, value, options.keep_ttl ? (f->there ? f->at_ms : EXPIRY_NONE) : options.at_ms);
    return STORE_OK;
}

static bool model_condition(uint32_t condition, int64_t before_ms, int64_t at_ms)
{
    switch (condition) {
    case EXPIRE_NX: return before_ms == EXPIRY_NONE;
    case EXPIRE_XX: return before_ms != EXPIRY_NONE;
    case EXPIRE_GT: return before_ms != EXPIRY_NONE && at_ms > before_ms;
    case EXPIRE_LT: return before_ms == EXPIRY_NONE || at_ms < before_ms;
    default: return true;
    }
}

static enum store_result try_deadline(void)
{
    struct hash_view v;
    struct model_field *f = &fields[below(pool)];
    uint32_t condition = (uint32_t)(1u << below(7)) & 15u;
    int64_t at_ms = below(6) == 0 ? EXPIRY_NONE : below(20) == 0 ? tx.now_ms - 5 : a_deadline();
    (void)hash_open(&tx, the_key(), LOOKUP_WRITE, &v);
    enum store_result rc = hash_set_deadline(&v, slice_of(f->name), at_ms, condition),
                      expected = STORE_OK;
    hash_commit(&v, "hexpire");
    if (rc == STORE_NO_MEMORY)
        return rc;
    if (!f->there)
        expected = STORE_MISSING;
    else if (at_ms == EXPIRY_NONE ? f->at_ms == EXPIRY_NONE
                                  : !model_condition(condition, f->at_ms, at_ms))
        expected = STORE_NOT_MET;
    else if (at_ms != EXPIRY_NONE && at_ms <= tx.now_ms)
        expected = STORE_EXISTS;
    CHECK_EQ(rc, expected);
    if (rc == STORE_OK)
        f->at_ms = at_ms;
    f->there = f->there && rc != STORE_EXISTS;
    return STORE_OK;
}

static enum store_result try_take(void)
{
    struct hash_view v;
    struct model_field *f = &fields[below(pool)];
    (void)hash_open(&tx, the_key(), LOOKUP_WRITE, &v);
    CHECK_EQ(hash_take(&v, slice_of(f->name)), f->there);
    hash_commit(&v, "hdel");
    f->there = false;
    return STORE_OK;
}

static enum store_result try_increment(void)
{
    struct model_field *f = &fields[below(pool)];
    int64_t value, before = 0;
    bool number = !f->there || number_parse_int64(slice_of(f->value), &before);
    enum store_result rc = hash_increment(&tx, the_key(), slice_of(f->name), 7, &value);
    if (rc == STORE_NO_MEMORY)
        return rc;
    CHECK_EQ(rc, number ? STORE_OK : STORE_NOT_INTEGER);
    if (rc != STORE_OK)
        return STORE_OK;
    CHECK_EQ(value, before + 7);
    f->at_ms = f->there ? f->at_ms : EXPIRY_NONE;
    f->there = true;
    (void)snprintf(f->value, sizeof f->value, "%lld", (long long)value);
    return STORE_OK;
}

static enum store_result step(bool failing)
{
    switch (below(12)) {
    case 0:
    case 1:
    case 2:
    case 3: return try_set(failing ? 1 : 4);
    case 4:
    case 5: return try_set_with();
    case 6:
    case 7:
    case 8: return try_deadline();
    case 9: return try_take();
    case 10: return try_increment();
    default: tx.now_ms += (int64_t)(below(3) ? below(4) : below(60)); return STORE_OK;
    }
}

/* The copy is as the original, deadlines included. */
static void compare_copy(void)
{
    struct store_key copy = {SLICE("copy"), keyspace_hash(ks, SLICE("copy"))};
    if (model_count() == 0)
        return;
    CHECK_EQ(keyspace_copy(&tx, the_key(), copy, 0, true), STORE_OK);
    CHECK_EQ(keyspace_rename(&tx, copy, the_key(), false), STORE_OK);
    compare(true);
}

static void run(uint64_t seed, bool failing)
{
    static const size_t pools[] = {5, 30, MOST};
    static const int64_t limits[] = {0, 4, 16, 128};
    unsigned failed = 0;
    random_init(&random_state, seed);
    keyspace_fixture_start();
    for (int i = 0; i < 15000; i++) {
        if (i % 1500 == 0)
            begin_model(pools[i / 1500 % 3]);
        if (i % 200 == 0)
            atomic_store(&keyspace_limits(ks)->hash_max_listpack_entries, limits[below(4)]);
        if (failing)
            REQUIRE(tu__mem_fail_after((int64_t)below(4) + 1));
        enum store_result rc = step(failing);
        if (failing)
            REQUIRE(tu__mem_fail_after(0));
        REQUIRE(rc == STORE_OK || (failing && rc == STORE_NO_MEMORY));
        failed += rc != STORE_OK;
        model_expire();
        if (pool < MOST || i % 16 == 0)
            compare(i % 8 == 0);
        if (i % 500 == 499)
            compare_copy();
    }
    CHECK(failing == (failed > 100));
    keyspace_fixture_stop();
}

TIMEOUT_TEST(hash, beside_a_model, 100)
{
    run(7, false);
}

TIMEOUT_TEST(hash, out_of_memory, 100)
{
    if (tu__mem_fail_after(0))
        run(8, true);
    else
        printf("  skipped: not a debug build\n");
}

/* ---- random fields ---- */

static void tally(void *context, struct slice name, struct slice value)
{
    size_t *counts = context;
    counts[model_find(name) - fields]++;
}

/* Each field as often as any other, drawn and chosen, from both forms. */
static void check_fair(size_t size, int64_t limit)
{
    struct hash_view v;
    size_t counts[MOST] = {0}, added, rounds = 4000;
    begin_model(size);
    atomic_store(&keyspace_limits(ks)->hash_max_listpack_entries, limit);
    for (size_t i = 0; i < size; i++) {
        const struct slice pair[2] = {slice_of(fields[i].name), SLICE("v")};
        REQUIRE(hash_set(&tx, the_key(), pair, 1, &added) == STORE_OK);
    }
    REQUIRE(hash_open(&tx, the_key(), LOOKUP_READ, &v) == STORE_OK);
    hash_random_any(&v, rounds * size, tally, counts);
    for (size_t i = 0; i < rounds * size / 3; i++)
        hash_random_distinct(&v, 3, tally, counts);
    for (size_t i = 0; i < size; i++)
        CHECK(counts[i] > 2 * rounds - 500 && counts[i] < 2 * rounds + 500);
}

TEST(hash, random_fields_are_fair)
{
    random_init(&random_state, 9);
    keyspace_fixture_start();
    check_fair(7, 128);
    check_fair(30, 0);
    keyspace_fixture_stop();
}

/* ---- events, and what goes unasked ---- */

static void check_events(const char *expected)
{
    transaction_unlock(&tx);
    if (strcmp(events, expected) != 0)
        test_fail(__FILE__, __LINE__, "events %s, expected %s", events, expected);
    events[0] = 0;
    transaction_lock_all(&tx);
}

static void set_deadline(const char *field, int64_t at_ms, const char *event)
{
    struct hash_view v;
    (void)hash_open(&tx, the_key(), LOOKUP_WRITE, &v);
    (void)hash_set_deadline(&v, slice_of(field), at_ms, 0);
    hash_commit(&v, event);
}

TEST(hash, events)
{
    const struct slice pairs[4] = {SLICE("a"), SLICE("1"), SLICE("b"), SLICE("2")};
    struct hash_set_options options = {.at_ms = 5000};
    size_t added;
    int64_t value;
    keyspace_fixture_start();
    effects_set_event_mask(ks, EVENT_KEYEVENT | EVENT_ALL);
    (void)hash_set(&tx, the_key(), pairs, 2, &added);
    check_events("hset h");
    (void)hash_increment(&tx, the_key(), SLICE("a"), 5, &value);
    set_deadline("a", 2000, "hexpire");
    set_deadline("a", EXPIRY_NONE, "hpersist");
    set_deadline("a", EXPIRY_NONE, "hpersist");
    set_deadline("none", 3000, "hexpire");
    check_events("hincrby h, hexpire h, hpersist h");
    (void)hash_set_with(&tx, the_key(), pairs, 2, &options);
    check_events("hset h, hexpire h");
    options.at_ms = 1;
    (void)hash_set_with(&tx, the_key(), pairs, 1, &options);
    check_events("hset h, hexpire h, hexpired h");
    (void)hash_set_with(&tx, the_key(), pairs, 2, &options);
    check_events("hset h, hexpire h, hexpired h, del h");
    (void)hash_set_with(&tx, the_key(), pairs, 2, &options);
    check_events("hset h, hexpire h, hexpired h, del h");
    keyspace_fixture_stop();
}

/* Nobody looks: the index of deadlines takes them within a tick. */
TEST(hash, fields_go_unasked)
{
    const struct slice pairs[4] = {SLICE("a"), SLICE("1"), SLICE("b"), SLICE("2")};
    struct keyspace_stats stats;
    size_t added;
    keyspace_fixture_start();
    effects_set_event_mask(ks, EVENT_KEYEVENT | EVENT_ALL);
    (void)hash_set(&tx, the_key(), pairs, 2, &added);
    set_deadline("a", 1500, "hexpire");
    set_deadline("b", 1900, "hexpire");
    check_events("hset h, hexpire h, hexpire h");
    transaction_unlock(&tx);
    CHECK_EQ(keyspace_size_with_fields(ks, 0), 1);
    while (expire_run(ks, 1499, 1000))
        ;
    CHECK_EQ(strcmp(events, ""), 0);
    while (expire_run(ks, 1500 + EXPIRE_TICK_MS, 1000))
        ;
    CHECK_EQ(strcmp(events, "hexpired h"), 0);
    CHECK_EQ(keyspace_size(ks, 0), 1);
    while (expire_run(ks, 1900 + EXPIRE_TICK_MS, 1000))
        ;
    CHECK_EQ(strcmp(events, "hexpired h, hexpired h, del h"), 0);
    CHECK_EQ(keyspace_size(ks, 0), 0);
    CHECK_EQ(keyspace_size_with_fields(ks, 0), 0);
    keyspace_stats(ks, &stats);
    CHECK_EQ(stats.expired_fields, 2);
    transaction_lock_all(&tx);
    keyspace_fixture_stop();
}
