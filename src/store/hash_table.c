/* hash_table.c - the directory, and what grows, splits, shrinks and merges its segments.
 *
 * An insert that finds no room makes its segment one step larger: the items move by what their slots
 * know, and one directory word (or the equal ones of a shallow segment) is replaced. At 32 buckets
 * the segment splits instead. A removal that empties a bucket looks whether its segment has become
 * sparse; a small one joins its sibling.
 *
 * If keys were spread evenly over the positions, all segments of all tables would grow through the same
 * sizes at the same time, and leave spans of every size they have passed half empty behind: 7 bytes a
 * key, as much as the table itself. So hash_position bends the hash space: the densest segments hold
 * twice the keys per position of the sparsest, one doubling apart, and at any time there are segments
 * of every size; what one gives back another takes. The table's share also becomes the same for
 * any number of keys.
 *
 * Elements of sets and hashes (t->elements) come by the thousand, and a slot is a small part of what one takes: their segments
 * grow by halves, are two thirds full after a split, and do not move several items to place one. That costs a
 * member 1.4 bytes and spares a third of the time of adding it.
 *
 * Directories are never freed while the table lives: the look-ahead of other threads reads them
 * without a lock. Each keeps its smaller predecessor and its larger successor, so the memory is at
 * most twice that of the largest, and growing again after a flush allocates nothing. Segments are
 * read only under the lock. Publishing: words are written with relaxed stores under the lock; a new
 * directory is complete before the release store of its address, which pairs with the acquire load
 * in hash_table_prefetch_bucket.
 */
#include "store/hash_table.h"

#include "base/check.h"
#include "base/random.h"
#include "store/hash_segment.h"

#include <errno.h>
#include <tuco/mem.h>

struct hash_directory {
    struct hash_directory *smaller, *larger; /* half and twice the size; NULL at the ends */
    uint32_t depth;
    _Atomic uint64_t words[];
};

/* Load after inserting: what a split aims at, and what is left after shrinking; a segment below
 * SPARSE_PERCENT shrinks, two siblings with fewer than MERGE_COUNT entries join. */
enum { SPLIT_PERCENT = 90, SHRINK_PERCENT = 75, SPARSE_PERCENT = 25, MERGE_COUNT = 48 };
/* The load of elements' segments after a split, and where their number is known. */
enum { ELEMENTS_SPLIT_PERCENT = 65, RESERVE_PERCENT = 80 };
/* What the largest segment takes then. */
enum { RESERVE_MOST = HASH_BUCKETS_MAX * HASH_SLOTS * RESERVE_PERCENT / 100 };

static inline struct hash_directory *directory_of(const struct hash_table *t)
{
    /* Under the lock relaxed would do; acquire pairs with grow_directory for the lock-free reader. */
    return atomic_load_explicit(&t->directory, memory_order_acquire);
}

static inline size_t word_index(const struct hash_directory *d, uint64_t position)
{
    return d->depth ? (size_t)(position >> (64 - d->depth)) : 0;
}

static inline uint64_t load_word(const struct hash_directory *d, size_t index)
{
    return atomic_load_explicit(&d->words[index], memory_order_relaxed);
}

static inline struct hash_segment find_segment(const struct hash_table *t, uint64_t position)
{
    const struct hash_directory *d = directory_of(t);
    if (!d)
        return (struct hash_segment){0};
    return segment_of_word(load_word(d, word_index(d, position)));
}

/* Writes the words of a segment that covers `position`. */
static void set_segment(struct hash_table *t, uint64_t position, struct hash_segment s)
{
    struct hash_directory *d = directory_of(t);
    tu_assert(s.depth <= d->depth);
    size_t span = (size_t)1 << (d->depth - s.depth), first = word_index(d, position) & ~(span - 1);
    for (size_t i = 0; i < span; i++)
        atomic_store_explicit(&d->words[first + i], segment_word(s), memory_order_relaxed);
    t->rebuilt++;
}

static void count_bytes(struct hash_table *t, struct hash_segment s, bool add)
{
    size_t bytes = tu_good_size(s.size * sizeof *s.buckets);
    size_t now = atomic_load_explicit(&t->segment_bytes, memory_order_relaxed);
    atomic_store_explicit(&t->segment_bytes, add ? now + bytes : now - bytes, memory_order_relaxed);
}

static void add_count(struct hash_table *t, int64_t delta)
{
    atomic_store_explicit(&t->count, hash_table_count(t) + (uint64_t)delta, memory_order_relaxed);
}

