/* score_tree.c - see score_tree.h.
 *
 * Going down to insert splits what is full, going down to remove fills up what is low, so each is one way without
 * return and an allocation that fails leaves a good tree. Counts and first elements of the path are set at the end.
 *
 * Invariants (score_tree_verify): elements ascend through the leaves; an inner node knows of each child its first element,
 * that one's score and the number of elements below; all leaves are equally deep; every node but the root
 * has at least SCORE_*_MAX / 4 entries.
 *
 * Rejected: scores in the leaves (a third more memory for a search that looks at five elements less), a skip list (two
 * pointers more for each element, a cache miss a step).
 */
#include "store/index/score_tree.h"

#include "base/check.h"

#include <tuco/mem.h>

struct score_node {
    uint16_t count; /* elements of a leaf, children of the others */
    bool is_leaf;
};

struct score_leaf {
    struct score_node head;
    struct score_leaf *prev, *next;
    struct element *items[SCORE_LEAF_MAX];
};

struct child {
    struct score_node *node;
    struct element *first;
    double score; /* of the first */
    size_t count; /* elements below */
};

struct inner {
    struct score_node head;
    struct child children[SCORE_INNER_MAX];
};

enum {
    DEPTH_MAX = 24,
    LEAF_LOW = SCORE_LEAF_MAX / 4,
    INNER_LOW = SCORE_INNER_MAX / 4,
    SHIFT_MIN = 8, /* a sibling takes elements if it has room for as many */
};

/* The way down: in nodes[i] to child number index[i]. */
struct path {
    struct inner *nodes[DEPTH_MAX];
    size_t index[DEPTH_MAX];
    size_t depth;
};

/* ---- order ---- */

int score_compare_names(struct slice a, struct slice b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int c = size ? memcmp(a.data, b.data, size) : 0;
    return c ? c : (a.size > b.size) - (a.size < b.size);
}

static bool name_is_before(const struct element *e, const struct score_bound *b)
{
    int c = score_compare_names(element_name(e), b->member);
    return b->after ? c <= 0 : c < 0;
}

static inline bool is_before(const struct element *e, double score, const struct score_bound *b)
{
    if (b->kind == BOUND_MEMBER)
        return name_is_before(e, b);
    if (score != b->score)
        return score < b->score;
    return b->kind == BOUND_BOTH ? name_is_before(e, b) : b->after;
}

static struct score_bound bound_before(const struct element *e)
{
    return (struct score_bound){
        .kind = BOUND_BOTH, .score = element_score(e), .member = element_name(e)};
}

/* The child to look in for the bound: the last one whose first element is before it. */
static size_t child_of(const struct inner *n, const struct score_bound *b)
{
    size_t low = 0, high = n->head.count; /* children below `low` begin before it */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (is_before(n->children[middle].first, n->children[middle].score, b))
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? low - 1 : 0;
}

