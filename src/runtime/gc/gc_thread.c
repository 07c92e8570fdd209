/* gc_thread.c - see gc_thread.h. */
#include "runtime/gc/gc_thread.h"

#include <pthread.h>

struct tu__gc_threads tu__gc_threads;

static struct gc_thread no_thread;
__thread struct gc_thread *tu__gc_thread_tls __attribute__((tls_model("initial-exec"))) =
    &no_thread;
static pthread_key_t key;

static void thread_ends(void *value)
{
    struct gc_thread *t = value;
    tu__gc_thread_tls = &no_thread;
    tu__lock(&tu__gc_threads.lock);
    t->idle = true;
    tu__unlock(&tu__gc_threads.lock);
}

static struct gc_thread *take_record_locked(void)
{
    struct tu__gc_threads *threads = &tu__gc_threads;
    if (!threads->has_key)
        threads->has_key = pthread_key_create(&key, thread_ends) == 0;
    struct gc_thread *t = atomic_load_explicit(&threads->all, memory_order_relaxed);
    while (t && !t->idle)
        t = t->next;
    if (t) {
        t->idle = false;
        return t;
    }
    t = tu__pages_metadata(sizeof *t);
    if (t) {
        t->next = atomic_load_explicit(&threads->all, memory_order_relaxed);
        atomic_store_explicit(&threads->all, t, memory_order_release);
    }
    return t;
}

struct gc_thread *tu__gc_thread_here(void)
{
    if (tu__gc_thread_tls != &no_thread)
        return tu__gc_thread_tls;
    tu__lock(&tu__gc_threads.lock);
    struct gc_thread *t = take_record_locked();
    tu__unlock(&tu__gc_threads.lock);
    if (!t)
        return NULL;
    tu__gc_thread_tls = t;
    (void)pthread_setspecific(key, t); /* refused: the record is lost with its thread */
    return t;
}

int tu_gc_attach(void)
{
    return tu__gc_thread_here() ? 0 : -ENOMEM;
}