/* Puts `next` where `old` was and frees old's memory. */
static void exchange_segment(struct hash_table *t, uint64_t position, struct hash_segment old,
                             struct hash_segment next)
{
    set_segment(t, position, next);
    count_bytes(t, next, true);
    if (old.buckets) {
        count_bytes(t, old, false);
        tu_free(old.buckets);
    }
}

/* ---- life ---- */

void hash_table_init(struct hash_table *t, const struct siphash_key *key, uint32_t shard_bits,
                     const void *any_block)
{
    const uintptr_t half = (uintptr_t)1 << 42; /* the heap reserves less than 4 TiB */
    uintptr_t at = (uintptr_t)any_block & ~(uintptr_t)7;
    *t = (struct hash_table){
        .base = HASH_REF_BYTES == 5 && at > half ? at - half : 0,
        .key = key,
        .shard_bits = shard_bits,
    };
}

static struct hash_directory *directory_new(uint32_t depth)
{
    struct hash_directory *d = tu_alloc_zeroed(sizeof *d + (sizeof(uint64_t) << depth));
    if (d)
        d->depth = depth;
    return d;
}

void hash_table_destroy(struct hash_table *t)
{
    struct hash_directory *d = directory_of(t);
    if (!d)
        return;
    for (size_t i = 0; i < (size_t)1 << d->depth;) {
        struct hash_segment s = segment_of_word(load_word(d, i));
        tu_free(s.buckets);
        i += (size_t)1 << (d->depth - s.depth);
    }
    while (d->larger)
        d = d->larger;
    while (d) {
        struct hash_directory *smaller = d->smaller;
        tu_free(d);
        d = smaller;
    }
    t->directory = NULL;
    t->count = 0;
    t->segment_bytes = 0;
}

void hash_table_swap(struct hash_table *a, struct hash_table *b)
{
    struct hash_directory *d = directory_of(a);
    uint64_t count = hash_table_count(a);
    size_t bytes = atomic_load_explicit(&a->segment_bytes, memory_order_relaxed);
    atomic_store_explicit(&a->directory, directory_of(b), memory_order_release);
    atomic_store_explicit(&a->count, hash_table_count(b), memory_order_relaxed);
    atomic_store_explicit(&a->segment_bytes,
                          atomic_load_explicit(&b->segment_bytes, memory_order_relaxed),
                          memory_order_relaxed);
    atomic_store_explicit(&b->directory, d, memory_order_release);
    atomic_store_explicit(&b->count, count, memory_order_relaxed);
    atomic_store_explicit(&b->segment_bytes, bytes, memory_order_relaxed);
}

size_t hash_table_bytes(const struct hash_table *t)
{
    const struct hash_directory *d = directory_of(t);
    size_t bytes = atomic_load_explicit(&t->segment_bytes, memory_order_relaxed);
    for (; d; d = d->smaller)
        bytes += sizeof *d + (sizeof(uint64_t) << d->depth);
    return bytes;
}

/* ---- finding ---- */

static inline __attribute__((always_inline)) bool same_key(const struct entry *e, struct slice key,
                                                           bool elements)
{
    struct slice own = elements ? element_name((const struct element *)e) : entry_key(e);
    return own.size == key.size && memcmp(own.data, key.data, key.size) == 0;
}

/* Those of a hash in hash_table_find_due. */
enum { UNKNOWN_BITS = 15 };

/* What is looked for beside the place that a hash gives. */
enum wanted { WANTED_KEY, WANTED_ELEMENT, WANTED_HASH, WANTED_DUE };

static inline __attribute__((always_inline)) bool
is_wanted(const struct hash_table *t, const struct entry *e, enum wanted wanted,
          const struct slice *key, uint64_t hash, int64_t now_ms)
{
    if (wanted == WANTED_KEY || wanted == WANTED_ELEMENT)
        return same_key(e, *key, wanted == WANTED_ELEMENT);
    if (wanted == WANTED_DUE)
        return entry_is_expired(e, now_ms) || (hash_item_hash(t, e) ^ hash) <= UNKNOWN_BITS;
    return hash_item_hash(t, e) == hash;
}

