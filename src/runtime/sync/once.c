/* once.c - runs something once.
 *
 * tu_once: later callers wait for the first one's run on the mutex, which is held meanwhile; `done` is set
 * after it, so that seeing it means seeing all its effects.
 *
 * tu_once_value is for what takes long, so its waiters listen to their contexts: they wait on a wait group.
 * The mutex is only held to find out who is first, which adds to the group before anybody else can see `begun`.
 */
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

/* True for the one that shall run it. */
static bool begin(struct tu_once_value *once)
{
    tu_mutex_lock(&once->mutex);
    bool first = !once->begun;
    if (first) {
        once->begun = 1;
        tu_wait_group_add(&once->running, 1);
    }
    tu_mutex_unlock(&once->mutex);
    return first;
}

static inline bool is_done(const struct tu_once_value *once)
{
    /* acquire: pairs with the release in tu_once_value. */
    return __atomic_load_n(&once->done, __ATOMIC_ACQUIRE) != 0;
}

int tu_once_value(struct tu_once_value *once, int (*fn)(void *arg, void **value), void *arg,
                  void **value)
{
    if (__builtin_expect(!is_done(once), 0)) {
        if (begin(once)) {
            once->error = fn(arg, &once->value);
            __atomic_store_n(&once->done, 1, __ATOMIC_RELEASE);
            tu_wait_group_done(&once->running);
        } else {
            int rc = tu_wait_group_wait(&once->running);
            if (rc < 0 && !is_done(once))
                return rc;
        }
    }
    if (value)
        *value = once->value;
    return once->error;
}
