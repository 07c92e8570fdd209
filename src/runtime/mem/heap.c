/* heap.c - the manual heap: size classes, a cache per thread, central lists.
 *
 *     user  <->  cache of this thread  <->  central list of the class  <->  page heap
 *                (no lock, no atomics)      (lock, a batch at a time)       (lock, whole spans)
 *
 * A cache holds, per class, a chain of free blocks linked through their first word. Allocating pops,
 * freeing pushes, whoever allocated the block. An empty chain is refilled with a batch from partly
 * used spans; a chain that grew to two batches loses its colder half to the spans the blocks came
 * from. A span whose last block comes home goes back to the page heap at once.
 *
 * Caches belong to OS threads, not to Ps (docs/decisions/0004 has the reasons). A goroutine
 * cannot change its thread within these functions, because nothing here parks; they are not inlined
 * into callers, so no caller can keep the thread's address of the cache across a park. A thread
 * without a cache points at `no_cache`, whose chains are empty and may hold nothing: both fast
 * paths fall into their slow path then, and need no test of their own.
 *
 * Blocks in use are not counted one by one: a class knows how many left its spans, and each cache
 * how many it holds; the difference is with users. tu_mem_stats reads these counts while others
 * change them, so it may be off by what moved between cache and span in that moment (a batch a
 * thread); it is exact when nobody allocates.
 *
 * A fork takes every lock, so that the child has a heap that works (a fork is the only one who holds
 * several classes' locks, and takes them in order).
 *
 * With AddressSanitizer heap_malloc.c takes the place of this file.
 */
#include "runtime/mem/heap.h"

#include "base/check.h"
#include "runtime/mem/page_heap.h"
#include "runtime/mem/sanitizer.h"
#include "runtime/mem/size_class.h"

#include <pthread.h>
#include <string.h>

#if !TU__MEM_IS_MALLOC

#define BATCH_BYTES   8192u
#define BATCH_BLOCKS  64u
#define ZERO_BY_PAGES ((size_t)256 << 10) /* large zeroed blocks from here: untouched pages */

struct block {
    struct block *next;
#ifdef TU_DEBUG
    uint64_t poison[]; /* the rest of a free block */
#endif
};

struct chain {
    struct block *head;
    _Atomic uint32_t count; /* written by the owner only */
    uint32_t limit;         /* count never exceeds it */
};

struct cache {
    struct chain chains[SIZE_CLASS_COUNT];
    struct cache *next; /* all caches ever made; under registry.lock */
    bool idle;          /* its thread has ended: the next new one takes it; under registry.lock */
};

struct central {
    struct tu__lock lock;
    uint32_t batch; /* blocks that move at once */
    uint32_t span_pages, capacity;
    size_t block_bytes;
    struct span *partial; /* spans with a free or untouched block */
    _Atomic size_t out;   /* blocks that left their spans; written under lock */
} __attribute__((aligned(64)));

static struct cache no_cache;
static __thread struct cache *this_cache __attribute__((tls_model("initial-exec"))) = &no_cache;
static struct central centrals[SIZE_CLASS_COUNT];

/* Class of sizes up to 1024, by (size + 7) / 8: size_class_of as a table, which is the quicker. */
#define EIGHT_CLASSES(class, at, n)                                                       \
    [(at) + 1 ...(at) + (n)] = (class), [(at) + (n) + 1 ...(at) + 2 * (n)] = (class) + 1, \
                        [(at) + 2 * (n) + 1 ...(at) + 3 * (n)] = (class) + 2,             \
                        [(at) + 3 * (n) + 1 ...(at) + 4 * (n)] = (class) + 3,             \
                        [(at) + 4 * (n) + 1 ...(at) + 5 * (n)] = (class) + 4,             \
                        [(at) + 5 * (n) + 1 ...(at) + 6 * (n)] = (class) + 5,             \
                        [(at) + 6 * (n) + 1 ...(at) + 7 * (n)] = (class) + 6,             \
                        [(at) + 7 * (n) + 1 ...(at) + 8 * (n)] = (class) + 7
