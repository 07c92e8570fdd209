/* collected.c - see collected.h: claiming, sweeping.
 *
 * A slot claims whole spans, not blocks: one lock for up to 512 objects, and afterwards neither the sweeper nor
 * another thread has anything to do with those blocks, so the owner needs no atomics. What a thread has claimed and
 * does not use stays its own through any number of cycles (the collector marks it when a cycle begins).
 *
 * Sweeping turns marks into `taken`: two words for 64 objects, nothing is linked, no object is touched. The collector
 * sweeps right after marking, behind the backs of the allocating threads; a thread that finds no partial span of its
 * key sweeps some itself before it takes a new one.
 *
 * Rejected: free lists through the objects (sweeping would touch each one); a claim of 64 blocks (a lock eight times as
 * often); handing claimed blocks back when a cycle begins (the owner would have to be asked, or to lock).
 */
#include "runtime/gc/collected.h"

#include "base/check.h"
#include "platform/vm.h"
#include "runtime/gc/gc_cards.h"
#include "runtime/gc/gc_shadow.h"

#include <string.h>

enum {
    SPAN_PAGES_MAX = 64,
    ZERO_BYTES =
        4096, /* zeroed at a time: what is handed out next stays in the first-level cache */
    FORGET_SPANS = 256, /* at a time */
    SWEEP_TRIES = 64,   /* spans that a thread sweeps before it takes a new one */
    POISON = 0xdb,
#ifdef TU_SIM
    BLOCKS_MOST = 8, /* so that threads claim all the time */
#else
    BLOCKS_MOST = COLLECTED_BLOCKS_MAX,
#endif
};
#define SPANS_ROOM ((size_t)1 << 27) /* spans in a terabyte */
#define SPANS_STEP ((size_t)1 << 20) /* bytes of `spans` committed at a time */

struct tu__collected tu__collected = {.typed_keys = KEY_TYPED, .trigger = SIZE_MAX};

/* ---- keys ---- */

static void set_up_key(struct tu__key *k, uint32_t key, size_t bytes, enum collected_kind kind,
                       const tu_type *type)
{
    size_t pages = bytes < 128 ? bytes / 16 : 8; /* as many as 512 blocks allow, at most 8 */
    for (; pages < SPAN_PAGES_MAX; pages++) {
        size_t span = pages * PAGE_BYTES;
        if (span / bytes >= 8 && span % bytes * 64 <= span)
            break;
    }
    size_t capacity = pages * PAGE_BYTES / bytes;
    if (capacity > BLOCKS_MOST)
        capacity = BLOCKS_MOST;
    k->span_pages = (uint32_t)pages;
    k->shape = (struct span){.bin = (uint8_t)kind,
                             .capacity = (uint32_t)capacity,
                             .reciprocal = ((uint64_t)1 << 40) / bytes + 1,
                             .type = type,
                             .block_bytes = (uint32_t)bytes,
                             .key = key};
}

static struct tu__key *key_locked(uint32_t key)
{
    struct tu__key *k = &tu__collected.keys[key];
    if (k->shape.block_bytes == 0) {
        bool plain = key >= KEY_PLAIN;
        size_t bytes = size_class_bytes(key - (plain ? KEY_PLAIN : KEY_MIXED));
        set_up_key(k, key, bytes, plain ? COLLECTED_PLAIN : COLLECTED_MIXED, NULL);
    }
    return k;
}

static uint32_t plain_key(const tu_type *type)
{
    uint32_t class = size_class_of(type->size < 16 ? 16 : type->size);
    while (type->size % 16 == 0 && size_class_bytes(class) % 16 != 0)
        class ++;
    return KEY_PLAIN + class;
}

uint32_t tu__collected_key(tu_type *type)
{
    struct tu__collected *c = &tu__collected;
    uint32_t key = KEY_NONE;
    tu__lock(&c->lock);
    if (type->slab != TU__OWN_SLAB) {
        key = type->slab;
    } else if (type->size == 0 || type->size > SIZE_CLASS_LARGEST - sizeof(void *)) {
        key = KEY_NONE;
    } else if (type->pointer_count == 0) {
        key = plain_key(type);
    } else if (c->typed_keys < KEYS) {
        key = c->typed_keys++;
        size_t bytes = (type->size + 7) & ~(size_t)7;
        set_up_key(&c->keys[key], key, bytes < 16 ? 16 : bytes, COLLECTED_TYPED, type);
    }
    /* release: pairs with the load in tu__gc_alloc, although the key is looked at under the lock */
    __atomic_store_n(&type->slab, key, __ATOMIC_RELEASE);
    tu__unlock(&c->lock);
    return key;
}

