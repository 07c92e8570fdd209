/* channel_test.c - order, blocking, close and races of channels, on goroutines and plain threads. */
#include "runtime/chan/channel.h"

#include <tuco.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/testing.h"

static void verify(tu_chan(int) c)
{
    tu__channel_verify(tu_chan_untyped(c));
}

/* Waits until `n` of the places in q are there: somebody has really parked. */
static void until_parked(tu_chan(int) c, bool receivers, int n)
{
    tu_channel *raw = tu_chan_untyped(c);
    for (;;) {
        int found = 0;
        tu__lock(&raw->lock);
        const struct tu__queue *q = receivers ? &raw->receivers : &raw->senders;
        for (const struct tu__place *p = q->head; p; p = p->next)
            found++;
        tu__unlock(&raw->lock);
        if (found >= n)
            return;
        tu_yield();
    }
}

/* ---- one goroutine ---- */

/* Against a plain array, with every invariant checked after each step. */
static void model_run(size_t capacity, unsigned seed)
{
    tu_chan(int) c = tu_make_chan(int, capacity);
    int model[16], next = 1;
    size_t count = 0;
    for (int step = 0; step < 2000; step++) {
        seed = seed * 1103515245 + 12345;
        if (seed >> 16 & 1) {
            CHECK_EQ(tu_try_send(c, next), count < capacity ? 0 : -EAGAIN);
            if (count < capacity)
                model[count++] = next;
            next++;
        } else {
            int v = -1;
            int rc = tu_try_recv(c, &v);
            CHECK_EQ(rc, count ? 0 : -EAGAIN);
            if (count) {
                CHECK_EQ(v, model[0]);
                memmove(model, model + 1, --count * sizeof *model);
            }
        }
        CHECK_EQ(tu_chan_length(c), count);
        verify(c);
    }
    tu_close_chan(c);
    verify(c);
    CHECK_EQ(tu_try_send(c, 1), -EPIPE);
    CHECK_EQ(tu_send(c, 1), -EPIPE);
    for (size_t i = 0; i < count; i++) {
        int v = -1;
        CHECK_EQ(tu_recv(c, &v), 0);
        CHECK_EQ(v, model[i]);
    }
    int v = -1;
    CHECK_EQ(tu_recv(c, &v), -EPIPE);
    CHECK_EQ(v, 0);
    v = -1;
    CHECK_EQ(tu_try_recv(c, &v), -EPIPE);
    CHECK_EQ(v, 0);
    tu_free_chan(c);
}

TEST(channel, model)
{
    for (size_t capacity = 0; capacity <= 16; capacity++)
        model_run(capacity, (unsigned)capacity * 77 + 1);
}

#define SIZE_CASE(n)                                             \
    do {                                                         \
        struct value {                                           \
            unsigned char b[n];                                  \
        } in, out;                                               \
        tu_chan(struct value) c = tu_make_chan(struct value, 3); \
        for (int round = 0; round < 7; round++) {                \
            memset(&in, round + 1, sizeof in);                   \
            memset(&out, 0xee, sizeof out);                      \
            CHECK_EQ(tu_send(c, in), 0);                         \
            CHECK_EQ(tu_recv(c, &out), 0);                       \
            CHECK(memcmp(&in, &out, n) == 0);                    \
        }                                                        \
        tu_free_chan(c);                                         \
    } while (0)

TEST(channel, element_sizes)
{
    SIZE_CASE(1);
    SIZE_CASE(2);
    SIZE_CASE(3);
    SIZE_CASE(4);
    SIZE_CASE(7);
    SIZE_CASE(8);
    SIZE_CASE(12);
    SIZE_CASE(16);
    SIZE_CASE(24);
    SIZE_CASE(1000);
    tu_channel *empty = tu_channel_make(0, 2); /* a signal without a value */
    CHECK_EQ(tu_channel_try_send(empty, ""), 0);
    CHECK_EQ(tu_channel_try_send(empty, ""), 0);
    CHECK_EQ(tu_channel_try_send(empty, ""), -EAGAIN);
    char nothing;
    CHECK_EQ(tu_channel_try_recv(empty, &nothing), 0);
    tu_channel_free(empty);
    CHECK(tu_channel_make(SIZE_MAX / 2, 3) == NULL);
    CHECK(tu_channel_make(1, SIZE_MAX - 8) == NULL);
    tu_channel_free(NULL);
}

