/* park.h - how a goroutine (or a plain thread) waits and is woken: the contract between the
 * scheduler and everything that blocks (channels, mutexes, timers, sockets, contexts).
 *
 * A *sleeper* is one wait of one goroutine or thread; it lives on the waiter's own stack. A *place*
 * is its entry in the queue of one object; a select has one sleeper and a place per case.
 *
 *   waiter                                   waker
 *   1 tu__sleeper_init(&s, shared)           1 takes the object's lock
 *   2 takes the object's lock                2 unlinks a place
 *   3 links its place(s)                     3 tu__sleeper_claim(s, outcome); false: try the next
 *   4 tu__sleeper_park(&s, unlock, arg, why) 4 transfers the value, releases the lock
 *     -> context saved, then unlock(arg)     5 tu__sleeper_wake(s)   (s may be gone right after)
 *   5 if shared: unlinks its other places under each object's lock; only then may s die
 *
 * A shared sleeper may be woken before it parks (after its place became visible): the park then
 * returns at once.
 *
 * `shared` is true when more than one party may wake (a select, a deadline, a context): a claim is
 * then a compare-and-swap and exactly one waker wins. With `shared` false the single queue's lock
 * decides, and a claim is a plain store.
 */
#pragma once

#include "runtime/sched/fiber.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct g;

/* A lock between threads for a few dozen instructions; spins briefly, then sleeps on a futex. Never
 * parks the goroutine. 4 bytes, zero is unlocked.
 *
 *   unlock                        lock, having spun in vain
 *   1 held = 0 (plain release)    1 sleepers++
 *   2 compiler barrier            2 membarrier on all threads
 *   3 sleepers != 0: wakes one    3 held == 0: takes it; else sleeps while the word is the same
 *   One of the two sees the other, so an unlock costs no locked instruction (6 of the 13 ns of a pair). Step 3 of
 *   an unlock may read a lock whose memory is free already: at worst it wakes a stranger for nothing. The
 *   sanitizers would object, so under them the unlock is one read-modify-write. */
struct tu__lock {
    union {
        _Atomic uint32_t word;
        struct {
            _Atomic uint16_t held;     /* 0 or 1 */
            _Atomic uint16_t sleepers; /* threads between steps 1 and taking it */
        };
    };
};
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "held is the low half of the word");
void tu__lock_slow(struct tu__lock *lock);
void tu__unlock_slow(struct tu__lock *lock);

