/* select.c - waiting on several channels, contexts and one deadline at once.
 *
 * One sleeper, one place per case, exactly one winner: whoever claims the sleeper first. A select goes
 * through up to four steps:
 *
 *   1 look   in random order at what is ready, locking only a channel that seems to be. Most selects
 *            end here, after one lock. The order is what makes a select fair.
 *   2 lock   every channel, by address, so that two selects cannot wait for each other, and look
 *            again: only this look sees one moment of all channels, as default and a park need.
 *   3 park   with all places linked and the timer armed. Any of them may win before we have parked;
 *            the sleeper settles that (park.h).
 *   4 leave  the queues of those that did not win. The winner's channel needs no lock: its waker
 *            took our place off.
 *
 * Locking one channel after the other without step 2 was rejected: a select with default could then
 * miss a value that moves from a channel not yet looked at to one already passed.
 */
#include <tuco/select.h>

#include <tuco/go.h>

#include "base/check.h"
#include "runtime/chan/channel.h"
#include "runtime/sched/cancel.h"
#include "runtime/time/timer.h"

enum { NONE = -1 };

struct selection {
    struct tu_select_case *cases;
    size_t polled;     /* cases that can become ready: cases[0..polled).tu__poll, shuffled */
    size_t contexts;   /* of them, those on a context of their own */
    size_t locked;     /* of them, those on channels: cases[0..locked).tu__lock, by address */
    uint64_t random;   /* a linear congruential generator, started by random_seed */
    int64_t after;     /* index of the case with the earliest deadline, or NONE */
    int64_t cancel;    /* index of the last TU_SELECT_CANCEL, or NONE */
    int64_t otherwise; /* index of TU_SELECT_DEFAULT, or NONE */
    struct tu__cancel *current; /* the current context, or NULL */
    struct tu__sleeper sleeper;
    struct tu__place place; /* in `current` */
    int64_t deadline_ns;    /* of `after`, on the tu_now() clock */
    struct tu__timer timer;
    int32_t self_won; /* error of a context that ended before we could watch it, or 0 */
};

static inline struct tu__place *place_of(struct tu_select_case *c)
{
    _Static_assert(sizeof(struct tu__place) <= sizeof c->tu__place, "no room for the place");
    return (struct tu__place *)c->tu__place;
}

static inline struct tu__cancel *cancel_of(const struct tu_select_case *c)
{
    return (struct tu__cancel *)c->context; /* a context begins with one */
}

/* Seeds one selection. One xorshift state per thread: nothing parks in here, so the address of the
 * thread's variable cannot go stale. */
static __attribute__((noinline)) uint64_t random_seed(void)
{
    static _Thread_local uint64_t state;
    uint64_t x = state;
    if (x == 0)
        x = (uintptr_t)&state * UINT64_C(0x9e3779b97f4a7c15) | 1;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    state = x;
    return x;
}

/* Puts the case at a random place among those polled so far. */
static inline void add_poll(struct selection *s, size_t index)
{
    s->random = s->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    size_t at = (size_t)((s->random >> 32) * (s->polled + 1) >> 32);
    s->cases[s->polled].tu__poll = s->cases[at].tu__poll;
    s->cases[at].tu__poll = (uint32_t)index;
    s->polled++;
}

static void add_after(struct selection *s, size_t index)
{
    if (s->after == NONE || s->cases[index].after_ns < s->cases[s->after].after_ns)
        s->after = (int64_t)index;
}

/* Sorts the cases into those polled, the deadline, default. */
static void collect(struct selection *s, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct tu_select_case *c = &s->cases[i];
        switch (c->kind) {
        case TU_SELECT_RECV:
        case TU_SELECT_SEND:
            if (c->channel)
                add_poll(s, i);
            break;
        case TU_SELECT_DONE:
            if (c->context) {
                add_poll(s, i);
                s->contexts++;
            }
            break;
        case TU_SELECT_CANCEL:
            s->cancel = (int64_t)i;
            if (s->current)
                add_poll(s, i);
            break;
        case TU_SELECT_AFTER: add_after(s, i); break;
        case TU_SELECT_DEFAULT: s->otherwise = (int64_t)i; break;
        default: tu_check(false, "tu_selectv: case %zu is of unknown kind %d", i, (int)c->kind);
        }
    }
}

/* ---- steps 1 and 2: what is ready? ---- */

static inline __attribute__((always_inline)) int
try_case(struct selection *s, struct tu_select_case *c, struct tu__sleeper **wake)
{
    switch (c->kind) {
    case TU_SELECT_RECV: return channel_recv_locked(c->channel, c->element, wake);
    case TU_SELECT_SEND: return channel_send_locked(c->channel, c->element, wake);
    case TU_SELECT_DONE: return tu__cancel_error(cancel_of(c));
    default: return tu__cancel_error(s->current);
    }
}

