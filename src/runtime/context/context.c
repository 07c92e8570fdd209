/* context.c - trees of contexts: ending them, and freeing them while others end them.
 *
 * Ending walks the tree from the top with a list of its own (trees may be deeper than a stack): end
 * one context, take its children off its list, each with a reference, go on with those. No lock is
 * held from one context to the next, nor while waiters are woken. A context that has ended takes no
 * more children (both under its lock), so none is missed; each child is on one list and is taken by
 * one walk, so `next` can chain what was taken.
 *
 * Freeing starts when the last reference is dropped, from any thread, and races with a walk that
 * comes down from the parent. The walk takes a reference only where there still is one; the freer
 * takes the context off the parent's list, under the parent's lock, before the memory goes; so the
 * walk sees it whole or not at all.
 *
 * The timer is the delicate part. It holds no reference, so that a forgotten deadline does not keep
 * a context alive; instead the freer stops it first, and tu__timer_stop waits for a fire that is under
 * way. That must not happen inside a fire: the walk from it may drop the last reference to the very
 * context whose timer fires (through the last of its children), and would wait for itself. So inside
 * a fire a context with a timer is not freed but put on `graveyard`, and whoever makes the next
 * context buries what lies there. Rejected: a goroutine per expired deadline, as Go does (it would
 * need memory at a moment when there may be none).
 */
#include "runtime/context/context.h"

#include <tuco/go.h>
#include <tuco/mem.h>
#include <tuco/select.h>

#include "base/check.h"

enum inside { ORDINARY, IN_FIRE };

static _Atomic(tu_context *) graveyard; /* dead contexts, chained by `next` */

/* ---- references ---- */

tu_context *tu_context_retain(tu_context *ctx)
{
    if (ctx) {
        uint32_t before = atomic_fetch_add_explicit(&ctx->references, 1, memory_order_relaxed);
        tu_check(before > 0 && before < UINT32_MAX, "tu_context_retain: %u references", before);
    }
    return ctx;
}

/* For those who come from the parent: false if it is being freed. Caller holds the parent's lock. */
static bool retain_if_alive(tu_context *ctx)
{
    uint32_t n = atomic_load_explicit(&ctx->references, memory_order_relaxed);
    while (n != 0)
        if (atomic_compare_exchange_weak_explicit(&ctx->references, &n, n + 1, memory_order_relaxed,
                                                  memory_order_relaxed))
            return true;
    return false;
}

/* True when it was the last. */
static bool drop(tu_context *ctx)
{
    /* acq_rel: what others did with the context happened before it is freed. */
    uint32_t before = atomic_fetch_sub_explicit(&ctx->references, 1, memory_order_acq_rel);
    tu_check(before > 0, "tu_context_release: released more often than retained");
    return before == 1;
}

static void link_child(tu_context *parent, tu_context *ctx)
{
    ctx->prev = NULL;
    ctx->next = parent->children;
    if (parent->children)
        parent->children->prev = ctx;
    parent->children = ctx;
    ctx->linked = true;
}

static void unlink_child(tu_context *parent, tu_context *ctx)
{
    if (ctx->prev)
        ctx->prev->next = ctx->next;
    else
        parent->children = ctx->next;
    if (ctx->next)
        ctx->next->prev = ctx->prev;
    ctx->linked = false;
}

static void bury(tu_context *ctx, enum inside inside)
{
    if (!ctx->timed) {
        tu__gc_anchor_remove(&ctx->anchor);
        tu_free(ctx);
    } else if (inside == ORDINARY) {
        tu__timer_stop(&ctx->timer);
        tu_free(ctx);
    } else {
        tu_context *head = atomic_load_explicit(&graveyard, memory_order_relaxed);
        do
            ctx->next = head;
        while (!atomic_compare_exchange_weak_explicit(&graveyard, &head, ctx, memory_order_release,
                                                      memory_order_relaxed));
    }
}