/* The one search; `wanted` is a constant at each call. */
static inline __attribute__((always_inline)) struct entry *
search(const struct hash_table *t, enum wanted wanted, const struct slice *key, uint64_t hash,
       int64_t now_ms, struct hash_slot *slot)
{
    uint64_t position = hash_position(t, hash);
    struct hash_segment s = find_segment(t, position);
    if (!s.buckets)
        return NULL;
    uint32_t h12 = segment_h12(s, position), at = segment_home(s.size, h12);
    uint32_t reach = bucket_reach(&s.buckets[at]);
    for (uint32_t passed = 0; passed <= reach; passed++) {
        struct hash_bucket *b = &s.buckets[at];
        for (uint32_t set = bucket_match(b, (uint8_t)h12); set; set &= set - 1) {
            uint32_t index = (uint32_t)__builtin_ctz(set);
            if (bucket_passed(b, index) != passed)
                continue;
            struct entry *e = bucket_entry(t, b, index);
            if (!is_wanted(t, e, wanted, key, hash, now_ms))
                continue;
            if (slot)
                *slot = (struct hash_slot){b, index, position};
            return e;
        }
        at = at + 1 == s.size ? 0 : at + 1;
    }
    return NULL;
}

struct entry *hash_table_find(const struct hash_table *t, struct slice key, uint64_t hash,
                              struct hash_slot *slot)
{
    return search(t, WANTED_KEY, &key, hash, 0, slot);
}

struct element *hash_table_find_element(const struct hash_table *t, struct slice name,
                                        uint64_t hash, struct hash_slot *slot)
{
    return (struct element *)search(t, WANTED_ELEMENT, &name, hash, 0, slot);
}

struct entry *hash_table_find_hash(const struct hash_table *t, uint64_t hash,
                                   struct hash_slot *slot)
{
    return search(t, WANTED_HASH, NULL, hash, 0, slot);
}

struct entry *hash_table_find_due(const struct hash_table *t, uint64_t hash, int64_t now_ms,
                                  struct hash_slot *slot)
{
    struct entry *e = search(t, WANTED_DUE, NULL, hash, now_ms, slot);
    if (e || hash_table_count(t) == 0)
        return e;
    /* The bits that are not known hardly ever decide upon the place. */
    uint64_t low = hash_position(t, hash), high = hash_position(t, hash | UNKNOWN_BITS);
    struct hash_segment s = find_segment(t, low);
    bool same = s.depth > 0 ? (low ^ high) >> (64 - s.depth) == 0 : true;
    same = same && segment_h12(s, low) == segment_h12(s, high);
    return same ? NULL : search(t, WANTED_DUE, NULL, hash | UNKNOWN_BITS, now_ms, slot);
}

void hash_table_prefetch_bucket(const struct hash_table *t, uint64_t hash)
{
    uint64_t position = hash_position(t, hash);
    struct hash_segment s = find_segment(t, position);
    if (s.buckets)
        __builtin_prefetch(&s.buckets[segment_home(s.size, segment_h12(s, position))]);
}

void hash_table_prefetch_candidate(const struct hash_table *t, uint64_t hash)
{
    uint64_t position = hash_position(t, hash);
    struct hash_segment s = find_segment(t, position);
    if (!s.buckets)
        return;
    const struct hash_bucket *home = &s.buckets[segment_home(s.size, segment_h12(s, position))];
    __builtin_prefetch(home);
    __builtin_prefetch(home + 1); /* behind the last one is something else, which does no harm */
}

/* The first candidate for a hash; NULL: none. */
static inline __attribute__((always_inline)) const char *first_match(const struct hash_table *t,
                                                                     uint64_t hash)
{
    uint64_t position = hash_position(t, hash);
    struct hash_segment s = find_segment(t, position);
    if (!s.buckets)
        return NULL;
    uint32_t h12 = segment_h12(s, position), at = segment_home(s.size, h12);
    uint32_t reach = bucket_reach(&s.buckets[at]);
    for (uint32_t passed = 0; passed <= reach; passed++) {
        const struct hash_bucket *b = &s.buckets[at];
        for (uint32_t set = bucket_match(b, (uint8_t)h12); set; set &= set - 1) {
            uint32_t index = (uint32_t)__builtin_ctz(set);
            if (bucket_passed(b, index) == passed)
                return (const char *)bucket_entry(t, b, index);
        }
        at = at + 1 == s.size ? 0 : at + 1;
    }
    return NULL;
}

void hash_table_prefetch_entry(const struct hash_table *t, uint64_t hash)
{
    const char *e = first_match(t, hash);
    if (e) {
        __builtin_prefetch(e);
        __builtin_prefetch(e + 64);
    }
}

/* True if the bits of a hash that hash_table_find_due does not know cannot lead to another h12. */
static inline bool same_place(const struct hash_table *t, struct hash_segment s, uint64_t position)
{
    /* Positions are at most a third farther apart than hashes. */
    uint64_t farthest = position + ((uint64_t)UNKNOWN_BITS << t->shard_bits) * 2;
    return (position ^ farthest) >> (52 - s.depth) == 0;
}

