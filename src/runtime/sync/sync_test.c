/* sync_test.c - mutex, rwmutex, wait group, once, condition: from goroutines, threads and both. */
#include <tuco/context.h>
#include <tuco/go.h>
#include <tuco/sync.h>

#include "support/testing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs fn(arg) on `goroutines` goroutines and `threads` plain threads, and waits for all. */
struct crowd {
    void (*fn)(void *arg);
    void *arg;
    struct tu_wait_group done;
};

static void crowd_member(struct crowd *c)
{
    c->fn(c->arg);
    tu_wait_group_done(&c->done);
}

static void *crowd_thread(void *arg)
{
    crowd_member(arg);
    return NULL;
}

static void crowd(int goroutines, int threads, void (*fn)(void *arg), void *arg)
{
    struct crowd c = {.fn = fn, .arg = arg};
    pthread_t ids[16];
    tu_wait_group_add(&c.done, goroutines + threads);
    for (int i = 0; i < goroutines; i++)
        REQUIRE(tu_go(crowd_member, &c) == 0);
    for (int i = 0; i < threads; i++)
        REQUIRE(pthread_create(&ids[i], NULL, crowd_thread, &c) == 0);
    REQUIRE(tu_wait_group_wait(&c.done) == 0);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
}

/* True when fn ends the process with an abort. */
static bool aborts(void (*fn)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(0);
        fn();
        _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status);
}

static void spin_ns(int64_t ns)
{
    for (int64_t end = tu_now() + ns; tu_now() < end;)
        ;
}

/* Waits for a condition that others make true soon. */
#define EVENTUALLY(c)                                       \
    do {                                                    \
        for (int tries = 0; !(c) && tries < 20000; tries++) \
            (void)tu_sleep(100 * TU_US);                    \
        REQUIRE(c);                                         \
    } while (0)

/* ---- mutex ---- */

struct guarded {
    struct tu_mutex mutex;
    long counter; /* under mutex */
    int rounds;
};

static void count_under_lock(void *arg)
{
    struct guarded *g = arg;
    for (int i = 0; i < g->rounds; i++) {
        if (i % 16 == 15) {
            while (!tu_mutex_try_lock(&g->mutex))
                tu_yield();
        } else {
            tu_mutex_lock(&g->mutex);
        }
        g->counter++;
        if (i % 64 == 63)
            tu_yield(); /* parks with the lock held */
        tu_mutex_unlock(&g->mutex);
    }
}

static void hammer(int goroutines, int threads, int rounds)
{
    struct guarded g = {.rounds = rounds};
    crowd(goroutines, threads, count_under_lock, &g);
    CHECK_EQ(g.counter, (long)(goroutines + threads) * rounds);
    CHECK_EQ(g.mutex.state, 0);
    CHECK_EQ(g.mutex.semaphore, 0);
}

TEST(mutex, threads_exclude_each_other)
{
    hammer(0, 1, 1000);
    hammer(0, 8, 5000);
}

GO_TEST(mutex, goroutines_exclude_each_other)
{
    hammer(1, 0, 1000);
    hammer(2, 0, 20000);
    hammer(100, 0, 1000);
}

GO_TEST(mutex, goroutines_and_threads_exclude_each_other)
{
    hammer(10, 4, 4000);
}

TEST(mutex, try_lock)
{
    struct tu_mutex m = {0};
    CHECK(tu_mutex_try_lock(&m));
    CHECK(!tu_mutex_try_lock(&m));
    tu_mutex_unlock(&m);
    tu_mutex_lock(&m);
    CHECK(!tu_mutex_try_lock(&m));
    tu_mutex_unlock(&m);
    CHECK_EQ(m.state, 0);
}

TEST(mutex, guard_unlocks_on_every_way_out)
{
    struct tu_mutex a = {0}, b = {0};
    for (int i = 0; i < 3; i++) {
        tu_lock_guard(&a);
        tu_lock_guard(&b);
        CHECK(!tu_mutex_try_lock(&a) && !tu_mutex_try_lock(&b));
        if (i == 1)
            continue;
    }
    CHECK_EQ(a.state + b.state, 0);
}

