/* set_test.c - operations on three sets beside arrays of bits, with limits that change so that all forms and the ways
 * between them are met; then the same with allocations that fail; that choices are fair; the events of each. */
#include "store/types/set.h"

#include "base/random.h"
#include "runtime/mem/heap.h"
#include "support/keyspace_fixture.h"

#include <stdio.h>
#include <stdlib.h>

enum { SETS = 3, MEMBERS = 200 };

static struct random_state random_state;
static bool model[SETS][MEMBERS];

static void start(void)
{
    keyspace_fixture_start();
    memset(model, 0, sizeof model);
}

static struct store_key set_key(size_t which)
{
    static const char *const names[] = {"a", "b", "c"};
    return key_of(names[which]);
}

static size_t below(size_t n)
{
    return random_below(&random_state, n);
}

/* Members 0..99 are integers of all widths, the others text, some of it long. */
static struct slice member_of(size_t number, char text[80])
{
    const char *rest = number % 40 == 39 ? "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" : "";
    int size;
    if (number < 40)
        size = snprintf(text, 80, "%zu", number);
    else if (number < 80)
        size = snprintf(text, 80, "-%zu", number * 1000);
    else if (number < 100)
        size = snprintf(text, 80, "%zu", number * 100000000000);
    else
        size = snprintf(text, 80, "m%zu%s", number, rest);
    return (struct slice){text, (size_t)size};
}

static size_t number_of(struct slice member)
{
    char text[80];
    for (size_t i = 0; i < MEMBERS; i++)
        if (slice_equal(member_of(i, text), member))
            return i;
    test_fail(__FILE__, __LINE__, "a member that nobody added");
    return 0;
}

static size_t model_count(size_t which)
{
    size_t n = 0;
    for (size_t i = 0; i < MEMBERS; i++)
        n += model[which][i];
    return n;
}

struct seen {
    bool members[MEMBERS];
    size_t count, said;
};

static void see(void *context, struct slice member)
{
    struct seen *s = context;
    size_t number = number_of(member);
    CHECK(!s->members[number]);
    s->members[number] = true;
    s->count++;
}

static void see_begin(void *context, size_t count)
{
    ((struct seen *)context)->said = count;
}

static void compare(size_t which)
{
    struct set_view v;
    struct set_iterator it;
    struct slice member;
    struct seen seen = {.count = 0};
    enum store_result rc = set_open(&tx, set_key(which), LOOKUP_PEEK, &v);
    REQUIRE(rc == (model_count(which) ? STORE_OK : STORE_MISSING));
    if (rc != STORE_OK)
        return;
    set_form_verify(v.entry);
    CHECK_EQ(set_count(&v), model_count(which));
    set_iterate(&v, &it);
    while (set_next(&it, &member))
        see(&seen, member);
    REQUIRE(memcmp(seen.members, model[which], sizeof seen.members) == 0);
    char text[80];
    for (size_t i = 0; i < 5; i++) {
        size_t number = below(MEMBERS);
        CHECK(set_contains(&v, member_of(number, text)) == model[which][number]);
    }
}

static enum store_result try_change(size_t which, bool add)
{
    char texts[8][80];
    struct slice members[8];
    size_t numbers[8], count = 1 + below(8), said, expected = 0;
    size_t range = below(3) ? 100 : MEMBERS;
    bool before[MEMBERS];
    memcpy(before, model[which], sizeof before);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = below(range);
        members[i] = member_of(numbers[i], texts[i]);
    }
    enum store_result rc = add ? set_add(&tx, set_key(which), members, count, &said)
                               : set_remove(&tx, set_key(which), members, count, &said);
    for (size_t i = 0; i < count && (rc != STORE_NO_MEMORY || expected < said); i++) {
        expected += model[which][numbers[i]] != add;
        model[which][numbers[i]] = add;
    }
    CHECK_EQ(said, rc == STORE_MISSING ? 0 : expected);
    return rc == STORE_MISSING ? STORE_OK : rc;
}

