/* scope.h - goroutines that cannot outlive the block that started them.
 *
 *     int rc;
 *     tu_scope(s) {
 *         for (int i = 0; i < n; i++)
 *             tu_scope_go(&s, fetch, urls[i]);      int fetch(const char *url);
 *         rc = tu_scope_wait(&s);                   0, or the first error of a child
 *         if (rc < 0)
 *             say(tu_scope_failed(&s)->name, rc);   "fetch", and where it was started
 *     }
 *
 * A scope joins its children on every way out of its block (end, return, break, goto): afterwards
 * none of them runs. Leaving parks, and is not cut short by a cancelled context; but the children run
 * in a context of the scope, a child of the current one, and so hear of it themselves. The block
 * runs in that context as well. The first child that returns a negative number sets the scope's error
 * and cancels that context with -ECANCELED: its siblings' and the block's waits end. Children may
 * start further children with the same scope. Only the goroutine (or thread) of the block may call
 * tu_scope_wait. Locals of the enclosing function may be passed to children by address.
 */
#pragma once

#include <tuco/base.h>
#include <tuco/context.h>
#include <tuco/go.h>
#include <tuco/sync.h>

TU_BEGIN_DECLS

struct tu_scope {
    tu_context *context;  /* what the block and the children run in; one reference */
    tu_context *previous; /* what to go back to */
    /* under `lock` */
    void *waiter;   /* sleeper of the one in tu_scope_wait, or NULL */
    size_t running; /* children that have not finished */
    int error;      /* first negative result, or 0 */
    uint32_t lock;
    bool left;  /* the block has run */
    bool ended; /* and everything is joined: nothing may be started any more */
    const struct tu_site *failed;
    struct tu_semaphore slots; /* of tu_scope_limit; no units: no limit */
};

/* Parks until all children have finished; the first error, or 0. More may be started afterwards. */
TU_API int tu_scope_wait(struct tu_scope *s);
/* The same for at most timeout_ns: -ETIMEDOUT if children still run then. They go on, the scope is as before, and leaving it
 * waits for them; to be rid of them, tu_scope_cancel. (A child's own -ETIMEDOUT looks the same; then tu_scope_failed is
 * not NULL.) */
TU_API TU_MUST_CHECK int tu_scope_wait_for(struct tu_scope *s, int64_t timeout_ns);
/* Ends the scope's context with -ECANCELED. Any goroutine of the scope may call it. */
TU_API void tu_scope_cancel(struct tu_scope *s);
/* At most n (> 0) children run at once: tu_scope_go then parks until one has finished. To be called before
 * the first child is started. Children of a limited scope should not start others in it: all of them may end up
 * waiting for a slot. */
TU_API void tu_scope_limit(struct tu_scope *s, int64_t n);
/* Which child the scope's error came from: file and line of its tu_scope_go, and the function's name. NULL while
 * there is no error, or when it is not a child's. */
TU_API const struct tu_site *tu_scope_failed(struct tu_scope *s);

/* What the macros are made of. */
TU_API struct tu_scope tu__scope_enter(void);
TU_API void tu__scope_leave(struct tu_scope *s);
/* Calls fn(words...) on a goroutine of the scope; the result counts if `result` is true. */
TU_API int tu__scope_go(struct tu_scope *s, void (*fn)(void), bool result, unsigned count,
                        const uintptr_t *words, const struct tu_site *site);

TU_END_DECLS

#define tu_scope(s)                                                                                \
    for (struct tu_scope s __attribute__((cleanup(tu__scope_leave))) = tu__scope_enter(); !s.left; \
         s.left = true)

/* tu_scope_go(scope, function, up to 4 arguments): starts a child. The function returns void, or an int
 * of which a negative value is an error. Arguments as for tu_go. 0, or -ENOMEM; in a limited scope
 * also the context's error, if that ended while this waited for a slot. It is the scope's error as well, so it
 * need not be looked at here. Parks in a limited scope only. */
#ifndef __cplusplus
#define tu_scope_go(s, fn, ...)                                                                 \
    ({                                                                                          \
        static const struct tu_site tu__site = {__FILE__, __LINE__, #fn};                       \
        const uintptr_t tu__w[] = {tu__paste(tu__words_, tu__count(__VA_ARGS__))(__VA_ARGS__)}; \
        _Static_assert(tu__count(__VA_ARGS__) <= 4, "tu_scope_go takes at most 4 arguments");   \
        _Static_assert(__builtin_types_compatible_p(__typeof__((fn)(__VA_ARGS__)), void) ||     \
                           __builtin_types_compatible_p(__typeof__((fn)(__VA_ARGS__)), int),    \
                       "a child of a scope returns void or int");                               \
        tu__scope_go((s), (void (*)(void))(fn),                                                 \
                     !__builtin_types_compatible_p(__typeof__((fn)(__VA_ARGS__)), void),        \
                     tu__count(__VA_ARGS__), tu__w, &tu__site);                                 \
    })
#else
template <class R> struct tu__scope_result {
    static const bool value = true;
};
template <> struct tu__scope_result<void> {
    static const bool value = false;
};
template <class R, class... P, class... A>
static inline int tu__scope_start(tu_scope *s, const tu_site *site, R (*fn)(P...), A... args)
{
    static_assert(sizeof...(A) <= 4, "tu_scope_go takes at most 4 arguments");
    const uintptr_t words[] = {(uintptr_t)args..., 0};
    return tu__scope_go(s, (void (*)(void))fn, tu__scope_result<R>::value, sizeof...(A), words,
                        site);
}
#define tu_scope_go(s, fn, ...)                                           \
    ({                                                                    \
        if (0)                                                            \
            (void)(fn)(__VA_ARGS__);                                      \
        static const struct tu_site tu__site = {__FILE__, __LINE__, #fn}; \
        tu__scope_start((s), &tu__site, fn, ##__VA_ARGS__);               \
    })
#endif
