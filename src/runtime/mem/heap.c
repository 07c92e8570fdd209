/* heap.c - the manual heap's fast paths: a cache for each thread.
 *
 *     user  <->  cache of this thread  <->  depot and spans of the class  <->  page heap
 *                (no lock, no atomics)      (lock, a batch at a time)          (lock, whole spans)
 *
 * A cache holds, per class, a stack of pointers to free blocks. Allocating pops, freeing pushes,
 * whoever allocated the block; the blocks themselves are not touched, so one that comes from
 * another core stays there until it is used. An empty stack is refilled with a batch from the class
 * (central.c); a full one, of two batches, sends its colder half there.
 *
 * Caches belong to OS threads, not to Ps (docs/decisions/0004 has the reasons). A goroutine
 * cannot change its thread within these functions, because nothing here parks; they are not inlined
 * into callers, so no caller can keep the thread's address of the cache across a park. A thread
 * without a cache points at `no_cache`, whose stacks are empty and may hold nothing: both fast
 * paths fall into their slow path then, and need no test of their own.
 *
 * Below the first slot of each stack lies a null pointer. Popping finds it when the stack is empty,
 * which saves a comparison, and pushing compares with the top without asking whether there is one.
 *
 * A fork takes every lock, the collected heap's first, so that the child has a heap that works (a fork is the only one who holds
 * the registry's lock and several classes' locks at once, and takes them in order).
 *
 * Blocks in use are not counted one by one: a class knows how many left its spans and how many are
 * in its depot, each cache how many it holds; the difference is with users (heap_stats.c).
 *
 * With AddressSanitizer heap_malloc.c takes the place of this file, unless TU_MEM_OWN is defined.
 */
#include "runtime/mem/heap.h"

#include "base/check.h"
#include "platform/clock.h"
#include "platform/thread.h"
#include "runtime/gc/collector.h"
#include "runtime/mem/cache.h"
#include "runtime/mem/central.h"
#include "runtime/mem/heap_debug.h"
#include "runtime/mem/sanitizer.h"

#include <pthread.h>
#include <string.h>

#if !TU__MEM_IS_MALLOC

#define ZERO_BY_PAGES ((size_t)256 << 10) /* large zeroed blocks from here: untouched pages */

static void *no_blocks[1];
#define NO_STACK                            \
    {                                       \
        .top = no_blocks, .full = no_blocks \
    }
static struct cache no_cache = {.stacks = {[0 ... SIZE_CLASS_COUNT - 1] = NO_STACK}};
static __thread struct cache *this_cache __attribute__((tls_model("initial-exec"))) = &no_cache;

struct tu__cache_registry tu__caches;

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
    EIGHT_CLASSES(17, 16, 1),
    EIGHT_CLASSES(25, 24, 1),
    EIGHT_CLASSES(33, 32, 4),
    EIGHT_CLASSES(41, 64, 8),
};

/* ---- caches ---- */

/* Owner's side of a field that the statistics read from elsewhere: a plain load and store. */
static inline void **stack_top(const struct stack *s)
{
    return atomic_load_explicit(&s->top, memory_order_relaxed);
}

static inline void stack_set_top(struct stack *s, void **top)
{
    atomic_store_explicit(&s->top, top, memory_order_relaxed);
}

static inline void **stack_bottom(const struct stack *s, unsigned class)
{
    return s->full - 2 * tu__centrals[class].batch;
}

static void flush(struct cache *cache)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        struct stack *s = &cache->stacks[class];
        void **top = stack_top(s), **bottom = stack_bottom(s, class);
        stack_set_top(s, bottom);
        if (top > bottom)
            tu__central_send_home(class, bottom + 1, (uint32_t)(top - bottom));
    }
}

/* Those whose threads sleep. A thread that wakes meanwhile waits for its own: some ten microseconds. */
static void flush_left(void)
{
    tu__lock(&tu__caches.lock);
    for (struct cache *c = tu__caches.all; c; c = c->next) {
        int left = CACHE_LEFT;
        /* acquire: what its thread did to the stacks; release: what is done here */
        if (!atomic_compare_exchange_strong_explicit(&c->lease, &left, CACHE_TAKEN,
                                                     memory_order_acquire, memory_order_relaxed))
            continue;
        flush(c);
        atomic_store_explicit(&c->lease, CACHE_LEFT, memory_order_release);
    }
    tu__unlock(&tu__caches.lock);
}

