/* slice.h - typed slices of the collected heap: a part of an array, that grows.
 *
 *     TU_TYPE(int);                                  the element, described once (tuco/gc.h)
 *     TU_SLICE(ints, int);                           the type of slices of it
 *
 *     ints s = tu_make_slice(ints, 0, 16);           length, capacity; s.at is NULL: no memory
 *     int rc = tu_append(ints, &s, 7);               0, or -ENOMEM and s as before
 *     ints part = tu_sub(ints, s, 0, 1);             shares the elements
 *     int first = tu_at(s, 0);                       checked; s.at[0] is not
 *
 * A slice is a value of three words, and as in Go: copies share the elements; appending writes behind the length, into the
 * same array while there is capacity, else into a larger copy; {0} is an empty slice. The collector frees an array
 * when no slice of it is left. An index or a range out of bounds aborts.
 *
 * Elements that are or hold pointers are written by tu_append, tu_slice_set, tu_slice_copy and tu_set. A slice that is a
 * field of an object is declared const, named by its pointer in TU_TYPE, and written by tu_slice_assign or tu_append:
 *
 *     typedef struct { const ints items; } list;
 *     TU_TYPE(list, items.at);
 *     tu_slice_assign(ints, &l->items, s);
 *
 * Any thread or goroutine may use a slice; that two write one at a time is the program's business. Nothing parks.
 */
#pragma once

#include <tuco/gc.h>

TU_BEGIN_DECLS

/* Behind every slice. */
struct tu__slice {
    void *at;
    size_t length, capacity;
};
TU_API struct tu__slice tu__slice_make(const tu_type *type, size_t length, size_t capacity);
/* `elements` may lie in the slice. */
TU_API TU_MUST_CHECK int tu__slice_append(const tu_type *type, struct tu__slice *s,
                                          const void *elements, size_t count);
TU_API void tu__slice_assign(struct tu__slice *to, const struct tu__slice *from);
TU_API size_t tu__slice_copy(const tu_type *type, const struct tu__slice *to,
                             const struct tu__slice *from);
TU_API void tu__slice_index_failed(size_t index, size_t length) __attribute__((noreturn, cold));
TU_API void tu__slice_range_failed(size_t from, size_t to, size_t capacity)
    __attribute__((noreturn, cold));

TU_END_DECLS

/* TU_SLICE(name, element): the type `name` of slices of a described type, named by one identifier. */
#define TU_SLICE(name, T)                                                            \
    typedef struct name {                                                            \
        T *at;                                                                       \
        size_t length, capacity;                                                     \
    } name;                                                                          \
    __attribute__((unused)) static inline const tu_type *tu__element_of_##name(void) \
    {                                                                                \
        return TU_TYPE_OF(T);                                                        \
    }                                                                                \
    struct name /* takes the semicolon */

#define tu__slice_pointer(name) __typeof__(((name *)0)->at)
#define tu__slice_of(s)         ((struct tu__slice *)(uintptr_t)(s))

/* A slice of n zero elements, with a capacity of `room`, which may not be less. Its `at` is NULL when there is no memory. */
#define tu_make_slice(name, n, room)                                                      \
    ({                                                                                    \
        struct tu__slice tu__made = tu__slice_make(tu__element_of_##name(), (n), (room)); \
        (name){(tu__slice_pointer(name))tu__made.at, tu__made.length, tu__made.capacity}; \
    })

/* Adds a value at the end of *s: 0 or -ENOMEM. */
#define tu_append(name, s, value)                                                               \
    ({                                                                                          \
        const name *tu__to = (s);                                                               \
        __typeof__(*((name *)0)->at) tu__one = (value);                                         \
        tu__slice_append(tu__element_of_##name(), tu__slice_of(tu__to), (const void *)&tu__one, \
                         1);                                                                    \
    })
/* Adds all elements of another slice, or of the same. */
#define tu_append_all(name, s, other)                                                              \
    ({                                                                                             \
        const name *tu__to = (s);                                                                  \
        name tu__more = (other);                                                                   \
        tu__slice_append(tu__element_of_##name(), tu__slice_of(tu__to), (const void *)tu__more.at, \
                         tu__more.length);                                                         \
    })

/* Elements from `from` to before `to`, which may go up to the capacity; they are shared. */
#define tu_sub(name, s, from, to)                                                 \
    ({                                                                            \
        name tu__part = (s);                                                      \
        size_t tu__from = (from), tu__to = (to);                                  \
        if (__builtin_expect(tu__from > tu__to || tu__to > tu__part.capacity, 0)) \
            tu__slice_range_failed(tu__from, tu__to, tu__part.capacity);          \
        tu__part.at += tu__from;                                                  \
        tu__part.length = tu__to - tu__from;                                      \
        tu__part.capacity -= tu__from;                                            \
        tu__part;                                                                 \
    })
/* The same with no capacity behind it, so that appending to it copies. */
#define tu_sub_whole(name, s, from, to)             \
    ({                                              \
        name tu__whole = tu_sub(name, s, from, to); \
        tu__whole.capacity = tu__whole.length;      \
        tu__whole;                                  \
    })

/* The element, as an lvalue. */
#define tu_at(s, index) ((s).at[tu__slice_index((index), (s).length)])
static inline size_t tu__slice_index(size_t index, size_t length)
{
    if (__builtin_expect(index >= length, 0))
        tu__slice_index_failed(index, length);
    return index;
}

/* s.at[index] = value, of any type. */
#define tu_slice_set(name, s, index, value)                                              \
    do {                                                                                 \
        name tu__in = (s);                                                               \
        __typeof__(*((name *)0)->at) tu__one = (value);                                  \
        tu__gc_move(tu__element_of_##name(), (void *)(uintptr_t)&tu_at(tu__in, (index)), \
                    (const void *)&tu__one, 1);                                          \
    } while (0)
/* Copies as many elements as both have; the slices may overlap. Returns how many. */
#define tu_slice_copy(name, to, from)                                                            \
    ({                                                                                           \
        name tu__to = (to), tu__from = (from);                                                   \
        tu__slice_copy(tu__element_of_##name(), tu__slice_of(&tu__to), tu__slice_of(&tu__from)); \
    })
/* *to = from, where *to may lie in an object. */
#define tu_slice_assign(name, to, from)                                  \
    do {                                                                 \
        const name *tu__to = (to);                                       \
        name tu__from = (from);                                          \
        tu__slice_assign(tu__slice_of(tu__to), tu__slice_of(&tu__from)); \
    } while (0)
