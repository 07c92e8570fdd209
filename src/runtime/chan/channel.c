/* channel.c - send, receive, close.
 *
 * The problem is a queue that costs little when one goroutine feeds another on the same thread, and
 * stays right when all of them sit on different ones. The approach is Go's: one lock, a ring, and
 * two queues of waiters whose places point at the value on the waiter's stack. A sender that finds
 * a waiting receiver copies straight into the receiver's variable, so that a hand-over is one copy
 * and one wake, and the woken goroutine returns without touching the channel again.
 *
 * Choices:
 *   - The wake comes after the unlock. The woken one, on another thread, would otherwise run into
 *     the lock; and nothing is lost, since a claimed sleeper waits for exactly this wake.
 *   - What can be done at once is done, even when the current context has ended: only a wait is
 *     refused. So a cancelled goroutine can still put its result into a buffered channel, and the
 *     path that does not wait never asks for the context.
 *   - Without a context the sleeper is unshared: the lock decides who wakes, no compare-and-swap.
 *   - A lock-free ring for the buffered case was rejected: order, direct hand-over, close and
 *     select all need the two sides to agree, and the lock costs less than what replaces it.
 *
 * Close takes all waiters off under the lock, tells each through its outcome, and wakes them after
 * the unlock, in the order in which they came.
 */
#include "runtime/chan/channel.h"

#include <tuco/mem.h>

#include "base/check.h"

TU_TYPE(tu_channel, ring);

/* ---- values; channel.h says what becomes of pointers in them ---- */

void tu__channel_take_typed(const tu_channel *c, void *to, void *slot)
{
    tu__gc_move(c->type, to, slot, 1);
    tu__gc_clear(c->type, slot, 1);
}

void tu__channel_zero(const tu_channel *c, void *element)
{
    if (c->copy == CHANNEL_TYPED)
        tu__gc_clear(c->type, element, 1);
    else
        memset(element, 0, c->copy);
}

/* ---- making and freeing ---- */

tu_channel *tu_channel_make(size_t element_size, size_t capacity)
{
    size_t bytes;
    if (__builtin_mul_overflow(element_size, capacity, &bytes) ||
        __builtin_add_overflow(bytes, sizeof(tu_channel), &bytes) || bytes > PTRDIFF_MAX)
        return NULL;
    tu_channel *c = tu_alloc(bytes);
    if (!c)
        return NULL;
    memset(c, 0, sizeof *c); /* the slots are written before they are read */
    c->copy = c->element_size = element_size;
    c->capacity = capacity;
    c->ring = (unsigned char *)(c + 1);
    tu__gc_anchor_add(&c->anchor, c->ring,
                      element_size < sizeof(void *) ? 0 : element_size * capacity);
    return c;
}

tu_channel *tu_channel_new(const tu_type *type, size_t capacity)
{
    void *ring = capacity > 0 ? tu__gc_alloc(type, capacity) : NULL;
    if (capacity > 0 && !ring)
        return NULL;
    tu_channel *c = tu_new(tu_channel); /* zero-filled; a cycle finds the ring on our stack */
    if (!c)
        return NULL;
    c->type = type;
    c->element_size = type->size;
    c->copy = type->pointer_count > 0 ? CHANNEL_TYPED : type->size;
    c->capacity = capacity;
    tu__gc_set(&c->ring, ring);
    return c;
}

/* Waits of contexts that have ended unlink themselves, so a queue may hold nothing at all here. */
void tu_channel_free(tu_channel *channel)
{
    if (!channel)
        return;
    tu_check(!channel->type, "tu_free_chan: the collector frees this channel");
    tu_check(!channel->receivers.head && !channel->senders.head,
             "tu_free_chan: somebody still waits on the channel");
    tu__gc_anchor_remove(&channel->anchor);
    tu_free(channel);
}

/* Parks the shared sleeper until its place in an object, if any, or `cancel` wins; `held` is the
 * object's lock, if any. The outcome; if it is negative, `place` may still be linked. */
