/* gc_mark.c - see gc_mark.h.
 *
 * An object is looked up three times on its way (by whoever finds the pointer, and when it is scanned): page table,
 * the span's first line, and the line of its bits. Those who scan prefetch an object when it comes off the stack and
 * scan it a few objects later, so that the misses overlap.
 *
 * Reads of objects race with the program, which writes them: a word is read whole, old or new, and both are fine
 * (collector.c says why). Nothing here is instrumented by sanitizers.
 */
#include "runtime/gc/gc_mark.h"

#include "platform/vm.h"
#include "runtime/sched/fiber.h"

#include <string.h>

struct tu__mark_pool tu__mark_pool;

enum {
    AHEAD = 8,             /* objects that are being fetched: a power of two */
    PIECE_BYTES = 2 << 10, /* of a large object, scanned at a time */
    COST_LOG = 6,          /* bytes that count as another object, for who may scan so many */
};
#define BUFFERS_AT_ONCE 16

/* ---- buffers ---- */

static void new_buffers_locked(void)
{
    struct tu__mark_pool *pool = &tu__mark_pool;
    if (pool->buffers_most && pool->buffers >= pool->buffers_most)
        return;
    struct mark_buffer *b = vm_map(BUFFERS_AT_ONCE * sizeof *b);
    for (int i = 0; b && i < BUFFERS_AT_ONCE; i++) {
        b[i].next = pool->empty;
        pool->empty = &b[i];
        pool->buffers++;
    }
}

/* NULL: there is no memory. */
static struct mark_buffer *take_empty(void)
{
    struct tu__mark_pool *pool = &tu__mark_pool;
    tu__lock(&pool->lock);
    if (!pool->empty)
        new_buffers_locked();
    struct mark_buffer *b = pool->empty;
    if (b)
        pool->empty = b->next;
    tu__unlock(&pool->lock);
    if (b) {
        b->next = NULL;
        b->count = 0;
    }
    return b;
}

static struct mark_buffer *take_full(void)
{
    struct tu__mark_pool *pool = &tu__mark_pool;
    if (atomic_load_explicit(&pool->full_count, memory_order_relaxed) == 0)
        return NULL;
    tu__lock(&pool->lock);
    struct mark_buffer *b = pool->full;
    if (b) {
        pool->full = b->next;
        atomic_fetch_sub_explicit(&pool->full_count, 1, memory_order_relaxed);
    }
    tu__unlock(&pool->lock);
    return b;
}

/* One that is done with: to the full ones if it has entries. */
static void put(struct mark_buffer *b)
{
    struct tu__mark_pool *pool = &tu__mark_pool;
    tu__lock(&pool->lock);
    struct mark_buffer **list = b->count ? &pool->full : &pool->empty;
    b->next = *list;
    *list = b;
    if (b->count)
        atomic_fetch_add_explicit(&pool->full_count, 1, memory_order_relaxed);
    tu__unlock(&pool->lock);
}

void tu__mark_flush(struct mark_stack *stack)
{
    struct mark_buffer *b = stack->top;
    stack->top = NULL;
    if (b)
        put(b);
}

void tu__mark_hand_over(struct mark_stack *stack)
{
    struct tu__mark_pool *pool = &tu__mark_pool;
    struct mark_buffer *b = stack->top;
    if (!b || b->count < MARK_KEPT)
        return;
    tu__lock(&pool->lock);
    struct mark_buffer *to = pool->full;
    bool fits = to && to->count + b->count <= MARK_ENTRIES;
    if (fits) { /* or a slow marker would have a buffer for a handful of objects */
        memcpy(to->entries + to->count, b->entries, b->count * sizeof b->entries[0]);
        to->count += b->count;
        b->count = 0;
    }
    tu__unlock(&pool->lock);
    if (!fits)
        tu__mark_flush(stack);
}

void tu__mark_share(struct mark_stack *stack)
{
    struct mark_buffer *b = stack->top;
    if (!b || b->count < 16 || !tu__mark_pool_empty())
        return;
    struct mark_buffer *half = take_empty();
    if (!half)
        return;
    half->count = b->count / 2;
    b->count -= half->count;
    memcpy(half->entries, b->entries + b->count, half->count * sizeof half->entries[0]);
    put(half);
}

bool tu__mark_pool_empty(void)
{
    return atomic_load_explicit(&tu__mark_pool.full_count, memory_order_acquire) == 0;
}

