/* start.c - bringing the runtime up: tu_start, tu_main, and the report of a stack overflow. */
#include "runtime/sched/schedule.h"

#include "base/check.h"
#include "platform/cpu.h"
#include "platform/fault.h"
#include "platform/futex.h"

#include <stdlib.h>
#include <string.h>

static _Atomic uint32_t started;

/* On the alternate stack of a thread that faulted. */
static bool explain_overflow(void *address)
{
    struct g *g = goroutine_of_guard(address);
    if (!g)
        return false;
    fault_print("tuco: stack overflow in goroutine ");
    fault_print_number(g->id, 10);
    if (g->site) {
        fault_print(" (");
        fault_print(g->site->name);
        fault_print(", started at ");
        fault_print(g->site->file);
        fault_print(":");
        fault_print_number((unsigned long long)g->site->line, 10);
        fault_print(")");
    }
    fault_print(": its stack has ");
    fault_print_number((unsigned long long)((char *)g - (char *)g->stack_low), 10);
    fault_print(" bytes, the fault is at 0x");
    fault_print_number((unsigned long long)(uintptr_t)address, 16);
    fault_print("; tu_options.stack_size gives larger ones\n");
    return true;
}

static unsigned wanted_procs(const struct tu_options *options)
{
    unsigned n = options ? options->maxprocs : 0;
    const char *env = getenv("TUCO_MAXPROCS");
    if (n == 0 && env)
        n = (unsigned)strtoul(env, NULL, 10);
    if (n == 0)
        n = cpu_count();
    return n > TU__PROCS_MAX ? TU__PROCS_MAX : n;
}

int tu_start(const struct tu_options *options)
{
    uint32_t no = 0;
    if (!atomic_compare_exchange_strong(&started, &no, 1))
        return -EALREADY;
    int rc = goroutine_init(options ? options->stack_size : 0);
    if (rc < 0)
        return rc;
    fault_init(explain_overflow);
    unsigned n = wanted_procs(options);
    size_t size = n * sizeof(struct p);
    struct p *procs = aligned_alloc(64, size);
    if (!procs)
        return -ENOMEM;
    memset(procs, 0, size);
    for (unsigned i = 0; i < n; i++) {
        procs[i].index = i;
        atomic_store(&procs[i].timers.next_ns, INT64_MAX);
        atomic_store(&procs[i].pace_ticks, TU__PACE_AT_START);
        rc = poll_init(&procs[i].poll);
        if (rc < 0)
            return rc;
    }
    tu__sched.procs = procs;
    tu__sched.proc_count = n;
    for (unsigned i = 0; i < n; i++) {
        rc = tu__start_machine(&procs[i]);
        if (rc < 0)
            return rc;
    }
    return tu__monitor_start();
}

struct main_call {
    void (*fn)(void *);
    void *arg;
    _Atomic uint32_t done;
};

static void run_main(struct main_call *call)
{
    call->fn(call->arg);
    atomic_store_explicit(&call->done, 1, memory_order_release);
    futex_wake(&call->done, 1);
}

int tu_main(const struct tu_options *options, void (*main_fn)(void *arg), void *arg)
{
    int rc = tu_start(options);
    if (rc < 0)
        return rc;
    struct main_call call = {.fn = main_fn, .arg = arg};
    rc = tu_go(run_main, &call);
    if (rc < 0)
        return rc;
    while (atomic_load_explicit(&call.done, memory_order_acquire) == 0)
        (void)futex_wait(&call.done, 0, -1);
    return 0;
}
