/* glob_test.c - the edges, asked of a real server, and a recursive model on random patterns. */
#include "base/glob.h"

#include "base/random.h"
#include "support/testing.h"

#include <time.h>

static bool match(const char *pattern, const char *text)
{
    return glob_match(slice_of(pattern), slice_of(text), false);
}

TEST(glob, elements)
{
    CHECK(match("h?llo", "hello") && !match("h?llo", "hllo"));
    CHECK(match("h*llo", "hllo") && match("h*llo", "heeello") && !match("h*llo", "hell"));
    CHECK(match("h[ae]llo", "hallo") && !match("h[ae]llo", "hillo"));
    CHECK(match("h[^e]llo", "hallo") && !match("h[^e]llo", "hello"));
    CHECK(match("h[a-c]llo", "hbllo") && !match("h[a-c]llo", "hdllo") && match("[c-a]", "b"));
    CHECK(match("a\\*b", "a*b") && !match("a\\*b", "axb") && match("a\\\\", "a\\"));
}

/* Each line was asked of a server with the keys "", "a", "]" and "a\". */
TEST(glob, edges_as_the_peers_decide_them)
{
    CHECK(!match("**", "") && !match("*", "") && match("", ""));
    CHECK(!match("[]", "a") && !match("[]", "]") && !match("[]]", "]"));
    CHECK(match("[^]", "a") && match("[^]", "]") && match("[^", "a"));
    CHECK(match("[a", "a") && !match("[", "a") && match("[a-", "a") && match("[a-b", "a"));
    CHECK(match("a\\", "a\\") && !match("a\\", "a") && match("[\\]]", "]"));
    CHECK(match("[\\", "\\"));
}

TEST(glob, nocase_folds_classes_too)
{
    CHECK(glob_match(SLICE("GET*"), SLICE("getrange"), true));
    CHECK(glob_match(SLICE("[A-C]x"), SLICE("bX"), true));
    CHECK(!glob_match(SLICE("GET*"), SLICE("getrange"), false));
}

/* Plain recursion on the alphabet  a b * ? [ab] [^a]. */
static bool model(const char *p, size_t np, const char *t, size_t nt)
{
    if (np == 0)
        return nt == 0;
    if (*p == '*') {
        for (size_t i = 0; i <= nt; i++)
            if (model(p + 1, np - 1, t + i, nt - i))
                return true;
        return false;
    }
    if (nt == 0)
        return false;
    if (*p == '?')
        return model(p + 1, np - 1, t + 1, nt - 1);
    if (np >= 4 && *p == '[')
        return (p[1] == '^') != (*t == 'a' || (p[1] != '^' && *t == 'b')) &&
               model(p + 4, np - 4, t + 1, nt - 1);
    return *p == *t && model(p + 1, np - 1, t + 1, nt - 1);
}

TEST(glob, agrees_with_a_recursive_model)
{
    struct random_state r;
    random_init(&r, 1);
    static const char *const parts[] = {"a", "b", "*", "?", "[ab]", "[^a]"};
    for (int round = 0; round < 200000; round++) {
        char p[64], t[16];
        size_t np = 0, nt = 1 + random_below(&r, 10);
        for (size_t i = random_below(&r, 8); i > 0; i--)
            np += (size_t)sprintf(p + np, "%s", parts[random_below(&r, 6)]);
        for (size_t i = 0; i < nt; i++)
            t[i] = (char)('a' + random_below(&r, 3));
        bool got = glob_match((struct slice){p, np}, (struct slice){t, nt}, false);
        if (got != model(p, np, t, nt))
            test_fail(__FILE__, __LINE__, "%.*s on %.*s: %d", (int)np, p, (int)nt, t, got);
    }
}

/* A recursive matcher takes longer than the universe has existed for this. */
TEST(glob, many_stars_stay_cheap)
{
    char pattern[401], text[10000];
    for (int i = 0; i < 400; i += 2) {
        pattern[i] = '*';
        pattern[i + 1] = 'a';
    }
    pattern[400] = 'b';
    memset(text, 'a', sizeof text);
    clock_t start = clock();
    CHECK(!glob_match((struct slice){pattern, 401}, (struct slice){text, sizeof text}, false));
    CHECK((double)(clock() - start) / CLOCKS_PER_SEC < 5);
}

TEST(glob, literal_and_any)
{
    CHECK(glob_is_literal(SLICE("abc")) && !glob_is_literal(SLICE("a*")));
    CHECK(!glob_is_literal(SLICE("a\\b")) && glob_is_any(SLICE("*")) && !glob_is_any(SLICE("**")));
}