static __attribute__((noinline)) void push_slow(struct mark_stack *stack, void *object)
{
    struct mark_buffer *b = take_empty();
    if (!b) {
        atomic_store_explicit(&tu__mark_pool.overflowed, 1, memory_order_relaxed);
        return;
    }
    tu__mark_flush(stack);
    stack->top = b;
    b->entries[b->count++] = object;
}

static inline __attribute__((always_inline)) void push(struct mark_stack *stack, void *object)
{
    struct mark_buffer *b = stack->top;
    if (__builtin_expect(b && b->count < MARK_ENTRIES, 1))
        b->entries[b->count++] = object;
    else
        push_slow(stack, object);
}

static inline void *pop(struct mark_stack *stack)
{
    struct mark_buffer *b = stack->top;
    if (__builtin_expect(!b || b->count == 0, 0)) {
        struct mark_buffer *full = take_full();
        if (!full)
            return NULL;
        if (b)
            put(b);
        stack->top = b = full;
    }
    return b->entries[--b->count];
}

/* ---- marking ---- */

TU__RACY static inline __attribute__((always_inline)) void mark(struct mark_stack *stack,
                                                                const void *p)
{
    struct collected_place at;
    if (!tu__collected_find(p, &at))
        return;
    _Atomic uint64_t *word = &at.span->marks[at.index / 64];
    uint64_t bit = (uint64_t)1 << at.index % 64;
    if ((atomic_load_explicit(word, memory_order_relaxed) & bit) ||
        (atomic_fetch_or_explicit(word, bit, memory_order_relaxed) & bit))
        return;
    if (at.span->bin != COLLECTED_PLAIN)
        push(stack, tu__collected_block(at.span, at.index));
}

TU__RACY void tu__mark(struct mark_stack *stack, const void *p)
{
    mark(stack, p);
}

TU__RACY void tu__mark_words(struct mark_stack *stack, const void *low, const void *high)
{
    uintptr_t at = ((uintptr_t)low + sizeof at - 1) & ~(sizeof at - 1);
    for (; at + sizeof at <= (uintptr_t)high; at += sizeof at)
        mark(stack, *(const void *volatile *)at);
}

TU__RACY bool tu__mark_is(const void *p)
{
    struct collected_place at;
    return tu__collected_find(p, &at) &&
           (atomic_load_explicit(&at.span->marks[at.index / 64], memory_order_relaxed) >>
                at.index % 64 &
            1);
}

TU__RACY static inline __attribute__((always_inline)) void
scan_elements(struct mark_stack *stack, const char *object, const tu_type *type, size_t count)
{
    for (; count > 0; count--, object += type->size)
        for (uint32_t i = 0; i < type->pointer_count; i++) {
            const struct tu__pointers *run = &type->pointers[i];
            const void *const volatile *slot = (const void *const volatile *)(object + run->offset);
            for (uint32_t k = 0; k < run->words; k++)
                mark(stack, slot[k]);
        }
}

/* A piece of an object that has a span of its own, from `at`; the rest goes back on the stack. */
TU__RACY static size_t scan_piece(struct mark_stack *stack, const struct span *s, char *at)
{
    size_t size = s->type->size, count = tu__collected_bytes(s) / size;
    size_t left = count - (size_t)(at - tu__span_start(s)) / size;
    size_t piece = PIECE_BYTES / size + 1;
    if (left > piece) {
        push(stack, at + piece * size);
        left = piece;
    }
    stack->scanned_bytes += left * size;
    scan_elements(stack, at, s->type, left);
    return left * size;
}

/* Returns how many bytes there were. */
TU__RACY static size_t scan(struct mark_stack *stack, char *object)
{
    const struct span *s = tu__entry_span(tu__page_entry(object));
    const tu_type *type = s->type;
    size_t bytes = s->block_bytes;
    if (bytes == 0)
        return scan_piece(stack, s, object);
    stack->scanned_bytes += bytes;
    if (s->bin == COLLECTED_MIXED) {
        bytes -= sizeof type;
        type = *(const tu_type *const volatile *)(object + bytes);
        if (!type) /* its maker has not come so far */
            return 0;
    }
    /* Of a single object the division is not needed. */
    size_t count = bytes < 2 * (size_t)type->size ? 1 : bytes / type->size;
    scan_elements(stack, object, type, count);
    return count == 1 && s->bin == COLLECTED_TYPED ? 0 : bytes;
}