void tu__mem_leave(void)
{
    if (this_cache != &no_cache)
        atomic_store_explicit(&this_cache->lease, CACHE_LEFT, memory_order_release);
}

void tu__mem_return(void)
{
    int left = CACHE_LEFT;
    while (this_cache != &no_cache &&
           !atomic_compare_exchange_weak_explicit(&this_cache->lease, &left, CACHE_USED,
                                                  memory_order_acquire, memory_order_relaxed)) {
        left = CACHE_LEFT;
        thread_yield();
    }
}

/* A thread ends: its cache is emptied and waits for another. Runs again if a later destructor of
 * that thread frees something, because that makes a new cache. */
static void thread_ends(void *value)
{
    struct cache *cache = value;
    this_cache = &no_cache;
    flush(cache);
    tu__lock(&tu__caches.lock);
    cache->idle = true;
    tu__unlock(&tu__caches.lock);
}

/* ---- fork: the child's only thread must find no lock held by one that it does not have ---- */

static void before_fork(void)
{
    tu__gc_before_fork();
    tu__lock(&tu__caches.lock);
    tu__centrals_lock();
    tu__pages_before_fork();
    tu__debug_before_fork();
}

static void after_fork(bool child)
{
    tu__debug_after_fork(child);
    tu__pages_after_fork(child);
    tu__centrals_after_fork(child);
    (child ? tu__lock_after_fork : tu__unlock)(&tu__caches.lock);
    tu__gc_after_fork(child);
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

/* When the library is loaded: at first use, another thread could fork while this one holds the lock under which it
 * would register (seen in fork_test on a loaded machine). */
static __attribute__((constructor)) void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

static void start_locked(void)
{
    tu__centrals_start();
    tu__caches.has_key = pthread_key_create(&tu__caches.key, thread_ends) == 0;
    tu__caches.started = true;
}

static struct cache *new_cache_locked(void)
{
    for (struct cache *c = tu__caches.all; c; c = c->next)
        if (c->idle) {
            c->idle = false;
            return c;
        }
    size_t slots = 0;
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        slots += 1 + 2 * tu__centrals[class].batch;
    struct cache *c = tu__pages_metadata(sizeof *c + slots * sizeof(void *));
    if (!c)
        return NULL;
    void **slot = c->slots;
    c->stacks[0] = (struct stack)NO_STACK;
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        struct stack *s = &c->stacks[class];
        stack_set_top(s, slot);
        s->full = slot + 2 * tu__centrals[class].batch;
        slot = s->full + 1;
    }
    c->next = tu__caches.all;
    tu__caches.all = c;
    return c;
}

static struct cache *cache_of_this_thread(void)
{
    if (this_cache != &no_cache)
        return this_cache;
    tu__lock(&tu__caches.lock);
    if (!tu__caches.started)
        start_locked();
    struct cache *c = new_cache_locked();
    tu__unlock(&tu__caches.lock);
    if (!c)
        return NULL;
    this_cache = c;
    if (tu__caches.has_key) /* refused: the cache is lost with its thread */
        (void)pthread_setspecific(tu__caches.key, c);
    return c;
}

/* ---- allocating ---- */

static inline unsigned class_of(size_t size)
{
    return size <= 1024 ? class_of_eighth[(size + 7) / 8] : size_class_of(size);
}

static size_t pages_for(size_t size)
{
    return (size >> PAGE_SHIFT) + ((size & (PAGE_BYTES - 1)) != 0);
}

/* How far a thread is that was refused memory: what it turns to next. */
enum find_step { FIND_RESERVES, FIND_PROGRAM, FIND_LAST, FIND_NOTHING };

static _Atomic tu_mem_shortage_fn shortage_fn;
static _Thread_local bool in_shortage_fn;

void tu_mem_on_shortage(tu_mem_shortage_fn reclaim)
{
    atomic_store_explicit(&shortage_fn, reclaim, memory_order_release);
}

