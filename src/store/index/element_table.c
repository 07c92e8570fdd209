/* element_table.c - elements of sets and hashes in the keyspace's hash table.
 *
 * A set of a million members wants what a keyspace of a million keys wants: one allocation an element, about seven bytes
 * of table, growth in small steps, a scan cursor that survives it. So it is the same table; only what is behind a
 * reference differs. Rejected: entries as elements (eight bytes of head, where two or three do), a second table written
 * for this (the same invariants to prove twice), a pointer to a function for the name (the keyspace's finds would call it).
 */
#include "store/index/element_table.h"

#include "base/check.h"
#include "store/hash_segment.h"

#include <tuco/mem.h>

/* ---- one element ---- */

/* The code of a size's width, and its bytes, by code. */
static unsigned width_code(size_t size)
{
    return size <= UINT8_MAX ? 1 : size <= UINT16_MAX ? 2 : 3;
}

static unsigned char *write_size(unsigned char *to, unsigned code, size_t size)
{
    uint32_t value = (uint32_t)size;
    memcpy(to, &value, ELEMENT_WIDTH(code)); /* little endian */
    return to + ELEMENT_WIDTH(code);
}

static unsigned char *write_bytes(unsigned char *to, struct slice s)
{
    if (s.size > 0)
        memcpy(to, s.data, s.size);
    return to + s.size;
}

struct element *element_new(struct slice name, struct slice value, int64_t deadline_ms)
{
    bool ends = deadline_ms != EXPIRY_NONE;
    unsigned name_code = width_code(name.size),
             value_code = value.data ? width_code(value.size) : 0;
    if (name.size > UINT32_MAX || value.size > UINT32_MAX)
        return NULL;
    size_t value_size = value.data ? value.size : 0;
    struct element *e = tu_alloc(sizeof *e + (ends ? 8u : 0u) + ELEMENT_WIDTH(name_code) +
                                 ELEMENT_WIDTH(value_code) + name.size + value_size);
    if (!e)
        return NULL;
    e->head = (uint8_t)(name_code | value_code << 2 | (ends ? ELEMENT_DEADLINE : 0u));
    unsigned char *p = e->bytes;
    if (ends) {
        memcpy(p, &deadline_ms, 8);
        p += 8;
    }
    p = write_size(p, name_code, name.size);
    p = write_size(p, value_code, value_size);
    p = write_bytes(p, name);
    if (value.data)
        write_bytes(p, value);
    return e;
}

void element_free(struct element *e)
{
    tu_free(e);
}

static size_t element_size(const struct element *e)
{
    struct slice name = element_name(e), value = element_value(e);
    return (size_t)(name.data - (const char *)e) + name.size + value.size;
}

/* ---- the table ---- */

static struct entry *as_item(const struct element *e)
{
    return (struct entry *)e;
}

static void count_bytes(struct element_table *t, const struct element *e, bool add)
{
    size_t bytes = tu_good_size(element_size(e));
    t->element_bytes += add ? bytes : -bytes;
}

void element_table_init(struct element_table *t, const struct siphash_key *secret)
{
    hash_table_init(&t->table, secret, 0, t);
    t->table.elements = true;
    t->element_bytes = 0;
}

void element_table_destroy(struct element_table *t)
{
    hash_table_destroy_all(&t->table);
    t->element_bytes = 0;
}

void element_table_drop(struct element_table *t)
{
    hash_table_destroy(&t->table);
    t->element_bytes = 0;
}

struct element_table *element_table_new(const struct siphash_key *secret)
{
    struct element_table *t = tu_alloc(sizeof *t);
    if (t)
        element_table_init(t, secret);
    return t;
}

void element_table_free(struct element_table *t)
{
    element_table_destroy(t);
    tu_free(t);
}

bool element_table_copy_into(struct element_table *to, const struct element_table *from)
{
    struct element_iterator it = element_iterate(from);
    if (!element_table_expect(to, element_table_count(from)))
        return false;
    for (struct element *e; (e = element_next(&it));) {
        size_t size = element_size(e);
        struct element *copy = tu_alloc(size);
        if (copy)
            memcpy(copy, e, size);
        if (!copy || !element_table_insert(to, copy)) {
            tu_free(copy);
            element_table_destroy(to);
            return false;
        }
    }
    return true;
}

struct element_table *element_table_copy(const struct element_table *t)
{
    struct element_table *copy = element_table_new(t->table.key);
    if (copy && !element_table_copy_into(copy, t)) {
        element_table_free(copy);
        return NULL;
    }
    return copy;
}

size_t element_table_memory(const struct element_table *t)
{
    return hash_table_bytes(&t->table) + t->element_bytes;
}

struct element *element_table_find(const struct element_table *t, struct slice name,
                                   struct element_place *place)
{
    return hash_table_find_element(&t->table, name, element_table_hash(t, name),
                                   place ? &place->slot : NULL);
}

struct element *element_table_find_hashed(const struct element_table *t, struct slice name,
                                          uint64_t hash)
{
    return hash_table_find_element(&t->table, name, hash, NULL);
}