static const uint8_t class_of_eighth[129] = {
    [0] = 1,
    EIGHT_CLASSES(1, 0, 1),
    EIGHT_CLASSES(9, 8, 1),
    EIGHT_CLASSES(17, 16, 2),
    EIGHT_CLASSES(25, 32, 4),
    EIGHT_CLASSES(33, 64, 8),
};

static struct {
    struct tu__lock lock;
    bool started;
    struct cache *caches;
    pthread_key_t key; /* its destructor empties a thread's cache */
    bool has_key;
    _Atomic size_t large_bytes, peak_bytes;
} registry;

/* ---- debug aids ---- */

#ifdef TU_DEBUG
#define POISON UINT64_C(0xdddddddddddddddd)
static _Atomic int64_t fail_countdown;

static bool must_fail(void)
{
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) <= 0)
        return false;
    return atomic_fetch_sub_explicit(&fail_countdown, 1, memory_order_relaxed) == 1;
}

bool tu__mem_fail_after(int64_t n)
{
    atomic_store(&fail_countdown, n);
    return true;
}

/* Turns a block's bit in its span; aborts when it was that way already. */
static void mark_live(void *p, bool live)
{
    struct span *s = tu__entry_span(tu__page_entry(p));
    size_t offset = (size_t)((char *)p - tu__span_start(s)), bytes = centrals[s->class].block_bytes;
    tu_check(offset % bytes == 0 && offset / bytes < s->capacity,
             "tu_free(%p): inside a block, not its beginning", p);
    size_t i = offset / bytes;
    uint64_t bit = (uint64_t)1 << i % 64;
    uint64_t old =
        live ? atomic_fetch_or(&s->live[i / 64], bit) : atomic_fetch_and(&s->live[i / 64], ~bit);
    tu_check(((old & bit) != 0) != live,
             live ? "heap: block %p handed out twice" : "tu_free(%p): the block was freed before",
             p);
}

static void poison(struct block *b, size_t bytes)
{
    for (size_t i = 0; i + 1 < bytes / 8; i++)
        b->poison[i] = POISON;
}

static void check_poison(const struct block *b, size_t bytes)
{
    for (size_t i = 0; i + 1 < bytes / 8; i++)
        tu_check(b->poison[i] == POISON, "block %p of %zu bytes was written to after its tu_free",
                 (const void *)b, bytes);
}

static void debug_handed_out(struct block *b, unsigned class)
{
    size_t bytes = centrals[class].block_bytes;
    check_poison(b, bytes);
    memset(b, 0xaa, bytes);
    mark_live(b, true);
}

static void debug_freed(struct block *b, unsigned class)
{
    mark_live(b, false);
    poison(b, centrals[class].block_bytes);
}
#else
static inline bool must_fail(void)
{
    return false;
}
bool tu__mem_fail_after(int64_t n)
{
    return false;
}
static inline void poison(struct block *b, size_t bytes) {}
static inline void debug_handed_out(struct block *b, unsigned class) {}
static inline void debug_freed(struct block *b, unsigned class) {}
#endif

/* ---- chains ---- */

/* Owner's side of a count that tu_mem_stats reads from elsewhere: a plain load and store. */
static inline uint32_t chain_count(const struct chain *c)
{
    return atomic_load_explicit(&c->count, memory_order_relaxed);
}

static inline void chain_set_count(struct chain *c, uint32_t count)
{
    atomic_store_explicit(&c->count, count, memory_order_relaxed);
}

/* ---- central lists; the class's lock is held ---- */

static void partial_push(struct central *c, struct span *s)
{
    s->prev = NULL;
    s->next = c->partial;
    if (s->next)
        s->next->prev = s;
    c->partial = s;
    s->listed = true;
}

