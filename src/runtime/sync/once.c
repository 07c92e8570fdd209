/* once.c - runs something once. Later callers wait for the first one's run: the mutex is held
 * meanwhile, and `done` is set after it, so that seeing it means seeing all its effects. */
#include <tuco/sync.h>

void tu_once(struct tu_once *once, void (*fn)(void *arg), void *arg)
{
    /* acquire: pairs with the release below. */
    if (__builtin_expect(__atomic_load_n(&once->done, __ATOMIC_ACQUIRE), 1))
        return;
    tu_mutex_lock(&once->mutex);
    if (!__atomic_load_n(&once->done, __ATOMIC_RELAXED)) {
        fn(arg);
        __atomic_store_n(&once->done, 1, __ATOMIC_RELEASE);
    }
    tu_mutex_unlock(&once->mutex);
}
