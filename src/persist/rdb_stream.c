/* rdb_stream.c - streams: their nodes as listpacks, the numbers of the stream, its groups. Read in rdb_stream_read.c. */
#include "persist/rdb_format.h"
#include "persist/rdb_types.h"
#include "store/types/stream_group.h"
#include "store/types/stream_object.h"

/* Sixteen bytes, most significant first. */
static void raw_id(unsigned char out[16], struct id id)
{
    for (int i = 0; i < 8; i++) {
        out[i] = (unsigned char)(id.ms >> (56 - 8 * i));
        out[8 + i] = (unsigned char)(id.seq >> (56 - 8 * i));
    }
}

static void write_raw_id(struct rdb_writer *w, struct id id)
{
    unsigned char bytes[16];
    raw_id(bytes, id);
    rdb_write_bytes(w, bytes, sizeof bytes);
}

static void write_id(struct rdb_writer *w, struct id id)
{
    rdb_write_length(w, id.ms);
    rdb_write_length(w, id.seq);
}

static void write_nodes(struct rdb_writer *w, const struct stream_object *s)
{
    struct packed p;
    struct id at = ID_MIN;
    rdb_write_length(w, s->nodes.count);
    while (stream_object_node(s, at, &at, &p)) {
        unsigned char id[16];
        raw_id(id, at);
        rdb_write_string(w, (struct slice){(const char *)id, sizeof id});
        rdb_write_listpack(w, p);
        if (!id_next(&at))
            break;
    }
}

static void write_pending(struct rdb_writer *w, const struct id_tree *pending, bool whole)
{
    struct stream_nack *n;
    rdb_write_length(w, pending->count);
    for (struct id at = ID_MIN; (n = id_tree_at_or_after(pending, at, &at));) {
        write_raw_id(w, at);
        if (whole) {
            rdb_write_number(w, (uint64_t)n->delivered_ms, 8);
            rdb_write_length(w, n->deliveries);
        }
        if (!id_next(&at))
            break;
    }
}

static void write_group(struct rdb_writer *w, const struct stream_group *g)
{
    rdb_write_string(w, g->named.name);
    write_id(w, g->last_id);
    rdb_write_length(w, (uint64_t)g->entries_read);
    write_pending(w, &g->pending, true);
    rdb_write_length(w, g->consumers.count);
    for (size_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *c = (const struct stream_consumer *)g->consumers.items[i];
        rdb_write_string(w, c->named.name);
        rdb_write_number(w, (uint64_t)c->seen_ms, 8);
        rdb_write_number(w, (uint64_t)c->active_ms, 8);
        write_pending(w, &c->pending, false);
    }
}

void rdb_stream_write(struct rdb_writer *w, const struct entry *e)
{
    const struct stream_object *s = entry_block(e);
    rdb_write_byte(w, RDB_STREAM_LISTPACKS_3);
    write_nodes(w, s);
    rdb_write_length(w, s->length);
    write_id(w, s->last_id);
    write_id(w, s->first_id);
    write_id(w, s->max_deleted_id);
    rdb_write_length(w, s->entries_added);
    size_t groups = stream_groups_count(s->groups);
    rdb_write_length(w, groups);
    for (size_t i = 0; i < groups; i++)
        write_group(w, (const struct stream_group *)s->groups->list.items[i]);
}