/* One holds the lock nearly all the time and takes it again at once; the other must still get it
 * within a millisecond or so each time. */
struct fairness {
    struct tu_mutex mutex;
    atomic_bool stop;
};

static void hog(struct fairness *f, struct tu_wait_group *done)
{
    while (!atomic_load(&f->stop)) {
        tu_mutex_lock(&f->mutex);
        spin_ns(100 * TU_US);
        tu_mutex_unlock(&f->mutex);
    }
    tu_wait_group_done(done);
}

GO_TEST(mutex, starving_waiter_is_served)
{
    struct fairness f = {0};
    struct tu_wait_group done = {0};
    tu_wait_group_add(&done, 1);
    REQUIRE(tu_go(hog, &f, &done) == 0);
    int64_t start = tu_now();
    for (int i = 0; i < 10; i++) {
        (void)tu_sleep(100 * TU_US);
        tu_mutex_lock(&f.mutex);
        tu_mutex_unlock(&f.mutex);
    }
    CHECK(tu_now() - start < 5 * TU_S);
    atomic_store(&f.stop, true);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    CHECK_EQ(f.mutex.state, 0);
}

/* Several hogs and several starving waiters: the word must come out of starving mode clean. */
static void hog_some(void *arg)
{
    struct guarded *g = arg;
    for (int i = 0; i < g->rounds; i++) {
        tu_mutex_lock(&g->mutex);
        g->counter++;
        spin_ns(i % 2 ? 300 * TU_US : 10 * TU_US);
        tu_mutex_unlock(&g->mutex);
    }
}

GO_TEST(mutex, starving_mode_ends)
{
    struct guarded g = {.rounds = 60};
    crowd(6, 2, hog_some, &g);
    CHECK_EQ(g.counter, 8 * 60);
    CHECK_EQ(g.mutex.state, 0);
    CHECK_EQ(g.mutex.semaphore, 0);
}

static void unlock_unlocked(void)
{
    struct tu_mutex m = {0};
    tu_mutex_unlock(&m);
}

static void unlock_twice(void)
{
    struct tu_mutex m = {0};
    tu_mutex_lock(&m);
    tu_mutex_unlock(&m);
    tu_mutex_unlock(&m);
}

TEST(mutex, mistakes_abort)
{
    CHECK(aborts(unlock_unlocked));
    CHECK(aborts(unlock_twice));
}

/* ---- rwmutex ---- */

struct shared_data {
    struct tu_rwmutex mutex;
    atomic_int readers, writers;
    long value[4]; /* all equal, under mutex */
    atomic_int turn;
};

static void read_and_write(void *arg)
{
    struct shared_data *s = arg;
    int self = atomic_fetch_add(&s->turn, 1);
    for (int i = 0; i < 2000; i++) {
        if ((i + self) % 10 == 0) {
            if (i % 3 || !tu_rwmutex_try_lock(&s->mutex))
                tu_rwmutex_lock(&s->mutex);
            CHECK(atomic_fetch_add(&s->writers, 1) == 0 && atomic_load(&s->readers) == 0);
            for (int j = 0; j < 4; j++)
                s->value[j]++;
            if (i % 100 == 0)
                tu_yield();
            atomic_fetch_sub(&s->writers, 1);
            tu_rwmutex_unlock(&s->mutex);
        } else {
            if (i % 3 || !tu_rwmutex_try_rlock(&s->mutex))
                tu_rwmutex_rlock(&s->mutex);
            atomic_fetch_add(&s->readers, 1);
            CHECK(atomic_load(&s->writers) == 0);
            CHECK(s->value[0] == s->value[3]);
            if (i % 50 == 0)
                tu_yield();
            atomic_fetch_sub(&s->readers, 1);
            tu_rwmutex_runlock(&s->mutex);
        }
    }
}

GO_TEST(rwmutex, readers_or_one_writer)
{
    struct shared_data s = {0};
    crowd(10, 3, read_and_write, &s);
    CHECK_EQ(s.value[1], 13 * 200);
    CHECK_EQ(s.mutex.reader_count, 0);
    CHECK_EQ(s.mutex.reader_wait, 0);
    CHECK_EQ(s.mutex.writer.state, 0);
}

