/* select.h - wait for the first of several: values, free slots, deadlines, ends of contexts.
 *
 *     tu_select() {
 *         tu_on_recv(c, v) { use(v); }              v is declared here, of c's element type
 *         tu_on_send(d, 7) { sent++; }
 *         tu_on_after(50 * TU_MS) { slow(); }       nothing else was ready for that long
 *         tu_on_done(ctx) { stop(); }               that context has ended
 *         tu_on_cancel(err) { return err; }         the current context has ended
 *         tu_default() { }                          nothing is ready now; the select does not park
 *     }
 *
 * Exactly one body runs; of several that are ready, one picked at random. All channels, values, times
 * and contexts are evaluated once, in order, before anything is sent or received. May park, on a
 * goroutine or a plain thread; with tu_default it never does.
 *
 * In a body, tu_select_error() is 0, or -EPIPE when its channel is closed: the received v is then
 * zeroed, the value to send was not sent. tu_recv_ok() is short for `tu_select_error() == 0`. In the
 * bodies of tu_on_done and tu_on_cancel it is the error of the context. A case on a null channel or a
 * null context is never ready.
 *
 * When the current context ends while nothing is ready, tu_on_cancel runs, or, where that is
 * missing, no body at all: so a loop around a select wants a tu_on_cancel that leaves it. tu_on_cancel
 * counts as ready from the start if the context has ended before; without it, what is ready goes first.
 *
 * `break` and `continue` in a body leave the select (and nothing around it); `return` and `goto` work
 * as everywhere. Selects nest. A case may stand in an `if` or a loop inside the select, as long as
 * that goes the same way twice: the block is run once to collect the cases and once to run the body.
 * At most TU_SELECT_CASES cases, and TU_SELECT_BYTES bytes of values (those sent, each rounded up to
 * 16, plus the largest one received); tu_selectv has no such limits.
 */
#pragma once

/* Nested selects reuse the macros' own names; that shadowing is not the user's to hear about. */
#pragma GCC system_header

#include <tuco/base.h>
#include <tuco/chan.h>
#include <tuco/context.h>

TU_BEGIN_DECLS

enum tu_select_kind {
    TU_SELECT_RECV,    /* channel, element: where the value goes */
    TU_SELECT_SEND,    /* channel, element: the value */
    TU_SELECT_DONE,    /* context */
    TU_SELECT_AFTER,   /* after_ns from now; 0 or less: at once, if nothing else is ready */
    TU_SELECT_CANCEL,  /* the current context */
    TU_SELECT_DEFAULT, /* nothing else is ready */
};

struct tu_select_case {
    enum tu_select_kind kind;
    int error; /* out, for the case that was chosen: as tu_select_error() */
    union {
        tu_channel *channel;
        tu_context *context;
        int64_t after_ns;
    };
    void *element;
    /* The rest is the runtime's; no need to set it. */
    uint32_t tu__poll, tu__lock;
    uintptr_t tu__place[6];
};

/* Waits for one of `count` cases and does it. Its index, or the error of the current context if that
 * ends first and no case is TU_SELECT_CANCEL. With no cases at all: parks until the context ends.
 * The cases may be used again. May park. */
TU_API TU_MUST_CHECK int64_t tu_selectv(struct tu_select_case *cases, size_t count);

/* ---- what the macros are made of ---- */

#define TU_SELECT_CASES 16  /* of one tu_select */
#define TU_SELECT_BYTES 256 /* of values of one tu_select */

struct tu__select {
    uint8_t phase;       /* 0 new, 1 collecting, 2 running a body */
    uint32_t count;      /* cases collected */
    uint32_t next;       /* phase 2: index of the case that the block comes to next */
    int64_t chosen;      /* phase 2: tu_selectv's answer */
    uint32_t sent_bytes; /* used at the start of `values` */
    uint32_t recv_bytes; /* largest element to receive; it lies behind those sent */
    struct tu_select_case cases[TU_SELECT_CASES];
    unsigned char values[TU_SELECT_BYTES] __attribute__((aligned(16)));
};
TU_API void tu__select_wait(struct tu__select *s);
/* Adds a case; false, so that its body is passed over. */
TU_API bool tu__select_recv(struct tu__select *s, tu_channel *channel, size_t bytes);
TU_API bool tu__select_send(struct tu__select *s, tu_channel *channel, const void *value,
                            size_t bytes);
TU_API bool tu__select_done(struct tu__select *s, tu_context *context);
TU_API bool tu__select_after(struct tu__select *s, int64_t after_ns);
TU_API bool tu__select_other(struct tu__select *s, enum tu_select_kind kind);

static inline struct tu__select *tu__select_begin(struct tu__select *s)
{
    s->phase = 0;
    return s;
}

static inline bool tu__select_step(struct tu__select *s)
{
    if (s->phase == 0) {
        s->phase = 1;
        s->count = s->next = s->sent_bytes = s->recv_bytes = 0;
        return true;
    }
    if (s->phase == 2)
        return false;
    s->phase = 2;
    tu__select_wait(s);
    return s->chosen >= 0;
}

/* Phase 2: is it this case's body that runs? */
static inline bool tu__select_is(struct tu__select *s)
{
    return s->chosen == (int64_t)s->next++;
}

static inline int tu__select_error(const struct tu__select *s)
{
    return s->cases[s->chosen].error;
}

TU_END_DECLS

/* ---- the macros ---- */

#define tu_select()                                                                        \
    for (struct tu__select tu__select_here, *tu__sel = tu__select_begin(&tu__select_here); \
         tu__select_step(tu__sel);)
#define tu__select_body(collect)                                                           \
    for (bool tu__run = tu__sel->phase == 1 ? (collect) : tu__select_is(tu__sel); tu__run; \
         tu__run = false)
#define tu__select_value(T)                                                                    \
    ({                                                                                         \
        T tu__value; /* memcpy, because the buffer has no type of its own */                   \
        __builtin_memcpy(&tu__value, tu__sel->values + tu__sel->sent_bytes, sizeof tu__value); \
        tu__value;                                                                             \
    })
#define tu_on_recv(c, v)                                                                 \
    tu__select_body(tu__select_recv(                                                     \
        tu__sel, tu_chan_untyped(c),                                                     \
        sizeof(tu_chan_element(c)))) for (tu_chan_element(c) v __attribute__((unused)) = \
                                              tu__select_value(tu_chan_element(c));      \
                                          tu__run; tu__run = false)
#define tu_on_send(c, value)                                                        \
    tu__select_body(({                                                              \
        tu_chan_element(c) tu__value = (value);                                     \
        tu__select_send(tu__sel, tu_chan_untyped(c), &tu__value, sizeof tu__value); \
    }))
#define tu_on_done(context)  tu__select_body(tu__select_done(tu__sel, (context)))
#define tu_on_after(wait_ns) tu__select_body(tu__select_after(tu__sel, (wait_ns)))
#define tu_default()         tu__select_body(tu__select_other(tu__sel, TU_SELECT_DEFAULT))
#define tu_on_cancel(err)                                                                   \
    tu__select_body(                                                                        \
        tu__select_other(tu__sel, TU_SELECT_CANCEL)) for (int err __attribute__((unused)) = \
                                                              tu__select_error(tu__sel);    \
                                                          tu__run; tu__run = false)

/* Inside a body only. */
#define tu_select_error() tu__select_error(tu__sel)
#define tu_recv_ok()      (tu_select_error() == 0)
