/* zset_combine.c - see zset_combine.h.
 *
 * Inputs are taken from the smallest to the largest, as the peers do: sums of doubles depend on it.
 */
#include "store/types/zset_combine.h"

#include "store/long_work.h"
#include "store/types/value.h"
#include "store/types/zset_object.h"

#include <math.h>

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

static bool input_score(const struct zset_input *input, struct slice member, uint64_t hash,
                        double *score)
{
    if (!input->set.entry)
        return zset_score_hashed(&input->view, member, hash, score);
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
    struct zset_result *result;
    enum zset_aggregate aggregate;
    const struct zset_input *inputs;
    size_t count, current; /* the input being walked */
    bool failed;
};

static void unite(void *context, struct slice member, double score)
{
    struct gathering *g = context;
    if (g->failed)
        return;
    uint64_t hash = zset_result_hash(g->result, member);
    struct element *e = g->current > 0 ? zset_result_find(g->result, member, hash) : NULL;
    score = not_nan(g->inputs[g->current].weight * score);
    if (e)
        element_set_score(e, together(g->aggregate, element_score(e), score));
    else
        g->failed = !zset_result_add_hashed(g->result, member, hash, score);
}

static void intersect(void *context, struct slice member, double score)
{
    struct gathering *g = context;
    double sum = not_nan(g->inputs[0].weight * score), other;
    if (g->failed)
        return;
    uint64_t hash = zset_result_hash(g->result, member);
    for (size_t i = 1; i < g->count; i++) {
        if (!input_score(&g->inputs[i], member, hash, &other))
            return;
        sum = together(g->aggregate, sum, g->inputs[i].weight * other);
    }
    g->failed = !zset_result_add_hashed(g->result, member, hash, sum);
}

static void subtract(void *context, struct slice member, double score)
{
    struct gathering *g = context;
    double other;
    if (g->failed)
        return;
    uint64_t hash = zset_result_hash(g->result, member);
    for (size_t i = 1; i < g->count; i++)
        if (input_score(&g->inputs[i], member, hash, &other))
            return;
    g->failed = !zset_result_add_hashed(g->result, member, hash, score);
}

/* The largest input, which comes last, and half of the others are expected to be members. */
static void unite_all(struct gathering *g)
{
    size_t expected = 0;
    for (size_t i = 0; i < g->count; i++)
        expected += input_count(&g->inputs[i]) / (i + 1 < g->count ? 2 : 1);
    if (g->count > 1)
        g->failed = !zset_result_join(g->result, expected);
    for (; g->current < g->count && !g->failed; g->current++)
        input_each(&g->inputs[g->current], unite, g);
}

/* False: it is postponed. An intersection goes through its smallest input. */
static bool announce(struct transaction *tx, enum zset_operation operation,
                     const struct zset_input *inputs, size_t count)
{
    size_t members = 0, fewest = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        size_t n = input_count(&inputs[i]);
        members += n;
        fewest = n < fewest ? n : fewest;
    }
    return long_work_begin(tx, operation == ZSET_INTER ? fewest : members);
}

enum store_result zset_combine(struct transaction *tx, enum zset_operation operation,
                               enum zset_aggregate aggregate, struct zset_input *inputs,
                               size_t count, struct zset_result **out)
{
    *out = NULL;
    if (!announce(tx, operation, inputs, count))
        return STORE_POSTPONED;
    struct gathering g = {
        .result = zset_result_new(tx), .aggregate = aggregate, .inputs = inputs, .count = count};
    if (!g.result)
        return STORE_NO_MEMORY;
    if (operation != ZSET_DIFF)
        sort_by_size(inputs, count);
    if (operation == ZSET_UNION)
        unite_all(&g);
    else
        input_each(&inputs[0], operation == ZSET_INTER ? intersect : subtract, &g);
    if (g.failed) {
        zset_result_free(g.result);
        return STORE_NO_MEMORY;
    }
    *out = g.result;
    return STORE_OK;
}

struct counting {
    const struct siphash_key *secret;
    const struct zset_input *inputs;
    size_t count;
    uint64_t found, limit;
};

static void count_member(void *context, struct slice member, double score)
{
    struct counting *c = context;
    if (c->limit && c->found == c->limit)
        return;
    uint64_t hash = siphash13(c->secret, member.data, member.size);
    for (size_t i = 1; i < c->count; i++)
        if (!input_score(&c->inputs[i], member, hash, &score))
            return;
    c->found++;
}

uint64_t zset_inter_count(struct zset_input *inputs, size_t count, uint64_t limit)
{
    sort_by_size(inputs, count);
    struct counting c = {&inputs[0].view.tx->keyspace->secret, inputs, count, 0, limit};
    input_each(&inputs[0], count_member, &c);
    return c.found;
}

/* ---- storing ---- */

/* An entry with the members packed in `size` bytes. NULL: out of memory. */
static struct entry *packed_entry(struct slice key, struct zset_result *r, size_t size)
{
    bool is_inline = size <= ENTRY_INLINE_MAX;
    if (!zset_result_sort(r))
        return NULL;
    struct entry *e = entry_new(key, TYPE_ZSET, ENCODING_PACKED,
                                is_inline ? size : sizeof(struct blob *), EXPIRY_NONE);
    if (!e)
        return NULL;
    if (is_inline) {
        zset_result_pack(r, entry_value(e));
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
    zset_result_pack(r, (unsigned char *)blob->bytes);
    return e;
}

static struct entry *object_entry(struct slice key, struct zset_result *r)
{
    struct zset_object *o = zset_result_object(r);
    struct entry *e = o ? entry_new(key, TYPE_ZSET, ENCODING_TREE, sizeof o, EXPIRY_NONE) : NULL;
    if (e) {
        e->flags |= ENTRY_BLOCK;
        entry_set_block(e, o);
    } else if (o) {
        zset_object_free(o);
    }
    return e;
}

enum store_result zset_store(struct transaction *tx, struct store_key key, struct zset_result *r,
                             const char *event, bool each, size_t *count)
{
    *count = zset_result_count(r);
    if (*count == 0) {
        zset_result_free(r);
        keyspace_delete(tx, key, true);
        return STORE_OK;
    }
    size_t size = zset_result_packed_size(r, keyspace_limits(tx->keyspace));
    struct entry *e = size ? packed_entry(key.name, r, size) : object_entry(key.name, r);
    zset_result_free(r);
    enum store_result rc = e ? value_put(tx, key, e) : STORE_NO_MEMORY;
    if (rc != STORE_OK && e)
        entry_free(e); /* with what is in there */
    if (rc == STORE_OK)
        value_changed(tx, key, EVENT_ZSET, event, each ? *count : 1);
    return rc;
}

/* A range on its way into another set, which begins packed, and so forgets that a score is -0, until something does not
 * fit. */
struct copying {
    struct zset_result *result;
    size_t most, longest; /* of a packed set */
    bool packed, failed;
};

static void copy_member(void *context, struct slice member, double score)
{
    struct copying *c = context;
    c->packed = c->packed && zset_result_count(c->result) < c->most && member.size <= c->longest;
    if (c->packed && score == 0)
        score = 0;
    c->failed = c->failed || !zset_result_add(c->result, member, score);
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
        zset_result_free(c.result);
        return STORE_NO_MEMORY;
    }
    return zset_store(tx, key, c.result, "zrangestore", false, count);
}