static int32_t park_cancellable(struct tu__cancel *cancel, struct tu__sleeper *s,
                                struct tu__lock *held, enum tu__wait why)
{
    struct tu__place ended = {.sleeper = s};
    int32_t outcome = tu__cancel_watch(cancel, &ended);
    if (outcome != 0) {
        (void)tu__sleeper_claim(s, outcome); /* before the unlock: from then on nobody may win */
        if (held)
            tu__unlock(held);
        return outcome;
    }
    if (held)
        tu__unlock(held); /* a shared sleeper may be woken before it parks */
    outcome = tu__sleeper_park(s, NULL, NULL, why);
    tu__cancel_unwatch(cancel, &ended);
    return outcome;
}

/* A null channel: nobody will ever come, but the context may end. */
static int wait_for_ever(void)
{
    struct tu__sleeper s;
    struct tu__cancel *cancel = tu__cancel_current();
    tu__sleeper_init(&s, cancel != NULL);
    if (!cancel)
        return tu__sleeper_park(&s, NULL, NULL, TU__WAIT_FOREVER); /* does not come back */
    return park_cancellable(cancel, &s, NULL, TU__WAIT_FOREVER);
}

/* Joins `q` and parks. Caller holds the lock, which is released. */
static int wait_in(tu_channel *c, struct tu__queue *q, void *element, enum tu__wait why)
{
    struct tu__cancel *cancel = tu__cancel_current();
    struct tu__sleeper s;
    struct tu__place place = {.sleeper = &s, .element = element, .outcome = 0};
    int32_t outcome;
    tu__sleeper_init_for(&s, cancel != NULL, c);
    tu__queue_push(q, &place);
    if (!cancel) {
        outcome = tu__sleeper_park_lock(&s, &c->lock, why);
        return outcome == CHANNEL_DONE ? 0 : -EPIPE;
    }
    outcome = park_cancellable(cancel, &s, &c->lock, why);
    if (outcome > 0)
        return outcome == CHANNEL_DONE ? 0 : -EPIPE;
    tu__lock(&c->lock);
    if (place.queued)
        tu__queue_remove(q, &place);
    tu__unlock(&c->lock);
    return outcome;
}

/* The two paths, with and without waiting, are one body that the compiler splits. */
static inline __attribute__((always_inline)) int send(tu_channel *c, const void *element, bool wait)
{
    struct tu__sleeper *wake = NULL;
    tu__lock(&c->lock);
    int rc = channel_send_locked(c, element, &wake);
    if (rc == -EAGAIN && wait)
        return wait_in(c, &c->senders, (void *)element, TU__WAIT_CHAN_SEND);
    tu__unlock(&c->lock);
    if (wake)
        tu__sleeper_wake(wake);
    return rc;
}

static inline __attribute__((always_inline)) int recv(tu_channel *c, void *element, bool wait)
{
    struct tu__sleeper *wake = NULL;
    tu__lock(&c->lock);
    int rc = channel_recv_locked(c, element, &wake);
    if (rc == -EAGAIN && wait)
        return wait_in(c, &c->receivers, element, TU__WAIT_CHAN_RECV);
    tu__unlock(&c->lock);
    if (wake)
        tu__sleeper_wake(wake);
    return rc;
}

int tu_channel_send(tu_channel *channel, const void *element)
{
    if (__builtin_expect(!channel, 0))
        return wait_for_ever();
    return send(channel, element, true);
}

int tu_channel_recv(tu_channel *channel, void *element)
{
    if (__builtin_expect(!channel, 0))
        return wait_for_ever();
    return recv(channel, element, true);
}

int tu_channel_try_send(tu_channel *channel, const void *element)
{
    /* Refuses without the lock. The order of the looks matters: an open channel after a full one was
     * full and open at the time of the first look. */
    if (!channel || (channel_seems_full(channel) && !channel_closed(channel)))
        return -EAGAIN;
    return send(channel, element, false);
}