struct hash_candidate hash_table_candidate(const struct hash_table *t, uint64_t hash)
{
    struct hash_candidate c = {.slot = {.position = hash_position(t, hash)}, .rebuilt = t->rebuilt};
    struct hash_segment s = find_segment(t, c.slot.position);
    if (!s.buckets)
        return c;
    uint32_t h12 = segment_h12(s, c.slot.position), at = segment_home(s.size, h12);
    uint32_t reach = bucket_reach(&s.buckets[at]);
    for (uint32_t passed = 0; passed <= reach; passed++) {
        struct hash_bucket *b = &s.buckets[at];
        for (uint32_t set = bucket_match(b, (uint8_t)h12); set; set &= set - 1) {
            uint32_t index = (uint32_t)__builtin_ctz(set);
            if (bucket_passed(b, index) != passed)
                continue;
            __builtin_prefetch(bucket_entry(t, b, index));
            c.slot.bucket = b;
            c.slot.index = index;
            c.alone =
                passed == reach && (set & (set - 1)) == 0 && same_place(t, s, c.slot.position);
            return c;
        }
        at = at + 1 == s.size ? 0 : at + 1;
    }
    return c;
}

struct entry *hash_table_candidate_due(const struct hash_table *t, const struct hash_candidate *c,
                                       uint64_t hash, int64_t now_ms, bool *last)
{
    const struct hash_bucket *b = c->slot.bucket;
    if (!b || c->rebuilt != t->rebuilt || !(bucket_occupied(b) >> c->slot.index & 1))
        return NULL;
    struct entry *e = bucket_entry(t, b, c->slot.index);
    if (!entry_is_expired(e, now_ms))
        return NULL;
    *last = c->alone || (hash_item_hash(t, e) ^ hash) <= UNKNOWN_BITS;
    return e;
}

/* ---- growing ---- */

/* A directory of twice the size, each word doubled. */
static int grow_directory(struct hash_table *t)
{
    struct hash_directory *d = directory_of(t), *next = d->larger;
    if (d->depth == HASH_DEPTH_MAX)
        return -ENOSPC;
    if (!next) {
        next = directory_new(d->depth + 1);
        if (!next)
            return -ENOMEM;
        next->smaller = d;
        d->larger = next;
    }
    for (size_t i = 0; i < (size_t)2 << d->depth; i++)
        atomic_store_explicit(&next->words[i], load_word(d, i / 2), memory_order_relaxed);
    /* Release: pairs with the acquire in directory_of on other threads. */
    atomic_store_explicit(&t->directory, next, memory_order_release);
    return 0;
}

static int split_segment(struct hash_table *t, uint64_t position, struct hash_segment s)
{
    struct hash_item items[HASH_ITEMS_MAX], half[2][HASH_ITEMS_MAX];
    uint32_t counts[2] = {0, 0};
    if (s.depth == directory_of(t)->depth) {
        int rc = grow_directory(t);
        if (rc < 0)
            return rc;
    }
    uint32_t count = segment_collect(t, s, s.depth + 1, items);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t side = items[i].h12 >> 31;
        half[side][counts[side]++] = items[i];
    }
    struct hash_segment next[2];
    uint32_t percent = t->elements ? ELEMENTS_SPLIT_PERCENT : SPLIT_PERCENT;
    for (int side = 0; side < 2; side++) {
        int rc = segment_build(t, half[side], counts[side], segment_size_for(counts[side], percent),
                               s.depth + 1, &next[side]);
        if (rc < 0) {
            if (side == 1)
                tu_free(next[0].buckets);
            return rc;
        }
    }
    uint64_t bit = UINT64_C(1) << (63 - s.depth);
    set_segment(t, position & ~bit, next[0]);
    set_segment(t, position | bit, next[1]);
    count_bytes(t, next[0], true);
    count_bytes(t, next[1], true);
    count_bytes(t, s, false);
    tu_free(s.buckets);
    return 0;
}

/* Segments whose slots do not determine h12 hash every key again when they grow. The keyspace's double, so that a key is
 * hashed about once until its segment is large enough; there is one such segment in a table, the first. Those of sets and
 * hashes, of which there may be many small ones, grow by half. */
static uint32_t next_size(const struct hash_table *t, uint32_t size)
{
    bool doubles = !t->elements && size > 0 && size < HASH_BUCKETS_MIN_EXACT;
    if (!t->elements || size < 4)
        return doubles ? 2 * size : segment_next_size(size);
    uint32_t grown = (size + size / 2 + 1) & ~1u;
    return grown < HASH_BUCKETS_MAX ? grown : HASH_BUCKETS_MAX;
}

