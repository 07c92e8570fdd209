/* access_clock_test.c - idle times around the wrap, and a counter that grows slower and slower. */
#include "store/access_clock.h"

#include "support/testing.h"

TEST(access_clock, idle_seconds_wrap)
{
    struct clock_policy lru = {.lfu = false};
    int64_t start_ms = (INT64_C(0x1fffffe)) * 1000; /* two seconds before 24 bits are full */
    uint32_t clock = clock_start(lru, start_ms);
    CHECK_EQ(clock_idle_s(clock, start_ms), 0);
    CHECK_EQ(clock_idle_s(clock, start_ms + 5000), 5);
    CHECK_EQ(clock_touch(lru, clock, start_ms + 5000, NULL), 3);
}

TEST(access_clock, frequency_is_logarithmic_and_decays)
{
    struct clock_policy lfu = {.lfu = true, .log_factor = 10, .decay_min = 1};
    struct random_state r;
    random_init(&r, 1);
    int64_t now_ms = INT64_C(1700000000000);
    uint32_t clock = clock_start(lfu, now_ms), at_hundred = 0;
    CHECK_EQ(clock_frequency(lfu, clock, now_ms), CLOCK_LFU_START);
    for (int i = 0; i < 100000; i++) {
        clock = clock_touch(lfu, clock, now_ms, &r);
        if (i == 99)
            at_hundred = clock_frequency(lfu, clock, now_ms);
    }
    uint32_t at_end = clock_frequency(lfu, clock, now_ms);
    CHECK(at_hundred >= 7 && at_hundred <= 20);
    CHECK(at_end > 100 && at_end < 200);
    CHECK_EQ(clock_frequency(lfu, clock, now_ms + 10 * 60000), at_end - 10);
    CHECK_EQ(clock_frequency(lfu, clock, now_ms + 1000 * 60000), 0);
    lfu.decay_min = 0;
    CHECK_EQ(clock_frequency(lfu, clock, now_ms + 1000 * 60000), at_end);
}