/* Could the case be ready? Without locks; false may be out of date, so it decides nothing. */
static inline bool seems_ready(struct selection *s, const struct tu_select_case *c)
{
    switch (c->kind) {
    case TU_SELECT_RECV: return !channel_seems_drained(c->channel) || channel_closed(c->channel);
    case TU_SELECT_SEND: return !channel_seems_full(c->channel) || channel_closed(c->channel);
    case TU_SELECT_DONE: return tu__cancel_error(cancel_of(c)) != 0;
    default: return tu__cancel_error(s->current) != 0;
    }
}

static inline bool on_channel(const struct tu_select_case *c)
{
    return c->kind == TU_SELECT_RECV || c->kind == TU_SELECT_SEND;
}

/* Is the answer of try_case that the case is done? A context answers 0 for "not yet". */
static inline bool is_done(const struct tu_select_case *c, int rc)
{
    return on_channel(c) ? rc != -EAGAIN : rc != 0;
}

static inline int64_t look(struct selection *s)
{
    for (size_t k = 0; k < s->polled; k++) {
        uint32_t index = s->cases[k].tu__poll;
        struct tu_select_case *c = &s->cases[index];
        if (!seems_ready(s, c))
            continue;
        struct tu__sleeper *wake = NULL;
        if (on_channel(c))
            tu__lock(&c->channel->lock);
        int rc = try_case(s, c, &wake);
        if (on_channel(c))
            tu__unlock(&c->channel->lock);
        if (!is_done(c, rc))
            continue;
        c->error = rc;
        if (wake)
            tu__sleeper_wake(wake);
        return index;
    }
    return NONE;
}

/* The channel of the k-th in lock order. */
static inline tu_channel *channel_at(const struct selection *s, size_t k)
{
    return s->cases[s->cases[k].tu__lock].channel;
}

/* Shell sort: a plain insertion sort for the usual handful. It begins in random order and leaves cases on one
 * channel in that: whoever comes to a parked select takes its first place there, and must not find the same
 * case each time. */
static void sort_locks(struct selection *s)
{
    struct tu_select_case *cases = s->cases;
    for (size_t k = 0; k < s->polled; k++)
        if (on_channel(&cases[cases[k].tu__poll]))
            cases[s->locked++].tu__lock = cases[k].tu__poll;
    size_t n = s->locked, gap = 1;
    while (gap < n / 16)
        gap = gap * 3 + 1;
    for (; gap > 0; gap /= 3) {
        for (size_t i = gap; i < n; i++) {
            uint32_t moved = cases[i].tu__lock;
            tu_channel *channel = cases[moved].channel;
            size_t k = i;
            for (; k >= gap && (uintptr_t)channel_at(s, k - gap) > (uintptr_t)channel; k -= gap)
                cases[k].tu__lock = cases[k - gap].tu__lock;
            cases[k].tu__lock = moved;
        }
    }
}

static void lock_all(struct selection *s)
{
    tu_channel *before = NULL;
    for (size_t k = 0; k < s->locked; k++) {
        tu_channel *c = channel_at(s, k);
        if (c != before)
            tu__lock(&c->lock);
        before = c;
    }
}

static void unlock_all(struct selection *s)
{
    tu_channel *before = NULL;
    for (size_t k = 0; k < s->locked; k++) {
        tu_channel *c = channel_at(s, k);
        if (c != before)
            tu__unlock(&c->lock);
        before = c;
    }
}

/* With all channels locked. */
static int64_t look_locked(struct selection *s, struct tu__sleeper **wake)
{
    for (size_t k = 0; k < s->polled; k++) {
        uint32_t index = s->cases[k].tu__poll;
        struct tu_select_case *c = &s->cases[index];
        int rc = try_case(s, c, wake);
        if (is_done(c, rc)) {
            c->error = rc;
            return index;
        }
    }
    return NONE;
}

/* ---- steps 3 and 4: park, and leave the queues again ---- */

static void fire(struct tu__timer *t, void *arg)
{
    struct selection *s = arg;
    if (tu__sleeper_claim(&s->sleeper, (int32_t)s->after * 2 + CHANNEL_DONE))
        tu__sleeper_wake(&s->sleeper);
}

