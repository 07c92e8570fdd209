/* semaphore.c - the parking table.
 *
 * A bucket is a lock and a list of *roots*: the first waiter of each address that somebody waits on.
 * The root carries its address's queue; when it leaves, the next in the queue takes its place in the
 * bucket. So many waiters on one address do not slow down another address of the same bucket (a
 * flat list would: removing one waiter had to walk over all the others).
 *
 * A release hands its token over under the bucket's lock instead of counting it and letting the
 * woken one try. Barging, where it is wanted, happens one level up in the mutex's own word; here
 * it would only mean waking somebody for nothing.
 *
 * A cancellable waiter is claimed either by an opener, under the bucket's lock, or by its context.
 * An opener that loses drops the waiter; that one finds itself unlinked when it takes the bucket's
 * lock on its way out, after which nobody refers to it.
 */
#include "runtime/sync/semaphore.h"

#include "base/check.h"

#define BUCKETS 2048u /* 128 KiB of zero pages, touched where used */

enum { OUTCOME_WOKEN = 1 };

struct waiter {
    uint32_t *word;
    struct waiter *next, *prev; /* in the queue; the root is its first */
    struct waiter *next_root;   /* root only: the bucket's list */
    struct waiter *tail;        /* root only */
    bool queued;
    struct tu__sleeper sleeper;
    struct tu__place cancel; /* its entry with the context, when it is cancellable */
};

static struct bucket {
    struct tu__lock lock;
    struct waiter *roots;
} __attribute__((aligned(64))) table[BUCKETS];

static struct bucket *bucket_of(const uint32_t *word)
{
    uint64_t hash = ((uintptr_t)word >> 2) * UINT64_C(0x9e3779b97f4a7c15);
    return &table[hash >> 53];
}

/* Where the root of that address is, or would be, linked from. */
static struct waiter **root_link(struct bucket *b, const uint32_t *word)
{
    struct waiter **link = &b->roots;
    while (*link && (*link)->word != word)
        link = &(*link)->next_root;
    return link;
}

static void enqueue(struct bucket *b, struct waiter *w, enum tu__semaphore_end end)
{
    struct waiter **link = root_link(b, w->word), *root = *link;
    w->queued = true;
    w->next = w->prev = NULL;
    if (!root) {
        w->next_root = NULL;
        w->tail = w;
        *link = w;
    } else if (end == TU__SEMAPHORE_BACK) {
        w->prev = root->tail;
        root->tail->next = w;
        root->tail = w;
    } else {
        w->next = root;
        root->prev = w;
        w->next_root = root->next_root;
        w->tail = root->tail;
        *link = w;
    }
}

static void dequeue(struct waiter **link, struct waiter *w)
{
    struct waiter *root = *link;
    w->queued = false;
    if (w->next)
        w->next->prev = w->prev;
    if (w != root) {
        w->prev->next = w->next;
        if (root->tail == w)
            root->tail = w->prev;
    } else if (w->next) {
        w->next->next_root = w->next_root;
        w->next->tail = w->tail;
        *link = w->next;
    } else {
        *link = w->next_root;
    }
}

void tu__semaphore_acquire(uint32_t *word, enum tu__semaphore_end end, enum tu__wait why)
{
    struct bucket *b = bucket_of(word);
    struct waiter w;
    w.word = word;
    tu__sleeper_init_for(&w.sleeper, false, word);
    tu__lock(&b->lock);
    if (*word > 0) {
        --*word;
        tu__unlock(&b->lock);
        return;
    }
    enqueue(b, &w, end);
    (void)tu__sleeper_park_lock(&w.sleeper, &b->lock, why);
}

void tu__semaphore_release(uint32_t *word, uint32_t count)
{
    struct bucket *b = bucket_of(word);
    struct waiter *woken = NULL, **last = &woken;
    tu__lock(&b->lock);
    struct waiter **link = root_link(b, word);
    for (; count > 0 && *link && (*link)->word == word; count--) {
        struct waiter *w = *link;
        dequeue(link, w);
        (void)tu__sleeper_claim(&w->sleeper, OUTCOME_WOKEN);
        w->next = NULL;
        *last = w;
        last = &w->next;
    }
    if (count > 0)
        *word += count;
    tu__unlock(&b->lock);
    while (woken) { /* *word may be gone from the first wake on, and each waiter after its own */
        struct waiter *w = woken;
        woken = w->next;
        tu__sleeper_wake(&w->sleeper);
    }
}

/* Links `w` with the context that its goroutine runs in: 0, or that one's error. */
static int watch(struct waiter *w, struct tu__cancel *context)
{
    tu__sleeper_init_for(&w->sleeper, context != NULL, w->word);
    if (!context)
        return 0;
    w->cancel.sleeper = &w->sleeper;
    return tu__cancel_watch(context, &w->cancel);
}

int tu__semaphore_wait(uint32_t *word, bool (*enter)(void *arg), void (*leave)(void *arg),
                       void *arg, enum tu__wait why)
{
    struct bucket *b = bucket_of(word);
    struct tu__cancel *context = tu__cancel_current();
    struct waiter w;
    w.word = word;
    int error = watch(&w, context);
    if (error)
        return error;
    tu__lock(&b->lock);
    int32_t outcome = OUTCOME_WOKEN;
    if (enter(arg)) {
        enqueue(b, &w, TU__SEMAPHORE_BACK);
        outcome = tu__sleeper_park_lock(&w.sleeper, &b->lock, why);
        if (outcome != OUTCOME_WOKEN) {
            tu__lock(&b->lock);
            if (w.queued) {
                dequeue(root_link(b, word), &w);
                leave(arg);
            }
            tu__unlock(&b->lock);
        }
    } else {
        tu__unlock(&b->lock);
        /* The context may have claimed us by now: then its wake is on the way and must be met. */
        if (context && !tu__sleeper_claim(&w.sleeper, OUTCOME_WOKEN))
            (void)tu__sleeper_park(&w.sleeper, NULL, NULL, why);
    }
    if (context)
        tu__cancel_unwatch(context, &w.cancel);
    return outcome < 0 ? outcome : 0;
}

bool tu__semaphore_open(uint32_t *word, bool (*may_open)(void *arg), void *arg)
{
    struct bucket *b = bucket_of(word);
    struct waiter *woken = NULL, **last = &woken;
    tu__lock(&b->lock);
    bool open = may_open(arg);
    struct waiter **link = root_link(b, word);
    while (open && *link && (*link)->word == word) {
        struct waiter *w = *link;
        dequeue(link, w);
        if (!tu__sleeper_claim(&w->sleeper, OUTCOME_WOKEN))
            continue; /* its context was first: it will lock this bucket before it goes */
        w->next = NULL;
        *last = w;
        last = &w->next;
    }
    tu__unlock(&b->lock);
    while (woken) {
        struct waiter *w = woken;
        woken = w->next;
        tu__sleeper_wake(&w->sleeper);
    }
    return open;
}
