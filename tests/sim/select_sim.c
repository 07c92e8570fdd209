/* select_sim.c - selects against each other and against plain operations: exactly one case happens,
 * values are neither lost nor doubled, whatever does not win is taken off its queue. */
#include "sim/sim_kit.h"

#include "runtime/chan/channel.h"
#include "runtime/context/context.h"

enum { CHANNELS = 3, VALUES_MAX = 128, CASES_MAX = 6 };

static tu_channel *channels[CHANNELS];
static int sent_to[VALUES_MAX], received_from[VALUES_MAX]; /* channel + 1, or 0 */
static unsigned value_count;
static struct tu_wait_group parties;
static tu_context *ending;

static void note_sent(unsigned v, unsigned channel)
{
    EXPECT(sent_to[v] == 0, "value %u sent twice", v);
    sent_to[v] = (int)channel + 1;
}

static void note_received(unsigned v, unsigned channel)
{
    EXPECT(v < value_count, "value %u", v);
    EXPECT(received_from[v] == 0, "value %u received twice", v);
    received_from[v] = (int)channel + 1;
}

static unsigned new_value(void)
{
    EXPECT(value_count < VALUES_MAX, "");
    return value_count++;
}

static void make_channels(unsigned capacity_max)
{
    for (unsigned i = 0; i < CHANNELS; i++)
        channels[i] = tu_channel_make(sizeof(unsigned), random_below(capacity_max + 1));
}

static void drain_and_check(void)
{
    for (unsigned i = 0; i < CHANNELS; i++) {
        unsigned v;
        tu__channel_verify(channels[i]);
        while (tu_channel_try_recv(channels[i], &v) == 0)
            note_received(v, i);
        EXPECT(!channels[i]->receivers.head && !channels[i]->senders.head,
               "somebody is still queued");
        tu_channel_free(channels[i]);
    }
    for (unsigned v = 0; v < value_count; v++)
        EXPECT(sent_to[v] == received_from[v], "value %u: sent to %d, received from %d", v,
               sent_to[v], received_from[v]);
}

/* ---- every select may end in any way ---- */

struct attempt {
    struct tu_select_case cases[CASES_MAX];
    unsigned values[CASES_MAX], channel_of[CASES_MAX], count;
    int64_t least_ns; /* of the deadlines, or -1 */
};

static void add_channel_case(struct attempt *a)
{
    struct tu_select_case *c = &a->cases[a->count];
    a->channel_of[a->count] = random_below(CHANNELS);
    c->channel = channels[a->channel_of[a->count]];
    c->element = &a->values[a->count];
    c->kind = random_below(2) ? TU_SELECT_SEND : TU_SELECT_RECV;
    a->values[a->count] = c->kind == TU_SELECT_SEND ? new_value() : ~0u;
    a->count++;
}

static void add_case(struct attempt *a, enum tu_select_kind kind)
{
    a->cases[a->count++].kind = kind;
}

static void make_attempt(struct attempt *a)
{
    *a = (struct attempt){.least_ns = -1};
    for (unsigned n = 1 + random_below(3); n > 0; n--)
        add_channel_case(a);
    if (random_below(3) == 0) {
        a->least_ns = a->cases[a->count].after_ns = random_between_ns(-1000, 2 * TU_MS);
        add_case(a, TU_SELECT_AFTER);
    }
    if (random_below(3) == 0) {
        a->cases[a->count].context = ending;
        add_case(a, TU_SELECT_DONE);
    }
    if (random_below(5) == 0)
        add_case(a, TU_SELECT_DEFAULT);
    else if (random_below(3) == 0)
        add_case(a, TU_SELECT_CANCEL);
}

static void note_chosen(struct attempt *a, int64_t chosen, int64_t began_ns)
{
    struct tu_select_case *c = &a->cases[chosen];
    switch (c->kind) {
    case TU_SELECT_SEND:
        EXPECT(c->error == 0, "%d", c->error);
        note_sent(a->values[chosen], a->channel_of[chosen]);
        break;
    case TU_SELECT_RECV:
        EXPECT(c->error == 0, "%d", c->error);
        note_received(a->values[chosen], a->channel_of[chosen]);
        break;
    case TU_SELECT_AFTER:
        EXPECT(tu_now() - began_ns >= a->least_ns, "%lld ns early",
               (long long)(a->least_ns - (tu_now() - began_ns)));
        break;
    case TU_SELECT_DONE:
    case TU_SELECT_CANCEL:
        EXPECT(c->error == tu_context_error(ending) && c->error < 0, "%d", c->error);
        break;
    default: EXPECT(c->error == 0, "%d", c->error);
    }
    for (unsigned i = 0; i < a->count; i++)
        if (i != chosen && a->cases[i].kind == TU_SELECT_RECV)
            EXPECT(a->values[i] == ~0u, "case %u was not chosen, but received", i);
}

static void try_everything(unsigned rounds)
{
    tu_in_context(ending) {
        for (unsigned i = 0; i < rounds; i++) {
            struct attempt a;
            make_attempt(&a);
            int64_t began_ns = tu_now(), chosen = tu_selectv(a.cases, a.count);
            if (chosen >= 0)
                note_chosen(&a, chosen, began_ns);
            else
                EXPECT(chosen == tu_context_error(ending), "%lld", (long long)chosen);
        }
    }
    tu_wait_group_done(&parties);
}

static void foreign_try(void *rounds)
{
    try_everything((unsigned)(uintptr_t)rounds);
}

