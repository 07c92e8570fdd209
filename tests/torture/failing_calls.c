/* failing_calls.c - see failing_calls.h. In torture builds every test is linked with this, and
 * TUCO_FAIL_CALLS=N:SEED makes about every Nth call that can be repeated fail harmlessly. */
#include "torture/failing_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
    _Atomic int mode;
    unsigned nth;
    _Atomic unsigned count;
    _Atomic uint64_t random;
    _Atomic(const char *) hit;
} plan;

void failing_reset(enum failing_mode mode, unsigned nth, unsigned seed)
{
    plan.nth = nth;
    atomic_store(&plan.count, 0);
    atomic_store(&plan.hit, NULL);
    atomic_store(&plan.random, seed * UINT64_C(0x9e3779b97f4a7c15) + 1);
    atomic_store(&plan.mode, (int)mode);
}

unsigned failing_count(void)
{
    return atomic_load(&plan.count);
}

const char *failing_hit(void)
{
    return atomic_load(&plan.hit);
}

__attribute__((constructor)) static void from_environment(void)
{
    const char *text = getenv("TUCO_FAIL_CALLS");
    char *rest = NULL;
    unsigned long nth = text ? strtoul(text, &rest, 10) : 0;
    if (nth > 0)
        failing_reset(FAILING_SOMETIMES, (unsigned)nth,
                      *rest == ':' ? (unsigned)strtoul(rest + 1, NULL, 10) : 1);
}

static uint64_t next_random(void)
{
    uint64_t x = atomic_fetch_add(&plan.random, UINT64_C(0x9e3779b97f4a7c15));
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ x >> 31;
}

enum verdict { MAKE_IT, REFUSE, DISTURB };

/* What happens to this call: made, refused with an error, or disturbed without harm. */
static enum verdict judge(const char *name, bool can_be_disturbed)
{
    int mode = atomic_load(&plan.mode);
    unsigned count = atomic_fetch_add(&plan.count, 1) + 1;
    const char *hit;
    switch (mode) {
    case FAILING_ONCE:
        if (count != plan.nth)
            return MAKE_IT;
        atomic_store(&plan.hit, name);
        return REFUSE;
    case FAILING_FOREVER:
        if (count == plan.nth)
            atomic_store(&plan.hit, name);
        hit = atomic_load(&plan.hit);
        return hit && strcmp(hit, name) == 0 ? REFUSE : MAKE_IT;
    case FAILING_HARMLESS:
        if (count != plan.nth || !can_be_disturbed)
            return MAKE_IT;
        atomic_store(&plan.hit, name);
        return DISTURB;
    case FAILING_SOMETIMES:
        return can_be_disturbed && next_random() % plan.nth == 0 ? DISTURB : MAKE_IT;
    default: return MAKE_IT;
    }
}

/* ---- calls that are made, or fail with one error ---- */

#define FAIL_OR_CALL(result_type, name, failure, error, parameters, arguments) \
    result_type __real_##name parameters;                                      \
    result_type __wrap_##name parameters;                                      \
    result_type __wrap_##name parameters                                       \
    {                                                                          \
        if (judge(#name, false) == REFUSE) {                                   \
            errno = (error);                                                   \
            return failure;                                                    \
        }                                                                      \
        return __real_##name arguments;                                        \
    }

FAIL_OR_CALL(int, socket, -1, EMFILE, (int domain, int type, int protocol),
             (domain, type, protocol))
FAIL_OR_CALL(int, bind, -1, EADDRINUSE, (int fd, const struct sockaddr *address, socklen_t size),
             (fd, address, size))
FAIL_OR_CALL(int, listen, -1, EADDRINUSE, (int fd, int backlog), (fd, backlog))
FAIL_OR_CALL(int, connect, -1, ENETUNREACH,
             (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
FAIL_OR_CALL(int, setsockopt, -1, ENOBUFS,
             (int fd, int level, int name, const void *value, socklen_t size),
             (fd, level, name, value, size))
FAIL_OR_CALL(int, getsockopt, -1, ENOBUFS,
             (int fd, int level, int name, void *value, socklen_t *size),
             (fd, level, name, value, size))
FAIL_OR_CALL(int, epoll_create1, -1, EMFILE, (int flags), (flags))
FAIL_OR_CALL(int, eventfd, -1, EMFILE, (unsigned count, int flags), (count, flags))
FAIL_OR_CALL(void *, mmap, MAP_FAILED, ENOMEM,
             (void *address, size_t size, int protection, int flags, int fd, off_t at),
             (address, size, protection, flags, fd, at))
FAIL_OR_CALL(int, madvise, -1, ENOMEM, (void *address, size_t size, int advice),
             (address, size, advice))
FAIL_OR_CALL(int, mprotect, -1, ENOMEM, (void *address, size_t size, int protection),
             (address, size, protection))
FAIL_OR_CALL(int, pipe2, -1, EMFILE, (int ends[2], int flags), (ends, flags))
FAIL_OR_CALL(int, fsync, -1, EIO, (int fd), (fd))

/* An error number, not errno. */
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg)
{
    return judge("pthread_create", false) == REFUSE
               ? EAGAIN
               : __real_pthread_create(thread, attributes, run, arg);
}

/* ---- calls that may also be disturbed ---- */

/* Which epoll knows a descriptor: to send it the edge that follows a disturbed transfer. */
enum { DESCRIPTORS = 4096 };
static struct {
    _Atomic int epoll_fd;
    struct epoll_event event;
} known[DESCRIPTORS];

int __real_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    if (judge("epoll_ctl", false) == REFUSE) {
        errno = ENOMEM;
        return -1;
    }
    if (fd >= 0 && fd < DESCRIPTORS && operation == EPOLL_CTL_ADD) {
        known[fd].event = *event;
        atomic_store_explicit(&known[fd].epoll_fd, epoll_fd, memory_order_release);
    }
    return __real_epoll_ctl(epoll_fd, operation, fd, event);
}

/* Changing a registration to what it is makes the kernel look again, and report what is ready. */
static bool edge_follows(int fd)
{
    int epoll_fd = fd >= 0 && fd < DESCRIPTORS
                       ? atomic_load_explicit(&known[fd].epoll_fd, memory_order_acquire)
                       : 0;
    return epoll_fd > 0 && __real_epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &known[fd].event) == 0;
}

