/* resp_parse_test.c - commands, limits and errors; each input also in all two-piece splits and byte
 * by byte, with the buffer at a new address each time.
 */
#include "server/resp_parse.h"

#include "support/testing.h"

#include <stdlib.h>

static const struct resp_limits usual = {512 * 1024 * 1024, true};
static const struct resp_limits stranger = {512 * 1024 * 1024, false};

/* What an input gave: words joined by | and commands ended by ;, then the error. */
struct outcome {
    char text[8192];
    size_t used;
    bool failed;
};

static void note(struct outcome *o, const char *bytes, size_t size)
{
    REQUIRE(o->used + size < sizeof o->text);
    memcpy(o->text + o->used, bytes, size);
    o->used += size;
    o->text[o->used] = '\0';
}

/* Feeds input in pieces that end at cuts[]; the kept part moves to a block of its exact size. */
static void feed(const char *input, size_t size, const size_t *cuts, size_t cut_count,
                 const struct resp_limits *limits, struct outcome *o)
{
    struct slice words[4];
    struct resp_parser p;
    char *kept = NULL;
    size_t kept_size = 0, from = 0;
    resp_parser_init(&p, words, 4);
    for (size_t i = 0; i <= cut_count && !o->failed; i++) {
        size_t to = i < cut_count ? cuts[i] : size;
        char *bytes = malloc(kept_size + to - from + 1);
        REQUIRE(bytes != NULL);
        if (kept_size > 0)
            memcpy(bytes, kept, kept_size);
        memcpy(bytes + kept_size, input + from, to - from);
        resp_parser_move(&p, kept, bytes);
        free(kept);
        kept = bytes;
        kept_size += to - from;
        from = to;
        char *at = kept;
        size_t left = kept_size;
        for (;;) {
            enum resp_result result = resp_parse(&p, at, left, limits);
            CHECK(p.position <= left);
            if (result == RESP_MORE) {
                CHECK(resp_parser_wanted(&p, left) > left);
                break;
            }
            if (result == RESP_ERROR) {
                note(o, p.error, strlen(p.error));
                o->failed = true;
                break;
            }
            for (size_t w = 0; w < p.argc; w++) {
                note(o, "|", w > 0);
                note(o, p.argv[w].data, p.argv[w].size);
            }
            note(o, ";", 1);
            at += p.position;
            left -= p.position;
            resp_parser_next(&p, words, 4);
        }
        if (!o->failed) {
            REQUIRE(resp_parser_detach(&p));
            char *rest = malloc(left + 1);
            REQUIRE(rest != NULL);
            memcpy(rest, at, left);
            resp_parser_move(&p, at, rest);
            free(kept);
            kept = rest;
            kept_size = left;
        }
    }
    free(kept);
    resp_parser_release(&p);
}

static void expect_limits(const char *input, size_t size, const char *expected,
                          const struct resp_limits *limits)
{
    static size_t every[8192];
    struct outcome o = {.used = 0};
    feed(input, size, NULL, 0, limits, &o);
    if (strcmp(o.text, expected) != 0)
        test_fail(__FILE__, __LINE__, "%s gave %s, expected %s", input, o.text, expected);
    for (size_t cut = 1; cut < size && size < 400; cut++) {
        o = (struct outcome){.used = 0};
        feed(input, size, &cut, 1, limits, &o);
        if (strcmp(o.text, expected) != 0)
            test_fail(__FILE__, __LINE__, "%s cut at %zu gave %s", input, cut, o.text);
    }
    REQUIRE(size < 8192);
    for (size_t i = 0; i + 1 < size; i++)
        every[i] = i + 1;
    o = (struct outcome){.used = 0};
    feed(input, size, every, size ? size - 1 : 0, limits, &o);
    if (strcmp(o.text, expected) != 0)
        test_fail(__FILE__, __LINE__, "%s byte by byte gave %s", input, o.text);
}

