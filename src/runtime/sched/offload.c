/* offload.c - see offload.h.
 *
 * One lock guards everything: it is held for a few dozen instructions around work that takes at least
 * a system call. Idle threads form a stack, so that the most recently used (warm) one is taken and the
 * others grow old enough to end.
 *
 * How many threads? `coming` counts those that were started or woken and have not looked at the queues
 * yet. A job gets another one when the jobs that could run now, of all lanes, are more than are coming. A
 * thread takes whatever it finds first, and when it has finished that, the next; so a job beyond its
 * lane's limit needs no thread of its own. Without idle ones there are as many threads as jobs that run
 * and threads that come, so never more than all limits together.
 *
 * Rejected: a thread a job (a slow name server under load is then thousands of threads); one bound for
 * all kinds of jobs (hung lookups would stop files); a queue per thread (nothing here is that fast).
 */
#include "runtime/sched/offload.h"

#include "base/check.h"
#include "platform/clock.h"
#include "platform/futex.h"
#include "platform/thread.h"
#include "runtime/gc/gc_thread.h"
#include "runtime/mem/heap.h"
#include "runtime/sched/cancel.h"
#include "runtime/sched/foreign.h"
#include "runtime/sched/schedule.h"

#include <errno.h>
#include <stddef.h>
#include <tuco/go.h>

enum { FILE_LIMIT = 32, LOOKUP_LIMIT = 16, CALL_LIMIT = 64 };
/* What foreign code expects of a thread. Only touched pages cost memory. */
enum { STACK_BYTES = 8 << 20 };
#define IDLE_NS INT64_C(5000000000)

struct idle_thread {
    struct idle_thread *next;
    _Atomic uint32_t wake; /* futex; written under the pool's lock */
};

struct lane {
    struct tu__job *head, *tail;
    uint32_t limit, queued, running;
};

static struct {
    struct tu__lock lock;
    struct lane lanes[LANES];
    uint32_t threads, coming, idle_count, turn;
    struct idle_thread *idle;
} pool = {.lanes = {[LANE_FILE].limit = FILE_LIMIT,
                    [LANE_LOOKUP].limit = LOOKUP_LIMIT,
                    [LANE_CALL].limit = CALL_LIMIT}};

static void put_locked(struct lane *l, struct tu__job *job)
{
    job->queued = true;
    job->next = NULL;
    job->prev = l->tail;
    if (l->tail)
        l->tail->next = job;
    else
        l->head = job;
    l->tail = job;
    l->queued++;
}

static void remove_locked(struct lane *l, struct tu__job *job)
{
    if (job->prev)
        job->prev->next = job->next;
    else
        l->head = job->next;
    if (job->next)
        job->next->prev = job->prev;
    else
        l->tail = job->prev;
    job->queued = false;
    l->queued--;
}

/* The lanes take turns. */
static struct tu__job *take_locked(void)
{
    for (int i = 0; i < LANES; i++) {
        struct lane *l = &pool.lanes[pool.turn++ % LANES];
        struct tu__job *job = l->head;
        if (job && l->running < l->limit) {
            remove_locked(l, job);
            l->running++;
            return job;
        }
    }
    return NULL;
}

/* Waits under the lock's absence; false when nobody needed this thread for IDLE_NS. */
static bool idle_locked(void)
{
    struct idle_thread self = {.next = pool.idle};
    pool.idle = &self;
    pool.idle_count++;
    tu__unlock(&pool.lock);
    int64_t now_ns = clock_monotonic_ns(), end_ns = now_ns + IDLE_NS;
    tu__mem_leave();
    tu__gc_quiet_begin();
    while (now_ns < end_ns && atomic_load_explicit(&self.wake, memory_order_relaxed) == 0) {
        (void)futex_wait(&self.wake, 0, end_ns - now_ns);
        now_ns = clock_monotonic_ns();
    }
    tu__gc_quiet_end();
    tu__mem_return();
    tu__lock(&pool.lock);
    if (atomic_load_explicit(&self.wake, memory_order_relaxed) != 0) {
        pool.coming--;
        return true; /* the waker has taken us off the stack */
    }
    struct idle_thread **link = &pool.idle;
    while (*link != &self)
        link = &(*link)->next;
    *link = self.next;
    pool.idle_count--;
    return false;
}

static void *worker(void *gc_record)
{
    tu__gc_thread_start(gc_record);
    tu__lock(&pool.lock);
    pool.coming--;
    do {
        for (struct tu__job *job; (job = take_locked());) {
            struct lane *l = &pool.lanes[job->lane];
            tu__unlock(&pool.lock);
            job->run(job);
            tu__lock(&pool.lock);
            l->running--;
        }
    } while (idle_locked());
    pool.threads--;
    tu__unlock(&pool.lock);
    return NULL;
}