static inline bool tu__trylock(struct tu__lock *lock)
{
    uint32_t free = 0;
    return atomic_compare_exchange_strong_explicit(&lock->word, &free, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline void tu__lock(struct tu__lock *lock)
{
    if (__builtin_expect(!tu__trylock(lock), 0))
        tu__lock_slow(lock);
}

static inline void tu__unlock(struct tu__lock *lock)
{
#if defined(TU__ASAN) || defined(TU__TSAN)
    bool sleepers = atomic_fetch_and(&lock->word, 0xffff0000) > UINT16_MAX;
#else
    atomic_store_explicit(&lock->held, 0, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst); /* pairs with the membarrier in tu__lock_slow */
    bool sleepers = atomic_load_explicit(&lock->sleepers, memory_order_relaxed) != 0;
#endif
    if (__builtin_expect(sleepers, 0))
        tu__unlock_slow(lock);
}

/* In a forked child, of a lock that the forking thread holds: free again, without the threads that slept. */
static inline void tu__lock_after_fork(struct tu__lock *lock)
{
    atomic_store_explicit(&lock->word, 0, memory_order_relaxed);
}

/* Why a goroutine waits, and the object that goes with it: shown in dumps (observe/dump.c). */
enum tu__wait {
    TU__WAIT_NONE,
    TU__WAIT_SLEEP,     /* its timer */
    TU__WAIT_CHAN_SEND, /* the channel */
    TU__WAIT_CHAN_RECV, /* the channel */
    TU__WAIT_SELECT,
    TU__WAIT_MUTEX,      /* its word `semaphore` */
    TU__WAIT_WAIT_GROUP, /* its word `semaphore` */
    TU__WAIT_CONDITION,  /* the condition */
    TU__WAIT_CONTEXT,
    TU__WAIT_FOREVER,   /* null channel, empty select */
    TU__WAIT_RLOCK,     /* an rwmutex's word `reader_semaphore` */
    TU__WAIT_WLOCK,     /* an rwmutex's word `writer_semaphore` */
    TU__WAIT_SCOPE,     /* the scope */
    TU__WAIT_READ,      /* the conn: to be readable, or to have somebody to accept */
    TU__WAIT_WRITE,     /* the conn */
    TU__WAIT_RESOLVE,   /* a pool thread that asks the resolver; foreign.h, as the next two */
    TU__WAIT_FILE,      /* a pool thread, or the ring */
    TU__WAIT_CALL,      /* a pool thread: tu_blocking_call */
    TU__WAIT_SEMAPHORE, /* the semaphore */
    TU__WAIT_LOOP,      /* the host of a tu_loop */
    TU__WAIT_GC,        /* a cycle of the collector */
};

struct tu__sleeper {
    struct g *g;             /* the goroutine, or NULL: a plain thread, which sleeps on `signal` */
    _Atomic uint32_t signal; /* 0; 1 woken; 2 a shared goroutine is parked. A thread's futex word */
    _Atomic int32_t outcome; /* 0 pending; else what the winning waker passed to the claim */
    bool shared;             /* claims are compare-and-swaps */
};

/* One place in a queue. Owner of all fields: whoever holds the object's lock. */
struct tu__place {
    struct tu__place *next, *prev;
    struct tu__sleeper *sleeper;
    void *element; /* channels: where the value is, or goes */
    int32_t
        outcome; /* what a waker through this place claims with: > 0; a select case's index + 1 */
    bool queued; /* still linked */
};

/* A first-in-first-out queue of places. Zero is empty. */
struct tu__queue {
    struct tu__place *head, *tail;
};

static inline void tu__queue_push(struct tu__queue *q, struct tu__place *p)
{
    p->next = NULL;
    p->prev = q->tail;
    p->queued = true;
    if (q->tail)
        q->tail->next = p;
    else
        q->head = p;
    q->tail = p;
}

static inline void tu__queue_push_front(struct tu__queue *q, struct tu__place *p)
{
    p->prev = NULL;
    p->next = q->head;
    p->queued = true;
    if (q->head)
        q->head->prev = p;
    else
        q->tail = p;
    q->head = p;
}

static inline void tu__queue_remove(struct tu__queue *q, struct tu__place *p)
{
    if (p->prev)
        p->prev->next = p->next;
    else
        q->head = p->next;
    if (p->next)
        p->next->prev = p->prev;
    else
        q->tail = p->prev;
    p->queued = false;
}

static inline struct tu__place *tu__queue_pop(struct tu__queue *q)
{
    struct tu__place *p = q->head;
    if (p)
        tu__queue_remove(q, p);
    return p;
}

/* Prepares a wait of the caller, goroutine or thread. */
void tu__sleeper_init(struct tu__sleeper *s, bool shared);
/* The same, and says what it waits for, which a dump of all goroutines then shows. Its address only. */
void tu__sleeper_init_for(struct tu__sleeper *s, bool shared, const void *object);

/* Claims the wait with a non-zero outcome: true for the one waker that wins. */
static inline bool tu__sleeper_claim(struct tu__sleeper *s, int32_t outcome)
{
    if (!s->shared) {
        atomic_store_explicit(&s->outcome, outcome, memory_order_relaxed);
        return true;
    }
    int32_t pending = 0;
    /* acq_rel: pairs with the other claimers; the sleeper itself is ordered by the run queue. */
    return atomic_compare_exchange_strong_explicit(&s->outcome, &pending, outcome,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

/* Parks until somebody has claimed and woken; returns the outcome. `unlock(arg)` runs after the
 * goroutine's context is saved, on another stack, and must not park; it makes the wait visible
 * (releases the object's lock or locks). NULL is allowed. May park. */
int32_t tu__sleeper_park(struct tu__sleeper *s, void (*unlock)(void *arg), void *arg,
                         enum tu__wait why);

/* The same with a single lock to release. */
int32_t tu__sleeper_park_lock(struct tu__sleeper *s, struct tu__lock *held, enum tu__wait why);

/* After a successful claim: makes the sleeper run. *s may be gone when this returns. Goes to the
 * front of the caller's P (runnext), so that a hand-over is one switch away. Never parks. Callable
 * from plain threads, timers and the poller. */
void tu__sleeper_wake(struct tu__sleeper *s);

/* ---- cancellation: the one thing every cancellable wait also waits for ---- */

/* The part of a context the scheduler knows. The current one of a goroutine is tu__cancel_current();
 * struct tu_context begins with one. */
struct tu__cancel {
    struct tu__lock lock;
    _Atomic int32_t error;   /* 0, or the negative errno it ended with; written once under lock */
    struct tu__queue places; /* waits to be woken when it ends; under lock */
};
struct tu__cancel *tu__cancel_current(void);              /* NULL: background */
struct tu__cancel *tu__cancel_swap(struct tu__cancel *c); /* returns the one before */

/* Set once by context.c before the first context exists: a goroutine holds a reference to the
 * context it was started with. */
extern void (*tu__cancel_retain)(struct tu__cancel *c);
extern void (*tu__cancel_release)(struct tu__cancel *c);

/* Links `p` (its sleeper is shared) so that the end of `c` claims with its negative errno and
 * wakes. 0, or the error if it has ended already (then not linked). c must not be NULL. */
int tu__cancel_watch(struct tu__cancel *c, struct tu__place *p);
/* Unlinks; afterwards `c` will not touch p or its sleeper any more. */
void tu__cancel_unwatch(struct tu__cancel *c, struct tu__place *p);
/* Ends `c` with a negative errno: wakes all. False if it had ended before. */
bool tu__cancel_end(struct tu__cancel *c, int32_t error);
