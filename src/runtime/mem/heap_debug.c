/* heap_debug.c - redzones, poison, quarantine and the failing allocation of builds with TU_DEBUG.
 *
 * The quarantine is one ring under one lock: a debug build may be slow, and the order in which
 * blocks leave it is then the order in which they were freed, whoever freed them.
 */
#include "runtime/mem/heap_debug.h"

#include "base/check.h"
#include "runtime/mem/central.h"
#include "runtime/mem/heap.h"
#include "runtime/mem/sanitizer.h"

#include <string.h>

#if !TU__MEM_IS_MALLOC

#ifdef TU_DEBUG

#define POISON           0xdd
#define CANARY           UINT64_C(0xc0ffee5afe5afe51)
#define QUARANTINE_BYTES ((size_t)1 << 20)
#define QUARANTINED_MAX  ((size_t)64 << 10)

enum { QUARANTINE_BLOCKS = 1024 };

static _Atomic int64_t fail_countdown;

static struct {
    struct tu__lock lock;
    struct {
        void *block;
        size_t whole;
    } ring[QUARANTINE_BLOCKS];
    size_t first, count, bytes;
    _Atomic size_t
        held[PAGE_LARGE + 1]; /* what tu__debug_quarantined returns; written under lock */
} quarantine;

bool tu__debug_must_fail(void)
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

/* ---- redzones ---- */

struct redzone {
    uint64_t canary; /* CANARY ^ address of the block */
    uint64_t asked;  /* size that was asked for ^ canary */
};

static struct redzone redzone_of(const void *block, size_t asked)
{
    uint64_t canary = CANARY ^ (uintptr_t)block;
    return (struct redzone){canary, asked ^ canary};
}

static void write_redzone(void *block, size_t whole, size_t asked)
{
    struct redzone zone = redzone_of(block, asked);
    memcpy((char *)block + whole - sizeof zone, &zone, sizeof zone);
}

static void check_redzone(const void *block, size_t whole, const char *function)
{
    struct redzone zone, intact = redzone_of(block, 0);
    size_t usable = whole - sizeof zone;
    memcpy(&zone, (const char *)block + usable, sizeof zone);
    size_t asked = zone.asked ^ intact.canary;
    if (asked > usable) /* damaged too */
        check_failed(__FILE__, __LINE__, "%s(%p): a block of %zu bytes was written beyond its end",
                     function, block, usable);
    tu_check(zone.canary == intact.canary,
             "%s(%p): a block of %zu bytes (%zu asked for) was written beyond its end", function,
             block, usable, asked);
}

/* ---- who has a block ---- */

/* The bit of a block in its span. */
static _Atomic uint64_t *live_bit(const void *block, uint64_t *bit, const char *function)
{
    uint64_t entry = tu__page_entry(block);
    struct span *s = tu__entry_span(entry);
    size_t offset = (size_t)((const char *)block - tu__span_start(s));
    uint32_t index = 0;
    if (tu__entry_code(entry) != PAGE_LARGE) {
        const struct tu__central *c = &tu__centrals[s->class];
        index = tu__block_index(c, offset);
        offset -= (size_t)index * c->block_bytes;
        tu_check(index < s->capacity, "%s(%p): not a block of this heap", function, block);
    }
    tu_check(offset == 0, "%s(%p): inside a block, not its beginning", function, block);
    *bit = (uint64_t)1 << index % 64;
    return &s->live[index / 64];
}

bool tu__debug_is_live(const struct span *s, uint32_t index)
{
    return atomic_load_explicit(&s->live[index / 64], memory_order_relaxed) >> index % 64 & 1;
}

void tu__debug_check(const void *block, size_t whole, const char *function)
{
    uint64_t bit;
    _Atomic uint64_t *word = live_bit(block, &bit, function);
    tu_check(atomic_load_explicit(word, memory_order_relaxed) & bit,
             "%s(%p): a block of %zu bytes that was freed before", function, block,
             whole - TU__REDZONE);
    check_redzone(block, whole, function);
}

