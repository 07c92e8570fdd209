/* serve.c - tu_serve: connections without stacks.
 *
 * serve_state holds the events not yet handed to the handler and SERVE_ACTIVE.
 *
 *   event    compare-and-swap events | ACTIVE in; ACTIVE was clear: queue the task
 *   task     takes the events, calls the handler; WAIT: events have come meanwhile: queue again;
 *            else compare-and-swap ACTIVE away
 *
 * So the task is queued or running exactly while ACTIVE is set, and never twice at once. Finishing
 * starts a new generation in the upper bits, so that an event which was on its way to the finished
 * conn fails its compare-and-swap and looks again.
 */
#include "base/check.h"
#include "runtime/net/conn.h"

enum {
    SERVE_EVENTS = TU_SERVE_READABLE | TU_SERVE_WRITABLE | TU_SERVE_WOKEN,
    SERVE_ACTIVE = 16,
    SERVE_GENERATION = 256, /* above the flags: how often this conn has been finished */
};

void tu__serve_raise(tu_conn *c, uint32_t events)
{
    /* acquire: pairs with finish. Whoever sees a state of the next generation sees `serving` false, or
     * that of the next owner, for whom an event too many is harmless. */
    uint32_t state = atomic_load_explicit(&c->serve_state, memory_order_acquire);
    do {
        if (!atomic_load_explicit(&c->serving, memory_order_acquire))
            return;
    } while (!atomic_compare_exchange_weak_explicit(&c->serve_state, &state,
                                                    state | events | SERVE_ACTIVE,
                                                    memory_order_acq_rel, memory_order_acquire));
    if (!(state & SERVE_ACTIVE))
        tu__submit(&c->task.run, SUBMIT_BACK);
}

void tu__serve_event(tu_conn *c, unsigned events)
{
    uint32_t raised = 0;
    if (events & POLL_IN)
        raised |= TU_SERVE_READABLE;
    if ((events & POLL_OUT) && atomic_load(&c->want_write)) {
        atomic_store(&c->want_write, false);
        raised |= TU_SERVE_WRITABLE;
    }
    if (raised)
        tu__serve_raise(c, raised);
}

void tu_serve_wake(tu_conn *c)
{
    tu__serve_raise(c, TU_SERVE_WOKEN);
}

static void finish(tu_conn *c)
{
    void (*on_closed)(void *) = c->on_closed;
    void *state = c->state;
    atomic_store_explicit(&c->serving, false, memory_order_release);
    uint32_t flags = atomic_load_explicit(&c->serve_state, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&c->serve_state, &flags,
                                                  (flags | (SERVE_GENERATION - 1)) + 1,
                                                  memory_order_acq_rel, memory_order_relaxed)) {
    } /* release: pairs with tu__serve_raise */
    tu__conn_leave(c);
    if (on_closed)
        on_closed(state);
    atomic_fetch_sub_explicit(&tu__sched.serving, 1, memory_order_release);
}

/* A handler that wants another turn has not done with a long piece of work, and nobody else may be ready yet: before its
 * next turn the P looks at its descriptors, if it has not for 50 us. */
static void let_others_in(void)
{
    struct m *m = tu__m();
    struct p *p = tu__enter(m);
    if (p)
        atomic_store_explicit(&p->attention, 1, memory_order_relaxed);
    tu__exit(m);
}

static void call_handler(struct task *task)
{
    tu_conn *c = (tu_conn *)((char *)task - offsetof(struct tu_conn, task));
    uint32_t events =
        atomic_fetch_and_explicit(&c->serve_state, ~(uint32_t)SERVE_EVENTS, memory_order_acq_rel) &
        SERVE_EVENTS;
    c->read_more = false;
    enum tu_serve_next next = c->handler(c, events, c->state);
    if (next == TU_SERVE_CLOSE) {
        finish(c);
        return;
    }
    bool again = next == TU_SERVE_AGAIN ||
                 (c->read_more && atomic_load_explicit(&c->hangup, memory_order_relaxed));
    uint32_t state = atomic_load_explicit(&c->serve_state, memory_order_relaxed);
    if (again)
        atomic_fetch_or_explicit(&c->serve_state, TU_SERVE_READABLE, memory_order_relaxed);
    while (!again && !(state & SERVE_EVENTS))
        if (atomic_compare_exchange_weak_explicit(&c->serve_state, &state,
                                                  state & ~(uint32_t)SERVE_ACTIVE,
                                                  memory_order_acq_rel, memory_order_relaxed))
            return; /* idle; from here on another thread may run, and close, the conn */
    if (again)
        let_others_in();
    tu__submit(&c->task.run, SUBMIT_BACK);
}

int tu_serve(tu_conn *c, const struct tu_serve_options *options)
{
    if (!options->handler)
        return -EINVAL;
    c->handler = options->handler;
    c->on_closed = options->closed;
    c->state = options->state;
    c->task.call = call_handler;
    atomic_fetch_add_explicit(&tu__sched.serving, 1, memory_order_relaxed);
    /* release: the handler's fields before the poller's acquire of `serving` */
    atomic_store_explicit(&c->serving, true, memory_order_release);
    tu__serve_raise(c,
                    TU_SERVE_READABLE); /* what came before `serving` was set is looked for once */
    return 0;
}
