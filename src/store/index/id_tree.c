/* id_tree.c - see id_tree.h.
 *
 * Nodes of up to FAN ids. A full child is split before one goes down into it, so an insertion needs no way back and one
 * that fails for memory leaves a tree that is as right as before. Splitting behind the last id of all moves nothing:
 * ids that grow fill each node. A lone leaf is as large as it needs to be, for there are many small streams.
 *
 * In an inner node the id beside a child is a lower bound of what the child holds; the first one's is not looked at, so
 * nothing must change above when a smaller id comes or the smallest goes. After a removal, a node that is a quarter
 * full is joined with a neighbour if both fit into three quarters of one, which keeps a mark between splitting and joining.
 */
#include "store/index/id_tree.h"

#include "base/check.h"

#include <tuco/mem.h>

#include <string.h>

enum { FAN = 42, FIRST = 2 }; /* 1,016 bytes a node */

struct item {
    struct id id;
    void *pointer; /* a child, or a value */
};
struct id_tree_node {
    uint16_t count, capacity;
    bool leaf;
    struct item items[];
};

static size_t node_bytes(size_t capacity)
{
    return sizeof(struct id_tree_node) + capacity * sizeof(struct item);
}

static struct id_tree_node *node_new(struct id_tree *t, size_t capacity, bool leaf)
{
    struct id_tree_node *n = tu_alloc(node_bytes(capacity));
    if (!n)
        return NULL;
    *n = (struct id_tree_node){.capacity = (uint16_t)capacity, .leaf = leaf};
    t->bytes += node_bytes(capacity);
    return n;
}

static void node_free(struct id_tree *t, struct id_tree_node *n)
{
    t->bytes -= node_bytes(n->capacity);
    tu_free(n);
}

