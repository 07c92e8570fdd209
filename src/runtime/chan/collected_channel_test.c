/* Channels of tu_new_chan: what the manual ones do they do as well; what lies in them, or is on its way through them, is
 * kept; and they go when nobody reaches them. */
#include <tuco/chan.h>
#include <tuco/gc.h>
#include <tuco/go.h>
#include <tuco/select.h>
#include <tuco/sync.h>
#include <tuco/time.h>

#include "runtime/chan/channel.h"
#include "runtime/gc/collector.h"
#include "support/child.h"
#include "support/testing.h"

#include <pthread.h>
#include <string.h>

#define NOINLINE __attribute__((noinline))
enum {
    NOW_AND_THEN = 100000000
}; /* of tu__gc_torture: poison and checks, but cycles only when they are asked for */

typedef struct node node;
struct node {
    node *const next;
    uint64_t value, check;
};
TU_TYPE(node, next);
typedef node *const node_ref;
TU_POINTER_TYPE(node_ref);

/* An element of several pointers, among what looks like some. */
typedef struct {
    uint64_t number;
    node *first;
    uint64_t numbers[2];
    node *others[2];
    uint8_t tail;
} mixed;
TU_TYPE(mixed, first, others);
typedef struct {
    node *row[40];
    uint64_t number;
} wide;
TU_TYPE(wide, row);
typedef struct {
    uint64_t a, b, c;
} three;
TU_TYPE(three);
typedef struct {
    char text[3];
} odd;
TU_TYPE(odd);
TU_TYPE(int);
TU_TYPE(uint8_t);
TU_TYPE(uint64_t);

static node *make(uint64_t value)
{
    node *n = tu_new(node), *next = tu_new(node);
    REQUIRE(n && next);
    next->value = value + 1;
    next->check = ~next->value;
    n->value = value;
    n->check = ~value;
    tu_set(&n->next, next);
    return n;
}

static bool good(const node *n, uint64_t value)
{
    return n && n->value == value && n->check == ~value && n->next && n->next->value == value + 1 &&
           n->next->check == ~(value + 1);
}

static mixed make_mixed(uint64_t i)
{
    return (mixed){i, make(i), {~i, 3}, {make(2 * i), NULL}, (uint8_t)i};
}

static bool good_mixed(const mixed *m, uint64_t i)
{
    return m->number == i && good(m->first, i) && m->numbers[0] == ~i && m->numbers[1] == 3 &&
           good(m->others[0], 2 * i) && !m->others[1] && m->tail == (uint8_t)i;
}

/* What calls have left below us must not look like a root. */
NOINLINE static void clean_stack(void)
{
    volatile char room[16384];
    for (size_t i = 0; i < sizeof room; i++)
        room[i] = 0;
}

static void collect(void)
{
    clean_stack();
    tu_gc();
    tu_gc();
}

/* ---- values of all kinds ---- */

#define THROUGH(T, count, capacity_, made, is_good)                  \
    do {                                                             \
        tu_chan(T) c = tu_new_chan(T, capacity_);                    \
        REQUIRE(c);                                                  \
        CHECK_EQ(tu_chan_capacity(c), capacity_);                    \
        CHECK(tu_gc_owns(tu_chan_untyped(c)));                       \
        for (uint64_t i = 0, o = 0; o < (count);) {                  \
            T v;                                                     \
            while (i < (count) && i - o < (capacity_)) {             \
                v = made;                                            \
                CHECK_EQ(tu_try_send(c, v), 0);                      \
                i++;                                                 \
            }                                                        \
            CHECK_EQ(tu_chan_length(c), i - o);                      \
            tu__channel_verify(tu_chan_untyped(c));                  \
            for (int n = 0; n < (capacity_) / 2 + 1 && o < i; n++) { \
                CHECK_EQ(tu_recv(c, &v), 0);                         \
                CHECK(is_good);                                      \
                o++;                                                 \
            }                                                        \
            if (o % 3 == 0)                                          \
                tu_gc();                                             \
        }                                                            \
        T last;                                                      \
        static const T zero;                                         \
        memset(&last, 0xff, sizeof last);                            \
        CHECK_EQ(tu_try_recv(c, &last), -EAGAIN);                    \
        tu_close_chan(c);                                            \
        CHECK_EQ(tu_try_recv(c, &last), -EPIPE);                     \
        CHECK(memcmp(&last, &zero, sizeof last) == 0);               \
        memset(&last, 0xff, sizeof last);                            \
        CHECK_EQ(tu_recv(c, &last), -EPIPE);                         \
        CHECK(memcmp(&last, &zero, sizeof last) == 0);               \
        CHECK_EQ(tu_send(c, last), -EPIPE);                          \
        tu__channel_verify(tu_chan_untyped(c));                      \
    } while (0)

