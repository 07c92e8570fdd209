/* bench_sync.c - mutex, timers, contexts and the manual heap. */
#include "runtime/time/timer.h"
#include "runtime_bench.h"

#include <tuco.h>

static int64_t mutex_alone(long count)
{
    struct tu_mutex m = {0};
    int64_t start = tu_now();
    for (long i = 0; i < count; i++) {
        tu_mutex_lock(&m);
        tu_mutex_unlock(&m);
    }
    return tu_now() - start;
}

static struct {
    struct tu_mutex mutex;
    _Alignas(64) long value;
} shared;

static void lock_often(struct tu_wait_group *group, long count)
{
    for (long i = 0; i < count; i++) {
        tu_mutex_lock(&shared.mutex);
        shared.value++;
        tu_mutex_unlock(&shared.mutex);
    }
    tu_wait_group_done(group);
}

/* One lock, increment and unlock; one goroutine on each P. */
static int64_t mutex_contended(long count)
{
    struct tu_wait_group group = {0};
    long each = count / (long)tu_maxprocs(), before = shared.value;
    int64_t start = tu_now();
    for (unsigned i = 0; i < tu_maxprocs(); i++) {
        tu_wait_group_add(&group, 1);
        bench_check("tu_go", tu_go(lock_often, &group, each));
    }
    bench_check("wait", tu_wait_group_wait(&group));
    if (shared.value - before != each * (long)tu_maxprocs())
        bench_die("count under the mutex", 0);
    return tu_now() - start;
}

static void never_fires(struct tu__timer *t, void *arg)
{
    (void)t;
    (void)arg;
    bench_die("a timer of an hour fired", 0);
}

/* One timer armed for an hour and stopped. */
static int64_t timer_start_stop(long count)
{
    int64_t start = tu_now();
    for (long i = 0; i < count; i++) {
        struct tu__timer t = {0};
        tu__timer_start(&t, tu_now() + 3600 * TU_S, never_fires, NULL);
        if (!tu__timer_stop(&t))
            bench_die("stop of an armed timer", 0);
    }
    return tu_now() - start;
}

/* One cancellable context made and cancelled. */
static int64_t context_cancel(long count)
{
    int64_t start = tu_now();
    for (long i = 0; i < count; i++) {
        tu_context *c = tu_with_cancel(NULL);
        if (!c)
            bench_die("tu_with_cancel", -ENOMEM);
        tu_cancel(c);
    }
    return tu_now() - start;
}

static void *volatile sink;

/* One 64-byte block taken from the manual heap and given back. */
static int64_t alloc_free(long count)
{
    int64_t start = tu_now();
    for (long i = 0; i < count; i++) {
        sink = tu_alloc(64);
        tu_free(sink);
    }
    return tu_now() - start;
}

const struct runtime_bench bench_sync[] = {
    {.name = "mutex_alone", .run = mutex_alone},
    {.name = "mutex_contended", .run = mutex_contended},
    {.name = "timer", .run = timer_start_stop},
    {.name = "context", .run = context_cancel},
    {.name = "alloc_free", .run = alloc_free},
    {0},
};