static void empty_graveyard(void)
{
    if (!atomic_load_explicit(&graveyard, memory_order_relaxed))
        return;
    /* acquire: pairs with the release in bury. */
    tu_context *ctx = atomic_exchange_explicit(&graveyard, NULL, memory_order_acquire);
    while (ctx) {
        tu_context *next = ctx->next;
        bury(ctx, ORDINARY);
        ctx = next;
    }
}

/* Drops a reference; the last one frees, and goes on with the parent's. */
static void release(tu_context *ctx, enum inside inside)
{
    while (ctx && drop(ctx)) {
        tu_context *parent = ctx->parent;
        tu_assert(!ctx->children && !ctx->cancel.places.head);
        if (parent) {
            tu__lock(&parent->cancel.lock);
            if (ctx->linked)
                unlink_child(parent, ctx);
            tu__unlock(&parent->cancel.lock);
        }
        bury(ctx, inside);
        ctx = parent;
    }
}

void tu_context_release(tu_context *ctx)
{
    release(ctx, ORDINARY);
}

/* ---- ending ---- */

/* Moves the living children of an ended context to the chain, each with a reference. */
static void take_children(tu_context *ctx, tu_context **chain)
{
    tu__lock(&ctx->cancel.lock);
    tu_context *child;
    while ((child = ctx->children) != NULL) {
        unlink_child(ctx, child);
        if (retain_if_alive(child)) {
            child->next = *chain;
            *chain = child;
        }
    }
    tu__unlock(&ctx->cancel.lock);
}

static void end_tree(tu_context *root, int error, enum inside inside)
{
    tu_context *taken = NULL;
    for (tu_context *ctx = root; ctx;) {
        if (tu__cancel_end(&ctx->cancel, error)) {
            if (ctx->timed && inside == ORDINARY)
                tu__timer_stop(&ctx->timer);
            take_children(ctx, &taken);
        }
        if (ctx != root)
            release(ctx, inside);
        ctx = taken;
        if (ctx)
            taken = ctx->next;
    }
}

/* Runs on the scheduler's stack and never parks. */
static void fire(struct tu__timer *t, void *arg)
{
    end_tree(arg, -ETIMEDOUT, IN_FIRE);
}

void tu_context_cancel(tu_context *ctx, int cause)
{
    tu_check(ctx, "tu_context_cancel: the background context cannot be cancelled");
    end_tree(ctx, cause, ORDINARY);
}

void tu_cancel(tu_context *ctx)
{
    if (!ctx) /* so that a context that could not be made may be deferred all the same */
        return;
    end_tree(ctx, -ECANCELED, ORDINARY);
    release(ctx, ORDINARY);
}

/* ---- making ---- */

static void retain_hook(struct tu__cancel *c)
{
    tu_context_retain((tu_context *)c);
}

static void release_hook(struct tu__cancel *c)
{
    release((tu_context *)c, ORDINARY);
}

__attribute__((constructor)) static void install_hooks(void)
{
    tu__cancel_retain = retain_hook;
    tu__cancel_release = release_hook;
}

static tu_context *make(tu_context *parent)
{
    empty_graveyard();
    tu_context *ctx = tu_alloc_zeroed(sizeof *ctx);
    if (!ctx)
        return NULL;
    atomic_store_explicit(&ctx->references, 1, memory_order_relaxed);
    ctx->parent = tu_context_retain(parent);
    ctx->deadline_ns = parent ? parent->deadline_ns : 0;
    return ctx;
}

/* From here on the parent's end is the child's. */
static tu_context *join_parent(tu_context *ctx)
{
    tu_context *parent = ctx->parent;
    if (!parent)
        return ctx;
    tu__lock(&parent->cancel.lock);
    int error = tu__cancel_error(&parent->cancel);
    if (error == 0)
        link_child(parent, ctx);
    tu__unlock(&parent->cancel.lock);
    if (error != 0)
        end_tree(ctx, error, ORDINARY);
    return ctx;
}

