/* channel.h - the inside of a channel, for channel.c, select.c and the tests.
 *
 * A channel passes values of one fixed size from senders to receivers, in order, through a ring of
 * `capacity` slots (capacity 0: from hand to hand). Everything is under `lock`, which is held for a few dozen
 * instructions and never across a park (it is released by the action that runs after the parker's registers are saved).
 *
 * There are two kinds, and one code for both. A manual channel is one block of tu_alloc, its ring behind the header; what
 * lies in the ring is known to the collector as words that may be pointers (an anchor). A collected channel is an object
 * with a pointer to another one, an array of its elements' type. Only where these hold pointers, `copy` is
 * CHANNEL_TYPED, and values are written as tuco/gc.h asks:
 *
 *   into a slot, from a sender     tu__gc_move. What it overwrites is zero. The value needs no mark: its sender runs, so it
 *                                  was scanned in this cycle, and so does or will know the collector what it has. The
 *                                  slot's card is noted: the ring may be old, and the value young
 *   out of a slot                  tu__gc_move to the receiver, then tu__gc_clear, which marks what was there if somebody
 *                                  marks: the receiver has been scanned, and the ring may not have been. And an
 *                                  empty slot keeps nothing alive
 *   from hand to hand              tu__gc_move, to or from the stack of who is parked. What a sender holds there stays
 *                                  until it goes on, and it is scanned before; what a receiver gets is known
 *                                  to its sender. Nothing is lost, whichever of the two stacks is scanned first
 *   zero, at the end               tu__gc_clear
 *
 * A receiver's variable may lie in an object as well, so whatever goes there is written like a field. Values
 * without pointers are copied as in a manual channel.
 * The collector frees a channel that nobody reaches. A goroutine that is parked on one reaches it (gc_stacks.c), and so
 * do its values; with nobody parked there is nothing to undo.
 *
 * Invariants, true whenever the lock is free (tu__channel_verify). A place counts as parked only
 * while its sleeper has not been claimed; claimed ones may linger until their owner unlinks them:
 *   count <= capacity
 *   receive_at + count == send_at (modulo capacity)
 *   count > 0         implies no parked receiver
 *   count < capacity  implies no parked sender
 *   closed            implies nobody parked
 *   capacity == 0     implies not both kinds parked, unless the same select waits on both sides
 *   CHANNEL_TYPED     implies that empty slots are zero
 */
#pragma once

#include <tuco/chan.h>
#include <tuco/gc.h>

#include <errno.h>
#include <string.h>

#include "runtime/gc/gc_anchor.h"
#include "runtime/gc/gc_phase.h"
#include "runtime/sched/park.h"

/* What a waker through a channel claims with. Select cases claim with a place's own outcome, which
 * is the case's index times 2 plus one of these. */
enum {
    CHANNEL_DONE = 1,   /* the value was transferred */
    CHANNEL_CLOSED = 2, /* the channel was closed; a receiver's element is zeroed */
};

/* A `copy` that is no size. */
#define CHANNEL_TYPED SIZE_MAX

struct tu_channel {
    struct tu__lock lock;
    _Atomic uint32_t closed;    /* 0 or 1; written under lock, read without by the try operations */
    size_t copy;                /* bytes to copy, or CHANNEL_TYPED; never changes, */
    size_t element_size;        /* bytes, ... */
    size_t capacity;            /* slots, ... */
    unsigned char *ring;        /* nor does this */
    _Atomic size_t count;       /* filled slots; written under lock, read without as a hint */
    size_t send_at, receive_at; /* next slot to fill, to empty; under lock */
    struct tu__queue receivers, senders;
    const tu_type *type;         /* of a collected channel's elements; NULL: it is a manual one */
    struct tu__gc_anchor anchor; /* a manual one's ring: it may hold pointers to objects */
};

/* Of a CHANNEL_TYPED one: to `to`, and the slot is zero afterwards. */
void tu__channel_take_typed(const tu_channel *c, void *to, void *slot);
void tu__channel_zero(const tu_channel *c, void *element);

/* Copies one element. The sizes that programs use become one or two moves; ifs, so that the compiler asks in this order. */
static inline void channel_copy(const tu_channel *c, void *to, const void *from)
{
    size_t copy = c->copy;
    if (copy == 8)
        memcpy(to, from, 8);
    else if (copy == 16)
        memcpy(to, from, 16);
    else if (copy == 4)
        memcpy(to, from, 4);
    else if (copy != CHANNEL_TYPED)
        memcpy(to, from, copy);
    else
        tu__gc_move(c->type, to, from, 1);
}

