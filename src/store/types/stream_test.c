/* stream_test.c - entries beside an array: adding, deleting, trimming, ranges both ways, with limits that change; groups beside
 * what they must have pending; all of it with allocations that fail. */
#include "store/types/stream.h"

#include "base/random.h"
#include "runtime/mem/heap.h"
#include "store/type_limits.h"
#include "store/types/stream_group.h"
#include "support/keyspace_fixture.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST = 600, GROUPS = 2, CONSUMERS = 3 };
struct row {
    struct id id;
    int kind; /* of its fields */
};
static struct row rows[MOST];
static size_t count;
static struct id last_id;
static struct random_state dice;
static struct stream_object *s;
static int64_t owner[GROUPS][MOST * 40]; /* by ms: 1 + consumer of a pending entry */
static struct id got[GROUPS];            /* up to where; ID_MAX: there is no such group */

static size_t below(size_t n)
{
    return random_below(&dice, n);
}

static size_t pairs_of(int kind, struct slice *pairs)
{
    static char large[700];
    memset(large, 'l', sizeof large);
    static const char *const names[] = {"f", "g", "12", ""};
    size_t n = 1 + (size_t)kind % 3;
    for (size_t i = 0; i < n; i++) {
        pairs[2 * i] = slice_of(names[(i + (size_t)kind / 3) % 4]);
        pairs[2 * i + 1] = kind % 5 == 0 ? (struct slice){large, 10 + 90u * (size_t)kind % 600}
                                         : slice_of(names[(i + 2) % 4]);
    }
    return n;
}

static void check_entry(struct stream_entry *e, const struct row *row)
{
    struct slice pairs[6];
    REQUIRE(id_compare(e->id, row->id) == 0);
    REQUIRE(e->fields == pairs_of(row->kind, pairs));
    for (size_t i = 0; i < e->fields; i++) {
        struct packed_item name, value;
        stream_entry_pair(e, &name, &value);
        CHECK(slice_equal(packed_text(&name), pairs[2 * i]));
        CHECK(slice_equal(packed_text(&value), pairs[2 * i + 1]));
    }
}

static void check_range(struct id low, struct id high, bool backwards)
{
    struct stream_cursor c = stream_cursor_over(s, low, high, backwards);
    struct stream_entry e;
    for (size_t k = 0; k < count; k++) {
        const struct row *row = &rows[backwards ? count - 1 - k : k];
        if (id_compare(row->id, low) < 0 || id_compare(row->id, high) > 0)
            continue;
        REQUIRE(stream_cursor_next(&c, &e));
        check_entry(&e, row);
    }
    CHECK(!stream_cursor_next(&c, &e));
}

static void remove_row(size_t at)
{
    memmove(rows + at, rows + at + 1, (--count - at) * sizeof *rows);
}

static bool add(const struct stream_limits *limits)
{
    struct slice pairs[6];
    int kind = (int)below(below(4) ? 2 : 30);
    struct id id = {last_id.ms + 1 + below(3), below(3)};
    enum store_result rc = stream_object_add(s, id, pairs, pairs_of(kind, pairs), limits);
    REQUIRE(rc == STORE_OK || rc == STORE_NO_MEMORY);
    if (rc == STORE_OK) {
        rows[count++] = (struct row){id, kind};
        last_id = id;
    }
    return rc == STORE_OK;
}

/* True if a group refers to it; only ids with seq 0 are ever pending. */
static bool wanted(struct id id)
{
    bool by_one = false;
    for (size_t i = 0; i < GROUPS; i++)
        by_one = by_one || id_compare(id, got[i]) > 0 || (id.seq == 0 && owner[i][id.ms] != 0);
    return by_one;
}

/* The row goes, and with DELREF what is pending of it. */
static void remove_with(size_t at, enum stream_refs refs)
{
    for (size_t i = 0; refs == STREAM_DELREF && rows[at].id.seq == 0 && i < GROUPS; i++)
        owner[i][rows[at].id.ms] = 0;
    remove_row(at);
}

