/* zset_random.c - random members and scans.
 *
 * A random member is one of random rank. Few different ones are drawn by Floyd's method with a set of the ranks taken;
 * many are selected in one walk, as are all where memory for that set is not to be had.
 */
#include "base/random.h"
#include "store/types/value.h"
#include "store/types/zset.h"
#include "store/types/zset_object.h"

#include <tuco/mem.h>

struct selection {
    struct random_state *random;
    size_t left, wanted;
    zset_visit_fn visit;
    void *context;
};

static void select_member(void *context, struct slice member, double score)
{
    struct selection *s = context;
    if (random_below(s->random, s->left) < s->wanted) {
        s->visit(s->context, member, score);
        s->wanted--;
    }
    s->left--;
}

/* True if the rank was not in the set of `mask` + 1 places, which hold ranks plus one. */
static bool remember(size_t *set, size_t mask, size_t rank)
{
    size_t at = (size_t)((uint64_t)rank * UINT64_C(0x9e3779b97f4a7c15) >> 20) & mask;
    for (; set[at]; at = (at + 1) & mask)
        if (set[at] == rank + 1)
            return false;
    set[at] = rank + 1;
    return true;
}

static void visit_rank(const struct zset_view *v, size_t rank, zset_visit_fn visit, void *context)
{
    zset_visit(v, (struct zset_ranks){rank, rank + 1}, false, visit, context);
}

/* False: out of memory, nothing was visited. */
static bool draw_distinct(const struct zset_view *v, size_t all, size_t count, zset_visit_fn visit,
                          void *context)
{
    size_t mask = 15;
    while (mask < 2 * count)
        mask = 2 * mask + 1;
    size_t *set = tu_alloc_zeroed((mask + 1) * sizeof *set);
    if (!set)
        return false;
    for (size_t last = all - count; last < all; last++) {
        size_t rank = random_below(&v->f.shard->random, last + 1);
        if (!remember(set, mask, rank)) {
            rank = last; /* which cannot have been drawn before */
            (void)remember(set, mask, rank);
        }
        visit_rank(v, rank, visit, context);
    }
    tu_free(set);
    return true;
}

void zset_random(const struct zset_view *v, uint64_t count, bool again, zset_visit_fn visit,
                 void *context)
{
    enum { FEW = 8 }; /* finding a rank costs about as much as walking over so many */
    size_t all = zset_count(v);
    if (again) {
        for (uint64_t i = 0; i < count; i++)
            visit_rank(v, random_below(&v->f.shard->random, all), visit, context);
        return;
    }
    if (count == 0 || (count < all / FEW && draw_distinct(v, all, count, visit, context)))
        return;
    struct selection s = {&v->f.shard->random, all, count, visit, context};
    zset_entry_each(v->f.entry, select_member, &s);
}

uint64_t zset_scan(const struct zset_view *v, uint64_t cursor, uint64_t count, zset_visit_fn visit,
                   void *context)
{
    if (!v->f.entry)
        return 0;
    if (v->f.entry->encoding == ENCODING_PACKED) {
        zset_entry_each(v->f.entry, visit, context);
        return 0;
    }
    const struct zset_object *o = value_object(&v->f);
    uint64_t seen = 0;
    do {
        struct element *found[ELEMENT_SCAN_MAX];
        size_t n;
        cursor = element_table_scan(&o->members, cursor, found, &n);
        for (size_t i = 0; i < n; i++)
            visit(context, element_name(found[i]), element_score(found[i]));
        seen += n;
    } while (cursor != 0 && seen < count);
    return cursor;
}
