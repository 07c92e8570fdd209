/* expire_index.c - see expire_index.h.
 *
 * Rejected: sampling (leaves what it does not hit, and burns time when little is due), a heap or a
 * tree of deadlines (24 bytes and more a key, and a cache miss a level), storing deadlines in the
 * wheel (8 bytes a key to save a table lookup that happens two or three times in a key's life).
 */
#include "store/expire_index.h"

#include "base/check.h"
#include "store/expire.h"

#include <stdlib.h>
#include <string.h>
#include <tuco/mem.h>

/* How far the clock may go back before the wheel follows: a second. */
enum { BACKWARD_TICKS = 64 };

/* The slots of a level are numbered by digits of six bits. What an item carries in place of twelve bits of its hash: */
enum {
    DIGIT_BITS = 6,
    SLOTS = 1 << DIGIT_BITS,
    COMMON_BITS = 8,
    LOST_BITS = 4,
    CARRIED_SHIFT = 52
};
#define LOST_MASK ((UINT64_C(1) << LOST_BITS) - 1)

struct expire_level {
    uint64_t used; /* bit per slot: not empty */
    struct expire_vector slots[SLOTS];
};

void expire_index_share(struct expire_index *x, uint64_t hash, unsigned bits)
{
    x->carries = bits >= COMMON_BITS;
    x->common = x->carries ? hash >> (64 - COMMON_BITS) << (64 - COMMON_BITS) : 0;
}

/* What lies on level `number` for this hash. */
static uint64_t item_of(const struct expire_index *x, uint64_t hash, uint64_t tick, unsigned number)
{
    if (!x->carries)
        return hash;
    if (number != 1 && number != 2)
        return hash & ~LOST_MASK;
    return hash << COMMON_BITS >> (COMMON_BITS + LOST_BITS) | tick << CARRIED_SHIFT;
}

static uint64_t hash_of(const struct expire_index *x, uint64_t item, unsigned number)
{
    if (!x->carries || (number != 1 && number != 2))
        return item;
    return item << (64 - CARRIED_SHIFT) >> COMMON_BITS | x->common;
}

static uint64_t tick_of(const struct expire_index *x, int64_t ms)
{
    return ms <= 0 ? 0 : x->exact ? (uint64_t)ms : (uint64_t)ms / EXPIRE_TICK_MS;
}

/* Room for `capacity` hashes or a few more. */
static bool vector_grow(struct expire_index *x, struct expire_vector *v, uint32_t capacity)
{
    size_t size = tu_good_size(capacity * sizeof *v->hashes);
    uint64_t *hashes = tu_realloc(v->hashes, size);
    if (!hashes)
        return false;
    x->bytes += size - v->capacity * sizeof *hashes;
    v->hashes = hashes;
    v->capacity = (uint32_t)(size / sizeof *hashes);
    return true;
}

static bool vector_push(struct expire_index *x, struct expire_vector *v, uint64_t hash)
{
    if (v->count == v->capacity &&
        !vector_grow(x, v, v->capacity < 4 ? 4 : v->capacity + v->capacity / 2))
        return false;
    v->hashes[v->count++] = hash;
    return true;
}

static void vector_free(struct expire_index *x, struct expire_vector *v)
{
    x->bytes -= v->capacity * sizeof *v->hashes;
    tu_free(v->hashes);
    *v = (struct expire_vector){0};
}

static void rewind_clock(struct expire_index *x, int64_t now_ms)
{
    for (unsigned i = 0; i < EXPIRE_LEVELS; i++) {
        struct expire_level *level = x->levels[i];
        for (; level && level->used; level->used &= level->used - 1) {
            struct expire_vector *v = &level->slots[__builtin_ctzll(level->used)];
            /* Out of memory loses items: their keys still expire when they are looked at. */
            for (uint32_t j = 0; j < v->count; j++)
                x->items -= !vector_push(x, &x->due, hash_of(x, v->hashes[j], i));
            vector_free(x, v);
        }
    }
    x->tick = tick_of(x, now_ms);
}

/* The first tick of a slot, given the wheel's present tick. */
static uint64_t slot_tick(const struct expire_index *x, unsigned number, unsigned slot)
{
    unsigned above = 6 * (number + 1);
    uint64_t base = above >= 64 ? 0 : x->tick >> above << above;
    return base | (uint64_t)slot << (6 * number);
}