static void join_channels(struct selection *s)
{
    for (size_t k = 0; k < s->locked; k++) {
        uint32_t index = s->cases[k].tu__lock;
        struct tu_select_case *c = &s->cases[index];
        struct tu__place *p = place_of(c);
        p->sleeper = &s->sleeper;
        p->element = c->element;
        p->outcome = (int32_t)index * 2;
        tu__queue_push(c->kind == TU_SELECT_RECV ? &c->channel->receivers : &c->channel->senders,
                       p);
    }
}

static void join_context(struct selection *s, struct tu__cancel *c, struct tu__place *p)
{
    p->sleeper = &s->sleeper;
    int error = tu__cancel_watch(c, p);
    if (error != 0 && tu__sleeper_claim(&s->sleeper, error))
        s->self_won = error;
}

static void join_others(struct selection *s)
{
    for (size_t k = 0; s->contexts > 0 && k < s->polled; k++) {
        struct tu_select_case *c = &s->cases[s->cases[k].tu__poll];
        if (c->kind == TU_SELECT_DONE)
            join_context(s, cancel_of(c), place_of(c));
    }
    if (s->current)
        join_context(s, s->current, &s->place);
    if (s->after != NONE) {
        s->timer = (struct tu__timer){0};
        tu__timer_start(&s->timer, s->deadline_ns, fire, s);
    }
}

/* Leaves the queues of all channels; `won` is the case whose place was taken off by its waker. */
static void leave_channels(struct selection *s, int64_t won)
{
    size_t n = s->locked;
    for (size_t k = 0, end; k < n; k = end) {
        tu_channel *channel = channel_at(s, k);
        for (end = k + 1; end < n && channel_at(s, end) == channel;)
            end++;
        if (end == k + 1 && s->cases[k].tu__lock == won)
            continue;
        tu__lock(&channel->lock);
        for (size_t i = k; i < end; i++) {
            struct tu_select_case *c = &s->cases[s->cases[i].tu__lock];
            struct tu__place *p = place_of(c);
            if (p->queued)
                tu__queue_remove(
                    c->kind == TU_SELECT_RECV ? &channel->receivers : &channel->senders, p);
        }
        tu__unlock(&channel->lock);
    }
}

static void leave(struct selection *s, int64_t won)
{
    leave_channels(s, won);
    if (s->after != NONE)
        tu__timer_stop(&s->timer);
    for (size_t k = 0; s->contexts > 0 && k < s->polled; k++) {
        struct tu_select_case *c = &s->cases[s->cases[k].tu__poll];
        if (c->kind == TU_SELECT_DONE)
            tu__cancel_unwatch(cancel_of(c), place_of(c));
    }
    if (s->current)
        tu__cancel_unwatch(s->current, &s->place);
}

/* A context woke us with its error: which case is that? */
static int64_t ended_context(struct selection *s, int32_t error)
{
    for (size_t k = 0; k < s->polled; k++) {
        uint32_t index = s->cases[k].tu__poll;
        struct tu_select_case *c = &s->cases[index];
        if (c->kind == TU_SELECT_DONE && (c->error = tu__cancel_error(cancel_of(c))) != 0)
            return index;
    }
    if (s->cancel == NONE)
        return error;
    s->cases[s->cancel].error = error;
    return s->cancel;
}

/* Caller holds all channels' locks. */
static int64_t park(struct selection *s)
{
    bool hopeless = s->polled == 0 && s->after == NONE;
    tu__sleeper_init(&s->sleeper, true);
    s->self_won = 0;
    join_channels(s);
    join_others(s);
    unlock_all(s);
    int32_t outcome = s->self_won;
    if (outcome == 0)
        outcome = tu__sleeper_park(&s->sleeper, NULL, NULL,
                                   hopeless ? TU__WAIT_FOREVER : TU__WAIT_SELECT);
    int64_t won = outcome > 0 ? (outcome - 1) / 2 : NONE;
    leave(s, won == s->after ? NONE : won);
    if (outcome < 0)
        return ended_context(s, outcome);
    s->cases[won].error = (outcome - 1) % 2 + 1 == CHANNEL_CLOSED ? -EPIPE : 0;
    return won;
}

/* Sets the time of the earliest tu_on_after. False if it has come already. */
static bool set_deadline(struct selection *s)
{
    if (s->after == NONE)
        return true;
    int64_t wait_ns = s->cases[s->after].after_ns;
    if (wait_ns <= 0)
        return false;
    if (__builtin_add_overflow(tu_now(), wait_ns, &s->deadline_ns))
        s->deadline_ns = INT64_MAX;
    return true;
}

