/* heap_inside_test.c - what only the real heap can show: places, moving, giving back, reports,
 * running out, and many threads at once. Under AddressSanitizer it has the real heap, too
 * (CMakeLists.txt).
 */
#include "runtime/mem/heap.h"
#include "runtime/mem/heap_debug.h"
#include "runtime/mem/size_class.h"
#include "support/testing.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static struct tu_mem_stats stats_now(void)
{
    struct tu_mem_stats stats;
    tu_mem_stats(&stats);
    return stats;
}

/* ---- alignment, counts, walk ---- */

TEST(heap_inside, aligned_blocks)
{
    static const size_t sizes[] = {0, 1, 24, 64, 65, 200, 4000, 30000, 33000, 100000};
    for (size_t align = 1; align <= (size_t)1 << 22; align *= 2)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            unsigned char *p = tu_alloc_aligned(align, sizes[i]), *q = tu_alloc_aligned(align, 40);
            REQUIRE(p && q && p != q);
            REQUIRE((uintptr_t)p % align == 0 && (uintptr_t)q % align == 0);
            REQUIRE(tu_usable_size(p) >= sizes[i]);
            memset(p, 1, tu_usable_size(p));
            p = tu_realloc(p, sizes[i] + 5000);
            REQUIRE(p && (sizes[i] == 0 || p[sizes[i] - 1] == 1));
            tu_free(q);
            tu_free(p);
            tu__mem_verify();
        }
    CHECK(!tu_alloc_aligned((size_t)1 << 50, 10));
    CHECK_EQ(stats_now().used_bytes, 0);
}

TEST(heap_inside, counts_by_class)
{
    void *blocks[1000];
    for (int i = 0; i < 1000; i++)
        REQUIRE((blocks[i] = tu_alloc(200)));
    size_t used = 0, pages = 0, others = 0;
    struct tu_mem_class_stats c;
    unsigned index = 0;
    for (; tu_mem_class_stats(index, &c); index++) {
        CHECK(c.used_blocks + c.cached_blocks <= c.span_blocks);
        if (c.block_bytes == tu_good_size(200))
            used = c.used_blocks;
        else
            others += c.used_blocks;
        pages += c.spans;
    }
    CHECK_EQ(index, SIZE_CLASS_COUNT - 1);
    CHECK_EQ(used, 1000);
    CHECK_EQ(others, 0);
    CHECK(pages >= 1000 * tu_good_size(200) / (SIZE_CLASS_LARGEST * 16));
    struct tu_mem_stats s = stats_now();
    CHECK_EQ(s.heap_bytes, s.small_bytes + s.large_bytes + s.free_bytes + s.metadata_bytes);
    for (int i = 0; i < 1000; i++)
        tu_free(blocks[i]);
    s = stats_now();
    CHECK_EQ(s.used_bytes, 0);
    CHECK(s.cached_bytes > 0); /* some stay in this thread's cache */
    tu__mem_flush();
    CHECK_EQ(stats_now().cached_bytes, 0);
    CHECK_EQ(stats_now().small_bytes, 0);
}

struct found {
    void *blocks[64];
    int count;
};

static void find(void *block, size_t usable_bytes, void *arg)
{
    struct found *f = arg;
    CHECK(usable_bytes >= 1 && f->count < 64);
    CHECK(f->count == 0 || block > f->blocks[f->count - 1]);
    f->blocks[f->count++] = block;
}

TEST(heap_inside, walk_finds_each_block_once)
{
    void *blocks[40];
    for (int i = 0; i < 40; i++)
        REQUIRE((blocks[i] = tu_alloc((size_t)10 << i % 15)));
    for (int i = 0; i < 40; i += 2)
        tu_free(blocks[i]);
    struct found f = {.count = 0};
    tu_mem_walk(find, &f);
    CHECK_EQ(f.count, 20);
    for (int i = 1; i < 40; i += 2) {
        int times = 0;
        for (int j = 0; j < f.count; j++)
            times += f.blocks[j] == blocks[i];
        CHECK_EQ(times, 1);
        tu_free(blocks[i]);
    }
}

