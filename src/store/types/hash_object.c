/* hash_object.c - see hash_object.h.
 *
 * A wheel costs a kilobyte a level, which a hash of ten fields should not pay; looking at all of a million fields for the
 * next deadline, no reader should. Hence the two ways. Rejected: a heap or tree of deadlines inside the hash (a cache miss
 * a level, exact order that nobody asks for), fields that stay until a cycle comes by (HLEN, EXISTS and EXPIRE would
 * see them).
 *
 * The wheel must not lose an item, or a field that is over would be seen. Where memory for one cannot be had, either the
 * change is refused, or the wheel is given up and the hash looks at all its fields from then on.
 */
#include "store/types/hash_object.h"

#include "base/check.h"
#include "store/digest.h"
#include "store/entry.h"

#include <tuco/mem.h>

/* ---- the next deadline ---- */

static void drop_index(struct hash_object *o)
{
    if (!o->index)
        return;
    expire_index_clear(o->index);
    tu_free(o->index);
    o->index = NULL;
}

/* By looking at all. */
static void find_due(struct hash_object *o)
{
    struct element_iterator it = element_iterate(&o->fields);
    o->due_ms = INT64_MAX;
    if (o->ending == 0)
        return;
    for (struct element *e; (e = element_next(&it));)
        if (element_deadline(e) != EXPIRY_NONE && element_deadline(e) < o->due_ms)
            o->due_ms = element_deadline(e);
}

/* Puts one field into the wheel. False: out of memory; the wheel is as good as before. */
static bool index_field(struct hash_object *o, struct slice name, int64_t deadline_ms,
                        int64_t now_ms)
{
    struct expire_index *x = o->index;
    uint64_t before = x->items;
    bool ok = expire_index_add(x, element_table_hash(&o->fields, name), deadline_ms, now_ms);
    if (x->items !=
        before + ok) { /* the clock was set back, and memory did not suffice to follow */
        drop_index(o);
        find_due(o);
        return true;
    }
    if (x->items > 2 * o->ending + HASH_SCANNED)
        expire_index_sweep(x);
    return ok;
}

/* A wheel with what there is; does without if memory does not suffice. */
static void make_index(struct hash_object *o, int64_t now_ms)
{
    struct expire_index *x = o->index = tu_alloc_zeroed(sizeof *x);
    if (!x)
        return;
    x->exact = true;
    if (o->ending == 0)
        return;
    struct element_iterator it = element_iterate(&o->fields);
    for (struct element *e; o->index && (e = element_next(&it));)
        if (element_deadline(e) != EXPIRY_NONE &&
            !index_field(o, element_name(e), element_deadline(e), now_ms))
            drop_index(o);
}

/* Called before a field gets its deadline: false if the hash could not keep it. */
static bool expect_deadline(struct hash_object *o, struct slice name, int64_t before_ms,
                            int64_t deadline_ms, int64_t now_ms)
{
    if (deadline_ms == EXPIRY_NONE)
        return true;
    if (!o->index && o->ending == 0 && hash_object_count(o) >= HASH_SCANNED)
        make_index(o, now_ms);
    bool later = before_ms != EXPIRY_NONE && deadline_ms >= before_ms; /* its old item will do */
    if (o->index && !later && !index_field(o, name, deadline_ms, now_ms))
        return false;
    if (deadline_ms < o->due_ms)
        o->due_ms = deadline_ms;
    if (o->index && expire_index_due_ms(o->index) < o->due_ms)
        o->due_ms = expire_index_due_ms(o->index);
    return true;
}

/* Called when a field's deadline has changed, come or gone. */
static void count_deadline(struct hash_object *o, int64_t before_ms, int64_t after_ms)
{
    o->ending += (uint64_t)((after_ms != EXPIRY_NONE) - (before_ms != EXPIRY_NONE));
    if (o->ending == 0) {
        drop_index(o);
        o->due_ms = INT64_MAX;
    }
}

/* ---- life ---- */

struct hash_object *hash_object_new(const struct siphash_key *secret)
{
    struct hash_object *o = tu_alloc(sizeof *o);
    if (!o)
        return NULL;
    element_table_init(&o->fields, secret);
    o->ending = 0;
    o->due_ms = INT64_MAX;
    o->index = NULL;
    return o;
}

