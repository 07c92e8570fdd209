/* geo.h - positions on earth as scores of a sorted set, and which members lie in a shape.
 *
 * A position is two numbers of 26 bits, interleaved to a hash of 52 that a double holds exactly; near positions mostly have
 * near hashes. A shape is covered by at most nine squares of one size, each a range of scores; what is found there is
 * looked at one by one. Degrees and metres; the earth is a sphere.
 */
#pragma once

#include "store/types/zset.h"

#define GEO_LONGITUDE_MAX 180.0
#define GEO_LATITUDE_MAX  85.05112878

struct geo_position {
    double longitude, latitude;
};

static inline bool geo_is_valid(struct geo_position p)
{
    return p.longitude >= -GEO_LONGITUDE_MAX && p.longitude <= GEO_LONGITUDE_MAX &&
           p.latitude >= -GEO_LATITUDE_MAX && p.latitude <= GEO_LATITUDE_MAX;
}
/* The score of a valid position, and the middle of the square that a score means (any double gives some position). */
double geo_encode(struct geo_position p);
struct geo_position geo_decode(double score);
double geo_distance_m(struct geo_position a, struct geo_position b);
/* The standard geohash: 11 characters. */
enum { GEO_TEXT_SIZE = 11 };
void geo_text(struct geo_position p, char out[GEO_TEXT_SIZE]);

enum geo_shape_kind { GEO_CIRCLE, GEO_BOX, GEO_POLYGON };
struct geo_shape {
    enum geo_shape_kind kind;
    struct geo_position center; /* of a polygon: geo_polygon_center */
    double radius_m;
    double width_m, height_m;
    const struct geo_position *vertices;
    size_t vertex_count;
};
/* The mean of the vertices as points in space, brought back to the surface. */
struct geo_position geo_polygon_center(const struct geo_position *vertices, size_t count);
/* True if the position is inside; then *distance_m, from the center. */
bool geo_is_inside(const struct geo_shape *shape, struct geo_position p, double *distance_m);

struct geo_point {
    struct slice member; /* dies when the visitor returns */
    double score;
    struct geo_position position;
    double distance_m;
};
/* False: enough. */
typedef bool (*geo_visit_fn)(void *context, const struct geo_point *point);
/* Visits the members inside, square by square, in each by score. */
void geo_search(const struct zset_view *v, const struct geo_shape *shape, geo_visit_fn visit,
                void *context);
