/* string_test.c - results, encodings, deadlines and effects of every string operation, as a real
 * server shows them; and random edits against a plain buffer, across all representations. */
#include "store/types/string.h"

#include "base/random.h"
#include "store/shard.h"
#include "support/testing.h"

#include <stdlib.h>
#include <tuco/mem.h>

static struct keyspace *ks;
static struct transaction tx;
static char events[512];

static void note(void *context, uint32_t db, uint32_t event_class, const char *name,
                 struct slice key)
{
    size_t used = strlen(events);
    snprintf(events + used, sizeof events - used, "%s%s:%.*s", used ? " " : "", name, (int)key.size,
             key.data);
}

static void start(int64_t now_ms)
{
    ks = keyspace_new(NULL);
    REQUIRE(ks);
    effects_set_hooks(ks, &(struct store_hooks){.notify = note});
    effects_set_event_mask(ks, EVENT_ALL | EVENT_NEW | EVENT_KEY_MISS);
    transaction_init(&tx, ks, 0, now_ms);
    transaction_lock_all(&tx);
}

static void stop(void)
{
    transaction_unlock(&tx);
    keyspace_free(ks);
}

/* The events since the last call. */
static const char *emitted(void)
{
    static char copy[sizeof events];
    events[0] = 0;
    effects_emit(&tx);
    memcpy(copy, events, sizeof events);
    return copy;
}

static struct store_key key_of(const char *name)
{
    return (struct store_key){slice_of(name), keyspace_hash(ks, slice_of(name))};
}

static bool is(const char *name, const char *expected)
{
    struct string_value v;
    return string_get(&tx, key_of(name), &v) == STORE_OK &&
           slice_equal(v.bytes, slice_of(expected));
}

static bool set(const char *name, const char *value)
{
    return string_set(&tx, key_of(name), slice_of(value), NULL) == STORE_OK;
}

static const char *encoding(const char *name)
{
    struct object_info info;
    return keyspace_object(&tx, key_of(name), &info) == STORE_OK ? info.encoding : "missing";
}

#define SAME(a, b) CHECK(strcmp(a, b) == 0)

TEST(string, set_and_its_conditions)
{
    start(1000);
    struct string_value old;
    bool found;
    struct string_set_options nx = {.when = STRING_SET_NX}, xx = {.when = STRING_SET_XX};
    struct string_set_options get = {.old = &old, .found = &found};
    CHECK_EQ(string_set(&tx, key_of("k"), SLICE("v"), &xx), STORE_NOT_MET);
    CHECK_EQ(string_set(&tx, key_of("k"), SLICE("v"), &nx), STORE_OK);
    SAME(emitted(), "new:k set:k");
    CHECK_EQ(string_set(&tx, key_of("k"), SLICE("w"), &nx), STORE_NOT_MET);
    CHECK(is("k", "v"));
    CHECK_EQ(string_set(&tx, key_of("k"), SLICE("w"), &get), STORE_OK);
    CHECK(found && slice_equal(old.bytes, SLICE("v")) && is("k", "w"));
    SAME(emitted(), "set:k");
    CHECK_EQ(string_set(&tx, key_of("new"), SLICE("w"), &get), STORE_OK);
    CHECK(!found);
    SAME(emitted(), "keymiss:new new:new set:new");
    struct string_set_options ifeq = {.when = STRING_SET_IFEQ, .compare = SLICE("w")};
    CHECK_EQ(string_set(&tx, key_of("k"), SLICE("12"), &ifeq), STORE_OK);
    CHECK_EQ(string_set(&tx, key_of("k"), SLICE("13"), &ifeq), STORE_NOT_MET);
    ifeq.compare = SLICE("12");
    CHECK_EQ(string_set(&tx, key_of("k"), SLICE("13"), &ifeq), STORE_OK);
    CHECK_EQ(string_set(&tx, key_of("none"), SLICE("13"), &ifeq), STORE_NOT_MET);
    CHECK_EQ(tx.dirty, 5);
    stop();
}

