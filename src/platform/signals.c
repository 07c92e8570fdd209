/* signals.c - see signals.h; signalfd(2). */
#include "platform/signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/signalfd.h>

_Static_assert(SIGNAL_QUIT == SIGQUIT, "one number on every Linux");
_Static_assert(sizeof(struct signalfd_siginfo) == SIGNAL_RECORD_SIZE, "as the kernel says");

static sigset_t set_of(const int *numbers, size_t count)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < count; i++)
        sigaddset(&set, numbers[i]);
    return set;
}

void signals_block(const int *numbers, size_t count)
{
    sigset_t set = set_of(numbers, count);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int signals_open(const int *numbers, size_t count)
{
    sigset_t set = set_of(numbers, count);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int signals_number(const void *record)
{
    struct signalfd_siginfo info;
    memcpy(&info, record, sizeof info);
    return (int)info.ssi_signo;
}

static void (*_Atomic handlers[NSIG])(int number);

static void call_handler(int number)
{
    int error = errno;
    /* relaxed: sigaction comes after the store, and orders it */
    void (*handler)(int) = atomic_load_explicit(&handlers[number], memory_order_relaxed);
    handler(number);
    errno = error;
}

bool signals_handle(int number, void (*handler)(int number), bool replace)
{
    struct sigaction before,
        action = {.sa_handler = call_handler, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    if (!replace && (sigaction(number, NULL, &before) != 0 || (before.sa_flags & SA_SIGINFO) ||
                     before.sa_handler != SIG_DFL))
        return false;
    atomic_store_explicit(&handlers[number], handler, memory_order_relaxed);
    return sigaction(number, &action, NULL) == 0;
}

void signals_ignore(const int *numbers, size_t count)
{
    struct sigaction action = {.sa_handler = SIG_IGN};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < count; i++)
        (void)sigaction(numbers[i], &action, NULL);
}