/* ---- all spans; the lock is held ---- */

static bool room_for_span(void)
{
    struct tu__collected *c = &tu__collected;
    if (c->span_count < c->span_room)
        return true;
    if (!c->spans && !(c->spans = vm_reserve(SPANS_ROOM * sizeof *c->spans)))
        return false;
    if (c->span_room == SPANS_ROOM ||
        vm_commit((char *)c->spans + c->span_room * sizeof *c->spans, SPANS_STEP) < 0)
        return false;
    c->span_room += SPANS_STEP / sizeof *c->spans;
    return true;
}

static struct span *new_span(size_t pages, bool zero, const struct span *shape)
{
    struct tu__collected *c = &tu__collected;
    if (!room_for_span())
        return NULL;
    struct span *s = tu__pages_take_collected(pages, zero, shape);
    if (!s)
        return NULL;
    if (!tu__cards_cover() || (tu__shadow() && !tu__shadow_cover(s))) {
        tu__pages_give(s);
        return NULL;
    }
    for (uint32_t i = 0; s->bin == COLLECTED_MIXED && !s->zero && i < s->capacity; i++)
        *(void **)(void *)(tu__collected_block(s, i + 1) - sizeof(void *)) = NULL;
    s->hint = (uint32_t)c->span_count;
    c->spans[c->span_count++] = s;
    c->pages += pages;
    return s;
}

/* Those behind the sweeper are swept, so the last of all may take its place. */
static void drop_span(struct span *s)
{
    struct tu__collected *c = &tu__collected;
    struct span *last = c->spans[--c->span_count];
    c->spans[s->hint] = last;
    last->hint = s->hint;
    c->pages -= s->pages;
    tu__pages_give(s);
}

static void list(struct tu__key *k, struct span *s)
{
    s->prev = NULL;
    s->next = k->partial;
    if (s->next)
        s->next->prev = s;
    k->partial = s;
}

static uint64_t all_bits(const struct span *s, uint32_t word)
{
    uint32_t left = s->capacity > word * 64 ? s->capacity - word * 64 : 0;
    return left >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << left) - 1;
}

/* Marked because nobody will look for them in this cycle, and young all the same. */
static void born_marked(struct span *s, size_t word, uint64_t bits)
{
    atomic_fetch_or_explicit(&s->born[word], bits, memory_order_relaxed);
    atomic_fetch_or_explicit(&s->marks[word], bits, memory_order_relaxed);
}

/* Takes all free blocks of a span for a slot. */
static void claim(struct slot *slot, struct span *s)
{
    struct tu__collected *c = &tu__collected;
    uint32_t count = 0;
    for (uint32_t i = 0; i < COLLECTED_WORDS; i++) {
        uint64_t free = all_bits(s, i) & ~atomic_load_explicit(&s->taken[i], memory_order_relaxed);
        slot->claimed[i] = free;
        if (!free)
            continue;
        count += (uint32_t)__builtin_popcountll(free);
        atomic_fetch_or_explicit(&s->taken[i], free, memory_order_relaxed);
        if (c->marking)
            born_marked(s, i, free);
    }
    s->used += count;
    slot->span = s;
    slot->block_bytes = s->block_bytes;
    slot->next = 0;
    slot->cur = slot->end = slot->start = tu__span_start(s);
    size_t used = atomic_load_explicit(&c->used_bytes, memory_order_relaxed);
    atomic_store_explicit(&c->used_bytes, used + (size_t)count * s->block_bytes,
                          memory_order_relaxed);
}

/* ---- sweeping; the lock is held ---- */

static void poison(const struct span *s, uint32_t word, uint64_t freed)
{
    size_t bytes = s->block_bytes - (s->bin == COLLECTED_MIXED ? sizeof(void *) : 0);
    for (; freed; freed &= freed - 1)
        memset(tu__collected_block(s, word * 64 + (uint32_t)__builtin_ctzll(freed)), POISON, bytes);
}

