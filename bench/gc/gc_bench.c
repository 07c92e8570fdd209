/* gc_bench.c - work for a garbage collector: bench/run-gc runs it on libtuco, on libgc (compiled with BENCH_LIBGC), and
 * bench/go/gc.go is the same in Go.
 *
 *     gc_bench NAME COUNT            ns=... of each of COUNT operations
 *
 * trees      binary trees of depth COUNT, as in the benchmarks game; an operation is a node
 * objects    32-byte objects with two pointers, the last 65,536 of which are kept
 * graph      of a million nodes one gets another neighbour; every eighth time a new node takes one's place
 * stores     the same without new nodes: nothing but stores of pointers; plain_stores: by a function that only stores
 * young      objects that die at once, beside two million that stay
 * pause      100,000 goroutines wait, a million objects of 1 KiB live, one goroutine computes for ever, and others
 *            allocate for COUNT milliseconds: stops=, longest and 99th percentile in ns. Not with libgc
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef BENCH_LIBGC
#include <gc.h>
#define TU_TYPE(...)
#define TU_POINTER_TYPE(...)
#define tu_new(type)              ((type *)GC_MALLOC(sizeof(type)))
#define tu_new_array(type, count) ((type *)GC_MALLOC(sizeof(type) * (count)))
#define tu_set(slot, value)       (*(void **)(uintptr_t)(slot) = (void *)(value))
#else
#include <tuco/chan.h>
#include <tuco/gc.h>
#include <tuco/go.h>
#endif

typedef struct tree tree;
struct tree {
    tree *const left, *const right;
};
TU_TYPE(tree, left, right);

typedef struct object object;
struct object {
    object *const next, *const other;
    uint64_t a, b;
};
TU_TYPE(object, next, other);
typedef object *const object_ref;
TU_POINTER_TYPE(object_ref);

typedef struct node node;
struct node {
    node *const neighbours[4];
    uint64_t value;
};
TU_TYPE(node, neighbours);
typedef node *const node_ref;
TU_POINTER_TYPE(node_ref);

enum { KEPT = 1 << 16, NODES = 1000000, OLD = 2000000 };

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed >> 8;
}

static void need(const void *p)
{
    if (p)
        return;
    fprintf(stderr, "gc_bench: out of memory\n");
    exit(1);
}

/* ---- trees ---- */

static __attribute__((noinline)) tree *make_tree(int depth)
{
    tree *t = tu_new(tree);
    need(t);
    if (depth > 0) {
        tu_set(&t->left, make_tree(depth - 1));
        tu_set(&t->right, make_tree(depth - 1));
    }
    return t;
}

static __attribute__((noinline)) int64_t count_tree(const tree *t)
{
    return t->left ? 1 + count_tree(t->left) + count_tree(t->right) : 1;
}

static double trees(int64_t depth)
{
    int64_t nodes = 0, began = now_ns();
    nodes += count_tree(make_tree((int)depth + 1));
    tree *lasting = make_tree((int)depth);
    for (int d = 4; d <= depth; d += 4) {
        int64_t rounds = INT64_C(1) << (depth - d + 4);
        for (int64_t i = 0; i < rounds; i++)
            nodes += count_tree(make_tree(d));
    }
    nodes += count_tree(lasting);
    return (double)(now_ns() - began) / (double)nodes;
}

/* ---- small objects ---- */

static double objects(int64_t count)
{
    object_ref *kept = tu_new_array(object_ref, KEPT);
    need((const void *)kept);
    int64_t began = now_ns();
    for (int64_t i = 0; i < count; i++) {
        object *o = tu_new(object);
        need(o);
        o->a = (uint64_t)i;
        tu_set(&o->next, kept[(i * 7) % KEPT] && i % 4 == 0 ? kept[(i * 7) % KEPT] : NULL);
        tu_set(&kept[i % KEPT], o);
        if (o->next)
            tu_set(&o->next->next, NULL); /* no chain of all */
    }
    return (double)(now_ns() - began) / (double)count;
}

/* ---- a graph ---- */

static node *make_node(uint64_t value)
{
    node *n = tu_new(node);
    need(n);
    n->value = value;
    return n;
}

/* What the barrier is compared with; nothing may collect meanwhile. */
static __attribute__((noinline)) void plain_set(void *slot, const void *value)
{
    *(const void *volatile *)slot = value;
}

