/* zset_object.c - see zset_object.h; and the row of the type. */
#include "store/types/zset_object.h"

#include "base/check.h"
#include "base/number.h"
#include "store/digest.h"
#include "store/entry.h"
#include "store/type_limits.h"
#include "store/types/type_ops.h"
#include "store/types/zset.h"

#include <math.h>
#include <tuco/mem.h>

struct zset_object *zset_object_new(const struct siphash_key *secret)
{
    struct zset_object *o = tu_alloc(sizeof *o);
    if (!o)
        return NULL;
    element_table_init(&o->members, secret);
    o->order = (struct score_tree){0};
    return o;
}

void zset_object_free(struct zset_object *o)
{
    score_tree_destroy(&o->order);
    element_table_destroy(&o->members);
    tu_free(o);
}

static bool build_order(struct zset_object *o, struct element_item *items, size_t count,
                        bool in_order)
{
    if (!in_order) {
        struct element_item *room = tu_alloc(count * sizeof *room);
        if (!room)
            return false;
        score_sort(items, room, count);
        tu_free(room);
    }
    return score_tree_build(&o->order, items, count);
}

struct zset_object *zset_object_of_items(const struct siphash_key *secret,
                                         struct element_item *items, size_t count, bool in_order)
{
    struct zset_object *o = zset_object_new(secret);
    if (!o || count == 0)
        return o;
    if (element_table_fill(&o->members, items, count)) {
        if (build_order(o, items, count, in_order))
            return o;
        element_table_drop(&o->members);
    }
    tu_free(o);
    return NULL;
}

bool zset_object_add(struct zset_object *o, struct slice member, double score)
{
    struct element *e = element_new_scored(member, score);
    if (!e)
        return false;
    if (!element_table_insert(&o->members, e)) {
        element_free(e);
        return false;
    }
    if (score_tree_insert(&o->order, e))
        return true;
    element_table_remove(&o->members, member);
    return false;
}

bool zset_object_rescore(struct zset_object *o, const struct element_place *place, double score)
{
    struct element *e = element_table_at(&o->members, place);
    if (score == element_score(e)) { /* it may be -0 that becomes 0 */
        element_set_score(e, score);
        return true;
    }
    if (score_tree_rescore(&o->order, e, score))
        return true;
    struct element *made = element_new_scored(element_name(e), score);
    if (!made)
        return false;
    /* Taking the old one out first could not be undone without memory. */
    if (!score_tree_insert(&o->order, made)) {
        element_free(made);
        return false;
    }
    score_tree_remove(&o->order, score_tree_rank(&o->order, e));
    element_table_replace(&o->members, place, made);
    return true;
}

bool zset_object_remove(struct zset_object *o, struct slice member)
{
    struct element_place place;
    const struct element *e = element_table_find(&o->members, member, &place);
    if (!e)
        return false;
    score_tree_remove(&o->order, score_tree_rank(&o->order, e));
    element_table_remove_at(&o->members, &place);
    return true;
}

void zset_object_remove_rank(struct zset_object *o, size_t rank)
{
    const struct element *e = score_tree_remove(&o->order, rank);
    struct element_place place;
    (void)element_table_find(&o->members, element_name(e), &place);
    element_table_remove_at(&o->members, &place);
}

/* ---- the packed form ---- */

double zset_packed_score(struct packed p, size_t at)
{
    struct packed_item item;
    double score = 0;
    packed_get(p, at, &item);
    if (item.is_integer)
        return (double)item.integer;
    (void)number_parse_double(item.bytes, &score);
    return score;
}

struct slice zset_packed_text(double score, char *out)
{
    if (score == 0)
        score = 0; /* not -0 */
    return (struct slice){out, number_format_double(out, score)};
}

size_t zset_packed_pair_size(const struct element *e)
{
    char text[NUMBER_DOUBLE_MAX_SIZE];
    return packed_item_size(element_name(e)) +
           packed_item_size(zset_packed_text(element_score(e), text));
}

unsigned char *zset_packed_write_pair(unsigned char *to, const struct element *e)
{
    char text[NUMBER_DOUBLE_MAX_SIZE];
    to = packed_write(to, element_name(e));
    return packed_write(to, zset_packed_text(element_score(e), text));
}

/* The object of `count` items, of which the last may be missing for want of memory; then they are freed, and NULL. */
static struct zset_object *object_of(const struct siphash_key *secret, struct element_item *items,
                                     size_t made, size_t count)
{
    struct zset_object *o = made == count ? zset_object_of_items(secret, items, count, true) : NULL;
    for (size_t i = 0; !o && i < made; i++)
        element_free(items[i].element);
    tu_free(items);
    return o;
}

/* Puts a new element into *item. False: out of memory. */
static bool make_item(const struct siphash_key *secret, struct element_item *item,
                      struct slice member, double score)
{
    *item = (struct element_item){element_new_scored(member, score),
                                  siphash13(secret, member.data, member.size)};
    return item->element != NULL;
}

