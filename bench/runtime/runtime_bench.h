/* runtime_bench.h - the list of the runtime's benchmarks: each does the same work as the function of
 * its name in bench/go/main.go, so that both sides' figures can be divided.
 *
 * `run` does `count` operations on a goroutine of a started runtime and returns the nanoseconds they
 * took, without set-up. Where `extra` is set it returns a second figure of the same run; where `cold`, a tenth
 * of the work is not done before as a warm-up.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct runtime_bench {
    const char *name;
    int64_t (*run)(long count);
    double (*extra)(void);
    const char *extra_unit;
    bool cold;
};

extern const struct runtime_bench bench_goroutine[], bench_channel[], bench_sync[], bench_echo[],
    bench_hog[];

/* Ends the program: a benchmark that failed has no figure. */
_Noreturn void bench_die(const char *what, int error);
/* bench_die unless rc >= 0. */
void bench_check(const char *what, long rc);
/* Resident memory of this process, bytes. */
long bench_rss_bytes(void);