/* All readers hold it at the same time: each waits inside for the others. */
struct parallel {
    struct tu_rwmutex mutex;
    atomic_int inside;
    int wanted;
};

static void read_in_parallel(void *arg)
{
    struct parallel *p = arg;
    tu_rwmutex_rlock(&p->mutex);
    atomic_fetch_add(&p->inside, 1);
    while (atomic_load(&p->inside) < p->wanted)
        tu_yield();
    tu_rwmutex_runlock(&p->mutex);
}

GO_TEST(rwmutex, readers_are_parallel)
{
    for (int n = 1; n <= 12; n += 3) {
        struct parallel p = {.wanted = n};
        crowd(n, 0, read_in_parallel, &p);
    }
}

static void write_once(struct parallel *p, struct tu_wait_group *done)
{
    tu_rwmutex_lock(&p->mutex);
    atomic_fetch_add(&p->inside, 100);
    tu_rwmutex_unlock(&p->mutex);
    tu_wait_group_done(done);
}

GO_TEST(rwmutex, waiting_writer_keeps_readers_out)
{
    struct parallel p = {0};
    struct tu_wait_group done = {0};
    tu_rwmutex_rlock(&p.mutex);
    CHECK(!tu_rwmutex_try_lock(&p.mutex));
    CHECK(tu_rwmutex_try_rlock(&p.mutex));
    tu_rwmutex_runlock(&p.mutex);
    tu_wait_group_add(&done, 1);
    REQUIRE(tu_go(write_once, &p, &done) == 0);
    EVENTUALLY(__atomic_load_n(&p.mutex.reader_count, __ATOMIC_RELAXED) < 0);
    CHECK(!tu_rwmutex_try_rlock(&p.mutex));
    CHECK_EQ(atomic_load(&p.inside), 0);
    tu_rwmutex_runlock(&p.mutex);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    CHECK_EQ(atomic_load(&p.inside), 100);
    tu_rwmutex_rlock(&p.mutex);
    tu_rwmutex_runlock(&p.mutex);
}

static void runlock_unlocked(void)
{
    struct tu_rwmutex m = {0};
    tu_rwmutex_runlock(&m);
}

static void wunlock_unlocked(void)
{
    struct tu_rwmutex m = {0};
    tu_rwmutex_unlock(&m);
}

static void runlock_of_a_writer(void)
{
    struct tu_rwmutex m = {0};
    tu_rwmutex_lock(&m);
    tu_rwmutex_runlock(&m);
}

static void wunlock_of_a_reader(void)
{
    struct tu_rwmutex m = {0};
    tu_rwmutex_rlock(&m);
    tu_rwmutex_unlock(&m);
}

TEST(rwmutex, mistakes_abort)
{
    CHECK(aborts(runlock_unlocked));
    CHECK(aborts(wunlock_unlocked));
    CHECK(aborts(runlock_of_a_writer));
    CHECK(aborts(wunlock_of_a_reader));
}

/* ---- wait group ---- */

struct round {
    struct tu_wait_group group;
    atomic_int work, seen;
};

static void wait_and_look(struct round *r, struct tu_wait_group *done)
{
    CHECK_EQ(tu_wait_group_wait(&r->group), 0);
    CHECK_EQ(atomic_load(&r->work), 8);
    atomic_fetch_add(&r->seen, 1);
    tu_wait_group_done(done);
}

static void do_work(struct round *r)
{
    atomic_fetch_add(&r->work, 1);
    tu_wait_group_done(&r->group);
}