static void partial_remove(struct central *c, struct span *s)
{
    if (s->prev)
        s->prev->next = s->next;
    else
        c->partial = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->listed = false;
}

static struct span *new_small_span(struct central *c, unsigned class)
{
    struct span *s = tu__pages_take(c->span_pages, class, false);
    if (!s)
        return NULL;
    s->free = NULL;
    s->used = s->carved = 0;
    s->capacity = c->capacity;
    partial_push(c, s);
    return s;
}

/* Takes up to `want` blocks out of one span and links them before *head. */
static uint32_t span_take(struct span *s, size_t bytes, uint32_t want, struct block **head)
{
    uint32_t got = 0;
    while (got < want && s->free) {
        struct block *b = s->free;
        s->free = b->next;
        b->next = *head;
        *head = b;
        got++;
    }
    while (got < want && s->carved < s->capacity) {
        struct block *b = (struct block *)(void *)(tu__span_start(s) + s->carved++ * bytes);
        poison(b, bytes);
        b->next = *head;
        *head = b;
        got++;
    }
    s->used += got;
    return got;
}

/* A batch of blocks, fewer when memory is short: *head is set, their number returned. */
static uint32_t central_take(unsigned class, struct block **head)
{
    struct central *c = &centrals[class];
    uint32_t got = 0;
    *head = NULL;
    tu__lock(&c->lock);
    while (got < c->batch) {
        struct span *s = c->partial;
        if (!s)
            s = new_small_span(c, class);
        if (!s)
            break;
        got += span_take(s, c->block_bytes, c->batch - got, head);
        if (s->used == s->capacity)
            partial_remove(c, s);
    }
    atomic_fetch_add_explicit(&c->out, got, memory_order_relaxed);
    tu__unlock(&c->lock);
    return got;
}

static void central_give(unsigned class, struct block *b, uint32_t count)
{
    struct central *c = &centrals[class];
    struct span *empty = NULL;
    tu__lock(&c->lock);
    for (uint32_t i = 0; i < count; i++) {
        struct block *next = b->next;
        struct span *s = tu__entry_span(tu__page_entry(b));
        b->next = s->free;
        s->free = b;
        if (!s->listed)
            partial_push(c, s);
        if (--s->used == 0) {
            partial_remove(c, s);
            s->next = empty;
            empty = s;
        }
        b = next;
    }
    atomic_fetch_sub_explicit(&c->out, count, memory_order_relaxed);
    tu__unlock(&c->lock);
    while (empty) { /* nobody else knows these any more */
        struct span *next = empty->next;
        tu__pages_give(empty);
        empty = next;
    }
}

/* ---- caches ---- */

static void choose_span(struct central *c, size_t bytes)
{
    uint32_t pages = 4;
    for (; pages < 64; pages++) {
        size_t span = pages * PAGE_BYTES, rest = span % bytes;
        if (span / bytes >= 8 && rest * 128 <= span)
            break;
    }
    c->block_bytes = bytes;
    c->span_pages = pages;
    c->capacity = (uint32_t)(pages * PAGE_BYTES / bytes);
    c->batch = (uint32_t)(BATCH_BYTES / bytes);
    if (c->batch > BATCH_BLOCKS)
        c->batch = BATCH_BLOCKS;
    if (c->batch < 2)
        c->batch = bytes <= BATCH_BYTES ? 2 : 1;
}

static void flush(struct cache *cache)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        struct chain *chain = &cache->chains[class];
        struct block *head = chain->head;
        uint32_t count = chain_count(chain);
        chain->head = NULL;
        chain_set_count(chain, 0);
        if (count)
            central_give(class, head, count);
    }
}

/* A thread ends: its cache is emptied and waits for another. Runs again if a later destructor of
 * that thread frees something, because that makes a new cache. */