static enum store_result try_move(size_t from, size_t to)
{
    char text[80];
    size_t number = below(MEMBERS);
    bool there = model[from][number];
    enum store_result rc = set_move(&tx, set_key(from), set_key(to), member_of(number, text));
    if (rc == STORE_NO_MEMORY)
        return rc;
    CHECK(rc == (!there ? STORE_MISSING : from == to ? STORE_SAME : STORE_OK));
    if (rc == STORE_OK) {
        model[from][number] = false;
        model[to][number] = true;
    }
    return STORE_OK;
}

static void try_pop(size_t which)
{
    struct seen seen = {.count = 0};
    struct set_visitor visitor = {see_begin, see, &seen};
    size_t count = below(2) ? below(6) : below(MEMBERS), there = model_count(which);
    enum store_result rc = set_pop(&tx, set_key(which), count, &visitor);
    CHECK_EQ(rc, there ? STORE_OK : STORE_MISSING);
    CHECK_EQ(seen.count, count < there ? count : there);
    CHECK_EQ(seen.said, seen.count);
    for (size_t i = 0; i < MEMBERS; i++) {
        CHECK(!seen.members[i] || model[which][i]);
        model[which][i] &= !seen.members[i];
    }
}

static void try_random(size_t which)
{
    struct set_view v;
    struct seen seen = {.count = 0};
    (void)set_open(&tx, set_key(which), LOOKUP_PEEK, &v);
    size_t count = below(model_count(which) + 1);
    if (!v.entry)
        return;
    set_random_distinct(&v, count, see, &seen);
    CHECK_EQ(seen.count, count);
}

static enum store_result try_combine(void)
{
    enum set_operator op = (enum set_operator)below(3);
    size_t count = 1 + below(12), which[12], to = below(SETS), size = 0, expected = 0;
    struct store_key keys[12];
    bool result[MEMBERS];
    struct seen seen = {.count = 0};
    for (size_t i = 0; i < count; i++) {
        which[i] = below(SETS);
        keys[i] = set_key(which[i]);
    }
    for (size_t m = 0; m < MEMBERS; m++) {
        size_t in = 0;
        for (size_t i = 0; i < count; i++)
            in += model[which[i]][m];
        result[m] = op == SET_UNION          ? in > 0
                    : op == SET_INTERSECTION ? in == count
                                             : in == 1 && model[which[0]][m];
        expected += result[m];
    }
    if (below(2)) {
        enum store_result rc = set_combine(&tx, op, keys, count, 0, see, &seen);
        if (rc == STORE_OK)
            REQUIRE(memcmp(seen.members, result, sizeof result) == 0);
        return rc;
    }
    enum store_result rc = set_combine_store(&tx, op, set_key(to), keys, count, "stored", &size);
    if (rc == STORE_OK) {
        CHECK_EQ(size, expected);
        memcpy(model[to], result, sizeof result);
    }
    return rc;
}

static enum store_result step(void)
{
    size_t which = below(SETS), what = below(12);
    if (what < 4)
        return try_change(which, true);
    if (what < 6)
        return try_change(which, false);
    if (what < 8)
        return try_move(which, below(SETS));
    if (what == 8)
        try_pop(which);
    else if (what == 9)
        try_random(which);
    else
        return try_combine();
    return STORE_OK;
}

static void run(uint64_t seed, bool failing)
{
    static const int64_t limits[] = {0, 3, 20, 512};
    unsigned failed = 0;
    random_init(&random_state, seed);
    start();
    for (int i = 0; i < 6000; i++) {
        if (i % 100 == 0) {
            atomic_store(&keyspace_limits(ks)->set_max_intset_entries, limits[below(4)]);
            atomic_store(&keyspace_limits(ks)->set_max_listpack_entries, limits[below(4)]);
            atomic_store(&keyspace_limits(ks)->set_max_listpack_value, 4 + (int64_t)below(40));
        }
        if (failing)
            REQUIRE(tu__mem_fail_after((int64_t)below(6) + 1));
        enum store_result rc = step();
        if (failing)
            REQUIRE(tu__mem_fail_after(0));
        REQUIRE(rc == STORE_OK || (failing && rc == STORE_NO_MEMORY));
        failed += rc != STORE_OK;
        for (size_t which = 0; which < SETS; which++)
            compare(which);
    }
    CHECK(failing == (failed > 100));
    keyspace_fixture_stop();
}

