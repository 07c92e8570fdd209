/* Maps beside naive models, with the collector at work. */
#include <tuco/gc.h>
#include <tuco/map.h>

#include "base/random.h"
#include "runtime/gc/collector.h"
#include "support/child.h"
#include "support/testing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

TU_TYPE(int);
TU_TYPE(long);
typedef struct node node;
struct node {
    node *const next;
    long value;
};
TU_TYPE(node, next);
typedef node *const node_ref;
TU_POINTER_TYPE(node_ref);
typedef struct {
    int x, y, z;
} point;
TU_TYPE(point);

TU_MAP(numbers, long, long);
TU_MAP(named, tu_string, node_ref);
TU_MAP(points, point, int);
TU_MAP(by_node, node_ref, int);

enum { MODEL_KEYS = 3000 };

static node *make(long value)
{
    node *n = tu_new(node);
    REQUIRE(n);
    n->value = value;
    return n;
}

/* Random changes, and the same to an array; everything is compared now and then. */
static void against_model(uint64_t seed, long keys, int steps)
{
    static long model[MODEL_KEYS];
    struct random_state r;
    random_init(&r, seed);
    for (long k = 0; k < keys; k++)
        model[k] = -1;
    numbers *m = tu_make_map(numbers, random_below(&r, 2) ? 0 : random_below(&r, 500));
    REQUIRE(m);
    size_t count = 0;
    for (int i = 0; i < steps; i++) {
        long k = (long)random_below(&r, (uint64_t)keys);
        unsigned deletes = i / 2000 % 2 ? 60 : 20; /* it grows for a while, then it shrinks */
        if (random_below(&r, 100) < deletes) {
            CHECK(tu_map_delete(numbers, m, k) == (model[k] >= 0));
            count -= model[k] >= 0;
            model[k] = -1;
        } else if (random_below(&r, 4) == 0) {
            long *v = tu_map_get(numbers, m, k);
            CHECK(v ? *v == model[k] : model[k] < 0);
        } else {
            count += model[k] < 0;
            model[k] = i;
            CHECK_EQ(tu_map_set(numbers, m, k, i), 0);
        }
        CHECK(tu_map_count(m) == count);
        if (i % 997 == 0)
            tu__map_verify(&m->map);
        if (random_below(&r, 20000) == 0) {
            tu_map_clear(m);
            count = 0;
            for (long j = 0; j < keys; j++)
                model[j] = -1;
        }
    }
    size_t seen = 0;
    tu_map_each(numbers, m, e)
    {
        CHECK(model[*e.key] == *e.value);
        seen++;
    }
    CHECK(seen == count);
}

TEST(map, random_changes)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        against_model(seed, seed % 4 == 0 ? 10 : seed % 4 == 1 ? 100 : MODEL_KEYS, 20000);
}

GO_TIMEOUT_TEST(map, strings_to_objects, 60)
{
    named *m = tu_make_map(named, 0);
    REQUIRE(m);
    for (long i = 0; i < 20000; i++) {
        CHECK_EQ(tu_map_set(named, m, tu_string_format("name %ld", i), make(i)), 0);
        if (i % 4000 == 0)
            tu_gc();
    }
    for (long i = 0; i < 20000; i += 3)
        CHECK(tu_map_delete(named, m, tu_string_format("name %ld", i)));
    tu_gc();
    for (long i = 0; i < 20000; i++) {
        node *const *found = tu_map_get(named, m, tu_string_format("name %ld", i));
        CHECK(i % 3 == 0 ? !found : found && (*found)->value == i);
    }
    tu__map_verify(&m->map);
    /* What was deleted is not kept by the map. */
    struct tu_gc_stats before, after;
    tu_gc_stats(&before);
    tu_map_clear(m);
    tu_gc();
    tu_gc_stats(&after);
    CHECK(after.freed_objects - before.freed_objects > 2 * 13000);
    CHECK(tu_map_get(named, m, TU_STRING("name 1")) == NULL);
}

