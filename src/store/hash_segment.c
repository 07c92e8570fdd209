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

static inline void set_entry(const struct hash_table *t, struct hash_bucket *b, uint32_t index,
                             const struct entry *e)
{
    uint64_t ref = ((uintptr_t)e - t->base) >> 3;
    tu_check(ref >> (8 * HASH_REF_BYTES) == 0 && ((uintptr_t)e & 7) == 0,
             "entry %p is outside the heap's range", (const void *)e);
    /* Little endian, like the load in bucket_entry. */
    memcpy(b->ref[index], &ref, HASH_REF_BYTES);
}

void bucket_set_entry(const struct hash_table *t, struct hash_bucket *b, uint32_t index,
                      const struct entry *e)
{
    set_entry(t, b, index, e);
}

static void put(const struct hash_table *t, struct hash_bucket *b, uint32_t passed,
                struct hash_item item)
{
    uint32_t index = (uint32_t)__builtin_ctz(~bucket_occupied(b));
    tu_assert(index < HASH_SLOTS);
    b->tag[index] = (uint8_t)item.h12;
    b->meta = (b->meta & ~(3u << (10 + 2 * index))) | 1u << index | passed << (10 + 2 * index);
    set_entry(t, b, index, item.entry);
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

/* A slot of the full bucket b whose key may move by `by` buckets, which is not 0; HASH_SLOTS if there is none. The passed
 * counts are ten fields of two bits: with their low and high bits apart, each question about all of them is one or two
 * operations. */
static uint32_t movable_slot(const struct hash_bucket *b, int by)
{
    const uint32_t fields = 0x55555;
    uint32_t low = b->meta >> 10 & fields, high = b->meta >> 11 & fields, fit;
    if (by > 0) /* at most 3 - by */
        fit = fields & ~(by == 1 ? low & high : by == 2 ? high : low | high);
    else /* at least -by */
        fit = by == -1 ? low | high : by == -2 ? high : low & high;
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

/* ---- passing on: sets of buckets are words with a bit for each ---- */

static uint64_t buckets_with_room(struct hash_segment s)
{
    uint64_t room = 0;
    for (uint32_t i = 0; i < s.size; i++)
        room |= (uint64_t)(bucket_occupied(&s.buckets[i]) != 1023) << i;
    return room;
}

/* What of the set lies within reach of bucket `number`: bit 0 is HASH_REACH_MAX buckets behind it. */
static inline uint64_t within_reach(uint64_t set, uint32_t size, uint32_t number)
{
    uint32_t from =
        number >= HASH_REACH_MAX ? number - HASH_REACH_MAX : number + size - HASH_REACH_MAX;
    return (set >> from | set << (size - from)) & ((1 << (2 * HASH_REACH_MAX + 1)) - 1);
}

/* The set and what lies within reach of it. */
static uint64_t widened(uint64_t set, uint32_t size)
{
    uint64_t all = set;
    for (uint32_t by = 1; by <= HASH_REACH_MAX; by++)
        all |= set << by | set >> by | set >> (size - by) | set << (size - by);
    return all;
}

/* Makes room in the full bucket `number` by moving one of its keys to one that has room. */
static bool move_on(const struct hash_table *t, struct hash_segment s, uint32_t number,
                    uint64_t room)
{
    for (uint64_t near = within_reach(room, s.size, number); near; near &= near - 1) {
        int step = __builtin_ctzll(near) - (int)HASH_REACH_MAX;
        uint32_t index = movable_slot(&s.buckets[number], step);
        if (index < HASH_SLOTS) {
            move_slot(t, s, number, index, step);
            return true;
        }
    }
    return false;
}

/* The same by moving it to a full one, in which room is made first. */
static bool move_two(const struct hash_table *t, struct hash_segment s, uint32_t number,
                     uint64_t room)
{
    uint64_t full = widened(room, s.size) & ~room & ~(UINT64_C(1) << number);
    for (uint64_t near = within_reach(full, s.size, number); near; near &= near - 1) {
        int step = __builtin_ctzll(near) - (int)HASH_REACH_MAX;
        uint32_t index = movable_slot(&s.buckets[number], step);
        uint32_t to = (uint32_t)(bucket_after(s, number, step) - s.buckets);
        if (index < HASH_SLOTS && move_on(t, s, to, room)) {
            move_slot(t, s, number, index, step);
            return true;
        }
    }
    return false;
}

/* The last resort before growing: room in a bucket within reach by moving keys of others. */
static bool place_by_passing(const struct hash_table *t, struct hash_segment s,
                             struct hash_item item, uint32_t home)
{
    enum {
        SIZE_MIN = 2 * HASH_REACH_MAX + 2
    }; /* then what is behind and what is ahead are not the same */
    uint64_t room = s.size >= SIZE_MIN ? buckets_with_room(s) : 0;
    uint32_t turns = (t->elements ? 1 : 2) * (HASH_REACH_MAX + 1); /* elements: no second move */
    for (uint32_t turn = 0; room && turn < turns; turn++) {
        uint32_t passed = turn % (HASH_REACH_MAX + 1);
        struct hash_bucket *b = bucket_after(s, home, (int)passed);
        uint32_t number = (uint32_t)(b - s.buckets);
        if (turn == passed ? move_on(t, s, number, room) : move_two(t, s, number, room)) {
            put(t, b, passed, item);
            raise_reach(&s.buckets[home], passed);
            return true;
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

/* Lists the items with the h12 that their slots say. */
static uint32_t slot_items(const struct hash_table *t, struct hash_segment s,
                           struct hash_item items[HASH_ITEMS_MAX])
{
    /* Of each home, the lowest h12; those of the last homes before the first too, for keys passed around the end. */
    uint32_t firsts[HASH_REACH_MAX + HASH_BUCKETS_LIMIT], *first = firsts + HASH_REACH_MAX;
    uint32_t count = 0, quotient = 4096 / s.size, rest = 4096 % s.size, at = 0, over = s.size - 1;
    for (uint32_t i = 0; i < s.size; i++) { /* segment_first_h12(s.size, i) */
        first[i] = at;
        at += quotient;
        over += rest;
        if (over >= s.size) {
            over -= s.size;
            at++;
        }
    }
    for (uint32_t i = 1; i <= HASH_REACH_MAX; i++)
        first[-(int)i] = first[s.size - i];
    for (uint32_t i = 0; i < s.size; i++) {
        const struct hash_bucket *b = &s.buckets[i];
        for (uint32_t set = bucket_occupied(b); set; set &= set - 1) {
            uint32_t index = (uint32_t)__builtin_ctz(set);
            uint32_t low = first[(int)i - (int)bucket_passed(b, index)];
            items[count++] =
                (struct hash_item){bucket_entry(t, b, index), h12_of(low, b->tag[index])};
        }
    }
    return count;
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
    if (depth == s.depth && s.size >= HASH_BUCKETS_MIN_EXACT)
        return slot_items(t, s, items);
    for (uint32_t i = 0; i < s.size; i++) {
        const struct hash_bucket *b = &s.buckets[i];
        for (uint32_t set = bucket_occupied(b); set; set &= set - 1) {
            items[count].entry = bucket_entry(t, b, (uint32_t)__builtin_ctz(set));
            __builtin_prefetch(items[count].entry);
            count++;
        }
    }
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

/* Fills an empty segment, each bucket from its first slot on, so that nothing need be searched; the items for which that
 * finds no room are placed last, with passing. False: one does not fit. */
static bool fill(const struct hash_table *t, struct hash_segment s, const struct hash_item *items,
                 uint32_t count)
{
    uint8_t used[HASH_BUCKETS_LIMIT] = {0}, reach[HASH_BUCKETS_LIMIT] = {0};
    uint16_t left[HASH_ITEMS_MAX];
    uint32_t left_count = 0, limit = reach_limit(s.size);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t h12 = items[i].h12 & 4095, home = segment_home(s.size, h12), at = home, passed = 0;
        while (used[at] == HASH_SLOTS && passed < limit) {
            at = at + 1 == s.size ? 0 : at + 1;
            passed++;
        }
        if (used[at] == HASH_SLOTS) {
            left[left_count++] = (uint16_t)i;
            continue;
        }
        struct hash_bucket *b = &s.buckets[at];
        uint32_t index = used[at]++;
        b->tag[index] = (uint8_t)h12;
        set_entry(t, b, index, items[i].entry);
        if (passed > 0) {
            b->meta |= passed << (10 + 2 * index);
            reach[home] = passed > reach[home] ? (uint8_t)passed : reach[home];
        }
    }
    for (uint32_t i = 0; i < s.size; i++)
        s.buckets[i].meta |= ((1u << used[i]) - 1) | (uint32_t)reach[i] << 30;
    for (uint32_t i = 0; i < left_count; i++) {
        struct hash_item item = items[left[i]];
        item.h12 &= 4095;
        if (!segment_place(t, s, item))
            return false;
    }
    return true;
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
        if (fill(t, s, items, count)) {
            *out = s;
            return 0;
        }
        tu_free(s.buckets);
    }
    return -ENOSPC;
}
