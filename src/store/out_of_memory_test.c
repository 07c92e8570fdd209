/* out_of_memory_test.c - each operation with its n-th allocation failing, for every n: it says so
 * and has done nothing, or it did not need that memory; the keyspace is sound and serves on. Needs
 * a debug build. */
#include "runtime/mem/heap.h"
#include "store/keyspace.h"
#include "store/shard.h"
#include "store/types/string.h"
#include "store/types/throttle.h"
#include "support/keyspace_fixture.h"

#include <stdlib.h>
#include <string.h>

static char large[70000];

static enum store_result set(const char *name, struct slice value)
{
    return string_set(&tx, key_of(name), value, NULL);
}

static bool is(const char *name, struct slice expected)
{
    struct string_value v;
    return string_get(&tx, key_of(name), &v) == STORE_OK && slice_equal(v.bytes, expected);
}

static void start(void)
{
    keyspace_fixture_start();
    memset(large, 'l', sizeof large);

    REQUIRE(set("number", SLICE("41")) == STORE_OK && set("small", SLICE("value")) == STORE_OK);
    REQUIRE(set("large", (struct slice){large, 50000}) == STORE_OK);
}

static void stop(void)
{
    for (uint32_t n = 0; n < ks->shard_count; n++)
        if (shard_db_of(shard_at(ks, n), 0))
            hash_table_verify(&shard_db_of(shard_at(ks, n), 0)->table);
    REQUIRE(set("after", (struct slice){large, 3000}) == STORE_OK);
    REQUIRE(is("after", (struct slice){large, 3000}));
    keyspace_fixture_stop();
}

static enum store_result set_new(void)
{
    return set("new", SLICE("value"));
}
static enum store_result set_new_large(void)
{
    return set("new", (struct slice){large, sizeof large});
}
static enum store_result set_large_over_small(void)
{
    return set("small", (struct slice){large, sizeof large});
}
static enum store_result set_small_over_large(void)
{
    return set("large", SLICE("value"));
}
static enum store_result set_with_deadline(void)
{
    struct string_set_options options = {.expire_at_ms = 5000};
    return string_set(&tx, key_of("small"), SLICE("other"), &options);
}
static enum store_result append_small(void)
{
    size_t size;
    return string_append(&tx, key_of("small"), (struct slice){large, 100}, SIZE_MAX, &size);
}
static enum store_result append_large(void)
{
    size_t size;
    return string_append(&tx, key_of("large"), (struct slice){large, 60000}, SIZE_MAX, &size);
}
static enum store_result append_number(void)
{
    size_t size;
    return string_append(&tx, key_of("number"), SLICE(".5"), SIZE_MAX, &size);
}
static enum store_result set_range(void)
{
    size_t size;
    return string_set_range(&tx, key_of("small"), 9000, SLICE("end"), SIZE_MAX, &size);
}
static enum store_result increment_new(void)
{
    int64_t value;
    return string_increment(&tx, key_of("new"), 7, &value);
}
static enum store_result increment_float(void)
{
    struct string_value value;
    return string_increment_float(&tx, key_of("number"), 0.25L, &value);
}
static enum store_result count_with_deadline(void)
{
    int64_t before, value;
    struct string_count how = {.high = 1000, .expire_at_ms = 90000};
    return string_count_integer(&tx, key_of("number"), 1, &how, &before, &value);
}
static enum store_result throttle(void)
{
    struct throttle_rate rate = {5, 1, 1, 1};
    struct throttle_verdict verdict;
    return throttle_take(&tx, key_of("new"), &rate, &verdict);
}
static enum store_result expire(void)
{
    struct string_value value;
    return string_get_expire(&tx, key_of("small"), 90000, &value);
}
static enum store_result rename_key(void)
{
    return keyspace_rename(&tx, key_of("large"), key_of("a name that is longer than the old one"),
                           false);
}

static const struct {
    const char *name;
    enum store_result (*run)(void);
} operations[] = {
    {"set_new", set_new},
    {"set_new_large", set_new_large},
    {"set_large_over_small", set_large_over_small},
    {"set_small_over_large", set_small_over_large},
    {"set_with_deadline", set_with_deadline},
    {"append_small", append_small},
    {"append_large", append_large},
    {"append_number", append_number},
    {"set_range", set_range},
    {"increment_new", increment_new},
    {"increment_float", increment_float},
    {"count_with_deadline", count_with_deadline},
    {"throttle", throttle},
    {"expire", expire},
    {"rename", rename_key},
};

/* True if it ran out of memory. */
static bool try_failing(size_t operation, int64_t n)
{
    start();
    REQUIRE(tu__mem_fail_after(n));
    enum store_result result = operations[operation].run();
    REQUIRE(tu__mem_fail_after(0));
    bool failed = result == STORE_NO_MEMORY;
    if (!failed && result != STORE_OK)
        printf("  %s, allocation %d: %d\n", operations[operation].name, (int)n, (int)result);
    CHECK(failed || result == STORE_OK);
    if (failed) {
        CHECK(is("number", SLICE("41")) && is("small", SLICE("value")));
        CHECK(is("large", (struct slice){large, 50000}));
        CHECK_EQ(keyspace_size(ks, 0), 3);
        result = operations[operation].run();
        CHECK_EQ(result, STORE_OK);
    }
    stop();
    return failed;
}

TEST(out_of_memory, every_allocation_of_every_operation)
{
    if (!tu__mem_fail_after(0)) {
        printf("  skipped: not a debug build\n");
        return;
    }
    int failed = 0;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        for (int64_t n = 1; n <= 8; n++)
            failed += try_failing(i, n);
    printf("  %d times out of memory\n", failed);
    CHECK(failed >= 10);
}
