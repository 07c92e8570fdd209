/* map.c - a hash map whose entries never move.
 *
 *     index    slots of 8 bytes, linear probing, at most 3/4 used; empty, dead, or 32 bits of the hash and an entry's number
 *     entries  keys and values in segments of 8, 8, 16, 32, ... that are never copied; `live` has a bit for each
 *
 * Only the index is rebuilt when a map grows, and holds no pointers: the collector does not look at it, and no barrier is
 * paid. The new one takes over 16 slots of the old one with each key that is added; meanwhile a key is looked for in both,
 * and found in exactly one. The old one is empty long before the new one is full: N slots, at most 3/4 of them used, go over
 * in N / 16 additions, and the new one has room for 3/8 N beyond those at least.
 *
 * A number that was freed is given out again once an eighth of them are free: the search for one goes round `live`
 * and costs less than a word an entry, and the segments never hold more than an eighth of nothing besides their last half.
 *
 * Memory is taken before anything is changed. Hashes are keyed with secret bytes, so that nobody can send
 * keys that collide.
 */
#include <tuco/map.h>

#include "base/check.h"
#include "base/siphash.h"
#include "platform/entropy.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

enum { FIRST_SLOTS = 16, FIRST_ENTRIES = 8, DRAIN_SLOTS = 16, WORD_BITS = 64 };
#define ENTRIES_MAX (UINT32_MAX - 1)
#define EMPTY       UINT64_C(0)
#define DEAD        UINT64_C(0xffffffff) /* as the entry; the hash is 0 */

static const struct tu__pointers map_pointers[] = {{offsetof(struct tu__map, index), 4}};
static tu_type map_type = {"map", sizeof(struct tu__map), 1, map_pointers, TU__OWN_SLAB};
typedef void *const reference;
TU_POINTER_TYPE(reference);

static struct siphash_key secret;

static void make_secret(void)
{
    entropy_bytes(&secret, sizeof secret);
}

static uint32_t hash_of(const struct tu__map *m, const void *key)
{
    uint64_t h;
    if (m->string_keys) {
        const tu_string *s = key;
        h = siphash13(&secret, s->at, s->length);
    } else if (m->key_type->size ==
               8) { /* the high and low half of a product: as good as secret, and 2 ns */
        uint64_t word;
        memcpy(&word, key, 8);
        __uint128_t product = (__uint128_t)(word ^ secret.k0) * (secret.k1 | 1);
        h = (uint64_t)product ^ (uint64_t)(product >> 64);
    } else {
        h = siphash13(&secret, key, m->key_type->size);
    }
    return (uint32_t)(h ^ h >> 32);
}

/* ---- entries ---- */

/* Of an entry: its segment, and the first number in that. Segment 0 has 8 entries, segment s > 0 has 8 << (s - 1). */
static unsigned segment_of(uint32_t entry, uint32_t *first)
{
    if (entry < FIRST_ENTRIES) {
        *first = 0;
        return 0;
    }
    unsigned s = 31u - (unsigned)__builtin_clz(entry) - 2;
    *first = 4u << s;
    return s;
}

static void *key_at(const struct tu__map *m, uint32_t entry)
{
    uint32_t first;
    unsigned s = segment_of(entry, &first);
    return (char *)m->segments[2 * s] + (size_t)(entry - first) * m->key_type->size;
}

static void *value_at(const struct tu__map *m, uint32_t entry)
{
    uint32_t first;
    unsigned s = segment_of(entry, &first);
    return (char *)m->segments[2 * s + 1] + (size_t)(entry - first) * m->value_type->size;
}

static bool is_live(const struct tu__map *m, uint32_t entry)
{
    return m->live[entry / WORD_BITS] >> entry % WORD_BITS & 1;
}

static bool equal(const struct tu__map *m, uint32_t entry, const void *key)
{
    const void *ours = key_at(m, entry);
    if (m->string_keys)
        return tu_string_equal(*(const tu_string *)ours, *(const tu_string *)key);
    return memcmp(ours, key, m->key_type->size) == 0;
}

/* One more segment: false when there is no memory. */
static bool add_segment(struct tu__map *m)
{
    uint32_t first, more = m->room ? m->room : FIRST_ENTRIES;
    if (m->room > ENTRIES_MAX / 2)
        return false;
    unsigned s = segment_of(m->room, &first);
    void *keys = tu__gc_alloc(m->key_type, more), *values = tu__gc_alloc(m->value_type, more);
    void *const *all = m->segments;
    if (s % 4 == 0) /* the list is full: four more */
        all = tu_new_array(reference, 2 * (s + 4));
    size_t words = ((size_t)m->room + more + WORD_BITS - 1) / WORD_BITS;
    uint64_t *live = tu_new_bytes(words * sizeof *live);
    if (!keys || !values || !all || !live)
        return false;
    if (m->room > 0)
        memcpy(live, m->live, (m->room + WORD_BITS - 1) / WORD_BITS * sizeof *live);
    if (all != m->segments && s > 0)
        tu__gc_move(TU_TYPE_OF(reference), (void *)(uintptr_t)all, m->segments, 2 * s);
    tu_set(&all[2 * s], keys);
    tu_set(&all[2 * s + 1], values);
    tu_set(&m->segments, all);
    tu_set(&m->live, live);
    m->room += more;
    return true;
}