/* ---- moving and giving back ---- */

#ifdef __SANITIZE_ADDRESS__
enum { MANY = 20000 };
#else
enum { MANY = 200000 };
#endif

/* A tenth of the blocks survives, in no order: every run of pages keeps some. Moving packs them. */
TEST(heap_inside, moving_packs_what_is_left)
{
    static uint32_t *blocks[MANY];
    uint64_t random = 7;
    for (uint32_t i = 0; i < MANY; i++) {
        REQUIRE((blocks[i] = tu_alloc(40 + i % 5 * 30)));
        *blocks[i] = i;
    }
    for (uint32_t i = 0; i < MANY; i++)
        if (random_next(&random) % 10) {
            tu_free(blocks[i]);
            blocks[i] = NULL;
        }
    tu__mem_flush();
    struct tu_mem_stats before = stats_now();
    CHECK(before.small_bytes > before.used_bytes * 5);
    size_t moved = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        struct tu_block_place place;
        if (!blocks[i])
            continue;
        tu_block_place(blocks[i], &place);
        uint32_t *p = tu_move(blocks[i]);
        REQUIRE((p != NULL) == place.worth_moving);
        if (p)
            blocks[i] = p;
        moved += p != NULL;
        REQUIRE(*blocks[i] == i);
    }
    tu__mem_verify();
    tu__mem_flush();
    struct tu_mem_stats after = stats_now();
    printf("  %zu blocks moved, %zu bytes in use, pages %zu -> %zu\n", moved, after.used_bytes,
           before.small_bytes, after.small_bytes);
    CHECK_EQ(after.used_bytes, before.used_bytes);
    CHECK(after.small_bytes < after.used_bytes + after.used_bytes / 10 + ((size_t)5 << 16));
    for (uint32_t i = 0; i < MANY; i++)
        tu_free(blocks[i]);
    CHECK_EQ(stats_now().used_bytes, 0);
}

