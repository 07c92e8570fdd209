/* rdb_hash.c - hashes. Written as a listpack, as pairs, or (fields with deadlines) as triples; read from these and from
 * ziplists and zipmaps. A field that comes twice is an error.
 */
#include "persist/rdb_format.h"
#include "persist/rdb_packed.h"
#include "persist/rdb_types.h"
#include "store/shard.h"
#include "store/types/hash_object.h"

#include <tuco/mem.h>

/* ---- writing ---- */

void rdb_hash_write(struct rdb_writer *w, const struct entry *e)
{
    if (e->encoding == ENCODING_PACKED) {
        rdb_write_byte(w, RDB_HASH_LISTPACK);
        rdb_write_listpack(w, entry_packed(e));
        return;
    }
    const struct hash_object *o = entry_block(e);
    rdb_write_byte(w, o->ending > 0 ? RDB_HASH_2 : RDB_HASH);
    rdb_write_length(w, hash_object_count(o));
    struct element_iterator it = element_iterate(&o->fields);
    for (struct element *f; (f = element_next(&it));) {
        rdb_write_string(w, element_name(f));
        rdb_write_string(w, element_value(f));
        if (o->ending > 0)
            rdb_write_number(w, (uint64_t)element_deadline(f), 8);
    }
}

/* ---- reading ---- */

/* A hash that is being read: packed until it is too large for that. */
struct draft {
    const struct rdb_target *target;
    struct rdb_packed packed;
    struct hash_object *object; /* not NULL: this one */
    int64_t most, longest;      /* limits of a packed: fields, bytes of a name or value */
};

static struct draft draft_of(const struct rdb_target *target)
{
    struct type_limits *limits = keyspace_limits(target->keyspace);
    return (struct draft){.target = target,
                          .most = type_limit(&limits->hash_max_listpack_entries),
                          .longest = type_limit(&limits->hash_max_listpack_value)};
}

static enum rdb_result add_to_object(struct draft *d, struct slice name, struct slice value,
                                     int64_t deadline_ms)
{
    static const char nothing[1];
    if (!value.data)
        value.data = nothing;
    switch (hash_object_set(d->object, name, value, deadline_ms, d->target->now_ms)) {
    case ELEMENT_ADDED: return RDB_OK;
    case ELEMENT_EXISTS: return RDB_BAD;
    default: return RDB_NO_MEMORY;
    }
}

/* From now on an object, with what the packed has. */
static enum rdb_result become_object(struct draft *d)
{
    enum rdb_result result = RDB_OK;
    d->object = hash_object_new(&d->target->keyspace->secret);
    if (!d->object)
        return RDB_NO_MEMORY;
    struct packed p = d->packed.view;
    struct packed_item name, value;
    for (size_t at = packed_first(p); at < p.size && result == RDB_OK; at = packed_next(p, at)) {
        packed_get(p, at, &name);
        at = packed_next(p, at);
        packed_get(p, at, &value);
        result = add_to_object(d, packed_text(&name), packed_text(&value), EXPIRY_NONE);
    }
    return result;
}

static enum rdb_result add(struct draft *d, struct slice name, struct slice value,
                           int64_t deadline_ms)
{
    bool large = (int64_t)name.size > d->longest || (int64_t)value.size > d->longest;
    enum rdb_result result = !d->object && large ? become_object(d) : RDB_OK;
    if (result != RDB_OK)
        return result;
    if (d->object)
        return add_to_object(d, name, value, deadline_ms);
    return rdb_packed_add(&d->packed, name) && rdb_packed_add(&d->packed, value) ? RDB_OK
                                                                                 : RDB_NO_MEMORY;
}

static enum rdb_result read_field(struct rdb_reader *r, unsigned type, struct draft *d)
{
    struct rdb_string name, value;
    uint64_t deadline = (uint64_t)EXPIRY_NONE;
    if (!rdb_read_string(r, &name))
        return r->result;
    if (!rdb_read_string(r, &value)) {
        rdb_string_free(&name);
        return r->result;
    }
    enum rdb_result result = RDB_OK;
    if (type == RDB_HASH_2 && !rdb_read_number(r, 8, &deadline))
        result = r->result;
    else if ((int64_t)deadline < EXPIRY_NONE)
        result = RDB_BAD;
    else
        result = add(d, name.bytes, value.bytes, (int64_t)deadline);
    rdb_string_free(&name);
    rdb_string_free(&value);
    return result;
}

