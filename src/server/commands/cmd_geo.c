/* cmd_geo.c - positions: adding them, telling them and their distances, and searching, in all the forms of GEOSEARCH and
 * GEORADIUS.
 */
#include "server/commands/cmd_zset.h"

#include "base/number.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "store/types/geo.h"
#include "store/types/zset_combine.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <tuco/mem.h>

#define ERR_GEO_PAIR     "ERR invalid longitude,latitude pair %f,%f"
#define ERR_GEO_UNIT     "ERR unsupported unit provided. please use M, KM, FT, MI"
#define ERR_GEO_RADIUS   "ERR need numeric radius"
#define ERR_GEO_WIDTH    "ERR need numeric width"
#define ERR_GEO_HEIGHT   "ERR need numeric height"
#define ERR_GEO_NEGATIVE "ERR radius cannot be negative"
#define ERR_GEO_BOX      "ERR height or width cannot be negative"
#define ERR_GEO_MEMBER   "ERR member %.*s does not exist"
#define ERR_GEO_COUNT    "ERR COUNT must be > 0"
#define ERR_GEO_ANY      "ERR the ANY argument requires COUNT argument"
#define ERR_GEO_VERTICES "ERR GEOSEARCH BYPOLYGON must have at least 3 vertices"
#define ERR_GEO_VERTEX   "ERR invalid number of vertices"
#define ERR_GEO_FROM     "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for %.*s"
#define ERR_GEO_BY       "ERR exactly one of BYRADIUS, BYBOX and BYPOLYGON can be specified for %.*s"
#define ERR_GEO_WITH     "ERR %s is not compatible with WITHDIST, WITHHASH and WITHCOORD options"

/* ---- words ---- */

/* False: replied. */
static bool parse_position(struct call *call, size_t at, struct geo_position *out)
{
    if (!zset_parse_score(call->argv[at], &out->longitude) ||
        !zset_parse_score(call->argv[at + 1], &out->latitude)) {
        reply_error(call->reply, ERR_NOT_FLOAT);
        return false;
    }
    if (geo_is_valid(*out))
        return true;
    reply_errorf(call->reply, ERR_GEO_PAIR, out->longitude, out->latitude);
    return false;
}

/* Metres of a unit; 0: there is no such unit, replied. */
static double parse_unit(struct call *call, struct slice word)
{
    static const struct {
        struct slice name;
        double metres;
    } units[] = {{{"m", 1}, 1}, {{"km", 2}, 1000}, {{"ft", 2}, 0.3048}, {{"mi", 2}, 1609.34}};
    for (size_t i = 0; i < 4; i++)
        if (slice_equal_nocase(word, units[i].name))
            return units[i].metres;
    reply_error(call->reply, ERR_GEO_UNIT);
    return 0;
}

/* A distance with four decimals. */
static void reply_distance(struct call *call, double distance)
{
    long long fixed = llrint(distance * 10000);
    if (fabs(distance) < 1e14)
        reply_bulkf(call->reply, "%lld.%04lld", fixed / 10000, fixed % 10000);
    else
        reply_bulkf(call->reply, "%.4f", distance);
}

static void reply_coordinate(struct call *call, double value)
{
    char text[NUMBER_LONG_DOUBLE_SIZE + 3];
    text[0] = ',';
    size_t size = number_format_long_double(text + 1, (long double)value);
    memcpy(text + 1 + size, "\r\n", 2);
    if (reply_protocol(call->reply) > 2)
        reply_raw(call->reply, (struct slice){text, size + 3});
    else
        reply_bulk(call->reply, (struct slice){text + 1, size});
}

static void reply_position(struct call *call, struct geo_position p)
{
    reply_array(call->reply, 2);
    reply_coordinate(call, p.longitude);
    reply_coordinate(call, p.latitude);
}

static bool position_of(const struct zset_view *v, struct slice member, struct geo_position *out)
{
    double score;
    bool there = zset_score(v, member, &score);
    if (there)
        *out = geo_decode(score);
    return there;
}

/* ---- adding and telling ---- */

