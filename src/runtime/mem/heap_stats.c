/* heap_stats.c - looking inside the manual heap: counts, one block's place, every block, verify.
 *
 * Counts are read while others change them: a figure may be off by what moved between cache, depot
 * and span in that moment (a batch a thread); it is exact when nobody allocates.
 */
#include "base/check.h"
#include "runtime/mem/cache.h"
#include "runtime/mem/central.h"
#include "runtime/mem/heap.h"
#include "runtime/mem/heap_debug.h"
#include "runtime/mem/sanitizer.h"

#if !TU__MEM_IS_MALLOC

/* Blocks of a class that are in caches or in its depot. The registry's lock is held. */
static size_t cached_locked(unsigned class)
{
    const struct tu__central *central = &tu__centrals[class];
    size_t count = atomic_load_explicit(&central->in_depot, memory_order_relaxed);
    for (const struct cache *c = tu__caches.all; c; c = c->next) {
        const struct stack *s = &c->stacks[class];
        void **top = atomic_load_explicit(&s->top, memory_order_relaxed);
        count += (size_t)(top - (s->full - 2 * central->batch));
    }
    return count;
}

static size_t less(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

bool tu_mem_class_stats(unsigned index, struct tu_mem_class_stats *out)
{
    unsigned class = index + 1;
    if (class >= SIZE_CLASS_COUNT)
        return false;
    struct tu__central *c = &tu__centrals[class];
    tu__lock(&tu__caches.lock);
    size_t cached = cached_locked(class);
    tu__unlock(&tu__caches.lock);
    cached += tu__debug_quarantined(class);
    tu__lock(&c->lock);
    out->block_bytes = size_class_bytes(class) - TU__REDZONE;
    out->spans = c->span_count;
    out->span_blocks = (size_t)c->span_count * c->capacity;
    size_t used = atomic_load_explicit(&c->out, memory_order_relaxed);
    tu__unlock(&c->lock);
    out->used_blocks = less(used, cached);
    out->cached_blocks = cached;
    return true;
}

void tu_mem_stats(struct tu_mem_stats *out)
{
    size_t large = atomic_load_explicit(&tu__caches.large_bytes, memory_order_relaxed);
    size_t used = less(large, tu__debug_quarantined(PAGE_LARGE)), kept = large - used;
    tu__lock(&tu__caches.lock);
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        const struct tu__central *c = &tu__centrals[class];
        size_t blocks = atomic_load_explicit(&c->out, memory_order_relaxed);
        size_t cached = cached_locked(class) + tu__debug_quarantined(class);
        used += less(blocks, cached) * c->block_bytes;
        kept += cached * c->block_bytes;
    }
    if (used > atomic_load_explicit(&tu__caches.peak_bytes, memory_order_relaxed))
        atomic_store_explicit(&tu__caches.peak_bytes, used, memory_order_relaxed);
    out->peak_bytes = atomic_load_explicit(&tu__caches.peak_bytes, memory_order_relaxed);
    tu__unlock(&tu__caches.lock);
    struct page_counts pages;
    tu__pages_count(&pages);
    out->used_bytes = used;
    out->cached_bytes = kept;
    out->free_bytes = pages.dirty_pages * PAGE_BYTES;
    out->large_bytes = pages.large_pages * PAGE_BYTES;
    out->small_bytes = pages.small_pages * PAGE_BYTES;
    out->metadata_bytes = pages.metadata_bytes;
    out->heap_bytes = out->small_bytes + out->large_bytes + out->free_bytes + out->metadata_bytes;
}

void tu_block_place(const void *block, struct tu_block_place *out)
{
    unsigned class = tu__entry_code(tu__page_entry(block));
    *out = (struct tu_block_place){tu_usable_size(block), 1, 1, false};
    if (class != PAGE_LARGE)
        out->worth_moving = tu__central_place(class, block, &out->blocks_used, &out->blocks);
}

size_t tu_mem_release(void)
{
    tu__mem_flush();
    return tu__pages_return(0, SIZE_MAX) << PAGE_SHIFT;
}

/* ---- every block ---- */

struct walk {
    tu_mem_visit_fn visit;
    void *arg;
};