/* The program's own reserves. Then this thread's cache is emptied, too, since each block in it may keep
 * pages apart; otherwise it is not, because what it has in other classes is what the next small
 * requests will live on. */
static bool program_frees(void)
{
    tu_mem_shortage_fn reclaim = atomic_load_explicit(&shortage_fn, memory_order_acquire);
    if (!reclaim || in_shortage_fn)
        return false;
    in_shortage_fn = true;
    bool freed = reclaim();
    in_shortage_fn = false;
    if (freed)
        tu__mem_flush();
    return freed;
}

/* The caches of threads that just ran out of goroutines are theirs until they go to sleep, soon. At
 * most a tenth of the time goes into waiting for that, by all threads together. */
static bool others_settle(void)
{
    enum { SETTLE_NS = 1000000 };
    static _Atomic int64_t last;
    int64_t now = clock_monotonic_ns(), before = atomic_load_explicit(&last, memory_order_relaxed);
    if (now - before < 10 * SETTLE_NS ||
        !atomic_compare_exchange_strong_explicit(&last, &before, now, memory_order_relaxed,
                                                 memory_order_relaxed))
        return false;
    (void)nanosleep(&(struct timespec){.tv_nsec = SETTLE_NS}, NULL);
    return true;
}

/* Memory is used up; no lock is held. True: there may be some now. What lies in the depots may be
 * enough; and free runs that have memory behind them merge with those that have none only when they
 * are alike. Then it is the program's turn, as often as it has something. */
static __attribute__((noinline, cold)) bool find_more(enum find_step *step)
{
    if (*step == FIND_PROGRAM && !program_frees())
        *step = others_settle() ? FIND_LAST : FIND_NOTHING;
    else if (*step == FIND_LAST)
        *step = FIND_NOTHING;
    else
        *step = FIND_PROGRAM;
    if (*step == FIND_NOTHING)
        return false;
    flush_left();
    tu__centrals_trim(true);
    (void)tu__pages_return(0, SIZE_MAX);
    return true;
}

static __attribute__((noinline)) void *alloc_large(size_t size, size_t align_pages, bool zero)
{
    size_t pages = pages_for(size);
    bool untouched = zero && size >= ZERO_BY_PAGES;
    enum find_step step = FIND_RESERVES;
    struct span *s;
    while (!(s = tu__pages_take(pages, align_pages, 0, untouched)))
        if (!find_more(&step))
            return NULL;
    atomic_fetch_add_explicit(&tu__caches.large_bytes, s->pages * PAGE_BYTES, memory_order_relaxed);
    void *p = tu__span_start(s);
    if (zero && !s->zero)
        memset(p, 0, size);
    return p;
}

/* The stack is empty, or the thread has no cache yet. What the program freed for us may have filled
 * and emptied it meanwhile. */
static __attribute__((noinline)) void *alloc_refill(unsigned class)
{
    struct cache *cache = cache_of_this_thread();
    if (!cache)
        return NULL;
    struct stack *s = &cache->stacks[class];
    for (enum find_step step = FIND_RESERVES;;) {
        void **top = stack_top(s), **bottom = stack_bottom(s, class);
        if (top == bottom)
            top += tu__central_take(class, bottom + 1);
        if (top != bottom) {
            stack_set_top(s, top - 1);
            return *top;
        }
        if (!find_more(&step))
            return NULL;
    }
}

static inline void *pop(unsigned class)
{
    struct stack *s = &this_cache->stacks[class];
    void **top = stack_top(s), *block = *top;
    if (__builtin_expect(!block, 0))
        return alloc_refill(class);
    stack_set_top(s, top - 1);
    return block;
}

/* A block of at least `size` bytes, redzone included. */
static inline void *alloc(size_t size, bool zero)
{
    if (__builtin_expect(size > SIZE_CLASS_LARGEST, 0))
        return alloc_large(size, 1, zero);
    return pop(class_of(size));
}

/* Whether a page-table code is one of this heap's: objects of the collected one are not. */
static inline bool is_manual(unsigned code)
{
    return code != PAGE_NONE && code != PAGE_COLLECTED;
}

/* By the block's entry in the page table; redzone included. By arithmetic: the class's own line is
 * written by whoever takes its lock. */
