/* fault.c - see fault.h. The previous handlers are kept and chained to, so that a program's own
 * crash report still comes. */
#include "platform/fault.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { ALTERNATE_STACK_SIZE = 64 << 10 };
static bool (*explain_fault)(void *address, const struct fault_place *at);
static void (*answer_question)(const struct fault_place *at);
static struct sigaction previous_segv, previous_bus;

static struct fault_place place_of(const void *context)
{
#if defined(__x86_64__)
    const greg_t *r = ((const ucontext_t *)context)->uc_mcontext.gregs;
    return (struct fault_place){(uintptr_t)r[REG_RIP], (uintptr_t)r[REG_RBP],
                                (uintptr_t)r[REG_RSP]};
#else
    const mcontext_t *m = &((const ucontext_t *)context)->uc_mcontext;
    return (struct fault_place){m->pc, m->regs[29], m->sp};
#endif
}

static void on_fault(int number, siginfo_t *info, void *ucontext)
{
    struct sigaction *previous = number == SIGSEGV ? &previous_segv : &previous_bus;
    struct fault_place at = place_of(ucontext);
    if (explain_fault && explain_fault(info->si_addr, &at))
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

void fault_init(bool (*explain)(void *address, const struct fault_place *at))
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

static void on_question(int number, siginfo_t *info, void *ucontext)
{
    int error = errno;
    struct fault_place at = place_of(ucontext);
    answer_question(&at);
    errno = error;
}

bool fault_asking_init(void (*answer)(const struct fault_place *at))
{
    struct sigaction before, action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    if (sigaction(SIGURG, NULL, &before) != 0 || (before.sa_flags & SA_SIGINFO) ||
        before.sa_handler != SIG_DFL)
        return false;
    answer_question = answer;
    action.sa_sigaction = on_question;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGURG, &action, NULL) == 0;
}

void fault_ask(int thread)
{
    (void)syscall(SYS_tgkill, getpid(), thread, SIGURG);
}
