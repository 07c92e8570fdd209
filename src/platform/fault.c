/* fault.c - see fault.h. The previous handlers are kept and chained to, so that a program's own
 * crash report still comes. */
#include "platform/fault.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { ALTERNATE_STACK_SIZE = 64 << 10 };
static bool (*explain_fault)(void *address, const struct fault_place *at);
static void (*_Atomic answer_question)(const struct fault_place *at);
static void (*_Atomic stop_thread)(struct fault_stop *at);
static struct sigaction previous_segv, previous_bus, previous_urg;
static pthread_mutex_t urg_lock = PTHREAD_MUTEX_INITIALIZER; /* of installing its handler */
static bool urg_installed;

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

static struct fault_stop stop_of(void *context)
{
    mcontext_t *m = &((ucontext_t *)context)->uc_mcontext;
    const stack_t *other = &((ucontext_t *)context)->uc_stack;
    uintptr_t low = (uintptr_t)other->ss_sp;
    uintptr_t high = other->ss_flags & SS_DISABLE ? low : low + other->ss_size;
#if defined(__x86_64__)
    /* Behind the 512 bytes of FXSAVE the kernel says whether, and how far, an XSAVE area follows. */
    enum { FXSAVE_BYTES = 512, SOFTWARE_AT = 464, MAGIC = 0x46505853 };
    struct fault_stop at = {.pc = (uintptr_t *)&m->gregs[REG_RIP],
                            .sp = (uintptr_t)m->gregs[REG_RSP],
                            .registers = m->gregs,
                            .registers_size = sizeof m->gregs,
                            .vectors = m->fpregs,
                            .alternate_low = low,
                            .alternate_high = high};
    if (m->fpregs) {
        uint32_t software[2];
        memcpy(software, (const char *)m->fpregs + SOFTWARE_AT, sizeof software);
        at.vectors_size = software[0] == MAGIC ? software[1] : FXSAVE_BYTES;
    }
    return at;
#else
    return (struct fault_stop){.pc = (uintptr_t *)&m->pc,
                               .sp = m->sp,
                               .registers = m,
                               .registers_size = sizeof *m,
                               .alternate_low = low,
                               .alternate_high = high};
#endif
}

static void on_question(int number, siginfo_t *info, void *ucontext)
{
    int error = errno;
    /* acquire, as the stores are releases: with what the functions read */
    void (*stop)(struct fault_stop *) = atomic_load_explicit(&stop_thread, memory_order_acquire);
    void (*answer)(const struct fault_place *) =
        atomic_load_explicit(&answer_question, memory_order_acquire);
    if (stop) {
        struct fault_stop at = stop_of(ucontext);
        stop(&at);
    }
    if (answer) {
        struct fault_place at = place_of(ucontext);
        answer(&at);
    }
    if (previous_urg.sa_flags & SA_SIGINFO)
        previous_urg.sa_sigaction(number, info, ucontext);
    else if (previous_urg.sa_handler != SIG_DFL && previous_urg.sa_handler != SIG_IGN)
        previous_urg.sa_handler(number);
    errno = error;
}

static int install_urg(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    action.sa_sigaction = on_question;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGURG, &action, NULL) != 0)
        return -errno;
    urg_installed = true;
    return 0;
}

bool fault_asking_init(void (*answer)(const struct fault_place *at))
{
    struct sigaction before;
    pthread_mutex_lock(&urg_lock);
    bool ours = urg_installed;
    if (!ours && sigaction(SIGURG, NULL, &before) == 0 && !(before.sa_flags & SA_SIGINFO) &&
        before.sa_handler == SIG_DFL)
        ours = install_urg() == 0;
    if (ours)
        atomic_store_explicit(&answer_question, answer, memory_order_release);
    pthread_mutex_unlock(&urg_lock);
    return ours;
}

int fault_stop_init(void (*stop)(struct fault_stop *at))
{
    int rc = 0;
    pthread_mutex_lock(&urg_lock);
    atomic_store_explicit(&stop_thread, stop, memory_order_release);
    if (!urg_installed)
        rc = sigaction(SIGURG, NULL, &previous_urg) == 0 ? install_urg() : -errno;
    pthread_mutex_unlock(&urg_lock);
    return rc;
}

void fault_stop_unblock(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGURG);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void fault_ask(int thread)
{
    (void)syscall(SYS_tgkill, getpid(), thread, SIGURG);
}
