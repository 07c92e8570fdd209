/* heap_test.c - the manual heap against a model: what was written into a block stays in it. */
#include "runtime/mem/heap.h"

#include "runtime/mem/heap_debug.h"
#include "runtime/mem/sanitizer.h"
#include "runtime/mem/size_class.h"
#include "support/testing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of a block that is counted as used, beyond its usable size. */
#if TU__MEM_IS_MALLOC
enum { REDZONE = 0 };
#else
enum { REDZONE = TU__REDZONE };
#endif

static uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Mostly small, some of every order of magnitude up to 512 KiB. */
static size_t random_size(uint64_t *state)
{
    uint64_t r = random_next(state);
    unsigned bits = r % 64 < 56 ? 1 + r / 64 % 12 : 1 + r / 64 % 19;
    return random_next(state) & (((size_t)1 << bits) - 1);
}

static void fill(unsigned char *p, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        p[i] = (unsigned char)(seed + i * 7);
}

static bool intact(const unsigned char *p, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        if (p[i] != (unsigned char)(seed + i * 7))
            return false;
    return true;
}

static size_t used_now(void)
{
    struct tu_mem_stats stats;
    tu_mem_stats(&stats);
    return stats.used_bytes;
}

TEST(size_class, arithmetic)
{
    for (unsigned class = 2; class < SIZE_CLASS_COUNT; class ++)
        REQUIRE(size_class_bytes(class) > size_class_bytes(class - 1));
    CHECK_EQ(size_class_bytes(1), 8);
    CHECK_EQ(size_class_bytes(32), 256);
    CHECK_EQ(size_class_bytes(SIZE_CLASS_COUNT - 1), SIZE_CLASS_LARGEST);
    CHECK_EQ(size_class_of(0), 1);
    for (size_t size = 1; size <= SIZE_CLASS_LARGEST; size++) {
        unsigned class = size_class_of(size);
        size_t bytes = size_class_bytes(class);
        REQUIRE(class >= 1 && class < SIZE_CLASS_COUNT && bytes >= size);
        REQUIRE(class == 1 || size_class_bytes(class - 1) < size);
        REQUIRE(size <= 128 ? bytes - size < 8 : (bytes - size) * 8 <= bytes);
        REQUIRE(tu_good_size(size) >= size && (REDZONE > 0 || tu_good_size(size) == bytes));
    }
}

TEST(heap, alignment_and_usable_size)
{
    for (size_t size = 0; size < 100000; size += size < 2000 ? 1 : 997) {
        unsigned char *p = tu_alloc(size);
        REQUIRE(p);
        REQUIRE((uintptr_t)p % 8 == 0 && (tu_good_size(size) % 16 || (uintptr_t)p % 16 == 0));
        REQUIRE(tu_usable_size(p) == tu_good_size(size) && tu_good_size(size) >= size);
        memset(p, 1, tu_usable_size(p));
        tu_free(p);
    }
    tu_free(NULL);
    CHECK_EQ(tu_usable_size(NULL), 0);
}

TEST(heap, zeroed)
{
    size_t sizes[] = {1, 8, 88, 4096, 32768, 32769, 300000, (size_t)5 << 20};
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            unsigned char *p = tu_alloc_zeroed(sizes[i]);
            REQUIRE(p);
            for (size_t j = 0; j < sizes[i]; j++)
                REQUIRE(p[j] == 0);
            memset(p, 0xff, sizes[i]);
            tu_free(p);
        }
}

struct slot {
    unsigned char *p;
    size_t size;
    unsigned seed;
};

static void model_step(struct slot *s, uint64_t *random)
{
    if (!s->p) {
        s->size = random_size(random);
        s->p = tu_alloc(s->size);
    } else {
        REQUIRE(intact(s->p, s->size, s->seed));
        if (random_next(random) % 3 == 0) {
            size_t size = random_size(random);
            unsigned char *p = tu_realloc(s->p, size);
            REQUIRE(p && intact(p, size < s->size ? size : s->size, s->seed));
            s->p = p;
            s->size = size;
        } else {
            tu_free(s->p);
            s->p = NULL;
            return;
        }
    }
    REQUIRE(s->p);
    s->seed = (unsigned)random_next(random);
    fill(s->p, s->size, s->seed);
}

