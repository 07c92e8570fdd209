/* goroutine.c - slots for goroutines.
 *
 * Address space is reserved in arenas of 1 GiB and carved from the front; a slot that has been used
 * stays a goroutine for ever and is recycled through the free lists of schedule.c. A guard of 16 KiB
 * lies at the low end of each slot (code is compiled with stack-clash protection, so no frame jumps
 * over it). Rejected: stacks from the heap (no guard), a mapping per stack (the kernel's limit on
 * mappings ends it near 32,000), growing stacks (C has pointers into them).
 */
#include "runtime/sched/goroutine.h"

#include "base/check.h"
#include "platform/context_switch.h"
#include "platform/vm.h"

enum { ARENA_SIZE = 1 << 30, ARENAS_MAX = 4096, GUARD_SIZE = 16 << 10 };

static struct {
    struct tu__lock lock; /* carving */
    size_t slot_size;
    _Atomic uint32_t arena_count;
    _Atomic size_t used[ARENAS_MAX]; /* slots carved */
    char *arena[ARENAS_MAX];
    _Atomic uint64_t next_id;
} stacks;

int goroutine_init(size_t stack_size)
{
    size_t size = stack_size == 0 ? 64 << 10 : stack_size;
    if (size != 64 << 10 && size != 256 << 10 && size != 1 << 20)
        return -EINVAL;
#if defined(TU__ASAN) || defined(TU__TSAN)
    if (size < 256 << 10) /* instrumented frames are several times larger */
        size = 256 << 10;
#endif
    stacks.slot_size = size;
    return 0;
}

static char *carve_locked(void)
{
    uint32_t count = atomic_load_explicit(&stacks.arena_count, memory_order_relaxed);
    size_t per_arena = ARENA_SIZE / stacks.slot_size;
    if (count == 0 ||
        atomic_load_explicit(&stacks.used[count - 1], memory_order_relaxed) == per_arena) {
        if (count == ARENAS_MAX)
            return NULL;
        char *arena = vm_reserve_stacks(ARENA_SIZE);
        if (!arena)
            return NULL;
        stacks.arena[count] = arena;
        /* release: pairs with the acquire in goroutine_each and goroutine_of_guard */
        atomic_store_explicit(&stacks.arena_count, ++count, memory_order_release);
    }
    size_t used = atomic_load_explicit(&stacks.used[count - 1], memory_order_relaxed);
    return stacks.arena[count - 1] + used * stacks.slot_size;
}

struct g *goroutine_new(void)
{
    tu__lock(&stacks.lock);
    char *slot = carve_locked();
    if (!slot || vm_guard(slot, GUARD_SIZE) != 0) {
        tu__unlock(&stacks.lock);
        return NULL;
    }
    size_t g_size = (sizeof(struct g) + 63) & ~(size_t)63;
    struct g *g = (struct g *)(slot + stacks.slot_size - g_size);
    g->run.kind = RUNNABLE_GOROUTINE;
    g->stack_low = slot + GUARD_SIZE;
    uint32_t arena = atomic_load_explicit(&stacks.arena_count, memory_order_relaxed) - 1;
    atomic_fetch_add_explicit(&stacks.used[arena], 1, memory_order_release);
    tu__unlock(&stacks.lock);
    g->id = atomic_fetch_add_explicit(&stacks.next_id, 1, memory_order_relaxed) + 1;
    return g;
}

void goroutine_trim(struct g *g)
{
    uintptr_t top = (uintptr_t)g & ~(vm_page_size() - 1);
    g->deep = false;
    /* A refusal only means that the memory stays. */
    if (vm_decommit(g->stack_low, top - (uintptr_t)g->stack_low) < 0)
        g->deep = true;
}

void goroutine_prepare(struct g *g, void (*entry)(void))
{
    fiber_init(&g->fiber, g->stack_low, (size_t)((char *)g - (char *)g->stack_low));
    g->sp = context_prepare(g, entry);
}

static struct g *g_of_slot(char *slot)
{
    return (struct g *)(slot + stacks.slot_size - ((sizeof(struct g) + 63) & ~(size_t)63));
}

struct g *goroutine_of_guard(void *address)
{
    uint32_t count = atomic_load_explicit(&stacks.arena_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        if ((char *)address < stacks.arena[i] || (char *)address >= stacks.arena[i] + ARENA_SIZE)
            continue;
        size_t offset = (size_t)((char *)address - stacks.arena[i]);
        char *slot = stacks.arena[i] + offset / stacks.slot_size * stacks.slot_size;
        return offset % stacks.slot_size < GUARD_SIZE ? g_of_slot(slot) : NULL;
    }
    return NULL;
}

void goroutine_each(void (*visit)(struct g *g, void *arg), void *arg)
{
    uint32_t count = atomic_load_explicit(&stacks.arena_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        size_t used = atomic_load_explicit(&stacks.used[i], memory_order_acquire);
        for (size_t slot = 0; slot < used; slot++) {
            struct g *g = g_of_slot(stacks.arena[i] + slot * stacks.slot_size);
            if (g->alive)
                visit(g, arg);
        }
    }
}