static void sweep_large(struct span *s)
{
    struct tu__collected *c = &tu__collected;
    uint64_t born = atomic_exchange_explicit(&s->born[0], 0, memory_order_relaxed);
    if (atomic_load_explicit(&s->marks[0], memory_order_relaxed)) {
        atomic_store_explicit(&s->marks[0], c->keep_marks && !born, memory_order_relaxed);
        return;
    }
    size_t bytes = tu__collected_bytes(s);
    if (c->poison)
        memset(tu__span_start(s), POISON, bytes);
    c->freed_objects++;
    c->freed_bytes += bytes;
    atomic_fetch_sub_explicit(&c->used_bytes, bytes, memory_order_relaxed);
    drop_span(s);
}

static void sweep_span(struct span *s)
{
    struct tu__collected *c = &tu__collected;
    uint32_t used = 0;
    if (s->block_bytes == 0) {
        sweep_large(s);
        return;
    }
    for (uint32_t i = 0; i < COLLECTED_WORDS; i++) {
        uint64_t marks = atomic_load_explicit(&s->marks[i], memory_order_relaxed);
        uint64_t taken = atomic_load_explicit(&s->taken[i], memory_order_relaxed);
        if (c->poison && (taken & ~marks))
            poison(s, i, taken & ~marks);
        used += (uint32_t)__builtin_popcountll(marks);
        atomic_store_explicit(&s->taken[i], marks, memory_order_relaxed);
        uint64_t born = atomic_exchange_explicit(&s->born[i], 0, memory_order_relaxed);
        atomic_store_explicit(&s->marks[i], c->keep_marks ? marks & ~born : 0,
                              memory_order_relaxed);
    }
    uint32_t freed = s->used - used;
    s->used = used;
    c->freed_objects += freed;
    c->freed_bytes += (size_t)freed * s->block_bytes;
    atomic_fetch_sub_explicit(&c->used_bytes, (size_t)freed * s->block_bytes, memory_order_relaxed);
    if (used == 0)
        drop_span(s);
    else if (used < s->capacity - s->capacity / 32)
        list(&c->keys[s->key], s);
}

static bool sweep_locked(size_t spans)
{
    struct tu__collected *c = &tu__collected;
    for (; c->unswept > 0 && spans > 0; spans--)
        sweep_span(c->spans[--c->unswept]);
    return c->unswept > 0;
}

bool tu__collected_sweep(size_t spans)
{
    tu__lock(&tu__collected.lock);
    bool more = sweep_locked(spans);
    tu__unlock(&tu__collected.lock);
    return more;
}

void tu__collected_forget(void)
{
    struct tu__collected *c = &tu__collected;
    tu__lock(&c->lock);
    for (size_t i = 0; i < c->span_count; i++) {
        for (uint32_t w = 0; w < COLLECTED_WORDS; w++)
            atomic_store_explicit(&c->spans[i]->marks[w], 0, memory_order_relaxed);
        if (i % FORGET_SPANS == 0) {
            tu__unlock(&c->lock); /* none goes meanwhile: all is swept */
            tu__lock(&c->lock);
        }
    }
    tu__unlock(&c->lock);
}

void tu__collected_begin_sweep(bool keep_marks)
{
    struct tu__collected *c = &tu__collected;
    tu__lock(&c->lock);
    for (uint32_t key = 0; key < KEYS; key++)
        c->keys[key].partial = NULL;
    c->unswept = c->span_count;
    c->marking = false;
    c->keep_marks = keep_marks;
    tu__unlock(&c->lock);
}

/* ---- slots ---- */

static struct span *find_partial(struct tu__key *k)
{
    for (int i = 0; i < SWEEP_TRIES && !k->partial && tu__collected.unswept > 0; i++)
        (void)sweep_locked(1);
    struct span *s = k->partial;
    if (s) {
        k->partial = s->next;
        if (s->next)
            s->next->prev = NULL;
    }
    return s;
}

bool tu__collected_claim(struct slot *slot, uint32_t key)
{
    struct tu__collected *c = &tu__collected;
    tu__lock(&c->lock);
    struct tu__key *k = key_locked(key);
    struct span *s = find_partial(k);
    bool new = !s;
    if (new)
        s = new_span(k->span_pages, false, &k->shape);
    if (s) {
        claim(slot, s);
        slot->untouched = new && s->zero;
    }
    tu__unlock(&c->lock);
    return s != NULL;
}

/* The first claimed block from number `from` on, or the capacity. */
static uint32_t next_claimed(const struct slot *slot, uint32_t from, bool wanted)
{
    uint32_t capacity = slot->span->capacity;
    while (from < capacity) {
        uint64_t bits = wanted ? slot->claimed[from / 64] : ~slot->claimed[from / 64];
        bits >>= from % 64;
        if (bits) {
            from += (uint32_t)__builtin_ctzll(bits);
            break;
        }
        from = (from / 64 + 1) * 64;
    }
    return from < capacity ? from : capacity;
}

