/* sort_test.c - SORT beside a plain insertion sort: lists, sets and sorted sets, by the elements themselves, by keys, by
 * fields, as numbers and as text, cut to a part; what GET shows; what is stored; allocations that fail. */
#include "store/types/sort.h"

#include "base/random.h"
#include "runtime/mem/heap.h"
#include "store/shard.h"
#include "store/types/hash.h"
#include "store/types/list.h"
#include "store/types/set.h"
#include "store/types/string.h"
#include "store/types/zset.h"
#include "support/keyspace_fixture.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST = 300, KINDS = 40 }; /* elements in a list; different ones */

static struct random_state dice;
static char names[KINDS][8];   /* the elements */
static char weights[KINDS][8]; /* of w<element>; "": there is none */
static char fields[KINDS][8];  /* of h<element>->f */
static char shown[1 << 16];
static bool began;

static size_t below(size_t n)
{
    return random_below(&dice, n);
}

/* ---- what is shown, as one text ---- */

static void add_shown(const char *text, size_t size)
{
    size_t used = strlen(shown);
    REQUIRE(used + size + 2 < sizeof shown);
    memcpy(shown + used, text, size);
    memcpy(shown + used + size, " ", 2);
}

static void begin(void *context, size_t count)
{
    char text[32];
    began = true;
    add_shown(text, (size_t)snprintf(text, sizeof text, "%zu:", count));
}

static void each(void *context, struct slice text)
{
    if (!text.data)
        text = SLICE("nil");
    else if (text.size == 0)
        text = SLICE("''");
    add_shown(text.data, text.size);
}

static enum store_result show(const char *key, const struct sort_options *o)
{
    static const struct sort_visitor visitor = {begin, each, NULL};
    shown[0] = '\0';
    began = false;
    return sort_show(&tx, key_of(key), o, &visitor);
}

static void push_shown(void *context, struct slice text)
{
    each(NULL, text);
}

/* The list there, as above. */
static const char *list_text(const char *key)
{
    struct list_visitor visitor = {.begin = begin, .each = push_shown};
    shown[0] = '\0';
    CHECK_EQ(list_range(&tx, key_of(key), 0, -1, &visitor), STORE_OK);
    return shown;
}

#define ALL .count = -1
#define SHOWS(key, text, ...)                                               \
    do {                                                                    \
        CHECK_EQ(show(key, &(struct sort_options){__VA_ARGS__}), STORE_OK); \
        if (strcmp(shown, text) != 0)                                       \
            test_fail(__FILE__, __LINE__, "shows %s", shown);               \
    } while (0)

static void push(const char *key, const char *const *elements, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct slice element = slice_of(elements[i]);
        size_t size;
        CHECK_EQ(list_push(&tx, key_of(key), LIST_RIGHT, &element, 1, false, &size), STORE_OK);
    }
}
#define PUSH(key, ...)                                           \
    do {                                                         \
        const char *const elements[] = {__VA_ARGS__};            \
        push(key, elements, sizeof elements / sizeof *elements); \
    } while (0)

static void set_string(const char *key, const char *value)
{
    CHECK_EQ(string_set(&tx, key_of(key), slice_of(value), NULL), STORE_OK);
}

static void set_field(const char *key, const char *value)
{
    struct slice pair[] = {SLICE("f"), slice_of(value)};
    size_t added;
    CHECK_EQ(hash_set(&tx, key_of(key), pair, 1, &added), STORE_OK);
}

/* ---- beside a model ---- */

enum by { BY_ITSELF, BY_KEY, BY_FIELD, BY_NOTHING, BY_KINDS };

struct model {
    enum by by;
    bool alpha, descending;
    int elements[MOST];
    size_t count;
};

static int model_compare(const struct model *m, int a, int b)
{
    const char *x = m->by == BY_ITSELF ? names[a] : m->by == BY_KEY ? weights[a] : fields[a];
    const char *y = m->by == BY_ITSELF ? names[b] : m->by == BY_KEY ? weights[b] : fields[b];
    int order;
    if (m->alpha)
        order = strcmp(x, y); /* one that is missing comes before all, as "" does */
    else
        order = (atof(x) > atof(y)) - (atof(x) < atof(y));
    if (order == 0 && !m->alpha)
        order = strcmp(names[a], names[b]);
    return m->descending ? -order : order;
}

