/* output.c - the problem: a reply of 7 bytes must cost a few stores, one of 500 MB must not be copied
 * twice or grow a buffer by doubling, and a client that does not read must be bounded.
 *
 * So: a lent buffer, then a list of blocks, each filled once and handed over as it is. A value that
 * does not fit in what is left gets a block of its own size rather than being cut in pieces. When the
 * limit is hit, everything is dropped and writing goes on into the lent buffer in circles: handlers
 * need not know, and the connection closes the client afterwards.
 *
 * What would not fit in any memory (a billion random members) is a source: a block that stands for what it will make. It holds
 * up all behind it, and is asked for more whenever the socket has taken what it made before, so such a reply takes a few
 * dozen KiB and what the source itself holds.
 *
 * An aggregate of unknown length leaves a hole for its header. When the length is known the bytes
 * behind the hole, in that chunk only, move down to close what the header does not need; so at most
 * one chunk is moved per aggregate.
 */
#include "server/output.h"

#include "server/output_room.h"

#include "base/check.h"

#include <tuco/mem.h>

void reply_open(struct reply *r, char *buffer, size_t size, int protocol)
{
    tu_assert(size >= 256);
    *r = (struct reply){.next = buffer,
                        .end = buffer + size,
                        .base = buffer,
                        .lent = buffer,
                        .lent_size = size,
                        .limit_bytes = SIZE_MAX,
                        .protocol = (uint8_t)protocol};
}

static void free_block(struct output_block *block)
{
    if (block->source)
        block->source->free(block->source);
    tu_free(block);
}

static void free_blocks(struct output_block *block)
{
    while (block) {
        struct output_block *next = block->next;
        free_block(block);
        block = next;
    }
}

static void use_lent(struct reply *r, size_t used)
{
    free_blocks(r->first);
    r->first = r->last = NULL;
    r->block_bytes = r->sealed_bytes = 0;
    r->has_source = false;
    r->base = r->lent;
    r->next = r->lent + used;
    r->end = r->lent + r->lent_size;
}

void reply_close(struct reply *r)
{
    free_blocks(r->first);
    r->first = r->last = NULL;
}

void reply_clear(struct reply *r)
{
    use_lent(r, 0);
}

void reply_reset_error(struct reply *r)
{
    r->had_error = false;
}

/* Notes how much of the chunk being written is used. */
static size_t seal(struct reply *r)
{
    size_t used = (size_t)(r->next - r->base);
    if (r->last)
        r->last->used = used;
    else
        r->lent_used = used;
    return used;
}

void reply_give_up(struct reply *r)
{
    r->overflow = true;
    use_lent(r, 0);
}

/* A block with room for `room` bytes, or for none and a source, behind all others; the next byte goes there. False: the limit
 * is hit, or memory is used up, and nothing is kept any more. */
static bool add_block(struct reply *r, size_t size, size_t room, struct reply_source *source)
{
    struct output_block *block = NULL;
    if (!r->overflow && size <= r->limit_bytes && r->block_bytes <= r->limit_bytes - size)
        block = tu_alloc(sizeof *block + room);
    if (!block) {
        reply_give_up(r);
        return false;
    }
    r->sealed_bytes += seal(r);
    *block = (struct output_block){.size = source ? source->bytes : room, .source = source};
    if (r->last)
        r->last->next = block;
    else
        r->first = block;
    r->last = block;
    r->block_bytes += sizeof *block + block->size;
    r->base = r->next = block->bytes;
    r->end = block->bytes + room;
    return true;
}

char *reply_room_slow(struct reply *r, size_t size)
{
    size_t room = size > OUTPUT_BLOCK_BYTES ? size : OUTPUT_BLOCK_BYTES;
    return add_block(r, size, room, NULL) || size <= r->lent_size ? r->next : NULL;
}