TEST(heap, model)
{
    enum { SLOTS = 1500, STEPS = 40000 };
    static struct slot slots[SLOTS];
    uint64_t random = 42;
    for (int step = 0; step < STEPS; step++) {
        model_step(&slots[random_next(&random) % SLOTS], &random);
        if (step % 500 == 0) {
            tu__mem_verify();
            size_t model = 0;
            for (int i = 0; i < SLOTS; i++)
                model += slots[i].p ? tu_usable_size(slots[i].p) + REDZONE : 0;
            REQUIRE(used_now() == model);
        }
    }
    for (int i = 0; i < SLOTS; i++)
        tu_free(slots[i].p);
    CHECK_EQ(used_now(), 0);
    tu__mem_flush();
    tu__mem_verify();
}

TEST(heap, grows_and_shrinks_in_place)
{
    size_t size = 40000;
    unsigned char *p = tu_alloc(size);
    REQUIRE(p);
    fill(p, size, 3);
    for (int i = 0; i < 400; i++) {
        size_t wanted = i % 2 ? 33000 + (size_t)i * 977 : 400000 - (size_t)i * 900;
        unsigned char *q = tu_realloc(p, wanted);
        REQUIRE(q && intact(q, wanted < size ? wanted : size, 3));
        REQUIRE(tu_usable_size(q) >= wanted);
        if (i % 7 == 0)
            tu__mem_verify();
        fill(q, wanted, 3);
        p = q;
        size = wanted;
    }
    p = tu_realloc(p, 100);
    REQUIRE(p && intact(p, 100, 3));
    tu_free(p);
    CHECK_EQ(used_now(), 0);
}

/* ---- several threads ---- */

enum { MAILBOXES = 256 };
static _Atomic(unsigned char *) mailboxes[MAILBOXES]; /* blocks: size, then a pattern */

static void *exchange(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    for (int i = 0; i < 30000; i++) {
        size_t size = sizeof(size_t) + random_size(&random) % 3000;
        unsigned char *p = tu_alloc(size);
        REQUIRE(p);
        memcpy(p, &size, sizeof size);
        fill(p + sizeof size, size - sizeof size, (unsigned)size);
        p = atomic_exchange(&mailboxes[random_next(&random) % MAILBOXES], p);
        if (p) {
            memcpy(&size, p, sizeof size);
            REQUIRE(intact(p + sizeof size, size - sizeof size, (unsigned)size));
            tu_free(p);
        }
    }
    return NULL;
}

/* Races between the first allocations of several threads were missed while the main thread had
 * allocated before them: nothing may be allocated ahead of the loop here. */
TEST(heap, freed_by_other_threads)
{
    pthread_t threads[4];
    for (int round = 0; round < 3; round++) { /* threads end: their caches are taken over */
        for (uintptr_t i = 0; i < 4; i++)
            REQUIRE(pthread_create(&threads[i], NULL, exchange, (void *)(i + 1)) == 0);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        tu__mem_verify();
    }
    for (int i = 0; i < MAILBOXES; i++)
        tu_free(atomic_exchange(&mailboxes[i], NULL));
    CHECK_EQ(used_now(), 0);
    tu__mem_flush();
    tu__mem_verify();
}

/* One allocates, the other frees, in bulk: memory must circulate, not pile up in a cache. */
static void *free_all(void *arg)
{
    void **blocks = arg;
    for (int i = 0; i < 20000; i++)
        tu_free(blocks[i]);
    return NULL;
}

TEST(heap, circulates)
{
    static void *blocks[20000];
    struct tu_mem_stats first, last;
    for (int round = 0; round < 12; round++) {
        for (int i = 0; i < 20000; i++)
            REQUIRE((blocks[i] = tu_alloc(100)));
        tu_mem_stats(round == 1 ? &first : &last);
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, free_all, blocks) == 0);
        pthread_join(thread, NULL);
    }
    CHECK(last.heap_bytes <= first.heap_bytes + first.heap_bytes / 8);
    CHECK_EQ(used_now(), 0);
}

