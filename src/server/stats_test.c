/* stats_test.c - counters per thread, histograms, error prefixes, reset. */
#include "server/stats.h"

#include "support/testing.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { COMMANDS = 5, THREADS = 8, ROUNDS = 20000 };

static void *count_up(void *arg)
{
    struct stats *s = arg;
    for (int i = 0; i < ROUNDS; i++) {
        stats_add(s, STAT_COMMANDS, 1);
        stats_add(s, STAT_NET_INPUT, 10);
        stats_command(s, (unsigned)i % COMMANDS, i, i % 4 == 0, true);
        if (i % 100 == 0)
            stats_error(s, SLICE("WRONGTYPE Operation against"));
    }
    return NULL;
}

TEST(stats, threads_add_up)
{
    struct stats *s = stats_create(COMMANDS);
    REQUIRE(s != NULL);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, count_up, s) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(stats_get(s, STAT_COMMANDS), THREADS * ROUNDS);
    CHECK_EQ(stats_get(s, STAT_NET_INPUT), THREADS * ROUNDS * 10);
    CHECK_EQ(stats_get(s, STAT_ERROR_REPLIES), THREADS * ROUNDS / 100);
    uint64_t calls = 0, failed = 0;
    for (unsigned id = 0; id < COMMANDS; id++) {
        struct command_stats c;
        stats_command_get(s, id, &c);
        calls += c.calls;
        failed += c.failed;
    }
    CHECK_EQ(calls, THREADS * ROUNDS);
    CHECK_EQ(failed, THREADS * ROUNDS / 4);
    stats_free(s);
}

/* A thousand threads one after the other: more than there are slots. */
static void *count_one(void *arg)
{
    stats_add(arg, STAT_COMMANDS, 1);
    return NULL;
}

TEST(stats, more_threads_than_slots)
{
    struct stats *s = stats_create(COMMANDS);
    for (int i = 0; i < 600; i++) {
        pthread_t t;
        REQUIRE(pthread_create(&t, NULL, count_one, s) == 0);
        pthread_join(t, NULL);
    }
    CHECK_EQ(stats_get(s, STAT_COMMANDS), 600);
    stats_free(s);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Against the sorted values themselves: at most 1/128 above, never below. */
TEST(stats, percentiles_follow_the_values)
{
    enum { N = 4001 };
    static uint64_t values[N];
    static const double at[] = {0, 1, 50, 90, 99, 99.9, 100};
    uint64_t found[sizeof at / sizeof *at];
    struct stats *s = stats_create(1);
    srandom(7);
    for (int i = 0; i < N; i++) {
        values[i] = (uint64_t)random() >> (random() % 31);
        stats_command(s, 0, (int64_t)values[i], false, true);
    }
    qsort(values, N, sizeof *values, compare);
    REQUIRE(stats_command_percentiles(s, 0, at, sizeof at / sizeof *at, found));
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        double exact = at[i] / 100 * N;
        size_t rank = (size_t)exact;
        rank = (double)rank < exact ? rank + 1 : rank;
        uint64_t value = values[rank == 0 ? 0 : rank - 1];
        CHECK(found[i] >= value && found[i] <= value + value / 128);
    }
    uint64_t limits[] = {0, 1000, 1000000, UINT64_MAX}, counts[4], below = 0;
    CHECK_EQ(stats_command_distribution(s, 0, limits, 4, counts), N);
    while (below < N && values[below] <= 1000)
        below++;
    CHECK(counts[1] <= below && counts[1] + 60 >= below);
    CHECK_EQ(counts[3], N);
    stats_free(s);
}

/* The values Redis prints for 1, 3 and 143 microseconds: the upper end of their step. */
TEST(stats, steps_are_those_of_redis)
{
    static const struct {
        int64_t ns;
        uint64_t shown;
    } cases[] = {{1000, 1003},     {3000, 3007}, {143000, 143359},
                 {946000, 946175}, {127, 127},   {255, 255}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stats *s = stats_create(1);
        double all = 100;
        uint64_t ns = 0;
        stats_command(s, 0, cases[i].ns, false, true);
        CHECK(stats_command_percentiles(s, 0, &all, 1, &ns));
        CHECK_EQ(ns, cases[i].shown);
        stats_free(s);
    }
}

struct seen {
    int prefixes;
    uint64_t count;
    char first[64];
};

static void see(void *context, struct slice prefix, uint64_t count)
{
    struct seen *seen = context;
    if (seen->prefixes++ == 0)
        snprintf(seen->first, sizeof seen->first, "%.*s", (int)prefix.size, prefix.data);
    seen->count += count;
}

TEST(stats, error_prefixes_are_bounded)
{
    struct stats *s = stats_create(1);
    struct seen seen = {0};
    char text[200];
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "E%d something", i);
        stats_error(s, slice_of(text));
    }
    memset(text, 'X', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    stats_error(s, slice_of(text));
    stats_error(s, SLICE(""));
    stats_errors(s, see, &seen);
    CHECK_EQ(seen.prefixes, STATS_ERRORS_MAX);
    CHECK_EQ(seen.count, STATS_ERRORS_MAX);
    CHECK(strcmp(seen.first, "E0") == 0);
    CHECK(stats_errors_overflow(s));
    CHECK_EQ(stats_get(s, STAT_ERROR_REPLIES), 1002);
    stats_free(s);
}

TEST(stats, reset_starts_again)
{
    struct stats *s = stats_create(COMMANDS);
    struct seen seen = {0};
    struct command_stats c;
    double half = 50;
    uint64_t ns;
    count_up(s);
    stats_reset(s);
    CHECK_EQ(stats_get(s, STAT_COMMANDS), 0);
    stats_command_get(s, 0, &c);
    CHECK_EQ(c.calls, 0);
    CHECK(!stats_command_percentiles(s, 0, &half, 1, &ns));
    stats_errors(s, see, &seen);
    CHECK_EQ(seen.prefixes, 0);
    stats_add(s, STAT_COMMANDS, 3);
    stats_command(s, 0, 1000, false, true);
    CHECK_EQ(stats_get(s, STAT_COMMANDS), 3);
    CHECK(stats_command_percentiles(s, 0, &half, 1, &ns));
    CHECK_EQ(ns, 1003);
    stats_free(s);
}

TEST(stats, rates_are_means)
{
    struct stats *s = stats_create(1);
    int64_t now = 1000000000;
    stats_sample(s, now);
    for (int i = 0; i < 16; i++) {
        stats_add(s, STAT_COMMANDS, 50);
        now += 100000000;
        stats_sample(s, now);
    }
    double rate = stats_rate(s, RATE_COMMANDS);
    CHECK(rate > 499 && rate < 501);
    stats_free(s);
}
