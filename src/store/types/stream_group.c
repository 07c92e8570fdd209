/* stream_group.c - see stream_group.h.
 *
 * Groups and consumers are few and looked up by name: a sorted array of pointers costs eight bytes each, gives the order
 * in which the peers list them, and is searched by halving.
 */
#include "store/types/stream_group.h"

#include "base/check.h"
#include "store/types/stream_object.h"

#include <tuco/mem.h>

/* ---- lists of names ---- */

static int compare_names(struct slice a, struct slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    return order != 0 ? order : a.size == b.size ? 0 : a.size < b.size ? -1 : 1;
}

/* Where the name is, or belongs. */
static size_t place_of(const struct named_list *list, struct slice name, bool *there)
{
    size_t low = 0, high = list->count;
    *there = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare_names(list->items[middle]->name, name);
        if (order == 0) {
            *there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct named *find(const struct named_list *list, struct slice name)
{
    bool there;
    size_t at = place_of(list, name, &there);
    return there ? list->items[at] : NULL;
}

/* A zeroed record of `size` bytes that begins with its name, in its place. NULL: out of memory. */
static void *add(struct named_list *list, struct slice name, size_t size)
{
    bool there;
    size_t at = place_of(list, name, &there);
    tu_assert(!there);
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 2;
        struct named **items = tu_realloc(list->items, capacity * sizeof(struct named *));
        if (!items)
            return NULL;
        list->items = items;
        list->capacity = capacity;
    }
    struct named *n = tu_alloc_zeroed(size + name.size);
    if (!n)
        return NULL;
    n->name = (struct slice){(char *)n + size, name.size};
    if (name.size > 0)
        memcpy((char *)n + size, name.data, name.size);
    memmove(list->items + at + 1, list->items + at, (list->count - at) * sizeof(struct named *));
    list->items[at] = n;
    list->count++;
    return n;
}

/* Takes it out; the record stays. */
static void take(struct named_list *list, const struct named *n)
{
    bool there;
    size_t at = place_of(list, n->name, &there);
    tu_check(there && list->items[at] == n, "a name that is not in its list");
    list->count--;
    memmove(list->items + at, list->items + at + 1, (list->count - at) * sizeof(struct named *));
}

static size_t list_memory(const struct named_list *list)
{
    size_t bytes = list->items ? tu_usable_size(list->items) : 0;
    for (size_t i = 0; i < list->count; i++)
        bytes += tu_usable_size(list->items[i]);
    return bytes;
}

/* ---- consumers ---- */

struct stream_consumer *stream_consumer_find(const struct stream_group *group, struct slice name)
{
    return (struct stream_consumer *)find(&group->consumers, name);
}

struct stream_consumer *stream_consumer_create(struct stream_group *group, struct slice name,
                                               int64_t now_ms)
{
    struct stream_consumer *c = add(&group->consumers, name, sizeof *c);
    if (!c)
        return NULL;
    c->seen_ms = now_ms;
    c->active_ms = -1;
    return c;
}

static void consumer_free(struct stream_consumer *c)
{
    id_tree_clear(&c->pending, NULL);
    tu_free(c);
}

size_t stream_consumer_destroy(struct stream_group *group, struct stream_consumer *consumer)
{
    size_t count = consumer->pending.count;
    for (struct id at = ID_MIN; id_tree_at_or_after(&consumer->pending, at, &at);) {
        tu_free(id_tree_remove(&group->pending, at));
        if (!id_next(&at))
            break;
    }
    take(&group->consumers, &consumer->named);
    consumer_free(consumer);
    return count;
}

/* ---- groups ---- */

struct stream_group *stream_group_find(const struct stream_object *s, struct slice name)
{
    return s->groups ? (struct stream_group *)find(&s->groups->list, name) : NULL;
}

size_t stream_groups_count(const struct stream_groups *groups)
{
    return groups ? groups->list.count : 0;
}

struct stream_group *stream_group_create(struct stream_object *s, struct slice name,
                                         struct id last_id, int64_t entries_read)
{
    bool first = !s->groups;
    if (first && !(s->groups = tu_alloc_zeroed(sizeof *s->groups)))
        return NULL;
    struct stream_group *g = add(&s->groups->list, name, sizeof *g);
    if (!g) {
        if (first) {
            stream_groups_free(s->groups);
            s->groups = NULL;
        }
        return NULL;
    }
    g->last_id = last_id;
    g->entries_read = entries_read;
    return g;
}

static void group_free(struct stream_group *g)
{
    for (size_t i = 0; i < g->consumers.count; i++)
        consumer_free((struct stream_consumer *)g->consumers.items[i]);
    tu_free(g->consumers.items);
    id_tree_clear(&g->pending, tu_free);
    tu_free(g);
}

void stream_group_destroy(struct stream_object *s, struct stream_group *group)
{
    take(&s->groups->list, &group->named);
    group_free(group);
    if (s->groups->list.count == 0) {
        stream_groups_free(s->groups);
        s->groups = NULL;
    }
}

void stream_groups_free(struct stream_groups *groups)
{
    if (!groups)
        return;
    for (size_t i = 0; i < groups->list.count; i++)
        group_free((struct stream_group *)groups->list.items[i]);
    tu_free(groups->list.items);
    tu_free(groups);
}

static const struct stream_group *group_at(const struct stream_groups *groups, size_t index)
{
    return (const struct stream_group *)groups->list.items[index];
}

size_t stream_groups_effort(const struct stream_groups *groups)
{
    size_t effort = 0;
    for (size_t i = 0; i < stream_groups_count(groups); i++)
        effort += 1 + group_at(groups, i)->pending.count + group_at(groups, i)->consumers.count;
    return effort;
}

size_t stream_groups_memory(const struct stream_groups *groups)
{
    if (!groups)
        return 0;
    size_t bytes = tu_usable_size(groups) + list_memory(&groups->list);
    for (size_t i = 0; i < groups->list.count; i++) {
        const struct stream_group *g = group_at(groups, i);
        bytes += g->pending.bytes + g->pending.count * sizeof(struct stream_nack);
        bytes += list_memory(&g->consumers);
        for (size_t k = 0; k < g->consumers.count; k++)
            bytes += ((struct stream_consumer *)g->consumers.items[k])->pending.bytes;
    }
    return bytes;
}

/* ---- pending entries ---- */

bool stream_group_hand_over(struct stream_group *group, struct id id, struct stream_nack *nack,
                            struct stream_consumer *to)
{
    (void)group;
    if (nack->consumer == to)
        return true;
    if (id_tree_insert(&to->pending, id, nack) != ID_TREE_ADDED)
        return false;
    id_tree_remove(&nack->consumer->pending, id);
    nack->consumer = to;
    return true;
}

struct stream_nack *stream_group_deliver(struct stream_group *group,
                                         struct stream_consumer *consumer, struct id id,
                                         int64_t now_ms)
{
    struct stream_nack *n = id_tree_get(&group->pending, id);
    if (n) {
        if (!stream_group_hand_over(group, id, n, consumer))
            return NULL;
        n->delivered_ms = now_ms;
        n->deliveries = 1;
        return n;
    }
    n = tu_alloc(sizeof *n);
    if (!n)
        return NULL;
    *n = (struct stream_nack){consumer, now_ms, 1};
    if (id_tree_insert(&group->pending, id, n) != ID_TREE_ADDED) {
        tu_free(n);
        return NULL;
    }
    if (id_tree_insert(&consumer->pending, id, n) != ID_TREE_ADDED) {
        id_tree_remove(&group->pending, id);
        tu_free(n);
        return NULL;
    }
    return n;
}

bool stream_group_acknowledge(struct stream_group *group, struct id id)
{
    struct stream_nack *n = id_tree_remove(&group->pending, id);
    if (!n)
        return false;
    id_tree_remove(&n->consumer->pending, id);
    tu_free(n);
    return true;
}

bool stream_groups_want(const struct stream_object *s, struct id id)
{
    for (size_t i = 0; i < stream_groups_count(s->groups); i++) {
        const struct stream_group *g = group_at(s->groups, i);
        if (id_compare(id, g->last_id) > 0 || id_tree_get(&g->pending, id))
            return true;
    }
    return false;
}

void stream_groups_forget(struct stream_object *s, struct id id)
{
    for (size_t i = 0; i < stream_groups_count(s->groups); i++)
        (void)stream_group_acknowledge((struct stream_group *)s->groups->list.items[i], id);
}

/* ---- how far a group is ---- */

/* True if an entry behind `start` may have been deleted singly. */
static bool has_gaps_from(const struct stream_object *s, struct id start)
{
    return s->length > 0 && id_compare(s->max_deleted_id, ID_MIN) != 0 &&
           id_compare(start, s->max_deleted_id) <= 0;
}

int64_t stream_group_estimate_read(const struct stream_object *s, struct id id)
{
    if (s->entries_added == 0)
        return 0;
    int last = id_compare(id, s->last_id);
    if (s->length == 0 && last <= 0)
        return (int64_t)s->entries_added;
    if (id_compare(id, ID_MIN) != 0 && id_compare(id, s->max_deleted_id) < 0)
        return STREAM_READ_UNKNOWN;
    if (last >= 0)
        return last == 0 ? (int64_t)s->entries_added : STREAM_READ_UNKNOWN;
    int first = id_compare(id, s->first_id);
    bool whole = id_compare(s->max_deleted_id, ID_MIN) == 0 ||
                 id_compare(s->max_deleted_id, s->first_id) < 0;
    if (!whole || first > 0)
        return STREAM_READ_UNKNOWN;
    return (int64_t)(s->entries_added - s->length) + (first == 0);
}

bool stream_group_lag(const struct stream_object *s, const struct stream_group *group, int64_t *lag)
{
    int64_t read = 0;
    if (s->entries_added > 0) {
        read = group->entries_read;
        if (read == STREAM_READ_UNKNOWN || has_gaps_from(s, group->last_id))
            read = stream_group_estimate_read(s, group->last_id);
    }
    *lag = (int64_t)s->entries_added - read;
    return read != STREAM_READ_UNKNOWN;
}

void stream_group_advance(const struct stream_object *s, struct stream_group *group, struct id id)
{
    bool inside = id_compare(group->last_id, s->first_id) >= 0;
    if (group->entries_read != STREAM_READ_UNKNOWN && inside && !has_gaps_from(s, group->last_id))
        group->entries_read++;
    else if (s->entries_added > 0)
        group->entries_read = stream_group_estimate_read(s, id);
    group->last_id = id;
}

/* ---- copies ---- */

static bool copy_consumer(struct stream_group *to, const struct stream_consumer *c)
{
    struct stream_consumer *copy = stream_consumer_create(to, c->named.name, c->seen_ms);
    struct stream_nack *n;
    if (!copy)
        return false;
    copy->active_ms = c->active_ms;
    for (struct id at = ID_MIN; (n = id_tree_at_or_after(&c->pending, at, &at));) {
        struct stream_nack *made = stream_group_deliver(to, copy, at, n->delivered_ms);
        if (!made)
            return false;
        made->deliveries = n->deliveries;
        if (!id_next(&at))
            break;
    }
    return true;
}

struct stream_groups *stream_groups_copy(const struct stream_groups *groups)
{
    struct stream_object holder = {0};
    bool ok = (holder.groups = tu_alloc_zeroed(sizeof *groups)) != NULL;
    for (size_t i = 0; ok && i < groups->list.count; i++) {
        const struct stream_group *g = group_at(groups, i);
        struct stream_group *copy =
            stream_group_create(&holder, g->named.name, g->last_id, g->entries_read);
        ok = copy != NULL;
        for (size_t k = 0; ok && k < g->consumers.count; k++)
            ok = copy_consumer(copy, (const struct stream_consumer *)g->consumers.items[k]);
    }
    if (ok)
        return holder.groups;
    stream_groups_free(holder.groups);
    return NULL;
}

static void group_verify(const struct stream_group *g)
{
    size_t pending = 0;
    id_tree_verify(&g->pending);
    for (size_t i = 0; i < g->consumers.count; i++) {
        struct stream_consumer *c = (struct stream_consumer *)g->consumers.items[i];
        struct stream_nack *n;
        id_tree_verify(&c->pending);
        pending += c->pending.count;
        for (struct id at = ID_MIN; (n = id_tree_at_or_after(&c->pending, at, &at));) {
            tu_check(n->consumer == c && id_tree_get(&g->pending, at) == n,
                     "a pending entry of somebody else");
            if (!id_next(&at))
                break;
        }
    }
    tu_check(pending == g->pending.count, "%zu pending, the consumers have %zu", g->pending.count,
             pending);
}

void stream_groups_verify(const struct stream_groups *groups)
{
    for (size_t i = 0; i < stream_groups_count(groups); i++)
        group_verify(group_at(groups, i));
}
