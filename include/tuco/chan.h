/* chan.h - typed channels.
 *
 *     tu_chan(int) c = tu_make_chan(int, 16);       capacity 0: every send waits for its receive
 *     int rc = tu_send(c, 42);                      0, or -EPIPE if the channel is closed
 *     int v; rc = tu_recv(c, &v);                   0, or -EPIPE if it is closed and empty
 *     tu_close_chan(c); ... tu_free_chan(c);
 *
 * Any goroutine and any plain thread may call any function; values are copied, in order, each to
 * one receiver, first come, first served. Send and receive may park, and a wait gives the current
 * context's error when that ends (the value was then not transferred). What needs no wait is done even
 * in a context that has ended, so a cancelled goroutine can still put its result in a buffered channel.
 * A receive that returns -EPIPE has zeroed its variable. A null channel blocks for ever (or until the
 * context ends), as in Go. Closing a closed or a null channel is a programmer's error and aborts.
 *
 * A channel of tu_new_chan lies on the collected heap (tuco/gc.h): nobody frees it, closed or not; it goes when nobody can
 * reach it any more, and who is parked on it can. Its elements are of a described type, so it may be a field of an
 * object, and its values may lead back to it. All else is the same, select included:
 *
 *     typedef struct { node *at; int number; } job;      what is not an object itself needs no const
 *     TU_TYPE(job, at);
 *     tu_chan(job) c = tu_new_chan(job, 16);
 *
 * A channel of pointers: after TU_POINTER_TYPE(node_ref), tu_new_chan(node_ref, 16) is a tu_chan(node *).
 */
#pragma once

#include <tuco/base.h>
#include <tuco/gc.h>

TU_BEGIN_DECLS

typedef struct tu_channel tu_channel; /* the untyped channel behind every tu_chan(T) */

TU_API tu_channel *tu_channel_make(size_t element_size, size_t capacity); /* NULL: out of memory */
/* Of the collected heap, with elements of a type described by TU_TYPE: not to be freed. NULL: out of memory. Never parks. */
TU_API tu_channel *tu_channel_new(const tu_type *type, size_t capacity);
/* Of tu_channel_make. Nobody may be parked on it or use it again. NULL is allowed. */
TU_API void tu_channel_free(tu_channel *channel);
/* Copy the element from or to where the pointer says. That may be in an object, if the channel is collected. May park. */
TU_API TU_MUST_CHECK int tu_channel_send(tu_channel *channel, const void *element);
TU_API TU_MUST_CHECK int tu_channel_recv(tu_channel *channel, void *element);
/* -EAGAIN instead of parking. Never park. */
TU_API TU_MUST_CHECK int tu_channel_try_send(tu_channel *channel, const void *element);
TU_API TU_MUST_CHECK int tu_channel_try_recv(tu_channel *channel, void *element);
/* Wakes every waiter: receivers get what is buffered, then -EPIPE; senders get -EPIPE. */
TU_API void tu_channel_close(tu_channel *channel);
TU_API size_t tu_channel_length(const tu_channel *channel);   /* elements buffered now */
TU_API size_t tu_channel_capacity(const tu_channel *channel); /* as made */

TU_END_DECLS

/* A channel of T is spelled as a function-pointer type, so that it carries T in plain C and is the
 * same type in every file. It is never called. */
struct tu_channel_tag;
#define tu_chan(T) __typeof__(__typeof__(T)(*)(struct tu_channel_tag *))
/* The type of its elements; the channel without it, for the tu_channel_ functions and as an argument of tu_go. */
#define tu_chan_element(c) __typeof__((c)((struct tu_channel_tag *)0))
#define tu_chan_untyped(c) ((tu_channel *)(uintptr_t)(c))
#ifndef __cplusplus
#define tu__bare(T) __typeof__((void)0, *(T *)0) /* T without const */
#else
template <class T> struct tu__without_const {
    typedef T type;
};
template <class T> struct tu__without_const<const T> {
    typedef T type;
};
#define tu__bare(T) tu__without_const<T>::type
#endif
/* As the tu_channel_ functions. NULL when out of memory. */
#define tu_make_chan(T, n)  ((tu_chan(T))(uintptr_t)tu_channel_make(sizeof(T), (n)))
#define tu_new_chan(T, n)   ((tu_chan(tu__bare(T)))(uintptr_t)tu_channel_new(TU_TYPE_OF(T), (n)))
#define tu_free_chan(c)     tu_channel_free(tu_chan_untyped(c))
#define tu_close_chan(c)    tu_channel_close(tu_chan_untyped(c))
#define tu_chan_length(c)   tu_channel_length(tu_chan_untyped(c))
#define tu_chan_capacity(c) tu_channel_capacity(tu_chan_untyped(c))
#define tu__chan_send(f, c, v)          \
    ({                                  \
        tu_chan_element(c) tu__v = (v); \
        f(tu_chan_untyped(c), &tu__v);  \
    })
#define tu__chan_recv(f, c, p)           \
    ({                                   \
        tu_chan_element(c) *tu__p = (p); \
        f(tu_chan_untyped(c), tu__p);    \
    })
/* v is a value of the element type, p the address of a variable of it. Results as above. */
#define tu_send(c, v)     tu__chan_send(tu_channel_send, c, v)
#define tu_recv(c, p)     tu__chan_recv(tu_channel_recv, c, p)
#define tu_try_send(c, v) tu__chan_send(tu_channel_try_send, c, v)
#define tu_try_recv(c, p) tu__chan_recv(tu_channel_try_recv, c, p)
