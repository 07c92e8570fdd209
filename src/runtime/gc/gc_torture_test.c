/* Goroutines and threads change one graph while cycles follow each other; freed memory is overwritten, each marking is
 * verified, and whatever is read must be as it was made. GC_TORTURE_S: seconds, 2 if it is not set; GC_TORTURE_SEED. */
#include <tuco/chan.h>
#include <tuco/gc.h>
#include <tuco/go.h>
#include <tuco/select.h>
#include <tuco/sync.h>
#include <tuco/time.h>

#include "runtime/gc/collector.h"
#include "support/testing.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct thing thing;
struct thing {
    uint64_t value;
    thing *const a;
    uint64_t check; /* ~value */
    thing *const others[2];
    char *const name; /* without pointers; ends with the value */
};
TU_TYPE(thing, a, others, name);
typedef thing *const thing_ref;
TU_POINTER_TYPE(thing_ref);

enum { CELLS = 64, ROW = 48, GOROUTINES = 24 };

/* The whole world: reached by a root. */
static struct world {
    thing_ref *row[CELLS];
    tu_weak *const weak[CELLS]; /* of something that was in the row */
} * world;
static struct tu_mutex locks[CELLS];
static struct tu_wait_group done;
static tu_chan(thing *) exchange, meeting; /* roots */
static _Atomic bool stop;
static _Atomic uint64_t steps;

static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed >> 11;
}

static void check(const thing *t)
{
    REQUIRE(t->check == ~t->value);
    if (t->name) {
        char text[32];
        snprintf(text, sizeof text, "%llu", (unsigned long long)t->value);
        REQUIRE(strcmp(t->name, text) == 0);
    }
}

static __attribute__((noinline)) thing *make(uint64_t *seed, int depth)
{
    thing *t = tu_new(thing);
    REQUIRE(t && !t->a && !t->others[0] && !t->others[1] && !t->name && !t->value);
    t->value = next(seed);
    t->check = ~t->value;
    if (next(seed) % 4 == 0) {
        char *name = tu_new_bytes(24 + next(seed) % 100);
        snprintf(name, 24, "%llu", (unsigned long long)t->value);
        tu_set(&t->name, name);
    }
    if (depth > 0) {
        tu_set(&t->a, make(seed, depth - 1));
        tu_set(&t->others[next(seed) % 2], make(seed, depth - 1 - (int)(next(seed) % 2)));
    }
    return t;
}

/* Along a path. */
static thing *walk(thing *t, uint64_t *seed)
{
    for (int i = 0; t && i < 12; i++) {
        check(t);
        uint64_t way = next(seed) % 4;
        thing *to = way == 0 ? tu_get(&t->a) : tu_get(&t->others[way % 2]);
        if (!to)
            break;
        t = to;
    }
    return t;
}

/* With the only pointer in a local variable: parks, perhaps exchanges it for another. NULL: gave it away. */
static thing *carry(thing *mine, uint64_t *seed)
{
    switch (next(seed) % 5) {
    case 0: tu_yield(); break;
    case 1: CHECK_EQ(tu_sleep((int64_t)(next(seed) % 20) * TU_US), 0); break;
    case 2:
        if (tu_try_send(exchange, mine) != -EAGAIN || tu_try_recv(exchange, &mine) != 0)
            return NULL;
        break;
    case 3: /* from stack to stack */
        tu_select() {
            tu_on_send(meeting, mine) {
                return NULL;
            }
            tu_on_recv(meeting, t) {
                mine = t;
            }
            tu_on_after((int64_t)(next(seed) % 20) * TU_US) {
            }
        }
        break;
    }
    check(mine);
    (void)walk(mine, seed);
    return mine;
}

static void step_on(uint64_t *seed, bool may_park)
{
    size_t cell = next(seed) % CELLS, at = next(seed) % ROW;
    if (may_park)
        tu_mutex_lock(&locks[cell]);
    else if (!tu_mutex_try_lock(&locks[cell]))
        return;
    thing_ref *row = world->row[cell];
    thing *mine = NULL, *t = row[at];
    switch (next(seed) % 12) {
    case 10:
        if (t)
            tu_set(&world->weak[cell], tu_weak_make(walk(t, seed)));
        break;
    case 11: /* what nobody else may know any more */
        t = world->weak[cell] ? tu_weak_get(world->weak[cell]) : NULL;
        if (t) {
            check(t);
            (void)walk(t, seed);
            tu_set(&row[at], t);
        }
        break;
    case 0: tu_set(&row[at], make(seed, (int)(next(seed) % 6))); break;
    case 1: tu_set(&row[at], NULL); break;
    case 2: { /* from one place to another */
        size_t to = next(seed) % ROW;
        tu_set(&row[to], t);
        tu_set(&row[at], NULL);
        break;
    }
    case 3: /* out of the graph, over a park, and back */
        mine = t;
        tu_set(&row[at], NULL);
        break;
    case 4: /* a part of it only */
        mine = walk(t, seed);
        tu_set(&row[at], NULL);
        break;
    case 5: /* links inside, cycles as well */
        t = walk(t, seed);
        if (t)
            tu_set(&t->others[0], row[next(seed) % ROW]);
        break;
    case 6:
        tu__gc_move(TU_TYPE_OF(thing_ref), (void *)&row[at / 2], (const void *)&row[at / 3],
                    ROW / 2);
        break;
    case 7: { /* a new row */
        thing_ref *fresh = tu_new_array(thing_ref, ROW);
        tu__gc_move(TU_TYPE_OF(thing_ref), (void *)fresh, (const void *)row, ROW);
        tu_set(&world->row[cell], fresh);
        break;
    }
    case 8: tu__gc_clear(TU_TYPE_OF(thing_ref), (void *)&row[at / 2], ROW / 4); break;
    default: (void)walk(t, seed);
    }
    tu_mutex_unlock(&locks[cell]);
    mine = mine && may_park ? carry(mine, seed) : NULL;
    if (!mine)
        return;
    tu_mutex_lock(&locks[cell]);
    tu_set(&world->row[cell][at], mine);
    tu_mutex_unlock(&locks[cell]);
}