GO_TEST(wait_group, wakes_all_waiters_round_after_round)
{
    struct round r = {0};
    for (int i = 0; i < 500; i++) {
        struct tu_wait_group done = {0};
        atomic_store(&r.work, 0);
        atomic_store(&r.seen, 0);
        tu_wait_group_add(&r.group, 8);
        tu_wait_group_add(&done, 3);
        for (int j = 0; j < 3; j++)
            REQUIRE(tu_go(wait_and_look, &r, &done) == 0);
        for (int j = 0; j < 8; j++)
            REQUIRE(tu_go(do_work, &r) == 0);
        CHECK_EQ(tu_wait_group_wait(&done), 0);
        CHECK_EQ(atomic_load(&r.seen), 3);
        CHECK_EQ(r.group.state, 0);
    }
}

/* The waiter frees the group as soon as it returns: done must not touch it after that. */
static void finish_one(struct tu_wait_group *g)
{
    tu_wait_group_done(g);
}

GO_TEST(wait_group, may_be_freed_after_wait)
{
    for (int i = 0; i < 3000; i++) {
        struct tu_wait_group *g = calloc(1, sizeof *g);
        REQUIRE(g);
        tu_wait_group_add(g, 2);
        REQUIRE(tu_go(finish_one, g) == 0);
        REQUIRE(tu_go(finish_one, g) == 0);
        CHECK_EQ(tu_wait_group_wait(g), 0);
        memset(g, 0xee, sizeof *g);
        free(g);
    }
}

GO_TEST(wait_group, wait_ends_with_the_context)
{
    struct tu_wait_group g = {0};
    tu_wait_group_add(&g, 1);
    tu_context *soon = tu_with_timeout(NULL, 5 * TU_MS);
    REQUIRE(soon);
    tu_in_context(soon) {
        CHECK_EQ(tu_wait_group_wait(&g), -ETIMEDOUT);
        CHECK_EQ(tu_wait_group_wait(&g), -ETIMEDOUT); /* at once now */
    }
    CHECK_EQ(g.state, (uint64_t)1 << 32); /* no waiter left behind */
    REQUIRE(tu_go(finish_one, &g) == 0);
    CHECK_EQ(tu_wait_group_wait(&g), 0);
    tu_in_context(soon)
        CHECK_EQ(tu_wait_group_wait(&g), 0); /* nothing to wait for */
    tu_context_release(soon);
}

/* The end of the context races with the end of the work; afterwards the group is freed at once. */
static void cancel_it(tu_context *ctx)
{
    tu_cancel(ctx);
}

GO_TEST(wait_group, context_races_with_done)
{
    int ended = 0, cancelled = 0;
    for (int i = 0; i < 3000; i++) {
        struct tu_wait_group *g = calloc(1, sizeof *g);
        tu_context *ctx = tu_with_cancel(NULL);
        REQUIRE(g && ctx);
        tu_wait_group_add(g, 1);
        tu_context_retain(ctx);
        REQUIRE(tu_go(cancel_it, ctx) == 0);
        REQUIRE(tu_go(finish_one, g) == 0);
        int rc = 0;
        tu_in_context(ctx)
            rc = tu_wait_group_wait(g);
        CHECK(rc == 0 || rc == -ECANCELED);
        *(rc ? &cancelled : &ended) += 1;
        CHECK_EQ(tu_wait_group_wait(g), 0);
        memset(g, 0xee, sizeof *g);
        free(g);
        tu_context_release(ctx);
    }
    CHECK_EQ(ended + cancelled, 3000);
}

static void below_zero(void)
{
    struct tu_wait_group g = {0};
    tu_wait_group_add(&g, 1);
    tu_wait_group_done(&g);
    tu_wait_group_done(&g);
}

TEST(wait_group, mistakes_abort)
{
    CHECK(aborts(below_zero));
}

static void *wait_on_thread(void *arg)
{
    CHECK_EQ(tu_wait_group_wait(arg), 0);
    return NULL;
}

TEST(wait_group, works_between_threads)
{
    for (int i = 0; i < 300; i++) {
        struct tu_wait_group g = {0};
        pthread_t id;
        tu_wait_group_add(&g, 1);
        REQUIRE(pthread_create(&id, NULL, wait_on_thread, &g) == 0);
        if (i % 2)
            sched_yield();
        tu_wait_group_done(&g);
        pthread_join(id, NULL);
    }
}

