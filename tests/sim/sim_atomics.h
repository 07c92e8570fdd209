/* sim_atomics.h - forced in front of every file of the simulated library and of its suites (-include).
 *
 * Every step that another thread could see is an atomic operation (ThreadSanitizer watches over that),
 * so the atomic builtins are where the simulator interleaves. They are redefined here to call it;
 * the runtime's sources say nothing about it, and no point can be forgotten. Thread-local variables
 * become ordinary ones in a section of their own, which the simulator exchanges when it changes the
 * virtual thread. Clocks and the pause instruction are the simulator's too.
 *
 * For gcc, whose <stdatomic.h> is made of these builtins, on x86-64, whose clock is a builtin.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "sim_points.h"

#define SIM__TEXT_(x) #x
#define SIM__TEXT(x)  SIM__TEXT_(x)
#define SIM__SITE     __FILE__ ":" SIM__TEXT(__LINE__)

#define __thread __attribute__((section("sim_tls")))
#define _Thread_local __attribute__((section("sim_tls")))
#define tls_model(unused_) unused

#define clock_gettime          sim_clock_gettime
#define pthread_key_create     sim_key_create
#define pthread_setspecific    sim_set_specific
#define aligned_alloc          sim_aligned_alloc
#define __builtin_ia32_rdtsc() sim_ticks()
#define __builtin_ia32_pause() sim_pause()

#define __atomic_load(p, out, order) sim_load((p), (out), sizeof *(p), SIM__SITE)
#define __atomic_load_n(p, order)                         \
    ({                                                    \
        __auto_type sim_p = (p);                          \
        __typeof__((void)0, *sim_p) sim_v;                \
        sim_load(sim_p, &sim_v, sizeof sim_v, SIM__SITE); \
        sim_v;                                            \
    })
#define __atomic_store(p, value, order) sim_store((p), (value), sizeof *(p), (order), SIM__SITE)
#define __atomic_store_n(p, value, order)                           \
    ({                                                              \
        __auto_type sim_p = (p);                                    \
        __typeof__((void)0, *sim_p) sim_v = (value);                \
        sim_store(sim_p, &sim_v, sizeof sim_v, (order), SIM__SITE); \
    })
#define SIM__RMW(builtin, p, value, order)               \
    ({                                                   \
        __auto_type sim_p = (p);                         \
        __auto_type sim_w = (value);                     \
        sim_before_rmw(sim_p, sizeof *sim_p, SIM__SITE); \
        builtin(sim_p, sim_w, order);                    \
    })
#define __atomic_fetch_add(p, value, order)  SIM__RMW(__atomic_fetch_add, p, value, order)
#define __atomic_fetch_sub(p, value, order)  SIM__RMW(__atomic_fetch_sub, p, value, order)
#define __atomic_fetch_and(p, value, order)  SIM__RMW(__atomic_fetch_and, p, value, order)
#define __atomic_fetch_or(p, value, order)   SIM__RMW(__atomic_fetch_or, p, value, order)
#define __atomic_fetch_xor(p, value, order)  SIM__RMW(__atomic_fetch_xor, p, value, order)
#define __atomic_add_fetch(p, value, order)  SIM__RMW(__atomic_add_fetch, p, value, order)
#define __atomic_sub_fetch(p, value, order)  SIM__RMW(__atomic_sub_fetch, p, value, order)
#define __atomic_and_fetch(p, value, order)  SIM__RMW(__atomic_and_fetch, p, value, order)
#define __atomic_or_fetch(p, value, order)   SIM__RMW(__atomic_or_fetch, p, value, order)
#define __atomic_exchange_n(p, value, order) SIM__RMW(__atomic_exchange_n, p, value, order)
#define __atomic_exchange(p, value, out, order)          \
    ({                                                   \
        __auto_type sim_p = (p);                         \
        sim_before_rmw(sim_p, sizeof *sim_p, SIM__SITE); \
        __atomic_exchange(sim_p, value, out, order);     \
    })
/* A weak one also fails for no reason, now and then: it must be used in a loop. */
#define __atomic_compare_exchange(p, expected, value, weak, yes, no)            \
    ({                                                                          \
        __auto_type sim_p = (p);                                                \
        sim_before_rmw(sim_p, sizeof *sim_p, SIM__SITE);                        \
        (weak) && sim_weak_fails()                                              \
            ? (__atomic_load(sim_p, (expected), no), 0)                         \
            : __atomic_compare_exchange(sim_p, expected, value, weak, yes, no); \
    })
#define __atomic_compare_exchange_n(p, expected, value, weak, yes, no)      \
    ({                                                                      \
        __auto_type sim_p = (p);                                            \
        __typeof__((void)0, *sim_p) sim_w = (value);                        \
        sim_before_rmw(sim_p, sizeof *sim_p, SIM__SITE);                    \
        __atomic_compare_exchange_n(sim_p, expected, sim_w, weak, yes, no); \
    })
#define __atomic_thread_fence(order) sim_fence((order), SIM__SITE)