TEST(collected_channel, elements_of_all_kinds)
{
    tu__gc_torture(NOW_AND_THEN);
    THROUGH(uint8_t, 300, 7, (uint8_t)i, v == (uint8_t)o);
    THROUGH(odd, 50, 5, ((odd){{(char)i, 1, 2}}), v.text[0] == (char)o && v.text[2] == 2);
    THROUGH(int, 50, 1, (int)i, v == (int)o);
    THROUGH(uint64_t, 50, 6, ~i, v == ~o);
    THROUGH(three, 50, 4, ((three){i, ~i, 5}), v.a == o && v.b == ~o && v.c == 5);
    THROUGH(mixed, 50, 5, make_mixed(i), good_mixed(&v, o));
    THROUGH(wide, 20, 3, ((wide){{make(i), [39] = make(3 * i)}, i}),
            v.number == o && good(v.row[0], o) && !v.row[1] && good(v.row[39], 3 * o));
    tu__collected_verify();
}

TEST(collected_channel, pointers_and_a_signal_without_a_value)
{
    typedef struct {
    } nothing;
    TU_TYPE(nothing);
    tu__gc_torture(NOW_AND_THEN);
    tu_chan(node *) c = tu_new_chan(node_ref, 2);
    for (uint64_t i = 0; i < 10; i++) {
        node *n = NULL;
        CHECK_EQ(tu_send(c, make(i)), 0);
        collect();
        CHECK(tu_recv(c, &n) == 0 && good(n, i));
    }
    tu_channel *empty = tu_channel_new(TU_TYPE_OF(nothing), 2);
    CHECK(tu_channel_try_send(empty, "") == 0 && tu_channel_try_send(empty, "") == 0);
    CHECK_EQ(tu_channel_try_send(empty, ""), -EAGAIN);
    CHECK_EQ(tu_channel_length(empty), 2);
    CHECK(tu_new_chan(wide, SIZE_MAX / 2) == NULL);
    CHECK(tu_new_chan(uint8_t, SIZE_MAX / 2) == NULL);
}

NOINLINE static tu_channel *fill_big(uint64_t count)
{
    tu_chan(mixed) c = tu_new_chan(mixed, count);
    REQUIRE(c);
    for (uint64_t i = 0; i < count; i++)
        CHECK_EQ(tu_send(c, make_mixed(i)), 0);
    return tu_chan_untyped(c);
}

TEST(collected_channel, a_big_buffer)
{
    enum { COUNT = 50000 };
    tu__gc_torture(NOW_AND_THEN);
    tu_chan(mixed) c = (tu_chan(mixed))(uintptr_t)fill_big(COUNT);
    collect();
    CHECK_EQ(tu_chan_length(c), COUNT);
    for (uint64_t i = 0; i < COUNT; i++) {
        mixed m;
        CHECK(tu_recv(c, &m) == 0 && good_mixed(&m, i));
        if (i % 10000 == 0) {
            tu_gc();
            CHECK_EQ(tu_send(c, make_mixed(COUNT + i / 10000)), 0); /* around the end */
        }
    }
    for (uint64_t i = 0; i < 5; i++) {
        mixed m;
        CHECK(tu_recv(c, &m) == 0 && good_mixed(&m, COUNT + i));
    }
    tu__channel_verify(tu_chan_untyped(c));
    tu__collected_verify();
}

/* ---- values on their way ---- */

static struct tu_wait_group done;

