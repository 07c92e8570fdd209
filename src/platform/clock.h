/* clock.h - time: monotonic nanoseconds, wall clock microseconds, and raw ticks. */
#pragma once

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC, nanoseconds: the clock of every deadline. */
static inline int64_t clock_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Wall clock, microseconds since 1970. */
static inline int64_t clock_wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* A counter that runs at a constant 1 to 5 per nanosecond (x86-64) or less (aarch64): for "was that
 * a moment ago", never for deadlines. About 8 ns cheaper than the clock. */
static inline uint64_t clock_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return (uint64_t)clock_monotonic_ns();
#endif
}

/* Ticks of about 4 microseconds. */
#if defined(__x86_64__)
#define CLOCK_TICKS_4US 10000
#elif defined(__aarch64__)
#define CLOCK_TICKS_4US 400
#else
#define CLOCK_TICKS_4US 4000
#endif