static uint32_t free_entry(struct tu__map *m)
{
    uint32_t words = (m->entries + WORD_BITS - 1) / WORD_BITS;
    for (uint32_t w = m->free_word;; w++) {
        if (w >= words)
            w = 0;
        uint64_t free = ~m->live[w];
        if (w == words - 1 && m->entries % WORD_BITS)
            free &= (UINT64_C(1) << m->entries % WORD_BITS) - 1;
        if (free) {
            m->free_word = w;
            return w * WORD_BITS + (uint32_t)__builtin_ctzll(free);
        }
    }
}

/* A number for a new key, in *entry: false when there is no memory. */
static bool take_entry(struct tu__map *m, uint32_t *entry)
{
    if (m->free_entries > 0 && m->free_entries >= m->entries / 8) {
        *entry = free_entry(m);
        m->free_entries--;
    } else {
        if (m->entries == m->room && !add_segment(m))
            return false;
        *entry = m->entries++;
    }
    m->live[*entry / WORD_BITS] |= UINT64_C(1) << *entry % WORD_BITS;
    return true;
}

static void drop_entry(struct tu__map *m, uint32_t entry)
{
    tu__gc_clear(m->key_type, key_at(m, entry), 1);
    tu__gc_clear(m->value_type, value_at(m, entry), 1);
    m->live[entry / WORD_BITS] &= ~(UINT64_C(1) << entry % WORD_BITS);
    m->free_entries++;
}

/* ---- the index ---- */

static uint32_t entry_in(uint64_t slot)
{
    return (uint32_t)slot - 1;
}

/* The key's slot in a table, or NULL. */
static uint64_t *find_in(const struct tu__map *m, uint64_t *table, uint32_t mask, uint32_t hash,
                         const void *key)
{
    for (uint32_t i = hash & mask; table[i] != EMPTY; i = (i + 1) & mask)
        if (table[i] >> 32 == hash && table[i] != DEAD && equal(m, entry_in(table[i]), key))
            return &table[i];
    return NULL;
}

static uint64_t *find(const struct tu__map *m, uint32_t hash, const void *key)
{
    if (m->count == 0)
        return NULL;
    uint64_t *slot = find_in(m, m->index, m->index_mask, hash, key);
    return slot || !m->old ? slot : find_in(m, m->old, m->old_mask, hash, key);
}

/* Into the new table; the key is not there. */
static void put_slot(struct tu__map *m, uint64_t slot)
{
    uint32_t i = (uint32_t)(slot >> 32) & m->index_mask;
    while (m->index[i] != EMPTY && m->index[i] != DEAD)
        i = (i + 1) & m->index_mask;
    m->index_used += m->index[i] == EMPTY;
    m->index[i] = slot;
}

static void drain(struct tu__map *m, uint32_t slots)
{
    for (; slots > 0 && m->old; slots--) {
        uint64_t *slot = &m->old[m->drained];
        if (*slot != EMPTY && *slot != DEAD) {
            put_slot(m, *slot);
            *slot = DEAD; /* so that searches in the old table go on behind it */
        }
        if (m->drained++ == m->old_mask)
            tu_set(&m->old, NULL);
    }
}

static uint32_t limit_of(uint32_t mask)
{
    return (uint32_t)(((uint64_t)mask + 1) * 3 / 4);
}

/* Room for one more slot: false when there is no memory. */
static bool make_room(struct tu__map *m)
{
    if (m->index && m->index_used < limit_of(m->index_mask))
        return true;
    drain(m, UINT32_MAX); /* has ended long ago; see above */
    uint64_t slots = m->index ? (uint64_t)m->index_mask + 1 : FIRST_SLOTS / 2;
    if (!m->index || m->count > slots * 3 / 8)
        slots *= 2;
    if (slots > (uint64_t)UINT32_MAX + 1)
        return false;
    uint64_t *index = tu_new_bytes(slots * sizeof *index);
    if (!index)
        return false;
    m->drained = 0;
    m->old_mask = m->index_mask;
    tu_set(&m->old, m->index);
    m->index_mask = (uint32_t)(slots - 1);
    m->index_used = 0;
    tu_set(&m->index, index);
    return true;
}

/* ---- for users ---- */

struct tu__map *tu__map_make(const tu_type *key, const tu_type *value, bool string_keys,
                             size_t expected)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_secret);
    struct tu__map *m = tu__gc_alloc(&map_type, 1);
    if (!m)
        return NULL;
    m->key_type = key;
    m->value_type = value;
    m->string_keys = string_keys;
    if (expected == 0)
        return m;
    uint64_t slots = FIRST_SLOTS;
    while (slots * 3 / 4 < expected && slots <= UINT32_MAX)
        slots *= 2;
    uint64_t *index = tu_new_bytes(slots * sizeof *index);
    if (!index)
        return NULL;
    tu_set(&m->index, index);
    m->index_mask = (uint32_t)(slots - 1);
    return m;
}

