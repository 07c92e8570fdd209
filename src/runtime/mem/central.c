/* central.c - spans know which of their blocks are at home by a bit for each.
 *
 * Bits rather than lists through the blocks: a block that nobody uses is never touched, so that it
 * may stay cold, or in another core's cache; a block that comes home twice is noticed for certain;
 * and blocks leave in the order of their addresses, which packs a class into few pages. Finding a
 * block's bit takes a multiplication by the reciprocal of its size.
 *
 * Partly used spans lie in bins by how full they are, and blocks are taken from the fullest: the
 * others get a chance to empty and to go back to the page heap. A span moves to another bin only
 * when its count of used blocks crosses a bin's border.
 *
 * In front of the spans each class has a depot: an array of blocks that left their spans and are
 * with nobody. Caches take and give whole batches there, which costs a lock and a copy of pointers
 * and touches neither spans nor blocks. This is how a block that one thread allocates and another
 * frees gets back: a compare-and-swap (the lock) for a batch of up to 64, where a list of remote
 * frees in each span would need one for every block (docs/decisions/0020). What lies in a depot
 * keeps spans from emptying, so depots are bounded, together and each, and the scavenger sends home
 * what was not needed for a while.
 */
#include "runtime/mem/central.h"

#include "base/check.h"
#include "runtime/mem/heap_debug.h"

#include <string.h>

#define BATCH_BYTES      16384u
#define DEPOT_BYTES      ((size_t)1 << 22)  /* a class */
#define ALL_DEPOTS_BYTES ((size_t)16 << 20) /* together */
#define SPAN_PAGES_MAX   64u

struct tu__central tu__centrals[SIZE_CLASS_COUNT];
static _Atomic size_t depot_bytes; /* in all depots; a limit, not an account: relaxed */

static void choose(struct tu__central *c, size_t bytes)
{
    size_t pages = bytes < 64 ? bytes / 8 : 8; /* as many as SPAN_BLOCKS_MAX allows, at most 8 */
    for (; pages < SPAN_PAGES_MAX; pages++) {
        size_t span = pages * PAGE_BYTES;
        if (span / bytes >= 8 && span % bytes * 128 <= span)
            break;
    }
    c->block_bytes = (uint32_t)bytes;
    c->reciprocal = ((uint64_t)1 << 40) / bytes + 1;
    c->span_pages = (uint32_t)pages;
    c->capacity = (uint32_t)(pages * PAGE_BYTES / bytes);
    c->bin_scale = (PARTIAL_BINS << 16) / c->capacity;
    tu_check(c->capacity <= SPAN_BLOCKS_MAX, "heap: %u blocks in a span", c->capacity);
    size_t batch = BATCH_BYTES / bytes;
    c->batch = batch > BATCH_BLOCKS ? BATCH_BLOCKS : batch < 2 ? 1 : (uint32_t)batch;
    size_t batches = DEPOT_BYTES / bytes / c->batch;
    c->depot_limit = (uint32_t)batches * c->batch;
}

void tu__centrals_start(void)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        choose(&tu__centrals[class], size_class_bytes(class));
}

void tu__centrals_lock(void)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        tu__lock(&tu__centrals[class].lock);
}

void tu__centrals_after_fork(bool child)
{
    for (unsigned class = SIZE_CLASS_COUNT; class -- > 1;)
        (child ? tu__lock_after_fork : tu__unlock)(&tu__centrals[class].lock);
}

void tu__centrals_unlock(void)
{
    tu__centrals_after_fork(false);
}

/* ---- partly used spans; the class's lock is held ---- */

static unsigned bin_for(const struct tu__central *c, const struct span *s)
{
    return s->used == s->capacity ? SPAN_UNLISTED : s->used * c->bin_scale >> 16;
}

static void list(struct tu__central *c, struct span *s, unsigned bin)
{
    s->bin = (uint8_t)bin;
    if (bin == SPAN_UNLISTED)
        return;
    s->prev = NULL;
    s->next = c->partial[bin];
    if (s->next)
        s->next->prev = s;
    c->partial[bin] = s;
    c->filled |= 1u << bin;
}

static void unlist(struct tu__central *c, struct span *s)
{
    if (s->bin == SPAN_UNLISTED)
        return;
    if (s->prev)
        s->prev->next = s->next;
    else
        c->partial[s->bin] = s->next;
    if (s->next)
        s->next->prev = s->prev;
    if (!c->partial[s->bin])
        c->filled &= ~(1u << s->bin);
}

