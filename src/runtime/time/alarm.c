/* alarm.c - the timers and tickers of <tuco/time.h>, on those of timer.h.
 *
 * A stop or a reset must leave nothing of before behind: neither a value in the channel nor a fire that is on
 * its way. The first is simple, since only the fire sends and it does so under the timer's lock: whoever holds that
 * lock empties the channel. The second is settled by the fire itself. Under the lock it compares the
 * time with the deadline that is set now: a fire of a start before is too early for it, or the timer
 * is not armed at all, and does nothing. If the new deadline has come as well it counts for that one, and takes the
 * start that belongs to it off the heap. So nobody ever waits for a fire but tu_timer_free.
 *
 *   armed  implies  timer is in a heap, or a fire is on its way
 *
 * Rejected: a number for each start, compared by the fire (the same, with a counter more); to put a channel timer
 * into a heap only while somebody waits for it, as Go does (a stopped timer is then garbage without a stop, which
 * is of no use here); to call the function in the fire itself (it might park, and fires of others would wait).
 */
#include <tuco/time.h>

#include <tuco/mem.h>

#include "base/check.h"
#include "runtime/gc/gc_anchor.h"
#include "runtime/sched/park.h"
#include "runtime/time/timer.h"

#define RETRY_NS TU_MS /* no memory for a goroutine: when to try again */

struct tu_timer {
    struct tu__lock lock;
    bool armed;          /* under lock, as all that changes */
    int64_t when_ns;     /* deadline, while armed */
    int64_t period_ns;   /* of a ticker; 0: once */
    tu_channel *channel; /* NULL: calls fn(word) */
    void (*fn)(void);
    uintptr_t word;
    struct tu__gc_anchor anchor; /* word: it may be a pointer to an object */
    const struct tu_site *site;
    struct tu__timer timer;
};

static void fire(struct tu__timer *timer, void *arg);

/* The end of time as a deadline is one that no clock reaches; INT64_MAX itself means "none" in a heap. */
static int64_t later(int64_t now_ns, int64_t delay_ns)
{
    int64_t when_ns;
    if (delay_ns <= 0)
        return now_ns;
    return __builtin_add_overflow(now_ns, delay_ns, &when_ns) ? INT64_MAX - 1 : when_ns;
}

/* Caller holds the lock, and the timer is in no heap. */
static void arm(tu_timer *t, int64_t when_ns)
{
    t->armed = true;
    t->when_ns = when_ns;
    tu__timer_start(&t->timer, when_ns, fire, t);
}

/* False: there was no memory for the goroutine. */
static bool deliver(tu_timer *t, int64_t now_ns)
{
    if (!t->channel)
        return tu_go_words(t->fn, 1, &t->word, t->site) == 0;
    int rc = tu_channel_try_send(t->channel, &now_ns); /* full: the tick is dropped */
    tu_check(rc == 0 || rc == -EAGAIN, "the channel of a timer was closed");
    return true;
}

/* Of a ticker that is late by any number of periods: the next deadline in its row. */
static int64_t next_tick(const tu_timer *t, int64_t now_ns)
{
    int64_t missed = (now_ns - t->when_ns) / t->period_ns;
    return later(t->when_ns + missed * t->period_ns, t->period_ns);
}

static void fire(struct tu__timer *timer, void *arg)
{
    tu_timer *t = arg;
    tu__lock(&t->lock);
    int64_t now_ns = tu_now();
    if (t->armed && t->when_ns <= now_ns) {
        (void)tu__timer_disarm(timer); /* the start of a reset that we came before */
        if (!deliver(t, now_ns))
            arm(t, now_ns + RETRY_NS);
        else if (t->period_ns > 0)
            arm(t, next_tick(t, now_ns));
        else
            t->armed = false;
    }
    tu__unlock(&t->lock);
}

/* Caller holds the lock. True if something was stopped. */
static bool disarm(tu_timer *t)
{
    bool stopped = t->armed;
    int64_t stale;
    if (t->armed)
        (void)tu__timer_disarm(&t->timer);
    t->armed = false;
    if (t->channel && tu_channel_try_recv(t->channel, &stale) == 0)
        stopped = true;
    return stopped;
}

static tu_timer *make(bool with_channel)
{
    tu_timer *t = tu_alloc_zeroed(sizeof *t);
    if (!t || !with_channel)
        return t;
    t->channel = tu_channel_make(sizeof(int64_t), 1);
    if (!t->channel) {
        tu_free(t);
        return NULL;
    }
    return t;
}

tu_timer *tu_timer_make(int64_t delay_ns)
{
    tu_timer *t = make(true);
    if (t)
        (void)tu_timer_reset(t, delay_ns);
    return t;
}

tu_timer *tu_ticker_make(int64_t period_ns)
{
    tu_check(period_ns > 0, "tu_ticker_make: a period of %lld ns", (long long)period_ns);
    tu_timer *t = make(true);
    if (t) {
        t->period_ns = period_ns;
        (void)tu_timer_reset(t, period_ns);
    }
    return t;
}

tu_timer *tu__timer_call(int64_t delay_ns, void (*fn)(void), uintptr_t word,
                         const struct tu_site *site)
{
    tu_timer *t = make(false);
    if (t) {
        t->fn = fn;
        t->word = word;
        tu__gc_anchor_add(&t->anchor, &t->word, sizeof t->word);
        t->site = site;
        (void)tu_timer_reset(t, delay_ns);
    }
    return t;
}

tu_channel *tu_timer_channel(tu_timer *t)
{
    tu_check(t->channel, "tu_timer_channel of a timer that calls a function");
    return t->channel;
}

bool tu_timer_stop(tu_timer *t)
{
    tu__lock(&t->lock);
    bool stopped = disarm(t);
    tu__unlock(&t->lock);
    return stopped;
}

bool tu_timer_reset(tu_timer *t, int64_t duration_ns)
{
    tu__lock(&t->lock);
    bool stopped = disarm(t);
    if (t->period_ns > 0) {
        tu_check(duration_ns > 0, "tu_timer_reset: a period of %lld ns", (long long)duration_ns);
        t->period_ns = duration_ns;
    }
    if (duration_ns != TU_NEVER)
        arm(t, later(tu_now(), duration_ns));
    tu__unlock(&t->lock);
    return stopped;
}

void tu_timer_free(tu_timer *t)
{
    if (!t)
        return;
    (void)tu_timer_stop(t);
    /* A fire may still be inside; it does nothing any more, and on its thread nobody waits for us. */
    (void)tu__timer_stop(&t->timer);
    tu_channel_free(t->channel);
    tu__gc_anchor_remove(&t->anchor);
    tu_free(t);
}
