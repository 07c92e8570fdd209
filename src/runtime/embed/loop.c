/* loop.c - a queue of functions for the thread of another event loop.
 *
 *   queue of jobs, under the loop's lock        signalled  <=>  the descriptor is readable
 *   signalled  if  the queue is not empty       (at the end of each critical section, but inside a run)
 *
 * The descriptor is written once, when the queue stops being empty, not once a job. That write is done under the
 * lock: outside it a poster could be late, and write to a descriptor that the host, having run the job, has closed.
 *
 * A run takes a batch off the queue and calls it without the lock. A post's job is allocated. A call's lies on its
 * caller's stack, with a sleeper that either the host or the caller's context claims. The context may win while
 *   the job is queued:       the caller unlinks it, and it is never called
 *   the host has taken it:   the caller waits once more, now for the host alone; `arg` may be on its stack
 * and the host's last touch of such a job is its unlock, or the wake that it owes.
 *
 * Rejected: a lock-free queue (a post costs a system call anyway as soon as the host sleeps, and calls must be able to
 * leave from the middle); dropping what is queued when the loop is closed (what the posts own would leak).
 */
#include <tuco/loop.h>

#include <tuco/go.h>
#include <tuco/mem.h>

#include "base/check.h"
#include "platform/event.h"
#include "runtime/gc/gc_anchor.h"
#include "runtime/sched/park.h"

enum { OUTCOME_CALLED = 1 };

struct job {
    struct job *next, *prev; /* in the queue, or (next) in the batch that runs */
    void (*fn)(void *arg);
    void *arg;
    struct tu__gc_anchor anchor; /* of a post: arg may be a pointer to an object */
    bool is_call;                /* else a post: allocated, and freed by who runs it */
    bool queued;
    bool done;                   /* of a call: fn has returned; under lock, as `queued` */
    struct tu__sleeper *sleeper; /* of a call's caller; under lock */
};

static void free_post(struct job *job)
{
    tu__gc_anchor_remove(&job->anchor);
    tu_free(job);
}

struct tu_loop {
    struct tu__lock lock;
    bool closed;    /* under lock, as all up to `fd` */
    bool signalled; /* fd is readable */
    struct job *head, *tail;
    int fd;
    _Atomic(const void *) host; /* the thread that runs it, by an address of its own */
};

/* What this thread runs now; its address names the thread. Only used where nothing parks. */
static __thread tu_loop *running;

static __attribute__((noinline)) const void *this_thread(void)
{
    return &running;
}

tu_loop *tu_loop_make(void)
{
    tu_loop *loop = tu_alloc_zeroed(sizeof *loop);
    if (!loop)
        return NULL;
    loop->fd = event_open();
    if (loop->fd < 0) {
        tu_free(loop);
        return NULL;
    }
    return loop;
}

int tu_loop_fd(const tu_loop *loop)
{
    return loop->fd;
}

/* ---- the queue; the caller holds the lock ---- */

static void push(tu_loop *loop, struct job *job)
{
    job->next = NULL;
    job->prev = loop->tail;
    job->queued = true;
    if (loop->tail)
        loop->tail->next = job;
    else
        loop->head = job;
    loop->tail = job;
    if (!loop->signalled) {
        loop->signalled = true;
        event_signal(loop->fd);
    }
}

static void unlink_job(tu_loop *loop, struct job *job)
{
    if (job->prev)
        job->prev->next = job->next;
    else
        loop->head = job->next;
    if (job->next)
        job->next->prev = job->prev;
    else
        loop->tail = job->prev;
    job->queued = false;
}

/* Takes up to a batch, chained by `next`, and settles what the descriptor says. */
static struct job *take_batch(tu_loop *loop)
{
    struct job *first = loop->head, *last = NULL;
    for (int n = 0; n < TU_LOOP_BATCH && loop->head; n++) {
        last = loop->head;
        unlink_job(loop, last);
    }
    if (last)
        last->next = NULL;
    if (loop->signalled) {
        event_clear(loop->fd);
        loop->signalled = loop->head != NULL;
        if (loop->signalled) /* anew, for hosts that are told of edges */
            event_signal(loop->fd);
    }
    return first;
}

/* ---- the host's side ---- */