/* With one more job in `lane`, are there more that could run than threads on their way? */
static bool wants_thread_locked(enum tu__lane lane)
{
    uint32_t could_run = 0;
    for (int i = 0; i < LANES; i++) {
        const struct lane *l = &pool.lanes[i];
        uint32_t queued = l->queued + (i == (int)lane);
        uint32_t room = l->running < l->limit ? l->limit - l->running : 0;
        could_run += queued < room ? queued : room;
    }
    return could_run > pool.coming;
}

/* Lets go of the lock for a moment. */
static bool start_thread_locked(void)
{
    pool.threads++;
    pool.coming++;
    tu__unlock(&pool.lock);
    struct gc_thread *record = tu__gc_thread_reserve();
    bool started = record && thread_start(worker, record, STACK_BYTES, "tuco-call") == 0;
    if (record && !started)
        tu__gc_thread_unreserve(record);
    tu__lock(&pool.lock);
    if (!started) {
        pool.threads--;
        pool.coming--;
    }
    return started;
}

int tu__offload_submit(struct tu__job *job, enum tu__lane lane)
{
    struct idle_thread *idle = NULL;
    if (tu__forked()) /* the pool's threads, and who held its lock, are the parent's */
        tu__no_scheduler("a call on a pool thread");
    job->lane = lane;
    tu__lock(&pool.lock);
    /* Before the job is there: once queued it may have run, and be gone, at any moment. Meanwhile
     * another job may get the thread that was started for this one. */
    while (!idle && wants_thread_locked(lane)) {
        idle = pool.idle;
        if (idle) {
            pool.idle = idle->next;
            pool.idle_count--;
            pool.coming++;
            atomic_store_explicit(&idle->wake, 1, memory_order_relaxed); /* the lock orders it */
        } else if (!start_thread_locked()) {
            if (pool.threads == 0) {
                tu__unlock(&pool.lock);
                return -EAGAIN;
            }
            break; /* it waits for those that there are */
        }
    }
    put_locked(&pool.lanes[lane], job);
    tu__unlock(&pool.lock);
    if (idle)
        futex_wake(&idle->wake, 1); /* it may be gone: a stray wake is harmless */
    return 0;
}

bool tu__offload_withdraw(struct tu__job *job)
{
    tu__lock(&pool.lock);
    bool ours = job->queued;
    if (ours)
        remove_locked(&pool.lanes[job->lane], job);
    tu__unlock(&pool.lock);
    return ours;
}

struct tu__offload_stats tu__offload_stats(void)
{
    struct tu__offload_stats s;
    tu__lock(&pool.lock);
    s.threads = pool.threads;
    s.idle = pool.idle_count;
    for (int i = 0; i < LANES; i++) {
        s.queued[i] = pool.lanes[i].queued;
        s.running[i] = pool.lanes[i].running;
    }
    tu__unlock(&pool.lock);
    return s;
}

void tu__offload_limit_calls(uint32_t threads)
{
    tu__lock(&pool.lock);
    pool.lanes[LANE_CALL].limit = threads < 1 ? 1 : threads > 10000 ? 10000 : threads;
    tu__unlock(&pool.lock);
}

/* ---- a call with its waiter ---- */

struct call {
    struct tu__job job;
    struct tu__foreign foreign;
    void (*fn)(void *arg);
    void *arg;
};

static void run_call(struct tu__job *job)
{
    struct call *c = (struct call *)job;
    c->fn(c->arg);
    tu__foreign_done(&c->foreign, 0);
}

int tu__offload_call(enum tu__lane lane, void (*fn)(void *arg), void *arg)
{
    struct tu__cancel *cancel = tu__cancel_current();
    int rc = cancel ? tu__cancel_error(cancel) : 0;
    if (rc < 0)
        return rc;
    struct call c = {.job.run = run_call, .fn = fn, .arg = arg};
    tu__foreign_init(&c.foreign, lane == LANE_FILE ? TU__WAIT_FILE : TU__WAIT_CALL);
    rc = tu__offload_submit(&c.job, lane);
    if (rc < 0)
        return rc;
    rc = tu__foreign_wait(&c.foreign, true);
    if (rc < 0 && !tu__offload_withdraw(&c.job))
        rc = tu__foreign_wait(&c.foreign,
                              false); /* it runs, with what is the caller's: to its end */
    return rc;
}

int tu_blocking_call(void (*fn)(void *arg), void *arg)
{
    tu_check(fn, "tu_blocking_call: no function");
    return tu__offload_call(LANE_CALL, fn, arg);
}
