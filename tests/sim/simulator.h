/* simulator.h - one OS thread that plays all of them, by a seed.
 *
 * The simulator takes the place of the platform floor under the real runtime: its threads are virtual
 * (a fiber each), its futexes, pollers and clocks are the simulator's, and at every atomic operation
 * (sim_atomics.h) it may go on with another virtual thread. What it does is a function of the seed
 * alone, so a finding is replayed by its number.
 *
 * Memory is x86's: a store that is neither sequentially consistent nor part of a read-modify-write
 * waits in its thread's buffer, so that a missing fence shows. That holds for variables that live as
 * long as the process (globals, Ps, Ms); objects on stacks and in the heap are stored to at once,
 * since plain accesses to the same memory are not seen by the simulator.
 *
 * Time is virtual: it creeps with every step, jumps now and then, and goes to the next deadline when
 * nobody can run. When nobody can run and nobody (but the monitor) has a deadline, nothing will ever
 * happen again: that is reported as a hang.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim_points.h"

enum sim_policy {
    SIM_UNIFORM, /* any thread next, often or seldom */
    SIM_PCT,     /* strict priorities, changed at a few random steps */
    SIM_FREEZE,  /* uniform, and now and then somebody is held for thousands of steps */
    SIM_POLICIES
};

/* What the seed decides before the first step. */
struct sim_plan {
    uint64_t seed;
    enum sim_policy policy;
    unsigned procs;        /* Ps, 1 to 4 */
    uint32_t switch_every; /* mean steps between choices */
    uint32_t step_ns;      /* how fast time creeps */
    uint32_t jump_every;   /* mean choices between jumps of up to 20 ms; 0: none */
    bool buffers;          /* store buffers as x86 has them */
    bool spurious;         /* futexes and pollers return for nothing */
};

/* Runs main_fn(arg) as the first virtual thread and returns when it has returned; once a process. */
void sim_run(uint64_t seed, void (*main_fn)(void *arg), void *arg);
const struct sim_plan *sim_plan(void);
uint64_t sim_steps(void);    /* so far: a logical clock */
uint64_t sim_schedule(void); /* a hash of all switches so far: equal for equal runs */

/* The scenario's own random numbers: a stream of the seed that the schedule does not disturb. */
uint32_t sim_below(uint32_t n);

/* The caller computes for so long. */
void sim_compute(int64_t duration_ns);
int64_t sim_now_ns(void);
/* Does a thread wait on it, without a deadline? */
bool sim_waits_for_ever(const void *on);

/* Reports a finding with its seed and ends the process with status 1. */
_Noreturn void sim_finding(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Called when nobody can run, and when a finding is printed; set by the kit, which knows the runtime. */
extern void (*sim_when_stuck)(void);
extern void (*sim_describe)(void);
/* How many of the last points a finding prints. */
void sim_trace(unsigned points);

/* ---- for sim_floor.c ---- */
struct sim_wait {
    const void *on;                /* a futex word or a poller; NULL: only the deadline */
    int64_t deadline_ns;           /* or INT64_MAX */
    bool (*ready)(const void *on); /* asked while it waits; NULL: only sim_wake ends the wait */
};
/* Blocks the virtual thread. True: woken; false: the deadline has passed. */
bool sim_block(const struct sim_wait *wait, const char *what);
/* Wakes up to `count` of those that wait on it. */
void sim_wake(const void *on, int count);
bool sim_spuriously(void); /* return for nothing this time? */
int sim_thread(void *(*run)(void *arg), void *arg, const char *name);
/* Those that have not ended and whose names begin with `prefix`. */
unsigned sim_thread_count(const char *prefix);
int sim_thread_number(void); /* of the current thread, from 1 */
/* A signal: the thread calls the handler before it does anything else; a wait ends with it. */
void sim_signal(int thread);
extern void (*sim_handler)(void);
void sim_thread_stack(void **low, size_t *size);
/* Puts the threads' store buffers into memory: one's own, or all of them (membarrier). */
void sim_drain(void);
void sim_drain_all(void);
