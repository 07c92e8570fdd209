/* glob.c - matching in one pass with one place to go back to.
 *
 * Every element but '*' consumes exactly one byte, so only the last '*' seen ever needs to be tried
 * again one byte further: a later star makes the earlier ones' choice irrelevant. Two saved positions
 * replace recursion, and the work is at most pattern * text steps; hostile patterns of many stars
 * cost no more.
 */
#include "base/glob.h"

static inline unsigned char fold(char c, bool nocase)
{
    unsigned char u = (unsigned char)c;
    return nocase && u >= 'A' && u <= 'Z' ? (unsigned char)(u | 32) : u;
}

/* Matches one byte against the class whose '[' is at pattern.data[at]. *next: behind the class. */
static bool match_class(struct slice pattern, size_t at, char byte, bool nocase, size_t *next)
{
    const char *p = pattern.data;
    size_t i = at + 1;
    unsigned char c = fold(byte, nocase);
    bool inverted = i < pattern.size && p[i] == '^', found = false;
    for (i += inverted; i < pattern.size && p[i] != ']'; i++) {
        if (p[i] == '\\' && i + 1 < pattern.size) {
            i++;
            found |= p[i] == byte;
        } else if (i + 2 < pattern.size && p[i + 1] == '-') {
            unsigned char low = fold(p[i], nocase), high = fold(p[i + 2], nocase);
            if (low > high) {
                unsigned char swap = low;
                low = high;
                high = swap;
            }
            found |= c >= low && c <= high;
            i += 2;
        } else {
            found |= fold(p[i], nocase) == c;
        }
    }
    *next = i < pattern.size ? i + 1 : i;
    return found != inverted;
}

/* One element that is not '*' against one byte; *next: behind the element. */
static bool match_one(struct slice pattern, size_t at, char byte, bool nocase, size_t *next)
{
    char c = pattern.data[at];
    if (c == '[')
        return match_class(pattern, at, byte, nocase, next);
    if (c == '\\' && at + 1 < pattern.size)
        c = pattern.data[++at];
    else if (c == '?')
        byte = c;
    *next = at + 1;
    return fold(c, nocase) == fold(byte, nocase);
}

bool glob_match(struct slice pattern, struct slice text, bool nocase)
{
    size_t p = 0, t = 0, next;
    size_t star = SIZE_MAX, retry = 0; /* behind the last '*', and the text it has not swallowed */
    if (text.size == 0)
        return pattern.size == 0;
    while (t < text.size) {
        if (p < pattern.size && pattern.data[p] == '*') {
            star = ++p;
            retry = t;
            if (p == pattern.size)
                return true;
        } else if (p < pattern.size && match_one(pattern, p, text.data[t], nocase, &next)) {
            p = next;
            t++;
        } else if (star != SIZE_MAX) {
            p = star;
            t = ++retry;
        } else {
            return false;
        }
    }
    while (p < pattern.size && pattern.data[p] == '*')
        p++;
    return p == pattern.size;
}

bool glob_is_literal(struct slice pattern)
{
    for (size_t i = 0; i < pattern.size; i++) {
        char c = pattern.data[i];
        if (c == '*' || c == '?' || c == '[' || c == '\\')
            return false;
    }
    return true;
}

bool glob_is_any(struct slice pattern)
{
    return pattern.size == 1 && pattern.data[0] == '*';
}
