/* entry.h - a key, its value or the way to it, and its deadline, in one allocation.
 *
 *      0        1          4      5          6            8
 *     | kind    | clock    | flags| key size | value size | [expiry 8] [long key size 4] key value
 *
 * kind is type and encoding. The value is inline bytes (small strings), an inline int64, or a pointer
 * to a block of its own (ENTRY_BLOCK: struct blob for strings, the type's object otherwise). Nothing
 * is padded: a 16-byte key with a 64-byte value takes 88 bytes.
 *
 *     entry_bytes(e) = 8 + 8 * expires + 4 * (key size >= 255) + key size + value size
 *
 * An entry belongs to the shard of its key and is touched only under that shard's lock. Making or
 * dropping an expiry, and changing the value's size, may move the entry: the caller puts the new
 * address into its table slot. Never parks.
 */
#pragma once

#include "base/slice.h"
#include "store/index/packed.h"
#include "store/keyspace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The first four are runs of bytes: inline, or a struct blob with ENTRY_BLOCK. The others are always a
 * pointer to the type's object (type_ops.h). */
enum entry_encoding {
    ENCODING_BYTES, /* string */
    ENCODING_INT,   /* string: an int64, inline */
    ENCODING_PACKED, /* list, set, hash (field, value ...), zset (member, score ...): index/packed.h */
    ENCODING_INTSET, /* set: width in bytes (2, 4 or 8), then integers of that width, ascending */
    ENCODING_TABLE,  /* set, hash */
    ENCODING_TREE,   /* zset */
    ENCODING_QUICKLIST, /* list */
    ENCODING_STREAM,
};

enum entry_flag {
    ENTRY_EXPIRES = 1 << 0,
    ENTRY_BLOCK = 1 << 1,  /* the value is a pointer */
    ENTRY_RAW = 1 << 2,    /* a string that was changed in place: OBJECT ENCODING says raw */
    ENTRY_FIELDS = 1 << 3, /* a hash with fields that have deadlines: entry_fields_due_ms */
};

struct entry {
    uint32_t type : 4;
    uint32_t encoding : 4;
    uint32_t clock : 24; /* last access in seconds, or minutes and frequency: access_clock.h */
    uint8_t flags;
    uint8_t key_size;    /* ENTRY_LONG_KEY: the size is in the bytes that follow */
    uint16_t value_size; /* of the inline value; 8 for an integer or a pointer */
    unsigned char bytes[];
};
_Static_assert(sizeof(struct entry) == 8, "the header is 8 bytes");

#define ENTRY_LONG_KEY   255u
#define ENTRY_INLINE_MAX 1024u /* larger string values get a block of their own */

/* A string value outside its entry. */
struct blob {
    uint64_t size;     /* bytes in use */
    uint64_t capacity; /* bytes there are */
    char bytes[];
};

static inline size_t entry_key_offset(const struct entry *e)
{
    return (e->flags & ENTRY_EXPIRES ? 8u : 0u) + (e->key_size == ENTRY_LONG_KEY ? 4u : 0u);
}

static inline size_t entry_key_size(const struct entry *e)
{
    if (__builtin_expect(e->key_size != ENTRY_LONG_KEY, 1))
        return e->key_size;
    uint32_t size;
    memcpy(&size, e->bytes + (e->flags & ENTRY_EXPIRES ? 8 : 0), sizeof size);
    return size;
}

static inline struct slice entry_key(const struct entry *e)
{
    return (struct slice){(const char *)e->bytes + entry_key_offset(e), entry_key_size(e)};
}

/* Where the inline value begins; not aligned. */
static inline unsigned char *entry_value(const struct entry *e)
{
    return (unsigned char *)e->bytes + entry_key_offset(e) + entry_key_size(e);
}

static inline size_t entry_bytes(const struct entry *e)
{
    return sizeof *e + entry_key_offset(e) + entry_key_size(e) + e->value_size;
}

static inline bool entry_expires(const struct entry *e)
{
    return e->flags & ENTRY_EXPIRES;
}

