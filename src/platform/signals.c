/* signals.c - see signals.h; signalfd(2). */
#include "platform/signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

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

void signals_ignore(const int *numbers, size_t count)
{
    struct sigaction action = {.sa_handler = SIG_IGN};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < count; i++)
        (void)sigaction(numbers[i], &action, NULL);
}
