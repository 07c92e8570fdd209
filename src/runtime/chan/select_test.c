/* select_test.c - fairness, atomicity and ways out of select, by macro and by array. */
#include "runtime/chan/channel.h"

#include <tuco.h>

#include <pthread.h>
#include <stdlib.h>

#include "support/testing.h"

static void verify(tu_chan(int) c)
{
    tu__channel_verify(tu_chan_untyped(c));
}

static size_t parked(tu_chan(int) c)
{
    tu_channel *raw = tu_chan_untyped(c);
    size_t n = 0;
    tu__lock(&raw->lock);
    for (const struct tu__place *p = raw->receivers.head; p; p = p->next)
        n++;
    for (const struct tu__place *p = raw->senders.head; p; p = p->next)
        n++;
    tu__unlock(&raw->lock);
    return n;
}

static void until_parked(tu_chan(int) c, size_t n)
{
    while (parked(c) < n)
        tu_yield();
}

static void send_later(tu_chan(int) c, int v)
{
    until_parked(c, 1);
    CHECK_EQ(tu_send(c, v), 0);
}

/* ---- what the cases do ---- */

GO_TEST(select, ready_cases)
{
    tu_chan(int) c = tu_make_chan(int, 1), d = tu_make_chan(int, 1);
    int ran = 0;
    tu_select() {
        tu_on_recv(c, v) {
            ran = 100 + v;
        }
        tu_default() {
            ran = 1;
        }
    }
    CHECK_EQ(ran, 1);
    tu_select() {
        tu_on_recv(c, v) {
            ran = 100 + v;
        }
        tu_on_send(d, 7) {
            CHECK_EQ(tu_select_error(), 0);
            ran = 2;
        }
        tu_default() {
            ran = 1;
        }
    }
    CHECK_EQ(ran, 2);
    tu_select() {
        tu_on_send(d, 8) {
            ran = 3;
        }
        tu_on_recv(c, v) {
            ran = 100 + v;
        }
        tu_on_after(0) {
            ran = 4;
        }
    }
    CHECK_EQ(ran, 4);
    tu_select() {
        tu_on_recv(c, v) {
            ran = 100 + v;
        }
        tu_on_recv(d, v) {
            CHECK(tu_recv_ok());
            ran = 200 + v;
        }
    }
    CHECK_EQ(ran, 207);
    verify(c);
    verify(d);
    tu_free_chan(c);
    tu_free_chan(d);
}

GO_TEST(select, parks_until_one_is_ready)
{
    tu_chan(int) c = tu_make_chan(int, 0), d = tu_make_chan(int, 0), e = tu_make_chan(int, 0);
    for (int round = 0; round < 100; round++) {
        int got = 0;
        tu_go(send_later, round % 2 ? c : d, round);
        tu_select() {
            tu_on_recv(c, v) {
                got = v + 1000;
            }
            tu_on_recv(d, v) {
                got = v + 2000;
            }
            tu_on_send(e, 1) {
                got = -1;
            }
        }
        CHECK_EQ(got, round + (round % 2 ? 1000 : 2000));
        CHECK_EQ(parked(c) + parked(d) + parked(e), 0);
    }
    tu_free_chan(c);
    tu_free_chan(d);
    tu_free_chan(e);
}

GO_TEST(select, closed_channels)
{
    tu_chan(int) c = tu_make_chan(int, 2);
    CHECK_EQ(tu_send(c, 5), 0);
    tu_close_chan(c);
    int ran = 0;
    tu_select() {
        tu_on_recv(c, v) {
            CHECK(tu_recv_ok());
            ran = v;
        }
        tu_on_after(TU_S) {
            ran = -1;
        }
    }
    CHECK_EQ(ran, 5);
    tu_select() {
        tu_on_recv(c, v) {
            CHECK(!tu_recv_ok());
            CHECK_EQ(tu_select_error(), -EPIPE);
            CHECK_EQ(v, 0);
            ran = 6;
        }
    }
    CHECK_EQ(ran, 6);
    tu_select() {
        tu_on_send(c, 1) {
            CHECK_EQ(tu_select_error(), -EPIPE);
            ran = 7;
        }
        tu_default() {
            ran = -1;
        }
    }
    CHECK_EQ(ran, 7);
    tu_free_chan(c);
}

static void close_later(tu_chan(int) c)
{
    until_parked(c, 1);
    tu_close_chan(c);
}