static void add_positions(struct call *call, size_t first, uint32_t flags, bool changed)
{
    size_t count = (call->argc - first) / 3;
    struct zset_member *members = tu_alloc(count * sizeof *members);
    struct zset_added added;
    if (!members) {
        handler_error(call, STORE_NO_MEMORY);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct geo_position p;
        if (!parse_position(call, first + 3 * i, &p)) {
            tu_free(members);
            return;
        }
        members[i] = (struct zset_member){call->argv[first + 3 * i + 2], geo_encode(p)};
    }
    enum store_result rc =
        zset_add(call->tx, handler_first_key(call), members, count, flags, &added);
    if (rc == STORE_OK)
        reply_integer(call->reply, (int64_t)(added.added + (changed ? added.updated : 0)));
    else
        handler_error(call, rc);
    tu_free(members);
}

static void run_geoadd(struct call *call)
{
    uint32_t flags = 0;
    bool changed = false;
    size_t at = 2;
    for (; at < call->argc; at++) {
        if (slice_equal_nocase(call->argv[at], SLICE("nx")))
            flags |= ZSET_NX;
        else if (slice_equal_nocase(call->argv[at], SLICE("xx")))
            flags |= ZSET_XX;
        else if (slice_equal_nocase(call->argv[at], SLICE("ch")))
            changed = true;
        else
            break;
    }
    if (at == call->argc || (call->argc - at) % 3 != 0 || ((flags & ZSET_NX) && (flags & ZSET_XX)))
        reply_error(call->reply, ERR_SYNTAX);
    else
        add_positions(call, at, flags, changed);
}

static void run_geodist(struct call *call)
{
    struct zset_view v;
    struct geo_position a, b;
    double unit = 1;
    if (call->argc > 5) {
        reply_error(call->reply, ERR_SYNTAX);
        return;
    }
    if ((call->argc == 5 && (unit = parse_unit(call, call->argv[4])) == 0) ||
        !zset_open_to_read(call, 0, 1, &v))
        return;
    if (position_of(&v, call->argv[2], &a) && position_of(&v, call->argv[3], &b))
        reply_distance(call, geo_distance_m(a, b) / unit);
    else
        reply_null(call->reply);
}

static void run_geohash(struct call *call)
{
    struct zset_view v;
    struct geo_position p;
    char text[GEO_TEXT_SIZE];
    if (!zset_open_to_read(call, 0, 1, &v))
        return;
    reply_array(call->reply, call->argc - 2);
    for (size_t i = 2; i < call->argc; i++) {
        if (position_of(&v, call->argv[i], &p)) {
            geo_text(p, text);
            reply_bulk(call->reply, (struct slice){text, sizeof text});
        } else {
            reply_null(call->reply);
        }
    }
}

static void run_geopos(struct call *call)
{
    struct zset_view v;
    struct geo_position p;
    if (!zset_open_to_read(call, 0, 1, &v))
        return;
    reply_array(call->reply, call->argc - 2);
    for (size_t i = 2; i < call->argc; i++) {
        if (position_of(&v, call->argv[i], &p))
            reply_position(call, p);
        else
            reply_null_array(call->reply);
    }
}

/* ---- what is searched for ---- */

struct query {
    struct zset_view v;
    struct geo_shape shape;
    double unit;                   /* metres; distances are told in it */
    struct geo_position *vertices; /* to be freed */
    bool is_search;                /* GEOSEARCH and GEOSEARCHSTORE: center and shape are options */
    bool may_store;                /* STORE and STOREDIST are */
    bool from_member, from_position, has_shape;
    bool distances, hashes, positions, any;
    int order; /* 1 ascending, -1 descending */
    int64_t count;
    size_t store_at; /* where the destination is in argv; 0: nowhere */
    bool store_distances;
};

static bool fail(struct call *call, const char *text)
{
    reply_error(call->reply, text);
    return false;
}

static bool center_on_member(struct call *call, struct slice member, struct query *q)
{
    if (!q->v.f.entry || position_of(&q->v, member, &q->shape.center))
        return true;
    reply_errorf(call->reply, ERR_GEO_MEMBER, (int)member.size, member.data);
    return false;
}

static bool parse_radius(struct call *call, size_t at, struct query *q)
{
    if (!zset_parse_score(call->argv[at], &q->shape.radius_m))
        return fail(call, ERR_GEO_RADIUS);
    if (q->shape.radius_m < 0)
        return fail(call, ERR_GEO_NEGATIVE);
    q->unit = parse_unit(call, call->argv[at + 1]);
    q->shape.radius_m *= q->unit;
    q->shape.kind = GEO_CIRCLE;
    q->has_shape = true;
    return q->unit != 0;
}

