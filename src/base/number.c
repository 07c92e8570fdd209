/* number.c - see number.h.
 *
 * Integers by hand: they are on the path of every SET. Doubles of usual size by hand too, others through
 * the C library, which takes a microsecond: the shortest form is the one of 15, 16 or 17 digits that
 * reads back (a double that has a form of at most 15 digits shows it at 15), laid out by the rule that
 * all Redis-like servers share: plain notation while it is not much longer than the digits, scientific
 * otherwise.
 */
#include "base/number.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool parse_digits(const char *p, size_t size, uint64_t *out)
{
    if (size == 0 || size > 20 || (p[0] == '0' && size > 1))
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned digit = (unsigned char)p[i] - (unsigned)'0';
        if (digit > 9)
            return false;
        if (i == 19 && (value > UINT64_MAX / 10 || value * 10 > UINT64_MAX - digit))
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

bool number_parse_uint64(struct slice text, uint64_t *out)
{
    return parse_digits(text.data, text.size, out);
}

bool number_parse_int64(struct slice text, int64_t *out)
{
    uint64_t magnitude;
    bool negative = text.size > 0 && text.data[0] == '-';
    if (!parse_digits(text.data + negative, text.size - negative, &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + negative || (negative && magnitude == 0))
        return false;
    *out = (int64_t)(negative ? 0 - magnitude : magnitude);
    return true;
}

size_t number_format_uint64(char *out, uint64_t value)
{
    static const char pairs[] = "0001020304050607080910111213141516171819"
                                "2021222324252627282930313233343536373839"
                                "4041424344454647484950515253545556575859"
                                "6061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    char buffer[20], *p = buffer + sizeof buffer;
    while (value >= 100) {
        p -= 2;
        memcpy(p, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        p -= 2;
        memcpy(p, pairs + value * 2, 2);
    } else {
        *--p = (char)('0' + value);
    }
    size_t size = (size_t)(buffer + sizeof buffer - p);
    memcpy(out, p, size);
    return size;
}

size_t number_format_int64(char *out, int64_t value)
{
    if (value >= 0)
        return number_format_uint64(out, (uint64_t)value);
    *out = '-';
    return 1 + number_format_uint64(out + 1, 0 - (uint64_t)value);
}

/* Copies text for strtold, which needs a terminator: false if it cannot be a number. */
static bool terminate(struct slice text, char *buffer, size_t capacity)
{
    if (text.size == 0 || text.size >= capacity)
        return false;
    char c = text.data[0];
    if (c == ' ' || (c >= '\t' && c <= '\r') || memchr(text.data, 0, text.size))
        return false;
    memcpy(buffer, text.data, text.size);
    buffer[text.size] = 0;
    return true;
}

/* True if a digit other than zero stands before the exponent. */
static bool has_nonzero_digit(const char *p)
{
    if (*p == '+' || *p == '-')
        p++;
    bool hex = p[0] == '0' && (p[1] | 32) == 'x';
    for (p += hex ? 2 : 0; *p; p++) {
        int c = *p | 32;
        if (c == (hex ? 'p' : 'e'))
            return false;
        if ((c >= '1' && c <= '9') || (hex && c >= 'a' && c <= 'f'))
            return true;
    }
    return false;
}

/* What strtod says with ERANGE, without errno: infinity from digits, zero from a non-zero text. */
static bool out_of_range(const char *text, bool infinite, bool zero)
{
    const char *p = text + (*text == '+' || *text == '-');
    return (infinite && (*p | 32) != 'i') || (zero && has_nonzero_digit(text));
}

bool number_parse_long_double(struct slice text, long double *out)
{
    char buffer[NUMBER_LONG_DOUBLE_SIZE], *end;
    if (!terminate(text, buffer, sizeof buffer))
        return false;
    long double value = strtold(buffer, &end);
    if (end != buffer + text.size || isnan(value) || out_of_range(buffer, isinf(value), value == 0))
        return false;
    *out = value;
    return true;
}

/* More than 53 bits divided by a power of ten, where long doubles have 64: rounded twice, which is wrong only if the first
 * rounding gave what lies in the middle between two doubles. False: it did, or there are no such long doubles. */
static bool divide_long(uint64_t mantissa, double power, double *out)
{
#if LDBL_MANT_DIG == 64
    enum { LOW = (1 << (LDBL_MANT_DIG - DBL_MANT_DIG)) - 1, MIDDLE = (LOW + 1) / 2 };
    long double value = (long double)mantissa / (long double)power;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    *out = (double)value;
    return (bits & LOW) != MIDDLE;
#else
    return false;
#endif
}

/* Up to 53 bits divided by a power of ten that is a double too are rounded once, hence as strtod rounds. */
bool number_parse_decimal(struct slice text, double *out)
{
    enum { DIGITS = 19 }; /* so many fit 64 bits */
    static const double powers[DIGITS] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                          1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
    const char *p = text.data, *end = p + text.size, *point = NULL;
    bool negative = text.size > 0 && *p == '-';
    uint64_t mantissa = 0;
    p += negative;
    if (p == end || end - p > DIGITS)
        return false;
    for (size_t digits = (size_t)(end - p); p < end; p++) {
        unsigned digit = (unsigned char)*p - (unsigned)'0';
        if (digit <= 9)
            mantissa = mantissa * 10 + digit;
        else if (*p == '.' && !point && digits > 1)
            point = p;
        else
            return false;
    }
    double value = (double)mantissa, power = point ? powers[end - point - 1] : 1;
    if (mantissa > UINT64_C(1) << 53 && point) {
        if (!divide_long(mantissa, power, &value))
            return false;
    } else {
        value /= power;
    }
    *out = negative ? -value : value;
    return true;
}

bool number_parse_double(struct slice text, double *out)
{
    char buffer[1024], *end;
    if (number_parse_decimal(text, out))
        return true;
    if (!terminate(text, buffer, sizeof buffer))
        return false;
    double value = strtod(buffer, &end);
    if (end != buffer + text.size || isnan(value) || out_of_range(buffer, isinf(value), value == 0))
        return false;
    *out = value;
    return true;
}

/* True if the text lies exactly between two whole doubles, of which `value` is one: it reads back as that, but the digest of the peers does
 * not take it. Only number_format_shortest comes here with whole numbers below 2^62. */
static bool is_tie(const char *text, double value)
{
    long double there = strtold(text, NULL), half = (nextafter(value, INFINITY) - value) / 2;
    return value >= 0x1p53 && value < 0x1p62 && fabsl(there - value) == half;
}

static int without_zeros(const char *digits, int count)
{
    while (count > 1 && digits[count - 1] == '0')
        count--;
    return count;
}

/* clang-format off */
static const uint64_t five_to[] = {
    1, 5, 25, 125, 625, 3125, 15625, 78125, 390625, 1953125, 9765625, 48828125, 244140625,
    1220703125, 6103515625, 30517578125, 152587890625, 762939453125, 3814697265625,
    19073486328125, 95367431640625, 476837158203125, 2384185791015625, 11920928955078125,
    59604644775390625, 298023223876953125, 1490116119384765625, 7450580596923828125,
};
/* clang-format on */

/* The shortest digits of a value between 1e-10 and 2^52 (there are only whole numbers above, for which the shift would be
 * negative); 0: it is not. Such a value times a power of ten fits 128 bits exactly, so what printf and strtod say of it is one multiplication, a shift and a comparison:
 *
 *     value = mantissa * 2^exponent,   value * 10^q = mantissa * 5^q / 2^shift,   shift = -(exponent + q)
 *
 * and rounded to a whole number it reads back if it is nearer than half a unit of the mantissa, 5^q / 2. */
static int exact_digits(double value, char digits[18], int *point)
{
    enum { SHORT = 15, LONG = 17 };
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1), mantissa = fraction | UINT64_C(1) << 52;
    int exponent = (int)(bits >> 52) - 1075;
    if (!(value > 1e-10 && value < 0x1p52))
        return 0;
    /* the decimal exponent of the power of two below; the value's is that or one more */
    int scale = ((exponent + 52) * 78913) >> 18;
    unsigned __int128 product = (unsigned __int128)mantissa * five_to[LONG - 1 - scale];
    if (product >> -(exponent + LONG - 1 - scale) >= UINT64_C(100000000000000000))
        scale++;
    for (int size = SHORT; size <= LONG; size++) {
        int q = size - 1 - scale, shift = -(exponent + q);
        if (q < 0)
            continue; /* a whole number does not read back */
        uint64_t five = five_to[q];
        product = (unsigned __int128)mantissa * five;
        uint64_t whole = (uint64_t)(product >> shift);
        unsigned __int128 unit = (unsigned __int128)1 << shift, rest = product & (unit - 1);
        bool up = 2 * rest > unit || (2 * rest == unit && (whole & 1));
        unsigned __int128 error = up ? unit - rest : rest;
        whole += up;
        /* below a power of two the doubles are twice as near */
        unsigned __int128 twice = fraction == 0 && !up ? 4 * error : 2 * error;
        if (size < LONG && !(twice < five || (twice == five && mantissa % 2 == 0)))
            continue;
        int count = (int)number_format_uint64(digits, whole);
        *point = scale + 1 + count - size;
        return without_zeros(digits, count);
    }
    return 0;
}

/* The shortest digits of a finite value > 0: value = 0.d1d2d3... * 10^(*point). */
static int shortest_digits(double value, char digits[18], int *point)
{
    char text[40];
    int short_count = exact_digits(value, digits, point);
    if (short_count > 0)
        return short_count;
    int precision = value < 2.3e-308 ? 1 : 15; /* denormals have fewer than 15 */
    for (; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision - 1, value);
        if (strtod(text, NULL) == value && !is_tie(text, value))
            break;
    }
    if (precision == 17)
        snprintf(text, sizeof text, "%.16e", value);
    char *e = strchr(text, 'e');
    *point = atoi(e + 1) + 1;
    int count = 0;
    for (char *p = text; p < e; p++)
        if (*p != '.')
            digits[count++] = *p;
    return without_zeros(digits, count);
}

static size_t layout(char *out, const char *digits, int count, int point)
{
    char *p = out;
    int zeros = point - count; /* value = digits * 10^zeros */
    int exponent = point - 1, magnitude = exponent < 0 ? -exponent : exponent;
    if (zeros >= 0 && magnitude < count + 7) {
        memcpy(p, digits, (size_t)count);
        memset(p + count, '0', (size_t)zeros);
        return (size_t)(count + zeros);
    }
    if (zeros < 0 && (zeros > -7 || magnitude < 4)) {
        if (point <= 0) {
            *p++ = '0';
            *p++ = '.';
            memset(p, '0', (size_t)-point);
            p += -point;
            memcpy(p, digits, (size_t)count);
            return (size_t)(p + count - out);
        }
        memcpy(p, digits, (size_t)point);
        p[point] = '.';
        memcpy(p + point + 1, digits + point, (size_t)(count - point));
        return (size_t)(count + 1);
    }
    *p++ = digits[0];
    if (count > 1) {
        *p++ = '.';
        memcpy(p, digits + 1, (size_t)count - 1);
        p += count - 1;
    }
    *p++ = 'e';
    *p++ = exponent < 0 ? '-' : '+';
    p += number_format_uint64(p, (uint64_t)magnitude);
    return (size_t)(p - out);
}

size_t number_format_double(char *out, double value)
{
    /* Whole numbers that fit half an int64, rounded up as a double is, are printed in full. */
    if (fabs(value) <= 0x1p62 && value == (double)(int64_t)value && (value != 0 || !signbit(value)))
        return number_format_int64(out, (int64_t)value);
    return number_format_shortest(out, value);
}

size_t number_format_shortest(char *out, double value)
{
    if (isnan(value)) {
        memcpy(out, "nan", 3);
        return 3;
    }
    size_t sign = signbit(value) ? 1 : 0;
    if (sign)
        *out = '-';
    if (isinf(value)) {
        memcpy(out + sign, "inf", 3);
        return sign + 3;
    }
    if (value == 0) {
        out[sign] = '0';
        return sign + 1;
    }
    char digits[18];
    int point, count = shortest_digits(fabs(value), digits, &point);
    return sign + layout(out + sign, digits, count, point);
}

size_t number_format_long_double(char *out, long double value)
{
    int n = snprintf(out, NUMBER_LONG_DOUBLE_SIZE, "%.17Lf", value);
    if (n <= 0 || n >= NUMBER_LONG_DOUBLE_SIZE)
        return 0;
    size_t size = (size_t)n;
    if (memchr(out, '.', size)) {
        while (out[size - 1] == '0')
            size--;
        size -= out[size - 1] == '.';
    }
    if (size == 2 && out[0] == '-' && out[1] == '0') {
        out[0] = '0';
        size = 1;
    }
    return size;
}