/* The earliest slot: UINT64_MAX when there is none. */
static uint64_t earliest(const struct expire_index *x, unsigned *number, unsigned *slot)
{
    uint64_t best = UINT64_MAX;
    for (unsigned i = 0; i < EXPIRE_LEVELS; i++) {
        const struct expire_level *level = x->levels[i];
        if (!level || !level->used)
            continue;
        unsigned first = (unsigned)__builtin_ctzll(level->used);
        uint64_t tick = slot_tick(x, i, first);
        if (tick < best) {
            best = tick;
            *number = i;
            *slot = first;
        }
    }
    return best;
}

/* Lets the wheel's time follow the clock while nothing is due in between, so that new items land on
 * the level of their true distance. Allowed because every slot in use begins later: it shares its
 * higher digits with the old time, so the new time, between the two, shares them as well. */
static void follow_clock(struct expire_index *x, int64_t now_ms)
{
    unsigned number, slot;
    uint64_t now = tick_of(x, now_ms);
    if (now > x->tick && (x->items == 0 || now < earliest(x, &number, &slot)))
        x->tick = now;
}

/* NULL: out of memory. */
static struct expire_level *level_make(struct expire_index *x, unsigned number)
{
    struct expire_level *level = x->levels[number];
    if (!level) {
        level = x->levels[number] = tu_alloc_zeroed(sizeof *level);
        x->bytes += level ? sizeof *level : 0;
    }
    return level;
}

bool expire_index_add(struct expire_index *x, uint64_t hash, int64_t deadline_ms, int64_t now_ms)
{
    if (x->items == 0)
        x->tick = 0;
    if (tick_of(x, now_ms) + BACKWARD_TICKS < x->tick)
        rewind_clock(x, now_ms);
    follow_clock(x, now_ms);
    /* At its begin the deadline has surely passed. */
    uint64_t tick = tick_of(x, deadline_ms) + !x->exact;
    if (tick >> (6 * EXPIRE_LEVELS) != 0) /* some ten million years: comes due early then */
        tick = (UINT64_C(1) << (6 * EXPIRE_LEVELS)) - 1;
    if (tick <= x->tick)
        tick = x->tick + 1;
    unsigned number = (63u - (unsigned)__builtin_clzll(tick ^ x->tick)) / 6;
    struct expire_level *level = level_make(x, number);
    unsigned slot = (unsigned)(tick >> (6 * number)) & 63;
    if (!level || !vector_push(x, &level->slots[slot], item_of(x, hash, tick, number)))
        return false;
    level->used |= UINT64_C(1) << slot;
    x->items++;
    return true;
}

bool expire_index_again(struct expire_index *x, uint64_t hash)
{
    bool ok = vector_push(x, &x->due, hash);
    x->items += ok;
    return ok;
}

static void take_slot(struct expire_index *x, struct expire_level *level, unsigned slot)
{
    tu_assert(x->due.count == 0);
    vector_free(x, &x->due);
    x->due = level->slots[slot];
    level->slots[slot] = (struct expire_vector){0};
    level->used &= ~(UINT64_C(1) << slot);
}

/* Where an item of the slot with which level `number` has begun belongs: its level and slot. Slot 0 of level 0: due. */
static unsigned place_of(uint64_t item, unsigned number, unsigned *slot)
{
    unsigned one = (unsigned)(item >> (CARRIED_SHIFT + DIGIT_BITS)) & (SLOTS - 1);
    unsigned zero = (unsigned)(item >> CARRIED_SHIFT) & (SLOTS - 1);
    bool higher = number == 2 && one != 0;
    *slot = higher ? one : zero;
    return higher;
}

/* Makes room for what `counts` says; where there is no memory, counts become zero. */
static void make_room(struct expire_index *x, unsigned number, uint32_t counts[SLOTS])
{
    struct expire_level *level = level_make(x, number);
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        struct expire_vector *to = level ? &level->slots[slot] : NULL;
        if (counts[slot] == 0)
            continue;
        if (!to || (to->capacity - to->count < counts[slot] &&
                    !vector_grow(x, to, to->count + counts[slot])))
            counts[slot] = 0;
        else
            level->used |= UINT64_C(1) << slot;
    }
}

/* A slot of level 1 or 2 has become the vector of what is due: its items go to the levels below by the digits they
 * carry, all at once. What is left is due now; or there was no memory for it, so that the table will be asked. */
