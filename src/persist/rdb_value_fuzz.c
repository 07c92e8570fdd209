/* rdb_value_fuzz.c - RESTORE of arbitrary bytes: refused, or a sound value that is the same when written and read again.
 * The input is type and body, with or without the footer of a payload; the checksum is not asked for, since a fuzzer
 * does not find it. */
#include "persist/rdb_format.h"
#include "support/rdb_round_trip.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct keyspace *ks;
    if (!ks) {
        ks = keyspace_new(&(struct keyspace_options){.shards = 1, .databases = 1});
        tu_check(ks, "no memory for a keyspace");
    }
    struct transaction tx;
    struct slice payload = {(const char *)data, size}, body;
    (void)rdb_payload_check(payload, &body);
    transaction_init(&tx, ks, 0, 1000);
    tx.no_expire = true;
    transaction_lock_all(&tx);
    (void)round_trip(&tx, payload);
    /* what stays would be leaks to LeakSanitizer, which does not know the table's pointers */
    keyspace_delete(&tx, round_trip_key(&tx, "first"), false);
    keyspace_delete(&tx, round_trip_key(&tx, "second"), false);
    transaction_unlock(&tx);
    return 0;
}
