/* heap_model_test.c - the fuzzer's model with bytes from seeds. */
#include "runtime/mem/heap_model.h"

#include "support/testing.h"

static uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

TIMEOUT_TEST(heap_model, verified_after_each_step, 60)
{
    static uint8_t bytes[12000];
    for (uint64_t seed = 1; seed <= 12; seed++) {
        uint64_t random = seed;
        /* Some seeds allocate more than they free, some do one thing in long runs. */
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] =
                (uint8_t)(random_next(&random) % 7 < seed % 5 && i > 6 ? bytes[i - 5 - i % 2]
                                                                       : random_next(&random));
        model_run(bytes, sizeof bytes);
    }
}
