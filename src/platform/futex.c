/* futex.c - Linux futexes, private to the process. */
#include "platform/futex.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ThreadSanitizer holds signals back until the thread makes a call it knows, and this is none: so
 * there a wait is cut into short ones with such a call between them. */
#if defined(__SANITIZE_THREAD__)
#define WAIT_MAX_NS 20000000
#endif

int futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
#ifdef WAIT_MAX_NS
    usleep(0);
    bool cut = timeout_ns < 0 || timeout_ns > WAIT_MAX_NS;
    timeout_ns = cut ? WAIT_MAX_NS : timeout_ns;
#else
    const bool cut = false;
#endif
    struct timespec limit = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    long rc = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected,
                      timeout_ns < 0 ? NULL : &limit, NULL, 0);
    if (rc == 0 || errno == EINTR || (cut && errno == ETIMEDOUT))
        return 0;
    return -errno;
}

void futex_wake(_Atomic uint32_t *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}
