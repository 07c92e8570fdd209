/* stream_group.h - consumer groups: what was delivered to whom and is not yet acknowledged.
 *
 * A delivery (nack) stands in two trees, its group's and its consumer's, and is owned by the group's.
 *
 *     group's pending = the disjoint union of its consumers' pendings
 *
 * Groups and consumers are kept in the order of their names. Under the lock of the key's shard. Never parks.
 */
#pragma once

#include "base/slice.h"
#include "store/index/id_tree.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream_object;

struct named {
    struct slice name; /* the bytes follow the record in its allocation */
};
struct named_list {
    struct named **items; /* ascending */
    size_t count, capacity;
};

struct stream_consumer {
    struct named named;
    int64_t seen_ms;   /* when it last asked */
    int64_t active_ms; /* when it last got something; -1: never */
    struct id_tree pending;
};
struct stream_nack {
    struct stream_consumer *consumer;
    int64_t delivered_ms;
    uint64_t deliveries;
};
struct stream_group {
    struct named named;
    struct id last_id;    /* the last one delivered */
    int64_t entries_read; /* STREAM_READ_UNKNOWN where it cannot be told */
    struct id_tree pending;
    struct named_list consumers;
};
#define STREAM_READ_UNKNOWN INT64_C(-1)
struct stream_groups {
    struct named_list list;
};

/* These take NULL for no groups. */
void stream_groups_free(struct stream_groups *groups);
size_t stream_groups_effort(const struct stream_groups *groups);
size_t stream_groups_memory(const struct stream_groups *groups);
/* NULL: out of memory. */
struct stream_groups *stream_groups_copy(const struct stream_groups *groups);
void stream_groups_verify(const struct stream_groups *groups);
size_t stream_groups_count(const struct stream_groups *groups);

/* NULL: there is none. */
struct stream_group *stream_group_find(const struct stream_object *s, struct slice name);
/* The name is new. NULL: out of memory. */
struct stream_group *stream_group_create(struct stream_object *s, struct slice name,
                                         struct id last_id, int64_t entries_read);
void stream_group_destroy(struct stream_object *s, struct stream_group *group);

struct stream_consumer *stream_consumer_find(const struct stream_group *group, struct slice name);
/* The name is new. NULL: out of memory. */
struct stream_consumer *stream_consumer_create(struct stream_group *group, struct slice name,
                                               int64_t now_ms);
/* What it has pending goes with it: how many. */
size_t stream_consumer_destroy(struct stream_group *group, struct stream_consumer *consumer);

/* Makes the entry pending for a consumer, once more if it is already, delivered once, now. NULL: out of memory, nothing
 * has changed. */
struct stream_nack *stream_group_deliver(struct stream_group *group,
                                         struct stream_consumer *consumer, struct id id,
                                         int64_t now_ms);
/* Hands a pending entry to another consumer. False: out of memory, nothing has changed. */
bool stream_group_hand_over(struct stream_group *group, struct id id, struct stream_nack *nack,
                            struct stream_consumer *to);
/* The entry is no longer pending. False: it was not. */
bool stream_group_acknowledge(struct stream_group *group, struct id id);

/* True if a group refers to the entry: has it pending, or has not got so far. */
bool stream_groups_want(const struct stream_object *s, struct id id);
/* No group has it pending any more. */
void stream_groups_forget(struct stream_object *s, struct id id);

/* How many entries had been added up to this id, as far as can be told: else STREAM_READ_UNKNOWN. */
int64_t stream_group_estimate_read(const struct stream_object *s, struct id id);
/* Entries that the group has not got yet. False: cannot be told. */
bool stream_group_lag(const struct stream_object *s, const struct stream_group *group,
                      int64_t *lag);
/* The entry, which is beyond last_id, was delivered. */
void stream_group_advance(const struct stream_object *s, struct stream_group *group, struct id id);
