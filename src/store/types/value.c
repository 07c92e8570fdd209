/* value.c - see value.h.
 *
 * Runs of bytes up to ENTRY_INLINE_MAX lie in the entry itself: one allocation and one cache miss for a small
 * collection. Longer ones lie in a blob with slack. A blob comes back into the entry when half the limit is enough, so
 * that a value around the limit does not go to and fro.
 */
#include "store/types/value.h"

#include "base/check.h"
#include "store/effects.h"
#include "store/lazy_free.h"

#include <tuco/mem.h>

enum { COMES_BACK = ENTRY_INLINE_MAX / 2 };
/* Who has just made a whole value can free one of this size: its blocks are the next value's, still in the cache, where the
 * background would bring them back from another thread, later. About 50 us. */
enum { REPLACED_LAZY_EFFORT = 2048 };

enum store_result value_find(struct transaction *tx, struct store_key key, enum store_type type,
                             enum lookup_how how, struct found *f)
{
    *f = shard_lookup(tx, tx->db, key, how);
    if (!f->entry)
        return STORE_MISSING;
    return f->entry->type == type ? STORE_OK : STORE_WRONG_TYPE;
}

static enum store_result insert(struct transaction *tx, struct store_key key, struct entry *e,
                                struct found *f)
{
    enum store_result rc = shard_insert(tx, tx->db, e, key.hash);
    if (rc == STORE_OK)
        *f = shard_lookup(tx, tx->db, key, LOOKUP_PEEK);
    else
        tu_free(e);
    return rc;
}

enum store_result value_make_bytes(struct transaction *tx, struct store_key key,
                                   enum store_type type, enum entry_encoding encoding, size_t size,
                                   struct found *f)
{
    tu_assert(size <= ENTRY_INLINE_MAX);
    struct entry *e = entry_new(key.name, type, encoding, size, EXPIRY_NONE);
    if (!e)
        return STORE_NO_MEMORY;
    memset(entry_value(e), 0, size);
    return insert(tx, key, e, f);
}

enum store_result value_make_object(struct transaction *tx, struct store_key key,
                                    enum store_type type, enum entry_encoding encoding,
                                    void *object, struct found *f)
{
    struct entry *e = entry_new(key.name, type, encoding, sizeof object, EXPIRY_NONE);
    if (!e)
        return STORE_NO_MEMORY;
    e->flags |= ENTRY_BLOCK;
    entry_set_block(e, object);
    return insert(tx, key, e, f);
}

bool value_become_object(struct found *f, enum entry_encoding encoding, void *object)
{
    struct entry *e = f->entry;
    tu_assert(entry_is_bytes(e));
    if (e->flags & ENTRY_BLOCK) {
        tu_free(entry_block(e));
    } else {
        e = entry_resize_value(e, sizeof object);
        if (!e)
            return false;
        shard_entry_moved(f, e);
        e->flags |= ENTRY_BLOCK;
    }
    e->encoding = encoding;
    entry_set_block(e, object);
    return true;
}

bool value_become_bytes(struct found *f, enum entry_encoding encoding, size_t size)
{
    struct entry *e = f->entry;
    tu_assert(e->flags & ENTRY_BLOCK);
    if (size > ENTRY_INLINE_MAX) {
        struct blob *blob = blob_new(size);
        if (!blob)
            return false;
        blob->size = size;
        entry_set_block(e, blob);
    } else {
        e->flags &= (uint8_t)~ENTRY_BLOCK;
        struct entry *resized = entry_resize_value(e, size);
        if (!resized) {
            e->flags |= ENTRY_BLOCK;
            return false;
        }
        shard_entry_moved(f, resized);
    }
    f->entry->encoding = encoding;
    return true;
}

enum store_result value_put(struct transaction *tx, struct store_key key, struct entry *e)
{
    struct found f = shard_lookup(tx, tx->db, key, LOOKUP_PEEK);
    struct entry *old = f.entry;
    if (!old)
        return shard_insert(tx, tx->db, e, key.hash);
    shard_replace(tx, &f, e, key.hash);
    if (entry_free_effort(old) > REPLACED_LAZY_EFFORT)
        lazy_free_entry(old);
    else
        entry_free(old);
    return STORE_OK;
}

/* ---- runs of bytes ---- */

static void move_tail(unsigned char *bytes, size_t size, size_t at, size_t removed, size_t inserted)
{
    if (removed != inserted && size > at + removed)
        memmove(bytes + at + inserted, bytes + at + removed, size - at - removed);
}