static void delete (void)
{
    if (count == 0)
        return;
    size_t at = below(below(2) ? count : 1);
    struct id id = rows[at].id;
    enum stream_refs refs = (enum stream_refs)below(3);
    if (refs == STREAM_ACKED && wanted(id)) {
        CHECK_EQ(stream_object_delete_refs(s, id, refs), STORE_NOT_MET);
        return;
    }
    CHECK_EQ(stream_object_delete_refs(s, id, refs), STORE_OK);
    CHECK_EQ(stream_object_delete_refs(s, id, refs), STORE_MISSING);
    CHECK(id_compare(s->max_deleted_id, id) >= 0);
    remove_with(at, refs);
}

static void check_owners(void)
{
    static const char *const names[] = {"one", "two"};
    for (size_t i = 0; i < GROUPS; i++) {
        struct stream_group *g = stream_group_find(s, slice_of(names[i]));
        size_t pending = 0;
        for (uint64_t ms = 0; ms <= last_id.ms + 1; ms++)
            pending += owner[i][ms] != 0;
        CHECK_EQ(g ? g->pending.count : 0, pending);
    }
}

static void trim(void)
{
    struct stream_trim how = {.by = below(2) ? STREAM_TRIM_LENGTH : STREAM_TRIM_ID,
                              .whole_nodes = below(2),
                              .length = count - (count ? below(count < 30 ? count : 30) : 0),
                              .limit = below(2) ? below(40) : 0};
    if (count > 0)
        how.id = rows[below(count < 30 ? count : 30)].id;
    how.refs = (enum stream_refs)below(3);
    if (how.refs == STREAM_ACKED && !how.whole_nodes) {
        how.limit = 0;
        struct id first = count ? rows[0].id : ID_MIN, last = ID_MIN;
        uint64_t expected = 0;
        for (size_t i = 0;
             i < count && (how.by == STREAM_TRIM_LENGTH ? count > how.length
                                                        : id_compare(rows[i].id, how.id) < 0);) {
            if (wanted(rows[i].id)) {
                i++;
            } else {
                last = rows[i].id;
                remove_row(i);
                expected++;
            }
        }
        CHECK_EQ(stream_object_trim(s, &how), expected);
        if (count && id_compare(first, rows[0].id) == 0 && expected)
            CHECK(id_compare(s->max_deleted_id, last) >= 0);
        return;
    }
    size_t excess = 0;
    while (excess < count &&
           (how.by == STREAM_TRIM_LENGTH ? count - excess > how.length
                                         : id_compare(rows[excess].id, how.id) < 0))
        excess++;
    uint64_t gone = stream_object_trim(s, &how);
    CHECK(gone <= excess && (how.whole_nodes || how.limit || gone == excess));
    while (gone-- > 0) {
        CHECK(how.refs != STREAM_ACKED || !wanted(rows[0].id));
        remove_with(0, how.refs);
    }
    check_owners();
}

/* Delivers, hands over or acknowledges something. False: out of memory. */
static bool use_groups(void)
{
    size_t which = below(GROUPS), who = below(CONSUMERS);
    const char *const names[] = {"one", "two", "b"};
    struct stream_group *g = stream_group_find(s, slice_of(names[which]));
    if (!g && !(g = stream_group_create(s, slice_of(names[which]), ID_MIN, 0)))
        return false;
    struct stream_consumer *c = stream_consumer_find(g, slice_of(names[who]));
    if (got[which].ms == UINT64_MAX)
        got[which] = ID_MIN;
    if (!c && !(c = stream_consumer_create(g, slice_of(names[who]), 5)))
        return false;
    if (below(10) == 0)
        g->last_id = got[which] = (struct id){below(last_id.ms + 2), 0};
    struct id id = {1 + below(last_id.ms + 1), 0};
    int64_t *expected = &owner[which][id.ms];
    if (below(400) == 0) {
        size_t had = 0;
        for (uint64_t ms = 0; ms <= last_id.ms + 1; ms++) {
            had += owner[which][ms] == (int64_t)who + 1;
            owner[which][ms] = owner[which][ms] == (int64_t)who + 1 ? 0 : owner[which][ms];
        }
        CHECK_EQ(stream_consumer_destroy(g, c), had);
    } else if (below(3)) {
        if (!stream_group_deliver(g, c, id, 7))
            return false;
        *expected = (int64_t)who + 1;
    } else {
        CHECK_EQ(stream_group_acknowledge(g, id), *expected != 0);
        *expected = 0;
    }
    return true;
}

