/* The second marking of tests (gc_verify.c) finds what only a stack knows and the collector has missed, and nothing where
 * all is well. */
#include <tuco/gc.h>
#include <tuco/go.h>

#include "runtime/gc/collector.h"
#include "runtime/gc/gc_phase.h"
#include "support/child.h"
#include "support/testing.h"

#define NOINLINE __attribute__((noinline))

typedef struct node node;
typedef node *const node_ref;
TU_POINTER_TYPE(node_ref);
struct node {
    node *const next;
    node_ref *const row;
};
TU_TYPE(node, next, row);

enum { LENGTH = 200000, HELD = 512, ROUNDS = 10 };
static node *list; /* a root */
static node
    *last; /* of the list: the collector comes to its row when it has walked along all of it */
static _Atomic bool stop;

NOINLINE static void fill(void)
{
    node_ref *fresh = tu_new_array(node_ref, HELD);
    REQUIRE(fresh);
    for (int i = 0; i < HELD; i++)
        tu_set(&fresh[i], tu_new(node));
    tu_set(&last->row, fresh);
}

static bool marking(void)
{
    return atomic_load_explicit(&tu__gc_marking, memory_order_relaxed) != 0;
}

/* Takes them out while the collector marks, and keeps them on the stack until it has ended. */
NOINLINE static void take(bool plainly)
{
    node *held[HELD];
    for (int i = 0; i < HELD; i++) {
        node_ref *from = &last->row[i];
        held[i] = *from;
        if (plainly)
            *(node **)(uintptr_t)from = NULL; /* what tuco/gc.h forbids */
        else
            tu_set(from, NULL);
    }
    while (marking()) {
    }
    __asm__ volatile("" : : "r"(held) : "memory");
}

static void collect(void)
{
    while (!atomic_load(&stop))
        tu_gc();
}

static void run(void *plainly)
{
    tu__gc_torture(1 << 30);
    tu__gc_verify_stacks = true;
    REQUIRE(tu_gc_root_add(&list, sizeof list) == 0);
    last = list = tu_new(node);
    for (int i = 0; i < LENGTH; i++) {
        node *n = tu_new(node);
        tu_set(&n->next, list);
        list = n;
    }
    REQUIRE(tu_go(collect) == 0);
    for (int round = 0; round < ROUNDS; round++) {
        fill();
        while (!marking())
            tu_yield();
        take(plainly != NULL);
    }
    atomic_store(&stop, true);
}

static void with_barrier(void)
{
    REQUIRE(tu_main(NULL, run, NULL) == 0);
#ifndef __SANITIZE_THREAD__
    REQUIRE(tu__gc_verified_stacks > 0);
#endif
}

static struct child child;

/* ThreadSanitizer: stacks are not looked at. AddressSanitizer: who runs is scanned once more at the end, so nothing is lost. */
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
static void without_barrier(void)
{
    (void)unsetenv("TUCO_GCSHADOW"); /* which would find the store itself */
    (void)tu_main(NULL, run, &stop);
}

TEST(gc_verify, what_only_a_stack_knows_and_was_missed_is_found)
{
    child_run(&child, without_barrier);
    CHECK(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT);
    CHECK(strstr(child.text, "which was not marked"));
    CHECK(strstr(child.text, "goroutine"));
}
#endif

TEST(gc_verify, nothing_is_found_where_all_is_well)
{
    child_run(&child, with_barrier);
    CHECK(WIFEXITED(child.status) && WEXITSTATUS(child.status) == 0);
    CHECK(!strstr(child.text, "which was not marked"));
}