/* Copies one element out of a slot, which is free afterwards. */
static inline void channel_take(const tu_channel *c, void *to, void *slot)
{
    if (__builtin_expect(c->copy == CHANNEL_TYPED, 0)) {
        tu__channel_take_typed(c, to, slot);
        return;
    }
    channel_copy(c, to, slot);
    if (c->copy >= sizeof(void *))
        tu__gc_taken(slot, c->copy);
}

static inline size_t channel_count(const tu_channel *c)
{
    return atomic_load_explicit(&c->count, memory_order_relaxed);
}

static inline void channel_set_count(tu_channel *c, size_t count)
{
    /* A plain store: only the holder of the lock writes. Release for the lock-free look of the try
     * operations; the values themselves are only touched under the lock. */
    atomic_store_explicit(&c->count, count, memory_order_release);
}

static inline bool channel_closed(const tu_channel *c)
{
    return atomic_load_explicit(&c->closed, memory_order_relaxed) != 0;
}

static inline unsigned char *channel_slot(tu_channel *c, size_t at)
{
    return c->ring + at * c->element_size;
}

static inline size_t channel_after(const tu_channel *c, size_t at)
{
    return at + 1 == c->capacity ? 0 : at + 1;
}

/* A look at a queue without the lock. It may be wrong as soon as it has returned; those who use it
 * say why that is enough. The data race is meant. acquire, here and below: a look at `closed` that
 * follows comes after this one. */
__attribute__((no_sanitize("thread"))) static inline bool
channel_seems_empty(const struct tu__queue *q)
{
    return __atomic_load_n(&q->head, __ATOMIC_ACQUIRE) == NULL;
}

/* No room and no receiver, as far as can be seen without the lock. */
static inline bool channel_seems_full(const tu_channel *c)
{
    return c->capacity == 0 ? channel_seems_empty(&c->receivers)
                            : atomic_load_explicit(&c->count, memory_order_acquire) == c->capacity;
}

/* No value and no sender, as far as can be seen without the lock. */
static inline bool channel_seems_drained(const tu_channel *c)
{
    return c->capacity == 0 ? channel_seems_empty(&c->senders)
                            : atomic_load_explicit(&c->count, memory_order_acquire) == 0;
}

/* Takes the first waiter that nobody else has claimed, and claims it. Caller holds the lock. */
static inline struct tu__place *channel_claim(struct tu__queue *q, int32_t what)
{
    struct tu__place *p;
    while ((p = tu__queue_pop(q)) != NULL)
        if (tu__sleeper_claim(p->sleeper, p->outcome + what))
            return p;
    return NULL;
}

/* Sends without waiting; caller holds the lock, and after releasing it wakes *wake if that is set.
 * 0, -EPIPE (closed) or -EAGAIN. */
static inline int channel_send_locked(tu_channel *c, const void *element, struct tu__sleeper **wake)
{
    if (__builtin_expect(channel_closed(c), 0))
        return -EPIPE;
    if (c->receivers.head) {
        struct tu__place *p = channel_claim(&c->receivers, CHANNEL_DONE);
        if (p) {
            channel_copy(c, p->element, element);
            *wake = p->sleeper;
            return 0;
        }
    }
    size_t count = channel_count(c);
    if (count == c->capacity)
        return -EAGAIN;
    channel_copy(c, channel_slot(c, c->send_at), element);
    c->send_at = channel_after(c, c->send_at);
    channel_set_count(c, count + 1);
    return 0;
}

/* Receives without waiting, as above. On -EPIPE the element is zeroed. */
static inline int channel_recv_locked(tu_channel *c, void *element, struct tu__sleeper **wake)
{
    size_t count = channel_count(c);
    if (count > 0) {
        unsigned char *slot = channel_slot(c, c->receive_at);
        channel_take(c, element, slot);
        c->receive_at = channel_after(c, c->receive_at);
        if (count == c->capacity && c->senders.head) {
            struct tu__place *p = channel_claim(&c->senders, CHANNEL_DONE);
            if (p) { /* the ring stays full: the slot just emptied is also the next to fill */
                channel_copy(c, slot, p->element);
                c->send_at = c->receive_at;
                *wake = p->sleeper;
                return 0;
            }
        }
        channel_set_count(c, count - 1);
        return 0;
    }
    if (c->senders.head) { /* capacity 0: from hand to hand */
        struct tu__place *p = channel_claim(&c->senders, CHANNEL_DONE);
        if (p) {
            channel_copy(c, element, p->element);
            *wake = p->sleeper;
            return 0;
        }
    }
    if (!channel_closed(c))
        return -EAGAIN;
    tu__channel_zero(c, element);
    return -EPIPE;
}

/* Walks both queues under the lock and aborts when an invariant is broken. For tests. */
void tu__channel_verify(tu_channel *c);
