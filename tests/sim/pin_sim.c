/* pin_sim.c - goroutines that stay on their thread while others change theirs, also when their P is taken. */
#include "sim/sim_kit.h"

#include "platform/thread.h"
#include "runtime/sched/schedule.h"

static struct tu_wait_group parties;
static tu_channel *channel;
static int tokens_out, tokens_in;

/* One wait or none, of any kind. */
static void do_something(void)
{
    int v = 1;
    switch (random_below(8)) {
    case 0: tu_yield(); break;
    case 1: EXPECT(tu_sleep(random_between_ns(0, 2 * TU_MS)) == 0, ""); break;
    case 2: thread_sleep_ns(random_between_ns(0, 15 * TU_MS)); break; /* may lose its P */
    case 3: sim_compute(random_between_ns(0, 15 * TU_MS)); break;
    case 4: /* gives its P away */
        tu_step_aside();
        sim_compute(random_between_ns(0, 3 * TU_MS));
        break;
    case 5:
        if (tu_channel_try_send(channel, &v) == 0)
            tokens_out++;
        break;
    case 6:
        if (tu_channel_try_recv(channel, &v) == 0)
            tokens_in++;
        break;
    default: {
        tu_context *limit = tu_with_timeout(NULL, random_between_ns(0, 2 * TU_MS));
        tu_in_context(limit) {
            if (random_below(2)) {
                if (tu_channel_send(channel, &v) == 0)
                    tokens_out++;
            } else if (tu_channel_recv(channel, &v) == 0) {
                tokens_in++;
            }
        }
        tu_cancel(limit);
    }
    }
}

static void stay(unsigned depth)
{
    tu_pin();
    const struct m *here = tu__m();
    for (unsigned n = random_below(4); n > 0; n--) {
        do_something();
        EXPECT(tu__m() == here, "a pinned goroutine has changed its thread");
        if (depth < 2 && random_below(4) == 0)
            stay(depth + 1);
        EXPECT(tu__m() == here, "a pinned goroutine has changed its thread");
    }
    tu_unpin();
}

static void party(unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        if (random_below(3) == 0)
            stay(0);
        else
            do_something();
    }
    if (random_below(4) == 0)
        tu_pin(); /* its end unpins */
    tu_wait_group_done(&parties);
}

SCENARIO(pin, stays_on_its_thread)
{
    unsigned n = 1 + random_below(6);
    channel = tu_channel_make(sizeof(int), random_below(3));
    tu_wait_group_add(&parties, (int)n);
    for (unsigned i = 0; i < n; i++)
        EXPECT(tu_go(party, 1 + random_below(5)) == 0, "");
    EXPECT(tu_wait_group_wait(&parties) == 0, "");
    int v;
    while (tu_channel_try_recv(channel, &v) == 0)
        tokens_in++;
    EXPECT(tokens_in == tokens_out, "%d in, %d out", tokens_in, tokens_out);
    tu_channel_free(channel);
}