static void send_some(tu_channel *untyped, uint64_t from, uint64_t count)
{
    tu_chan(mixed) c = (tu_chan(mixed))(uintptr_t)untyped;
    for (uint64_t i = from; i < from + count; i++)
        CHECK_EQ(tu_send(c, make_mixed(i)), 0);
    tu_wait_group_done(&done);
}

static void receive_some(tu_channel *untyped, uint64_t count)
{
    tu_chan(mixed) c = (tu_chan(mixed))(uintptr_t)untyped;
    for (uint64_t i = 0; i < count; i++) {
        mixed m;
        CHECK_EQ(tu_recv(c, &m), 0);
        CHECK(good_mixed(&m, m.number));
    }
    tu_wait_group_done(&done);
}

static void through(size_t capacity, bool senders_first)
{
    enum { PARTIES = 20, EACH = 30 };
    tu_chan(mixed) c = tu_new_chan(mixed, capacity);
    for (int round = 0; round < 2; round++)
        for (uint64_t p = 0; p < PARTIES; p++) {
            tu_wait_group_add(&done, 1);
            if ((round == 0) == senders_first)
                CHECK_EQ(tu_go(send_some, tu_chan_untyped(c), p * 1000, EACH), 0);
            else
                CHECK_EQ(tu_go(receive_some, tu_chan_untyped(c), EACH), 0);
            if (p % 5 == 4) {
                for (int i = 0; i < 10; i++)
                    tu_yield();
                tu_gc(); /* some are parked, with values or without */
            }
        }
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    CHECK_EQ(tu_chan_length(c), 0);
    tu__channel_verify(tu_chan_untyped(c));
}

GO_TEST(collected_channel, parked_senders_and_receivers)
{
    tu__gc_torture(NOW_AND_THEN);
    for (size_t capacity = 0; capacity < 3; capacity++) {
        through(capacity, true);
        through(capacity, false);
    }
}

static void receive_to_the_end(tu_channel *untyped)
{
    tu_chan(mixed) c = (tu_chan(mixed))(uintptr_t)untyped;
    mixed m = make_mixed(1);
    CHECK_EQ(tu_recv(c, &m), -EPIPE);
    CHECK(!m.first && !m.others[0] && m.number == 0);
    tu_wait_group_done(&done);
}

static void send_to_the_end(tu_channel *untyped)
{
    tu_chan(mixed) c = (tu_chan(mixed))(uintptr_t)untyped;
    mixed m = make_mixed(8);
    CHECK_EQ(tu_send(c, m), -EPIPE);
    CHECK(good_mixed(&m, 8));
    tu_wait_group_done(&done);
}

GO_TEST(collected_channel, closing_wakes_all)
{
    tu__gc_torture(NOW_AND_THEN);
    for (int senders = 0; senders < 2; senders++) {
        tu_chan(mixed) c = tu_new_chan(mixed, 0);
        tu_wait_group_add(&done, 10);
        for (int i = 0; i < 10; i++)
            CHECK_EQ(tu_go(senders ? send_to_the_end : receive_to_the_end, tu_chan_untyped(c)), 0);
        for (int i = 0; i < 10; i++)
            tu_yield();
        tu_gc();
        tu_close_chan(c);
        CHECK_EQ(tu_wait_group_wait(&done), 0);
    }
}

GO_TEST(collected_channel, select_mixes_both_kinds)
{
    tu__gc_torture(NOW_AND_THEN);
    tu_chan(mixed) c = tu_new_chan(mixed, 1), none = NULL;
    tu_chan(int) manual = tu_make_chan(int, 1), plain = tu_new_chan(int, 1);
    int got = 0;
    uint64_t sent = 0, received = 0, numbers = 0;
    for (int i = 0; i < 400; i++) {
        tu_select() {
            tu_on_recv(c, m) {
                CHECK(tu_recv_ok() && good_mixed(&m, received++));
            }
            tu_on_send(c, make_mixed(sent)) {
                sent++;
            }
            tu_on_recv(manual, v) {
                got += v;
            }
            tu_on_send(manual, 1) {
                numbers++;
            }
            tu_on_recv(plain, v) {
                got += v;
            }
            tu_on_send(plain, 1) {
                numbers++;
            }
            tu_on_recv(none, m) {
                CHECK(!"a null channel has nothing");
                (void)m;
            }
        }
        if (i % 50 == 0)
            tu_gc();
    }
    CHECK(sent > 20 && numbers > 20 && sent - received <= 1);
    CHECK_EQ(got + (int)tu_chan_length(plain) + (int)tu_chan_length(manual), (int)numbers);
    mixed rest;
    while (tu_try_recv(c, &rest) == 0)
        CHECK(good_mixed(&rest, received++));
    tu_select() {
        tu_on_recv(c, m) {
            CHECK(!"it is empty");
            (void)m;
        }
        tu_default() {
            got = -1;
        }
    }
    CHECK_EQ(got, -1);
    tu_close_chan(c);
    tu_select() {
        tu_on_recv(c, m) {
            CHECK(!tu_recv_ok() && !m.first);
            got = -2;
        }
        tu_default() {
            CHECK(!"it is closed");
        }
    }
    CHECK_EQ(got, -2);
    tu_free_chan(manual);
}

