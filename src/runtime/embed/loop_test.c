/* loop_test.c - a host's own event loop, goroutines and plain threads beside it. */
#include <tuco.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/testing.h"

static bool readable(tu_loop *loop)
{
    struct pollfd fd = {.fd = tu_loop_fd(loop), .events = POLLIN};
    return poll(&fd, 1, 0) == 1 && (fd.revents & POLLIN);
}

static int ran[1000], ran_count;

static void note(void *arg)
{
    ran[ran_count++] = *(int *)arg;
}

/* Needs no runtime. */
TEST(loop, in_order_and_in_batches)
{
    tu_loop *loop = tu_loop_make();
    static int numbers[200];
    REQUIRE(loop != NULL);
    CHECK(!readable(loop));
    CHECK_EQ(tu_loop_run(loop), 0);
    for (int i = 0; i < 200; i++) {
        numbers[i] = i;
        CHECK_EQ(tu_loop_post(loop, note, &numbers[i]), 0);
        CHECK(readable(loop));
    }
    for (int left = 200; left > 0; left -= TU_LOOP_BATCH) {
        CHECK(readable(loop));
        CHECK_EQ(tu_loop_run(loop), left < TU_LOOP_BATCH ? left : TU_LOOP_BATCH);
    }
    CHECK(!readable(loop));
    CHECK_EQ(tu_loop_run(loop), 0);
    CHECK_EQ(ran_count, 200);
    for (int i = 0; i < 200; i++)
        CHECK_EQ(ran[i], i);
    tu_loop_free(loop);
    tu_loop_free(NULL);
}

struct reposter {
    tu_loop *loop;
    int left, total;
};

static void repost(void *arg)
{
    struct reposter *r = arg;
    r->total++;
    if (r->left-- > 0)
        CHECK_EQ(tu_loop_post(r->loop, repost, r), 0);
}

/* A function that posts itself again does not keep the host. */
TEST(loop, posts_from_inside_wait_for_the_next_run)
{
    struct reposter r = {tu_loop_make(), 5, 0};
    CHECK_EQ(tu_loop_post(r.loop, repost, &r), 0);
    for (int i = 1; i <= 6; i++) {
        CHECK(readable(r.loop));
        CHECK_EQ(tu_loop_run(r.loop), 1);
        CHECK_EQ(r.total, i);
    }
    CHECK(!readable(r.loop));
    tu_loop_free(r.loop);
}

/* ---- a host on its own epoll ---- */

struct host {
    tu_loop *loop;
    pthread_t thread;
    bool edges;      /* how it watches */
    int last[16];    /* by poster: the last number that came; host only */
    long ran;        /* host only */
    _Atomic int end; /* set by a function that runs on the host */
};

static void *host_main(void *arg)
{
    struct host *h = arg;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN | (h->edges ? EPOLLET : 0)};
    REQUIRE(epoll_ctl(epoll, EPOLL_CTL_ADD, tu_loop_fd(h->loop), &e) == 0);
    while (!atomic_load(&h->end)) {
        CHECK_EQ(epoll_wait(epoll, &e, 1, 20000), 1);
        (void)tu_loop_run(h->loop);
    }
    close(epoll);
    tu_loop_close(h->loop);
    return NULL;
}

static void host_start(struct host *h)
{
    h->loop = tu_loop_make();
    for (int i = 0; i < 16; i++)
        h->last[i] = -1;
    REQUIRE(pthread_create(&h->thread, NULL, host_main, h) == 0);
}

static void end_host(void *arg)
{
    atomic_store(&((struct host *)arg)->end, 1);
}

static void host_end(struct host *h)
{
    CHECK_EQ(tu_loop_post(h->loop, end_host, h), 0);
    pthread_join(h->thread, NULL);
}

struct message {
    struct host *host;
    int poster, number;
};

static void receive(void *arg)
{
    struct message *m = arg;
    CHECK(pthread_equal(pthread_self(), m->host->thread));
    CHECK(!tu_on_goroutine());
    CHECK_EQ(m->number, m->host->last[m->poster] + 1);
    m->host->last[m->poster] = m->number;
    m->host->ran++;
    tu_free(m);
}

static void post_many(struct host *h, int poster)
{
    for (int i = 0; i < 1000; i++) {
        struct message *m = tu_alloc(sizeof *m);
        *m = (struct message){h, poster, i};
        CHECK_EQ(tu_loop_post(h->loop, receive, m), 0);
        if (i % 16 == poster)
            tu_yield();
    }
}

static void post_many_goroutine(struct host *h, int poster, struct tu_wait_group *done)
{
    post_many(h, poster);
    tu_wait_group_done(done);
}