static void thread_ends(void *value)
{
    struct cache *cache = value;
    this_cache = &no_cache;
    flush(cache);
    tu__lock(&registry.lock);
    cache->idle = true;
    tu__unlock(&registry.lock);
}

/* ---- fork: the child's only thread must find no lock held by one that it does not have ---- */

static void before_fork(void)
{
    tu__lock(&registry.lock);
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        tu__lock(&centrals[class].lock);
    tu__pages_before_fork();
}

static void after_fork(bool child)
{
    void (*release)(struct tu__lock *) = child ? tu__lock_after_fork : tu__unlock;
    tu__pages_after_fork(child);
    for (unsigned class = SIZE_CLASS_COUNT; class -- > 1;)
        release(&centrals[class].lock);
    release(&registry.lock);
}

static void after_fork_parent(void)
{
    after_fork(false);
}

/* The caches of the other threads are lost, with what lies in them. */
static void after_fork_child(void)
{
    after_fork(true);
}

static void start_locked(void)
{
    (void)pthread_atfork(before_fork, after_fork_parent, after_fork_child);

    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        choose_span(&centrals[class], size_class_bytes(class));
    registry.has_key = pthread_key_create(&registry.key, thread_ends) == 0;
    registry.started = true;
}

static struct cache *new_cache_locked(void)
{
    for (struct cache *c = registry.caches; c; c = c->next)
        if (c->idle) {
            c->idle = false;
            return c;
        }
    struct cache *c = tu__pages_metadata(sizeof *c);
    if (!c)
        return NULL;
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        c->chains[class].limit = 2 * centrals[class].batch;
    c->next = registry.caches;
    registry.caches = c;
    return c;
}

static struct cache *cache_of_this_thread(void)
{
    if (this_cache != &no_cache)
        return this_cache;
    tu__lock(&registry.lock);
    if (!registry.started)
        start_locked();
    struct cache *c = new_cache_locked();
    tu__unlock(&registry.lock);
    if (!c)
        return NULL;
    this_cache = c;
    if (registry.has_key)
        (void)pthread_setspecific(registry.key, c); /* refused: the cache is lost with its thread */
    return c;
}

/* ---- allocating ---- */

static inline unsigned class_of(size_t size)
{
    return size <= 1024 ? class_of_eighth[(size + 7) / 8] : size_class_of(size);
}

static size_t large_pages(size_t size)
{
    return (size >> PAGE_SHIFT) + ((size & (PAGE_BYTES - 1)) != 0);
}

static __attribute__((noinline)) void *alloc_large(size_t size, bool zero)
{
    struct span *s = tu__pages_take(large_pages(size), 0, zero && size >= ZERO_BY_PAGES);
    if (!s)
        return NULL;
    atomic_fetch_add_explicit(&registry.large_bytes, s->pages * PAGE_BYTES, memory_order_relaxed);
    void *p = tu__span_start(s);
    if (zero && !s->zero)
        memset(p, 0, size);
    return p;
}

/* The chain is empty, or the thread has no cache yet. */
static __attribute__((noinline)) void *alloc_refill(size_t size)
{
    struct cache *cache = cache_of_this_thread();
    if (!cache)
        return NULL;
    unsigned class = class_of(size);
    struct chain *chain = &cache->chains[class];
    struct block *b = chain->head;
    if (!b) {
        uint32_t got = central_take(class, &b);
        if (!b)
            return NULL;
        chain_set_count(chain, got);
    }
    chain->head = b->next;
    chain_set_count(chain, chain_count(chain) - 1);
    debug_handed_out(b, class);
    return b;
}

static inline void *alloc(size_t size)
{
    if (must_fail())
        return NULL;
    if (__builtin_expect(size > SIZE_CLASS_LARGEST, 0))
        return alloc_large(size, false);
    struct chain *chain = &this_cache->chains[class_of(size)];
    struct block *b = chain->head;
    if (__builtin_expect(!b, 0))
        return alloc_refill(size);
    chain->head = b->next;
    chain_set_count(chain, chain_count(chain) - 1);
    debug_handed_out(b, class_of(size));
    return b;
}