static void model_sort(struct model *m)
{
    for (size_t i = 1; m->by != BY_NOTHING && i < m->count; i++)
        for (size_t k = i; k > 0 && model_compare(m, m->elements[k - 1], m->elements[k]) > 0; k--) {
            int element = m->elements[k];
            m->elements[k] = m->elements[k - 1];
            m->elements[k - 1] = element;
        }
    for (size_t i = 0; m->by == BY_NOTHING && m->descending && i < m->count / 2; i++) {
        int element = m->elements[i];
        m->elements[i] = m->elements[m->count - 1 - i];
        m->elements[m->count - 1 - i] = element;
    }
}

static void expect(const struct model *m, const struct sort_options *o, char *text, size_t room)
{
    int64_t from = o->offset < 0 ? 0 : o->offset, to = (int64_t)m->count;
    from = from < to ? from : to;
    if (o->count >= 0 && o->count < to - from)
        to = from + o->count;
    size_t each_shows = o->get_count ? o->get_count : 1;
    size_t used = (size_t)snprintf(text, room, "%zu: ", (size_t)(to - from) * each_shows);
    for (int64_t i = from; i < to; i++) {
        int e = m->elements[i];
        if (o->get_count == 0)
            used += (size_t)snprintf(text + used, room - used, "%s ", names[e]);
        else
            used += (size_t)snprintf(text + used, room - used, "%s %s %s ",
                                     weights[e][0] ? weights[e] : "nil", names[e],
                                     fields[e][0] ? fields[e] : "nil");
    }
}

/* Elements and what is known of them; a quarter has no weight, another quarter no field. */
static void make_kinds(bool numbers)
{
    char key[16];
    for (int i = 0; i < KINDS; i++) {
        (void)snprintf(names[i], sizeof names[i], "%d", i * 7 % KINDS - 11);
        (void)snprintf(weights[i], sizeof weights[i], numbers ? "%.1f" : "t%.0f",
                       (double)below(15) / 2);
        (void)snprintf(fields[i], sizeof fields[i], numbers ? "%.0f" : "%.0fx", (double)below(9));
        if (below(4) == 0)
            weights[i][0] = '\0';
        if (below(4) == 0)
            fields[i][0] = '\0';
        (void)snprintf(key, sizeof key, "w%.7s", names[i]);
        if (weights[i][0])
            set_string(key, weights[i]);
        key[0] = 'h';
        if (fields[i][0])
            set_field(key, fields[i]);
    }
}

static void compare_with_model(enum store_type type)
{
    static char expected[sizeof shown];
    static const struct slice by[] = {{NULL, 0}, {"w*", 2}, {"h*->f", 5}, {"nosort", 6}};
    static const struct slice get[] = {{"w*", 2}, {"#", 1}, {"h*->f", 5}};
    struct model m = {.by = below(BY_KINDS), .descending = below(2)};
    bool numbers = below(2);
    size_t size;
    keyspace_fixture_start();
    make_kinds(numbers);
    m.alpha = !numbers || below(2);
    m.count = below(type == TYPE_LIST ? MOST : KINDS);
    for (size_t i = 0; i < m.count; i++) {
        int e = m.elements[i] = (int)(type == TYPE_LIST ? below(KINDS) : i);
        struct slice element = slice_of(names[e]);
        struct zset_member member = {element, (double)i};
        struct zset_added added;
        if (type == TYPE_LIST)
            CHECK_EQ(list_push(&tx, key_of("k"), LIST_RIGHT, &element, 1, false, &size), STORE_OK);
        else if (type == TYPE_SET)
            CHECK_EQ(set_add(&tx, key_of("k"), &element, 1, &size), STORE_OK);
        else
            CHECK_EQ(zset_add(&tx, key_of("k"), &member, 1, 0, &added), STORE_OK);
    }
    /* The order of a set is its own: where equals are possible, none can be expected. */
    if (type == TYPE_SET && (m.by == BY_NOTHING || m.alpha))
        m.by = BY_ITSELF;
    struct sort_options o = {.by = by[m.by],
                             .get = get,
                             .get_count = below(2) ? 3 : 0,
                             .descending = m.descending,
                             .alpha = m.alpha,
                             .offset = below(3) ? 0 : (int64_t)below(50) - 5,
                             .count = below(3) ? -1 : (int64_t)below(60)};
    model_sort(&m);
    expect(&m, &o, expected, sizeof expected);
    CHECK_EQ(show("k", &o), STORE_OK);
    if (strcmp(shown, expected) != 0)
        test_fail(__FILE__, __LINE__, "by %d, alpha %d: shows\n%s, not\n%s", (int)m.by, m.alpha,
                  shown, expected);
    keyspace_fixture_stop();
}

