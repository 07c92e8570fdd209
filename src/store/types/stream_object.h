/* stream_object.h - the entries of a stream: a tree of nodes, each a packed run of entries.
 *
 *     node  = count | deleted | fields n | name * n | 0 | entry * (count + deleted)
 *     entry = flags | ms - node's ms | seq - node's seq | same fields: value * n       | elements before this
 *                                                       | else: fields k | (name value) * k |
 *
 * in elements of index/packed.h; the tree knows a node by the id of its first entry. The peers keep theirs so, and the
 * format of dumps follows from it. Entries go behind the last one only. One that is deleted is marked; its node goes
 * when no entry of it is left.
 *
 *     length = sum of the nodes' counts;  a node's count > 0
 *
 * Under the lock of the key's shard. Never parks.
 */
#pragma once

#include "base/slice.h"
#include "store/index/id_tree.h"
#include "store/index/packed.h"
#include "store/store_result.h"
#include "store/types/type_ops.h"

struct stream_groups;

struct stream_object {
    struct id_tree nodes; /* struct stream_node */
    uint64_t length, entries_added;
    struct id last_id;  /* the greatest ever given, or what XSETID said */
    struct id first_id; /* of the first entry; 0-0: there is none */
    struct id max_deleted_id;
    size_t node_bytes;            /* memory of the nodes */
    struct stream_groups *groups; /* NULL: none (stream_group.h) */
};

extern const struct type_ops stream_type_ops;

/* NULL: out of memory. */
struct stream_object *stream_object_new(void);
void stream_object_free(struct stream_object *s);

struct stream_limits {
    int64_t node_max_bytes, node_max_entries; /* 0: none */
};
/* Adds `count` names and values (2 * count slices) under an id that is greater than last_id. STORE_OK, STORE_TOO_BIG,
 * STORE_NO_MEMORY. */
enum store_result stream_object_add(struct stream_object *s, struct id id,
                                    const struct slice *pairs, size_t count,
                                    const struct stream_limits *limits);
/* False: there is no such entry. Does not touch max_deleted_id, but first_id. */
bool stream_object_delete(struct stream_object *s, struct id id);
bool stream_object_has(const struct stream_object *s, struct id id);
/* The id of the first or last entry; 0-0: there is none. */
struct id stream_object_edge(const struct stream_object *s, bool last);

/* What becomes of the references that groups have to an entry which is to go: those who have it pending, and those who have
 * not got it yet (stream_group.h). */
enum stream_refs {
    STREAM_KEEPREF, /* pending ones stay, to nothing */
    STREAM_DELREF,  /* no group has it pending any more */
    STREAM_ACKED,   /* it goes only if there is none */
};
/* Deletes an entry, and remembers it as the greatest deleted if it is. STORE_OK, STORE_MISSING: there is no such entry;
 * STORE_NOT_MET: ACKED, and a group refers to it. */
enum store_result stream_object_delete_refs(struct stream_object *s, struct id id,
                                            enum stream_refs refs);

enum stream_trim_by { STREAM_TRIM_NONE, STREAM_TRIM_LENGTH, STREAM_TRIM_ID };
struct stream_trim {
    enum stream_trim_by by;
    bool whole_nodes;      /* only nodes that go as a whole */
    uint64_t length;       /* keep at most so many */
    struct id id;          /* keep from this on */
    uint64_t limit;        /* look at about so many entries at most; 0: all */
    enum stream_refs refs; /* ACKED: goes on behind entries that must stay, unless whole_nodes */
};
/* How many entries went. */
uint64_t stream_object_trim(struct stream_object *s, const struct stream_trim *trim);

/* For decoders: adds a node of a valid packed from anywhere under the id of its first entry, to a stream that has only
 * such nodes; last_id becomes that of its last entry. STORE_OK; STORE_NOT_MET: that is no sound node, or its ids do not come
 * after last_id; STORE_NO_MEMORY. */
enum store_result stream_object_append(struct stream_object *s, struct id id, struct packed p);
/* The first node at or after an id: its own id and its elements. False: there is none. */
bool stream_object_node(const struct stream_object *s, struct id from, struct id *found,
                        struct packed *out);

/* ---- reading: no change may come between the calls ---- */

struct stream_entry {
    struct id id;
    size_t fields;
    /* inside: */
    struct packed p;
    size_t at, name_at;
    bool same;
};
struct stream_cursor {
    const struct stream_object *s;
    struct id low, high;
    bool backwards, done;
    /* inside: the node, its id, its first entry, the next entry to look at */
    struct packed p;
    struct id node_id;
    size_t fields, names_at, first_at, at;
};
/* All entries with low <= id <= high. */
struct stream_cursor stream_cursor_over(const struct stream_object *s, struct id low,
                                        struct id high, bool backwards);
bool stream_cursor_next(struct stream_cursor *c, struct stream_entry *e);
/* The next of e->fields pairs. */
void stream_entry_pair(struct stream_entry *e, struct packed_item *name, struct packed_item *value);

void stream_object_verify(const struct stream_object *s);