int tu_channel_try_recv(tu_channel *channel, void *element)
{
    if (!channel)
        return -EAGAIN;
    if (channel_seems_drained(channel)) {
        /* As above. acquire: pairs with the release in tu_channel_close; the second look must see
         * what was sent before. */
        if (atomic_load_explicit(&channel->closed, memory_order_acquire) == 0)
            return -EAGAIN;
        /* Closed, so nothing is added any more: empty now is empty for ever. */
        if (channel_seems_drained(channel)) {
            tu__channel_zero(channel, element);
            return -EPIPE;
        }
    }
    return recv(channel, element, false);
}

/* Claims everybody in `q` and appends them to the chain, in order. Caller holds the lock. */
static struct tu__place **claim_all(tu_channel *c, struct tu__queue *q, struct tu__place **end)
{
    struct tu__place *p;
    while ((p = channel_claim(q, CHANNEL_CLOSED)) != NULL) {
        if (q == &c->receivers)
            tu__channel_zero(c, p->element);
        *end = p;
        end = &p->next;
    }
    *end = NULL;
    return end;
}

void tu_channel_close(tu_channel *channel)
{
    tu_check(channel, "tu_close_chan: close of a null channel");
    struct tu__place *woken, **end = &woken;
    tu__lock(&channel->lock);
    tu_check(!channel_closed(channel), "tu_close_chan: close of a closed channel");
    /* release: pairs with the acquire in tu_channel_try_recv. */
    atomic_store_explicit(&channel->closed, 1, memory_order_release);
    end = claim_all(channel, &channel->receivers, end);
    claim_all(channel, &channel->senders, end);
    tu__unlock(&channel->lock);
    while (woken) {
        struct tu__sleeper *s = woken->sleeper;
        woken = woken->next; /* before the wake: the place lies on the sleeper's stack */
        tu__sleeper_wake(s);
    }
}

size_t tu_channel_length(const tu_channel *channel)
{
    return channel ? channel_count(channel) : 0;
}

size_t tu_channel_capacity(const tu_channel *channel)
{
    return channel ? channel->capacity : 0;
}

/* Checks the links of one queue and returns its first place that is still waiting. */
static const struct tu__place *verify_queue(const struct tu__queue *q)
{
    const struct tu__place *parked = NULL, *before = NULL;
    for (const struct tu__place *p = q->head; p; before = p, p = p->next) {
        tu_check(p->prev == before && p->queued, "channel: broken queue of waiters");
        int32_t outcome = atomic_load_explicit(&p->sleeper->outcome, memory_order_relaxed);
        if (!parked && outcome == 0)
            parked = p;
    }
    tu_check(q->tail == before, "channel: the queue's tail is not its last place");
    return parked;
}

static void verify_empty_slots(tu_channel *c)
{
    for (size_t i = channel_count(c); i < c->capacity; i++) {
        const unsigned char *slot = channel_slot(c, (c->receive_at + i) % c->capacity);
        for (size_t k = 0; k < c->element_size; k++)
            tu_check(slot[k] == 0, "channel: an empty slot of a collected one is not zero");
    }
}

void tu__channel_verify(tu_channel *c)
{
    tu__lock(&c->lock);
    const struct tu__place *receiver = verify_queue(&c->receivers);
    const struct tu__place *sender = verify_queue(&c->senders);
    size_t count = channel_count(c);
    tu_check(count <= c->capacity, "channel: more values than slots");
    if (c->capacity > 0)
        tu_check((c->receive_at + count) % c->capacity == c->send_at, "channel: ring out of step");
    tu_check(count == 0 || !receiver, "channel: a receiver waits beside a value");
    tu_check(count == c->capacity || !sender, "channel: a sender waits beside a free slot");
    tu_check(!channel_closed(c) || (!receiver && !sender), "channel: closed, but somebody waits");
    tu_check(!receiver || !sender || receiver->sleeper == sender->sleeper,
             "channel: a sender and a receiver wait for each other");
    if (c->copy == CHANNEL_TYPED)
        verify_empty_slots(c);
    tu__unlock(&c->lock);
}
