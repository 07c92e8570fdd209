/* context.h - trees of cancellation and deadlines.
 *
 * Every goroutine has a current context, inherited from the one that started it; each blocking call
 * of libtuco returns -ECANCELED or -ETIMEDOUT when that context ends. A child ends when its parent
 * does. Contexts are reference counted: the maker owns one reference, each goroutine and child that
 * uses it another.
 *
 *     tu_context *ctx = tu_with_timeout(tu_context_current(), 2 * TU_S);
 *     tu_defer(tu_cancel, ctx);
 *     tu_in_context(ctx) { rc = tu_recv(c, &v); }
 */
#pragma once

/* Nested tu_in_context blocks reuse the macro's own name; that shadowing is not the user's. */
#pragma GCC system_header

#include <tuco/base.h>

TU_BEGIN_DECLS

typedef struct tu_context tu_context; /* NULL is the background context, which never ends */

TU_API tu_context *tu_context_current(void); /* borrowed */
/* Makes a child; NULL parent: of the background. NULL when out of memory. */
TU_API tu_context *tu_with_cancel(tu_context *parent);
TU_API tu_context *tu_with_deadline(tu_context *parent, int64_t deadline_ns); /* tu_now() clock */
TU_API tu_context *tu_with_timeout(tu_context *parent, int64_t timeout_ns);
/* A child that carries a value, found by the address of `key` from it and its descendants. */
TU_API tu_context *tu_with_value(tu_context *parent, const void *key, void *value);
/* NULL when none of them carries that key. */
TU_API void *tu_context_value(const tu_context *ctx, const void *key);
/* 0 while it lasts, then -ECANCELED, -ETIMEDOUT, or the cause it was cancelled with. */
TU_API int tu_context_error(const tu_context *ctx);
/* Its deadline or 0. */
TU_API int64_t tu_context_deadline(const tu_context *ctx);
/* Ends it and its descendants now; `cause` is a negative errno. The first one counts. */
TU_API void tu_context_cancel(tu_context *ctx, int cause);
/* One reference more, one less; the last frees it. NULL is allowed. */
TU_API tu_context *tu_context_retain(tu_context *ctx);
TU_API void tu_context_release(tu_context *ctx);
/* tu_context_cancel(ctx, -ECANCELED), then tu_context_release: what tu_defer wants. */
TU_API void tu_cancel(tu_context *ctx);
/* Parks until it has ended; its error. */
TU_API int tu_context_wait(tu_context *ctx);
/* Makes ctx current for this goroutine (or thread); returns the one before. Takes no reference. */
TU_API tu_context *tu_context_swap(tu_context *ctx);

TU_END_DECLS

struct tu__context_scope {
    tu_context *previous;
    int once;
};
static inline void tu__context_restore(struct tu__context_scope *s)
{
    (void)tu_context_swap(s->previous);
}
/* The block runs with ctx current; any way out restores the one before. */
#define tu_in_context(ctx)                                                          \
    for (struct tu__context_scope tu__cs                                            \
         __attribute__((cleanup(tu__context_restore))) = {tu_context_swap(ctx), 0}; \
         !tu__cs.once; tu__cs.once = 1)
