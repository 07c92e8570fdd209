/* time.h - timers and tickers: something happens later, once or again and again.
 *
 *     tu_timer *idle = tu_timer_call(30 * TU_S, hang_up, session);   calls hang_up(session) on a goroutine
 *     tu_timer_reset(idle, 30 * TU_S);                               something came: wait anew
 *
 *     tu_timer *tick = tu_ticker_make(TU_S);
 *     tu_defer(tu_timer_free, tick);
 *     for (bool more = true; more;)
 *         tu_select() {
 *             tu_on_recv(tu_timer_chan(tick), now) { report(now); }
 *             tu_on_done(ctx) { more = false; }
 *         }
 *
 * For a single wait tu_sleep and tu_on_after are simpler, and need no timer to be freed.
 *
 * A timer belongs to who made it, until tu_timer_free. Any goroutine or plain thread may stop and reset it,
 * several at once, and also from inside its own call; nothing here parks. The runtime must have been
 * started. Times are at least as long as asked for; how much longer depends on what runs: microseconds
 * where a P is idle, some 10 ms where every P computes.
 */
#pragma once

#include <tuco/base.h>
#include <tuco/chan.h>
#include <tuco/go.h>

TU_BEGIN_DECLS

typedef struct tu_timer tu_timer; /* a timer or a ticker */

/* As a delay: the timer is made (or left) unarmed; tu_timer_reset starts it. */
#define TU_NEVER INT64_MAX

/* Puts the time (tu_now() clock) into its channel once, `delay_ns` from now (0 or less: at once).
 * NULL: out of memory. */
TU_API tu_timer *tu_timer_make(int64_t delay_ns);
/* The same every `period_ns` (> 0, else it aborts). The channel holds one tick: a receiver that is slow finds
 * the ones it missed dropped, and the later ones still at whole periods from the start. */
TU_API tu_timer *tu_ticker_make(int64_t period_ns);

/* The channel of a timer or ticker, a tu_chan(int64_t); it lives as long as the timer does, and is never
 * closed. tu_timer_call's have none: aborts. */
TU_API tu_channel *tu_timer_channel(tu_timer *timer);
#define tu_timer_chan(timer) ((tu_chan(int64_t))(uintptr_t)tu_timer_channel(timer))

/* After either of these has returned, nothing that the timer did before can be received or called any
 * more: a value that still lay in the channel is gone. (A call that has begun goes on; so may a receiver
 * that had got the value.) True if the timer was stopped in time: it was armed, or its value had not been
 * received. tu_timer_reset then arms it, for a delay or, a ticker, with a new period. */
TU_API bool tu_timer_stop(tu_timer *timer);
TU_API bool tu_timer_reset(tu_timer *timer, int64_t duration_ns);

/* Stops and frees it, with its channel: nobody may use either any more, nor wait on the channel. Allowed inside its
 * own call, and does not wait for it. NULL is allowed. */
TU_API void tu_timer_free(tu_timer *timer);

/* What the macro below is made of. */
TU_API tu_timer *tu__timer_call(int64_t delay_ns, void (*fn)(void), uintptr_t word,
                                const struct tu_site *site);

TU_END_DECLS

/* tu_timer_call(delay_ns, function, argument): a timer that calls function(argument) on a goroutine of its
 * own, in the background context. The argument is an integer or a pointer; the result is dropped. Calls of
 * one timer may overlap if it is reset while one runs. NULL: out of memory. */
#ifndef __cplusplus
#define tu__timer_word(fn, argument)                    \
    ({                                                  \
        if (0)                                          \
            (void)(fn)(argument); /* type check only */ \
        tu__word(argument);                             \
    })
#else
#define tu__timer_word(fn, argument) \
    ({                               \
        if (0)                       \
            (void)(fn)(argument);    \
        (uintptr_t)(argument);       \
    })
#endif
#define tu_timer_call(delay_ns, fn, argument)                                                      \
    ({                                                                                             \
        static const struct tu_site tu__site = {__FILE__, __LINE__, #fn};                          \
        tu__timer_call((delay_ns), (void (*)(void))(fn), tu__timer_word(fn, argument), &tu__site); \
    })