/* Parked in selects on several channels, with values to send, through cycles. */
static void choose(tu_channel *in, tu_channel *out, uint64_t count)
{
    tu_chan(mixed) from = (tu_chan(mixed))(uintptr_t)in, to = (tu_chan(mixed))(uintptr_t)out;
    mixed held = make_mixed(7);
    for (uint64_t i = 0; i < count; i++)
        tu_select() {
            tu_on_recv(from, m) {
                CHECK(good_mixed(&m, m.number));
                held = m;
            }
            tu_on_send(to, held) {
                held = make_mixed(i);
            }
        }
    tu_wait_group_done(&done);
}

GO_TEST(collected_channel, parked_selects)
{
    enum { RING = 6 };
    tu__gc_torture(NOW_AND_THEN);
    tu_chan(mixed) all[RING];
    for (int i = 0; i < RING; i++)
        all[i] = tu_new_chan(mixed, (size_t)i % 2);
    tu_wait_group_add(&done, RING);
    for (int i = 0; i < RING; i++)
        CHECK_EQ(tu_go(choose, tu_chan_untyped(all[i]), tu_chan_untyped(all[(i + 1) % RING]), 200),
                 0);
    for (int i = 0; i < 10; i++) {
        tu_yield();
        tu_gc();
    }
    for (int over = 0; !over;) { /* who is left alone is helped */
        mixed m;
        for (int i = 0; i < RING; i++)
            if (tu_try_recv(all[i], &m) != 0)
                (void)tu_try_send(all[i], make_mixed(9));
            else
                CHECK(good_mixed(&m, m.number));
        tu_yield();
        over = tu_goroutines() == 1;
    }
    CHECK_EQ(tu_wait_group_wait(&done), 0);
}

static void *from_a_thread(void *arg)
{
    tu_chan(mixed) c = (tu_chan(mixed))(uintptr_t)arg;
    REQUIRE(tu_gc_attach() == 0);
    for (uint64_t i = 0; i < 200; i++) {
        mixed m;
        CHECK(tu_recv(c, &m) == 0 && good_mixed(&m, i));
        CHECK_EQ(tu_send(c, make_mixed(i + 1)), 0);
    }
    return NULL;
}

TEST(collected_channel, between_plain_threads)
{
    tu__gc_torture(NOW_AND_THEN);
    tu_chan(mixed) c = tu_new_chan(mixed, 0);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, from_a_thread, tu_chan_untyped(c)) == 0);
    for (uint64_t i = 0; i < 200; i++) {
        mixed m;
        CHECK_EQ(tu_send(c, make_mixed(i)), 0);
        if (i % 20 == 0)
            tu_gc();
        CHECK(tu_recv(c, &m) == 0 && good_mixed(&m, i + 1));
    }
    pthread_join(thread, NULL);
}

/* ---- into objects ---- */

typedef struct {
    mixed in; /* only channels write to it */
} inbox;
TU_TYPE(inbox, in.first, in.others);

static void receive_into(inbox *box, tu_channel *c)
{
    CHECK_EQ(tu_channel_recv(c, &box->in), 0);
    tu_wait_group_done(&done);
}

/* Makes enough garbage for minor cycles. */
NOINLINE static void churn(void)
{
    for (int i = 0; i < 200000; i++)
        REQUIRE(tu_new(wide));
}