struct poster {
    struct host *host;
    int number;
};

static void *post_many_thread(void *arg)
{
    struct poster *p = arg;
    post_many(p->host, p->number);
    return NULL;
}

static void post_from_everywhere(bool edges)
{
    static struct host h;
    h = (struct host){.edges = edges};
    host_start(&h);
    struct tu_wait_group done = {0};
    struct poster posters[4];
    pthread_t threads[4];
    tu_wait_group_add(&done, 12);
    for (int i = 0; i < 12; i++)
        REQUIRE(tu_go(post_many_goroutine, &h, i, &done) == 0);
    for (int i = 0; i < 4; i++) {
        posters[i] = (struct poster){&h, 12 + i};
        REQUIRE(pthread_create(&threads[i], NULL, post_many_thread, &posters[i]) == 0);
    }
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    host_end(&h);
    tu_loop_free(h.loop);
    CHECK_EQ(h.ran, 16 * 1000);
}

GO_TEST(loop, posts_from_goroutines_and_threads)
{
    post_from_everywhere(false);
    post_from_everywhere(true);
}

/* ---- calls ---- */

struct question {
    struct host *host;
    long in, out;
};

static void answer(void *arg)
{
    struct question *q = arg;
    q->host->ran++;
    q->out = q->in * q->in;
}

static void ask(struct host *h, int from, struct tu_wait_group *done)
{
    for (int i = 0; i < 300; i++) {
        struct question q = {h, from * 1000 + i, 0};
        CHECK_EQ(tu_loop_call(h->loop, answer, &q), 0);
        CHECK_EQ(q.out, q.in * q.in);
    }
    tu_wait_group_done(done);
}

struct asker {
    struct host *host;
    struct tu_wait_group *done;
};

static void *ask_thread(void *arg)
{
    struct asker *a = arg;
    ask(a->host, 77, a->done);
    return NULL;
}

static atomic_int started_by_host;

static void count_start(void)
{
    atomic_fetch_add(&started_by_host, 1);
}

static void start_goroutine(void *unused)
{
    (void)unused;
    CHECK_EQ(tu_go(count_start), 0);
}

/* The process's main is the host: it starts the runtime, runs its loop, and goroutines and threads call it. */
TEST(loop, calls_into_an_existing_main)
{
    static struct host h;
    struct tu_wait_group done = {0};
    pthread_t thread;
    REQUIRE(tu_start(NULL) == 0);
    host_start(&h);
    struct asker a = {&h, &done};
    tu_wait_group_add(&done, 9);
    for (int i = 0; i < 8; i++)
        REQUIRE(tu_go(ask, &h, i, &done) == 0);
    REQUIRE(pthread_create(&thread, NULL, ask_thread, &a) == 0);
    CHECK_EQ(tu_loop_post(h.loop, start_goroutine, NULL), 0);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    pthread_join(thread, NULL);
    host_end(&h);
    CHECK_EQ(h.ran, 9 * 300);
    while (atomic_load(&started_by_host) == 0)
        tu_sleep(TU_MS);
    tu_loop_free(h.loop);
}

static void must_not_run(void *arg)
{
    (void)arg;
    test_fail(__FILE__, __LINE__, "a call that was given up is made");
}

static void call_in(tu_loop *loop, tu_context *ctx, int *rc, struct tu_wait_group *done)
{
    tu_in_context(ctx) {
        *rc = tu_loop_call(loop, must_not_run, NULL);
    }
    tu_wait_group_done(done);
}

GO_TEST(loop, call_is_given_up_before_it_has_begun)
{
    tu_loop *loop = tu_loop_make(); /* nobody runs it */
    struct tu_wait_group done = {0};
    tu_context *ctx = tu_with_timeout(NULL, 5 * TU_MS);
    int rcs[20];
    tu_wait_group_add(&done, 20);
    for (int i = 0; i < 20; i++)
        REQUIRE(tu_go(call_in, loop, ctx, &rcs[i], &done) == 0);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(rcs[i], -ETIMEDOUT);
    tu_in_context(ctx) {
        CHECK_EQ(tu_loop_call(loop, must_not_run, NULL), -ETIMEDOUT); /* had ended before */
    }
    tu_cancel(ctx);
    tu_loop_free(loop); /* runs what is left: nothing */
}

struct slow {
    _Atomic int begun;
    int64_t until;
    int finished;
};

static void slow_answer(void *arg)
{
    struct slow *s = arg;
    atomic_store(&s->begun, 1);
    tu_sleep(20 * TU_MS);
    s->finished = 1;
}

