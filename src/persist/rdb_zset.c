/* rdb_zset.c - sorted sets. Written as a listpack, or members and scores from the highest to the lowest; read from these,
 * from ziplists, and from scores as text. Everything that is read is sorted anew, so that what comes in any order, or with
 * scores in any spelling, is what the store would have. A member that comes twice, and a score that is no number, is an
 * error.
 */
#include "persist/rdb_format.h"
#include "persist/rdb_packed.h"
#include "persist/rdb_types.h"
#include "store/shard.h"
#include "store/types/zset_object.h"

#include <math.h>

/* ---- writing ---- */

static void write_score(struct rdb_writer *w, double score)
{
    uint64_t bits;
    memcpy(&bits, &score, sizeof bits);
    rdb_write_number(w, bits, sizeof bits);
}

void rdb_zset_write(struct rdb_writer *w, const struct entry *e)
{
    if (e->encoding == ENCODING_PACKED) {
        rdb_write_byte(w, RDB_ZSET_LISTPACK);
        rdb_write_listpack(w, entry_packed(e));
        return;
    }
    const struct zset_object *o = entry_block(e);
    rdb_write_byte(w, RDB_ZSET_2);
    rdb_write_length(w, zset_object_count(o));
    if (zset_object_count(o) == 0)
        return;
    struct score_place at = score_tree_at(&o->order, zset_object_count(o) - 1);
    for (const struct element *m; (m = score_place_get(at)); at = score_place_prev(at)) {
        rdb_write_string(w, element_name(m));
        write_score(w, element_score(m));
    }
}

/* ---- reading ---- */

struct draft {
    const struct rdb_target *target;
    struct zset_object *object;
    size_t longest; /* bytes of a member */
};

static enum rdb_result add(struct draft *d, struct slice member, double score)
{
    if (isnan(score) || element_table_find(&d->object->members, member, NULL))
        return RDB_BAD;
    if (member.size > d->longest)
        d->longest = member.size;
    return zset_object_add(d->object, member, score) ? RDB_OK : RDB_NO_MEMORY;
}

/* A score as text behind its size in a byte, or 253 NaN, 254 infinity, 255 minus infinity. */
static bool read_text_score(struct rdb_reader *r, double *score)
{
    unsigned char size;
    struct slice text;
    if (!rdb_read_byte(r, &size))
        return false;
    *score = size == 254 ? INFINITY : size == 255 ? -INFINITY : NAN;
    if (size >= 253)
        return true;
    if (!rdb_read_bytes(r, size, &text))
        return false;
    if (!number_parse_double(text, score))
        *score = NAN;
    return true;
}

static bool read_score(struct rdb_reader *r, unsigned type, double *score)
{
    uint64_t bits;
    if (type == RDB_ZSET)
        return read_text_score(r, score);
    if (!rdb_read_number(r, sizeof bits, &bits))
        return false;
    memcpy(score, &bits, sizeof bits);
    return true;
}

static enum rdb_result read_members(struct rdb_reader *r, unsigned type, struct draft *d)
{
    uint64_t count;
    enum rdb_result result = RDB_OK;
    if (!rdb_read_length(r, &count))
        return r->result;
    for (uint64_t i = 0; i < count && result == RDB_OK; i++) {
        struct rdb_string member;
        double score;
        if (!rdb_read_string(r, &member))
            return r->result;
        result = read_score(r, type, &score) ? add(d, member.bytes, score) : r->result;
        rdb_string_free(&member);
    }
    return result;
}

static enum rdb_result add_packed(struct draft *d, struct packed p)
{
    enum rdb_result result = RDB_OK;
    for (size_t at = packed_first(p); at < p.size && result == RDB_OK; at = packed_next(p, at)) {
        struct packed_item member, score;
        double value;
        packed_get(p, at, &member);
        at = packed_next(p, at);
        packed_get(p, at, &score);
        if (!number_parse_double(packed_text(&score), &value))
            return RDB_BAD;
        result = add(d, packed_text(&member), value);
    }
    return result;
}

static enum rdb_result read_compact(struct rdb_reader *r, unsigned type, struct draft *d)
{
    struct rdb_string s;
    struct rdb_packed p;
    if (!rdb_read_string(r, &s))
        return r->result;
    enum rdb_result result = type == RDB_ZSET_LISTPACK ? rdb_packed_of_listpack(s.bytes, &p)
                                                       : rdb_packed_of_ziplist(s.bytes, &p);
    if (result == RDB_OK) {
        result = p.count % 2 == 0 ? add_packed(d, p.view) : RDB_BAD;
        rdb_packed_free(&p);
    }
    rdb_string_free(&s);
    return result;
}

static enum rdb_result make_packed(struct draft *d, struct entry **out)
{
    struct rdb_packed p;
    if (!rdb_packed_begin(&p))
        return RDB_NO_MEMORY;
    struct score_place at = score_tree_at(&d->object->order, 0);
    enum rdb_result result = RDB_OK;
    for (const struct element *m; result == RDB_OK && (m = score_place_get(at));
         at = score_place_next(at)) {
        char digits[NUMBER_DOUBLE_MAX_SIZE];
        double value = element_score(m) == 0 ? 0 : element_score(m); /* a packed knows no -0 */
        struct slice score = {digits, number_format_double(digits, value)};
        if (!rdb_packed_add(&p, element_name(m)) || !rdb_packed_add(&p, score))
            result = RDB_NO_MEMORY;
    }
    if (result == RDB_OK)
        result = rdb_make_bytes(d->target, TYPE_ZSET, ENCODING_PACKED,
                                (struct slice){(const char *)p.view.bytes, p.view.size}, out);
    rdb_packed_free(&p);
    return result;
}

/* A packed if it is small; a listpack of long members stays one. */
static bool is_small(const struct draft *d, unsigned type)
{
    struct type_limits *limits = keyspace_limits(d->target->keyspace);
    bool compact = type == RDB_ZSET_LISTPACK || type == RDB_ZSET_ZIPLIST;
    return (int64_t)zset_object_count(d->object) <=
               type_limit(&limits->zset_max_listpack_entries) &&
           (compact || (int64_t)d->longest <= type_limit(&limits->zset_max_listpack_value));
}

enum rdb_result rdb_zset_read(struct rdb_reader *r, unsigned type, const struct rdb_target *target,
                              struct entry **out)
{
    struct draft d = {target, zset_object_new(&target->keyspace->secret), 0};
    if (!d.object)
        return RDB_NO_MEMORY;
    enum rdb_result result = type == RDB_ZSET || type == RDB_ZSET_2 ? read_members(r, type, &d)
                                                                    : read_compact(r, type, &d);
    if (result == RDB_OK && zset_object_count(d.object) == 0)
        result = RDB_BAD;
    bool small = result == RDB_OK && is_small(&d, type);
    if (small)
        result = make_packed(&d, out);
    else if (result == RDB_OK)
        result = rdb_make_object(target, TYPE_ZSET, ENCODING_TREE, d.object, out);
    if (small || result != RDB_OK)
        zset_object_free(d.object);
    return result;
}
