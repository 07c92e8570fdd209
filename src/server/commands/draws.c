/* draws.c - a reply of any length in a bounded memory.
 *
 * Draws are made in steps that double, so that a member of many megabytes is not drawn a thousand times before it is seen
 * how large the reply gets. The copy holds members as RESP, in the protocol that the client had when it asked.
 */
#include "server/commands/draws.h"

#include "base/random.h"
#include "platform/entropy.h"
#include "server/command.h"
#include "server/output.h"
#include "server/server.h"

#include <string.h>
#include <tuco/mem.h>

enum {
    AT_ONCE_BYTES = 256 * 1024,
    SCRATCH_BYTES = 1024, /* a member that shows larger has a block while it is copied */
};

struct draws_copy {
    struct reply_source source;
    struct random_state random;
    uint64_t left;
    size_t count, known; /* members: all, and those copied so far */
    size_t *ends;        /* where each ends in `bytes` */
    char *bytes;
    size_t size, capacity, limit;
    struct reply *scratch; /* while it is being made */
    bool failed;
};

static void copy_free(struct reply_source *source)
{
    struct draws_copy *copy = (struct draws_copy *)source;
    tu_free(copy->ends);
    tu_free(copy->bytes);
    tu_free(copy);
}

static bool copy_more(struct reply_source *source, struct reply *r, size_t bytes)
{
    struct draws_copy *copy = (struct draws_copy *)source;
    size_t begin = reply_size(r);
    while (copy->left > 0 && !reply_overflowed(r) && reply_size(r) - begin < bytes) {
        uint64_t i = random_below(&copy->random, copy->count);
        size_t from = i == 0 ? 0 : copy->ends[i - 1];
        reply_raw(r, (struct slice){copy->bytes + from, copy->ends[i] - from});
        copy->left--;
    }
    return copy->left > 0;
}

/* ---- making one ---- */

struct reply *draws_member(struct draws_copy *to)
{
    return to->scratch;
}

static bool make_room(struct draws_copy *to, size_t size)
{
    if (to->capacity - to->size >= size)
        return true;
    size_t capacity = to->capacity + to->capacity / 2 + size;
    char *bytes = to->size + size > to->limit ? NULL : tu_realloc(to->bytes, capacity);
    if (!bytes)
        return false;
    to->bytes = bytes;
    to->capacity = capacity;
    return true;
}

void draws_member_done(struct draws_copy *to)
{
    struct iovec
        vec[8]; /* a head, a field and a value have at most a chunk each, and one before them */
    int parts = reply_parts(to->scratch, vec, 8);
    if (to->failed || reply_overflowed(to->scratch) || to->known == to->count ||
        !make_room(to, reply_size(to->scratch))) {
        to->failed = true;
    } else {
        for (int i = 0; i < parts; i++) {
            memcpy(to->bytes + to->size, vec[i].iov_base, vec[i].iov_len);
            to->size += vec[i].iov_len;
        }
        to->ends[to->known++] = to->size;
    }
    reply_clear(to->scratch);
}

/* NULL: out of memory, or larger than the client may have. */
static struct draws_copy *copy_of(const struct draws *d, uint64_t left, const struct reply *r)
{
    struct draws_copy *copy = tu_alloc_zeroed(sizeof *copy);
    if (!copy)
        return NULL;
    char lent[SCRATCH_BYTES];
    struct reply scratch;
    reply_open(&scratch, lent, sizeof lent, reply_protocol(r));
    copy->source = (struct reply_source){.more = copy_more, .free = copy_free};
    copy->left = left;
    copy->count = d->count;
    copy->limit = r->limit_bytes;
    copy->scratch = &scratch;
    copy->ends = tu_alloc(d->count * sizeof *copy->ends);
    copy->failed = !copy->ends;
    random_init(&copy->random, entropy_seed());
    if (!copy->failed)
        d->each(d, copy);
    reply_close(&scratch);
    copy->scratch = NULL;
    copy->source.bytes = sizeof *copy + d->count * sizeof *copy->ends + copy->capacity;
    if (!copy->failed && copy->known == copy->count)
        return copy;
    copy_free(&copy->source);
    return NULL;
}

void draws_reply(struct call *call, const struct draws *d, uint64_t n)
{
    struct reply *r = call->reply;
    size_t begin = reply_size(r);
    for (uint64_t step = 1; n > d->count && !reply_overflowed(r);) {
        if (reply_size(r) - begin >= AT_ONCE_BYTES) {
            struct draws_copy *copy = copy_of(d, n, r);
            if (copy)
                reply_from(r, &copy->source);
            else
                reply_give_up(r);
            stats_add(call->server->stats, STAT_REPLIES_IN_PARTS, 1);
            return;
        }
        step = step < n ? step : n;
        d->draw(d, step, r);
        n -= step;
        step *= 2;
    }
    if (n > 0 && !reply_overflowed(r))
        d->draw(d, n, r);
}