static int64_t select_general(struct tu_select_case *cases, size_t count)
{
    struct selection s;
    s.cases = cases;
    s.polled = s.contexts = s.locked = 0;
    s.random = random_seed();
    s.after = s.cancel = s.otherwise = NONE;
    s.current = tu__cancel_current();
    s.place.queued = false;
    collect(&s, count);
    int64_t chosen = look(&s);
    if (chosen != NONE)
        return chosen;
    int64_t at_once = s.otherwise;
    if (at_once == NONE && !set_deadline(&s))
        at_once = s.after;
    sort_locks(&s);
    lock_all(&s);
    struct tu__sleeper *wake = NULL;
    chosen = look_locked(&s, &wake);
    int32_t ended = s.current ? tu__cancel_error(s.current) : 0;
    if (chosen == NONE && at_once == NONE && ended == 0)
        return park(&s);
    unlock_all(&s);
    if (wake)
        tu__sleeper_wake(wake);
    if (chosen != NONE)
        return chosen;
    if (at_once != NONE) {
        cases[at_once].error = 0;
        return at_once;
    }
    /* A loop that does not look at its context must not keep others from running. */
    tu_yield();
    return ended_context(&s, ended);
}

/* One channel and nothing else: the plain operation. */
static int64_t select_one(struct tu_select_case *c, bool wait)
{
    int rc;
    if (c->kind == TU_SELECT_RECV)
        rc = wait ? tu_channel_recv(c->channel, c->element)
                  : tu_channel_try_recv(c->channel, c->element);
    else
        rc = wait ? tu_channel_send(c->channel, c->element)
                  : tu_channel_try_send(c->channel, c->element);
    if (rc == 0 || (rc == -EPIPE && c->channel && channel_closed(c->channel))) {
        c->error = rc;
        return 0;
    }
    return rc; /* the context's error, which might be -EPIPE as well, or -EAGAIN */
}

int64_t tu_selectv(struct tu_select_case *cases, size_t count)
{
    tu_check(count < INT32_MAX / 2, "tu_selectv: %zu cases", count);
    if (count == 1 && on_channel(&cases[0]))
        return select_one(&cases[0], true);
    if (count == 2 && on_channel(&cases[0]) && cases[1].kind == TU_SELECT_DEFAULT) {
        if (select_one(&cases[0], false) == 0)
            return 0;
        cases[1].error = 0;
        return 1;
    }
    return select_general(cases, count);
}

/* ---- behind the macros ---- */

static struct tu_select_case *add_case(struct tu__select *s, enum tu_select_kind kind)
{
    tu_check(s->count < TU_SELECT_CASES, "tu_select: more than %d cases; use tu_selectv",
             TU_SELECT_CASES);
    struct tu_select_case *c = &s->cases[s->count++];
    c->kind = kind;
    return c;
}

bool tu__select_recv(struct tu__select *s, tu_channel *channel, size_t bytes)
{
    struct tu_select_case *c = add_case(s, TU_SELECT_RECV);
    c->channel = channel;
    if (bytes > s->recv_bytes)
        s->recv_bytes = (uint32_t)(bytes < TU_SELECT_BYTES ? bytes : TU_SELECT_BYTES + 1);
    return false;
}

bool tu__select_send(struct tu__select *s, tu_channel *channel, const void *value, size_t bytes)
{
    struct tu_select_case *c = add_case(s, TU_SELECT_SEND);
    tu_check(bytes <= TU_SELECT_BYTES - s->sent_bytes,
             "tu_select: more than %d bytes of values; use tu_selectv", TU_SELECT_BYTES);
    c->channel = channel;
    c->element = s->values + s->sent_bytes;
    memcpy(c->element, value, bytes);
    s->sent_bytes += (uint32_t)((bytes + 15) & ~(size_t)15);
    return false;
}

bool tu__select_done(struct tu__select *s, tu_context *context)
{
    add_case(s, TU_SELECT_DONE)->context = context;
    return false;
}

bool tu__select_after(struct tu__select *s, int64_t after_ns)
{
    add_case(s, TU_SELECT_AFTER)->after_ns = after_ns;
    return false;
}

bool tu__select_other(struct tu__select *s, enum tu_select_kind kind)
{
    add_case(s, kind);
    return false;
}

/* Only one receive can win, so all of them share the space behind the values to send. */
void tu__select_wait(struct tu__select *s)
{
    tu_check(s->recv_bytes <= TU_SELECT_BYTES - s->sent_bytes,
             "tu_select: more than %d bytes of values; use tu_selectv", TU_SELECT_BYTES);
    for (uint32_t i = 0; i < s->count; i++)
        if (s->cases[i].kind == TU_SELECT_RECV)
            s->cases[i].element = s->values + s->sent_bytes;
    s->chosen = tu_selectv(s->cases, s->count);
}