/* Many addresses in the parking table at once. */
static void wait_own(struct tu_wait_group *own, struct tu_wait_group *done)
{
    CHECK_EQ(tu_wait_group_wait(own), 0);
    tu_wait_group_done(done);
}

#ifdef __SANITIZE_THREAD__
enum { COUNT = 1000 }; /* each goroutine is a thread to ThreadSanitizer, of which there are 8128 */
#else
enum { COUNT = 10000 };
#endif

GO_TEST(wait_group, thousands_at_once)
{
    struct tu_wait_group *groups = calloc(COUNT, sizeof *groups), done = {0};
    REQUIRE(groups);
    tu_wait_group_add(&done, 2 * COUNT);
    for (int i = 0; i < COUNT; i++) {
        tu_wait_group_add(&groups[i], 1);
        REQUIRE(tu_go(wait_own, &groups[i], &done) == 0);
        REQUIRE(tu_go(wait_own, &groups[i], &done) == 0);
    }
    for (int i = 0; i < COUNT; i++)
        tu_wait_group_done(&groups[i * 7919 % COUNT]);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    free(groups);
}

/* ---- once ---- */

struct once_case {
    struct tu_once once;
    atomic_int runs, finished;
};

static void run_slowly(void *arg)
{
    struct once_case *c = arg;
    atomic_fetch_add(&c->runs, 1);
    (void)tu_sleep(2 * TU_MS);
    atomic_store(&c->finished, 1);
}

static void call_once(void *arg)
{
    struct once_case *c = arg;
    tu_once(&c->once, run_slowly, c);
    CHECK_EQ(atomic_load(&c->finished), 1);
}

GO_TEST(once, runs_once_and_all_wait_for_it)
{
    struct once_case c = {0};
    crowd(20, 3, call_once, &c);
    CHECK_EQ(atomic_load(&c.runs), 1);
}

/* ---- condition ---- */

struct box {
    struct tu_mutex mutex;
    struct tu_condition changed;
    int items, taken, waiting; /* under mutex */
    int order[64];
};

static void take_item(struct box *b, int self, struct tu_wait_group *done)
{
    tu_mutex_lock(&b->mutex);
    b->waiting++;
    while (b->items == 0)
        CHECK_EQ(tu_condition_wait(&b->changed, &b->mutex), 0);
    b->items--;
    b->order[b->taken++] = self;
    tu_mutex_unlock(&b->mutex);
    tu_wait_group_done(done);
}

static void put_item(struct box *b)
{
    tu_mutex_lock(&b->mutex);
    b->items++;
    tu_mutex_unlock(&b->mutex);
    tu_condition_signal(&b->changed);
}

static int locked_read(struct box *b, const int *field)
{
    tu_lock_guard(&b->mutex);
    return *field;
}

GO_TEST(condition, signals_in_order)
{
    struct box b = {0};
    struct tu_wait_group done = {0};
    tu_wait_group_add(&done, 20);
    for (int i = 0; i < 20; i++) {
        REQUIRE(tu_go(take_item, &b, i, &done) == 0);
        EVENTUALLY(locked_read(&b, &b.waiting) == i + 1);
    }
    for (int i = 0; i < 20; i++) {
        put_item(&b);
        EVENTUALLY(locked_read(&b, &b.taken) == i + 1);
        CHECK_EQ(b.order[i], i);
    }
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    CHECK(b.changed.head == NULL && b.changed.tail == NULL);
}