TEST(string, conditions_on_value_and_digest)
{
    start(1000);
    struct string_value v;
    struct string_set_options ifne = {.when = STRING_SET_IFNE, .compare = SLICE("v")};
    CHECK_EQ(string_set(&tx, key_of("k"), SLICE("v"), &ifne),
             STORE_OK); /* no key differs from all */
    CHECK_EQ(string_set(&tx, key_of("k"), SLICE("w"), &ifne), STORE_NOT_MET);
    CHECK_EQ(string_digest(&tx, key_of("none"), &v), STORE_MISSING);
    CHECK_EQ(string_digest(&tx, key_of("k"), &v), STORE_OK);
    CHECK(slice_equal(v.bytes, SLICE("f7042be43fb80714")));
    struct string_set_options ifdeq = {.when = STRING_SET_IFDEQ,
                                       .compare = SLICE("f7042be43fb80715")};
    struct string_set_options ifdne = {.when = STRING_SET_IFDNE,
                                       .compare = SLICE("F7042be43fb80714")};
    CHECK_EQ(string_set(&tx, key_of("k"), SLICE("12"), &ifdeq), STORE_NOT_MET);
    CHECK_EQ(string_set(&tx, key_of("k"), SLICE("12"), &ifdne), STORE_NOT_MET);
    ifdeq.compare = ifdne.compare;
    CHECK_EQ(string_set(&tx, key_of("none"), SLICE("12"), &ifdeq), STORE_NOT_MET);
    CHECK_EQ(string_set(&tx, key_of("k"), SLICE("12"), &ifdeq), STORE_OK);
    CHECK_EQ(string_digest(&tx, key_of("k"), &v), STORE_OK); /* an integer's digits */
    CHECK(slice_equal(v.bytes, SLICE("7ecd2e572c949f74")));
    CHECK_EQ(string_set(&tx, key_of("k"), SLICE("13"), &ifdne), STORE_OK);
    CHECK_EQ(string_set(&tx, key_of("d"), SLICE("13"), &ifdne), STORE_OK);
    CHECK_EQ(string_delete_if(&tx, key_of("k"), STRING_SET_IFNE, SLICE("13")), STORE_NOT_MET);
    CHECK_EQ(string_delete_if(&tx, key_of("k"), STRING_SET_IFDEQ, ifdne.compare), STORE_NOT_MET);
    (void)emitted();
    CHECK_EQ(string_delete_if(&tx, key_of("k"), STRING_SET_IFDNE, ifdne.compare), STORE_OK);
    CHECK_EQ(string_delete_if(&tx, key_of("k"), STRING_SET_IFNE, SLICE("13")), STORE_MISSING);
    SAME(emitted(), "del:k");
    CHECK_EQ(tx.dirty, 5);
    stop();
}

TEST(string, counting_within_bounds)
{
    start(1000);
    int64_t before, value, at_ms;
    struct string_count window = {.low = -1, .high = 3, .expire_at_ms = 5000, .only_without = true};
    for (int i = 1; i <= 3; i++) {
        CHECK_EQ(string_count_integer(&tx, key_of("n"), 1, &window, &before, &value), STORE_OK);
        CHECK(before == i - 1 && value == i);
        window.expire_at_ms += 1000; /* only the first counts */
    }
    CHECK_EQ(keyspace_expiry(&tx, key_of("n"), &at_ms), STORE_OK);
    CHECK_EQ(at_ms, 5000);
    SAME(emitted(), "new:n incrby:n expire:n incrby:n incrby:n");
    CHECK_EQ(string_count_integer(&tx, key_of("n"), 1, &window, &before, &value), STORE_NOT_MET);
    CHECK_EQ(before, 3);
    CHECK_EQ(string_count_integer(&tx, key_of("n"), -9, &window, &before, &value), STORE_NOT_MET);
    SAME(emitted(), "");
    window.saturate = true;
    CHECK_EQ(string_count_integer(&tx, key_of("n"), -9, &window, &before, &value), STORE_OK);
    CHECK(before == 3 && value == -1 && is("n", "-1"));
    window.low = INT64_MIN;
    CHECK_EQ(string_count_integer(&tx, key_of("n"), INT64_MIN, &window, &before, &value), STORE_OK);
    CHECK_EQ(value, INT64_MIN);
    (void)emitted();
    struct string_count forever = {
        .low = 0, .high = 9, .saturate = true, .expire_at_ms = EXPIRY_NONE};
    CHECK_EQ(string_count_integer(&tx, key_of("n"), 7, &forever, &before, &value), STORE_OK);
    CHECK_EQ(value, 0);
    SAME(emitted(), "incrby:n persist:n");
    struct string_count past = {.low = 0, .high = 9, .expire_at_ms = 900};
    CHECK_EQ(string_count_integer(&tx, key_of("n"), 7, &past, &before, &value), STORE_OK);
    CHECK(value == 7 && !keyspace_exists(&tx, key_of("n")));
    CHECK_EQ(string_count_integer(&tx, key_of("n"), 7, &past, &before, &value), STORE_OK);
    CHECK(value == 7 && !keyspace_exists(&tx, key_of("n")));
    CHECK(set("s", "text"));
    CHECK_EQ(string_count_integer(&tx, key_of("s"), 1, &past, &before, &value), STORE_NOT_INTEGER);
    stop();
}

