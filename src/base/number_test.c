/* number_test.c - edges, as a real server decided them. */
#include "base/number.h"

#include "base/random.h"
#include "support/testing.h"

#include <math.h>
#include <stdlib.h>

static bool int_is(const char *text, int64_t expected)
{
    int64_t value;
    return number_parse_int64(slice_of(text), &value) && value == expected;
}
static bool int_bad(const char *text)
{
    int64_t value;
    return !number_parse_int64(slice_of(text), &value);
}

TEST(number, int64_is_strict)
{
    CHECK(int_is("0", 0) && int_is("-1", -1) && int_is("123456", 123456));
    CHECK(int_is("9223372036854775807", INT64_MAX) && int_is("-9223372036854775808", INT64_MIN));
    CHECK(int_bad("9223372036854775808") && int_bad("-9223372036854775809"));
    CHECK(int_bad("18446744073709551616") && int_bad("99999999999999999999"));
    CHECK(int_bad("") && int_bad("-") && int_bad("+5") && int_bad(" 5") && int_bad("5 "));
    CHECK(int_bad("05") && int_bad("-0") && int_bad("00") && int_bad("1.0") && int_bad("0x1"));
    uint64_t u;
    CHECK(number_parse_uint64(SLICE("18446744073709551615"), &u) && u == UINT64_MAX);
    CHECK(!number_parse_uint64(SLICE("18446744073709551616"), &u));
    CHECK(!number_parse_uint64(SLICE("-1"), &u));
}

TEST(number, int64_round_trips)
{
    struct random_state r;
    random_init(&r, 3);
    for (int i = 0; i < 200000; i++) {
        int64_t value = (int64_t)(random_next(&r) >> random_below(&r, 64)), back;
        char text[NUMBER_INT64_MAX_SIZE], model[32];
        if (random_below(&r, 2))
            value = (int64_t)(0 - (uint64_t)value);
        size_t size = number_format_int64(text, value);
        CHECK_EQ(size, sprintf(model, "%lld", (long long)value));
        CHECK(memcmp(text, model, size) == 0);
        CHECK(number_parse_int64((struct slice){text, size}, &back) && back == value);
    }
}

static bool prints(double value, const char *expected)
{
    char text[NUMBER_DOUBLE_MAX_SIZE];
    size_t size = number_format_double(text, value);
    if (slice_equal((struct slice){text, size}, slice_of(expected)))
        return true;
    fprintf(stderr, "  got %.*s\n", (int)size, text);
    return false;
}

TEST(number, double_as_scores_are_printed)
{
    CHECK(prints(1e7, "10000000") && prints(123456789, "123456789") &&
          prints(1e17, "100000000000000000"));
    CHECK(prints(9007199254740993, "9007199254740992") && prints(1e20, "1e+20"));
    CHECK(prints(1.5e22, "1.5e+22") && prints(0.1, "0.1") && prints(0.0001, "0.0001"));
    CHECK(prints(0.000001, "0.000001") && prints(1.5e-6, "1.5e-6") && prints(1e-7, "1e-7"));
    CHECK(prints(1.23456789e-5, "1.23456789e-5") && prints(123456.789, "123456.789"));
    CHECK(prints(1e300, "1e+300") && prints(5e-324, "5e-324") && prints(-1.5, "-1.5"));
    CHECK(prints(INFINITY, "inf") && prints(-INFINITY, "-inf") && prints(NAN, "nan"));
    CHECK(prints(0.30000000000000004, "0.30000000000000004") && prints(1e-10, "1e-10"));
}

TEST(number, double_round_trips)
{
    struct random_state r;
    random_init(&r, 4);
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = random_next(&r);
        double value;
        memcpy(&value, &bits, sizeof value);
        char text[NUMBER_DOUBLE_MAX_SIZE + 1];
        size_t size = number_format_double(text, value);
        REQUIRE(size <= NUMBER_DOUBLE_MAX_SIZE);
        text[size] = 0;
        CHECK(isnan(value) || strtod(text, NULL) == value);
    }
}

static bool double_ok(const char *text)
{
    double value;
    return number_parse_double(slice_of(text), &value);
}

