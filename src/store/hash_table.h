/* hash_table.h - the keys of one shard in one database: an extendible hash table that grows a segment
 * at a time.
 *
 *     hash -> position (monotone, hash_segment.h)
 *     directory (2^depth words) --> segments --> buckets of 64 bytes: 10 slots of tag and reference
 *
 * The top bits of a position index the directory; a word holds a segment's address, its depth (how many
 * of those bits all its keys share) and its number of buckets, so the bucket is the second memory
 * access and the entry the third. Of the bits behind the depth twelve decide where in a segment a key
 * lives:
 *
 *     h12  = the 12 bits of the position behind the segment's depth
 *     home = h12 * buckets / 4096          tag = h12 & 255
 *
 * A full home passes keys on to the next three buckets; a slot knows how far it was passed, a bucket
 * how far its own keys reach. So (bucket, passed, tag) give h12 back, and a segment grows from 16
 * buckets to 32 in small steps without looking at a single key. Then it splits in two, which does
 * (once per doubling). At most a few hundred keys are moved by any insert.
 *
 * Everything is monotone in the position, so a position is a scan cursor that survives all
 * growth: see hash_table_scan.
 *
 * Invariants (hash_table_verify): each entry is found under its hash; count is the number of occupied
 * slots; a slot passed by p > 0 lies p buckets behind its home, and the home's reach is at least p; a
 * segment of depth d fills exactly 2^(depth - d) adjacent words.
 *
 * The same table holds the elements of large sets and hashes (index/element_table.h): behind the pointers are
 * then struct element, and hash_item_name (hash_segment.h) is the one place that tells them apart.
 *
 * All calls need the shard's lock, but those marked lock-free. Never parks.
 */
#pragma once

#include "base/siphash.h"
#include "base/slice.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entry;
struct element;
struct hash_directory;
struct hash_bucket;

struct hash_table {
    _Atomic(struct hash_directory *) directory; /* NULL: nothing was ever inserted */
    uintptr_t base;                             /* references are relative to it */
    const struct siphash_key *key;              /* secret of the hash; the keyspace's */
    _Atomic uint64_t count;                     /* entries; written under the lock, read without */
    _Atomic size_t segment_bytes;               /* in segments; the same */
    uint32_t shard_bits; /* top bits of a hash that are equal in the whole table */
    bool elements;       /* items are struct element (index/element_table.h), not struct entry */
    uint16_t rebuilt;    /* how often a segment was replaced */
};

/* Where an entry is; valid until the table changes. */
struct hash_slot {
    struct hash_bucket *bucket;
    uint32_t index;    /* slot in the bucket */
    uint64_t position; /* of the hash in this table */
};

/* `any_block` is any block of the manual heap, which is one address range of at most 4 TiB around. */
void hash_table_init(struct hash_table *t, const struct siphash_key *key, uint32_t shard_bits,
                     const void *any_block);
/* Frees all items, and the table's memory. */
void hash_table_destroy_all(struct hash_table *t);
/* Frees the table's memory, not its entries. Nobody may look at it any more, lock-free or not. */
void hash_table_destroy(struct hash_table *t);

/* The entry with this key, or NULL. *slot (may be NULL) tells where. */
struct entry *hash_table_find(const struct hash_table *t, struct slice key, uint64_t hash,
                              struct hash_slot *slot);
/* The same in a table of elements. */
struct element *hash_table_find_element(const struct hash_table *t, struct slice name,
                                        uint64_t hash, struct hash_slot *slot);
/* An entry with exactly this hash, whatever its key. */
struct entry *hash_table_find_hash(const struct hash_table *t, uint64_t hash,
                                   struct hash_slot *slot);
/* The same, but the low four bits of the hash are not known (zero), and any entry that is over at now_ms may be found
 * instead, if it is where the hash leads: names are hashed only for what is not over. */
struct entry *hash_table_find_due(const struct hash_table *t, uint64_t hash, int64_t now_ms,
                                  struct hash_slot *slot);
/* Adds an entry whose key is not in the table. False: out of memory, nothing changed. */
bool hash_table_insert(struct hash_table *t, struct entry *e, uint64_t hash);
/* Makes segments of the right size for about `count` items that will be inserted into a table that never had one. False: out
 * of memory, nothing changed. */
bool hash_table_expect(struct hash_table *t, size_t count);
/* Puts another entry with the same key in its place. */
void hash_table_replace(struct hash_table *t, const struct hash_slot *slot, struct entry *e);
/* Takes the entry out; it is the caller's now. May shrink the segment. */
void hash_table_remove(struct hash_table *t, const struct hash_slot *slot);

static inline uint64_t hash_table_count(const struct hash_table *t)
{
    return atomic_load_explicit(&t->count, memory_order_relaxed);
}
/* Bytes of directory and segments; lock-free. */
size_t hash_table_bytes(const struct hash_table *t);

/* Collects the entries whose home is the bucket at `position` and whose own is not below it, up to
 * HASH_SCAN_MAX of them. Returns the next position;
 * 0: the end. Entries that are in the table during a whole series of calls, from position 0 on, are
 * collected exactly once. */
#define HASH_SCAN_MAX 40u
uint64_t hash_table_scan(const struct hash_table *t, uint64_t position,
                         struct entry *found[HASH_SCAN_MAX], size_t *count);
/* A random entry, NULL if there is none: roughly even, not exactly. `random` is 64 random bits and is
 * used up. */
struct entry *hash_table_random(const struct hash_table *t, uint64_t random);
/* The same, each exactly as likely as any other: a few more memory accesses. *slot tells where. */
struct random_state;
struct entry *hash_table_random_fair(const struct hash_table *t, struct random_state *random,
                                     struct hash_slot *slot);

/* Takes all entries out at once: the segments, to be freed with hash_detached_free by anybody; the
 * table is empty afterwards. NULL when it was empty, or memory for the list is used up (then
 * everything has been freed here). */
struct hash_detached;
struct hash_detached *hash_table_detach(struct hash_table *t);
void hash_detached_free(struct hash_detached *d);

/* Exchanges the contents of two tables of one shard. */
void hash_table_swap(struct hash_table *a, struct hash_table *b);

/* Warm the cache for a find. The first is lock-free; the second looks into the bucket and needs the
 * lock. */
void hash_table_prefetch_bucket(const struct hash_table *t, uint64_t hash);
void hash_table_prefetch_entry(const struct hash_table *t, uint64_t hash);

/* Where hash_table_find_due would look first, for a batch of hashes: all are looked for, then what was found is taken. */
struct hash_candidate {
    struct hash_slot slot; /* bucket NULL: none */
    uint16_t rebuilt;
    bool alone; /* nothing else lies where the hash leads */
};
/* Warms the cache for hash_table_candidate. */
void hash_table_prefetch_candidate(const struct hash_table *t, uint64_t hash);
/* Looks into the bucket, and warms the cache for what says whether the entry is over. */
struct hash_candidate hash_table_candidate(const struct hash_table *t, uint64_t hash);
/* What still is there, after removals, but no insertion: an entry that is over at now_ms, or NULL: ask hash_table_find_due.
 * *last: no other entry has this hash. */
struct entry *hash_table_candidate_due(const struct hash_table *t, const struct hash_candidate *c,
                                       uint64_t hash, int64_t now_ms, bool *last);

/* Walks everything and aborts on a broken invariant. */
void hash_table_verify(const struct hash_table *t);