TEST(string, counting_fractions_within_bounds)
{
    start(1000);
    long double before, value;
    struct string_count how = {.float_low = -1, .float_high = 2.5L};
    CHECK_EQ(string_count_float(&tx, key_of("f"), 2.25L, &how, &before, &value), STORE_OK);
    CHECK(before == 0 && value == 2.25L && is("f", "2.25"));
    CHECK_EQ(string_count_float(&tx, key_of("f"), 0.5L, &how, &before, &value), STORE_NOT_MET);
    CHECK(before == 2.25L && is("f", "2.25"));
    how.saturate = true;
    CHECK_EQ(string_count_float(&tx, key_of("f"), 0.5L, &how, &before, &value), STORE_OK);
    CHECK(value == 2.5L && is("f", "2.5"));
    how.float_high = 1.0L / 0.0L;
    CHECK_EQ(string_count_float(&tx, key_of("f"), 1.0L / 0.0L, &how, &before, &value), STORE_NAN);
    CHECK(set("s", "text"));
    CHECK_EQ(string_count_float(&tx, key_of("s"), 1, &how, &before, &value), STORE_NOT_FLOAT);
    stop();
}

TEST(string, set_and_deadlines)
{
    start(1000);
    int64_t at_ms;
    struct string_set_options later = {.expire_at_ms = 5000}, past = {.expire_at_ms = 5};
    struct string_set_options keep = {.keep_ttl = true};
    CHECK_EQ(string_set(&tx, key_of("k"), SLICE("v"), &later), STORE_OK);
    SAME(emitted(), "new:k set:k expire:k");
    CHECK(keyspace_expiry(&tx, key_of("k"), &at_ms) == STORE_OK && at_ms == 5000);
    CHECK_EQ(keyspace_size_expires(ks, 0), 1);
    CHECK_EQ(string_set(&tx, key_of("k"), SLICE("other value"), &keep), STORE_OK);
    CHECK(keyspace_expiry(&tx, key_of("k"), &at_ms) == STORE_OK && at_ms == 5000);
    CHECK(set("k", "v"));
    CHECK(keyspace_expiry(&tx, key_of("k"), &at_ms) == STORE_OK && at_ms == EXPIRY_NONE);
    CHECK_EQ(keyspace_size_expires(ks, 0), 0);
    emitted();
    struct string_value old;
    bool found;
    past.old = &old;
    past.found = &found;
    CHECK_EQ(string_set(&tx, key_of("k"), SLICE("w"), &past), STORE_OK);
    CHECK(found && slice_equal(old.bytes, SLICE("v")));
    SAME(emitted(), "expired:k");
    CHECK_EQ(string_set(&tx, key_of("k"), SLICE("w"), &past), STORE_OK);
    CHECK(!keyspace_exists(&tx, key_of("k")));
    CHECK_EQ(string_set(&tx, key_of("k"), SLICE("v"), &later), STORE_OK);
    tx.now_ms = 5000;
    emitted();
    CHECK(!is("k", "v"));
    SAME(emitted(), "expired:k keymiss:k");
    CHECK_EQ(keyspace_size(ks, 0), 0);
    stop();
}

