/* gc_anchor.c - see gc_anchor.h: lists, of which each has a lock and a share of the addresses. */
#include "runtime/gc/gc_anchor.h"

#include "runtime/gc/gc_phase.h"
#include "runtime/sched/park.h"

enum { LISTS = 32 };

static struct list {
    _Alignas(64) struct tu__lock lock;
    struct tu__gc_anchor *first;
} lists[LISTS];

static struct list *list_of(const struct tu__gc_anchor *a)
{
    return &lists[((uintptr_t)a >> 6) * UINT64_C(0x9e3779b97f4a7c15) >> 59];
}

void tu__gc_anchor_add(struct tu__gc_anchor *a, const void *start, size_t size)
{
    a->start = start;
    a->size = size;
    if (size < sizeof(void *))
        return;
    struct list *l = list_of(a);
    tu__lock(&l->lock);
    a->since = atomic_load_explicit(&tu__gc_marking, memory_order_relaxed);
    a->prev = NULL;
    a->next = l->first;
    if (a->next)
        a->next->prev = a;
    l->first = a;
    tu__unlock(&l->lock);
}

void tu__gc_anchor_remove(struct tu__gc_anchor *a)
{
    if (a->size < sizeof(void *))
        return;
    struct list *l = list_of(a);
    tu__gc_taken(a->start, a->size);
    tu__lock(&l->lock);
    if (a->next)
        a->next->prev = a->prev;
    if (a->prev)
        a->prev->next = a->next;
    else
        l->first = a->next;
    tu__unlock(&l->lock);
}

void tu__gc_anchors_lock(void)
{
    for (int i = 0; i < LISTS; i++)
        tu__lock(&lists[i].lock);
}

void tu__gc_anchors_unlock(void)
{
    for (int i = 0; i < LISTS; i++)
        tu__unlock(&lists[i].lock);
}

void tu__gc_anchors_after_fork(void)
{
    for (int i = 0; i < LISTS; i++)
        tu__lock_after_fork(&lists[i].lock);
}

void tu__gc_anchors_each(void (*visit)(const void *start, size_t size, void *arg), void *arg)
{
    for (int i = 0; i < LISTS; i++) {
        tu__lock(&lists[i].lock);
        for (const struct tu__gc_anchor *a = lists[i].first; a; a = a->next)
            visit(a->start, a->size, arg);
        tu__unlock(&lists[i].lock);
    }
}

void tu__gc_anchors_each_locked(void (*visit)(const void *start, size_t size, void *arg), void *arg)
{
    uint32_t cycle = atomic_load_explicit(&tu__gc_marking, memory_order_relaxed);
    for (int i = 0; i < LISTS; i++)
        for (const struct tu__gc_anchor *a = lists[i].first; a; a = a->next)
            if (a->since != cycle)
                visit(a->start, a->size, arg);
}
