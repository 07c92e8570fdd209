/* rdb_stream_read.c - streams, read (rdb_stream.c writes them):
 *
 *     nodes { id 16, listpack }, length, last id, first id, greatest deleted id, entries ever added,
 *     groups { name, last id, entries read, pending { id 16, time 8, deliveries },
 *              consumers { name, seen 8, active 8, pending { id 16 } } }
 *
 * Older forms lack what came later. Ids of nodes and pending entries are big endian. Nodes must ascend, and be sound
 * inside (stream_object_append checks that); each pending entry of a group belongs to exactly one of its consumers.
 */
#include "persist/rdb_format.h"
#include "persist/rdb_packed.h"
#include "persist/rdb_types.h"
#include "store/types/stream_group.h"
#include "store/types/stream_object.h"

#include <tuco/mem.h>

enum { ID_BYTES = 16, PENDING_BYTES_MIN = ID_BYTES + 8 + 1 };

/* ---- reading: nodes and numbers ---- */

static bool read_raw_id(struct rdb_reader *r, struct id *id)
{
    if (!rdb_read_number(r, 8, &id->ms) || !rdb_read_number(r, 8, &id->seq))
        return false;
    *id = (struct id){__builtin_bswap64(id->ms), __builtin_bswap64(id->seq)};
    return true;
}

static bool read_id(struct rdb_reader *r, struct id *id)
{
    return rdb_read_length(r, &id->ms) && rdb_read_length(r, &id->seq);
}

static enum rdb_result read_node(struct rdb_reader *r, struct stream_object *s)
{
    struct rdb_string key, bytes;
    struct rdb_packed p;
    struct id id;
    if (!rdb_read_string(r, &key))
        return r->result;
    struct rdb_reader k = rdb_reader_of(key.bytes);
    bool is_id = key.bytes.size == ID_BYTES && read_raw_id(&k, &id);
    rdb_string_free(&key);
    if (!is_id)
        return RDB_BAD;
    if (!rdb_read_string(r, &bytes))
        return r->result;
    enum rdb_result result = rdb_packed_of_listpack(bytes.bytes, &p);
    if (result == RDB_OK) {
        enum store_result rc = stream_object_append(s, id, p.view);
        result = rc == STORE_OK ? RDB_OK : rc == STORE_NO_MEMORY ? RDB_NO_MEMORY : RDB_BAD;
        rdb_packed_free(&p);
    }
    rdb_string_free(&bytes);
    return result;
}

/* What the stream remembers, which must agree with its entries. */
static enum rdb_result read_numbers(struct rdb_reader *r, unsigned type, struct stream_object *s)
{
    uint64_t length;
    struct id first, last = s->last_id;
    if (!rdb_read_length(r, &length) || !read_id(r, &s->last_id))
        return r->result;
    if (length != s->length || id_compare(s->last_id, last) < 0)
        return RDB_BAD;
    s->entries_added = length;
    if (type == RDB_STREAM_LISTPACKS)
        return RDB_OK;
    if (!read_id(r, &first) || !read_id(r, &s->max_deleted_id) ||
        !rdb_read_length(r, &s->entries_added))
        return r->result;
    bool agrees = s->entries_added >= length && id_compare(s->max_deleted_id, s->last_id) <= 0;
    return agrees ? RDB_OK : RDB_BAD;
}

/* ---- reading: groups ---- */

/* Pending entries of a group, whose consumers come later. */
struct pending {
    struct id id;
    int64_t delivered_ms;
    uint64_t deliveries;
    bool owned;
};
struct pending_list {
    struct pending *items; /* ascending */
    size_t count, owned;
};

static enum rdb_result read_pending(struct rdb_reader *r, struct pending_list *list)
{
    uint64_t count;
    if (!rdb_read_length(r, &count))
        return r->result;
    if (count > rdb_left(r) / PENDING_BYTES_MIN)
        return RDB_BAD;
    if (count == 0)
        return RDB_OK;
    list->items = tu_alloc(count * sizeof *list->items);
    if (!list->items)
        return RDB_NO_MEMORY;
    for (; list->count < count; list->count++) {
        struct pending *p = &list->items[list->count];
        uint64_t delivered;
        if (!read_raw_id(r, &p->id) || !rdb_read_number(r, 8, &delivered) ||
            !rdb_read_length(r, &p->deliveries))
            return r->result;
        p->delivered_ms = (int64_t)delivered;
        p->owned = false;
        if (list->count > 0 && id_compare(p[-1].id, p->id) >= 0)
            return RDB_BAD;
    }
    return RDB_OK;
}

