/* testing.h - a goroutine-safe unit test kit.
 *
 *     TEST(channel, close_wakes_all) { CHECK(tu_channel_length(c) == 0); CHECK_EQ(rc, -EPIPE); }
 *     GO_TEST(channel, ping_pong) { ... runs as a goroutine on a started runtime ... }
 *
 * Every test registers itself in a linker section and runs in a process of its own, with a time
 * limit (TIMEOUT_TEST gives another than 30 s). A failed check prints, and fails the test without
 * leaving it: checks may stand on any goroutine or thread. REQUIRE ends the process at once.
 *
 *     program            runs all, one line each, exit status 1 if any failed
 *     program -l         lists;   program NAME...  runs those whose "module.name" contains NAME
 *     program -n NAME    runs one in this process (for gdb)
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct test_case {
    const char *module, *name;
    void (*run)(void);
    int timeout_s;
    bool on_goroutine;
};

#define TEST__REGISTER(m, n, t, g)                                                      \
    static void test_##m##_##n(void);                                                   \
    static const struct test_case test_case_##m##_##n = {#m, #n, test_##m##_##n, t, g}; \
    static const struct test_case *const test_ptr_##m##_##n                             \
        __attribute__((used, section("test_cases"))) = &test_case_##m##_##n;            \
    static void test_##m##_##n(void)
#define TEST(m, n)               TEST__REGISTER(m, n, 30, false)
#define GO_TEST(m, n)            TEST__REGISTER(m, n, 30, true)
#define TIMEOUT_TEST(m, n, t)    TEST__REGISTER(m, n, t, false)
#define GO_TIMEOUT_TEST(m, n, t) TEST__REGISTER(m, n, t, true)

#ifdef __cplusplus
extern "C" {
#endif
void test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void test_fail_now(void) __attribute__((noreturn));
#ifdef __cplusplus
}
#endif

#define CHECK(c)                                             \
    do {                                                     \
        if (!(c))                                            \
            test_fail(__FILE__, __LINE__, "failed: %s", #c); \
    } while (0)
#define CHECK_EQ(a, b)                                                                      \
    do {                                                                                    \
        long long test_a = (long long)(a), test_b = (long long)(b);                         \
        if (test_a != test_b)                                                               \
            test_fail(__FILE__, __LINE__, "%s is %lld, expected %s = %lld", #a, test_a, #b, \
                      test_b);                                                              \
    } while (0)
#define REQUIRE(c)                                             \
    do {                                                       \
        if (!(c)) {                                            \
            test_fail(__FILE__, __LINE__, "required: %s", #c); \
            test_fail_now();                                   \
        }                                                      \
    } while (0)
