/* sync.h - mutex, read-write mutex, wait group, once, condition: for goroutines and plain threads
 * alike. All are plain structs; zero-filled is ready to use; they must not be copied or freed while
 * somebody waits. None of the lock calls is cancelled by a context: a lock is held briefly.
 */
#pragma once

#include <tuco/base.h>

TU_BEGIN_DECLS

struct tu_mutex {
    uint32_t state; /* locked, woken, starving bits and the number of waiters; sync/mutex.c */
    uint32_t semaphore;
};
TU_API void tu_mutex_lock(struct tu_mutex *m); /* may park */
TU_API TU_MUST_CHECK bool tu_mutex_try_lock(struct tu_mutex *m);
TU_API void tu_mutex_unlock(struct tu_mutex *m); /* of an unlocked mutex: aborts. Never parks. */

struct tu_rwmutex {
    struct tu_mutex writer; /* held by the writer, and while one waits for readers to leave */
    int32_t reader_count;   /* readers, minus 2^30 while a writer is there */
    int32_t reader_wait;    /* readers the writer still waits for */
    uint32_t writer_semaphore, reader_semaphore;
};
/* A waiting writer keeps new readers out, so a goroutine must not read-lock twice. */
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
TU_API void tu_wait_group_add(struct tu_wait_group *g, int delta); /* below zero: aborts */
TU_API void tu_wait_group_done(struct tu_wait_group *g);
TU_API int tu_wait_group_wait(struct tu_wait_group *g); /* 0, or the context's error. May park. */

struct tu_once {
    uint32_t done;
    struct tu_mutex mutex;
};
/* Runs fn(arg) the first time; later callers return after that run is finished. May park. */
TU_API void tu_once(struct tu_once *once, void (*fn)(void *arg), void *arg);

struct tu_condition {
    uint32_t wait_ticket, notify_ticket;
    uint32_t lock;
    void *head, *tail; /* waiters, first come first served */
};
/* Unlocks, waits for a signal, locks again: 0, or the context's error (locked again as well). */
TU_API int tu_condition_wait(struct tu_condition *c, struct tu_mutex *m);
TU_API void tu_condition_signal(struct tu_condition *c);
TU_API void tu_condition_broadcast(struct tu_condition *c);

TU_END_DECLS

static inline void tu__mutex_release(struct tu_mutex **m)
{
    tu_mutex_unlock(*m);
}
/* Holds the mutex until the end of the block. */
#define tu_lock_guard(m)                                                                           \
    struct tu_mutex *tu__guard_##__LINE__ __attribute__((cleanup(tu__mutex_release), unused)) =    \
        ({                                                                                         \
            tu_mutex_lock(m);                                                                      \
            (m);                                                                                   \
        })