static int grow_segment(struct hash_table *t, uint64_t position, struct hash_segment s)
{
    struct hash_item items[HASH_ITEMS_MAX];
    struct hash_segment next;
    if (s.size >= HASH_BUCKETS_MAX)
        return split_segment(t, position, s);
    uint32_t count = s.buckets ? segment_collect(t, s, s.depth, items) : 0;
    int rc = segment_build(t, items, count, next_size(t, s.size), s.depth, &next);
    if (rc < 0)
        return rc;
    exchange_segment(t, position, s, next);
    return 0;
}

bool hash_table_insert(struct hash_table *t, struct entry *e, uint64_t hash)
{
    uint64_t position = hash_position(t, hash);
    if (!directory_of(t)) {
        struct hash_directory *d = directory_new(0);
        if (!d)
            return false;
        atomic_store_explicit(&t->directory, d, memory_order_release);
    }
    for (;;) {
        struct hash_segment s = find_segment(t, position);
        if (s.buckets && segment_place(t, s, (struct hash_item){e, segment_h12(s, position)}))
            break;
        if (grow_segment(t, position, s) < 0)
            return false;
    }
    add_count(t, 1);
    return true;
}

/* A segment for so many items; more are left to growing. */
static bool reserve_segment(struct hash_table *t, uint64_t position, uint32_t depth, uint32_t count)
{
    struct hash_segment s;
    uint32_t size =
        count < RESERVE_MOST ? segment_size_for(count, RESERVE_PERCENT) : HASH_BUCKETS_MAX;
    if (count == 0)
        s = (struct hash_segment){NULL, 0, depth};
    else if (segment_build(t, NULL, 0, size, depth, &s) < 0)
        return false;
    set_segment(t, position, s);
    if (count > 0)
        count_bytes(t, s, true);
    return true;
}

/* The range of positions that begins at word `first` of the directory: as one segment, or in halves. `counts` are those
 * of the directory's words. */
static bool reserve_range(struct hash_table *t, const uint32_t *counts, size_t first,
                          uint32_t depth)
{
    const struct hash_directory *d = directory_of(t);
    size_t words = (size_t)1 << (d->depth - depth);
    uint64_t count = 0, position = depth ? (uint64_t)first << (64 - d->depth) : 0;
    for (size_t i = 0; i < words; i++)
        count += counts[first + i];
    if (count <= RESERVE_MOST || words == 1)
        return reserve_segment(t, position, depth, (uint32_t)count);
    set_segment(t, position, (struct hash_segment){NULL, 0, depth + 1});
    set_segment(t, position | UINT64_C(1) << (63 - depth),
                (struct hash_segment){NULL, 0, depth + 1});
    return reserve_range(t, counts, first, depth + 1) &&
           reserve_range(t, counts, first + words / 2, depth + 1);
}

/* Counts hashes that are spread evenly, as those of the items will be. */
static bool reserve(struct hash_table *t, size_t count)
{
    uint32_t depth = 0;
    while (count >> depth > RESERVE_MOST / 2 && depth < HASH_DEPTH_MAX)
        depth++;
    struct hash_directory *d = directory_new(0);
    atomic_store_explicit(&t->directory, d, memory_order_release);
    while (d && d->depth < depth)
        d = grow_directory(t) < 0 ? NULL : directory_of(t);
    uint32_t *counts = d ? tu_alloc_zeroed(sizeof *counts << depth) : NULL;
    if (!counts)
        return false;
    uint64_t hash = 0, step = (UINT64_MAX >> t->shard_bits) / count;
    for (size_t i = 0; i < count; i++, hash += step)
        counts[word_index(d, hash_position(t, hash))]++;
    bool done = reserve_range(t, counts, 0, 0);
    tu_free(counts);
    return done;
}

bool hash_table_expect(struct hash_table *t, size_t count)
{
    tu_assert(!directory_of(t));
    if (count == 0 || reserve(t, count))
        return true;
    hash_table_destroy(t);
    return false;
}

void hash_table_replace(struct hash_table *t, const struct hash_slot *slot, struct entry *e)
{
    bucket_set_entry(t, slot->bucket, slot->index, e);
}

/* ---- shrinking ---- */