void reply_from(struct reply *r, struct reply_source *source)
{
    if (add_block(r, source->bytes, 0, source))
        r->has_source = true;
    else
        source->free(source);
}

struct reply_mark reply_position(const struct reply *r)
{
    return (struct reply_mark){(size_t)(uintptr_t)r->last, (size_t)(r->next - r->base)};
}

void reply_rewind(struct reply *r, struct reply_mark mark)
{
    if (r->overflow)
        return;
    struct output_block *block = (struct output_block *)(uintptr_t)mark.block;
    if (!block) {
        use_lent(r, mark.offset);
        return;
    }
    for (struct output_block *b = block->next; b; b = b->next)
        r->block_bytes -= sizeof *b + b->size;
    r->sealed_bytes = r->lent_used;
    r->has_source = block->source != NULL;
    for (struct output_block *b = r->first; b != block; b = b->next) {
        r->sealed_bytes += b->used;
        r->has_source |= b->source != NULL;
    }
    free_blocks(block->next);
    block->next = NULL;
    r->last = block;
    r->base = block->bytes;
    r->next = block->bytes + mark.offset;
    r->end = block->bytes + (block->source ? 0 : block->size);
}

/* ---- aggregates of unknown length ---- */

struct reply_mark reply_deferred_begin(struct reply *r)
{
    char *hole = reply_room(r, REPLY_HEADER_MAX);
    struct reply_mark mark = reply_position(r);
    if (hole)
        r->next += REPLY_HEADER_MAX;
    return mark;
}

void reply_deferred_close(struct reply *r, struct reply_mark mark, const char *header, size_t size)
{
    if (r->overflow)
        return;
    struct output_block *block = (struct output_block *)(uintptr_t)mark.block;
    bool current = block == r->last;
    char *bytes = block ? block->bytes : r->lent;
    size_t used = current ? (size_t)(r->next - r->base) : block ? block->used : r->lent_used;
    size_t behind = mark.offset + REPLY_HEADER_MAX;
    tu_assert(behind <= used && size <= REPLY_HEADER_MAX);
    memcpy(bytes + mark.offset, header, size);
    memmove(bytes + mark.offset + size, bytes + behind, used - behind);
    used -= REPLY_HEADER_MAX - size;
    if (current)
        r->next = r->base + used;
    else if (block)
        block->used = used;
    else
        r->lent_used = used;
    if (!current)
        r->sealed_bytes -= REPLY_HEADER_MAX - size;
}

/* ---- on the way out ---- */

int reply_parts(struct reply *r, struct iovec *vec, int capacity)
{
    (void)seal(r);
    int count = 0;
    size_t lent = r->last ? r->lent_used : (size_t)(r->next - r->base);
    if (lent > 0 && capacity > 0)
        vec[count++] = (struct iovec){r->lent, lent};
    for (struct output_block *b = r->first; b && !b->source && count < capacity; b = b->next) {
        if (b->used > 0)
            vec[count++] = (struct iovec){b->bytes, b->used};
    }
    return count;
}

void reply_move(struct reply *to, struct reply *from)
{
    seal(from);
    size_t lent = from->last ? from->lent_used : (size_t)(from->next - from->base);
    to->overflow |= from->overflow;
    tu_assert(!from->has_source);
    reply_raw(to, (struct slice){from->lent, from->overflow ? 0 : lent});
    for (const struct output_block *b = from->first; b; b = b->next)
        reply_raw(to, (struct slice){b->bytes, b->used});
    reply_clear(from);
}

static void link_block(struct output *o, struct output_block *block)
{
    block->next = NULL;
    if (o->tail)
        o->tail->next = block;
    else
        o->head = block;
    o->tail = block;
    o->bytes += sizeof *block + block->size;
    o->blocks++;
}