static bool is_out(const struct span *s, uint32_t index)
{
#ifdef TU_DEBUG
    return tu__debug_is_live(s, index);
#else
    return !(s->home[index / 64] >> index % 64 & 1);
#endif
}

static void walk_span(const struct span *s, void *arg)
{
    const struct walk *w = arg;
    if (s->state == SPAN_COLLECTED)
        return;
    char *start = tu__span_start(s);
    if (s->state == SPAN_LARGE) {
        if (TU__REDZONE == 0 || is_out(s, 0))
            w->visit(start, s->pages * PAGE_BYTES - TU__REDZONE, w->arg);
        return;
    }
    size_t bytes = tu__centrals[s->class].block_bytes;
    for (uint32_t i = 0; i < s->capacity; i++)
        if (is_out(s, i))
            w->visit(start + i * bytes, bytes - TU__REDZONE, w->arg);
}

void tu_mem_walk(tu_mem_visit_fn visit, void *arg)
{
    struct walk w = {visit, arg};
    tu__mem_flush();
    tu__centrals_lock();
    tu__pages_verify(walk_span, &w);
    tu__centrals_unlock();
}

/* ---- verify ---- */

struct seen {
    size_t out[SIZE_CLASS_COUNT], listed[SIZE_CLASS_COUNT];
    uint32_t spans[SIZE_CLASS_COUNT];
};

static void verify_span(const struct span *s, void *arg)
{
    struct seen *seen = arg;
    if (s->state != SPAN_SMALL)
        return;
    const struct tu__central *c = &tu__centrals[s->class];
    tu_check(s->capacity == c->capacity && s->pages == c->span_pages, "heap: shape of a span");
    tu_check(s->used > 0, "heap: an empty span was kept");
    uint32_t home = 0;
    for (uint32_t i = 0; i < SPAN_WORDS; i++) {
        tu_check(i >= s->hint || s->home[i] == 0, "heap: hint of a span");
        home += (uint32_t)__builtin_popcountll(s->home[i]);
    }
    for (uint32_t i = s->capacity; i < SPAN_BLOCKS_MAX; i++)
        tu_check(!(s->home[i / 64] >> i % 64 & 1), "heap: a bit beyond the span's blocks");
    tu_check(s->used + home == s->capacity, "heap: %u blocks used + %u at home of %u", s->used,
             home, s->capacity);
    tu_check((s->used == s->capacity) == (s->bin == SPAN_UNLISTED), "heap: list of a span");
    seen->out[s->class] += s->used;
    seen->spans[s->class]++;
    seen->listed[s->class] += s->bin != SPAN_UNLISTED;
}

static void verify_class(unsigned class, const struct seen *seen)
{
    const struct tu__central *c = &tu__centrals[class];
    size_t listed = 0;
    if (c->batch == 0) /* nothing small was ever allocated */
        return;
    for (unsigned bin = 0; bin < PARTIAL_BINS; bin++) {
        tu_check((c->filled >> bin & 1) == (c->partial[bin] != NULL), "heap: bin %u", bin);
        for (const struct span *s = c->partial[bin]; s; s = s->next, listed++)
            tu_check(s->bin == bin && s->class == class && s->state == SPAN_SMALL &&
                         bin == s->used * c->bin_scale >> 16,
                     "heap: span in the wrong list");
    }
    tu_check(listed == seen->listed[class] && seen->spans[class] == c->span_count,
             "heap: spans of class %u", class);
    size_t out = atomic_load_explicit(&c->out, memory_order_relaxed);
    tu_check(seen->out[class] == out, "heap: %zu blocks out of class %u, %zu counted",
             seen->out[class], class, out);
    uint32_t depot = atomic_load_explicit(&c->in_depot, memory_order_relaxed);
    tu_check(depot <= c->depot_limit && depot % c->batch == 0 && depot <= out, "heap: a depot");
    for (uint32_t i = 0; i < depot; i++)
        tu_check(tu__entry_code(tu__page_entry(c->depot[i])) == class, "heap: block in a depot");
}

/* Locks every class, then the page heap, in the order of heap operations: nothing moves between
 * spans and depots meanwhile. */
void tu__mem_verify(void)
{
    struct seen seen = {0};
    tu__centrals_lock();
    tu__pages_verify(verify_span, &seen);
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        verify_class(class, &seen);
    tu__centrals_unlock();
}

#endif