/* Joins a small segment with its sibling: true if it was done. */
static bool merge_segment(struct hash_table *t, uint64_t position, struct hash_segment s,
                          uint32_t count)
{
    struct hash_item items[HASH_ITEMS_MAX];
    if (s.depth == 0)
        return false;
    struct hash_segment sibling = find_segment(t, position ^ UINT64_C(1) << (64 - s.depth)), next;
    if (sibling.depth != s.depth || count + segment_count(sibling) > MERGE_COUNT)
        return false;
    count = s.buckets ? segment_collect(t, s, s.depth - 1, items) : 0;
    if (sibling.buckets)
        count += segment_collect(t, sibling, s.depth - 1, items + count);
    if (segment_build(t, items, count, segment_size_for(count, SHRINK_PERCENT), s.depth - 1,
                      &next) < 0)
        return false; /* not now; a later removal tries again */
    if (sibling.buckets) {
        count_bytes(t, sibling, false);
        tu_free(sibling.buckets);
    }
    exchange_segment(t, position, s, next);
    return true;
}

/* Called when a bucket has become empty. */
static void shrink_segment(struct hash_table *t, uint64_t position)
{
    struct hash_item items[HASH_ITEMS_MAX];
    struct hash_segment s = find_segment(t, position), next;
    uint32_t count = segment_count(s);
    if (count * 100 >= s.size * HASH_SLOTS * SPARSE_PERCENT)
        return;
    if (count <= MERGE_COUNT / 2 && merge_segment(t, position, s, count))
        return;
    if (count == 0) {
        set_segment(t, position, (struct hash_segment){NULL, 0, s.depth});
        count_bytes(t, s, false);
        tu_free(s.buckets);
        return;
    }
    uint32_t size = segment_size_for(count, SHRINK_PERCENT);
    if (size >= s.size)
        return;
    count = segment_collect(t, s, s.depth, items);
    if (segment_build(t, items, count, size, s.depth, &next) == 0)
        exchange_segment(t, position, s, next);
}

void hash_table_remove(struct hash_table *t, const struct hash_slot *slot)
{
    segment_clear(find_segment(t, slot->position), slot->bucket, slot->index);
    add_count(t, -1);
    if (bucket_occupied(slot->bucket) == 0)
        shrink_segment(t, slot->position);
}

/* ---- walking ---- */

/* Where the segment that covers `position` ends; 0 behind the last. */
static uint64_t segment_end(struct hash_segment s, uint64_t position)
{
    if (s.depth == 0)
        return 0;
    return ((position >> (64 - s.depth)) + 1) << (64 - s.depth);
}

uint64_t hash_table_scan(const struct hash_table *t, uint64_t position,
                         struct entry *found[HASH_SCAN_MAX], size_t *count)
{
    struct hash_segment s = find_segment(t, position);
    *count = 0;
    if (!s.buckets)
        return segment_end(s, position);
    uint32_t home = segment_home(s.size, segment_h12(s, position));
    uint64_t start = s.depth ? position >> (64 - s.depth) << (64 - s.depth) : 0;
    uint64_t first = start | (uint64_t)segment_first_h12(s.size, home) << 52 >> s.depth;
    uint32_t reach = bucket_reach(&s.buckets[home]);
    for (uint32_t passed = 0; passed <= reach; passed++) {
        const struct hash_bucket *b = &s.buckets[(home + passed) % s.size];
        for (uint32_t set = bucket_occupied(b); set; set &= set - 1) {
            uint32_t index = (uint32_t)__builtin_ctz(set);
            if (bucket_passed(b, index) != passed)
                continue;
            struct entry *e = bucket_entry(t, b, index);
            /* A cursor from before a growth points into the middle of a home. */
            if (position > first && hash_position(t, hash_item_hash(t, e)) < position)
                continue;
            found[(*count)++] = e;
        }
    }
    if (home + 1 == s.size)
        return segment_end(s, position);
    return start | (uint64_t)segment_first_h12(s.size, home + 1) << 52 >> s.depth;
}

struct entry *hash_table_random(const struct hash_table *t, uint64_t random)
{
    if (hash_table_count(t) == 0)
        return NULL;
    for (int attempt = 0; attempt < 128; attempt++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        /* Through hash_position, as a key's hash would: denser segments are hit more often. */
        struct hash_segment s = find_segment(t, hash_position(t, random >> t->shard_bits));
        if (!s.buckets)
            continue;
        uint32_t pick =
            (uint32_t)(random * UINT64_C(0x9e3779b97f4a7c15) >> 40) % (s.size * HASH_SLOTS);
        const struct hash_bucket *b = &s.buckets[pick / HASH_SLOTS];
        if (bucket_occupied(b) >> (pick % HASH_SLOTS) & 1)
            return bucket_entry(t, b, pick % HASH_SLOTS);
    }
    /* Nearly empty: the next one from here on, around the end once. */
    struct entry *found[HASH_SCAN_MAX];
    size_t count = 0;
    uint64_t position = random;
    for (int turns = 0; count == 0 && turns < 2; turns += position == 0)
        position = hash_table_scan(t, position, found, &count);
    return count ? found[random % count] : NULL;
}