__attribute__((noinline)) void *tu_alloc(size_t size)
{
    return alloc(size);
}

__attribute__((noinline)) void *tu_alloc_zeroed(size_t size)
{
    if (size > SIZE_CLASS_LARGEST)
        return must_fail() ? NULL : alloc_large(size, true);
    void *p = alloc(size);
    return p ? memset(p, 0, size) : NULL;
}

/* ---- freeing ---- */

static void free_large(void *p, struct span *s)
{
    tu_check(p == tu__span_start(s), "tu_free(%p): inside a block, not its beginning", p);
    atomic_fetch_sub_explicit(&registry.large_bytes, s->pages * PAGE_BYTES, memory_order_relaxed);
    tu__pages_give(s);
}

/* The chain is full, the thread has no cache, the block is large or no block at all. */
static __attribute__((noinline)) void free_slow(void *p, uint64_t entry)
{
    unsigned class = tu__entry_code(entry);
    tu_check(class != PAGE_NONE, "tu_free(%p): not a block of this heap, or freed before", p);
    if (class == PAGE_LARGE) {
        free_large(p, tu__entry_span(entry));
        return;
    }
    struct block *b = p;
    struct cache *cache = cache_of_this_thread();
    if (!cache) {
        b->next = NULL;
        central_give(class, b, 1);
        return;
    }
    struct chain *chain = &cache->chains[class];
    uint32_t keep = centrals[class].batch, count = chain_count(chain);
    if (count >= chain->limit) { /* the colder half goes home */
        struct block *last = chain->head;
        for (uint32_t i = 1; i < keep; i++)
            last = last->next;
        struct block *rest = last->next;
        last->next = NULL;
        chain_set_count(chain, keep);
        central_give(class, rest, count - keep);
    }
    b->next = chain->head;
    chain->head = b;
    chain_set_count(chain, chain_count(chain) + 1);
}

__attribute__((noinline)) void tu_free(void *block)
{
    if (!block)
        return;
    uint64_t entry = tu__page_entry(block);
    unsigned class = tu__entry_code(entry);
    if (__builtin_expect(class - 1 >= SIZE_CLASS_COUNT - 1, 0)) {
        free_slow(block, entry);
        return;
    }
    debug_freed(block, class);
    struct chain *chain = &this_cache->chains[class];
    uint32_t count = chain_count(chain);
    if (__builtin_expect(count >= chain->limit, 0)) {
        free_slow(block, entry);
        return;
    }
    struct block *b = block;
    tu_check(b != chain->head, "tu_free(%p): the block was freed before", block);
    b->next = chain->head;
    chain->head = b;
    chain_set_count(chain, count + 1);
}

/* ---- sizes ---- */

size_t tu_usable_size(const void *block)
{
    if (!block)
        return 0;
    uint64_t entry = tu__page_entry(block);
    unsigned class = tu__entry_code(entry);
    tu_check(class != PAGE_NONE, "tu_usable_size(%p): not a block of this heap", block);
    if (class == PAGE_LARGE)
        return tu__entry_span(entry)->pages * PAGE_BYTES;
    return centrals[class].block_bytes;
}

size_t tu_good_size(size_t size)
{
    if (size > SIZE_CLASS_LARGEST)
        return large_pages(size) << PAGE_SHIFT;
    return size_class_bytes(size_class_of(size));
}

/* Large to large: the run grows or shrinks where it is, when it can. */
static bool resize_large(struct span *s, size_t size)
{
    size_t before = s->pages * PAGE_BYTES;
    if (size <= SIZE_CLASS_LARGEST || !tu__pages_resize(s, large_pages(size)))
        return false;
    atomic_fetch_add_explicit(&registry.large_bytes, s->pages * PAGE_BYTES - before,
                              memory_order_relaxed);
    return true;
}