static int status_of(void (*body)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(2);
        body();
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void close_twice(void)
{
    tu_chan(int) c = tu_make_chan(int, 1);
    tu_close_chan(c);
    tu_close_chan(c);
}

static void close_null(void)
{
    tu_channel_close(NULL);
}

TEST(channel, misuse_aborts)
{
    CHECK_EQ(status_of(close_twice), -SIGABRT);
    CHECK_EQ(status_of(close_null), -SIGABRT);
}

/* ---- blocking ---- */

struct op {
    tu_chan(int) c;
    int value, rc;
    atomic_bool done;
};

static void do_recv(struct op *o)
{
    o->rc = tu_recv(o->c, &o->value);
    atomic_store(&o->done, true);
}

static void do_send(struct op *o)
{
    o->rc = tu_send(o->c, o->value);
    atomic_store(&o->done, true);
}

static void until_done(struct op *o)
{
    while (!atomic_load(&o->done))
        tu_yield();
}

static void *recv_thread(void *o)
{
    do_recv(o);
    return NULL;
}

static void *send_thread(void *o)
{
    do_send(o);
    return NULL;
}

GO_TEST(channel, receive_blocks_until_sent)
{
    for (size_t capacity = 0; capacity < 4; capacity++) {
        struct op o = {.c = tu_make_chan(int, capacity), .value = -1};
        tu_go(do_recv, &o);
        until_parked(o.c, true, 1);
        CHECK(!atomic_load(&o.done));
        verify(o.c);
        CHECK_EQ(tu_send(o.c, 42), 0);
        until_done(&o);
        CHECK_EQ(o.rc, 0);
        CHECK_EQ(o.value, 42);
        verify(o.c);
        tu_free_chan(o.c);
    }
}

GO_TEST(channel, send_blocks_until_there_is_room)
{
    for (size_t capacity = 0; capacity < 4; capacity++) {
        struct op o = {.c = tu_make_chan(int, capacity), .value = 100};
        for (size_t i = 0; i < capacity; i++)
            CHECK_EQ(tu_send(o.c, (int)i), 0);
        CHECK_EQ(tu_try_send(o.c, -1), -EAGAIN);
        tu_go(do_send, &o);
        until_parked(o.c, false, 1);
        verify(o.c);
        CHECK(!atomic_load(&o.done));
        for (size_t i = 0; i < capacity + 1; i++) {
            int v;
            CHECK_EQ(tu_recv(o.c, &v), 0);
            CHECK_EQ(v, i < capacity ? (int)i : 100);
            verify(o.c);
        }
        until_done(&o);
        CHECK_EQ(o.rc, 0);
        tu_free_chan(o.c);
    }
}

/* The same through threads that are no goroutines, before any runtime was started. */
TEST(channel, threads_without_a_runtime)
{
    pthread_t t;
    struct op o = {.c = tu_make_chan(int, 0), .value = -1};
    pthread_create(&t, NULL, recv_thread, &o);
    until_parked(o.c, true, 1);
    CHECK_EQ(tu_send(o.c, 5), 0);
    pthread_join(t, NULL);
    CHECK_EQ(o.rc, 0);
    CHECK_EQ(o.value, 5);
    o.value = 6;
    pthread_create(&t, NULL, send_thread, &o);
    int v;
    CHECK_EQ(tu_recv(o.c, &v), 0);
    CHECK_EQ(v, 6);
    pthread_join(t, NULL);
    tu_free_chan(o.c);
}

GO_TEST(channel, close_wakes_all)
{
    enum { N = 50 };
    struct op receivers[N], senders[N];
    tu_chan(int) c = tu_make_chan(int, 0), d = tu_make_chan(int, 2);
    CHECK_EQ(tu_send(d, 1), 0);
    CHECK_EQ(tu_send(d, 2), 0);
    pthread_t threads[2];
    for (int i = 0; i < N; i++) {
        receivers[i] = (struct op){.c = c, .value = 77};
        senders[i] = (struct op){.c = d, .value = 1000 + i};
        if (i == 0) {
            pthread_create(&threads[0], NULL, recv_thread, &receivers[0]);
            pthread_create(&threads[1], NULL, send_thread, &senders[0]);
        } else {
            tu_go(do_recv, &receivers[i]);
            tu_go(do_send, &senders[i]);
        }
    }
    until_parked(c, true, N);
    until_parked(d, false, N);
    verify(c);
    verify(d);
    tu_close_chan(c);
    tu_close_chan(d);
    verify(c);
    verify(d);
    for (int i = 0; i < N; i++) {
        until_done(&receivers[i]);
        until_done(&senders[i]);
        CHECK_EQ(receivers[i].rc, -EPIPE);
        CHECK_EQ(receivers[i].value, 0);
        CHECK_EQ(senders[i].rc, -EPIPE);
    }
    int v;
    CHECK_EQ(tu_recv(d, &v), 0); /* what was buffered stays */
    CHECK_EQ(v, 1);
    CHECK_EQ(tu_recv(d, &v), 0);
    CHECK_EQ(v, 2);
    CHECK_EQ(tu_recv(d, &v), -EPIPE);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    tu_free_chan(c);
    tu_free_chan(d);
}

static void append_on_recv(tu_chan(int) c, int *order, atomic_int *at, int me)
{
    int v;
    CHECK_EQ(tu_recv(c, &v), 0);
    order[v] = me;
    atomic_fetch_add(at, 1);
}

/* Waiters are served first come, first served. */
GO_TEST(channel, receivers_in_order)
{
    enum { N = 20 };
    tu_chan(int) c = tu_make_chan(int, 0);
    int order[N];
    atomic_int done = 0;
    for (int i = 0; i < N; i++) {
        tu_go(append_on_recv, c, order, &done, i);
        until_parked(c, true, i + 1);
    }
    for (int i = 0; i < N; i++)
        CHECK_EQ(tu_send(c, i), 0);
    while (atomic_load(&done) < N)
        tu_yield();
    for (int i = 0; i < N; i++)
        CHECK_EQ(order[i], i);
    tu_free_chan(c);
}

/* ---- races ---- */

static void must_be_ready(tu_chan(int) c, atomic_int *verdict)
{
    int v;
    int rc = tu_try_recv(c, &v);
    atomic_store(verdict, rc == -EAGAIN ? 2 : 1);
}

/* There always is something to receive: a value, or the close that follows it. The look without the
 * lock must not see the channel empty from after the receive and open from before the close. */
GO_TEST(channel, nonblocking_receive_races_close)
{
    for (int i = 0; i < 5000; i++) {
        tu_chan(int) c = tu_make_chan(int, 1);
        atomic_int verdict = 0;
        CHECK_EQ(tu_send(c, 1), 0);
        tu_go(must_be_ready, c, &verdict);
        tu_close_chan(c);
        int v;
        (void)!tu_recv(c, &v);
        while (atomic_load(&verdict) == 0)
            tu_yield();
        CHECK_EQ(atomic_load(&verdict), 1);
        tu_free_chan(c);
    }
}

enum { SENDERS = 6, PER_SENDER = 4000 };

struct message {
    int sender, number;
};

struct crowd {
    tu_chan(struct message) c;
    tu_chan(int) finished;
    atomic_long sum;
    atomic_int received;
};

static void crowd_send(struct crowd *w, int me)
{
    for (int i = 0; i < PER_SENDER; i++)
        CHECK_EQ(tu_send(w->c, ((struct message){me, i})), 0);
    CHECK_EQ(tu_send(w->finished, me), 0);
}

/* Each receiver sees the numbers of each sender grow. */
static void crowd_recv(struct crowd *w)
{
    int last[SENDERS];
    memset(last, -1, sizeof last);
    struct message m;
    while (tu_recv(w->c, &m) == 0) {
        CHECK(m.number > last[m.sender]);
        last[m.sender] = m.number;
        atomic_fetch_add(&w->sum, m.number);
        atomic_fetch_add(&w->received, 1);
    }
    CHECK_EQ(tu_send(w->finished, -1), 0);
}

struct crowd_thread {
    struct crowd *w;
    int me;
};

static void *crowd_thread(void *arg)
{
    struct crowd_thread *t = arg;
    if (t->me >= 0)
        crowd_send(t->w, t->me);
    else
        crowd_recv(t->w);
    return NULL;
}

static void crowd_run(size_t capacity)
{
    struct crowd w = {.c = tu_make_chan(struct message, capacity),
                      .finished = tu_make_chan(int, 99)};
    struct crowd_thread args[3] = {{&w, 0}, {&w, 1}, {&w, -1}};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, crowd_thread, &args[i]);
    for (int i = 2; i < SENDERS; i++)
        tu_go(crowd_send, &w, i);
    for (int i = 0; i < 3; i++)
        tu_go(crowd_recv, &w);
    int v;
    for (int i = 0; i < SENDERS; i++) {
        CHECK_EQ(tu_recv(w.finished, &v), 0);
        tu__channel_verify(tu_chan_untyped(w.c));
    }
    tu_close_chan(w.c);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(tu_recv(w.finished, &v), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(atomic_load(&w.received), SENDERS * PER_SENDER);
    CHECK_EQ(atomic_load(&w.sum), (long)SENDERS * PER_SENDER * (PER_SENDER - 1) / 2);
    tu_free_chan(w.c);
    tu_free_chan(w.finished);
}

GO_TIMEOUT_TEST(channel, goroutines_and_threads, 60)
{
    crowd_run(0);
    crowd_run(1);
    crowd_run(7);
    crowd_run(100);
}

static void consumer(tu_chan(int) in, tu_chan(int) out, int me)
{
    int v;
    while (tu_recv(in, &v) == 0) {
        if ((v + me) % 7 == 0)
            tu_yield();
        CHECK_EQ(tu_send(out, v), 0);
    }
    CHECK_EQ(tu_send(out, -1), 0);
}

static void feed(tu_chan(int) c, int n)
{
    for (int i = 0; i < n; i++)
        CHECK_EQ(tu_send(c, i % 13 + 1), 0);
    tu_close_chan(c);
}

/* Many goroutines between two channels: nothing lost, nothing doubled. */
GO_TEST(channel, multi_consumer)
{
    enum { WORKERS = 23, VALUES = 20000 };
    tu_chan(int) q = tu_make_chan(int, WORKERS * 3), r = tu_make_chan(int, WORKERS * 3);
    for (int i = 0; i < WORKERS; i++)
        tu_go(consumer, q, r, i);
    tu_go(feed, q, VALUES);
    long sum = 0, expected = 0;
    int count = 0, v;
    for (int ended = 0; ended < WORKERS;) {
        CHECK_EQ(tu_recv(r, &v), 0);
        if (v < 0) {
            ended++;
            continue;
        }
        count++;
        sum += v;
    }
    for (int i = 0; i < VALUES; i++)
        expected += i % 13 + 1;
    CHECK_EQ(count, VALUES);
    CHECK_EQ(sum, expected);
    tu_free_chan(q);
    tu_free_chan(r);
}

static void filter(tu_chan(int) in, tu_chan(int) out, int prime)
{
    int v;
    while (tu_recv(in, &v) == 0)
        if (v % prime != 0 && tu_send(out, v) != 0)
            return;
}

static void count_up(tu_chan(int) out)
{
    for (int i = 2; tu_send(out, i) == 0; i++)
        ;
}

/* A chain that grows by one goroutine a prime; ends by cancelling all of it. */
GO_TEST(channel, prime_sieve)
{
    static const int primes[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53};
    enum { N = sizeof primes / sizeof *primes };
    tu_chan(int) chain[N + 1];
    size_t others = tu_goroutines();
    tu_context *ctx = tu_with_cancel(NULL);
    tu_in_context(ctx) {
        chain[0] = tu_make_chan(int, 0);
        tu_go(count_up, chain[0]);
        for (int i = 0; i < N; i++) {
            int prime = 0;
            CHECK_EQ(tu_recv(chain[i], &prime), 0);
            CHECK_EQ(prime, primes[i]);
            chain[i + 1] = tu_make_chan(int, 0);
            tu_go(filter, chain[i], chain[i + 1], prime);
        }
    }
    tu_cancel(ctx);
    while (tu_goroutines() > others)
        tu_yield();
    for (int i = 0; i <= N; i++) {
        verify(chain[i]);
        tu_free_chan(chain[i]);
    }
}

/* ---- contexts ---- */

static void cancelled_op(tu_chan(int) c, bool send, int *rc, tu_chan(int) done)
{
    int v = 9;
    *rc = send ? tu_send(c, v) : tu_recv(c, &v);
    CHECK_EQ(tu_send(done, 1), 0); /* the context has ended, but this does not wait */
}

GO_TEST(channel, cancel_ends_waits)
{
    tu_chan(int) empty = tu_make_chan(int, 0), full = tu_make_chan(int, 1);
    tu_chan(int) done = tu_make_chan(int, 4);
    CHECK_EQ(tu_send(full, 1), 0);
    tu_context *ctx = tu_with_cancel(NULL);
    int rcs[4] = {1, 1, 1, 1}, v;
    tu_in_context(ctx) {
        tu_go(cancelled_op, empty, false, &rcs[0], done);
        tu_go(cancelled_op, full, true, &rcs[1], done);
        tu_go(cancelled_op, (tu_chan(int))NULL, false, &rcs[2], done);
        tu_go(cancelled_op, (tu_chan(int))NULL, true, &rcs[3], done);
    }
    until_parked(empty, true, 1);
    until_parked(full, false, 1);
    tu_context_cancel(ctx, -ENOLINK);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(tu_recv(done, &v), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(rcs[i], -ENOLINK);
    verify(empty);
    verify(full);
    tu_in_context(ctx) {
        CHECK_EQ(tu_recv(empty, &v), -ENOLINK); /* ended before */
        CHECK_EQ(tu_recv(full, &v), 0);         /* does not have to wait */
        CHECK_EQ(v, 1);
    }
    tu_context_release(ctx);
    tu_free_chan(empty);
    tu_free_chan(full);
    tu_free_chan(done);
}

static void send_some(tu_chan(int) c, int n, atomic_int *sent, atomic_int *ended)
{
    for (int i = 0; i < n; i++)
        if (tu_send(c, 1) == 0)
            atomic_fetch_add(sent, 1);
    atomic_fetch_add(ended, 1);
}

static void recv_some(tu_chan(int) c, int n, atomic_int *received, atomic_int *ended)
{
    int v;
    for (int i = 0; i < n; i++)
        if (tu_recv(c, &v) == 0)
            atomic_fetch_add(received, 1);
    atomic_fetch_add(ended, 1);
}

/* Cancelled in mid-flight: a value is received exactly when its send said so. */
GO_TIMEOUT_TEST(channel, cancel_loses_nothing, 60)
{
    for (int round = 0; round < 300; round++) {
        tu_chan(int) c = tu_make_chan(int, (size_t)(round % 3));
        atomic_int sent = 0, received = 0, ended = 0;
        tu_context *ctx[2] = {tu_with_cancel(NULL), tu_with_cancel(NULL)};
        for (int i = 0; i < 2; i++) {
            tu_in_context(ctx[i]) {
                tu_go(send_some, c, 50, &sent, &ended);
                tu_go(recv_some, c, 50, &received, &ended);
            }
        }
        for (int i = 0; i < round % 20; i++)
            tu_yield();
        tu_cancel(ctx[round & 1]);
        tu_cancel(ctx[~round & 1]);
        while (atomic_load(&ended) < 4)
            tu_yield();
        verify(c);
        CHECK_EQ(atomic_load(&sent), atomic_load(&received) + (int)tu_chan_length(c));
        tu_free_chan(c);
    }
}
