/* value_test.c - runs of bytes in entries: a packed beside a naive model, over every way of the bytes between the entry
 * and a blob; objects and back. */
#include "store/types/value.h"

#include "base/random.h"
#include "support/keyspace_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <tuco/mem.h>

enum { MODEL_MAX = 400 };
struct model {
    size_t count;
    char *texts[MODEL_MAX];
};

static char *random_text(struct random_state *r)
{
    char *text = malloc(200);
    if (random_below(r, 2)) {
        snprintf(text, 200, "%lld", (long long)random_below(r, 1u << 31) >> random_below(r, 30));
    } else {
        size_t size = random_below(r, random_below(r, 4) ? 12 : 150);
        memset(text, 'a' + (int)random_below(r, 26), size);
        text[size] = 0;
    }
    return text;
}

static void compare(const struct found *f, const struct model *m)
{
    struct packed p = entry_packed(f->entry);
    REQUIRE(packed_is_valid(p) && packed_count(p) == m->count);
    size_t at = packed_first(p);
    for (size_t i = 0; i < m->count; i++, at = packed_next(p, at)) {
        struct packed_item item;
        packed_get(p, at, &item);
        REQUIRE(slice_equal(packed_text(&item), slice_of(m->texts[i])));
    }
    CHECK_EQ(at, p.size);
}

static void step(struct random_state *r, struct found *f, struct model *m, bool grows)
{
    struct packed_store store = value_packed_store(f);
    struct packed p = entry_packed(f->entry);
    size_t index = random_below(r, (uint32_t)m->count + 1), at = packed_seek(p, (int64_t)index);
    unsigned what = random_below(r, 10);
    if (m->count < MODEL_MAX && what < (grows ? 7u : 3u)) {
        char *text = random_text(r);
        struct slice value = slice_of(text);
        REQUIRE(packed_insert(&store, p, at, &value, 1));
        memmove(m->texts + index + 1, m->texts + index, (m->count++ - index) * sizeof *m->texts);
        m->texts[index] = text;
    } else if (index < m->count && what == 9) {
        free(m->texts[index]);
        m->texts[index] = random_text(r);
        REQUIRE(packed_replace(&store, p, at, slice_of(m->texts[index])));
    } else if (index < m->count) {
        size_t n = random_below(r, 3) + 1, left = m->count - index;
        packed_remove(&store, p, at, n);
        n = n < left ? n : left;
        for (size_t i = 0; i < n; i++)
            free(m->texts[index + i]);
        memmove(m->texts + index, m->texts + index + n, (left - n) * sizeof *m->texts);
        m->count -= n;
    }
}

TEST(value, packed_beside_a_model)
{
    struct random_state r;
    struct model m = {0};
    struct found f;
    random_init(&r, 11);
    keyspace_fixture_start();
    struct store_key key = key_of("k");
    CHECK_EQ(value_find(&tx, key, TYPE_LIST, LOOKUP_WRITE, &f), STORE_MISSING);
    REQUIRE(value_make_bytes(&tx, key, TYPE_LIST, ENCODING_PACKED, PACKED_HEAD, &f) == STORE_OK);
    unsigned blobs = 0, inlines = 0;
    for (int i = 0; i < 30000; i++) {
        step(&r, &f, &m, i / 700 % 2 == 0);
        if (i % 50 == 0) /* a deadline comes and goes: the entry moves */
            REQUIRE(keyspace_expire_at(&tx, key, 5000, 0) == STORE_OK);
        if (i % 50 == 25)
            REQUIRE(keyspace_persist(&tx, key) == STORE_OK);
        CHECK_EQ(value_find(&tx, key, TYPE_LIST, LOOKUP_WRITE, &f), STORE_OK);
        compare(&f, &m);
        *(f.entry->flags & ENTRY_BLOCK ? &blobs : &inlines) += 1;
    }
    CHECK(blobs > 1000 && inlines > 1000);
    CHECK_EQ(value_find(&tx, key, TYPE_SET, LOOKUP_WRITE, &f), STORE_WRONG_TYPE);
    struct object_info info;
    REQUIRE(keyspace_object(&tx, key, &info) == STORE_OK);
    CHECK(info.value_size == m.count && strcmp(info.encoding, "listpack") == 0);
    REQUIRE(keyspace_copy(&tx, key, key_of("copy"), 0, false) == STORE_OK);
    CHECK(keyspace_delete(&tx, key, true));
    CHECK_EQ(value_find(&tx, key_of("copy"), TYPE_LIST, LOOKUP_WRITE, &f), STORE_OK);
    compare(&f, &m);
    for (size_t i = 0; i < m.count; i++)
        free(m.texts[i]);
    keyspace_fixture_stop();
}

TEST(value, dropped_when_empty_and_put_whole)
{
    struct found f;
    keyspace_fixture_start();
    struct store_key key = key_of("k");
    (void)value_find(&tx, key, TYPE_SET, LOOKUP_WRITE, &f);
    REQUIRE(value_make_bytes(&tx, key, TYPE_SET, ENCODING_PACKED, PACKED_HEAD, &f) == STORE_OK);
    value_drop_empty(&tx, key, &f);
    CHECK_EQ(keyspace_size(ks, 0), 0);
    struct entry *e = entry_new_bytes(key.name, SLICE("one"), EXPIRY_NONE);
    REQUIRE(value_put(&tx, key, e) == STORE_OK);
    e = entry_new(key.name, TYPE_SET, ENCODING_PACKED, PACKED_HEAD, EXPIRY_NONE);
    memset(entry_value(e), 0, PACKED_HEAD);
    REQUIRE(value_put(&tx, key, e) == STORE_OK);
    CHECK_EQ(keyspace_size(ks, 0), 1);
    CHECK_EQ(value_find(&tx, key, TYPE_SET, LOOKUP_PEEK, &f), STORE_OK);
    keyspace_fixture_stop();
}