bool tu__mark_drain(struct mark_stack *stack, size_t objects)
{
    char *ahead[AHEAD] = {NULL};
    for (size_t i = 0, empty = 0; empty < AHEAD; i++) {
        char *next = objects > 0 ? pop(stack) : NULL;
        char *now = ahead[i % AHEAD];
        if (next) {
            __builtin_prefetch(next);
            objects--;
        }
        ahead[i % AHEAD] = next;
        empty = now || next ? 0 : empty + 1;
        if (now) {
            size_t more = scan(stack, now) >> COST_LOG;
            objects -= more < objects ? more : objects;
        }
    }
    return objects > 0;
}

/* The elements of an object of which a part lies in [low, high). */
TU__RACY static void scan_part(struct mark_stack *stack, const struct span *s, char *object,
                               char *low, char *high)
{
    const tu_type *type = s->type;
    size_t bytes = tu__collected_bytes(s);
    if (s->bin == COLLECTED_MIXED) {
        bytes -= sizeof type;
        type = *(const tu_type *const volatile *)(const void *)(object + bytes);
        if (!type)
            return;
    }
    size_t count = bytes / type->size,
           from = low > object ? (size_t)(low - object) / type->size : 0;
    size_t past = high > object ? (size_t)(high - object + type->size - 1) / type->size : 0;
    if (past > count)
        past = count;
    if (from < past)
        scan_elements(stack, object + from * type->size, type, past - from);
}

TU__RACY void tu__mark_old_in(struct mark_stack *stack, const struct span *s, char *low, char *high)
{
    char *start = tu__span_start(s);
    uint32_t first = s->block_bytes ? (uint32_t)((size_t)(low - start) / s->block_bytes) : 0;
    uint32_t last = s->block_bytes ? (uint32_t)((size_t)(high - 1 - start) / s->block_bytes) : 0;
    for (uint32_t i = first; i <= last && i < s->capacity; i++) {
        uint64_t old = atomic_load_explicit(&s->marks[i / 64], memory_order_relaxed) &
                       ~atomic_load_explicit(&s->born[i / 64], memory_order_relaxed);
        if (old >> i % 64 & 1)
            scan_part(stack, s, tu__collected_block(s, i), low, high);
    }
}

TU__RACY const void *tu__mark_missing(const void *object)
{
    const struct span *s = tu__entry_span(tu__page_entry(object));
    const tu_type *type = s->type;
    size_t bytes = tu__collected_bytes(s);
    if (s->bin == COLLECTED_MIXED) {
        bytes -= sizeof type;
        type = *(const tu_type *const volatile *)((const char *)object + bytes);
    }
    const char *at = object;
    for (size_t left = type ? bytes / type->size : 0; left > 0; left--, at += type->size)
        for (uint32_t i = 0; i < type->pointer_count; i++)
            for (uint32_t k = 0; k < type->pointers[i].words; k++) {
                const void *to =
                    ((const void *const *)(const void *)(at + type->pointers[i].offset))[k];
                if (tu_gc_owns(to) && !tu__mark_is(to))
                    return to;
            }
    return NULL;
}

/* ---- after an overflow ---- */

static void rescan_span(struct mark_stack *stack, const struct span *s)
{
    for (uint32_t w = 0; s->bin != COLLECTED_PLAIN && w < COLLECTED_WORDS; w++) {
        uint64_t bits = atomic_load_explicit(&s->marks[w], memory_order_relaxed);
        for (; bits; bits &= bits - 1)
            (void)scan(stack, tu__collected_block(s, w * 64 + (uint32_t)__builtin_ctzll(bits)));
    }
}

void tu__mark_rescan(struct mark_stack *stack, bool locked)
{
    struct tu__collected *c = &tu__collected;
    while (atomic_exchange_explicit(&tu__mark_pool.overflowed, 0, memory_order_relaxed)) {
        if (!locked)
            tu__lock(&c->lock);
        size_t count = c->span_count;
        for (size_t i = 0; i < count; i++) {
            struct span *s = c->spans[i];
            if (!locked)
                tu__unlock(&c->lock); /* nothing is freed while marking */
            rescan_span(stack, s);
            (void)tu__mark_drain(stack, SIZE_MAX);
            if (!locked)
                tu__lock(&c->lock);
        }
        if (!locked)
            tu__unlock(&c->lock);
    }
}
