/* hash.c - fields and values in both forms. Random fields are in hash_random.c, the object in hash_object.c.
 *
 * The forms meet in four functions: find, put, take and hash_each; what is told of a change (event, watchers, dirty) is
 * said once, where the operation ends.
 */
#include "store/types/hash.h"

#include "store/types/hash_object.h"
#include "store/types/value.h"

#include <math.h>

static inline bool is_packed(const struct found *f)
{
    return f->entry->encoding == ENCODING_PACKED;
}

/* ---- reading ---- */

enum store_result hash_open(struct transaction *tx, struct store_key key, enum lookup_how how,
                            struct hash_view *v)
{
    *v = (struct hash_view){.tx = tx, .key = key};
    enum store_result rc = value_find(tx, key, TYPE_HASH, how, &v->f);
    if (rc == STORE_WRONG_TYPE)
        v->f.entry = NULL;
    v->due_ms = rc == STORE_OK ? entry_fields_due_ms(v->f.entry) : INT64_MAX;
    return rc;
}

size_t hash_count(const struct hash_view *v)
{
    return v->f.entry ? entry_value_count(v->f.entry) : 0;
}

/* Where the value of this field is in a packed hash; p.size: there is no such field. */
static size_t packed_value_at(struct packed p, struct slice field)
{
    size_t at = packed_find(p, packed_first(p), 2, field);
    return at < p.size ? packed_next(p, at) : at;
}

bool hash_get(const struct hash_view *v, struct slice field, struct hash_text *value)
{
    if (!v->f.entry)
        return false;
    if (!is_packed(&v->f)) {
        const struct hash_object *o = value_object(&v->f);
        const struct element *e = element_table_find(&o->fields, field, NULL);
        if (e)
            value->bytes = element_value(e);
        return e != NULL;
    }
    struct packed p = entry_packed(v->f.entry);
    size_t at = packed_value_at(p, field);
    if (at == p.size)
        return false;
    struct packed_item item;
    packed_get(p, at, &item);
    value->bytes = item.bytes;
    if (item.is_integer)
        value->bytes =
            (struct slice){value->digits, number_format_int64(value->digits, item.integer)};
    return true;
}

bool hash_deadline(const struct hash_view *v, struct slice field, int64_t *at_ms)
{
    struct hash_text value;
    *at_ms = EXPIRY_NONE;
    if (!v->f.entry)
        return false;
    if (is_packed(&v->f))
        return hash_get(v, field, &value);
    const struct hash_object *o = value_object(&v->f);
    const struct element *e = element_table_find(&o->fields, field, NULL);
    if (e)
        *at_ms = element_deadline(e);
    return e != NULL;
}

static void packed_each(struct packed p, hash_visit_fn visit, void *context)
{
    struct packed_item name, value;
    for (size_t at = packed_first(p); at < p.size; at = packed_next(p, at)) {
        packed_get(p, at, &name);
        at = packed_next(p, at);
        packed_get(p, at, &value);
        visit(context, packed_text(&name), packed_text(&value));
    }
}

void hash_each(const struct hash_view *v, hash_visit_fn visit, void *context)
{
    if (!v->f.entry)
        return;
    if (is_packed(&v->f)) {
        packed_each(entry_packed(v->f.entry), visit, context);
        return;
    }
    const struct hash_object *o = value_object(&v->f);
    struct element_iterator it = element_iterate(&o->fields);
    for (struct element *e; (e = element_next(&it));)
        visit(context, element_name(e), element_value(e));
}

uint64_t hash_scan(const struct hash_view *v, uint64_t cursor, uint64_t count, hash_visit_fn visit,
                   void *context)
{
    if (!v->f.entry || is_packed(&v->f)) {
        hash_each(v, visit, context);
        return 0;
    }
    const struct hash_object *o = value_object(&v->f);
    uint64_t seen = 0;
    do {
        struct element *found[ELEMENT_SCAN_MAX];
        size_t n;
        cursor = element_table_scan(&o->fields, cursor, found, &n);
        for (size_t i = 0; i < n; i++)
            visit(context, element_name(found[i]), element_value(found[i]));
        seen += n;
    } while (cursor != 0 && seen < count);
    return cursor;
}

/* ---- the forms ---- */

