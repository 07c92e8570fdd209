/* memory_bench.c - one workload on one allocator, in a process of its own; bench/run-memory compares.
 *
 *     memory_bench tuco|malloc WORKLOAD [SIZE]
 *
 * `malloc` is whichever malloc the process has: the C library's, or that of a library in LD_PRELOAD.
 * All sides are called through the same table of pointers, so that none is inlined and all pay the
 * same for the call. Prints name=value words: `ns` is CPU time of the threads for an operation, the
 * least of many short rounds, because other work on the machine only ever adds to it; time in which
 * a thread waits for another is outside of its rounds.
 */
#include <tuco/mem.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct side {
    void *(*alloc)(size_t size);
    void (*free)(void *block);
    bool tuco;
};
static struct side side;

static void *must(void *p)
{
    if (p)
        return p;
    fprintf(stderr, "memory_bench: out of memory\n");
    exit(1);
}

static uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

/* As servers ask: three quarters below 256 bytes, most of the rest below 4 KiB, some up to 32 KiB. */
static size_t random_size(uint64_t *state)
{
    uint64_t r = random_next(state);
    unsigned kind = r & 15;
    r >>= 8;
    if (kind < 12)
        return 8 + r % 248;
    return kind < 15 ? 256 + r % 3840 : 4096 + r % 28672;
}

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static long resident_bytes(void)
{
    char text[128] = "";
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || !fgets(text, sizeof text, f))
        exit(1);
    fclose(f);
    long pages = strtol(strchr(text, ' '), NULL, 10);
    return pages * sysconf(_SC_PAGESIZE);
}

static double least(double a, double b)
{
    return b < a ? b : a;
}

/* ---- one thread ---- */

enum { ROUNDS = 200, PAIRS = 20000 };

static double pairs(size_t size)
{
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        double start = cpu_ns();
        for (int i = 0; i < PAIRS; i++) {
            char *p = must(side.alloc(size));
            *(volatile char *)p = 1;
            side.free(p);
        }
        best = least(best, (cpu_ns() - start) / PAIRS);
    }
    return best;
}

/* Blocks taken, then given back in another order. `size` 0: random sizes. */
static double batch(size_t size)
{
    enum { COUNT = 10000 };
    static void *blocks[COUNT];
    static uint32_t sizes[COUNT], order[COUNT];
    uint64_t random = 88172645463325252u;
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t j = (uint32_t)(random_next(&random) % (i + 1));
        sizes[i] = (uint32_t)(size ? size : random_size(&random));
        order[i] = order[j];
        order[j] = i;
    }
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        double start = cpu_ns();
        for (int i = 0; i < COUNT; i++) {
            blocks[i] = must(side.alloc(sizes[i]));
            *(volatile char *)blocks[i] = 1;
        }
        for (int i = 0; i < COUNT; i++)
            side.free(blocks[order[i]]);
        best = least(best, (cpu_ns() - start) / COUNT);
    }
    return best;
}

/* A set of blocks of which a random one is replaced, again and again. */
static double replace(size_t count)
{
    void **slots = must(calloc(count, sizeof *slots));
    uint64_t random = 88172645463325252u;
    double best = 1e18;
    for (size_t i = 0; i < count; i++)
        slots[i] = must(side.alloc(random_size(&random)));
    for (int round = 0; round < ROUNDS; round++) {
        double start = cpu_ns();
        for (int i = 0; i < PAIRS; i++) {
            void **slot = &slots[random_next(&random) % count];
            side.free(*slot);
            *slot = must(side.alloc(random_size(&random)));
            *(volatile char *)*slot = 1;
        }
        best = least(best, (cpu_ns() - start) / PAIRS);
    }
    return best;
}

/* ---- two threads ---- */

