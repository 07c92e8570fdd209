/* random_test.c - reproducible, in bounds, and roughly even. */
#include "base/random.h"

#include "support/testing.h"

TEST(random, equal_seeds_give_equal_sequences)
{
    struct random_state a, b, c;
    random_init(&a, 7);
    random_init(&b, 7);
    random_init(&c, 8);
    int same = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t x = random_next(&a);
        CHECK(x == random_next(&b));
        same += x == random_next(&c);
    }
    CHECK_EQ(same, 0);
}

TEST(random, below_is_in_bounds_and_even)
{
    struct random_state r;
    random_init(&r, 0);
    unsigned counts[10] = {0};
    for (int i = 0; i < 100000; i++)
        counts[random_below(&r, 10)]++;
    for (int i = 0; i < 10; i++)
        CHECK(counts[i] > 9500 && counts[i] < 10500);
    CHECK_EQ(random_below(&r, 1), 0);
    for (int i = 0; i < 1000; i++)
        CHECK(random_below(&r, UINT64_C(3) << 62) < UINT64_C(3) << 62);
}
