/* memory_bench.c - one workload on one allocator, in a process of its own; bench/run-memory
 * compares.
 *
 *     memory_bench tuco|malloc WORKLOAD [SIZE]      memory_bench library
 *
 * `malloc` is whichever malloc the process has: the C library's, or that of a library in
 * LD_PRELOAD. All sides are called through the same table of pointers, so that none is inlined and
 * all pay the same for the call. `library` says whose malloc it is.
 *
 * Prints name=value words. `ns` is CPU time of the threads for an operation: of one thread the
 * least of many short rounds, because other work on the machine only ever adds to it; of two their
 * sum over all, without the time in which one waits for the other. The churns print resident memory
 * for each byte that is live.
 */
#include <tuco/mem.h>

#include <dlfcn.h>
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

/* As servers ask: three quarters below 256 bytes, most of the rest below 4 KiB, some up to 32 KiB.
 * */
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

/* Larson's server: each thread replaces random blocks of its set; sets change hands, so that blocks
 * are given back by others than those that took them. */
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

/* ---- resident memory ---- */

enum { CHURN_BLOCKS = 600000, CHURN_ROUNDS = 4 };
struct churned {
    void *block;
    uint32_t size;
};
static struct churned churned[CHURN_BLOCKS];

static void churn_put(struct churned *c, uint64_t *random)
{
    c->size = (uint32_t)(8 + random_next(random) % 993);
    c->block = must(side.alloc(c->size));
    memset(c->block, 1, c->size);
}

static void churn_drop(struct churned *c)
{
    side.free(c->block);
    c->block = NULL;
}

/* What each library offers for giving back what it holds. */
static void give_back(void)
{
    void (*collect)(bool) = NULL;
    int (*control)(const char *, void *, size_t *, void *, size_t) = NULL;
    if (side.tuco) {
        (void)tu_mem_release();
        return;
    }
    *(void **)&collect = dlsym(RTLD_DEFAULT, "mi_collect");
    *(void **)&control = dlsym(RTLD_DEFAULT, "mallctl");
    if (collect) {
        collect(true);
    } else if (control) {
        control("thread.tcache.flush", NULL, NULL, NULL, 0);
        control("arena.4096.purge", NULL, NULL, NULL, 0); /* MALLCTL_ARENAS_ALL */
    }
}

static void move_blocks(void)
{
    (void)tu_mem_release();
    for (int i = 0; i < CHURN_BLOCKS; i++) {
        void *moved = churned[i].block ? tu_move(churned[i].block) : NULL;
        if (moved)
            churned[i].block = moved;
    }
}

/* Nine tenths of many blocks go: the oldest (`how` 0), or, after others have taken their places for
 * a while, any (1), after which those that are worth it are moved (2). */
static double churn(size_t how)
{
    uint64_t random = 88172645463325252u;
    memset(churned, 0, sizeof churned);
    long before = resident_bytes();
    size_t live = 0;
    for (int i = 0; i < CHURN_BLOCKS; i++)
        churn_put(&churned[i], &random);
    for (int i = 0; i < CHURN_ROUNDS * CHURN_BLOCKS / 2 && how > 0; i++) {
        struct churned *c = &churned[random_next(&random) % CHURN_BLOCKS];
        churn_drop(c);
        churn_put(c, &random);
    }
    for (int i = 0; i < CHURN_BLOCKS; i++)
        if (how == 0 ? i < CHURN_BLOCKS / 10 * 9 : random_next(&random) % 10 != 0)
            churn_drop(&churned[i]);
        else
            live += churned[i].size;
    printf("at_once=%.3f ", (double)(resident_bytes() - before) / (double)live);
    if (how == 2 && side.tuco)
        move_blocks();
    give_back();
    printf("given_back=%.3f live=%zu ", (double)(resident_bytes() - before) / (double)live, live);
    return 0;
}

static const struct {
    const char *name;
    double (*run)(size_t size);
} workloads[] = {
    {"pairs", pairs},       {"batch", batch},   {"replace", replace},
    {"exchange", exchange}, {"larson", larson}, {"churn", churn},
};

static const char *library(void)
{
    return dlsym(RTLD_DEFAULT, "mi_version") ? "mimalloc"
           : dlsym(RTLD_DEFAULT, "mallctl")  ? "jemalloc"
                                             : "libc";
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "library") == 0)
        return puts(library()) < 0;
    if (argc < 3)
        return 2;
    side = strcmp(argv[1], "tuco") == 0 ? (struct side){tu_alloc, tu_free, true}
                                        : (struct side){malloc, free, false};
    size_t size = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
        if (strcmp(argv[2], workloads[i].name) == 0) {
            printf("ns=%.2f\n", workloads[i].run(size));
            return 0;
        }
    fprintf(stderr, "memory_bench: no workload %s\n", argv[2]);
    return 2;
}