TEST(string, encodings)
{
    start(1000);
    char text[200];
    memset(text, 'x', sizeof text);
    text[97] = 0;
    set("kkkkkkkkkkkkkkkk", text);
    SAME(encoding("kkkkkkkkkkkkkkkk"), "embstr");
    text[97] = 'x';
    text[98] = 0;
    set("kkkkkkkkkkkkkkkk", text);
    SAME(encoding("kkkkkkkkkkkkkkkk"), "raw");
    set("k", "12");
    SAME(encoding("k"), "int");
    set("k", "012");
    SAME(encoding("k"), "embstr");
    size_t size;
    CHECK_EQ(string_append(&tx, key_of("k"), SLICE("3"), 100, &size), STORE_OK);
    SAME(encoding("k"), "raw");
    CHECK_EQ(string_append(&tx, key_of("n"), SLICE("55"), 100, &size), STORE_OK);
    SAME(encoding("n"), "int");
    CHECK_EQ(string_set_range(&tx, key_of("m"), 0, SLICE("55"), 100, &size), STORE_OK);
    SAME(encoding("m"), "raw");
    stop();
}

TEST(string, sizes_in_memory)
{
    start(1000);
    struct object_info info;
    char value[65] = {0};
    memset(value, 'v', 64);
    set("0123456789abcdef", value);
    struct found f = shard_lookup(&tx, 0, key_of("0123456789abcdef"), LOOKUP_PEEK);
    CHECK_EQ(entry_bytes(f.entry), 88);
    set("0123456789abcdef", "12345678901234");
    f = shard_lookup(&tx, 0, key_of("0123456789abcdef"), LOOKUP_PEEK);
    CHECK_EQ(entry_bytes(f.entry), 32);
    CHECK_EQ(keyspace_expire_at(&tx, key_of("0123456789abcdef"), 9000, 0), STORE_OK);
    f = shard_lookup(&tx, 0, key_of("0123456789abcdef"), LOOKUP_PEEK);
    CHECK_EQ(entry_bytes(f.entry), 40);
    CHECK_EQ(keyspace_object(&tx, key_of("0123456789abcdef"), &info), STORE_OK);
    CHECK(info.memory_bytes >= 40 && info.value_size == 14);
    stop();
}

TEST(string, get_and_something)
{
    start(1000);
    struct string_value v;
    int64_t at_ms;
    set("k", "v");
    emitted();
    CHECK_EQ(string_get_expire(&tx, key_of("k"), 9000, &v), STORE_OK);
    CHECK(slice_equal(v.bytes, SLICE("v")));
    CHECK_EQ(string_get_expire(&tx, key_of("k"), 0, &v), STORE_OK);
    CHECK(keyspace_expiry(&tx, key_of("k"), &at_ms) == STORE_OK && at_ms == 9000);
    CHECK_EQ(string_get_expire(&tx, key_of("k"), EXPIRY_NONE, &v), STORE_OK);
    CHECK_EQ(string_get_expire(&tx, key_of("k"), EXPIRY_NONE, &v), STORE_OK);
    SAME(emitted(), "expire:k persist:k");
    CHECK_EQ(string_get_expire(&tx, key_of("k"), 5, &v), STORE_OK);
    CHECK(slice_equal(v.bytes, SLICE("v")) && !keyspace_exists(&tx, key_of("k")));
    SAME(emitted(), "expired:k keymiss:k");
    set("k", "v2");
    CHECK_EQ(string_get_delete(&tx, key_of("k"), &v), STORE_OK);
    CHECK(slice_equal(v.bytes, SLICE("v2")));
    CHECK_EQ(string_get_delete(&tx, key_of("k"), &v), STORE_MISSING);
    SAME(emitted(), "new:k set:k del:k keymiss:k");
    set("k", "7");
    CHECK_EQ(string_delete_if(&tx, key_of("k"), STRING_SET_IFEQ, SLICE("8")), STORE_NOT_MET);
    CHECK_EQ(string_delete_if(&tx, key_of("k"), STRING_SET_IFEQ, SLICE("7")), STORE_OK);
    CHECK_EQ(string_delete_if(&tx, key_of("k"), STRING_SET_IFEQ, SLICE("7")), STORE_MISSING);
    stop();
}