/* The deadline, or EXPIRY_NONE. */
static inline int64_t entry_expiry(const struct entry *e)
{
    int64_t at_ms = EXPIRY_NONE;
    if (e->flags & ENTRY_EXPIRES)
        memcpy(&at_ms, e->bytes, sizeof at_ms);
    return at_ms;
}

/* True when its deadline has passed: the key is gone for everybody. */
static inline bool entry_is_expired(const struct entry *e, int64_t now_ms)
{
    return __builtin_expect(e->flags & ENTRY_EXPIRES, 0) && entry_expiry(e) <= now_ms;
}

/* True if the value is a run of bytes, here or in a blob: entry_string gives it. */
static inline bool entry_is_bytes(const struct entry *e)
{
    return e->encoding <= ENCODING_INTSET;
}

static inline int64_t entry_integer(const struct entry *e)
{
    int64_t value;
    memcpy(&value, entry_value(e), sizeof value);
    return value;
}

static inline void entry_set_integer(struct entry *e, int64_t value)
{
    memcpy(entry_value(e), &value, sizeof value);
}

static inline void *entry_block(const struct entry *e)
{
    void *block;
    memcpy(&block, entry_value(e), sizeof block);
    return block;
}

static inline void entry_set_block(struct entry *e, void *block)
{
    memcpy(entry_value(e), &block, sizeof block);
}

/* The bytes of a value that is a run of them. */
static inline struct slice entry_string(const struct entry *e)
{
    if (e->flags & ENTRY_BLOCK) {
        const struct blob *blob = entry_block(e);
        return (struct slice){blob->bytes, blob->size};
    }
    return (struct slice){(const char *)entry_value(e), e->value_size};
}

static inline struct packed entry_packed(const struct entry *e)
{
    struct slice s = entry_string(e);
    return (struct packed){(const unsigned char *)s.data, s.size, e->type == TYPE_HASH};
}

/* A new entry with room for `value_size` (at most ENTRY_INLINE_MAX) bytes of inline value, which the
 * caller fills; at_ms EXPIRY_NONE for no deadline. NULL: out of memory. */
struct entry *entry_new(struct slice key, enum store_type type, enum entry_encoding encoding,
                        size_t value_size, int64_t at_ms);
/* A string entry with this value: integer, inline or block, as it fits. NULL: out of memory. */
struct entry *entry_new_string(struct slice key, struct slice value, int64_t at_ms);
/* The same, but never an integer. */
struct entry *entry_new_bytes(struct slice key, struct slice value, int64_t at_ms);
struct entry *entry_new_integer(struct slice key, int64_t value, int64_t at_ms);

/* Sets or, with EXPIRY_NONE, drops the deadline: the entry, at a new address if its size changed, or
 * NULL: out of memory and nothing changed. */
struct entry *entry_set_expiry(struct entry *e, int64_t at_ms);
/* Makes the inline value `size` bytes large, keeping what is there (not for blocks): the entry,
 * maybe moved, or NULL. */
struct entry *entry_resize_value(struct entry *e, size_t size);

/* Frees it and its block. */
void entry_free(struct entry *e);
/* A copy under another name with another deadline. NULL: out of memory. */
struct entry *entry_copy(const struct entry *e, struct slice key, int64_t at_ms);

/* A new entry under another name that takes over value, deadline and block; `e` must then be dropped
 * with tu_free, not entry_free. NULL: out of memory. */
struct entry *entry_renamed(const struct entry *e, struct slice key);

/* No field of this hash is over before that; INT64_MAX: none has a deadline. */
int64_t entry_fields_due_ms(const struct entry *e);

/* Bytes of a string's text, elements of the other types. */
size_t entry_value_count(const struct entry *e);
/* Bytes of memory behind it, rounded to the heap's classes. */
size_t entry_memory(const struct entry *e);
/* How much work freeing is; beyond ENTRY_LAZY_EFFORT the background should do it. */
size_t entry_free_effort(const struct entry *e);
#define ENTRY_LAZY_EFFORT 64u
/* "int", "embstr", "raw", or what the type says. */
const char *entry_encoding_name(const struct entry *e);

/* A blob of `capacity` bytes, size 0. NULL: out of memory. */
struct blob *blob_new(size_t capacity);
