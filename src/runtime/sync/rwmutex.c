/* rwmutex.c - many readers or one writer; a waiting writer goes before later readers.
 *
 *     reader_count = readers that hold it or wait for the writer, minus WRITER while one is there
 *     reader_wait  = readers the announced writer still waits for
 *
 * A reader adds itself; a negative result means a writer is there, and it waits for its turn. A writer
 * takes the inner mutex (against other writers), announces itself by subtracting WRITER, and waits
 * for the readers that were there; the last of them to leave wakes it. reader_wait may be negative
 * for a moment: readers can leave before the writer has added their number.
 *
 * Ordering: all counter changes are sequentially consistent. reader_count orders a reader's last use
 * before the writer that saw it leave, and reader_wait does where the writer waits.
 */
#include <tuco/sync.h>

#include "base/check.h"
#include "runtime/sync/semaphore.h"

#define WRITER (1 << 30)

static int32_t add(int32_t *counter, int32_t delta)
{
    return __atomic_add_fetch(counter, delta, __ATOMIC_SEQ_CST);
}

void tu_rwmutex_rlock(struct tu_rwmutex *m)
{
    if (add(&m->reader_count, 1) < 0)
        tu__semaphore_acquire(&m->reader_semaphore, TU__SEMAPHORE_BACK, TU__WAIT_RLOCK);
}

bool tu_rwmutex_try_rlock(struct tu_rwmutex *m)
{
    int32_t count = __atomic_load_n(&m->reader_count, __ATOMIC_RELAXED);
    while (count >= 0)
        if (__atomic_compare_exchange_n(&m->reader_count, &count, count + 1, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            return true;
    return false;
}

void tu_rwmutex_runlock(struct tu_rwmutex *m)
{
    int32_t count = add(&m->reader_count, -1);
    if (__builtin_expect(count >= 0, 1))
        return;
    tu_check(count + 1 != 0 && count + 1 != -WRITER,
             "read-unlock of an rwmutex nobody has read-locked, at %p", (void *)m);
    if (add(&m->reader_wait, -1) == 0)
        tu__semaphore_release(&m->writer_semaphore, 1);
}

void tu_rwmutex_lock(struct tu_rwmutex *m)
{
    tu_mutex_lock(&m->writer);
    int32_t readers = add(&m->reader_count, -WRITER) + WRITER;
    if (readers != 0 && add(&m->reader_wait, readers) != 0)
        tu__semaphore_acquire(&m->writer_semaphore, TU__SEMAPHORE_BACK, TU__WAIT_WLOCK);
}

bool tu_rwmutex_try_lock(struct tu_rwmutex *m)
{
    if (!tu_mutex_try_lock(&m->writer))
        return false;
    int32_t none = 0;
    if (__atomic_compare_exchange_n(&m->reader_count, &none, -WRITER, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_RELAXED))
        return true;
    tu_mutex_unlock(&m->writer);
    return false;
}

void tu_rwmutex_unlock(struct tu_rwmutex *m)
{
    int32_t readers = add(&m->reader_count, WRITER);
    tu_check(readers < WRITER, "unlock of an unlocked rwmutex, at %p", (void *)m);
    if (readers > 0)
        tu__semaphore_release(&m->reader_semaphore, (uint32_t)readers);
    tu_mutex_unlock(&m->writer);
}