TEST(string, many_at_once)
{
    start(1000);
    struct store_key keys[] = {key_of("a"), key_of("b")};
    struct slice values[] = {SLICE("1"), SLICE("2")};
    struct string_set_options nx = {.when = STRING_SET_NX}, xx = {.when = STRING_SET_XX};
    CHECK_EQ(string_set_many(&tx, keys, values, 2, &xx), STORE_NOT_MET);
    CHECK_EQ(string_set_many(&tx, keys, values, 2, &nx), STORE_OK);
    CHECK(is("a", "1") && is("b", "2"));
    CHECK_EQ(string_set_many(&tx, keys, values, 2, &nx), STORE_NOT_MET);
    values[0] = SLICE("3");
    CHECK_EQ(string_set_many(&tx, keys, values, 2, NULL), STORE_OK);
    CHECK(is("a", "3"));
    stop();
}

static bool range_is(const char *name, int64_t from, int64_t to, const char *expected)
{
    struct string_value v;
    return string_get_range(&tx, key_of(name), from, to, &v) == STORE_OK &&
           slice_equal(v.bytes, slice_of(expected));
}

TEST(string, ranges)
{
    start(1000);
    set("k", "This is a string");
    CHECK(range_is("k", 0, 3, "This") && range_is("k", -3, -1, "ing"));
    CHECK(range_is("k", 0, -1, "This is a string") && range_is("k", 10, 100, "string"));
    CHECK(range_is("k", 5, 3, "") && range_is("k", -1, -5, "") && range_is("k", 100, 200, ""));
    CHECK(range_is("k", -100, 3, "This") && range_is("k", -100, -90, "T"));
    CHECK(range_is("none", 0, -1, ""));
    CHECK(range_is("k", INT64_MIN, INT64_MAX, "This is a string"));
    set("n", "12345");
    CHECK(range_is("n", 1, 2, "23"));
    size_t size;
    CHECK_EQ(string_set_range(&tx, key_of("z"), 3, SLICE("ab"), 100, &size), STORE_OK);
    CHECK_EQ(size, 5);
    struct string_value v;
    CHECK_EQ(string_get(&tx, key_of("z"), &v), STORE_OK);
    CHECK(slice_equal(v.bytes, (struct slice){"\0\0\0ab", 5}));
    CHECK_EQ(string_set_range(&tx, key_of("z"), 99, SLICE("ab"), 100, &size), STORE_TOO_BIG);
    CHECK_EQ(string_set_range(&tx, key_of("z"), SIZE_MAX, SLICE("ab"), 100, &size), STORE_TOO_BIG);
    CHECK_EQ(string_set_range(&tx, key_of("y"), 9, SLICE(""), 100, &size), STORE_OK);
    CHECK(size == 0 && !keyspace_exists(&tx, key_of("y")));
    stop();
}

TEST(string, counting)
{
    start(1000);
    int64_t n;
    struct string_value v;
    emitted();
    CHECK(string_increment(&tx, key_of("n"), 5, &n) == STORE_OK && n == 5);
    SAME(emitted(), "new:n incrby:n");
    CHECK(string_increment(&tx, key_of("n"), -7, &n) == STORE_OK && n == -2);
    set("n", "9223372036854775807");
    CHECK_EQ(string_increment(&tx, key_of("n"), 1, &n), STORE_OVERFLOW);
    set("n", "ten");
    CHECK_EQ(string_increment(&tx, key_of("n"), 1, &n), STORE_NOT_INTEGER);
    CHECK_EQ(string_increment_float(&tx, key_of("n"), 1, &v), STORE_NOT_FLOAT);
    set("n", "1");
    size_t size;
    CHECK_EQ(string_append(&tx, key_of("n"), SLICE("0"), 100, &size), STORE_OK);
    CHECK(string_increment(&tx, key_of("n"), 1, &n) == STORE_OK && n == 11);
    CHECK_EQ(keyspace_expire_at(&tx, key_of("n"), 5000, 0), STORE_OK);
    CHECK(string_increment(&tx, key_of("n"), 1, &n) == STORE_OK && n == 12);
    CHECK_EQ(string_increment_float(&tx, key_of("n"), 0.5L, &v), STORE_OK);
    CHECK(slice_equal(v.bytes, SLICE("12.5")) && is("n", "12.5"));
    CHECK(keyspace_expiry(&tx, key_of("n"), &n) == STORE_OK && n == 5000);
    CHECK_EQ(string_increment_float(&tx, key_of("n"), 1.0L / 0.0L, &v), STORE_NAN);
    stop();
}