void hash_object_free(struct hash_object *o)
{
    drop_index(o);
    element_table_destroy(&o->fields);
    tu_free(o);
}

/* ---- changing ---- */

enum element_added hash_object_set(struct hash_object *o, struct slice name, struct slice value,
                                   int64_t deadline_ms, int64_t now_ms)
{
    struct element_place place;
    struct element *made = element_new(name, value, deadline_ms);
    if (!made)
        return ELEMENT_NO_MEMORY;
    struct element *old = element_table_find(&o->fields, name, &place);
    int64_t before_ms = old ? element_deadline(old) : EXPIRY_NONE;
    if (!expect_deadline(o, name, before_ms, deadline_ms, now_ms) ||
        (!old && !element_table_insert(&o->fields, made))) {
        element_free(made);
        count_deadline(o, EXPIRY_NONE, EXPIRY_NONE); /* if it would have been the first: no wheel */
        return ELEMENT_NO_MEMORY;
    }
    if (old)
        element_table_replace(&o->fields, &place, made);
    count_deadline(o, before_ms, deadline_ms);
    if (!old && !o->index && o->ending > 0 && hash_object_count(o) == HASH_SCANNED + 1)
        make_index(o, now_ms);
    return old ? ELEMENT_EXISTS : ELEMENT_ADDED;
}

bool hash_object_set_deadline(struct hash_object *o, const struct element_place *place,
                              int64_t deadline_ms, int64_t now_ms)
{
    struct element *e = element_table_at(&o->fields, place);
    int64_t before_ms = element_deadline(e);
    if (!expect_deadline(o, element_name(e), before_ms, deadline_ms, now_ms) ||
        !element_table_set_deadline(&o->fields, place, deadline_ms)) {
        count_deadline(o, EXPIRY_NONE, EXPIRY_NONE);
        return false;
    }
    count_deadline(o, before_ms, deadline_ms);
    return true;
}

void hash_object_remove_at(struct hash_object *o, const struct element_place *place)
{
    int64_t before_ms = element_deadline(element_table_at(&o->fields, place));
    element_table_remove_at(&o->fields, place);
    count_deadline(o, before_ms, EXPIRY_NONE);
}

/* ---- what is over ---- */

static void remove_named(struct hash_object *o, struct slice name)
{
    struct element_place place;
    if (element_table_find(&o->fields, name, &place))
        hash_object_remove_at(o, &place);
}

/* At most `most`, of all fields. A bucket's elements are collected before any is removed, and what a removal rearranges
 * the cursor survives. */
static size_t reclaim_scanned(struct hash_object *o, int64_t now_ms, size_t most)
{
    struct element *found[ELEMENT_SCAN_MAX];
    size_t removed = 0, count;
    uint64_t cursor = 0;
    do {
        cursor = element_table_scan(&o->fields, cursor, found, &count);
        for (size_t i = 0; i < count && removed < most; i++) {
            if (element_is_over(found[i], now_ms)) {
                remove_named(o, element_name(found[i]));
                removed++;
            }
        }
    } while (cursor != 0 && removed < most && o->ending > 0);
    find_due(o);
    return removed;
}

/* What one item of the wheel asks for: true if a field was over. */
static bool settle(struct hash_object *o, uint64_t hash, int64_t now_ms)
{
    struct element_place place;
    struct element *e = element_table_find_hash(&o->fields, hash, &place);
    if (!e || element_deadline(e) == EXPIRY_NONE)
        return false;
    bool over = element_is_over(e, now_ms);
    if (over)
        hash_object_remove_at(o, &place); /* the last one takes the wheel with it */
    else if (!index_field(o, element_name(e), element_deadline(e), now_ms))
        drop_index(o);
    return over;
}

size_t hash_object_reclaim(struct hash_object *o, int64_t now_ms, size_t most)
{
    enum { BATCH = 64 };
    uint64_t hashes[BATCH];
    size_t removed = 0, count = 1;
    if (o->due_ms > now_ms)
        return 0;
    while (o->index && count > 0 && removed < most) {
        count = expire_index_take(o->index, now_ms, hashes,
                                  most - removed < BATCH ? most - removed : BATCH);
        for (size_t i = 0; i < count; i++)
            removed += settle(o, hashes[i], now_ms);
    }
    if (o->index)
        o->due_ms = expire_index_due_ms(o->index);
    else if (o->ending > 0)
        removed += reclaim_scanned(o, now_ms, most - removed);
    return removed;
}

