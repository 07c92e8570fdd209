/* throttle_test.c - a bucket that fills with time, beside a plain model of one; what the reply says; what is kept. */
#include "store/types/throttle.h"

#include "base/random.h"
#include "store/shard.h"
#include "store/types/string.h"
#include "support/testing.h"

static struct keyspace *ks;
static struct transaction tx;

static void start(int64_t now_ms)
{
    ks = keyspace_new(NULL);
    REQUIRE(ks);
    transaction_init(&tx, ks, 0, now_ms);
    transaction_lock_all(&tx);
}

static void stop(void)
{
    transaction_unlock(&tx);
    keyspace_free(ks);
}

static struct store_key the_key(void)
{
    return (struct store_key){SLICE("k"), keyspace_hash(ks, SLICE("k"))};
}

static struct throttle_verdict take(int64_t burst, int64_t count, int64_t period_s,
                                    int64_t quantity)
{
    struct throttle_verdict v = {0};
    struct throttle_rate rate = {burst, count, period_s, quantity};
    CHECK_EQ(throttle_take(&tx, the_key(), &rate, &v), STORE_OK);
    return v;
}

#define S INT64_C(1000000000)

TEST(throttle, sixteen_then_one_in_two_seconds)
{
    start(1000000);
    struct throttle_verdict v = take(15, 30, 60, 1);
    CHECK(!v.limited);
    CHECK_EQ(v.limit, 16);
    CHECK_EQ(v.remaining, 15);
    CHECK_EQ(v.retry_ns, -1);
    CHECK_EQ(v.reset_ns, 2 * S);
    for (int i = 0; i < 15; i++)
        CHECK(!take(15, 30, 60, 1).limited);
    v = take(15, 30, 60, 1);
    CHECK(v.limited);
    CHECK_EQ(v.remaining, 0);
    CHECK_EQ(v.retry_ns, 2 * S);
    CHECK_EQ(v.reset_ns, 32 * S);
    v = take(15, 30, 60, 17); /* more than can ever lie there */
    CHECK(v.limited && v.retry_ns == -1);
    tx.now_ms += 1999;
    CHECK(take(15, 30, 60, 1).limited);
    tx.now_ms += 1;
    CHECK(!take(15, 30, 60, 1).limited);
    stop();
}

TEST(throttle, a_look_takes_nothing)
{
    int64_t at_ms;
    start(1000000);
    CHECK_EQ(take(3, 1, 10, 0).remaining, 4);
    CHECK(!keyspace_exists(&tx, the_key()));
    CHECK_EQ(take(3, 1, 10, 3).remaining, 1);
    CHECK_EQ(take(3, 1, 10, 0).remaining, 1);
    CHECK_EQ(tx.dirty, 1);
    CHECK_EQ(keyspace_expiry(&tx, the_key(), &at_ms), STORE_OK);
    CHECK_EQ(at_ms, 1000000 + 30000);
    tx.now_ms += 30000;
    CHECK_EQ(take(3, 1, 10, 0).remaining, 4);
    stop();
}

TEST(throttle, what_is_refused)
{
    struct throttle_verdict v;
    start(1000000);
    struct throttle_rate rates[] = {
        {INT64_MAX, 1, 1, 1}, {1, 1, INT64_MAX, 1}, {1, 1, 1, INT64_MAX}, {INT64_MAX / 2, 1, 1, 1}};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        CHECK_EQ(throttle_take(&tx, the_key(), &rates[i], &v), STORE_OUT_OF_RANGE);
    struct throttle_rate fast = {0, INT64_MAX, 1, 1}, plain = {1, 1, 1, 1};
    CHECK_EQ(throttle_take(&tx, the_key(), &fast, &v), STORE_OK); /* one a nanosecond */
    CHECK_EQ(string_set(&tx, the_key(), SLICE("x"), NULL), STORE_OK);
    CHECK_EQ(throttle_take(&tx, the_key(), &plain, &v), STORE_NOT_INTEGER);
    CHECK_EQ(string_set(&tx, the_key(), SLICE("9223372036854775807"), NULL), STORE_OK);
    CHECK_EQ(throttle_take(&tx, the_key(), &plain, &v), STORE_OUT_OF_RANGE);
    CHECK_EQ(string_set(&tx, the_key(), SLICE("-5"), NULL), STORE_OK);
    CHECK_EQ(throttle_take(&tx, the_key(), &plain, &v), STORE_OK);
    CHECK_EQ(v.remaining, 1);
    stop();
}

/* The model keeps how much is missing, and lets it come back as time goes by. */
TEST(throttle, as_a_bucket_that_fills)
{
    struct random_state r;
    random_init(&r, 11);
    for (int round = 0; round < 50; round++) {
        start(1700000000000);
        struct throttle_rate rate = {(int64_t)random_below(&r, 20),
                                     1 + (int64_t)random_below(&r, 50),
                                     1 + (int64_t)random_below(&r, 60), 0};
        int64_t interval = rate.period_s * S / rate.count, all = (rate.burst + 1) * interval;
        int64_t missing = 0;
        for (int i = 0; i < 300; i++) {
            struct throttle_verdict v;
            int64_t pass_ms = (int64_t)random_below(&r, 4) * (int64_t)random_below(&r, 1500);
            tx.now_ms += pass_ms;
            missing = missing > pass_ms * 1000000 ? missing - pass_ms * 1000000 : 0;
            rate.quantity = (int64_t)random_below(&r, 4);
            bool allowed = missing + rate.quantity * interval <= all;
            missing += allowed ? rate.quantity * interval : 0;
            CHECK_EQ(throttle_take(&tx, the_key(), &rate, &v), STORE_OK);
            CHECK_EQ(v.limited, !allowed);
            CHECK_EQ(v.remaining, (all - missing) / interval);
            CHECK_EQ(v.reset_ns, missing);
            CHECK_EQ(keyspace_exists(&tx, the_key()), missing > 0);
        }
        stop();
    }
}