static uint64_t minor_cycles(void)
{
    struct tu_gc_stats s;
    tu_gc_stats(&s);
    return s.minor_cycles;
}

/* What an old buffer, or an old object that was received into, has of young ones, a minor cycle must learn from its card. */
GO_TIMEOUT_TEST(collected_channel, old_ones_with_young_values, 60)
{
    tu_gc_set_generations(true);
    tu__gc_torture(NOW_AND_THEN);
    tu_chan(mixed) c = tu_new_chan(mixed, 100);
    inbox *box = tu_new(inbox), *parked = tu_new(inbox);
    tu_chan(mixed) direct = tu_new_chan(mixed, 0);
    collect(); /* they are old now */
    for (uint64_t round = 0; round < 5; round++) {
        uint64_t before = minor_cycles();
        for (uint64_t i = 0; i < 100; i++)
            CHECK_EQ(tu_send(c, make_mixed(i)), 0);
        tu_wait_group_add(&done, 1);
        CHECK_EQ(tu_go(receive_into, parked, tu_chan_untyped(direct)), 0);
        for (int i = 0; i < 10; i++)
            tu_yield();
        CHECK_EQ(tu_send(direct, make_mixed(round)), 0);
        CHECK_EQ(tu_wait_group_wait(&done), 0);
        CHECK_EQ(tu_channel_recv(tu_chan_untyped(c), &box->in), 0);
        clean_stack();
        for (int i = 0; i < 50 && minor_cycles() < before + 2; i++)
            churn();
        CHECK(minor_cycles() >= before + 2);
        CHECK(good_mixed(&box->in, 0));
        CHECK(good_mixed(&parked->in, round));
        for (uint64_t i = 1; i < 100; i++) {
            mixed m;
            CHECK(tu_recv(c, &m) == 0 && good_mixed(&m, i));
        }
    }
}

/* ---- who goes, and who does not ---- */

typedef struct letter letter;
struct letter {
    node *at;
    tu_channel *reply;
};
TU_TYPE(letter, at, reply);
typedef tu_weak *const weak_ref;
TU_POINTER_TYPE(weak_ref);

enum { MANY = 50 };

/* Of channels that lead to values, and these back to them: weak pointers to both. */
NOINLINE static weak_ref *make_unreachable(size_t capacity, bool close)
{
    weak_ref *weak = tu_new_array(weak_ref, 2 * MANY);
    for (int i = 0; i < MANY; i++) {
        tu_chan(letter) c = tu_new_chan(letter, capacity);
        tu_set(&weak[2 * i], tu_weak_make(tu_chan_untyped(c)));
        if (capacity == 0)
            continue;
        node *n = make((uint64_t)i);
        tu_set(&weak[2 * i + 1], tu_weak_make(n));
        CHECK_EQ(tu_send(c, ((letter){n, tu_chan_untyped(c)})), 0);
        if (close)
            tu_close_chan(c);
    }
    return weak;
}

static int left(weak_ref *weak, int first)
{
    int count = 0;
    for (int i = first; i < 2 * MANY; i += 2)
        count += weak[i] && tu_weak_get(weak[i]);
    return count;
}

static void unreachable_ones(void)
{
    tu__gc_torture(NOW_AND_THEN);
    for (size_t capacity = 0; capacity < 20000; capacity = capacity * 100 + 1)
        for (int close = 0; close < 2; close++) {
            weak_ref *weak = make_unreachable(capacity, close);
            collect();
            CHECK(left(weak, 0) <= 1); /* one may have its address somewhere still */
            CHECK(left(weak, 1) <= 1);
        }
    tu__collected_verify();
}

TEST(collected_channel, unreachable_ones_go)
{
    unreachable_ones();
}

GO_TEST(collected_channel, unreachable_ones_of_a_goroutine_go)
{
    unreachable_ones();
}

