/* gc.h - the collected heap: objects that nobody frees, because the collector finds out.
 *
 * An object lives as long as a pointer to it, or into it, lies in another live object, on the stack
 * or in the registers of a goroutine or thread, in memory given to tu_gc_root_add, or in a tu_gc_pin. A type
 * says once where its pointers are, and its pointers are const, so that a plain assignment to
 * one does not compile; tu_set writes them:
 *
 *     typedef struct node node;
 *     struct node {
 *         node *const left, *const right;
 *         int value;
 *     };
 *     TU_TYPE(node, left, right);
 *
 *     node *n = tu_new(node);
 *     if (!n)
 *         return -ENOMEM;
 *     n->value = 7;
 *     tu_set(&n->left, tu_new(node));
 *
 * The rules, all of them:
 *
 * - A pointer field of an object is written by tu_set and by nothing else: no memcpy, no cast (a collected channel may
 *   receive into one). Reading is plain. The same goes for a local variable of another goroutine or thread. A goroutine's own local variables are
 *   plain variables, and so is what tu_gc_root_add was told of.
 * - What lies in memory of tu_alloc or malloc, in static variables or in thread-locals is not seen: tell
 *   tu_gc_root_add of it, or tu_gc_pin the object. Values in the buffer of a tu_chan, arguments of tu_go, of
 *   tu_timer_call and of tu_loop_post, values of contexts are seen. The state of a tu_serve is not.
 * - A pointer is seen as itself only: not with bits set in it, xored, or compressed.
 * - A pointer one past the end of an object of tu_new does not keep it; of tu_new_array it does.
 * - A plain thread (not a goroutine, nor in tu_blocking_call) that holds such pointers calls tu_gc_attach first,
 *   and does not block SIGURG: the collector stops all threads with it for a moment. A system call that the kernel does
 *   not restart (nanosleep, poll) then ends with EINTR.
 *
 * Stacks are read without knowing their types, so an integer that looks like a pointer keeps an object. Nothing here
 * needs tu_start. Objects do not move. In a forked child (tuco/go.h) objects can be made and are kept for ever.
 */
#pragma once

#include <tuco/base.h>

TU_BEGIN_DECLS

/* `words` pointers in a row, `offset` bytes into an element. */
struct tu__pointers {
    uint32_t offset, words;
};

/* A type as the collector sees it: TU_TYPE makes one. It must stay for ever. */
struct tu_type {
    const char *name;
    uint32_t size;                       /* bytes of an element */
    uint32_t pointer_count;              /* entries of `pointers`; 0: it holds no pointers */
    const struct tu__pointers *pointers; /* in the order of offsets */
    uint32_t slab;                       /* the collector's: 0, or TU__OWN_SLAB at first */
};
typedef struct tu_type tu_type;

/* Of a type with static storage that is not const: its single objects get pages of their own, which saves them
 * 8 bytes each. */
#define TU__OWN_SLAB 1u

/* ---- making objects ---- */

/* `count` elements of a type in one object, zero-filled; a count of 0 gives an object of its own. Aligned to 8, and
 * to 16 if the type's size is a multiple of 16. NULL: no memory (or it would be more than half of the address space).
 * May start a collection, and helps with one; never parks. What tu_new is made of, for containers
 * of any type. */
TU_API void *tu__gc_alloc(const tu_type *type, size_t count);
/* `size` bytes that hold no pointers, zero-filled; as tu__gc_alloc otherwise. */
TU_API void *tu_new_bytes(size_t size);

/* Bytes from `object`, the beginning of an object, that are the object's: at least what was asked for. */
TU_API size_t tu_gc_usable_size(const void *object);
/* True if the pointer points to or into an object of the collected heap that exists. */
TU_API bool tu_gc_owns(const void *pointer);

/* ---- writing pointers ---- */

/* *slot = value, as the collector wants it. Release: what was written before is there for whoever reads the pointer
 * with tu_get. The slot may lie anywhere. */
TU_API void tu__gc_set(void *slot, const void *value);
/* memmove of `count` elements of a type, between or inside objects (or from anywhere else): the ranges may overlap. */
TU_API void tu__gc_move(const tu_type *type, void *to, const void *from, size_t count);
/* Zeroes `count` elements. */
TU_API void tu__gc_clear(const tu_type *type, void *at, size_t count);

/* ---- what else is alive ---- */

/* The aligned words in these bytes may be pointers to objects, until it is removed: by its start, exactly as it was
 * given. They are read while the program stands still: a millisecond for a few megabytes. 0 or -ENOMEM. Never park. */
TU_API TU_MUST_CHECK int tu_gc_root_add(const void *start, size_t size);
TU_API void tu_gc_root_remove(const void *start);

/* Keeps an object alive while only memory that is not seen points to it. As often as it was pinned, it must be
 * unpinned; of another pointer that aborts. NULL: nothing. 0 or -ENOMEM. Never park. */
