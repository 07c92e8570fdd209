/* text_test.c - growing text and words as files quote them. */
#include "server/text.h"

#include "support/testing.h"

#include <errno.h>

static void check_words(const char *line, int count, const char *const *expected)
{
    struct words w;
    int rc = words_split(slice_of(line), &w);
    if (count < 0) {
        CHECK_EQ(rc, count);
        return;
    }
    REQUIRE(rc == 0);
    CHECK_EQ(w.count, count);
    for (int i = 0; i < count && (size_t)i < w.count; i++) {
        CHECK(slice_equal(w.items[i], slice_of(expected[i])));
        CHECK_EQ(w.items[i].data[w.items[i].size], 0);
    }
    words_free(&w);
}
#define WORDS(line, ...)                                                      \
    check_words(line, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), \
                (const char *[]){__VA_ARGS__})

TEST(text, words)
{
    check_words("", 0, NULL);
    check_words(" \t\r\n", 0, NULL);
    WORDS("a", "a");
    WORDS("  port   6379\t", "port", "6379");
    WORDS("save \"\"", "save", "");
    WORDS("requirepass \"a b\\\"c\\n\\x41\\q\"", "requirepass", "a b\"c\nAq");
    WORDS("x 'it\\'s \"raw\\n\"'", "x", "it's \"raw\\n\"");
    WORDS("\"a\" 'b'", "a", "b");
    check_words("\"a\"b", -EINVAL, NULL);
    check_words("'a'b", -EINVAL, NULL);
    check_words("x \"unfinished", -EINVAL, NULL);
    check_words("x 'unfinished", -EINVAL, NULL);
    check_words("x \"ends in a backslash\\", -EINVAL, NULL);
}

TEST(text, many_words_fit)
{
    struct text t = {0};
    for (int i = 0; i < 5000; i++)
        text_addf(&t, "%d ", i % 10);
    struct words w;
    REQUIRE(words_split(text_slice(&t), &w) == 0);
    CHECK_EQ(w.count, 5000);
    words_free(&w);
    text_free(&t);
}

TEST(text, quoting_reads_back)
{
    char bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    struct text t = {0};
    text_add_quoted(&t, (struct slice){bytes, sizeof bytes});
    struct words w;
    REQUIRE(words_split(text_slice(&t), &w) == 0);
    REQUIRE(w.count == 1);
    CHECK(slice_equal(w.items[0], (struct slice){bytes, sizeof bytes}));
    words_free(&w);
    text_free(&t);
}

TEST(text, long_formats_grow)
{
    struct text t = {0};
    text_add_string(&t, "x");
    text_addf(&t, "%3000d", 7);
    CHECK_EQ(t.size, 3001);
    CHECK(t.data[3000] == '7' && t.data[3001] == '\0');
    text_free(&t);
    CHECK(t.data == NULL && t.size == 0);
}