NOINLINE static void pass_and_drop(tu_channel *untyped, weak_ref *weak)
{
    tu_chan(mixed) c = (tu_chan(mixed))(uintptr_t)untyped;
    for (int i = 0; i < MANY; i++) {
        mixed m = make_mixed((uint64_t)i);
        tu_set(&weak[2 * i], tu_weak_make(m.first));
        tu_set(&weak[2 * i + 1], tu_weak_make(m.others[0]));
        CHECK_EQ(tu_send(c, m), 0);
    }
    for (int i = 0; i < MANY; i++) {
        mixed m;
        CHECK_EQ(tu_recv(c, &m), 0);
    }
}

TEST(collected_channel, what_was_taken_out_is_not_kept)
{
    tu__gc_torture(NOW_AND_THEN);
    tu_chan(mixed) c = tu_new_chan(mixed, MANY + 3);
    weak_ref *weak = tu_new_array(weak_ref, 2 * MANY);
    pass_and_drop(tu_chan_untyped(c), weak);
    collect();
    CHECK(left(weak, 0) <= 1);
    CHECK(left(weak, 1) <= 1);
    CHECK_EQ(tu_chan_length(c), 0);
}

static _Atomic int waiting;

static void wait_for_ever(tu_channel *c, bool send, uint64_t value)
{
    mixed m = {0};
    if (send)
        m = make_mixed(value);
    atomic_fetch_add(&waiting, 1);
    if (send)
        CHECK_EQ(tu_channel_send(c, &m), 0);
    else
        CHECK_EQ(tu_channel_recv(c, &m), 0);
    CHECK(good_mixed(&m, value));
    tu_wait_group_done(&done);
}

/* Makes its channel itself, so that its arguments do not keep it. */
NOINLINE static tu_channel *make_known(weak_ref *weak)
{
    tu_chan(mixed) c = tu_new_chan(mixed, 0);
    tu_set(weak, tu_weak_make(tu_chan_untyped(c)));
    return tu_chan_untyped(c);
}

static void make_and_wait(weak_ref *weak, int i)
{
    wait_for_ever(make_known(weak), i % 2 == 0, (uint64_t)i);
}

NOINLINE static weak_ref *park_many(void)
{
    weak_ref *weak = tu_new_array(weak_ref, 2 * MANY);
    for (int i = 0; i < 2 * MANY; i++) {
        tu_wait_group_add(&done, 1);
        CHECK_EQ(tu_go(make_and_wait, &weak[i], i), 0);
    }
    return weak;
}

/* Nobody can reach the channel but the goroutine that waits on it: both stay, with the values; and can be found again. */
GO_TEST(collected_channel, a_goroutine_parked_for_ever_keeps_its_channel)
{
    tu__gc_torture(NOW_AND_THEN);
    weak_ref *weak = park_many();
    while (atomic_load(&waiting) < 2 * MANY)
        tu_yield();
    for (int i = 0; i < 5; i++)
        tu_yield();
    collect();
    CHECK_EQ(left(weak, 0), MANY);
    CHECK_EQ(left(weak, 1), MANY);
    CHECK_EQ(tu_goroutines(), 1 + 2 * MANY);
    for (int i = 0; i < 2 * MANY; i++) {
        mixed m;
        tu_channel *c = tu_weak_get(weak[i]);
        if (i % 2 == 0)
            CHECK(tu_channel_recv(c, &m) == 0 && good_mixed(&m, (uint64_t)i));
        else
            CHECK_EQ(tu_send((tu_chan(mixed))(uintptr_t)c, make_mixed((uint64_t)i)), 0);
    }
    CHECK_EQ(tu_wait_group_wait(&done), 0);
}

static struct tu__sleeper sleeper;

NOINLINE static void say_what_for(weak_ref *weak)
{
    node *n = make(5);
    tu_set(weak, tu_weak_make(n));
    tu__sleeper_init_for(&sleeper, false, n);
}

static void park_without_it(weak_ref *weak)
{
    say_what_for(weak);
    clean_stack();
    atomic_store(&waiting, 1);
    CHECK_EQ(tu__sleeper_park(&sleeper, NULL, NULL, TU__WAIT_CHAN_RECV), CHANNEL_DONE);
    tu_wait_group_done(&done);
}