/* A cycle at every claim of pages, what is freed overwritten. */
static void under_torture(bool generations)
{
    static char text[20];
    static long model[400];
    struct random_state r;
    random_init(&r, 5);
    tu_gc_set_generations(generations);
    tu__gc_torture(1);
    named *m = tu_make_map(named, 0);
    for (int i = 0; i < 20000; i++) {
        long k = (long)random_below(&r, 400);
        snprintf(text, sizeof text, "key %ld", k);
        tu_string key = tu_make_string(text, strlen(text));
        if (random_below(&r, 3) == 0) {
            CHECK(tu_map_delete(named, m, key) == (model[k] != 0));
            model[k] = 0;
        } else {
            model[k] = i + 1;
            CHECK_EQ(tu_map_set(named, m, key, make(i + 1)), 0);
        }
        k = (long)random_below(&r, 400);
        snprintf(text, sizeof text, "key %ld", k);
        node *const *found = tu_map_get(named, m, ((tu_string){text, strlen(text)}));
        CHECK(found ? (*found)->value == model[k] : model[k] == 0);
    }
    tu_gc();
    size_t seen = 0;
    tu_map_each(named, m, e)
    {
        CHECK((*e.value)->value == model[atol(e.key->at + 4)]);
        seen++;
    }
    CHECK(seen == tu_map_count(m));
    tu__map_verify(&m->map);
    tu__gc_torture(0);
}

GO_TIMEOUT_TEST(map, under_torture, 60)
{
    under_torture(false);
}

GO_TIMEOUT_TEST(map, under_torture_with_generations, 60)
{
    under_torture(true);
}

TEST(map, other_keys)
{
    points *m = tu_make_map(points, 10);
    by_node *b = tu_make_map(by_node, 0);
    REQUIRE(m && b);
    node *n[100];
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(tu_map_set(points, m, ((point){i, -i, 7}), i), 0);
        n[i] = make(i);
        ++*tu_map_place(by_node, b, n[i]);
        ++*tu_map_place(by_node, b, n[i / 2]);
    }
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(*tu_map_get(points, m, ((point){i, -i, 7})), i);
        CHECK(!tu_map_get(points, m, ((point){i, -i, 8})));
        CHECK_EQ(*tu_map_get(by_node, b, n[i]), i < 50 ? 3 : 1);
    }
    numbers *none = NULL;
    CHECK(!tu_map_get(numbers, none, 1) && !tu_map_delete(numbers, none, 1));
    tu_map_each(numbers, none, e) CHECK(false);
}

/* Those that stay are seen exactly once, those deleted before their turn never. */
TEST(map, changes_while_it_is_walked)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct random_state r;
        static unsigned char seen[MODEL_KEYS], gone[MODEL_KEYS];
        random_init(&r, seed);
        memset(seen, 0, sizeof seen);
        memset(gone, 0, sizeof gone);
        numbers *m = tu_make_map(numbers, 0);
        long next = 100 + (long)random_below(&r, 500);
        for (long i = 0; i < next; i++)
            CHECK_EQ(tu_map_set(numbers, m, i, i), 0);
        long stayers = next;
        tu_map_each(numbers, m, e)
        {
            long k = *e.key;
            CHECK(k == *e.value && !gone[k] && !seen[k]);
            seen[k] = 1;
            for (uint64_t i = random_below(&r, 6); i > 0 && next < MODEL_KEYS; i--, next++)
                CHECK_EQ(tu_map_set(numbers, m, next, next), 0);
            long victim = (long)random_below(&r, (uint64_t)next);
            if (tu_map_delete(numbers, m, victim))
                gone[victim] = 1;
        }
        for (long i = 0; i < stayers; i++)
            CHECK(seen[i] || gone[i]);
        tu__map_verify(&m->map);
    }
}

/* A value stays where it is while others come. */
TEST(map, values_stay)
{
    numbers *m = tu_make_map(numbers, 0);
    long *first = tu_map_place(numbers, m, 1);
    *first = 41;
    for (long i = 2; i < 50000; i++)
        CHECK_EQ(tu_map_set(numbers, m, i, i), 0);
    ++*first;
    CHECK_EQ(*tu_map_get(numbers, m, 1), 42);
}

static void set_in_nothing(void)
{
    numbers *none = NULL;
    printf("%d\n", tu_map_set(numbers, none, 1, 1));
}

static void changed_by_two(void)
{
    numbers *m = tu_make_map(numbers, 0);
    m->map.changing = 1; /* as if another stood in it */
    printf("%d\n", tu_map_set(numbers, m, 1, 1));
}

TEST(map, mistakes_abort)
{
    static struct child c;
    child_run(&c, set_in_nothing);
    CHECK(WIFSIGNALED(c.status) && strstr(c.text, "a map that is NULL"));
    child_run(&c, changed_by_two);
    CHECK(WIFSIGNALED(c.status) && strstr(c.text, "a map is changed by two at once"));
}
