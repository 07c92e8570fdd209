/* gc_thread.h - what the collector knows of each thread that may hold pointers to objects, and how it stops them all.
 *
 * Ms, pool threads, and plain threads that made an object or called tu_gc_attach. A record is never freed: when its
 * thread ends it waits, with the blocks it has claimed, for the next one.
 *
 *   collector                                         thread, in the handler of SIGURG
 *   1 takes the locks below                           1 epoch even: a signal of the past, goes on
 *   2 epoch = odd; waiting = number of threads        2 inside tu__gc_busy: notes it, goes on; asks itself again when
 *   3 a signal to each                                  that ends
 *   4 waits until waiting == 0 (acquire)              3 says where it stands; waiting-- (release)
 *   5 looks at whatever it wants                      4 waits until the epoch is another (acquire)
 *   6 epoch = even (release), wakes; unlocks
 *
 * A thread that sleeps with no pointer to any object on its stack says so (tu__gc_quiet) and is not asked:
 *
 *   collector                                         thread
 *   2 epoch = odd, full fence                         1 away = QUIET; sleeps
 *   3 away == QUIET: leaves it out                    2 away = HERE, full fence
 *                                                     3 epoch odd: waits until it is another
 *   One of the two sees the other. A signal that comes to a thread that is not counted (of a dump, say) does nothing.
 *
 * One that touches memory with nothing behind it may be in the kernel for milliseconds (which zeroes a huge page), and no
 * signal ends that. So it says before where it stands (tu__gc_touch), and is scanned there without being asked:
 *
 *   collector                                         thread
 *   2 epoch = odd, full fence                         1 touching_sp = below its registers and frames
 *   3 away == TOUCHES (acquire): it stands at         2 away = TOUCHES (release); touches
 *     touching_sp                                     3 away = HERE, full fence; epoch odd: waits
 *   What it touches is known to nobody else and holds no pointer. Asked just before 2, it answers after the touching, late.
 *
 * What a thread must not be stopped in the middle of is guarded by a lock that the collector takes first (claiming,
 * roots, records), lies in tu__gc_busy, or can be begun again (pointer_store.S). While all stand the collector takes no lock
 * but those: a thread may have been stopped with any other in its hands, malloc's included.
 */
#pragma once

#include "platform/fault.h"
#include "runtime/gc/collected.h"
#include "runtime/gc/gc_mark.h"

enum gc_away { GC_HERE, GC_QUIET, GC_TOUCHES };

struct gc_thread {
    struct slot slots[KEYS];
    _Atomic uint64_t active[KEYS / 64]; /* a bit for each slot that ever had a span; own thread */
    struct mark_stack stack;            /* what it has marked; while it is busy */
    struct gc_thread *next;             /* all records; fixed */
    bool idle;                          /* nobody's; under tu__gc_threads.lock */
    bool reserved;                      /* for a thread that starts; with idle */
    int id;                             /* the kernel's number of the thread */
    const char *low, *high;             /* its stack */
    const volatile uint32_t *core;      /* where it runs, or ran last; or NULL */
    _Atomic uint32_t busy;              /* nesting of tu__gc_busy; own thread */
    _Atomic uint32_t asked;             /* it was asked while busy */
    _Atomic uint32_t answered;          /* the epoch for which it stands */
    _Atomic uint32_t away;              /* enum gc_away; own thread */
    uintptr_t touching_sp;              /* while it touches; own thread */
    _Atomic uint32_t counted; /* the epoch for which the collector waits for it; the collector's, */
    bool left_out;            /* as is this: not of the present stop, because it is quiet */
    bool clean;           /* for tests: cleaned its stack when the cycle began, and was scanned; */
    bool own_stack;       /* ... its own one, not a goroutine's */
    struct fault_stop at; /* where it stands */
    int64_t stood_ns;     /* and since when */
};

struct tu__gc_threads {
    struct tu__lock lock;
    _Atomic(struct gc_thread *) all; /* pushed in front */
    bool has_key;
    _Atomic bool
        clean; /* for tests: who is stopped zeroes what no frame uses of its stack (gc_verify.c) */
    _Alignas(64) _Atomic uint32_t epoch; /* odd: all are to stand; a futex */
    _Atomic uint32_t waiting;            /* threads that do not stand yet; a futex */
};
extern struct tu__gc_threads tu__gc_threads;

/* The calling thread's; without one, a record whose slots are empty for ever. Not to be kept across a park. */
extern __thread struct gc_thread *tu__gc_thread_tls __attribute__((tls_model("initial-exec")));
/* Makes one if there is none: NULL when there is no memory. */
struct gc_thread *tu__gc_thread_here(void);
/* For a thread that is about to be started: a record that waits for it, or NULL: no memory; and back, if it was not
 * started. */
struct gc_thread *tu__gc_thread_reserve(void);
void tu__gc_thread_unreserve(struct gc_thread *t);
/* First thing in that thread: the record is the calling thread's. */
void tu__gc_thread_start(struct gc_thread *t);

/* In a forked child: of all threads only the calling one is left. */
void tu__gc_threads_forked(void);

/* Between these two the calling thread is not stopped. Short; nothing parks in between. NULL: it has no record. */
struct gc_thread *tu__gc_busy_begin(void);
void tu__gc_busy_end(struct gc_thread *t);

/* Around a sleep of a thread whose stack holds no pointer to an object. The end may wait for the collector. */
void tu__gc_quiet_begin(void);
void tu__gc_quiet_end(void);

/* Touches each page of memory that is the caller's and zero, so that the kernel puts something behind it; the collector need not
 * wait for that, unless the thread is busy. */
void tu__gc_touch(char *start, size_t bytes);

/* Installs the handler: 0 or -errno. Once, before the first stop. */
int tu__gc_stop_init(void);
/* Stops every thread that has a record, but the caller, whose locks are its own affair. The caller holds
 * tu__gc_threads.lock. Aborts when one does not answer within some seconds. */
void tu__gc_stop(void);
/* Returns when it let them go. */
int64_t tu__gc_go_on(void);
/* While they stand: since when the last of them does, 0 if there is none. */
int64_t tu__gc_stood(void);