/* ---- the type's row ---- */

static void free_object(void *object)
{
    hash_object_free(object);
}

static size_t free_effort(const void *object)
{
    return hash_object_count(object);
}

static size_t object_size(const void *object)
{
    return hash_object_count(object);
}

static size_t object_memory(const void *object)
{
    const struct hash_object *o = object;
    return tu_usable_size(o) + element_table_memory(&o->fields) +
           (o->index ? tu_usable_size(o->index) + o->index->bytes : 0);
}

static void *object_copy(const void *object)
{
    const struct hash_object *o = object;
    struct hash_object *copy = hash_object_new(o->fields.table.key);
    if (!copy)
        return NULL;
    if (!element_table_copy_into(&copy->fields, &o->fields)) {
        hash_object_free(copy);
        return NULL;
    }
    copy->ending = o->ending;
    copy->due_ms = o->due_ms;
    if (o->ending > 0 && hash_object_count(copy) > HASH_SCANNED)
        make_index(copy, o->index ? (int64_t)o->index->tick : o->due_ms);
    return copy;
}

static void digest_pair(uint8_t digest[SHA1_SIZE], struct slice name, struct slice value)
{
    uint8_t one[SHA1_SIZE] = {0};
    digest_mix(one, name.data, name.size);
    digest_mix(one, value.data, value.size);
    digest_xor(digest, one, SHA1_SIZE);
}

static void object_digest(const struct entry *e, uint8_t digest[SHA1_SIZE])
{
    if (e->encoding == ENCODING_PACKED) {
        struct packed p = entry_packed(e);
        struct packed_item name, value;
        for (size_t at = packed_first(p); at < p.size; at = packed_next(p, at)) {
            packed_get(p, at, &name);
            at = packed_next(p, at);
            packed_get(p, at, &value);
            digest_pair(digest, packed_text(&name), packed_text(&value));
        }
        return;
    }
    const struct hash_object *o = entry_block(e);
    struct element_iterator it = element_iterate(&o->fields);
    for (struct element *f; (f = element_next(&it));)
        digest_pair(digest, element_name(f), element_value(f));
}

static int64_t fields_due_ms(const void *object)
{
    return hash_object_due_ms(object);
}

static size_t fields_reclaim(void *object, int64_t now_ms, size_t most)
{
    return hash_object_reclaim(object, now_ms, most);
}

void hash_object_verify(const struct hash_object *o)
{
    uint64_t ending = 0;
    element_table_verify(&o->fields);
    struct element_iterator it = element_iterate(&o->fields);
    for (struct element *e; (e = element_next(&it));) {
        if (element_deadline(e) == EXPIRY_NONE)
            continue;
        ending++;
        tu_check(element_deadline(e) >= o->due_ms, "a field that is over before the hash says so");
    }
    tu_check(ending == o->ending, "%llu deadlines, counted %llu", (unsigned long long)ending,
             (unsigned long long)o->ending);
    tu_check(o->ending > 0 || (!o->index && o->due_ms == INT64_MAX), "deadlines that nobody has");
    if (o->index)
        expire_index_verify(o->index);
}

static void entry_verify(const struct entry *e)
{
    bool ending = false;
    if (e->encoding == ENCODING_PACKED) {
        packed_verify_names(entry_packed(e), 2);
    } else {
        const struct hash_object *o = entry_block(e);
        hash_object_verify(o);
        ending = o->due_ms != INT64_MAX; /* the last moment of all never comes: as good as none */
    }
    tu_check(entry_value_count(e) > 0, "a hash without fields");
    tu_check(((e->flags & ENTRY_FIELDS) != 0) == ending,
             "deadlines of fields of which the key knows nothing");
}

const struct type_ops hash_type_ops = {
    .free = free_object,
    .free_effort = free_effort,
    .size = object_size,
    .memory = object_memory,
    .copy = object_copy,
    .digest = object_digest,
    .verify = entry_verify,
    .fields_due_ms = fields_due_ms,
    .fields_reclaim = fields_reclaim,
};