static void spread(struct expire_index *x, unsigned number)
{
    struct expire_vector *v = &x->due;
    uint32_t counts[2][SLOTS] = {{0}}, kept = 0;
    unsigned slot;
    for (uint32_t i = 0; i < v->count; i++) {
        unsigned below = place_of(v->hashes[i], number, &slot);
        counts[below][slot]++;
    }
    counts[0][0] = 0;
    make_room(x, 0, counts[0]);
    if (number == 2)
        make_room(x, 1, counts[1]);
    for (uint32_t i = 0; i < v->count; i++) {
        uint64_t item = v->hashes[i];
        unsigned below = place_of(item, number, &slot);
        struct expire_vector *to = counts[below][slot] ? &x->levels[below]->slots[slot] : NULL;
        if (to)
            to->hashes[to->count++] = below ? item : hash_of(x, item, number);
        else
            v->hashes[kept++] = hash_of(x, item, number);
    }
    v->count = kept;
    if (kept == 0)
        vector_free(x, v);
}

size_t expire_index_take(struct expire_index *x, int64_t now_ms, uint64_t *hashes, size_t capacity)
{
    while (x->due.count == 0) {
        unsigned number = 0, slot = 0;
        uint64_t tick = earliest(x, &number, &slot);
        if (tick > tick_of(x, now_ms) || tick == UINT64_MAX)
            break;
        x->tick = tick;
        take_slot(x, x->levels[number], slot);
        if (x->carries && (number == 1 || number == 2))
            spread(x, number);
    }
    if (x->due.count == 0)
        return 0;
    size_t count = x->due.count < capacity ? x->due.count : capacity;
    x->due.count -= (uint32_t)count;
    memcpy(hashes, x->due.hashes + x->due.count, count * sizeof *hashes);
    x->items -= count;
    if (x->due.count == 0)
        vector_free(x, &x->due);
    return count;
}

int64_t expire_index_due_ms(const struct expire_index *x)
{
    unsigned number, slot;
    if (x->due.count > 0)
        return 0;
    uint64_t tick = earliest(x, &number, &slot);
    uint64_t width = x->exact ? 1 : EXPIRE_TICK_MS;
    return tick > (uint64_t)INT64_MAX / width ? INT64_MAX : (int64_t)(tick * width);
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void expire_index_sweep(struct expire_index *x)
{
    if (x->due.count > 0)
        return;
    for (unsigned tried = 0; tried < EXPIRE_LEVELS * 64; tried++) {
        unsigned at = x->sweep;
        x->sweep = (at + 1) % (EXPIRE_LEVELS * 64);
        struct expire_level *level = x->levels[at / 64];
        if (!level || !(level->used >> (at % 64) & 1))
            continue;
        take_slot(x, level, at % 64);
        struct expire_vector *v = &x->due;
        for (uint32_t i = 0; i < v->count; i++)
            v->hashes[i] = hash_of(x, v->hashes[i], at / 64);
        qsort(v->hashes, v->count, sizeof *v->hashes, compare_hashes);
        uint32_t kept = 0;
        for (uint32_t i = 0; i < v->count; i++)
            if (kept == 0 || v->hashes[kept - 1] != v->hashes[i])
                v->hashes[kept++] = v->hashes[i];
        x->items -= v->count - kept;
        v->count = kept;
        return;
    }
}

void expire_index_clear(struct expire_index *x)
{
    vector_free(x, &x->due);
    for (unsigned i = 0; i < EXPIRE_LEVELS; i++) {
        struct expire_level *level = x->levels[i];
        if (!level)
            continue;
        for (unsigned slot = 0; slot < 64; slot++)
            vector_free(x, &level->slots[slot]);
        x->bytes -= sizeof *level;
        tu_free(level);
    }
    tu_check(x->bytes == 0, "an expiry index of %zu bytes after it was cleared", x->bytes);
    *x = (struct expire_index){.exact = x->exact, .carries = x->carries, .common = x->common};
}

void expire_index_verify(const struct expire_index *x)
{
    uint64_t items = x->due.count;
    size_t bytes = x->due.capacity * sizeof(uint64_t);
    for (unsigned i = 0; i < EXPIRE_LEVELS; i++) {
        const struct expire_level *level = x->levels[i];
        if (!level)
            continue;
        bytes += sizeof *level;
        for (unsigned slot = 0; slot < 64; slot++) {
            const struct expire_vector *v = &level->slots[slot];
            tu_check((level->used >> slot & 1) == (v->count > 0), "a slot's bit is wrong");
            tu_check(v->count == 0 || slot > ((x->tick >> (6 * i)) & 63), "a slot that has passed");
            tu_check(v->count <= v->capacity, "a vector beyond its capacity");
            items += v->count;
            bytes += v->capacity * sizeof(uint64_t);
        }
    }
    tu_check(items == x->items, "%llu items, counted %llu", (unsigned long long)items,
             (unsigned long long)x->items);
    tu_check(bytes == x->bytes, "the index's bytes are off");
}