TEST(sort, beside_a_model)
{
    random_init(&dice, 5);
    for (int i = 0; i < 300; i++) {
        compare_with_model(TYPE_LIST);
        compare_with_model(TYPE_SET);
        compare_with_model(TYPE_ZSET);
    }
}

/* ---- by hand ---- */

TEST(sort, numbers_and_texts)
{
    keyspace_fixture_start();
    PUSH("l", "10", "9", "-1.5", "1e3", "007", "7");
    SHOWS("l", "6: -1.5 007 7 9 10 1e3 ", ALL);
    SHOWS("l", "6: 1e3 10 9 7 007 -1.5 ", ALL, .descending = true);
    SHOWS("l", "6: -1.5 007 10 1e3 7 9 ", ALL, .alpha = true);
    SHOWS("none", "0: ", ALL);
    PUSH("l", "0x10");
    CHECK_EQ(show("l", &(struct sort_options){.count = -1}), STORE_NOT_FLOAT);
    CHECK(!began);
    SHOWS("l", "1: 10 ", .by = SLICE("nosort"), .count = 1);
    set_string("s", "text");
    CHECK_EQ(show("s", &(struct sort_options){.count = -1}), STORE_WRONG_TYPE);
    CHECK(!began);
    keyspace_fixture_stop();
}

TEST(sort, parts)
{
    keyspace_fixture_start();
    PUSH("l", "3", "1", "2", "4");
    SHOWS("l", "2: 2 3 ", .offset = 1, .count = 2);
    SHOWS("l", "4: 1 2 3 4 ", ALL, .offset = -5);
    SHOWS("l", "0: ", ALL, .offset = 4);
    SHOWS("l", "0: ", .offset = INT64_MAX, .count = INT64_MAX);
    SHOWS("l", "0: ", .count = 0);
    SHOWS("l", "1: 4 ", .offset = 3, .count = INT64_MAX);
    SHOWS("l", "4: 1 2 3 4 ", .count = INT64_MIN);
    keyspace_fixture_stop();
}

TEST(sort, patterns)
{
    static const struct slice all[] = {
        {"#", 1}, {"x*y", 3}, {"h*->f", 5}, {"none", 4}, {"h*->", 4}};
    keyspace_fixture_start();
    PUSH("l", "2", "1");
    set_string("x1y", "one");
    set_string("x2y", "");
    set_field("h2", "field");
    set_string("h1->", "odd");
    SHOWS("l", "10: 1 one nil nil odd 2 '' field nil nil ", ALL, .get = all, .get_count = 5);
    SHOWS("l", "2: 2 1 ", ALL, .by = SLICE("x*y"), .alpha = true);
    CHECK_EQ(show("l", &(struct sort_options){.by = SLICE("x*y"), .count = -1}), STORE_NOT_FLOAT);
    CHECK(!sort_reads_keys(&(struct sort_options){.get = all, .get_count = 1}));
    CHECK(!sort_reads_keys(&(struct sort_options){.get = all + 3, .get_count = 1}));
    CHECK(sort_reads_keys(&(struct sort_options){.get = all, .get_count = 2}));
    CHECK(sort_reads_keys(&(struct sort_options){.by = SLICE("w*")}));
    CHECK(!sort_reads_keys(&(struct sort_options){.by = SLICE("w")}));
    /* A name that does not fit into the room on the stack. */
    char pattern[400] = "", name[400] = "";
    memset(pattern, 'p', 300);
    memset(name, 'p', 300);
    memcpy(pattern + 300, "*", 2);
    memcpy(name + 300, "1", 2);
    set_string(name, "far");
    struct slice one = slice_of(pattern);
    SHOWS("l", "2: far nil ", ALL, .get = &one, .get_count = 1);
    keyspace_fixture_stop();
}