#if !TU__MEM_IS_MALLOC
static size_t resident(void)
{
    unsigned long size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    REQUIRE(f && fscanf(f, "%lu %lu", &size, &pages) == 2);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

TEST(heap, million_blocks_cost_little)
{
    enum { COUNT = 1000000, SIZE = 88 };
    void **blocks = malloc(COUNT * sizeof *blocks);
    REQUIRE(blocks);
    memset(blocks, 1, COUNT * sizeof *blocks);
    size_t before = resident();
    for (int i = 0; i < COUNT; i++) {
        REQUIRE((blocks[i] = tu_alloc(SIZE)));
        memset(blocks[i], 1, SIZE);
    }
    /* Beyond the first 16 MiB the heap asks for huge pages: the last one may be used in part. */
    size_t huge = (size_t)2 << 20, grown = resident() - before;
    double each = (double)grown / COUNT, least = (double)(grown > huge ? grown - huge : 0) / COUNT;
    printf("  %.2f bytes resident for each block of %d\n", each, SIZE);
    (void)least;
#if !defined(TU_DEBUG) && !defined(__SANITIZE_THREAD__)
    CHECK(least <= 89);
#endif
    struct tu_mem_stats stats;
    tu_mem_stats(&stats);
    CHECK_EQ(stats.used_bytes, (size_t)COUNT * (tu_good_size(SIZE) + REDZONE));
    for (int i = 0; i < COUNT; i++)
        tu_free(blocks[i]);
    (void)tu_mem_release();
    tu__mem_verify();
    tu_mem_stats(&stats);
    CHECK_EQ(stats.used_bytes, 0);
    CHECK(stats.peak_bytes >= (size_t)COUNT * SIZE);
    CHECK(stats.heap_bytes < (size_t)2 << 20); /* given back to the system */
#if !defined(__SANITIZE_THREAD__)
    CHECK(resident() < before + ((size_t)3 << 20));
#endif
    free(blocks);
}
#endif

TEST(heap, too_much_is_null)
{
    size_t sizes[] = {(size_t)1 << 41, SIZE_MAX, SIZE_MAX - 100, SIZE_MAX / 2 + 1};
    void *p = tu_alloc(100);
    REQUIRE(p);
    memset(p, 5, 100);
    for (size_t i = 0; i < 4; i++) {
        size_t size = sizes[i];
        __asm__("" : "+r"(size)); /* the compiler warns of such sizes when it sees them */
        CHECK(!tu_alloc(size));
        CHECK(!tu_alloc_zeroed(size));
        CHECK(!tu_realloc(p, size));
    }
    CHECK(((char *)p)[99] == 5);
    tu_free(p);
}

#ifdef TU_DEBUG
TEST(heap, nth_allocation_fails)
{
    REQUIRE(tu__mem_fail_after(3));
    void *a = tu_alloc(10), *b = tu_alloc_zeroed(50000), *c = tu_alloc(10), *d = tu_alloc(10);
    CHECK(a && b && !c && d);
    REQUIRE(tu__mem_fail_after(1));
    void *grown = tu_realloc(a, 5000);
    CHECK(!grown);
    tu_free(a);
    tu_free(b);
    tu_free(d);
}
#endif

/* ---- a caller's mistakes end the process ---- */

static bool aborts(void (*fn)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(0);
        fn();
        _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
}

static void *hidden(void *p)
{
    __asm__("" : "+r"(p)); /* keeps the compiler from seeing the mistake */
    return p;
}

static void free_foreign(void)
{
    int on_stack;
    tu_free(hidden(&on_stack));
}

static void free_twice(void)
{
    void *p = tu_alloc(50);
    void *q = hidden(p);
    tu_free(p);
    tu_free(q);
}

static void free_large_twice(void)
{
    void *p = tu_alloc(500000);
    void *q = hidden(p);
    tu_free(p);
    tu_free(q);
}

static void free_inside_large(void)
{
    char *p = tu_alloc(500000);
    tu_free(hidden(p + 16384));
}

TEST(heap, mistakes_abort)
{
    tu_free(tu_alloc(1));
    CHECK(aborts(free_foreign));
    CHECK(aborts(free_twice));
    CHECK(aborts(free_large_twice));
    CHECK(aborts(free_inside_large));
}

#ifdef TU_DEBUG
static void free_twice_later(void)
{
    void *p = tu_alloc(50), *other = tu_alloc(50);
    void *q = hidden(p);
    tu_free(p);
    tu_free(other);
    tu_free(q);
}

static void free_inside_small(void)
{
    char *p = tu_alloc(100);
    tu_free(hidden(p + 8));
}

static void write_after_free(void)
{
    char *p = tu_alloc(100);
    char *q = hidden(p);
    tu_free(p);
    q[50] = 1;
    tu__mem_flush();
}

TEST(heap, debug_builds_see_more)
{
    CHECK(aborts(free_twice_later));
    CHECK(aborts(free_inside_small));
    CHECK(aborts(write_after_free));
}
#endif