static enum rdb_result read_fields(struct rdb_reader *r, unsigned type, struct draft *d)
{
    uint64_t count;
    if (!rdb_read_length(r, &count))
        return r->result;
    if (count == 0)
        return RDB_BAD;
    if (!rdb_packed_begin(&d->packed))
        return RDB_NO_MEMORY;
    bool large = type == RDB_HASH_2 || (d->most >= 0 && count > (uint64_t)d->most);
    enum rdb_result result = large ? become_object(d) : RDB_OK;
    for (uint64_t i = 0; i < count && result == RDB_OK; i++)
        result = read_field(r, type, d);
    return result;
}

static bool has_long_element(struct packed p, int64_t longest)
{
    for (size_t at = packed_first(p); at < p.size; at = packed_next(p, at)) {
        struct packed_item item;
        packed_get(p, at, &item);
        if ((int64_t)packed_text(&item).size > longest)
            return true;
    }
    return false;
}

static enum rdb_result read_compact(unsigned type, struct slice bytes, struct draft *d)
{
    enum rdb_result result = type == RDB_HASH_LISTPACK ? rdb_packed_of_listpack(bytes, &d->packed)
                             : type == RDB_HASH_ZIPMAP ? rdb_packed_of_zipmap(bytes, &d->packed)
                                                       : rdb_packed_of_ziplist(bytes, &d->packed);
    if (result != RDB_OK) {
        d->packed.owned = NULL;
        return result;
    }
    size_t count = d->packed.count;
    if (count == 0 || count % 2 != 0)
        return RDB_BAD;
    if ((int64_t)(count / 2) > d->most ||
        (type == RDB_HASH_ZIPMAP && has_long_element(d->packed.view, d->longest)))
        return become_object(d);
    return RDB_OK;
}

/* The store keeps hashes bare (packed.h). */
static enum rdb_result make_bare(const struct rdb_target *target, struct packed p,
                                 struct entry **out)
{
    unsigned char near[1024];
    unsigned char *bytes = p.size <= sizeof near ? near : tu_alloc(p.size);
    if (!bytes)
        return RDB_NO_MEMORY;
    struct slice bare = {(const char *)bytes, packed_strip(bytes, p)};
    enum rdb_result result = rdb_make_bytes(target, TYPE_HASH, ENCODING_PACKED, bare, out);
    if (bytes != near)
        tu_free(bytes);
    return result;
}

/* Makes the entry, which takes the object. */
static enum rdb_result finish(struct draft *d, struct entry **out)
{
    if (!d->object) {
        struct packed p = d->packed.view;
        enum rdb_result result = rdb_packed_distinct(p, 2, &d->target->keyspace->secret);
        if (result != RDB_OK)
            return result;
        return make_bare(d->target, p, out);
    }
    enum rdb_result result = rdb_make_object(d->target, TYPE_HASH, ENCODING_TABLE, d->object, out);
    if (result != RDB_OK)
        return result;
    if (hash_object_due_ms(d->object) != INT64_MAX) /* else its deadlines never come */
        (*out)->flags |= ENTRY_FIELDS;
    d->object = NULL;
    return RDB_OK;
}

enum rdb_result rdb_hash_read(struct rdb_reader *r, unsigned type, const struct rdb_target *target,
                              struct entry **out)
{
    struct draft d = draft_of(target);
    struct rdb_string s = {0};
    enum rdb_result result;
    if (type == RDB_HASH || type == RDB_HASH_2)
        result = read_fields(r, type, &d);
    else
        result = rdb_read_string(r, &s) ? read_compact(type, s.bytes, &d) : r->result;
    if (result == RDB_OK)
        result = finish(&d, out);
    if (d.object)
        hash_object_free(d.object);
    rdb_packed_free(&d.packed);
    rdb_string_free(&s);
    return result;
}
