/* rdb_types.h - the parts of rdb_value.c: a writer and a reader for each type of value.
 *
 * Writers write the type's number and the body. Readers are called behind the number, which they are given; RDB_OK gives
 * an entry to the caller, else nothing is held.
 */
#pragma once

#include "persist/rdb_value.h"

/* An entry for the target. An object is taken over with RDB_OK. */
enum rdb_result rdb_make_bytes(const struct rdb_target *target, enum store_type type,
                               enum entry_encoding encoding, struct slice bytes,
                               struct entry **out);
enum rdb_result rdb_make_object(const struct rdb_target *target, enum store_type type,
                                enum entry_encoding encoding, void *object, struct entry **out);

void rdb_list_write(struct rdb_writer *w, const struct entry *e);
void rdb_stream_write(struct rdb_writer *w, const struct entry *e);
enum rdb_result rdb_list_read(struct rdb_reader *r, unsigned type, const struct rdb_target *target,
                              struct entry **out);
void rdb_hash_write(struct rdb_writer *w, const struct entry *e);
enum rdb_result rdb_hash_read(struct rdb_reader *r, unsigned type, const struct rdb_target *target,
                              struct entry **out);
void rdb_zset_write(struct rdb_writer *w, const struct entry *e);
enum rdb_result rdb_zset_read(struct rdb_reader *r, unsigned type, const struct rdb_target *target,
                              struct entry **out);
void rdb_set_write(struct rdb_writer *w, const struct entry *e);
enum rdb_result rdb_set_read(struct rdb_reader *r, unsigned type, const struct rdb_target *target,
                             struct entry **out);
enum rdb_result rdb_stream_read(struct rdb_reader *r, unsigned type,
                                const struct rdb_target *target, struct entry **out);