static bool parse_box(struct call *call, size_t at, struct query *q)
{
    if (!zset_parse_score(call->argv[at], &q->shape.width_m))
        return fail(call, ERR_GEO_WIDTH);
    if (!zset_parse_score(call->argv[at + 1], &q->shape.height_m))
        return fail(call, ERR_GEO_HEIGHT);
    if (q->shape.width_m < 0 || q->shape.height_m < 0)
        return fail(call, ERR_GEO_BOX);
    q->unit = parse_unit(call, call->argv[at + 2]);
    q->shape.width_m *= q->unit;
    q->shape.height_m *= q->unit;
    q->shape.kind = GEO_BOX;
    q->has_shape = true;
    return q->unit != 0;
}

/* The vertices from their number at argv[at] on; *words: how many words that were. */
static bool parse_polygon(struct call *call, size_t at, struct query *q, size_t *words)
{
    int64_t count;
    if (!number_parse_int64(call->argv[at], &count) || count > INT_MAX || count < INT_MIN)
        return fail(call, ERR_GEO_VERTEX);
    if (count < 3 || (uint64_t)count > (call->argc - at - 1) / 2)
        return fail(call, ERR_GEO_VERTICES);
    q->vertices = tu_alloc((size_t)count * sizeof *q->vertices);
    if (!q->vertices) {
        handler_error(call, STORE_NO_MEMORY);
        return false;
    }
    for (size_t i = 0; i < (size_t)count; i++)
        if (!parse_position(call, at + 1 + 2 * i, &q->vertices[i]))
            return false;
    q->shape.kind = GEO_POLYGON;
    q->shape.vertices = q->vertices;
    q->shape.vertex_count = (size_t)count;
    q->shape.center = geo_polygon_center(q->vertices, (size_t)count);
    q->has_shape = q->from_position = true;
    q->unit = 1;
    *words = 1 + 2 * (size_t)count;
    return true;
}

/* What only GEOSEARCH knows, at argv[*at]. 1: taken, 0: something else, -1: replied. */
static int parse_search_word(struct call *call, size_t *at, struct query *q)
{
    struct slice word = call->argv[*at];
    size_t left = call->argc - *at - 1, words = 0;
    bool ok = false;
    if (left >= 1 && !q->from_position && slice_equal_nocase(word, SLICE("frommember"))) {
        words = 1;
        ok = q->from_member = center_on_member(call, call->argv[*at + 1], q);
    } else if (left >= 2 && !q->from_member && !q->vertices &&
               slice_equal_nocase(word, SLICE("fromlonlat"))) {
        words = 2;
        ok = q->from_position = parse_position(call, *at + 1, &q->shape.center);
    } else if (left >= 2 && (!q->has_shape || q->shape.kind == GEO_CIRCLE) &&
               slice_equal_nocase(word, SLICE("byradius"))) {
        words = 2;
        ok = parse_radius(call, *at + 1, q);
    } else if (left >= 3 && (!q->has_shape || q->shape.kind == GEO_BOX) &&
               slice_equal_nocase(word, SLICE("bybox"))) {
        words = 3;
        ok = parse_box(call, *at + 1, q);
    } else if (left >= 1 && !q->has_shape && !q->from_member && !q->from_position &&
               slice_equal_nocase(word, SLICE("bypolygon"))) {
        ok = parse_polygon(call, *at + 1, q, &words);
    } else {
        return 0;
    }
    *at += words;
    return ok ? 1 : -1;
}

/* COUNT and the destination of GEORADIUS, with their words. The same results. */
static int parse_valued_word(struct call *call, size_t *at, struct query *q)
{
    struct slice word = call->argv[*at];
    bool store = q->may_store && slice_equal_nocase(word, SLICE("store")),
         store_distances = q->may_store && slice_equal_nocase(word, SLICE("storedist"));
    if (call->argc - *at < 2)
        return 0;
    if (store || store_distances) {
        q->store_at = ++*at;
        q->store_distances = store_distances;
        return 1;
    }
    if (!slice_equal_nocase(word, SLICE("count")))
        return 0;
    if (!handler_integer(call, call->argv[++*at], &q->count))
        return -1;
    if (q->count > 0)
        return 1;
    reply_error(call->reply, ERR_GEO_COUNT);
    return -1;
}

