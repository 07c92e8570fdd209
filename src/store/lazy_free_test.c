/* lazy_free_test.c - the queue of what is to be freed: everything is freed once, by the background or by a helper,
 * and counted; without a runtime it is freed at once. */
#include "store/entry.h"
#include "store/keyspace.h"
#include "store/lazy_free.h"
#include "store/types/string.h"
#include "support/keyspace_fixture.h"

#include <stdio.h>
#include <tuco/go.h>
#include <tuco/mem.h>

static void start(void)
{
    keyspace_fixture_start();
    lazy_free_reset();
}

static void fill(int keys)
{
    char name[16];
    static char value[3000];
    for (int i = 0; i < keys; i++) {
        struct slice key = {name, (size_t)snprintf(name, sizeof name, "k%d", i)};
        REQUIRE(string_set(&tx, (struct store_key){key, keyspace_hash(ks, key)},
                           (struct slice){value, sizeof value}, NULL) == STORE_OK);
    }
}

static size_t used(void)
{
    struct tu_mem_stats m;
    tu_mem_stats(&m);
    return m.used_bytes;
}

TEST(lazy_free, at_once_without_a_runtime)
{
    start();
    size_t before = used();
    fill(1000);
    CHECK(used() > before + 3000000);
    CHECK_EQ(keyspace_flush(&tx, 0, true), 1000);
    CHECK(used() < before + 1000000);
    CHECK_EQ(lazy_free_counts().pending, 0);
    CHECK_EQ(lazy_free_counts().freed, 1000);
    CHECK(lazy_free_help() && !lazy_free_help()); /* since the last call something was freed */
    keyspace_fixture_stop();
}

/* The first call finds nearly all of it waiting: with one P the queue's goroutines run when main parks, or, on a machine that
 * is slow enough, when it has lost its P for computing too long. */
static void helps(void *arg)
{
    start();
    size_t before = used();
    fill(1000);
    CHECK_EQ(keyspace_flush(&tx, 0, true), 1000);
    CHECK(lazy_free_help());
    CHECK(lazy_free_counts().pending < 1000);
    while (lazy_free_counts().pending > 0)
        (void)lazy_free_help();
    CHECK(used() < before + 1000000);
    CHECK_EQ(lazy_free_counts().freed, 1000);
    (void)lazy_free_help();
    CHECK(!lazy_free_help()); /* since the last call nothing was freed */
    for (int i = 0; i < 1000; i++)
        tu_yield(); /* the goroutines find nothing */
    CHECK_EQ(lazy_free_counts().freed, 1000);
    keyspace_fixture_stop();
}

static void both(void *arg)
{
    start();
    for (int round = 0; round < 50; round++) {
        fill(500);
        CHECK_EQ(keyspace_flush(&tx, 0, true), 500);
        while (lazy_free_counts().pending > 0) {
            (void)lazy_free_help();
            tu_yield();
        }
    }
    CHECK_EQ(lazy_free_counts().freed, 50 * 500);
    keyspace_fixture_stop();
}

TEST(lazy_free, a_helper)
{
    CHECK_EQ(tu_main(&(struct tu_options){.maxprocs = 1}, helps, NULL), 0);
}

TEST(lazy_free, helper_and_background)
{
    CHECK_EQ(tu_main(&(struct tu_options){.maxprocs = 2}, both, NULL), 0);
}