/* Once the host has begun, `arg` is its to use: the caller stays. */
GO_TEST(loop, call_that_has_begun_is_waited_for)
{
    static struct host h;
    host_start(&h);
    for (int i = 0; i < 3; i++) {
        struct slow s = {0};
        tu_context *ctx = tu_with_timeout(NULL, 5 * TU_MS);
        tu_in_context(ctx) {
            int rc = tu_loop_call(h.loop, slow_answer, &s);
            CHECK_EQ(rc, s.begun ? 0 : -ETIMEDOUT);
            CHECK_EQ(s.finished, s.begun);
        }
        tu_cancel(ctx);
    }
    host_end(&h);
    tu_loop_free(h.loop);
}

/* Deadlines at every moment of a call: either it ran whole, or not at all. */
static void brief(void *arg)
{
    ++*(int *)arg;
}

static void call_with_deadlines(struct host *h, unsigned seed, struct tu_wait_group *done)
{
    for (int i = 0; i < 300; i++) {
        int times = 0;
        tu_context *ctx = tu_with_timeout(NULL, rand_r(&seed) % 60 * TU_US);
        tu_in_context(ctx) {
            int rc = tu_loop_call(h->loop, brief, &times);
            CHECK(rc == 0 || rc == -ETIMEDOUT);
            CHECK_EQ(times, rc == 0);
        }
        tu_cancel(ctx);
    }
    tu_wait_group_done(done);
}

GO_TEST(loop, context_races_with_the_host)
{
    static struct host h;
    struct tu_wait_group done = {0};
    host_start(&h);
    tu_wait_group_add(&done, 6);
    for (unsigned i = 0; i < 6; i++)
        REQUIRE(tu_go(call_with_deadlines, &h, i, &done) == 0);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    host_end(&h);
    tu_loop_free(h.loop);
}

/* ---- the end ---- */

static void count(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

struct race {
    tu_loop *loop;
    atomic_int called, accepted, refused;
    struct tu_wait_group done;
};

static void post_until_closed(struct race *r)
{
    int rc = 0;
    while (rc == 0) {
        rc = atomic_load(&r->accepted) % 3 ? tu_loop_post(r->loop, count, &r->called)
                                           : tu_loop_call(r->loop, count, &r->called);
        if (rc == 0)
            atomic_fetch_add(&r->accepted, 1);
        tu_yield();
    }
    CHECK_EQ(rc, -EPIPE);
    atomic_fetch_add(&r->refused, 1);
    tu_wait_group_done(&r->done);
}

TEST(loop, close_loses_nothing)
{
    REQUIRE(tu_start(NULL) == 0);
    for (int round = 0; round < 20; round++) {
        struct race r = {.loop = tu_loop_make()};
        tu_wait_group_add(&r.done, 8);
        for (int i = 0; i < 8; i++)
            REQUIRE(tu_go(post_until_closed, &r) == 0);
        for (int64_t until = tu_now() + 2 * TU_MS; tu_now() < until;)
            (void)tu_loop_run(r.loop);
        tu_loop_close(r.loop);
        CHECK_EQ(tu_wait_group_wait(&r.done), 0);
        CHECK_EQ(atomic_load(&r.refused), 8);
        CHECK_EQ(atomic_load(&r.called), atomic_load(&r.accepted));
        CHECK_EQ(tu_loop_post(r.loop, must_not_run, NULL), -EPIPE);
        tu_loop_free(r.loop);
    }
}

/* ---- mistakes ---- */

static tu_loop *the_loop;

static void run_inside(void *unused)
{
    (void)unused;
    (void)tu_loop_run(the_loop);
}

static void runs_inside_itself(void)
{
    (void)!tu_loop_post(the_loop, run_inside, NULL);
    (void)tu_loop_run(the_loop);
}

static void calls_itself(void)
{
    (void)tu_loop_run(the_loop);
    (void)!tu_loop_call(the_loop, must_not_run, NULL);
}

static void run_on_goroutine(void *unused)
{
    (void)unused;
    (void)tu_loop_run(the_loop);
}

static void runs_on_a_goroutine(void)
{
    (void)!tu_main(NULL, run_on_goroutine, NULL);
}

static bool aborts(void (*mistake)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(0);
        alarm(20);
        mistake();
        _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

TEST(loop, mistakes_abort)
{
    the_loop = tu_loop_make();
    CHECK(aborts(runs_inside_itself));
    CHECK(aborts(calls_itself));
    CHECK(aborts(runs_on_a_goroutine));
    tu_loop_free(the_loop);
}