TU_API TU_MUST_CHECK int tu_gc_pin(const void *object);
TU_API void tu_gc_unpin(const void *object);

/* From a plain thread, before it holds a pointer to an object; making one does it as well. The thread's end undoes
 * it. 0 or -ENOMEM. Elsewhere, or a second time: nothing. */
TU_API TU_MUST_CHECK int tu_gc_attach(void);

/* ---- who is gone ---- */

/* A weak pointer: an object itself, and kept alive like one, that knows another without keeping that alive. */
typedef struct tu_weak tu_weak;
/* NULL: no memory. `object` may be a pointer into one; of anything else it aborts. */
TU_API tu_weak *tu_weak_make(const void *object);
/* The object, which then stays as long as the result is kept; or NULL, for ever, once it was collected. */
TU_API void *tu_weak_get(const tu_weak *weak);

/* Calls fn(arg) once, some time after the object was found unreachable and its weak pointers were cleared; the object is
 * gone by then. `arg` is kept alive meanwhile, so it must not lead to the object. Cleanups are called one after the
 * other on a goroutine of their own (a thread, before tu_start), and may park. An object may have several. 0 or
 * -ENOMEM. Never parks. */
TU_API TU_MUST_CHECK int tu_gc_cleanup(const void *object, void (*fn)(void *arg), void *arg);

/* ---- collecting ---- */

/* One whole cycle: objects that were unreachable when it was called are gone when it returns. May park. Never
 * needed: cycles begin by themselves when the heap has grown by TUCO_GC percent. */
TU_API void tu_gc(void);

/* How much the heap may grow over what was alive, before a cycle begins: 100 percent at first, or what the
 * environment's TUCO_GC says (a number, or "off": never but by tu_gc and by the limit). Below 16 MiB or so none begins.
 * A negative percent: off. Returns the one before. */
TU_API int tu_gc_set_percent(int percent);
/* A limit for the bytes of the collected heap, as TUCO_GC_LIMIT (bytes; K, M, G behind the number): near it cycles
 * begin earlier, however often. It is no hard limit. 0: none, as at first. Returns the one before. */
TU_API size_t tu_gc_set_limit(size_t bytes);

/* Generations: objects that have survived a cycle are old, and most cycles are minor ones, which neither scan nor collect
 * those. For programs with much that stays and much that dies young; each tu_set costs a nanosecond more. Off at first, or
 * as TUCO_GC_GENERATIONS=1 says. tu_gc is a whole cycle all the same. Returns what was before. */
TU_API bool tu_gc_set_generations(bool on);

struct tu_gc_stats {
    uint64_t cycles;        /* that have ended */
    uint64_t minor_cycles;  /* of those */
    size_t heap_bytes;      /* in pages of the collected heap */
    size_t live_bytes;      /* in objects found alive by the last cycle */
    size_t used_bytes;      /* those, and what was handed to threads since, a few pages at a time */
    size_t goal_bytes;      /* used_bytes at which the next cycle is meant to end */
    uint64_t freed_objects; /* since the start, */
    uint64_t freed_bytes;   /* ... */
    int64_t pause_ns;       /* the program stood still, in all cycles together, */
    int64_t longest_pause_ns; /* at most at a time */
    int64_t mark_ns;          /* of the last cycle */
};
/* With TUCO_GCTRACE=1 in the environment each cycle also prints a line on standard error. */
TU_API void tu_gc_stats(struct tu_gc_stats *out);

TU_END_DECLS

/* TU_TYPE(type, pointer fields...): describes a type, named by one identifier, at file scope where it is complete. A
 * field may be a pointer, an array of pointers, or a structure of pointers only; fields inside of others are named
 * as in offsetof (`key.name`). At most 16. Fields that are not named are not seen as pointers. It may stand in several files, and in headers. */
#define TU_TYPE(...)                          \
    tu__type_gc(tu__first_gc(__VA_ARGS__, 0), \
                tu__paste_gc(tu__pointers_, tu__count_gc(__VA_ARGS__))(__VA_ARGS__){0, 0})
#define tu__type_gc(...) tu__type_gc_(__VA_ARGS__)
#define tu__type_gc_(type, ...)                                                        \
    __attribute__((unused)) static const struct tu__pointers tu__pointers_##type[] = { \
        __VA_ARGS__};                                                                  \
    __attribute__((unused)) static tu_type tu__type_##type = {                         \
        #type, (uint32_t)sizeof(type),                                                 \
        (uint32_t)(sizeof tu__pointers_##type / sizeof tu__pointers_##type[0] - 1),    \
        tu__pointers_##type, TU__OWN_SLAB}
/* TU_POINTER_TYPE(type): the same for a type that is a pointer, to make arrays of: `typedef node *const node_ref;
 * TU_POINTER_TYPE(node_ref); node_ref *row = tu_new_array(node_ref, 100); tu_set(&row[5], n);` */
#define TU_POINTER_TYPE(type)                                                                   \
    static const struct tu__pointers tu__pointers_##type[] = {                                  \
        {0, (uint32_t)(sizeof(type) / sizeof(void *))}};                                        \
    __attribute__((unused)) static tu_type tu__type_##type = {#type, (uint32_t)sizeof(type), 1, \
                                                              tu__pointers_##type, 0}
