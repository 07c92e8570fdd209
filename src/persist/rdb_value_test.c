/* rdb_value_test.c - every payload of tests/data/dump_corpus, as valkey-server wrote it or as nobody would: whole, cut,
 * with any bit turned, with any allocation failing. Which of them are accepted is written in their transcripts. */
#include "persist/rdb_format.h"
#include "runtime/mem/heap.h"
#include "support/rdb_round_trip.h"
#include "support/testing.h"

#include <dirent.h>
#include <stdio.h>

static struct keyspace *ks;
static struct transaction tx;

static void start(void)
{
    ks = keyspace_new(&(struct keyspace_options){.shards = 1, .databases = 1});
    REQUIRE(ks);
    transaction_init(&tx, ks, 0, 1000);
    tx.no_expire = true;
    transaction_lock_all(&tx);
}

static void stop(void)
{
    transaction_unlock(&tx);
    keyspace_free(ks);
}

/* Calls `each` for every payload; returns their number. */
static int each_payload(void (*each)(const char *name, unsigned char *payload, size_t size))
{
    static unsigned char payload[1 << 16];
    char path[800];
    int count = 0;
    char folder[400];
    const char *end = strstr(__FILE__, "src/persist/"); /* found from this source's own path */
    REQUIRE(end);
    snprintf(folder, sizeof folder, "%.*stests/data/dump_corpus", (int)(end - __FILE__), __FILE__);
    DIR *d = opendir(folder);
    REQUIRE(d);
    for (struct dirent *entry; (entry = readdir(d));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *f = fopen(path, "rb");
        REQUIRE(f);
        size_t size = fread(payload, 1, sizeof payload, f);
        fclose(f);
        each(entry->d_name, payload, size);
        count++;
    }
    closedir(d);
    return count;
}

static struct slice body_of(const unsigned char *payload, size_t size)
{
    struct slice body;
    REQUIRE(rdb_payload_check((struct slice){(const char *)payload, size}, &body));
    return body;
}

static int accepted;

static void whole(const char *name, unsigned char *payload, size_t size)
{
    (void)name;
    accepted += round_trip(&tx, body_of(payload, size)) == RDB_OK;
}

TEST(rdb_value, the_corpus_is_the_same_when_written_and_read_again)
{
    start();
    accepted = 0;
    CHECK(each_payload(whole) >= 100);
    CHECK(accepted >= 40);
    stop();
}

static void broken(const char *name, unsigned char *payload, size_t size)
{
    (void)name;
    struct slice body = body_of(payload, size);
    if (body.size > 150)
        return;
    for (size_t i = 0; i < body.size; i++) {
        char *copy = malloc(i + 1); /* of its very size, for AddressSanitizer */
        memcpy(copy, body.data, i);
        (void)round_trip(&tx, (struct slice){copy, i});
        free(copy);
    }
    for (size_t i = 0; i < 8 * body.size; i++) {
        payload[i / 8] ^= (unsigned char)(1u << i % 8);
        (void)round_trip(&tx, body);
        CHECK(!rdb_payload_check((struct slice){(const char *)payload, size}, &(struct slice){0}));
        payload[i / 8] ^= (unsigned char)(1u << i % 8);
    }
}

TEST(rdb_value, cut_or_turned_bits)
{
    start();
    each_payload(broken);
    stop();
}

static int failures;

static void starved(const char *name, unsigned char *payload, size_t size)
{
    struct slice body = body_of(payload, size);
    struct store_key key = round_trip_key(&tx, "k");
    struct rdb_target target = {ks, key.name, 5000, tx.now_ms};
    for (int64_t n = 1; n < 40; n++) {
        struct rdb_reader r = rdb_reader_of(body);
        struct entry *e = NULL;
        REQUIRE(tu__mem_fail_after(n));
        enum rdb_result result = rdb_value_read(&r, &target, &e);
        REQUIRE(tu__mem_fail_after(0));
        if (result == RDB_OK) {
            verify_entry(e);
            struct rdb_writer w = rdb_writer_new(true);
            REQUIRE(tu__mem_fail_after(n));
            rdb_payload_write(&w, e);
            REQUIRE(tu__mem_fail_after(0));
            rdb_writer_done(&w);
            failures += w.failed;
            CHECK(w.failed == !w.bytes);
            tu_free(w.bytes);
            entry_free(e);
        } else {
            CHECK(!e);
            failures += result == RDB_NO_MEMORY;
        }
    }
    (void)name;
}