SCENARIO(select, anything_may_win)
{
    unsigned n = 2 + random_below(4), rounds = 1 + random_below(5);
    make_channels(2);
    ending = random_below(2) ? tu_with_timeout(NULL, random_between_ns(0, 5 * TU_MS))
                             : tu_with_cancel(NULL);
    tu_wait_group_add(&parties, (int)n);
    for (unsigned i = 0; i < n; i++) {
        if (random_below(5) == 0)
            foreign_thread(foreign_try, (void *)(uintptr_t)rounds);
        else
            EXPECT(tu_go(try_everything, rounds) == 0, "");
    }
    if (random_below(2))
        EXPECT(tu_sleep(random_between_ns(0, 6 * TU_MS)) == 0, "");
    for (unsigned i = random_below(10); i > 0; i--)
        tu_yield();
    tu_context_cancel(ending, -ECANCELED); /* whoever still waits ends now */
    EXPECT(tu_wait_group_wait(&parties) == 0, "");
    tu__context_verify(ending);
    tu_context_release(ending);
    drain_and_check();
}

/* ---- as many sends as receives, nothing but channels: one lost wake hangs ---- */

static void only_send(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned v = new_value(), first = random_below(CHANNELS);
        struct tu_select_case cases[CHANNELS] = {0};
        for (unsigned k = 0; k < CHANNELS; k++)
            cases[k] = (struct tu_select_case){
                .kind = TU_SELECT_SEND, .channel = channels[(first + k) % CHANNELS], .element = &v};
        int64_t chosen = tu_selectv(cases, CHANNELS);
        EXPECT(chosen >= 0 && cases[chosen].error == 0, "%lld", (long long)chosen);
        note_sent(v, (first + (unsigned)chosen) % CHANNELS);
    }
    tu_wait_group_done(&parties);
}

static void only_receive(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned v[CHANNELS], first = random_below(CHANNELS);
        struct tu_select_case cases[CHANNELS] = {0};
        for (unsigned k = 0; k < CHANNELS; k++)
            cases[k] = (struct tu_select_case){.kind = TU_SELECT_RECV,
                                               .channel = channels[(first + k) % CHANNELS],
                                               .element = &v[k]};
        int64_t chosen = tu_selectv(cases, CHANNELS);
        EXPECT(chosen >= 0 && cases[chosen].error == 0, "%lld", (long long)chosen);
        note_received(v[chosen], (first + (unsigned)chosen) % CHANNELS);
    }
    tu_wait_group_done(&parties);
}

SCENARIO(select, as_many_sends_as_receives)
{
    unsigned pairs = 1 + random_below(3), each = 1 + random_below(6);
    make_channels(1);
    tu_wait_group_add(&parties, (int)(2 * pairs));
    for (unsigned i = 0; i < pairs; i++) {
        EXPECT(tu_go(only_send, each) == 0, "");
        EXPECT(tu_go(only_receive, each) == 0, "");
    }
    EXPECT(tu_wait_group_wait(&parties) == 0, "");
    drain_and_check();
}

/* A channel and a plain party at the other end of each: the select is the only one that moves around. */
static void plain_sender(unsigned channel, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned v = new_value();
        EXPECT(tu_channel_send(channels[channel], &v) == 0, "");
        note_sent(v, channel);
    }
    tu_wait_group_done(&parties);
}

SCENARIO(select, collects_from_plain_senders)
{
    unsigned each = 1 + random_below(8);
    make_channels(random_below(3));
    tu_wait_group_add(&parties, CHANNELS + 1);
    for (unsigned i = 0; i < CHANNELS; i++)
        EXPECT(tu_go(plain_sender, i, each) == 0, "");
    only_receive(CHANNELS * each);
    EXPECT(tu_wait_group_wait(&parties) == 0, "");
    drain_and_check();
}

/* ---- closing under selects ---- */

static void until_closed(void)
{
    bool open[CHANNELS] = {true, true, true};
    unsigned left = CHANNELS;
    while (left > 0) {
        struct tu_select_case cases[CHANNELS];
        unsigned v[CHANNELS], of[CHANNELS], n = 0;
        for (unsigned i = 0; i < CHANNELS; i++)
            if (open[i]) {
                of[n] = i;
                v[n] = 77;
                cases[n] = (struct tu_select_case){
                    .kind = TU_SELECT_RECV, .channel = channels[i], .element = &v[n]};
                n++;
            }
        int64_t k = tu_selectv(cases, n);
        EXPECT(k >= 0 && (cases[k].error == 0 || cases[k].error == -EPIPE), "");
        if (cases[k].error == 0) {
            note_received(v[k], of[k]);
            continue;
        }
        EXPECT(v[k] == 0, "closed, but the element is %u", v[k]);
        open[of[k]] = false;
        left--;
    }
    tu_wait_group_done(&parties);
}

static void send_and_close(unsigned channel, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned v = new_value();
        struct tu_select_case c[2] = {
            {.kind = TU_SELECT_SEND, .channel = channels[channel], .element = &v},
            {.kind = TU_SELECT_AFTER, .after_ns = random_between_ns(0, TU_MS)}};
        if (tu_selectv(c, 2) == 0)
            note_sent(v, channel);
    }
    tu_channel_close(channels[channel]);
    tu_wait_group_done(&parties);
}

SCENARIO(select, close_reaches_everybody)
{
    unsigned n = 1 + random_below(3);
    make_channels(2);
    tu_wait_group_add(&parties, (int)n + CHANNELS);
    for (unsigned i = 0; i < n; i++)
        EXPECT(tu_go(until_closed) == 0, "");
    for (unsigned i = 0; i < CHANNELS; i++)
        EXPECT(tu_go(send_and_close, i, random_below(5)) == 0, "");
    EXPECT(tu_wait_group_wait(&parties) == 0, "");
    drain_and_check();
}