static inline __attribute__((always_inline)) double change_graph(int64_t count, bool renew,
                                                                 bool plain)
{
    uint64_t seed = 4711;
    node_ref *all = tu_new_array(node_ref, NODES);
    need((const void *)all);
    for (int i = 0; i < NODES; i++)
        tu_set(&all[i], make_node((uint64_t)i));
    for (int i = 0; i < NODES; i++)
        for (int k = 0; k < 4; k++)
            tu_set(&all[i]->neighbours[k], all[next(&seed) % NODES]);
    int64_t began = now_ns();
    for (int64_t i = 0; i < count; i++) {
        uint64_t r = next(&seed);
        size_t from = r % NODES, to = (r >> 20) % NODES;
        if (renew && i % 8 == 0) {
            node *n = make_node((uint64_t)i);
            for (int k = 0; k < 4; k++)
                tu_set(&n->neighbours[k], all[(to + (size_t)k * 1000) % NODES]);
            tu_set(&all[from], n);
        } else if (plain) {
            plain_set((void *)(uintptr_t)&all[from]->neighbours[(r >> 40) % 4], all[to]);
        } else {
            tu_set(&all[from]->neighbours[(r >> 40) % 4], all[to]);
        }
    }
    return (double)(now_ns() - began) / (double)count;
}

static double graph(int64_t count)
{
    return change_graph(count, true, false);
}

static double stores(int64_t count)
{
    return change_graph(count, false, false);
}

static double plain_stores(int64_t count)
{
    return change_graph(count, false, true);
}

/* ---- young and old ---- */

static double young(int64_t count)
{
    uint64_t seed = 12;
    object_ref *old = tu_new_array(object_ref, OLD);
    need((const void *)old);
    for (int i = 0; i < OLD; i++) {
        tu_set(&old[i], tu_new(object));
        tu_set(&old[i]->other, i ? old[next(&seed) % (uint64_t)i] : NULL);
    }
    int64_t began = now_ns();
    object *last = NULL;
    for (int64_t i = 0; i < count; i++) {
        object *o = tu_new(object);
        need(o);
        o->a = (uint64_t)i;
        tu_set(&o->next, i % 100 ? last : NULL); /* chains of a hundred */
        tu_set(&o->other, old[i % OLD]);
        last = o;
    }
    return (double)(now_ns() - began) / (double)count;
}

/* ---- pauses ---- */

#ifndef BENCH_LIBGC
static tu_channel *gate;
static _Atomic bool stop;

static void wait_at_gate(object *o)
{
    uint64_t value;
    if (tu_channel_recv(gate, &value) == 0)
        abort();
    if (o->a != 1)
        abort();
}

static void hog(void *unused)
{
    volatile uint64_t x = 0;
    while (!atomic_load_explicit(&stop, memory_order_relaxed))
        x = x + 1;
}

typedef struct block {
    char bytes[1008];
    struct block *const next;
} block;
TU_TYPE(block, next);

static double pause_test(int64_t count_ms)
{
    enum { WAITING = 100000, BLOCKS = 1 << 20 };
    typedef block *const block_ref;
    TU_POINTER_TYPE(block_ref);
    gate = tu_channel_make(sizeof(uint64_t), 0);
    for (int i = 0; i < WAITING; i++) {
        object *o = tu_new(object);
        need(o);
        o->a = 1;
        if (tu_go(wait_at_gate, o) < 0)
            exit(1);
    }
    block_ref *blocks = tu_new_array(block_ref, BLOCKS);
    need((const void *)blocks);
    for (int i = 0; i < BLOCKS; i++)
        tu_set(&blocks[i], tu_new(block));
    if (tu_go(hog, NULL) < 0)
        exit(1);
    uint64_t seed = 99;
    struct tu_gc_stats before, after;
    tu_gc_stats(&before);
    fprintf(stderr, "all is there\n"); /* bench/run-gc counts the stops from here on */
    for (int64_t end = now_ns() + count_ms * 1000000; now_ns() < end;) {
        for (int i = 0; i < 1000; i++) {
            block *b = tu_new(block);
            need(b);
            tu_set(&blocks[next(&seed) % BLOCKS], b);
        }
        tu_yield();
    }
    tu_gc_stats(&after);
    atomic_store(&stop, true);
    printf("cycles=%" PRIu64 " longest=%" PRId64 " ", after.cycles - before.cycles,
           after.longest_pause_ns);
    return (double)(after.pause_ns - before.pause_ns) / (double)(after.cycles - before.cycles);
}
#endif

struct call {
    const char *name;
    int64_t count;
};

static void run(void *arg)
{
    static const struct {
        const char *name;
        double (*run)(int64_t count);
    } all[] = {{"trees", trees},     {"objects", objects},           {"graph", graph},
               {"stores", stores},   {"plain_stores", plain_stores}, {"young", young},
#ifndef BENCH_LIBGC
               {"pause", pause_test}
#endif
    };
    const struct call *call = arg;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(call->name, all[i].name) == 0) {
            double ns = all[i].run(call->count);
            struct timespec cpu;
            clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
            printf("ns=%.2f cpu_s=%.3f\n", ns, (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
            return;
        }
    fprintf(stderr, "gc_bench: no such benchmark: %s\n", call->name);
    exit(1);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: gc_bench NAME COUNT\n");
        return 1;
    }
    struct call call = {argv[1], strtoll(argv[2], NULL, 10)};
#ifdef BENCH_LIBGC
    GC_INIT();
    run(&call);
    return 0;
#else
    return tu_main(NULL, run, &call) < 0;
#endif
}