static bool to_table(struct transaction *tx, struct found *f)
{
    struct hash_object *o = hash_object_new(&tx->keyspace->secret);
    if (!o)
        return false;
    struct packed p = entry_packed(f->entry);
    if (!element_table_expect(&o->fields, packed_count(p) / 2)) {
        hash_object_free(o);
        return false;
    }
    struct packed_item name, value;
    for (size_t at = packed_first(p); at < p.size; at = packed_next(p, at)) {
        packed_get(p, at, &name);
        at = packed_next(p, at);
        packed_get(p, at, &value);
        if (hash_object_set(o, packed_text(&name), packed_text(&value), EXPIRY_NONE, tx->now_ms) <
            0) {
            hash_object_free(o);
            return false;
        }
    }
    if (value_become_object(f, ENCODING_TABLE, o))
        return true;
    hash_object_free(o);
    return false;
}

/* The table if it is not one yet, when this many fields, or any that long, will not stay packed. */
static bool make_room(struct transaction *tx, struct found *f, const struct slice *pairs,
                      size_t count)
{
    const struct type_limits *limits = keyspace_limits(tx->keyspace);
    int64_t entries = type_limit(&limits->hash_max_listpack_entries),
            size = type_limit(&limits->hash_max_listpack_value);
    if (!is_packed(f))
        return true;
    bool fits = count <= (uint64_t)entries;
    for (size_t i = 0; i < 2 * count && fits; i++)
        fits = pairs[i].size <= (uint64_t)size;
    return fits || to_table(tx, f);
}

/* Beyond the limit it becomes a table; if memory does not suffice for that, the next time. */
static void settle_form(struct transaction *tx, struct found *f)
{
    const struct type_limits *limits = keyspace_limits(tx->keyspace);
    if (is_packed(f) &&
        entry_value_count(f->entry) > (uint64_t)type_limit(&limits->hash_max_listpack_entries))
        (void)to_table(tx, f);
}

enum { KEEP_DEADLINE = -2 };

/* Sets one field; at_ms is its deadline, EXPIRY_NONE, or KEEP_DEADLINE. */
static enum element_added put(struct transaction *tx, struct found *f, const struct slice pair[2],
                              int64_t at_ms)
{
    if (!is_packed(f)) {
        struct hash_object *o = value_object(f);
        if (at_ms == KEEP_DEADLINE) {
            const struct element *e =
                o->ending ? element_table_find(&o->fields, pair[0], NULL) : NULL;
            at_ms = e ? element_deadline(e) : EXPIRY_NONE;
        }
        return hash_object_set(o, pair[0], pair[1], at_ms, tx->now_ms);
    }
    struct packed p = entry_packed(f->entry);
    struct packed_store store = value_packed_store(f);
    size_t at = packed_value_at(p, pair[0]);
    if (at < p.size)
        return packed_replace(&store, p, at, pair[1]) ? ELEMENT_EXISTS : ELEMENT_NO_MEMORY;
    if (!packed_insert(&store, p, p.size, pair, 2))
        return ELEMENT_NO_MEMORY;
    settle_form(tx, f);
    return ELEMENT_ADDED;
}

/* Finds the hash or makes an empty one: *made. */
static enum store_result find_or_make(struct transaction *tx, struct store_key key, struct found *f,
                                      bool *made)
{
    enum store_result rc = value_find(tx, key, TYPE_HASH, LOOKUP_WRITE, f);
    *made = rc == STORE_MISSING;
    if (*made)
        rc = value_make_bytes(tx, key, TYPE_HASH, ENCODING_PACKED, PACKED_HEAD, f);
    return rc;
}

/* Undoes find_or_make when nothing could be put in: nobody has seen the key. */
static enum store_result give_up(struct found *f, bool made)
{
    if (made)
        shard_delete(f, false);
    return STORE_NO_MEMORY;
}

/* Puts all pairs: how many were put, and of these *added are new. */
static size_t put_all(struct transaction *tx, struct found *f, const struct slice *pairs,
                      size_t count, int64_t at_ms, size_t *added)
{
    *added = 0;
    for (size_t i = 0; i < count; i++) {
        enum element_added rc = put(tx, f, pairs + 2 * i, at_ms);
        if (rc == ELEMENT_NO_MEMORY)
            return i;
        *added += rc == ELEMENT_ADDED;
    }
    return count;
}

/* Says that deadlines of f's fields may have changed; due_ms is what was known before. */
static void deadlines_changed(struct transaction *tx, struct found *f, int64_t due_ms,
                              uint64_t hash)
{
    if (!is_packed(f))
        shard_fields_changed(tx, f, due_ms, hash);
}

/* ---- setting ---- */