GO_TEST(select, close_wakes_parked_cases)
{
    for (int round = 0; round < 50; round++) {
        tu_chan(int) c = tu_make_chan(int, 0), d = tu_make_chan(int, 0);
        int ran = 0;
        tu_go(close_later, c);
        if (round % 2) {
            tu_select() {
                tu_on_recv(c, v) {
                    CHECK(!tu_recv_ok());
                    CHECK_EQ(v, 0);
                    ran = 1;
                }
                tu_on_recv(d, v) {
                    ran = 2;
                }
            }
        } else {
            tu_select() {
                tu_on_send(c, 3) {
                    ran = tu_select_error() == -EPIPE;
                }
                tu_on_send(d, 4) {
                    ran = 2;
                }
            }
        }
        CHECK_EQ(ran, 1);
        CHECK_EQ(parked(d), 0);
        tu_free_chan(c);
        tu_free_chan(d);
    }
}

static int evaluated;

static int count_evaluation(int v)
{
    evaluated++;
    return v;
}

static tu_chan(int) count_channel(tu_chan(int) c)
{
    evaluated++;
    return c;
}

GO_TEST(select, evaluates_once)
{
    tu_chan(int) c = tu_make_chan(int, 1);
    evaluated = 0;
    tu_select() {
        tu_on_send(count_channel(c), count_evaluation(9)) {
        }
        tu_on_after(count_evaluation(1000000000)) {
        }
    }
    CHECK_EQ(evaluated, 3);
    tu_select() {
        tu_on_recv(count_channel(c), v) {
            CHECK_EQ(v, 9);
        }
    }
    CHECK_EQ(evaluated, 4);
    tu_free_chan(c);
}

static int leave_by_return(tu_chan(int) c)
{
    tu_select() {
        tu_on_recv(c, v) {
            return v;
        }
        tu_on_after(TU_S) {
            return -1;
        }
    }
    return -2;
}

GO_TEST(select, break_continue_return_goto_nesting)
{
    tu_chan(int) c = tu_make_chan(int, 8), d = tu_make_chan(int, 8);
    int rounds = 0;
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(tu_send(c, i), 0);
        tu_select() {
            tu_on_recv(c, v) {
                if (v == 1)
                    break;
                if (v == 2)
                    continue;
                rounds += 10;
            }
            tu_on_recv(d, v) {
                rounds += 1000;
            }
        }
        rounds++;
    }
    CHECK_EQ(rounds, 24);
    CHECK_EQ(tu_send(c, 77), 0);
    CHECK_EQ(leave_by_return(c), 77);
    CHECK_EQ(tu_send(c, 1), 0);
    CHECK_EQ(tu_send(d, 2), 0);
    int inner = 0;
    for (;;) {
        tu_select() {
            tu_on_recv(c, v) {
                tu_select() {
                    tu_on_recv(d, w) {
                        inner = v * 10 + w;
                    }
                }
                if (inner)
                    goto out;
            }
        }
    }
out:
    CHECK_EQ(inner, 12);
    tu_free_chan(c);
    tu_free_chan(d);
}

struct wide {
    long a[10];
};

GO_TEST(select, values_of_many_sizes)
{
    tu_chan(struct wide) w = tu_make_chan(struct wide, 1);
    tu_chan(char) s = tu_make_chan(char, 1);
    tu_chan(double) f = tu_make_chan(double, 1);
    struct wide in = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}};
    int sent = 0, received = 0;
    while (sent < 3) {
        tu_select() {
            tu_on_send(w, in) {
                sent++;
            }
            tu_on_send(s, 'x') {
                sent++;
            }
            tu_on_send(f, 2.5) {
                sent++;
            }
        }
    }
    while (received < 3) {
        tu_select() {
            tu_on_recv(w, v) {
                CHECK(memcmp(&v, &in, sizeof in) == 0);
                received++;
            }
            tu_on_recv(s, v) {
                CHECK_EQ(v, 'x');
                received++;
            }
            tu_on_recv(f, v) {
                CHECK(v == 2.5);
                received++;
            }
        }
    }
    tu_free_chan(w);
    tu_free_chan(s);
    tu_free_chan(f);
}

/* ---- deadlines and contexts ---- */

