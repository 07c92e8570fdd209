/* hyperloglog.h - how many different elements a set has had, from 12 KiB, within 0.81 % (standard error).
 *
 * A HyperLogLog is a string in the format of Redis and Valkey, to the byte: a header of 16 bytes ("HYLL", encoding, three
 * zeros, the last estimate as 64 bits little-endian whose top bit says that it is stale), and 16,384 registers. Dense: 6
 * bits each, little-endian. Sparse: runs,
 *
 *     00xxxxxx            x + 1 registers are 0
 *     01xxxxxx yyyyyyyy   xy + 1 registers are 0
 *     1vvvvvxx            x + 1 registers are v + 1
 *
 * that cover all registers exactly. The sparse form becomes dense when a value exceeds 32 or when a change would make it
 * longer than hll-sparse-max-bytes. The estimator is Ertl's (arXiv:1702.01284, algorithm 6).
 *
 * Clients can write any bytes with SET: each function checks what it reads. STORE_NOT_HLL: the string has no header, or a
 * dense one the wrong size; STORE_CORRUPT: the runs do not cover the registers. The keys' shards are held; none parks.
 */
#pragma once

#include "store/keyspace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HLL_REGISTERS = 1 << 14, HLL_HEADER = 16 };

/* PFADD: makes the key if it is missing. *changed: a register rose, or the key is new. Event "pfadd". STORE_OK,
 * STORE_WRONG_TYPE, STORE_NOT_HLL, STORE_CORRUPT (elements before the one that met the damage are in),
 * STORE_NO_MEMORY. */
enum store_result hll_add(struct transaction *tx, struct store_key key,
                          const struct slice *elements, size_t count, bool *changed);
/* PFCOUNT of one key; keeps the estimate in the value, which counts as a change of the key if it was stale. 0 for a
 * missing one. */
enum store_result hll_count(struct transaction *tx, struct store_key key, uint64_t *estimate);
/* PFCOUNT of the union. Changes nothing. */
enum store_result hll_count_union(struct transaction *tx, const struct store_key *keys,
                                  size_t count, uint64_t *estimate);
/* PFMERGE: keys[0] becomes the union of all. Dense if one of them is. Event "pfadd". */
enum store_result hll_merge(struct transaction *tx, const struct store_key *keys, size_t count);

/* ---- what PFDEBUG shows; STORE_MISSING: no such key ---- */

/* True in *dense; with `convert`, the value is made dense, *converted: it was not. */
enum store_result hll_form(struct transaction *tx, struct store_key key, bool convert, bool *dense,
                           bool *converted);
/* All registers, one a byte. */
enum store_result hll_registers(struct transaction *tx, struct store_key key,
                                uint8_t registers[HLL_REGISTERS]);
/* The runs of a sparse value as text ("Z:12 v:1,2 z:3"): to be freed with tu_free. STORE_NOT_MET: it is dense. */
enum store_result hll_runs(struct transaction *tx, struct store_key key, char **text, size_t *size);

/* The estimate from registers. Pure. */
uint64_t hll_estimate(const uint8_t registers[HLL_REGISTERS]);
/* The register that an element falls into; *value is what it raises it to, 1..51. Pure. */
unsigned hll_place(struct slice element, uint8_t *value);
