/* collected.h - the collected heap's spans and the threads' places in them.
 *
 *     thread's slot for a key  <-  claimed blocks of one span  <-  spans of the key  <-  page heap
 *        bump, no lock              (lock, a whole span)             or a new one
 *
 * A *key* stands for one kind of span: blocks of one size that are laid out alike.
 *   typed   single objects of one type; the span knows it
 *   mixed   any type with pointers: the last word of a block is the type (so that a pointer one past an array's end
 *           is still the block's)
 *   plain   no pointers
 * Objects above SIZE_CLASS_LARGEST - 8 have a span each, which knows the type.
 *
 * Of each block three bits lie in the span: `taken` (an object, or claimed by a thread), `marks`, and `born` (it was
 * claimed while a cycle marked, and is marked for that only). Between cycles a mark says that the object is old: it
 * was reached by a cycle, and stays marked until the next major one (gc_cards.h). A slot claims all
 * blocks of a span that are free, at once, and hands them out in the order of their addresses:
 *
 *     blocks claimed and not yet handed out  =  slot->claimed, from slot->cur on
 *
 * holds at every instruction, so that the collector may read it while the thread stands anywhere. Unclaimed free
 * blocks hold anything; a run of claimed ones is zeroed before it is handed out. But a mixed span's blocks end, at any
 * time, with NULL or a type: the marker may come to one that was not handed out yet.
 *
 * tu__collected.lock guards the lists of spans, `taken`, and all claiming; marks are written by anybody, while
 * marking, with atomic or. Lock order: this lock, then the page heap's. Nothing here parks.
 */
#pragma once

#include <tuco/gc.h>

#include "runtime/mem/page_heap.h"
#include "runtime/mem/size_class.h"

enum collected_kind { COLLECTED_PLAIN, COLLECTED_MIXED, COLLECTED_TYPED };

/* The first two keys have no spans: an object of them is made the long way. */
enum {
    KEY_NONE,
    KEY_OWN_SLAB, /* TU__OWN_SLAB: to be given a key */
    KEY_MIXED,    /* + size class */
    KEY_PLAIN = KEY_MIXED + SIZE_CLASS_COUNT,
    KEY_TYPED = KEY_PLAIN + SIZE_CLASS_COUNT,
    KEYS = 512,
};
_Static_assert(KEY_OWN_SLAB == (int)TU__OWN_SLAB, "as the header says");

/* A thread's place in a key's span. The owner writes; the collector reads while the owner stands. */
struct slot {
    char *cur, *end; /* zeroed blocks that are handed out next */
    uint32_t block_bytes;
    uint32_t next;     /* number of the first block that was not looked at for [cur, end) */
    struct span *span; /* NULL: none */
    char *start;       /* of the span */
    bool untouched;    /* the span was never used: there is no memory behind it yet */
    char *began;       /* for tests: cur, when the cycle began */
    uint64_t claimed[COLLECTED_WORDS];
};

struct tu__key {
    struct span *partial; /* swept, with free blocks that nobody claimed; through next and prev */
    struct span shape;    /* of its spans; block_bytes 0: not set up yet */
    uint32_t span_pages;
};

struct tu__collected {
    struct tu__lock lock;
    struct span **spans; /* all; a span's `hint` is its index */
    size_t span_count, span_room;
    struct tu__key keys[KEYS];
    uint32_t typed_keys;       /* given out */
    size_t pages;              /* in all spans */
    _Atomic size_t used_bytes; /* in blocks taken; written under lock */
    _Atomic size_t trigger;    /* used_bytes at which a cycle begins */
    size_t unswept;            /* spans[0 .. unswept - 1] are to be swept, from the end */
    bool marking;              /* what is claimed is born marked */
    bool poison;               /* freed blocks are overwritten */
    bool cards;                /* threads note where they write pointers; gc_cards.c */
    bool keep_marks;           /* sweeping leaves the marks of what becomes old */
    uint64_t freed_objects, freed_bytes;
};
extern struct tu__collected tu__collected;

/* Gives `slot`, which is used up, another span of the key: false when there is no memory. */
bool tu__collected_claim(struct slot *slot, uint32_t key);
/* Moves slot->cur to the next zeroed blocks of its span: false when it is used up. Owner only. */
bool tu__collected_next(struct slot *slot);
/* An object of its own span, or NULL. Zero-filled. */
void *tu__collected_large(const tu_type *type, size_t size);
/* The key for single objects of a type that wants a slab (its `slab` is TU__OWN_SLAB), after writing it there. */
uint32_t tu__collected_key(tu_type *type);

/* The collector, with the world stopped and the lock held: marks what the slot has claimed. */
void tu__collected_mark_claimed(const struct slot *slot);
/* Marking is over: all spans are to be swept, and what is claimed from now on is not marked. Takes the lock. */
void tu__collected_begin_sweep(bool keep_marks);
/* Before a major cycle: nobody is old any more. Takes the lock now and then. */
void tu__collected_forget(void);
/* Sweeps up to `spans` of them; true if some are left. Takes the lock. */
bool tu__collected_sweep(size_t spans);
/* Walks all spans and aborts on a broken invariant. Takes the lock. */
void tu__collected_verify(void);

/* Where a pointer points: the span and the block's number. False: into no object (which a free block is not). */
struct collected_place {
    struct span *span;
    uint32_t index;
};
static inline bool tu__collected_find(const void *p, struct collected_place *out)
{
    uint64_t entry = tu__page_entry_whole(p);
    if (tu__entry_code(entry) != PAGE_COLLECTED)
        return false;
    struct span *s = tu__entry_span(entry);
    size_t offset = (size_t)((const char *)p - tu__span_start(s));
    uint32_t index = (uint32_t)(offset * s->reciprocal >> 40);
    out->span = s;
    out->index = index;
    return index < s->capacity &&
           (atomic_load_explicit(&s->taken[index / 64], memory_order_relaxed) >> index % 64 & 1);
}

static inline size_t tu__collected_bytes(const struct span *s)
{
    return s->block_bytes ? s->block_bytes : (size_t)s->pages << PAGE_SHIFT;
}

static inline char *tu__collected_block(const struct span *s, uint32_t index)
{
    return tu__span_start(s) + (size_t)index * s->block_bytes;
}