GO_TEST(select, after)
{
    tu_chan(int) c = tu_make_chan(int, 0);
    int ran = 0;
    int64_t start = tu_now();
    tu_select() {
        tu_on_recv(c, v) {
            ran = 1;
        }
        tu_on_after(TU_S) {
            ran = 2;
        }
        tu_on_after(20 * TU_MS) {
            ran = 3;
        }
        tu_on_after(INT64_MAX) {
            ran = 4;
        }
    }
    int64_t waited = tu_now() - start;
    CHECK_EQ(ran, 3);
    CHECK(waited >= 20 * TU_MS && waited < 900 * TU_MS);
    CHECK_EQ(parked(c), 0);
    start = tu_now();
    tu_select() {
        tu_on_after(5 * TU_MS) {
            ran = 5;
        }
    }
    CHECK_EQ(ran, 5);
    CHECK(tu_now() - start >= 5 * TU_MS);
    tu_go(send_later, c, 9); /* the value comes before the deadline: the timer must be stopped */
    tu_select() {
        tu_on_recv(c, v) {
            ran = v;
        }
        tu_on_after(10 * TU_S) {
            ran = -1;
        }
    }
    CHECK_EQ(ran, 9);
    tu_free_chan(c);
}

static void *after_on_thread(void *arg)
{
    tu_chan(int) c = tu_make_chan(int, 0);
    int *ran = arg;
    tu_select() {
        tu_on_recv(c, v) {
            *ran = 1;
        }
        tu_on_after(10 * TU_MS) {
            *ran = 2;
        }
    }
    tu_free_chan(c);
    return NULL;
}

GO_TEST(select, after_on_a_plain_thread)
{
    int ran = 0;
    pthread_t t;
    pthread_create(&t, NULL, after_on_thread, &ran);
    CHECK_EQ(tu_sleep(30 * TU_MS), 0);
    pthread_join(t, NULL);
    CHECK_EQ(ran, 2);
}

/* A deadline and a value at the same moment: one of them wins, and the value is never lost. */
GO_TIMEOUT_TEST(select, after_races_send, 60)
{
    tu_chan(int) c = tu_make_chan(int, 1);
    int received = 0, late = 0;
    for (int i = 0; i < 300; i++) {
        int64_t wait_ns = (int64_t)(rand() % 100) * TU_US;
        tu_go(send_later, c, i);
        int got = -1;
        tu_select() {
            tu_on_recv(c, v) {
                got = v;
            }
            tu_on_after(wait_ns) {
            }
        }
        if (got < 0) {
            late++;
            CHECK_EQ(tu_recv(c, &got), 0);
        }
        CHECK_EQ(got, i);
        received++;
    }
    CHECK_EQ(received, 300);
    CHECK_EQ(parked(c), 0);
    tu_free_chan(c);
}

static void cancel_later(tu_context *ctx, tu_chan(int) watch)
{
    if (watch)
        until_parked(watch, 1);
    tu_context_cancel(ctx, -ECANCELED);
}

GO_TEST(select, done)
{
    tu_chan(int) c = tu_make_chan(int, 0);
    for (int round = 0; round < 50; round++) {
        tu_context *ctx = tu_with_cancel(NULL), *other = tu_with_cancel(NULL);
        int ran = 0;
        tu_go(cancel_later, ctx, round % 2 ? c : NULL);
        tu_select() {
            tu_on_recv(c, v) {
                ran = 1;
            }
            tu_on_done(other)
            {
                ran = 2;
            }
            tu_on_done(ctx)
            {
                CHECK_EQ(tu_select_error(), -ECANCELED);
                ran = 3;
            }
            tu_on_done(NULL)
            {
                ran = 4;
            }
        }
        CHECK_EQ(ran, 3);
        CHECK_EQ(parked(c), 0);
        tu_select() /* it stays ended */
        {
            tu_on_done(ctx)
            {
                ran = 5;
            }
            tu_default() {
                ran = 6;
            }
        }
        CHECK_EQ(ran, 5);
        while (tu_goroutines() > 1)
            tu_yield();
        tu_cancel(ctx);
        tu_cancel(other);
    }
    tu_free_chan(c);
}

