/* symbol_test.c - names of our own functions, static ones too, of shared libraries, and of nothing. */
#include "platform/symbol.h"
#include "support/testing.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int line_of_here;

__attribute__((noinline)) static uintptr_t here(void)
{
    line_of_here = __LINE__ + 1;
    return (uintptr_t)__builtin_extract_return_addr(__builtin_return_address(0));
}

TEST(symbol, static_function)
{
    struct symbol s;
    CHECK(symbol_find((uintptr_t)here, &s));
    CHECK(strcmp(s.function, "here") == 0);
    CHECK(s.start == (uintptr_t)here && *s.module == 0);
    CHECK(strstr(s.file, "symbol_test.c") != NULL);
    (void)here();
    CHECK((int)s.line >= line_of_here - 3 && (int)s.line <= line_of_here);
}

TEST(symbol, return_address)
{
    struct symbol s;
    uintptr_t back = here();
    unsigned line = __LINE__ - 1;
    CHECK(symbol_find(back - 1, &s));
    CHECK(strcmp(s.function, "test_symbol_return_address") == 0);
    CHECK_EQ(s.line, line);
    CHECK(s.start < back && back - s.start < 4096);
}

TEST(symbol, shared_library)
{
    struct symbol s;
    CHECK(symbol_find((uintptr_t)strtoull, &s));
#if !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__) /* these put theirs in between */
    CHECK(strstr(s.module, "libc") != NULL && strstr(s.function, "strto") != NULL);
#endif
}

TEST(symbol, nowhere)
{
    struct symbol s;
    int local;
    CHECK(!symbol_find(0, &s) && *s.function == 0 && *s.file == 0);
    CHECK(!symbol_find(UINTPTR_MAX, &s));
    CHECK(!symbol_find((uintptr_t)&local, &s));
}

static void *look(void *unused)
{
    struct symbol s;
    for (int i = 0; i < 2000; i++) {
        CHECK(symbol_find((uintptr_t)here + (uintptr_t)(i % 3), &s));
        CHECK(strcmp(s.function, "here") == 0);
        CHECK(symbol_find((uintptr_t)abort, &s));
    }
    return unused;
}

TEST(symbol, from_many_threads)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&threads[i], NULL, look, NULL) == 0);
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_join(threads[i], NULL) == 0);
}