static bool parse_plain_word(struct slice word, struct query *q)
{
    if (slice_equal_nocase(word, SLICE("withdist")))
        q->distances = true;
    else if (slice_equal_nocase(word, SLICE("withhash")))
        q->hashes = true;
    else if (slice_equal_nocase(word, SLICE("withcoord")))
        q->positions = true;
    else if (slice_equal_nocase(word, SLICE("any")))
        q->any = true;
    else if (slice_equal_nocase(word, SLICE("asc")))
        q->order = 1;
    else if (slice_equal_nocase(word, SLICE("desc")))
        q->order = -1;
    else if (q->is_search && q->store_at && slice_equal_nocase(word, SLICE("storedist")))
        q->store_distances = true;
    else
        return false;
    return true;
}

static bool parse_words(struct call *call, size_t at, struct query *q)
{
    for (; at < call->argc; at++) {
        if (parse_plain_word(call->argv[at], q))
            continue;
        int taken = parse_valued_word(call, &at, q);
        if (taken == 0 && q->is_search)
            taken = parse_search_word(call, &at, q);
        if (taken == 0)
            reply_error(call->reply, ERR_SYNTAX);
        if (taken <= 0)
            return false;
    }
    return true;
}

/* Whether the words make sense together. */
static bool check_query(struct call *call, const struct query *q)
{
    struct slice name = call->argv[0];
    if (q->store_at && (q->distances || q->hashes || q->positions))
        reply_errorf(call->reply, ERR_GEO_WITH,
                     q->is_search ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS");
    else if (q->is_search && !q->from_member && !q->from_position)
        reply_errorf(call->reply, ERR_GEO_FROM, (int)name.size, name.data);
    else if (q->is_search && !q->has_shape)
        reply_errorf(call->reply, ERR_GEO_BY, (int)name.size, name.data);
    else if (q->any && q->count == 0)
        reply_error(call->reply, ERR_GEO_ANY);
    else
        return true;
    return false;
}

/* ---- what is found ---- */

struct hit {
    struct slice member; /* a copy; while hits are collected, size only */
    double score, distance;
    struct geo_position position;
};

struct hits {
    struct hit *all;
    size_t count, capacity;
    char *texts; /* of the members, one after the other */
    size_t texts_size, texts_capacity;
    uint64_t most; /* 0: no limit */
    double unit;
    bool failed;
};

/* Doubles until `need` units fit. False: out of memory, nothing changed. */
static bool make_room(void **block, size_t *capacity, size_t need, size_t unit)
{
    size_t wanted = *capacity ? *capacity : 16;
    if (need <= *capacity)
        return true;
    while (wanted < need)
        wanted *= 2;
    void *moved = tu_realloc(*block, wanted * unit);
    if (!moved)
        return false;
    *block = moved;
    *capacity = wanted;
    return true;
}

static bool keep(void *context, const struct geo_point *p)
{
    struct hits *h = context;
    size_t size = p->member.size;
    h->failed = !make_room((void **)&h->all, &h->capacity, h->count + 1, sizeof *h->all) ||
                !make_room((void **)&h->texts, &h->texts_capacity, h->texts_size + size, 1);
    if (h->failed)
        return false;
    if (size > 0)
        memcpy(h->texts + h->texts_size, p->member.data, size);
    h->texts_size += size;
    h->all[h->count++] = (struct hit){{NULL, size}, p->score, p->distance_m / h->unit, p->position};
    return h->most == 0 || h->count < h->most;
}

static void point_at_texts(struct hits *h)
{
    size_t at = 0;
    for (size_t i = 0; i < h->count; i++) {
        h->all[i].member.data = h->all[i].member.size ? h->texts + at : "";
        at += h->all[i].member.size;
    }
}

static int nearest(const void *a, const void *b)
{
    const struct hit *x = a, *y = b;
    return (x->distance > y->distance) - (x->distance < y->distance);
}

static int farthest(const void *a, const void *b)
{
    return nearest(b, a);
}

static void tell_hits(struct call *call, const struct query *q, const struct hits *h, size_t count)
{
    size_t more = (size_t)q->distances + q->hashes + q->positions;
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++) {
        const struct hit *hit = &h->all[i];
        if (more)
            reply_array(call->reply, 1 + more);
        reply_bulk(call->reply, hit->member);
        if (q->distances)
            reply_distance(call, hit->distance);
        if (q->hashes)
            reply_integer(call->reply, (int64_t)hit->score);
        if (q->positions)
            reply_position(call, hit->position);
    }
}