tu_context *tu_with_cancel(tu_context *parent)
{
    tu_context *ctx = make(parent);
    return ctx ? join_parent(ctx) : NULL;
}

tu_context *tu_with_deadline(tu_context *parent, int64_t deadline_ns)
{
    tu_context *ctx = make(parent);
    if (!ctx)
        return NULL;
    if (ctx->deadline_ns != 0 && ctx->deadline_ns <= deadline_ns)
        return join_parent(ctx);                          /* the parent's comes first */
    ctx->deadline_ns = deadline_ns > 0 ? deadline_ns : 1; /* 0 would be: none */
    if (deadline_ns <= tu_now()) {
        join_parent(ctx);
        end_tree(ctx, -ETIMEDOUT, ORDINARY);
        return ctx;
    }
    /* Before anybody else can know the context, and stop the timer. */
    ctx->timed = true;
    tu__timer_start(&ctx->timer, deadline_ns, fire, ctx);
    return join_parent(ctx);
}

tu_context *tu_with_timeout(tu_context *parent, int64_t timeout_ns)
{
    int64_t deadline_ns;
    if (__builtin_add_overflow(tu_now(), timeout_ns, &deadline_ns))
        deadline_ns = INT64_MAX;
    return tu_with_deadline(parent, deadline_ns);
}

tu_context *tu_with_value(tu_context *parent, const void *key, void *value)
{
    tu_check(key, "tu_with_value: a null key");
    tu_context *ctx = make(parent);
    if (!ctx)
        return NULL;
    ctx->key = key;
    ctx->value = value;
    tu__gc_anchor_add(&ctx->anchor, &ctx->value, sizeof ctx->value);
    return join_parent(ctx);
}

/* ---- asking ---- */

void *tu_context_value(const tu_context *ctx, const void *key)
{
    for (; ctx; ctx = ctx->parent)
        if (ctx->key == key)
            return ctx->value;
    return NULL;
}

int tu_context_error(const tu_context *ctx)
{
    return ctx ? tu__cancel_error(&ctx->cancel) : 0;
}

int64_t tu_context_deadline(const tu_context *ctx)
{
    return ctx ? ctx->deadline_ns : 0;
}

int tu_context_wait(tu_context *ctx)
{
    struct tu_select_case done = {.kind = TU_SELECT_DONE, .context = ctx};
    int64_t rc = tu_selectv(&done, 1);
    return rc < 0 ? (int)rc : done.error;
}

tu_context *tu_context_current(void)
{
    return (tu_context *)tu__cancel_current();
}

tu_context *tu_context_swap(tu_context *ctx)
{
    return (tu_context *)tu__cancel_swap((struct tu__cancel *)ctx);
}

/* ---- checking ---- */

static void verify_one(tu_context *ctx)
{
    tu_check(atomic_load(&ctx->references) > 0, "context: alive without a reference");
    tu_check(!ctx->children || tu__cancel_error(&ctx->cancel) == 0,
             "context: ended, with children");
    const tu_context *before = NULL;
    for (const tu_context *c = ctx->children; c; before = c, c = c->next) {
        tu_check(c->parent == ctx && c->linked && c->prev == before, "context: broken children");
        tu_check(ctx->deadline_ns == 0 || (c->deadline_ns && c->deadline_ns <= ctx->deadline_ns),
                 "context: a child that outlasts its parent");
    }
}

/* In preorder, without a stack: down to the first child, else to the next sibling of the nearest
 * ancestor that has one. */
void tu__context_verify(tu_context *ctx)
{
    for (tu_context *c = ctx; c;) {
        verify_one(c);
        if (c->children) {
            c = c->children;
            continue;
        }
        while (c != ctx && !c->next)
            c = c->parent;
        c = c == ctx ? NULL : c->next;
    }
}