/* NULL: the group has no such entry pending. */
static struct pending *find_pending(const struct pending_list *list, struct id id)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = id_compare(list->items[middle].id, id);
        if (order == 0)
            return &list->items[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static enum rdb_result read_consumer_pending(struct rdb_reader *r, struct stream_group *g,
                                             struct stream_consumer *c, struct pending_list *list)
{
    uint64_t count;
    if (!rdb_read_length(r, &count))
        return r->result;
    for (uint64_t i = 0; i < count; i++) {
        struct id id;
        if (!read_raw_id(r, &id))
            return r->result;
        struct pending *p = find_pending(list, id);
        if (!p || p->owned)
            return RDB_BAD;
        struct stream_nack *nack = stream_group_deliver(g, c, id, p->delivered_ms);
        if (!nack)
            return RDB_NO_MEMORY;
        nack->deliveries = p->deliveries;
        p->owned = true;
        list->owned++;
    }
    return RDB_OK;
}

static enum rdb_result read_consumer(struct rdb_reader *r, unsigned type, struct stream_group *g,
                                     struct pending_list *list)
{
    struct rdb_string name;
    uint64_t seen, active;
    if (!rdb_read_string(r, &name))
        return r->result;
    struct stream_consumer *c = NULL;
    bool twice = stream_consumer_find(g, name.bytes) != NULL;
    if (!twice)
        c = stream_consumer_create(g, name.bytes, 0);
    rdb_string_free(&name);
    if (!c)
        return twice ? RDB_BAD : RDB_NO_MEMORY;
    if (!rdb_read_number(r, 8, &seen))
        return r->result;
    active = seen;
    if (type == RDB_STREAM_LISTPACKS_3 && !rdb_read_number(r, 8, &active))
        return r->result;
    c->seen_ms = (int64_t)seen;
    c->active_ms = (int64_t)active;
    return read_consumer_pending(r, g, c, list);
}

static enum rdb_result read_consumers(struct rdb_reader *r, unsigned type, struct stream_group *g)
{
    struct pending_list list = {0};
    uint64_t count = 0;
    enum rdb_result result = read_pending(r, &list);
    if (result == RDB_OK && !rdb_read_length(r, &count))
        result = r->result;
    for (uint64_t i = 0; i < count && result == RDB_OK; i++)
        result = read_consumer(r, type, g, &list);
    if (result == RDB_OK && list.owned != list.count)
        result = RDB_BAD;
    tu_free(list.items);
    return result;
}

static enum rdb_result read_group(struct rdb_reader *r, unsigned type, struct stream_object *s)
{
    struct rdb_string name;
    struct id last_id;
    uint64_t read = (uint64_t)STREAM_READ_UNKNOWN;
    if (!rdb_read_string(r, &name))
        return r->result;
    enum rdb_result result = RDB_OK;
    struct stream_group *g = NULL;
    if (!read_id(r, &last_id) || (type != RDB_STREAM_LISTPACKS && !rdb_read_length(r, &read)))
        result = r->result;
    else if ((int64_t)read < STREAM_READ_UNKNOWN || stream_group_find(s, name.bytes))
        result = RDB_BAD;
    else if (!(g = stream_group_create(s, name.bytes, last_id, (int64_t)read)))
        result = RDB_NO_MEMORY;
    rdb_string_free(&name);
    return result == RDB_OK ? read_consumers(r, type, g) : result;
}

enum rdb_result rdb_stream_read(struct rdb_reader *r, unsigned type,
                                const struct rdb_target *target, struct entry **out)
{
    uint64_t nodes, groups = 0;
    if (!rdb_read_length(r, &nodes))
        return r->result;
    struct stream_object *s = stream_object_new();
    enum rdb_result result = s ? RDB_OK : RDB_NO_MEMORY;
    for (uint64_t i = 0; i < nodes && result == RDB_OK; i++)
        result = read_node(r, s);
    if (result == RDB_OK)
        result = read_numbers(r, type, s);
    if (result == RDB_OK && !rdb_read_length(r, &groups))
        result = r->result;
    for (uint64_t i = 0; i < groups && result == RDB_OK; i++)
        result = read_group(r, type, s);
    if (result == RDB_OK)
        result = rdb_make_object(target, TYPE_STREAM, ENCODING_STREAM, s, out);
    if (result != RDB_OK && s)
        stream_object_free(s);
    return result;
}