/* Which of the call's keys stands at argv[at]; false: none (a second STORE), and its shard is not held. */
static bool key_at(const struct call *call, size_t at, struct store_key *out)
{
    enum { MOST = 3 };
    uint32_t positions[MOST];
    int count = command_keys(call->command, call->argv, call->argc, positions, MOST);
    for (int i = 0; i < count && i < MOST; i++) {
        if (positions[i] == at) {
            *out = handler_key(call, (size_t)i, at);
            return true;
        }
    }
    return false;
}

static void store_hits(struct call *call, const struct query *q, const struct hits *h, size_t count)
{
    struct store_key to;
    if (!key_at(call, q->store_at, &to)) {
        reply_error(call->reply, ERR_SYNTAX);
        return;
    }
    struct zset_result *r = zset_result_new(call->tx);
    bool ok = r != NULL;
    for (size_t i = 0; i < count && ok; i++)
        ok = zset_result_add(r, h->all[i].member,
                             q->store_distances ? h->all[i].distance : h->all[i].score);
    if (!ok) {
        zset_result_free(r);
        handler_error(call, STORE_NO_MEMORY);
        return;
    }
    enum store_result rc = zset_store(
        call->tx, to, r, q->is_search ? "geosearchstore" : "georadiusstore", true, &count);
    if (rc == STORE_OK)
        reply_integer(call->reply, (int64_t)count);
    else
        handler_error(call, rc);
}

static void answer(struct call *call, const struct query *q)
{
    struct hits h = {.most = q->any ? (uint64_t)q->count : 0, .unit = q->unit};
    int order = q->order ? q->order : q->count && !q->any ? 1 : 0;
    if (q->v.f.entry)
        geo_search(&q->v, &q->shape, keep, &h);
    point_at_texts(&h);
    if (order && h.count > 1)
        qsort(h.all, h.count, sizeof *h.all, order > 0 ? nearest : farthest);
    size_t count = q->count && (uint64_t)q->count < h.count ? (size_t)q->count : h.count;
    if (h.failed)
        handler_error(call, STORE_NO_MEMORY);
    else if (q->store_at)
        store_hits(call, q, &h, count);
    else
        tell_hits(call, q, &h, count);
    tu_free(h.texts);
    tu_free(h.all);
}

enum { SEARCH_WORDS = 2, STORE_WORDS = 3, MEMBER_WORDS = 5, POSITION_WORDS = 6 };

/* What has a fixed place, the first `at` words. */
static bool parse_head(struct call *call, struct query *q, size_t at)
{
    if (at == POSITION_WORDS)
        return parse_position(call, 2, &q->shape.center) && parse_radius(call, 4, q);
    if (at == MEMBER_WORDS && q->v.f.entry) /* else nobody looks at the radius */
        return center_on_member(call, call->argv[2], q) && parse_radius(call, 3, q);
    return true;
}

static void search(struct call *call, struct query *q, size_t nth, size_t key_at, size_t at)
{
    q->unit = 1;
    if (zset_open_to_read(call, nth, key_at, &q->v) && parse_head(call, q, at) &&
        parse_words(call, at, q) && check_query(call, q))
        answer(call, q);
    tu_free(q->vertices);
}

static void run_geosearch(struct call *call)
{
    search(call, &(struct query){.is_search = true}, 0, 1, SEARCH_WORDS);
}

static void run_geosearchstore(struct call *call)
{
    search(call, &(struct query){.is_search = true, .store_at = 1}, 1, 2, STORE_WORDS);
}

static void run_georadius(struct call *call)
{
    search(call, &(struct query){.may_store = true}, 0, 1, POSITION_WORDS);
}

static void run_georadius_ro(struct call *call)
{
    search(call, &(struct query){0}, 0, 1, POSITION_WORDS);
}

