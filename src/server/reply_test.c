/* reply_test.c - encodings in both protocols, blocks, holes, rewinding, limits, and the queue of what
 * is not sent yet.
 */
#include "server/output.h"

#include "support/testing.h"

#include <stdlib.h>

static char lent[256];

/* All bytes of r as one text. */
static char *bytes_of(struct reply *r, size_t *size)
{
    static struct iovec vec[4096];
    int count = reply_parts(r, vec, 4096);
    *size = 0;
    char *all = malloc(reply_size(r) + 1);
    REQUIRE(all != NULL);
    for (int i = 0; i < count; i++) {
        memcpy(all + *size, vec[i].iov_base, vec[i].iov_len);
        *size += vec[i].iov_len;
    }
    CHECK_EQ(*size, reply_size(r));
    all[*size] = '\0';
    return all;
}

static void expect(struct reply *r, const char *expected)
{
    size_t size;
    char *all = bytes_of(r, &size);
    if (strcmp(all, expected) != 0)
        test_fail(__FILE__, __LINE__, "wrote %s, expected %s", all, expected);
    free(all);
    reply_clear(r);
}

static struct reply opened(int protocol)
{
    struct reply r;
    reply_open(&r, lent, sizeof lent, protocol);
    return r;
}

TEST(reply, scalars)
{
    struct reply r = opened(2);
    reply_ok(&r), expect(&r, "+OK\r\n");
    reply_simple(&r, "a\r\nb"), expect(&r, "+a  b\r\n");
    reply_integer(&r, 0), expect(&r, ":0\r\n");
    reply_integer(&r, 9), expect(&r, ":9\r\n");
    reply_integer(&r, -1), expect(&r, ":-1\r\n");
    reply_integer(&r, INT64_MIN), expect(&r, ":-9223372036854775808\r\n");
    reply_bulk(&r, SLICE("hello")), expect(&r, "$5\r\nhello\r\n");
    reply_bulk(&r, (struct slice){0}), expect(&r, "$0\r\n\r\n");
    reply_bulk_integer(&r, 1234), expect(&r, "$4\r\n1234\r\n");
    reply_bulkf(&r, "%d-%s", 7, "x"), expect(&r, "$3\r\n7-x\r\n");
    reply_null(&r), expect(&r, "$-1\r\n");
    reply_null_array(&r), expect(&r, "*-1\r\n");
    reply_boolean(&r, true), expect(&r, ":1\r\n");
    reply_double(&r, 1.5), expect(&r, "$3\r\n1.5\r\n");
    reply_big_number(&r, SLICE("123")), expect(&r, "$3\r\n123\r\n");
    reply_verbatim(&r, "txt", SLICE("abc")), expect(&r, "$3\r\nabc\r\n");
    reply_attribute(&r, 1), expect(&r, "");
    reply_close(&r);
}

TEST(reply, scalars_of_resp3)
{
    struct reply r = opened(3);
    reply_null(&r), expect(&r, "_\r\n");
    reply_null_array(&r), expect(&r, "_\r\n");
    reply_boolean(&r, true), expect(&r, "#t\r\n");
    reply_boolean(&r, false), expect(&r, "#f\r\n");
    reply_double(&r, 1.5), expect(&r, ",1.5\r\n");
    reply_big_number(&r, SLICE("123")), expect(&r, "(123\r\n");
    reply_verbatim(&r, "txt", SLICE("abc")), expect(&r, "=7\r\ntxt:abc\r\n");
    reply_attribute(&r, 1), expect(&r, "|1\r\n");
    reply_close(&r);
}

TEST(reply, aggregates)
{
    struct reply r = opened(2);
    reply_array(&r, 10), expect(&r, "*10\r\n");
    reply_map(&r, 2), expect(&r, "*4\r\n");
    reply_set(&r, 2), expect(&r, "*2\r\n");
    reply_push(&r, 2), expect(&r, "*2\r\n");
    reply_set_protocol(&r, 3);
    reply_map(&r, 2), expect(&r, "%2\r\n");
    reply_set(&r, 2), expect(&r, "~2\r\n");
    reply_push(&r, 2), expect(&r, ">2\r\n");
    reply_close(&r);
}

static int errors_counted;
static void count(void *context, struct slice code)
{
    errors_counted++;
    CHECK(slice_equal(code, slice_of(context)));
}

TEST(reply, errors)
{
    struct reply r = opened(2);
    r.count_error = count;
    r.count_context = "WRONGTYPE";
    CHECK(!reply_had_error(&r));
    reply_error(&r, "WRONGTYPE a\nb");
    CHECK(reply_had_error(&r));
    expect(&r, "-WRONGTYPE a b\r\n");
    r.count_context = "NOAUTH";
    reply_errorf(&r, "%s", "NOAUTH");
    expect(&r, "-NOAUTH\r\n");
    CHECK_EQ(errors_counted, 2);
    reply_reset_error(&r);
    CHECK(!reply_had_error(&r));
    reply_close(&r);
}

