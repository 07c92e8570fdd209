/* collector.c - settings, statistics.
 */
#include "runtime/gc/collector.h"

#include "base/check.h"

#include <string.h>

static struct {
    struct tu__lock lock; /* settings, statistics */
    int percent;
    size_t limit;
    struct tu_gc_stats stats;
} collector = {.percent = 100};

void tu__gc_before_fork(void)
{
    tu__gc_roots_lock();
    tu__lock(&tu__gc_threads.lock);
    tu__lock(&tu__collected.lock);
}

void tu__gc_after_fork(bool child)
{
    void (*open)(struct tu__lock *) = child ? tu__lock_after_fork : tu__unlock;
    open(&tu__collected.lock);
    open(&tu__gc_threads.lock);
    tu__gc_roots_unlock();
}

void tu__gc_pace(void) {}

bool tu__gc_out_of_memory(void)
{
    return false;
}

/* ---- public ---- */

void tu_gc(void) {}

int tu_gc_set_percent(int percent)
{
    tu__lock(&collector.lock);
    int before = collector.percent;
    collector.percent = percent < 0 ? -1 : percent;
    tu__unlock(&collector.lock);
    return before;
}

size_t tu_gc_set_limit(size_t bytes)
{
    tu__lock(&collector.lock);
    size_t before = collector.limit;
    collector.limit = bytes;
    tu__unlock(&collector.lock);
    return before;
}

void tu_gc_stats(struct tu_gc_stats *out)
{
    tu__lock(&collector.lock);
    *out = collector.stats;
    tu__unlock(&collector.lock);
    tu__lock(&tu__collected.lock);
    out->heap_bytes = tu__collected.pages << PAGE_SHIFT;
    out->used_bytes = atomic_load_explicit(&tu__collected.used_bytes, memory_order_relaxed);
    out->freed_objects = tu__collected.freed_objects;
    out->freed_bytes = tu__collected.freed_bytes;
    tu__unlock(&tu__collected.lock);
}