static void run_georadiusbymember(struct call *call)
{
    search(call, &(struct query){.may_store = true}, 0, 1, MEMBER_WORDS);
}

static void run_georadiusbymember_ro(struct call *call)
{
    search(call, &(struct query){0}, 0, 1, MEMBER_WORDS);
}

/* ---- rows ---- */

#define GEO_ROW(name, run, words, version, cost) \
    ROW_ON_KEYS(name, run, words, "geo", ACL_GEO, version, cost)

/* Parts of the grammars. */
#define UNIT(...)                                                                \
    ARG_ONEOF("unit", (__VA_ARGS__), ARG_TOKEN("m", "M"), ARG_TOKEN("km", "KM"), \
              ARG_TOKEN("ft", "FT"), ARG_TOKEN("mi", "MI"))
#define WITH                                             \
    ARG_TOKEN("withcoord", "WITHCOORD", ARG_OPTIONAL),   \
        ARG_TOKEN("withdist", "WITHDIST", ARG_OPTIONAL), \
        ARG_TOKEN("withhash", "WITHHASH", ARG_OPTIONAL)
#define COUNT(any_since)                                                             \
    ARG_BLOCK("count-block", (ARG_OPTIONAL), ARG_INTEGER("count", .token = "COUNT"), \
              ARG_TOKEN("any", "ANY", ARG_OPTIONAL, .since = (any_since)))
#define ORDER ARG_ONEOF("order", (ARG_OPTIONAL), ARG_TOKEN("asc", "ASC"), ARG_TOKEN("desc", "DESC"))
#define STORE                                                                                      \
    ARG_ONEOF("store", (ARG_OPTIONAL), ARG_KEY("storekey", 1, .token = "STORE", .display = "key"), \
              ARG_KEY("storedistkey", 2, .token = "STOREDIST", .display = "key"))
#define FROM_AND_BY                                                                           \
    ARG_ONEOF("from", (ARG_OPTIONAL), ARG_STRING("member", .token = "FROMMEMBER"),            \
              ARG_BLOCK("fromlonlat", (.token = "FROMLONLAT"), ARG_DOUBLE("longitude"),       \
                        ARG_DOUBLE("latitude"))),                                             \
        ARG_ONEOF("by", (),                                                                   \
                  ARG_BLOCK("circle", (), ARG_DOUBLE("radius", .token = "BYRADIUS"), UNIT()), \
                  ARG_BLOCK("box", (), ARG_DOUBLE("width", .token = "BYBOX"),                 \
                            ARG_DOUBLE("height"), UNIT()),                                    \
                  ARG_BLOCK("polygon", (.since = "9.0.0"),                                    \
                            ARG_INTEGER("num-vertices", .token = "BYPOLYGON"),                \
                            ARG_BLOCK("vertices", (ARG_MULTIPLE), ARG_DOUBLE("longitude"),    \
                                      ARG_DOUBLE("latitude"))))
#define KEY_AFTER(word, from)                                                              \
    {                                                                                      \
        .flags = KEY_OW | KEY_UPDATE | KEY_VARIABLE_FLAGS, .begin = KEY_BEGIN_KEYWORD,     \
        .begin_keyword = (word), .begin_index = (from), .find = KEY_FIND_RANGE, .last = 0, \
        .step = 1                                                                          \
    }