/* A compiler may forget the channel before the goroutine parks. */
GO_TEST(collected_channel, what_a_goroutine_waits_for_stays)
{
    tu__gc_torture(NOW_AND_THEN);
    weak_ref *weak = tu_new_array(weak_ref, 1);
    tu_wait_group_add(&done, 1);
    CHECK_EQ(tu_go(park_without_it, weak), 0);
    while (!atomic_load(&waiting))
        tu_yield();
    CHECK_EQ(tu_sleep(TU_MS), 0);
    collect();
    CHECK(tu_weak_get(*weak));
    CHECK(tu__sleeper_claim(&sleeper, CHANNEL_DONE));
    tu__sleeper_wake(&sleeper);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
}

static void all_wait(void *arg)
{
    tu_chan(mixed) c = tu_new_chan(mixed, 0);
    mixed m;
    (void)arg;
    (void)tu_go(wait_for_ever, tu_chan_untyped(tu_new_chan(mixed, 0)), false, 1);
    tu_yield();
    tu_gc();
    (void)tu_recv(c, &m);
}

__attribute__((unused)) static void main_of_a_deadlock(void)
{
    (void)tu_main(NULL, all_wait, NULL);
}

static void free_a_collected_one(void)
{
    tu_free_chan(tu_new_chan(int, 1));
}

static void check_aborts(void (*run)(void), const char *text)
{
    static struct child c;
    child_run(&c, run);
    CHECK(!WIFEXITED(c.status) || WEXITSTATUS(c.status) != 0);
    CHECK(strstr(c.text, text));
}

TEST(collected_channel, misuse_and_deadlock_are_reported)
{
    check_aborts(free_a_collected_one, "tu_free_chan: the collector frees this channel");
#ifndef __SANITIZE_THREAD__ /* whose own thread is a foreign one */
    check_aborts(main_of_a_deadlock, "all goroutines are asleep");
#endif
}

/* ---- under torture ---- */

typedef struct {
    tu_channel *const all[4];
} exchange_place;
TU_TYPE(exchange_place, all);

static exchange_place *place; /* a root */

static mixed exchange(mixed held, uint64_t dice)
{
    tu_chan(mixed) c = (tu_chan(mixed))(uintptr_t)tu_get(&place->all[dice % 4]);
    switch (dice >> 2 & 7) {
    case 0: return tu_try_send(c, held) == 0 ? make_mixed(dice) : held;
    case 1: (void)tu_try_recv(c, &held); break;
    case 2: /* a new one in the place of one that others may be parked on */
        tu_set(&place->all[dice % 4], tu_chan_untyped(tu_new_chan(mixed, dice >> 8 & 7)));
        break;
    default: {
        mixed got = held;
        tu_select() {
            tu_on_recv(c, m) {
                got = m;
            }
            tu_on_send(c, held) {
                got = make_mixed(dice);
            }
            tu_on_after(50 * TU_US) {
            }
        }
        return got;
    }
    }
    return held;
}

static void mutate(uint64_t seed, int rounds)
{
    mixed held = make_mixed(seed >> 40);
    for (int i = 0; i < rounds; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        held = exchange(held, seed >> 11);
        REQUIRE(good_mixed(&held, held.number));
        if (i % 8 == 0)
            tu_yield();
    }
    tu_wait_group_done(&done);
}

static void torture(uint32_t every, int goroutines, int rounds)
{
    tu__gc_torture(every);
    REQUIRE(tu_gc_root_add(&place, sizeof place) == 0);
    place = tu_new(exchange_place);
    for (int i = 0; i < 4; i++)
        tu_set(&place->all[i], tu_chan_untyped(tu_new_chan(mixed, (size_t)i)));
    tu_wait_group_add(&done, goroutines);
    for (uint64_t i = 0; i < (uint64_t)goroutines; i++)
        CHECK_EQ(tu_go(mutate, (i + 1) * UINT64_C(0x9e3779b97f4a7c15), rounds), 0);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    tu__collected_verify();
}

GO_TIMEOUT_TEST(collected_channel, torture_few, 60)
{
    torture(1, 4, 30000);
}

GO_TIMEOUT_TEST(collected_channel, torture_many, 60)
{
    torture(2, 100, 2000);
}

GO_TIMEOUT_TEST(collected_channel, torture_with_generations, 60)
{
    tu_gc_set_generations(true);
    torture(1, 20, 4000);
}