static size_t resident(void)
{
    unsigned long size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    REQUIRE(f && fscanf(f, "%lu %lu", &size, &pages) == 2);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void churn(size_t blocks, size_t size)
{
    char **all = malloc(blocks * sizeof *all);
    REQUIRE(all);
    for (size_t i = 0; i < blocks; i++) {
        REQUIRE((all[i] = tu_alloc(size)));
        memset(all[i], 1, size);
    }
    for (size_t i = 0; i < blocks; i++)
        tu_free(all[i]);
    free(all);
}

TEST(heap_inside, release_gives_everything_back)
{
    churn(100, 100);
    size_t before = resident();
    churn(20000, 1000);
    CHECK(stats_now().free_bytes + stats_now().cached_bytes > (size_t)10 << 20);
    CHECK(tu_mem_release() > (size_t)10 << 20);
    CHECK_EQ(stats_now().free_bytes, 0);
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
    CHECK(resident() < before + ((size_t)2 << 20));
#endif
    (void)before;
    CHECK_EQ(tu_mem_release(), 0);
}

TEST(heap_inside, scavenger_takes_what_lies_unused)
{
    enum { SECOND = 1000000000 };
    churn(20000, 1000);
    churn(100, 100000);
    struct tu_mem_stats first = stats_now(), then;
    CHECK(first.free_bytes + first.cached_bytes > (size_t)15 << 20);
    int64_t now = SECOND;
    tu__mem_scavenge(now);
    CHECK(stats_now().free_bytes > first.free_bytes / 2); /* little by little */
    for (int i = 0; i < 8; i++)
        tu__mem_scavenge(now += SECOND / 4);
    then = stats_now();
    CHECK(then.free_bytes + then.cached_bytes < (size_t)3 << 20);
    tu__mem_verify();
}

TEST(heap_inside, scavenger_leaves_what_is_used)
{
    int64_t now = 1000000000;
    churn(2000, 1000);
    for (int i = 0; i < 8; i++) {
        tu__mem_scavenge(now += 250000000);
        churn(2000, 1000);
    }
    struct tu_mem_stats s = stats_now();
    CHECK(s.free_bytes + s.cached_bytes > (size_t)1900000);
}

/* What the cache of a thread that waits holds goes home, and the thread goes on with it. */
static _Atomic int step;

static void *leaves_its_cache(void *unused)
{
    for (int round = 0; round < 2; round++) {
        churn(1000, 40);
        tu__mem_leave();
        atomic_store(&step, 2 * round + 1);
        while (atomic_load(&step) < 2 * round + 2)
            usleep(1000);
        tu__mem_return();
    }
    return unused;
}

TEST(heap_inside, release_empties_caches_that_were_left)
{
    pthread_t thread;
    struct tu_mem_class_stats s;
    REQUIRE(pthread_create(&thread, NULL, leaves_its_cache, NULL) == 0);
    for (int round = 0; round < 2; round++) {
        while (atomic_load(&step) < 2 * round + 1)
            usleep(1000);
        (void)tu_mem_release();
        unsigned class = 0;
        while (tu_mem_class_stats(class, &s) && s.block_bytes < 40)
            class ++;
        CHECK_EQ(s.cached_blocks, 0);
        tu__mem_verify();
        atomic_store(&step, 2 * round + 2);
    }
    pthread_join(thread, NULL);
    tu__mem_verify();
}

/* ---- running out ---- */

/* With a sanitizer its shadow counts, too. */
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
TEST(heap_inside, out_of_memory_is_null)
{
    enum { MOST = 4096 };
    static void *blocks[MOST];
    REQUIRE(tu_alloc(10)); /* the first allocation reserves */
    struct rlimit limit = {(rlim_t)64 << 20, (rlim_t)64 << 20};
    REQUIRE(setrlimit(RLIMIT_DATA, &limit) == 0);
    int count = 0;
    while (count < MOST && (blocks[count] = tu_alloc((size_t)100000 << count % 3)))
        memset(blocks[count++], 1, 1000);
    CHECK(count > 50 && count < MOST);
    size_t small = 0;
    for (void *last = NULL, *p; (p = tu_alloc(100)); last = p, small++)
        memcpy(p, &last, sizeof last);
    CHECK(!tu_alloc(100) && !tu_alloc_zeroed(5000) && !tu_alloc_aligned(4096, 4096));
    REQUIRE(!tu_realloc(blocks[0], (size_t)50 << 20));
    tu__mem_verify();
    for (int i = 0; i < count; i++)
        tu_free(blocks[i]);
    void *again = tu_alloc(200000);
    CHECK(again && small < 10000000);
    tu__mem_verify();
}

/* What the program can do without, for heap.helped_out. */
static void *spare[64];
static int spares, asked;

static bool free_a_spare(void)
{
    asked++;
    REQUIRE(!tu_alloc((size_t)50 << 20)); /* is not helped, and does not come back here */
    if (spares == 0)
        return false;
    tu_free(spare[--spares]);
    return true;
}

TEST(heap, helped_out)
{
    REQUIRE(tu_alloc(10));
    struct rlimit limit = {(rlim_t)64 << 20, (rlim_t)64 << 20};
    REQUIRE(setrlimit(RLIMIT_DATA, &limit) == 0);
    while (spares < 64 && (spare[spares] = tu_alloc(1000000)))
        spares++;
    REQUIRE(spares > 20 && spares < 64);
    while (tu_alloc(100000)) {
    }
    while (tu_alloc(100)) {
    }
    tu_mem_on_shortage(free_a_spare);
    int before = spares;
    CHECK(tu_alloc(100) && spares == before - 1 && asked == 1);
    CHECK(tu_alloc(900000)); /* what is left of that one */
    CHECK(tu_alloc_zeroed(900000) && tu_alloc_aligned(65536, 900000) && spares < before - 2);
    void *p = tu_alloc(900000);
    REQUIRE(p);
    CHECK(tu_realloc(p, 2500000)); /* three in a row, or more */
    CHECK(spares < before - 5);
    while (tu_alloc(100000)) {
    }
    CHECK_EQ(spares, 0);
    int last = asked;
    CHECK(!tu_alloc(100000) && asked == last + 1);
    tu_mem_on_shortage(NULL);
    CHECK(!tu_alloc(100000) && asked == last + 1);
    tu__mem_verify();
}
#endif

/* ---- reports ---- */

static void *hidden(void *p)
{
    __asm__("" : "+r"(p)); /* keeps the compiler from seeing the mistake */
    return p;
}

/* True if fn ends its process with a report that contains `text`. */
static bool reports(void (*fn)(void), const char *text)
{
    int fds[2], status = 0;
    char said[2048];
    size_t size = 0;
    fflush(NULL);
    REQUIRE(pipe(fds) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        dup2(fds[1], 2);
        fn();
        _exit(0);
    }
    close(fds[1]);
    for (ssize_t n;
         size + 1 < sizeof said && (n = read(fds[0], said + size, sizeof said - 1 - size)) > 0;)
        size += (size_t)n;
    said[size] = 0;
    close(fds[0]);
    REQUIRE(waitpid(pid, &status, 0) == pid);
    bool ok = WIFSIGNALED(status) && strstr(said, text);
    if (!ok)
        printf("  status %d, said: %s\n", status, said);
    return ok;
}

static void free_stack(void)
{
    int on_stack;
    tu_free(hidden(&on_stack));
}

static void resize_foreign(void)
{
    static char somewhere[100];
    void *p = tu_realloc(hidden(somewhere), 10);
    tu_free(p);
}

static void free_last_twice(void)
{
    void *p = tu_alloc(50), *q = hidden(p);
    tu_free(p);
    tu_free(q);
}

static void free_twice_and_home(void)
{
    void *p = tu_alloc(50), *other = tu_alloc(50), *q = hidden(p);
    tu_free(p);
    tu_free(other);
    tu_free(q);
    tu__mem_flush();
}

static void free_inside_and_home(void)
{
    char *p = tu_alloc(100);
    tu_free(hidden(p + 8));
    tu__mem_flush();
}

static void free_page_after_release(void)
{
    void *p = tu_alloc(50), *q = hidden(p);
    tu_free(p);
    tu__mem_flush();
    tu_free(q);
}

TEST(heap_inside, reports_of_every_build)
{
    CHECK(reports(free_stack, "not a block of this heap"));
    CHECK(reports(resize_foreign, "not a block of this heap"));
    CHECK(reports(free_last_twice, "freed before"));
    CHECK(reports(free_twice_and_home, TU__REDZONE ? "freed before" : "freed twice"));
    CHECK(reports(free_inside_and_home, "inside a block"));
    CHECK(reports(free_page_after_release, "freed before"));
}

#ifdef TU_DEBUG
static void write_behind(void)
{
    char *p = tu_alloc(37);
    ((char *)hidden(p))[40] = 1;
    tu_free(p);
}

static void write_far_behind(void)
{
    char *p = tu_alloc(24);
    memset(hidden(p), 'x', 40);
    p = tu_realloc(p, 1000);
    tu_free(p);
}

static void write_behind_large(void)
{
    char *p = tu_alloc(100000);
    ((char *)hidden(p))[tu_usable_size(p)] = 1;
    tu_free(p);
}

static void write_after_free(void)
{
    char *p = tu_alloc(100), *q = hidden(p);
    tu_free(p);
    q[50] = 1;
    tu__mem_flush();
}

static void write_after_free_large(void)
{
    char *p = tu_alloc(50000), *q = hidden(p);
    tu_free(p);
    q[20000] = 1;
    for (int i = 0; i < 2000; i++)
        tu_free(tu_alloc(8));
}

static void ask_after_free(void)
{
    void *p = tu_alloc(60), *q = hidden(p);
    tu_free(p);
    if (tu_usable_size(q) > 0)
        puts("?");
}

static void free_large_twice(void)
{
    void *p = tu_alloc(50000), *q = hidden(p);
    tu_free(p);
    tu_free(q);
}

TEST(heap_inside, reports_of_debug_builds)
{
    CHECK(reports(write_behind, "a block of 40 bytes (37 asked for) was written beyond its end"));
    CHECK(reports(write_far_behind, "a block of 24 bytes was written beyond its end"));
    CHECK(reports(write_behind_large, "(100000 asked for) was written beyond its end"));
    CHECK(reports(write_after_free, "bytes was written to at offset 50 after its tu_free"));
    CHECK(reports(write_after_free_large, "was written to at offset 20000 after its tu_free"));
    CHECK(reports(ask_after_free, "that was freed before"));
    CHECK(reports(free_large_twice, "that was freed before"));
}
#endif

/* ---- many threads ---- */

enum { PLACES = 512, STEPS = 30000, WORKERS = 4 };
static _Atomic(uint32_t *) places[PLACES];
static _Atomic int working;

/* Takes what is in a random place, looks at it, frees or resizes it, puts something else there. */
static void *worker(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    for (int i = 0; i < STEPS; i++) {
        uint64_t r = random_next(&random);
        uint32_t words = (uint32_t)(r % 64 ? 1 + r / 64 % 300 : 1 + r / 64 % 30000);
        uint32_t *p = r >> 60 ? tu_alloc(words * sizeof *p)
                              : tu_alloc_aligned((size_t)16 << r / 256 % 8, words * sizeof *p);
        REQUIRE(p);
        p[0] = p[words - 1] = words;
        p = atomic_exchange(&places[random_next(&random) % PLACES], p);
        if (!p)
            continue;
        REQUIRE(p[0] > 0 && p[p[0] - 1] == p[0]);
        if (r >> 58 == 1 && p[0] > 1) {
            words = p[0];
            p[words - 1] = 0;
            p = tu_realloc(p, (words + 1) * 8);
            REQUIRE(p && p[0] == words);
        }
        tu_free(p);
    }
    atomic_fetch_sub(&working, 1);
    return NULL;
}

static void look(void *block, size_t usable_bytes, void *arg)
{
    *(size_t *)arg += usable_bytes;
}

/* Meanwhile the scavenger runs, statistics are asked for, and blocks are moved. */
TIMEOUT_TEST(heap_inside, threads_and_scavenger, 120)
{
    pthread_t threads[WORKERS];
    int64_t now = 1000000000;
    atomic_store(&working, WORKERS);
    for (uintptr_t i = 0; i < WORKERS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, worker, (void *)(i + 1)) == 0);
    while (atomic_load(&working) > 0) {
        struct tu_mem_class_stats c;
        tu__mem_scavenge(now += 300000000);
        for (unsigned i = 0; tu_mem_class_stats(i, &c); i++)
            REQUIRE(c.span_blocks < 100000000);
        REQUIRE(stats_now().heap_bytes < (size_t)1 << 32);
        uint32_t *p = atomic_exchange(&places[(size_t)(now / 300000000) % PLACES], NULL);
        uint32_t *moved = p ? tu_move(p) : NULL;
        p = moved ? moved : p;
        REQUIRE(!p || p[p[0] - 1] == p[0]);
        tu_free(p);
        (void)tu_mem_release();
        usleep(1000);
    }
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    size_t bytes = 0;
    tu_mem_walk(look, &bytes);
    CHECK(bytes > 0);
    for (int i = 0; i < PLACES; i++)
        tu_free(atomic_exchange(&places[i], NULL));
    tu__mem_flush();
    tu__mem_verify();
    CHECK_EQ(stats_now().used_bytes, 0);
    CHECK_EQ(stats_now().small_bytes, 0);
}