static const struct command rows[] = {
    {GEO_ROW("GEOADD", run_geoadd, -5, "3.2.0", "O(log(N))"), .parse = handler_parses_itself,
     .flags = CMD_WRITE | CMD_DENYOOM,
     .summary = "Adds members at positions, longitude before latitude, to a geo set.",
     .history = ROW_WORDS("6.2.0", "CH, NX and XX."), ROW_KEYS(KEY_AT(1, KEY_RW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0),
              ARG_ONEOF("condition", (ARG_OPTIONAL, .since = "6.2.0"), ARG_TOKEN("nx", "NX"),
                        ARG_TOKEN("xx", "XX")),
              ARG_TOKEN("change", "CH", ARG_OPTIONAL, .since = "6.2.0"),
              ARG_BLOCK("data", (ARG_MULTIPLE), ARG_DOUBLE("longitude"), ARG_DOUBLE("latitude"),
                        ARG_STRING("member")))},
    {GEO_ROW("GEODIST", run_geodist, -4, "3.2.0", "O(1)"), .parse = handler_parses_itself,
     .flags = CMD_READONLY, .summary = "Tells the distance between two members.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("member1"), ARG_STRING("member2"), UNIT(ARG_OPTIONAL))},
    {GEO_ROW("GEOHASH", run_geohash, -2, "3.2.0", "O(1)"), .flags = CMD_READONLY,
     .summary = "Tells the standard geohash texts of members.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("member", ARG_OPTIONAL, ARG_MULTIPLE))},
    {GEO_ROW("GEOPOS", run_geopos, -2, "3.2.0", "O(1)"), .flags = CMD_READONLY,
     .summary = "Tells the positions of members.", ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("member", ARG_OPTIONAL, ARG_MULTIPLE))},
    {GEO_ROW("GEORADIUS", run_georadius, -6, "3.2.0", "O(N+log(M))"),
     .parse = handler_parses_itself, .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS,
     .summary = "Tells, or stores, the members within a distance of a position.",
     .history = ROW_WORDS("6.2.0", "More options.", "7.0.0", "More options."),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS), KEY_AFTER("STORE", 6), KEY_AFTER("STOREDIST", 6)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_DOUBLE("longitude"), ARG_DOUBLE("latitude"),
              ARG_DOUBLE("radius"), UNIT(), WITH, COUNT("6.2.0"), ORDER, STORE)},
    {GEO_ROW("GEORADIUS_RO", run_georadius_ro, -6, "3.2.10", "O(N+log(M))"),
     .parse = handler_parses_itself, .flags = CMD_READONLY,
     .summary = "Tells the members within a distance of a position.",
     .history = ROW_WORDS("6.2.0", "More options.", "7.0.0", "More options."),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_DOUBLE("longitude"), ARG_DOUBLE("latitude"),
              ARG_DOUBLE("radius"), UNIT(), WITH, COUNT("6.2.0"), ORDER)},
    {GEO_ROW("GEORADIUSBYMEMBER", run_georadiusbymember, -5, "3.2.0", "O(N+log(M))"),
     .parse = handler_parses_itself, .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS,
     .summary = "Tells, or stores, the members within a distance of another.",
     .history = ROW_WORDS("6.2.0", "More options.", "7.0.0", "More options."),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS), KEY_AFTER("STORE", 5), KEY_AFTER("STOREDIST", 5)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("member"), ARG_DOUBLE("radius"), UNIT(), WITH,
              COUNT(NULL), ORDER, STORE)},
    {GEO_ROW("GEORADIUSBYMEMBER_RO", run_georadiusbymember_ro, -5, "3.2.10", "O(N+log(M))"),
     .parse = handler_parses_itself, .flags = CMD_READONLY,
     .summary = "Tells the members within a distance of another.",
     .history = ROW_WORDS("6.2.0", "More options.", "7.0.0", "More options."),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("member"), ARG_DOUBLE("radius"), UNIT(), WITH,
              COUNT(NULL), ORDER)},
    {GEO_ROW("GEOSEARCH", run_geosearch, -7, "6.2.0", "O(N+log(M))"),
     .parse = handler_parses_itself, .flags = CMD_READONLY,
     .summary = "Tells the members in a circle, a box or a polygon.",
     .history = ROW_WORDS("7.0.0", "More options.", "9.0.0", "More options."),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), FROM_AND_BY, ORDER, COUNT(NULL), WITH)},
    {GEO_ROW("GEOSEARCHSTORE", run_geosearchstore, -8, "6.2.0", "O(N+log(M))"),
     .parse = handler_parses_itself, .flags = CMD_WRITE | CMD_DENYOOM,
     .summary = "Stores the members in a circle, a box or a polygon.",
     .history = ROW_WORDS("7.0.0", "More options.", "9.0.0", "More options."),
     ROW_KEYS(KEY_AT(1, KEY_OW | KEY_UPDATE), KEY_AT(2, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("destination", 0), ARG_KEY("source", 1), FROM_AND_BY, ORDER, COUNT(NULL),
              ARG_TOKEN("storedist", "STOREDIST", ARG_OPTIONAL))},
};
const struct command_family geo_family = COMMAND_FAMILY(rows);