static inline size_t whole_size(uint64_t entry)
{
    unsigned class = tu__entry_code(entry);
    if (class == PAGE_LARGE)
        return tu__entry_span(entry)->pages * PAGE_BYTES;
    return size_class_bytes(class);
}

/* What a debug build does with a block on its way to the user. */
static inline void *hand_out(void *block, size_t asked)
{
    if (TU__REDZONE > 0 && block)
        tu__debug_handed_out(block, whole_size(tu__page_entry(block)), asked);
    return block;
}

/* False: this request can have no answer but NULL. */
static inline bool acceptable(size_t size)
{
    return TU__REDZONE == 0 || (size <= SIZE_MAX - TU__REDZONE && !tu__debug_must_fail());
}

__attribute__((noinline)) void *tu_alloc(size_t size)
{
    return acceptable(size) ? hand_out(alloc(size + TU__REDZONE, false), size) : NULL;
}

__attribute__((noinline)) void *tu_alloc_zeroed(size_t size)
{
    void *p = acceptable(size) ? hand_out(alloc(size + TU__REDZONE, true), size) : NULL;
    return p && size + TU__REDZONE <= SIZE_CLASS_LARGEST ? memset(p, 0, size) : p;
}

/* A class whose blocks all lie at multiples of `align`, because its size is one; spans begin at
 * multiples of a page. Where that wastes more than pages would, pages it is. */
__attribute__((noinline)) void *tu_alloc_aligned(size_t align, size_t size)
{
    tu_check(align && !(align & (align - 1)), "tu_alloc_aligned: %zu is no power of two", align);
    if (!acceptable(size))
        return NULL;
    size_t whole = size + TU__REDZONE;
    if (whole <= SIZE_CLASS_LARGEST && align <= PAGE_BYTES)
        for (unsigned class = class_of(whole); class < SIZE_CLASS_COUNT; class ++)
            if (size_class_bytes(class) % align == 0)
                return hand_out(pop(class), size);
    if (whole == 0)
        whole = 1;
    return hand_out(alloc_large(whole, align > PAGE_BYTES ? align >> PAGE_SHIFT : 1, false), size);
}

/* ---- freeing ---- */

static void free_large(void *p, struct span *s)
{
    tu_check(p == tu__span_start(s), "tu_free(%p): inside a block, not its beginning", p);
    atomic_fetch_sub_explicit(&tu__caches.large_bytes, s->pages * PAGE_BYTES, memory_order_relaxed);
    tu__pages_give(s);
}

/* The stack is full, the thread has no cache, the block is large or no block at all. */
static __attribute__((noinline)) void free_slow(void *p, uint64_t entry)
{
    unsigned class = tu__entry_code(entry);
    tu_check(is_manual(class), "tu_free(%p): not a block of this heap, or freed before", p);
    if (class == PAGE_LARGE) {
        free_large(p, tu__entry_span(entry));
        return;
    }
    struct cache *cache = cache_of_this_thread();
    if (!cache) {
        tu__central_send_home(class, &p, 1);
        return;
    }
    struct stack *s = &cache->stacks[class];
    void **top = stack_top(s);
    if (top == s->full) { /* the colder half goes */
        uint32_t batch = tu__centrals[class].batch;
        void **coldest = s->full - 2 * batch + 1;
        tu__central_give(class, coldest, batch);
        memcpy(coldest, coldest + batch, batch * sizeof *top);
        top -= batch;
    }
    top[1] = p;
    stack_set_top(s, top + 1);
}

__attribute__((noinline)) void tu_free(void *block)
{
    if (!block)
        return;
    uint64_t entry = tu__page_entry(block);
    if (TU__REDZONE > 0) {
        tu_check(is_manual(tu__entry_code(entry)),
                 "tu_free(%p): not a block of this heap, or freed before", block);
        block = tu__debug_freed(block, whole_size(entry));
        if (!block)
            return;
        entry = tu__page_entry(block);
    }
    unsigned class = tu__entry_code(entry);
    if (__builtin_expect(class >= SIZE_CLASS_COUNT, 0)) {
        free_slow(block, entry);
        return;
    }
    struct stack *s = &this_cache->stacks[class];
    void **top = stack_top(s);
    if (__builtin_expect(top == s->full, 0)) {
        free_slow(block, entry); /* also class 0, that is, no block of ours: its stack is full */
        return;
    }
    tu_check(*top != block, "tu_free(%p): the block was freed before", block);
    top[1] = block;
    stack_set_top(s, top + 1);
}

