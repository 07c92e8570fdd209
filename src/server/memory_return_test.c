/* memory_return_test.c - memory that falls, rests, wavers. */
#include "server/memory_return.h"

#include "support/testing.h"

enum { STEP_MS = 25 };
static const int64_t mib = 1 << 20;

TEST(memory_return, once_after_the_fall)
{
    struct memory_return m = {0};
    int64_t now = 1000, used = 100 * mib, due = 0;
    CHECK(!memory_return_due(&m, used, now));
    for (int i = 0; i < 10; i++) {
        used -= 9 * mib;
        CHECK(!memory_return_due(&m, used, now += STEP_MS));
    }
    for (int i = 0; i < 100; i++)
        due += memory_return_due(&m, used, now += STEP_MS);
    CHECK_EQ(due, 1);
}

TEST(memory_return, a_long_fall_is_not_waited_for)
{
    struct memory_return m = {0};
    int64_t now = 1000, used = 1000 * mib, due = 0;
    CHECK(!memory_return_due(&m, used, now));
    for (int i = 0; i < 90; i++) {
        used -= 10 * mib;
        due += memory_return_due(&m, used, now += STEP_MS);
    }
    CHECK(due >= 2 && due <= 6);
}

TEST(memory_return, neither_little_nor_wavering_memory)
{
    struct memory_return m = {0};
    int64_t now = 1000;
    for (int i = 0; i < 200; i++) {
        CHECK(!memory_return_due(&m, 1000 * mib - (i % 5) * 20 * mib, now += STEP_MS));
    }
    m = (struct memory_return){0};
    for (int i = 0; i < 200; i++)
        CHECK(!memory_return_due(&m, (i % 2) * 3 * mib, now += STEP_MS));
}