#define EXPECT(input, expected)   expect_limits(input, sizeof(input) - 1, expected, &usual)
#define STRANGER(input, expected) expect_limits(input, sizeof(input) - 1, expected, &stranger)
#define ERROR(text)               "ERR Protocol error: " text

TEST(resp_parse, multibulk)
{
    EXPECT("*1\r\n$4\r\nPING\r\n", "PING;");
    EXPECT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\nhello\r\nworld\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n",
           "SET|k|hello\r\nworld;GET|;");
    EXPECT("*0\r\n*-1\r\n*-2147483649\r\n*1\r\n$1\r\nx\r\n", ";;;x;");
    EXPECT(
        "*6\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n6\r\n*1\r\n$1\r\n7\r\n",
        "1|2|3|4|5|6;7;");
    EXPECT("*1\r\n$11\r\n12345678901\r\n*10\r\n", "12345678901;");
}

TEST(resp_parse, multibulk_errors)
{
    EXPECT("*abc\r\n", ERROR("invalid multibulk length"));
    EXPECT("*\r\n", ERROR("invalid multibulk length"));
    EXPECT("*+1\r\n", ERROR("invalid multibulk length"));
    EXPECT("*01\r\n", ERROR("invalid multibulk length"));
    EXPECT("* 1\r\n", ERROR("invalid multibulk length"));
    EXPECT("*-0\r\n", ERROR("invalid multibulk length"));
    EXPECT("*2147483648\r\n", ERROR("invalid multibulk length"));
    EXPECT("*99999999999999999999\r\n", ERROR("invalid multibulk length"));
    EXPECT("*2147483647\r\n$1\r\na\r\n$-2\r\n", ERROR("invalid bulk length"));
    EXPECT("*1\rX", ERROR("invalid CRLF in request"));
    EXPECT("*1\r\n+PING\r\n", ERROR("expected '$', got '+'"));
    EXPECT("*1\r\n\r\n", ERROR("expected '$', got ' '"));
    EXPECT("*1\r\n$abc\r\n", ERROR("invalid bulk length"));
    EXPECT("*1\r\n$-1\r\n", ERROR("invalid bulk length"));
    EXPECT("*1\r\n$-0\r\n", ERROR("invalid bulk length"));
    EXPECT("*1\r\n$536870913\r\n", ERROR("invalid bulk length"));
    EXPECT("*1\r\n$536870912\r\n", "");
    EXPECT("*1\r\n$4\r\nPINGxx*1\r\n", ERROR("invalid CRLF in request"));
    EXPECT("*1\r\n$4\r\nPINGX", "");
    EXPECT("*1\r\n$4\r\nPING\r\n*1\r\n!\r\n", "PING;" ERROR("expected '$', got '!'"));
}

TEST(resp_parse, unauthenticated)
{
    STRANGER("*10\r\n", "");
    STRANGER("*11\r\n", ERROR("unauthenticated multibulk length"));
    STRANGER("*1\r\n$16384\r\n", "");
    STRANGER("*1\r\n$16385\r\n", ERROR("unauthenticated bulk length"));
}

TEST(resp_parse, inline_words)
{
    EXPECT("PING\r\n", "PING;");
    EXPECT("PING\n\r\n  \t ECHO  a \r\n", "PING;;ECHO|a;");
    EXPECT("ECHO 'a b' \"c d\"\r\n", "ECHO|a b|c d;");
    EXPECT("ECHO \"a\\x41\\n\\r\\t\\a\\b\\q\\\"b\"\r\n", "ECHO|aA\n\r\t\a\bq\"b;");
    EXPECT("ECHO 'a\\'b\\n'\r\n", "ECHO|a'b\\n;");
    EXPECT("ECHO a\"b c\"d\r\n", "ECHO|ab cd;");
    EXPECT("ECHO \"a\"b 'c'd\r\n", "ECHO|ab|cd;");
    EXPECT("ECHO \"\"\r\n\"\"\r\n", "ECHO|;;");
    EXPECT("ECHO \"\\xg1\\x4\"\r\n", "ECHO|xg1x4;");
    EXPECT("ECHO 'a\\'\r\n", "ECHO|a\\;");
    EXPECT("ECHO \"b\\\"\r\nECHO 'a\\\\'\r\n", "ECHO|b\\;ECHO|a\\\\;");
    EXPECT("ECHO \"a\"\"b\"'c'd\r\n", "ECHO|abcd;");
    EXPECT("PING\rPING\n", "PING|PING;");
    EXPECT("ECHO \"abc\rd\"\r\n", "ECHO|abc\rd;");
    EXPECT("PING a\vb\r\n", "PING|a\vb;");
    EXPECT("PING\r\n*1\r\n$1\r\nx\r\nlast\r\n", "PING;x;last;");
}