struct element *element_table_find_hash(const struct element_table *t, uint64_t hash,
                                        struct element_place *place)
{
    return (struct element *)hash_table_find_hash(&t->table, hash, place ? &place->slot : NULL);
}

static bool insert(struct element_table *t, struct element *e, uint64_t hash)
{
    if (!hash_table_insert(&t->table, as_item(e), hash))
        return false;
    count_bytes(t, e, true);
    return true;
}

enum element_added element_table_add(struct element_table *t, struct slice name)
{
    uint64_t hash = element_table_hash(t, name);
    if (hash_table_find_element(&t->table, name, hash, NULL))
        return ELEMENT_EXISTS;
    struct element *e = element_new(name, (struct slice){0}, EXPIRY_NONE);
    if (!e || !insert(t, e, hash)) {
        tu_free(e);
        return ELEMENT_NO_MEMORY;
    }
    return ELEMENT_ADDED;
}

bool element_table_insert(struct element_table *t, struct element *e)
{
    return insert(t, e, element_table_hash(t, element_name(e)));
}

bool element_table_expect(struct element_table *t, size_t count)
{
    return hash_table_expect(&t->table, count);
}

bool element_table_fill(struct element_table *t, const struct element_item *items, size_t count)
{
    if (!element_table_expect(t, count))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!insert(t, items[i].element, items[i].word)) {
            element_table_drop(t);
            return false;
        }
    }
    return true;
}

struct element *element_table_at(const struct element_table *t, const struct element_place *place)
{
    return (struct element *)bucket_entry(&t->table, place->slot.bucket, place->slot.index);
}

void element_table_replace(struct element_table *t, const struct element_place *place,
                           struct element *e)
{
    struct element *old = element_table_at(t, place);
    tu_assert(slice_equal(element_name(old), element_name(e)));
    count_bytes(t, old, false);
    count_bytes(t, e, true);
    hash_table_replace(&t->table, &place->slot, as_item(e));
    element_free(old);
}

struct element *element_table_set_deadline(struct element_table *t,
                                           const struct element_place *place, int64_t deadline_ms)
{
    struct element *e = element_table_at(t, place);
    if (deadline_ms != EXPIRY_NONE && (e->head & ELEMENT_DEADLINE)) {
        memcpy(e->bytes, &deadline_ms, 8);
        return e;
    }
    if (deadline_ms == EXPIRY_NONE && !(e->head & ELEMENT_DEADLINE))
        return e;
    struct element *made = element_new(element_name(e), element_value(e), deadline_ms);
    if (made)
        element_table_replace(t, place, made);
    return made;
}

bool element_table_remove(struct element_table *t, struct slice name)
{
    struct element_place place;
    if (!element_table_find(t, name, &place))
        return false;
    element_table_remove_at(t, &place);
    return true;
}

void element_table_remove_at(struct element_table *t, const struct element_place *place)
{
    struct element *e = element_table_at(t, place);
    count_bytes(t, e, false);
    hash_table_remove(
        &t->table,
        &place->slot); /* may rebuild the segment, which may read names: not this one's */
    element_free(e);
}

/* ---- walking ---- */

struct element *element_table_random(const struct element_table *t, struct random_state *random,
                                     struct element_place *place)
{
    return (struct element *)hash_table_random_fair(&t->table, random, &place->slot);
}

/* A cursor is the upper 48 bits of a position: buckets begin on that grid (28 bits of depth, 12 in a segment). */
enum { CURSOR_SHIFT = 16 };

uint64_t element_table_scan(const struct element_table *t, uint64_t cursor,
                            struct element *found[ELEMENT_SCAN_MAX], size_t *count)
{
    struct entry *items[HASH_SCAN_MAX];
    *count = 0;
    if (element_table_count(t) == 0)
        return 0;
    uint64_t next = hash_table_scan(&t->table, cursor << CURSOR_SHIFT, items, count);
    for (size_t i = 0; i < *count; i++) {
        found[i] = (struct element *)items[i];
        __builtin_prefetch(found[i]);
    }
    return next >> CURSOR_SHIFT;
}

struct element_iterator element_iterate(const struct element_table *t)
{
    struct element_iterator it;
    it.table = t;
    it.cursor = 0;
    it.count = it.next = 0;
    it.last = false;
    return it;
}

struct element *element_next(struct element_iterator *it)
{
    while (it->next == it->count) {
        if (it->last)
            return NULL;
        it->cursor = element_table_scan(it->table, it->cursor, it->found, &it->count);
        it->next = 0;
        it->last = it->cursor == 0;
    }
    return it->found[it->next++];
}

/* ---- proof ---- */

void element_table_verify(const struct element_table *t)
{
    size_t count = 0, bytes = 0;
    struct element_iterator it = element_iterate(t);
    hash_table_verify(&t->table);
    for (struct element *e; (e = element_next(&it)); count++)
        bytes += tu_usable_size(e);
    tu_check(count == element_table_count(t), "a walk that meets %zu elements", count);
    tu_check(bytes == t->element_bytes, "%zu bytes of elements, counted %zu", bytes,
             t->element_bytes);
}
