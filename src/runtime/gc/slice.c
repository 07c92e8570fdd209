/* slice.c - growing, sharing, copying.
 *
 * A slice's three words are written pointer first when it grows and length last when it is added to, so that a goroutine
 * that reads them without any order sees elements that exist, or a length that is too small.
 */
#include <tuco/slice.h>

#include "base/check.h"

#include <errno.h>

enum { DOUBLE_BELOW = 256 }; /* elements; above, by a quarter and a constant */

struct tu__slice tu__slice_make(const tu_type *type, size_t length, size_t capacity)
{
    tu_check(length <= capacity, "tu_make_slice: a length of %zu, a capacity of %zu", length,
             capacity);
    struct tu__slice s = {tu__gc_alloc(type, capacity), length, capacity};
    return s.at ? s : (struct tu__slice){0};
}

static size_t grown(size_t capacity, size_t needed)
{
    size_t next =
        capacity < DOUBLE_BELOW ? 2 * capacity : capacity + capacity / 4 + DOUBLE_BELOW / 2;
    return next > needed ? next : needed;
}

static int grow(const tu_type *type, struct tu__slice *s, size_t needed)
{
    void *array = tu__gc_alloc(type, grown(s->capacity, needed));
    if (!array)
        return -ENOMEM;
    if (s->length > 0)
        tu__gc_move(type, array, s->at, s->length);
    tu__gc_set(&s->at, array);
    s->capacity = type->size ? tu_gc_usable_size(array) / type->size : needed;
    return 0;
}

int tu__slice_append(const tu_type *type, struct tu__slice *s, const void *elements, size_t count)
{
    size_t needed;
    if (__builtin_add_overflow(s->length, count, &needed))
        return -ENOMEM;
    if (needed > s->capacity) {
        int rc = grow(type, s, needed);
        if (rc < 0)
            return rc;
    }
    if (count > 0)
        tu__gc_move(type, (char *)s->at + s->length * type->size, elements, count);
    s->length = needed;
    return 0;
}

void tu__slice_assign(struct tu__slice *to, const struct tu__slice *from)
{
    to->length = 0;
    tu__gc_set(&to->at, from->at);
    to->capacity = from->capacity;
    to->length = from->length;
}

size_t tu__slice_copy(const tu_type *type, const struct tu__slice *to, const struct tu__slice *from)
{
    size_t count = to->length < from->length ? to->length : from->length;
    if (count > 0)
        tu__gc_move(type, to->at, from->at, count);
    return count;
}

void tu__slice_index_failed(size_t index, size_t length)
{
    check_failed(__FILE__, __LINE__, "a slice of %zu elements has no index %zu", length, index);
}

void tu__slice_range_failed(size_t from, size_t to, size_t capacity)
{
    check_failed(__FILE__, __LINE__, "a slice with a capacity of %zu has no range %zu to %zu",
                 capacity, from, to);
}
