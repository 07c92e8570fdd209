/* thread.c - pthreads. */
#include "platform/thread.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>

int thread_start(void *(*run)(void *arg), void *arg, size_t stack_size, const char *name)
{
    sigset_t blocked, before;
    sigfillset(&blocked);
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(&blocked, faults[i]);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, stack_size);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    pthread_t thread;
    int rc = pthread_create(&thread, &attr, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (rc == 0)
        pthread_setname_np(thread, name);
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

void thread_yield(void)
{
    sched_yield();
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
