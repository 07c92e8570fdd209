/* score_tree.h - the order of a large sorted set: a B+ tree of elements by score, then name, that counts what is below
 * each node, so that ranks and counts of ranges cost O(log n).
 *
 *     inner: child, its first element and that one's score, number of elements below     (up to SCORE_INNER_MAX)
 *     leaf <-> leaf <-> leaf: pointers to elements                                        (up to SCORE_LEAF_MAX)
 *
 * The elements are those of an element_table, each stored once; their score lies where other types keep a deadline
 * (element_score). The tree owns none of them. Per element it costs 8 bytes at the load of its leaves, which is nearly
 * full where elements come in order.
 *
 * A bound is a place between two elements: everything before it has a lower rank. A position of an element is its
 * rank. Changing the tree invalidates places. Under the lock of the key's shard; never parks.
 */
#pragma once

#include "store/index/element_table.h"

struct score_node;

struct score_tree {
    struct score_node *root; /* NULL: empty */
    size_t count;
    size_t bytes; /* of nodes */
};

enum { SCORE_LEAF_MAX = 61, SCORE_INNER_MAX = 31 };

struct score_leaf;
/* Where an element is. */
struct score_place {
    const struct score_leaf *leaf; /* NULL: beyond the end */
    size_t index;
};

enum score_bound_kind {
    BOUND_SCORE,  /* the score decides */
    BOUND_MEMBER, /* the name decides; for sets in which all scores are equal */
    BOUND_BOTH,   /* the order of the tree */
};
struct score_bound {
    enum score_bound_kind kind;
    bool after; /* behind what equals it, else before */
    double score;
    struct slice member;
};

/* ---- scores of elements ---- */

/* A new element without value. NULL: out of memory. `score` is a number. */
static inline struct element *element_new_scored(struct slice name, double score)
{
    int64_t bits;
    memcpy(&bits, &score, sizeof bits); /* EXPIRY_NONE would be a NaN */
    return element_new(name, (struct slice){0}, bits);
}
static inline double element_score(const struct element *e)
{
    double score;
    memcpy(&score, e->bytes, sizeof score);
    return score;
}
static inline void element_set_score(struct element *e, double score)
{
    memcpy(e->bytes, &score, sizeof score);
}
/* Names as memcmp orders them, the shorter first where one begins with the other. */
int score_compare_names(struct slice a, struct slice b);

/* ---- the tree ---- */

/* Frees the nodes. */
void score_tree_destroy(struct score_tree *t);
/* Fills an empty tree with elements that are in order. False: out of memory, it is empty. */
bool score_tree_build(struct score_tree *t, const struct element_item *items, size_t count);
/* Adds an element that is not there. False: out of memory, nothing has changed. */
bool score_tree_insert(struct score_tree *t, struct element *e);
/* Takes out the element of this rank, which must exist. */
struct element *score_tree_remove(struct score_tree *t, size_t rank);
/* Gives an element of the tree another score if that leaves its place as it is; false: nothing has changed. */
bool score_tree_rescore(struct score_tree *t, struct element *e, double score);

/* Number of elements before the bound. */
size_t score_tree_before(const struct score_tree *t, const struct score_bound *b);
/* The rank of an element of the tree. */
size_t score_tree_rank(const struct score_tree *t, const struct element *e);
struct score_place score_tree_at(const struct score_tree *t, size_t rank);
/* NULL: there is no element at this place. */
struct element *score_place_get(struct score_place at);
/* Adjacent elements as they lie in the tree, from an existing place to the end of its leaf, or back to its begin (of which
 * the last is at the place). */
struct score_run {
    struct element *const *items;
    size_t count;
};
struct score_run score_place_run(struct score_place at);
struct score_run score_place_run_back(struct score_place at);
/* What comes next behind such a run, or before it. */
struct score_place score_place_next_leaf(struct score_place at);
struct score_place score_place_prev_leaf(struct score_place at);
/* The neighbours of a place that has an element. */
struct score_place score_place_next(struct score_place at);
struct score_place score_place_prev(struct score_place at);

/* Walks everything and aborts on a broken invariant. */
void score_tree_verify(const struct score_tree *t);
