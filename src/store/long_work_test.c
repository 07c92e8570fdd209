/* long_work_test.c - turns: as many as there are Ps; who gets none has changed nothing, and waits where it may. */
#include "store/long_work.h"

#include "store/keyspace.h"
#include "store/types/list.h"
#include "store/types/set.h"
#include "support/testing.h"

#include <stdio.h>
#include <tuco/go.h>
#include <tuco/sync.h>

static struct keyspace *ks;

static struct store_key key_of(const char *name)
{
    return (struct store_key){slice_of(name), keyspace_hash(ks, slice_of(name))};
}

static void begin(struct transaction *tx)
{
    transaction_init(tx, ks, 0, 1);
    tx->turn = TURN_POSSIBLE;
}

static void none(void *context, struct slice member) {}
static void none_of(void *context, size_t count) {}

/* A set and a list with as many members as LONG_WORK. */
static void fill(void)
{
    struct transaction tx;
    size_t n;
    transaction_init(&tx, ks, 0, 1);
    transaction_lock_all(&tx);
    for (int i = 0; i < LONG_WORK; i++) {
        char text[16];
        struct slice member = {text, (size_t)sprintf(text, "m%d", i)};
        REQUIRE(set_add(&tx, key_of("set"), &member, 1, &n) == STORE_OK);
        REQUIRE(list_push(&tx, key_of("list"), LIST_RIGHT, &member, 1, false, &n) == STORE_OK);
    }
    transaction_unlock(&tx);
}

TEST(long_work, who_finds_no_turn_is_postponed)
{
    ks = keyspace_new(NULL); /* no runtime: one turn */
    REQUIRE(ks != NULL);
    fill();
    struct transaction first, second;
    begin(&first);
    begin(&second);
    CHECK(long_work_begin(&first, LONG_WORK - 1) && first.turn == TURN_POSSIBLE);
    CHECK(long_work_begin(&first, LONG_WORK) && first.turn == TURN_TAKEN);
    CHECK(long_work_begin(&first, UINT64_MAX)); /* it has its turn */
    CHECK(long_work_begin(&second, LONG_WORK - 1) && second.turn == TURN_POSSIBLE);

    struct store_key keys[] = {key_of("set")};
    size_t size;
    transaction_lock_all(&second);
    uint64_t dirty = second.dirty;
    CHECK_EQ(set_combine_store(&second, SET_UNION, key_of("to"), keys, 1, "sunionstore", &size),
             STORE_POSTPONED);
    CHECK_EQ(second.turn, TURN_POSTPONED);
    CHECK_EQ(second.dirty, dirty);
    CHECK_EQ(keyspace_type(&second, key_of("to")), TYPE_NONE);
    second.turn = TURN_POSSIBLE;
    CHECK_EQ(set_combine(&second, SET_UNION, keys, 1, 0, none, NULL), STORE_POSTPONED);
    second.turn = TURN_POSSIBLE;
    struct list_visitor visitor = {none_of, none, NULL};
    CHECK_EQ(list_range(&second, key_of("list"), 0, -1, &visitor), STORE_POSTPONED);
    second.turn = TURN_POSSIBLE;
    CHECK_EQ(list_range(&second, key_of("list"), 1, -1, &visitor), STORE_OK); /* one less */
    second.turn = TURN_NONE;                                                  /* as inside EXEC */
    CHECK_EQ(set_combine_store(&second, SET_UNION, key_of("to"), keys, 1, "sunionstore", &size),
             STORE_OK);
    CHECK_EQ(size, LONG_WORK);
    transaction_unlock(&second);
    struct long_work_stats stats = long_work_stats(ks);
    CHECK_EQ(stats.postponed, 3);
    CHECK_EQ(stats.begun, 2);
    CHECK_EQ(stats.running, 1);

    long_work_end(&first);
    CHECK(first.turn == TURN_NONE && long_work_stats(ks).running == 0);
    second.turn = TURN_POSTPONED;
    long_work_wait(&second);
    CHECK_EQ(second.turn, TURN_TAKEN);
    long_work_end(&second);
    keyspace_free(ks);
}

static _Atomic int running, most;
static struct tu_wait_group done;

static void work(void)
{
    for (int i = 0; i < 200; i++) {
        struct transaction tx;
        begin(&tx);
        while (!long_work_begin(&tx, LONG_WORK))
            long_work_wait(&tx);
        int now = ++running;
        for (int seen = most; now > seen && !atomic_compare_exchange_weak(&most, &seen, now);)
            ;
        for (volatile int k = 0; k < 2000; k++)
            ;
        running--;
        long_work_end(&tx);
    }
    tu_wait_group_done(&done);
}

GO_TEST(long_work, no_more_than_processors)
{
    ks = keyspace_new(NULL);
    tu_wait_group_add(&done, 20);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(tu_go(work), 0);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    CHECK(most >= 1 && most <= (int)tu_maxprocs());
    struct long_work_stats stats = long_work_stats(ks);
    CHECK_EQ(stats.begun, 20 * 200);
    CHECK_EQ(stats.running + stats.waiting, 0);
    keyspace_free(ks);
}
