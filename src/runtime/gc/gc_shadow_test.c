/* With TUCO_GCSHADOW=1 a pointer that was written behind the collector's back ends the process, and one that was written
 * as the header asks does not. */
#include <tuco/chan.h>
#include <tuco/gc.h>
#include <tuco/map.h>
#include <tuco/slice.h>

#include "support/testing.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct pair pair;
struct pair {
    uint64_t number;
    pair *const left, *const right;
};
TU_TYPE(pair, left, right);
typedef pair *const pair_ref;
TU_POINTER_TYPE(pair_ref);
TU_SLICE(pairs, pair_ref);
TU_TYPE(uint64_t);
TU_MAP(book, uint64_t, pair_ref);

typedef struct {
    uint64_t number;
    pair *at; /* only channels write to it */
} letter;
TU_TYPE(letter, at);

enum { COUNT = 3000 };
static tu_chan(letter) box;
static letter *received;
static pair *root;
static book *all;
static pairs list;
static pair_ref *large;

static void build(void)
{
    REQUIRE(tu_gc_root_add(&root, sizeof root) == 0 && tu_gc_root_add(&all, sizeof all) == 0);
    REQUIRE(tu_gc_root_add(&list, sizeof list) == 0 && tu_gc_root_add(&large, sizeof large) == 0);
    REQUIRE(tu_gc_root_add(&box, sizeof box) == 0 &&
            tu_gc_root_add(&received, sizeof received) == 0);
    all = tu_make_map(book, 0);
    box = tu_new_chan(letter, 100);
    received = tu_new(letter);
    large = tu_new_array(pair_ref, COUNT * 8);
    for (uint64_t i = 0; i < COUNT; i++) {
        pair *p = tu_new(pair);
        p->number = i;
        tu_set(&p->left, root);
        root = p;
        REQUIRE(tu_append(pairs, &list, p) == 0 && tu_map_set(book, all, i, p) == 0);
        tu_set(&large[i * 7], p);
        if (tu_try_send(box, ((letter){i, p})) != 0)
            REQUIRE(tu_channel_recv(tu_chan_untyped(box), received) == 0);
        if (i % 3 == 0)
            (void)tu_map_delete(book, all, i / 2);
    }
    tu__gc_move(TU_TYPE_OF(pair_ref), (void *)&large[5], (const void *)&large[1], COUNT);
    tu__gc_clear(TU_TYPE_OF(pair_ref), (void *)&large[100], COUNT);
}

static void well(void)
{
    build();
    for (int i = 0; i < 3; i++) {
        list = (pairs){0};
        large = NULL;
        tu_gc();
        build();
        tu_gc();
    }
}

__attribute__((unused)) static void plain_store(void)
{
    build();
    pair *fresh = tu_new(pair);
    *(pair **)(uintptr_t)&root->right = fresh;
    tu_gc();
}

__attribute__((unused)) static void copy_of_bytes(void)
{
    build();
    memcpy((void *)(uintptr_t)&large[3], (const void *)&list.at[5], sizeof *large);
    tu_gc();
}

/* Cycles begin while a large object is being made: it is known to nobody but its maker. */
static void large_ones(void)
{
    for (int round = 0; round < 4; round++)
        for (size_t count = 4000; count < 20000; count = count * 33 / 32) {
            pair_ref *row = tu_new_array(pair_ref, count);
            tu_set(&row[count / 2], (pair *)(uintptr_t)row);
            REQUIRE(tu_gc_usable_size((const void *)row) >= count * sizeof *row);
            pair *several = tu_new_array(pair, count);
            char *bytes = tu_new_bytes(count);
            memset(bytes, 0xff, count);
            REQUIRE(tu_gc_owns(bytes + count / 2) && tu_gc_owns(&several[count / 2]));
        }
}

/* The signal that ended it; 0: it went well. */
static int ends_with(void (*run)(void))
{
    int status = -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        setenv("TUCO_GCSHADOW", "1", 1);
        run();
        _exit(0);
    }
    REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

TEST(gc_shadow, what_the_header_asks_is_clean)
{
    CHECK_EQ(ends_with(well), 0);
}

TEST(gc_shadow, large_objects_that_only_their_maker_knows)
{
    CHECK_EQ(ends_with(large_ones), 0);
}

#ifndef __SANITIZE_THREAD__ /* which has no room for a shadow */
TEST(gc_shadow, a_plain_store_is_found)
{
    CHECK_EQ(ends_with(plain_store), SIGABRT);
}

TEST(gc_shadow, a_memcpy_is_found)
{
    CHECK_EQ(ends_with(copy_of_bytes), SIGABRT);
}
#endif