__attribute__((noinline)) void *tu_realloc(void *block, size_t size)
{
    if (!block)
        return tu_alloc(size);
    uint64_t entry = tu__page_entry(block);
    unsigned class = tu__entry_code(entry);
    size_t old = tu_usable_size(block);
    if (class == PAGE_LARGE) {
        struct span *s = tu__entry_span(entry);
        tu_check(block == tu__span_start(s), "tu_realloc(%p): inside a block", block);
        if (resize_large(s, size))
            return block;
    } else if (size <= SIZE_CLASS_LARGEST && size_class_of(size) == class) {
        return block;
    }
    void *p = tu_alloc(size);
    if (p) {
        memcpy(p, block, old < size ? old : size);
        tu_free(block);
    }
    return p;
}

/* ---- looking inside ---- */

void tu_mem_stats(struct tu_mem_stats *out)
{
    size_t used = atomic_load_explicit(&registry.large_bytes, memory_order_relaxed);
    tu__lock(&registry.lock);
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        size_t blocks = atomic_load_explicit(&centrals[class].out, memory_order_relaxed);
        size_t cached = 0;
        for (const struct cache *c = registry.caches; c; c = c->next)
            cached += chain_count(&c->chains[class]);
        if (blocks > cached)
            used += (blocks - cached) * centrals[class].block_bytes;
    }
    if (used > atomic_load_explicit(&registry.peak_bytes, memory_order_relaxed))
        atomic_store_explicit(&registry.peak_bytes, used, memory_order_relaxed);
    out->peak_bytes = atomic_load_explicit(&registry.peak_bytes, memory_order_relaxed);
    tu__unlock(&registry.lock);
    struct page_counts pages;
    tu__pages_count(&pages);
    out->used_bytes = used;
    out->heap_bytes = (pages.small_pages + pages.large_pages + pages.dirty_pages) * PAGE_BYTES +
                      pages.metadata_bytes;
}

void tu__mem_flush(void)
{
    if (this_cache != &no_cache)
        flush(this_cache);
}

static void verify_span(const struct span *s, void *out)
{
    if (s->state != SPAN_SMALL)
        return;
    const struct central *c = &centrals[s->class];
    tu_check(s->capacity == c->capacity && s->pages == c->span_pages, "heap: shape of a span");
    tu_check(s->carved <= s->capacity && s->used <= s->carved, "heap: counts of a span");
    tu_check(s->used > 0, "heap: an empty span was kept");
    tu_check(s->listed == (s->used < s->capacity), "heap: span in the wrong list");
    uint32_t free = 0;
    for (const struct block *b = s->free; b; b = b->next, free++) {
        size_t offset = (size_t)((const char *)b - tu__span_start(s));
        tu_check(offset % c->block_bytes == 0 && offset / c->block_bytes < s->carved &&
                     free < s->carved,
                 "heap: free list of a span");
    }
    tu_check(s->used + free == s->carved, "heap: %u blocks used + %u free of %u", s->used, free,
             s->carved);
    ((size_t *)out)[s->class] += s->used;
}

/* Locks every class, then the page heap, in the order of heap operations: nothing moves between
 * spans and caches meanwhile. Spans on their way to the page heap hold no lock and are neither; so
 * an empty one may be seen for a moment, which is why tests call this when they are quiet. */
void tu__mem_verify(void)
{
    size_t out[SIZE_CLASS_COUNT] = {0};
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        tu__lock(&centrals[class].lock);
    tu__pages_verify(verify_span, out);
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        tu_check(out[class] == atomic_load_explicit(&centrals[class].out, memory_order_relaxed),
                 "heap: %zu blocks out of class %u", out[class], class);
    for (unsigned class = SIZE_CLASS_COUNT; class -- > 1;)
        tu__unlock(&centrals[class].lock);
}

#endif
