/* rdb_set.c - sets. Written as an intset, a listpack or members one by one; read from these. A member that comes twice is
 * an error.
 */
#include "persist/rdb_format.h"
#include "persist/rdb_packed.h"
#include "persist/rdb_types.h"
#include "store/shard.h"
#include "store/types/set_form.h"

#include <stdlib.h>
#include <tuco/mem.h>

/* What is before the integers in RDB: width and number in four bytes each. */
enum { RDB_INTSET_HEAD = 8 };

/* ---- writing ---- */

static void write_intset(struct rdb_writer *w, struct intset s)
{
    uint32_t head[2] = {s.bytes[0], (uint32_t)intset_count(s)};
    size_t size = s.size - INTSET_HEAD;
    char *bytes = tu_alloc(RDB_INTSET_HEAD + size);
    if (!bytes) {
        w->failed = true;
        return;
    }
    memcpy(bytes, head, RDB_INTSET_HEAD);
    memcpy(bytes + RDB_INTSET_HEAD, s.bytes + INTSET_HEAD, size);
    rdb_write_byte(w, RDB_SET_INTSET);
    rdb_write_string(w, (struct slice){bytes, RDB_INTSET_HEAD + size});
    tu_free(bytes);
}

void rdb_set_write(struct rdb_writer *w, const struct entry *e)
{
    if (e->encoding == ENCODING_INTSET) {
        write_intset(w, entry_intset(e));
        return;
    }
    if (e->encoding == ENCODING_PACKED) {
        rdb_write_byte(w, RDB_SET_LISTPACK);
        rdb_write_listpack(w, entry_packed(e));
        return;
    }
    const struct element_table *t = entry_table(e);
    rdb_write_byte(w, RDB_SET);
    rdb_write_length(w, element_table_count(t));
    struct element_iterator it = element_iterate(t);
    for (struct element *m; (m = element_next(&it));)
        rdb_write_string(w, element_name(m));
}

/* ---- reading ---- */

/* A set that is being read: integers while all members are, then a packed, then a table. */
struct draft {
    const struct rdb_target *target;
    struct rdb_packed packed;    /* of members, integers or not */
    struct element_table *table; /* not NULL: this one */
    bool integers;               /* all members of the packed are */
    int64_t most_integers, most, longest;
};

static struct draft draft_of(const struct rdb_target *target)
{
    struct type_limits *limits = keyspace_limits(target->keyspace);
    return (struct draft){.target = target,
                          .most_integers = type_limit(&limits->set_max_intset_entries),
                          .most = type_limit(&limits->set_max_listpack_entries),
                          .longest = type_limit(&limits->set_max_listpack_value)};
}

static enum rdb_result add_to_table(struct draft *d, struct slice member)
{
    switch (element_table_add(d->table, member)) {
    case ELEMENT_ADDED: return RDB_OK;
    case ELEMENT_EXISTS: return RDB_BAD;
    default: return RDB_NO_MEMORY;
    }
}

static enum rdb_result become_table(struct draft *d)
{
    enum rdb_result result = RDB_OK;
    d->table = element_table_new(&d->target->keyspace->secret);
    if (!d->table)
        return RDB_NO_MEMORY;
    struct packed p = d->packed.view;
    for (size_t at = packed_first(p); at < p.size && result == RDB_OK; at = packed_next(p, at)) {
        struct packed_item item;
        packed_get(p, at, &item);
        result = add_to_table(d, packed_text(&item));
    }
    return result;
}

static enum rdb_result add(struct draft *d, struct slice member)
{
    int64_t value;
    d->integers = d->integers && number_parse_int64(member, &value);
    bool large = (int64_t)d->packed.count >= d->most || (int64_t)member.size > d->longest;
    enum rdb_result result = !d->table && !d->integers && large ? become_table(d) : RDB_OK;
    if (result != RDB_OK)
        return result;
    if (d->table)
        return add_to_table(d, member);
    return rdb_packed_add(&d->packed, member) ? RDB_OK : RDB_NO_MEMORY;
}

static enum rdb_result read_members(struct rdb_reader *r, struct draft *d)
{
    uint64_t count;
    if (!rdb_read_length(r, &count))
        return r->result;
    if (count == 0)
        return RDB_BAD;
    if (!rdb_packed_begin(&d->packed))
        return RDB_NO_MEMORY;
    d->integers = true;
    bool large = d->most_integers >= 0 && count > (uint64_t)d->most_integers;
    enum rdb_result result = large ? become_table(d) : RDB_OK;
    for (uint64_t i = 0; i < count && result == RDB_OK; i++) {
        struct rdb_string member;
        if (!rdb_read_string(r, &member))
            return r->result;
        result = add(d, member.bytes);
        rdb_string_free(&member);
    }
    return result;
}

static enum rdb_result table_of_intset(struct intset s, struct draft *d)
{
    enum rdb_result result = become_table(d);
    for (size_t i = 0; i < intset_count(s) && result == RDB_OK; i++) {
        char digits[NUMBER_INT64_MAX_SIZE];
        size_t size = number_format_int64(digits, intset_get(s, i));
        result = add_to_table(d, (struct slice){digits, size});
    }
    return result;
}

