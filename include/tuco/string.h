/* string.h - strings of the collected heap: bytes that do not change, shared by whoever holds them.
 *
 *     tu_string name = tu_string_format("%s-%d", host, port);      .at is NULL: no memory
 *     tu_string all = tu_concat(name, TU_STRING("."), domain);
 *     if (tu_string_equal(tu_substring(all, 0, 3), TU_STRING("www")))
 *
 * A string is a value of two words: bytes of any kind, zero bytes too, and their number. Those made here are followed by
 * a zero byte, substrings are not. The empty string's `at` is not NULL. A string that is a field of an object is declared
 * const, named by its pointer in TU_TYPE (`name.at`), and written by tu_string_assign. Any thread; nothing parks.
 */
#pragma once

#include <tuco/gc.h>

TU_BEGIN_DECLS

/* The bytes and how many they are. */
struct tu_string {
    const char *at;
    size_t length;
};
typedef struct tu_string tu_string;
TU_TYPE(tu_string, at);

/* Of a literal; nothing is copied. */
#define TU_STRING(literal) ((tu_string){"" literal, sizeof(literal) - 1})

/* Copies. Of 0 bytes: the empty string. */
TU_API tu_string tu_make_string(const void *bytes, size_t length);
/* As printf. */
TU_API tu_string tu_string_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The parts, one after the other, with `between` between any two of them. */
TU_API tu_string tu_string_join(const tu_string *parts, size_t count, tu_string between);
/* Up to as many strings as you like: tu_concat(a, b, c). */
#define tu_concat(...)                                                                    \
    ({                                                                                    \
        const tu_string tu__parts[] = {__VA_ARGS__};                                      \
        tu_string_join(tu__parts, sizeof tu__parts / sizeof tu__parts[0], TU_STRING("")); \
    })

/* Bytes from `from` to before `to`; they are shared. Out of bounds: aborts. */
TU_API tu_string tu_substring(tu_string s, size_t from, size_t to);
TU_API bool tu_string_equal(tu_string a, tu_string b);
/* Below 0, 0, or above, by the first byte that differs, then by length. */
TU_API int tu_string_compare(tu_string a, tu_string b);
/* Where `part` begins in s for the first time at or after `from`; SIZE_MAX: nowhere. */
TU_API size_t tu_string_find(tu_string s, tu_string part, size_t from);

/* *to = s, where *to may lie in an object. */
TU_API void tu_string_assign(const tu_string *to, tu_string s);

TU_END_DECLS