#define TRANSFER(name, parameters, arguments, fd, size)       \
    ssize_t __real_##name parameters;                         \
    ssize_t __wrap_##name parameters;                         \
    ssize_t __wrap_##name parameters                          \
    {                                                         \
        switch (judge(#name, true)) {                         \
        case REFUSE: errno = ECONNRESET; return -1;           \
        case DISTURB:                                         \
            if (next_random() % 3 == 0) {                     \
                errno = EINTR;                                \
                return -1;                                    \
            }                                                 \
            if (next_random() % 2 == 0 && edge_follows(fd)) { \
                errno = EAGAIN;                               \
                return -1;                                    \
            }                                                 \
            if (size > 1) {                                   \
                size = 1 + next_random() % (size - 1);        \
                ssize_t n = __real_##name arguments;          \
                int error = errno;                            \
                (void)edge_follows(fd);                       \
                errno = error;                                \
                return n;                                     \
            }                                                 \
            return __real_##name arguments;                   \
        default: return __real_##name arguments;              \
        }                                                     \
    }

TRANSFER(read, (int fd, void *buffer, size_t size), (fd, buffer, size), fd, size)
TRANSFER(send, (int fd, const void *buffer, size_t size, int flags), (fd, buffer, size, flags), fd,
         size)

/* Eight bytes are an eventfd's: all or nothing, and never a full disk. */
ssize_t __real_write(int fd, const void *buffer, size_t size);
ssize_t __wrap_write(int fd, const void *buffer, size_t size);
ssize_t __wrap_write(int fd, const void *buffer, size_t size)
{
    switch (judge("write", true)) {
    case REFUSE:
        if (size == 8)
            return __real_write(fd, buffer, size);
        errno = ENOSPC;
        return -1;
    case DISTURB: errno = EINTR; return -1;
    default: return __real_write(fd, buffer, size);
    }
}

ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    switch (judge("sendmsg", true)) {
    case REFUSE: errno = EPIPE; return -1;
    case DISTURB: errno = next_random() % 2 == 0 && edge_follows(fd) ? EAGAIN : EINTR; return -1;
    default: return __real_sendmsg(fd, message, flags);
    }
}

int __real_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    switch (judge("accept4", true)) {
    case REFUSE: errno = EMFILE; return -1;
    case DISTURB: errno = next_random() % 2 ? EINTR : ECONNABORTED; return -1;
    default: return __real_accept4(fd, address, size, flags);
    }
}

int __real_epoll_wait(int fd, struct epoll_event *events, int capacity, int timeout_ms);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int capacity, int timeout_ms);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int capacity, int timeout_ms)
{
    if (judge("epoll_wait", true) != MAKE_IT) {
        errno = EINTR;
        return -1;
    }
    return __real_epoll_wait(fd, events, capacity, timeout_ms);
}

int __real_epoll_pwait2(int fd, struct epoll_event *events, int capacity,
                        const struct timespec *timeout, const sigset_t *mask);
int __wrap_epoll_pwait2(int fd, struct epoll_event *events, int capacity,
                        const struct timespec *timeout, const sigset_t *mask);
int __wrap_epoll_pwait2(int fd, struct epoll_event *events, int capacity,
                        const struct timespec *timeout, const sigset_t *mask)
{
    switch (judge("epoll_pwait2", true)) {
    case REFUSE: errno = ENOSYS; return -1; /* an older kernel */
    case DISTURB: errno = EINTR; return -1;
    default: return __real_epoll_pwait2(fd, events, capacity, timeout, mask);
    }
}

/* Calls that libc has no name for. A futex wait may end for nothing; a wake is not touched. */
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    enum verdict verdict = MAKE_IT;
    int error = ENOSYS;
    if (number == SYS_futex && (b & FUTEX_CMD_MASK) == FUTEX_WAIT) {
        verdict = judge("futex wait", true);
        error = EINTR;
    } else if (number == SYS_pidfd_open) {
        verdict = judge("pidfd_open", false);
        error = EMFILE;
    } else if (number == SYS_process_madvise) {
        verdict = judge("process_madvise", false);
    } else if (number == SYS_membarrier && a == MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) {
        verdict = judge("membarrier", false); /* what was granted once does not fail */
    }
    if (verdict == MAKE_IT)
        return __real_syscall(number, a, b, c, d, e, f);
    errno = error;
    return -1;
}