/* ---- poison ---- */

static void check_poison(const unsigned char *block, size_t whole)
{
    for (size_t i = 0; i < whole; i++)
        tu_check(block[i] == POISON,
                 "heap: block %p of %zu bytes was written to at offset %zu after its tu_free",
                 (const void *)block, whole - TU__REDZONE, i);
}

void tu__debug_new_span(const struct span *s, size_t block_bytes)
{
    memset(tu__span_start(s), POISON, s->capacity * block_bytes);
}

void tu__debug_handed_out(void *block, size_t whole, size_t asked)
{
    uint64_t bit;
    _Atomic uint64_t *word = live_bit(block, &bit, "tu_alloc");
    tu_check(!(atomic_fetch_or(word, bit) & bit), "heap: block %p of %zu bytes handed out twice",
             block, whole - TU__REDZONE);
    if (tu__entry_code(tu__page_entry(block)) != PAGE_LARGE) {
        check_poison(block, whole);
        memset(block, 0xaa, whole);
    }
    write_redzone(block, whole, asked);
}

void tu__debug_resized(void *block, size_t whole, size_t asked)
{
    write_redzone(block, whole, asked);
}

/* ---- quarantine ---- */

static void hold(const void *block, size_t whole, bool in)
{
    unsigned code = tu__entry_code(tu__page_entry(block));
    size_t amount = code == PAGE_LARGE ? whole : 1;
    if (in)
        atomic_fetch_add_explicit(&quarantine.held[code], amount, memory_order_relaxed);
    else
        atomic_fetch_sub_explicit(&quarantine.held[code], amount, memory_order_relaxed);
}

static void *oldest_locked(void)
{
    if (quarantine.count == 0)
        return NULL;
    void *block = quarantine.ring[quarantine.first].block;
    size_t whole = quarantine.ring[quarantine.first].whole;
    quarantine.first = (quarantine.first + 1) % QUARANTINE_BLOCKS;
    quarantine.count--;
    quarantine.bytes -= whole;
    check_poison(block, whole);
    hold(block, whole, false);
    return block;
}

void *tu__debug_release(void)
{
    tu__lock(&quarantine.lock);
    void *block = oldest_locked();
    tu__unlock(&quarantine.lock);
    return block;
}

/* One comes, so one may have to go: small blocks may push out a large one, but a large one pushes
 * out only one as well; the sum is a soft limit. */
void *tu__debug_freed(void *block, size_t whole)
{
    tu__debug_check(block, whole, "tu_free");
    uint64_t bit;
    _Atomic uint64_t *word = live_bit(block, &bit, "tu_free");
    tu_check(atomic_fetch_and(word, ~bit) & bit, "tu_free(%p): freed by two threads at once",
             block);
    if (whole > QUARANTINED_MAX)
        return block;
    memset(block, POISON, whole);
    void *leaves = NULL;
    tu__lock(&quarantine.lock);
    if (quarantine.count == QUARANTINE_BLOCKS || quarantine.bytes + whole > QUARANTINE_BYTES)
        leaves = oldest_locked();
    size_t last = (quarantine.first + quarantine.count++) % QUARANTINE_BLOCKS;
    quarantine.ring[last].block = block;
    quarantine.ring[last].whole = whole;
    quarantine.bytes += whole;
    hold(block, whole, true);
    tu__unlock(&quarantine.lock);
    return leaves;
}

void tu__debug_before_fork(void)
{
    tu__lock(&quarantine.lock);
}

void tu__debug_after_fork(bool child)
{
    (child ? tu__lock_after_fork : tu__unlock)(&quarantine.lock);
}

size_t tu__debug_quarantined(unsigned code)
{
    return atomic_load_explicit(&quarantine.held[code], memory_order_relaxed);
}

#else

bool tu__mem_fail_after(int64_t n)
{
    return false;
}

#endif
#endif
