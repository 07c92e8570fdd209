/* channel.h - the inside of a channel, for channel.c, select.c and the tests.
 *
 * A channel passes values of one fixed size from senders to receivers, in order, through a ring of
 * `capacity` slots that lies behind the header in the same block (capacity 0: from hand to hand).
 * Everything is under `lock`, which is held for a few dozen instructions and never across a park
 * (it is released by the action that runs after the parker's registers are saved).
 *
 * Invariants, true whenever the lock is free (tu__channel_verify). A place counts as parked only
 * while its sleeper has not been claimed; claimed ones may linger until their owner unlinks them:
 *   count <= capacity
 *   receive_at + count == send_at (modulo capacity)
 *   count > 0         implies no parked receiver
 *   count < capacity  implies no parked sender
 *   closed            implies nobody parked
 *   capacity == 0     implies not both kinds parked, unless the same select waits on both sides
 */
#pragma once

#include <tuco/chan.h>

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

struct tu_channel {
    struct tu__lock lock;
    _Atomic uint32_t closed;    /* 0 or 1; written under lock, read without by the try operations */
    size_t element_size;        /* bytes; never changes */
    size_t capacity;            /* slots; never changes */
    _Atomic size_t count;       /* filled slots; written under lock, read without as a hint */
    size_t send_at, receive_at; /* next slot to fill, to empty; under lock */
    struct tu__queue receivers, senders;
    struct tu__gc_anchor anchor; /* the ring: what lies in it may be pointers to objects */
    unsigned char ring[];
};

/* Copies one element. The sizes that programs use become one or two moves. */
static inline void channel_copy(void *to, const void *from, size_t size)
{
    switch (size) {
    case 4: memcpy(to, from, 4); return;
    case 8: memcpy(to, from, 8); return;
    case 16: memcpy(to, from, 16); return;
    default: memcpy(to, from, size); return;
    }
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
            channel_copy(p->element, element, c->element_size);
            *wake = p->sleeper;
            return 0;
        }
    }
    size_t count = channel_count(c);
    if (count == c->capacity)
        return -EAGAIN;
    channel_copy(channel_slot(c, c->send_at), element, c->element_size);
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
        channel_copy(element, slot, c->element_size);
        if (c->element_size >= sizeof(void *))
            tu__gc_taken(slot, c->element_size);
        c->receive_at = channel_after(c, c->receive_at);
        if (count == c->capacity && c->senders.head) {
            struct tu__place *p = channel_claim(&c->senders, CHANNEL_DONE);
            if (p) { /* the ring stays full: the slot just emptied is also the next to fill */
                channel_copy(slot, p->element, c->element_size);
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
            channel_copy(element, p->element, c->element_size);
            *wake = p->sleeper;
            return 0;
        }
    }
    if (!channel_closed(c))
        return -EAGAIN;
    memset(element, 0, c->element_size);
    return -EPIPE;
}

/* Walks both queues under the lock and aborts when an invariant is broken. For tests. */
void tu__channel_verify(tu_channel *c);