GO_TEST(select, current_context_ends)
{
    tu_chan(int) c = tu_make_chan(int, 0), full = tu_make_chan(int, 1);
    tu_context *ctx = tu_with_cancel(NULL);
    tu_go(cancel_later, ctx, c);
    int ran = 0;
    tu_in_context(ctx) {
        tu_select() {
            tu_on_recv(c, v) {
                ran = 1;
            }
            tu_on_cancel(err)
            {
                ran = err;
            }
        }
        CHECK_EQ(ran, -ECANCELED);
        ran = 0;
        tu_select() /* without the case: no body */
        {
            tu_on_recv(c, v) {
                ran = 1;
            }
            tu_on_after(TU_S) {
                ran = 2;
            }
        }
        CHECK_EQ(ran, 0);
        tu_select() /* what is ready goes first */
        {
            tu_on_recv(c, v) {
                ran = 1;
            }
            tu_on_send(full, 5) {
                ran = 3;
            }
        }
        CHECK_EQ(ran, 3);
        struct tu_select_case one = {.kind = TU_SELECT_RECV, .channel = tu_chan_untyped(c)};
        one.element = &ran;
        CHECK_EQ(tu_selectv(&one, 1), -ECANCELED);
        CHECK_EQ(tu_selectv(NULL, 0), -ECANCELED);
        one = (struct tu_select_case){.kind = TU_SELECT_CANCEL};
        CHECK_EQ(tu_selectv(&one, 1), 0);
        CHECK_EQ(one.error, -ECANCELED);
    }
    CHECK_EQ(parked(c), 0);
    while (tu_goroutines() > 1)
        tu_yield();
    tu_cancel(ctx);
    tu_free_chan(c);
    tu_free_chan(full);
}

/* ---- fairness and races ---- */

/* Two cases that are always ready, two that never are. Over 10,000 rounds each of the ready ones comes
 * within ten standard deviations (500) of one half. */
GO_TEST(select, fairness)
{
    enum { TRIALS = 10000 };
    tu_chan(char) c1 = tu_make_chan(char, TRIALS + 1), c2 = tu_make_chan(char, TRIALS + 1);
    tu_chan(char) c3 = tu_make_chan(char, 0), c4 = tu_make_chan(char, 0);
    for (int i = 0; i < TRIALS + 1; i++) {
        CHECK_EQ(tu_send(c1, '1'), 0);
        CHECK_EQ(tu_send(c2, '2'), 0);
    }
    int first = 0, second = 0;
    for (int i = 0; i < TRIALS; i++) {
        tu_select() {
            tu_on_recv(c3, v) {
                CHECK(false);
            }
            tu_on_recv(c1, v) {
                first++;
            }
            tu_on_recv(c4, v) {
                CHECK(false);
            }
            tu_on_recv(c2, v) {
                second++;
            }
        }
    }
    CHECK_EQ(first + second, TRIALS);
    CHECK(abs(first - TRIALS / 2) < 500);
    CHECK(abs(second - TRIALS / 2) < 500);
    tu_free_chan(c1);
    tu_free_chan(c2);
    tu_free_chan(c3);
    tu_free_chan(c4);
}

/* Every order of the cases comes up, also with many of them. */
GO_TEST(select, fairness_of_ten)
{
    enum { CASES = 10, TRIALS = 20000 };
    tu_channel *c = tu_channel_make(1, 1);
    struct tu_select_case cases[CASES];
    int hits[CASES] = {0};
    char v = 0;
    for (int i = 0; i < TRIALS; i++) {
        for (int k = 0; k < CASES; k++)
            cases[k] = (struct tu_select_case){
                .kind = i % 2 ? TU_SELECT_RECV : TU_SELECT_SEND, .channel = c, .element = &v};
        int64_t k = tu_selectv(cases, CASES);
        CHECK(k >= 0 && k < CASES);
        hits[k]++;
    }
    for (int k = 0; k < CASES; k++) /* sigma is 42 */
        CHECK(abs(hits[k] - TRIALS / CASES) < 425);
    tu_channel_free(c);
}

static void self_select(tu_chan(int) c, int me, size_t capacity, tu_chan(int) done)
{
    for (int i = 0; i < 1000; i++) {
        bool receive_first = me == 0 || i % 2;
        struct tu_select_case cases[2];
        int v = me, got = -1;
        struct tu_select_case send = {
            .kind = TU_SELECT_SEND, .channel = tu_chan_untyped(c), .element = &v};
        struct tu_select_case recv = {
            .kind = TU_SELECT_RECV, .channel = tu_chan_untyped(c), .element = &got};
        cases[0] = receive_first ? recv : send;
        cases[1] = receive_first ? send : recv;
        int64_t k = tu_selectv(cases, 2);
        CHECK(k >= 0);
        if (k >= 0 && cases[k].kind == TU_SELECT_RECV && capacity == 0)
            CHECK_EQ(got, 1 - me); /* never one's own value */
    }
    CHECK_EQ(tu_send(done, me), 0);
}

