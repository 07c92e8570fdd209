/* thread.c - pthreads. */
#include "platform/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic unsigned started;

struct start {
    void *(*run)(void *arg);
    void *arg;
};

static void *run_counted(void *arg)
{
    struct start start = *(struct start *)arg;
    free(arg);
    (void)start.run(start.arg);
    atomic_fetch_sub(&started, 1);
    return NULL;
}

int thread_start(void *(*run)(void *arg), void *arg, size_t stack_size, const char *name)
{
    struct start *start = malloc(sizeof *start);
    if (!start)
        return -ENOMEM;
    *start = (struct start){run, arg};
    atomic_fetch_add(&started, 1);
    sigset_t blocked, before;
    sigfillset(&blocked);
    static const int faults[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,
                                 SIGABRT, SIGTRAP, SIGPROF, SIGURG};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(&blocked, faults[i]);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, stack_size);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    pthread_t thread;
    int rc = pthread_create(&thread, &attr, run_counted, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (rc == 0) {
        pthread_setname_np(thread, name);
    } else {
        atomic_fetch_sub(&started, 1);
        free(start);
    }
    return -rc;
}

static sigset_t saved_mask;

void thread_signals_save(void)
{
    pthread_sigmask(SIG_BLOCK, NULL, &saved_mask);
}

void thread_signals_restore(void)
{
    pthread_sigmask(SIG_SETMASK, &saved_mask, NULL);
}

int thread_id(void)
{
    return (int)gettid();
}

unsigned thread_count_started(void)
{
    return atomic_load(&started);
}

/* The number after `label` in /proc/self/status. */
static bool field(const char *status, const char *label, int base, unsigned long long *value)
{
    const char *at = strstr(status, label);
    if (!at)
        return false;
    *value = strtoull(at + strlen(label), NULL, base);
    return true;
}

int thread_census(unsigned *threads, uint64_t *handled)
{
    char status[8192];
    unsigned long long count, caught;
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, status, sizeof status - 1);
    close(fd);
    if (n <= 0)
        return -EIO;
    status[n] = 0;
    if (!field(status, "\nThreads:", 10, &count) || !field(status, "\nSigCgt:", 16, &caught))
        return -EIO;
    *threads = (unsigned)count;
    *handled = caught;
    return 0;
}

_Noreturn void thread_end_process(int status)
{
    if (ftrylockfile(stdout) == 0)
        (void)fflush(stdout);
    _exit(status);
}

void thread_yield(void)
{
    sched_yield();
}

/* struct sched_attr in its first form; the C library may have a longer one, or none. */
struct slices {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

void thread_short_slices(void)
{
    enum { SHORTEST_NS = 100000 };
    struct slices s = {.size = sizeof s};
    if (syscall(SYS_sched_getattr, 0, &s, sizeof s, 0) != 0 || s.policy != SCHED_OTHER)
        return;
    s.size = sizeof s;
    s.runtime = SHORTEST_NS;
    (void)syscall(SYS_sched_setattr, 0, &s, 0);
}

/* glibc registers the area for each thread (since 2.35), unless a tunable forbids that: then its size is 0. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned __rseq_size __attribute__((weak));

const volatile uint32_t *thread_core(void)
{
    enum { CPU_ID_AT = 4 };
    if (!&__rseq_size || __rseq_size == 0)
        return NULL;
    return (
        const volatile uint32_t *)(const volatile void *)((const char *)__builtin_thread_pointer() +
                                                          __rseq_offset + CPU_ID_AT);
}

void thread_sleep_ns(long long duration_ns)
{
    struct timespec left = {duration_ns / 1000000000, duration_ns % 1000000000};
    while (nanosleep(&left, &left) < 0) {
    }
}

void thread_stack(void **low, size_t *size)
{
    pthread_attr_t attr;
    *low = NULL;
    *size = 0;
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        pthread_attr_getstack(&attr, low, size);
        pthread_attr_destroy(&attr);
    }
}