/* The number of items whose id is not greater. */
static unsigned upper(const struct id_tree_node *n, struct id id)
{
    unsigned low = 0, high = n->count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (id_compare(n->items[middle].id, id) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Which child holds the id, if any does. */
static unsigned child_of(const struct id_tree_node *n, struct id id)
{
    unsigned i = upper(n, id);
    return i > 0 ? i - 1 : 0;
}

static void put(struct id_tree_node *n, unsigned at, struct item item)
{
    tu_assert(n->count < n->capacity);
    memmove(n->items + at + 1, n->items + at, (n->count - at) * sizeof item);
    n->items[at] = item;
    n->count++;
}

static void take(struct id_tree_node *n, unsigned at)
{
    n->count--;
    memmove(n->items + at, n->items + at + 1, (n->count - at) * sizeof *n->items);
}

/* Splits the full child at `at`; `id` is what will be inserted. */
static bool split(struct id_tree *t, struct id_tree_node *parent, unsigned at, struct id id)
{
    struct id_tree_node *left = parent->items[at].pointer;
    struct id_tree_node *right = node_new(t, FAN, left->leaf);
    if (!right)
        return false;
    bool behind = left->leaf && at + 1u == parent->count && upper(left, id) == left->count;
    unsigned keep = behind ? left->count : left->count / 2;
    right->count = (uint16_t)(left->count - keep);
    memcpy(right->items, left->items + keep, right->count * sizeof *right->items);
    left->count = (uint16_t)keep;
    put(parent, at + 1, (struct item){behind ? id : right->items[0].id, right});
    return true;
}

/* Room for one more in the root. */
static bool open_root(struct id_tree *t, struct id id)
{
    struct id_tree_node *root = t->root;
    if (!root)
        return (t->root = node_new(t, FIRST, true)) != NULL;
    if (root->count < root->capacity)
        return true;
    if (root->capacity < FAN) {
        size_t capacity = 2u * root->capacity < FAN ? 2u * root->capacity : FAN;
        struct id_tree_node *larger = tu_realloc(root, node_bytes(capacity));
        if (!larger)
            return false;
        t->bytes += node_bytes(capacity) - node_bytes(larger->capacity);
        larger->capacity = (uint16_t)capacity;
        t->root = larger;
        return true;
    }
    struct id_tree_node *above = node_new(t, FAN, false);
    if (!above)
        return false;
    put(above, 0, (struct item){ID_MIN, root});
    if (!split(t, above, 0, id)) {
        node_free(t, above);
        return false;
    }
    t->root = above;
    return true;
}

enum id_tree_added id_tree_insert(struct id_tree *t, struct id id, void *value)
{
    if (id_tree_get(t, id))
        return ID_TREE_EXISTS;
    if (!open_root(t, id))
        return ID_TREE_NO_MEMORY;
    struct id_tree_node *n = t->root;
    while (!n->leaf) {
        unsigned at = child_of(n, id);
        struct id_tree_node *child = n->items[at].pointer;
        if (child->count == FAN) {
            if (!split(t, n, at, id))
                return ID_TREE_NO_MEMORY;
            child = n->items[child_of(n, id)].pointer;
        }
        n = child;
    }
    put(n, upper(n, id), (struct item){id, value});
    t->count++;
    return ID_TREE_ADDED;
}

static struct item *find(const struct id_tree *t, struct id id)
{
    struct id_tree_node *n = t->root;
    while (n && !n->leaf)
        n = n->items[child_of(n, id)].pointer;
    unsigned i = n ? upper(n, id) : 0;
    return i > 0 && id_compare(n->items[i - 1].id, id) == 0 ? &n->items[i - 1] : NULL;
}

void *id_tree_get(const struct id_tree *t, struct id id)
{
    struct item *item = find(t, id);
    return item ? item->pointer : NULL;
}

void id_tree_replace(struct id_tree *t, struct id id, void *value)
{
    struct item *item = find(t, id);
    tu_check(item != NULL, "an id that is not there was to be replaced");
    item->pointer = value;
}

/* ---- removing ---- */

/* After the child at `at` got smaller. */
static void settle(struct id_tree *t, struct id_tree_node *n, unsigned at)
{
    struct id_tree_node *child = n->items[at].pointer;
    if (child->count == 0) {
        node_free(t, child);
        take(n, at);
        return;
    }
    if (child->count > FAN / 4 || n->count < 2)
        return;
    unsigned first = at > 0 ? at - 1 : at;
    struct id_tree_node *left = n->items[first].pointer, *right = n->items[first + 1].pointer;
    if (left->count + right->count > FAN * 3 / 4)
        return;
    struct id bound = n->items[first + 1].id; /* an inner node's first id says nothing */
    if (!right->leaf)
        right->items[0].id = bound;
    memcpy(left->items + left->count, right->items, right->count * sizeof *right->items);
    left->count = (uint16_t)(left->count + right->count);
    node_free(t, right);
    take(n, first + 1);
}

static void *remove_from(struct id_tree *t, struct id_tree_node *n, struct id id)
{
    if (n->leaf) {
        unsigned i = upper(n, id);
        if (i == 0 || id_compare(n->items[i - 1].id, id) != 0)
            return NULL;
        void *value = n->items[i - 1].pointer;
        take(n, i - 1);
        return value;
    }
    unsigned at = child_of(n, id);
    void *value = remove_from(t, n->items[at].pointer, id);
    if (value)
        settle(t, n, at);
    return value;
}

void *id_tree_remove(struct id_tree *t, struct id id)
{
    void *value = t->root ? remove_from(t, t->root, id) : NULL;
    if (!value)
        return NULL;
    t->count--;
    while (t->root && !t->root->leaf && t->root->count == 1) {
        struct id_tree_node *old = t->root;
        t->root = old->items[0].pointer;
        node_free(t, old);
    }
    if (t->root->count == 0) {
        node_free(t, t->root);
        t->root = NULL;
    }
    return value;
}

static void clear(struct id_tree *t, struct id_tree_node *n, void (*drop)(void *value))
{
    for (unsigned i = 0; i < n->count; i++) {
        if (!n->leaf)
            clear(t, n->items[i].pointer, drop);
        else if (drop)
            drop(n->items[i].pointer);
    }
    node_free(t, n);
}

void id_tree_clear(struct id_tree *t, void (*drop)(void *value))
{
    if (t->root)
        clear(t, t->root, drop);
    tu_assert(t->bytes == 0);
    *t = (struct id_tree){0};
}

/* ---- neighbours ---- */

/* The edge of a subtree. */
static const struct item *edge(const struct id_tree_node *n, bool last)
{
    while (!n->leaf)
        n = n->items[last ? n->count - 1u : 0].pointer;
    return &n->items[last ? n->count - 1u : 0];
}

static void *tell(const struct item *item, struct id *found)
{
    if (!item)
        return NULL;
    *found = item->id;
    return item->pointer;
}

void *id_tree_at_or_after(const struct id_tree *t, struct id id, struct id *found)
{
    const struct id_tree_node *n = t->root,
                              *beside = NULL; /* the subtree to the right of the way */
    while (n && !n->leaf) {
        unsigned at = child_of(n, id);
        if (at + 1u < n->count)
            beside = n->items[at + 1].pointer;
        n = n->items[at].pointer;
    }
    if (!n)
        return NULL;
    unsigned i = upper(n, id);
    if (i > 0 && id_compare(n->items[i - 1].id, id) == 0)
        return tell(&n->items[i - 1], found);
    return tell(i < n->count ? &n->items[i] : beside ? edge(beside, false) : NULL, found);
}

void *id_tree_at_or_before(const struct id_tree *t, struct id id, struct id *found)
{
    const struct id_tree_node *n = t->root, *beside = NULL; /* the subtree to the left of the way */
    while (n && !n->leaf) {
        unsigned at = child_of(n, id);
        if (at > 0)
            beside = n->items[at - 1].pointer;
        n = n->items[at].pointer;
    }
    if (!n)
        return NULL;
    unsigned i = upper(n, id);
    return tell(i > 0 ? &n->items[i - 1] : beside ? edge(beside, true) : NULL, found);
}

/* ---- verify ---- */

struct sums {
    size_t count, bytes;
    int depth; /* of the leaves; -1: none met */
    const struct id *before;
};

static void verify(const struct id_tree_node *n, int depth, struct sums *s)
{
    tu_check(n->count > 0 && n->count <= n->capacity, "a node with %u of %u ids", n->count,
             n->capacity);
    s->bytes += node_bytes(n->capacity);
    for (unsigned i = 0; i < n->count; i++) {
        const struct item *item = &n->items[i];
        if (!n->leaf) {
            const struct item *low = edge(item->pointer, false), *high = edge(item->pointer, true);
            tu_check(i == 0 || id_compare(item->id, low->id) <= 0, "an id below its bound");
            tu_check(i + 1u == n->count || id_compare(high->id, n->items[i + 1].id) < 0,
                     "an id beyond its bound");
            verify(item->pointer, depth + 1, s);
            continue;
        }
        tu_check(!s->before || id_compare(*s->before, item->id) < 0, "ids that do not ascend");
        s->before = &item->id;
        s->count++;
    }
    tu_check(!n->leaf || s->depth < 0 || s->depth == depth, "leaves of different depth");
    if (n->leaf)
        s->depth = depth;
}

void id_tree_verify(const struct id_tree *t)
{
    struct sums s = {.depth = -1};
    if (t->root)
        verify(t->root, 0, &s);
    tu_check(s.count == t->count && s.bytes == t->bytes, "%zu ids, counted %zu", t->count, s.count);
}