/* Copies bytes that are not in a block. */
static bool append_bytes(struct output *o, const char *bytes, size_t size)
{
    if (size == 0)
        return true;
    if (o->tail && !o->tail->source && o->tail->size - o->tail->used >= size) {
        memcpy(o->tail->bytes + o->tail->used, bytes, size);
        o->tail->used += size;
        return true;
    }
    size_t room = size > OUTPUT_BLOCK_BYTES ? size : OUTPUT_BLOCK_BYTES;
    struct output_block *block = tu_alloc(sizeof *block + room);
    if (!block)
        return false;
    *block = (struct output_block){.size = room, .used = size};
    memcpy(block->bytes, bytes, size);
    link_block(o, block);
    return true;
}

bool output_append(struct output *o, struct reply *r, size_t sent)
{
    (void)seal(r);
    size_t lent = r->last ? r->lent_used : (size_t)(r->next - r->base);
    size_t skip = sent < lent ? sent : lent;
    if (!append_bytes(o, r->lent + skip, lent - skip))
        return false;
    sent -= skip;
    struct output_block *block = r->first;
    r->first = r->last = NULL;
    while (block) {
        struct output_block *next = block->next;
        if (block->used <= sent && !block->source) {
            sent -= block->used;
            tu_free(block);
        } else if (!o->head) {
            link_block(o, block);
            o->head_sent = sent;
            sent = 0;
        } else {
            tu_assert(sent == 0);
            link_block(o, block);
        }
        block = next;
    }
    reply_clear(r);
    return true;
}

int output_parts(const struct output *o, struct iovec *vec, int capacity)
{
    int count = 0;
    size_t skip = o->head_sent;
    for (struct output_block *b = o->head; b && !b->source && count < capacity; b = b->next) {
        vec[count++] = (struct iovec){b->bytes + skip, b->used - skip};
        skip = 0;
    }
    return count;
}

/* The first block is not needed any more. */
static void drop_head(struct output *o)
{
    struct output_block *block = o->head;
    o->head = block->next;
    if (!o->head)
        o->tail = NULL;
    o->head_sent = 0;
    o->bytes -= sizeof *block + block->size;
    o->blocks--;
    free_block(block);
}

bool output_fill(struct output *o, size_t bytes)
{
    if (!o->head || !o->head->source)
        return true;
    char lent[256];
    struct reply r;
    struct output made = {0};
    reply_open(&r, lent, sizeof lent, 2); /* the source knows its protocol */
    bool more = o->head->source->more(o->head->source, &r, bytes);
    bool kept = !r.overflow && output_append(&made, &r, 0);
    reply_close(&r);
    if (!kept) {
        output_release(&made);
        return false;
    }
    if (!more)
        drop_head(o);
    if (!made.head)
        return true;
    made.tail->next = o->head;
    o->head = made.head;
    if (!o->tail)
        o->tail = made.tail;
    o->bytes += made.bytes;
    o->blocks += made.blocks;
    return true;
}

void output_sent(struct output *o, size_t sent)
{
    while (o->head && !o->head->source) {
        struct output_block *block = o->head;
        size_t left = block->used - o->head_sent;
        if (sent < left) {
            o->head_sent += sent;
            return;
        }
        sent -= left;
        drop_head(o);
    }
    tu_assert(sent == 0);
}

void output_release(struct output *o)
{
    free_blocks(o->head);
    *o = (struct output){0};
}

void output_verify(const struct output *o)
{
    size_t bytes = 0;
    uint32_t blocks = 0;
    const struct output_block *last = NULL;
    for (const struct output_block *b = o->head; b; b = b->next) {
        tu_check((b->used <= b->size && b->used > 0) || (b->source && b->used == 0),
                 "output block: %zu of %zu", b->used, b->size);
        bytes += sizeof *b + b->size;
        blocks++;
        last = b;
    }
    tu_check(last == o->tail && bytes == o->bytes && blocks == o->blocks, "output list is wrong");
    tu_check(!o->head || o->head_sent < o->head->used || o->head->source,
             "output: head is sent already");
}
