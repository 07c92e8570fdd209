/* value.h - how the types find, make, change and drop their values.
 *
 *     struct found f;
 *     enum store_result rc = value_find(tx, key, TYPE_SET, LOOKUP_WRITE, &f);
 *     if (rc == STORE_MISSING)
 *         rc = value_make_bytes(tx, key, TYPE_SET, ENCODING_PACKED, PACKED_HEAD, &f);
 *     if (rc != STORE_OK)
 *         return rc;
 *     struct packed_store store = value_packed_store(&f);
 *     packed_insert(&store, entry_packed(f.entry), at, &member, 1);
 *     value_changed(tx, key, EVENT_SET, "sadd", 1);
 *
 * An operation that makes a key and then fails must drop it again; one that takes the last element calls
 * value_drop_empty after value_changed, as the peers order their events. The key's shard is held in all of them; none
 * parks.
 */
#pragma once

#include "store/shard.h"
#include "store/types/type_ops.h"

/* STORE_OK, STORE_MISSING, or STORE_WRONG_TYPE; f is filled in each case. */
enum store_result value_find(struct transaction *tx, struct store_key key, enum store_type type,
                             enum lookup_how how, struct found *f);

/* Makes the key, which is missing (f from value_find), with `size` zero bytes of value (a packed without elements:
 * PACKED_HEAD). STORE_OK or STORE_NO_MEMORY. */
enum store_result value_make_bytes(struct transaction *tx, struct store_key key,
                                   enum store_type type, enum entry_encoding encoding, size_t size,
                                   struct found *f);
/* The same with an object, which is taken over if the result is STORE_OK. */
enum store_result value_make_object(struct transaction *tx, struct store_key key,
                                    enum store_type type, enum entry_encoding encoding,
                                    void *object, struct found *f);
/* Gives a key whose value is a run of bytes an object instead; the bytes are gone. False: out of memory, nothing
 * has changed. */
bool value_become_object(struct found *f, enum entry_encoding encoding, void *object);
/* The way back: an object (which the caller frees) to `size` bytes, undefined. False: out of memory. */
bool value_become_bytes(struct found *f, enum entry_encoding encoding, size_t size);
/* A whole new value: puts `e`, made by the caller, under its name in place of whatever was there (freed, in the background
 * if large). Records neither event nor change, but "new". STORE_OK, or STORE_NO_MEMORY: `e` is still the caller's. */
enum store_result value_put(struct transaction *tx, struct store_key key, struct entry *e);

/* The object of a value that is not a run of bytes. */
static inline void *value_object(const struct found *f)
{
    return entry_block(f->entry);
}

/* Replaces `removed` bytes at `at` of a run of bytes by `inserted` undefined ones. Returns the beginning of all, or NULL:
 * out of memory (never when it gets smaller), nothing has changed. Moves the entry or its blob, so slices into it die. */
unsigned char *value_splice(struct found *f, size_t at, size_t removed, size_t inserted);
/* The same as packed.h wants it. Valid as long as *f. */
struct packed_store value_packed_store(struct found *f);

/* Says that the value was changed: event, watchers, `dirty` changes. */
void value_changed(struct transaction *tx, struct store_key key, uint32_t event_class,
                   const char *event, uint64_t dirty);
/* Removes the key, which has no elements any more, with its "del". */
void value_drop_empty(struct transaction *tx, struct store_key key, struct found *f);