static size_t item_of(const struct score_leaf *leaf, const struct score_bound *b)
{
    size_t low = 0, high = leaf->head.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (is_before(leaf->items[middle], element_score(leaf->items[middle]), b))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- nodes ---- */

static inline struct inner *as_inner(struct score_node *n)
{
    return (struct inner *)n;
}

static inline struct score_leaf *as_leaf(struct score_node *n)
{
    return (struct score_leaf *)n;
}

static inline size_t capacity_of(const struct score_node *n)
{
    return n->is_leaf ? SCORE_LEAF_MAX : SCORE_INNER_MAX;
}

static void *new_node(struct score_tree *t, bool is_leaf)
{
    size_t size = is_leaf ? sizeof(struct score_leaf) : sizeof(struct inner);
    struct score_node *n = tu_alloc(size);
    if (!n)
        return NULL;
    *n = (struct score_node){0, is_leaf};
    if (is_leaf)
        as_leaf(n)->prev = as_leaf(n)->next = NULL;
    t->bytes += tu_usable_size(n);
    return n;
}

static void free_node(struct score_tree *t, struct score_node *n)
{
    t->bytes -= tu_usable_size(n);
    tu_free(n);
}

static void destroy_node(struct score_node *n)
{
    if (!n->is_leaf)
        for (size_t i = 0; i < n->count; i++)
            destroy_node(as_inner(n)->children[i].node);
    tu_free(n);
}

/* Writes down what the parent knows of child number i. */
static void note_child(struct inner *parent, size_t i)
{
    struct child *c = &parent->children[i];
    const struct score_node *n = c->node;
    if (n->is_leaf) {
        c->first = as_leaf(c->node)->items[0];
        c->count = n->count;
    } else {
        const struct inner *in = as_inner(c->node);
        c->first = in->children[0].first;
        c->count = 0;
        for (size_t k = 0; k < n->count; k++)
            c->count += in->children[k].count;
    }
    c->score = element_score(c->first);
}

/* The entries of a node as bytes. */
static char *entry_at(struct score_node *n, size_t i)
{
    return n->is_leaf ? (char *)&as_leaf(n)->items[i] : (char *)&as_inner(n)->children[i];
}

/* Moves `count` entries from the end of a to the beginning of b. */
static void move_right(struct score_node *a, struct score_node *b, size_t count)
{
    size_t size = a->is_leaf ? sizeof(struct element *) : sizeof(struct child);
    memmove(entry_at(b, count), entry_at(b, 0), b->count * size);
    memcpy(entry_at(b, 0), entry_at(a, a->count - count), count * size);
    a->count = (uint16_t)(a->count - count);
    b->count = (uint16_t)(b->count + count);
}

/* Moves `count` entries from the beginning of b to the end of a. */
static void move_left(struct score_node *a, struct score_node *b, size_t count)
{
    size_t size = a->is_leaf ? sizeof(struct element *) : sizeof(struct child);
    memcpy(entry_at(a, a->count), entry_at(b, 0), count * size);
    memmove(entry_at(b, 0), entry_at(b, count), (b->count - count) * size);
    a->count = (uint16_t)(a->count + count);
    b->count = (uint16_t)(b->count - count);
}

/* ---- inserting ---- */

/* Splits child number i, which is full; the parent is not. */
static bool split(struct score_tree *t, struct inner *parent, size_t i,
                  const struct score_bound *wanted)
{
    struct score_node *n = parent->children[i].node, *made = new_node(t, n->is_leaf);
    if (!made)
        return false;
    size_t count = n->count / 2;
    if (n->is_leaf) {
        struct score_leaf *left = as_leaf(n), *right = as_leaf(made);
        if (!left->next && item_of(left, wanted) == n->count)
            count = 1; /* elements come in order: leave full leaves behind */
        right->next = left->next;
        right->prev = left;
        if (right->next)
            right->next->prev = right;
        left->next = right;
    }
    move_right(n, made, count);
    memmove(&parent->children[i + 2], &parent->children[i + 1],
            (parent->head.count - i - 1) * sizeof(struct child));
    parent->head.count++;
    parent->children[i + 1].node = made;
    note_child(parent, i);
    note_child(parent, i + 1);
    return true;
}

/* Lets a neighbour take elements of a full leaf. */
static bool shift(struct inner *parent, size_t i)
{
    struct score_node *n = parent->children[i].node;
    if (!n->is_leaf)
        return false;
    struct score_node *left = i > 0 ? parent->children[i - 1].node : NULL,
                      *right = i + 1 < parent->head.count ? parent->children[i + 1].node : NULL;
    if (left && left->count + SHIFT_MIN <= SCORE_LEAF_MAX) {
        move_left(left, n, (SCORE_LEAF_MAX - left->count + 1u) / 2);
        note_child(parent, i - 1);
    } else if (right && right->count + SHIFT_MIN <= SCORE_LEAF_MAX) {
        move_right(n, right, (SCORE_LEAF_MAX - right->count + 1u) / 2);
        note_child(parent, i + 1);
    } else {
        return false;
    }
    note_child(parent, i);
    return true;
}

/* Puts a new root above a full one. */
static bool grow(struct score_tree *t, const struct score_bound *wanted)
{
    struct inner *root = new_node(t, false);
    if (!root)
        return false;
    root->children[0].node = t->root;
    root->head.count = 1;
    if (!split(t, root, 0, wanted)) {
        free_node(t, &root->head);
        return false;
    }
    t->root = &root->head;
    return true;
}

/* Goes down to the leaf, which has room. NULL: out of memory. */
static struct score_leaf *descend_to_insert(struct score_tree *t, const struct score_bound *wanted,
                                            struct path *path)
{
    if (t->root->count == capacity_of(t->root) && !grow(t, wanted))
        return NULL;
    struct score_node *n = t->root;
    while (!n->is_leaf) {
        struct inner *in = as_inner(n);
        size_t i = child_of(in, wanted);
        const struct score_node *child = in->children[i].node;
        if (child->count == capacity_of(child)) {
            if (!shift(in, i) && !split(t, in, i, wanted))
                return NULL;
            i = child_of(in, wanted);
            /* a neighbour that was filled up may be the one */
            child = in->children[i].node;
            if (child->count == capacity_of(child) && !split(t, in, i, wanted))
                return NULL;
            i = child_of(in, wanted);
        }
        path->nodes[path->depth] = in;
        path->index[path->depth++] = i;
        n = in->children[i].node;
    }
    return as_leaf(n);
}

bool score_tree_insert(struct score_tree *t, struct element *e)
{
    struct score_bound wanted = bound_before(e);
    struct path path;
    path.depth = 0;
    if (!t->root) {
        t->root = new_node(t, true);
        if (!t->root)
            return false;
    }
    struct score_leaf *leaf = descend_to_insert(t, &wanted, &path);
    if (!leaf)
        return false;
    size_t at = item_of(leaf, &wanted);
    memmove(&leaf->items[at + 1], &leaf->items[at], (leaf->head.count - at) * sizeof *leaf->items);
    leaf->items[at] = e;
    leaf->head.count++;
    t->count++;
    bool is_first = at == 0;
    for (size_t d = path.depth; d-- > 0;) {
        struct child *c = &path.nodes[d]->children[path.index[d]];
        c->count++;
        if (is_first) {
            c->first = e;
            c->score = wanted.score;
        }
        is_first = is_first && path.index[d] == 0;
    }
    return true;
}

/* ---- building ---- */

/* Shares `count` entries out over as few nodes as hold them: the number of those before node number i of `nodes`. */
static size_t share(size_t count, size_t nodes, size_t i)
{
    return count / nodes * i + (i < count % nodes ? i : count % nodes);
}

/* The leaves of all elements, in children, which have room for them. Their number, also where memory ran out. */
static size_t build_leaves(struct score_tree *t, const struct element_item *items, size_t count,
                           struct child *children, size_t nodes)
{
    struct score_leaf *last = NULL;
    for (size_t n = 0; n < nodes; n++) {
        size_t from = share(count, nodes, n), end = share(count, nodes, n + 1);
        struct score_leaf *leaf = new_node(t, true);
        if (!leaf)
            return n;
        for (size_t i = from; i < end; i++)
            leaf->items[i - from] = items[i].element;
        leaf->head.count = (uint16_t)(end - from);
        leaf->prev = last;
        if (last)
            last->next = leaf;
        last = leaf;
        children[n] = (struct child){&leaf->head, items[from].element,
                                     element_score(items[from].element), end - from};
    }
    return nodes;
}

/* Puts one level above the nodes in children, which become those of that level. *count may be less than wanted where memory
 * ran out: then children are of both levels. */
static bool build_level(struct score_tree *t, struct child *children, size_t *count)
{
    size_t below = *count, nodes = (below + SCORE_INNER_MAX - 1) / SCORE_INNER_MAX;
    for (size_t n = 0; n < nodes; n++) {
        size_t from = share(below, nodes, n), end = share(below, nodes, n + 1);
        struct inner *in = new_node(t, false);
        if (!in) {
            memmove(children + n, children + from, (below - from) * sizeof *children);
            *count = n + below - from;
            return false;
        }
        memcpy(in->children, children + from, (end - from) * sizeof *children);
        in->head.count = (uint16_t)(end - from);
        struct child made = {&in->head, in->children[0].first, in->children[0].score, 0};
        for (size_t i = 0; i < in->head.count; i++)
            made.count += in->children[i].count;
        children[n] = made;
    }
    *count = nodes;
    return true;
}

bool score_tree_build(struct score_tree *t, const struct element_item *items, size_t count)
{
    size_t nodes = (count + SCORE_LEAF_MAX - 1) / SCORE_LEAF_MAX;
    tu_assert(!t->root);
    if (count == 0)
        return true;
    struct child *children = tu_alloc(nodes * sizeof *children);
    if (!children)
        return false;
    size_t made = build_leaves(t, items, count, children, nodes);
    bool done = made == nodes;
    while (done && made > 1)
        done = build_level(t, children, &made);
    if (done) {
        t->root = children[0].node;
        t->count = count;
    } else {
        for (size_t i = 0; i < made; i++)
            destroy_node(children[i].node);
        t->bytes = 0;
    }
    tu_free(children);
    return done;
}

/* ---- removing ---- */

/* Child number i + 1 goes into child number i. */
static void merge(struct score_tree *t, struct inner *parent, size_t i)
{
    struct score_node *a = parent->children[i].node, *b = parent->children[i + 1].node;
    move_left(a, b, b->count);
    if (a->is_leaf) {
        as_leaf(a)->next = as_leaf(b)->next;
        if (as_leaf(a)->next)
            as_leaf(a)->next->prev = as_leaf(a);
    }
    free_node(t, b);
    memmove(&parent->children[i + 1], &parent->children[i + 2],
            (parent->head.count - i - 2) * sizeof(struct child));
    parent->head.count--;
    note_child(parent, i);
}

/* Gives child number i, which is low, more: from a neighbour, or it becomes one with it. */
static void fill_up(struct score_tree *t, struct inner *parent, size_t i)
{
    size_t at = i > 0 ? i - 1 : i;
    struct score_node *a = parent->children[at].node, *b = parent->children[at + 1].node;
    size_t sum = (size_t)a->count + b->count;
    if (sum <= capacity_of(a) * 3 / 4) {
        merge(t, parent, at);
        return;
    }
    if (a->count < b->count)
        move_left(a, b, sum / 2 - a->count);
    else
        move_right(a, b, sum / 2 - b->count);
    note_child(parent, at);
    note_child(parent, at + 1);
}

static size_t child_of_rank(const struct inner *n, size_t *rank)
{
    size_t i = 0;
    for (; *rank >= n->children[i].count; i++)
        *rank -= n->children[i].count;
    return i;
}

static struct score_leaf *descend_to_remove(struct score_tree *t, size_t *rank, struct path *path)
{
    struct score_node *n = t->root;
    while (!n->is_leaf) {
        struct inner *in = as_inner(n);
        size_t left = *rank, i = child_of_rank(in, &left);
        const struct score_node *child = in->children[i].node;
        if (child->count <= (child->is_leaf ? LEAF_LOW : INNER_LOW)) {
            fill_up(t, in, i);
            if (in->head.count == 1) { /* only the root has so few */
                n = in->children[0].node;
                t->root = n;
                free_node(t, &in->head);
                continue;
            }
            left = *rank;
            i = child_of_rank(in, &left);
        }
        *rank = left;
        path->nodes[path->depth] = in;
        path->index[path->depth++] = i;
        n = in->children[i].node;
    }
    return as_leaf(n);
}

struct element *score_tree_remove(struct score_tree *t, size_t rank)
{
    struct path path;
    path.depth = 0;
    tu_assert(rank < t->count);
    struct score_leaf *leaf = descend_to_remove(t, &rank, &path);
    struct element *e = leaf->items[rank];
    memmove(&leaf->items[rank], &leaf->items[rank + 1],
            (leaf->head.count - rank - 1u) * sizeof *leaf->items);
    leaf->head.count--;
    t->count--;
    bool was_first = rank == 0;
    for (size_t d = path.depth; d-- > 0;) {
        struct child *c = &path.nodes[d]->children[path.index[d]];
        c->count--;
        if (was_first) {
            c->first = leaf->items[0];
            c->score = element_score(c->first);
        }
        was_first = was_first && path.index[d] == 0;
    }
    if (t->count == 0) {
        free_node(t, t->root);
        t->root = NULL;
    }
    return e;
}

bool score_tree_rescore(struct score_tree *t, struct element *e, double score)
{
    struct score_bound wanted = bound_before(e);
    struct score_node *n = t->root;
    while (!n->is_leaf) {
        const struct inner *in = as_inner(n);
        n = in->children[child_of(in, &wanted)].node;
    }
    struct score_leaf *leaf = as_leaf(n);
    size_t at = item_of(leaf, &wanted);
    if (at == 0 || at >= n->count || leaf->items[at] != e)
        return false; /* a first element: parents know its score, and it is not found here */
    struct element *next = at + 1u < n->count ? leaf->items[at + 1]
                           : leaf->next       ? leaf->next->items[0]
                                              : NULL;
    wanted.score = score;
    if (!is_before(leaf->items[at - 1], element_score(leaf->items[at - 1]), &wanted) ||
        (next && is_before(next, element_score(next), &wanted)))
        return false;
    element_set_score(e, score);
    return true;
}

void score_tree_destroy(struct score_tree *t)
{
    if (t->root)
        destroy_node(t->root);
    *t = (struct score_tree){0};
}

/* ---- looking ---- */

size_t score_tree_before(const struct score_tree *t, const struct score_bound *b)
{
    struct score_node *n = t->root;
    size_t before = 0;
    if (!n)
        return 0;
    while (!n->is_leaf) {
        const struct inner *in = as_inner(n);
        size_t i = child_of(in, b);
        for (size_t k = 0; k < i; k++)
            before += in->children[k].count;
        n = in->children[i].node;
    }
    return before + item_of(as_leaf(n), b);
}

size_t score_tree_rank(const struct score_tree *t, const struct element *e)
{
    struct score_bound b = bound_before(e);
    return score_tree_before(t, &b);
}

struct score_place score_tree_at(const struct score_tree *t, size_t rank)
{
    struct score_node *n = t->root;
    if (rank >= t->count)
        return (struct score_place){0};
    while (!n->is_leaf)
        n = as_inner(n)->children[child_of_rank(as_inner(n), &rank)].node;
    return (struct score_place){as_leaf(n), rank};
}

struct element *score_place_get(struct score_place at)
{
    return at.leaf ? at.leaf->items[at.index] : NULL;
}

struct score_run score_place_run(struct score_place at)
{
    if (at.leaf->next)
        __builtin_prefetch(at.leaf->next);
    return (struct score_run){at.leaf->items + at.index, at.leaf->head.count - at.index};
}

struct score_run score_place_run_back(struct score_place at)
{
    if (at.leaf->prev)
        __builtin_prefetch(at.leaf->prev);
    return (struct score_run){at.leaf->items, at.index + 1};
}

struct score_place score_place_next_leaf(struct score_place at)
{
    return (struct score_place){at.leaf->next, 0};
}

struct score_place score_place_prev_leaf(struct score_place at)
{
    const struct score_leaf *prev = at.leaf->prev;
    return (struct score_place){prev, prev ? prev->head.count - 1u : 0};
}

struct score_place score_place_next(struct score_place at)
{
    if (at.index + 1 < at.leaf->head.count)
        return (struct score_place){at.leaf, at.index + 1};
    return score_place_next_leaf(at);
}

struct score_place score_place_prev(struct score_place at)
{
    if (at.index > 0)
        return (struct score_place){at.leaf, at.index - 1};
    return score_place_prev_leaf(at);
}

/* ---- proof ---- */

struct proof {
    const struct score_leaf *leaf; /* the last one seen */
    const struct element *last;
    size_t depth, bytes;
};

static void verify_leaf(const struct score_leaf *leaf, struct proof *p)
{
    tu_check(leaf->prev == p->leaf && (!p->leaf || p->leaf->next == leaf), "leaves are not linked");
    for (size_t i = 0; i < leaf->head.count; i++) {
        struct score_bound b = bound_before(leaf->items[i]);
        tu_check(!p->last || is_before(p->last, element_score(p->last), &b), "out of order");
        p->last = leaf->items[i];
    }
    p->leaf = leaf;
}

/* The number of elements below n. */
static size_t verify_node(struct score_node *n, size_t depth, bool is_root, struct proof *p)
{
    tu_check(n->count > 0 && n->count <= capacity_of(n), "a node of %u", n->count);
    p->bytes += tu_usable_size(n);
    if (n->is_leaf) {
        tu_check(p->depth == 0 || p->depth == depth, "a leaf at another depth");
        p->depth = depth;
        verify_leaf(as_leaf(n), p);
        return n->count;
    }
    tu_check(n->count >= 2 || !is_root, "a root of one child");
    const struct inner *in = as_inner(n);
    size_t sum = 0;
    for (size_t i = 0; i < n->count; i++) {
        const struct child *c = &in->children[i];
        const struct score_node *below = c->node;
        tu_check(c->first == (below->is_leaf ? as_leaf(c->node)->items[0]
                                             : as_inner(c->node)->children[0].first),
                 "another first element");
        tu_check(c->score == element_score(c->first), "another score");
        size_t count = verify_node(c->node, depth + 1, false, p);
        tu_check(count == c->count, "%zu elements, counted %zu", count, c->count);
        sum += count;
    }
    return sum;
}

void score_tree_verify(const struct score_tree *t)
{
    struct proof p = {0};
    size_t count = t->root ? verify_node(t->root, 1, true, &p) : 0;
    tu_check(count == t->count, "%zu elements, counted %zu", count, t->count);
    tu_check(!p.leaf || !p.leaf->next, "a leaf behind the last");
    tu_check(p.bytes == t->bytes, "%zu bytes, counted %zu", p.bytes, t->bytes);
}