TEST(reply, long_texts)
{
    struct reply r = opened(2);
    reply_bulkf(&r, "%01000d", 1);
    size_t size;
    char *all = bytes_of(&r, &size);
    CHECK_EQ(size, 7 + 1000 + 2);
    CHECK(memcmp(all, "$1000\r\n0", 8) == 0 && memcmp(all + size - 3, "1\r\n", 3) == 0);
    free(all);
    reply_close(&r);
}

TEST(reply, deferred)
{
    struct reply r = opened(3);
    reply_ok(&r);
    struct reply_mark outer = reply_deferred_begin(&r);
    struct reply_mark inner = reply_deferred_begin(&r);
    reply_integer(&r, 1);
    reply_deferred_set(&r, inner, 1);
    struct reply_mark empty = reply_deferred_begin(&r);
    reply_deferred_array(&r, empty, 0);
    reply_integer(&r, 2);
    reply_deferred_map(&r, outer, 1000000);
    reply_integer(&r, 3);
    expect(&r, "+OK\r\n%1000000\r\n~1\r\n:1\r\n*0\r\n:2\r\n:3\r\n");
    reply_close(&r);
}

/* Holes in the lent buffer and in blocks, with values that force new blocks between. */
TEST(reply, deferred_over_blocks)
{
    struct reply r = opened(2);
    char *value = malloc(40000);
    REQUIRE(value != NULL);
    memset(value, 'v', 40000);
    struct reply_mark a = reply_deferred_begin(&r);
    reply_bulk(&r, (struct slice){value, 40000});
    struct reply_mark b = reply_deferred_begin(&r);
    reply_bulk(&r, (struct slice){value, 20000});
    reply_integer(&r, 5);
    reply_deferred_array(&r, b, 2);
    reply_deferred_array(&r, a, 2);
    reply_integer(&r, 6);
    size_t size;
    char *all = bytes_of(&r, &size);
    CHECK_EQ(size, 4 + (8 + 40000 + 2) + 4 + (8 + 20000 + 2) + 4 + 4);
    CHECK(memcmp(all, "*2\r\n$40000\r\nvv", 14) == 0);
    CHECK(memcmp(all + 4 + 40010, "*2\r\n$20000\r\nvv", 14) == 0);
    CHECK(memcmp(all + size - 10, "\r\n:5\r\n:6\r\n", 10) == 0);
    free(all);
    free(value);
    reply_close(&r);
}

TEST(reply, rewind)
{
    struct reply r = opened(2);
    reply_ok(&r);
    struct reply_mark mark = reply_position(&r);
    for (int i = 0; i < 10000; i++)
        reply_integer(&r, i);
    CHECK(r.block_bytes > 0);
    reply_rewind(&r, mark);
    CHECK_EQ(r.block_bytes, 0);
    reply_integer(&r, 1);
    expect(&r, "+OK\r\n:1\r\n");
    for (int i = 0; i < 10000; i++)
        reply_integer(&r, 7);
    mark = reply_position(&r);
    size_t before = reply_size(&r), bytes = r.block_bytes;
    for (int i = 0; i < 10000; i++)
        reply_integer(&r, 8);
    reply_rewind(&r, mark);
    CHECK_EQ(reply_size(&r), before);
    CHECK_EQ(r.block_bytes, bytes);
    reply_close(&r);
}

TEST(reply, limit)
{
    struct reply r = opened(2);
    char value[1000] = {0};
    r.limit_bytes = 100000;
    for (int i = 0; i < 1000; i++)
        reply_bulk(&r, (struct slice){value, sizeof value});
    CHECK(r.overflow);
    CHECK(r.block_bytes <= 120000);
    struct reply_mark mark = reply_deferred_begin(&r);
    reply_deferred_array(&r, mark, 3);
    reply_rewind(&r, mark);
    reply_close(&r);
}

/* What is queued comes out in order, whatever part was sent at once and in whatever steps. */
TEST(output, keeps_order)
{
    srand(1);
    for (int round = 0; round < 40; round++) {
        struct output o = {0};
        size_t written = 0, read = 0;
        struct reply r = opened(2);
        for (int step = 0; step < 20; step++) {
            size_t before = written;
            int lines = rand() % 3 == 0 ? rand() % 6000 : rand() % 20;
            for (int i = 0; i < lines; i++) {
                char bytes[7];
                snprintf(bytes, sizeof bytes, "%05zu\n", written / 6 % 100000);
                reply_raw(&r, (struct slice){bytes, 6});
                written += 6;
            }
            size_t sent = output_pending(&o) ? 0 : (size_t)rand() % (written - before + 1);
            read += sent;
            REQUIRE(output_append(&o, &r, sent));
            output_verify(&o);
            CHECK_EQ(reply_size(&r), 0);
            while (output_pending(&o) && rand() % 4) {
                struct iovec vec[3];
                int count = output_parts(&o, vec, 3);
                REQUIRE(count > 0);
                size_t take = 1 + (size_t)rand() % vec[0].iov_len;
                for (size_t i = 0; i < take; i++) {
                    char digits[7];
                    snprintf(digits, sizeof digits, "%05zu\n", (read + i) / 6 % 100000);
                    if (((char *)vec[0].iov_base)[i] != digits[(read + i) % 6]) {
                        test_fail(__FILE__, __LINE__, "byte %zu is wrong", read + i);
                        return;
                    }
                }
                output_sent(&o, take);
                output_verify(&o);
                read += take;
            }
        }
        output_release(&o);
        reply_close(&r);
    }
}

