/* transaction_test.c - goroutines that lock sets of shards in every order: nothing is lost, nobody
 * sees half a transaction, nobody waits for ever; and what closing the gate costs. */
#include "store/transaction.h"

#include "base/random.h"
#include "store/keyspace.h"
#include "store/shard.h"
#include "store/types/string.h"
#include "store/watch.h"
#include "support/testing.h"

#include <stdlib.h>
#include <tuco/go.h>
#include <tuco/sync.h>

enum { WORKERS = 16, ROUNDS = 2000, ACCOUNTS = 64, START = 1000 };

static struct keyspace *ks;
static struct store_key account[ACCOUNTS];
static char names[ACCOUNTS][16];
static struct tu_wait_group done;

static void open_accounts(uint32_t shards)
{
    struct transaction tx;
    ks = keyspace_new(&(struct keyspace_options){.shards = shards});
    transaction_init(&tx, ks, 0, 1);
    transaction_lock_all(&tx);
    for (int i = 0; i < ACCOUNTS; i++) {
        int64_t value;
        sprintf(names[i], "account:%d", i);
        account[i] = (struct store_key){slice_of(names[i]), keyspace_hash(ks, slice_of(names[i]))};
        CHECK_EQ(string_increment(&tx, account[i], START, &value), STORE_OK);
    }
    transaction_unlock(&tx);
}

static int64_t balance(struct transaction *tx, int i)
{
    int64_t value;
    CHECK_EQ(string_increment(tx, account[i], 0, &value), STORE_OK);
    return value;
}

static void move_money(struct transaction *tx, struct random_state *r)
{
    int from = (int)random_below(r, ACCOUNTS), to = (int)random_below(r, ACCOUNTS);
    int third = (int)random_below(r, ACCOUNTS);
    int64_t amount = (int64_t)random_below(r, 10), value;
    uint64_t hashes[] = {account[from].hash, account[to].hash, account[third].hash};
    transaction_lock(tx, hashes, 3);
    CHECK(transaction_holds(tx, hashes[0]) && transaction_holds(tx, hashes[2]));
    CHECK_EQ(string_increment(tx, account[from], -2 * amount, &value), STORE_OK);
    CHECK_EQ(string_increment(tx, account[to], amount, &value), STORE_OK);
    CHECK_EQ(string_increment(tx, account[third], amount, &value), STORE_OK);
    transaction_unlock(tx);
}

static void count_money(struct transaction *tx)
{
    int64_t sum = 0;
    transaction_lock_all(tx);
    CHECK(transaction_holds_all(tx));
    for (int i = 0; i < ACCOUNTS; i++)
        sum += balance(tx, i);
    transaction_unlock(tx);
    CHECK_EQ(sum, ACCOUNTS * START);
}

static void worker(int seed)
{
    struct random_state r;
    struct transaction tx;
    random_init(&r, (uint64_t)seed);
    transaction_init(&tx, ks, 0, 1);
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 100 == 0)
            count_money(&tx);
        else
            move_money(&tx, &r);
        keyspace_prefetch_bucket(ks, 0, account[i % ACCOUNTS].hash);
        keyspace_prefetch_entry(ks, 0, account[i % ACCOUNTS].hash);
    }
    tu_wait_group_done(&done);
}

static void run_workers(uint32_t shards)
{
    struct transaction tx;
    open_accounts(shards);
    tu_wait_group_add(&done, WORKERS);
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(tu_go(worker, i), 0);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    transaction_init(&tx, ks, 0, 1);
    count_money(&tx);
    keyspace_free(ks);
}

GO_TIMEOUT_TEST(transaction, money_is_kept_with_256_shards, 60)
{
    run_workers(256);
}

GO_TIMEOUT_TEST(transaction, money_is_kept_with_4_shards, 60)
{
    run_workers(4);
}

GO_TIMEOUT_TEST(transaction, money_is_kept_with_1_shard, 60)
{
    run_workers(1);
}