static void change(uint64_t seed)
{
    for (uint64_t i = 1; !atomic_load_explicit(&stop, memory_order_relaxed); i++) {
        step_on(&seed, true);
        if (i % 64 == 0)
            tu_yield();
        atomic_fetch_add_explicit(&steps, 1, memory_order_relaxed);
    }
    tu_wait_group_done(&done);
}

/* Lives for a moment, with an argument. */
static void visitor(thing *t, uint64_t seed)
{
    check(t);
    (void)walk(t, &seed);
    tu_wait_group_done(&done);
}

static void visit(uint64_t seed)
{
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        tu_wait_group_add(&done, 1);
        CHECK_EQ(tu_go(visitor, make(&seed, 4), next(&seed)), 0);
        if (next(&seed) % 8 == 0)
            CHECK_EQ(tu_sleep(100 * TU_US), 0);
    }
    tu_wait_group_done(&done);
}

/* Whole cycles: one after the other, or a few beside the minor ones. */
static void collect(bool few)
{
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        tu_gc();
        if (few)
            CHECK_EQ(tu_sleep(30 * TU_MS), 0);
    }
    tu_wait_group_done(&done);
}

static void *thread(void *arg)
{
    uint64_t seed = (uintptr_t)arg;
    REQUIRE(tu_gc_attach() == 0);
    while (!atomic_load_explicit(&stop, memory_order_relaxed))
        step_on(&seed, false);
    return NULL;
}

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void torture(bool generations)
{
    uint64_t seed = number_of("GC_TORTURE_SEED", 1) * UINT64_C(0x9e3779b97f4a7c15);
    int64_t end_ns = tu_now() + (int64_t)number_of("GC_TORTURE_S", 2) * TU_S;
    tu_gc_set_generations(generations);
    tu__gc_torture(generations ? 3 : 1 << 30);
    CHECK_EQ(tu_gc_root_add(&world, sizeof world), 0);
    world = (struct world *)(void *)(uintptr_t)tu_new_array(thing_ref, 2 * CELLS);
    for (int i = 0; i < CELLS; i++)
        tu_set((thing_ref **)&world->row[i], tu_new_array(thing_ref, ROW));
    CHECK_EQ(tu_gc_root_add(&exchange, sizeof exchange), 0);
    CHECK_EQ(tu_gc_root_add(&meeting, sizeof meeting), 0);
    exchange = generations ? tu_new_chan(thing_ref, 8) : tu_make_chan(thing *, 8);
    meeting = tu_new_chan(thing_ref, 0);
    tu_wait_group_add(&done, GOROUTINES + 2);
    for (uint64_t i = 0; i < GOROUTINES; i++)
        CHECK_EQ(tu_go(change, seed + i * 77 + 1), 0);
    CHECK_EQ(tu_go(visit, seed + 5), 0);
    CHECK_EQ(tu_go(collect, generations), 0);
    pthread_t plain;
    REQUIRE(pthread_create(&plain, NULL, thread, (void *)(uintptr_t)(seed | 1)) == 0);
    while (tu_now() < end_ns)
        CHECK_EQ(tu_sleep(50 * TU_MS), 0);
    atomic_store(&stop, true);
    pthread_join(plain, NULL);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    tu__collected_verify();
    struct tu_gc_stats s;
    tu_gc_stats(&s);
    CHECK(s.cycles > 3);
    if (getenv("GC_TORTURE_S"))
        printf("  %llu steps, %llu cycles (%llu minor), %llu objects freed, longest stop %lld us\n",
               (unsigned long long)steps, (unsigned long long)s.cycles,
               (unsigned long long)s.minor_cycles, (unsigned long long)s.freed_objects,
               (long long)s.longest_pause_ns / 1000);
}

GO_TIMEOUT_TEST(gc_torture, one_graph_for_all, 3600)
{
    torture(false);
}

GO_TIMEOUT_TEST(gc_torture, with_generations, 3600)
{
    torture(true);
}