enum store_result hash_set(struct transaction *tx, struct store_key key, const struct slice *pairs,
                           size_t count, size_t *added)
{
    struct found f;
    bool made;
    enum store_result rc = find_or_make(tx, key, &f, &made);
    if (rc != STORE_OK)
        return rc;
    int64_t due_ms = entry_fields_due_ms(f.entry);
    if (!make_room(tx, &f, pairs, count))
        return give_up(&f, made);
    size_t done = put_all(tx, &f, pairs, count, EXPIRY_NONE, added);
    if (done == 0)
        return give_up(&f, made);
    if (due_ms != INT64_MAX)
        deadlines_changed(tx, &f, due_ms, key.hash);
    value_changed(tx, key, EVENT_HASH, "hset", done);
    return done == count ? STORE_OK : STORE_NO_MEMORY;
}

enum store_result hash_set_new(struct transaction *tx, struct store_key key, struct slice field,
                               struct slice value)
{
    struct hash_view v;
    struct hash_text old;
    size_t added;
    const struct slice pair[2] = {field, value};
    enum store_result rc = hash_open(tx, key, LOOKUP_WRITE, &v);
    if (rc == STORE_WRONG_TYPE)
        return rc;
    if (hash_get(&v, field, &old))
        return STORE_NOT_MET;
    return hash_set(tx, key, pair, 1, &added);
}

/* True if the conditions of HSETEX hold. */
static bool conditions_hold(const struct hash_view *v, const struct slice *pairs, size_t count,
                            uint32_t conditions)
{
    struct hash_text value;
    if ((conditions & HASH_KEY_NX) && v->f.entry)
        return false;
    if ((conditions & HASH_KEY_XX) && !v->f.entry)
        return false;
    if (!(conditions & (HASH_FIELDS_NX | HASH_FIELDS_XX)))
        return true;
    bool wanted = conditions & HASH_FIELDS_XX;
    for (size_t i = 0; i < count; i++)
        if (hash_get(v, pairs[2 * i], &value) != wanted)
            return false;
    return true;
}

/* HSETEX with a deadline that has passed: the fields are set and over at once. */
static enum store_result set_over(struct transaction *tx, struct store_key key,
                                  const struct slice *pairs, size_t count)
{
    struct hash_view v;
    bool made;
    enum store_result rc = find_or_make(tx, key, &v.f, &made);
    if (rc != STORE_OK)
        return rc;
    hash_open(tx, key, LOOKUP_PEEK, &v);
    for (size_t i = 0; i < count; i++)
        hash_take(&v, pairs[2 * i]);
    effects_notify(tx, tx->db, EVENT_HASH, "hset", key.name);
    effects_notify(tx, tx->db, EVENT_HASH, "hexpire", key.name);
    deadlines_changed(tx, &v.f, v.due_ms, key.hash);
    value_changed(tx, key, EVENT_HASH, "hexpired", v.changed); /* even if nothing was there */
    if (hash_count(&v) == 0)
        value_drop_empty(tx, key, &v.f);
    return STORE_OK;
}

enum store_result hash_set_with(struct transaction *tx, struct store_key key,
                                const struct slice *pairs, size_t count,
                                const struct hash_set_options *options)
{
    struct hash_view v;
    bool made, ends = options->at_ms != EXPIRY_NONE;
    size_t added;
    enum store_result rc = hash_open(tx, key, LOOKUP_WRITE, &v);
    if (rc == STORE_WRONG_TYPE)
        return rc;
    if (!conditions_hold(&v, pairs, count, options->conditions))
        return STORE_NOT_MET;
    if (ends && options->at_ms <= tx->now_ms)
        return set_over(tx, key, pairs, count);
    rc = find_or_make(tx, key, &v.f, &made);
    if (rc != STORE_OK)
        return rc;
    int64_t due_ms = entry_fields_due_ms(v.f.entry);
    if (ends && is_packed(&v.f) ? !to_table(tx, &v.f) : !make_room(tx, &v.f, pairs, count))
        return give_up(&v.f, made);
    size_t done =
        put_all(tx, &v.f, pairs, count, options->keep_ttl ? KEEP_DEADLINE : options->at_ms, &added);
    if (done == 0)
        return give_up(&v.f, made);
    if (ends || due_ms != INT64_MAX)
        deadlines_changed(tx, &v.f, due_ms, key.hash);
    value_changed(tx, key, EVENT_HASH, "hset", done);
    if (ends)
        effects_notify(tx, tx->db, EVENT_HASH, "hexpire", key.name);
    return done == count ? STORE_OK : STORE_NO_MEMORY;
}

/* ---- counting ---- */

