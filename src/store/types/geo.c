/* geo.c - see geo.h.
 *
 * Clients compare distances and positions to the last digit, so formulas and their order of evaluation are those of the
 * peers: haversine on a sphere of their radius, squares by halving the two ranges.
 */
#include "store/types/geo.h"

#include <math.h>

enum { STEPS = 26, SQUARES = 9 };
static const double EARTH_RADIUS_M = 6372797.560856;
static const double MERCATOR_MAX_M = 20037726.37;
static const double RADIANS = M_PI / 180.0;

static double radians(double degrees)
{
    return degrees * RADIANS;
}

static double degrees(double radians)
{
    return radians / RADIANS;
}

/* ---- the code ---- */

/* Puts a zero between all bits. */
static uint64_t spread(uint32_t bits)
{
    uint64_t x = bits;
    x = (x | x << 16) & UINT64_C(0x0000ffff0000ffff);
    x = (x | x << 8) & UINT64_C(0x00ff00ff00ff00ff);
    x = (x | x << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    x = (x | x << 2) & UINT64_C(0x3333333333333333);
    return (x | x << 1) & UINT64_C(0x5555555555555555);
}

static uint32_t gather(uint64_t x)
{
    x &= UINT64_C(0x5555555555555555);
    x = (x | x >> 1) & UINT64_C(0x3333333333333333);
    x = (x | x >> 2) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    x = (x | x >> 4) & UINT64_C(0x00ff00ff00ff00ff);
    x = (x | x >> 8) & UINT64_C(0x0000ffff0000ffff);
    return (uint32_t)(x | x >> 16);
}

/* A square: the numbers of its column and row on a grid of 2^steps by 2^steps. */
struct square {
    uint32_t column, row;
    unsigned steps;
};

static uint32_t cell(double value, double max, unsigned steps)
{
    double offset = (value - -max) / (max - -max);
    offset *= (double)(UINT64_C(1) << steps);
    return (uint32_t)offset;
}

static struct square square_of(struct geo_position p, double latitude_max, unsigned steps)
{
    return (struct square){cell(p.longitude, GEO_LONGITUDE_MAX, steps),
                           cell(p.latitude, latitude_max, steps), steps};
}

static uint64_t bits_of(struct square s)
{
    return spread(s.row) | spread(s.column) << 1;
}

/* `part`: of the range that is a cell, a power of two, so that no bit is lost in the product. */
static double side(int64_t number, double max, double part)
{
    return -max + (double)number * part * (max - -max);
}

struct bounds {
    double west, south, east, north;
};

static struct bounds bounds_of(struct square s)
{
    double part = 1.0 / (double)(UINT64_C(1) << s.steps);
    return (struct bounds){side(s.column, GEO_LONGITUDE_MAX, part),
                           side(s.row, GEO_LATITUDE_MAX, part),
                           side((int64_t)s.column + 1, GEO_LONGITUDE_MAX, part),
                           side((int64_t)s.row + 1, GEO_LATITUDE_MAX, part)};
}

double geo_encode(struct geo_position p)
{
    return (double)bits_of(square_of(p, GEO_LATITUDE_MAX, STEPS));
}

static double clamp(double value, double max)
{
    return value > max ? max : value < -max ? -max : value;
}

struct geo_position geo_decode(double score)
{
    /* What is no position is read as x86-64 makes an unsigned number of it, for that is what the peers show. */
    uint64_t bits = score < -0x1p63  ? UINT64_C(1) << 63
                    : score < 0x1p63 ? (uint64_t)(int64_t)score
                    : score < 0x1p64 ? (uint64_t)score
                                     : 0;
    struct bounds b = bounds_of((struct square){gather(bits >> 1), gather(bits), STEPS});
    return (struct geo_position){clamp((b.west + b.east) / 2, GEO_LONGITUDE_MAX),
                                 clamp((b.south + b.north) / 2, GEO_LATITUDE_MAX)};
}

void geo_text(struct geo_position p, char out[GEO_TEXT_SIZE])
{
    static const char alphabet[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    uint64_t bits = bits_of(square_of(p, 90, STEPS));
    for (int i = 0; i < GEO_TEXT_SIZE; i++) {
        int shift = 52 - (i + 1) * 5; /* 52 bits do not suffice for the last one */
        out[i] = alphabet[shift < 0 ? 0 : bits >> shift & 31];
    }
}

/* ---- distances ---- */

static double latitude_distance_m(double a, double b)
{
    return EARTH_RADIUS_M * fabs(radians(b) - radians(a));
}

/* A point from which many distances are asked for. */
struct origin {
    double latitude; /* degrees */
    double longitude_rad, latitude_rad, cos_latitude;
};

static struct origin origin_of(struct geo_position p)
{
    double latitude_rad = radians(p.latitude);
    return (struct origin){p.latitude, radians(p.longitude), latitude_rad, cos(latitude_rad)};
}

static double distance_from_m(const struct origin *a, struct geo_position b)
{
    double v = sin((radians(b.longitude) - a->longitude_rad) / 2);
    if (v == 0.0)
        return latitude_distance_m(a->latitude, b.latitude);
    double lat_b = radians(b.latitude);
    double u = sin((lat_b - a->latitude_rad) / 2);
    double h = u * u + a->cos_latitude * cos(lat_b) * v * v;
    return 2.0 * EARTH_RADIUS_M * asin(sqrt(h));
}

double geo_distance_m(struct geo_position a, struct geo_position b)
{
    struct origin o = origin_of(a);
    return distance_from_m(&o, b);
}

/* ---- shapes ---- */

struct geo_position geo_polygon_center(const struct geo_position *vertices, size_t count)
{
    double x = 0, y = 0, z = 0;
    for (size_t i = 0; i < count; i++) {
        double longitude = radians(vertices[i].longitude), latitude = radians(vertices[i].latitude);
        x += cos(latitude) * cos(longitude);
        y += cos(latitude) * sin(longitude);
        z += sin(latitude);
    }
    return (struct geo_position){degrees(atan2(y, x)), degrees(atan2(z, sqrt(x * x + y * y)))};
}

/* A ray to the east crosses the sides an odd number of times. */
static bool is_in_polygon(const struct geo_shape *s, struct geo_position p)
{
    bool inside = false;
    for (size_t i = 0, j = s->vertex_count - 1; i < s->vertex_count; j = i++) {
        struct geo_position a = s->vertices[i], b = s->vertices[j];
        if ((a.latitude > p.latitude) != (b.latitude > p.latitude) &&
            p.longitude < (b.longitude - a.longitude) * (p.latitude - a.latitude) /
                                  (b.latitude - a.latitude) +
                              a.longitude)
            inside = !inside;
    }
    return inside;
}

bool geo_is_inside(const struct geo_shape *s, struct geo_position p, double *distance_m)
{
    struct geo_position beside = {s->center.longitude, p.latitude};
    if (s->kind == GEO_POLYGON && !is_in_polygon(s, p))
        return false;
    if (s->kind == GEO_BOX &&
        (latitude_distance_m(p.latitude, s->center.latitude) > s->height_m / 2 ||
         geo_distance_m(p, beside) > s->width_m / 2))
        return false;
    *distance_m = geo_distance_m(s->center, p);
    return s->kind != GEO_CIRCLE || *distance_m <= s->radius_m;
}

/* ---- the squares that cover a shape ---- */

static struct bounds shape_bounds(const struct geo_shape *s)
{
    if (s->kind == GEO_POLYGON) {
        struct bounds b = {s->vertices[0].longitude, s->vertices[0].latitude,
                           s->vertices[0].longitude, s->vertices[0].latitude};
        for (size_t i = 1; i < s->vertex_count; i++) {
            b.west = fmin(b.west, s->vertices[i].longitude);
            b.east = fmax(b.east, s->vertices[i].longitude);
            b.south = fmin(b.south, s->vertices[i].latitude);
            b.north = fmax(b.north, s->vertices[i].latitude);
        }
        return b;
    }
    double height = s->kind == GEO_CIRCLE ? s->radius_m : s->height_m / 2,
           width = s->kind == GEO_CIRCLE ? s->radius_m : s->width_m / 2;
    double lat = degrees(height / EARTH_RADIUS_M);
    /* the edge farther from the equator is the wider one in degrees */
    double edge = s->center.latitude < 0 ? s->center.latitude - lat : s->center.latitude + lat;
    double lon = degrees(width / EARTH_RADIUS_M / cos(radians(edge)));
    return (struct bounds){s->center.longitude - lon, s->center.latitude - lat,
                           s->center.longitude + lon, s->center.latitude + lat};
}

static double reach_m(const struct geo_shape *s, const struct bounds *b)
{
    if (s->kind == GEO_CIRCLE)
        return s->radius_m;
    double width = s->width_m, height = s->height_m;
    if (s->kind == GEO_POLYGON) {
        struct geo_position west = {b->west, s->center.latitude}, east = {b->east, west.latitude};
        width = geo_distance_m(west, east);
        height = latitude_distance_m(b->south, b->north);
    }
    return sqrt((width / 2) * (width / 2) + (height / 2) * (height / 2));
}

static unsigned steps_for(double range_m, double latitude)
{
    int steps = 1;
    if (range_m == 0)
        return STEPS;
    for (; range_m < MERCATOR_MAX_M; range_m *= 2)
        steps++;
    steps -= 2;
    if (fabs(latitude) > 66)
        steps--;
    if (fabs(latitude) > 80)
        steps--;
    return steps < 1 ? 1 : steps > STEPS ? STEPS : (unsigned)steps;
}

/* The neighbour of a square; around the world at the ends. At the upper end of a range a square lies outside the grid, with a
 * bit too many, and stays there as long as it is not moved in that direction: the peers' way. */
static struct square neighbour(struct square s, int columns, int rows)
{
    uint32_t mask = (UINT32_C(1) << s.steps) - 1;
    if (columns != 0)
        s.column = (s.column + (uint32_t)columns) & mask;
    if (rows != 0)
        s.row = (s.row + (uint32_t)rows) & mask;
    return s;
}

struct direction {
    int columns, rows;
};
static const struct direction directions[SQUARES] = {{0, 0}, {0, 1},  {0, -1}, {1, 0},  {-1, 0},
                                                     {1, 1}, {-1, 1}, {1, -1}, {-1, -1}};

/* True if the nine squares around `s` do not reach to the bounds of the shape. */
static bool is_too_small(struct square s, const struct bounds *wanted)
{
    return bounds_of(neighbour(s, 0, 1)).north < wanted->north ||
           bounds_of(neighbour(s, 0, -1)).south > wanted->south ||
           bounds_of(neighbour(s, 1, 0)).east < wanted->east ||
           bounds_of(neighbour(s, -1, 0)).west > wanted->west;
}

/* True if the shape does not reach into this direction. */
static bool is_useless(struct direction d, const struct bounds *middle, const struct bounds *wanted)
{
    return (d.rows < 0 && middle->south < wanted->south) ||
           (d.rows > 0 && middle->north > wanted->north) ||
           (d.columns < 0 && middle->west < wanted->west) ||
           (d.columns > 0 && middle->east > wanted->east);
}

/* ---- searching ---- */

struct search {
    const struct geo_shape *shape;
    geo_visit_fn visit;
    void *context;
    bool enough, was_inside; /* the last member that was looked at */
    struct origin center;
    double haversine_max; /* of the radius, with a margin */
};

static void begin(struct search *s)
{
    const double half = s->shape->radius_m / EARTH_RADIUS_M / 2;
    s->center = origin_of(s->shape->center);
    s->haversine_max = half < M_PI / 2 ? sin(half) * sin(half) * (1 + 1e-9) + 1e-20 : INFINITY;
}

/* sin(x) squared, or less. */
static double sin_squared_least(double x)
{
    return x * x * (1 - x * x / 3);
}

/* True if the point is outside of a circle for sure: what is added up is at most the haversine of the distance, up to
 * rounding, for which there is the margin. Of most members around a small circle no more need be known. */
static bool is_far(const struct search *s, struct geo_position p)
{
    double y = radians(p.latitude) - s->center.latitude_rad,
           x = radians(p.longitude) - s->center.longitude_rad;
    double cos_least = fmax(s->center.cos_latitude - fabs(y), 0);
    return sin_squared_least(y / 2) +
               s->center.cos_latitude * cos_least * fmax(sin_squared_least(x / 2), 0) >
           s->haversine_max;
}

static bool is_inside(const struct search *s, struct geo_position p, double *distance_m)
{
    if (s->shape->kind != GEO_CIRCLE)
        return geo_is_inside(s->shape, p, distance_m);
    if (!s->was_inside && is_far(s, p)) /* members near one another come after one another */
        return false;
    *distance_m = distance_from_m(&s->center, p);
    return *distance_m <= s->shape->radius_m;
}

static void look_at(void *context, struct slice member, double score)
{
    struct search *s = context;
    if (s->enough)
        return;
    struct geo_point point = {member, score, geo_decode(score), 0};
    s->was_inside = is_inside(s, point.position, &point.distance_m);
    if (s->was_inside)
        s->enough = !s->visit(s->context, &point);
}

static void look_into(const struct zset_view *v, struct square square, struct search *s)
{
    enum { CHUNK_MIN = 16, CHUNK_MAX = 256 }; /* members between two looks at `enough` */
    size_t chunk = CHUNK_MIN;
    unsigned shift = 2 * (STEPS - square.steps);
    struct zset_score_range r = {.min = (double)(bits_of(square) << shift),
                                 .max = (double)((bits_of(square) + 1) << shift),
                                 .max_excluded = true};
    struct zset_ranks ranks = zset_ranks_by_score(v, &r);
    while (ranks.first < ranks.end && !s->enough) {
        size_t end = ranks.end - ranks.first < chunk ? ranks.end : ranks.first + chunk;
        zset_visit(v, (struct zset_ranks){ranks.first, end}, false, look_at, s);
        ranks.first = end;
        chunk = chunk < CHUNK_MAX ? 2 * chunk : CHUNK_MAX;
    }
}

void geo_search(const struct zset_view *v, const struct geo_shape *shape, geo_visit_fn visit,
                void *context)
{
    struct search s = {.shape = shape, .visit = visit, .context = context};
    begin(&s);
    struct bounds wanted = shape_bounds(shape);
    unsigned steps = steps_for(reach_m(shape, &wanted), shape->center.latitude);
    struct square middle = square_of(shape->center, GEO_LATITUDE_MAX, steps), last = {0, 0, 0};
    if (steps > 1 && is_too_small(middle, &wanted))
        middle = square_of(shape->center, GEO_LATITUDE_MAX, --steps);
    struct bounds around = bounds_of(middle);
    int looked = 0;
    for (int i = 0; i < SQUARES && !s.enough; i++) {
        struct square square = neighbour(middle, directions[i].columns, directions[i].rows);
        if (steps >= 2 && is_useless(directions[i], &around, &wanted))
            continue;
        /* where squares are huge, neighbours may be one and the same */
        if (looked > 0 && bits_of(square) == bits_of(last))
            continue;
        look_into(v, square, &s);
        looked = i;
        last = square;
    }
}