TEST(number, double_accepts_what_the_peers_accept)
{
    CHECK(double_ok("1.5") && double_ok("+5") && double_ok(".5") && double_ok("5.") &&
          double_ok("0x10"));
    CHECK(double_ok("inf") && double_ok("-infinity") && double_ok("0e400") && double_ok("-0.0"));
    CHECK(!double_ok("nan") && !double_ok("") && !double_ok(" 1") && !double_ok("1 "));
    CHECK(!double_ok("1e400") && !double_ok("1e-400") && !double_ok("1_0") && !double_ok("e"));
    double value;
    CHECK(!number_parse_double((struct slice){"1\0002", 3}, &value));
}

static bool long_double_gives(const char *text, const char *expected)
{
    static char out[NUMBER_LONG_DOUBLE_SIZE];
    long double value;
    if (!number_parse_long_double(slice_of(text), &value))
        return false;
    size_t size = number_format_long_double(out, value);
    return slice_equal((struct slice){out, size}, slice_of(expected));
}

/* Beside strtod: every text of digits and points, of all lengths, that the short way takes. */
TEST(number, decimals_as_the_c_library_reads_them)
{
    struct random_state r;
    size_t taken = 0;
    random_init(&r, 3);
    for (int i = 0; i < 200000; i++) {
        char text[24], *end;
        size_t size = random_below(&r, 22), point = random_below(&r, 24);
        for (size_t at = 0; at < size; at++)
            text[at] = at == point ? '.' : (char)('0' + random_below(&r, 10));
        if (size > 0 && random_below(&r, 3) == 0)
            text[0] = "-+.ex"[random_below(&r, 5)];
        text[size] = 0;
        double value, expected = strtod(text, &end);
        if (!number_parse_decimal((struct slice){text, size}, &value))
            continue;
        CHECK(size > 0 && end == text + size);
        CHECK(memcmp(&value, &expected, sizeof value) == 0);
        taken++;
    }
    CHECK(taken > 50000);
    double value;
    CHECK(number_parse_decimal(SLICE("9007199254740992"), &value) && value == 0x1p53);
    CHECK(number_parse_decimal(SLICE("9007199254740993"), &value) && value == 0x1p53);
    CHECK(number_parse_decimal(SLICE("9007199254740995"), &value) && value == 0x1p53 + 4);
    CHECK(number_parse_decimal(SLICE("9999999999999999999"), &value) && value == 1e19);
    CHECK(!number_parse_decimal(SLICE("10000000000000000000"), &value));
    /* in the middle between two doubles, where long doubles say it exactly, or only round to it */
    CHECK(!number_parse_decimal(SLICE("9007199254740993.0"), &value));
    CHECK(!number_parse_decimal(SLICE("9007199254740993.00"), &value));
    CHECK(!number_parse_decimal(SLICE("4503599627370497.50"), &value));
    CHECK(number_parse_double(SLICE("9007199254740993.00"), &value) && value == 0x1p53);
    CHECK(number_parse_double(SLICE("9007199254740993.01"), &value) && value == 0x1p53 + 2);
    CHECK(number_parse_double(SLICE("9007199254740992.99"), &value) && value == 0x1p53);
    CHECK(!number_parse_decimal(SLICE("-"), &value) && !number_parse_decimal(SLICE("."), &value));
    CHECK(!number_parse_decimal(SLICE("-."), &value) && !number_parse_decimal(SLICE(""), &value));
}

/* The digits of 15, 16 or 17 that read back, by the C library. */
static bool shortest_by_printf(double value)
{
    char text[40], out[NUMBER_DOUBLE_MAX_SIZE + 1], expected[40];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(expected, sizeof expected, "%.*e", precision - 1, value);
        if (strtod(expected, NULL) == value)
            break;
    }
    out[number_format_double(out, value)] = 0;
    /* the same number of digits and the same digits: written anew as the C library does */
    int digits = 0;
    for (const char *p = out; *p && *p != 'e'; p++)
        digits += *p >= '0' && *p <= '9' && (digits > 0 || *p != '0');
    snprintf(text, sizeof text, "%.*e", digits - 1, strtod(out, NULL));
    char *e = strchr(expected, 'e');
    char *end = e;
    while (end[-1] == '0')
        end--;
    end -= end[-1] == '.';
    memmove(end, e, strlen(e) + 1);
    return strtod(out, NULL) == value && strcmp(text, expected) == 0;
}

