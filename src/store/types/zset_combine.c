/* zset_combine.c - see zset_combine.h.
 *
 * Inputs are taken from the smallest to the largest, as the peers do: sums of doubles depend on it.
 */
#include "store/types/zset_combine.h"

#include "store/types/value.h"
#include "store/types/zset_object.h"

#include <math.h>

/* ---- results ---- */

struct zset_object *zset_result_new(struct transaction *tx)
{
    return zset_object_new(&tx->keyspace->secret);
}

bool zset_result_add(struct zset_object *o, struct slice member, double score)
{
    return zset_object_add(o, member, score);
}

size_t zset_result_count(const struct zset_object *o)
{
    return zset_object_count(o);
}

void zset_result_free(struct zset_object *o)
{
    if (o)
        zset_object_free(o);
}

void zset_result_each(const struct zset_object *o, zset_visit_fn visit, void *context)
{
    struct score_place at = score_tree_at(&o->order, 0);
    for (const struct element *e; (e = score_place_get(at)); at = score_place_next(at))
        visit(context, element_name(e), element_score(e));
}

/* ---- inputs ---- */

enum store_result zset_input_open(struct transaction *tx, struct store_key key,
                                  struct zset_input *input)
{
    input->weight = 1;
    input->set = (struct set_view){0};
    enum store_result rc = zset_open(tx, key, LOOKUP_READ, &input->view);
    return rc == STORE_WRONG_TYPE ? set_open(tx, key, LOOKUP_PEEK, &input->set) : rc;
}

static size_t input_count(const struct zset_input *input)
{
    return zset_count(&input->view) + set_count(&input->set);
}

static bool input_score(const struct zset_input *input, struct slice member, double *score)
{
    if (!input->set.entry)
        return zset_score(&input->view, member, score);
    *score = 1;
    return set_contains(&input->set, member);
}

static void input_each(const struct zset_input *input, zset_visit_fn visit, void *context)
{
    if (input->view.f.entry)
        zset_entry_each(input->view.f.entry, visit, context);
    if (!input->set.entry)
        return;
    struct set_iterator it;
    struct slice member;
    set_iterate(&input->set, &it);
    while (set_next(&it, &member))
        visit(context, member, 1);
}

/* ---- arithmetic ---- */

static double not_nan(double value)
{
    return isnan(value) ? 0 : value;
}

static double together(enum zset_aggregate aggregate, double a, double b)
{
    switch (aggregate) {
    case ZSET_SUM: return not_nan(a + b);
    case ZSET_MIN: return b < a ? b : a; /* of 0 and -0 the first */
    case ZSET_MAX: break;
    }
    return b > a ? b : a;
}

static void sort_by_size(struct zset_input *inputs, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct zset_input moved = inputs[i];
        size_t at = i;
        for (; at > 0 && input_count(&inputs[at - 1]) > input_count(&moved); at--)
            inputs[at] = inputs[at - 1];
        inputs[at] = moved;
    }
}

/* ---- combining ---- */

struct gathering {
    struct zset_object *result;
    enum zset_operation operation;
    enum zset_aggregate aggregate;
    const struct zset_input *inputs;
    size_t count, current; /* the input being walked */
    bool failed;
};

static void unite(void *context, struct slice member, double score)
{
    struct gathering *g = context;
    struct element_place place;
    score = not_nan(g->inputs[g->current].weight * score);
    if (g->failed)
        return;
    const struct element *e =
        g->current > 0 ? element_table_find(&g->result->members, member, &place) : NULL;
    if (!e)
        g->failed = !zset_object_add(g->result, member, score);
    else
        g->failed = !zset_object_rescore(g->result, &place,
                                         together(g->aggregate, element_score(e), score));
}

static void intersect(void *context, struct slice member, double score)
{
    struct gathering *g = context;
    double sum = not_nan(g->inputs[0].weight * score), other;
    if (g->failed)
        return;
    for (size_t i = 1; i < g->count; i++) {
        if (!input_score(&g->inputs[i], member, &other))
            return;
        sum = together(g->aggregate, sum, g->inputs[i].weight * other);
    }
    g->failed = !zset_object_add(g->result, member, sum);
}

static void subtract(void *context, struct slice member, double score)
{
    struct gathering *g = context;
    double other;
    if (g->failed)
        return;
    for (size_t i = 1; i < g->count; i++)
        if (input_score(&g->inputs[i], member, &other))
            return;
    g->failed = !zset_object_add(g->result, member, score);
}