TEST(resp_parse, inline_errors)
{
    EXPECT("SET \"a\r\n", ERROR("unbalanced quotes in request"));
    EXPECT("SET 'a\r\n", ERROR("unbalanced quotes in request"));
    EXPECT("\"\r\n", ERROR("unbalanced quotes in request"));
    EXPECT("a \"b\\\" \r\n", ERROR("unbalanced quotes in request"));
    EXPECT("a 'b\\' \r\n", ERROR("unbalanced quotes in request"));
    EXPECT("ECHO a\0b\r\n", "");
}

/* Input of one byte repeated, behind a start; whole only, it is long. */
static void expect_long(const char *start, char fill, size_t count, const char *end,
                        const char *expected)
{
    size_t size = strlen(start) + count + strlen(end);
    char *input = malloc(size);
    REQUIRE(input != NULL);
    memcpy(input, start, strlen(start));
    memset(input + strlen(start), fill, count);
    memcpy(input + strlen(start) + count, end, strlen(end));
    for (int pieces = 1; pieces <= 3; pieces++) {
        struct outcome o = {.used = 0};
        size_t cuts[2] = {size / 3, size - 1};
        feed(input, size, cuts, (size_t)pieces - 1, &usual, &o);
        if (strcmp(o.text, expected) != 0)
            test_fail(__FILE__, __LINE__, "%s...: gave %.100s, expected %s", start, o.text,
                      expected);
    }
    free(input);
}

TEST(resp_parse, long_lines)
{
    expect_long("", 'x', RESP_LINE_MAX, "", "");
    expect_long("", 'x', RESP_LINE_MAX + 1, "", ERROR("too big inline request"));
    expect_long("", ' ', RESP_LINE_MAX, "\n", ";");
    expect_long("", ' ', RESP_LINE_MAX + 1, "\n", ERROR("too big inline request"));
    expect_long("*", '1', RESP_LINE_MAX + 1, "", ERROR("too big mbulk count string"));
    expect_long("*1\r\n$", '1', RESP_LINE_MAX + 1, "", ERROR("too big bulk count string"));
    expect_long("*1\r\n", 'x', RESP_LINE_MAX + 1, "", ERROR("too big bulk count string"));
}

/* A million announced words cost memory only as they come. */
TEST(resp_parse, announced_is_not_allocated)
{
    static const char input[] = "*2147483647\r\n$1\r\na\r\n";
    struct slice words[2];
    struct resp_parser p;
    char bytes[sizeof input];
    memcpy(bytes, input, sizeof input);
    resp_parser_init(&p, words, 2);
    CHECK_EQ(resp_parse(&p, bytes, sizeof input - 1, &usual), RESP_MORE);
    CHECK_EQ(p.argc, 1);
    CHECK_EQ(resp_parser_memory(&p), 0);
    resp_parser_release(&p);
}

TEST(resp_parse, wanted_tells_a_bulk)
{
    char bytes[] = "*1\r\n$1000\r\nabc";
    struct slice words[2];
    struct resp_parser p;
    resp_parser_init(&p, words, 2);
    CHECK_EQ(resp_parse(&p, bytes, sizeof bytes - 1, &usual), RESP_MORE);
    CHECK_EQ(resp_parser_wanted(&p, sizeof bytes - 1), 4 + 7 + 1000 + 2);
    resp_parser_release(&p);
}
