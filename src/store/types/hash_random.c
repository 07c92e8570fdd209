/* hash_random.c - random fields.
 *
 * Different ones, when they are a good part of all: one walk that takes each field with the chance that makes every choice
 * of `count` as likely as any other (selection sampling). When they are few: draws, with a set of those already drawn.
 */
#include "store/types/hash.h"
#include "store/types/hash_object.h"
#include "store/types/value.h"

#include <tuco/mem.h>

struct selection {
    struct random_state *random;
    size_t left, wanted;
    hash_visit_fn visit;
    void *context;
};

static void select_field(void *context, struct slice field, struct slice value)
{
    struct selection *s = context;
    if (s->wanted > 0 && random_below(s->random, s->left) < s->wanted) {
        s->visit(s->context, field, value);
        s->wanted--;
    }
    s->left--;
}

/* True if it was not in the set of `mask` + 1 places. */
static bool remember(const struct element **set, size_t mask, const struct element *e)
{
    size_t at = (size_t)((uintptr_t)e * UINT64_C(0x9e3779b97f4a7c15) >> 20) & mask;
    for (; set[at]; at = (at + 1) & mask)
        if (set[at] == e)
            return false;
    set[at] = e;
    return true;
}

/* False: out of memory, nothing was visited. */
static bool draw_distinct(const struct hash_view *v, size_t count, hash_visit_fn visit,
                          void *context)
{
    const struct hash_object *o = value_object(&v->f);
    size_t mask = 15;
    while (mask < 2 * count)
        mask = 2 * mask + 1;
    const struct element **set = tu_alloc_zeroed((mask + 1) * sizeof *set);
    if (!set)
        return false;
    for (size_t done = 0; done < count;) {
        struct element_place place;
        const struct element *e = element_table_random(&o->fields, &v->f.shard->random, &place);
        if (remember(set, mask, e)) {
            visit(context, element_name(e), element_value(e));
            done++;
        }
    }
    tu_free(set);
    return true;
}

void hash_random_distinct(const struct hash_view *v, size_t count, hash_visit_fn visit,
                          void *context)
{
    enum { FEW = 4 }; /* a draw costs about as much as walking over four */
    size_t all = hash_count(v);
    if (v->f.entry->encoding != ENCODING_PACKED && count < all / FEW &&
        draw_distinct(v, count, visit, context))
        return;
    struct selection s = {&v->f.shard->random, all, count, visit, context};
    hash_each(v, select_field, &s);
}

static void visit_pair_at(struct packed p, size_t at, hash_visit_fn visit, void *context)
{
    struct packed_item name, value;
    packed_get(p, at, &name);
    packed_get(p, packed_next(p, at), &value);
    visit(context, packed_text(&name), packed_text(&value));
}

/* Many draws from a packed hash find the fields once; if memory does not suffice, each draw walks. */
static void draw_packed(const struct hash_view *v, uint64_t count, hash_visit_fn visit,
                        void *context)
{
    struct packed p = entry_packed(v->f.entry);
    struct random_state *random = &v->f.shard->random;
    size_t all = hash_count(v), n = 0;
    size_t *offsets = count > 2 ? tu_alloc(all * sizeof *offsets) : NULL;
    if (offsets)
        for (size_t at = packed_first(p); at < p.size; at = packed_next(p, packed_next(p, at)))
            offsets[n++] = at;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t pick = random_below(random, all);
        size_t at = offsets ? offsets[pick] : packed_seek(p, (int64_t)(2 * pick));
        visit_pair_at(p, at, visit, context);
    }
    tu_free(offsets);
}

void hash_random_any(const struct hash_view *v, uint64_t count, hash_visit_fn visit, void *context)
{
    if (v->f.entry->encoding == ENCODING_PACKED) {
        draw_packed(v, count, visit, context);
        return;
    }
    const struct hash_object *o = value_object(&v->f);
    for (uint64_t i = 0; i < count; i++) {
        struct element_place place;
        const struct element *e = element_table_random(&o->fields, &v->f.shard->random, &place);
        visit(context, element_name(e), element_value(e));
    }
}