TEST(string, random_edits_against_a_buffer)
{
    start(1000);
    struct random_state r;
    random_init(&r, 77);
    enum { LIMIT = 9000 };
    char *model = calloc(LIMIT, 1), *piece = malloc(LIMIT);
    size_t size = 0, now;
    for (size_t i = 0; i < LIMIT; i++)
        piece[i] = (char)('a' + i % 23);
    set("k", "");
    for (int round = 0; round < 20000; round++) {
        size_t n = random_below(&r, 10) ? random_below(&r, 30) : random_below(&r, 3000);
        struct slice part = {piece + random_below(&r, 23), n};
        switch (random_below(&r, 6)) {
        case 0:
            CHECK_EQ(string_set(&tx, key_of("k"), part, NULL), STORE_OK);
            memcpy(model, part.data, n);
            size = n;
            break;
        case 1: {
            int64_t number = (int64_t)random_next(&r) >> random_below(&r, 63);
            size = number_format_int64(model, number);
            CHECK_EQ(string_set(&tx, key_of("k"), (struct slice){model, size}, NULL), STORE_OK);
            break;
        }
        case 2: {
            size_t at = random_below(&r, 3000);
            CHECK_EQ(string_set_range(&tx, key_of("k"), at, part, LIMIT, &now), STORE_OK);
            if (n > 0 && at > size)
                memset(model + size, 0, at - size);
            memcpy(model + at, part.data, n);
            size = n > 0 && at + n > size ? at + n : size;
            break;
        }
        case 3: (void)!keyspace_expire_at(&tx, key_of("k"), 5000 + round, 0); break;
        case 4: (void)!keyspace_persist(&tx, key_of("k")); break;
        default: {
            enum store_result rc = string_append(&tx, key_of("k"), part, LIMIT, &now);
            CHECK_EQ(rc, size + n > LIMIT ? STORE_TOO_BIG : STORE_OK);
            if (rc == STORE_OK) {
                memcpy(model + size, part.data, n);
                size += n;
            }
        }
        }
        struct string_value v;
        REQUIRE(string_get(&tx, key_of("k"), &v) == STORE_OK);
        REQUIRE(slice_equal(v.bytes, (struct slice){model, size}));
        if (round % 64 == 0) {
            transaction_unlock(&tx);
            transaction_lock_all(&tx);
        }
    }
    free(model);
    free(piece);
    stop();
}

TEST(string, long_keys)
{
    start(1000);
    char name[100001];
    for (size_t size = 250; size < 100000; size = size * 2 - 241) {
        memset(name, 'k', size);
        name[size] = 0;
        CHECK(set(name, "v") && is(name, "v"));
        CHECK_EQ(keyspace_expire_at(&tx, key_of(name), 5000, 0), STORE_OK);
        CHECK(is(name, "v"));
        CHECK_EQ(keyspace_rename(&tx, key_of(name), key_of("short"), false), STORE_OK);
        CHECK(is("short", "v") && !keyspace_exists(&tx, key_of(name)));
    }
    stop();
}

TEST(string, lcs)
{
    struct string_lcs r;
    CHECK_EQ(string_lcs(SLICE("ohmytext"), SLICE("mynewtext"), &r), STORE_OK);
    CHECK(slice_equal((struct slice){r.text, r.size}, SLICE("mytext")));
    CHECK_EQ(r.match_count, 2);
    CHECK(r.matches[0].a_start == 4 && r.matches[0].a_end == 7 && r.matches[0].b_start == 5);
    CHECK(r.matches[1].a_start == 2 && r.matches[1].a_end == 3 && r.matches[1].b_end == 1);
    string_lcs_free(&r);
    CHECK_EQ(string_lcs(SLICE(""), SLICE("x"), &r), STORE_OK);
    CHECK(r.size == 0 && r.match_count == 0);
    string_lcs_free(&r);
}