/* The job may be gone when this returns. */
static void finish(tu_loop *loop, struct job *job)
{
    if (!job->is_call) {
        free_post(job);
        return;
    }
    tu__lock(&loop->lock);
    job->done = true;
    struct tu__sleeper *sleeper = job->sleeper;
    bool wake = tu__sleeper_claim(sleeper, OUTCOME_CALLED);
    tu__unlock(
        &loop->lock); /* the context was first: its caller has seen `done`, or waits for this lock */
    if (wake)
        tu__sleeper_wake(sleeper);
}

static size_t run_batch(tu_loop *loop)
{
    size_t count = 0;
    tu__lock(&loop->lock);
    struct job *job = take_batch(loop);
    tu__unlock(&loop->lock);
    while (job) {
        struct job *next = job->next;
        job->fn(job->arg);
        finish(loop, job);
        job = next;
        count++;
    }
    return count;
}

size_t tu_loop_run(tu_loop *loop)
{
    tu_check(!tu_on_goroutine(), "a tu_loop is run by a plain thread, not on a goroutine");
    tu_loop *outer = running;
    tu_check(outer != loop, "tu_loop_run or tu_loop_close from inside tu_loop_run");
    atomic_store_explicit(&loop->host, this_thread(), memory_order_relaxed);
    running = loop;
    size_t count = run_batch(loop);
    running = outer;
    return count;
}

void tu_loop_close(tu_loop *loop)
{
    tu__lock(&loop->lock);
    loop->closed = true;
    bool empty = loop->head == NULL;
    tu__unlock(&loop->lock);
    while (!empty)
        empty = tu_loop_run(loop) == 0;
}

void tu_loop_free(tu_loop *loop)
{
    if (!loop)
        return;
    tu_loop_close(loop); /* nothing to run if it was closed before */
    event_close(loop->fd);
    tu_free(loop);
}

/* ---- everybody's side ---- */

int tu_loop_post(tu_loop *loop, void (*fn)(void *arg), void *arg)
{
    struct job *job = tu_alloc_zeroed(sizeof *job);
    if (!job)
        return -ENOMEM;
    job->fn = fn;
    job->arg = arg;
    tu__gc_anchor_add(&job->anchor, &job->arg, sizeof job->arg);
    tu__lock(&loop->lock);
    bool closed = loop->closed;
    if (!closed)
        push(loop, job);
    tu__unlock(&loop->lock);
    if (closed)
        free_post(job);
    return closed ? -EPIPE : 0;
}

/* The context was first. 0 if the host has begun with the job, whose end is then waited for. */
static int give_up(tu_loop *loop, struct job *job, int error)
{
    struct tu__sleeper again;
    tu__lock(&loop->lock);
    if (job->queued) {
        unlink_job(loop, job);
        tu__unlock(&loop->lock);
        return error;
    }
    if (job->done) {
        tu__unlock(&loop->lock);
        return 0;
    }
    tu__sleeper_init_for(&again, false, loop);
    job->sleeper = &again;
    (void)tu__sleeper_park_lock(&again, &loop->lock, TU__WAIT_LOOP);
    return 0;
}

int tu_loop_call(tu_loop *loop, void (*fn)(void *arg), void *arg)
{
    tu_check(tu_on_goroutine() ||
                 atomic_load_explicit(&loop->host, memory_order_relaxed) != this_thread(),
             "tu_loop_call on the host's own thread would wait for itself");
    struct tu__cancel *context = tu__cancel_current();
    struct tu__sleeper sleeper;
    struct tu__place place = {.sleeper = &sleeper};
    struct job job = {.fn = fn, .arg = arg, .is_call = true, .sleeper = &sleeper};
    tu__sleeper_init_for(&sleeper, context != NULL, loop);
    tu__lock(&loop->lock);
    int rc = loop->closed ? -EPIPE : 0;
    if (rc == 0 && context)
        rc = tu__cancel_watch(context, &place);
    if (rc < 0) {
        tu__unlock(&loop->lock);
        return rc;
    }
    push(loop, &job);
    int32_t outcome = tu__sleeper_park_lock(&sleeper, &loop->lock, TU__WAIT_LOOP);
    if (outcome < 0)
        rc = give_up(loop, &job, outcome);
    if (context)
        tu__cancel_unwatch(context, &place);
    return rc;
}