static enum rdb_result use_intset(struct intset s, struct draft *d, struct entry **out)
{
    if (!intset_is_valid(s) || intset_count(s) == 0)
        return RDB_BAD;
    if ((int64_t)intset_count(s) > d->most_integers)
        return table_of_intset(s, d);
    return rdb_make_bytes(d->target, TYPE_SET, ENCODING_INTSET,
                          (struct slice){(const char *)s.bytes, s.size}, out);
}

/* Small enough to stay as it is: *out; else a table in the draft. */
static enum rdb_result read_intset(struct slice s, struct draft *d, struct entry **out)
{
    uint32_t width, count;
    if (s.size < RDB_INTSET_HEAD)
        return RDB_BAD;
    memcpy(&width, s.data, sizeof width);
    memcpy(&count, s.data + sizeof width, sizeof count);
    size_t size = s.size - RDB_INTSET_HEAD;
    if ((width != 2 && width != 4 && width != 8) || size != (uint64_t)count * width)
        return RDB_BAD;
    unsigned char *bytes = tu_alloc(INTSET_HEAD + size);
    if (!bytes)
        return RDB_NO_MEMORY;
    bytes[0] = (unsigned char)width;
    memcpy(bytes + INTSET_HEAD, s.data + RDB_INTSET_HEAD, size);
    enum rdb_result result = use_intset((struct intset){bytes, INTSET_HEAD + size}, d, out);
    tu_free(bytes);
    return result;
}

static enum rdb_result read_listpack(struct slice bytes, struct draft *d)
{
    enum rdb_result result = rdb_packed_of_listpack(bytes, &d->packed);
    if (result != RDB_OK) {
        d->packed.owned = NULL;
        return result;
    }
    if (d->packed.count == 0)
        return RDB_BAD;
    return (int64_t)d->packed.count > d->most ? become_table(d) : RDB_OK;
}

static int compare_integers(const void *a, const void *b)
{
    int64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* Members that are all integers, in any order, become an intset. */
static enum rdb_result intset_of_packed(struct draft *d, struct entry **out)
{
    struct packed p = d->packed.view;
    size_t count = d->packed.count, n = 0, width = 2;
    int64_t *values = tu_alloc(count * sizeof *values);
    unsigned char *bytes = tu_alloc(1 + count * sizeof *values);
    enum rdb_result result = values && bytes ? RDB_OK : RDB_NO_MEMORY;
    for (size_t at = packed_first(p); result == RDB_OK && at < p.size; at = packed_next(p, at)) {
        struct packed_item item;
        packed_get(p, at, &item);
        int64_t v = values[n++] = item.integer;
        size_t wants = v >= INT16_MIN && v <= INT16_MAX   ? 2
                       : v >= INT32_MIN && v <= INT32_MAX ? 4
                                                          : 8;
        width = wants > width ? wants : width;
    }
    if (result == RDB_OK) {
        qsort(values, count, sizeof *values, compare_integers);
        bytes[0] = (unsigned char)width;
        for (size_t i = 0; i < count; i++)
            memcpy(bytes + 1 + i * width, &values[i], width);
        for (size_t i = 1; i < count && result == RDB_OK; i++)
            result = values[i] == values[i - 1] ? RDB_BAD : RDB_OK;
    }
    if (result == RDB_OK)
        result = rdb_make_bytes(d->target, TYPE_SET, ENCODING_INTSET,
                                (struct slice){(const char *)bytes, 1 + count * width}, out);
    tu_free(values);
    tu_free(bytes);
    return result;
}

static enum rdb_result finish(struct draft *d, struct entry **out)
{
    if (!d->table && d->integers)
        return intset_of_packed(d, out);
    if (!d->table) {
        struct packed p = d->packed.view;
        enum rdb_result result = rdb_packed_distinct(p, 1, &d->target->keyspace->secret);
        if (result != RDB_OK)
            return result;
        return rdb_make_bytes(d->target, TYPE_SET, ENCODING_PACKED,
                              (struct slice){(const char *)p.bytes, p.size}, out);
    }
    enum rdb_result result = rdb_make_object(d->target, TYPE_SET, ENCODING_TABLE, d->table, out);
    if (result == RDB_OK)
        d->table = NULL;
    return result;
}

enum rdb_result rdb_set_read(struct rdb_reader *r, unsigned type, const struct rdb_target *target,
                             struct entry **out)
{
    struct draft d = draft_of(target);
    struct rdb_string s = {0};
    enum rdb_result result;
    *out = NULL;
    if (type == RDB_SET)
        result = read_members(r, &d);
    else if (!rdb_read_string(r, &s))
        result = r->result;
    else
        result =
            type == RDB_SET_INTSET ? read_intset(s.bytes, &d, out) : read_listpack(s.bytes, &d);
    if (result == RDB_OK && !*out)
        result = finish(&d, out);
    if (d.table)
        element_table_free(d.table);
    rdb_packed_free(&d.packed);
    rdb_string_free(&s);
    return result;
}
