/* fault.c - see fault.h. The previous handlers are kept and chained to, so that a program's own
 * crash report still comes. */
#include "platform/fault.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALTERNATE_STACK_SIZE = 64 << 10 };
static bool (*explain_fault)(void *address);
static struct sigaction previous_segv, previous_bus;

void fault_print(const char *text)
{
    ssize_t rc = write(2, text, strlen(text));
    (void)rc;
}

void fault_print_number(unsigned long long value, unsigned base)
{
    char digits[24];
    size_t at = sizeof digits;
    digits[--at] = 0;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    fault_print(digits + at);
}

static void on_fault(int number, siginfo_t *info, void *ucontext)
{
    struct sigaction *previous = number == SIGSEGV ? &previous_segv : &previous_bus;
    if (explain_fault && explain_fault(info->si_addr))
        abort();
    if (previous->sa_flags & SA_SIGINFO) {
        previous->sa_sigaction(number, info, ucontext);
        return;
    }
    if (previous->sa_handler != SIG_DFL && previous->sa_handler != SIG_IGN) {
        previous->sa_handler(number);
        return;
    }
    /* Back to the default and return: the instruction faults again and the process dies of it. */
    signal(number, SIG_DFL);
}

void fault_init(bool (*explain)(void *address))
{
    struct sigaction action = {0};
    explain_fault = explain;
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, &previous_segv);
    sigaction(SIGBUS, &action, &previous_bus);
}

void fault_thread_init(void)
{
    void *memory = mmap(NULL, ALTERNATE_STACK_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return;
    stack_t alternate = {.ss_sp = memory, .ss_size = ALTERNATE_STACK_SIZE};
    sigaltstack(&alternate, NULL);
}
