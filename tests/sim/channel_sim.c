/* channel_sim.c - channels under every order of steps: nothing lost, doubled, reordered; close; ends of
 * contexts; plain threads beside goroutines. */
#include "sim/sim_kit.h"

#include "runtime/chan/channel.h"
#include "runtime/context/context.h"

enum { VALUES_MAX = 64, PARTIES_MAX = 5 };

/* What happened to each value, with the logical times of the calls. */
static struct value {
    uint64_t send_begin, send_end, receive_begin, receive_end;
    int sent, received; /* how often the calls said so */
} values[VALUES_MAX];
static unsigned value_count;
static tu_channel *channel;
static struct tu_wait_group senders, receivers;
static int receives_failed;

static void send_value(unsigned v, bool cancellable)
{
    values[v].send_begin = sim_steps();
    int rc = tu_channel_send(channel, &v);
    values[v].send_end = sim_steps();
    values[v].sent += rc == 0;
    EXPECT(rc == 0 || rc == -EPIPE || (cancellable && (rc == -ECANCELED || rc == -ETIMEDOUT)),
           "rc %d", rc);
}

static bool try_send_value(unsigned v)
{
    values[v].send_begin = sim_steps();
    int rc = tu_channel_try_send(channel, &v);
    values[v].send_end = sim_steps();
    values[v].sent += rc == 0;
    return rc != -EAGAIN;
}

/* The result; the value is noted. */
static int receive(bool wait)
{
    unsigned v = ~0u;
    uint64_t begin = sim_steps();
    int rc = wait ? tu_channel_recv(channel, &v) : tu_channel_try_recv(channel, &v);
    if (rc == 0) {
        EXPECT(v < value_count, "value %u", v);
        values[v].receive_begin = begin;
        values[v].receive_end = sim_steps();
        values[v].received++;
    } else if (rc == -EPIPE) {
        EXPECT(v == 0, "the element of a failed receive is %u", v);
    }
    if (random_below(4) == 0)
        tu__channel_verify(channel);
    return rc;
}

/* First come, first served, as far as the calls' times tell: if a was in before b began, b does not
 * come out wholly before a does. */
static void check_order(void)
{
    for (unsigned a = 0; a < value_count; a++)
        for (unsigned b = 0; b < value_count; b++)
            if (values[a].received && values[b].received &&
                values[a].send_end < values[b].send_begin)
                EXPECT(values[a].receive_begin < values[b].receive_end, "%u overtook %u", b, a);
}

static void check_conserved(void)
{
    for (unsigned v = 0; v < value_count; v++)
        EXPECT(values[v].sent == values[v].received, "value %u sent %d times, received %d times", v,
               values[v].sent, values[v].received);
    check_order();
}

static void run_sender(unsigned first, unsigned count)
{
    for (unsigned v = first; v < first + count; v++) {
        switch (random_below(4)) {
        case 0:
            while (!try_send_value(v))
                tu_yield();
            break;
        case 1: tu_yield(); /* fall through */
        default: send_value(v, false);
        }
    }
    tu_wait_group_done(&senders);
}

static void run_receiver(void)
{
    for (;;) {
        int rc = receive(random_below(4) != 0);
        if (rc == -EPIPE)
            break;
        EXPECT(rc == 0 || rc == -EAGAIN, "rc %d", rc);
        if (rc == -EAGAIN)
            tu_yield();
    }
    tu_wait_group_done(&receivers);
}

static void foreign_sender(void *arg)
{
    unsigned packed = (unsigned)(uintptr_t)arg;
    run_sender(packed >> 8, packed & 255);
}

static void foreign_receiver(void *arg)
{
    run_receiver();
}

static void start_parties(bool threads)
{
    unsigned s = 1 + random_below(PARTIES_MAX - 1), r = 1 + random_below(PARTIES_MAX - 1);
    unsigned each = 1 + random_below(6);
    channel = tu_channel_make(sizeof(unsigned), random_below(4));
    value_count = s * each;
    tu_wait_group_add(&senders, (int)s);
    tu_wait_group_add(&receivers, (int)r);
    for (unsigned i = 0; i < s; i++) {
        if (threads && random_below(3) == 0)
            foreign_thread(foreign_sender, (void *)(uintptr_t)(i * each << 8 | each));
        else
            EXPECT(tu_go(run_sender, i * each, each) == 0, "");
    }
    for (unsigned i = 0; i < r; i++) {
        if (threads && random_below(3) == 0)
            foreign_thread(foreign_receiver, NULL);
        else
            EXPECT(tu_go(run_receiver) == 0, "");
    }
}

