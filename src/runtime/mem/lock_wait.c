/* lock_wait.c - the slow half of tu__lock for builds without the scheduler: weak, so that the
 * scheduler's own takes its place.
 */
#include "runtime/sched/park.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((weak)) void tu__lock_slow(struct tu__lock *lock)
{
    for (int spins = 0; spins < 100; spins++)
        if (atomic_load_explicit(&lock->word, memory_order_relaxed) == 0 && tu__trylock(lock))
            return;
    while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0)
        (void)syscall(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, 2, NULL);
}

__attribute__((weak)) void tu__unlock_slow(struct tu__lock *lock)
{
    (void)syscall(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1);
}