/* Beside the C library: all exponents around the ones that are done by hand, decimals of every length, halves in the last
 * digit, and the neighbours of powers of two and ten. */
TEST(number, doubles_have_the_digits_of_the_c_library)
{
    struct random_state r;
    random_init(&r, 9);
    for (int i = 0; i < 300000; i++) {
        double value;
        uint64_t bits = (random_next(&r) & ((UINT64_C(1) << 52) - 1)) |
                        (1023 - 60 + random_below(&r, 130)) << 52;
        memcpy(&value, &bits, sizeof value);
        if (i % 3 == 1)
            value = (double)random_below(&r, 1 + (random_next(&r) >> (11 + random_below(&r, 50)))) /
                    pow(10, (double)random_below(&r, 20));
        if (i % 3 == 2)
            value =
                i % 2 ? (double)(random_next(&r) >> 11) / (double)(1 << random_below(&r, 20))
                      : ldexp((double)(1 + random_below(&r, 1 << 20)), -(int)random_below(&r, 60));
        if (value != floor(value))
            CHECK(shortest_by_printf(value));
    }
    for (int e = -50; e < 60; e++) {
        double near[] = {ldexp(1, e), pow(10, e)};
        for (int i = 0; i < 2; i++)
            for (int step = 0; step < 3; step++) {
                double value = step == 0 ? near[i] : nextafter(near[i], step == 1 ? 0 : INFINITY);
                if (value != floor(value))
                    CHECK(shortest_by_printf(value));
            }
    }
}

static bool shortest_gives(double value, const char *expected)
{
    char out[NUMBER_DOUBLE_MAX_SIZE + 1];
    out[number_format_shortest(out, value)] = 0;
    return strcmp(out, expected) == 0;
}

/* A whole number of 2^52 and more was shifted by a negative count; a longitude of 180 degrees has such a score. */
TEST(number, whole_numbers_above_all_fractions_in_their_shortest_form)
{
    CHECK(shortest_gives(0x1p52, "4503599627370496") &&
          shortest_gives(0x1p52 + 1, "4503599627370497"));
    CHECK(shortest_gives(0x1p53 - 1, "9007199254740991") &&
          shortest_gives(0x1p53, "9007199254740992"));
    CHECK(shortest_gives(9999999999999998.0, "9999999999999998"));
    CHECK(shortest_gives(-5e15, "-5e+15") && shortest_gives(0x1p52 - 0.5, "4503599627370495.5"));
    for (double value = 0x1p52 - 3; value < 1e16; value += 1e13 + 1) {
        char expected[40];
        snprintf(expected, sizeof expected, "%.0f", value);
        CHECK(shortest_gives(value, expected));
    }
}

/* Half of the largest int64 is 2^62 as a double, and belongs to those that are printed in full. */
TEST(number, two_to_the_62nd_in_full)
{
    char out[NUMBER_DOUBLE_MAX_SIZE + 1];
    out[number_format_double(out, 0x1p62)] = 0;
    CHECK(strcmp(out, "4611686018427387904") == 0);
    out[number_format_double(out, -0x1p62)] = 0;
    CHECK(strcmp(out, "-4611686018427387904") == 0);
}

TEST(number, long_double_in_plain_notation)
{
    CHECK(long_double_gives("1", "1") && long_double_gives("1.5", "1.5"));
    CHECK(long_double_gives("0.1", "0.1") && long_double_gives("3.0e3", "3000"));
    CHECK(long_double_gives("1e-17", "0.00000000000000001") && long_double_gives("1e-18", "0"));
    CHECK(long_double_gives("1e20", "100000000000000000000") && long_double_gives("-0.0", "0"));
    CHECK(long_double_gives("0x10", "16") && long_double_gives("+5", "5"));
    long double value;
    CHECK(!number_parse_long_double(SLICE("1e5000"), &value));
    CHECK(number_parse_long_double(SLICE("1e4900"), &value));
}
