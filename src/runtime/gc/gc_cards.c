/* gc_cards.c - see gc_cards.h.
 *
 * Rejected: a log of objects, once each (the question whether an object is old and not logged takes the page table, the span and
 * two bits, in each store; a card takes a subtraction and a byte). A table of a gigabyte's cards is two megabytes, which are read
 * eight cards at a time.
 */
#include "runtime/gc/gc_cards.h"

#include "platform/pointer_store.h"
#include "platform/vm.h"

#include <string.h>

enum { SPANS_AT_ONCE = 64 };
#define CARDS_ROOM ((size_t)1 << (40 - CARD_SHIFT)) /* of a terabyte */
#define STEP_BYTES ((size_t)1 << 16)

static struct {
    uint8_t *table[2]; /* threads write to table[current] */
    unsigned current;
    size_t committed; /* bytes of each */
} cards;

static bool reserve(void)
{
    for (int i = 0; i < 2 && !cards.table[i]; i++)
        if (!(cards.table[i] = vm_reserve(CARDS_ROOM)))
            return false;
    return true;
}

/* Only grows, so that a thread that reads an old limit notes less, and nobody is old there yet. */
static void set_limit(bool on)
{
    size_t limit = on ? cards.committed << CARD_SHIFT : 0;
    __atomic_store_n(&tu__card_base, tu__pages.base, __ATOMIC_RELAXED);
    __atomic_store_n(&tu__card_limit, limit, __ATOMIC_RELEASE);
}

bool tu__cards_cover(void)
{
    size_t committed = atomic_load_explicit(&tu__pages.committed, memory_order_relaxed);
    size_t want = ((committed >> CARD_SHIFT) + STEP_BYTES - 1) & ~(STEP_BYTES - 1);
    if (!tu__collected.cards || want <= cards.committed)
        return true;
    for (int i = 0; i < 2; i++)
        if (vm_commit(cards.table[i] + cards.committed, want - cards.committed) < 0)
            return false;
    cards.committed = want;
    set_limit(tu__card_limit != 0);
    return true;
}

/* World stopped. */
static void note(bool on)
{
    uint32_t guard = __atomic_load_n(&tu__store_guard, __ATOMIC_RELAXED);
    guard = on ? guard | STORE_NOTES : guard & ~(uint32_t)STORE_NOTES;
    __atomic_store_n(&tu__store_guard, guard, __ATOMIC_RELAXED);
    set_limit(on);
}

bool tu__cards_begin(bool on)
{
    if (!on || !reserve()) {
        tu__collected.cards = false;
        note(false);
        return !on;
    }
    tu__collected.cards = true;
    if (!tu__cards_cover()) {
        tu__collected.cards = false;
        note(false);
        return false;
    }
    cards.current ^= 1;
    __atomic_store_n(&tu__card_table, cards.table[cards.current], __ATOMIC_RELAXED);
    note(true);
    return true;
}

static void read_span(struct mark_stack *stack, struct span *s, uint8_t *table, bool scan)
{
    enum { CARD_BYTES = 1 << CARD_SHIFT, AT_ONCE = 8 };
    size_t first = ((uintptr_t)tu__span_start(s) - tu__pages.base) >> CARD_SHIFT;
    size_t count = ((size_t)s->pages << PAGE_SHIFT) >> CARD_SHIFT;
    for (size_t i = 0; i < count; i += AT_ONCE) {
        uint64_t eight;
        memcpy(&eight, table + first + i, sizeof eight);
        if (eight == 0)
            continue;
        memset(table + first + i, 0, sizeof eight);
        for (size_t k = 0; scan && k < AT_ONCE; k++)
            if (eight >> 8 * k & 0xff) {
                char *low = tu__span_start(s) + (i + k) * CARD_BYTES;
                tu__mark_old_in(stack, s, low, low + CARD_BYTES);
            }
    }
}

void tu__cards_read(struct mark_stack *stack, bool scan)
{
    struct tu__collected *c = &tu__collected;
    uint8_t *table = cards.table[cards.current ^ 1];
    if (!c->cards)
        return;
    tu__lock(&c->lock);
    for (size_t i = 0, count = c->span_count; i < count;) {
        struct span *some[SPANS_AT_ONCE];
        size_t n = 0;
        for (; n < SPANS_AT_ONCE && i < count; n++, i++)
            some[n] = c->spans[i];
        tu__unlock(&c->lock); /* none of them goes while we mark */
        for (size_t k = 0; k < n; k++)
            read_span(stack, some[k], table, scan && some[k]->bin != COLLECTED_PLAIN);
        tu__lock(&c->lock);
    }
    tu__unlock(&c->lock);
}

void tu__cards_note(const void *at, size_t size)
{
    size_t offset = (uintptr_t)at - tu__card_base;
    size_t limit = __atomic_load_n(&tu__card_limit, __ATOMIC_ACQUIRE);
    if (size == 0 || offset >= limit)
        return;
    if (size > limit - offset) /* of the manual heap, which may have grown since */
        size = limit - offset;
    for (size_t card = offset >> CARD_SHIFT; card <= (offset + size - 1) >> CARD_SHIFT; card++)
        __atomic_store_n(&tu__card_table[card], 1, __ATOMIC_RELAXED);
}
