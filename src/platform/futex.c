/* futex.c - Linux futexes, private to the process. */
#include "platform/futex.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN true
#elif defined(__has_feature)
#define UNDER_TSAN __has_feature(thread_sanitizer)
#else
#define UNDER_TSAN false
#endif

/* ThreadSanitizer runs a signal's handler at the next libc call it knows, and a restarted futex makes
 * none: there, sleeps are cut into pieces that end as if woken for nothing, with such a call. */
enum { TSAN_PIECE_NS = 100000000 };

int futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
    if (UNDER_TSAN && (timeout_ns < 0 || timeout_ns > TSAN_PIECE_NS)) {
        struct timespec piece = {0, TSAN_PIECE_NS};
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, &piece, NULL, 0);
        usleep(0);
        return 0;
    }
    struct timespec limit = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    long rc = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout_ns < 0 ? NULL : &limit,
                      NULL, 0);
    if (rc == 0 || errno == EINTR)
        return 0;
    return -errno;
}

void futex_wake(_Atomic uint32_t *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}
