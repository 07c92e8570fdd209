/* element_table.h - the elements of one large set (members) or hash (fields with values): the keyspace's hash
 * table (hash_table.h) over small blocks of a name, a value and a deadline.
 *
 *     struct element_table *t = element_table_new(&ks->secret);
 *     if (element_table_add(t, member) == ELEMENT_NO_MEMORY) ...
 *     struct element_iterator it = element_iterate(t);
 *     for (struct element *e; (e = element_next(&it));)
 *         reply_bulk(r, element_name(e));
 *
 * An element is one allocation, size-prefixed bytes:
 *
 *     | head 1 | [deadline 8] | name size 1, 2 or 4 | [value size 1, 2 or 4] | name | value |
 *
 * so a member of 14 bytes takes a block of 16. The table grows and shrinks a segment at a time: no insert moves more
 * than some hundred elements. Names are hashed with the secret (of the keyspace), which must outlive the table.
 *
 * Everything that is found is valid until the table changes. The table knows deadlines as bytes only: who may see an
 * element is the type's affair. Under the lock of the key's shard; freeing may be done by anybody. Never parks.
 */
#pragma once

#include "base/random.h"
#include "base/slice.h"
#include "store/hash_table.h"
#include "store/keyspace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct element {
    uint8_t
        head; /* bits 0-1 width of the name's size, 2-3 of the value's (0: no value), 4 deadline */
    unsigned char bytes[];
};

enum { ELEMENT_DEADLINE = 1 << 4 };
/* Bytes of a size, by its code in the head: 0, 1, 2, 4. */
#define ELEMENT_WIDTH(code) ((1u << (code)) >> 1)

struct element_table {
    struct hash_table table;
    size_t element_bytes; /* of the elements' blocks */
};

/* An element among many that are on their way into a table, or into an order. */
struct element_item {
    struct element *element;
    uint64_t
        word; /* what the receiver wants to know: its name's hash, or the place of its score (score_sort.h) */
};

/* Where an element is, for element_table_remove_at and element_table_replace. */
struct element_place {
    struct hash_slot slot;
};

/* ---- one element ---- */

/* A new element; one without value if value.data is NULL, and no deadline with EXPIRY_NONE. NULL: out of memory, or more
 * than 4 GiB. */
struct element *element_new(struct slice name, struct slice value, int64_t deadline_ms);
void element_free(struct element *e);

static inline size_t element__size(const unsigned char *at, unsigned width)
{
    uint32_t size = *at;
    if (__builtin_expect(width > 1, 0))
        memcpy(&size, at, width); /* little endian */
    return size;
}
static inline struct slice element_name(const struct element *e)
{
    const unsigned char *at = e->bytes + (e->head & ELEMENT_DEADLINE ? 8 : 0);
    unsigned width = ELEMENT_WIDTH(e->head & 3), value_width = ELEMENT_WIDTH(e->head >> 2 & 3);
    return (struct slice){(const char *)at + width + value_width, element__size(at, width)};
}
/* Empty, and data NULL, if it has none. */
static inline struct slice element_value(const struct element *e)
{
    unsigned width = ELEMENT_WIDTH(e->head >> 2 & 3);
    if (width == 0)
        return (struct slice){0};
    struct slice name = element_name(e);
    return (struct slice){name.data + name.size,
                          element__size((const unsigned char *)name.data - width, width)};
}
/* Unix ms, or EXPIRY_NONE. */
static inline int64_t element_deadline(const struct element *e)
{
    int64_t at_ms = EXPIRY_NONE;
    if (e->head & ELEMENT_DEADLINE)
        memcpy(&at_ms, e->bytes, sizeof at_ms);
    return at_ms;
}
/* True when its time is over at now_ms. */
static inline bool element_is_over(const struct element *e, int64_t now_ms)
{
    return (e->head & ELEMENT_DEADLINE) && element_deadline(e) <= now_ms;
}

/* ---- the table ---- */