/* Parcels of blocks go from the producer to the consumer, empty ones back. */
enum { PARCEL = 500, PARCELS = 8, SENT = 3000 };
struct parcel {
    void *blocks[PARCEL];
    _Atomic bool full; /* release by who is done with it, acquire by who waits for it */
};
static struct parcel parcels[PARCELS];

static void wait_for(struct parcel *p, bool full)
{
    struct timespec moment = {0, 20000};
    for (int spins = 0; atomic_load_explicit(&p->full, memory_order_acquire) != full; spins++)
        if (spins > 1000)
            nanosleep(&moment, NULL);
}

static void *consumer(void *result)
{
    double best = 1e18;
    for (int i = 0; i < SENT; i++) {
        struct parcel *p = &parcels[i % PARCELS];
        wait_for(p, true);
        double start = cpu_ns();
        for (int j = 0; j < PARCEL; j++)
            side.free(p->blocks[j]);
        best = least(best, (cpu_ns() - start) / PARCEL);
        *(double *)result += cpu_ns() - start;
        atomic_store_explicit(&p->full, false, memory_order_release);
    }
    return NULL;
}

static double exchange(size_t size)
{
    pthread_t thread;
    double spent = 0, other = 0;
    uint64_t random = 88172645463325252u;
    if (pthread_create(&thread, NULL, consumer, &other))
        exit(1);
    for (int i = 0; i < SENT; i++) {
        struct parcel *p = &parcels[i % PARCELS];
        wait_for(p, false);
        double start = cpu_ns();
        for (int j = 0; j < PARCEL; j++) {
            p->blocks[j] = must(side.alloc(size ? size : random_size(&random)));
            *(volatile char *)p->blocks[j] = 1;
        }
        spent += cpu_ns() - start;
        atomic_store_explicit(&p->full, true, memory_order_release);
    }
    pthread_join(thread, NULL);
    return (spent + other) / ((double)SENT * PARCEL);
}

/* Larson's server: each thread replaces random blocks of its set; sets change hands, so that blocks are
 * given back by others than those that took them. */
enum { SET = 5000, SETS = 4, TURNS = 60, TURN = 20000, THREADS = 2 };
static void *sets[SETS][SET];
static pthread_barrier_t barrier;

struct larson {
    int number;
    double spent;
};

static void *larson_thread(void *arg)
{
    struct larson *l = arg;
    uint64_t random = 88172645463325252u + (uint64_t)l->number;
    for (int turn = 0; turn < TURNS; turn++) {
        void **set = sets[(l->number + turn) % SETS];
        pthread_barrier_wait(&barrier);
        double start = cpu_ns();
        for (int i = 0; i < TURN; i++) {
            void **slot = &set[random_next(&random) % SET];
            if (*slot)
                side.free(*slot);
            *slot = must(side.alloc(8 + random_next(&random) % 1000));
            *(volatile char *)*slot = 1;
        }
        l->spent += cpu_ns() - start;
    }
    return NULL;
}

static double larson(size_t unused)
{
    pthread_t threads[THREADS];
    struct larson l[THREADS] = {0};
    double spent = 0;
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        l[i].number = i;
        if (pthread_create(&threads[i], NULL, larson_thread, &l[i]))
            exit(1);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        spent += l[i].spent;
    }
    (void)unused;
    return spent / ((double)THREADS * TURNS * TURN);
}

static const struct {
    const char *name;
    double (*run)(size_t size);
} workloads[] = {
    {"pairs", pairs},       {"batch", batch},   {"replace", replace},
    {"exchange", exchange}, {"larson", larson},
};

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    side = strcmp(argv[1], "tuco") == 0 ? (struct side){tu_alloc, tu_free, true}
                                        : (struct side){malloc, free, false};
    size_t size = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
        if (strcmp(argv[2], workloads[i].name) == 0) {
            printf("ns=%.2f resident=%ld\n", workloads[i].run(size), resident_bytes());
            return 0;
        }
    fprintf(stderr, "memory_bench: no workload %s\n", argv[2]);
    return 2;
}
