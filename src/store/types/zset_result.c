/* zset_result.c - see zset_result.h.
 *
 * Elements are made at once, as the names that come may lie in memory that is used again. Each is listed with the hash of its
 * name, which the index and the table at the end need; sorting puts the score's place there instead.
 */
#include "store/types/zset_result.h"

#include "base/check.h"
#include "store/type_limits.h"
#include "store/types/zset_object.h"

#include <tuco/mem.h>

struct zset_result {
    const struct siphash_key *secret;
    struct element_item
        *items; /* their words: hashes until it is sorted, then the places of scores */
    size_t count, room;
    uint32_t *
        index; /* NULL: not joined. Numbers of items plus one, 0: free; at the first free place from their hash on */
    size_t index_size; /* a power of two, at least twice the items */
    bool sorted;
};

enum { ROOM_MIN = 16 };

struct zset_result *zset_result_new(struct transaction *tx)
{
    struct zset_result *r = tu_alloc_zeroed(sizeof *r);
    if (r)
        r->secret = &tx->keyspace->secret;
    return r;
}

void zset_result_free(struct zset_result *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        element_free(r->items[i].element);
    tu_free(r->items);
    tu_free(r->index);
    tu_free(r);
}

size_t zset_result_count(const struct zset_result *r)
{
    return r->count;
}

/* ---- gathering ---- */

uint64_t zset_result_hash(const struct zset_result *r, struct slice member)
{
    return siphash13(r->secret, member.data, member.size);
}

static void enter(struct zset_result *r, size_t number)
{
    size_t at = r->items[number].word & (r->index_size - 1);
    while (r->index[at] != 0)
        at = (at + 1) & (r->index_size - 1);
    r->index[at] = (uint32_t)number + 1;
}

bool zset_result_join(struct zset_result *r, size_t count)
{
    size_t size = 2 * (size_t)ROOM_MIN;
    while (size / 2 < count)
        size *= 2;
    if (count > UINT32_MAX - 1)
        return false;
    if (size <= r->index_size)
        return true;
    uint32_t *index = tu_alloc_zeroed(size * sizeof *index);
    if (!index)
        return false;
    tu_free(r->index);
    r->index = index;
    r->index_size = size;
    for (size_t i = 0; i < r->count; i++)
        enter(r, i);
    return true;
}

struct element *zset_result_find(const struct zset_result *r, struct slice member, uint64_t hash)
{
    for (size_t at = hash & (r->index_size - 1); r->index[at] != 0;
         at = (at + 1) & (r->index_size - 1)) {
        const struct element_item *item = &r->items[r->index[at] - 1];
        if (item->word == hash && slice_equal(element_name(item->element), member))
            return item->element;
    }
    return NULL;
}

static bool make_room(struct zset_result *r)
{
    if (r->index && !zset_result_join(r, r->count + 1))
        return false;
    if (r->count < r->room)
        return true;
    size_t room = r->room ? 2 * r->room : ROOM_MIN;
    struct element_item *items = tu_realloc(r->items, room * sizeof *items);
    if (!items)
        return false;
    r->items = items;
    r->room = room;
    return true;
}

bool zset_result_add_hashed(struct zset_result *r, struct slice member, uint64_t hash, double score)
{
    tu_assert(!r->sorted);
    if (!make_room(r))
        return false;
    struct element *e = element_new_scored(member, score);
    if (!e)
        return false;
    r->items[r->count++] = (struct element_item){e, hash};
    if (r->index)
        enter(r, r->count - 1);
    return true;
}

bool zset_result_add(struct zset_result *r, struct slice member, double score)
{
    return zset_result_add_hashed(r, member, zset_result_hash(r, member), score);
}

/* ---- using ---- */

bool zset_result_sort(struct zset_result *r)
{
    struct element_item *room = r->count ? tu_alloc(r->count * sizeof *room) : NULL;
    if (r->count && !room)
        return false;
    score_sort(r->items, room, r->count);
    r->sorted = true;
    tu_free(room);
    return true;
}

void zset_result_each(const struct zset_result *r, zset_visit_fn visit, void *context)
{
    tu_assert(r->sorted);
    for (size_t i = 0; i < r->count; i++)
        visit(context, element_name(r->items[i].element), element_score(r->items[i].element));
}

size_t zset_result_packed_size(const struct zset_result *r, const struct type_limits *limits)
{
    uint64_t longest = (uint64_t)type_limit(&limits->zset_max_listpack_value);
    size_t bytes = PACKED_HEAD;
    if (r->count > (uint64_t)type_limit(&limits->zset_max_listpack_entries))
        return 0;
    for (size_t i = 0; i < r->count; i++) {
        if (element_name(r->items[i].element).size > longest)
            return 0;
        bytes += zset_packed_pair_size(r->items[i].element);
    }
    return bytes;
}

void zset_result_pack(const struct zset_result *r, unsigned char *to)
{
    tu_assert(r->sorted);
    packed_set_count(to, 2 * r->count);
    to += PACKED_HEAD;
    for (size_t i = 0; i < r->count; i++)
        to = zset_packed_write_pair(to, r->items[i].element);
}

struct zset_object *zset_result_object(struct zset_result *r)
{
    tu_assert(!r->sorted);
    struct zset_object *o = zset_object_of_items(r->secret, r->items, r->count, false);
    if (o)
        r->count = 0;
    return o;
}
