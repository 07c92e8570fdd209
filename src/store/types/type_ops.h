/* type_ops.h - what the keyspace must be able to do with a value whose type it does not know.
 *
 * One constant table a type; type_ops_of finds it. The object is what an entry's ENTRY_BLOCK points
 * to when its encoding is not a run of bytes; those entry.c knows itself. Strings have no row.
 */
#pragma once

#include "base/sha1.h"
#include "store/keyspace.h"

struct type_ops {
    void (*free)(void *object);
    size_t (*free_effort)(const void *object); /* allocations to give back, about */
    size_t (*size)(const void *object);        /* elements */
    size_t (*memory)(const void *object);      /* bytes */
    void *(*copy)(const void *object);         /* NULL: out of memory */
    /* Mixes the value, in whatever encoding, into a DEBUG DIGEST (digest.h has the tools). */
    void (*digest)(const struct entry *e, uint8_t digest[SHA1_SIZE]);
    /* Aborts if something is wrong with the value, in whatever encoding. Walks all of it. */
    void (*verify)(const struct entry *e);
    /* Of types whose elements may have deadlines, else NULL: no element is over before that (INT64_MAX: none has a
     * deadline); and drops what is over at now_ms, at most `most` elements: their number. */
    int64_t (*fields_due_ms)(const void *object);
    size_t (*fields_reclaim)(void *object, int64_t now_ms, size_t most);
};

/* NULL for strings and for types that are not there. */
const struct type_ops *type_ops_of(enum store_type type);

extern const struct type_ops list_ops; /* list.c */
