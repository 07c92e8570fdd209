/* type_limits.h - when a collection goes from its small form to its large one. Set from the configuration at any time
 * and by anybody; operations read each limit once, relaxed.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct keyspace;

/* Defaults are those of the directives of the same names. */
struct type_limits {
    _Atomic int64_t hash_max_listpack_entries, hash_max_listpack_value;
    _Atomic int64_t set_max_intset_entries, set_max_listpack_entries, set_max_listpack_value;
    _Atomic int64_t zset_max_listpack_entries, zset_max_listpack_value;
    _Atomic int64_t list_max_listpack_size; /* > 0: elements; -1 .. -5: 4, 8, 16, 32, 64 KiB */
    _Atomic int64_t list_compress_depth;
    _Atomic int64_t stream_node_max_bytes, stream_node_max_entries;
    _Atomic int64_t hll_sparse_max_bytes;
};

/* The keyspace's own, to be read and written in place. */
struct type_limits *keyspace_limits(struct keyspace *ks);

static inline int64_t type_limit(const _Atomic int64_t *limit)
{
    return atomic_load_explicit(limit, memory_order_relaxed);
}
