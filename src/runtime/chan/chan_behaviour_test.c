/* chan_behaviour_test.c - what Go's chan_test demands beyond channel_test.c and select_test.c (docs/go-behaviours.md). */
#include "runtime/chan/channel.h"

#include <tuco.h>

#include "support/testing.h"

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

static void collect(tu_chan(int) c, int *got, int n, tu_chan(int) done)
{
    for (int i = 0; i < n; i++) {
        tu_yield(); /* so that the sender has parked now and then */
        CHECK_EQ(tu_recv(c, &got[i]), 0);
    }
    CHECK_EQ(tu_send(done, 1), 0);
}

/* Two sends of one select to the same channel are chosen about equally often; Go: TestPseudoRandomSend. Of 1,000,
 * sigma is 16; each must come 340 times at least. Where the select parks, it is the receiver who chooses: it took the
 * case written first, always. */
GO_TEST(select, sends_are_chosen_at_random)
{
    enum { N = 1000 };
    static const size_t capacities[] = {0, N};
    for (int k = 0; k < 2; k++) {
        tu_chan(int) c = tu_make_chan(int, capacities[k]), done = tu_make_chan(int, 1);
        static int got[N];
        int ones = 0, v;
        tu_go(collect, c, got, (int)N, done);
        for (int i = 0; i < N; i++) {
            tu_select() {
                tu_on_send(c, 0) {
                }
                tu_on_send(c, 1) {
                }
            }
        }
        CHECK_EQ(tu_recv(done, &v), 0);
        for (int i = 0; i < N; i++)
            ones += got[i];
        CHECK(ones > 340 && ones < 660);
        tu_free_chan(c);
        tu_free_chan(done);
    }
}

static void send_own(tu_chan(int) c, int me, atomic_int *returned)
{
    CHECK_EQ(tu_send(c, me), 0);
    atomic_fetch_add(returned, 1);
}

/* Senders that wait are served in the order in which they came, with and without slots; Go: TestChan (FIFO). */
GO_TEST(channel, senders_in_order)
{
    enum { N = 20 };
    for (size_t capacity = 0; capacity < 3; capacity++) {
        tu_chan(int) c = tu_make_chan(int, capacity);
        atomic_int returned = 0;
        for (size_t i = 0; i < capacity; i++)
            CHECK_EQ(tu_send(c, (int)i - (int)capacity), 0);
        for (int i = 0; i < N; i++) {
            tu_go(send_own, c, i, &returned);
            while (parked(c) < (size_t)i + 1)
                tu_yield();
        }
        for (int i = -(int)capacity; i < N; i++) {
            int v = -99;
            CHECK_EQ(tu_recv(c, &v), 0);
            CHECK_EQ(v, i);
        }
        while (atomic_load(&returned) < N)
            tu_yield();
        tu_free_chan(c);
    }
}

static void look_once(tu_chan(int) c, tu_chan(int) closing, atomic_int *verdict)
{
    tu_select() {
        tu_on_recv(c, v) {
            atomic_store(verdict, 1);
        }
        tu_on_recv(closing, v) {
            atomic_store(verdict, 1);
        }
        tu_default() {
            atomic_store(verdict, 2);
        }
    }
}

/* One channel has a value until another is closed: a select with default sees one of the two, whichever way it
 * goes through them; Go: TestNonblockSelectRace2. */
GO_TEST(select, default_beside_a_close)
{
    for (int i = 0; i < 5000; i++) {
        tu_chan(int) c = tu_make_chan(int, 1), closing = tu_make_chan(int, 0);
        atomic_int verdict = 0;
        int v;
        CHECK_EQ(tu_send(c, 1), 0);
        tu_go(look_once, c, closing, &verdict);
        if (i % 2)
            tu_yield();
        tu_close_chan(closing);
        (void)!tu_try_recv(c, &v);
        while (atomic_load(&verdict) == 0)
            tu_yield();
        CHECK_EQ(atomic_load(&verdict), 1);
        tu_free_chan(c);
        tu_free_chan(closing);
    }
}

enum { TURNS = 20000 };

/* Until both are closed; sets *stop after TURNS values, not before 100 ms: a machine with other work takes a core away
 * for some of them. */
static void select_from_both(tu_chan(int) a, tu_chan(int) b, int *counts, atomic_bool *stop,
                             tu_chan(int) done)
{
    int64_t least_ns = tu_now() + 100 * TU_MS;
    for (bool open_a = true, open_b = true; open_a || open_b;) {
        if (counts[0] + counts[1] >= TURNS && tu_now() >= least_ns)
            atomic_store(stop, true);
        tu_select() {
            tu_on_recv(open_a ? a : NULL, v) {
                open_a = tu_recv_ok();
                counts[0] += open_a;
            }
            tu_on_recv(open_b ? b : NULL, v) {
                open_b = tu_recv_ok();
                counts[1] += open_b;
            }
        }
    }
    CHECK_EQ(tu_send(done, 1), 0);
}

static void send_until(tu_chan(int) c, atomic_bool *stop)
{
    while (!atomic_load(stop))
        CHECK_EQ(tu_send(c, 1), 0);
    tu_close_chan(c);
}

/* Two senders that always have something, one who selects between them: neither gets less than a quarter of the
 * turns. Unlike TestSelectFairness, both sides park. */
GO_TEST(select, parked_senders_share)
{
    tu_chan(int) a = tu_make_chan(int, 0), b = tu_make_chan(int, 0), done = tu_make_chan(int, 1);
    static int counts[2];
    atomic_bool stop = false;
    int v;
    tu_go(select_from_both, a, b, counts, &stop, done);
    tu_go(send_until, a, &stop);
    tu_go(send_until, b, &stop);
    CHECK_EQ(tu_recv(done, &v), 0);
    int all = counts[0] + counts[1];
    printf("  %d and %d\n", counts[0], counts[1]);
    CHECK(all >= TURNS);
    CHECK(counts[0] > all / 4 && counts[1] > all / 4);
    tu_free_chan(a);
    tu_free_chan(b);
    tu_free_chan(done);
}

static void wait_in_select(tu_chan(int) a, tu_chan(int) b, atomic_int *ended)
{
    tu_select() {
        tu_on_recv(a, v) {
            CHECK(!tu_recv_ok());
        }
        tu_on_send(b, 1) {
            CHECK_EQ(tu_select_error(), -EPIPE);
        }
    }
    atomic_fetch_add(ended, 1);
}

/* Many selects parked on the same two channels, both closed at once from two sides: each ends with one case, no
 * place is left behind (model: tests/models/close.pml). */
GO_TIMEOUT_TEST(select, both_channels_closed_at_once, 60)
{
    enum { N = 20 };
    for (int round = 0; round < 300; round++) {
        tu_chan(int) a = tu_make_chan(int, 0), b = tu_make_chan(int, 0);
        atomic_int ended = 0;
        for (int i = 0; i < N; i++)
            tu_go(wait_in_select, a, b, &ended);
        while (parked(a) < N)
            tu_yield();
        tu_go(tu_channel_close, tu_chan_untyped(a));
        tu_close_chan(b);
        while (atomic_load(&ended) < N)
            tu_yield();
        while (tu_goroutines() > 1)
            tu_yield();
        CHECK_EQ(parked(a) + parked(b), 0);
        tu_free_chan(a);
        tu_free_chan(b);
    }
}
