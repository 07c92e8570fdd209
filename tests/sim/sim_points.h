/* sim_points.h - what the simulated program's atomic operations, clocks and pauses are turned into by
 * sim_atomics.h; implemented in sim_memory.c. `site` is "file:line", for traces; `order` one of __ATOMIC_*.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

void sim_point(const char *site, const void *address);
void sim_load(const volatile void *from, void *to, size_t size, const char *site);
void sim_store(volatile void *to, const void *value, size_t size, int order, const char *site);
void sim_before_rmw(const volatile void *address, size_t size, const char *site);
bool sim_weak_fails(void);
void sim_fence(int order, const char *site);
void sim_pause(void);
uint64_t sim_ticks(void);
int sim_clock_gettime(clockid_t clock, struct timespec *out);
int sim_key_create(pthread_key_t *key, void (*end)(void *value));
int sim_set_specific(pthread_key_t key, const void *value);
void *sim_aligned_alloc(size_t alignment, size_t size);