/* An empty table as an object of its own. NULL: out of memory. */
struct element_table *element_table_new(const struct siphash_key *secret);
/* Frees it with all elements. */
void element_table_free(struct element_table *t);
/* The same for a table inside another object, which lies on the manual heap. */
void element_table_init(struct element_table *t, const struct siphash_key *secret);
void element_table_destroy(struct element_table *t);
/* Empties it; the elements are the caller's again. */
void element_table_drop(struct element_table *t);
/* A copy of all, deadlines included. NULL: out of memory. */
struct element_table *element_table_copy(const struct element_table *t);
/* Copies the elements of `from` into the empty table `to`. False: out of memory, `to` is empty. */
bool element_table_copy_into(struct element_table *to, const struct element_table *from);

static inline size_t element_table_count(const struct element_table *t)
{
    return hash_table_count(&t->table);
}
/* Bytes of table and elements, without struct element_table itself if it lies in another object. */
size_t element_table_memory(const struct element_table *t);

static inline uint64_t element_table_hash(const struct element_table *t, struct slice name)
{
    return siphash13(t->table.key, name.data, name.size);
}

/* The element of this name, or NULL. *place (may be NULL) tells where. */
struct element *element_table_find(const struct element_table *t, struct slice name,
                                   struct element_place *place);
/* The same for who knows its hash. */
struct element *element_table_find_hashed(const struct element_table *t, struct slice name,
                                          uint64_t hash);
/* An element whose name has exactly this hash (element_table_hash). */
struct element *element_table_find_hash(const struct element_table *t, uint64_t hash,
                                        struct element_place *place);

/* What is at `place`. */
struct element *element_table_at(const struct element_table *t, const struct element_place *place);

enum element_added { ELEMENT_NO_MEMORY = -1, ELEMENT_EXISTS, ELEMENT_ADDED };
/* Adds a member, if it is not there. */
enum element_added element_table_add(struct element_table *t, struct slice name);
/* Adds an element made by the caller, whose name is not there. False: out of memory, it is still the caller's. */
bool element_table_insert(struct element_table *t, struct element *e);
/* Makes room for about `count` elements in a table that never had one. False: out of memory, nothing has changed. */
bool element_table_expect(struct element_table *t, size_t count);
/* Adds `count` elements to a table that never had one. False: out of memory, it is empty and they are still the
 * caller's. */
bool element_table_fill(struct element_table *t, const struct element_item *items, size_t count);
/* Puts `e`, of the same name, in the place of the one there, which is freed. */
void element_table_replace(struct element_table *t, const struct element_place *place,
                           struct element *e);
/* Gives the element at `place` a deadline, or none with EXPIRY_NONE: the element, perhaps at a new address; NULL: out of
 * memory, nothing has changed. */
struct element *element_table_set_deadline(struct element_table *t,
                                           const struct element_place *place, int64_t deadline_ms);
/* Removes and frees. False: there is none. */
bool element_table_remove(struct element_table *t, struct slice name);
void element_table_remove_at(struct element_table *t, const struct element_place *place);

/* ---- walking ---- */

/* A random element, each as likely as any other; NULL: there is none. */
struct element *element_table_random(const struct element_table *t, struct random_state *random,
                                     struct element_place *place);

/* Collects the elements of one bucket, from `cursor` on. Returns the next cursor, below 2^48; 0: the end. Elements that
 * are in the table during a whole series of calls, from 0 on, are collected exactly once, whatever it does between. */
#define ELEMENT_SCAN_MAX HASH_SCAN_MAX
uint64_t element_table_scan(const struct element_table *t, uint64_t cursor,
                            struct element *found[ELEMENT_SCAN_MAX], size_t *count);

/* All elements, in no order. The table must not change meanwhile. */
struct element_iterator {
    const struct element_table *table;
    uint64_t cursor;
    size_t count, next;
    bool last; /* the cursor has come around */
    struct element *found[ELEMENT_SCAN_MAX];
};
struct element_iterator element_iterate(const struct element_table *t);
struct element *element_next(struct element_iterator *it); /* NULL: that was all */

/* Walks everything and aborts on a broken invariant. */
void element_table_verify(const struct element_table *t);