/* Stores the new number of HINCRBY and HINCRBYFLOAT, whose digits are not in the hash. */
static enum store_result set_number(struct transaction *tx, struct store_key key,
                                    struct slice field, struct slice digits, const char *event)
{
    struct found f;
    bool made;
    const struct slice pair[2] = {field, digits};
    enum store_result rc = find_or_make(tx, key, &f, &made);
    if (rc != STORE_OK)
        return rc;
    if (!make_room(tx, &f, pair, 1) || put(tx, &f, pair, KEEP_DEADLINE) == ELEMENT_NO_MEMORY)
        return give_up(&f, made);
    value_changed(tx, key, EVENT_HASH, event, 1);
    return STORE_OK;
}

enum store_result hash_increment(struct transaction *tx, struct store_key key, struct slice field,
                                 int64_t delta, int64_t *value)
{
    struct hash_view v;
    struct hash_text old;
    char digits[NUMBER_INT64_MAX_SIZE];
    enum store_result rc = hash_open(tx, key, LOOKUP_WRITE, &v);
    if (rc == STORE_WRONG_TYPE)
        return rc;
    *value = 0;
    if (hash_get(&v, field, &old) && !number_parse_int64(old.bytes, value))
        return STORE_NOT_INTEGER;
    if (__builtin_add_overflow(*value, delta, value))
        return STORE_OVERFLOW;
    struct slice text = {digits, number_format_int64(digits, *value)};
    return set_number(tx, key, field, text, "hincrby");
}

enum store_result hash_increment_float(struct transaction *tx, struct store_key key,
                                       struct slice field, long double delta, char *out,
                                       size_t *size)
{
    struct hash_view v;
    struct hash_text old;
    long double value = 0;
    enum store_result rc = hash_open(tx, key, LOOKUP_WRITE, &v);
    if (rc == STORE_WRONG_TYPE)
        return rc;
    if (hash_get(&v, field, &old) && !number_parse_long_double(old.bytes, &value))
        return STORE_NOT_FLOAT;
    value += delta;
    if (isnan(value) || isinf(value))
        return STORE_NAN;
    *size = number_format_long_double(out, value);
    return set_number(tx, key, field, (struct slice){out, *size}, "hincrbyfloat");
}

/* ---- single fields ---- */

bool hash_take(struct hash_view *v, struct slice field)
{
    if (!v->f.entry)
        return false;
    if (is_packed(&v->f)) {
        struct packed p = entry_packed(v->f.entry);
        size_t at = packed_find(p, packed_first(p), 2, field);
        if (at == p.size)
            return false;
        struct packed_store store = value_packed_store(&v->f);
        packed_remove(&store, p, at, 2);
    } else {
        struct hash_object *o = value_object(&v->f);
        struct element_place place;
        if (!element_table_find(&o->fields, field, &place))
            return false;
        hash_object_remove_at(o, &place);
    }
    v->changed++;
    return true;
}

/* As EXPIRE's: no deadline is later than any. */
static bool deadline_condition_holds(uint32_t conditions, int64_t before_ms, int64_t at_ms)
{
    bool none = before_ms == EXPIRY_NONE;
    if (((conditions & EXPIRE_NX) && !none) || ((conditions & EXPIRE_XX) && none))
        return false;
    if ((conditions & EXPIRE_GT) && (none || at_ms <= before_ms))
        return false;
    return !((conditions & EXPIRE_LT) && !none && at_ms >= before_ms);
}

enum store_result hash_set_deadline(struct hash_view *v, struct slice field, int64_t at_ms,
                                    uint32_t conditions)
{
    int64_t before_ms;
    if (!hash_deadline(v, field, &before_ms))
        return STORE_MISSING;
    if (at_ms == EXPIRY_NONE ? before_ms == EXPIRY_NONE
                             : !deadline_condition_holds(conditions, before_ms, at_ms))
        return STORE_NOT_MET;
    if (at_ms != EXPIRY_NONE && at_ms <= v->tx->now_ms) {
        hash_take(v, field);
        return STORE_EXISTS;
    }
    if (is_packed(&v->f) && !to_table(v->tx, &v->f))
        return STORE_NO_MEMORY;
    struct hash_object *o = value_object(&v->f);
    struct element_place place;
    element_table_find(&o->fields, field, &place);
    if (!hash_object_set_deadline(o, &place, at_ms, v->tx->now_ms))
        return STORE_NO_MEMORY;
    v->changed++;
    return STORE_OK;
}

void hash_commit(struct hash_view *v, const char *event)
{
    if (!v->f.entry)
        return;
    deadlines_changed(v->tx, &v->f, v->due_ms, v->key.hash);
    if (v->changed > 0)
        value_changed(v->tx, v->key, EVENT_HASH, event, v->changed);
    if (hash_count(v) == 0)
        value_drop_empty(v->tx, v->key, &v->f);
}