/* The description that TU_TYPE made: a const tu_type *. */
#define TU_TYPE_OF(type) ((const tu_type *)&tu__type_##type)

/* A zero-filled object of a type, or NULL: out of memory. Never parks. */
#define tu_new(type) ((type *)tu__gc_alloc(TU_TYPE_OF(type), 1))
/* `count` of them in one object. */
#define tu_new_array(type, count) ((type *)tu__gc_alloc(TU_TYPE_OF(type), (count)))

/* tu_set(slot, value): writes a pointer, as said above. */
#ifndef __cplusplus
#define tu_set(slot, value)                                                                  \
    do {                                                                                     \
        __typeof__(slot) tu__slot = (slot);                                                  \
        __typeof__(1 ? *tu__slot : *tu__slot) tu__value = (value); /* drops const, checks */ \
        tu__gc_set((void *)(uintptr_t)tu__slot, (const void *)(uintptr_t)tu__value);         \
    } while (0)
/* tu_get(slot): reads a pointer that another goroutine may be writing: acquire. */
#define tu_get(slot) __atomic_load_n((slot), __ATOMIC_ACQUIRE)
#else
template <class T> struct tu__same {
    typedef T type;
};
template <class T>
static inline void tu__set(T *const volatile *slot, typename tu__same<T>::type *value)
{
    tu__gc_set((void *)(uintptr_t)slot, (const void *)(uintptr_t)value);
}
#define tu_set(slot, value) tu__set((slot), (value))
#define tu_get(slot)        __atomic_load_n((slot), __ATOMIC_ACQUIRE)
#endif

#define tu__pointers_at(type, field) \
    {(uint32_t)offsetof(type, field), (uint32_t)(sizeof(((type *)0)->field) / sizeof(void *))},
#define tu__pointers_0(t)
#define tu__pointers_1(t, a)       tu__pointers_at(t, a)
#define tu__pointers_2(t, a, ...)  tu__pointers_at(t, a) tu__pointers_1(t, __VA_ARGS__)
#define tu__pointers_3(t, a, ...)  tu__pointers_at(t, a) tu__pointers_2(t, __VA_ARGS__)
#define tu__pointers_4(t, a, ...)  tu__pointers_at(t, a) tu__pointers_3(t, __VA_ARGS__)
#define tu__pointers_5(t, a, ...)  tu__pointers_at(t, a) tu__pointers_4(t, __VA_ARGS__)
#define tu__pointers_6(t, a, ...)  tu__pointers_at(t, a) tu__pointers_5(t, __VA_ARGS__)
#define tu__pointers_7(t, a, ...)  tu__pointers_at(t, a) tu__pointers_6(t, __VA_ARGS__)
#define tu__pointers_8(t, a, ...)  tu__pointers_at(t, a) tu__pointers_7(t, __VA_ARGS__)
#define tu__pointers_9(t, a, ...)  tu__pointers_at(t, a) tu__pointers_8(t, __VA_ARGS__)
#define tu__pointers_10(t, a, ...) tu__pointers_at(t, a) tu__pointers_9(t, __VA_ARGS__)
#define tu__pointers_11(t, a, ...) tu__pointers_at(t, a) tu__pointers_10(t, __VA_ARGS__)
#define tu__pointers_12(t, a, ...) tu__pointers_at(t, a) tu__pointers_11(t, __VA_ARGS__)
#define tu__pointers_13(t, a, ...) tu__pointers_at(t, a) tu__pointers_12(t, __VA_ARGS__)
#define tu__pointers_14(t, a, ...) tu__pointers_at(t, a) tu__pointers_13(t, __VA_ARGS__)
#define tu__pointers_15(t, a, ...) tu__pointers_at(t, a) tu__pointers_14(t, __VA_ARGS__)
#define tu__pointers_16(t, a, ...) tu__pointers_at(t, a) tu__pointers_15(t, __VA_ARGS__)
#define tu__count_gc_(_0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, \
                      n, ...)                                                                    \
    n
#define tu__count_gc(...) \
    tu__count_gc_(__VA_ARGS__, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0)
#define tu__first_gc(a, ...) a
#define tu__paste_gc_(a, b)  a##b
#define tu__paste_gc(a, b)   tu__paste_gc_(a, b)
