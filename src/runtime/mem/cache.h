/* cache.h - a thread's cache of free blocks, as heap.c fills it and heap_stats.c counts it.
 *
 * A cache belongs to one thread; of its fields others read only `top`, unless the thread has left it (heap.h:
 * tu__mem_leave): then whoever collects free memory may take it for a moment, and empty it. It is never freed: when
 * its thread ends it waits, empty, for the next one.
 */
#pragma once

#include "runtime/mem/page_heap.h"
#include "runtime/mem/size_class.h"

#include <pthread.h>

/* Free blocks are bottom[1] .. *top, where bottom = full - 2 batches, and *bottom is NULL. */
struct stack {
    void **_Atomic top; /* bottom <= top <= full; written by the owner only */
    void **full;
};

enum cache_lease { CACHE_USED, CACHE_LEFT, CACHE_TAKEN };

struct cache {
    struct stack stacks[SIZE_CLASS_COUNT]; /* the first is always full and empty: it is nobody's */
    struct cache *next;                    /* all caches ever made; under the registry's lock */
    _Atomic int lease;                     /* enum cache_lease */
    bool idle; /* its thread has ended: the next new one takes it; under the registry's lock */
    void *slots[];
};

struct tu__cache_registry {
    struct tu__lock lock;
    bool started;
    struct cache *all;
    pthread_key_t key; /* its destructor empties a thread's cache */
    bool has_key;
    _Atomic size_t large_bytes; /* in large blocks with users */
    _Atomic size_t peak_bytes;
};
extern struct tu__cache_registry tu__caches;
