/* id_tree.h - a B+ tree from 128-bit ids to pointers: nodes of a stream, deliveries that await their acknowledgement.
 *
 * Ids that only grow, the usual case, fill its nodes completely. The pointers are the caller's and never NULL. There are
 * no iterators that a change could break: who walks asks for the next id, at the price of a descent.
 *
 *     for (struct id at = first; (p = id_tree_at_or_after(t, at, &at)); )
 *         if (!id_next(&at)) break;
 *
 * Under the lock of whoever owns it. Never parks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct id {
    uint64_t ms, seq;
};
#define ID_MIN ((struct id){0, 0})
#define ID_MAX ((struct id){UINT64_MAX, UINT64_MAX})

static inline int id_compare(struct id a, struct id b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return a.seq == b.seq ? 0 : a.seq < b.seq ? -1 : 1;
}
/* The next or the one before. False: there is none, and *id stays. */
static inline bool id_next(struct id *id)
{
    if (id->seq == UINT64_MAX && id->ms == UINT64_MAX)
        return false;
    id->ms += ++id->seq == 0;
    return true;
}
static inline bool id_previous(struct id *id)
{
    if (id->seq == 0 && id->ms == 0)
        return false;
    id->ms -= id->seq-- == 0;
    return true;
}

struct id_tree_node;
struct id_tree {
    struct id_tree_node *root; /* NULL: empty */
    size_t count;
    size_t bytes; /* of its nodes */
};
/* A tree of zero bytes is empty and owns nothing. */

enum id_tree_added { ID_TREE_ADDED, ID_TREE_EXISTS, ID_TREE_NO_MEMORY };
/* ID_TREE_EXISTS: what is there stays. */
enum id_tree_added id_tree_insert(struct id_tree *t, struct id id, void *value);
/* NULL: not there. */
void *id_tree_get(const struct id_tree *t, struct id id);
/* Takes it out: what it was, or NULL. Never fails for memory. */
void *id_tree_remove(struct id_tree *t, struct id id);
/* The nearest on one side, itself included; *found is its id. NULL: none, and *found stays. */
void *id_tree_at_or_after(const struct id_tree *t, struct id id, struct id *found);
void *id_tree_at_or_before(const struct id_tree *t, struct id id, struct id *found);
/* Puts another pointer in place of the one that is there. */
void id_tree_replace(struct id_tree *t, struct id id, void *value);
/* Frees the nodes; calls `drop` (may be NULL) with each value. */
void id_tree_clear(struct id_tree *t, void (*drop)(void *value));

/* Ids ascend, all leaves are equally deep, sums agree. */
void id_tree_verify(const struct id_tree *t);