/* The occupied slot number `rank`, counted from the table's beginning. */
static struct entry *slot_of_rank(const struct hash_table *t, uint64_t rank, struct hash_slot *slot)
{
    const struct hash_directory *d = directory_of(t);
    for (size_t i = 0; i < (size_t)1 << d->depth;) {
        struct hash_segment s = segment_of_word(load_word(d, i));
        for (uint32_t n = 0; n < s.size; n++) {
            struct hash_bucket *b = &s.buckets[n];
            uint32_t set = bucket_occupied(b), count = (uint32_t)__builtin_popcount(set);
            if (rank >= count) {
                rank -= count;
                continue;
            }
            for (; rank > 0; rank--)
                set &= set - 1;
            uint32_t index = (uint32_t)__builtin_ctz(set);
            uint64_t position = d->depth ? (uint64_t)i << (64 - d->depth) : 0;
            *slot = (struct hash_slot){b, index, position};
            return bucket_entry(t, b, index);
        }
        i += (size_t)1 << (d->depth - s.depth);
    }
    return NULL;
}

/* Draws slots that may be occupied or not be there at all, each with the same chance, until one is. A segment that fills
 * many words of the directory is rejected so often that this makes up for it. */
struct entry *hash_table_random_fair(const struct hash_table *t, struct random_state *random,
                                     struct hash_slot *slot)
{
    enum {
        ATTEMPTS = 256
    }; /* about four are needed, but in a table that has lost most of its items */
    const struct hash_directory *d = directory_of(t);
    if (hash_table_count(t) == 0)
        return NULL;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        uint64_t bits = random_next(random);
        size_t i = (size_t)bits & (((size_t)1 << d->depth) - 1);
        struct hash_segment s = segment_of_word(load_word(d, i));
        if ((bits >> 32 & ((UINT64_C(1) << (d->depth - s.depth)) - 1)) != 0)
            continue;
        uint32_t buckets = d->depth == 0 ? s.size : HASH_BUCKETS_LIMIT;
        uint32_t pick = (uint32_t)random_below(random, (uint64_t)buckets * HASH_SLOTS);
        if (pick / HASH_SLOTS >= s.size)
            continue;
        struct hash_bucket *b = &s.buckets[pick / HASH_SLOTS];
        if (bucket_occupied(b) >> (pick % HASH_SLOTS) & 1) {
            uint64_t position = d->depth ? (uint64_t)i << (64 - d->depth) : 0;
            *slot = (struct hash_slot){b, pick % HASH_SLOTS, position};
            return bucket_entry(t, b, pick % HASH_SLOTS);
        }
    }
    return slot_of_rank(t, random_below(random, hash_table_count(t)), slot);
}

/* ---- detaching ---- */

struct hash_detached {
    struct hash_table table; /* base and kind only: to read references */
    size_t count;
    struct hash_segment segments[];
};

static void free_item(const struct hash_table *t, struct entry *item)
{
    if (t->elements)
        element_free((struct element *)item);
    else
        entry_free(item);
}

static void prefetch_items(const struct hash_table *t, const struct hash_bucket *b)
{
    for (uint32_t set = bucket_occupied(b); set; set &= set - 1)
        __builtin_prefetch(bucket_entry(t, b, (uint32_t)__builtin_ctz(set)), 1);
}

static void free_segment_items(const struct hash_table *t, struct hash_segment s)
{
    for (uint32_t i = 0; i < s.size; i++) {
        if (i + 1 < s.size)
            prefetch_items(t, &s.buckets[i + 1]);
        for (uint32_t set = bucket_occupied(&s.buckets[i]); set; set &= set - 1)
            free_item(t, bucket_entry(t, &s.buckets[i], (uint32_t)__builtin_ctz(set)));
    }
    tu_free(s.buckets);
}