/* An eighth. A half cost hashes of 500 small fields 9 % more memory, and HSET no measurable time less. */
static size_t with_slack(size_t size)
{
    return size + size / 8;
}

static unsigned char *splice_inline(struct found *f, size_t at, size_t removed, size_t inserted)
{
    struct entry *e = f->entry;
    size_t size = e->value_size, after = size - removed + inserted;
    if (after < size)
        move_tail(entry_value(e), size, at, removed, inserted);
    if (after != size) {
        e = entry_resize_value(e, after);
        if (!e)
            return NULL; /* it did not get smaller: that never fails */
        shard_entry_moved(f, e);
    }
    if (after > size)
        move_tail(entry_value(e), size, at, removed, inserted);
    return entry_value(e);
}

static unsigned char *to_blob(struct found *f, size_t at, size_t removed, size_t inserted)
{
    struct entry *e = f->entry;
    size_t size = e->value_size, after = size - removed + inserted;
    struct blob *blob = blob_new(with_slack(after));
    if (!blob)
        return NULL;
    unsigned char *to = (unsigned char *)blob->bytes;
    const unsigned char *from = entry_value(e);
    memcpy(to, from, at);
    memcpy(to + at + inserted, from + at + removed, size - at - removed);
    blob->size = after;
    e = entry_resize_value(e, sizeof blob);
    if (!e) { /* a value of fewer bytes than a pointer */
        tu_free(blob);
        return NULL;
    }
    shard_entry_moved(f, e);
    f->entry->flags |= ENTRY_BLOCK;
    entry_set_block(f->entry, blob);
    return to;
}

/* Takes a small blob back into the entry, if memory allows. */
static unsigned char *from_blob(struct found *f, struct blob *blob)
{
    size_t size = blob->size;
    f->entry->flags &= (uint8_t)~ENTRY_BLOCK;
    struct entry *e = entry_resize_value(f->entry, size);
    if (!e) {
        f->entry->flags |= ENTRY_BLOCK;
        return (unsigned char *)blob->bytes;
    }
    shard_entry_moved(f, e);
    memcpy(entry_value(e), blob->bytes, size);
    tu_free(blob);
    return entry_value(e);
}

static unsigned char *splice_blob(struct found *f, size_t at, size_t removed, size_t inserted)
{
    struct blob *blob = entry_block(f->entry);
    size_t after = blob->size - removed + inserted;
    bool grow = after > blob->capacity, shrink = after < blob->capacity / 4;
    if (grow) {
        struct blob *moved = tu_realloc(blob, sizeof *blob + with_slack(after));
        if (!moved)
            return NULL;
        blob = moved;
    }
    move_tail((unsigned char *)blob->bytes, blob->size, at, removed, inserted);
    blob->size = after;
    if (after <= COMES_BACK && after < blob->capacity)
        return from_blob(f, blob);
    if (shrink) {
        struct blob *moved = tu_realloc(blob, sizeof *blob + with_slack(after));
        blob = moved ? moved : blob;
    }
    if (grow || shrink) {
        blob->capacity = tu_usable_size(blob) - sizeof *blob;
        entry_set_block(f->entry, blob);
    }
    return (unsigned char *)blob->bytes;
}

unsigned char *value_splice(struct found *f, size_t at, size_t removed, size_t inserted)
{
    struct entry *e = f->entry;
    tu_assert(entry_is_bytes(e) && at + removed <= entry_string(e).size);
    if (e->flags & ENTRY_BLOCK)
        return splice_blob(f, at, removed, inserted);
    size_t after = e->value_size - removed + inserted;
    return after > ENTRY_INLINE_MAX ? to_blob(f, at, removed, inserted)
                                    : splice_inline(f, at, removed, inserted);
}

static unsigned char *hole(void *owner, size_t at, size_t removed, size_t inserted)
{
    return value_splice(owner, at, removed, inserted);
}

struct packed_store value_packed_store(struct found *f)
{
    return (struct packed_store){hole, f};
}

/* ---- what is said of it ---- */

void value_changed(struct transaction *tx, struct store_key key, uint32_t event_class,
                   const char *event, uint64_t dirty)
{
    effects_notify(tx, tx->db, event_class, event, key.name);
    effects_changed(tx, tx->db, key.name, key.hash, dirty);
}

void value_drop_empty(struct transaction *tx, struct store_key key, struct found *f)
{
    shard_delete(f, true);
    effects_notify(tx, tx->db, EVENT_GENERIC, "del", key.name);
    effects_changed(tx, tx->db, key.name, key.hash, 0);
}
