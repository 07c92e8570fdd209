/* hash_segment.c - placing, passing on, and rebuilding.
 *
 * Ten slots a bucket and a passing distance of three let a segment be nine tenths full before an
 * insert fails, which is what keeps the table's share of a key near seven bytes. Rejected: an
 * overflow bucket per segment (every miss of a full home looks there), cuckoo moves (they touch
 * keys), power-of-two segments (half full on average after a split).
 */
#include "store/hash_segment.h"

#include "base/check.h"

#include <errno.h>
#include <tuco/mem.h>

void bucket_set_entry(const struct hash_table *t, struct hash_bucket *b, uint32_t index,
                      const struct entry *e)
{
    uint64_t ref = ((uintptr_t)e - t->base) >> 3;
    tu_check(ref >> (8 * HASH_REF_BYTES) == 0 && ((uintptr_t)e & 7) == 0,
             "entry %p is outside the heap's range", (const void *)e);
    /* Little endian, like the load in bucket_entry. */
    memcpy(b->ref[index], &ref, HASH_REF_BYTES);
}

static void put(const struct hash_table *t, struct hash_bucket *b, uint32_t passed,
                struct hash_item item)
{
    uint32_t index = (uint32_t)__builtin_ctz(~bucket_occupied(b));
    tu_assert(index < HASH_SLOTS);
    b->tag[index] = (uint8_t)item.h12;
    b->meta = (b->meta & ~(3u << (10 + 2 * index))) | 1u << index | passed << (10 + 2 * index);
    bucket_set_entry(t, b, index, item.entry);
}

/* True if bucket b holds a key that was passed `passed` buckets on. */
static bool holds_passed(const struct hash_bucket *b, uint32_t passed)
{
    for (uint32_t set = bucket_occupied(b); set; set &= set - 1)
        if (bucket_passed(b, (uint32_t)__builtin_ctz(set)) == passed)
            return true;
    return false;
}

void segment_clear(struct hash_segment s, struct hash_bucket *b, uint32_t index)
{
    uint32_t passed = bucket_passed(b, index), number = (uint32_t)(b - s.buckets);
    uint32_t home = (number + s.size - passed) % s.size;
    b->meta &= ~(1u << index);
    uint32_t reach = bucket_reach(&s.buckets[home]);
    if (passed < reach)
        return;
    while (reach > 0 && !holds_passed(&s.buckets[(home + reach) % s.size], reach))
        reach--;
    bucket_set_reach(&s.buckets[home], reach);
}

/* Keys that are moved to make room beyond the first one; not in tables of elements (hash_table.c). */
enum { PASSING_HOPS = 1 };

static inline uint32_t reach_limit(uint32_t size)
{
    return size <= HASH_REACH_MAX ? size - 1 : HASH_REACH_MAX;
}

/* The bucket `by` steps on (back, if negative), around the segment's end. */
static inline struct hash_bucket *bucket_after(struct hash_segment s, uint32_t number, int by)
{
    int at = (int)number + by, size = (int)s.size;
    return &s.buckets[at < 0 ? at + size : at < size ? at : at - size];
}

static inline void raise_reach(struct hash_bucket *home, uint32_t passed)
{
    if (passed > bucket_reach(home))
        bucket_set_reach(home, passed);
}

/* A slot of the full bucket b whose key may move by `by` buckets; HASH_SLOTS if there is none. The
 * passed counts are ten fields of two bits: with their low and high bits apart, each question about
 * all of them is one or two operations. */
static uint32_t movable_slot(const struct hash_bucket *b, int by, int limit)
{
    const uint32_t fields = 0x55555;
    uint32_t low = b->meta >> 10 & fields, high = b->meta >> 11 & fields, fit = 0;
    if (limit < (int)HASH_REACH_MAX) { /* a tiny segment */
        for (uint32_t index = 0; index < HASH_SLOTS; index++) {
            int passed = (int)bucket_passed(b, index) + by;
            fit |= (uint32_t)(passed >= 0 && passed <= limit) << (2 * index);
        }
    } else if (by > 0) { /* at most 3 - by */
        fit = fields & ~(by == 1 ? low & high : by == 2 ? high : low | high);
    } else { /* at least -by */
        fit = by == -1 ? low | high : by == -2 ? high : low & high;
    }
    return fit ? (uint32_t)__builtin_ctz(fit) / 2 : HASH_SLOTS;
}

static void move_slot(const struct hash_table *t, struct hash_segment s, uint32_t number,
                      uint32_t index, int by)
{
    struct hash_bucket *b = &s.buckets[number];
    uint32_t before = bucket_passed(b, index), after = (uint32_t)((int)before + by);
    struct hash_bucket *home = bucket_after(s, number, -(int)before);
    put(t, bucket_after(s, number, by), after,
        (struct hash_item){bucket_entry(t, b, index), b->tag[index]});
    raise_reach(home, after);
    segment_clear(s, b, index);
}

/* Makes room in the full bucket `number` by moving one of its keys within that key's reach; with
 * `hops`, to a bucket where room must be made first. */
static bool make_room(const struct hash_table *t, struct hash_segment s, uint32_t number, int hops)
{
    static const int8_t steps[] = {1, -1, 2, -2, 3, -3};
    int limit = (int)reach_limit(s.size);
    for (size_t i = 0; i < sizeof steps; i++) {
        if (steps[i] > limit || -steps[i] > limit)
            continue;
        struct hash_bucket *to = bucket_after(s, number, steps[i]);
        if ((bucket_occupied(to) == 1023) != (hops > 0))
            continue;
        uint32_t index = movable_slot(&s.buckets[number], steps[i], limit);
        if (index == HASH_SLOTS)
            continue;
        if (hops > 0 && !make_room(t, s, (uint32_t)(to - s.buckets), hops - 1))
            continue;
        move_slot(t, s, number, index, steps[i]);
        return true;
    }
    return false;
}