void hash_table_destroy_all(struct hash_table *t)
{
    struct hash_directory *d = directory_of(t);
    for (size_t i = 0; d && i < (size_t)1 << d->depth;) {
        struct hash_segment s = segment_of_word(load_word(d, i)), empty = {NULL, 0, s.depth};
        size_t span = (size_t)1 << (d->depth - s.depth);
        free_segment_items(t, s);
        for (size_t j = 0; j < span; j++)
            atomic_store_explicit(&d->words[i + j], segment_word(empty), memory_order_relaxed);
        i += span;
    }
    hash_table_destroy(t);
}

struct hash_detached *hash_table_detach(struct hash_table *t)
{
    struct hash_directory *d = directory_of(t);
    if (hash_table_count(t) == 0)
        return NULL;
    size_t words = (size_t)1 << d->depth;
    struct hash_detached *out = tu_alloc(sizeof *out + words * sizeof out->segments[0]);
    if (out) {
        out->table.base = t->base;
        out->table.elements = t->elements;
        out->count = 0;
    }
    for (size_t i = 0; i < words;) {
        struct hash_segment s = segment_of_word(load_word(d, i));
        i += (size_t)1 << (d->depth - s.depth);
        if (!s.buckets)
            continue;
        if (out)
            out->segments[out->count++] = s;
        else
            free_segment_items(t, s);
    }
    while (d->smaller)
        d = d->smaller;
    atomic_store_explicit(&d->words[0], 0, memory_order_relaxed);
    atomic_store_explicit(&t->directory, d, memory_order_release);
    atomic_store_explicit(&t->count, 0, memory_order_relaxed);
    atomic_store_explicit(&t->segment_bytes, 0, memory_order_relaxed);
    return out;
}

void hash_detached_free(struct hash_detached *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->count; i++)
        free_segment_items(&d->table, d->segments[i]);
    tu_free(d);
}

/* ---- proof ---- */

static uint64_t verify_segment(const struct hash_table *t, struct hash_segment s, uint64_t start)
{
    uint64_t count = 0;
    tu_check(s.size >= 1 && s.size <= HASH_BUCKETS_LIMIT, "a segment of %u buckets", s.size);
    for (uint32_t i = 0; i < s.size; i++) {
        const struct hash_bucket *b = &s.buckets[i];
        for (uint32_t set = bucket_occupied(b); set; set &= set - 1) {
            uint32_t index = (uint32_t)__builtin_ctz(set), passed = bucket_passed(b, index);
            struct slice key = hash_item_name(t, bucket_entry(t, b, index));
            uint64_t hash = siphash13(t->key, key.data, key.size),
                     position = hash_position(t, hash);
            uint32_t h12 = segment_h12(s, position), home = segment_home(s.size, h12);
            tu_check(s.depth == 0 || (position ^ start) >> (64 - s.depth) == 0,
                     "a key in the wrong segment");
            tu_check((home + passed) % s.size == i && b->tag[index] == (uint8_t)h12,
                     "a key in bucket %u, home %u, passed %u", i, home, passed);
            tu_check(bucket_reach(&s.buckets[home]) >= passed, "reach too short");
            tu_check(s.size < HASH_BUCKETS_MIN_EXACT || segment_slot_h12(s, i, index) == h12,
                     "a slot does not determine its hash bits");
            struct hash_slot slot;
            bool found = t->elements ? hash_table_find_element(t, key, hash, &slot) != NULL
                                     : hash_table_find(t, key, hash, &slot) != NULL;
            tu_check(found && slot.bucket == b && slot.index == index,
                     "a key that is not found, or found twice");
            count++;
        }
    }
    return count;
}

void hash_table_verify(const struct hash_table *t)
{
    const struct hash_directory *d = directory_of(t);
    uint64_t count = 0;
    size_t bytes = 0;
    for (size_t i = 0; d && i < (size_t)1 << d->depth;) {
        uint64_t word = load_word(d, i);
        struct hash_segment s = segment_of_word(word);
        tu_check(s.depth <= d->depth, "a segment deeper than its directory");
        size_t span = (size_t)1 << (d->depth - s.depth);
        tu_check(i % span == 0, "a segment that begins in the middle");
        for (size_t j = 0; j < span; j++)
            tu_check(load_word(d, i + j) == word, "unequal words of one segment");
        if (s.buckets) {
            count += verify_segment(t, s, d->depth ? (uint64_t)i << (64 - d->depth) : 0);
            bytes += tu_good_size(s.size * sizeof *s.buckets);
        }
        i += span;
    }
    tu_check(count == hash_table_count(t), "%llu entries, counted %llu", (unsigned long long)count,
             (unsigned long long)hash_table_count(t));
    tu_check(bytes == atomic_load_explicit(&t->segment_bytes, memory_order_relaxed),
             "segment bytes are off");
}
