/* goroutine.h - struct g: a goroutine and its stack slot.
 *
 *   slot  | guard | ............ stack grows down <-- | struct g |
 *         low                                      top           slot end
 *
 * The g lies in the top page of its slot, so that an idle goroutine with shallow frames touches one
 * page. Slots are type-stable: once a slot has held a g it always holds one, dead or alive, so a
 * stale pointer to a g never points to anything else.
 */
#pragma once

#include "base/torture.h"
#include "runtime/sched/fiber.h"
#include "runtime/sched/park.h"
#include "runtime/sched/run_queue.h"

#include <tuco/go.h>

struct g {
    struct runnable run;          /* first: queues link goroutines through it */
    void *sp;                     /* saved stack pointer while not running */
    struct tu__cancel *cancel;    /* current context, or NULL */
    struct tu__cancel *inherited; /* the one it was started with; holds a reference */
    _Atomic uint64_t wait; /* since when << 8 | enum tu__wait while parked; see tu__sched.coarse */
    const void *object;    /* what it waits for, while parked; see tu__sleeper_init_for */
    uint32_t nopark;       /* > 0: a park is a bug */
    uint32_t pins;         /* tu_pin nesting */
    struct m *pinned_to;   /* the M that alone may run it, or NULL; written by itself */
    bool deep;             /* its stack may hold pages below the top one; see goroutine_trim */
    bool alive;            /* started and not finished; written by its runner */
    void (*entry)(void);
    uintptr_t words[6];
    struct task *task;          /* instead of entry: a task that borrows this stack */
    const struct tu_site *site; /* where it was started */
    uint64_t id;
    char name[TU_NAME_SIZE]; /* ends with a 0; "" without; its own goroutine writes, dumps read */
    _Atomic uint32_t
        scanned;     /* the cycle of the collector in which its stack was; see gc_stacks.h */
    uint64_t queued; /* the dump that found it in a run queue; only dumps use it */
    void *stack_low; /* lowest usable address, above the guard */
    struct fiber fiber;
#if TU__MIGRATE
    struct m *ran_on;   /* whoever ran it last, which does not run it again at once */
    int64_t refused_ns; /* since when; 0: not yet */
#endif
};

/* Prepares the allocator for stacks of `stack_size` bytes (64 KiB, 256 KiB or 1 MiB). 0 or -errno. */
int goroutine_init(size_t stack_size);
/* A dead goroutine ready to be prepared, or NULL when no memory is left. Never parks. */
struct g *goroutine_new(void);
/* Gives the memory of a dead goroutine's stack back, but for the page that holds the g. */
void goroutine_trim(struct g *g);
/* Sets its first frame: switching to g->sp calls entry(). */
void goroutine_prepare(struct g *g, void (*entry)(void));
/* Copies `name`, cut to TU_NAME_SIZE - 1 bytes; NULL: none. By the goroutine itself, or before it runs. */
void goroutine_set_name(struct g *g, const char *name);
/* The goroutine whose guard holds `address`, or NULL. Async-signal-safe. */
struct g *goroutine_of_guard(void *address);
/* The goroutine in whose stack, above the guard, `address` lies, or NULL. Async-signal-safe. */
struct g *goroutine_of_stack(const void *address);
/* The goroutine whose struct g lies at `address`, or NULL: any address may be asked. Async-signal-safe. */
struct g *goroutine_at(const void *address);
/* Calls visit for every slot that ever held a goroutine, dead or alive, racing with them, until it
 * returns false. Async-signal-safe. */
void goroutine_each(bool (*visit)(struct g *g, void *arg), void *arg);