static void relist(struct tu__central *c, struct span *s)
{
    unsigned bin = bin_for(c, s);
    if (bin != s->bin) {
        unlist(c, s);
        list(c, s, bin);
    }
}

static struct span *new_span(struct tu__central *c, unsigned class)
{
    struct span *s = tu__pages_take(c->span_pages, 1, class, false);
    if (!s)
        return NULL;
    s->used = s->hint = 0;
    s->capacity = c->capacity;
    memset(s->home, 0, sizeof s->home);
    memset(s->home, 0xff, c->capacity / 64 * 8);
    if (c->capacity % 64)
        s->home[c->capacity / 64] = ((uint64_t)1 << c->capacity % 64) - 1;
    tu__debug_new_span(s, c->block_bytes);
    c->span_count++;
    list(c, s, 0);
    return s;
}

static struct span *fullest(struct tu__central *c)
{
    return c->filled ? c->partial[31 - (unsigned)__builtin_clz(c->filled)] : NULL;
}

/* Takes up to `want` blocks out of one span, lowest addresses first. */
static uint32_t span_take(struct span *s, size_t bytes, uint32_t want, void **blocks)
{
    char *start = tu__span_start(s);
    uint32_t got = 0, word = s->hint;
    for (; got < want && s->used + got < s->capacity; word++) {
        uint64_t bits = s->home[word];
        char *first = start + word * 64 * bytes;
        for (; bits && got < want; bits &= bits - 1)
            blocks[got++] = first + (unsigned)__builtin_ctzll(bits) * bytes;
        s->home[word] = bits;
        s->hint = word;
    }
    s->used += got;
    return got;
}

static uint32_t take_from_spans(struct tu__central *c, unsigned class, void **blocks)
{
    uint32_t got = 0;
    while (got < c->batch) {
        struct span *s = fullest(c);
        if (!s)
            s = new_span(c, class);
        if (!s)
            break;
        got += span_take(s, c->block_bytes, c->batch - got, blocks + got);
        relist(c, s);
    }
    size_t out = atomic_load_explicit(&c->out, memory_order_relaxed);
    atomic_store_explicit(&c->out, out + got, memory_order_relaxed);
    return got;
}

/* Sets the block's bit in its span; true if that was the last one out. */
static bool go_home(struct tu__central *c, struct span *s, void *block)
{
    size_t offset = (size_t)((char *)block - tu__span_start(s));
    uint32_t index = tu__block_index(c, offset);
    uint64_t bit = (uint64_t)1 << index % 64;
    tu_check(index * (size_t)c->block_bytes == offset && index < s->capacity,
             "heap: %p, freed some time ago, is inside a block of %u bytes, not its beginning",
             block, c->block_bytes);
    tu_check(!(s->home[index / 64] & bit), "heap: block %p of %u bytes was freed twice", block,
             c->block_bytes);
    s->home[index / 64] |= bit;
    if (index / 64 < s->hint)
        s->hint = index / 64;
    return --s->used == 0;
}

/* What go_home will touch of the block's span. The block may have gone already, and its page, too. */
static void prefetch_home(const void *block)
{
    const struct span *s = tu__entry_span(tu__page_entry(block));
    if (!s)
        return;
    __builtin_prefetch(s, 1);
    __builtin_prefetch(s->home, 1);
    __builtin_prefetch(s->home + SPAN_WORDS / 2, 1);
}

/* Called and returns locked; returns the spans that became empty, which nobody else knows any more.
 * */
static struct span *give_to_spans(struct tu__central *c, void **blocks, uint32_t count)
{
    struct span *empty = NULL;
    for (uint32_t i = 0; i < count; i++) /* their spans may lie anywhere */
        prefetch_home(blocks[i]);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t entry = tu__page_entry(blocks[i]);
        struct span *s = tu__entry_span(entry);
        tu_check(tu__entry_code(entry) == (unsigned)(c - tu__centrals),
                 "heap: block %p of %u bytes was freed twice: its page is gone", blocks[i],
                 c->block_bytes);
        if (go_home(c, s, blocks[i])) {
            unlist(c, s);
            c->span_count--;
            s->next = empty;
            empty = s;
        } else {
            relist(c, s);
        }
    }
    size_t out = atomic_load_explicit(&c->out, memory_order_relaxed);
    atomic_store_explicit(&c->out, out - count, memory_order_relaxed);
    return empty;
}

static void give_pages(struct span *empty)
{
    while (empty) {
        struct span *next = empty->next;
        tu__pages_give(empty);
        empty = next;
    }
}

/* ---- depots; the class's lock is held ---- */

