/* start.c - bringing the runtime up: tu_start and tu_main. */
#include "runtime/sched/schedule.h"

#include "base/check.h"
#include "platform/clock.h"
#include "platform/cpu.h"
#include "platform/futex.h"
#include "runtime/sched/offload.h"

#include <stdlib.h>
#include <string.h>

static _Atomic uint32_t started;

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

/* What can fail before there are threads, and is undone then. */
static int make_procs(const struct tu_options *options)
{
    int rc = goroutine_init(options ? options->stack_size : 0);
    if (rc < 0)
        return rc;
    if (options && options->blocking_calls)
        tu__offload_limit_calls(options->blocking_calls);
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
        if (rc < 0) {
            while (i-- > 0)
                poll_close(&procs[i].poll);
            free(procs);
            return rc;
        }
    }
    tu__sched.procs = procs;
    tu__sched.proc_count = n;
    return 0;
}

static int start(const struct tu_options *options, bool in_main)
{
    uint32_t no = 0;
    if (tu__forked())
        return -ENOTSUP;
    if (!atomic_compare_exchange_strong(&started, &no, 1))
        return -EALREADY;
    int rc = make_procs(options);
    if (rc < 0) {
        atomic_store(&started, 0);
        return rc;
    }
    tu__fork_init();
    for (unsigned i = 0; i < tu__sched.proc_count; i++) {
        rc = tu__start_machine(&tu__sched.procs[i]);
        if (rc < 0)
            return rc;
    }
    tu__publish_now(clock_monotonic_ns());
    tu__observe_start(options, in_main);
    return tu__monitor_start();
}

int tu_start(const struct tu_options *options)
{
    return start(options, false);
}

struct main_call {
    void (*fn)(void *);
    void *arg;
    _Atomic uint32_t done;
};

static void run_main(struct main_call *call)
{
    tu__deadlock_watch();
    call->fn(call->arg);
    tu__deadlock_ignore(); /* the caller of tu_main may do anything from here on */
    atomic_store_explicit(&call->done, 1, memory_order_release);
    futex_wake(&call->done, 1);
}

int tu_main(const struct tu_options *options, void (*main_fn)(void *arg), void *arg)
{
    int rc = start(options, true);
    if (rc < 0)
        return rc;
    struct main_call call = {.fn = main_fn, .arg = arg};
    rc = tu_go_named("main", run_main, &call);
    if (rc < 0)
        return rc;
    while (atomic_load_explicit(&call.done, memory_order_acquire) == 0)
        (void)futex_wait(&call.done, 0, -1);
    return 0;
}