/* ---- sizes ---- */

size_t tu_usable_size(const void *block)
{
    if (!block)
        return 0;
    uint64_t entry = tu__page_entry(block);
    tu_check(is_manual(tu__entry_code(entry)), "tu_usable_size(%p): not a block of this heap",
             block);
    size_t whole = whole_size(entry);
    tu__debug_check(block, whole, "tu_usable_size");
    return whole - TU__REDZONE;
}

size_t tu_good_size(size_t size)
{
    if (size > SIZE_CLASS_LARGEST - TU__REDZONE) {
        size_t pages = pages_for(size) + (TU__REDZONE > 0 && -size % PAGE_BYTES + 1 <= TU__REDZONE);
        return (pages << PAGE_SHIFT) - TU__REDZONE;
    }
    return size_class_bytes(size_class_of(size + TU__REDZONE)) - TU__REDZONE;
}

/* Large to large: the run grows or shrinks where it is, when it can. */
static bool resize_large(struct span *s, size_t whole)
{
    size_t before = s->pages * PAGE_BYTES;
    if (whole <= SIZE_CLASS_LARGEST || !tu__pages_resize(s, pages_for(whole)))
        return false;
    atomic_fetch_add_explicit(&tu__caches.large_bytes, s->pages * PAGE_BYTES - before,
                              memory_order_relaxed);
    return true;
}

static bool resize_in_place(void *block, size_t size)
{
    uint64_t entry = tu__page_entry(block);
    unsigned class = tu__entry_code(entry);
    size_t whole = size + TU__REDZONE;
    if (class != PAGE_LARGE)
        return whole <= SIZE_CLASS_LARGEST && class_of(whole) == class;
    struct span *s = tu__entry_span(entry);
    tu_check(block == tu__span_start(s), "tu_realloc(%p): inside a block", block);
    return resize_large(s, whole);
}

__attribute__((noinline)) void *tu_realloc(void *block, size_t size)
{
    if (!block)
        return tu_alloc(size);
    size_t old = tu_usable_size(block);
    if (!acceptable(size))
        return NULL;
    if (resize_in_place(block, size)) {
        tu__debug_resized(block, whole_size(tu__page_entry(block)), size);
        return block;
    }
    void *p = hand_out(alloc(size + TU__REDZONE, false), size);
    if (p) {
        memcpy(p, block, old < size ? old : size);
        tu_free(block);
    }
    return p;
}

/* ---- moving, giving back ---- */

/* The new block comes from a span, not from a cache, or it could be one that the last move freed;
 * and the old one goes to its span at once, so that this empties. */
void *tu_move(void *block)
{
    uint64_t entry = tu__page_entry(block);
    unsigned class = tu__entry_code(entry);
    tu_check(is_manual(class), "tu_move(%p): not a block of this heap", block);
    tu__debug_check(block, whole_size(entry), "tu_move");
    void *better = class == PAGE_LARGE ? NULL : tu__central_take_better(class, block);
    if (!better)
        return NULL;
    size_t usable = tu__centrals[class].block_bytes - TU__REDZONE;
    hand_out(better, usable);
    memcpy(better, block, usable);
    block = tu__debug_freed(block, usable + TU__REDZONE);
    if (!block)
        return better;
    class = tu__entry_code(tu__page_entry(block)); /* a debug build gives back an older one */
    if (class == PAGE_LARGE)
        free_large(block, tu__entry_span(tu__page_entry(block)));
    else
        tu__central_send_home(class, &block, 1);
    return better;
}

void tu__mem_flush(void)
{
    for (void *block; (block = tu__debug_release());) {
        uint64_t entry = tu__page_entry(block);
        unsigned class = tu__entry_code(entry);
        if (class == PAGE_LARGE)
            free_large(block, tu__entry_span(entry));
        else
            tu__central_send_home(class, &block, 1);
    }
    if (this_cache != &no_cache)
        flush(this_cache);
    flush_left();
    tu__centrals_trim(true);
}

#endif
