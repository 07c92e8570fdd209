/* hash_object.h - a hash beyond the packed form: the table of its fields, and when the next of them is over.
 *
 * Deadlines are exact: hash_object_reclaim at some time drops every field whose deadline is not later, and
 * hash_object_due_ms says that there is none before. So who reclaims first (shard_lookup does) sees no field that is
 * over. While there are at most HASH_SCANNED fields the next deadline is found by looking at all; beyond, a wheel of
 * field hashes (expire_index.h) knows it.
 *
 * Under the lock of the key's shard. Never parks.
 */
#pragma once

#include "store/expire_index.h"
#include "store/index/element_table.h"
#include "store/types/type_ops.h"

enum { HASH_SCANNED = 256 };

struct hash_object {
    struct element_table fields;
    uint64_t ending;            /* fields that have a deadline */
    int64_t due_ms;             /* none is over before; INT64_MAX while ending is 0 */
    struct expire_index *index; /* NULL: look at all */
};

extern const struct type_ops hash_type_ops;

/* NULL: out of memory. */
struct hash_object *hash_object_new(const struct siphash_key *secret);
void hash_object_free(struct hash_object *o);

static inline size_t hash_object_count(const struct hash_object *o)
{
    return element_table_count(&o->fields);
}
static inline int64_t hash_object_due_ms(const struct hash_object *o)
{
    return o->due_ms;
}

/* Sets a field, whatever it was before, deadline (EXPIRY_NONE: none) included. ELEMENT_EXISTS: there was one. Out of
 * memory: nothing has changed. */
enum element_added hash_object_set(struct hash_object *o, struct slice name, struct slice value,
                                   int64_t deadline_ms, int64_t now_ms);
/* Gives a field another deadline or none. False: out of memory, nothing has changed. */
bool hash_object_set_deadline(struct hash_object *o, const struct element_place *place,
                              int64_t deadline_ms, int64_t now_ms);
void hash_object_remove_at(struct hash_object *o, const struct element_place *place);
/* Drops at most `most` fields that are over: their number. */
size_t hash_object_reclaim(struct hash_object *o, int64_t now_ms, size_t most);

void hash_object_verify(const struct hash_object *o);
