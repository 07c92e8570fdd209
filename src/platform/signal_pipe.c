/* signal_pipe.c - see signal_pipe.h. A full pipe loses a byte, which is harmless: there are others. */
#include "platform/signal_pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static int write_end = -1;
static void (*note_signal)(int number);

static void on_signal(int number)
{
    int saved = errno;
    char byte = (char)number;
    note_signal(number);
    (void)!write(write_end, &byte, 1);
    errno = saved;
}

static void handle(const int *numbers, size_t count, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < count; i++)
        (void)sigaction(numbers[i], &action, NULL);
}

int signal_pipe_open(const int *numbers, size_t count, void (*note)(int number))
{
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
        return -errno;
    write_end = ends[1];
    note_signal = note;
    handle(numbers, count, on_signal);
    return ends[0];
}

void signal_ignore(const int *numbers, size_t count)
{
    handle(numbers, count, SIG_IGN);
}
