/* lazy_free.c - the queue of what is to be freed.
 *
 * Each thing that comes has a goroutine that takes one thing from the queue, so that all Ps share the work; which
 * one does not matter. A helper takes one, too, and its goroutine will find one less: an empty
 * queue is no error. The lock guards the links alone and is a plain one: nobody parks under it, and callers may hold shards.
 *
 * `pending` falls after a thing's memory was freed (release), so whoever sees it fall (acquire) finds that memory in the heap.
 */
#include "store/lazy_free.h"

#include "runtime/sched/park.h"
#include "store/entry.h"
#include "store/hash_table.h"

#include <stdatomic.h>
#include <stddef.h>
#include <tuco/go.h>
#include <tuco/mem.h>
#include <unistd.h>

enum {
    LONG_EFFORT = 8192, /* freeing takes about a millisecond */
    HELP_WAIT_US = 100,
    HELP_WAITS = 100,
};

struct item {
    struct item *next;
    struct entry *entry; /* or */
    struct hash_detached *detached;
    uint64_t objects;
};

static struct {
    struct tu__lock lock;
    struct item *first, **last; /* under it; the oldest first */
    _Atomic uint64_t pending, freed;
    _Atomic uint64_t freed_at_help; /* what `freed` was when help was asked for last */
    _Atomic bool short_of_memory;   /* somebody asked for help since everything was freed last */
} queue = {.last = &queue.first};

static struct item *take(void)
{
    tu__lock(&queue.lock);
    struct item *i = queue.first;
    if (i) {
        queue.first = i->next;
        if (!queue.first)
            queue.last = &queue.first;
    }
    tu__unlock(&queue.lock);
    return i;
}

static void free_now(struct entry *e, struct hash_detached *d)
{
    if (e)
        entry_free(e);
    hash_detached_free(d);
}

static void finish(struct item *i)
{
    uint64_t objects = i->objects;
    free_now(i->entry, i->detached);
    tu_free(i);
    atomic_fetch_add_explicit(&queue.freed, objects, memory_order_relaxed);
    atomic_fetch_sub_explicit(&queue.pending, objects, memory_order_release);
}

/* Detached tables are one a shard: each too short to step aside for, and there are too many of them. */
static void free_one(void *unused)
{
    struct item *i = take();
    if (!i)
        return;
    if (i->entry && entry_free_effort(i->entry) >= LONG_EFFORT)
        tu_step_aside();
    finish(i);
    if (!atomic_load_explicit(&queue.short_of_memory, memory_order_relaxed))
        return;
    (void)tu_mem_release(); /* what this thread's cache keeps would hold pages of all sizes */
    if (atomic_load_explicit(&queue.pending, memory_order_relaxed) == 0)
        atomic_store_explicit(&queue.short_of_memory, false, memory_order_relaxed);
}

/* Once the item is in the queue it may be gone at any moment; a goroutine too few is made up for by
 * freeing one thing here. */
static void put(struct entry *e, struct hash_detached *d, uint64_t objects)
{
    struct item *i = tu_maxprocs() == 0 ? NULL : tu_alloc(sizeof *i);
    if (!i) {
        free_now(e, d);
        atomic_fetch_add_explicit(&queue.freed, objects, memory_order_relaxed);
        return;
    }
    *i = (struct item){NULL, e, d, objects};
    atomic_fetch_add_explicit(&queue.pending, objects, memory_order_relaxed);
    tu__lock(&queue.lock);
    *queue.last = i;
    queue.last = &i->next;
    tu__unlock(&queue.lock);
    if (tu_go(free_one, NULL) < 0 && (i = take()))
        finish(i);
}

void lazy_free_entry(struct entry *e)
{
    put(e, NULL, 1);
}

void lazy_free_detached(struct hash_detached *d, uint64_t keys)
{
    if (d)
        put(NULL, d, keys);
}

bool lazy_free_help(void)
{
    struct item *i = take();
    atomic_store_explicit(&queue.short_of_memory, true, memory_order_relaxed);
    if (i) {
        finish(i);
        return true;
    }
    uint64_t before = atomic_load_explicit(&queue.pending, memory_order_acquire);
    uint64_t freed = atomic_load_explicit(&queue.freed, memory_order_relaxed);
    if (atomic_exchange_explicit(&queue.freed_at_help, freed, memory_order_relaxed) != freed)
        return true;
    for (int waits = 0; before > 0 && waits < HELP_WAITS; waits++) {
        if (atomic_load_explicit(&queue.pending, memory_order_acquire) < before)
            return true;
        (void)usleep(HELP_WAIT_US);
    }
    return false;
}

struct lazy_free_counts lazy_free_counts(void)
{
    return (struct lazy_free_counts){
        .pending = atomic_load_explicit(&queue.pending, memory_order_relaxed),
        .freed = atomic_load_explicit(&queue.freed, memory_order_relaxed)};
}

void lazy_free_reset(void)
{
    atomic_store_explicit(&queue.freed, 0, memory_order_relaxed);
}