static void copy_and_check(void)
{
    struct stream_object *copy = stream_type_ops.copy(s), *original = s;
    if (!copy)
        return;
    stream_object_verify(copy);
    s = copy;
    check_range(ID_MIN, ID_MAX, false);
    s = original;
    stream_object_free(copy);
}

static void run(uint64_t seed, bool failing)
{
    struct stream_limits limits = {4096, 100};
    unsigned failed = 0;
    random_init(&dice, seed);
    memset(owner, 0, sizeof owner);
    memset(got, 0xff, sizeof got);
    count = 0;
    last_id = ID_MIN;
    REQUIRE((s = stream_object_new()) != NULL);
    for (int i = 0; i < 6000; i++) {
        size_t what = below(20);
        if (i % 200 == 0)
            limits = (struct stream_limits){(int64_t)(below(3) * 300), (int64_t)(below(3) * 7)};
        if (failing)
            REQUIRE(tu__mem_fail_after((int64_t)below(4) + 1));
        if (what < 9 && count < MOST)
            failed += !add(&limits);
        else if (what < 13)
            failed += !use_groups();
        else if (what < 17)
            delete ();
        else if (what < 19 || count >= MOST)
            trim();
        else
            copy_and_check();
        if (failing)
            REQUIRE(tu__mem_fail_after(0));
        stream_object_verify(s);
        CHECK_EQ(s->length, count);
        struct id low = {below(last_id.ms + 2), 0}, high = {low.ms + below(40), 1};
        check_range(low, high, below(2));
        if (i % 50 == 0) {
            check_range(ID_MIN, ID_MAX, false);
            check_range(ID_MIN, ID_MAX, true);
        }
    }
    CHECK(failing == (failed > 20));
    stream_object_free(s);
}

TEST(stream, beside_a_model)
{
    run(1, false);
    run(2, false);
}

TEST(stream, out_of_memory)
{
    if (tu__mem_fail_after(0))
        run(3, true);
    else
        printf("  skipped: not a debug build\n");
}

TEST(stream, events)
{
    keyspace_fixture_start();
    struct slice pairs[2] = {SLICE("f"), SLICE("v")};
    struct store_key key = key_of("s");
    struct stream_addition what = {.pairs = pairs, .count = 1};
    struct stream_trim all = {.by = STREAM_TRIM_LENGTH};
    struct id first, id;
    uint64_t n;
    effects_set_event_mask(ks, EVENT_KEYEVENT | EVENT_ALL);
    CHECK_EQ(stream_add(&tx, key, &what, &first), STORE_OK);
    CHECK(first.ms == 1000 && first.seq == 0);
    what.trim = (struct stream_trim){.by = STREAM_TRIM_LENGTH, .length = 1};
    CHECK_EQ(stream_add(&tx, key, &what, &id), STORE_OK);
    CHECK(id.ms == 1000 && id.seq == 1);
    CHECK_EQ(stream_trim(&tx, key, &all, &n), STORE_OK);
    CHECK_EQ(n, 1);
    CHECK_EQ(stream_trim(&tx, key, &all, &n), STORE_OK);
    CHECK_EQ(n, 0);
    keyspace_fixture_stop(); /* tells them */
    if (strcmp(events, "xadd s, xadd s, xtrim s, xtrim s") != 0)
        test_fail(__FILE__, __LINE__, "events %s", events);
}