/* A waiter that comes after a signal must not take it from one that waited before. */
GO_TEST(condition, signal_is_not_stolen)
{
    for (int i = 0; i < 300; i++) {
        struct box b = {0};
        struct tu_wait_group first = {0}, second = {0};
        tu_wait_group_add(&first, 1);
        tu_wait_group_add(&second, 1);
        REQUIRE(tu_go(take_item, &b, 1, &first) == 0);
        EVENTUALLY(locked_read(&b, &b.waiting) == 1);
        /* The signal is for the first; a second one joins before the first can run. */
        tu_mutex_lock(&b.mutex);
        tu_condition_signal(&b.changed);
        REQUIRE(tu_go(take_item, &b, 2, &second) == 0);
        b.items = 1;
        tu_mutex_unlock(&b.mutex);
        /* Whoever got the item, the other gets the next: nobody sleeps through a signal. */
        EVENTUALLY(locked_read(&b, &b.taken) == 1);
        EVENTUALLY(locked_read(&b, &b.waiting) == 2);
        tu_mutex_lock(&b.mutex);
        b.items++;
        tu_mutex_unlock(&b.mutex);
        tu_condition_broadcast(&b.changed);
        CHECK_EQ(tu_wait_group_wait(&first), 0);
        CHECK_EQ(tu_wait_group_wait(&second), 0);
    }
}

GO_TEST(condition, broadcast_wakes_all)
{
    struct box b = {0};
    struct tu_wait_group done = {0};
    tu_wait_group_add(&done, 50);
    for (int i = 0; i < 50; i++)
        REQUIRE(tu_go(take_item, &b, i, &done) == 0);
    EVENTUALLY(locked_read(&b, &b.waiting) == 50);
    tu_mutex_lock(&b.mutex);
    b.items = 50;
    tu_condition_broadcast(&b.changed);
    tu_mutex_unlock(&b.mutex);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    tu_condition_signal(&b.changed); /* nobody waits: nothing happens */
    tu_condition_broadcast(&b.changed);
}

static void wait_cancelled(struct box *b, tu_context *ctx, struct tu_wait_group *done)
{
    tu_in_context(ctx) {
        tu_mutex_lock(&b->mutex);
        b->waiting++;
        int rc = tu_condition_wait(&b->changed, &b->mutex);
        CHECK(rc == -ECANCELED);
        CHECK(!tu_mutex_try_lock(&b->mutex));
        tu_mutex_unlock(&b->mutex);
    }
    tu_wait_group_done(done);
}

/* A waiter whose context ends leaves no hole: the next signal reaches the one behind it. */
GO_TEST(condition, cancelled_waiter_uses_no_signal)
{
    for (int i = 0; i < 200; i++) {
        struct box b = {0};
        struct tu_wait_group first = {0}, second = {0};
        tu_context *ctx = tu_with_cancel(NULL);
        REQUIRE(ctx);
        tu_wait_group_add(&first, 1);
        tu_wait_group_add(&second, 1);
        REQUIRE(tu_go(wait_cancelled, &b, ctx, &first) == 0);
        EVENTUALLY(locked_read(&b, &b.waiting) == 1);
        REQUIRE(tu_go(take_item, &b, 2, &second) == 0);
        EVENTUALLY(locked_read(&b, &b.waiting) == 2);
        tu_context_cancel(ctx, -ECANCELED);
        put_item(&b);
        CHECK_EQ(tu_wait_group_wait(&second), 0);
        CHECK_EQ(tu_wait_group_wait(&first), 0);
        tu_context_release(ctx);
    }
}

struct queue_test {
    struct tu_mutex mutex;
    struct tu_condition not_empty, not_full;
    int length, produced, consumed;
    atomic_int role;
};

static void produce_or_consume(void *arg)
{
    struct queue_test *q = arg;
    bool producer = atomic_fetch_add(&q->role, 1) % 2 == 0;
    for (int i = 0; i < 2000; i++) {
        tu_lock_guard(&q->mutex);
        if (producer) {
            while (q->length == 3)
                CHECK_EQ(tu_condition_wait(&q->not_full, &q->mutex), 0);
            q->length++;
            q->produced++;
            tu_condition_signal(&q->not_empty);
        } else {
            while (q->length == 0)
                CHECK_EQ(tu_condition_wait(&q->not_empty, &q->mutex), 0);
            q->length--;
            q->consumed++;
            tu_condition_signal(&q->not_full);
        }
    }
}

GO_TEST(condition, bounded_queue)
{
    struct queue_test q = {0};
    crowd(8, 2, produce_or_consume, &q);
    CHECK_EQ(q.produced, 5 * 2000);
    CHECK_EQ(q.consumed, 5 * 2000);
}
