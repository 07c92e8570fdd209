/* geo_test.c - positions that go in and come out, distances known, and searches beside looking at every member. */
#include "store/types/geo.h"

#include "base/random.h"
#include "support/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MEMBERS = 2000 };
static struct random_state r;
static struct geo_position positions[MEMBERS];
static bool found[MEMBERS];

static double between(double low, double high)
{
    return low + (high - low) * (double)(random_next(&r) >> 11) * 0x1p-53;
}

TEST(geo, code_and_distance)
{
    random_init(&r, 1);
    for (int i = 0; i < 10000; i++) {
        struct geo_position p = {between(-180, 180), between(-85, 85)};
        double score = geo_encode(p);
        struct geo_position q = geo_decode(score);
        CHECK(score >= 0 && score < 0x1p52 && score == floor(score));
        CHECK(geo_distance_m(p, q) < 1);
        CHECK(geo_encode(q) == score);
    }
    struct geo_position palermo = {13.361389, 38.115556}, catania = {15.087269, 37.502669};
    CHECK(geo_encode(palermo) == 3479099956230698);
    CHECK(fabs(geo_distance_m(palermo, catania) - 166274.15) < 1);
    char text[GEO_TEXT_SIZE];
    geo_text(geo_decode(geo_encode(palermo)), text);
    CHECK(memcmp(text, "sqc8b49rny0", sizeof text) == 0);
}

static bool see(void *context, const struct geo_point *p)
{
    int i = atoi(p->member.data);
    REQUIRE(!found[i]);
    found[i] = true;
    return true;
}

static void check(const struct zset_view *v, const struct geo_shape *shape)
{
    double distance;
    memset(found, 0, sizeof found);
    geo_search(v, shape, see, NULL);
    for (int i = 0; i < MEMBERS; i++)
        REQUIRE(found[i] == geo_is_inside(shape, positions[i], &distance));
}

TEST(geo, searches_find_what_is_inside)
{
    struct keyspace *ks = keyspace_new(NULL);
    struct transaction tx;
    struct store_key key = {SLICE("g"), keyspace_hash(ks, SLICE("g"))};
    struct zset_added added;
    struct zset_view v;
    random_init(&r, 2);
    transaction_init(&tx, ks, 0, 1000);
    transaction_lock_all(&tx);
    for (int i = 0; i < MEMBERS; i++) {
        char name[16];
        int size = snprintf(name, sizeof name, "%d", i);
        double score = geo_encode((struct geo_position){between(-40, 40), between(-60, 60)});
        struct zset_member m = {{name, (size_t)size}, score};
        positions[i] = geo_decode(score);
        REQUIRE(zset_add(&tx, key, &m, 1, 0, &added) == STORE_OK);
    }
    REQUIRE(zset_open(&tx, key, LOOKUP_READ, &v) == STORE_OK);
    for (int i = 0; i < 300; i++) {
        struct geo_shape s = {.kind = (enum geo_shape_kind)(i % 3),
                              .center = {between(-30, 30), between(-50, 50)},
                              .radius_m = exp(between(0, 14)),
                              .width_m = exp(between(0, 14)),
                              .height_m = exp(between(0, 14))};
        struct geo_position corners[3];
        for (int k = 0; k < 3; k++)
            corners[k] = (struct geo_position){between(-40, 40), between(-60, 60)};
        if (s.kind == GEO_POLYGON) {
            s.vertices = corners;
            s.vertex_count = 3;
            s.center = geo_polygon_center(corners, 3);
        }
        check(&v, &s);
    }
    /* Circles whose edge goes through a member, or just does not. */
    for (int i = 0; i < 900; i++) {
        struct geo_shape s = {.kind = GEO_CIRCLE, .center = positions[random_below(&r, MEMBERS)]};
        struct geo_position other = positions[random_below(&r, MEMBERS)];
        if (i % 2 == 0)
            s.center = (struct geo_position){between(-30, 30), between(-50, 50)};
        double distance = geo_distance_m(s.center, other);
        s.radius_m = i % 3 == 0 ? distance : nextafter(distance, i % 3 == 1 ? 0 : 1e9);
        if (fabs(s.center.latitude) < 50 && distance < 1000000)
            check(&v, &s);
    }
    transaction_unlock(&tx);
    keyspace_free(ks);
}
