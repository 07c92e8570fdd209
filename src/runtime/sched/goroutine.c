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

#include <string.h>

enum { ARENA_SIZE = 1 << 30, ARENAS_MAX = 4096, GUARD_SIZE = 16 << 10 };
/* Each g lies a few cache lines lower than its neighbour's, in turn: at one offset in their pages,
 * all of them and the hottest frames would share a few sets of the first- and second-level caches. */
enum { COLORS = 16, COLOR_BYTES = 64, G_BYTES = (sizeof(struct g) + 63) & ~63 };

static struct {
    struct tu__lock lock; /* carving; `prepared` and `total` */
    size_t slot_size;
    size_t prepared; /* slots of the last arena that have their guard; >= its `used` */
    size_t total;    /* slots carved in all arenas */
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

/* Guards the next slots of the last arena, and gives their top pages memory. One by one that is a system
 * call and a page fault for each (1.5 and 12 us on a virtual machine with shadow paging), in lots 1 us
 * for both. A lot is an eighth of what there is, so that at most that much lies idle. */
static int prepare_lot(size_t arena, size_t per_arena)
{
    size_t from = stacks.prepared, lot = 1 + stacks.total / 8;
    if (lot > VM_PARTS_MAX)
        lot = VM_PARTS_MAX;
    if (lot > per_arena - from)
        lot = per_arena - from;
    char *first = stacks.arena[arena] + from * stacks.slot_size;
    int rc = vm_guard(first, GUARD_SIZE, stacks.slot_size, lot);
    if (rc < 0)
        return rc;
    if (lot > 1)
        vm_populate(first + stacks.slot_size - vm_page_size(), vm_page_size(), stacks.slot_size,
                    lot);
    stacks.prepared += lot;
    return 0;
}

/* A slot that has its guard, or NULL. Caller holds the lock. */
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
        stacks.prepared = 0;
        /* release: pairs with the acquire in goroutine_each and goroutine_of_guard */
        atomic_store_explicit(&stacks.arena_count, ++count, memory_order_release);
    }
    size_t used = atomic_load_explicit(&stacks.used[count - 1], memory_order_relaxed);
    if (used == stacks.prepared && prepare_lot(count - 1, per_arena) < 0)
        return NULL;
    stacks.total++;
    return stacks.arena[count - 1] + used * stacks.slot_size;
}

static struct g *g_of_slot(char *slot)
{
    size_t color = (uintptr_t)slot / stacks.slot_size % COLORS;
    return (struct g *)(slot + stacks.slot_size - G_BYTES - color * COLOR_BYTES);
}

struct g *goroutine_new(void)
{
    tu__lock(&stacks.lock);
    char *slot = carve_locked();
    if (!slot) {
        tu__unlock(&stacks.lock);
        return NULL;
    }
    struct g *g = g_of_slot(slot);
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

void goroutine_set_name(struct g *g, const char *name)
{
    size_t size = name ? strnlen(name, TU_NAME_SIZE - 1) : 0;
    memcpy(g->name, name ? name : "", size);
    g->name[size] = 0;
}

/* The slot that holds `address`, or NULL: no slot, or one that was never used. */
static char *slot_of(const void *address)
{
    uint32_t count = atomic_load_explicit(&stacks.arena_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        const char *arena = stacks.arena[i];
        if ((const char *)address < arena || (const char *)address >= arena + ARENA_SIZE)
            continue;
        size_t index = (size_t)((const char *)address - arena) / stacks.slot_size;
        bool used = index < atomic_load_explicit(&stacks.used[i], memory_order_acquire);
        return used ? stacks.arena[i] + index * stacks.slot_size : NULL;
    }
    return NULL;
}

struct g *goroutine_of_guard(void *address)
{
    char *slot = slot_of(address);
    return slot && (char *)address < slot + GUARD_SIZE ? g_of_slot(slot) : NULL;
}

struct g *goroutine_of_stack(const void *address)
{
    char *slot = slot_of(address);
    return slot && (const char *)address >= slot + GUARD_SIZE ? g_of_slot(slot) : NULL;
}

struct g *goroutine_at(const void *address)
{
    char *slot = slot_of(address);
    return slot && g_of_slot(slot) == address ? g_of_slot(slot) : NULL;
}

void goroutine_each(bool (*visit)(struct g *g, void *arg), void *arg)
{
    uint32_t count = atomic_load_explicit(&stacks.arena_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        size_t used = atomic_load_explicit(&stacks.used[i], memory_order_acquire);
        for (size_t slot = 0; slot < used; slot++) {
            if (!visit(g_of_slot(stacks.arena[i] + slot * stacks.slot_size), arg))
                return;
        }
    }
}