static void begin_change(struct tu__map *m)
{
    tu_check(m, "a key for a map that is NULL");
    tu_check(!__atomic_exchange_n(&m->changing, 1, __ATOMIC_RELAXED),
             "a map is changed by two at once");
}

static void end_change(struct tu__map *m)
{
    tu_check(__atomic_load_n(&m->changing, __ATOMIC_RELAXED) == 1,
             "a map was changed by two at once");
    __atomic_store_n(&m->changing, 0, __ATOMIC_RELAXED);
}

void *tu__map_get(const struct tu__map *m, const void *key)
{
    if (!m || m->count == 0)
        return NULL;
    uint64_t *slot = find(m, hash_of(m, key), key);
    return slot ? value_at(m, entry_in(*slot)) : NULL;
}

static void *place(struct tu__map *m, const void *key)
{
    uint32_t entry, hash = hash_of(m, key);
    uint64_t *slot = find(m, hash, key);
    if (slot)
        return value_at(m, entry_in(*slot));
    if (!make_room(m) || !take_entry(m, &entry))
        return NULL;
    drain(m, DRAIN_SLOTS);
    tu__gc_move(m->key_type, key_at(m, entry), key, 1);
    put_slot(m, (uint64_t)hash << 32 | (entry + 1));
    m->count++;
    return value_at(m, entry);
}

void *tu__map_place(struct tu__map *m, const void *key)
{
    begin_change(m);
    void *value = place(m, key);
    end_change(m);
    return value;
}

int tu__map_set(struct tu__map *m, const void *key, const void *value)
{
    begin_change(m);
    void *to = place(m, key);
    if (to)
        tu__gc_move(m->value_type, to, value, 1);
    end_change(m);
    return to ? 0 : -ENOMEM;
}

bool tu__map_delete(struct tu__map *m, const void *key)
{
    if (!m || m->count == 0)
        return false;
    begin_change(m);
    uint64_t *slot = find(m, hash_of(m, key), key);
    if (slot) {
        drop_entry(m, entry_in(*slot));
        *slot = DEAD;
        m->count--;
    }
    end_change(m);
    return slot != NULL;
}

void tu__map_clear(struct tu__map *m)
{
    begin_change(m);
    tu_set(&m->index, NULL);
    tu_set(&m->old, NULL);
    tu_set(&m->segments, NULL);
    tu_set(&m->live, NULL);
    m->index_mask = m->old_mask = m->index_used = m->drained = 0;
    m->entries = m->room = m->count = m->free_entries = m->free_word = 0;
    end_change(m);
}

bool tu__map_next(struct tu__map_cursor *c)
{
    const struct tu__map *m = c->map;
    while (m && c->next < m->entries) {
        uint64_t rest = m->live[c->next / WORD_BITS] >> c->next % WORD_BITS;
        if (rest == 0) {
            c->next = (c->next / WORD_BITS + 1) * WORD_BITS;
            continue;
        }
        c->next += (size_t)__builtin_ctzll(rest);
        uint32_t entry = (uint32_t)c->next++;
        c->key = key_at(m, entry);
        c->value = value_at(m, entry);
        return true;
    }
    return false;
}

/* ---- checking ---- */

static uint32_t verify_table(const struct tu__map *m, const uint64_t *table, uint32_t mask,
                             uint32_t *used)
{
    uint32_t found = 0;
    *used = 0;
    for (uint64_t i = 0; table && i <= mask; i++) {
        *used += table[i] != EMPTY;
        if (table[i] == EMPTY || table[i] == DEAD)
            continue;
        uint32_t entry = entry_in(table[i]);
        tu_check(entry < m->entries && is_live(m, entry),
                 "map: a slot of an entry that is not there");
        tu_check(hash_of(m, key_at(m, entry)) == table[i] >> 32, "map: a wrong hash");
        tu_check(find(m, (uint32_t)(table[i] >> 32), key_at(m, entry)) == &table[i],
                 "map: a key is not found where it is");
        found++;
    }
    return found;
}

void tu__map_verify(const struct tu__map *m)
{
    uint32_t used, old_used, live = 0;
    uint32_t found = verify_table(m, m->index, m->index_mask, &used);
    found += verify_table(m, m->old, m->old_mask, &old_used);
    for (uint32_t e = 0; e < m->entries; e++)
        live += is_live(m, e);
    tu_check(found == m->count && live == m->count, "map: %u keys, %u slots, %u entries", m->count,
             found, live);
    tu_check(used == m->index_used && m->entries - live == m->free_entries && m->entries <= m->room,
             "map: counts");
    tu_check(!m->changing, "map: being changed");
}
