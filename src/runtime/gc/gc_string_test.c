/* Strings: made, joined, cut, compared, found, kept. */
#include <tuco/gc.h>
#include <tuco/string.h>

#include "support/testing.h"

#include <stdlib.h>
#include <string.h>

static bool is(tu_string s, const char *text)
{
    return s.at && s.length == strlen(text) && memcmp(s.at, text, s.length) == 0;
}

TEST(gc_string, making)
{
    CHECK(is(TU_STRING("abc"), "abc") && is(TU_STRING(""), ""));
    tu_string s = tu_make_string("a\0b", 3);
    CHECK(s.length == 3 && memcmp(s.at, "a\0b", 4) == 0); /* and a zero behind it */
    CHECK(is(tu_make_string("", 0), ""));
    s = tu_string_format("%s-%d", "host", 6379);
    CHECK(is(s, "host-6379") && s.at[9] == 0);
    char *big = malloc(5001);
    memset(big, 'x', 5000);
    big[5000] = 0;
    s = tu_string_format("<%s>", big);
    CHECK(s.length == 5002 && s.at[0] == '<' && s.at[5000] == 'x' && s.at[5001] == '>' &&
          s.at[5002] == 0);
    free(big);
    CHECK(is(tu_concat(TU_STRING("a"), TU_STRING(""), TU_STRING("bc")), "abc"));
    const tu_string parts[] = {TU_STRING("x"), TU_STRING("y"), TU_STRING("")};
    CHECK(is(tu_string_join(parts, 3, TU_STRING(", ")), "x, y, "));
    CHECK(is(tu_string_join(parts, 0, TU_STRING(", ")), ""));
    const tu_string huge[] = {{"", SIZE_MAX}, {"", 2}};
    CHECK(!tu_string_join(huge, 2, TU_STRING("")).at);
}

TEST(gc_string, cutting_and_comparing)
{
    tu_string s = tu_make_string("hello, world", 12), w = tu_substring(s, 7, 12);
    CHECK(is(w, "world") && w.at == s.at + 7);
    CHECK(is(tu_substring(s, 12, 12), ""));
    CHECK(tu_string_equal(w, TU_STRING("world")) && !tu_string_equal(w, TU_STRING("worlds")));
    CHECK(tu_string_equal(TU_STRING(""), (tu_string){0}));
    CHECK(tu_string_compare(TU_STRING("a"), TU_STRING("b")) < 0);
    CHECK(tu_string_compare(TU_STRING("ab"), TU_STRING("a")) > 0);
    CHECK(tu_string_compare(TU_STRING("\xff"), TU_STRING("a")) > 0);
    CHECK(tu_string_compare(w, w) == 0);
    CHECK_EQ(tu_string_find(s, TU_STRING("o"), 0), 4);
    CHECK_EQ(tu_string_find(s, TU_STRING("o"), 5), 8);
    CHECK(tu_string_find(s, TU_STRING("xyz"), 0) == SIZE_MAX);
    CHECK(tu_string_find(s, TU_STRING(""), 12) == 12 &&
          tu_string_find(s, TU_STRING(""), 13) == SIZE_MAX);
}

typedef struct {
    const tu_string name;
} person;
TU_TYPE(person, name.at);

GO_TEST(gc_string, a_part_keeps_the_whole)
{
    person *p = tu_new(person);
    REQUIRE(p);
    for (int i = 0; i < 100; i++) {
        tu_string_assign(&p->name, tu_substring(tu_string_format("before %d after", i), 7, 8));
        for (int k = 0; k < 100; k++)
            CHECK(tu_string_format("garbage %d", k).at);
        tu_gc();
        CHECK(p->name.length == 1 && p->name.at[0] == (i < 10 ? '0' + i : '0' + i / 10));
    }
}