static void finish(void)
{
    tu__channel_verify(channel);
    tu_channel_free(channel);
}

SCENARIO(channel, many_to_many)
{
    start_parties(false);
    EXPECT(tu_wait_group_wait(&senders) == 0, "");
    tu__channel_verify(channel);
    tu_channel_close(channel);
    EXPECT(tu_wait_group_wait(&receivers) == 0, "");
    check_conserved();
    finish();
}

SCENARIO(channel, with_plain_threads)
{
    start_parties(true);
    EXPECT(tu_wait_group_wait(&senders) == 0, "");
    tu_channel_close(channel);
    EXPECT(tu_wait_group_wait(&receivers) == 0, "");
    check_conserved();
    finish();
}

/* The close comes while all are at it: who was not told 0 has not sent. */
SCENARIO(channel, close_among_senders)
{
    start_parties(random_below(4) == 0);
    for (unsigned i = random_below(12); i > 0; i--)
        tu_yield();
    tu_channel_close(channel);
    tu__channel_verify(channel);
    EXPECT(tu_wait_group_wait(&senders) == 0, "");
    EXPECT(tu_wait_group_wait(&receivers) == 0, "");
    check_conserved();
    finish();
}

/* ---- waits that end by their context ---- */

static tu_context *ending;

static void cancelled_sender(unsigned first, unsigned count)
{
    tu_in_context(ending) {
        for (unsigned v = first; v < first + count; v++)
            send_value(v, true);
    }
    tu_wait_group_done(&senders);
}

static void cancelled_receiver(unsigned count)
{
    tu_in_context(ending) {
        for (unsigned i = 0; i < count; i++) {
            int rc = receive(true);
            EXPECT(rc == 0 || rc == -ECANCELED || rc == -ETIMEDOUT, "rc %d", rc);
            receives_failed += rc != 0;
        }
    }
    tu_wait_group_done(&receivers);
}

SCENARIO(channel, ends_of_contexts)
{
    unsigned s = 1 + random_below(3), r = 1 + random_below(3), each = 1 + random_below(4);
    bool timed = random_below(2);
    channel = tu_channel_make(sizeof(unsigned), random_below(3));
    ending = timed ? tu_with_timeout(NULL, random_between_ns(0, 3 * TU_MS)) : tu_with_cancel(NULL);
    value_count = s * each;
    tu_wait_group_add(&senders, (int)s);
    tu_wait_group_add(&receivers, (int)r);
    for (unsigned i = 0; i < s; i++)
        EXPECT(tu_go(cancelled_sender, i * each, each) == 0, "");
    for (unsigned i = 0; i < r; i++)
        EXPECT(tu_go(cancelled_receiver, 1 + random_below(2 * each)) == 0, "");
    for (unsigned i = random_below(10); i > 0; i--)
        tu_yield();
    if (!timed)
        tu_context_cancel(ending, -ECANCELED);
    EXPECT(tu_wait_group_wait(&senders) == 0, "");
    EXPECT(tu_wait_group_wait(&receivers) == 0, "");
    while (receive(false) == 0) {
    }
    check_conserved();
    tu__context_verify(ending);
    tu_context_release(ending);
    finish();
}

/* ---- a wait for each hand-over: nothing else keeps the Ps awake ---- */

static tu_channel *ping, *pong;

static void run_pong(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        int v = -1;
        EXPECT(tu_channel_recv(ping, &v) == 0 && v == i, "%d", v);
        if (random_below(4) == 0)
            tu_yield();
        EXPECT(tu_channel_send(pong, &v) == 0, "");
    }
}

SCENARIO(channel, ping_pong)
{
    int rounds = 1 + (int)random_below(30);
    ping = tu_channel_make(sizeof(int), random_below(2));
    pong = tu_channel_make(sizeof(int), random_below(2));
    EXPECT(tu_go(run_pong, rounds) == 0, "");
    for (int i = 0; i < rounds; i++) {
        int v = -1;
        EXPECT(tu_channel_send(ping, &i) == 0, "");
        if (random_below(8) == 0)
            EXPECT(tu_sleep(random_between_ns(0, 2 * TU_MS)) == 0, "");
        EXPECT(tu_channel_recv(pong, &v) == 0 && v == i, "%d", v);
    }
    tu_channel_free(ping);
    tu_channel_free(pong);
}