/* The last resort before growing: room in a bucket within reach by moving keys of others. */
static bool place_by_passing(const struct hash_table *t, struct hash_segment s,
                             struct hash_item item, uint32_t home)
{
    for (int hops = 0; hops <= (t->elements ? 0 : PASSING_HOPS); hops++) {
        for (uint32_t passed = 0; passed <= reach_limit(s.size); passed++) {
            struct hash_bucket *b = bucket_after(s, home, (int)passed);
            if (make_room(t, s, (uint32_t)(b - s.buckets), hops)) {
                put(t, b, passed, item);
                raise_reach(&s.buckets[home], passed);
                return true;
            }
        }
    }
    return false;
}

bool segment_place(const struct hash_table *t, struct hash_segment s, struct hash_item item)
{
    uint32_t home = segment_home(s.size, item.h12), at = home;
    for (uint32_t passed = 0; passed <= reach_limit(s.size); passed++) {
        struct hash_bucket *b = &s.buckets[at];
        if (bucket_occupied(b) != 1023) {
            put(t, b, passed, item);
            raise_reach(&s.buckets[home], passed);
            return true;
        }
        at = at + 1 == s.size ? 0 : at + 1;
    }
    return place_by_passing(t, s, item, home);
}

uint32_t segment_count(struct hash_segment s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s.size; i++)
        count += (uint32_t)__builtin_popcount(bucket_occupied(&s.buckets[i]));
    return count;
}

/* With 16 buckets or more, a home spans at most 256 values of h12, so its low byte, the tag, says
 * which. */
static inline uint32_t h12_of(uint32_t first, uint8_t tag)
{
    return first + ((tag - first) & 255);
}

uint32_t segment_slot_h12(struct hash_segment s, uint32_t bucket, uint32_t index)
{
    const struct hash_bucket *b = &s.buckets[bucket];
    uint32_t home = (bucket + s.size - bucket_passed(b, index)) % s.size;
    return h12_of(segment_first_h12(s.size, home), b->tag[index]);
}

/* The h12 of all items from their slots, in the order in which segment_collect lists them. */
static void slot_items(struct hash_segment s, struct hash_item *items)
{
    uint32_t first[HASH_BUCKETS_LIMIT], count = 0;
    for (uint32_t i = 0; i < s.size; i++)
        first[i] = segment_first_h12(s.size, i);
    for (uint32_t i = 0; i < s.size; i++) {
        const struct hash_bucket *b = &s.buckets[i];
        for (uint32_t set = bucket_occupied(b); set; set &= set - 1) {
            uint32_t index = (uint32_t)__builtin_ctz(set), passed = bucket_passed(b, index);
            uint32_t home = i >= passed ? i - passed : i + s.size - passed;
            items[count++].h12 = h12_of(first[home], b->tag[index]);
        }
    }
}

static void hash_items(const struct hash_table *t, uint32_t old_depth, uint32_t depth,
                       struct hash_item *items, uint32_t count)
{
    struct hash_segment target = {.depth = depth};
    for (uint32_t i = 0; i < count; i++) {
        uint64_t position = hash_position(t, hash_item_hash(t, items[i].entry));
        items[i].h12 = segment_h12(target, position);
        if (depth > old_depth)
            items[i].h12 |= (uint32_t)(position << old_depth >> 63) << 31;
    }
}

uint32_t segment_collect(const struct hash_table *t, struct hash_segment s, uint32_t depth,
                         struct hash_item items[HASH_ITEMS_MAX])
{
    uint32_t count = 0;
    bool exact = depth == s.depth && s.size >= HASH_BUCKETS_MIN_EXACT;
    for (uint32_t i = 0; i < s.size; i++) {
        const struct hash_bucket *b = &s.buckets[i];
        for (uint32_t set = bucket_occupied(b); set; set &= set - 1) {
            uint32_t index = (uint32_t)__builtin_ctz(set);
            items[count].entry = bucket_entry(t, b, index);
            if (!exact)
                __builtin_prefetch(items[count].entry);
            count++;
        }
    }
    if (exact)
        slot_items(s, items);
    else
        hash_items(t, s.depth, depth, items, count);
    return count;
}

uint32_t segment_next_size(uint32_t size)
{
    return size < 4 ? size + 1 : size + 2 - size % 2;
}

uint32_t segment_size_for(uint32_t count, uint32_t percent)
{
    uint32_t size = 1;
    while (size * HASH_SLOTS * percent < count * 100)
        size = segment_next_size(size);
    return size;
}

int segment_build(const struct hash_table *t, const struct hash_item *items, uint32_t count,
                  uint32_t size, uint32_t depth, struct hash_segment *out)
{
    for (; size <= HASH_BUCKETS_LIMIT; size = segment_next_size(size)) {
        struct hash_segment s = {NULL, size, depth};
        s.buckets = tu_alloc_zeroed(size * sizeof *s.buckets);
        if (!s.buckets)
            return -ENOMEM;
        tu_check((uintptr_t)s.buckets >> 48 == 0, "address %p has more than 48 bits",
                 (void *)s.buckets);
        uint32_t placed = 0;
        while (
            placed < count &&
            segment_place(t, s, (struct hash_item){items[placed].entry, items[placed].h12 & 4095}))
            placed++;
        if (placed == count) {
            *out = s;
            return 0;
        }
        tu_free(s.buckets);
    }
    return -ENOSPC;
}
