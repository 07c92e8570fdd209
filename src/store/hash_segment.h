/* hash_segment.h - the inside of hash_table: one segment, an array of buckets without a header.
 * Only hash_table.c and its tests include it. The rules are in hash_table.h; the caller holds the
 * shard's lock. Never parks.
 */
#pragma once

#include "store/entry.h"
#include "store/hash_table.h"
#include "store/index/element_table.h"

#include <tuco/base.h>

#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* A reference is an address in 8-byte steps from the table's base: 40 bits reach over the heap's one
 * reserved range. Where the heap is malloc (AddressSanitizer), addresses are anywhere: 48 bits. */
#if defined(__SANITIZE_ADDRESS__)
#define HASH_REF_BYTES 6
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HASH_REF_BYTES 6
#endif
#endif
#ifndef HASH_REF_BYTES
#define HASH_REF_BYTES 5
#endif

#define HASH_SLOTS             10u
#define HASH_REACH_MAX         3u
#define HASH_BUCKETS_MIN_EXACT 16u /* from here on (home, tag) determine h12 */
#define HASH_BUCKETS_MAX       32u /* then it splits */
#define HASH_BUCKETS_LIMIT     48u /* what a lopsided split may use */
#define HASH_DEPTH_MAX         28u
#define HASH_ITEMS_MAX         (HASH_BUCKETS_LIMIT * HASH_SLOTS)

struct hash_bucket {
    uint32_t meta; /* bits 0-9 occupied; 10-29 passed, two a slot; 30-31 reach */
    uint8_t tag[HASH_SLOTS];
    uint8_t ref[HASH_SLOTS][HASH_REF_BYTES];
};
_Static_assert(HASH_REF_BYTES != 5 || sizeof(struct hash_bucket) == 64, "a bucket is a cache line");

struct hash_segment {
    struct hash_bucket *buckets; /* NULL: empty */
    uint32_t size;               /* buckets */
    uint32_t depth;
};

static inline struct hash_segment segment_of_word(uint64_t word)
{
    return (struct hash_segment){
        (struct hash_bucket *)(uintptr_t)(word & ((UINT64_C(1) << 48) - 1)), (uint32_t)(word >> 58),
        (uint32_t)(word >> 48) & 63};
}

static inline uint64_t segment_word(struct hash_segment s)
{
    return (uint64_t)s.size << 58 | (uint64_t)s.depth << 48 | (uint64_t)(uintptr_t)s.buckets;
}

/* Where a hash lies in its table: u -> u + u(1 - u)/3 for u in [0, 1), on 64-bit fractions. Monotone.
 * Keys are twice as dense at the end as at the begin, so the segments of a table are in all stages of
 * growth at any time: see hash_table.c. */
static inline uint64_t hash_position(const struct hash_table *t, uint64_t hash)
{
    uint64_t u = hash << t->shard_bits;
    return u + (uint64_t)((unsigned __int128)u * ~u >> 64) / 3;
}

/* The name of an item, by which it is found. */
static inline struct slice hash_item_name(const struct hash_table *t, const struct entry *item)
{
    return t->elements ? element_name((const struct element *)item) : entry_key(item);
}

static inline uint64_t hash_item_hash(const struct hash_table *t, const struct entry *item)
{
    struct slice name = hash_item_name(t, item);
    return siphash13(t->key, name.data, name.size);
}

/* The twelve bits behind the depth. */
static inline uint32_t segment_h12(struct hash_segment s, uint64_t position)
{
    return (uint32_t)(position << s.depth >> 52);
}
static inline uint32_t segment_home(uint32_t size, uint32_t h12)
{
    return h12 * size >> 12;
}
/* The lowest h12 whose home is bucket `home`. */
static inline uint32_t segment_first_h12(uint32_t size, uint32_t home)
{
    return (home * 4096 + size - 1) / size;
}

static inline uint32_t bucket_occupied(const struct hash_bucket *b)
{
    return b->meta & 1023;
}
static inline uint32_t bucket_passed(const struct hash_bucket *b, uint32_t index)
{
    return b->meta >> (10 + 2 * index) & 3;
}
static inline uint32_t bucket_reach(const struct hash_bucket *b)
{
    return b->meta >> 30;
}
static inline void bucket_set_reach(struct hash_bucket *b, uint32_t reach)
{
    b->meta = (b->meta & ~(3u << 30)) | reach << 30;
}

/* Occupied slots with this tag, as a bit set. */
static inline uint32_t bucket_match(const struct hash_bucket *b, uint8_t tag)
{
#if defined(__SSE2__)
    __m128i tags = _mm_loadu_si128((const __m128i *)(const void *)b->tag);
    __m128i equal = _mm_cmpeq_epi8(tags, _mm_set1_epi8((char)tag));
    return (uint32_t)_mm_movemask_epi8(equal) & bucket_occupied(b);
#else
    uint32_t found = 0;
    for (uint32_t i = 0; i < HASH_SLOTS; i++)
        found |= (uint32_t)(b->tag[i] == tag) << i;
    return found & bucket_occupied(b);
#endif
}

/* The load ends with the reference, so that it never reads behind the bucket. */
static inline struct entry *bucket_entry(const struct hash_table *t, const struct hash_bucket *b,
                                         uint32_t index)
{
    uint64_t word;
    memcpy(&word, b->ref[index] + HASH_REF_BYTES - 8, sizeof word);
    return (struct entry *)(t->base + (word >> (64 - 8 * HASH_REF_BYTES) << 3));
}

void bucket_set_entry(const struct hash_table *t, struct hash_bucket *b, uint32_t index,
                      const struct entry *e);

/* An entry on its way into a new segment. */
struct hash_item {
    struct entry *entry;
    uint32_t h12;
};

/* Puts an entry in: false if home and the buckets it may be passed to are full. */
bool segment_place(const struct hash_table *t, struct hash_segment s, struct hash_item item);
/* Clears a slot, and shortens the reach of its home if that was the farthest. */
void segment_clear(struct hash_segment s, struct hash_bucket *b, uint32_t index);
uint32_t segment_count(struct hash_segment s);
/* h12 of an occupied slot, from the slot alone; the segment has HASH_BUCKETS_MIN_EXACT buckets. */
uint32_t segment_slot_h12(struct hash_segment s, uint32_t bucket, uint32_t index);

/* Lists the entries with their h12 for a segment of depth `depth`, which is s.depth: then h12 comes
 * from the slots where it can; or another: then from the keys' hashes, and bit 31 of h12 is the hash
 * bit at s.depth (which half of a split). Returns the number of items. */
uint32_t segment_collect(const struct hash_table *t, struct hash_segment s, uint32_t depth,
                         struct hash_item items[HASH_ITEMS_MAX]);
/* A new segment with these items and at least `size` buckets, more if they do not fit. 0, -ENOMEM, or
 * -ENOSPC if not even HASH_BUCKETS_LIMIT buckets hold them. */
int segment_build(const struct hash_table *t, const struct hash_item *items, uint32_t count,
                  uint32_t size, uint32_t depth, struct hash_segment *out) TU_MUST_CHECK;
/* The step after `size` buckets, and the least step for `count` entries at `percent` load. */
uint32_t segment_next_size(uint32_t size);
uint32_t segment_size_for(uint32_t count, uint32_t percent);