/* Writers that grow and shrink the table while others look ahead without a lock. */
static void churn(int seed)
{
    struct random_state r;
    struct transaction tx;
    char name[32];
    random_init(&r, (uint64_t)seed);
    transaction_init(&tx, ks, 0, 1);
    for (int i = 0; i < 20000; i++) {
        size_t size = (size_t)sprintf(name, "key:%d", (int)random_below(&r, 30000));
        struct store_key key = {{name, size}, keyspace_hash(ks, (struct slice){name, size})};
        keyspace_prefetch_bucket(ks, 0, key.hash);
        keyspace_prefetch_entry(ks, 0, key.hash);
        transaction_lock(&tx, &key.hash, 1);
        if (random_below(&r, 10) < (i / 5000 % 2 ? 2 : 8))
            CHECK_EQ(string_set(&tx, key, SLICE("value"), NULL), STORE_OK);
        else
            keyspace_delete(&tx, key, false);
        transaction_unlock(&tx);
    }
    tu_wait_group_done(&done);
}

GO_TIMEOUT_TEST(transaction, look_ahead_beside_growth, 60)
{
    ks = keyspace_new(&(struct keyspace_options){.shards = 2});
    tu_wait_group_add(&done, 4);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(tu_go(churn, i), 0);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    for (uint32_t n = 0; n < 2; n++)
        hash_table_verify(&shard_db_of(shard_at(ks, n), 0)->table);
    keyspace_free(ks);
}

static void watching(int seed)
{
    struct random_state r;
    struct transaction tx;
    struct watcher w = {0};
    random_init(&r, (uint64_t)seed);
    transaction_init(&tx, ks, 0, 1);
    for (int done_rounds = 0; done_rounds < 300;) {
        struct store_key key = account[random_below(&r, 4)];
        uint64_t hashes[2] = {key.hash};
        int64_t value;
        transaction_lock(&tx, hashes, 1);
        CHECK_EQ(watch_key(&tx, &w, key), STORE_OK);
        CHECK_EQ(string_increment(&tx, key, 0, &value), STORE_OK);
        atomic_store(&w.dirty, false); /* our own read-through-increment does not count */
        transaction_unlock(&tx);
        tu_yield();
        CHECK_EQ(watch_hashes(&w, hashes, 2), 1);
        transaction_lock(&tx, hashes, 1);
        if (!watch_is_dirty(&w, &tx)) {
            char text[24];
            size_t size = number_format_int64(text, value + 1);
            CHECK_EQ(string_set(&tx, key, (struct slice){text, size}, NULL), STORE_OK);
            done_rounds++;
        }
        watch_clear_locked(&w, &tx);
        transaction_unlock(&tx);
    }
    tu_wait_group_done(&done);
}

/* Optimistic increments: exactly as many as succeeded. */
GO_TIMEOUT_TEST(transaction, watched_increments_are_not_lost, 60)
{
    struct transaction tx;
    open_accounts(256);
    tu_wait_group_add(&done, 8);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(tu_go(watching, i), 0);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    int64_t sum = 0;
    transaction_init(&tx, ks, 0, 1);
    transaction_lock_all(&tx);
    for (int i = 0; i < ACCOUNTS; i++)
        sum += balance(&tx, i);
    transaction_unlock(&tx);
    CHECK_EQ(sum, ACCOUNTS * START + 8 * 300);
    keyspace_free(ks);
}

GO_TEST(transaction, the_gate_has_a_price)
{
    enum { TIMES = 2000 };
    struct transaction tx;
    open_accounts(256);
    transaction_init(&tx, ks, 0, 1);
    int64_t start = tu_now();
    for (int i = 0; i < TIMES; i++) {
        transaction_lock_all(&tx);
        transaction_unlock(&tx);
    }
    int64_t all_ns = (tu_now() - start) / TIMES;
    start = tu_now();
    for (int i = 0; i < TIMES; i++) {
        transaction_lock(&tx, &account[i % ACCOUNTS].hash, 1);
        transaction_unlock(&tx);
    }
    printf("  one shard %lld ns, all 256 %lld ns\n", (long long)(tu_now() - start) / TIMES,
           (long long)all_ns);
    const char *factor = getenv("TEST_TIME_FACTOR"); /* sanitizers */
    CHECK(all_ns < TU_MS * (factor ? atoi(factor) : 1));
    keyspace_free(ks);
}