struct zset_object *zset_object_of_packed(const struct siphash_key *secret, struct packed p)
{
    size_t count = packed_count(p) / 2, made = 0;
    struct element_item *items = tu_alloc((count + 1) * sizeof *items);
    if (!items)
        return NULL;
    for (size_t at = packed_first(p); at < p.size; made++) {
        struct packed_item name;
        packed_get(p, at, &name);
        size_t score_at = packed_next(p, at);
        if (!make_item(secret, &items[made], packed_text(&name), zset_packed_score(p, score_at)))
            break;
        at = packed_next(p, score_at);
    }
    return object_of(secret, items, made, count);
}

size_t zset_object_packed_size(const struct zset_object *o, const struct type_limits *limits)
{
    uint64_t longest = (uint64_t)type_limit(&limits->zset_max_listpack_value);
    size_t bytes = PACKED_HEAD;
    if (o->order.count > (uint64_t)type_limit(&limits->zset_max_listpack_entries))
        return 0;
    struct score_place at = score_tree_at(&o->order, 0);
    for (const struct element *e; (e = score_place_get(at)); at = score_place_next(at)) {
        if (element_name(e).size > longest)
            return 0;
        bytes += zset_packed_pair_size(e);
    }
    return bytes;
}

void zset_object_pack(const struct zset_object *o, unsigned char *to)
{
    packed_set_count(to, 2 * o->order.count);
    to += PACKED_HEAD;
    struct score_place at = score_tree_at(&o->order, 0);
    for (const struct element *e; (e = score_place_get(at)); at = score_place_next(at))
        to = zset_packed_write_pair(to, e);
}

/* ---- the type's row ---- */

static void free_object(void *object)
{
    zset_object_free(object);
}

static size_t object_size(const void *object)
{
    return zset_object_count(object);
}

static size_t object_memory(const void *object)
{
    const struct zset_object *o = object;
    return tu_usable_size(o) + element_table_memory(&o->members) + o->order.bytes;
}

static void *object_copy(const void *object)
{
    const struct zset_object *o = object;
    const struct siphash_key *secret = o->members.table.key;
    size_t count = o->order.count, made = 0;
    struct element_item *items = tu_alloc((count + 1) * sizeof *items);
    if (!items)
        return NULL;
    struct score_place at = score_tree_at(&o->order, 0);
    for (const struct element *e; (e = score_place_get(at)); at = score_place_next(at), made++)
        if (!make_item(secret, &items[made], element_name(e), element_score(e)))
            break;
    return object_of(secret, items, made, count);
}

static void digest_member(void *context, struct slice member, double score)
{
    uint8_t one[SHA1_SIZE] = {0};
    char text[NUMBER_DOUBLE_MAX_SIZE];
    size_t size = number_format_shortest(text, score);
    digest_mix(one, member.data, member.size);
    digest_mix(one, text, size);
    digest_xor(context, one, SHA1_SIZE);
}

static void object_digest(const struct entry *e, uint8_t digest[SHA1_SIZE])
{
    zset_entry_each(e, digest_member, digest);
}

void zset_object_verify(const struct zset_object *o)
{
    element_table_verify(&o->members);
    score_tree_verify(&o->order);
    tu_check(element_table_count(&o->members) == o->order.count, "%zu members, %zu in order",
             element_table_count(&o->members), o->order.count);
    struct score_place at = score_tree_at(&o->order, 0);
    for (const struct element *e; (e = score_place_get(at)); at = score_place_next(at)) {
        tu_check(element_table_find(&o->members, element_name(e), NULL) == e,
                 "an element in order that is no member");
        tu_check(!isnan(element_score(e)), "a score that is no number");
    }
}

/* Pairs in order of score, then member; no score that is no number. */
static void packed_verify(struct packed p)
{
    struct packed_item item, last;
    double score, before = -INFINITY;
    packed_verify_names(p, 2);
    for (size_t at = packed_first(p), first = at; at < p.size; last = item, before = score) {
        size_t score_at = packed_next(p, at);
        packed_get(p, at, &item);
        score = zset_packed_score(p, score_at);
        tu_check(score >= before, "scores that do not ascend");
        tu_check(at == first || score > before ||
                     score_compare_names(packed_text(&last), packed_text(&item)) < 0,
                 "members of one score that do not ascend");
        at = packed_next(p, score_at);
    }
}

static void entry_verify(const struct entry *e)
{
    if (e->encoding == ENCODING_PACKED)
        packed_verify(entry_packed(e));
    else
        zset_object_verify(entry_block(e));
    tu_check(entry_value_count(e) > 0, "a sorted set without members");
}

const struct type_ops zset_type_ops = {
    .free = free_object,
    .free_effort = object_size,
    .size = object_size,
    .memory = object_memory,
    .copy = object_copy,
    .digest = object_digest,
    .verify = entry_verify,
};