TEST(sort, what_is_stored)
{
    static const struct slice get[] = {{"w*", 2}, {"#", 1}};
    struct sort_options all = {.count = -1}, none = {.count = 0};
    struct sort_options with = {.count = -1, .get = get, .get_count = 2};
    size_t size;
    keyspace_fixture_start();
    PUSH("l", "2", "3", "1");
    set_string("w2", "two");
    set_string("d", "whatever");
    effects_emit(&tx);
    effects_set_event_mask(ks, EVENT_KEYEVENT | EVENT_ALL);
    CHECK_EQ(sort_store(&tx, key_of("l"), &all, key_of("d"), &size), STORE_OK);
    CHECK_EQ(size, 3);
    CHECK(strcmp(list_text("d"), "3: 1 2 3 ") == 0);
    CHECK_EQ(sort_store(&tx, key_of("l"), &with, key_of("d"), &size), STORE_OK);
    CHECK_EQ(size, 6);
    CHECK(strcmp(list_text("d"), "6: '' 1 two 2 '' 3 ") == 0);
    CHECK_EQ(sort_store(&tx, key_of("l"), &all, key_of("l"), &size), STORE_OK);
    CHECK(strcmp(list_text("l"), "3: 1 2 3 ") == 0);
    CHECK_EQ(sort_store(&tx, key_of("l"), &none, key_of("d"), &size), STORE_OK);
    CHECK(size == 0 && !keyspace_exists(&tx, key_of("d")));
    CHECK_EQ(sort_store(&tx, key_of("l"), &none, key_of("d"), &size), STORE_OK);
    PUSH("text", "a");
    CHECK_EQ(sort_store(&tx, key_of("text"), &all, key_of("l"), &size), STORE_NOT_FLOAT);
    CHECK(strcmp(list_text("l"), "3: 1 2 3 ") == 0);
    effects_emit(&tx);
    if (strcmp(events, "sortstore d, sortstore d, sortstore l, del d, rpush text") != 0)
        test_fail(__FILE__, __LINE__, "events %s", events);
    keyspace_fixture_stop();
}

/* What is stored of a set must not depend on the order it happens to have. */
TEST(sort, a_set_that_is_stored_unsorted)
{
    struct sort_options unsorted = {.by = SLICE("nosort"), .count = -1};
    struct slice members[] = {SLICE("b"), SLICE("c"), SLICE("a"), SLICE("10")};
    size_t size;
    keyspace_fixture_start();
    CHECK_EQ(set_add(&tx, key_of("s"), members, 4, &size), STORE_OK);
    CHECK_EQ(sort_store(&tx, key_of("s"), &unsorted, key_of("d"), &size), STORE_OK);
    CHECK(strcmp(list_text("d"), "4: 10 a b c ") == 0);
    keyspace_fixture_stop();
}

TEST(sort, out_of_memory)
{
    static const struct slice get[] = {{"w*", 2}, {"#", 1}};
    struct sort_options o = {.by = SLICE("w*"), .alpha = true, .count = -1};
    unsigned failed = 0;
    size_t size;
    if (!tu__mem_fail_after(0)) {
        printf("  skipped: not a debug build\n");
        return;
    }
    random_init(&dice, 6);
    keyspace_fixture_start();
    make_kinds(true);
    for (int i = 0; i < KINDS; i++)
        push("l", (const char *const[]){names[i]}, 1);
    PUSH("d", "before");
    for (int64_t n = 1; n < 40; n++) {
        bool store = n % 2;
        o.get = get;
        o.get_count = n % 4 < 2 ? 2 : 0;
        REQUIRE(tu__mem_fail_after((n + 1) / 2));
        enum store_result rc =
            store ? sort_store(&tx, key_of("l"), &o, key_of("d"), &size) : show("l", &o);
        REQUIRE(tu__mem_fail_after(0));
        REQUIRE(rc == STORE_OK || rc == STORE_NO_MEMORY);
        failed += rc == STORE_NO_MEMORY;
        CHECK(store || began == (rc == STORE_OK));
        if (store && rc == STORE_OK) {
            CHECK(keyspace_delete(&tx, key_of("d"), false));
            PUSH("d", "before");
        }
        CHECK(strcmp(list_text("d"), "1: before ") == 0);
    }
    CHECK(failed > 4);
    keyspace_fixture_stop();
}
