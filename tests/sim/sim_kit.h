/* sim_kit.h - writing scenarios for the simulator.
 *
 *     SCENARIO(channel, close_wakes_all)
 *     {
 *         ... runs as the first goroutine of a runtime with sim_plan()->procs Ps; random_below(n)
 *             makes the program itself a function of the seed; EXPECT checks ...
 *     }
 *
 * Each seed runs one scenario of its suite, in a process of its own. After the scenario returns, all
 * goroutines must have ended, all Ps fall asleep, and the scheduler's counters agree with that.
 *
 *     suite [--seeds N] [--first S]     N seeds from S (200 from 1); status 1 at the first finding
 *     suite --seed S [--trace POINTS]   that one, in this process, with a line on what it did
 *     suite --only NAME                 scenarios whose name contains NAME
 */
#pragma once

#include "sim/simulator.h"

#include <tuco.h>

struct scenario {
    const char *suite, *name;
    void (*run)(void);
};

#define SCENARIO(s, n)                                                          \
    static void scenario_##s##_##n(void);                                       \
    static const struct scenario case_##s##_##n = {#s, #n, scenario_##s##_##n}; \
    static const struct scenario *const pointer_##s##_##n                       \
        __attribute__((used, section("scenarios"))) = &case_##s##_##n;          \
    static void scenario_##s##_##n(void)

#define EXPECT(c, ...)                                                                         \
    do {                                                                                       \
        if (!(c))                                                                              \
            sim_finding("%s:%d: expected %s: " SIM_FIRST(__VA_ARGS__, ""), __FILE__, __LINE__, \
                        #c SIM_REST(__VA_ARGS__));                                             \
    } while (0)
#define SIM_FIRST(a, ...) a
#define SIM_REST(a, ...)  , ##__VA_ARGS__

static inline uint32_t random_below(uint32_t n)
{
    return sim_below(n);
}

static inline int64_t random_between_ns(int64_t least, int64_t most)
{
    return least + (int64_t)((uint64_t)sim_below(1u << 20) * (uint64_t)(most - least) >> 20);
}

/* Runs fn(arg) on a plain thread (a virtual one), which no scheduler knows. */
void foreign_thread(void (*fn)(void *arg), void *arg);
