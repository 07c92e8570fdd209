/* sync.h - mutex, read-write mutex, wait group, once, condition, semaphore: for goroutines and plain threads
 * alike. All are plain structs; zero-filled is ready to use (a semaphore: TU_SEMAPHORE(n)). They must not be
 * copied while in use, nor freed before every call on them has returned; only a wait group may be freed as soon
 * as the wait for it has. None of the lock calls is cancelled by a context: a lock is held briefly.
 */
#pragma once

#include <tuco/base.h>

TU_BEGIN_DECLS

struct tu__mutex_half {
    uint32_t locked;  /* 0 or 1 */
    uint32_t waiting; /* 1 woken, 2 starving, and 4 for each waiter */
};
/* Whoever unlocks first and locks next gets it (barging), unless a waiter has waited for more than a
 * millisecond: then it is handed on in turn until the queue is served. */
struct tu_mutex {
    union {
        uint64_t state; /* sync/mutex.c */
        struct tu__mutex_half half;
    };
    uint32_t semaphore;
};
TU_API void tu__mutex_lock_slow(struct tu_mutex *m, bool locked);
TU_API void tu__mutex_unlock_slow(struct tu_mutex *m, bool locked);

/* May park. Acquire: sees what was done before the last unlock. */
TU_API inline void tu_mutex_lock(struct tu_mutex *m)
{
#ifdef __x86_64__
    /* Half of the word: what unlock stores is half of it, and a read of more than the last store wrote waits
     * until that has left the core (lock and unlock 7.5 -> 2.5 ns). */
    uint32_t free_half = 0;
    bool locked = __atomic_compare_exchange_n(&m->half.locked, &free_half, 1, false,
                                              __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
    if (__builtin_expect(!locked || (__atomic_load_n(&m->half.waiting, __ATOMIC_RELAXED) & 2), 0))
        tu__mutex_lock_slow(m, locked);
#else
    uint64_t free_state = 0;
    if (__builtin_expect(!__atomic_compare_exchange_n(&m->state, &free_state, 1, false,
                                                      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED),
                         0))
        tu__mutex_lock_slow(m, false);
#endif
}

/* Of an unlocked mutex: aborts. Need not be called by who locked. Never parks. */
TU_API inline void tu_mutex_unlock(struct tu_mutex *m)
{
    bool locked = __atomic_load_n(&m->half.locked, __ATOMIC_RELAXED) != 0;
    __atomic_store_n(&m->half.locked, 0, __ATOMIC_RELEASE);
    __atomic_signal_fence(
        __ATOMIC_SEQ_CST); /* a compiler's barrier; its other side: sync/mutex.c */
    if (__builtin_expect(!locked || __atomic_load_n(&m->half.waiting, __ATOMIC_RELAXED) != 0, 0))
        tu__mutex_unlock_slow(m, locked);
}

TU_API TU_MUST_CHECK bool tu_mutex_try_lock(struct tu_mutex *m); /* never parks */

struct tu_rwmutex {
    struct tu_mutex writer; /* held by the writer, and while one waits for readers to leave */
    int32_t reader_count;   /* readers, minus 2^30 while a writer is there */
    int32_t reader_wait;    /* readers the writer still waits for */
    uint32_t writer_semaphore, reader_semaphore;
};
/* A waiting writer keeps new readers out, so a goroutine must not read-lock twice. Locking may park,
 * unlocking never does; unlocking what is not locked aborts. */
TU_API void tu_rwmutex_rlock(struct tu_rwmutex *m);
TU_API void tu_rwmutex_runlock(struct tu_rwmutex *m);
TU_API void tu_rwmutex_lock(struct tu_rwmutex *m);
TU_API void tu_rwmutex_unlock(struct tu_rwmutex *m);
TU_API TU_MUST_CHECK bool tu_rwmutex_try_rlock(struct tu_rwmutex *m);
TU_API TU_MUST_CHECK bool tu_rwmutex_try_lock(struct tu_rwmutex *m);

struct tu_wait_group {
    uint64_t state; /* counter in the high half, waiters in the low one */
    uint32_t semaphore;
};
/* The first add comes before the goroutines it counts are started. Below zero: aborts. Never parks. */
TU_API void tu_wait_group_add(struct tu_wait_group *g, int delta);
TU_API void tu_wait_group_done(struct tu_wait_group *g);
TU_API int tu_wait_group_wait(struct tu_wait_group *g); /* 0, or the context's error. May park. */

/* Something that is done once. */
struct tu_once {
    uint32_t done;
    struct tu_mutex mutex;
};
/* Runs fn(arg) the first time; later callers return after that run is finished. May park. */
TU_API void tu_once(struct tu_once *once, void (*fn)(void *arg), void *arg);

/* A once with a result: something made on first use, which may take long and may fail. */
struct tu_once_value {
    uint32_t done, begun;
    int error;
    void *value;
    struct tu_mutex mutex; /* `begun` */
    struct tu_wait_group running;
};
/* The first caller runs fn(arg, &its value), and everyone gets what it returned and, where `value` is not NULL, its
 * value; an error as well: fn is not tried again. Callers that come while it runs wait for it, and get the
 * error of their own context if that ends first (*value is then untouched). May park. */
TU_API TU_MUST_CHECK int tu_once_value(struct tu_once_value *once,
                                       int (*fn)(void *arg, void **value), void *arg, void **value);

struct tu_condition {
    uint32_t lock;
    void *head, *tail; /* waiters, first come first served */
};
/* Unlocks m, waits for a signal, locks m again: 0, or the context's error (m is locked again as
 * well; no signal was used up). Waiters are woken in the order they came. May park. */
TU_API int tu_condition_wait(struct tu_condition *c, struct tu_mutex *m);
/* Wake one, or all, of those who wait now. With or without the mutex held. Never park. */
TU_API void tu_condition_signal(struct tu_condition *c);
TU_API void tu_condition_broadcast(struct tu_condition *c);

/* A number of units of something, taken several at a time. First come, first served: who asks for many is
 * not starved by those who ask for few, they queue behind it. */
struct tu_semaphore {
    int64_t size;      /* units in all; never changes */
    int64_t available; /* under lock, as the rest */
    void *head, *tail; /* waiters */
    uint32_t lock;
};
/* An initializer: struct tu_semaphore s = TU_SEMAPHORE(8); */
#define TU_SEMAPHORE(units)       \
    {                             \
        (units), (units), 0, 0, 0 \
    }
/* Takes n units: 0; -EINVAL: there are not so many in all; or the context's error, and nothing was taken. May
 * park. Acquire: sees what was done before the units were released. */
TU_API TU_MUST_CHECK int tu_semaphore_acquire(struct tu_semaphore *s, int64_t n);
/* Only without waiting, and not past those who wait. Never parks. */
TU_API TU_MUST_CHECK bool tu_semaphore_try_acquire(struct tu_semaphore *s, int64_t n);
/* Gives n units back; more than were taken: aborts. Need not be called by who took them. Never parks. */
TU_API void tu_semaphore_release(struct tu_semaphore *s, int64_t n);

TU_END_DECLS

static inline void tu__mutex_release(struct tu_mutex **m)
{
    tu_mutex_unlock(*m);
}
/* tu_lock_guard(m): holds the mutex until the end of the block it stands in, on any way out. */
#define tu__guard_name_(n) tu__guard_##n
#define tu__guard_name(n)  tu__guard_name_(n)
#define tu_lock_guard(m)                                         \
    struct tu_mutex *tu__guard_name(__COUNTER__)                 \
        __attribute__((cleanup(tu__mutex_release), unused)) = ({ \
            struct tu_mutex *tu__guarded = (m);                  \
            tu_mutex_lock(tu__guarded);                          \
            tu__guarded;                                         \
        })