bool tu__collected_next(struct slot *slot)
{
    if (!slot->span)
        return false;
    uint32_t capacity = slot->span->capacity, first = next_claimed(slot, slot->next, true);
    if (first == capacity) {
        slot->span = NULL; /* it may be swept away from now on */
        return false;
    }
    uint32_t past = next_claimed(slot, first, false);
    uint32_t most = ZERO_BYTES / slot->block_bytes + 1;
    if (past - first > most)
        past = first + most;
    char *start = tu__collected_block(slot->span, first);
    /* Not beyond the first block until they are zero: see the equation in collected.h. */
    slot->cur = slot->end = start;
    slot->next = past;
    atomic_signal_fence(memory_order_seq_cst); /* for a collector that stops us here */
    memset(start, 0, (size_t)(past - first) * slot->block_bytes);
    if (tu__shadow())
        tu__shadow_zero(start, (size_t)(past - first) * slot->block_bytes);
    slot->end = start + (size_t)(past - first) * slot->block_bytes;
    return true;
}

void *tu__collected_large(const tu_type *type, size_t size)
{
    struct tu__collected *c = &tu__collected;
    size_t pages = (size >> PAGE_SHIFT) + ((size & (PAGE_BYTES - 1)) != 0);
    struct span shape = {.bin = type->pointer_count ? COLLECTED_TYPED : COLLECTED_PLAIN,
                         .type = type,
                         .used = 1,
                         .capacity = 1};
    tu__lock(&c->lock);
    struct span *s = new_span(pages, true, &shape);
    if (s) {
        size_t used = atomic_load_explicit(&c->used_bytes, memory_order_relaxed);
        atomic_store_explicit(&c->used_bytes, used + (pages << PAGE_SHIFT), memory_order_relaxed);
        atomic_store_explicit(&s->taken[0], 1, memory_order_relaxed);
        if (c->marking)
            born_marked(s, 0, 1);
    }
    if (s && tu__shadow()) { /* before the collector compares the two */
        memset(tu__span_start(s), 0, pages << PAGE_SHIFT);
        tu__shadow_zero(tu__span_start(s), pages << PAGE_SHIFT);
    }
    /* volatile: on our stack before a cycle can begin, which would not know it by its span */
    char *volatile object = s ? tu__span_start(s) : NULL;
    tu__unlock(&c->lock);
    if (!s)
        return NULL;
    if (!s->zero)
        memset(object, 0,
               pages << PAGE_SHIFT); /* the rest as well: it is scanned, and may be used */
    return object;
}

void tu__collected_mark_claimed(const struct slot *slot)
{
    if (!slot->span)
        return;
    size_t from = (size_t)(slot->cur - slot->start) / slot->block_bytes;
    for (size_t i = from / 64; i < COLLECTED_WORDS; i++) {
        uint64_t bits = slot->claimed[i];
        if (i == from / 64)
            bits &= ~(uint64_t)0 << from % 64;
        if (bits) /* else the span may be gone, when all that it had was handed out */
            born_marked(slot->span, i, bits);
    }
}

void tu__collected_verify(void)
{
    struct tu__collected *c = &tu__collected;
    size_t bytes = 0, pages = 0;
    tu__lock(&c->lock);
    for (size_t i = 0; i < c->span_count; i++) {
        const struct span *s = c->spans[i];
        tu_check(s->state == SPAN_COLLECTED && s->hint == i, "collected heap: span %zu", i);
        uint32_t used = 0;
        for (uint32_t w = 0; w < COLLECTED_WORDS; w++) {
            uint64_t taken = atomic_load_explicit(&s->taken[w], memory_order_relaxed);
            used += (uint32_t)__builtin_popcountll(taken);
            tu_check(!(taken & ~all_bits(s, w)), "collected heap: a bit beyond the span's blocks");
        }
        tu_check(used == s->used && used > 0, "collected heap: %u blocks, %u counted", used,
                 s->used);
        bytes += used * tu__collected_bytes(s);
        pages += s->pages;
    }
    tu_check(pages == c->pages, "collected heap: pages");
    tu_check(bytes == atomic_load_explicit(&c->used_bytes, memory_order_relaxed),
             "collected heap: %zu bytes used", bytes);
    tu__unlock(&c->lock);
}
