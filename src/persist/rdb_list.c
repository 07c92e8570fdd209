/* rdb_list.c - lists. Written as nodes of listpacks and plain elements (a short list is one node); read from these, from
 * nodes of ziplists, from one ziplist, and from elements one by one.
 */
#include "persist/rdb_format.h"
#include "persist/rdb_packed.h"
#include "persist/rdb_types.h"
#include "store/index/quicklist.h"
#include "store/type_limits.h"

static void write_node(struct rdb_writer *w, const struct quicklist_node *node)
{
    rdb_write_length(w, node->plain ? RDB_NODE_PLAIN : RDB_NODE_PACKED);
    if (node->plain)
        rdb_write_string(w, (struct slice){(const char *)node->bytes, node->size});
    else
        rdb_write_listpack(w, quicklist_packed(node));
}

void rdb_list_write(struct rdb_writer *w, const struct entry *e)
{
    rdb_write_byte(w, RDB_LIST_QUICKLIST_2);
    if (e->encoding == ENCODING_PACKED) {
        rdb_write_length(w, 1);
        rdb_write_length(w, RDB_NODE_PACKED);
        rdb_write_listpack(w, entry_packed(e));
        return;
    }
    const struct quicklist *q = entry_block(e);
    rdb_write_length(w, q->nodes);
    for (const struct quicklist_node *node = q->head; node; node = node->next)
        write_node(w, node);
}

/* Adds the elements of a compact form; none is no node. */
static enum rdb_result append(struct quicklist *q, unsigned type, struct slice bytes)
{
    struct rdb_packed p;
    enum rdb_result result = type == RDB_LIST_QUICKLIST_2 ? rdb_packed_of_listpack(bytes, &p)
                                                          : rdb_packed_of_ziplist(bytes, &p);
    if (result != RDB_OK)
        return result;
    if (p.count > 0 && !quicklist_append_packed(q, p.view))
        result = RDB_NO_MEMORY;
    rdb_packed_free(&p);
    return result;
}

/* One node or, of the oldest form, one element. */
static enum rdb_result read_node(struct rdb_reader *r, unsigned type, struct quicklist *q,
                                 int64_t fill)
{
    uint64_t container = RDB_NODE_PACKED;
    struct rdb_string s;
    if (type == RDB_LIST_QUICKLIST_2 && !rdb_read_length(r, &container))
        return r->result;
    if (container != RDB_NODE_PACKED && container != RDB_NODE_PLAIN)
        return RDB_BAD;
    if (!rdb_read_string(r, &s))
        return r->result;
    enum rdb_result result = RDB_OK;
    if (type == RDB_LIST)
        result = quicklist_push(q, QUICKLIST_TAIL, s.bytes, fill) ? RDB_OK : RDB_NO_MEMORY;
    else if (container == RDB_NODE_PACKED)
        result = append(q, type, s.bytes);
    else if (s.bytes.size == 0)
        result = RDB_BAD;
    else if (!quicklist_append_plain(q, s.bytes))
        result = RDB_NO_MEMORY;
    rdb_string_free(&s);
    return result;
}

/* A quicklist of one node within the limit becomes a packed. */
static bool is_short(const struct quicklist *q, int64_t fill)
{
    return quicklist_is_one(q) && quicklist_fits(fill, q->head->size + QUICKLIST_FRAME, q->count);
}

enum rdb_result rdb_list_read(struct rdb_reader *r, unsigned type, const struct rdb_target *target,
                              struct entry **out)
{
    int64_t fill = type_limit(&keyspace_limits(target->keyspace)->list_max_listpack_size);
    uint64_t nodes = 1;
    if (type != RDB_LIST_ZIPLIST && !rdb_read_length(r, &nodes))
        return r->result;
    struct quicklist *q = quicklist_new();
    enum rdb_result result = q ? RDB_OK : RDB_NO_MEMORY;
    for (uint64_t i = 0; i < nodes && result == RDB_OK; i++)
        result = read_node(r, type, q, fill);
    if (result == RDB_OK && q->count == 0)
        result = RDB_BAD;
    bool packed = result == RDB_OK && type != RDB_LIST_ZIPLIST && is_short(q, fill);
    if (packed) {
        struct slice bytes = {(const char *)q->head->bytes, q->head->size};
        result = rdb_make_bytes(target, TYPE_LIST, ENCODING_PACKED, bytes, out);
    } else if (result == RDB_OK) {
        result = rdb_make_object(target, TYPE_LIST, ENCODING_QUICKLIST, q, out);
    }
    if (q && (packed || result != RDB_OK))
        quicklist_free(q);
    return result;
}
