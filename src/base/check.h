/* check.h - three strengths of invariant.
 *
 *   tu_check(c, ...)     always on: memory safety, formats, state edges, a caller's mistake
 *   tu_assert(c)         in builds with TU_DEBUG
 *   tu_assert_slow(c)    in builds with TU_DEBUG_SLOW: walks whole structures
 *
 * A failed one prints file, line and text on stderr and aborts; check_failed_hook, when set, prints
 * more (the goroutines) in between.
 */
#pragma once

#include <stdbool.h>

_Noreturn void check_failed(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));
extern void (*check_failed_hook)(void);

#define tu_check(c, ...)                                   \
    do {                                                   \
        if (__builtin_expect(!(c), 0))                     \
            check_failed(__FILE__, __LINE__, __VA_ARGS__); \
    } while (0)
#ifdef TU_DEBUG
#define tu_assert(c) tu_check(c, "assertion failed: %s", #c)
#else
#define tu_assert(c) ((void)sizeof(!(c)))
#endif
#ifdef TU_DEBUG_SLOW
#define tu_assert_slow(c) tu_check(c, "assertion failed: %s", #c)
#else
#define tu_assert_slow(c) ((void)sizeof(!(c)))
#endif