/* A select that both sends to and receives from one channel must not meet itself. */
GO_TEST(select, self_select)
{
    static const size_t capacities[] = {0, 1, 2, 10};
    for (int i = 0; i < 4; i++) {
        tu_chan(int) c = tu_make_chan(int, capacities[i]), done = tu_make_chan(int, 2);
        tu_go(self_select, c, 0, capacities[i], done);
        tu_go(self_select, c, 1, capacities[i], done);
        int v, ended = 0;
        while (ended < 2) { /* the faster one may leave the other alone: help it out */
            tu_select() {
                tu_on_recv(done, who) {
                    ended++;
                }
                tu_on_after(TU_MS) {
                    verify(c);
                    if (ended == 1)
                        (void)!(rand() % 2 ? tu_try_recv(c, &v) : tu_try_send(c, 2));
                }
            }
            if (capacities[i] == 0 && ended == 1)
                break;
        }
        if (ended == 1) { /* capacity 0: pairs off exactly, so both end */
            CHECK_EQ(tu_recv(done, &v), 0);
        }
        CHECK(capacities[i] > 0 || tu_chan_length(c) == 0);
        verify(c);
        tu_free_chan(c);
        tu_free_chan(done);
    }
}

static void pick_ready(tu_chan(int) c1, tu_chan(int) c2, atomic_int *verdict)
{
    tu_select() {
        tu_on_recv(c1, v) {
            atomic_store(verdict, 1);
        }
        tu_on_recv(c2, v) {
            atomic_store(verdict, 1);
        }
        tu_default() {
            atomic_store(verdict, 2);
        }
    }
}

/* There is a value in c1, then in both, then in c2 only: default must never run. A look at one channel
 * after the other could miss both. */
GO_TEST(select, default_sees_one_moment)
{
    for (int i = 0; i < 5000; i++) {
        tu_chan(int) c1 = tu_make_chan(int, 1), c2 = tu_make_chan(int, 1);
        atomic_int verdict = 0;
        CHECK_EQ(tu_send(c1, 1), 0);
        if (i % 2)
            tu_go(pick_ready, c1, c2, &verdict);
        else
            tu_go(pick_ready, c2, c1, &verdict);
        if (i % 3)
            CHECK_EQ(tu_send(c2, 1), 0);
        else
            tu_close_chan(c2);
        int v;
        (void)!tu_try_recv(c1, &v);
        while (atomic_load(&verdict) == 0)
            tu_yield();
        CHECK_EQ(atomic_load(&verdict), 1);
        tu_free_chan(c1);
        tu_free_chan(c2);
    }
}

GO_TEST(select, duplicate_channel)
{
    for (int round = 0; round < 200; round++) {
        tu_chan(int) c = tu_make_chan(int, 0), d = tu_make_chan(int, 0);
        int ran = 0;
        tu_go(send_later, round % 2 ? c : d, 4);
        tu_select() {
            tu_on_recv(c, v) {
                ran += v;
            }
            tu_on_recv(d, v) {
                ran += v;
            }
            tu_on_recv(c, v) {
                ran += v;
            }
            tu_on_recv(d, v) {
                ran += v;
            }
        }
        CHECK_EQ(ran, 4);
        CHECK_EQ(parked(c) + parked(d), 0);
        tu_free_chan(c);
        tu_free_chan(d);
    }
}

enum { STRESS = 3000 };

struct stress {
    tu_chan(int) c[4];
    tu_chan(int) done;
};

static void stress_send(struct stress *s, int k)
{
    for (int i = 0; i < STRESS; i++)
        CHECK_EQ(tu_send(s->c[k], i), 0);
    CHECK_EQ(tu_send(s->done, 0), 0);
}

static void stress_recv(struct stress *s, int k)
{
    for (int i = 0; i < STRESS; i++) {
        int v;
        CHECK_EQ(tu_recv(s->c[k], &v), 0);
    }
    CHECK_EQ(tu_send(s->done, 0), 0);
}

/* Sends or receives STRESS times on each of the four. */
static void stress_select(struct stress *s, enum tu_select_kind kind)
{
    int counts[4] = {0}, value = 7;
    for (int i = 0; i < 4 * STRESS; i++) {
        struct tu_select_case cases[4];
        for (int k = 0; k < 4; k++)
            cases[k] = (struct tu_select_case){
                .kind = kind,
                .channel = counts[k] < STRESS ? tu_chan_untyped(s->c[k]) : NULL,
                .element = &value};
        int64_t k = tu_selectv(cases, 4);
        CHECK(k >= 0 && counts[k] < STRESS);
        counts[k]++;
    }
    CHECK_EQ(tu_send(s->done, 0), 0);
}

