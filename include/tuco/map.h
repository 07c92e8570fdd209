/* map.h - typed hash maps of the collected heap.
 *
 *     TU_TYPE(int);
 *     TU_MAP(ages, tu_string, int);                     the type of maps from strings to ints
 *
 *     ages *m = tu_make_map(ages, 0);                   NULL: no memory
 *     int rc = tu_map_set(ages, m, name, 42);           0, or -ENOMEM and the map as before
 *     int *age = tu_map_get(ages, m, name);             NULL: not there
 *     bool was = tu_map_delete(ages, m, name);
 *     tu_map_each(ages, m, e)
 *         printf("%s %d\n", e.key->at, *e.value);
 *
 * Keys are described types: tu_strings, compared by their bytes, or types without padding whose bytes compare (numbers,
 * pointers, structures of those; not floats). A value stays where it is for as long as its key is there, also when
 * the map grows; what it holds of pointers is written by tu_set. A map grows in steps: no single call pays for all of it.
 *
 * While it is walked a map may be changed, by the walker too: a key that is there all the time is seen exactly once, one that
 * is deleted before its turn is not seen, one that is added may or may not be. The order says nothing.
 *
 * A map belongs to one goroutine or thread at a time; two that change it at once are found out sometimes, and abort.
 * Reading at the same time is fine. NULL is an empty map that cannot be set. Nothing parks.
 */
#pragma once

#include <tuco/gc.h>
#include <tuco/string.h>

TU_BEGIN_DECLS

/* Behind every map; its fields are map.c's. */
struct tu__map {
    uint64_t *const index, *const old; /* open addressing: hash << 32 | entry + 1 */
    void *const *const segments;       /* keys and values of entries 0-7, 8-15, 16-31, ... */
    uint64_t *const live;              /* a bit for each entry */
    const tu_type *key_type, *value_type;
    uint32_t index_mask, old_mask; /* slots - 1 */
    uint32_t index_used;           /* slots that are not empty */
    uint32_t drained;              /* slots of `old` that are done with */
    uint32_t entries;              /* numbers given out */
    uint32_t room;                 /* entries that there are segments for */
    uint32_t count, free_entries;  /* keys; numbers given out and free again */
    uint32_t free_word;            /* of `live`: where the search for a free one goes on */
    uint32_t changing;             /* somebody is at it */
    bool string_keys;
};

struct tu__map_cursor {
    const struct tu__map *map;
    const void *key;
    void *value;
    size_t next; /* entry */
};

TU_API struct tu__map *tu__map_make(const tu_type *key, const tu_type *value, bool string_keys,
                                    size_t expected);
TU_API void *tu__map_get(const struct tu__map *m, const void *key);
/* The place of the key's value, which is zero if the key is new; NULL: no memory. */
TU_API void *tu__map_place(struct tu__map *m, const void *key);
TU_API TU_MUST_CHECK int tu__map_set(struct tu__map *m, const void *key, const void *value);
TU_API bool tu__map_delete(struct tu__map *m, const void *key);
TU_API void tu__map_clear(struct tu__map *m);
/* False: that was all. */
TU_API bool tu__map_next(struct tu__map_cursor *c);
/* Aborts if something is not as it should be: for tests. */
TU_API void tu__map_verify(const struct tu__map *m);

TU_END_DECLS

#ifdef __cplusplus
template <class T> struct tu__is_string {
    enum { value = false };
};
template <> struct tu__is_string<tu_string> {
    enum { value = true };
};
#define tu__string_type(T) (bool(tu__is_string<T>::value))
#else
#define tu__string_type(T) __builtin_types_compatible_p(T, tu_string)
#endif

/* TU_MAP(name, key, value): the type `name` of maps, between two described types, each named by one identifier. */
#define TU_MAP(name, K, V)                                                                       \
    typedef struct name {                                                                        \
        struct tu__map map;                                                                      \
        __extension__ K *tu__key[0];                                                             \
        __extension__ V *tu__value[0];                                                           \
    } name;                                                                                      \
    typedef struct name##_cursor {                                                               \
        struct tu__map_cursor at;                                                                \
        K const *key;                                                                            \
        V *value;                                                                                \
    } name##_cursor;                                                                             \
    __attribute__((unused)) static inline name *tu__make_map_##name(size_t expected)             \
    {                                                                                            \
        return (name *)tu__map_make(TU_TYPE_OF(K), TU_TYPE_OF(V), tu__string_type(K), expected); \
    }                                                                                            \
    struct name /* takes the semicolon */

#define tu__key_type_of(name)   __typeof__(**((name *)0)->tu__key)
#define tu__value_type_of(name) __typeof__(**((name *)0)->tu__value)

/* A map that has room for so many keys; more makes it grow. NULL: no memory. */
#define tu_make_map(name, expected) tu__make_map_##name(expected)

/* The key's value, to be read and written in place; NULL: not there. */
#define tu_map_get(name, m, k)                                                                    \
    ({                                                                                            \
        const name *tu__m = (m);                                                                  \
        tu__key_type_of(name) tu__k = (k);                                                        \
        (tu__value_type_of(name) *)tu__map_get(tu__m ? &tu__m->map : NULL, (const void *)&tu__k); \
    })
/* The same, and a key that is not there is put in with a value of zero; NULL: no memory. `++*tu_map_place(...)` */
#define tu_map_place(name, m, k)                                             \
    ({                                                                       \
        name *tu__m = (m);                                                   \
        tu__key_type_of(name) tu__k = (k);                                   \
        (tu__value_type_of(name) *)tu__map_place(tu__m ? &tu__m->map : NULL, \
                                                 (const void *)&tu__k);      \
    })
/* Puts a value in, over the one that the key had: 0 or -ENOMEM. */
#define tu_map_set(name, m, k, v)                                                            \
    ({                                                                                       \
        name *tu__m = (m);                                                                   \
        tu__key_type_of(name) tu__k = (k);                                                   \
        tu__value_type_of(name) tu__v = (v);                                                 \
        tu__map_set(tu__m ? &tu__m->map : NULL, (const void *)&tu__k, (const void *)&tu__v); \
    })
/* False: it was not there. */
#define tu_map_delete(name, m, k)                                         \
    ({                                                                    \
        name *tu__m = (m);                                                \
        tu__key_type_of(name) tu__k = (k);                                \
        tu__map_delete(tu__m ? &tu__m->map : NULL, (const void *)&tu__k); \
    })
#define tu_map_clear(m) tu__map_clear(&(m)->map)
#define tu_map_count(m) ((size_t)(m)->map.count)
/* A loop over the map, with e.key and e.value; break and continue as in any. */
#define tu_map_each(name, m, e)                                                   \
    for (name##_cursor e = {{(m) ? &(m)->map : NULL, NULL, NULL, 0}, NULL, NULL}; \
         tu__map_next(&e.at) &&                                                   \
         (e.key = (__typeof__(e.key))e.at.key, e.value = (__typeof__(e.value))e.at.value, true);)
