/* sleep.c - tu_sleep: a timer, and the current context. */
#include "platform/clock.h"
#include "platform/thread.h"
#include "runtime/sched/park.h"
#include "runtime/sched/schedule.h"
#include "runtime/time/timer.h"

#include <tuco/go.h>

static void wake_sleeper(struct tu__timer *timer, void *arg)
{
    struct tu__sleeper *s = arg;
    if (tu__sleeper_claim(s, 1))
        tu__sleeper_wake(s);
}

int tu_sleep(int64_t duration_ns)
{
    struct tu__cancel *cancel = tu__cancel_current();
    if (!tu_on_goroutine() && !cancel) {
        if (duration_ns > 0)
            thread_sleep_ns(duration_ns);
        return 0;
    }
    if (duration_ns <= 0) {
        tu_yield();
        return cancel ? atomic_load_explicit(&cancel->error, memory_order_acquire) : 0;
    }
    int64_t now_ns = clock_monotonic_ns();
    struct tu__sleeper sleeper;
    struct tu__timer timer = {0};
    struct tu__place place = {.sleeper = &sleeper, .outcome = 1};
    int64_t when_ns = duration_ns > INT64_MAX - 1 - now_ns ? INT64_MAX - 1 : now_ns + duration_ns;
    tu__sleeper_init_for(&sleeper, true, &timer);
    if (cancel) {
        int error = tu__cancel_watch(cancel, &place);
        if (error)
            return error;
    }
    tu__timer_start(&timer, when_ns, wake_sleeper, &sleeper);
    int32_t outcome = tu__sleeper_park(&sleeper, NULL, NULL, TU__WAIT_SLEEP);
    (void)tu__timer_stop(&timer);
    if (cancel)
        tu__cancel_unwatch(cancel, &place);
    return outcome < 0 ? outcome : 0;
}