TEST(set, beside_a_model)
{
    run(5, false);
}

TIMEOUT_TEST(set, out_of_memory, 100)
{
    if (tu__mem_fail_after(0))
        run(6, true);
    else
        printf("  skipped: not a debug build\n");
}

/* Each member as often as any other, in every form: six standard deviations are allowed. */
static unsigned drawn[MEMBERS];

static void count_draw(void *context, struct slice member)
{
    drawn[number_of(member)]++;
}

static void check_fair(size_t first, size_t members)
{
    enum { ROUNDS = 4000, EACH = 5 };
    struct set_view v;
    char text[80];
    size_t said;
    memset(drawn, 0, sizeof drawn);
    for (size_t i = first; i < first + members; i++) {
        struct slice member = member_of(i, text);
        REQUIRE(set_add(&tx, key_of("fair"), &member, 1, &said) == STORE_OK);
    }
    (void)set_open(&tx, key_of("fair"), LOOKUP_PEEK, &v);
    for (int i = 0; i < ROUNDS; i++) {
        set_random_distinct(&v, EACH, count_draw, NULL);
        set_random_any(&v, EACH, count_draw, NULL);
    }
    double mean = 2.0 * ROUNDS * EACH / (double)members;
    for (size_t i = first; i < first + members; i++)
        CHECK((drawn[i] - mean) * (drawn[i] - mean) < 36 * mean);
    (void)keyspace_delete(&tx, key_of("fair"), false);
}

TEST(set, choices_are_fair)
{
    start();
    check_fair(0, 40);
    check_fair(100, 12);
    check_fair(100, 100);
    atomic_store(&keyspace_limits(ks)->set_max_listpack_entries, 0);
    check_fair(100, 100);
    check_fair(100, 8);
    keyspace_fixture_stop();
}

static void check_events(const char *expected)
{
    transaction_unlock(&tx);
    if (strcmp(events, expected) != 0)
        test_fail(__FILE__, __LINE__, "events %s, expected %s", events, expected);
    events[0] = 0;
    transaction_lock_all(&tx);
}

static void ignore(void *context, struct slice member) {}

TEST(set, events)
{
    static const struct set_visitor one = {NULL, ignore, NULL};
    const struct slice members[] = {SLICE("x"), SLICE("y")};
    size_t n;
    start();
    effects_set_event_mask(ks, EVENT_KEYEVENT | EVENT_ALL);
    struct store_key a = key_of("a"), b = key_of("b"), c = key_of("c"), both[] = {a, b};
    (void)set_add(&tx, a, members, 2, &n);
    (void)set_add(&tx, a, members, 2, &n);
    check_events("sadd a");
    (void)set_move(&tx, a, b, members[0]);
    check_events("srem a, sadd b");
    (void)set_move(&tx, a, b, members[1]);
    check_events("srem a, del a, sadd b");
    (void)set_remove(&tx, b, members, 2, &n);
    check_events("srem b, del b");
    (void)set_add(&tx, b, members, 2, &n);
    (void)set_pop(&tx, b, 1, &one);
    (void)set_pop(&tx, b, 1, &one);
    check_events("sadd b, spop b, spop b, del b");
    (void)set_add(&tx, a, members, 2, &n);
    (void)set_combine_store(&tx, SET_UNION, c, both, 2, "sunionstore", &n);
    (void)set_combine_store(&tx, SET_INTERSECTION, c, both, 2, "sinterstore", &n);
    (void)set_combine_store(&tx, SET_INTERSECTION, c, both, 2, "sinterstore", &n);
    check_events("sadd a, sunionstore c, del c");
    keyspace_fixture_stop();
}