TEST(rdb_value, every_allocation_may_fail)
{
    if (!tu__mem_fail_after(0)) {
        printf("  skipped: not a debug build\n");
        return;
    }
    start();
    failures = 0;
    each_payload(starved);
    printf("  %d times out of memory\n", failures);
    CHECK(failures >= 100);
    stop();
}

/* What the peers write for a few values of each form. */
TEST(rdb_value, bytes_of_the_peers)
{
    static const struct {
        const char *bytes;
        size_t size;
    } same[] = {
        {"\x00\x03"
         "abc\x50\x00\x16\x86\xf9\xac\xdf\x20\xc5\x16",
         15},
        {"\x00\xc0\x0c\x50\x00\xf3\x00\x31\xc0\xc2\x56\xdb\x21", 13},
        {"\x00\xc3\x06\x15\x01"
         "aa\xe0\x0a\x00\x50\x00\x32\x26\x7a\xf9\x99\x13\x58\x9c",
         20},
        {"\x12\x01\x02\x0f\x0f\x00\x00\x00\x03\x00\x81\x61\x02\x81\x62\x02\x01\x01\xff\x50\x00"
         "\x2f\x31\x62\xdb\xd9\x9c\x3e\xd6",
         29},
        {"\x10\x11\x11\x00\x00\x00\x04\x00\x81\x61\x02\x01\x01\x81\x62\x02\x02\x01\xff\x50\x00"
         "\xf1\x6a\xaa\xfd\x11\x0f\x11\x6e",
         29},
    };
    start();
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        struct slice body = body_of((const unsigned char *)same[i].bytes, same[i].size);
        REQUIRE(round_trip_put(&tx, "k", body) == RDB_OK);
        struct rdb_writer w = rdb_writer_new(true);
        rdb_payload_write(&w, shard_lookup(&tx, 0, round_trip_key(&tx, "k"), LOOKUP_PEEK).entry);
        rdb_writer_done(&w);
        CHECK(w.size == same[i].size && memcmp(w.bytes, same[i].bytes, w.size) == 0);
        tu_free(w.bytes);
    }
    stop();
}

TEST(restore, deadlines_clocks_and_replacement)
{
    start();
    tx.no_expire = false;
    struct store_key key = round_trip_key(&tx, "k");
    struct object_info info;
    int64_t at_ms;
    CHECK(restore_may_put(&tx, key, false));
    struct restore_options options = {true, 100, -1};
    tx.now_ms = 1000000;
    REQUIRE(restore_put(&tx, key, entry_new_string(key.name, SLICE("one"), 2000000), &options) ==
            STORE_OK);
    CHECK(keyspace_object(&tx, key, &info) == STORE_OK && info.idle_s == 100);
    CHECK(keyspace_expiry(&tx, key, &at_ms) == STORE_OK && at_ms == 2000000);
    CHECK(!restore_may_put(&tx, key, false) && restore_may_put(&tx, key, true));
    options.idle_s = -1;
    REQUIRE(restore_put(&tx, key, entry_new_string(key.name, SLICE("two"), EXPIRY_NONE),
                        &options) == STORE_OK);
    CHECK(keyspace_object(&tx, key, &info) == STORE_OK && info.idle_s == 0);
    CHECK(keyspace_expiry(&tx, key, &at_ms) == STORE_OK && at_ms == EXPIRY_NONE);
    REQUIRE(restore_put(&tx, key, entry_new_string(key.name, SLICE("over"), 999999), &options) ==
            STORE_OK);
    CHECK(keyspace_size(ks, 0) == 0);
    REQUIRE(restore_put(&tx, key, entry_new_string(key.name, SLICE("over"), 0), &options) ==
            STORE_OK);
    CHECK(keyspace_size(ks, 0) == 0 && tx.dirty == 3);
    stop();
}