enum store_result zset_combine(struct transaction *tx, enum zset_operation operation,
                               enum zset_aggregate aggregate, struct zset_input *inputs,
                               size_t count, struct zset_object **out)
{
    struct gathering g = {.result = zset_result_new(tx),
                          .operation = operation,
                          .aggregate = aggregate,
                          .inputs = inputs,
                          .count = count};
    *out = NULL;
    if (!g.result)
        return STORE_NO_MEMORY;
    if (operation != ZSET_DIFF)
        sort_by_size(inputs, count);
    if (operation == ZSET_UNION)
        for (; g.current < count; g.current++)
            input_each(&inputs[g.current], unite, &g);
    else
        input_each(&inputs[0], operation == ZSET_INTER ? intersect : subtract, &g);
    if (g.failed) {
        zset_object_free(g.result);
        return STORE_NO_MEMORY;
    }
    *out = g.result;
    return STORE_OK;
}

struct counting {
    const struct zset_input *inputs;
    size_t count;
    uint64_t found, limit;
};

static void count_member(void *context, struct slice member, double score)
{
    struct counting *c = context;
    if (c->limit && c->found == c->limit)
        return;
    for (size_t i = 1; i < c->count; i++)
        if (!input_score(&c->inputs[i], member, &score))
            return;
    c->found++;
}

uint64_t zset_inter_count(struct zset_input *inputs, size_t count, uint64_t limit)
{
    sort_by_size(inputs, count);
    struct counting c = {inputs, count, 0, limit};
    input_each(&inputs[0], count_member, &c);
    return c.found;
}

/* ---- storing ---- */

/* An entry with the members packed in `size` bytes. NULL: out of memory. */
static struct entry *packed_entry(struct slice key, const struct zset_object *o, size_t size)
{
    bool is_inline = size <= ENTRY_INLINE_MAX;
    struct entry *e = entry_new(key, TYPE_ZSET, ENCODING_PACKED,
                                is_inline ? size : sizeof(struct blob *), EXPIRY_NONE);
    if (!e)
        return NULL;
    if (is_inline) {
        zset_object_pack(o, entry_value(e));
        return e;
    }
    struct blob *blob = blob_new(size);
    if (!blob) {
        entry_free(e);
        return NULL;
    }
    blob->size = size;
    e->flags |= ENTRY_BLOCK;
    entry_set_block(e, blob);
    zset_object_pack(o, (unsigned char *)blob->bytes);
    return e;
}

static struct entry *object_entry(struct slice key, struct zset_object *o)
{
    struct entry *e = entry_new(key, TYPE_ZSET, ENCODING_TREE, sizeof o, EXPIRY_NONE);
    if (e) {
        e->flags |= ENTRY_BLOCK;
        entry_set_block(e, o);
    }
    return e;
}

enum store_result zset_store(struct transaction *tx, struct store_key key, struct zset_object *o,
                             const char *event, bool each, size_t *count)
{
    *count = zset_object_count(o);
    if (*count == 0) {
        zset_object_free(o);
        keyspace_delete(tx, key, true);
        return STORE_OK;
    }
    size_t size = zset_object_packed_size(o, keyspace_limits(tx->keyspace));
    struct entry *e = size ? packed_entry(key.name, o, size) : object_entry(key.name, o);
    enum store_result rc = e ? value_put(tx, key, e) : STORE_NO_MEMORY;
    if (rc != STORE_OK && e)
        entry_free(e); /* and the object, if it is in there */
    if (size != 0 || !e)
        zset_object_free(o);
    if (rc == STORE_OK)
        value_changed(tx, key, EVENT_ZSET, event, each ? *count : 1);
    return rc;
}

/* A range on its way into another set, which begins packed, and so forgets that a score is -0, until something does not
 * fit. */
struct copying {
    struct zset_object *result;
    size_t most, longest; /* of a packed set */
    bool packed, failed;
};

static void copy_member(void *context, struct slice member, double score)
{
    struct copying *c = context;
    c->packed = c->packed && zset_object_count(c->result) < c->most && member.size <= c->longest;
    if (c->packed && score == 0)
        score = 0;
    c->failed = c->failed || !zset_object_add(c->result, member, score);
}

enum store_result zset_store_range(struct transaction *tx, struct store_key key,
                                   const struct zset_view *source, struct zset_ranks ranks,
                                   bool reverse, size_t *count)
{
    const struct type_limits *limits = keyspace_limits(tx->keyspace);
    struct copying c = {.result = zset_result_new(tx),
                        .most = (size_t)type_limit(&limits->zset_max_listpack_entries),
                        .longest = (size_t)type_limit(&limits->zset_max_listpack_value),
                        .packed = true};
    if (!c.result)
        return STORE_NO_MEMORY;
    zset_visit(source, ranks, reverse, copy_member, &c);
    if (c.failed) {
        zset_object_free(c.result);
        return STORE_NO_MEMORY;
    }
    return zset_store(tx, key, c.result, "zrangestore", false, count);
}
