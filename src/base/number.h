/* number.h - numbers from and to text, exactly as RESP clients expect them.
 *
 * Pure functions. Buffers are the caller's; nothing is null-terminated unless said so.
 */
#pragma once

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NUMBER_INT64_MAX_SIZE   20   /* "-9223372036854775808" */
#define NUMBER_DOUBLE_MAX_SIZE  64   /* longest text number_format_double writes */
#define NUMBER_LONG_DOUBLE_SIZE 5120 /* room number_format_long_double needs */

/* Reads a decimal int64: an optional '-', digits without a leading zero (but "0" itself), nothing
 * else: no '+', no spaces, no "-0". False when the text is not that or is out of range. This is what
 * decides whether a string value is stored as an integer, so text and value correspond one to one. */
bool number_parse_int64(struct slice text, int64_t *out);
/* The same for unsigned 64 bit (cursors). */
bool number_parse_uint64(struct slice text, uint64_t *out);

/* Writes decimal digits to `out` (NUMBER_INT64_MAX_SIZE bytes are enough): the count written. */
size_t number_format_int64(char *out, int64_t value);
size_t number_format_uint64(char *out, uint64_t value);

/* Reads a double as the store accepts it: everything strtod takes, inf included, in full; no leading
 * space, no NaN, not empty. False otherwise, or when a finite text overflows. */
bool number_parse_double(struct slice text, double *out);
/* The same for long double (INCRBYFLOAT). */
bool number_parse_long_double(struct slice text, long double *out);
/* The usual part of number_parse_double, without the C library: an optional '-', digits and a point, at most 19 of them
 * together. False: it may be a number in another form. */
bool number_parse_decimal(struct slice text, double *out);

/* The shortest text that reads back as `value`, in the form RESP3 doubles and scores have ("inf",
 * "-inf", "nan", "3", "3.14", "1e+21"): the count written to `out` (NUMBER_DOUBLE_MAX_SIZE). */
size_t number_format_double(char *out, double value);
/* The same, but whole numbers have an exponent, too, where that is shorter ("1e+17"). */
size_t number_format_shortest(char *out, double value);
/* Fixed notation with up to 17 decimals, trailing zeros removed: "10.5", "3", "-0.1", what
 * INCRBYFLOAT stores. `value` is finite. The count written to `out` (NUMBER_LONG_DOUBLE_SIZE), 0 if
 * it does not fit. */
size_t number_format_long_double(char *out, long double value);