static uint32_t depot_count(const struct tu__central *c)
{
    return atomic_load_explicit(&c->in_depot, memory_order_relaxed);
}

static void depot_set_count(struct tu__central *c, uint32_t count)
{
    uint32_t before = depot_count(c);
    if (count < c->depot_low)
        c->depot_low = count;
    atomic_store_explicit(&c->in_depot, count, memory_order_relaxed);
    /* Wraps for a decrease, which is what an unsigned sum needs. */
    atomic_fetch_add_explicit(&depot_bytes, ((size_t)count - before) * c->block_bytes,
                              memory_order_relaxed);
}

static bool depot_give(struct tu__central *c, void **blocks, uint32_t count)
{
    uint32_t there = depot_count(c);
    if (count != c->batch || there + count > c->depot_limit ||
        atomic_load_explicit(&depot_bytes, memory_order_relaxed) > ALL_DEPOTS_BYTES)
        return false;
    if (!c->depot && !(c->depot = tu__pages_metadata(c->depot_limit * sizeof *c->depot)))
        return false;
    memcpy(c->depot + there, blocks, count * sizeof *blocks);
    depot_set_count(c, there + count);
    return true;
}

uint32_t tu__central_take(unsigned class, void **blocks)
{
    struct tu__central *c = &tu__centrals[class];
    tu__lock(&c->lock);
    uint32_t got = depot_count(c);
    if (got) {
        depot_set_count(c, got - c->batch);
        memcpy(blocks, c->depot + got - c->batch, c->batch * sizeof *blocks);
        got = c->batch;
    } else {
        got = take_from_spans(c, class, blocks);
    }
    tu__unlock(&c->lock);
    return got;
}

void tu__central_give(unsigned class, void **blocks, uint32_t count)
{
    struct tu__central *c = &tu__centrals[class];
    tu__lock(&c->lock);
    struct span *empty = depot_give(c, blocks, count) ? NULL : give_to_spans(c, blocks, count);
    tu__unlock(&c->lock);
    give_pages(empty);
}

void tu__central_send_home(unsigned class, void **blocks, uint32_t count)
{
    struct tu__central *c = &tu__centrals[class];
    tu__lock(&c->lock);
    struct span *empty = give_to_spans(c, blocks, count);
    tu__unlock(&c->lock);
    give_pages(empty);
}

/* Batch by batch, so that the lock is not held for long. */
static void trim(struct tu__central *c, bool everything)
{
    tu__lock(&c->lock);
    uint32_t there = depot_count(c), idle = everything ? there : c->depot_low;
    idle = everything ? idle : (idle / c->batch + 1) / 2 * c->batch;
    while (idle && (there = depot_count(c)) > 0) {
        depot_set_count(c, there - c->batch);
        struct span *empty = give_to_spans(c, c->depot + there - c->batch, c->batch);
        idle -= c->batch;
        tu__unlock(&c->lock);
        give_pages(empty);
        tu__lock(&c->lock);
    }
    c->depot_low = depot_count(c);
    tu__unlock(&c->lock);
}

void tu__centrals_trim(bool everything)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        if (depot_count(&tu__centrals[class]) > 0)
            trim(&tu__centrals[class], everything);
}

/* The span to which a block of `now` would better move, or NULL: the one that is being filled,
 * unless `now` is nearly full. Moves only go to that one span until it is full, so none is undone
 * by another. */
static struct span *better_than(struct tu__central *c, const struct span *now)
{
    struct span *s = fullest(c);
    return s == now || now->bin == SPAN_UNLISTED || now->bin == PARTIAL_BINS - 1 ? NULL : s;
}

void *tu__central_take_better(unsigned class, const void *block)
{
    struct tu__central *c = &tu__centrals[class];
    void *better = NULL;
    tu__lock(&c->lock);
    struct span *s = better_than(c, tu__entry_span(tu__page_entry(block)));
    if (s && span_take(s, c->block_bytes, 1, &better)) {
        relist(c, s);
        size_t out = atomic_load_explicit(&c->out, memory_order_relaxed);
        atomic_store_explicit(&c->out, out + 1, memory_order_relaxed);
    }
    tu__unlock(&c->lock);
    return better;
}

bool tu__central_place(unsigned class, const void *block, uint32_t *used, uint32_t *capacity)
{
    struct tu__central *c = &tu__centrals[class];
    const struct span *now = tu__entry_span(tu__page_entry(block));
    tu__lock(&c->lock);
    *used = now->used;
    *capacity = now->capacity;
    bool better = better_than(c, now) != NULL;
    tu__unlock(&c->lock);
    return better;
}
