/* latency_test.c - a series beside a naive list of all events: seconds that melt into one, the ring's end, resets. */
#include "server/latency.h"

#include "support/testing.h"

#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 3000 };

/* What must be there after `count` events. */
static void compare(const struct latency_series *got, const struct latency_sample *all,
                    size_t count, int64_t sum, int64_t max)
{
    CHECK_EQ(got->events, count);
    CHECK_EQ(got->sum_ms, sum);
    CHECK_EQ(got->max_ms, max);
    static struct latency_sample merged[ROUNDS];
    size_t seconds = 0;
    for (size_t i = 0; i < count; i++) {
        if (seconds > 0 && merged[seconds - 1].time_s == all[i].time_s) {
            if (all[i].worst_ms > merged[seconds - 1].worst_ms)
                merged[seconds - 1].worst_ms = all[i].worst_ms;
        } else {
            merged[seconds++] = all[i];
        }
    }
    size_t kept = seconds < LATENCY_SAMPLES ? seconds : LATENCY_SAMPLES;
    REQUIRE(got->count == kept);
    for (size_t i = 0; i < kept; i++) {
        CHECK_EQ(got->samples[i].time_s, merged[seconds - kept + i].time_s);
        CHECK_EQ(got->samples[i].worst_ms, merged[seconds - kept + i].worst_ms);
    }
}

TEST(latency, as_a_list_has_it)
{
    static struct latency_sample all[ROUNDS];
    static struct latency_series series;
    struct latency *l = latency_new();
    int64_t now = 1000, sum = 0, max = 0;
    REQUIRE(l != NULL);
    srand(1);
    CHECK(!latency_get(l, LATENCY_COMMAND, &series));
    for (size_t i = 0; i < ROUNDS; i++) {
        now += rand() % 2;
        all[i] = (struct latency_sample){now, rand() % 500};
        sum += all[i].worst_ms;
        max = all[i].worst_ms > max ? all[i].worst_ms : max;
        latency_add(l, LATENCY_COMMAND, all[i].worst_ms, now);
        if (i < 400 || i % 100 == 99) {
            CHECK(latency_get(l, LATENCY_COMMAND, &series));
            compare(&series, all, i + 1, sum, max);
        }
    }
    CHECK(!latency_get(l, LATENCY_FAST_COMMAND, &series));
    CHECK(!latency_reset(l, LATENCY_FAST_COMMAND));
    CHECK(latency_reset(l, LATENCY_COMMAND));
    CHECK(!latency_get(l, LATENCY_COMMAND, &series));
    CHECK_EQ(series.events, 0);
    latency_free(l);
}

TEST(latency, summary)
{
    static struct latency_series series;
    struct latency *l = latency_new();
    struct latency_summary s;
    REQUIRE(l != NULL);
    const int64_t ms[] = {30, 20, 45, 60, 80};
    for (int i = 0; i < 5; i++)
        latency_add(l, LATENCY_EXPIRE_CYCLE, ms[i], 100 + i);
    REQUIRE(latency_get(l, LATENCY_EXPIRE_CYCLE, &series));
    latency_summarize(&series, 104, &s);
    CHECK_EQ(s.low_ms, 20);
    CHECK_EQ(s.high_ms, 80);
    CHECK_EQ(s.mean_ms, 47);
    CHECK_EQ(s.deviation_ms, 18);
    CHECK(s.period_s > 0.79 && s.period_s < 0.81);
    CHECK(strcmp(latency_event_name(LATENCY_EXPIRE_CYCLE), "expire-cycle") == 0);
    latency_free(l);
}