static void *stress_thread(void *arg)
{
    stress_select(arg, TU_SELECT_RECV);
    return NULL;
}

/* Four channels of 0, 0, 2 and 3 slots, plain and selecting senders and receivers; all comes out even. */
GO_TIMEOUT_TEST(select, stress, 60)
{
    struct stress s = {.done = tu_make_chan(int, 12)};
    static const size_t capacities[] = {0, 0, 2, 3};
    for (int k = 0; k < 4; k++)
        s.c[k] = tu_make_chan(int, capacities[k]);
    pthread_t t;
    pthread_create(&t, NULL, stress_thread, &s);
    for (int k = 0; k < 4; k++) {
        tu_go(stress_send, &s, k);
        tu_go(stress_recv, &s, k);
    }
    tu_go(stress_select, &s, TU_SELECT_SEND);
    int v;
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(tu_recv(s.done, &v), 0);
        for (int k = 0; k < 4; k++)
            verify(s.c[k]);
    }
    pthread_join(t, NULL);
    for (int k = 0; k < 4; k++) {
        CHECK_EQ(tu_chan_length(s.c[k]), 0);
        CHECK_EQ(parked(s.c[k]), 0);
        tu_free_chan(s.c[k]);
    }
    tu_free_chan(s.done);
}

static void select_until_cancelled(tu_chan(int) a, tu_chan(int) b, int me, atomic_int *sent,
                                   atomic_int *received, atomic_int *ended)
{
    for (bool over = false; !over;) {
        tu_select() {
            tu_on_recv(a, v) {
                atomic_fetch_add(received, 1);
            }
            tu_on_send(b, me) {
                atomic_fetch_add(sent, 1);
            }
            tu_on_cancel(err)
            {
                over = true;
            }
        }
    }
    atomic_fetch_add(ended, 1);
}

/* Selects under contexts that end at random: whatever was sent was received, or is still buffered. */
GO_TIMEOUT_TEST(select, cancel_loses_nothing, 60)
{
    enum { N = 6 };
    for (int round = 0; round < 200; round++) {
        tu_chan(int) a = tu_make_chan(int, (size_t)(round % 3)), b = tu_make_chan(int, 1);
        atomic_int sent = 0, received = 0, ended = 0;
        tu_context *ctx[N];
        for (int i = 0; i < N; i++) {
            ctx[i] = tu_with_cancel(NULL);
            tu_in_context(ctx[i]) {
                if (i % 2)
                    tu_go(select_until_cancelled, a, b, i, &sent, &received, &ended);
                else
                    tu_go(select_until_cancelled, b, a, i, &sent, &received, &ended);
            }
        }
        for (int i = 0; i < round % 10; i++)
            tu_yield();
        for (int i = 0; i < N; i++)
            tu_cancel(ctx[i]);
        while (atomic_load(&ended) < N)
            tu_yield();
        verify(a);
        verify(b);
        CHECK_EQ(parked(a) + parked(b), 0);
        CHECK_EQ(atomic_load(&sent),
                 atomic_load(&received) + (int)(tu_chan_length(a) + tu_chan_length(b)));
        tu_free_chan(a);
        tu_free_chan(b);
    }
}

/* A few hundred cases, not in order of address, several on the same channel. */
GO_TEST(select, many_cases)
{
    enum { CHANNELS = 150, CASES = 400 };
    tu_chan(int) c[CHANNELS];
    struct tu_select_case cases[CASES];
    int values[CASES];
    for (int i = 0; i < CHANNELS; i++)
        c[i] = tu_make_chan(int, 0);
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < CASES; i++)
            cases[i] = (struct tu_select_case){.kind = TU_SELECT_RECV,
                                               .channel = tu_chan_untyped(c[rand() % CHANNELS]),
                                               .element = &values[i]};
        int k = rand() % CASES;
        tu_go(send_later, (tu_chan(int))(uintptr_t)cases[k].channel, round);
        int64_t won = tu_selectv(cases, CASES);
        REQUIRE(won >= 0);
        CHECK(cases[won].channel == cases[k].channel);
        CHECK_EQ(values[won], round);
    }
    for (int i = 0; i < CHANNELS; i++) {
        CHECK_EQ(parked(c[i]), 0);
        tu_free_chan(c[i]);
    }
}
