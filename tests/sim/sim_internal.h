/* sim_internal.h - the state that simulator.c and sim_memory.c share. */
#pragma once

#include "simulator.h"

enum { VTHREADS_MAX = 32, TLS_BYTES = 256, BUFFER_MAX = 8, CHANGE_POINTS = 5, KEYS_MAX = 4 };
#define SIM_EPOCH_NS INT64_C(1000000000000) /* when virtual time begins */

enum vthread_state { RUNNABLE, BLOCKED, DEAD };

/* A store that other threads do not see yet. */
struct pending_store {
    volatile void *to;
    uint64_t value;
    size_t size;
    uint64_t step; /* when it was made */
};

struct vthread {
    void *sp;
    enum vthread_state state;
    bool woken;     /* how the last wait ended */
    bool signalled; /* runs the handler when it goes on, */
    bool handling;  /* unless it is in it */
    struct sim_wait wait;
    const char *what; /* it waits in */
    char name[16];
    void *(*run)(void *arg);
    void *arg;
    int64_t priority;                        /* PCT: the highest runs */
    uint64_t frozen_until;                   /* step */
    uint64_t ran;                            /* steps since it last waited or was set back */
    struct pending_store buffer[BUFFER_MAX]; /* oldest first */
    unsigned buffered;
    char tls[TLS_BYTES]; /* while it does not run */
    void *specific[KEYS_MAX];
    const void *low; /* the stack it was last on */
    size_t size;
    void *fake_stack; /* AddressSanitizer's */
};

struct simulation {
    bool running;
    struct vthread *current, *before; /* before: who switched to current */
    uint32_t countdown;               /* steps until the next choice */
    uint64_t step, switched_at, schedule_hash;
    int64_t now_ns;
    struct sim_plan plan;
    uint64_t random, program_random;
    int count;
    unsigned buffered; /* in all buffers */
    int64_t lowest_priority;
    uint32_t change_at[CHANGE_POINTS];
    int idle_rounds;
    struct vthread threads[VTHREADS_MAX];
    struct vthread host; /* whoever called sim_run */
    char fresh_tls[TLS_BYTES];
};
extern struct simulation sim;

uint32_t sim_choose(uint32_t n); /* the schedule's random numbers */
void sim_decide(void);
void sim_drain_someone(void); /* one store of a random thread becomes visible */
void sim_record(const char *site, const void *address, uint64_t value);
void sim_print_trace(void);