/* ---- sources ---- */

/* Makes the lines of `next` .. `end` - 1. */
struct counter {
    struct reply_source source;
    size_t next, end;
};
static int counters;

static bool count_more(struct reply_source *source, struct reply *r, size_t bytes)
{
    struct counter *c = (struct counter *)source;
    size_t begin = reply_size(r);
    while (c->next < c->end && reply_size(r) - begin < bytes) {
        char line[8];
        snprintf(line, sizeof line, "%05zu\n", c->next++ % 100000);
        reply_raw(r, (struct slice){line, 6});
    }
    return c->next < c->end;
}

static void count_free(struct reply_source *source)
{
    counters--;
    free(source);
}

static void count_from(struct reply *r, size_t first, size_t count)
{
    struct counter *c = malloc(sizeof *c);
    REQUIRE(c != NULL);
    *c = (struct counter){{count_more, count_free, 5000}, first, first + count};
    counters++;
    reply_from(r, &c->source);
}

/* What sources make comes in its place, in pieces, whatever is written before and behind it. */
TEST(source, queue_model)
{
    srand(12);
    for (int round = 0; round < 40; round++) {
        struct output o = {0};
        size_t lines = 0, read = 0;
        struct reply r = opened(2);
        for (int step = 0; step < 20; step++) {
            for (int part = rand() % 4; part > 0; part--) {
                size_t count = rand() % 3 == 0 ? (size_t)rand() % 6000 : (size_t)rand() % 20;
                if (rand() % 2)
                    count_from(&r, lines, count);
                else
                    for (size_t i = 0; i < count; i++) {
                        char line[8];
                        snprintf(line, sizeof line, "%05zu\n", (lines + i) % 100000);
                        reply_raw(&r, (struct slice){line, 6});
                    }
                lines += count;
            }
            size_t sent = 0;
            struct iovec vec[3];
            if (!output_pending(&o) && reply_parts(&r, vec, 1) == 1)
                sent = (size_t)rand() % (vec[0].iov_len + 1);
            read += sent;
            REQUIRE(output_append(&o, &r, sent));
            output_verify(&o);
            CHECK(!r.has_source);
            while (output_pending(&o) && (rand() % 8 || step == 19)) {
                REQUIRE(output_fill(&o, 1 + (size_t)rand() % 30000));
                output_verify(&o);
                CHECK(o.bytes < 400 * 1024);
                int count = output_parts(&o, vec, 3);
                if (count == 0)
                    continue;
                size_t take = 1 + (size_t)rand() % vec[0].iov_len;
                for (size_t i = 0; i < take; i++) {
                    char line[8];
                    snprintf(line, sizeof line, "%05zu\n", (read + i) / 6 % 100000);
                    if (((char *)vec[0].iov_base)[i] != line[(read + i) % 6]) {
                        test_fail(__FILE__, __LINE__, "byte %zu is wrong", read + i);
                        return;
                    }
                }
                output_sent(&o, take);
                output_verify(&o);
                read += take;
            }
        }
        CHECK_EQ(read, 6 * lines);
        CHECK_EQ(counters, 0);
        reply_close(&r);
    }
}

TEST(source, is_freed_wherever_a_reply_ends)
{
    struct reply r = opened(2);
    count_from(&r, 0, 10);
    reply_clear(&r);
    CHECK_EQ(counters, 0);
    reply_integer(&r, 1);
    count_from(&r, 0, 10);
    struct reply_mark mark = reply_position(&r);
    reply_integer(&r, 2);
    count_from(&r, 0, 10);
    CHECK_EQ(counters, 2);
    reply_rewind(&r, mark); /* to right behind the first: nothing may be written into that block */
    CHECK_EQ(counters, 1);
    CHECK(r.has_source);
    reply_integer(&r, 3);
    CHECK_EQ(reply_size(&r), 8);
    reply_close(&r);
    CHECK_EQ(counters, 0);

    r = opened(2);
    r.limit_bytes = 9000;
    count_from(&r, 0, 10);
    count_from(&r, 0, 10); /* 5000 bytes each */
    CHECK(r.overflow);
    CHECK_EQ(counters, 0);
    count_from(&r, 0, 10);
    CHECK_EQ(counters, 0);
    reply_close(&r);

    struct output o = {0};
    r = opened(2);
    count_from(&r, 0, 10);
    REQUIRE(output_append(&o, &r, 0));
    CHECK_EQ(o.bytes, sizeof(struct output_block) + 5000);
    output_release(&o);
    CHECK_EQ(counters, 0);
    reply_close(&r);
}
